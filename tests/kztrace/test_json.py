# SPDX-License-Identifier: Apache-2.0
"""kztrace json: valid, well formed for each thread, and what the traces were made from."""

import json
import random

import pytest

import views
from views import kztrace

MACHINE = views.machine()
KEYS = {"M": {"ph", "pid", "name", "args"}, "X": {"ph", "pid", "tid", "ts", "dur", "name", "cat"},
        "i": {"ph", "pid", "tid", "ts", "s", "name", "cat"},
        "C": {"ph", "pid", "ts", "name", "args"}}


def no_constant(name):
    """NaN and Infinity, which Python takes, are no JSON."""
    raise ValueError(name)


def micro(text):
    """A number of us with three digits behind the point, as ns; exactly."""
    whole, _, part = text.partition(".")
    assert len(part) == 3
    return int(whole) * 1000 + int(part)


def parse(text):
    """All events, checked: phases, keys, each thread in order and without overlap; {name: its
    events} by thread, and those of processes."""
    data = json.loads(text, parse_constant=no_constant, parse_float=micro)
    assert set(data) == {"displayTimeUnit", "otherData", "traceEvents"}
    names, threads, processes = {}, {}, {}
    end = {}
    for e in data["traceEvents"]:
        keys = KEYS[e["ph"]]
        assert keys <= set(e) <= keys | {"args", "tid"}, e
        assert isinstance(e["pid"], int) and isinstance(e["name"], str)
        if e["ph"] == "M":
            if e["name"].endswith("_name"):
                names[e.get("tid", -e["pid"])] = e["args"]["name"]
            continue
        if e["ph"] == "C":
            processes.setdefault(names[-e["pid"]], []).append(e)
            continue
        assert e["tid"] // 100 == e["pid"]
        assert e["ts"] >= end.get(e["tid"], 0), e
        assert e["ph"] == "i" or e["dur"] >= 0
        end[e["tid"]] = e["ts"] + e.get("dur", 0)
        threads.setdefault(names[e["tid"]], []).append(e)
    assert len(set(names.values())) == len(names)
    return threads, processes, names


