# SPDX-License-Identifier: Apache-2.0
"""What happens between two looks."""

import json
import signal
import time

import abi
import pytest
import sim as simulator
from test_console import Terminal


@pytest.fixture
def busy(sim):
    """vision executes for a fifth of the time, servo all of it; exits come with time."""
    def tick(call):
        if call.function != abi.INSPECT or call.x[0] != abi.I_MACHINE:
            return
        with sim.lock:
            now = sim.now()
            for name, share in (("vision", 0.2), ("servo", 1), ("linux", 0.25)):
                for vcpu in sim.vm(name).vcpus:
                    vcpu.executed = int(now * share)
            vcpu = sim.vm("vision").vcpus[0]
            vcpu.exits[5] = now // 1_000_000
            vcpu.exits[0] = 2 * (now // 1_000_000)
            vcpu.stolen = now // 20
            vcpu.misses, vcpu.late, vcpu.overruns, vcpu.jobs = 4, 3, 2, 100
            vcpu.sched = 3
            sim.vm("servo").info.restarts = 5
            sim.vm("servo").info.failures = 6
    sim.hook = tick


def test_json(kz, busy):
    pictures = [json.loads(line) for line in
                kz.ok("--json", "top", "-n", "2", "-d", "0.5").out.splitlines()]
    assert len(pictures) == 2
    for p in pictures:
        assert 0.4e9 < p["interval_ns"] < 5e9
        cores = {c["core"]: c["percent"] for c in p["cores"]}
        assert len(cores) == 4
        assert cores[0] == pytest.approx(25, abs=3)
        assert cores[1] == pytest.approx(45, abs=5)     # linux and vision
        assert cores[2] == 0 and cores[3] == pytest.approx(100, abs=10)
        vms = {vm["name"]: vm for vm in p["vms"]}
        vision = vms["vision"]["vcpu"][0]
        assert vision["percent"] == pytest.approx(20, abs=3)
        assert vision["stolen_percent"] == pytest.approx(5, abs=1)
        assert vision["exits_per_second"]["wfx"] == pytest.approx(1000, rel=0.1)
        assert vision["exits_per_second"]["irq"] == 0
        assert (vision["misses"], vision["late"], vision["overruns"], vision["jobs"]) == (
            4, 3, 2, 100)
        assert vision["sched"] == "throttled"
        assert (vms["servo"]["restarts"], vms["servo"]["failures"]) == (5, 6)


def test_text(kz, busy):
    out = kz.ok("top", "-b", "-n", "1", "-d", "0.5").out
    assert "\033" not in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    row = rows["vision/0"]
    assert row[1:4] == ["srt", "1", "throttled"] and 17 < float(row[4]) < 23
    assert "2.000 ms/10.000 ms" in out
    assert row[-7:-4] == ["4", "3", "2"] and 4 < float(row[-4]) < 6
    assert float(row[-3]) == pytest.approx(3000, rel=0.1)
    assert rows["servo"][1:3] == ["5", "6"]
    assert float(rows["vision"][3]) == pytest.approx(2000, rel=0.1)     # hcall


def test_state_instead_of_doing(kz, sim):
    sim.vm("servo").info.state = abi.PAUSED
    out = kz.ok("top", "-b", "-n", "1", "-d", "0.05").out
    assert next(line for line in out.splitlines() if "servo/0" in line).split()[3] == "paused"


def test_vms_come_and_go(kz, sim, busy):
    """A place that is another's has counters of its own."""
    tick = sim.hook
    looks = []

    def change(call):
        if call.function == abi.INSPECT and call.x[0] == abi.I_MACHINE:
            looks.append(1)
            if len(looks) == 2:
                with sim.lock:
                    sim.vms[2] = None
                    new = sim.add(simulator.config("fresh", 0x50000000, cpus=(3,)),
                                  abi.RUNNING)
                    new.vcpus[0].executed = 10_000_000
                    sim.hook = None
                return
        tick(call)
    sim.hook = change
    p = json.loads(kz.ok("--json", "top", "-n", "1", "-d", "0.1").out)
    vms = {vm["name"]: vm for vm in p["vms"]}
    assert "servo" not in vms
    assert vms["fresh"]["vcpu"][0]["percent"] == pytest.approx(1e9 / p["interval_ns"], rel=0.01)


@pytest.mark.parametrize("name, before, after", [
    ("fresh", 5_000_000, 10_000_000), ("servo", 50_000_000, 10_000_000)])
def test_counters_that_begin_anew(kz, sim, name, before, after):
    """Destroyed and created between two looks: all that it executed is new."""
    sim.vm("servo").vcpus[0].executed = before
    looks = []

    def change(call):
        if call.function == abi.INSPECT and call.x[0] == abi.I_MACHINE:
            looks.append(1)
            if len(looks) == 2:
                sim.vms[2] = None
                new = sim.add(simulator.config(name, 0x50000000, cpus=(3,)), abi.RUNNING)
                new.vcpus[0].executed = after
    sim.hook = change
    p = json.loads(kz.ok("--json", "top", "-n", "1", "-d", "0.1").out)
    vcpu = {vm["name"]: vm for vm in p["vms"]}[name]["vcpu"][0]
    assert vcpu["percent"] == pytest.approx(100 * after / p["interval_ns"], rel=0.01)


def test_live(kz, sim, busy, wait):
    t = Terminal(kz, "top", "-d", "0.1")
    wait(lambda: t.seen.count(b"kz top: 3 VMs") >= 2, "two pictures")
    assert b"\033[H" in t.seen
    begin = time.monotonic()
    t.type(b"xq")
    assert t.leave() == 0 and time.monotonic() - begin < 5


def test_live_fits_the_terminal(kz, sim, busy, wait):
    """No picture scrolls."""
    import fcntl
    import struct
    import termios
    t = Terminal(kz, "top", "-d", "0.2")
    fcntl.ioctl(t.other, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 80, 0, 0))
    t.process.send_signal(signal.SIGWINCH)
    t.seen = b""
    wait(lambda: t.seen.count(b"kz top:") >= 3, "pictures")
    picture = t.seen.split(b"\033[H")[-2]
    assert picture.count(b"\n") <= 4
    t.process.send_signal(signal.SIGINT)
    assert t.leave() == 0


def test_vm_is_gone_between_calls(kz, sim):
    """A VM that goes between the first call about it and the next is no error."""
    def go(call):
        if call.function == abi.INSPECT and call.x[:2] == [abi.I_CONFIG, 2]:
            sim.vms[2] = None
    sim.hook = go
    done = kz.ok("list")
    assert list(done.rows) == ["linux", "vision"]
