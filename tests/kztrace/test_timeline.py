# SPDX-License-Identifier: Apache-2.0
"""kztrace timeline: the picture, measured against what the traces were made from."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import views
from views import kztrace

NS = "{http://www.w3.org/2000/svg}"
RUN, WAIT, THROTTLED, HV, LOST, RELEASE, DEADLINE, IRQ, MISS = range(9)
NAMES = {RUN: "run", WAIT: "ready", THROTTLED: "throttled", HV: "hv"}
# Of lanes: height, and the least height of a column with anything in it.
LANES = {RUN: (16, 2), WAIT: (4, 1), THROTTLED: (16, 2), HV: (12, 3)}
BOX = re.compile(r"M(-?[\d.]+) (-?[\d.]+)h(-?[\d.]+)v(-?[\d.]+)h-?[\d.]+z")
MACHINE = views.machine()


class Picture:
    """An SVG: its lanes, marks and texts."""

    def __init__(self, path):
        self.size = path.stat().st_size
        self.root = ET.parse(path).getroot()
        self.width = float(self.root.get("width"))
        self.height = float(self.root.get("height"))
        self.elements = {e.get("id"): e for e in self.root.iter() if e.get("id")}
        grid = self.elements["axis"].find(f"{NS}path").get("d")
        self.top, self.bottom = (int(n) for n in re.findall(r"[ V](\d+)", grid))
        base = next(e.get("d") for e in self.root.iter() if e.get("class") == "base")
        self.plot_x, _, self.plot_w = (float(n) for n in
                                       re.fullmatch(r"M(\S+) (\S+)h(\S+)", base).groups())

    def boxes(self, row, kind):
        """(x, y, width, height) of a lane's bars; x from the plot's left edge."""
        return [(float(x) - self.plot_x, float(y), float(w), float(h))
                for x, y, w, h in BOX.findall(self.elements[f"r{row}k{kind}"].get("d"))]

    def marks(self, row):
        """(title, class of the last shape, its first x from the plot's left edge)."""
        found = []
        for group in self.elements[f"r{row}marks"]:
            shape = group.findall(f"{NS}path")[-1]
            x = float(re.match(r"M(-?[\d.]+)", shape.get("d")).group(1)) - self.plot_x
            found.append((group.find(f"{NS}title").text, shape.get("class"), x, shape.get("d")))
        return found

    def texts(self):
        """All texts."""
        return [e for e in self.root.iter(f"{NS}text")]

    def words(self):
        """All of them as one."""
        return "\n".join(e.text or "" for e in self.texts())


def row_of(who):
    """The row of a vCPU."""
    return 8 + (who >> 4) * 8 + (who & 15)


def draw(folder, trace, *args):
    """A trace as a file, and its picture."""
    (folder / "t.kzt").write_bytes(trace.pack())
    done = kztrace("timeline", folder / "t.kzt", "-o", folder / "t.svg", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return Picture(folder / "t.svg")


def coverage(spans, begin, end, columns):
    """How much of each column the spans have."""
    share = [0.0] * columns
    for a, b in spans:
        a = (max(a, begin) - begin) / (end - begin) * columns
        b = (min(b, end) - begin) / (end - begin) * columns
        for c in range(int(a) if b > a else columns, columns):
            if c >= b:
                break
            share[c] += min(b, c + 1) - max(a, c)
    return share


def check_lane(picture, row, kind, spans, begin, end):
    """The picture's columns are as full as the spans make them, and no fuller."""
    columns = int(picture.plot_w)
    height, least = LANES[kind]
    expected = coverage(spans, begin, end, columns)
    drawn = [0.0] * columns
    for x, y, w, h in picture.boxes(row, kind):
        assert -0.01 <= x and x + w <= columns + 0.011
        assert y >= picture.top and y + h <= picture.bottom
        for c in range(max(int(x), 0), min(int(x + w) + 1, columns)):
            drawn[c] += max(0, min(x + w, c + 1) - max(x, c)) * h / height
    scale = columns / (end - begin)
    for a, b in spans:
        c = int((a - begin) * scale)
        if begin <= a and b <= end and (b - a) * scale < 0.9 and c < columns:
            assert drawn[c] >= least / height - 0.02, ("not to be seen", row, kind, c)
    for c in range(columns):
        if expected[c] < 1e-9:
            assert drawn[c] <= 0.011, (row, kind, c)
        else:
            # A little beside a bar has a column of its own, of the least height.
            assert expected[c] - 0.25 / height - 0.02 <= drawn[c], (row, kind, c)
            assert drawn[c] <= expected[c] + least / height + 0.02, (row, kind, c)


def check_all(picture, cores, begin, end):
    """All lanes of all rows."""
    spans = {}
    for core in cores:
        for what, who, a, b in core.spans:
            row = core.number if what == "hv" else row_of(who or 0)
            spans.setdefault((row, what), []).append((a, b))
    known = [(row, kind) for row in range(72) for kind in NAMES if f"r{row}k{kind}" in
             picture.elements]
    assert len(known) == 4 + 3 * 6
    for row, kind in known:
        check_lane(picture, row, kind, spans.get((row, NAMES[kind]), []), begin, end)
    return len(spans)


def trace_range(trace):
    """Its first and last time."""
    times = [(r[0].time, r[-1].time) for r in trace.records]
    return min(t[0] for t in times), max(t[1] for t in times)


@pytest.mark.parametrize("hz", [1000000000, 62500000])
def test_bars_are_where_time_went(tmp_path, hz):
    """Each span of each row, for the whole trace: bars, and columns where they are too narrow."""
    trace, cores, _ = views.machine(hz=hz)
    picture = draw(tmp_path, trace)
    assert check_all(picture, cores, *trace_range(trace)) >= 12


@pytest.mark.parametrize("begin, end", [("0", "1ms"), ("39.9ms", "42ms"), ("20ms", "20.05ms"),
                                        ("0.065", "90000us"), ("40ms", "1s")])
def test_range(tmp_path, begin, end):
    """The same of a part; a range beyond the end ends there."""
    ns = {"0": 0, "1ms": 10**6, "39.9ms": 39900000, "42ms": 42 * 10**6, "20ms": 20 * 10**6,
          "20.05ms": 20050000, "0.065": 65 * 10**6, "90000us": 90 * 10**6, "40ms": 40 * 10**6,
          "1s": 10**9}
    trace, cores, _ = MACHINE
    first, last = trace_range(trace)
    picture = draw(tmp_path, trace, "--from", begin, "--to", end)
    check_all(picture, cores, first + ns[begin], min(first + ns[end], last))


def test_grid_and_labels(tmp_path):
    """Each label's number is where that time is."""
    unit = {"s": 1e9, "ms": 1e6, "µs": 1e3, "ns": 1}
    trace, _, _ = MACHINE
    first, last = trace_range(trace)
    for begin, end in ((0, last - first), (10**7, 11 * 10**6), (123456, 123456 + 900)):
        picture = draw(tmp_path, trace, "--from", f"{begin}ns", "--to", f"{end}ns")
        labels = picture.elements["axis"].findall(f"{NS}text")
        assert 8 <= len(labels) <= 30
        for label in labels:
            number, name = label.text.split()
            x = (float(number) * unit[name] - begin) / (end - begin) * picture.plot_w
            assert abs(float(label.get("x")) - picture.plot_x - x) < 0.02


def test_marks(tmp_path):
    """Releases, deadlines, misses, interrupts: where they are, and what they say."""
    trace, cores, _ = MACHINE
    first, last = trace_range(trace)
    picture = draw(tmp_path, trace, "--from", "15ms", "--to", "65ms")
    begin, end = first + 15 * 10**6, min(first + 65 * 10**6, last)
    kinds = {"release": ("arrow", " released at "), "deadline": ("arrow", " deadline at "),
             "miss": ("miss", " missed its deadline at "), "irq": ("tick", "INTID"),
             "inject": ("tick", " injected into ")}
    found = 0
    for core in cores:
        for what, who, time, arg in core.marks:
            if not begin <= time <= end:
                continue
            if what == "miss":	# the mark is at the deadline, to 64 ticks
                time -= 10**7 * 2 % 64
            x = (time - begin) / (end - begin) * picture.plot_w
            x -= {"tick": 0.5, "miss": 4, "arrow": 0}[kinds[what][0]]
            row = core.number if what == "irq" else row_of(who)
            style, words = kinds[what]
            marks = [m for m in picture.marks(row) if m[1] == style and abs(m[2] - x) < 0.03 and
                     words in m[0]]
            assert len(marks) == 1, (what, who, time, picture.marks(row))
            if arg is not None:
                assert f"INTID {arg}" in marks[0][0]
            found += 1
    assert found > 35
    total = sum(len(picture.marks(row)) for row in range(72) if f"r{row}marks" in picture.elements)
    assert total == found


def test_why(tmp_path):
    """A miss says who had the core until the deadline, to the tick."""
    trace, cores, _ = MACHINE
    first, _ = trace_range(trace)
    picture = draw(tmp_path, trace)
    title = [m[0] for m in picture.marks(row_of(views.vcpu(1))) if m[1] == "miss"][0]
    release = next(m[2] for m in cores[0].marks if m[0] == "release" and m[1] == views.vcpu(1))
    due = release + 20 * 10**6 // 64 * 64

    def had(what, who):
        return sum(max(0, min(b, due) - max(a, release)) for w, v, a, b in cores[0].spans
                   if (w, v) == (what, who))

    def ms(ticks):
        return f"{ticks / 1e6:.6f}".rstrip("0").rstrip(".") + " ms"

    def us(ticks):
        return f"{ticks / 1e3:.3f}".rstrip("0").rstrip(".") + " µs"

    assert title == (
        f"vision missed its deadline at {ms(due - first)}. Its job was released at "
        f"{ms(release - first)} and was not done when the next one was released at "
        f"{ms(release + 20 * 10**6 - first)}. Until the deadline it executed "
        f"{ms(had('run', 16))}, it was without budget {ms(had('throttled', 16))}, "
        f"linux {ms(had('run', 0))}, pulse {ms(had('run', 32))}, the hypervisor "
        f"{us(had('hv', None))}.")


def test_miss_is_at_the_deadline(tmp_path):
    """However much later the hypervisor sees it."""
    trace = views.Trace([views.Vm("a", (0,), views.SRT, (10**6, 10**7, 10**7))], 1)
    trace.add(0, 0, views.RUN, 0)
    trace.add(0, 64000, views.RELEASE, 0, 0, 1000)
    trace.add(0, 500000, views.MISS, 0, 0, 0)
    trace.add(0, 640000, views.DONE, 0)
    picture = draw(tmp_path, trace)
    title, style, x, _ = next(m for m in picture.marks(8) if m[1] == "miss")
    assert "a missed its deadline at 128 µs." in title
    assert "released at 64 µs and was done at 640 µs." in title
    assert style == "miss" and abs(x + 4 - picture.plot_w / 5) < 0.02


def test_shares(tmp_path):
    """Beside each row: the part of the time that it had."""
    trace, cores, _ = MACHINE
    first, last = trace_range(trace)
    picture = draw(tmp_path, trace)
    for core in cores:
        for what, who in {(s[0], s[1]) for s in core.spans if s[0] in ("run", "hv")}:
            had = sum(max(0, min(b, last) - a) for w, v, a, b in core.spans
                      if (w, v) == (what, who))
            row = core.number if what == "hv" else row_of(who)
            text = picture.elements[f"r{row}share"].find(f"{NS}text").text
            assert text == f"{100 * had / (last - first):.2f} %"


def width_of(text, size):
    """Of a text in DejaVu Sans, rather more."""
    narrow = sum(c in " .,:;|il/()" for c in text)
    wide = sum(c in "mwMW%" for c in text)
    return size * (0.38 * narrow + 0.98 * wide + 0.635 * (len(text) - narrow - wide))


def check_texts(picture):
    """No text over another one, or over the picture's edge."""
    size = {"title": 19, "name": 13, "core": 13}
    boxes = []
    for e in picture.texts():
        styles = (e.get("class") or "").split()
        points = max([size.get(s, 11) for s in styles], default=11)
        width = width_of(e.text, points)
        x, y = float(e.get("x")), float(e.get("y"))
        x -= width if "right" in styles else width / 2 if "axis" in styles else 0
        boxes.append((x, y - 0.76 * points, x + width, y + 0.24 * points, e.text))
    for i, a in enumerate(boxes):
        assert a[0] >= 0 and a[2] <= picture.width and a[3] <= picture.height, a
        for b in boxes[i + 1:]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    return len(boxes)


@pytest.mark.parametrize("width", [640, 1200, 2000])
def test_no_text_over_another(tmp_path, width):
    """Of the usual picture, and of the widest names there can be."""
    trace, _, _ = MACHINE
    assert check_texts(draw(tmp_path, trace, "--width", str(width))) > 40
    soft = (999999, 1234567, 1234567)
    vms = [views.Vm(f"mwmwmwmwmwmwm-{i}", (0, 1), views.SRT, soft) for i in range(8)]
    wide = views.Trace(vms, 2)
    for n in range(2):
        core = views.Core(wide, n, 10**15)
        core.entered = core.now
        core.leave(views.vcpu(7, n), 300)
        core.go(10**15 + 10**12)
        core.quick(views.MMIO, 300)
    assert check_texts(draw(tmp_path, wide, "--width", str(width))) > 50
    assert check_texts(draw(tmp_path, wide, "--width", str(width), "--from", "999.1234567",
                            "--to", "999.1234569")) > 50


def dense(exits, period=3000):
    """One core whose guest exits every few microseconds, released and interrupted as often."""
    trace = views.Trace([views.Vm("busy", (0,), views.SRT, (10**6, 10**7, 10**7))], 1)
    core = views.Core(trace, 0, 10**6)
    core.entered = core.now
    core.leave(0, 500)
    for i in range(exits):
        core.go(10**6 + 500 + (i + 1) * period)
        core.quick(views.IRQ if i % 2 else views.MMIO, 400 + i % 700, i % 5)
        if i % 3 == 0:
            core.add(views.RELEASE, 0, 0, 40)
        if i % 5 == 0:
            core.add(views.MISS, 0, 0, 3)
    return trace, core


def test_bounded(tmp_path):
    """Half a million spans make no more than a few megabytes, and the same shares."""
    trace, core = dense(250000)
    picture = draw(tmp_path, trace)
    assert picture.size < 4 << 20
    first, last = trace_range(trace)
    check_lane(picture, 8, RUN, [(a, b) for w, _, a, b in core.spans if w == "run"], first, last)
    check_lane(picture, 0, HV, [(a, b) for w, _, a, b in core.spans if w == "hv"], first, last)
    had = sum(min(b, last) - a for w, _, a, b in core.spans if w == "run")
    text = picture.elements["r8share"].find(f"{NS}text").text
    assert text == f"{100 * had / (last - first):.2f} %"
    counts = [int(m[0].split()[0]) for m in picture.marks(0)]
    assert sum(counts) == 125000
    missed = [m[0] for m in picture.marks(8) if m[1] == "miss"]
    assert sum(int(m.split()[0]) for m in missed) == 50000
    assert "busy missed its deadline at" in missed[0]


def test_lost(tmp_path):
    """Where records lack, the picture says so."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    core = views.Core(trace, 0, 1000)
    core.entered = core.now
    core.leave(0, 500)
    core.go(400000)
    core.quick(views.MMIO, 500)
    trace.lost[(0, len(trace.records[0]))] = 77
    core.go(700000)
    trace.add(0, 700000, views.STATE, 0, 0)
    core.go(1000000)
    core.quick(views.MMIO, 500)
    picture = draw(tmp_path, trace)
    assert "77 records of this range were lost." in picture.words()
    scale = picture.plot_w / (trace_range(trace)[1] - 1000)
    box = picture.boxes(0, LOST)[0]
    assert abs(box[0] - (400500 - 1000) * scale) < 0.02
    assert abs(box[2] - (700000 - 400500) * scale) < 0.02
    assert all(x + w <= box[0] + 0.02 or x >= box[0] + box[2] - 0.02
               for x, _, w, _ in picture.boxes(8, RUN))
    trace.lost.clear()
    assert "lost" not in draw(tmp_path, trace).words()


def test_title_and_legend(tmp_path):
    """The file, the board and the range; what all of it means; names and promises of rows."""
    trace, _, _ = MACHINE
    words = draw(tmp_path, trace, "--from", "10ms", "--to", "20ms").words()
    assert "t.kzt" in words
    assert "Board board, 4 cores. From 10 ms to 20 ms, of 99.9501 ms in the trace." in words
    for line in ("linux/0", "linux/1", "SRT  4 ms in 20 ms", "HRT", "NRT  weight 100", "Core 3",
                 "executes (colour: its VM)", "deadline missed", "hypervisor"):
        assert line in words


WRONG = {
    "no output": (["t.kzt"], 2, "no -o"),
    "no file": (["-o", "x.svg"], 2, "no FILE"),
    "two files": (["t.kzt", "t.kzt", "-o", "x.svg"], 2, "more than one FILE"),
    "from": (["t.kzt", "-o", "x.svg", "--from", "soon"], 2, "100us or 1s: soon"),
    "unit": (["t.kzt", "-o", "x.svg", "--to", "5m"], 2, "not a time, such as"),
    "negative": (["t.kzt", "-o", "x.svg", "--from", "-1ms"], 2, "or 1s: -1ms"),
    "empty": (["t.kzt", "-o", "x.svg", "--from", "2ms", "--to", "2ms"], 2, "--to is not behind"),
    "behind": (["t.kzt", "-o", "x.svg", "--from", "1s"], 2, "ends 99.9501 ms behind its begin"),
    "width": (["t.kzt", "-o", "x.svg", "--width", "12"], 2, "--width is 640 to 4000 pixels, not"),
    "width?": (["t.kzt", "-o", "x.svg", "--width", "1e3"], 2, "--width is 640 to 4000 pixels"),
    "option": (["t.kzt", "-o", "x.svg", "--form", "1ms"], 2, "'--form'"),
    "folder": (["t.kzt", "-o", "nowhere/x.svg"], 1, "nowhere/x.svg: No such file or directory"),
    "a folder": (["t.kzt", "-o", "."], 1, ".: Is a directory"),
    "full": (["t.kzt", "-o", "/dev/full"], 1, "/dev/full: No space left on device"),
    "foreign": (["x.svg", "-o", "x.svg"], 1, "not a Kizami trace"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(tmp_path, name):
    """A message says what; what was there before stays, and nothing is added."""
    args, code, message = WRONG[name]
    (tmp_path / "t.kzt").write_bytes(MACHINE[0].pack())
    (tmp_path / "x.svg").write_text("was here")
    done = kztrace("timeline", *args, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert (tmp_path / "x.svg").read_text() == "was here"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.kzt", "x.svg"]


def test_one_record(tmp_path):
    """There is nothing to draw when no time passes."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    trace.add(0, 1000, views.RUN, 0)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("timeline", "t.kzt", "-o", "t.svg", cwd=tmp_path)
    assert done.returncode == 1
    assert "t.kzt: nothing to draw" in done.stderr
    assert not (tmp_path / "t.svg").exists()


def test_output_fails(tmp_path):
    """Half way through: a message, and what was there before is there."""
    (tmp_path / "t.svg").write_text("was here")
    (tmp_path / "t.kzt").write_bytes(MACHINE[0].pack())
    done = kztrace("timeline", "t.kzt", "-o", "t.svg", cwd=tmp_path, preexec_fn=views.small_files)
    assert done.returncode == 1
    assert ": File too large" in done.stderr
    assert (tmp_path / "t.svg").read_text() == "was here"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.kzt", "t.svg"]


def test_centuries(tmp_path):
    """A time that cannot be: a message, and the part before it can be drawn."""
    trace = views.Trace([views.Vm("a", (0,))], 1, 24000000)
    trace.add(0, 1000, views.RUN, 0)
    trace.add(0, 2000, views.EXIT + views.WFX)
    trace.add(0, 2**63, views.RUN, 0)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("timeline", "t.kzt", "-o", "t.svg", cwd=tmp_path)
    assert done.returncode == 1
    assert "t.kzt says that centuries pass; --to takes a part" in done.stderr
    assert "10 µs" in draw(tmp_path, trace, "--to", "50us").words()


def test_truncated(tmp_path):
    """The picture has what is there; the exit code tells."""
    data = MACHINE[0].pack()
    (tmp_path / "t.kzt").write_bytes(data[:-1000])
    done = kztrace("timeline", tmp_path / "t.kzt", "-o", tmp_path / "t.svg")
    assert done.returncode == 1
    assert "the file ends within a part" in done.stderr
    assert "Core 0" in Picture(tmp_path / "t.svg").words()


def is_same(a, b):
    """Texts and paths, whose numbers may be rounded differently."""
    numbers = re.compile(r"-?\d+(?:\.\d+)?")
    a, b = str(a), str(b)
    return numbers.sub("#", a) == numbers.sub("#", b) and all(
        abs(float(x) - float(y)) < 0.0101
        for x, y in zip(numbers.findall(a), numbers.findall(b)))


NODE = shutil.which("node")
CROWD = dense(1500)[0]


@pytest.mark.skipif(NODE is None, reason="no node to run the picture's script with")
@pytest.mark.parametrize("trace, begin, end", [
    (MACHINE[0], 0, None), (MACHINE[0], 20, 45), (MACHINE[0], 40.1, 41.7),
    (MACHINE[0], 41.503, 41.505), (CROWD, 0, None), (CROWD, 1, 2)])
def test_zoom(tmp_path, trace, begin, end):
    """What the script draws of a part of the whole is what kztrace draws of that part alone."""
    whole = draw(tmp_path, trace)
    script = next(whole.root.iter(f"{NS}script")).text
    data = next(whole.root.iter(f"{NS}metadata")).text
    first, last = trace_range(trace)
    to = end * 10**6 if end else last - first
    page = tmp_path / "page.js"
    page.write_text(Path(__file__).with_name("zoom_page.js").read_text())
    (tmp_path / "script.js").write_text(script)
    (tmp_path / "data.json").write_text(data)
    done = subprocess.run([NODE, page, str(begin * 10**6), str(to), *sorted(whole.elements)],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    seen = ET.fromstring(done.stdout)
    part = draw(tmp_path, trace, "--from", f"{int(begin * 10**6)}ns", "--to", f"{int(to)}ns")

    def shape(element):
        return [(e.tag.split("}")[-1], e.get("class"), e.get("d"), e.text)
                for e in element.iter() if e is not element]

    compared = 0
    for number, element in part.elements.items():
        if re.fullmatch(r"r\d+k\d+", number):
            drawn = seen.find(f"*[@id='{number}']").get("d")
            assert is_same(drawn, element.get("d")), number
        elif number == "axis" or number.endswith("marks"):
            assert is_same(shape(seen.find(f"*[@id='{number}']")), shape(element)), number
        elif number.endswith("share"):
            shares = [shape(e)[0][3] for e in (seen.find(f"*[@id='{number}']"), element)]
            assert abs(float(shares[0].split()[0]) - float(shares[1].split()[0])) < 0.011
        else:
            continue
        compared += 1
    rows = 4 + 6 if trace is MACHINE[0] else 1 + 1
    assert compared > 1 + 4 * rows
