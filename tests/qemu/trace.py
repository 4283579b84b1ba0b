# SPDX-License-Identifier: Apache-2.0
"""The trace's rings, read from outside while a machine runs: its RAM is a file of this machine.

By the rules of include/kizami/trace.h alone, and beside kztrace: what both say is right twice."""

import collections
import mmap
import struct
import threading
import time

import blob
import machine

MAGIC, VERSION = 0x52545a4b, 1
CHUNK, SIZE, CORES, NOBODY = 0x8000, 16, 8, 0xff
RECORDS = CHUNK // SIZE
RAM_SIZE = 2 << 30

# Types.
STATE, RUN, IDLE, WAKE = 1, 2, 3, 4
(READY, BLOCK, RELEASE, DONE, THROTTLE, MISS, INJECT, START, OFF, VM_START, VM_STOP, VM_FAULT,
 PANIC) = range(8, 21)
EXIT, QUICK = 32, 64
CLASSES = ("hcall", "mmio", "sysreg", "fault", "undef", "wfx", "irq", "maint", "kick", "sgi", "fp")
HCALL, MMIO, SYSREG, FAULT, UNDEF, WFX, IRQ, MAINT, KICK, SGI, FP = range(11)
EXECUTES, WORKS, SLEEPS = range(3)

RECORD = struct.Struct("<QBBHI")
Record = collections.namedtuple("Record", "time type vcpu arg value")
Head = collections.namedtuple("Head", "next base turns dropped")


def is_exit(record):
    """A guest leaves."""
    return record.type >= EXIT


def class_of(record):
    """Of an exit, enum kz_trace_class."""
    return record.type % EXIT


def call(function):
    """KZ_TRACE_CALL."""
    return (function >> 16 & 0xff00) | (function & 0xff)


def state_behind(record):
    """What the core does behind a record, and who; None: as before."""
    if record.type == STATE:
        return record.arg, record.vcpu
    if record.type == RUN:
        return EXECUTES, record.vcpu
    if record.type >= QUICK:
        return EXECUTES, None
    return (SLEEPS if record.type == IDLE else WORKS), None


def end_of(record):
    """When a QUICK's guest went on: the value is the low half of the counter."""
    return record.time + ((record.value - record.time) & 0xffffffff)


def spans(records):
    """(record, whose, state, since): each record, who executed last, what the core did until it,
    and since when. Fails where one cannot follow another. They begin with a chunk."""
    who, state, since = records[0].vcpu, records[0].arg, records[0].time
    for i, r in enumerate(records):
        yield r, who, state, since
        if r.type == STATE:
            assert i % RECORDS == 0 and r.arg == state, (i, r)
            assert state != EXECUTES or r.vcpu == who, (i, r)
            continue
        assert i % RECORDS, f"chunk without STATE: {r}"
        if is_exit(r):
            assert state == EXECUTES, (i, r)
        else:
            assert state != EXECUTES, (i, r)
        assert state != SLEEPS or r.type == WAKE, (i, r)
        after, vcpu = state_behind(r)
        who = who if vcpu is None else vcpu
        since = end_of(r) if r.type >= QUICK else r.time if after != state else since
        state = after


class Ram:
    """A machine's RAM: a file that QEMU maps too."""

    def __init__(self, name):
        machine.LOGS.mkdir(parents=True, exist_ok=True)
        self.path = machine.LOGS / f"{name}.ram"
        self.path.unlink(missing_ok=True)
        with open(self.path, "wb") as f:
            f.truncate(RAM_SIZE)
        self.args = ["-machine", "memory-backend=ram", "-object",
                     f"memory-backend-file,id=ram,size={RAM_SIZE},mem-path={self.path},share=on"]

    def map(self, base):
        """The physical memory from base on."""
        self.base = base
        with open(self.path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), RAM_SIZE, prot=mmap.PROT_READ)

    def read(self, at, size):
        """Bytes at a physical address."""
        return self.data[at - self.base:at - self.base + size]

    def close(self):
        """The file goes; who has mapped it may go on."""
        self.path.unlink(missing_ok=True)


