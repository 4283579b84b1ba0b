# SPDX-License-Identifier: Apache-2.0
"""How long the hypervisor keeps interrupts masked, in instructions, over all machines of a session.

A stretch begins where a guest is left, behind a WFI, or where interrupts are polled between
the steps of a long work; it ends with ERET, with WFI, or where they are polled next.
tools/plugins/masked.c counts; here is what it is told, and what becomes of its figures. Its
longest stretch of each path is held against bench/budget.masked.

Usage: masked.py FOLDER     the table of what a session left there
"""

import itertools
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "build/host/masked.so"
BUDGET = Path(os.environ.get("MASKED_BUDGET", ROOT / "bench/budget.masked"))
ELVES = (ROOT / "build/arm64/kizami.elf", ROOT / "build/clang/arm64/kizami.elf")
ADDR2LINE = "aarch64-linux-gnu-addr2line"
NUMBER = itertools.count()
# Behind the Image header, the entry, and the one word of the text that is written.
COMPARED = 0x150

# As in masked.c.
VCPUS, PATHS, FUNCTIONS, INSNS = 16, 32, 768, 32768
KINDS = ("entry", "sync", "irq", "serror", "poll", "wake")
NONE, SYNC, IRQ, SERROR, POLL, WFI, ERET, SPIN = range(8)
LONGEST = struct.Struct(f"<QQ{FUNCTIONS}I")

SLOTS = {8: SYNC, 9: IRQ, 10: IRQ, 11: SERROR, 12: SYNC, 13: IRQ, 14: IRQ, 15: SERROR}
OP_ERET, OP_WFI = 0xd69f03e0, 0xd503207f


def is_poll(word, names):
    """MRS of ISR_EL1, which says that there is nothing; of ICC_IAR1_EL1, or a load from GICC_IAR's
    offset: what was pending is taken."""
    ack = word & ~31 == 0xd538cc00 or word & 0xfffffc00 == 0xb9400c00
    return word & ~31 == 0xd538c100 or (ack and bool(names & {"gic_ack", "trap_irq_el2"}))


class Budgets:
    """bench/budget.masked: a function and its instructions a line; "other" is the rest."""

    def __init__(self):
        self.of = {}
        for line in BUDGET.read_text().splitlines():
            if line and not line.startswith("#"):
                name, limit = line.split()
                self.of[name] = int(limit)
        assert "other" in self.of and len(self.of) <= PATHS, BUDGET

    def paths(self):
        """The paths' names; "other" is number 0."""
        return ["other", *(name for name in self.of if name != "other")]


class Elf:
    """The hypervisor's text: words, and the functions that each is part of."""

    def __init__(self, path):
        self.path = path
        data = path.read_bytes()
        self.key = f"{zlib.crc32(data):08x}"
        phoff, = struct.unpack_from("<Q", data, 32)
        offset, self.base, _, size = struct.unpack_from("<QQQQ", data, phoff + 8)
        self.text = data[offset:offset + size]
        self.words = struct.unpack(f"<{size // 4}I", self.text)

    def is_in(self, image):
        """Is it this hypervisor that the image begins with?"""
        with open(image, "rb") as f:
            return f.read(len(self.text))[COMPARED:] == self.text[COMPARED:]

    def vectors(self):
        """Where the table of vectors begins."""
        out = subprocess.run(["aarch64-linux-gnu-nm", self.path], capture_output=True, text=True,
                             check=True).stdout
        return int(re.search(r"^(\w+) \w vectors$", out, re.MULTILINE).group(1), 16)

    def chains(self):
        """For each word, innermost first: [(function, file)], inlined ones too."""
        addresses = "\n".join(hex(self.base + 4 * i) for i in range(len(self.words)))
        out = subprocess.run([ADDR2LINE, "-f", "-i", "-a", "-e", self.path], input=addresses,
                             capture_output=True, text=True, check=True).stdout.splitlines()
        chains, i = [], 0
        while i < len(out):
            if out[i].startswith("0x"):
                chains.append([])
                i += 1
                continue
            chains[-1].append((out[i], Path(out[i + 1].rsplit(":", 1)[0]).name))
            i += 2
        assert len(chains) == len(self.words), self.path
        return chains


