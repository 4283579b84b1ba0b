# SPDX-License-Identifier: Apache-2.0
"""The terminal of a VM: both ways, and how one leaves."""

import os
import pty
import signal
import subprocess
import termios
import threading
import time

import abi
import pytest


class Terminal:
    """kz on a terminal of its own."""

    def __init__(self, kz, *args):
        self.end, other = pty.openpty()
        self.before = termios.tcgetattr(other)
        self.other = other
        self.seen = b""
        self.process = kz.start(*args, stdin=other, stdout=other, stderr=other)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                self.seen += os.read(self.end, 4096)
            except OSError:
                return

    def type(self, data):
        os.write(self.end, data)

    def leave(self):
        code = self.process.wait(timeout=20)
        assert termios.tcgetattr(self.other) == self.before, "the terminal is left changed"
        return code


@pytest.fixture
def terminal(kz):
    return lambda *args: Terminal(kz, *args)


def test_console(sim, terminal, wait):
    vm = sim.vm("vision")
    vm.output += b"before\r\n"
    t = terminal("console", "vision")
    wait(lambda: b"before\r\n" in t.seen, "output")
    assert vm.info.attached == 1
    sim.console_put(vm, b"\x1b[1mlogin:\xff\x00 ")
    wait(lambda: b"\x1b[1mlogin:\xff\x00 " in t.seen, "bytes as they are")
    t.type(b"root\r\x03")
    wait(lambda: vm.input == b"root\r\x03", "each key, Ctrl-C too")
    t.type(b"ab\x1dcd")
    assert t.leave() == 0
    assert vm.input == b"root\r\x03ab" and vm.info.attached == 0
    wait(lambda: t.seen.endswith(b"login:\xff\x00 \r\n"), "a line of its own for what follows")


def test_input_is_paced(sim, terminal, wait):
    """What the guest has no room for comes later, in order."""
    vm = sim.vm("vision")
    vm.room = 3
    t = terminal("console", "vision")
    wait(lambda: vm.info.attached, "attached")
    t.type(b"0123456789")
    wait(lambda: vm.input == b"012", "what there is room for")
    time.sleep(0.3)
    calls = sum(f == abi.CONSOLE_WRITE for f, _ in sim.calls)
    assert calls < 30, "asked over and over"
    for _ in range(3):
        had = len(vm.input)
        vm.room += 2
        wait(lambda had=had: len(vm.input) == had + 2, "a little more")
    vm.room = 100
    wait(lambda: vm.input == b"0123456789", "all")
    t.type(b"\x1d")
    assert t.leave() == 0


def test_quiet_is_idle(sim, terminal, wait):
    t = terminal("console", "vision")
    wait(lambda: any(f == abi.CONSOLE_READ for f, _ in sim.calls), "a first look")
    time.sleep(0.2)
    before = len(sim.calls)
    time.sleep(1)
    assert len(sim.calls) == before
    t.type(b"\x1d")
    assert t.leave() == 0


def test_much_output(kz, sim):
    data = bytes(range(256)) * 400
    sim.vm("vision").output += data
    done = subprocess.run(kz.command(["console", "vision"]), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")
    assert sim.vm("vision").info.attached == 0


def test_pipe_with_time(kz, sim, wait):
    """For scripts: what is piped in is typed, and the answer is waited for."""
    vm = sim.vm("vision")
    process = kz.start("console", "-t", "1", "vision", stdin=subprocess.PIPE)
    process.stdin.write(b"uname\n")
    process.stdin.close()
    process.stdin = None
    wait(lambda: vm.input == b"uname\n", "input")
    sim.console_put(vm, b"Linux\n")
    done = kz.finish(process, None)
    assert (done.code, done.out) == (0, "Linux\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_detaches(sim, terminal, wait, number):
    t = terminal("console", "vision")
    wait(lambda: sim.vm("vision").info.attached == 1, "attached")
    wait(lambda: b"Ctrl-] leaves" in t.seen, "the hint")
    t.process.send_signal(number)
    assert t.leave() == 130
    assert sim.vm("vision").info.attached == 0


def test_vm_goes(sim, terminal, wait):
    t = terminal("console", "vision")
    wait(lambda: sim.vm("vision").info.attached == 1, "attached")
    with sim.lock:
        sim.clear(sim.vm("vision"), 1)
    assert t.leave() == 0
    wait(lambda: b"vm vision is gone" in t.seen, "why")


def test_detached_by_another(sim, terminal, wait):
    t = terminal("console", "vision")
    wait(lambda: sim.vm("vision").info.attached == 1, "attached")
    with sim.lock:
        sim.vm("vision").info.attached = 3
        sim.notify()
    assert t.leave() == 1
    wait(lambda: b"vm vision is not attached any more" in t.seen, "why")


def test_busy_and_denied(kz, sim):
    sim.vm("vision").info.attached = 3
    done = kz("console", "vision")
    assert done.code == 1
    assert "the console of vm vision is attached to another VM (number 2)" in done.err
    sim.rights[abi.R_CONSOLE] = 0
    done = kz("console", "servo")
    assert done.code == 1 and "has not the right" in done.err
