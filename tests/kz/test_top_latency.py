# SPDX-License-Identifier: Apache-2.0
"""Latencies between two looks, from the trace."""

import json

import abi
import pytest
import rings as made_up
import sim as simulator

RUN, IDLE, WAKE, READY, BLOCK, THROTTLE, EXIT = 2, 3, 4, 8, 9, 12, 32
WFX, IRQ = EXIT + 5, EXIT + 6
LINUX, VISION = 0x00, 0x10      # vision is on core 1
T = 3599 * 10 ** 9              # before all looks
NONE = {"count": 0, "p50_ns": None, "max_ns": None, "part": False}


def waits(vcpu, at):
    """It has executed, and its core sleeps."""
    return [(at, RUN, vcpu, 0), (at + 10, WFX, 0, 0), (at + 20, BLOCK, vcpu, 0),
            (at + 30, IDLE, 0, 0)]


def wakes(vcpu, at, ns):
    """An interrupt ends a sleep, and so much later the guest executes; then it waits again."""
    return [(at, WAKE, 0, 27), *waits(vcpu, at + ns)]


class Looks:
    """What is done before each look at the machine: a list of functions."""

    def __init__(self, sim):
        self.sim, self.todo = sim, []
        self.rings = made_up.Rings(sim)
        sim.hook = self.hook

    def hook(self, call):
        if call.function == abi.INSPECT and call.x[0] == abi.I_MACHINE and self.todo:
            self.todo.pop(0)()

    def say(self, core, *records):
        """Before the next look, these records."""
        self.todo.append(lambda: self.rings.say(core, *records))


@pytest.fixture
def looks(sim):
    return Looks(sim)


def pictures(kz, count, delay=0.05):
    lines = kz.ok("--json", "top", "-n", count, "-d", delay).out.splitlines()
    assert len(lines) == count
    return [json.loads(line) for line in lines]


def of(picture, name, vcpu=0):
    """The latencies of a vCPU."""
    vm = next(vm for vm in picture["vms"] if vm["name"] == name)
    return vm["vcpu"][vcpu]["latency"]


def test_of_each_interval(kz, looks):
    """What is of before the first look tells who waits, and is not counted."""
    looks.say(1, *waits(VISION, T), *wakes(VISION, T + 100, 9000000))
    looks.say(1, *wakes(VISION, T + 10 ** 7, 1000), *wakes(VISION, T + 2 * 10 ** 7, 2000),
              *wakes(VISION, T + 3 * 10 ** 7, 300000))
    looks.say(1, (T + 4 * 10 ** 7, WAKE, 0, 27))
    looks.say(1, *waits(VISION, T + 4 * 10 ** 7 + 7000))
    one, two, three = pictures(kz, 3)
    vision = of(one, "vision")
    assert vision["p50_ns"] == pytest.approx(2000, rel=0.008)
    assert (vision["count"], vision["max_ns"], vision["part"]) == (3, 300000, False)
    assert of(two, "vision") == NONE
    assert (of(three, "vision")["count"], of(three, "vision")["max_ns"]) == (1, 7000)
    assert of(one, "linux") == of(one, "servo") == NONE
    assert one["cores"][1]["trace"] == {"read": 15, "lost": 0, "skipped": 0, "left_out": 0}
    assert one["trace_missing"] is None


def test_of_each_vcpu(kz, looks):
    """Two of one core; and a guest that is interrupted by a line of its own."""
    def before():
        looks.rings.say(0, (T, RUN, LINUX, 0))
        looks.rings.say(1, *waits(VISION, T), *waits(LINUX + 1, T + 50))

    def then():
        looks.rings.say(0, (T + 1000, IRQ, 0, 27), (T + 1700, RUN, LINUX, 0),
                        (T + 2000, IRQ, 0, 100), (T + 2900, RUN, LINUX, 0))
        looks.rings.say(1, *wakes(VISION, T + 10000, 500), *wakes(LINUX + 1, T + 20000, 600))
    looks.todo = [before, then]
    p, = pictures(kz, 1)
    assert [of(p, *who)["max_ns"] for who in (("linux", 0), ("linux", 1), ("vision", 0))] == [
        700, 600, 500]
    assert of(p, "linux")["count"] == 1     # line 100 is not its own


