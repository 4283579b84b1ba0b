# SPDX-License-Identifier: Apache-2.0
"""A machine's RAM in a file, with a trace in it as the hypervisor writes it."""

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KZC = Path(os.environ.get("KZC", ROOT / "build/host/kzc")).resolve()
KZTRACE = Path(os.environ.get("KZTRACE", ROOT / "build/host/kztrace")).resolve()

sys.path.insert(0, str(ROOT / "tests/kzc"))

import files  # noqa: E402

PAGE = 4096
CHUNK = 0x8000
RECORDS = CHUNK // 16
HZ = 62500000
HEADS = 0x1000  # where the heads are in this image's memory
BASE = 0xffff800000000000
CONF = """board = ./board.conf
trace { size = %s  when_full = %s }
vm v { level=nrt cpus={0} memory=2M image="raw.bin" }
"""


def image_make(folder, size="64K", when_full="overwrite"):
    """An image of a machine with three cores, 512M of RAM from 0x40000000 on."""
    (folder / "hv.elf").write_bytes(files.hypervisor())
    (folder / "raw.bin").write_bytes(files.pattern(500))
    (folder / "board.conf").write_bytes((ROOT / "tests/kzc/board.conf").read_bytes())
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", folder / "board.dtb",
                    ROOT / "tests/kzc/board.dts"], check=True)
    (folder / "system.conf").write_text(CONF % (size, when_full))
    subprocess.run([KZC, "build", "system.conf", "-o", "os.img", "--hypervisor", "hv.elf"],
                   cwd=folder, check=True)
    return files.Image((folder / "os.img").read_bytes())


def record(core, index):
    """What a core's record of that index has: whoever reads it can tell."""
    return struct.pack("<QBBHI", index * 0x10001, 2, core, index & 0xffff, index)


class Ram:
    """The file, and the three cores that write their rings."""

    def __init__(self, path, cfg, base=0x40000000, size=512 << 20):
        self.cfg, self.base, self.chunks = cfg, base, cfg.trace_chunks
        with open(path, "a+b") as f:
            f.truncate(size)
            self.map = mmap.mmap(f.fileno(), size)
        self.words = memoryview(self.map).cast("Q")
        self.at = cfg.trace_pa - base
        self.heads = cfg.image_pa - base + HEADS
        self.total = [0] * cfg.cpu_count

    def put(self, at, code, *values):
        """Values at a file offset."""
        struct.pack_into("<" + code, self.map, at, *values)

    def head(self, core, **fields):
        """Fields of a core's head. A reader sees all of one or nothing: struct's "<Q" would
        write it byte by byte."""
        for name, value in fields.items():
            at = ("next", "base", "turns", "dropped").index(name)
            self.words[(self.heads + 64 * core) // 8 + at] = value

    def begin(self, **other):
        """The page that says where the rings are; the magic number comes last."""
        mem = {"version": 1, "cores": self.cfg.cpu_count, "chunks": self.chunks, "hz": HZ,
               "mode": self.cfg.trace_mode, "stopped": 0, "magic": 0x52545a4b, **other}
        pa = [self.base + self.heads + 64 * i for i in range(self.cfg.cpu_count)]
        self.put(self.at + 4, "IIIQII", mem["version"], mem["cores"], mem["chunks"], mem["hz"],
                 mem["mode"], mem["stopped"])
        for i, a in enumerate(other.get("head_pa", pa)):
            self.put(self.at + 32 + 8 * i, "Q", a)
        for i in range(self.cfg.cpu_count):
            self.head(i, base=BASE, next=BASE, turns=0, dropped=0)
        self.put(self.at, "I", mem["magic"])

    def slot(self, core, index):
        """Where a record is in the file."""
        ring = self.at + PAGE + core * self.chunks * CHUNK
        return ring + index % (self.chunks * RECORDS) * 16

    def write(self, core, count):
        """So many more records of a core, one chunk's after the other."""
        while count > 0:
            index = self.total[core]
            n = min(count, RECORDS - index % RECORDS)
            at = self.slot(core, index)
            self.map[at:at + 16 * n] = b"".join(record(core, index + i) for i in range(n))
            self.total[core] += n
            count -= n
            self.head_set(core)

    def head_set(self, core):
        """The head, as the hypervisor has it behind so many records: next, then turns."""
        turns, at = divmod(self.total[core], RECORDS)
        self.head(core, next=BASE + turns % self.chunks * 2 * CHUNK + 16 * at)
        self.head(core, turns=turns)


def capture(*args, **kwargs):
    """The command; what it printed is text."""
    return subprocess.run([KZTRACE, "capture", *map(str, args)], capture_output=True, text=True,
                          timeout=60, check=False, **kwargs)


class Trace:
    """A trace's file: its header, its blob, each core's parts."""

    def __init__(self, path):
        data = Path(path).read_bytes()
        self.magic, self.version, size, self.hz, self.cores, reserved = struct.unpack_from(
            "<8sIIQII", data)
        assert (self.magic, self.version, reserved) == (b"KZTRACE\n", 1, 0)
        assert size % 8 == 0
        self.blob = data[32:32 + size]
        self.parts = []
        at = 32 + size
        while at < len(data):
            core, count, index = struct.unpack_from("<IIQ", data, at)
            assert 1 <= count <= RECORDS and core < self.cores
            self.parts.append((core, index, data[at + 16:at + 16 + 16 * count]))
            assert len(self.parts[-1][2]) == 16 * count, "the last part is cut off"
            at += 16 + 16 * count

    def indices(self, core):
        """The indices of a core's records, after a look at each of them."""
        out = []
        for who, index, data in self.parts:
            if who == core:
                assert data == b"".join(record(core, index + i) for i in range(len(data) // 16))
                out.extend(range(index, index + len(data) // 16))
        assert out == sorted(set(out))
        return out
