# SPDX-License-Identifier: Apache-2.0
"""kztrace ctf: what babeltrace2 reads back, event by event."""

import random
import re
import subprocess

import pytest

import views
from views import kztrace

LINE = re.compile(r"\[(\d+)\] \(\+[?\d]+\) (\w+): \{ cpu_id = (\d+) \}, \{ ?(.*?) ?\}")
FIELD = re.compile(r'(\w+) = (?:\( (?:"([^"]*)"|<unknown>) : container = (\w+) \)|(\w+))')
DISCARDED = re.compile(r"discarded (\d+) events? between \[([\d:.]+)\] and \[([\d:.]+)\]")
SIMPLE = {views.STATE: "state", views.RUN: "run", views.IDLE: "idle", views.WAKE: "wake",
          views.READY: "ready", views.BLOCK: "block", views.RELEASE: "release",
          views.DONE: "done", views.THROTTLE: "throttle", views.MISS: "miss",
          views.INJECT: "inject", views.START: "start", views.OFF: "off",
          views.VM_START: "vm_start", views.VM_STOP: "vm_stop", views.VM_FAULT: "vm_fault",
          views.PANIC: "panic"}
WHY = {"state": ("doing", ["guest", "hypervisor", "sleep"]),
       "ready": ("why", ["interrupt", "budget", "start"]),
       "start": ("why", ["cpu_on", "vm_start"]), "off": ("why", ["cpu_off", "vm_stop"]),
       "vm_stop": ("why", ["stop", "restart"]),
       "vm_fault": ("why", ["nothing_there", "forbidden"])}
REASONS = ["none", "off", "reset", "fault", "miss", "overrun", "watchdog", "stop", "restart",
           "destroy"]


def read_back(folder):
    """(events of each core, what babeltrace2 says on stderr)."""
    done = subprocess.run(["babeltrace2", "--clock-cycles", folder], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    events = {}
    for line in done.stdout.splitlines():
        time, name, core, fields = LINE.fullmatch(line).groups()
        found = {}
        for field, label, container, plain in FIELD.findall(fields):
            found[field] = (label, int(container, 0)) if container else int(plain, 0)
        events.setdefault(int(core), []).append((int(time), name, found))
    return events, done.stderr


def guest(trace, who):
    """The fields of a vCPU."""
    vm = who >> 4
    name = trace.vms[vm].name if vm < len(trace.vms) else "(nobody)" if vm == 15 else ""
    return {"vm": (name, vm), "vcpu": who & 15}


def class_fields(kind, arg):
    """The fields of an exit of a class."""
    if kind == "hcall":
        known = {0x8400: "PSCI_VERSION", 0xc403: "PSCI_CPU_ON", 0x8000: "SMCCC_VERSION"}
        return {"call": (known.get(arg, ""), arg)}
    if kind == "mmio":
        return {"address_17_2": arg * 4}
    if kind == "sysreg":
        return {"op0": arg >> 14, "op1": arg >> 11 & 7, "crn": arg >> 7 & 15,
                "crm": arg >> 3 & 15, "op2": arg & 7}
    if kind == "sgi":
        return {"sgi": arg & 15, "vcpus": arg >> 4 & 255}
    return {"intid": arg} if kind in ("irq", "maint", "kick") else {}


def expected(trace, core):
    """What a core's records say, in the order of their times."""
    who = views.NOBODY
    for r in sorted(trace.records[core], key=lambda r: r.time):
        if r.type >= views.EXIT:
            quick = r.type >= views.QUICK
            kind = views.CLASSES[r.type - (views.QUICK if quick else views.EXIT)]
            fields = guest(trace, who)
            if quick:
                fields["cost_ticks"] = r.value - r.time & 0xffffffff
            fields.update(class_fields(kind, r.arg))
            yield r.time, ("quick_" if quick else "exit_") + kind, fields
            continue
        name = SIMPLE[r.type]
        fields = {} if name in ("idle", "wake", "panic") else guest(trace, r.vcpu)
        if name in ("state", "run"):
            who = r.vcpu
        if name in WHY:
            field, labels = WHY[name]
            fields[field] = (labels[r.arg] if r.arg < len(labels) else "", r.arg)
        if name in ("wake", "inject"):
            fields["intid"] = r.arg
        elif name == "release":
            fields["deadline_ticks"] = r.value * 64
        elif name == "miss":
            fields["budget_ticks"] = r.value * 64
        elif name == "vm_start":
            fields["restarts"] = r.arg
        elif name == "vm_stop":
            reason = r.value & 0xffff
            fields["reason"] = (REASONS[reason] if reason < len(REASONS) else "", reason)
        elif name == "vm_fault":
            fields["ipa"] = r.value * 256
        yield r.time, name, fields


def same(found, wanted):
    """A call that has a name in kztrace only is no difference."""
    if found[:2] != wanted[:2] or found[2].keys() != wanted[2].keys():
        return False
    return all(value == wanted[2][key] or (key == "call" and not wanted[2][key][0] and
                                           value[1] == wanted[2][key][1])
               for key, value in found[2].items())


def check(trace, events):
    """All events of all cores, in order."""
    assert sorted(events) == [n for n, records in enumerate(trace.records) if records]
    for core, found in events.items():
        wanted = list(expected(trace, core))
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted):
            assert same(a, b), (a, b)


