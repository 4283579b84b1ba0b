# SPDX-License-Identifier: Apache-2.0
"""Trace files, byte by byte: records, parts, a configuration that blob_check takes."""

import struct

CHUNK = 2048
NOBODY = 0xff
(NONE, STATE, RUN, IDLE, WAKE) = range(5)
(READY, BLOCK, RELEASE, DONE, THROTTLE, MISS, INJECT, START, OFF, VM_START, VM_STOP, VM_FAULT,
 PANIC) = range(8, 21)
EXIT, QUICK = 32, 64
CLASSES = ("hcall", "mmio", "sysreg", "fault", "undef", "wfx", "irq", "maint", "kick", "sgi",
           "fp")
HRT, SRT, NRT = range(3)
OVERWRITE, STOP = range(2)

HEAD_SIZE = 32
CFG_SIZE, VM_SIZE = 424, 1576


def class_of(name):
    """The number of an exit's class."""
    return CLASSES.index(name)


def vcpu(vm, index=0):
    """KZ_TRACE_VCPU."""
    return vm << 4 | index


def record(time, kind, who=0, arg=0, value=0):
    """struct kz_trace_record."""
    return struct.pack("<QBBHI", time & (1 << 64) - 1, kind, who, arg, value & 0xffffffff)


class Vm:
    """A VM of the configuration: one vCPU on each of its cores."""

    def __init__(self, name, cores, level=NRT, server=None, irqs=()):
        self.name, self.cores, self.level, self.irqs = name, cores, level, irqs
        self.server = server        # (budget, period, deadline) in ns


def pack_vm(vm, index):
    """struct kz_cfg_vm."""
    data = bytearray(VM_SIZE)
    hard = vm.level == HRT
    struct.pack_into("<16s8B", data, 0, vm.name.encode(), vm.level, 0, 0, len(vm.cores), 1, 0,
                     len(vm.irqs), 0)
    data[24:24 + len(vm.cores)] = bytes(vm.cores)
    struct.pack_into("<4I", data, 32, 0, 256, 0, 0)
    struct.pack_into("<6Q", data, 48, 0x40000000, 0x401ff000, 0x8000000, 0x80a0000, 0, 0)
    budget, period, deadline = vm.server or (0, 0, 0)
    struct.pack_into("<3QI2BH", data, 136, budget, period, deadline, 0 if hard else 100, 0, 0, 0)
    struct.pack_into("<3Q2I", data, 168, 0x40000000, 0x60000000 + index * 0x200000, 0x200000, 0,
                     0)
    for i, intid in enumerate(vm.irqs):
        struct.pack_into("<2I", data, 1064 + 8 * i, intid, 0)
    return bytes(data)


def pack_cfg(vms, core_count, mode=OVERWRITE):
    """struct kz_cfg with its VMs."""
    data = bytearray(CFG_SIZE)
    struct.pack_into("<4I4Q", data, 0, 0x424d5a4b, 4, CFG_SIZE + VM_SIZE * len(vms), len(vms),
                     0x40200000, 0x20000, 0x10000, 0)
    machine = 48
    hard = {core for vm in vms if vm.level == HRT for core in vm.cores}
    console = min(set(range(core_count)) - hard, default=0)
    struct.pack_into("<16s4I", data, machine, b"board", core_count, console, 1, 0)
    struct.pack_into(f"<{core_count}Q", data, machine + 32, *range(core_count))
    struct.pack_into("<2Q", data, machine + 96, 0x40000000, 0x40000000)
    struct.pack_into("<2I6Q", data, machine + 224, 3, 288, 0x8000000, 0, 0, 0, 0x80a0000,
                     core_count * 0x20000)
    struct.pack_into("<8IQ", data, machine + 280, 27, 30, 26, 25, 23, 1, 33, 0, 0x9000000)
    struct.pack_into("<2IQ2I", data, machine + 352, 10000, 8, 0x48000000, mode, 0)
    return bytes(data) + b"".join(pack_vm(vm, i) for i, vm in enumerate(vms))


def pack_head(cfg, core_count, hz=1000000000, version=1):
    """struct kz_trace_file and the configuration."""
    return struct.pack("<8s2IQ2I", b"KZTRACE\n", version, len(cfg), hz, core_count, 0) + cfg


def pack_part(core, index, records):
    """struct kz_trace_part and its records."""
    return struct.pack("<2IQ", core, len(records), index) + b"".join(records)


class Ring:
    """A core's records; a part of the file is cut at chunks or shorter."""

    def __init__(self, core, first=0):
        self.core, self.first = core, first
        self.records = []

    @property
    def next(self):
        """The index of the next record."""
        return self.first + len(self.records)

    def add(self, *args):
        """Appends a record."""
        self.records.append(record(*args))

    def parts(self, rng=None, lost=()):
        """Parts as a capture cuts them; records of the ranges `lost` are left out."""
        index = self.first
        end = self.next
        while index < end:
            skip = next((hi for lo, hi in lost if lo <= index < hi), None)
            if skip is not None:
                index = skip
                continue
            stop = min(end, (index // CHUNK + 1) * CHUNK,
                       *[lo for lo, hi in lost if lo > index])
            if rng is not None:
                stop = min(stop, index + rng.choice((1, 2, 3, 50, 700, CHUNK)))
            yield pack_part(self.core, index,
                            self.records[index - self.first:stop - self.first])
            index = stop


def interleave(rings, rng=None, lost=None):
    """All parts: of each core in its order, cores mixed."""
    queues = [list(ring.parts(rng, (lost or {}).get(ring.core, ()))) for ring in rings]
    queues = [queue for queue in queues if queue]
    while queues:
        queue = rng.choice(queues) if rng is not None else queues[0]
        yield queue.pop(0)
        queues = [queue for queue in queues if queue]
