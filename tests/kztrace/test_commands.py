# SPDX-License-Identifier: Apache-2.0
"""How kztrace is called, and what it says of files that it cannot use."""

import subprocess

import ktfile
import pytest
from conftest import KZTRACE, run

VMS = [ktfile.Vm("one", (0,))]
IDLE = ktfile.record(5, ktfile.IDLE)
RUN = ktfile.record(7, ktfile.RUN, ktfile.vcpu(0))


@pytest.mark.parametrize("args,says", [
    ((), "there is no command"), (("nonsense",), "unknown command nonsense"),
    (("help", "nonsense"), "unknown command nonsense"),
    (("report",), "usage: kztrace report FILE"), (("report", "a", "b"), "usage: kztrace report"),
    (("report", "--bad", "a"), "usage: kztrace report"),
    (("report", "a", "--misses", "-1"), "--misses -1 is not a number from 0 to"),
    (("report", "a", "--misses", "many"), "--misses many is not a number"),
    (("report", "a", "--misses", "100001"), "--misses 100001 is not a number")])
def test_wrong_use(args, says):
    """Exit code 2, and how it is used."""
    done = run(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("args", [("help",), ("--help",), ("-h",), ("help", "report"),
                                  ("report", "--help")])
def test_help(args):
    """What there is."""
    done = run(*args)
    assert done.returncode == 0
    assert "kztrace report FILE [--misses N]" in done.stdout
    assert ("kztrace hist" in done.stdout) == ("report" not in args)


def test_full(trace):
    """An output that cannot be written is an error."""
    path = trace(VMS, 1, [ktfile.pack_part(0, 0, [IDLE])])
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([KZTRACE, "report", path], stdout=full, stderr=subprocess.PIPE,
                              check=False, timeout=60)
    assert done.returncode == 1
    assert b"standard output" in done.stderr


def test_missing(tmp_path):
    """No such file."""
    done = run("report", tmp_path / "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"kztrace: {tmp_path}/none: No such file" in done.stderr


def test_foreign(tmp_path):
    """A file of something else."""
    (tmp_path / "x").write_bytes(b"\x7fELF" + bytes(100))
    done = run("report", tmp_path / "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "at 0x0: not a Kizami trace" in done.stderr


def test_truncated(trace):
    """The report of what is there, then where the file ends; exit code 1."""
    path = trace(VMS, 1, [ktfile.pack_part(0, 0, [IDLE, RUN])])
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    done = run("report", path)
    assert done.returncode == 1
    assert "\n1 records in 0 ns" in done.stdout
    assert f"at {len(data) - 16:#x}: the file ends within a part" in done.stderr


def test_corrupt(trace):
    """A part that cannot be: where, and nothing is reported."""
    good = ktfile.pack_part(0, 0, [IDLE, RUN])
    path = trace(VMS, 1, [good, ktfile.pack_part(0, 1, [IDLE])])
    at = len(path.read_bytes()) - 32
    done = run("report", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"at {at + 8:#x}: core 0 goes back, from record 2 to 1" in done.stderr


def test_senseless(trace):
    """Records that make no sense are left out, and the first is named; exit code 1."""
    bad = ktfile.record(6, ktfile.RUN, ktfile.vcpu(3))
    path = trace(VMS, 1, [ktfile.pack_part(0, 0, [IDLE, bad, bad, RUN])])
    done = run("report", path)
    at = len(path.read_bytes()) - 48
    assert done.returncode == 1
    assert f"at {at:#x}: a RUN of a vCPU that is not of this core; 2 records" in done.stderr
    assert "4 records in 2 ns" in done.stdout


def test_gap(trace):
    """Records that are missing: how many, and when."""
    path = trace(VMS, 1, [ktfile.pack_part(0, 10, [IDLE]),
                          ktfile.pack_part(0, 111, [ktfile.record(1005, ktfile.WAKE, 0, 27)])])
    done = run("report", path)
    assert done.returncode == 0
    assert "core 0: 100 records lost between 0 ns and 1.000 us" in done.stdout
    row = next(line for line in done.stdout.split("\n") if line.startswith("  0 "))
    assert row.split() == "0 0.00 % 0.00 % 0.00 % 100.00 % 0 2 100 10".split()


def test_stopped(trace):
    """A ring whose last record is a chunk's may have stopped there."""
    path = trace(VMS, 1, [ktfile.pack_part(0, 2046, [IDLE, RUN])])
    assert "core 0: its ring may have stopped at 2 ns" in run("report", path).stdout
    path = trace(VMS, 1, [ktfile.pack_part(0, 2045, [IDLE, RUN])])
    assert "core 0: its ring may have stopped at 2 ns" in run("report", path).stdout
    path = trace(VMS, 1, [ktfile.pack_part(0, 2044, [IDLE, RUN])])
    assert "may have stopped" not in run("report", path).stdout


def test_events(trace):
    """What happened to VMs and the hypervisor."""
    records = [ktfile.record(0, ktfile.VM_START, 0, 2),
               ktfile.record(1, ktfile.VM_FAULT, 0, 0, 0x90),
               ktfile.record(2, ktfile.VM_FAULT, 0, 1, 0x1000000),
               ktfile.record(3, ktfile.VM_STOP, 0, 1, 6), ktfile.record(4, ktfile.VM_STOP, 0, 0),
               ktfile.record(5, ktfile.PANIC)]
    done = run("report", trace(VMS, 1, [ktfile.pack_part(0, 0, records)]))
    events = done.stdout.split("Events\n")[1].split("\n")[1:7]
    assert [line.split(maxsplit=2)[2] for line in events] == [
        "one starts; restarts so far: 2", "one: access to nothing near ipa 0x9000",
        "one: access to what is forbidden near ipa 0x100000000",
        "one stops (watchdog), to be started again", "one stops (no reason)",
        "core 0: the hypervisor panics"]
    assert done.returncode == 0


def test_restart_time(trace):
    """From the stop to the guest's first instruction; not of one that somebody else started."""
    records = [ktfile.record(100, ktfile.VM_STOP, 0, 1, 6),
               ktfile.record(150, ktfile.VM_START, 0, 1),
               ktfile.record(150, ktfile.START, 0, 1), ktfile.record(460, ktfile.RUN, 0),
               ktfile.record(500, ktfile.EXIT + 0, 0), ktfile.record(550, ktfile.VM_STOP, 0, 0, 7),
               ktfile.record(560, ktfile.OFF, 0, 1), ktfile.record(570, ktfile.IDLE),
               ktfile.record(600, ktfile.WAKE, 0), ktfile.record(650, ktfile.VM_START, 0, 1),
               ktfile.record(650, ktfile.START, 0, 1), ktfile.record(700, ktfile.RUN, 0),
               ktfile.record(800, ktfile.EXIT + 0, 0)]
    done = run("report", trace(VMS, 1, [ktfile.pack_part(0, 0, records)]))
    events = done.stdout.split("Events\n")[1].split("\n")[1:5]
    assert [line.split(maxsplit=2)[2] for line in events] == [
        "one stops (watchdog), to be started again",
        "one starts; restarts so far: 1; executes 360 ns after the stop",
        "one stops (stop)", "one starts; restarts so far: 1"]
