# SPDX-License-Identifier: Apache-2.0
"""A hypervisor that is made up: include/kizami/control.h as a UNIX socket (linux/kz/dev.h).

What is not in a VM's own hands happens at once, or `delay` seconds later where control.h says
that it ends later. Tests look into it, and change it, under its lock.
"""

import contextlib
import ctypes
import errno
import os
import socket
import threading
import time

import abi

MIB = 1 << 20
RAM_PA = 0x40000000
NS = 10 ** 9


class Vm:
    """A VM in a place."""

    def __init__(self, sim, cfg):
        self.sim = sim
        self.cfg = cfg
        self.info = abi.VmInfo(name=cfg.name)
        self.vcpus = [abi.VcpuInfo(core=cfg.cpu[v], state=2, budget=cfg.server.budget_ns,
                                   period=cfg.server.period_ns, deadline=cfg.server.deadline_ns)
                      for v in range(cfg.vcpu_count)]
        self.registers = [abi.Registers() for _ in range(cfg.vcpu_count)]
        self.ram = None         # made when it is looked at
        self.store = bytearray()
        self.output = bytearray()
        self.input = bytearray()
        self.room = 16          # of its console's input
        self.listens = True     # to a request to shut down
        self.obeys = True       # and switches itself off
        self.starts = True      # START leads to RUNNING; else it fails at once

    @property
    def memory(self):
        """Its RAM: {guest address: bytes}."""
        if self.ram is None:
            self.ram = {r.ipa: bytearray(r.size) for r in self.cfg.region[:self.cfg.region_count]
                        if r.type == abi.RAM}
        return self.ram

    def go(self, state, reason=None):
        """Changes the state, and says so."""
        if reason is not None:
            self.info.reason = reason
        if state == abi.RUNNING and self.info.state != abi.PAUSED:
            self.sim.later(self.execute)
        if state == abi.STOPPED:
            self.info.stopped = self.sim.now()
        self.info.state = state
        self.info.changes += 1
        self.sim.changes += 1
        self.sim.notify()

    def execute(self):
        """Its first instruction: it is loaded. Nobody is told."""
        self.info.started = self.sim.now()

    def pause(self, lags):
        """Its vCPUs leave their cores."""
        running = [v for v in self.vcpus if v.state == 0]
        for vcpu in running:
            vcpu.sched = 1 if lags else 5
        self.go(abi.PAUSED)
        if lags:
            self.sim.later(lambda: [setattr(v, "sched", 5) for v in running])

    def is_still(self):
        return all(v.state == 2 or v.sched in (0, 5) for v in self.vcpus)

    def resume(self):
        for vcpu in self.vcpus:
            vcpu.sched = 0
        self.go(abi.RUNNING)

    def load(self):
        """What a start does: memory from the store."""
        self.ram = None
        for load in self.cfg.load[:self.cfg.load_count]:
            data = self.store[load.offset:][:load.size]
            for ipa, memory in self.memory.items():
                if ipa <= load.ipa < ipa + len(memory):
                    memory[load.ipa - ipa:load.ipa - ipa + len(data)] = data

    def at(self, address, size):
        """Its memory there, or None."""
        for ipa, memory in self.memory.items():
            if ipa <= address and address + size <= ipa + len(memory):
                return memory[address - ipa:address - ipa + size]
        return None


def config(name, pa, size=4 * MIB, level=abi.NRT, cpus=(0,), ipa=0x40000000, server=None):
    """A VM of the image."""
    cfg = abi.CfgVm(name=name.encode(), level=level, vcpu_count=len(cpus), region_count=1,
                    irq_lines=64, entry=ipa, arg=ipa, gicd_ipa=0x08000000, gicc_ipa=0x080a0000)
    for i, cpu in enumerate(cpus):
        cfg.cpu[i] = cpu
    cfg.region[0] = abi.Region(ipa, pa, size, abi.RAM)
    cfg.server.weight = 0 if level == abi.HRT else 100
    if server is not None:
        cfg.server.budget_ns, cfg.server.period_ns = server
        cfg.server.deadline_ns = server[1]
    return cfg


def machine(trace_chunks=2):
    """What kzc says of a machine like QEMU's virt, with four cores."""
    m = abi.Machine(board=b"virt", cpu_count=4, ram_count=1, gic_version=3, gic_lines=288,
                    gicd_pa=0x08000000, gicr_pa=0x080a0000, gicr_size=0xf60000,
                    vtimer_intid=27, ptimer_intid=30, htimer_intid=26, maint_intid=25,
                    pmu_intid=23, uart=1, uart_intid=33, uart_pa=0x09000000, block_ns=10000,
                    trace_chunks=trace_chunks, trace_pa=RAM_PA + 3 * MIB)
    m.ram[0] = abi.Ram(RAM_PA, 2048 * MIB)
    for i in range(4):
        m.mpidr[i] = i
    return m


