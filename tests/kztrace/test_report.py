# SPDX-License-Identifier: Apache-2.0
"""The report's figures against those of a machine that knows what it did (model.py)."""

import random
import re

import ktfile
import model
import pytest
from conftest import Report, duration, nanoseconds, percent, run

VMS = [ktfile.Vm("linux", (0, 1)),
       ktfile.Vm("vision", (0,), ktfile.SRT, (2000, 20000, 20000), irqs=(48,)),
       ktfile.Vm("audio", (1,), ktfile.SRT, (2000, 20000, 10000)),
       ktfile.Vm("log", (0,), irqs=(60, 61)),
       ktfile.Vm("servo", (3,), ktfile.HRT)]
CORES = 4


def ticks_ns(ticks, hz):
    """As kztrace rounds."""
    return ticks * 10 ** 9 // hz


class Checked:
    """A random machine's trace, and its report."""

    def __init__(self, trace, seed, hz=10 ** 9, length=2000000):
        rng = random.Random(seed)
        self.hz = hz
        self.machine = model.Machine(VMS, CORES, rng, length=length)
        parts = ktfile.interleave([core.ring for core in self.machine.cores], rng)
        done = run("report", trace(VMS, CORES, parts, hz), "--misses", 100000)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        self.report = Report(done.stdout)
        self.length = self.machine.end - self.machine.begin

    def text(self, ticks):
        """A duration as the report has it."""
        return duration(ticks_ns(ticks, self.hz))

    def when(self, at):
        """A point in time."""
        return self.text(at - self.machine.begin)

    def check_stat(self, cells, values):
        """count min avg p50 p99 p99.9 max."""
        values = sorted(values)
        assert cells[:2] == [str(len(values)), self.text(values[0])]
        assert cells[2] == self.text(sum(values) // len(values))
        assert cells[6] == self.text(values[-1])
        for cell, (num, den) in zip(cells[3:6], ((1, 2), (99, 100), (999, 1000))):
            exact = values[(len(values) * num + den - 1) // den - 1]
            self.check_rounded(cell, exact, values[-1])

    def check_rounded(self, cell, exact, most):
        """Not below, less than 0.8 % above; and what is printed is cut after three digits."""
        got = nanoseconds(cell)
        cut = got * 0.001 + 1 if "ns" not in cell else 1
        assert got + cut >= ticks_ns(exact, self.hz)
        assert got <= min(ticks_ns(exact, self.hz) * 1.008, ticks_ns(most, self.hz)) + 1


@pytest.fixture(params=[(1, 10 ** 9), (2, 10 ** 9), (3, 62500000), (4, 24000000)], ids=str)
def checked(request, trace):
    """Several machines, with counters as fast as QEMU's and slower."""
    return Checked(trace, *request.param)


def test_summary(checked):
    """Records, length, counter."""
    lines = checked.report.sections[next(iter(checked.report.sections))]
    count = sum(len(core.ring.records) for core in checked.machine.cores)
    assert f"{count} records in {checked.text(checked.length)}" in checked.report.text
    assert f"{checked.hz / 1e6:.3f} MHz" in checked.report.text
    assert "board board, 4 cores, 5 VMs" in lines[0]


def test_cores(checked):
    """What each core did: parts of the trace's time."""
    rows = checked.report.rows("Cores")
    for row, core in zip(rows, checked.machine.cores):
        shares = [percent(core.total(what), checked.length)
                  for what in ("guest", "hyp", "sleep", "unknown")]
        guests = [v for _, _, what, v in core.spans if what == "guest"]
        switches = sum(a is not b for a, b in zip(guests, guests[1:]))
        assert row == [str(core.number), *shares, str(switches), str(len(core.ring.records)),
                       "0", str(core.ring.first)]


def test_vcpus(checked):
    """What each vCPU did, and each VM in sum."""
    rows = {row[0]: row for row in checked.report.rows("vCPUs")}
    sums = {}
    for v in checked.machine.vcpus:
        total = {s: v.total(s) for s in ("running", "exit", "ready", "blocked", "throttled",
                                         "done", "unknown")}
        sums.setdefault(VMS[v.vm].name, []).append(total)
        check_vcpu(checked, rows.pop(v.name)[2:], total, checked.length)
    whole = {s: sum(part[s] for part in sums["linux"]) for s in sums["linux"][0]}
    check_vcpu(checked, rows.pop("linux")[2:], whole, 2 * checked.length)
    assert not rows


def check_vcpu(checked, cells, total, length):
    """One row."""
    text = checked.text
    assert cells == [text(total["running"]), percent(total["running"], length),
                     text(total["exit"]), text(total["ready"]), text(total["throttled"]),
                     percent(total["ready"] + total["throttled"], length),
                     text(total["blocked"] + total["done"]),
                     percent(total["unknown"], length)]


def test_jobs(checked):
    """How released jobs ended."""
    rows = {row[0]: row[1:] for row in checked.report.rows("Jobs")}
    for v in checked.machine.vcpus:
        how = [job.how for job in v.jobs if job.released]
        if how or v.misses or v.throttles:
            assert rows.pop(v.name) == [str(n) for n in (
                len(how), how.count("done"), how.count("late"), how.count("cut"), v.misses,
                v.throttles)]
    assert not rows


@pytest.mark.parametrize("title,of", [
    ("Response times", lambda job: job.end - job.release if job.how == "done" else None),
    ("Start latencies", lambda job: job.start - job.release if job.start is not None else None)])
def test_times(checked, title, of):
    """Response times and start latencies, of released jobs and the others."""
    rows = {tuple(row[:2]): row[2:] for row in checked.report.rows(title)}
    for v in checked.machine.vcpus:
        for released, name in ((True, "released"), (False, "woken")):
            values = [of(job) for job in v.jobs if job.released == released]
            values = [value for value in values if value is not None]
            if values:
                checked.check_stat(rows.pop((v.name, name)), values)
    assert not rows


def test_interrupt_latencies(checked):
    """From an interrupt's arrival to its guest."""
    rows = {row[0]: row[1:] for row in checked.report.rows("Interrupt latencies")}
    for v in checked.machine.vcpus:
        if v.latencies:
            checked.check_stat(rows.pop(v.name), v.latencies)
    assert not rows


def test_misses(checked):
    """Each miss: when, of which job, how late, and who had the core until the deadline."""
    lines = checked.report.sections["Misses"]
    jobs = sorted((job for v in checked.machine.vcpus for job in v.jobs if job.missed),
                  key=lambda job: job.missed)
    assert lines[0] == f"Misses: {len(jobs)}"
    assert len(jobs) > 5
    found = [(a.strip(), b.strip()) for a, b in zip(lines[2::2], lines[3::2])]
    expected = [miss_text(checked, job) for job in jobs]
    for (first, second), (when, head, late, parts, because) in zip(found, expected):
        assert first.startswith(when + "  " + head), (first, when, head)
        assert late in first
        assert second.startswith(f"because {because}"), second
        listed = second.split("the core had:")[1].split(", ")
        assert sorted(part.strip() for part in listed) == sorted(parts)
        sizes = [float(part.split()[-2]) for part in listed]
        assert sizes == sorted(sizes, reverse=True)
    assert len(found) == len(expected)


def miss_text(checked, job):
    """What is said of a miss."""
    core = next(c for c in checked.machine.cores if job.v in c.vcpus)
    until = min(job.due, job.end)
    shares = core.shares(job.release, until)
    parts = []
    for (what, vm), ticks in shares.items():
        name = VMS[vm].name if vm is not None else ""
        text = {"guest": name + (" itself" if vm == job.v.vm else ""),
                "hyp": "hypervisor in exits of " + name if name else "hypervisor",
                "sleep": "asleep", "unknown": "unknown"}[what]
        parts.append(f"{text} {percent(ticks, until - job.release)}")
    late = checked.text(max(job.end - job.due, 0))
    how = {"done": f"done {late} late",
           "late": f"not done when the next one was released, {late} late",
           "cut": "when it was done is not in the trace"}[job.how]
    begun = "released" if job.released else "ready"
    return (checked.when(job.missed), f"{job.v.name}: job ",
            f"{begun} at {checked.when(job.release)}, due at {checked.when(job.due)}; {how}; "
            f"budget left {checked.text(job.left)}", parts, because(checked, job, shares))


def because(checked, job, shares):
    """What took most of the time."""
    until = min(job.due, job.end)
    no_budget = sum(max(min(to, until) - max(at, job.release), 0)
                    for at, to, state in job.v.spans if state == "throttled")
    own = shares.get(("guest", job.v.vm), 0)
    others = sum(ticks for (what, _), ticks in shares.items() if what == "guest") - own
    hyp = sum(ticks for (what, _), ticks in shares.items() if what == "hyp")
    if no_budget >= own and 2 * no_budget >= until - job.release:
        text, ticks = "it had no budget", no_budget
    elif own >= max(others, hyp):
        text, ticks = "it had the core", own
    else:
        text, ticks = ("the hypervisor" if hyp > others else "others") + " had the core", max(
            others, hyp)
    return f"{text} for {checked.text(ticks)} ({percent(ticks, until - job.release)})"


def test_exits(checked):
    """Exits by class: how many, and what they cost."""
    exits = [e for core in checked.machine.cores for e in core.exits]
    rows = {row[0]: row[1:] for row in checked.report.rows("Exits")}
    for name in {kind for kind, _, _, _ in exits}:
        mine = [e for e in exits if e[0] == name]
        costs = sorted(cost for _, _, cost, _ in mine if cost is not None)
        cells = rows.pop(name)
        assert cells[:3] == [str(len(mine)), str(sum(e[3] for e in mine)),
                             str(len(mine) - len(costs))]
        if costs:
            assert cells[3:5] == [checked.text(costs[0]), checked.text(sum(costs) // len(costs))]
            checked.check_rounded(cells[5], costs[(len(costs) * 99 + 99) // 100 - 1], costs[-1])
            assert cells[6:] == [checked.text(costs[-1]), checked.text(sum(costs)),
                                 percent(sum(costs), checked.length * CORES)]
    assert not rows


def test_calls(checked):
    """Hypercalls by name."""
    names = {0xc601: "KZ_HVC_SET_REALTIME_INFO", 0xc602: "KZ_HVC_JOB_DONE",
             0xc604: "KZ_HVC_INFO", 0x8400: "PSCI_VERSION", 0xc403: "PSCI_CPU_ON",
             0x8000: "SMCCC_VERSION"}
    rows = {row[0]: row[1:] for row in checked.report.rows("Calls")}
    for arg in model.CALLS:
        costs = [cost for core in checked.machine.cores for kind, a, cost, _ in core.exits
                 if kind == "hcall" and a == arg]
        assert rows.pop(names[arg]) == [str(len(costs)), *map(checked.text, (
            min(costs), sum(costs) // len(costs), max(costs), sum(costs)))]
    assert not rows


def test_interrupts(checked):
    """Interrupts by line and by whose they are."""
    rows = {}
    for line in checked.report.sections["Interrupts"][3:]:
        intid, _, to, taken, injected = re.split(r"  +", line.strip())
        rows[(int(intid), to)] = (int(taken), int(injected))
    expected = {}
    for core in checked.machine.cores:
        for key, count in core.irqs.items():
            expected[key] = (expected.get(key, (0, 0))[0] + count, 0)
    for core in checked.machine.cores:
        for key, count in core.injected.items():
            expected[key] = (expected.get(key, (0, 0))[0], count)
    assert rows == expected
