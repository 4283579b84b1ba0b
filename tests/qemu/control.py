# SPDX-License-Identifier: Apache-2.0
"""A guest that manages others (tests/guests/warden.c), by lines typed to it."""

import struct

import blob
import machine
import memory

REGISTER, FILL, CONTROL, INSPECT, CONSOLE_READ, CONSOLE_WRITE, READ, LOG = range(
    0xc6000010, 0xc6000018)
WATCHDOG, EVENTS = 0xc6000005, 0xc6000006
START, PAUSE, RESUME, SHUTDOWN, STOP, RESET, DESTROY, ATTACH, DETACH = range(9)
NONE, CREATED, STOPPED, RUNNING, PAUSED, STOPPING, WAITING, CLEARING = range(8)
EINVAL, EPERM, ENOENT, EBUSY, ENOMEM, ELOAD = range(-1, -7, -1)
(REASON_NONE, REASON_OFF, REASON_RESET, REASON_FAULT, REASON_MISS, REASON_OVERRUN,
 REASON_WATCHDOG, REASON_STOP, REASON_RESTART, REASON_DESTROY) = range(10)
MACHINE, CONFIG, VM, VCPU, REGISTERS, TRACE = range(6)
NOTIFY_SHUTDOWN, NOTIFY_CONTROL = 4, 8
STORE = 3
BLOB_CPU_TWICE = 24        # hv/blob.h
TABLES = 8              # pages of tables that each VM here gets
PAYLOAD = 4 << 20       # bytes of the warden's ramdisk
BUFFER = PAYLOAD - 0x10000
GUESTS = machine.ROOT / "build/guests"
WARDEN = """board = {board}
vm warden {{ level = nrt  cpus = {{{core}}}  memory = 16M  image = "{guests}/warden.bin"
	ramdisk = "{payload}" {control} }}
"""
VM_INFO = ("state reason changes restarts failures attached", "<16s6I8Q2I",
           "faults fault_address fault_pc stopped started restart_time watchdog resumes "
           "in_dropped out_dropped")
VCPU_INFO = ("<4I9Q9Q", "state core sched reserved executed stolen budget period deadline jobs "
             "misses late overruns")


