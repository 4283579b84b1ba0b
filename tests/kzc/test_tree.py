# SPDX-License-Identifier: Apache-2.0
"""The guests' device trees, asked with fdtget."""

import pytest

BOARDS = {"virt": 3, "virt-gicv2": 2, "zcu102": 2}
SOFT = """board = %s
vm soft {
	level = nrt
	cpus = {2, 1}
	memory = 4M
	image = "raw.bin"
	ramdisk = "ramdisk"
	cmdline = "quiet \\"x y\\" <&>"
}
"""
HARD = """board = %s
vm hard {
	level = hrt
	cpus = {3, 1}
	memory = 2M
	image = "raw.bin"
	console = %s
}
"""


@pytest.fixture(params=BOARDS)
def board(request):
    """Each built-in board."""
    return request.param


def test_root(folder, board):
    """What the machine is called, and its memory."""
    t = folder.tree(SOFT % board, "soft")
    assert t.get("/", "compatible", "s") == ["kizami,vm", "linux,dummy-virt"]
    assert t.get("/", "#address-cells") == t.get("/", "#size-cells") == [2]
    assert t.get("/memory@40000000", "reg") == [0, 0x40000000, 0, 0x400000]
    assert t.get("/memory@40000000", "device_type", "s") == ["memory"]
    assert t.get("/psci", "method", "s") == ["hvc"]
    assert t.get("/psci", "compatible", "s") == ["arm,psci-1.0", "arm,psci-0.2"]
    assert t.get("/hypervisor", "kizami,control") is None
    assert t.get("/hypervisor", "reg") is None
    assert "reserved-memory" not in t.nodes()


def test_cpus(folder, board):
    """vCPUs are numbered from 0, but an HRT VM's have their cores' affinity."""
    t = folder.tree(SOFT % board, "soft")
    cpus = [n for n in t.nodes("/cpus") if n.startswith("cpu@")]
    assert cpus == ["cpu@0", "cpu@1"]
    assert [t.get(f"/cpus/{n}", "reg") for n in cpus] == [[0, 0], [0, 1]]
    for n in cpus:
        assert t.get(f"/cpus/{n}", "enable-method", "s") == ["psci"]
        assert t.get(f"/cpus/{n}", "compatible", "s") == ["arm,cortex-a53"]
    t = folder.tree(HARD % (board, "none"), "hard")
    assert [n for n in t.nodes("/cpus") if n.startswith("cpu@")] == ["cpu@3", "cpu@1"]
    assert t.get("/cpus/cpu@3", "reg") == [0, 3]


def test_affinity(folder):
    """The affinity is the machine's, not the core's number."""
    t = folder.tree('board = ./board.conf\nvm h { level=hrt cpus={2} memory=2M image=raw.bin }\n',
                    "h")
    assert t.nodes("/cpus") == ["cpu@100"]
    assert t.get("/cpus/cpu@100", "reg") == [0, 0x100]


def test_chosen(folder, board):
    """Command line, console, ramdisk."""
    t = folder.tree(SOFT % board, "soft")
    assert " ".join(t.get("/chosen", "bootargs", "s")) == 'quiet "x y" <&>'
    assert t.get("/chosen", "stdout-path", "s") == ["/pl011@9000000"]
    assert t.get("/aliases", "serial0", "s") == ["/pl011@9000000"]
    start = t.get("/chosen", "linux,initrd-start")
    end = t.get("/chosen", "linux,initrd-end")
    load = [m for m in folder.image(SOFT % board).vm["soft"].load if m.size == 9000][0]
    assert start == [0, load.ipa]
    assert end == [0, load.ipa + 9000]
    t = folder.tree(HARD % (board, "none"), "hard")
    assert t.get("/chosen", "bootargs") is None
    assert t.get("/chosen", "stdout-path") is None
    assert t.get("/chosen", "linux,initrd-start") is None


def test_gic(folder, board):
    """The virtual GIC: frames, kind, one redistributor for each vCPU."""
    t = folder.tree(SOFT % board, "soft")
    gic = "/intc@8000000"
    assert t.get(gic, "#interrupt-cells") == [3]
    assert t.get(gic, "interrupt-controller", "s") == []
    assert t.get("/", "interrupt-parent") == t.get(gic, "phandle")
    if BOARDS[board] == 3:
        assert t.get(gic, "compatible", "s") == ["arm,gic-v3"]
        assert t.get(gic, "reg") == [0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0x40000]
    else:
        assert t.get(gic, "compatible", "s") == ["arm,cortex-a15-gic", "arm,gic-400"]
        assert t.get(gic, "reg") == [0, 0x8000000, 0, 0x1000, 0, 0x8010000, 0, 0x2000]


def test_timer(folder, board):
    """Four PPIs; on a GICv2 with a mask of vCPUs."""
    flags = 4 if BOARDS[board] == 3 else 0x304
    t = folder.tree(SOFT % board, "soft")
    assert t.get("/timer", "interrupts") == [1, 13, flags, 1, 14, flags, 1, 11, flags, 1, 10, flags]
    assert t.get("/timer", "always-on", "s") == []