def convert(folder, trace):
    """A trace as a file, and what is read back of it."""
    (folder / "t.kzt").write_bytes(trace.pack())
    done = kztrace("ctf", folder / "t.kzt", folder / "out")
    assert (done.returncode, done.stderr) == (0, "")
    return read_back(folder / "out")


def anything(seed, count, cores=3):
    """Records of all types, with all kinds of arguments."""
    rng = random.Random(seed)
    trace = views.Trace([views.Vm("a-1", (0, 1)), views.Vm("b_2", (2,))], cores)
    types = [*SIMPLE, *range(views.EXIT, views.EXIT + 11), *range(views.QUICK, views.QUICK + 11)]
    for core in range(cores):
        time = 10**9 + core
        for _ in range(count):
            time += rng.choice((0, 1, 50, 10**6, 10**10))
            kind = rng.choice(types)
            value = rng.getrandbits(32)
            if kind >= views.QUICK:
                value = (time + rng.randrange(10**6)) & 0xffffffff
            arg = rng.choice((0, 1, 2, rng.getrandbits(16), 0x8400, 0xc403, 0x8000))
            who = rng.choice((0, 1, 16, views.NOBODY))
            trace.add(core, time, kind, who, arg, value)
    return trace


def test_a_machine(tmp_path):
    """What a small scheduler did."""
    trace, _, _ = views.machine()
    events, warnings = convert(tmp_path, trace)
    check(trace, events)
    assert warnings == ""
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "core0", "core1", "core2", "core3", "metadata"]


@pytest.mark.parametrize("seed", range(3))
def test_all_types(tmp_path, seed):
    """Every field of every type, in many packets."""
    trace = anything(seed, 6000)
    events, warnings = convert(tmp_path, trace)
    assert {name for core in events.values() for _, name, _ in core} == {
        *SIMPLE.values(), *(f"{k}_{c}" for k in ("exit", "quick") for c in views.CLASSES)}
    check(trace, events)
    assert warnings == ""


def test_a_core_without_records(tmp_path):
    """It has no stream."""
    trace = anything(7, 50)
    trace.records[1] = []
    events, _ = convert(tmp_path, trace)
    check(trace, events)


