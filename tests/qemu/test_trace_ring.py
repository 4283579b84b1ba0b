# SPDX-License-Identifier: Apache-2.0
"""The trace's rings in the real image: full, stopped, after a crash and after our own panic; and
that nothing of them is the guests'."""

import contextlib
import re
import struct
import subprocess

import pytest

import blob
import machine
import trace

GUEST = '"../../guests/ringer.bin"'
ELF = machine.ROOT / "build/arm64/kizami.elf"
NUMBERED = 0x86000000
PSCI_OFF = trace.call(0x84000008)
NOWHERE = 0x20000000
MARK = 0x6b7a7472
UDF = bytes(4)
SMALL = 2 * trace.RECORDS


def vm(name, cores, cmdline, *more, level="nrt"):
    """A VM with the guest that fills rings."""
    return (f'vm {name} {{ level = {level}  cpus = {{{cores}}}  memory = 2M\n'
            f'\timage = {GUEST}  cmdline = "{cmdline}"  {"  ".join(more)} }}\n')


def system(keys, *vms, board="virt"):
    """A configuration."""
    return f"board = {board}\ntrace {{ {keys} }}\n" + "".join(vms)


@contextlib.contextmanager
def traced(name, conf, change=None, board="virt"):
    """A machine of that configuration, and its trace, which may be read until the file is gone."""
    image = machine.image_build(conf, name)
    ram = trace.Ram(name)
    t = trace.Trace(ram, image)
    if change is not None:
        change(image)
    with machine.board_boot(board, image, name, [*machine.EXACT, *ram.args]) as m:
        yield m, t
    ram.close()


def to_the_end(name, conf):
    """The trace of a machine that switches itself off."""
    with traced(name, conf) as (m, t):
        assert m.wait_end() == 0
    t.read()
    return t


def numbers(records):
    """The low bytes of the numbered calls."""
    return [r.arg & 0xff for r in records if trace.is_exit(r) and
            trace.class_of(r) == trace.HCALL and r.arg >> 8 == NUMBERED >> 24]


def whats(records):
    """Of each record, what happened, without its time."""
    return [(r.type, r.vcpu, r.arg) for r in records]


# ---- Full ------------------------------------------------------------------------------------

def full(name, keys):
    """The ring of a core whose one guest makes 5000 calls and ends, which are 10000 records."""
    t = to_the_end(f"trace-{name}", system(keys, vm("one", 1, "calls=5000")))
    return t.rings[1], t


def test_wrap():
    """A ring that began again has the newest: the same, at the same numbers, as one that had room
    for all. Each chunk can be read without those before it."""
    whole = full("whole", "size = 512K")[0]
    ring, t = full("small", "size = 64K")
    assert whole.first == 0 and numbers(whole.records) == [i & 0xff for i in range(5000)]
    assert t.chunks * trace.RECORDS == SMALL < len(whole.records)
    assert ring.first == len(whole.records) - SMALL + 1
    assert whats(ring.records) == whats(whole.records[ring.first:])
    shift = {a.time - b.time for a, b in zip(ring.records, whole.records[ring.first:])}
    assert max(shift) - min(shift) < 1000, "another time"
    last = [r for r in whole.records if trace.is_exit(r)][-1]
    assert last.arg == PSCI_OFF
    for begin in range(0, len(whole.records), trace.RECORDS):
        for r, who, _, _ in trace.spans(whole.records[begin:]):
            assert who in (trace.NOBODY if begin == 0 else 0, 0), r


def test_stop():
    """A ring that stops when it is full has the oldest, counts those that it does not take, and
    has the newest of all in its last place."""
    whole = full("stop-whole", "size = 512K")[0].records
    ring, t = full("stop", "size = 64K  when_full = stop")
    assert ring.first == 0 and len(ring.records) == SMALL - 1
    assert whats(ring.records) == whats(whole[:SMALL - 1])
    assert whats([ring.newest()]) == whats(whole[-1:])
    states = len(whole) // trace.RECORDS + 1
    assert len(ring.records) - 2 + ring.head().dropped == len(whole) - states
    assert t.stopped() == 0 and t.rings[0].head().dropped == 0


# ---- Crashes ---------------------------------------------------------------------------------

def crash(name, on_crash):
    """One VM faults; one on its core and one on another make calls for long afterwards."""
    t = to_the_end(f"trace-{name}", system(
        f"size = 64K  on_crash = {on_crash}",
        vm("bad", 1, "calls=300 fault", "on_fault = stop"), vm("one", 1, "calls=20000"),
        vm("two", 2, "calls=20000")))
    return t


def test_crash():
    """With on_crash = stop, what led to a VM's end is there still, on all cores."""
    t = crash("crash", "stop")
    records = t.rings[1].records
    types = [r.type for r in records]
    assert t.stopped() == 1 and types.count(trace.VM_FAULT) == 1
    at = types.index(trace.VM_FAULT)
    assert records[at] == (records[at].time, trace.VM_FAULT, 0, 0, NOWHERE >> 8)
    assert records[at - 1].type == trace.EXIT + trace.MMIO and records[at - 1].arg == 0
    start = next(i for i, r in enumerate(records) if r.type == trace.STATE)
    mine = [r for r, who, _, _ in trace.spans(records[start:])
            if trace.is_exit(r) and who == 0 and r.time < records[at].time]
    assert numbers(mine) == [i & 0xff for i in range(300)][-len(numbers(mine)):]
    assert len(numbers(mine)) > 200
    assert [r.type for r in records[at:] if r.type in (trace.VM_STOP, trace.OFF)][:2] == [
        trace.VM_STOP, trace.OFF]
    for ring in t.rings[1:3]:
        assert len(ring.records) % trace.RECORDS == trace.RECORDS - 1 and ring.head().dropped > 1000
        behind = [r for r in ring.records if r.time > records[at].time]
        assert len(behind) <= trace.RECORDS
        assert ring.newest().time > ring.records[-1].time + 100000