def test_pmu(folder, board):
    """Only for VMs that own their cores: a PPI, or the SPIs of just these cores."""
    assert "pmu" not in folder.tree(SOFT % board, "soft").nodes()
    conf = HARD % (board, "none")
    t = folder.tree(conf, "hard")
    assert t.get("/pmu", "compatible", "s") == ["arm,armv8-pmuv3"]
    irqs = [i.intid for i in folder.image(conf).vm["hard"].irq]
    if board == "zcu102":
        assert t.get("/pmu", "interrupts") == [0, 0x92, 4, 0, 0x90, 4]
        assert irqs == [32 + 0x92, 32 + 0x90]
        assert t.get("/pmu", "interrupt-affinity") == [
            t.get(f"/cpus/cpu@{n}", "phandle")[0] for n in (3, 1)]
    else:
        assert t.get("/pmu", "interrupts") == [1, 7, 4 if BOARDS[board] == 3 else 0x304]
        assert irqs == []


def test_pl011(folder, board):
    """The emulated UART, with the interrupt that the blob says and 24 MHz."""
    for conf, name in ((SOFT % board, "soft"), (HARD % (board, "pl011"), "hard")):
        t = folder.tree(conf, name)
        uart = "/pl011@9000000"
        intid = folder.image(conf).vm[name].console_intid
        assert t.get(uart, "compatible", "s") == ["arm,pl011", "arm,primecell"]
        assert t.get(uart, "reg") == [0, 0x9000000, 0, 0x1000]
        assert t.get(uart, "interrupts") == [0, intid - 32, 4]
        clock = t.get("/clock-24000000", "phandle") * 2
        assert t.get(uart, "clocks") == clock
        assert t.get("/clock-24000000", "clock-frequency") == [24000000]
        assert t.get(uart, "clock-names", "s") == ["uartclk", "apb_pclk"]


def test_ring(folder, board):
    """The console ring's page is the hypervisor's too, and no general memory."""
    conf = HARD % (board, "ring")
    t = folder.tree(conf, "hard")
    page = folder.image(conf).vm["hard"].console_ipa
    assert t.get("/hypervisor", "compatible", "s") == ["kizami,hypervisor"]
    ring = f"/hypervisor/console-ring@{page:x}"
    assert t.get(ring, "compatible", "s") == ["kizami,console-ring"]
    assert t.get(ring, "reg") == [0, page, 0, 0x1000]
    assert t.get(f"/reserved-memory/console-ring@{page:x}", "reg") == [0, page, 0, 0x1000]
    assert t.get(f"/reserved-memory/console-ring@{page:x}", "no-map", "s") == []
    assert not [n for n in t.nodes() if n.startswith("pl011")]


def test_moved(folder):
    """The keys that move things move them in the tree and in the blob."""
    keys = ("memory_at = 0x90000000 gicd_at = 0x1000000 gicc_at = 0x2000000 "
            "console_at = 0x3000000")
    conf = SOFT.replace("memory =", keys + " memory =") % "virt-gicv2"
    t = folder.tree(conf, "soft")
    vm = folder.image(conf).vm["soft"]
    assert t.get("/memory@90000000", "reg") == [0, 0x90000000, 0, 0x400000]
    assert t.get("/intc@1000000", "reg") == [0, 0x1000000, 0, 0x1000, 0, 0x2000000, 0, 0x2000]
    assert t.get("/pl011@3000000", "reg")[1] == vm.console_ipa == 0x3000000
    assert (vm.gicd_ipa, vm.gicc_ipa) == (0x1000000, 0x2000000)
    conf = SOFT.replace("memory =", "gicr_at = 0x6000000 memory =") % "virt"
    assert folder.tree(conf, "soft").get("/intc@8000000", "reg")[5] == 0x6000000
    assert folder.image(conf).vm["soft"].gicc_ipa == 0x6000000


PASS = """board = ./board.conf
vm p {
	level = nrt
	cpus = {0}
	memory = 4M
	image = "raw.bin"
	devices = {%s}
	dma = unconfined
	clocks = {"i2c@3000 = 10MHz", "timer@1000 ref = 3M"}
}
"""


def passed(folder, names):
    """The tree with these devices."""
    conf = PASS % names
    if "i2c@3000" not in names:
        conf = conf.replace('"i2c@3000 = 10MHz", ', "")
    if "timer@1000" not in names:
        conf = conf.replace(', "timer@1000 ref = 3M"', "").replace('"timer@1000 ref = 3M"', "")
    return folder.tree(conf, "p")


def test_pass_registers(folder):
    """Registers are the CPU's addresses; what was disabled is not."""
    t = passed(folder, "timer@1000, half@4100")
    assert t.get("/timer@1000", "reg") == [0, 0x10001000, 0, 0x1000]
    assert t.get("/half@4100", "reg") == [0, 0x10004100, 0, 0x100]
    assert t.get("/timer@1000", "compatible", "s") == ["cdns,ttc"]
    assert t.get("/timer@1000", "status") is None


