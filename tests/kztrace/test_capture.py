# SPDX-License-Identifier: Apache-2.0
"""kztrace capture: rings in a file, made here; while a process writes them, and later."""

import multiprocessing
import re
import struct
import subprocess
import time

import pytest

from ram import BASE, CHUNK, HZ, KZTRACE, PAGE, RECORDS, Ram, Trace, capture, image_make

CAPACITY = 2 * RECORDS


class Machine:
    """A folder with an image and its machine's RAM."""

    def __init__(self, folder, **kwargs):
        self.folder = folder
        self.image = image_make(folder, **kwargs)
        self.ram = Ram(folder / "ram", self.image.cfg)

    def args(self, *more):
        """The command's words."""
        return (self.folder / "ram", "-i", self.folder / "os.img", "-o", self.folder / "out.kzt",
                *more)

    def capture(self, *more):
        """The command, which must work: what it said and the file."""
        done = capture(*self.args(*more))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{self.folder}/out.kzt: ")
        return done.stdout.split(": ", 1)[1].strip(), Trace(self.folder / "out.kzt")

    def refused(self, words, *more):
        """The command, which must not work; then there is no file."""
        done = capture(*self.args(*more))
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(words, done.stderr), done.stderr
        assert done.stderr.startswith("kztrace: ") and done.stderr.count("\n") == 1
        assert not (self.folder / "out.kzt").exists()


@pytest.fixture
def machine(tmp_path):
    """One with the smallest rings."""
    return Machine(tmp_path)


def test_file(machine):
    """The header, and all of the configuration behind it."""
    machine.ram.begin()
    machine.ram.write(1, 3)
    said, trace = machine.capture()
    image = machine.image
    assert said == "3 records of 3 cores, none lost"
    assert (trace.hz, trace.cores) == (HZ, 3)
    assert trace.blob == image.data[image.blob_at:image.blob_end] + bytes(-image.blob_end % 8)
    assert [trace.indices(core) for core in range(3)] == [[], [0, 1, 2], []]


@pytest.mark.parametrize("total", [
    1, RECORDS - 1, RECORDS, RECORDS + 1, CAPACITY - 1, CAPACITY, CAPACITY + 1,
    5 * CAPACITY + 77])
def test_afterwards(machine, total):
    """What the rings have when nothing runs, in order, however often they came round."""
    machine.ram.begin()
    machine.ram.write(0, total)
    machine.ram.write(2, 5)
    older = max(0, total - CAPACITY + 1)
    said, trace = machine.capture()
    assert trace.indices(0) == list(range(older, total))
    assert trace.indices(2) == list(range(5))
    assert said == f"{total - older + 5} records of 3 cores, none lost" + (
        f"; {older} older ones were overwritten before" if older else "")


@pytest.mark.parametrize("turns, chunk", [(3, 0), (2, 1)])
def test_turn_under_way(machine, turns, chunk):
    """QEMU was killed within a turn: either field is ahead of the other."""
    machine.ram.begin()
    machine.ram.write(0, 3 * RECORDS)
    machine.ram.head(0, turns=turns, next=BASE + chunk * 2 * CHUNK + (1 - chunk) * CHUNK)
    assert machine.capture()[1].indices(0) == list(range(RECORDS + 1, 3 * RECORDS))


def test_turn_half_done(machine):
    """The new chunk has a record, but is not counted yet."""
    machine.ram.begin()
    machine.ram.write(0, 3 * RECORDS + 1)
    machine.ram.head(0, turns=2)
    assert machine.capture()[1].indices(0) == list(range(RECORDS + 2, 3 * RECORDS + 1))


def test_stopped(tmp_path):
    """A ring that is full and stops: its beginning, and the newest record with a gap before it."""
    machine = Machine(tmp_path, when_full="stop")
    machine.ram.begin(stopped=1)
    last = CAPACITY - 1
    machine.ram.write(0, last)
    machine.ram.head(0, dropped=78)
    at = machine.ram.slot(0, last)
    machine.ram.map[at:at + 16] = struct.pack("<QBBHI", 9 << 40, 20, 255, 1, 2)
    said, trace = machine.capture()
    core, index, data = trace.parts.pop()
    assert (core, index) == (0, last + 77)
    assert struct.unpack("<QBBHI", data) == (9 << 40, 20, 255, 1, 2)
    assert trace.indices(0) == list(range(last))
    assert said == (f"{CAPACITY} records of 3 cores, none lost; "
                    "the trace had stopped: 77 later ones were not kept")