def test_text(kz, looks):
    looks.say(1, *waits(VISION, T))
    looks.say(1, *wakes(VISION, T + 10 ** 7, 50), *wakes(VISION, T + 2 * 10 ** 7, 1234567))
    out = kz.ok("top", "-b", "-n", "2", "-d", "0.05").out
    rows = [line.split() for line in out.splitlines() if line.startswith("vision/0")]
    assert rows[0][-2:] == ["0.050", "1234.6"] and rows[1][-2:] == ["-", "-"]
    assert "Trace:  10 records read, 0 lost, 0 skipped\n" in out
    assert "Trace:  0 records read, 0 lost, 0 skipped\n" in out


def test_later_than_the_look(kz, sim, looks):
    """A core's records are not told before earlier ones of others: they wait for the next look."""
    looks.say(1, *waits(VISION, T))
    looks.todo.append(lambda: looks.rings.say(1, *wakes(VISION, sim.now() + 50_000_000, 1000)))
    one, two = pictures(kz, 2, 0.5)
    assert of(one, "vision") == NONE and one["cores"][1]["trace"]["read"] == 0
    assert of(two, "vision")["max_ns"] == 1000 and two["cores"][1]["trace"]["read"] == 5


def fill(looks, count):
    """So many records of a core that wakes up and sleeps, and then one latency; so it goes on."""
    def put():
        looks.rings.say(1, *[(T + 1000 + n, (WAKE, IDLE)[n % 2], 0, 0) for n in range(count - 9)])
        looks.rings.say(1, *waits(VISION, T + 10 ** 7), *wakes(VISION, T + 2 * 10 ** 7, 4321))
    looks.todo.append(put)


def test_lost(kz, looks):
    """A ring that came round: how much of it was not read, and that there may have been more."""
    looks.say(1, *waits(VISION, T))
    fill(looks, 10000)
    p, = pictures(kz, 1, 0.6)
    kept = 2 * made_up.RECORDS - 1
    assert p["cores"][1]["trace"] == {"read": kept, "lost": 10000 - kept, "skipped": 0,
                                      "left_out": 0}
    assert of(p, "vision")["max_ns"] == 4321 and of(p, "vision")["part"] is True
    assert of(p, "linux")["part"] is False and of(p, "linux", 1)["part"] is True


def test_lost_in_text(kz, looks):
    looks.say(1, *waits(VISION, T))
    fill(looks, 5000)
    out = kz.ok("top", "-b", "-n", "1", "-d", "0.6").out
    row = next(line.split() for line in out.splitlines() if line.startswith("vision/0"))
    assert row[-2:] == ["4.321", ">4.321"]
    assert "Trace:  4095 records read, 905 lost, 0 skipped\n" in out


