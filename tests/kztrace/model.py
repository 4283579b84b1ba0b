# SPDX-License-Identifier: Apache-2.0
"""
A machine that plays dice. It knows what its cores and vCPUs do because it decides it; the trace
is what it says about that. What a report must say is counted here from the decisions, not from
the records. Times are ticks.
"""

from ktfile import (BLOCK, CHUNK, DONE, EXIT, IDLE, INJECT, MISS, NOBODY, QUICK, READY, RELEASE,
                    RUN, START, STATE, THROTTLE, WAKE, Ring, class_of, vcpu)

QUICK_CLASSES = ("hcall", "mmio", "sysreg", "irq", "fp", "sgi")
CALLS = (0xc601, 0xc602, 0xc604, 0x8400, 0xc403, 0x8000)
OWN_PPI = 27


class Job:
    """From a release, or from when its vCPU was ready."""

    def __init__(self, v, at, due, released):
        self.v, self.release, self.due, self.released = v, at, due, released
        self.start = self.end = self.how = self.missed = None
        self.left = 0


class Vcpu:
    """What one does: spans of states, jobs, latencies."""

    def __init__(self, vm, index, name, server, irqs):
        self.id, self.name, self.server = vcpu(vm, index), name, server
        self.vm, self.irqs = vm, irqs
        self.state, self.since = "unknown", None
        self.spans = []
        self.jobs, self.job, self.due = [], None, None
        self.latencies, self.arrived = [], None
        self.throttles = self.misses = 0

    def set(self, state, at):
        """It is in another state from now on."""
        if self.since is not None and at > self.since:
            self.spans.append((self.since, at, self.state))
        self.state, self.since = state, at

    def open(self, at, released):
        """A job begins."""
        due = self.due if self.due is not None and (released or self.due > at) else None
        self.job = Job(self, at, due, released)

    def close(self, at, how):
        """The job, if there is one, is over."""
        if self.job is not None:
            self.job.end, self.job.how = at, how
            self.jobs.append(self.job)
            self.job = None

    def total(self, state):
        """The time in a state."""
        return sum(to - at for at, to, s in self.spans if s == state)