def mark_of(word, chain, offset):
    """What the plugin does at an instruction; offset: from the table of vectors."""
    names = {name for name, _ in chain}
    if offset >= 0 and offset % 0x80 == 0 and offset // 0x80 in SLOTS:
        return SLOTS[offset // 0x80]
    if word == OP_ERET:
        return ERET
    if word == OP_WFI:
        return WFI
    if is_poll(word, names):
        return POLL
    return SPIN if chain[0][1] == "spinlock.h" else NONE


class Map:
    """What the plugin knows of a hypervisor: a line for each instruction."""

    def __init__(self, elf, paths):
        vectors = elf.vectors()
        number = {name: i for i, name in enumerate(paths)}
        functions, lines, marks = {}, [], set()
        for i, (word, chain) in enumerate(zip(elf.words, elf.chains())):
            at = elf.base + 4 * i
            own = next((name if file.endswith(".c") else file for name, file in chain
                        if file.endswith((".c", ".S"))), chain[-1][0])
            path = next((number[name] for name, _ in chain if name in number), 0)
            mark = mark_of(word, chain, at - vectors)
            marks.add(mark)
            function = functions.setdefault(own, len(functions))
            lines.append(f"{at:x} {word:x} {function:x} {path:x} {mark:x}\n")
        missed = {SYNC, IRQ, SERROR, POLL, WFI, ERET, SPIN} - marks
        assert not missed, f"{elf.path}: no instruction has mark {missed}"
        assert len(functions) <= FUNCTIONS and len(lines) <= INSNS, elf.path
        self.text = "".join(lines)
        self.functions = list(functions)


def put(path, text):
    """Writes a file that is there as a whole or not at all: another worker may write it too."""
    new = path.with_name(f"{path.name}-{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def arguments(command):
    """The options that load the plugin into a QEMU that boots our image; none without $MASKED."""
    if "MASKED" not in os.environ:
        return []
    folder = Path(os.environ["MASKED"])
    words = [re.sub(r"^.*file=([^,]*).*$", r"\1", str(word)) for word in command[1:]]
    images = [word for word in words if Path(word).is_file() and "/build/" in word]
    elf = next((elf for elf in map(Elf, filter(Path.is_file, ELVES))
                if any(elf.is_in(image) for image in images)), None)
    assert elf is not None, f"no image of {ELVES} in {command}"
    folder.mkdir(parents=True, exist_ok=True)
    where = folder / f"{elf.key}.map"
    if not where.exists():
        made = Map(elf, Budgets().paths())
        put(folder / f"{elf.key}.names", "\n".join(made.functions))
        put(where, made.text)
    out = folder / f"{elf.key}-{os.getpid()}-{next(NUMBER)}.out"
    turns = ",turns=on" if "-icount" in command else ""
    return ["-plugin", f"{PLUGIN},map={where},out={out}{turns}"]


class Stretches:
    """Of each way to begin and each path: how many there were, and the longest."""

    def __init__(self, budgets):
        self.budgets = budgets
        self.longest = {}       # (kind, path) -> (instructions, {function: instructions})
        self.count = {}

    def add(self, data, functions):
        """Takes what one machine left."""
        paths = self.budgets.paths()
        assert len(data) == VCPUS * len(KINDS) * PATHS * LONGEST.size
        for i in range(VCPUS * len(KINDS) * PATHS):
            if data[i * LONGEST.size:i * LONGEST.size + 8] == bytes(8):
                continue
            count, most, *of = LONGEST.unpack_from(data, i * LONGEST.size)
            key = (KINDS[i // PATHS % len(KINDS)], paths[i % PATHS])
            self.count[key] = self.count.get(key, 0) + count
            if most > self.longest.get(key, (0,))[0]:
                self.longest[key] = (most, {functions[j]: n for j, n in enumerate(of) if n})

    def over(self):
        """What is longer than its path may be, in words. Before its first guest a core owes
        nothing."""
        return [f"{key[0]}, {key[1]}: {most} instructions with interrupts masked, more than "
                f"{self.budgets.of[key[1]]}: {of}"
                for key, (most, of) in self.longest.items()
                if key[0] != "entry" and most > self.budgets.of[key[1]]]

    def table(self):
        """In Markdown, the longest first."""
        rows = ["| begun by | path | longest | budget | stretches | most of it in |",
                "|---|---|---|---|---|---|"]
        for key, (most, of) in sorted(self.longest.items(), key=lambda item: -item[1][0]):
            top = sorted(of.items(), key=lambda item: -item[1])[:4]
            budget = "–" if key[0] == "entry" else self.budgets.of[key[1]]
            rows.append(f"| {key[0]} | {key[1]} | {most} | {budget} | {self.count[key]} | "
                        f"{', '.join(f'{name} {n}' for name, n in top)} |")
        return "\n".join(rows)


def merge(folder):
    """All that the machines of a session left in the folder."""
    stretches = Stretches(Budgets())
    for out in sorted(Path(folder).glob("*.out")):
        names = (Path(folder) / f"{out.name.split('-')[0]}.names").read_text().split("\n")
        stretches.add(out.read_bytes(), names)
    return stretches


if __name__ == "__main__":
    print(merge(sys.argv[1]).table())
