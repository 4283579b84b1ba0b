#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: stack.py OBJDUMP ELF LAYOUT.H SU-FOLDER

The deepest that the hypervisor's stacks get, from the instructions of the image itself: every
way from every entry is followed, with what each instruction does to SP. Fails if that is more
than a stack has, if a function can reach itself, if a frame's size is not constant, if there is
a branch whose targets are not known, or a function that no entry reaches (then a call was
missed). The compiler's account (-fstack-usage, *.su below the folder) must name the same frames.

EL2 runs with interrupts masked, so that the stacks hold one chain at a time; an exception from
EL2 itself is a bug, and goes on with a stack of its own.
"""

import re
import struct
import subprocess
import sys
from pathlib import Path

VECTORS = 16
VECTOR_SIZE = 0x80
# Of the table's first eight: from EL2 itself (vectors.S, slot_bug).
VECTORS_EL2 = 8
# Entries other than the vectors, and who goes there.
ENTRIES = {"_head": "boot", "secondary_entry": "secondary"}

# Calls that end at once: below the first function, the second one calls nobody.
SHORT = {
    # What policy_event tells is of a vCPU that is ready, throttled or done, its interrupt is a
    # private one, and sched_wake of who is not blocked returns in its second line.
    ("policy_event", "sched_wake"),
}

INSN = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{8}) ?\t(\S+)(?:\t(.*?))?(?:\s+//.*)?$")
SYMBOL = re.compile(r"^([0-9a-f]+) (.{7}) (\S+)\t([0-9a-f]+) +(?:\.hidden )?(\S+)$")
STOPS = ("eret", "udf", "hlt")


class Unsound(Exception):
    """What the method can't answer for."""


class Image:
    """An ELF file's instructions, symbols and constants."""

    def __init__(self, objdump, path):
        self.bytes = Path(path).read_bytes()
        self.code = {}
        for line in run(objdump, "-d", "-w", path):
            match = INSN.match(line)
            if match:
                self.code[int(match[1], 16)] = (match[3], match[4] or "")
        self.labels = {}        # address: name
        self.addresses = {}     # and back
        self.functions = {}     # address: (end, name), of C
        for line in run(objdump, "-t", path):
            match = SYMBOL.match(line)
            if not match or match[3] not in (".text", ".vectors"):
                continue
            at, size, name = int(match[1], 16), int(match[4], 16), match[5]
            if "F" in match[2]:
                self.functions[at] = (at + size, name)
            if not name.startswith(("$", ".")):
                self.labels.setdefault(at, name)
                self.addresses[name] = at

    def function_at(self, at):
        """The C function that the address lies in, as (start, end); None: assembly."""
        if not hasattr(self, "starts"):
            self.starts = sorted(self.functions)
        low, high = 0, len(self.starts)
        while low < high:
            middle = (low + high) // 2
            if self.starts[middle] <= at:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        start = self.starts[low - 1]
        end = self.functions[start][0]
        return (start, end) if at < end else None

    def name(self, at):
        """What an address is called."""
        if at in self.functions:
            return self.functions[at][1]
        if at in self.labels:
            return self.labels[at]
        below = max((a for a in self.labels if a <= at), default=None)
        return hex(at) if below is None else f"{self.labels[below]}+{at - below:#x}"

    def read(self, at, size):
        """Bytes of the loaded image at an address."""
        phoff, = struct.unpack_from("<Q", self.bytes, 32)
        count, = struct.unpack_from("<H", self.bytes, 56)
        for n in range(count):
            kind, _, offset, base, _, length = struct.unpack_from("<IIQQQQ", self.bytes,
                                                                  phoff + 56 * n)
            if kind == 1 and base <= at and at + size <= base + length:
                return self.bytes[offset + at - base:offset + at - base + size]
        raise Unsound(f"no bytes at {at:#x}")


def run(*command):
    """The lines that a command prints."""
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout.splitlines()


def target_of(args):
    """The address that a branch names."""
    return int(re.search(r"\b([0-9a-f]+)(?: <[^>]*>)?$", args)[1], 16)


def number(text):
    """#0x10 or #16; with `, lsl #12` behind it."""
    match = re.search(r"#(-?(?:0x)?[0-9a-f]+)(?:, lsl #(\d+))?$", text)
    if not match:
        raise Unsound(f"a number is expected: {text}")
    return int(match[1], 0) << int(match[2] or 0)


def sp_step(op, args):
    """How many bytes an instruction takes of the stack; None: SP gets another stack's address."""
    if re.match(r"(stp|str)$", op) and re.search(r"\[sp, #-[^\]]*\]!$", args):
        return -number(args[:-2])
    if re.match(r"(ldp|ldr)$", op) and re.search(r"\[sp\], #", args):
        return -number(args)
    if re.search(r"\[sp(, #[^\]]*)?\]!|\[sp\],", args):
        raise Unsound(f"SP changes in a way that is not known: {op} {args}")
    if not re.match(r"sp\b", args) or op in ("cmp", "cmn"):
        return 0
    match = re.match(r"sp, sp, (#.*)$", args)
    if op in ("add", "sub") and match:
        return number(match[1]) if op == "sub" else -number(match[1])
    if op in ("mov", "add"):
        return None
    raise Unsound(f"a frame whose size is not constant: {op} {args}")


