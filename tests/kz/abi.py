# SPDX-License-Identifier: Apache-2.0
"""The structs and numbers of include/kizami/control.h, blob.h and trace.h, written down anew."""

import ctypes
from ctypes import c_char, c_int32, c_uint8, c_uint16, c_uint32, c_uint64

OK, EINVAL, EPERM, ENOENT, EBUSY, ENOMEM, ELOAD = 0, -1, -2, -3, -4, -5, -6

REGISTER, FILL, CONTROL, INSPECT, CONSOLE_READ, CONSOLE_WRITE, READ, LOG = range(
    0xc6000010, 0xc6000018)
CONTROL_BYTES = 4096
VMS = 8
NO_BUFFER = 0xff

START, PAUSE, RESUME, SHUTDOWN, STOP, RESET, DESTROY, ATTACH, DETACH = range(9)
NONE, CREATED, STOPPED, RUNNING, PAUSED, STOPPING, WAITING, CLEARING = range(8)
(REASON_NONE, REASON_OFF, REASON_RESET, REASON_FAULT, REASON_MISS, REASON_OVERRUN,
 REASON_WATCHDOG, REASON_STOP, REASON_RESTART, REASON_DESTROY) = range(10)
R_LIST, R_CONSOLE, R_READ, R_RUN, R_RESTART, R_CREATE = range(6)
I_MACHINE, I_CONFIG, I_VM, I_VCPU, I_REGISTERS, I_TRACE = range(6)
HRT, SRT, NRT = range(3)
RAM, DEVICE, TRACE, STORE = range(4)
BLOB_NAME_TWICE, BLOB_REGION_TWICE = 9, 32


class Call(ctypes.Structure):
    _fields_ = [("function", c_uint32), ("error", c_int32), ("x", c_uint64 * 4),
                ("buffer", c_uint64), ("size", c_uint32), ("buffer_at", c_uint32)]


class Ram(ctypes.Structure):
    _fields_ = [("pa", c_uint64), ("size", c_uint64)]


class Machine(ctypes.Structure):
    _fields_ = [("board", c_char * 16), ("cpu_count", c_uint32), ("console_cpu", c_uint32),
                ("ram_count", c_uint32), ("conduit", c_uint32), ("mpidr", c_uint64 * 8),
                ("ram", Ram * 8), ("gic_version", c_uint32), ("gic_lines", c_uint32),
                ("gicd_pa", c_uint64), ("gicc_pa", c_uint64), ("gich_pa", c_uint64),
                ("gicv_pa", c_uint64), ("gicr_pa", c_uint64), ("gicr_size", c_uint64),
                ("vtimer_intid", c_uint32), ("ptimer_intid", c_uint32),
                ("htimer_intid", c_uint32), ("maint_intid", c_uint32), ("pmu_intid", c_uint32),
                ("uart", c_uint32), ("uart_intid", c_uint32), ("proven", c_uint32),
                ("uart_pa", c_uint64), ("reserve_ppm", c_uint32 * 8), ("block_ns", c_uint32),
                ("trace_chunks", c_uint32), ("trace_pa", c_uint64), ("trace_mode", c_uint32),
                ("trace_on_crash", c_uint32)]


class Cfg(ctypes.Structure):
    _fields_ = [("magic", c_uint32), ("version", c_uint32), ("size", c_uint32),
                ("vm_count", c_uint32), ("image_pa", c_uint64), ("image_size", c_uint64),
                ("blob_offset", c_uint64), ("reserved", c_uint64), ("machine", Machine)]


class Server(ctypes.Structure):
    _fields_ = [("budget_ns", c_uint64), ("period_ns", c_uint64), ("deadline_ns", c_uint64),
                ("weight", c_uint32), ("on_miss", c_uint8), ("on_overrun", c_uint8),
                ("reserved", c_uint16)]


class Region(ctypes.Structure):
    _fields_ = [("ipa", c_uint64), ("pa", c_uint64), ("size", c_uint64), ("type", c_uint32),
                ("reserved", c_uint32)]


class Load(ctypes.Structure):
    _fields_ = [("ipa", c_uint64), ("offset", c_uint64), ("size", c_uint64)]


class Irq(ctypes.Structure):
    _fields_ = [("intid", c_uint32), ("flags", c_uint32)]


