# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's instructions: what each does, and which functions it is part of."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CROSS = "aarch64-linux-gnu-"

# The mix of a path; the first pattern that the mnemonic and its operands match.
MIX = (
    ("sysreg", r"(mrs|msr)\b"),
    ("barrier", r"(isb|dsb|dmb|sb|ssbb|pssbb|csdb)\b"),
    ("maintenance", r"(tlbi|dc|ic|at|sys|sysl)\b"),
    # Ordered accesses: acquire and release, exclusive or not.
    ("ordered", r"(lda|stl|ldax|stlx|cas[al]|swp[al]|ldadd[al])\w*\b"),
    ("load", r"(ld|prfm|prfum)\w*\b"),
    ("store", r"(st|cas|swp)\w*\b"),
    ("branch", r"(b|b\.\w+|bl|br|blr|ret|cbz|cbnz|tbz|tbnz|eret|hvc|smc|svc)( |$)"),
    ("rest", r""),
)
KINDS = tuple(name for name, _ in MIX)

# As in paths.c.
NONE, ENTRY, ERET, ACK = range(4)
# A slot of the table of vectors from a guest's first one on, modulo 4.
VECTORS = ("sync vector", "IRQ vector", "FIQ vector", "SError vector")
# Functions of one instruction: what they do is their callers'.
ACCESSORS = ("sysreg.h", "sysreg_list.h", "barrier.h")


class Insn:
    """One instruction. frames: (function, file, line), innermost first, inlined ones too."""

    def __init__(self, at, word, text, symbol):
        self.at, self.word, self.text, self.symbol = at, word, text, symbol
        self.kind = next(name for name, pattern in MIX if re.match(pattern, text))
        self.frames = []

    def is_call(self):
        """Does it leave a return address behind?"""
        return self.text.startswith(("bl ", "blr "))

    def is_asm(self):
        """Written in assembly."""
        return self.frames[-1][1].endswith(".S")

    def function(self):
        """The function that it lies in, as a symbol of the image."""
        if self.is_asm():
            return Path(self.frames[-1][1]).name
        return self.frames[-1][0]

    def chain(self):
        """Names of the functions, outermost first."""
        if self.is_asm():
            return [self.symbol]
        names = [name for name, place, _ in self.frames if not place.endswith(ACCESSORS)]
        return names[::-1]


def tool(*words, text=None):
    """The output of one of the tools."""
    return subprocess.run([CROSS + words[0], *map(str, words[1:])], input=text,
                          capture_output=True, text=True, check=True).stdout


class Code:
    """The text of the image, in order."""

    LINE = re.compile(r"^ *([0-9a-f]+):\t([0-9a-f]{8}) \t(.*)$")
    LABEL = re.compile(r"^[0-9a-f]+ <(.*)>:$")

    def __init__(self, elf):
        self.elf = Path(elf)
        self.insns = []
        symbol = ""
        for line in tool("objdump", "-d", "-z", elf).split("\n"):
            label, insn = self.LABEL.match(line), self.LINE.match(line)
            if label:
                symbol = label.group(1)
            elif insn:
                at, word, text = insn.groups()
                self._add(int(at, 16), int(word, 16), text.split(" //")[0].replace("\t", " "),
                          symbol)
        self.base = self.insns[0].at
        self._frames()
        self.vectors = int(re.search(r"^(\w+) \w vectors$", tool("nm", elf), re.M).group(1), 16)
        for insn in self.insns:
            slot = (insn.at - self.vectors) // 0x80
            insn.symbol = VECTORS[slot % 4] if 8 <= slot < 16 else insn.symbol

    def _add(self, at, word, text, symbol):
        """Sections follow each other with gaps, which are nobody's."""
        while self.insns and self.insns[-1].at + 4 < at:
            self.insns.append(Insn(self.insns[-1].at + 4, 0, "udf #0", "gap"))
        self.insns.append(Insn(at, word, text, symbol))

    def _frames(self):
        out = tool("addr2line", "-f", "-i", "-a", "-e", self.elf,
                   text="\n".join(hex(insn.at) for insn in self.insns)).splitlines()
        i, index = 0, -1
        while i < len(out):
            if out[i].startswith("0x"):
                index += 1
                i += 1
                continue
            place, line = re.match(r"(.*):(\d+|\?)", out[i + 1]).groups()
            place = place.removeprefix(f"{ROOT}/")
            name = re.sub(r"\.(constprop|part|isra|cold|lto_priv)\b.*$", "", out[i])
            self.insns[index].frames.append((name, place, int(line) if line != "?" else 0))
            i += 2
        assert index == len(self.insns) - 1, self.elf

    def mark(self, insn):
        """What the plugin does at it: (mark, number)."""
        vector, rest = divmod(insn.at - self.vectors, 0x80)
        if 8 <= vector < 16 and rest == 0:
            return ENTRY, vector
        if insn.text == "eret":
            return ERET, 0
        acks = insn.text.startswith("mrs") and insn.text.endswith("icc_iar1_el1")
        if not acks and insn.text.startswith("ldr w"):
            acks = any(name == "gic_quick_ack" for name, _, _ in insn.frames)
            # gic_quick_ack reads nothing else but where the frame is: that is of 64 bits.
        return (ACK, insn.word & 31) if acks else (NONE, 0)

    def map(self):
        """The plugin's map."""
        marks = [self.mark(insn) for insn in self.insns]
        assert {ENTRY, ERET, ACK} <= {mark for mark, _ in marks}, self.elf
        return "".join(f"{insn.at:x} {insn.word:x} {mark:x} {number:x}\n"
                       for insn, (mark, number) in zip(self.insns, marks))


def comment_of(place, line):
    """The comment that goes with a line of a file: on it, or right above it."""
    path = ROOT / place
    if not path.is_file():
        return ""
    lines = path.read_text().split("\n")
    same = re.search(r"/\*\s*(.*?)\s*(\*/|$)", lines[line - 1])
    if same:
        text, at = [same.group(1)], line
        while "*/" not in lines[at - 1] and at < len(lines):
            at += 1
            text.append(re.sub(r"\s*\*/.*$", "", lines[at - 1]).strip(" \t*"))
        return " ".join(text)
    text, at = [], line - 1
    while at > 0 and re.match(r"\s*(/\*|\*)", lines[at - 1]):
        text.insert(0, lines[at - 1].strip(" \t*/"))
        if "/*" in lines[at - 1]:
            break
        at -= 1
    return " ".join(word for word in text if word)