class Sim:
    """The hypervisor behind a socket. caller is the place of the VM that kz runs in."""

    def __init__(self, path, delay=0.02):
        self.path = str(path)
        self.lock = threading.RLock()
        self.delay = delay
        self.lazy = False       # RESET is not even begun when its call comes back
        self.lags = False       # a VM that is paused stands still only after the delay
        self.caller = 0
        self.rights = [0xff] * 6
        self.changes = 0
        self.begin = time.monotonic()
        self.log = b""
        self.log_dropped = 0
        self.calls = []         # (function, x) of each call
        self.fail = {}          # function: (error, x1, x2), instead of an answer
        self.errno = {}         # function: of the ioctl
        self.events = []
        self.hook = None        # called with each call, before it is answered
        self.heads = [abi.TraceHead() for _ in range(4)]
        self.trace = None       # a descriptor
        self.cfg = abi.Cfg(magic=0x424d5a4b, version=4, image_pa=RAM_PA + 2 * MIB,
                           image_size=MIB, blob_offset=0x10000, machine=machine())
        self.vms = [None] * abi.VMS
        self.add(config("linux", RAM_PA + 64 * MIB, 64 * MIB, cpus=(0, 1)), abi.RUNNING)
        self.add(config("vision", RAM_PA + 192 * MIB, level=abi.SRT, cpus=(1,),
                        server=(2_000_000, 10_000_000)), abi.RUNNING)
        self.add(config("servo", RAM_PA + 200 * MIB, level=abi.HRT, cpus=(3,)), abi.RUNNING)
        self.cfg.vm_count = 3
        self.cfg.size = ctypes.sizeof(abi.Cfg) + 3 * ctypes.sizeof(abi.CfgVm)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.path)
        self.socket.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    # ---- The machine ----

    def now(self):
        """ns since power-on, which was an hour ago."""
        return int((time.monotonic() - self.begin) * NS) + 3600 * NS

    def add(self, cfg, state=abi.STOPPED):
        """A VM in the first free place."""
        place = self.vms.index(None)
        vm = Vm(self, cfg)
        self.vms[place] = vm
        vm.info.state = state
        if state == abi.RUNNING:
            vm.info.started = self.now() - 600 * NS
            for vcpu in vm.vcpus:
                vcpu.state = 0
        return vm

    def vm(self, name):
        return next(vm for vm in self.vms if vm is not None and vm.cfg.name == name.encode())

    def names(self):
        return [vm.cfg.name.decode() for vm in self.vms if vm is not None]

    def notify(self):
        for event in list(self.events):
            with contextlib.suppress(OSError):
                event.send((1).to_bytes(8, "little"), socket.MSG_DONTWAIT)

    def later(self, what):
        """Does it after the delay, if it is still the same VM's."""
        def run():
            with self.lock:
                what()
        timer = threading.Timer(self.delay, run)
        timer.daemon = True
        timer.start()

    # ---- The socket ----

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        purpose = connection.recv(1)
        if purpose == b"e":
            with self.lock:
                self.events.append(connection)
                # Something may have happened before it was here; it may be gone again already.
                with contextlib.suppress(OSError):
                    connection.send((1).to_bytes(8, "little"))
        elif purpose == b"t":
            if self.trace is None:
                connection.send(errno.ENXIO.to_bytes(4, "little"))
            else:
                socket.send_fds(connection, [b"."], [self.trace])
            connection.close()
        elif purpose == b"c":
            with connection:
                while data := connection.recv(ctypes.sizeof(abi.Call) + abi.CONTROL_BYTES):
                    with contextlib.suppress(BrokenPipeError):
                        connection.send(self.ioctl(data))

    def ioctl(self, data):
        call = abi.Call.from_buffer_copy(data)
        size = call.size if call.buffer_at != abi.NO_BUFFER else 0
        buffer = bytearray(data[ctypes.sizeof(abi.Call):])
        if size > abi.CONTROL_BYTES or len(buffer) != size:
            return errno.EINVAL.to_bytes(4, "little")
        if call.function in self.errno:
            return self.errno[call.function].to_bytes(4, "little")
        if self.hook is not None:
            self.hook(call)
        with self.lock:
            self.calls.append((call.function, list(call.x)))
            call.error = self.answer(call, buffer, size)
        return bytes(call) + (bytes(buffer) if call.error == abi.OK else b"")

    def answer(self, call, buffer, size):
        if call.function in self.fail:
            error, call.x[0], call.x[1] = self.fail[call.function]
            return error
        calls = {abi.REGISTER: self.register, abi.FILL: self.fill, abi.CONTROL: self.control,
                 abi.INSPECT: self.inspect, abi.CONSOLE_READ: self.console_read,
                 abi.CONSOLE_WRITE: self.console_write, abi.READ: self.read,
                 abi.LOG: self.read_log}
        return calls[call.function](call, buffer, size)

    # ---- Calls ----

    def find(self, place, right):
        """The VM there, or an error."""
        if place >= abi.VMS:
            return abi.EINVAL
        if self.vms[place] is None:
            return abi.ENOENT if self.rights[right] == 0xff else abi.EPERM
        if not self.rights[right] >> place & 1:
            return abi.EPERM
        return self.vms[place]

    def register(self, call, buffer, size):
        if size < ctypes.sizeof(abi.CfgVm):
            return abi.EINVAL
        cfg = abi.CfgVm.from_buffer_copy(buffer)
        if self.rights[abi.R_CREATE] != 0xff:
            return abi.EPERM
        if None not in self.vms:
            return abi.ENOMEM
        regions = list(cfg.region[:cfg.region_count])
        for other in filter(None, self.vms):
            if other.cfg.name == cfg.name:
                call.x[0], call.x[1] = abi.BLOB_NAME_TWICE, 0
                return abi.EINVAL
            for i, mine in enumerate(regions):
                if any(mine.pa < r.pa + r.size and r.pa < mine.pa + mine.size
                       for r in other.cfg.region[:other.cfg.region_count]):
                    call.x[0], call.x[1] = abi.BLOB_REGION_TWICE, i
                    return abi.EINVAL
        stores = [r for r in regions if r.type == abi.STORE]
        if len(stores) != 1 or stores[0].size < cfg.store_tables * 4096 or not cfg.store_tables:
            call.x[0] = 0
            return abi.EINVAL
        vm = self.add(cfg, abi.CREATED)
        vm.store = bytearray(stores[0].size - cfg.store_tables * 4096)
        call.x[0] = self.vms.index(vm)
        self.notify()
        return abi.OK

    def fill(self, call, buffer, size):
        place, offset, _, count = call.x
        if offset % 64 or count % 64 or count > size:
            return abi.EINVAL
        vm = self.find(place, abi.R_CREATE)
        if isinstance(vm, int):
            return vm
        if vm.info.state != abi.CREATED:
            return abi.EBUSY
        if offset + count > len(vm.store):
            return abi.EINVAL
        vm.store[offset:offset + count] = buffer[:count]
        return abi.OK

    RIGHT = {abi.RESET: abi.R_RESTART, abi.DESTROY: abi.R_CREATE, abi.ATTACH: abi.R_CONSOLE,
             abi.DETACH: abi.R_CONSOLE}
    STATES = {abi.START: (abi.CREATED, abi.STOPPED, abi.WAITING), abi.PAUSE: (abi.RUNNING,),
              abi.RESUME: (abi.PAUSED,), abi.SHUTDOWN: (abi.RUNNING,),
              abi.STOP: (abi.RUNNING, abi.PAUSED, abi.WAITING),
              abi.RESET: (abi.RUNNING, abi.PAUSED)}

    def control(self, call, _buffer, _size):
        place, verb = call.x[0], call.x[1]
        if verb > abi.DETACH:
            return abi.EINVAL
        vm = self.find(place, self.RIGHT.get(verb, abi.R_RUN))
        if isinstance(vm, int):
            return vm
        if verb in self.STATES and vm.info.state not in self.STATES[verb]:
            return abi.EBUSY
        if verb == abi.DESTROY and vm.info.state == abi.CLEARING:
            return abi.EBUSY
        error = self.verb(vm, place, verb)
        call.x[0] = vm.info.state
        return error

    def verb(self, vm, place, verb):
        if verb == abi.START:
            vm.load()
            vm.go(abi.RUNNING)
            if not vm.starts:
                vm.go(abi.STOPPED, abi.REASON_FAULT)
        elif verb == abi.PAUSE:
            vm.pause(self.lags)
        elif verb == abi.RESUME:
            if not vm.is_still():
                return abi.EBUSY
            vm.resume()
        elif verb == abi.SHUTDOWN:
            if not vm.listens:
                return abi.ENOENT
            if vm.obeys:
                self.later(lambda: vm.go(abi.STOPPED, abi.REASON_OFF))
        elif verb == abi.STOP:
            vm.go(abi.STOPPING)
            self.later(lambda: vm.go(abi.STOPPED, abi.REASON_STOP))
        elif verb == abi.RESET:
            if not self.lazy:
                vm.go(abi.STOPPING)
            self.later(lambda: self.restart(vm))
        elif verb == abi.DESTROY:
            vm.go(abi.CLEARING, abi.REASON_DESTROY)
            self.later(lambda: self.clear(vm, place))
        elif verb == abi.ATTACH:
            if vm.info.attached not in (0, self.caller + 1):
                return abi.EBUSY
            vm.info.attached = self.caller + 1
        elif verb == abi.DETACH:
            vm.info.attached = 0
        return abi.OK

    def restart(self, vm):
        if not vm.starts:
            vm.go(abi.STOPPED, abi.REASON_FAULT)
            return
        vm.info.restarts += 1
        vm.load()
        vm.go(abi.RUNNING, abi.REASON_RESTART)

    def clear(self, vm, place):
        if self.vms[place] is vm:
            self.vms[place] = None
            self.rights = [r if r == 0xff else r & ~(1 << place) for r in self.rights]
            self.notify()

    def inspect(self, call, buffer, size):
        what, which = call.x[0], call.x[1]
        place, vcpu = which & 0xff, which >> 8
        if what in (abi.I_MACHINE, abi.I_TRACE):
            wanted = 0xff if what == abi.I_TRACE else None
            if self.rights[abi.R_LIST] == 0 or (wanted and self.rights[abi.R_LIST] != wanted):
                return abi.EPERM
            data = (b"".join(bytes(h) for h in self.heads) if what == abi.I_TRACE
                    else bytes(self.machine_info()))
        else:
            vm = self.find(place, abi.R_READ if what == abi.I_REGISTERS else abi.R_LIST)
            if isinstance(vm, int):
                return vm
            if vcpu >= vm.cfg.vcpu_count:
                return abi.EINVAL
            if what == abi.I_REGISTERS and (vm.info.state == abi.RUNNING or not vm.is_still()):
                return abi.EBUSY
            data = bytes({abi.I_CONFIG: vm.cfg, abi.I_VM: vm.info, abi.I_VCPU: vm.vcpus[vcpu],
                          abi.I_REGISTERS: vm.registers[vcpu]}[what])
        if size < len(data):
            return abi.EINVAL
        buffer[:len(data)] = data
        call.x[0] = len(data)
        return abi.OK

    def machine_info(self):
        return abi.MachineInfo(now=self.now(), hz=NS, changes=self.changes, caller=self.caller,
                               vm_count=max(i + 1 for i, v in enumerate(self.vms) if v),
                               image_size=36000, cfg=self.cfg)

    def console_read(self, call, buffer, size):
        vm = self.find(call.x[0], abi.R_CONSOLE)
        if isinstance(vm, int):
            return vm
        if vm.info.attached != self.caller + 1:
            return abi.EBUSY
        count = min(size, call.x[2], len(vm.output), 512)
        buffer[:count] = vm.output[:count]
        del vm.output[:count]
        call.x[0] = count
        return abi.OK

    def console_write(self, call, buffer, size):
        vm = self.find(call.x[0], abi.R_CONSOLE)
        if isinstance(vm, int):
            return vm
        count = min(size, call.x[2], vm.room)
        vm.input += buffer[:count]
        vm.room -= count
        call.x[0] = count
        return abi.OK

    def read(self, call, buffer, size):
        place, address, _, count = call.x
        if count > size:
            return abi.EINVAL
        vm = self.find(place, abi.R_READ)
        if isinstance(vm, int):
            return vm
        data = vm.at(address, count)
        if data is None:
            return abi.EINVAL
        if vm.info.state in (abi.CREATED, abi.CLEARING):
            return abi.EBUSY
        buffer[:count] = data
        return abi.OK

    def read_log(self, call, buffer, size):
        if self.rights[abi.R_LIST] == 0:
            return abi.EPERM
        position = max(call.x[0], self.log_dropped)
        data = self.log[position - self.log_dropped:][:min(size, call.x[2])]
        buffer[:len(data)] = data
        call.x[0], call.x[1] = len(data), position
        return abi.OK

    def console_put(self, vm, data):
        """A guest prints."""
        with self.lock:
            vm.output += data
            if vm.info.attached:
                self.notify()