def test_pass_interrupts(folder):
    """Interrupts keep their numbers and triggers."""
    t = passed(folder, "timer@1000")
    gic = t.get("/intc@8000000", "phandle")
    assert t.get("/timer@1000", "interrupts") == [0, 10, 4, 0, 11, 1]
    assert t.get("/timer@1000", "interrupt-parent") == gic


def test_pass_clocks(folder):
    """Clocks are fixed ones: the VM's word first, then the board file's."""
    t = passed(folder, "timer@1000, i2c@3000")
    bus, ref = t.get("/timer@1000", "clocks")
    assert [bus] == t.get("/clock-50000000", "phandle")
    assert [ref] == t.get("/clock-3000000", "phandle")
    assert t.get("/clock-50000000", "clock-frequency") == [50000000]
    assert t.get("/timer@1000", "clock-names", "s") == ["bus", "ref"]
    assert t.get("/i2c@3000", "clocks") == t.get("/clock-10000000", "phandle")
    without = (PASS % "timer@1000").replace('"i2c@3000 = 10MHz", "timer@1000 ref = 3M"', "")
    t = folder.tree(without, "p")
    assert t.get("/timer@1000", "clocks")[1:] == t.get("/clock-12000000", "phandle")


def test_pass_left_out(folder):
    """References that lead nowhere are left out, with a note; those inside of the VM stay."""
    t = passed(folder, "timer@1000, i2c@3000")
    assert t.get("/timer@1000", "power-domains") is None
    assert t.get("/i2c@3000", "scl-gpios") is None
    assert t.get("/i2c@3000/sensor@48", "interrupts") is None
    done = folder.run("check", "system.conf")
    assert done.returncode == 0
    assert "system.conf:7: note: timer@1000: left out power-domains" in done.stderr
    t = passed(folder, "timer@1000, i2c@3000, gpio@2000")
    gpio = t.get("/gpio@2000", "phandle")
    assert t.get("/i2c@3000", "scl-gpios")[:1] == gpio
    assert t.get("/i2c@3000/sensor@48", "interrupts") == [7, 1]
    assert t.get("/i2c@3000/sensor@48", "interrupt-parent") == gpio


def test_pass_children(folder):
    """Children come along, with their registers and interrupts; disabled ones do not."""
    t = passed(folder, "i2c@3000, usb@a000")
    assert t.nodes("/i2c@3000") == ["sensor@48"]
    assert t.get("/i2c@3000/sensor@48", "reg") == [0x48]
    assert t.get("/usb@a000", "reg") == [0, 0x1000a000, 0, 0x100]
    assert t.get("/usb@a000", "ranges") == [0, 0, 0x10040000, 0x10000]
    assert t.get("/usb@a000/core@0", "reg") == [0, 0x10000]
    image = folder.image(PASS % "i2c@3000, usb@a000, timer@1000")
    pages = {r.pa: r.size for r in image.vm["p"].region[1:]}
    assert pages[0x1000a000] == 0x1000
    assert pages[0x10040000] == 0x10000
    assert 52 in [i.intid for i in image.vm["p"].irq]


def test_pass_by_path_and_alias(folder):
    """A device by its path, where the name is not enough, or by its alias."""
    t = passed(folder, '"/soc/bus@80000/twin@c000"')
    assert t.get("/twin@c000", "reg") == [0, 0x1008c000, 0, 0x1000]
    conf = (PASS % "clock-chip").replace('"i2c@3000 = 10MHz", "timer@1000 ref = 3M"', "")
    assert folder.tree(conf, "p").get("/timer@1000", "reg") == [0, 0x10001000, 0, 0x1000]


@pytest.mark.parametrize("names", [
    '"ethernet@ff0e0000", "mmc@ff170000", "usb@ff9d0000"', '"serial@ff010000", "can@ff070000"',
    '"timer@ff110000", "timer@ff120000", "watchdog@fd4d0000", "rtc@ffa60000"',
    '"i2c@ff020000", "spi@ff0f0000", "gpio@ff0a0000"'])
def test_pass_zcu102(folder, names):
    """Real devices of a real board, to a tree that dtc has nothing to say about."""
    conf = f"""board = zcu102
vm p {{ level = hrt cpus = {{3}} memory = 4M image = raw.bin dma = unconfined
	devices = {{{names}}} clocks = {{"usb@ff9d0000 = 100M"}} }}
"""
    if "usb" not in names:
        conf = conf.replace('clocks = {"usb@ff9d0000 = 100M"}', "")
    t = folder.tree(conf, "p")
    for name in names.replace('"', "").split(", "):
        assert name in t.nodes()
        assert t.get(f"/{name}", "reg")[1] == int(name.split("@")[1], 16)
        assert t.get(f"/{name}", "power-domains") is None
    ethernet = t.get("/ethernet@ff0e0000", "phy-handle")
    if ethernet:
        bus = "/mdio" if "mdio" in t.nodes("/ethernet@ff0e0000") else ""  # Debian 13, 12
        phy = f"/ethernet@ff0e0000{bus}/ethernet-phy@c"
        assert ethernet == t.get(phy, "phandle")
        assert t.get(phy, "reset-gpios") is None
        assert len(t.get("/ethernet@ff0e0000", "clocks")) == 5
