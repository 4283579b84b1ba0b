# SPDX-License-Identifier: Apache-2.0
"""IMAGE: its layout, what is in the blob, what each guest format becomes."""

from pathlib import Path

import pytest

import files
from files import PAGE, align

RAM = 0x40000000
MIB2 = 0x200000
CONF = """board = ./board.conf
vm soft {
	level = nrt
	cpus = {0}
	memory = 4M
	image = "%s"
	ramdisk = "ramdisk"
	cmdline = "a b=c"
}
vm hard {
	level = hrt
	cpus = {2, 1}
	memory = 2M
	image = "raw.bin"
	console = ring
	on_fault = restart
	devices = {timer@1000, "half@4000", "half@4100"}
}
"""


@pytest.fixture
def image(folder):
    """The image of CONF with a raw binary."""
    return folder.image(CONF % "raw.bin")


def test_header(folder, image):
    """The hypervisor comes first, its .bss as zeros; the header tells the image's size."""
    assert image.image_size == len(image.data) == image.cfg.image_size
    assert image.data[56:60] == b"ARM\x64"
    assert image.data[64:1064] == files.pattern(1000)
    assert image.data[0x1000:0x1040] == files.pattern(64, seed=9)
    assert not any(image.data[0x1040:0x4000])
    assert image.blob_at == image.cfg.blob_offset == 0x4000
    assert image.cfg.size == image.blob_end - image.blob_at


def test_pieces_are_aligned(image):
    """Each piece is at a page of its own, behind the blob."""
    offsets = sorted({load.offset for vm in image.vm.values() for load in vm.load})
    assert all((image.blob_at + at) % PAGE == 0 for at in offsets)
    assert image.blob_at + offsets[0] >= image.blob_end


def test_machine(image):
    """What the device tree says of the machine; the narrow views of an aliased GIC-400."""
    c = image.cfg
    assert c.board.rstrip(b"\0") == b"board"
    assert (c.cpu_count, c.mpidr[:4]) == (3, (0, 1, 0x100, 0))
    assert (c.gic_version, c.gic_lines) == (2, 128)
    assert (c.gicd_pa, c.gicc_pa) == (0x8000000, 0x802f000)
    assert (c.gich_pa, c.gicv_pa) == (0x8040000, 0x806f000)
    assert (c.vtimer_intid, c.ptimer_intid, c.htimer_intid, c.maint_intid) == (27, 30, 26, 25)
    assert (c.uart, c.uart_intid, c.uart_pa, c.pmu_intid) == (1, 33, 0x10000000, 0)
    assert c.conduit == 0
    assert c.console_cpu == 0
    assert c.image_pa == RAM + MIB2
    assert c.ram_count == 3
    assert c.ram[:6] == (RAM, 0x10000000, 0x50001000, 0x7fff000, 0x58100000, 0x7f00000)


def test_memory(image):
    """VMs have their own memory, behind the image, aligned and in the board's RAM."""
    soft, hard = image.vm["soft"].region[0], image.vm["hard"].region[0]
    floor = align(image.cfg.image_pa + image.image_size, MIB2)
    assert (soft.pa, soft.ipa, soft.size) == (floor, RAM, 2 * MIB2)
    assert (hard.pa, hard.ipa, hard.size) == (floor + 2 * MIB2, RAM, MIB2)


def test_vm_fields(image):
    """Levels, cores, consoles."""
    soft, hard = image.vm["soft"], image.vm["hard"]
    assert (soft.level, soft.on_fault, soft.console, soft.vcpu_count) == (2, 0, 1, 1)
    assert (hard.level, hard.on_fault, hard.console, hard.vcpu_count) == (0, 2, 2, 2)
    assert hard.cpu[:3] == (2, 1, 0)
    assert (soft.gicd_ipa, soft.gicc_ipa, soft.console_ipa) == (0x8000000, 0x8010000, 0x9000000)
    assert (soft.console_intid, soft.irq_lines) == (33, 64)
    assert (hard.console_intid, hard.irq_lines) == (0, 96)
    assert hard.console_ipa % PAGE == 0


