# SPDX-License-Identifier: Apache-2.0
"""The ways through the hypervisor that paths.c recorded: their classes, and who called whom."""

import re
from collections import Counter

from hvcode import KINDS

CALLS = {
    0x84000000: "PSCI_VERSION", 0x84000001: "CPU_SUSPEND", 0xc4000001: "CPU_SUSPEND",
    0x84000002: "CPU_OFF", 0x84000003: "CPU_ON", 0xc4000003: "CPU_ON",
    0xc4000004: "AFFINITY_INFO", 0x84000008: "SYSTEM_OFF", 0x84000009: "SYSTEM_RESET",
    0x8400000a: "PSCI_FEATURES", 0x80000000: "SMCCC_VERSION",
    0xc6000001: "KZ_SET_REALTIME_INFO", 0xc6000002: "KZ_JOB_DONE", 0xc6000003: "KZ_NOTIFY",
    0xc6000004: "KZ_INFO", 0xc5000020: "PV_TIME_FEATURES", 0xc5000021: "PV_TIME_ST",
}
# op0, op1, CRn, CRm, op2 (DDI 0487 D19).
SYSREGS = {
    (3, 0, 12, 11, 5): "ICC_SGI1R_EL1", (3, 0, 12, 11, 1): "ICC_DIR_EL1",
    (3, 0, 12, 12, 4): "ICC_CTLR_EL1", (3, 0, 4, 6, 0): "ICC_PMR_EL1",
    (3, 0, 0, 7, 0): "ID_AA64MMFR0_EL1", (3, 0, 0, 4, 0): "ID_AA64PFR0_EL1",
    (3, 0, 1, 0, 1): "ACTLR_EL1", (2, 0, 0, 2, 2): "MDSCR_EL1",
}
# Where the virtual platform of QEMU's virt board has its frames: (base, size, prefix).
FRAMES = ((0x08000000, 0x10000, "GICD"), (0x080a0000, 0x20000, "GICR"),
          (0x080c0000, 0xf40000, "GICR of another"), (0x09000000, 0x1000, "UART"))
# Offset, size of an entry, name; the last one that begins at or before.
GIC = ((0x000, 0, "CTLR"), (0x004, 0, "TYPER"), (0x008, 0, "IIDR"), (0x080, 4, "IGROUPR"),
       (0x100, 4, "ISENABLER"), (0x180, 4, "ICENABLER"), (0x200, 4, "ISPENDR"),
       (0x280, 4, "ICPENDR"), (0x300, 4, "ISACTIVER"), (0x380, 4, "ICACTIVER"),
       (0x400, 4, "IPRIORITYR"), (0x800, 4, "ITARGETSR"), (0xc00, 4, "ICFGR"), (0xd00, 0, "?"),
       (0xf00, 0, "SGIR"), (0xf10, 4, "CPENDSGIR"), (0xf20, 4, "SPENDSGIR"), (0xf30, 0, "?"),
       (0x6000, 8, "IROUTER"), (0x8000, 0, "?"))
UART = {0x0: "DR", 0x18: "FR", 0x38: "IMSC", 0x3c: "RIS", 0x44: "ICR"}
RD = {0x0: "CTLR", 0x4: "IIDR", 0x8: "TYPER", 0xc: "TYPER", 0x14: "WAKER"}
# The SGIs that tests/guests/paths.c sends.
SGIS = {0: "to nobody", 1: "to itself", 2: "to the other vCPU"}
INTIDS = {0: "call of another core", 1: "call of another core (shared)", 25: "GIC maintenance",
          26: "our timer", 27: "virtual timer", 30: "physical timer", 33: "console's UART"}