def pages(size):
    """Rounded up to pages."""
    return -(-size // 4096) * 4096


class Plan:
    """A VM to be created: struct kz_cfg_vm and what its store gets, made from kzc's own image."""

    def __init__(self, conf, name, board):
        image = machine.image_build(f"board = {board}\n{conf}", name)
        b = blob.Blob(image)
        vm = b.vm(0)
        self.cfg = bytearray(b.data[vm.at:vm.at + blob.VM_SIZE])
        self.vm = blob.Part(self.cfg, 0, blob.VM_FIELDS)
        self.store = b""
        for i in range(self.vm["load_count"]):
            load = self.load(i)
            at = b.at + load["offset"]
            load["offset"] = len(self.store)
            self.store += bytes(b.data[at:at + load["size"]])
            self.store += bytes(-len(self.store) % 64)
        self.size = sum(self.region(i)["size"] for i in range(self.vm["region_count"])
                        if self.region(i)["type"] == 0)
        self.store_size = pages(len(self.store)) + TABLES * 4096
        region = self.region(self.vm["region_count"])
        region["size"], region["type"] = self.store_size, STORE
        self.vm["region_count"] += 1
        self.vm["store_tables"] = TABLES

    def region(self, index):
        """A region."""
        return blob.Part(self.cfg, blob.REGIONS + 32 * index, blob.REGION_FIELDS)

    def load(self, index):
        """A load."""
        return blob.Part(self.cfg, blob.LOADS + 24 * index, blob.LOAD_FIELDS)

    def place(self, pa):
        """Its memory, one behind the other, from there on; returns where it ends."""
        for i in range(self.vm["region_count"]):
            region = self.region(i)
            if region["type"] != 1:
                region["pa"] = pa
                pa += region["size"]
        return pa

    def name(self, text):
        """Another name."""
        self.vm["name"] = text.encode().ljust(16, b"\0")

    def cores(self, *cores):
        """Other cores."""
        self.vm["vcpu_count"] = len(cores)
        self.cfg[24:24 + 8] = bytes(cores).ljust(8, b"\0")


class Warden:
    """A machine whose first VM is the warden."""

    def __init__(self, m, image, payload):
        self.m = m
        self.payload = payload          # name -> offset in its ramdisk
        self.plans, self.memory = {}, None
        b = blob.Blob(image)
        index = b.vm_of("warden")
        loads = [b.load(index, i) for i in range(b.vm(index)["load_count"])]
        self.ram = next(load["ipa"] for load in loads if load["size"] == PAYLOAD)
        self.buffer = self.ram + BUFFER
        m.wait_line("warden", "^warden: up$")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.m.__exit__(*exc)

    def line(self, text, pattern, timeout=30):
        """Types a line, waits for the answer."""
        self.m.seen = len(self.m.screen.lines)
        self.m.send(text + "\r")
        return self.m.wait_line("warden", pattern, timeout)

    def call(self, function, *x, timeout=30):
        """A call: (error, x1, x2)."""
        words = " ".join(f"{n & (1 << 64) - 1:x}" for n in (function, *x))
        match = self.line(f"c {words}", r"^= (-?\d+) 0x([0-9a-f]+) 0x([0-9a-f]+)$", timeout)
        return int(match[1]), int(match[2], 16), int(match[3], 16)

    def words(self, address, count):
        """Words of its memory."""
        start = len(self.m.screen.lines)
        self.line(f"r {address:x} {count:x}", r"^\.$")
        text = " ".join(line[1:] for line in self.m.lines_of("warden", start)
                        if line.startswith(":"))
        return [int(word, 16) for word in text.split()]

    def bytes(self, address, size):
        """Bytes of it; size is a multiple of 8."""
        return struct.pack(f"<{size // 8}Q", *self.words(address, size // 8))

    def write(self, address, data):
        """And to it."""
        data = bytes(data) + bytes(-len(data) % 8)
        words = struct.unpack(f"<{len(data) // 8}Q", data)
        for i in range(0, len(words), 16):
            text = " ".join(f"{word:x}" for word in words[i:i + 16])
            self.line(f"w {address + 8 * i:x} {text}", r"^\.$")

    def inspect(self, what, which=0):
        """(error, bytes)."""
        error, size, _ = self.call(INSPECT, what, which, self.buffer)
        return error, self.bytes(self.buffer, size) if error == 0 else b""

    def info(self, vm):
        """struct kz_vm_info as a dict; None: there is none."""
        error, data = self.inspect(VM, vm)
        if error == ENOENT:
            return None
        assert error == 0, error
        head, code, rest = VM_INFO
        values = struct.unpack(code, data)
        info = dict(zip(head.split() + rest.split(), values[1:]))
        info["name"] = values[0].rstrip(b"\0").decode()
        return info

    def vcpu(self, vm, vcpu=0):
        """struct kz_vcpu_info as a dict."""
        error, data = self.inspect(VCPU, vm | vcpu << 8)
        assert error == 0, error
        code, names = VCPU_INFO
        values = struct.unpack(code, data)
        info = dict(zip(names.split(), values))
        info["exits"] = values[-9:]
        return info

    def control(self, vm, verb):
        """A verb: the error."""
        return self.call(CONTROL, vm, verb)[0]

    def until(self, vm, state, timeout=60):
        """Waits until it is in the state; returns what is known of it."""
        for _ in range(timeout * 10):
            info = self.info(vm)
            if (info["state"] if info else NONE) == state:
                return info
            self.m.run(0.05)
        self.m.fail(f"VM {vm} does not come to state {state}: {info}")

    def register(self, name):
        """The plan of that name: (error, x1, x2)."""
        return self.call(REGISTER, self.ram + self.payload[name])

    def fill(self, vm, name, store):
        """Its store."""
        at = self.ram + self.payload[name + "/store"]
        for i in range(0, len(store), 4096):
            error = self.call(FILL, vm, i, at + i, min(4096, len(store) - i))[0]
            assert error == 0, (i, error)

    def create(self, name, start=True):
        """Registered, filled and started: its place."""
        error, vm, index = self.register(name)
        assert error == 0, (error, vm, index)
        self.fill(vm, name, self.plans[name].store)
        if start:
            assert self.control(vm, START) == 0
        return vm

    def says(self, vm, pattern, verb, of):
        """The verb to a place, and then the VM prints such a line."""
        start = len(self.m.screen.lines)
        assert self.control(of, verb) == 0
        self.m.seen = start
        return self.m.wait_line(vm, pattern)

    def destroy(self, vm):
        """And gone."""
        assert self.control(vm, DESTROY) == 0
        self.until(vm, NONE)


def payload_make(plans):
    """The warden's ramdisk, and where in it what is."""
    data, where = b"", {}
    for name, plan in plans.items():
        where[name] = len(data)
        data += bytes(plan.cfg) + bytes(-len(plan.cfg) % 64)
        where[name + "/store"] = len(data)
        data += plan.store
        data += bytes(-len(data) % 64)
    assert len(data) <= BUFFER
    return data.ljust(PAYLOAD, b"\0"), where


def system_build(name, board, others, control="control = true", core=0):
    """The image of a system with a warden on that core; other VMs' sections."""
    payload = machine.LOGS / f"{name}.payload"
    machine.LOGS.mkdir(parents=True, exist_ok=True)
    payload.write_bytes(bytes(range(1, 65)) * (PAYLOAD // 64))
    text = WARDEN.format(board=board, guests=GUESTS, payload=payload, control=control,
                         core=core) + others
    return machine.image_build(text, name)


def boot(board, name, others, plans, control="control = true", args=()):
    """A machine with a warden and others that runs, and plans that it has: its Warden."""
    image = system_build(name, board, others, control)
    made = {key: plan if isinstance(plan, Plan) else Plan(plan, f"{name}-{key}", board)
            for key, plan in plans.items()}
    return image_boot(Warden, board, image, name, (made, plans_put(image, made)), args)


def image_boot(kind, board, image, name, plans, args):
    """That image, whose warden has (plans, where they are): a Warden of that kind."""
    seen = memory.Memory(machine.LOGS / f"{name}.qmp")
    m = machine.board_boot(board, image, name, [*seen.arguments(), *args])
    try:
        warden = kind(m, image, plans[1])
    except AssertionError:
        m.__exit__()
        raise
    warden.plans, warden.memory = plans[0], seen
    return warden


def plans_put(image, plans):
    """The plans into the warden's ramdisk in the image, with memory that nobody has."""
    b = blob.Blob(image)
    index = b.vm_of("warden")
    ends = [b["image_pa"] + b["image_size"]]
    for v in range(b["vm_count"]):
        for r in range(b.vm(v)["region_count"]):
            region = b.region(v, r)
            if b.machine["ram0_pa"] <= region["pa"]:
                ends.append(region["pa"] + region["size"])
    ends.append(b.machine["trace_pa"] + (8 << 20))
    at = -(-max(ends) // (2 << 20)) * (2 << 20)
    for plan in plans.values():
        at = -(-plan.place(at) // (2 << 20)) * (2 << 20)
    assert at <= b.machine["ram0_pa"] + b.machine["ram0_size"]
    data, where = payload_make(plans)
    load = next(load for load in (b.load(index, i) for i in range(b.vm(index)["load_count"]))
                if load["size"] == PAYLOAD)
    b.data[b.at + load["offset"]:b.at + load["offset"] + PAYLOAD] = data
    b.save(image)
    return where