class Core:
    """One core: its vCPUs, its ring, and what it did."""

    def __init__(self, number, vcpus, rng, begin, first, owners):
        self.number, self.vcpus, self.rng = number, vcpus, rng
        self.owners = owners        # of SPIs: the VM's name
        self.ring = Ring(number, first)
        self.t = self.since = begin
        self.what, self.guest = "unknown", None
        self.spans = []             # (from, to, what, vcpu of guest or exit)
        self.exits = []             # (class, arg, cost, quick)
        self.irqs = {}              # (intid, to) -> count
        self.injected = {}
        self.entered = self.exit = None

    def rec(self, kind, who=0, arg=0, value=0, at=None):
        """A record; before the first of a chunk, what the core does."""
        time = self.t if at is None else at
        if self.ring.next % CHUNK == 0:
            arg0 = {"guest": 0, "hyp": 1, "sleep": 2}[self.what]
            self.ring.add(time, STATE, NOBODY if self.guest is None else self.guest.id, arg0)
        self.ring.add(time, kind, who, arg, value)

    def become(self, what, who=None):
        """The core does something else from now on."""
        if self.t > self.since:
            self.spans.append((self.since, self.t, self.what,
                               self.guest if self.what == "guest" else
                               self.exit[2] if self.what == "hyp" else None))
        self.since, self.what = self.t, what
        if what == "guest":
            self.guest = who

    def dice(self, low, high):
        """Time passes."""
        self.t += self.rng.randint(low, high)

    def of(self, *states, server=None):
        """Its vCPUs that are in one of the states, in an order that nobody knows."""
        found = [v for v in self.vcpus if v.state in states and
                 (server is None or bool(v.server) == server)]
        self.rng.shuffle(found)
        return found

    # ---- Exits ----

    def taken(self, kind, arg, who):
        """An interrupt was taken: whose is it?"""
        if kind in ("kick", "maint"):
            to = "hypervisor"
        elif arg >= 32:
            to = self.owners.get(arg, "a guest")
        elif kind == "irq":
            to = who.name
        else:
            to = "a guest" if arg == OWN_PPI else "hypervisor"
        self.irqs[(arg, to)] = self.irqs.get((arg, to), 0) + 1

    def is_own(self, kind, arg):
        """Does the interrupt belong to the guest that it interrupts?"""
        return kind == "irq" and (arg < 32 or arg in self.guest.irqs)

    def quick(self):
        """A whole exit in one record."""
        kind = self.rng.choice(QUICK_CLASSES)
        arg = {"hcall": self.rng.choice(CALLS), "irq": OWN_PPI}.get(kind, self.rng.randint(0, 99))
        begin = self.t
        v = self.guest
        self.exit = (kind, arg, v)
        self.become("hyp")
        v.set("exit", self.t)
        if self.is_own(kind, arg):
            v.arrived = self.t if v.arrived is None else v.arrived
        self.dice(0, 500)
        self.exits.append((kind, arg, self.t - begin, True))
        if kind == "irq":
            self.taken(kind, arg, v)
        self.rec_quick(kind, arg, begin)
        self.become("guest", v)
        v.set("running", self.t)
        self.started(v)

    def rec_quick(self, kind, arg, begin):
        """Its record is written at its end; until then the guest executed, for the ring."""
        what, self.what = self.what, "guest"
        self.rec(QUICK + class_of(kind), 0, arg, self.t, at=begin)
        self.what = what

    def enter(self, kind, arg):
        """An exit, or a sleep's end, begins."""
        if kind == "wake":
            self.rec(WAKE, 0, arg)
            self.exit = ("wake", arg, None)
        else:
            self.rec(EXIT + class_of(kind), 0, arg)
            self.exit = (kind, arg, self.guest)
        self.become("hyp")
        self.entered = self.t
        if kind != "wake":
            if self.is_own(kind, arg) and self.guest.arrived is None:
                self.guest.arrived = self.t
            self.guest.set("exit", self.t)
        if kind in ("irq", "kick", "maint", "wake"):
            self.taken(kind, arg, self.guest)
        self.dice(1, 300)

    def leave(self):
        """Somebody who can executes; or the core sleeps."""
        self.dice(1, 300)
        can = self.of("ready", "exit")
        self.exits.append((self.exit[0], self.exit[1], self.t - self.entered, False))
        if not can:
            self.rec(IDLE)
            self.become("sleep")
            return
        v = can[0]
        self.rec(RUN, v.id)
        self.become("guest", v)
        for other in can[1:]:
            if other.state == "exit":
                other.set("ready", self.t)
        v.set("running", self.t)
        self.started(v)

    def started(self, v):
        """v's guest executes."""
        if v.job is not None and v.job.start is None:
            v.job.start = self.t
        if v.arrived is not None:
            v.latencies.append(self.t - v.arrived)
            v.arrived = None

    # ---- What happens in an exit ----

    def wake(self, v, told=True):
        """An interrupt for v, which waits. Not told: its RUN, which is next, implies it."""
        v.arrived = max(self.entered, v.since)
        at = self.t if told else v.arrived
        v.set("ready", at)
        if told:
            self.rec(READY, v.id, 0)
        if v.server and told and self.rng.random() < 0.7:
            self.dice(0, 20)
            self.release(v)
        else:
            v.open(at, False)

    def release(self, v):
        """v's server releases a job."""
        value = self.rng.randint(10, 600)
        if v.job is not None:
            v.close(self.t, "late")
        v.due = self.t + 64 * value
        v.open(self.t, True)
        self.rec(RELEASE, v.id, 0, value)

    def miss_all(self):
        """The hypervisor sees deadlines that have passed."""
        for v in self.vcpus:
            j = v.job
            if j is not None and j.due is not None and j.missed is None and self.t >= j.due:
                j.missed, j.left = self.t, 64 * self.rng.choice((0, 0, 5, 70))
                v.misses += 1
                self.rec(MISS, v.id, 0, j.left // 64)
                self.dice(0, 20)

    def period(self):
        """A period ends: of one that waits for that, or of one that is not done."""
        waits = self.of("throttled", "done")
        busy = self.of("ready", "exit", server=True)
        if waits:
            v = waits[0]
            self.release(v)
            self.dice(0, 10)
            v.set("ready", self.t)
            self.rec(READY, v.id, 1)
        elif busy:
            self.release(busy[0])

    def from_sleep(self):
        """The core sleeps; something ends that."""
        self.dice(1, 30000)
        self.enter("wake", self.rng.choice((26, OWN_PPI, 48, 60)))
        self.miss_all()
        blocked = self.of("blocked")
        if self.of("throttled", "done") and (not blocked or self.rng.random() < 0.5):
            self.period()
        elif blocked:
            self.wake(blocked[0])
        self.leave()

    def from_guest(self):
        """Its guest executes; something ends that."""
        self.dice(1, 20000)
        v = self.guest
        what = self.rng.choice(("quick",) * 6 + ("block", "done", "throttle", "period", "irq",
                                                 "irq", "long", "inject", "implied", "late"))
        if what == "quick":
            self.quick()
            return
        blocked = self.of("blocked")
        self.enter(*{"block": ("wfx", 0), "done": ("hcall", 0xc602), "throttle": ("kick", 26),
                     "period": ("kick", 26), "long": ("mmio", 77), "inject": ("sgi", 0x13),
                     "late": ("kick", 26), "implied": ("irq", 60),
                     "irq": ("irq", self.rng.choice((48, 60, 61, OWN_PPI)))}[what])
        if what in ("period", "late"):
            self.miss_all()
        if what == "block":
            v.close(self.t, "done")
            self.rec(BLOCK, v.id)
            v.set("blocked", self.t)
        elif what == "done":
            v.close(self.t, "done")
            self.rec(DONE, v.id)
            v.set("done" if v.server else "ready", self.t)
            if not v.server:
                v.open(self.t, False)
        elif what == "throttle" and v.server:
            self.throttle(v)
        elif what == "period":
            self.period()
        elif what == "irq" and blocked:
            self.wake(blocked[0])
        elif what == "late" and blocked and blocked[0].server:
            blocked[0].arrived = max(self.entered, blocked[0].since)
            self.throttle(blocked[0])
        elif what == "implied" and blocked:
            self.implied(blocked[0])
            return
        elif what == "inject":
            other = self.rng.choice(self.vcpus)
            self.rec(INJECT, other.id, 3)
            key = (3, other.name)
            self.injected[key] = self.injected.get(key, 0) + 1
        self.leave()

    def throttle(self, v):
        """v has no budget."""
        v.throttles += 1
        self.rec(THROTTLE, v.id)
        v.set("throttled", self.t)

    def implied(self, v):
        """v, which waited, executes; that it was ready is not told."""
        self.wake(v, told=False)
        for other in self.of("exit"):
            self.dice(0, 9)
            other.set("ready", self.t)      # ends where RUN begins: the same time
        self.exits.append((self.exit[0], self.exit[1], self.t - self.entered, False))
        self.rec(RUN, v.id)
        self.become("guest", v)
        v.set("running", self.t)
        self.started(v)

    # ---- All ----

    def play(self, end):
        """From its first record to about `end`."""
        for v in self.vcpus:
            v.set("unknown", self.since)
        self.what, first = "hyp", self.t
        self.ring.add(self.t, STATE, NOBODY, 1)
        self.entered, self.exit = first, ("other", 0, None)
        for v in self.vcpus:
            self.dice(1, 50)
            self.rec(START, v.id, 0, 1)
            self.rec(READY, v.id, 2)
            v.set("ready", self.t)
            v.open(self.t, False)
        if not self.vcpus:
            self.rec(IDLE)
            self.become("sleep")
            self.exits.append(("other", 0, None, False))
            return
        self.leave()
        self.exits[-1] = ("other", 0, None, False)
        while self.t < end:
            if self.what == "sleep":
                self.from_sleep()
            else:
                self.from_guest()

    def finish(self, end):
        """The trace ends. A ring that ends with a chunk may have been stopped."""
        last = self.t
        goes_on = self.ring.next % CHUNK not in (0, CHUNK - 1)
        if goes_on:
            self.t = end
        self.become("unknown")
        self.t = end
        self.become("unknown")
        for v in self.vcpus:
            at = end if goes_on else last
            v.close(at, "cut")
            v.set("unknown", at)
            v.set("end", end)

    def total(self, what):
        """The time that it did something."""
        return sum(to - at for at, to, w, _ in self.spans if w == what)

    def shares(self, begin, end):
        """Who had it between two moments: {("guest", vm): ticks, ...}."""
        found = {}
        for at, to, what, who in self.spans:
            ticks = min(to, end) - max(at, begin)
            if ticks > 0:
                key = (what, who.vm if who is not None else None)
                found[key] = found.get(key, 0) + ticks
        return found


class Machine:
    """Cores with the vCPUs of the VMs; plays at once."""

    def __init__(self, vms, core_count, rng, begin=1000000, length=2000000):
        self.vcpus = []
        self.cores = []
        for i, vm in enumerate(vms):
            for k, core in enumerate(vm.cores):
                name = vm.name if len(vm.cores) == 1 else f"{vm.name}/{k}"
                self.vcpus.append((core, Vcpu(i, k, name, vm.server, vm.irqs)))
        for core in range(core_count):
            mine = [v for c, v in self.vcpus if c == core]
            first = rng.choice((0, 5, CHUNK, 3 * CHUNK - 3))
            self.cores.append(Core(core, mine, rng, begin + rng.randint(0, 5000), first,
                                   {intid: vm.name for vm in vms for intid in vm.irqs}))
        self.begin = min(core.t for core in self.cores)
        for core in self.cores:
            core.spans.append((self.begin, core.t, "unknown", None))
            for v in core.vcpus:
                v.set("unknown", self.begin)
                v.since = self.begin
            core.play(begin + length)
        self.end = max(core.t for core in self.cores)
        for core in self.cores:
            core.finish(self.end)
        self.vcpus = [v for _, v in self.vcpus]