def gic_register(offset):
    """The name of a distributor's register."""
    start, size, name = [entry for entry in GIC if entry[0] <= offset][-1]
    return name + (str((offset - start) // size) if size else "")


def address_name(at):
    """What lies at a guest's address."""
    for base, size, prefix in FRAMES:
        offset = at - base
        if 0 <= offset < size:
            if prefix == "UART":
                return f"UART {UART.get(offset, hex(offset))}"
            if prefix.startswith("GICR") and offset % 0x20000 < 0x10000:
                return f"{prefix}_{RD.get(offset % 0x20000, hex(offset))}"
            return f"{prefix}_{gic_register(offset & 0xffff)}"
    return f"{at:#x}"


def exit_name(vector, esr, about, intid):
    """What made the guest leave, in words."""
    if vector % 4 in (1, 2):
        return "interrupt: " + ("none" if intid >= 1020 else
                                INTIDS.get(intid, f"INTID {intid}"))
    if vector % 4 == 3:
        return "SError"
    ec, iss = esr >> 26 & 0x3f, esr & 0x1ffffff
    if ec in (0x16, 0x17):
        return f"{'HVC' if ec == 0x16 else 'SMC'} {CALLS.get(about, 'unknown')}"
    if ec == 0x18:
        reg = (iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15, iss >> 1 & 15, iss >> 17 & 7)
        name = SYSREGS.get(reg) or "S{}_{}_C{}_C{}_{}".format(*reg)
        if name == "ICC_SGI1R_EL1":
            name += f", {SGIS.get(about, 'SGI')}"
        return f"{'read' if iss & 1 else 'write'} {name}"
    if ec == 0x24:
        name = address_name(about & (1 << 56) - 1)
        if name == "GICD_SGIR":
            name += f", {SGIS.get(about >> 56, 'SGI')}"
        return f"{'write' if iss & 0x40 else 'read'} {name}"
    return {0x01: "WFE" if iss & 1 else "WFI", 0x07: "FP registers"}.get(ec, f"EC {ec:#x}")


class Frame:
    """A function on a way, with what it executed itself and what the functions in it did."""

    def __init__(self, name):
        self.name = name
        self.own = 0
        self.kinds = Counter()
        self.inner = {}

    def child(self, name):
        """The function in it, new or not."""
        return self.inner.setdefault(name, Frame(name))

    def total(self):
        """Instructions, with all that is in it."""
        return self.own + sum(frame.total() for frame in self.inner.values())

    def mix(self):
        """Instructions by kind, with all that is in it."""
        return sum((frame.mix() for frame in self.inner.values()), Counter(self.kinds))

    def depth(self):
        """Of it and what is in it."""
        return 1 + max((frame.depth() for frame in self.inner.values()), default=0)


class Way:
    """One way, gone `count` times."""

    def __init__(self, code, line):
        word = [int(w, 16) for w in line.split()]
        vector, esr, about, intid, another, self.cut, self.count, self.total = word[:8]
        self.name = exit_name(vector, esr, about, intid) + (" → another vCPU" if another else "")
        self.code = code
        self.runs = list(zip(word[8::2], word[9::2]))
        assert self.cut or sum(n for _, n in self.runs) == self.total, line

    def insns(self):
        """Instruction by instruction."""
        for first, count in self.runs:
            yield from self.code.insns[first:first + count]

    def mix(self):
        """Instructions by kind."""
        return Counter(insn.kind for insn in self.insns())

    def own(self):
        """Instructions by the innermost function, inlined ones too."""
        return Counter(insn.chain()[-1] for insn in self.insns())

    def after_wait(self):
        """Instructions behind the last WFI of ours, or None."""
        last = None
        for i, insn in enumerate(self.insns()):
            last = i if insn.text == "wfi" else last
        return None if last is None else self.total - last - 1

    def tree(self):
        """
        Who called whom. A jump from a function to another one is shown as a call in its tail,
        which it is in C; between labels of one assembly file it is none.
        """
        root = Frame(self.name)
        stack = []      # [(function, address that its return goes to, names of its callers)]
        last = None
        for insn in self.insns():
            name = insn.function()
            if last is None:
                stack.append((name, None, []))
            elif last.is_call():
                stack.append((name, last.at + 4, stack[-1][2] + last.chain()))
            elif name != stack[-1][0]:
                depth = next((i for i, frame in enumerate(stack) if frame[1] == insn.at), None)
                if depth is not None:
                    del stack[depth:]
                else:
                    stack.append((name, stack[-1][1], stack[-1][2] + last.chain()))
            frame = root
            for part in stack[-1][2] + insn.chain():
                frame = frame.child(part)
            frame.own += 1
            frame.kinds[insn.kind] += 1
            last = insn
        return root


class Class:
    """All ways of one exit class, the commonest first."""

    def __init__(self, name, ways):
        self.name = name
        self.ways = sorted(ways, key=lambda way: (-way.count, way.total))
        self.count = sum(way.count for way in ways)

    def lengths(self):
        """min, p50, max of the instructions."""
        ordered = sorted(self.ways, key=lambda way: way.total)
        seen = 0
        for way in ordered:
            seen += way.count
            if 2 * seen >= self.count:
                return ordered[0].total, way.total, ordered[-1].total
        raise AssertionError(self.name)


def classes_of(code, text):
    """What the plugin wrote, by class, in the order in which they came first."""
    found = {}
    for line in text.splitlines():
        way = Way(code, line)
        found.setdefault(way.name, []).append(way)
    return [Class(name, ways) for name, ways in found.items()]


def barriers_of(classes):
    """{(place, line): (text, [classes])} of each barrier on any way: where it was asked for."""
    found = {}
    for cls in classes:
        for insn in {insn for way in cls.ways for insn in way.insns() if insn.kind == "barrier"}:
            place = next((frame for frame in insn.frames
                          if not re.search(r"(barrier|gic_quick)\.h$", frame[1]) or
                          frame[0] not in ("isb", "dsb_sy", "dsb_ish", "dsb_ishst",
                                           "barrier_publish")), insn.frames[-1])
            found.setdefault((place[1], place[2]), (insn.text, []))[1].append(cls.name)
    return found


def mix_text(mix):
    """In words, without what there is none of."""
    return ", ".join(f"{mix[kind]} {kind}" for kind in KINDS if mix[kind])