def writer(path, cfg, bursts, pause):
    """A machine: it begins, its cores write bursts of records with pauses, it ends."""
    ram = Ram(path, cfg)
    time.sleep(0.1)
    ram.begin()
    for core, count in bursts:
        ram.write(core, count)
        time.sleep(pause)


def follow(machine, bursts, pause):
    """Capture from before its beginning to after its end; nobody waits for the process."""
    process = multiprocessing.Process(target=writer, args=(machine.folder / "ram",
                                                           machine.image.cfg, bursts, pause))
    process.start()
    try:
        return machine.capture("--follow", process.pid)
    finally:
        process.join()


def test_follow(machine):
    """A reader that keeps up has all, in many turns of the rings."""
    bursts = [(i % 2, 300 + 7 * (i % 10)) for i in range(150)]
    said, trace = follow(machine, bursts, 0.01)
    totals = [sum(n for core, n in bursts if core == i) for i in range(3)]
    assert totals[0] > 5 * CAPACITY
    assert said == f"{sum(totals)} records of 3 cores, none lost"
    for core in range(3):
        assert trace.indices(core) == list(range(totals[core]))


def test_follow_too_slow(machine):
    """What a ring overwrites before it was read is counted, and its indices are missing."""
    bursts = [(1, 10), (1, 20 * CAPACITY), (1, 10)] * 3
    said, trace = follow(machine, bursts, 0.1)
    total = sum(n for _, n in bursts)
    got = trace.indices(1)
    lost = total - len(got)
    assert lost > 0 and got[-1] == total - 1
    assert said.startswith(f"{len(got)} records of 3 cores, {lost} lost\nThe rings came round")


def test_follow_the_ended(machine):
    """The process is gone already, and so is one that nobody has waited for."""
    machine.ram.begin()
    machine.ram.write(0, 7)
    with subprocess.Popen(["true"]) as process:
        time.sleep(0.1)
        assert machine.capture("--follow", process.pid)[1].indices(0) == list(range(7))
    assert machine.capture("--follow", process.pid)[1].indices(0) == list(range(7))


def test_seconds(machine):
    """For a time; and a signal ends it early, with what there is."""
    machine.ram.begin()
    machine.ram.write(0, 7)
    begin = time.monotonic()
    assert machine.capture("--seconds", "0.3")[1].indices(0) == list(range(7))
    assert 0.3 <= time.monotonic() - begin < 5
    with subprocess.Popen([KZTRACE, "capture", *machine.args("--seconds", "50")]) as process:
        time.sleep(0.3)
        process.terminate()
        assert process.wait(5) == 0
    assert Trace(machine.folder / "out.kzt").indices(0) == list(range(7))


def test_reset(machine):
    """A machine that is reset begins anew: the trace ends there."""
    machine.ram.begin()
    machine.ram.write(0, 700)
    with subprocess.Popen([KZTRACE, "capture", *machine.args("--seconds", "50")],
                          stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.3)
        machine.ram.begin()
        assert process.wait(5) == 0
        assert process.stdout.read().endswith(": 700 records of 3 cores, none lost; "
                                              "the machine was reset\n")


def test_damaged(machine):
    """A head that makes no sense is told; the other cores' records are there."""
    machine.ram.begin()
    machine.ram.write(0, 9)
    machine.ram.head(1, next=BASE + 8)
    done = capture(*machine.args())
    assert done.returncode == 1
    assert "the head of core 1's ring is damaged" in done.stderr
    assert Trace(machine.folder / "out.kzt").indices(0) == list(range(9))


def test_base(machine):
    """RAM whose first byte has another address than the image expects."""
    machine.ram = Ram(machine.folder / "ram", machine.image.cfg, base=0x3f000000)
    machine.ram.begin()
    machine.ram.write(2, 4)
    assert machine.capture("--base", "0x3f000000")[1].indices(2) == list(range(4))
    machine.refused("there is no trace at 0x[0-9a-f]+: the system of .* has not started")