def test_devices(image):
    """Registers by page, each page once; interrupts with their trigger; the PMU's of its cores."""
    hard = image.vm["hard"]
    pages = sorted((r.ipa, r.pa, r.size, r.type) for r in hard.region[1:])
    assert pages == [(0x10001000, 0x10001000, PAGE, 1), (0x10004000, 0x10004000, PAGE, 1)]
    assert sorted((i.intid, i.flags) for i in hard.irq) == [
        (42, 0), (43, 1), (46, 0), (47, 0), (92, 0), (94, 0)]


def test_raw(image):
    """A raw binary is at the memory's base, entered there; tree and ramdisk are at the top."""
    vm = image.vm["soft"]
    memory = image.memory("soft")
    assert vm.entry == RAM
    assert memory[:5000] == files.pattern(5000)
    assert vm.arg % 8 == 0
    assert vm.arg >= RAM + 4 * 1024 * 1024 - 2 * PAGE
    tree = memory[vm.arg - RAM:]
    assert tree[:4] == b"\xd0\x0d\xfe\xed"
    assert int.from_bytes(tree[4:8], "big") <= len(tree)
    ramdisk = [load for load in vm.load if load.size == 9000][0]
    assert memory[ramdisk.ipa - RAM:][:9000] == files.pattern(9000, seed=3)
    assert ramdisk.ipa + 9000 <= vm.arg


@pytest.mark.parametrize("offset", [0, 0x80000])
def test_linux(folder, offset):
    """A Linux Image is at its text offset, with room for its run-time size."""
    folder.write("Image", files.linux_image(20000, offset, 0x100000))
    image = folder.image(CONF % "Image")
    vm = image.vm["soft"]
    assert vm.entry == RAM + offset
    assert image.memory("soft")[offset:offset + 20000] == files.linux_image(20000, offset, 0x100000)
    for load in vm.load[1:]:
        assert load.ipa >= RAM + offset + 0x100000
    folder.write("Image", files.linux_image(20000, offset, 4 * 1024 * 1024))
    assert "too small" in folder.build(CONF % "Image").stderr


def test_old_linux(folder):
    """A kernel that does not know its size is at 0x80000, whatever it says."""
    folder.write("Image", files.linux_image(20000, 0x1000, 0))
    image = folder.image(CONF % "Image")
    assert image.vm["soft"].entry == RAM + 0x80000
    assert image.memory("soft")[0x80000:0x80000 + 64] == files.header(0x1000, 0)


def test_elf(folder):
    """ELF segments are at their physical addresses; what is beyond the file is left zero."""
    folder.write("g.elf", files.elf([(RAM + 0x1000, files.pattern(100), 0x3000),
                                     (RAM, files.pattern(50, seed=5), 50),
                                     (RAM + 0x8000, b"", 0x1000)], RAM + 0x1004))
    image = folder.image(CONF % "g.elf")
    memory = image.memory("soft")
    assert image.vm["soft"].entry == RAM + 0x1004
    assert memory[0x1000:0x1064] == files.pattern(100)
    assert memory[:50] == files.pattern(50, seed=5)
    assert not any(memory[0x1064:0x9000])
    assert all(load.size > 0 for load in image.vm["soft"].load)


def test_elf_segments_side_by_side(folder):
    """Segments may touch, and fill the memory to its end."""
    folder.write("g.elf", files.elf([(RAM, files.pattern(64), 64), (RAM + 64, files.pattern(9), 9)],
                                    RAM))
    memory = folder.image(CONF % "g.elf").memory("soft")
    assert memory[:64] == files.pattern(64)
    assert memory[64:73] == files.pattern(9)


def test_same_bytes_once(folder):
    """A file that two VMs use is in the image once."""
    two = "".join(f'vm v{i} {{ level=nrt cpus={{{i}}} memory=2M image="big" }}\n' for i in (0, 1))
    folder.write("big", files.pattern(400000))
    image = folder.image("board = ./board.conf\n" + two)
    assert image.vm["v0"].load[0].offset == image.vm["v1"].load[0].offset
    assert len(image.data) < 500000
    assert image.vm["v0"].region[0].pa != image.vm["v1"].region[0].pa