class CfgVm(ctypes.Structure):
    _fields_ = [("name", c_char * 16), ("level", c_uint8), ("on_fault", c_uint8),
                ("console", c_uint8), ("vcpu_count", c_uint8), ("region_count", c_uint8),
                ("load_count", c_uint8), ("irq_count", c_uint8), ("restart", c_uint8),
                ("cpu", c_uint8 * 8), ("flags", c_uint32), ("irq_lines", c_uint32),
                ("console_intid", c_uint32), ("reserved2", c_uint32), ("entry", c_uint64),
                ("arg", c_uint64), ("gicd_ipa", c_uint64), ("gicc_ipa", c_uint64),
                ("console_ipa", c_uint64), ("stolen_ipa", c_uint64), ("watchdog_ns", c_uint64),
                ("wdt_ipa", c_uint64), ("wdt_intid", c_uint32), ("backoff_ms", c_uint32),
                ("backoff_max_ms", c_uint32), ("store_tables", c_uint32),
                ("rights", c_uint8 * 8), ("server", Server), ("region", Region * 16),
                ("load", Load * 16), ("irq", Irq * 64)]


class MachineInfo(ctypes.Structure):
    _fields_ = [("now", c_uint64), ("hz", c_uint64), ("vm_count", c_uint32),
                ("changes", c_uint32), ("caller", c_uint32), ("image_size", c_uint32),
                ("reserved", c_uint64), ("cfg", Cfg)]


class VmInfo(ctypes.Structure):
    _fields_ = [("name", c_char * 16), ("state", c_uint32), ("reason", c_uint32),
                ("changes", c_uint32), ("restarts", c_uint32), ("failures", c_uint32),
                ("attached", c_uint32), ("faults", c_uint64), ("fault_address", c_uint64),
                ("fault_pc", c_uint64), ("stopped", c_uint64), ("started", c_uint64),
                ("restart_time", c_uint64), ("watchdog", c_uint64), ("resumes", c_uint64),
                ("in_dropped", c_uint32), ("out_dropped", c_uint32)]


class VcpuInfo(ctypes.Structure):
    _fields_ = [("state", c_uint32), ("core", c_uint32), ("sched", c_uint32),
                ("reserved", c_uint32), ("executed", c_uint64), ("stolen", c_uint64),
                ("budget", c_uint64), ("period", c_uint64), ("deadline", c_uint64),
                ("jobs", c_uint64), ("misses", c_uint64), ("late", c_uint64),
                ("overruns", c_uint64), ("exits", c_uint64 * 9)]


class Registers(ctypes.Structure):
    _fields_ = [("x", c_uint64 * 31), ("pc", c_uint64), ("pstate", c_uint64),
                *((name, c_uint64) for name in (
                    "sp_el0", "sp_el1", "elr_el1", "spsr_el1", "esr_el1", "far_el1", "vbar_el1",
                    "sctlr_el1", "tcr_el1", "ttbr0_el1", "ttbr1_el1", "mair_el1", "tpidr_el0",
                    "tpidr_el1", "tpidrro_el0", "contextidr_el1", "cpacr_el1", "fpsr", "fpcr")),
                ("v", c_uint64 * 64)]


class TraceHead(ctypes.Structure):
    _fields_ = [("next", c_uint64), ("base", c_uint64), ("turns", c_uint64),
                ("dropped", c_uint64)]


class TraceMem(ctypes.Structure):
    _fields_ = [("magic", c_uint32), ("version", c_uint32), ("core_count", c_uint32),
                ("chunks", c_uint32), ("hz", c_uint64), ("mode", c_uint32),
                ("stopped", c_uint32), ("head_pa", c_uint64 * 8)]


class Record(ctypes.Structure):
    _fields_ = [("time", c_uint64), ("type", c_uint8), ("vcpu", c_uint8), ("arg", c_uint16),
                ("value", c_uint32)]


CHUNK = 0x8000

assert ctypes.sizeof(Call) == 56
assert ctypes.sizeof(CfgVm) == 168 + 32 * 16 + 24 * 16 + 8 * 64
assert ctypes.sizeof(Cfg) == 48 + 376
assert ctypes.sizeof(MachineInfo) == 40 + ctypes.sizeof(Cfg)
assert ctypes.sizeof(VmInfo) == 112
assert ctypes.sizeof(VcpuInfo) == 160
assert ctypes.sizeof(Registers) == 8 * (33 + 17 + 2 + 64)
