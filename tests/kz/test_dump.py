# SPDX-License-Identifier: Apache-2.0
"""A VM as a core file, and what gdb says of it."""

import re
import signal
import subprocess

import abi
import pytest

BASE = 0x40000000


@pytest.fixture
def vm(sim):
    """linux, with two vCPUs and two pieces of memory that can be told apart."""
    vm = sim.vm("linux")
    sim.caller = 1
    vm.cfg.region[1] = abi.Region(0x80000000, 0x70000000, 0x3000, abi.RAM)
    vm.cfg.region[2] = abi.Region(0x0a000000, 0x0a000000, 0x1000, abi.DEVICE)
    vm.cfg.region_count = 3
    vm.memory[0x80000000] = bytearray(0x3000)
    vm.memory[BASE][0x1000:0x1008] = (0x1122334455667788).to_bytes(8, "little")
    vm.memory[BASE][-4:] = b"last"
    vm.memory[0x80000000][:5] = b"more\0"
    for i, r in enumerate(vm.registers):
        for n in range(31):
            r.x[n] = 0x1000 * (i + 1) + n
        r.pc, r.pstate = 0x40001000 + 16 * i, 0x3c5
        r.sp_el0, r.sp_el1 = 0xe10, 0xe11
        r.tpidr_el0 = 0x77
        r.fpsr, r.fpcr = 0x10, 0x3000000
        r.v[62], r.v[63] = 0x0123456789abcdef, 0xfedcba9876543210
    return vm


def gdb(path, *commands):
    args = [part for c in commands for part in ("-ex", c)]
    done = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-c", path, *args],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_gdb_opens_it(kz, sim, vm):
    done = kz.ok("--json", "dump", "linux", "core")
    assert done.json["memory_bytes"] == (64 << 20) + 0x3000 and done.json["vcpus"] == 2
    assert done.json["state"] == "running"
    text = gdb(kz.path / "core", "info threads", "p/x $x0", "p/x $x30", "p/x $pc", "p/x $sp",
               "p/x $cpsr", "p/x $fpsr", "p/x $q31.u", "x/gx 0x40001000", "x/s 0x80000000",
               "x/4c 0x43fffffc", "x/gx 0x40002000", "thread 2", "p/x $x1", "p/x $pc",
               "x/wx 0x90000000")
    values = re.findall(r"^\$\d+ = (.*)$", text, re.MULTILINE)
    assert values == ["0x1000", "0x101e", "0x40001000", "0xe11", "0x3c5", "0x10",
                      "0xfedcba98765432100123456789abcdef", "0x2001", "0x40001010"]
    assert "0x40001000:\t0x1122334455667788" in text
    assert '"more"' in text
    assert "108 'l'\t97 'a'\t115 's'\t116 't'" in text
    assert "0x40002000:\t0x0000000000000000" in text
    assert "Cannot access memory at address 0x90000000" in text
    assert len(re.findall(r"^[* ] +\d+ +(?:LWP|Thread|process)", text, re.MULTILINE)) == 2


@pytest.mark.parametrize("pstate, sp", [(0x3c5, "0xe11"), (0x3c4, "0xe10"), (0, "0xe10")])
def test_stack_pointer(kz, vm, pstate, sp):
    """The one that the vCPU uses: at EL1h its own, else that of EL0."""
    vm.registers[0].pstate = pstate
    kz.ok("dump", "linux", "core")
    assert f"$1 = {sp}\n" in gdb(kz.path / "core", "p/x $sp")


def test_holes(kz, vm):
    """Zeros take no space."""
    kz.ok("dump", "linux", "core")
    st = (kz.path / "core").stat()
    assert st.st_size > 64 << 20 and st.st_blocks * 512 < 1 << 20


def test_states(kz, sim, vm):
    """It goes on if it ran, and only then."""
    verbs = []
    sim.hook = lambda call: verbs.append(call.x[1]) if call.function == abi.CONTROL else None
    kz.ok("dump", "linux", "core")
    assert verbs == [abi.PAUSE, abi.RESUME] and vm.info.state == abi.RUNNING
    for state in (abi.PAUSED, abi.STOPPED, abi.WAITING):
        verbs.clear()
        vm.info.state = state
        kz.ok("dump", "linux", "core")
        assert verbs == [] and vm.info.state == state
    vm.info.state = abi.CLEARING
    assert "its memory is about to change" in kz("dump", "linux", "core2").err
    vm.info.state = abi.CREATED
    assert "vm linux was never started" in kz("dump", "linux", "core2").err
    assert not (kz.path / "core2").exists()


def test_read_while_paused(kz, sim, vm):
    states = set()

    def look(call):
        if call.function == abi.READ or (call.function == abi.INSPECT and
                                         call.x[0] == abi.I_REGISTERS):
            states.add(vm.info.state)
    sim.hook = look
    kz.ok("dump", "linux", "core")
    assert states == {abi.PAUSED}


@pytest.mark.parametrize("fail", ["read", "registers", "write", "ctrl-c"])
def test_goes_on_whatever_happens(kz, sim, vm, wait, fail):
    """The VM runs again, and nothing is left of the file."""
    target = "core"
    if fail == "read":
        vm.memory[0x80000000] = bytearray(0x1000)
    elif fail == "registers":
        sim.rights[abi.R_READ] = 0
    elif fail == "write":
        target = "nowhere/core"
    if fail == "ctrl-c":
        vm.memory[BASE][:] = b"\x01" * len(vm.memory[BASE])
        process = kz.start("dump", "linux", target)
        wait(lambda: any(f == abi.READ for f, _ in sim.calls), "reads")
        done = kz.finish(process, signal.SIGINT)
        assert done.code == 130
    else:
        done = kz("dump", "linux", target)
        assert done.code == 1 and "kz dump: " in done.err
    assert vm.info.state == abi.RUNNING
    assert sorted(p.name for p in kz.path.iterdir()) == ["kizami"]


@pytest.mark.parametrize("target, code", [("core", 0), ("nowhere/core", 1)])
def test_stands_still_late(kz, sim, vm, target, code):
    """Registers are read when it does; it goes on also when it did not yet."""
    sim.delay, sim.lags = 0.3, True
    done = kz("dump", "linux", target)
    assert done.code == code, done.err
    assert vm.info.state == abi.RUNNING


def test_interrupted_before_it_stands_still(kz, sim, vm, wait):
    sim.delay, sim.lags = 1, True
    process = kz.start("dump", "linux", "core")
    wait(lambda: vm.info.state == abi.PAUSED, "paused")
    assert kz.finish(process, signal.SIGINT).code == 130
    assert vm.info.state == abi.RUNNING


def test_old_file_stays(kz, sim, vm):
    """Until the new one is whole."""
    kz.write("core", "old")
    sim.rights[abi.R_READ] = 0
    assert kz("dump", "linux", "core").code == 1
    assert (kz.path / "core").read_text() == "old"
