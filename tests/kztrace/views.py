# SPDX-License-Identifier: Apache-2.0
"""Traces made here, with what they mean known beforehand: a machine with a simple scheduler."""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ktfile  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
KZTRACE = Path(os.environ.get("KZTRACE", ROOT / "build/host/kztrace")).resolve()

CHUNK = ktfile.CHUNK
NOBODY = ktfile.NOBODY
STATE, RUN, IDLE, WAKE = ktfile.STATE, ktfile.RUN, ktfile.IDLE, ktfile.WAKE
READY, BLOCK, RELEASE, DONE, THROTTLE, MISS, INJECT, START, OFF = range(8, 17)
VM_START, VM_STOP, VM_FAULT, PANIC = range(17, 21)
EXIT, QUICK = ktfile.EXIT, ktfile.QUICK
CLASSES = ktfile.CLASSES
HCALL, MMIO, SYSREG, FAULT, UNDEF, WFX, IRQ, MAINT, KICK, SGI, FP = range(11)
CALL_DONE = 0xc602	# KZ_TRACE_CALL of some call
HRT, SRT, NRT = range(3)
Vm, vcpu = ktfile.Vm, ktfile.vcpu


@dataclass
class Record:
    """struct kz_trace_record"""

    time: int
    type: int
    vcpu: int = 0
    arg: int = 0
    value: int = 0

    def pack(self):
        """Its 16 bytes."""
        return ktfile.record(self.time, self.type, self.vcpu, self.arg, self.value)


@dataclass
class Trace:
    """A machine's records, core by core."""

    vms: list
    cores: int
    hz: int = 1000000000
    records: list = field(default_factory=list)
    lost: dict = field(default_factory=dict)	# (core, index of a record in the list): how many

    def __post_init__(self):
        self.records = self.records or [[] for _ in range(self.cores)]

    def add(self, core, *args):
        """A record; the first one of a chunk is preceded by a STATE."""
        self.records[core].append(Record(*args))

    def parts(self, core, count=CHUNK):
        """(first index in the ring, records): a part ends at a chunk's end and where some lack."""
        part, start, index = [], 0, 0
        for i, record in enumerate(self.records[core]):
            gap = self.lost.get((core, i), 0)
            if part and (gap or len(part) == count):
                yield start, part
                part = []
            index += gap
            if not part:
                start = index
            part.append(record)
            index += 1
        if part:
            yield start, part

    def pack(self):
        """The file."""
        head = ktfile.pack_head(ktfile.pack_cfg(self.vms, self.cores), self.cores, self.hz)
        parts = [(part[0].time, core, first, part) for core in range(self.cores)
                 for first, part in self.parts(core)]
        parts.sort(key=lambda p: (p[0], p[1]))
        return head + b"".join(ktfile.pack_part(core, first, [r.pack() for r in part])
                               for _, core, first, part in parts)


class Core:
    """A core that takes turns: writes its records, and notes what they mean."""

    def __init__(self, trace, number, start):
        self.trace, self.number = trace, number
        self.now = start
        self.who = None		# the vCPU that executes
        self.spans = []		# (what, vcpu, from, to): what is run, hv, sleep, ready, throttled
        self.marks = []		# (what, vcpu, time, argument)
        self.waiting = {}	# vcpu: (state, since)
        self.trace.add(number, start, STATE, NOBODY, 1)

    def add(self, *args):
        """A record now."""
        self.trace.add(self.number, self.now, *args)

    def enter(self, kind, arg=0):
        """An exit of who executes, or the end of a sleep."""
        if self.who is None:
            self.marks.append(("irq", None, self.now, arg))
            self.add(WAKE, 0, arg)
        else:
            if kind in (IRQ, KICK, MAINT):
                self.marks.append(("irq", None, self.now, arg))
            self.add(EXIT + kind, 0, arg)
        self.entered = self.now

    def wait(self, who, state):
        """From now on who is in a state: ready, throttled or None."""
        old = self.waiting.pop(who, None)
        if old is not None and old[1] < self.now:
            self.spans.append((old[0], who, old[1], self.now))
        if state is not None:
            self.waiting[who] = (state, self.now)

    def leave(self, who, cost):
        """The exit ends behind cost: who executes, or None: sleep."""
        self.now = self.entered + cost
        self.spans.append(("hv", None, self.entered, self.now))
        if who is None:
            self.add(IDLE)
        else:
            self.wait(who, None)
            self.add(RUN, who)
        self.who = who

    def go(self, until):
        """Time passes."""
        assert until >= self.now
        if until > self.now:
            self.spans.append(("sleep" if self.who is None else "run", self.who, self.now, until))
        self.now = until

    def quick(self, kind, cost, arg=0):
        """A quick exit."""
        end = self.now + cost
        if kind in (IRQ, KICK, MAINT):
            self.marks.append(("irq", None, self.now, arg))
        self.add(QUICK + kind, 0, arg, end & 0xffffffff)
        self.spans.append(("hv", None, self.now, end))
        self.now = end