def test_crash_goes_on():
    """Without it, what others do afterwards is there instead."""
    t = crash("crash-on", "go_on")
    assert t.stopped() == 0 and t.rings[1].head().dropped == 0
    assert trace.VM_FAULT not in [r.type for r in t.rings[1].records]


def test_restart():
    """Each end and each start of a VM that restarts is there, with its number."""
    conf = system("size = 512K", vm("bad", 1, "calls=50 fault", "on_fault = restart"))
    with traced("trace-restart", conf) as (m, t):
        t.start()
        m.wait_line("kizami", r"^bad: restarts \(5\)$")
        records = t.stop()[1]
    life = [r for r in records if trace.START <= r.type <= trace.VM_FAULT][:5 * 5]
    assert [r.type for r in life] == 5 * [trace.START, trace.VM_FAULT, trace.VM_STOP, trace.OFF,
                                          trace.VM_START]
    assert [r.arg for r in life[4::5]] == [1, 2, 3, 4, 5]
    assert {(r.arg, r.vcpu) for r in life[2::5] + life[3::5]} == {(1, 0)}


# ---- Our own ---------------------------------------------------------------------------------

def spoil(image, function):
    """An undefined instruction where the hypervisor's function begins."""
    out = subprocess.run(["aarch64-linux-gnu-nm", ELF], capture_output=True, text=True,
                         check=True).stdout
    address = {name: int(value, 16) for value, name in re.findall(r"^(\w+) \w (\w+)$", out,
                                                                  re.MULTILINE)}
    data = bytearray(image.read_bytes())
    at = address[function] - address["_head"]
    assert data[at:at + 4] != UDF
    data[at:at + 4] = UDF
    image.write_bytes(data)


def test_panic(monkeypatch):
    """A bug of ours: the core's last record is its PANIC, behind the exit that it happened in; the
    other core's ring ends with the chunk in which it happened, however long that core goes on."""
    monkeypatch.delenv("MASKED", raising=False)     # which wants the hypervisor as it was built
    conf = system("size = 64K", vm("one", 1, "fp"), vm("two", 1, "fp"),
                  vm("other", 2, "calls=20000"))
    with traced("trace-panic", conf, lambda image: spoil(image, "fp_save")) as (m, t):
        m.wait("panic", lambda: any("panic: exception 4 at EL2" in line
                                    for line in m.screen.current()[1:] + tuple(
                                        text for _, text in m.screen.lines)), 30)
        m.wait("end of the other", lambda: m.lines_of("other") or None, 60)
        rings = t.read()
    records = rings[1].records
    assert t.stopped() == 1
    assert [r.type for r in records].count(trace.PANIC) == 1 and records[-1].type == trace.PANIC
    assert any(trace.is_exit(r) for r in records[-5:])
    ring = rings[2]
    behind = [r for r in ring.records if r.time > records[-1].time]
    assert 0 < len(behind) <= trace.RECORDS and ring.head().dropped > 1000
    assert len(ring.records) % trace.RECORDS == trace.RECORDS - 1


# ---- Whose it is -----------------------------------------------------------------------------

@pytest.mark.parametrize("board", ["virt", "zcu102"])
def test_foreign(board):
    """No guest reaches the rings or their heads, at whatever level; and whatever it asks for, all
    that is written on its core is its own."""
    def conf(at):
        words = "poke " + " ".join(f"at{i}={a}" for i, a in enumerate(at))
        return system("size = 64K", vm("soft", 1, words), vm("hard", 3, words, level="hrt"),
                      vm("plain", 2, "calls=10"), board=board)

    name = f"trace-foreign-{board}"
    image = machine.image_build(conf([0] * 4), name)
    pa, base = (blob.Blob(image)[key] if key == "image_pa" else blob.Blob(image).machine[key]
                for key in ("trace_pa", "image_pa"))
    at = [pa, pa + 4096 + 64, pa + 4096 + 5 * trace.CHUNK + 8, base + 0x20000]
    with traced(name, conf(at), board=board) as (m, t):
        assert t.pa == pa
        assert m.wait_end() == 0
        rings = t.read()
        for who in ("soft", "hard"):
            assert m.lines_of(who) == [f"ringer: {i} not written not read" for i in range(4)] + [
                "ringer: done"]
        for head in rings:
            assert not any(a <= head.head_pa < a + 4096 for a in at)
        mark = struct.pack("<I", MARK)
        size = 4096 + len(rings) * t.chunks * trace.CHUNK
        assert mark not in t.ram.read(pa, size)
        assert mark * 8 in t.ram.read(t.ram.base, 0x10000000), "the guest marks nothing at all"
    for core, number in ((1, 0), (3, 1)):
        records = rings[core].records
        assert rings[core].first == 0
        assert {r.vcpu for r in records if r.type >= trace.RUN and r.type <= trace.PANIC} <= {
            number << 4, 0}
        assert {who for _, who, _, _ in trace.spans(records)} <= {number << 4, trace.NOBODY}
        assert len([r for r in records if trace.is_exit(r)]) > 300
    for core in (0, 2):
        assert not [r for r in rings[core].records[1:] if r.type >= trace.READY and
                    r.type < trace.PANIC and core == 2 and r.vcpu != 2 << 4]
