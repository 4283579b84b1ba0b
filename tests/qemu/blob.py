# SPDX-License-Identifier: Apache-2.0
"""The configuration blob in an image, byte by byte: to read, or to spoil."""

import struct

MAGIC = 0x424d5a4b
PAGE = 4096
MACHINE = 48
VMS = MACHINE + 376
VM_SIZE = 1576
REGIONS, LOADS, IRQS = 168, 680, 1064

# Offset and struct code of what tests look at.
HEADER = {"magic": (0, "I"), "version": (4, "I"), "size": (8, "I"), "vm_count": (12, "I"),
          "image_pa": (16, "Q"), "image_size": (24, "Q"), "blob_offset": (32, "Q"),
          "reserved": (40, "Q")}
MACHINE_FIELDS = {"board": (0, "16s"), "cpu_count": (16, "I"), "console_cpu": (20, "I"),
                  "ram_count": (24, "I"), "conduit": (28, "I"), "mpidr0": (32, "Q"),
                  "mpidr1": (40, "Q"), "ram0_pa": (96, "Q"), "ram0_size": (104, "Q"),
                  "gic_version": (224, "I"), "gic_lines": (228, "I"), "gicd_pa": (232, "Q"),
                  "vtimer_intid": (280, "I"), "ptimer_intid": (284, "I"),
                  "htimer_intid": (288, "I"), "maint_intid": (292, "I"), "uart": (300, "I"),
                  "uart_intid": (304, "I"), "proven": (308, "I"), "uart_pa": (312, "Q"),
                  "reserve_ppm0": (320, "I"), "block_ns": (352, "I"), "trace_chunks": (356, "I"),
                  "trace_pa": (360, "Q"), "trace_mode": (368, "I"), "trace_on_crash": (372, "I")}
VM_FIELDS = {"name": (0, "16s"), "level": (16, "B"), "on_fault": (17, "B"), "console": (18, "B"),
             "vcpu_count": (19, "B"), "region_count": (20, "B"), "load_count": (21, "B"),
             "irq_count": (22, "B"), "restart": (23, "B"), "cpu0": (24, "B"),
             "cpu1": (25, "B"), "flags": (32, "I"), "irq_lines": (36, "I"),
             "console_intid": (40, "I"), "reserved2": (44, "I"), "entry": (48, "Q"),
             "arg": (56, "Q"), "gicd_ipa": (64, "Q"), "gicc_ipa": (72, "Q"),
             "console_ipa": (80, "Q"), "stolen_ipa": (88, "Q"), "watchdog_ns": (96, "Q"),
             "wdt_ipa": (104, "Q"), "wdt_intid": (112, "I"), "backoff_ms": (116, "I"),
             "backoff_max_ms": (120, "I"), "store_tables": (124, "I"), "rights": (128, "8s"),
             "budget_ns": (136, "Q"), "period_ns": (144, "Q"), "deadline_ns": (152, "Q"),
             "weight": (160, "I"), "on_miss": (164, "B"), "on_overrun": (165, "B"),
             "server_reserved": (166, "H")}
REGION_FIELDS = {"ipa": (0, "Q"), "pa": (8, "Q"), "size": (16, "Q"), "type": (24, "I"),
                 "reserved": (28, "I")}
LOAD_FIELDS = {"ipa": (0, "Q"), "offset": (8, "Q"), "size": (16, "Q")}
IRQ_FIELDS = {"intid": (0, "I"), "flags": (4, "I")}


class Part:
    """One struct of the blob: its fields are items."""

    def __init__(self, data, at, fields):
        self.data, self.at, self.fields = data, at, fields

    def __getitem__(self, name):
        offset, code = self.fields[name]
        return struct.unpack_from("<" + code, self.data, self.at + offset)[0]

    def __setitem__(self, name, value):
        offset, code = self.fields[name]
        struct.pack_into("<" + code, self.data, self.at + offset, value)


class Blob(Part):
    """The blob of an image file, with the file around it."""

    def __init__(self, path):
        data = bytearray(path.read_bytes())
        at = next(at for at in range(0, len(data), PAGE)
                  if struct.unpack_from("<I", data, at)[0] == MAGIC)
        super().__init__(data, at, HEADER)
        assert self["blob_offset"] == at, "not where it says that it is"
        self.machine = Part(data, at + MACHINE, MACHINE_FIELDS)

    def save(self, path):
        """Writes the image."""
        path.write_bytes(self.data)

    def vm(self, index):
        """The index-th VM."""
        assert index < self["vm_count"]
        return Part(self.data, self.at + VMS + VM_SIZE * index, VM_FIELDS)

    def _entry(self, vm, base, size, index, fields):
        return Part(self.data, self.vm(vm).at + base + size * index, fields)

    def region(self, vm, index):
        """A region of a VM."""
        return self._entry(vm, REGIONS, 32, index, REGION_FIELDS)

    def load(self, vm, index):
        """A load of a VM."""
        return self._entry(vm, LOADS, 24, index, LOAD_FIELDS)

    def irq(self, vm, index):
        """An interrupt of a VM."""
        return self._entry(vm, IRQS, 8, index, IRQ_FIELDS)

    def vm_of(self, name):
        """The index of the VM of that name."""
        return next(i for i in range(self["vm_count"])
                    if self.vm(i)["name"].rstrip(b"\0").decode() == name)