class Walk:
    """The functions, each followed once: their frames, and whom they call how deep."""

    def __init__(self, image, short):
        self.image = image
        self.short = short
        self.calls = {}         # entry address: [(depth, callee)]
        self.frames = {}        # entry address: deepest of its own
        self.returns = {}       # entry address: it comes back
        self.resets = set()     # entry addresses that set SP
        self.path = []
        self.deepest = {}       # (entry address, who of SHORT is above): (bytes, [(name, bytes)])
        self.used = set()       # of SHORT

    def follow(self, entry):
        """A function from its first instruction; those that it calls first. Does it return?"""
        if entry in self.returns:
            return self.returns[entry]
        self.returns[entry] = True      # for who calls it below: depth refuses that
        calls, depths, work = [], {}, [(entry, 0, False)]
        state = {"frame": 0, "returns": False}
        while work:
            at, depth, moved = work.pop()
            if at in depths:
                if depths[at] != depth:
                    raise Unsound(f"{self.image.name(entry)}: {depth} or {depths[at]} bytes of "
                                  f"stack at {at:#x}")
                continue
            depths[at] = depth
            work += self.step(entry, at, depth, moved, calls, state)
        self.calls[entry], self.frames[entry] = calls, state["frame"]
        self.returns[entry] = state["returns"]
        return state["returns"]

    def step(self, entry, at, depth, moved, calls, state):
        """One instruction: where it may go on, as [(address, depth, SP was set)]."""
        if at not in self.image.code:
            raise Unsound(f"{self.image.name(entry)} goes on to {at:#x}, where no code is")
        op, args = self.image.code[at]
        step = sp_step(op, self.resolve(at, op, args))
        if step is None:
            if self.image.function_at(at) is not None:
                raise Unsound(f"{self.image.name(entry)}: a frame whose size is not constant: "
                              f"{op} {args} at {at:#x}")
            self.resets.add(entry)
            return [(at + 4, 0, True)]
        depth += step
        state["frame"] = max(state["frame"], depth)
        after = [(at + 4, depth, moved)]
        if op in STOPS:
            return []
        if op == "ret":
            if depth != 0:
                raise Unsound(f"{self.image.name(entry)} returns with {depth} bytes of stack")
            state["returns"] = True
            return []
        if op == "bl":
            calls.append((depth, target_of(args)))
            return after if self.follow(target_of(args)) else []
        if op == "b":
            return self.jump(entry, target_of(args), depth, moved, calls, state)
        if op.startswith("b.") or op in ("cbz", "cbnz", "tbz", "tbnz"):
            return after + self.jump(entry, target_of(args), depth, moved, calls, state)
        if op == "br":
            return [(t, depth, moved) for t in self.table(at)]
        if op in ("blr", "braa", "blraa", "drps"):
            raise Unsound(f"{self.image.name(entry)}: nobody knows whom {op} {args} at {at:#x} "
                          "calls")
        return after

    def resolve(self, at, op, args):
        """`sub sp, sp, x12` with the number that an instruction just before put there."""
        match = re.match(r"sp, sp, (x\d+)$", args)
        if match and op in ("add", "sub"):
            for n in range(1, 9):
                before, what = self.image.code.get(at - 4 * n, ("b", ""))
                if before == "mov" and what.startswith(f"{match[1]}, #"):
                    return f"sp, sp, {what.split()[1]}"
                if before.startswith(("b", "c", "t", "ret")) or match[1][1:] in what:
                    break
        return args

    def jump(self, entry, target, depth, moved, calls, state):
        """A branch inside a function, or to another one, which returns for this one."""
        here, there = self.image.function_at(entry), self.image.function_at(target)
        if target != entry and here != there or here is None and there is not None:
            calls.append((depth, target))
            state["returns"] |= self.follow(target)
            return []
        return [(target, depth, moved)]

    def table(self, at):
        """
        The targets of `br`: a switch's table, in the way that gcc and clang write it: the index
        is compared and what is above leaves, the table holds distances from an address here.
        """
        bounds = self.image.function_at(at)
        before = [self.image.code.get(at - 4 * n, ("", "")) for n in range(1, 12)]
        limit = base = entries = load = add = None
        for op, args in before:
            if op == "add" and add is None:
                add = re.match(r"(\w+), (\w+), (\w+)(?:, (\w+) #(\d+))?$", args)
            elif op.startswith("ldr") and load is None:
                load = (op, re.match(r"\w+, \[(x\d+), ", args))
            elif op == "adr":
                register, address = args.split(", ", 1)
                if load is None or load[1] is None or register != load[1][1]:
                    base = base or target_of(address)
                else:
                    entries = entries or target_of(address)
            elif op == "cmp" and limit is None and "#" in args:
                limit = number(args)
        if None in (limit, base, entries, add) or load is None or bounds is None:
            raise Unsound(f"{self.image.name(bounds[0] if bounds else at)}: nobody knows where "
                          f"br at {at:#x} leads")
        size, signed = {"ldrb": (1, "sxtb" in add[0]), "ldrh": (2, "sxth" in add[0]),
                        "ldrsw": (4, True), "ldr": (4, True)}[load[0]]
        shift = int(add[5] or 0)
        found = set()
        for n in range(limit + 1):
            word = int.from_bytes(self.image.read(entries + size * n, size), "little",
                                  signed=signed)
            found.add(base + (word << shift))
        if not all(bounds[0] <= t < bounds[1] for t in found):
            raise Unsound(f"the table of br at {at:#x} leads out of its function")
        return found

    def depth(self, entry, above=frozenset()):
        """The deepest below a function: bytes, and the chain; `above`: who of SHORT is."""
        name = self.image.name(entry)
        if (entry, above) in self.path:
            names = [self.image.name(a) for a, _ in self.path[self.path.index((entry, above)):]]
            raise Unsound("recursion: " + " > ".join([*names, name]))
        known = self.deepest.get((entry, above))
        if known is not None:
            return known
        best = (self.frames[entry], [(name, self.frames[entry])])
        cuts = {(who, name) for who in above} & self.short
        self.used |= cuts
        self.path.append((entry, above))
        below_here = above | {who for who, _ in self.short if who == name}
        for at, callee in () if cuts else self.calls[entry]:
            below, chain = self.depth(callee, below_here)
            if at + below > best[0]:
                best = (at + below, [(name, at), *chain])
        self.path.pop()
        self.deepest[entry, above] = best
        return best


