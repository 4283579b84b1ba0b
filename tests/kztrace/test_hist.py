# SPDX-License-Identifier: Apache-2.0
"""kztrace hist: the bars and lines of its pictures against the model's figures."""

import math
import random
import re
import xml.etree.ElementTree as ET

import ktfile
import model
import pytest
from conftest import run
from test_report import CORES, VMS

SVG = "{http://www.w3.org/2000/svg}"
UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}
TIME = re.compile(r"([\d.]+) (ns|µs|ms|s)\b")


def ns_of(text):
    """A time as the picture has it, in ns."""
    number, unit = TIME.search(text).groups()
    return float(number) * UNITS[unit]


class Panel:
    """What is drawn between a panel's words: ticks, bars, lines."""

    def __init__(self):
        self.name, self.ticks, self.bars, self.marks, self.log = "", [], [], {}, False

    def time_at(self, x):
        """The time at a place, from the two outermost ticks."""
        (x1, t1), (x2, t2) = self.ticks[0], self.ticks[-1]
        part = (x - x1) / (x2 - x1)
        if self.log:
            return t1 * (t2 / t1) ** part
        return t1 + (t2 - t1) * part


class Picture:
    """An SVG of kztrace hist: {(vCPU, panel): Panel}."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.panels = {}
        panel, names = Panel(), []
        for element in ET.fromstring(self.text).iter():
            kind = element.tag.removeprefix(SVG)
            words = element.get("class", "")
            text = element.text or ""
            if kind == "text" and words == "head":
                names.append(text)
            elif kind == "text" and words == "tick":
                panel.ticks.append((float(element.get("x")), ns_of(text)))
            elif kind == "rect" and words == "bar":
                panel.bars.append((float(element.get("x")), float(element.get("width")),
                                   float(element.get("height")), element.get("fill"),
                                   element.find(SVG + "title").text))
            elif kind == "text" and words.startswith("mark"):
                panel.marks[text.split()[0]] = ns_of(text)
            elif kind == "text" and words == "panel":
                panel.name = text
            elif kind == "text" and words == "dim mid" and "jobs" not in text:
                panel.log = "logarithmic" in text
            elif kind == "text" and words == "dim mid":
                panel.log_y = "logarithmic" in text
                self.panels[(names[-1], panel.name.split(":")[0])] = panel
                panel = Panel()
        self.names = names


def make(trace, tmp_path, seed, *args, length=3000000):
    """A random machine, and the picture of its trace."""
    rng = random.Random(seed)
    machine = model.Machine(VMS, CORES, rng, length=length)
    path = trace(VMS, CORES, ktfile.interleave([core.ring for core in machine.cores], rng))
    done = run("hist", path, "-o", tmp_path / "x.svg", *args)
    assert done.returncode == 0, done.stderr
    return machine, Picture(tmp_path / "x.svg")


def values_of(v):
    """Response times and start latencies as the picture chooses them."""
    released = any(job.released and (job.how == "done" or job.start is not None)
                   for job in v.jobs)
    jobs = [job for job in v.jobs if job.released == released]
    return {"Response time": [job.end - job.release for job in jobs if job.how == "done"],
            "Start latency": [job.start - job.release for job in jobs if job.start is not None]}


@pytest.mark.parametrize("seed", [1, 2])
def test_bars(trace, tmp_path, seed):
    """All jobs are in a bar, where they belong; as high as they are many."""
    machine, picture = make(trace, tmp_path, seed)
    seen = 0
    for v in machine.vcpus:
        for name, values in values_of(v).items():
            if not values:
                continue
            panel = picture.panels.pop((v.name, name))
            total = 0
            for x, width, height, _, title in panel.bars:
                count = int(title.split(":")[0])
                total += count
                low, high = [ns_of(part) for part in title.split(":")[1].split(" to ")]
                assert panel.time_at(x) == pytest.approx(low, rel=0.02, abs=2)
                assert panel.time_at(x + width + 1) == pytest.approx(high, rel=0.02, abs=2)
                # a value near a bin's end may be in the next one: times are kept to 0.8 %
                inside = sum(low * 1.01 + 1 <= value < high * 0.99 - 1 for value in values)
                about = sum(low * 0.985 - 1 <= value <= high * 1.015 + 1 for value in values)
                assert inside <= count <= max(about, 1)
                assert height > 0
                seen += 1
            assert total == len(values)
            heights = sorted((int(t.split(":")[0]), h) for _, _, h, _, t in panel.bars)
            assert [h for _, h in heights] == sorted(h for _, h in heights)
            if not panel.log_y:
                assert heights[0][1] / heights[0][0] == pytest.approx(
                    heights[-1][1] / heights[-1][0], rel=0.01)
    assert not picture.panels
    assert seen > 100


def test_marks(trace, tmp_path):
    """p50, p99, the greatest; the deadline, and what is behind it in red."""
    machine, picture = make(trace, tmp_path, 3)
    red = 0
    for v in machine.vcpus:
        for name, values in values_of(v).items():
            if not values:
                continue
            values.sort()
            panel = picture.panels[(v.name, name)]
            for mark, num in (("p50", 50), ("p99", 99), ("max", 100)):
                exact = values[(len(values) * num + 99) // 100 - 1]
                assert exact * 0.994 - 1 <= panel.marks[mark] <= exact * 1.014 + 1
            if v.server and name == "Response time":
                assert panel.marks["deadline"] == v.server[2]
                for x, _, _, fill, _ in panel.bars:
                    assert (fill == "#c0392b") == (panel.time_at(x) >= v.server[2] * 0.999)
                    red += fill == "#c0392b"
            else:
                assert "deadline" not in panel.marks
    assert red > 3


def test_log_count(trace, tmp_path):
    """With many jobs a single one is still seen: the axis of counts is logarithmic."""
    _, picture = make(trace, tmp_path, 4, "--vm", "servo", length=200000000)
    panel = picture.panels[("servo", "Start latency")]
    assert panel.log_y
    heights = {int(t.split(":")[0]): h for _, _, h, _, t in panel.bars}
    most = max(heights)
    for count, height in heights.items():
        expected = (math.log10(count) + 0.3) / (math.log10(most) + 0.3) * heights[most]
        assert height == pytest.approx(expected, rel=0.02)


def test_one_vm(trace, tmp_path):
    """--vm draws that one only."""
    _, picture = make(trace, tmp_path, 1, "--vm", "linux")
    assert picture.names == ["linux/0", "linux/1"]


def test_stands_alone(trace, tmp_path):
    """Nothing is loaded, nothing executes; the ground is white."""
    _, picture = make(trace, tmp_path, 1)
    assert "<script" not in picture.text and "@import" not in picture.text
    assert re.findall(r"https?://[^\"]*", picture.text) == ["http://www.w3.org/2000/svg"]
    assert 'fill="#ffffff"/>' in picture.text.split("</style>")[1][:120]


@pytest.mark.parametrize("args,code,says", [
    (("--vm", "nobody"), 1, "there is no VM nobody; there is: linux vision audio log servo"),
    (("--vm",), 2, "usage: kztrace hist FILE -o x.svg"),
    (("--bad",), 2, "usage: kztrace hist FILE -o x.svg")])
def test_mistakes(trace, tmp_path, args, code, says):
    """Said clearly; no file is left."""
    path = trace(VMS, CORES, [ktfile.pack_part(0, 0, [ktfile.record(5, ktfile.IDLE)])])
    done = run("hist", path, "-o", tmp_path / "x.svg", *args)
    assert done.returncode == code
    assert says in done.stderr
    assert not (tmp_path / "x.svg").exists()


def test_nothing_to_draw(trace, tmp_path):
    """A trace without a job is no picture."""
    path = trace(VMS, CORES, [ktfile.pack_part(0, 0, [ktfile.record(5, ktfile.IDLE)])])
    done = run("hist", path, "-o", tmp_path / "x.svg")
    assert done.returncode == 1
    assert "no job of any VM" in done.stderr
    assert not (tmp_path / "x.svg").exists()


def test_no_output(trace):
    """-o is needed."""
    path = trace(VMS, CORES, [ktfile.pack_part(0, 0, [ktfile.record(5, ktfile.IDLE)])])
    assert run("hist", path).returncode == 2