@pytest.mark.parametrize("delay", [0.1, 0.6])
def test_skipped(kz, sim, delay):
    """No more than the bound is read, the newest: the rest is counted."""
    looks = Looks(sim)
    looks.rings = made_up.Rings(sim, chunks=4)
    looks.say(1, *waits(VISION, T))
    fill(looks, 8000)
    p, = pictures(kz, 1, delay)
    limit = min(4096, p["interval_ns"] * 8192 // 10 ** 9 + 1)
    assert p["cores"][1]["trace"] == {"read": limit, "lost": 0, "skipped": 8000 - limit,
                                      "left_out": 0}
    assert of(p, "vision") == {"count": 1, "p50_ns": 4321, "max_ns": 4321, "part": True}


def test_nothing_is_made_up_over_a_gap(kz, looks):
    """What was begun before records were lost is no latency."""
    looks.say(1, *waits(VISION, T), (T + 100, WAKE, 0, 27), (T + 110, READY, VISION, 0))
    looks.todo.append(lambda: looks.rings.say(1, *[(T + 1000, THROTTLE, LINUX + 1, 0)] * 5000,
                                              *waits(VISION, T + 10 ** 6)))
    p, = pictures(kz, 1, 0.6)
    assert p["cores"][1]["trace"]["lost"] > 0
    assert of(p, "vision") == {**NONE, "part": True}


def test_in_the_order_of_time(kz, looks):
    """One core says that another one's vCPU is ready."""
    def say():
        looks.rings.say(0, (T + 1000, READY, VISION, 0))
        looks.rings.say(1, *wakes(VISION, T + 1500, 1500))
    looks.say(1, *waits(VISION, T))
    looks.todo.append(say)
    p, = pictures(kz, 1)
    assert of(p, "vision") == {"count": 1, "p50_ns": 2000, "max_ns": 2000, "part": False}


def test_overwritten_during_the_copy(kz, looks):
    looks.say(1)
    looks.say(1, *[(T + n, IDLE, 0, 0) for n in range(2000)])
    heads, take = [], looks.hook

    def round_again(call):
        take(call)
        if call.function == abi.INSPECT and call.x[0] == abi.I_TRACE:
            heads.append(1)
            if len(heads) == 5:     # opened, two of the first look: now behind the second's copy
                looks.rings.say(1, *[(T + 5000 + n, IDLE, 0, 0) for n in range(3000)])
    looks.sim.hook = round_again
    one, two = pictures(kz, 2, 0.6)
    assert one["cores"][1]["trace"] == {"read": 1095, "lost": 905, "skipped": 0, "left_out": 0}
    assert two["cores"][1]["trace"]["read"] == 3000 and two["cores"][1]["trace"]["lost"] == 0


def test_stopped_ring(kz, sim, looks):
    """It writes over its last record, and says how often."""
    looks.say(1, *waits(VISION, T))
    looks.todo.append(lambda: setattr(sim.heads[1], "dropped", 77))
    one, two = pictures(kz, 2)
    assert one["cores"][1]["trace"]["lost"] == 77 and two["cores"][1]["trace"]["lost"] == 0


def test_vm_that_comes(kz, sim, looks):
    """Its place was nobody's when it began: what was recorded of it then is left out."""
    late = lambda: looks.rings.say(2, *waits(0x30, T))      # noqa: E731
    new = lambda: sim.add(simulator.config("fresh", 0x50000000, cpus=(2,)),     # noqa: E731
                          abi.RUNNING)
    looks.todo = [lambda: None, late, new]
    looks.say(2, *waits(0x30, T + 1000), *wakes(0x30, T + 2000, 800))
    one, two, three = pictures(kz, 3)
    assert one["cores"][2]["trace"]["left_out"] == 2        # its RUN, its BLOCK
    assert of(two, "fresh") == NONE
    assert of(three, "fresh")["max_ns"] == 800


def test_vm_in_the_place_of_another(kz, sim, looks):
    """It has another core."""
    def replace():
        sim.vms[2] = None
        sim.add(simulator.config("fresh", 0x50000000, cpus=(2,)), abi.RUNNING)
    looks.todo = [lambda: None, replace]
    looks.say(2, *waits(0x20, T + 1000), *wakes(0x20, T + 2000, 900))
    _, two = pictures(kz, 2)
    assert of(two, "fresh")["max_ns"] == 900


def missing(kz, reason):
    """All is as without latencies."""
    p, = pictures(kz, 1)
    assert reason in p["trace_missing"]
    assert all(core["trace"] is None for core in p["cores"])
    assert all(v["latency"] is None for vm in p["vms"] for v in vm["vcpu"])
    out = kz.ok("top", "-b", "-n", "1", "-d", "0.05").out
    assert f"No latencies: {p['trace_missing']}\n" in out
    assert next(x for x in out.splitlines() if x.startswith("vision/0")).split()[-2:] == ["-", "-"]


def test_no_trace(kz, sim):
    missing(kz, "the trace is not in this VM's memory map")


def test_no_right(kz, sim, looks):
    sim.rights[abi.R_LIST] = 0b111
    missing(kz, "this VM has not the right to list all VMs")


def test_other_version(kz, looks):
    looks.rings.memory[4] = 9
    missing(kz, "the trace has version 9")


def test_comes_back(kz, sim, looks):
    """A look that fails says so; what was recorded meanwhile is read by the next one."""
    looks.say(1, *waits(VISION, T))
    looks.todo.append(lambda: setattr(sim.heads[2], "next", 12345))
    looks.say(1, *wakes(VISION, T + 1000, 600))
    looks.todo.append(lambda: looks.rings.head(2))
    one, two, three = pictures(kz, 3)
    assert "damaged" in one["trace_missing"] and "damaged" in two["trace_missing"]
    assert three["trace_missing"] is None and of(three, "vision")["max_ns"] == 600


def test_fails_behind_the_copy(kz, sim, looks):
    """What was copied is not told, and not forgotten."""
    looks.say(1, *waits(VISION, T))
    looks.say(1, *wakes(VISION, T + 1000, 600))
    looks.todo.append(lambda: looks.rings.head(1))
    heads, take = [], looks.hook

    def damage(call):
        take(call)
        if call.function == abi.INSPECT and call.x[0] == abi.I_TRACE:
            heads.append(1)
            if len(heads) == 5:
                sim.heads[1].next = 12345
    sim.hook = damage
    one, two = pictures(kz, 2)
    assert "damaged" in one["trace_missing"] and of(one, "vision") is None
    assert of(two, "vision")["max_ns"] == 600
    assert two["cores"][1]["trace"] == {"read": 5, "lost": 0, "skipped": 0, "left_out": 0}