def test_same_input_same_image(folder):
    """Nothing but the input decides: not the time, the folder, the output's name."""
    first = folder.image(CONF % "raw.bin").data
    folder.run("build", str(folder.path / "system.conf"), "-o", "second.img", "--hypervisor",
               str(folder.path / "hv.elf"))
    assert (folder.path / "second.img").read_bytes() == first


TRACE = 'board = ./board.conf\n%s\nvm v { level=nrt cpus={0} memory=%s image="raw.bin" }\n'


@pytest.mark.parametrize("words, chunks, mode, on_crash", [
    ("", 2, 0, 0), ("trace { }", 2, 0, 0), ("trace { size = 64K }", 2, 0, 0),
    ("trace { when_full = stop on_crash = stop size = 0x18000 }", 3, 1, 1),
    ("trace { when_full = overwrite on_crash = go_on size = 512K }", 16, 0, 0)])
def test_trace(folder, words, chunks, mode, on_crash):
    """What the section says, or what holds without it."""
    cfg = folder.image(TRACE % (words, "2M")).cfg
    assert (cfg.trace_chunks, cfg.trace_mode, cfg.trace_on_crash) == (chunks, mode, on_crash)


@pytest.mark.parametrize("size, memory, end", [
    (64, "4M", 0x40400000),                 # behind the image, where VMs begin
    (128, "4M", 0x40400000),
    (192, "4M", 0x60000000),                # the smallest bank
    (512, "124M", 0x60000000),
    (512, "126M", 0x50000000),              # what the VM leaves of its bank is smaller,
    (512, "250M", 0x50000000),
    (512, "251M", 0x60000000)])             # and now too small
def test_trace_place(folder, size, memory, end):
    """The trace is in the smallest place that has room, at its end."""
    folder.write("big.bin", files.pattern(0x180000))
    conf = TRACE.replace("raw", "big") % ("trace { size = %dK }" % size, memory)
    image = folder.image(conf)
    taken = PAGE + 3 * size * 1024
    assert image.cfg.trace_pa == end - taken
    ram = image.vm["v"].region[0]
    assert ram.pa >= end or ram.pa + ram.size <= image.cfg.trace_pa


def test_memory_at(folder):
    """memory_at moves the memory and all in it; large memory is congruent with its blocks."""
    image = folder.image(CONF.replace("memory = 4M", "memory = 4M memory_at = 0x80201000")
                         % "raw.bin")
    vm = image.vm["soft"]
    assert vm.region[0].ipa == vm.entry == 0x80201000
    assert vm.region[0].pa % MIB2 == 0x1000
    assert vm.arg > 0x80201000


def test_memory_at_physical(folder):
    """memory_at = physical: guest and physical addresses are the same, in the tree too."""
    conf = CONF.replace("memory = 4M", "memory = 4M memory_at = physical") % "raw.bin"
    image = folder.image(conf)
    vm = image.vm["soft"]
    assert vm.region[0].ipa == vm.region[0].pa == vm.entry
    assert vm.region[0].pa > image.cfg.image_pa
    tree = folder.tree(conf, "soft")
    base = vm.region[0].pa
    assert tree.get(f"/memory@{base:x}", "reg") == [0, base, 0, 4 << 20]


def test_gigabyte(folder):
    """A GiB or more is aligned to a GiB when there is room."""
    folder.write("Image", files.linux_image(20000))
    image = folder.image('board = virt\nvm s { level=nrt cpus={0} memory=2M image="raw.bin" }\n'
                         'vm b { level=nrt cpus={1} memory=1G image="Image" }\n')
    assert image.vm["b"].region[0].pa == 0x80000000
    assert image.vm["s"].region[0].pa < 0x80000000