@dataclass
class Task:
    """A vCPU with a server: a job each period takes `work`, at most `budget`; in ticks."""

    who: int
    period: int
    work: int
    budget: int
    left: int = 0
    funds: int = 0
    due: int = 0
    release: int = 0


class Servers:
    """EDF of tasks over a vCPU that always wants to run, on one core."""

    def __init__(self, core, tasks, rest, cost=2000):
        self.core, self.tasks, self.rest, self.cost = core, tasks, rest, cost
        for task in tasks:
            task.release = core.now + task.period

    def pick(self):
        """Who is next."""
        able = [t for t in self.tasks if t.left > 0 and t.funds > 0]
        return min(able, key=lambda t: (t.due, t.who), default=None)

    def released(self, task):
        """A period of a task begins: its budget, and its job."""
        core = self.core
        if task.left > 0:
            core.add(MISS, task.who, 0, task.funds // 64)
            core.marks.append(("miss", task.who, core.now, None))
        task.funds, task.due = task.budget, core.now + task.period // 64 * 64
        task.left = task.left or task.work
        if core.who != task.who:
            core.add(READY, task.who, 1)
            core.wait(task.who, "ready")
        core.add(RELEASE, task.who, 0, task.period // 64)
        core.marks.append(("release", task.who, core.now, None))
        core.marks.append(("deadline", task.who, task.due, None))
        task.release += task.period

    def run(self, until):
        """Until then; the last records are those of the last exit before."""
        core = self.core
        core.entered = core.now
        core.leave(self.rest, self.cost)
        while True:
            current = next((t for t in self.tasks if t.who == core.who), None)
            stop = min(t.release for t in self.tasks)
            if current is not None:
                stop = min(stop, core.now + min(current.left, current.funds))
            stop = max(stop, core.now + 1)
            if stop >= until:
                core.go(until)
                return
            if current is not None:
                current.left -= stop - core.now
                current.funds -= stop - core.now
            core.go(stop)
            done = current is not None and current.left <= 0
            core.enter(HCALL if done else KICK, CALL_DONE if done else 26)
            before = core.who
            if done:
                core.add(DONE, current.who)
            elif current is not None and current.funds <= 0:
                core.add(THROTTLE, current.who)
                core.wait(current.who, "throttled")
            for task in self.tasks:
                if task.release <= core.now:
                    self.released(task)
            best = self.pick()
            winner = self.rest if best is None else best.who
            core.leave(winner, self.cost)
            gone = next((t for t in self.tasks if t.who == before), None)
            if before is not None and winner != before and before not in core.waiting and (
                    gone is None or gone.left > 0):
                core.wait(before, "ready")


def machine(milliseconds=100, hz=1000000000, start=123456789):
    """A trace of four cores and who did what: core 0 has servers, 1 sleeps and takes interrupts,
    2 has quick exits, 3 is a hard real-time VM's."""
    vms = [Vm("linux", (0, 1), NRT), Vm("vision", (0,), SRT, (4000000, 20000000, 20000000)),
           Vm("pulse", (0,), SRT, (2000000, 10000000, 10000000)), Vm("hello", (2,), NRT),
           Vm("servo", (3,), HRT)]
    trace = Trace(vms, 4, hz)
    cores = [Core(trace, n, start + 10 * n) for n in range(4)]
    ms = hz // 1000
    end = start + milliseconds * ms

    Servers(cores[0], [Task(vcpu(1), 20 * ms, 7 * ms, 4 * ms),
                       Task(vcpu(2), 10 * ms, 3 * ms // 2, 2 * ms)], vcpu(0)).run(end)
    c = cores[1]
    c.entered = c.now
    c.leave(None, 500)
    for i in range(milliseconds // 4):
        c.go(start + i * 4 * ms + ms)
        c.enter(IRQ, 27)
        c.add(READY, vcpu(0, 1))
        if i % 3 == 0:
            c.add(INJECT, vcpu(0, 1), 40)
            c.marks.append(("inject", vcpu(0, 1), c.now, 40))
        c.waiting[vcpu(0, 1)] = ("ready", c.now)
        c.leave(vcpu(0, 1), 700)
        c.go(c.now + ms + i * 1000)
        c.enter(WFX)
        c.add(BLOCK, vcpu(0, 1))
        c.leave(None, 300)
    c.go(end)
    c = cores[2]
    c.entered = c.now
    c.leave(vcpu(3), 500)
    for i in range(milliseconds * 20):
        c.go(max(c.now, start + i * ms // 20 + 100))
        c.quick(MMIO, 400, 0x40 + i % 8)
    c.go(end)
    c = cores[3]
    c.entered = c.now
    c.leave(vcpu(4), 500)
    c.go(end)
    return trace, cores, end


def kztrace(*args, **kwargs):
    """Run kztrace; what it printed is text."""
    return subprocess.run([KZTRACE, *map(str, args)], capture_output=True, text=True, timeout=300,
                          check=False, **kwargs)


def small_files():
    """For preexec_fn: no file becomes larger than 20000 bytes, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