FOREIGN = {
    "not started": ({"magic": 0}, "no trace at 0x403cf000: the system of .*os.img has not"),
    "version": ({"version": 2}, "version 2, this kztrace knows 1"),
    "cores": ({"cores": 4}, "not that of .*os.img: 4 cores, 2 chunks, not 3 and 2"),
    "chunks": ({"chunks": 3}, "not that of .*os.img: 3 cores, 3 chunks, not 3 and 2"),
    "rate": ({"hz": 0}, "not that of"),
    "mode": ({"mode": 1}, "not that of"),
    "head before RAM": ({"head_pa": [0x40001000, 0x3ffffff8, 0]}, "core 1's .* at 0x3ffffff8"),
    "head across the end": ({"head_pa": [0x5ffffff0, 0, 0]}, "core 0's .* 0x5ffffff0, not in"),
    "head off a word": ({"head_pa": [0x40001004, 0, 0]}, "core 0's ring is at 0x40001004"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign(machine, what):
    """RAM of another system, or of another version of this one."""
    fields, words = FOREIGN[what]
    machine.ram.begin(**fields)
    machine.refused(words)


def put(at, data):
    """A change: these bytes there."""
    return lambda image: image.__setitem__(slice(at, at + len(data)), data)


IMAGES = {
    "empty": (lambda data: b"", "not a file with something in it"),
    "short": (lambda data: data[:63], "not a boot image"),
    "other": (put(56, b"RISC"), "not a boot image"),
    "cut": (lambda data: data[:-1], r"it has \d+ bytes of \d+: it is truncated"),
    "no blob": (put(0x4000, b"KZMX"), "there is no configuration in it"),
    "version": (put(0x4004, b"\x02"), "its configuration: version differs"),
    "trace": (put(0x4000 + 48 + 356, b"\x01"), "its configuration: trace memory or mode"),
}


@pytest.mark.parametrize("what", IMAGES)
def test_image(machine, what):
    """An image that is none, or not all of one."""
    change, words = IMAGES[what]
    machine.ram.begin()
    data = bytearray(machine.image.data)
    changed = change(data)
    (machine.folder / "os.img").write_bytes(data if changed is None else changed)
    machine.refused("os.img: " + words)


def test_files(machine):
    """Files that are not there, and RAM that is too small."""
    with open(machine.folder / "ram", "r+b") as f:
        f.truncate(machine.image.cfg.trace_pa - 0x40000000 + PAGE)
    machine.refused("RAM from 0x40000000 to 0x403cffff, but the trace of .* is at 0x403cf000")
    (machine.folder / "ram").unlink()
    machine.refused("ram: No such file")
    (machine.folder / "ram").mkdir()
    machine.refused("ram: not a file")
    (machine.folder / "os.img").unlink()
    machine.refused("os.img: No such file")


def test_output(machine):
    """Where it cannot be written."""
    machine.ram.begin()
    machine.ram.write(0, 3)
    machine.ram.write(1, CAPACITY)
    for path, words in ((machine.folder, "Is a directory"),
                        (machine.folder / "no/out", "No such file"),
                        ("/dev/full", "No space left")):
        done = capture(*machine.args("-o", path))
        assert done.returncode == 1 and f"{path}: {words}" in done.stderr, done.stderr


USAGE = {
    "no RAM": ("-i i -o o", "there is one file of RAM"),
    "two": ("a b -i i -o o", "there is one file of RAM"),
    "no image": ("a -o o", "-i IMAGE is missing"),
    "no output": ("a -i i", "-o FILE is missing"),
    "no value": ("a -i i -o", "a value is missing for -o"),
    "unknown": ("a -i i -o o --frobnicate", "unknown option --frobnicate"),
    "base": ("a -i i -o o --base x", "--base is an address, not x"),
    "follow": ("a -i i -o o --follow 0", "--follow is a process, not 0"),
    "negative": ("a -i i -o o --follow -1", "--follow is a process, not -1"),
    "seconds": ("a -i i -o o --seconds 0", "--seconds is a time, not 0"),
    "a word": ("a -i i -o o --seconds 1x", "--seconds is a time, not 1x"),
    "both": ("a -i i -o o --seconds 1 --follow 1", "--follow and --seconds"),
}


@pytest.mark.parametrize("what", USAGE)
def test_usage(what):
    """Wrong use."""
    words, reason = USAGE[what]
    done = capture(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr and "usage: kztrace capture RAM -i IMAGE" in done.stderr


def test_help():
    """What there is to say."""
    done = capture("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--follow PID" in done.stdout
