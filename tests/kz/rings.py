# SPDX-License-Identifier: Apache-2.0
"""The machine's trace, as kizami/trace.h has it: in a memory file, with the heads beside it."""

import ctypes
import mmap
import os

import abi

RECORDS = abi.CHUNK // 16
HV = 0xffff000000000000     # where the hypervisor sees it


class Rings:
    """Rings that tests write as a core does."""

    def __init__(self, sim, chunks=2):
        self.sim, self.chunks = sim, chunks
        size = 4096 + 4 * chunks * abi.CHUNK
        self.fd = os.memfd_create("trace")
        os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size)
        self.memory[:ctypes.sizeof(abi.TraceMem)] = bytes(abi.TraceMem(
            magic=0x52545a4b, version=1, core_count=4, chunks=chunks, hz=10 ** 9))
        sim.trace = self.fd
        sim.cfg.machine.trace_chunks = chunks
        self.written = [0] * 4
        for core in range(4):
            self.head(core)

    def head(self, core):
        """The hypervisor's words for how many records there are."""
        turns, at = divmod(self.written[core], RECORDS)
        h = self.sim.heads[core]
        h.base = HV + core * 0x1000000
        h.turns = turns
        h.next = h.base + 2 * (turns % self.chunks) * abi.CHUNK + 16 * at

    def put(self, core, count=1, **fields):
        """So many records, with times that tell their index."""
        with self.sim.lock:
            for _ in range(count):
                n = self.written[core]
                kind = {"type": 1, "vcpu": 0xff, "arg": 2} if n % RECORDS == 0 else fields
                self.write(core, abi.Record(time=1000 + n, **(kind or {"type": 3})))
            self.head(core)

    def write(self, core, record):
        """The next one of a core; its head does not say so yet."""
        n = self.written[core]
        at = 4096 + core * self.chunks * abi.CHUNK + n % (self.chunks * RECORDS) * 16
        self.memory[at:at + 16] = bytes(record)
        self.written[core] = n + 1

    def say(self, core, *records):
        """Records as (time, type, vcpu, arg)."""
        with self.sim.lock:
            for time, kind, vcpu, arg in records:
                self.write(core, abi.Record(time=time, type=kind, vcpu=vcpu, arg=arg))
            self.head(core)


def parse(data):
    """A file's parts: {core: [(index, time)]}, and its configuration."""
    assert data[:8] == b"KZTRACE\n"
    version, size = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
    assert version == 1 and size % 8 == 0
    cfg = abi.Cfg.from_buffer_copy(data, 32)
    vms = [abi.CfgVm.from_buffer_copy(data, 32 + ctypes.sizeof(abi.Cfg) +
                                      i * ctypes.sizeof(abi.CfgVm)) for i in range(cfg.vm_count)]
    parts, at = {}, 32 + size
    while at < len(data):
        core, count = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (0, 4))
        index = int.from_bytes(data[at + 8:at + 16], "little")
        at += 16
        for i in range(count):
            time = int.from_bytes(data[at:at + 8], "little")
            parts.setdefault(core, []).append((index + i, time))
            at += 16
    return parts, [vm.name.decode() for vm in vms]