class Ring:
    """One core's: whatever was read of it, with its numbers."""

    def __init__(self, trace, core, head_pa):
        self.trace, self.head_pa = trace, head_pa
        self.at = trace.pa + 4096 + core * trace.chunks * CHUNK
        self.records = []       # all, from `first` on
        self.first = 0          # number of the first of them
        self.lost = 0           # overwritten before they were read

    def head(self):
        """The head as it is."""
        return Head(*struct.unpack("<4Q", self.trace.ram.read(self.head_pa, 32)))

    def index(self):
        """Below which number all is written; None: the next chunk is being begun."""
        turns, = struct.unpack("<Q", self.trace.ram.read(self.head_pa + 16, 8))
        h = self.head()
        begin = h.base + turns % self.trace.chunks * 2 * CHUNK
        if h.turns != turns or not begin <= h.next < begin + CHUNK:
            return None
        return turns * RECORDS + h.next % CHUNK // SIZE

    def slot(self, number):
        """Where a record is."""
        return self.at + number % (self.trace.chunks * RECORDS) * SIZE

    def oldest(self, index):
        """The first that cannot have been overwritten."""
        return max(0, index - self.trace.chunks * RECORDS + 1)

    def poll(self):
        """Reads what is new; false: nothing, or not now."""
        end = self.index()
        begin = self.first + len(self.records)
        if end is None or end <= begin:
            return False
        begin = max(begin, self.oldest(end))
        data = bytearray()
        for number in range(begin - begin % RECORDS, end, RECORDS):
            low, high = max(begin, number), min(end, number + RECORDS)
            data += self.trace.ram.read(self.slot(low), (high - low) * SIZE)
        again = self.index()
        while again is None:
            again = self.index()
        least = max(begin, self.oldest(again))
        missing = least - self.first - len(self.records)
        if missing > 0:
            self.lost += missing + len(self.records)
            self.records, self.first = [], least
        self.records += map(Record._make, RECORD.iter_unpack(data[(least - begin) * SIZE:]))
        return True

    def newest(self):
        """The record that a stopped ring has behind all others."""
        return Record(*RECORD.unpack(self.trace.ram.read(self.slot(self.index()), SIZE)))


class Trace:
    """Of a machine that boots `image`, read by a thread until stop()."""

    def __init__(self, ram, image):
        b = blob.Blob(image)
        self.ram, self.pa = ram, b.machine["trace_pa"]
        ram.map(b.machine["ram0_pa"])
        self.names = {vm << 4 | i: f"{b.vm(vm)['name'].rstrip(bytes(1)).decode()}:{i}"
                      for vm in range(b["vm_count"]) for i in range(b.vm(vm)["vcpu_count"])}
        self.numbers = {name: number for number, name in self.names.items()}
        self.core = {vm << 4 | i: b.data[b.vm(vm).at + 24 + i]
                     for vm in range(b["vm_count"]) for i in range(b.vm(vm)["vcpu_count"])}
        self.rings = []
        self.quit = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def header(self):
        """struct kz_trace_mem but for head_pa; None before it is there."""
        words = struct.unpack("<IIIIQII", self.ram.read(self.pa, 32))
        return words if words[0] == MAGIC else None

    def stopped(self):
        """kz_trace_mem.stopped."""
        return self.header()[6]

    def open(self):
        """The rings, when the hypervisor has made them."""
        header = self.header()
        if header is None:
            return False
        assert header[1] == VERSION and header[2] <= CORES
        self.chunks, self.hz = header[3], header[4]
        heads = struct.unpack_from(f"<{CORES}Q", self.ram.read(self.pa + 32, 64))
        self.rings = [Ring(self, core, heads[core]) for core in range(header[2])]
        return True

    def _run(self):
        while not self.quit.is_set():
            if not self.rings and not self.open():
                time.sleep(0.002)
            elif not any([ring.poll() for ring in self.rings]):
                time.sleep(0.002)

    def start(self):
        """Reads all the time from here on."""
        self.thread.start()
        return self

    def stop(self):
        """Reads what is there, and no more. Returns each core's records, of which none was lost."""
        self.read()
        assert [ring.lost for ring in self.rings] == [0] * len(self.rings)
        return [ring.records for ring in self.rings]

    def read(self):
        """The same for rings that may have lost some."""
        if self.thread.is_alive():
            self.quit.set()
            self.thread.join()
        assert self.rings or self.open(), "there is no trace"
        while any([ring.poll() for ring in self.rings]):
            pass
        return self.rings