def test_narrow(folder):
    """cores and ram beside board."""
    image = folder.image("cores = 1\nram = 64M\n" +
                         CONF.split("vm hard")[0] % "raw.bin")
    assert (image.cfg.cpu_count, image.cfg.mpidr[1]) == (1, 0)
    assert (image.cfg.ram_count, image.cfg.ram[:4]) == (1, (RAM, 64 << 20, 0, 0))


def test_narrow_with_reserved(folder):
    """What firmware keeps is part of the RAM that is counted, but not of what is used."""
    ram = folder.image("ram = 400M\n" + CONF % "raw.bin").cfg.ram
    assert ram[:6] == (RAM, 0x10000000, 0x50001000, 0x7fff000, 0x58100000, 0xf00000)
    ram = folder.image("ram = 384M\n" + CONF % "raw.bin").cfg.ram
    assert ram[:6] == (RAM, 0x10000000, 0x50001000, 0x7fff000, 0, 0)


def test_not_narrower(folder):
    """All of the cores and all of the RAM is no narrowing."""
    plain = folder.image(CONF % "raw.bin")
    image = folder.image("cores = 3\nram = 512M\n" + CONF % "raw.bin")
    assert image.cfg.cpu_count == 3
    assert image.cfg.ram == plain.cfg.ram
    assert sum(plain.cfg.ram[1::2]) == 523260 << 10


def test_all_of_a_bank(folder):
    """A VM may have the last free page; not one more."""
    vm = 'board = ./board.conf\nvm s { level=nrt cpus={0} memory=%dK image="raw.bin" }\n'
    ram = folder.image(vm % (252 << 10)).vm["s"].region[0]
    assert ram.pa + ram.size == 0x50000000
    assert "no room" in folder.build(vm % ((252 << 10) + 4)).stderr


