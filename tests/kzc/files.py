# SPDX-License-Identifier: Apache-2.0
"""Files to feed kzc with, and what it makes taken apart, without kzc's own code."""

import struct
import subprocess

PAGE = 4096


def pattern(size, seed=1):
    """Bytes that look like nothing in particular."""
    return bytes((i * 31 + (i >> 8) * 7 + seed) & 0xff for i in range(size))


def header(text_offset=0, image_size=0, flags=0xa):
    """The first 64 bytes of a Linux arm64 Image."""
    return struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, text_offset, image_size, flags, 0, 0, 0,
                       b"ARM\x64", 0)


def linux_image(size, text_offset=0, image_size=None):
    """A Linux Image that takes image_size bytes at run time."""
    return header(text_offset, size if image_size is None else image_size) + pattern(size - 64)


def elf(segments, entry, machine=183, bits=2):
    """An ELF file of segments (physical address, bytes, size in memory)."""
    offset = 64 + 56 * len(segments)
    heads, body = b"", b""
    for pa, data, memsz in segments:
        heads += struct.pack("<IIQQQQQQ", 1, 7, offset + len(body), 0xffff0000 + pa, pa, len(data),
                             memsz, 0x1000)
        body += data
    ident = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56,
                               len(segments), 0, 0, 0) + heads + body


def hypervisor():
    """Something that kzc takes for Kizami: two segments, the second with a .bss."""
    return elf([(0, header(0x200000) + pattern(1000), 1064),
                (0x1000, pattern(64, seed=9), 0x2345)], 0)


def align(n, unit):
    """n rounded up."""
    return (n + unit - 1) // unit * unit


class Fields:
    """A struct: fields by name, as include/kizami/blob.h has them."""

    def __init__(self, data, offset, layout):
        for name, kind in layout:
            size = struct.calcsize("<" + kind)
            value = struct.unpack_from("<" + kind, data, offset)
            setattr(self, name, value[0] if len(value) == 1 else value)
            offset += size
        self.end = offset


CFG = [("magic", "I"), ("version", "I"), ("size", "I"), ("vm_count", "I"), ("image_pa", "Q"),
       ("image_size", "Q"), ("blob_offset", "Q"), ("reserved", "Q"), ("board", "16s"),
       ("cpu_count", "I"), ("console_cpu", "I"), ("ram_count", "I"), ("conduit", "I"),
       ("mpidr", "8Q"), ("ram", "16Q"), ("gic_version", "I"), ("gic_lines", "I"), ("gicd_pa", "Q"),
       ("gicc_pa", "Q"), ("gich_pa", "Q"), ("gicv_pa", "Q"), ("gicr_pa", "Q"), ("gicr_size", "Q"),
       ("vtimer_intid", "I"), ("ptimer_intid", "I"), ("htimer_intid", "I"), ("maint_intid", "I"),
       ("pmu_intid", "I"), ("uart", "I"), ("uart_intid", "I"), ("proven", "I"), ("uart_pa", "Q"),
       ("reserve_ppm", "8I"), ("block_ns", "I"), ("trace_chunks", "I"),
       ("trace_pa", "Q"), ("trace_mode", "I"), ("trace_on_crash", "I")]
VM = [("name", "16s"), ("level", "B"), ("on_fault", "B"), ("console", "B"), ("vcpu_count", "B"),
      ("region_count", "B"), ("load_count", "B"), ("irq_count", "B"), ("restart", "B"),
      ("cpu", "8B"), ("flags", "I"), ("irq_lines", "I"), ("console_intid", "I"), ("reserved2", "I"),
      ("entry", "Q"), ("arg", "Q"), ("gicd_ipa", "Q"), ("gicc_ipa", "Q"), ("console_ipa", "Q"),
      ("stolen_ipa", "Q"), ("watchdog_ns", "Q"), ("wdt_ipa", "Q"), ("wdt_intid", "I"),
      ("backoff_ms", "I"), ("backoff_max_ms", "I"), ("store_tables", "I"), ("rights", "8B"),
      ("budget_ns", "Q"), ("period_ns", "Q"), ("deadline_ns", "Q"),
      ("weight", "I"), ("on_miss", "B"), ("on_overrun", "B"), ("reserved3", "H")]
REGION = [("ipa", "Q"), ("pa", "Q"), ("size", "Q"), ("type", "I"), ("reserved", "I")]
LOAD = [("ipa", "Q"), ("offset", "Q"), ("size", "Q")]
IRQ = [("intid", "I"), ("flags", "I")]
SIZES = {"region": (REGION, 32, 16), "load": (LOAD, 24, 16), "irq": (IRQ, 8, 64)}


class Image:
    """IMAGE: its blob and VMs."""

    def __init__(self, data):
        self.data = data
        self.image_size = struct.unpack_from("<Q", data, 16)[0]
        at = data.index(b"KZMB\x04\0\0\0")
        while at % PAGE != 0:
            at = data.index(b"KZMB\x04\0\0\0", at + 1)
        self.blob_at = at
        self.cfg = Fields(data, at, CFG)
        at = self.cfg.end
        self.vm = {}
        for _ in range(self.cfg.vm_count):
            vm = Fields(data, at, VM)
            at = vm.end
            for name, (layout, size, count) in SIZES.items():
                used = getattr(vm, name + "_count")
                setattr(vm, name, [Fields(data, at + i * size, layout) for i in range(used)])
                assert not any(data[at + used * size:at + count * size]), "zero behind the count"
                at += size * count
            self.vm[vm.name.rstrip(b"\0").decode()] = vm
        self.blob_end = at

    def bytes(self, load):
        """What a load copies."""
        at = self.blob_at + load.offset
        return self.data[at:at + load.size]

    def memory(self, name):
        """A VM's memory as it starts, by guest address."""
        vm = self.vm[name]
        ram = vm.region[0]
        content = bytearray(ram.size)
        for load in vm.load:
            at = load.ipa - ram.ipa
            content[at:at + load.size] = self.bytes(load)
        return content


class Tree:
    """A device tree's source, asked with fdtget."""

    def __init__(self, dts):
        self.dtb = dts.with_suffix(".dtb")
        subprocess.run(["dtc", "-q", "-O", "dtb", "-o", self.dtb, dts], check=True)

    def get(self, node, prop, kind="x"):
        """A property's cells (x) or strings (s) as a list; None if it is not there."""
        done = subprocess.run(["fdtget", "-t", kind, self.dtb, node, prop], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            return None
        words = done.stdout.split()
        return [int(w, 16) for w in words] if kind == "x" else words

    def nodes(self, node="/"):
        """The names of a node's children."""
        done = subprocess.run(["fdtget", "-l", self.dtb, node], capture_output=True, text=True,
                              check=True)
        return done.stdout.split()
