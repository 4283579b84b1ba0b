# SPDX-License-Identifier: Apache-2.0
"""An image that is not fit to be booted says why on the console, and starts nothing."""

import os
import re

import pytest

import blob
import machine

# What the numbers mean: the strings of blob_strerror.
TEXT = (machine.ROOT / "hv/blob_text.c").read_text().partition("messages[] =")[2]
WORDS = "".join(re.findall(r'"(.*)"', TEXT.partition(";")[0])).split(r"\0")
pytestmark = pytest.mark.xdist_group("clock")
CONF = """board = {board}
vm one {{ level = nrt  cpus = {{0, 1}}  memory = 2M  image = "../../guests/hello.bin" }}
vm two {{ level = hrt  cpus = {{3}}  memory = 2M  image = "../../guests/servo.bin"
	  console = ring }}
"""


def one(field, value):
    """Another value in a field of the first VM."""
    return lambda b: b.vm(0).__setitem__(field, value)


def two(field, value):
    """Another value in a field of the second VM."""
    return lambda b: b.vm(1).__setitem__(field, value)


def header(field, value):
    """Another value in the header."""
    return lambda b: b.__setitem__(field, value)


def board_field(field, value):
    """Another value in what is said of the machine."""
    return lambda b: b.machine.__setitem__(field, value)


def region(field, value):
    """Another value in the first region of the second VM."""
    return lambda b: b.region(1, 0).__setitem__(field, value)


def region_of_first(b):
    """The second VM's memory is the first one's."""
    b.region(1, 0)["pa"] = b.region(0, 0)["pa"]


def region_of_hypervisor(b):
    """The second VM's memory is the hypervisor."""
    b.region(1, 0)["pa"] = b["image_pa"]


def region_of_gic(b):
    """The second VM's memory is a device at the interrupt controller."""
    b.region(1, 0)["type"] = 1
    b.region(1, 0)["pa"] = b.machine["gicd_pa"]
    b.region(1, 0)["size"] = blob.PAGE


def interrupt(intid, flags=0, count=1):
    """The first VM gets so many interrupts of that number."""
    def spoil(b):
        b.vm(0)["irq_count"] = count
        for i in range(count):
            b.irq(0, i)["intid"] = intid
            b.irq(0, i)["flags"] = flags
    return spoil


def truncated(b):
    """The image says that it ends within the blob: image_size of the Linux header."""
    b.data[16:24] = (b.at + blob.VMS + 100).to_bytes(8, "little")


def same(field, other):
    """A field of the machine has the value of another one."""
    return lambda b: b.machine.__setitem__(field, b.machine[other])


ELSEWHERE = 0x48000000

