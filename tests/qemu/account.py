# SPDX-License-Identifier: Apache-2.0
"""QEMU's own account of what each core does: exceptions, and interrupts that are acknowledged.

Of `-d int` and of two events of its interrupt controllers, as they stand in one file in the order
in which they happened. A line that begins an exception names the CPU; those behind it belong to
it. A return from EL2 names none: they are counted."""

import re

import trace

ARGS = ["-d", "int", "-trace", "gicv3_icc_iar1_read", "-trace", "gic_acknowledge_irq"]

TAKEN = re.compile(r"Taking exception \d+ \[([^\]]*)\] on CPU (\d+)")
LEVELS = re.compile(r"\.\.\.from EL(\d) to EL(\d)")
ESR = re.compile(r"\.\.\.with ESR 0x[0-9a-f]+/0x([0-9a-f]+)")
FAR = re.compile(r"\.\.\.with FAR 0x([0-9a-f]+)")
ACK = re.compile(r"gicv3_icc_iar1_read .*cpu 0x([0-9a-f]+) value 0x([0-9a-f]+)|"
                 r"gic_acknowledge_irq cpu (\d+) acknowledged irq (\d+)")
RETURN = re.compile(r"Exception return from AArch64 EL2 to AArch64 EL[01] ")

# ESR_ELx.EC
EC_WFX, EC_FP, EC_HVC, EC_SMC, EC_SYSREG, EC_FETCH, EC_DATA = 1, 7, 0x16, 0x17, 0x18, 0x20, 0x24
ISS_SGI1R = 0x3a3016
INTERRUPTS = ("IRQ", "FIQ")


class Exception_:
    """One that was taken to EL2 from a guest; or, from EL2 itself, what was acknowledged there."""

    def __init__(self, kind):
        self.kind = kind
        self.esr = self.far = self.intid = None

    def expected(self, own, maint):
        """(class, arg) that its record has to have; None: QEMU does not say it. own: INTIDs that
        are the hypervisor's."""
        if self.kind in INTERRUPTS:
            assert self.intid is not None, "an interrupt that nobody acknowledged"
            cls = trace.MAINT if self.intid == maint else (
                trace.KICK if self.intid in own or self.intid >= 1020 else trace.IRQ)
            return cls, self.intid
        ec, iss = self.esr >> 26, self.esr & 0x1ffffff
        if ec == EC_DATA:
            return trace.MMIO, self.far >> 2 & 0xffff
        if ec == EC_SYSREG:
            if iss & ~(31 << 5) == ISS_SGI1R:
                return trace.SGI, None
            return trace.SYSREG, ((iss >> 20 & 3) << 14 | (iss >> 14 & 7) << 11 |
                                  (iss >> 10 & 15) << 7 | (iss >> 1 & 15) << 3 | (iss >> 17 & 7))
        cls = {EC_HVC: trace.HCALL, EC_SMC: trace.HCALL, EC_WFX: trace.WFX, EC_FP: trace.FP,
               EC_FETCH: trace.FAULT}.get(ec, trace.UNDEF)
        return cls, None if cls == trace.HCALL else 0


class Account:
    """A log, taken apart. events: of each core, in order; returns: from EL2 to a guest, of all."""

    def __init__(self, path, cores):
        self.events = [[] for _ in range(cores)]
        self.returns = 0
        self.inside = [True] * cores    # at EL2, or in its firmware
        self.last = [None] * cores      # an exception to EL2 whose interrupt is to be named
        self.foreign = [False] * cores  # an interrupt went to the guest itself
        self.now = None                 # the exception whose lines come
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                self.line(line)

    def line(self, line):
        """The next line."""
        if line.startswith("..."):
            self.detail(line)
        elif line.startswith("Taking"):
            kind, cpu = TAKEN.match(line).groups()
            self.now = (int(cpu), Exception_(kind))
        elif line.startswith("gic"):
            self.acknowledged(ACK.match(line))
        elif RETURN.match(line):
            self.returns += 1

    def detail(self, line):
        """What is said of the exception."""
        cpu, e = self.now
        match = LEVELS.match(line)
        if match:
            source, target = map(int, match.groups())
            self.foreign[cpu] = target == 1 and e.kind in INTERRUPTS
            if target == 2 and source < 2:
                self.events[cpu].append(e)
                self.last[cpu] = e if e.kind in INTERRUPTS else None
            assert target != 2 or source != 2, f"an exception at EL2: {e.kind}"
            return
        match = ESR.match(line)
        if match:
            e.esr = int(match.group(1), 16)
        match = FAR.match(line)
        if match:
            e.far = int(match.group(1), 16)

    def acknowledged(self, match):
        """An interrupt: of the exception before; else it was polled at EL2, or is the guest's."""
        if match is None:               # a virtual one
            return
        v3, value, v2, intid = match.groups()
        cpu, intid = (int(v3, 16), int(value, 16)) if v3 else (int(v2), int(intid) & 0x3ff)
        if self.foreign[cpu]:
            self.foreign[cpu] = False
        elif self.last[cpu] is not None:
            self.last[cpu].intid, self.last[cpu] = intid, None
        else:
            e = Exception_("poll")
            e.intid = intid
            self.events[cpu].append(e)