def test_all_hard(folder):
    """When every core is a hard real-time VM's, nobody serves the console, and kzc says so."""
    conf = ('board = ./board.conf\ncores = 1\n'
            'vm h { level=hrt cpus={0} memory=2M image="raw.bin" }\n')
    assert folder.image(conf).cfg.console_cpu == 0
    done = folder.run("map", "system.conf", "--hypervisor", "hv.elf")
    assert "system.conf: note: every core is a hard real-time VM's: nobody serves" in done.stderr
    assert "serves the console" not in done.stdout
    folder.build(conf.replace("cores = 1", ""))
    done = folder.run("map", "system.conf", "--hypervisor", "hv.elf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1   MPIDR 1         free, serves the console" in done.stdout
    image = folder.image('board = ./board.conf\n'
                         'vm h { level=hrt cpus={0, 1} memory=2M image="raw.bin" }\n')
    assert image.cfg.console_cpu == 2


def test_hard_consoles(folder):
    """A hard VM's console interrupt is an SPI that no device has, each VM its own."""
    image = folder.image('board = ./board.conf\n'
                         'vm x { level=hrt cpus={0} memory=2M image="raw.bin" }\n'
                         'vm y { level=hrt cpus={1} memory=2M image="raw.bin" }\n')
    x, y = image.vm["x"].console_intid, image.vm["y"].console_intid
    assert x != y
    assert {x, y} == {95, 96}
    assert image.vm["y"].irq_lines == 128


def test_console_moves(folder):
    """A virtual console's interrupt gives way to a device's."""
    soft = 'vm s { level=nrt cpus={0} memory=2M image="raw.bin" devices={"pl031@9010000"} }\n'
    image = folder.image("board = virt\n" + soft.replace("pl031@9010000", "pl061@9030000"))
    assert image.vm["s"].console_intid == 33
    assert [i.intid for i in image.vm["s"].irq] == [39]
    folder.board(lambda dts: dts.replace("<0 1 4>", "<0 9 4>").replace("<0 14 4>", "<0 1 4>"))
    image = folder.image("board = ./board.conf\n" + soft.replace("pl031@9010000", "half@4000"))
    assert image.vm["s"].console_intid == 34
    assert [i.intid for i in image.vm["s"].irq] == [33]


def test_own_tree(folder):
    """dtb = gives the VM that tree, byte for byte."""
    image = folder.image(CONF.replace('cmdline = "a b=c"', 'dtb = "board.dtb"') % "raw.bin")
    vm = image.vm["soft"]
    tree = (folder.path / "board.dtb").read_bytes()
    assert image.memory("soft")[vm.arg - RAM:][:len(tree)] == tree
    ramdisk = [load.ipa for load in vm.load if load.size == 9000][0]
    assert f"the ramdisk is at {ramdisk:#x}, 0x2328 bytes" in folder.run(
        "check", "system.conf").stderr


def test_not_a_hypervisor(folder):
    """Anything else in the hypervisor's place is refused, as is nothing."""
    for data in (b"", b"\x7fELF", files.pattern(5000),
                 files.elf([(0, files.pattern(5000), 5000)], 0),
                 files.elf([(0, files.header(0x200000), 1 << 40)], 0)):
        folder.write("hv.elf", data)
        done = folder.build(CONF % "raw.bin")
        assert done.returncode == 1
        assert "is not Kizami's ELF file" in done.stderr
    (folder.path / "hv.elf").unlink()
    done = folder.build(CONF % "raw.bin")
    assert done.returncode == 1
    assert "No such file" in done.stderr
    assert not (folder.path / "out.img").exists()


def reserved(folder, board):
    """What a built-in board's tree reserves: Debian 13's of the ZCU102 has two such areas."""
    dtb = (Path(__file__).resolve().parents[2] / f"build/boards/{board}.dtb").read_bytes()
    t = files.Tree(folder.write(board + ".tree", dtb))
    if "reserved-memory" not in t.nodes():
        return []
    regs = [t.get(f"/reserved-memory/{n}", "reg") for n in t.nodes("/reserved-memory")]
    starts = [(r[0] << 32 | r[1], r[2] << 32 | r[3]) for r in regs]
    return [(at, at + size) for at, size in starts]


@pytest.mark.parametrize("board, version, mpidrs", [
    ("virt", 3, (0, 1, 2, 3)), ("virt-gicv2", 2, (0, 1, 2, 3)), ("zcu102", 2, (0, 1, 2, 3))])
def test_boards(folder, board, version, mpidrs):
    """The built-in boards, as far as they are known."""
    c = folder.image(f"board = {board}\n" + CONF.split("vm hard")[0].split("\n", 1)[1]
                     % "raw.bin").cfg
    known = {
        "virt": (0x8000000, 0, 0, 0, 0x80a0000, 0xf60000, 1, 0x9000000, 33, 0x40200000, 288, 23),
        "virt-gicv2": (0x8000000, 0x8010000, 0x8030000, 0x8040000, 0, 0, 1, 0x9000000, 33,
                       0x40200000, 288, 23),
        "zcu102": (0xf9010000, 0xf902f000, 0xf9040000, 0xf906f000, 0, 0, 2, 0xff000000, 53,
                   0x200000, 192, 0),
    }
    assert (c.gicd_pa, c.gicc_pa, c.gich_pa, c.gicv_pa, c.gicr_pa, c.gicr_size, c.uart, c.uart_pa,
            c.uart_intid, c.image_pa, c.gic_lines, c.pmu_intid) == known[board]
    assert c.gic_version == version
    assert c.mpidr[:4] == mpidrs
    assert c.cpu_count == 4
    banks = [(c.ram[2 * i], c.ram[2 * i] + c.ram[2 * i + 1]) for i in range(c.ram_count)]
    base = c.image_pa - MIB2
    kept = reserved(folder, board)
    assert (banks[0][0], banks[-1][1]) == (base, base + (2 << 30))
    assert sum(end - start for start, end in banks + kept) == 2 << 30
    for at, to in kept:
        assert all(to <= start or end <= at for start, end in banks)
    assert (c.vtimer_intid, c.ptimer_intid, c.htimer_intid, c.maint_intid) == (27, 30, 26, 25)