def convert(folder, trace, *args):
    """A trace as a file, and what becomes of it."""
    (folder / "t.kzt").write_bytes(trace.pack())
    done = kztrace("json", folder / "t.kzt", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return parse(done.stdout)


def slices(events, name):
    """(from, to) of the slices with a name."""
    return [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"].startswith(name)]


def spans(core, what, who, first, last, per_tick):
    """The same of what the machine did, in ns."""
    return [((a - first) * per_tick, (min(b, last) - first) * per_tick)
            for w, v, a, b in core.spans if (w, v) == (what, who) and a < last]


def end_of(record):
    """When what a record tells has ended."""
    cost = record.value - record.time & 0xffffffff if record.type >= views.QUICK else 0
    return record.time + cost


def trace_range(trace):
    """Its first and last time."""
    return (min(r[0].time for r in trace.records), max(end_of(r[-1]) for r in trace.records))


NAMES = {0: "linux/0", 1: "linux/1", 16: "vision", 32: "pulse", 48: "hello", 64: "servo"}


@pytest.mark.parametrize("hz", [1000000000, 62500000])
def test_slices(tmp_path, hz):
    """Who had each core, and what each vCPU did, to the tick."""
    trace, cores, _ = views.machine(hz=hz)
    first, last = trace_range(trace)
    threads, _, names = convert(tmp_path, trace)
    per_tick = 10**9 // hz
    core_of = {0: 0, 1: 1, 16: 0, 32: 0, 48: 2, 64: 3}
    for who, name in NAMES.items():
        core = cores[core_of[who]]
        of = threads[f"{name} (core {core.number})"]
        running = spans(core, "run", who, first, last, per_tick)
        assert slices(of, "running") == running and running
        assert slices(threads[f"core {core.number}"], name) == running
        assert slices(of, "ready") == spans(core, "ready", who, first, last, per_tick)
        # Of the exit in which its budget ends, that is told.
        throttled = spans(core, "throttled", who, first, last, per_tick)
        assert slices(of, "throttled") == [(a + 2000 * per_tick, b) for a, b in throttled]
    for core in cores:
        of = threads[f"core {core.number}"]
        known = spans(core, "hv", None, first, last, per_tick)
        assert slices(of, "hypervisor: ") == known and known
    assert set(names.values()) == {
        "cores", "linux", "vision", "pulse", "hello", "servo", *(f"core {n}" for n in range(4)),
        *(f"core {n} events" for n in range(4)),
        *(f"{n} (core {core_of[w]})" for w, n in NAMES.items()),
        *(f"{n} {what}" for n in NAMES.values() for what in ("jobs", "events"))}


def test_exits(tmp_path):
    """An exit has its class and what that says; beside its core, its vCPU has it."""
    vms = [views.Vm("a", (0,))]
    trace = views.Trace(vms, 1)
    cases = [("hcall", 0x8400, {"call": "PSCI_VERSION"}), ("mmio", 0x41, {"address_17_2": "0x104"}),
             ("sysreg", 0xc665, {"register": "S3_0_C12_C12_5"}), ("fault", 0, {}), ("undef", 0, {}),
             ("wfx", 0, {}), ("irq", 27, {"intid": 27}), ("maint", 25, {"intid": 25}),
             ("kick", 1, {"intid": 1}), ("sgi", 0x12, {"sgi": 2, "vcpus": "0x1"}), ("fp", 0, {})]
    time = 1000
    trace.add(0, time, views.RUN, 0)
    for quick in (False, True):
        for name, arg, _ in cases:
            time += 1000
            kind = views.CLASSES.index(name)
            if quick:
                trace.add(0, time, views.QUICK + kind, 0, arg, time + 77)
            else:
                trace.add(0, time, views.EXIT + kind, 0, arg)
                trace.add(0, time + 123, views.RUN, 0)
    threads, _, _ = convert(tmp_path, trace)
    for thread, prefix in (("core 0", "hypervisor: "), ("a (core 0)", "exit: ")):
        exits = [e for e in threads[thread] if e["cat"] == "exit"]
        assert len(exits) == 22
        for i, e in enumerate(exits):
            name, _, args = cases[i % 11]
            assert e["name"] == prefix + name
            assert e["args"] == {"class": name, "vcpu": "a", "quick": i >= 11, **args}
            assert e["dur"] == (77 if i >= 11 else 123)


def test_events(tmp_path):
    """Releases, misses, injections, when they were; misses are counted."""
    trace, cores, _ = MACHINE
    first, last = trace_range(trace)
    threads, processes, _ = convert(tmp_path, trace)
    found = 0
    for core in cores:
        for kind in ("release", "miss", "inject"):
            for who in {m[1] for m in core.marks if m[0] == kind}:
                wanted = [(m[2] - first, m[3]) for m in core.marks
                          if m[:2] == (kind, who) and m[2] <= last]
                events = [e for e in threads[f"{NAMES[who]} events"] if e["name"] == kind]
                assert [(e["ts"], e["args"].get("intid")) for e in events] == wanted
                assert all(e["ph"] == "i" and e["args"]["core"] == core.number for e in events)
                found += len(wanted)
                if kind == "release":
                    due = [m[2] - first for m in core.marks if m[:2] == ("deadline", who)]
                    assert [e["args"]["deadline_us"] for e in events] == due
                if kind == "miss":
                    assert [(e["ts"], e["args"]["missed"]) for e in processes[NAMES[who]]] == [
                        (w[0], i + 1) for i, w in enumerate(wanted)]
    assert found > 20


def test_jobs(tmp_path):
    """A job from its release to its end, with its deadline and who had the core until then."""
    trace, cores, _ = MACHINE
    first, _ = trace_range(trace)
    threads, _, _ = convert(tmp_path, trace)
    core = cores[0]
    jobs = [e for e in threads["vision jobs"] if e["args"].get("deadline_us")]
    releases = [m[2] for m in core.marks if m[:2] == ("release", 16)]
    assert [e["ts"] + first for e in jobs] == releases
    assert [e["args"]["missed"] for e in jobs] == [True, False, True, False]
    for e, release in zip(jobs, releases):
        due = release + 20 * 10**6 // 64 * 64
        end = min(due, e["ts"] + e["dur"] + first)
        assert e["args"]["deadline_us"] == due - first

        def had(what, who, a=release, b=end):
            return sum(max(0, min(to, b) - max(fro, a)) for w, v, fro, to in core.spans
                       if (w, v) == (what, who))

        executed = {NAMES[w].split("/")[0]: had("run", w) for w in (0, 16, 32)}
        assert e["args"]["executed_us"] == {n: t for n, t in executed.items() if t}
        assert e["args"]["hypervisor_us"] == had("hv", None)
        assert e["args"]["throttled_us"] == had("throttled", 16)
        assert e["args"]["slept_us"] == e["args"]["unknown_us"] == 0
        assert ("why" in e["args"]) == e["args"]["missed"]
        assert "missed" in e["name"] or not e["args"]["missed"]


def test_range(tmp_path):
    """A part: slices are cut, events outside left out; times stay those of the whole."""
    trace, cores, _ = MACHINE
    first, last = trace_range(trace)
    threads, _, _ = convert(tmp_path, trace, "--from", "35ms", "--to", "0.0555")
    wanted = [(max(a, 35 * 10**6), min(b, 55500000))
              for a, b in spans(cores[0], "run", 0, first, last, 1)]
    assert slices(threads["linux/0 (core 0)"], "running") == [(a, b) for a, b in wanted if a < b]
    times = [e["ts"] for events in threads.values() for e in events]
    assert min(times) == 35 * 10**6 and max(times) <= 55500000


def test_lost(tmp_path):
    """Where records lack: nothing is invented, and an event says how many."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    core = views.Core(trace, 0, 1000)
    core.entered = core.now
    core.leave(0, 500)
    core.go(400000)
    core.quick(views.MMIO, 500)
    trace.lost[(0, len(trace.records[0]))] = 77
    trace.add(0, 700000, views.STATE, 0, 0)
    core.go(1000000)
    core.quick(views.MMIO, 500)
    threads, _, _ = convert(tmp_path, trace)
    lost = threads["core 0 events"][0]
    assert (lost["name"], lost["ts"], lost["args"]) == ("lost", 699000, {"records": 77})
    assert slices(threads["core 0"], "unknown") == [(399500, 699000)]
    assert not any(a < 699000 and b > 399500 for a, b in slices(threads["a (core 0)"], ""))


@pytest.mark.parametrize("seed", range(6))
def test_anything(tmp_path, seed):
    """Records in any order make valid JSON, in order for each thread."""
    rng = random.Random(seed)
    vms = [views.Vm("a-1", (0, 1)), views.Vm("b_2", (1,), views.SRT, (10**6, 10**7, 10**7))]
    trace = views.Trace(vms, 2)
    types = [*range(1, 5), *range(8, 21), *range(32, 43), *range(64, 75)]
    types.remove(views.PANIC)
    for core in range(2):
        time = 10**6
        for i in range(3000):
            time += rng.choice((0, 1, 64, 5000))
            kind = rng.choice(types)
            value = rng.randrange(2000)
            if kind >= views.QUICK:
                value = (time + rng.randrange(3000)) & 0xffffffff
            who = rng.choice((0, 0x10)) if core == 0 else rng.choice((1, 0x10))
            if kind == views.RUN:
                who = 0 if core == 0 else who
            if i and rng.random() < 0.01:
                trace.lost[(core, i)] = rng.randrange(1, 100)
            trace.add(core, time, kind, who, rng.randrange(3), value)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("json", tmp_path / "t.kzt", "-o", tmp_path / "t.json")
    assert done.returncode in (0, 1)
    assert done.returncode == 0 or "without sense" in done.stderr
    threads, _, _ = parse((tmp_path / "t.json").read_text())
    assert sum(len(events) for events in threads.values()) > 4000


WRONG = {
    "no file": ([], 2, "usage: kztrace json FILE [-o x.json]"),
    "two files": (["t.kzt", "t.kzt"], 2, "usage: kztrace json FILE"),
    "option": (["t.kzt", "--pretty"], 2, "usage: kztrace json FILE"),
    "from": (["t.kzt", "--from", "noon"], 2, "kztrace: json: not a time, such as 2.5ms"),
    "empty": (["t.kzt", "--from", "2ms", "--to", "1ms"], 2, "--to is not behind --from"),
    "behind": (["t.kzt", "-o", "x.json", "--from", "1s"], 2, "before --from"),
    "folder": (["t.kzt", "-o", "nowhere/x.json"], 1, "nowhere/x.json: No such file or directory"),
    "full": (["t.kzt", "-o", "/dev/full"], 1, "/dev/full: No space left on device"),
    "foreign": (["x.json", "-o", "x.json"], 1, "not a Kizami trace"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(tmp_path, name):
    """A message says what; what was there before stays, and nothing is added."""
    args, code, message = WRONG[name]
    (tmp_path / "t.kzt").write_bytes(MACHINE[0].pack())
    (tmp_path / "x.json").write_text("was here")
    done = kztrace("json", *args, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert (tmp_path / "x.json").read_text() == "was here"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.kzt", "x.json"]


def test_one_record(tmp_path):
    """No time passes: no slices, and no error."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    trace.add(0, 1000, views.RELEASE, 0, 0, 5)
    threads, _, _ = convert(tmp_path, trace)
    assert [e["name"] for e in threads["a events"]] == ["release"]


def test_output_fails(tmp_path):
    """Half way through: a message, and what was there before is there."""
    (tmp_path / "t.json").write_text("was here")
    (tmp_path / "t.kzt").write_bytes(MACHINE[0].pack())
    done = kztrace("json", "t.kzt", "-o", "t.json", cwd=tmp_path, preexec_fn=views.small_files)
    assert done.returncode == 1
    assert ": File too large" in done.stderr
    assert (tmp_path / "t.json").read_text() == "was here"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.json", "t.kzt"]


def test_truncated(tmp_path):
    """Valid JSON of what is complete; the exit code tells."""
    (tmp_path / "t.kzt").write_bytes(MACHINE[0].pack()[:-1000])
    done = kztrace("json", tmp_path / "t.kzt", "-o", tmp_path / "t.json")
    assert done.returncode == 1
    assert "the file ends within a part" in done.stderr
    parse((tmp_path / "t.json").read_text())