def test_clock(tmp_path):
    """Times in seconds follow from the counter's frequency."""
    trace = views.Trace([views.Vm("a", (0,))], 1, 62500000)
    trace.add(0, 62500000 * 3 + 625, views.RUN, 0)
    convert(tmp_path, trace)
    done = subprocess.run(["babeltrace2", "--clock-seconds", tmp_path / "out"], timeout=60,
                          capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[3.000010000]")


def test_quick_is_sorted(tmp_path):
    """A QUICK is behind what it did in the ring, and before it in time."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    trace.add(0, 1000, views.RUN, 0)
    for i in range(5000):
        at = 2000 + i * 100
        trace.add(0, at + 10, views.READY, 0, 0)
        trace.add(0, at + 20, views.INJECT, 0, 40)
        trace.add(0, at, views.QUICK + views.SGI, 0, 0x21, at + 30)
    events, _ = convert(tmp_path, trace)
    assert [e[1] for e in events[0][1:]] == ["quick_sgi", "ready", "inject"] * 5000
    check(trace, events)


def test_time_goes_back(tmp_path):
    """By more than that: left out, and told."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    for i in range(100):
        trace.add(0, 1000 + i, views.RUN, 0)
    trace.add(0, 900, views.IDLE)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("ctf", tmp_path / "t.kzt", tmp_path / "out")
    assert done.returncode == 1
    assert "time goes back; 1 record without sense" in done.stderr
    assert len(read_back(tmp_path / "out")[0][0]) == 100


def test_centuries(tmp_path):
    """Times that readers refuse are left out, and told."""
    trace = views.Trace([views.Vm("a", (0,))], 1)
    trace.add(0, 2**62 - 1, views.RUN, 0)
    trace.add(0, 2**62, views.IDLE)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("ctf", tmp_path / "t.kzt", tmp_path / "out")
    assert done.returncode == 1
    assert "a time of centuries; 1 record without sense" in done.stderr
    assert [e[1] for e in read_back(tmp_path / "out")[0][0]] == ["run"]


def test_lost(tmp_path):
    """Lost records are the streams' discarded events, between the right times."""
    trace = anything(11, 3000)
    last = {}
    for core, at, count in ((0, 5, 77), (0, 2500, 1), (1, 1200, 10**6)):
        trace.lost[(core, at)] = count
        trace.records[core][at].type = views.STATE
        trace.records[core][at].vcpu = 16
        last[count] = (trace.records[core][at - 1].time, trace.records[core][at].time)
    events, warnings = convert(tmp_path, trace)
    check(trace, events)
    found = {int(n): (nanoseconds(a), nanoseconds(b)) for n, a, b in DISCARDED.findall(warnings)}
    assert found == last


def nanoseconds(text):
    """Of 01:02:03.000000004."""
    hours, minutes, seconds, ns = (int(n) for n in re.split("[:.]", text))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + ns


WRONG = {
    "nothing": ([], 2, "usage: kztrace ctf FILE DIR"),
    "no directory": (["t.kzt"], 2, "usage: kztrace ctf FILE DIR"),
    "three": (["t.kzt", "new", "new2"], 2, "usage: kztrace ctf FILE DIR"),
    "option": (["t.kzt", "--new"], 2, "usage: kztrace ctf FILE DIR"),
    "not empty": (["t.kzt", "full"], 1, "full: Directory not empty"),
    "a file": (["t.kzt", "full/x"], 1, "full/x: Not a directory"),
    "nowhere": (["t.kzt", "nowhere/new"], 1, "nowhere/new: No such file or directory"),
    "foreign": (["full/x", "new"], 1, "not a Kizami trace"),
    "missing": (["none.kzt", "new"], 1, "none.kzt: No such file or directory"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(tmp_path, name):
    """A message says what, and nothing is left of it."""
    args, code, message = WRONG[name]
    (tmp_path / "t.kzt").write_bytes(anything(1, 10).pack())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    done = kztrace("ctf", *args, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "full", "full/x", "t.kzt"]


@pytest.mark.parametrize("name", ["new", "empty", "empty/"])
def test_directory(tmp_path, name):
    """A new one, and one that is empty; with the rights that the user's umask gives."""
    (tmp_path / "empty").mkdir()
    trace = anything(2, 100)
    (tmp_path / "t.kzt").write_bytes(trace.pack())
    done = kztrace("ctf", "t.kzt", name, cwd=tmp_path, umask=0o027)
    assert (done.returncode, done.stderr) == (0, "")
    check(trace, read_back(tmp_path / name)[0])
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o750
    assert (tmp_path / name / "core0").stat().st_mode & 0o777 == 0o640
    assert {p.name for p in tmp_path.iterdir()} - {"t.kzt", "empty"} == {name} - {"empty", "empty/"}


def test_output_fails(tmp_path):
    """Half way through: a message, and nothing of it is left."""
    (tmp_path / "t.kzt").write_bytes(anything(5, 3000).pack())
    done = kztrace("ctf", "t.kzt", "new", cwd=tmp_path, preexec_fn=views.small_files)
    assert done.returncode == 1
    assert done.stderr == "kztrace: new: File too large\n"
    assert [p.name for p in tmp_path.iterdir()] == ["t.kzt"]


def test_truncated(tmp_path):
    """What is complete is there; the exit code tells."""
    trace = anything(3, 100)
    trace.records[1:] = [[], []]
    (tmp_path / "t.kzt").write_bytes(trace.pack()[:-8])
    done = kztrace("ctf", tmp_path / "t.kzt", tmp_path / "out")
    assert done.returncode == 1
    assert "the file ends within a part" in done.stderr
    trace.records[0].pop()
    check(trace, read_back(tmp_path / "out")[0])
