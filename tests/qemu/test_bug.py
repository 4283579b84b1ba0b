# SPDX-License-Identifier: Apache-2.0
"""What should never be: a bug of the hypervisor's own, cores that are not there, tables that run
out."""

import os
import re
import struct
import subprocess

import pytest

import blob
import covered
import machine

pytestmark = pytest.mark.xdist_group("clock")
ELF = covered.ELF if covered.is_on() else machine.ROOT / "build/arm64/kizami.elf"
HV_VA = 0x7fc0000000
GUESTS = "../../guests"
TWO = f"""board = {{board}}
vm one {{{{ level = nrt  cpus = {{{{0}}}}  memory = 2M  image = "{GUESTS}/hello.bin" }}}}
vm two {{{{ level = {{level}}  cpus = {{{{2}}}}  memory = 512M  image = "{GUESTS}/calls.bin"
	cmdline = "none" }}}}
"""
CORES = f"""board = {{board}}
vm one {{{{ level = nrt  cpus = {{{{0, 3}}}}  memory = 2M  image = "{GUESTS}/hello.bin" }}}}
vm two {{{{ level = hrt  cpus = {{{{2}}}}  memory = 2M  image = "{GUESTS}/hello.bin" }}}}
"""
EIGHT = "board = virt\n" + "".join(
    f'vm v{i} {{ level = nrt  cpus = {{0}}  memory = 2M  image = "{GUESTS}/hello.bin" }}\n'
    for i in range(8))
REGIONS = 16


def address_of(symbol):
    """Where a function of the hypervisor is."""
    out = subprocess.run(["aarch64-linux-gnu-nm", ELF], capture_output=True, text=True,
                         check=True).stdout
    return int(re.search(rf"^(\w+) \w {symbol}$", out, re.MULTILINE).group(1), 16)


@pytest.mark.parametrize("level", ("nrt", "hrt"))
def test_panic(board, level, monkeypatch):
    """The hypervisor meets an undefined instruction of its own when a guest calls it: it says
    where on which core, that core is lost, and the others go on. The guest has much memory, so
    that it comes to that when the other one's first line is printed: a panic waits for no lock."""
    image = machine.image_build(TWO.format(board=board, level=level), "panic-whole")
    at = address_of("trap_call")
    data = bytearray(image.read_bytes())
    struct.pack_into("<I", data, at - HV_VA, 0)         # UDF
    broken = machine.LOGS / "panic.img"
    broken.write_bytes(data)
    monkeypatch.delenv("MASKED", raising=False)         # it knows whole images only
    with machine.board_boot(board, broken, f"panic-{board}") as m:
        match = m.wait_line(machine.HV, "^panic: (.*)$", 20)
        # Synchronous, from EL2 with its own stack; EC 0, of 32 bits. What
        # another core prints may follow on its line.
        assert re.match(rf"exception 4 at EL2: ESR 0x2000000 ELR {at:#x} FAR 0x[0-9a-f]+, core 2",
                        match.group(1)), match.group(1)
        last = max((int(n) for n in re.findall(r"^hello (\d+)$", "\n".join(m.lines_of("one")),
                                               re.MULTILINE)), default=0)
        for n in (last + 2, last + 3):
            m.wait_line("one", f"^hello {n}$")
        assert "calls: done" not in m.lines_of("two")
        assert sum("panic" in line for line in m.lines_of(machine.HV)) == 1


def test_missing_core(boot, board):
    """Cores that the board should have and the firmware does not: it says so for each; what has
    its cores runs."""
    m = boot(board, CORES.format(board=board), ["-smp", "2"])
    for core in (2, 3):
        m.wait_line(machine.HV, f"^core {core}: the firmware refuses PSCI CPU_ON$", 20)
    for n in (1, 2):
        m.wait_line("one", f"^hello {n}$")
    cores = m.status()["core"]
    assert (cores[0]["state"], cores[2]["state"]) == ("running", "ready"), cores
    assert not m.lines_of("two")


def test_el1():
    """Where the firmware starts it without EL2 it can do nothing, and does nothing."""
    image = machine.image_build(CORES.format(board="virt"), "el1")
    with machine.Machine(
            [os.environ.get("QEMU", "qemu-system-aarch64"), "-M", "virt,gic-version=3", "-cpu",
             "cortex-a53", "-smp", "4", "-m", "2G", "-nic", "none", "-display", "none", "-serial",
             "mon:stdio", "-no-reboot", "-kernel", image], machine.LOGS / "el1.log") as m:
        m.run(1)
        assert m.screen.lines == [] and m.child.isalive()


def test_tables():
    """Regions so far apart that there are not enough translation tables for them: it is said
    whose, and nothing runs. kzc does not let it come to that."""
    b = blob.Blob(machine.image_build(EIGHT, "tables-whole"))
    for i in range(b["vm_count"]):
        vm = b.vm(i)
        for n in range(vm["region_count"], REGIONS):
            region = b.region(i, n)
            region["ipa"] = (n + 8) << 30
            region["pa"] = 0x200000000 + (i * REGIONS + n) * blob.PAGE
            region["size"] = blob.PAGE
            region["type"] = 1
        vm["region_count"] = REGIONS
    b.save(machine.LOGS / "tables.img")
    with machine.board_boot("virt", machine.LOGS / "tables.img", "tables") as m:
        m.wait_line(machine.HV, "^no VM is started$", 20)
        m.run(0.1)
        assert re.match("^v[0-9]: out of translation tables$", m.lines_of(machine.HV)[0])
        assert not [vm for vm, _ in m.screen.lines if vm not in (None, machine.HV)]


def test_servers():
    """Servers that are more than their core has, and that nobody has proven: none is started.
    kzc does not let it come to that either."""
    conf = "board = virt\n" + "".join(
        f'vm v{i} {{ level = srt  cpus = {{1}}  memory = 2M  image = "{GUESTS}/hello.bin"\n'
        f'\trealtime {{ budget = 4ms  period = 10ms }} }}\n' for i in range(2))
    b = blob.Blob(machine.image_build(conf, "servers-whole"))
    for i in range(2):
        b.vm(i)["budget_ns"] = 6_000_000
    b.machine["proven"] = 0
    b.save(machine.LOGS / "servers.img")
    with machine.board_boot("virt", machine.LOGS / "servers.img", "servers") as m:
        m.wait_line(machine.HV, "^no VM is started$", 20)
        assert m.lines_of(machine.HV)[0] == "core 1: its servers are too much, and not proven"