# What is spoilt, the words for it, and whose it is: "machine 0, entry N" or "VM N, entry M".
REFUSALS = {
    "version": (header("version", 99), "version differs", "machine"),
    "truncated": (truncated, "truncated", "machine"),
    "no VM": (header("vm_count", 0), "number of VMs", "machine"),
    "nine VMs": (header("vm_count", 9), "number of VMs", "machine"),
    "size": (header("size", 64), "size", "machine"),
    "header reserved": (header("reserved", 1), "reserved field", "machine"),
    "image bounds": (header("image_size", 1), "image bounds", "machine"),
    "board's name": (board_field("board", b"Virt!"), "name", "machine"),
    "no core": (board_field("cpu_count", 0), "number of cores", "machine"),
    "nine cores": (board_field("cpu_count", 9), "number of cores", "machine"),
    "a core twice": (board_field("mpidr1", 0), "MPIDR", "machine"),
    "console core": (board_field("console_cpu", 7), "console core", "machine"),
    "console on an HRT core": (board_field("console_cpu", 3), "console core", "machine"),
    "conduit": (board_field("conduit", 9), "conduit is not SMC", "machine"),
    "no RAM": (board_field("ram_count", 0), "RAM bank", "machine"),
    "RAM off a page": (board_field("ram0_pa", 0x40000001), "RAM bank", "machine"),
    "image outside RAM": (board_field("ram0_size", 0x100000), "image outside RAM", "machine"),
    "GICv4": (board_field("gic_version", 4), "GIC version or lines", "machine"),
    "GIC lines": (board_field("gic_lines", 100), "GIC version or lines", "machine"),
    "GIC off a page": (board_field("gicd_pa", 0x8000010), "GIC frame", "machine"),
    "GIC in RAM": (same("gicd_pa", "ram0_pa"), "GIC frame", "machine"),
    "no timer": (board_field("vtimer_intid", 0), "PPI", "machine"),
    "two timers on one PPI": (same("ptimer_intid", "vtimer_intid"), "PPI", "machine"),
    "UART's interrupt": (board_field("uart_intid", 5), "console UART", "machine"),
    "level": (one("level", 3), "level, on_fault or console", "VM 0"),
    "on_fault": (two("on_fault", 3), "level, on_fault or console", "VM 1"),
    "console": (two("console", 9), "level, on_fault or console", "VM 1"),
    "no vCPU": (one("vcpu_count", 0), "count", "VM 0"),
    "17 regions": (two("region_count", 17), "count", "VM 1"),
    "17 loads": (two("load_count", 17), "count", "VM 1"),
    "65 interrupts": (two("irq_count", 65), "count", "VM 1"),
    "flags": (one("flags", 0x80), "flags", "VM 0"),
    "direct SGIs without HRT": (one("flags", 1), "flags", "VM 0"),
    "no such core": (two("cpu0", 4), "no such core", "VM 1"),
    "core of an HRT VM": (two("cpu0", 1), "core given twice", "VM 1"),
    "core twice in a VM": (one("cpu1", 0), "core given twice", "VM 0"),
    "irq_lines": (one("irq_lines", 33), "irq_lines", "VM 0"),
    "VM reserved": (two("reserved2", 1), "reserved field", "VM 1"),
    "VM's name": (one("name", b"a b"), "name", "VM 0"),
    "name twice": (two("name", b"one"), "name given twice", "VM 1"),
    "a PPI": (interrupt(27), "interrupt", "VM 0"),
    "flags of an interrupt": (interrupt(50, 2), "interrupt", "VM 0"),
    "interrupt twice": (interrupt(50, 0, 2), "interrupt given twice", "VM 0"),
    "type of a region": (region("type", 4), "region bounds", "VM 1"),
    "a view of the trace": (region("type", 2), "view of the trace", "VM 1"),
    "a store": (region("type", 3), "store", "VM 1"),
    "tables of a store": (two("store_tables", 1), "store", "VM 1"),
    "restart": (one("restart", 3), "restart or back-off", "VM 0"),
    "back-off beyond its maximum": (two("backoff_ms", 1), "restart or back-off", "VM 1"),
    "watchdog too short": (two("watchdog_ns", 9999), "watchdog", "VM 1"),
    "watchdog without interrupt": (one("wdt_ipa", 0x9050000), "watchdog", "VM 0"),
    "right over no VM": (one("rights", b"\4"), "rights", "VM 0"),
    "unknown right": (one("rights", bytes(6) + b"\1"), "rights", "VM 0"),
    "region off a page": (region("pa", 0x50000800), "region bounds", "VM 1"),
    "region that wraps": (region("size", 0xfffffffffffff000), "region bounds", "VM 1"),
    "region outside RAM": (region("pa", 0x10000000), "region outside RAM", "VM 1"),
    "device in RAM": (region("type", 1), "device in RAM", "VM 1"),
    "hypervisor's pages": (region_of_hypervisor, "region is the hypervisor's", "VM 1"),
    "hypervisor's device": (region_of_gic, "region is the hypervisor's", "VM 1"),
    "page of two VMs": (region_of_first, "page given twice", "VM 1"),
    "overlap for the guest": (lambda b: b.vm(1).__setitem__("gicd_ipa", b.region(1, 0)["ipa"]),
                              "guest addresses overlap", "VM 1"),
    "load off its memory": (lambda b: b.load(1, 0).__setitem__("ipa", 0), "load", "VM 1"),
    "load off the image": (lambda b: b.load(1, 0).__setitem__("offset", 1 << 40), "load", "VM 1"),
    "entry": (two("entry", 2), "entry or argument", "VM 1"),
    "argument": (two("arg", 1 << 45), "entry or argument", "VM 1"),
    "console page": (two("console_ipa", 0x1000), "console or stolen page", "VM 1"),
    "stolen page": (one("stolen_ipa", 0x1000), "console or stolen page", "VM 0"),
    "stolen page for HRT": (two("stolen_ipa", 0x40001000), "console or stolen page", "VM 1"),
    "no weight": (one("weight", 0), "server or share", "VM 0"),
    "weight for HRT": (two("weight", 1), "server or share", "VM 1"),
    "server without a period": (one("budget_ns", 1000), "server or share", "VM 0"),
    "on_miss": (one("on_miss", 4), "server or share", "VM 0"),
    "proven without a core": (board_field("proven", 16), "server or share", "machine"),
    "reserve": (board_field("reserve_ppm0", 1000001), "server or share", "machine"),
    "trace too small": (board_field("trace_chunks", 1), "trace memory or mode", "machine"),
    "trace's mode": (board_field("trace_mode", 2), "trace memory or mode", "machine"),
    "trace over the image": (board_field("trace_pa", 0x40200000), "trace memory or mode",
                             "machine"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """An image that boots."""
    return machine.image_build(CONF.format(board="virt"), "good")


def refused(name, image, args=()):
    """Boots what must be refused; returns the hypervisor's two lines."""
    m = machine.board_boot("virt", image, name, args)
    try:
        m.wait_line("kizami", "^no VM is started$", 20)
        m.run(0.1)
        assert not m.lines_of("one") and not m.lines_of("two"), "a guest runs all the same"
        return m.lines_of("kizami")
    finally:
        m.__exit__()


@pytest.mark.parametrize("what", REFUSALS)
def test_refusal(good, what):
    """Each thing that a blob can have wrong."""
    spoil, words, whose = REFUSALS[what]
    b = blob.Blob(good)
    spoil(b)
    image = machine.LOGS / "refused.img"
    b.save(image)
    lines = refused("refused", image)
    print(f"\n{lines[0]}")
    assert len(lines) == 2
    number = WORDS.index(words)
    assert lines[0].startswith(f"configuration refused: error {number} ({whose}"), lines[0]


def test_elsewhere(good):
    """Loaded and entered at another address than it was built for, it says so, and both."""
    m = machine.Machine(
        [os.environ.get("QEMU", "qemu-system-aarch64"), "-M",
         "virt,gic-version=3,virtualization=on", "-cpu", "cortex-a53", "-smp", "4", "-m", "2G",
         "-nic", "none", "-display", "none", "-serial", "mon:stdio", "-no-reboot", "-device",
         f"loader,file={good},addr={ELSEWHERE:#x},force-raw=on,cpu-num=0"],
        machine.LOGS / "elsewhere.log")
    try:
        m.wait_line("kizami", "^no VM is started$", 20)
        assert m.lines_of("kizami")[0] == (
            f"loaded at {ELSEWHERE:#x}, but the image is for 0x40200000 on board virt")
    finally:
        m.__exit__()


def test_no_magic(good):
    """Without a blob there is no console to be known: nothing is said, and nothing runs."""
    b = blob.Blob(good)
    b["magic"] = 0
    b.save(machine.LOGS / "nothing.img")
    m = machine.board_boot("virt", machine.LOGS / "nothing.img", "nothing")
    try:
        m.run(1)
        assert m.screen.lines == [] and m.child.isalive()
    finally:
        m.__exit__()


def test_good(good):
    """The same image as it was built starts both guests."""
    m = machine.board_boot("virt", good, "good")
    try:
        m.wait_line("one", "^hello 1$")
        m.wait_line("two", "^servo: 1 kHz loop")
    finally:
        m.__exit__()


def test_no_console(good):
    """On a machine without a UART the guests run, and the hypervisor does without a word."""
    b = blob.Blob(good)
    for field in ("uart", "uart_intid", "uart_pa"):
        b.machine[field] = 0
    b.save(machine.LOGS / "silent.img")
    log = machine.LOGS / "silent.int.log"
    m = machine.board_boot("virt", machine.LOGS / "silent.img", "silent",
                           ["-d", "int", "-D", str(log)])
    try:
        m.run(3)
        assert m.screen.lines == [] and m.child.isalive()
    finally:
        m.__exit__()
    text = log.read_text()
    assert "...from EL2 to EL2" not in text
    for core in (0, 3):
        assert re.search(rf"\[Data Abort\] on CPU {core}\n\.\.\.from EL1 to EL2\n", text), core