def constants(path):
    """#define NAME NUMBER of a header."""
    text = Path(path).read_text(encoding="utf-8")
    return {name: int(value, 0) for name, value in
            re.findall(r"^#define\s+(\w+)\s+(0x[0-9a-fA-F]+|\d+)\b", text, re.MULTILINE)}


def entries_of(image, layout):
    """Who comes in where: {what: ([addresses], bytes of its stack)}."""
    at = image.addresses
    stack = layout["PERCPU_DATA"] - layout["PERCPU_GUARD"]
    vectors = [at["vectors"] + VECTOR_SIZE * n for n in range(VECTORS)]
    for n, address in enumerate(vectors):
        image.labels[address] = f"vector {n}"
    found = {what: ([at[name]], stack) for name, what in ENTRIES.items()}
    found["guest"] = (vectors[VECTORS_EL2:], stack)
    found["panic"] = (vectors[:VECTORS_EL2], layout["PANIC_ROOM"])
    return found


def compiler_frames(folder):
    """{function: set of frame sizes} of all *.su, and what is not a constant frame."""
    frames, errors = {}, []
    for path in sorted(Path(folder).rglob("*.su")):
        for line in path.read_text(encoding="utf-8").splitlines():
            where, size, kind = line.split("\t")
            name = where.rsplit(":", 1)[1]
            frames.setdefault(name.split(".")[0], set()).add(int(size))
            if kind != "static":
                errors.append(f"{where}: a frame whose size is not constant ({kind})")
    return frames, errors


def compare(walk, frames):
    """The functions of C against the compiler's account."""
    errors = []
    for at, (_, name) in sorted(walk.image.functions.items()):
        if at not in walk.frames:
            errors.append(f"{name}: no entry reaches it: who calls it?")
        elif walk.frames[at] not in frames.get(name.split(".")[0], ()):
            errors.append(f"{name}: {walk.frames[at]} bytes by its instructions, "
                          f"{sorted(frames.get(name.split('.')[0], ()))} by -fstack-usage")
    return errors


def check(image, layout, frames, short):
    """All of it: what to print, and the errors."""
    lines, errors = [], []
    walk = Walk(image, short)
    for what, (addresses, room) in entries_of(image, layout).items():
        worst = (0, [])
        for address in addresses:
            walk.follow(address)
            worst = max(walk.depth(address), worst, key=lambda found: found[0])
        lines.append(f"stack: {what}: {worst[0]} of {room} bytes: " +
                     " > ".join(f"{name} {size}" for name, size in worst[1]))
        if worst[0] > room:
            errors.append(f"{what}: {worst[0]} bytes of stack, and there are {room}")
    for entry in walk.resets:
        inside = image.function_at(entry)
        if inside is not None:
            errors.append(f"{image.name(entry)}: sets SP")
    errors += [f"SHORT: {a} no longer calls {b}" for a, b in short - walk.used]
    return lines, errors + compare(walk, frames)


def main():
    """Checks one image."""
    objdump, elf, layout, folder = sys.argv[1:]
    frames, errors = compiler_frames(folder)
    image = Image(objdump, elf)
    try:
        lines, more = check(image, constants(layout), frames, SHORT)
    except Unsound as why:
        lines, more = [], [str(why)]
    print("\n".join(lines + errors + more))
    print(f"stack: {len(image.functions)} functions, {len(errors + more)} errors")
    return 1 if errors + more else 0


if __name__ == "__main__":
    sys.exit(main())
