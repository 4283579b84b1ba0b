# SPDX-License-Identifier: Apache-2.0
"""What of the hypervisor the machines of a session executed: `make coverage`, docs/coverage.md.

With $KIZAMI_COVERAGE, a folder, every image gets the hypervisor that counts (COVERAGE=1). Its
counters are in its memory, and the machine's memory is a file: they are read when the machine has
ended, however it did. Assembly cannot count; a plugin (tools/plugins/covered.c) marks what of it
is executed.

What is left in the folder, each added up over the machines:
  *.counts   64-bit words: the counters in the order of Counters.of
  *.marks    bytes: the instructions in the order of Assembly.insns
"""

import array
import itertools
import mmap
import os
import re
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/cov"
ELF = BUILD / "arm64/kizami.elf"
PLUGIN = BUILD / "host/covered.so"
NUMBER = itertools.count()
PREFIX = "__gcov0."
# Where an image may lie in memory, and what of its text is compared: behind the Image header, the
# entry, and the one word that is written.
ALIGN, COMPARED = 0x200000, slice(0x150, 0x1150)

pending = {}        # by plugin option: (memory's file, plugin's file) of machines that run


def is_on():
    """Is this a session that counts?"""
    return "KIZAMI_COVERAGE" in os.environ


class Counters:
    """The hypervisor's text, and where its counters are."""

    def __init__(self, path=ELF):
        data = path.read_bytes()
        phoff, = struct.unpack_from("<Q", data, 32)
        offset, self.base, _, size = struct.unpack_from("<QQQQ", data, phoff + 8)
        self.text = data[offset:offset + size]
        # [(source, function, offset in the image, count of words)]
        self.of = [(file, name[len(PREFIX):], at - self.base, size // 8)
                   for file, name, at, size in symbols(data) if name.startswith(PREFIX)]
        assert self.of, f"{path} does not count; make coverage builds it"

    def read(self, memory):
        """The counters of each copy of the image in a machine's memory, added up: a boot loader
        leaves another one. None at all: they are 0."""
        total = [0] * sum(count for *_, count in self.of)
        for image in range(0, len(memory), ALIGN):
            if memory[image + COMPARED.start:image + COMPARED.stop] != self.text[COMPARED]:
                continue
            i = 0
            for _, _, at, count in self.of:
                for value in struct.unpack_from(f"<{count}Q", memory, image + at):
                    total[i] += value
                    i += 1
        return total


def symbols(data):
    """(file, name, value, size) of each local symbol of an ELF file."""
    shoff, = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQII", data, shoff + i * size) for i in range(count)]
    _, _, _, _, at, length, link, _ = next(s for s in sections if s[1] == 2)    # SHT_SYMTAB
    strings = sections[link][4]
    file = None
    for i in range(at, at + length, 24):
        name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", data, i)
        text = data[strings + name:data.index(b"\0", strings + name)].decode()
        if info == 4:           # STB_LOCAL, STT_FILE
            file = text
        else:
            yield file, text, value, size


class Assembly:
    """The instructions that have a line in a .S file of arch/: [(file, line, offset, word)]."""

    def __init__(self, counters, path=ELF):
        files = {p.name: p.relative_to(ROOT).as_posix() for p in ROOT.glob("arch/*/*.S")}
        out = subprocess.run(["aarch64-linux-gnu-objdump", "--dwarf=decodedline", path],
                             capture_output=True, text=True, check=True).stdout
        rows = sorted((int(at, 16), file, line) for file, line, at in
                      re.findall(r"^(\S+) +(\d+|-) +0x(\w+)", out, re.MULTILINE))
        self.insns = []
        for (at, file, line), (end, *_) in zip(rows, rows[1:]):
            if file in files and line != "-":
                for offset in range(at - counters.base, end - counters.base, 4):
                    word, = struct.unpack_from("<I", counters.text, offset)
                    self.insns.append((files[file], int(line), offset, word))
        assert {file for file, *_ in self.insns} == set(files.values()), self.insns

    def map(self, base):
        """What the plugin reads."""
        return "".join([f"{base:x}\n", *(f"{at:x} {word:x}\n" for _, _, at, word in self.insns)])


def build_options():
    """What kzc build needs."""
    return ["--hypervisor", ELF] if is_on() else []


def arguments(command):
    """Further options of a QEMU: memory in a file, and the plugin."""
    folder = Path(os.environ["KIZAMI_COVERAGE"])
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{os.getpid()}-{next(NUMBER)}"
    memory, marks, where = (folder / f"{name}.{end}" for end in ("ram", "mark", "map"))
    counters = Counters()
    where.write_text(Assembly(counters).map(counters.base))
    words = [str(word) for word in command]
    sizes = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-m"]
    plugin = f"{PLUGIN},map={where},out={marks}"
    pending[plugin] = (memory, marks)
    return ["-object", f"memory-backend-file,id=cov,share=on,size={(sizes or ['2G'])[-1]},"
            f"mem-path={memory}", "-machine", "memory-backend=cov",
            "-plugin", plugin]


def add(path, values, code):
    """Adds numbers to those in a file."""
    if path.exists():
        old = array.array(code, path.read_bytes())
        values = [a + b for a, b in zip(old, values)]
    path.write_bytes(array.array(code, values).tobytes())


def collect(words):
    """Reads what a machine with these options left: it has ended, and was not asked for yet."""
    ended = [pending.pop(word) for word in words if word in pending]
    if not ended:
        return
    folder = Path(os.environ["KIZAMI_COVERAGE"])
    counters = Counters()
    for memory, marks in ended:
        if memory.exists():
            with open(memory, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
                total = counters.read(m)
            add(folder / f"{os.getpid()}.counts", total, "Q")
            memory.unlink()
        if marks.exists():
            seen = marks.read_bytes()
            path = folder / f"{os.getpid()}.marks"
            old = path.read_bytes() if path.exists() else bytes(len(seen))
            path.write_bytes(bytes(a | b for a, b in zip(old, seen)))
            marks.unlink()
        memory.with_suffix(".map").unlink(missing_ok=True)
