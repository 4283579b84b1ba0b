# SPDX-License-Identifier: Apache-2.0
"""Each mistake: the line it is on (marked #!), what is said, exit 1, and no output file."""

import re

import pytest

from files import elf, pattern

HEAD = "board = ./board.conf\n"
VM = 'vm a { level = nrt cpus = {0} memory = 4M image = "raw.bin" }\n'
HARD = 'vm h { level = hrt cpus = {2} memory = 4M image = "raw.bin" }\n'


def vm(name="a", cpus="{0}", **keys):
    """A VM that is right but for the keys given; a None drops one; a ! marks its line."""
    all_keys = {"level": "nrt", "cpus": cpus, "memory": "4M", "image": '"raw.bin"', **keys}
    lines = [f"vm {name} {{"]
    for key, value in all_keys.items():
        if value is not None:
            mark = " #!" if value.endswith("!") else ""
            lines.append(f"\t{key} = {value.rstrip('!')}{mark}")
    return "\n".join(lines + ["}", ""])


def devices(names, **keys):
    """A VM with devices; the line is marked."""
    return vm(devices="{" + names + "}!", **keys)


MISTAKES = {
    # What is written
    "unknown key": (HEAD + VM + "bored = virt #!", "unknown key 'bored': did you mean 'board'"),
    "unknown vm key": (HEAD + vm(memroy="3M!"), "unknown key 'memroy': did you mean 'memory'"),
    "key unlike any": (HEAD + vm(zzzzzzzz="3M!"), "unknown key 'zzzzzzzz': there is level, cpus"),
    "unknown section": (HEAD + VM + "vmm b {#!\n level = nrt\n}\n", "unknown key 'vmm'.*'vm'"),
    "unknown list": (HEAD + vm(device="{a, b}!"), "unknown key 'device'.*'devices'"),
    "key twice": (HEAD + VM + "cores = 1\ncores = 2 #!", "'cores' is given twice.* line 3"),
    "vm twice": (HEAD + VM + VM.replace("0}", "1}").replace("{ l", "{ #!\nl"),
                 "vm 'a' is given twice, first in line 2"),
    "later: channels": (HEAD + vm(channels="x!"), "'channels' is for a later version"),
    "syntax": (HEAD + "vm a {\n level nrt #!\n}\n", "missing equal sign"),
    "no end": (HEAD + VM + "\ncores = #!", "premature end of file"),
    "no value": (HEAD + VM + "\ncores =\nram = #! 1G", "unexpected token '='.* a value, a quote"),
    "no quotes": (HEAD + vm(cmdline="a=b c!"), "unexpected token '='.* a quote"),
    "no }": (HEAD + VM.replace("{ l", "{ #!\nl").rstrip("\n }"), "vm 'a' does not end: a } is m"),
    "no } before": (HEAD + VM.rstrip("\n }") + "\nvm b { #!\n level = nrt\n}\n",
                    "vm inside of vm 'a', which began in line 2"),
    "two lines in quotes": (HEAD + vm(cmdline='"a#!\nb"'), "a quote begins here and does not end"),
    # The trace
    "trace: size": (HEAD + VM + "trace { size = big #!\n}\n", "size is 'big': it is a size"),
    "trace: small": (HEAD + VM + "trace { size = 32K }#!\n",
                     "size is 32K: it is 64K to 512K of each"),
    "trace: large": (HEAD + VM + "trace {\n size = 544K #!\n}\n", "size is 544K: .* each core"),
    "trace: odd": (HEAD + VM + "trace {\n size = 100K #!\n}\n", "multiple of 32K, such as 128K"),
    "trace: full": (HEAD + VM + "trace {\n when_full = halt #!\n}\n", "unknown when_full 'halt'"),
    "trace: crash": (HEAD + VM + "trace {\n on_crash = gone #!\n}\n",
                     "unknown on_crash 'gone': there is go_on, stop"),
    "trace: key": (HEAD + VM + "trace {\n sice = 64K #!\n}\n", "unknown key 'sice'.*'size'"),
    "trace: name": (HEAD + VM + "trece { #!\n}\n", "unknown key 'trece': did you mean 'trace'"),
    "trace twice": (HEAD + "trace { size = 64K }\n" + VM + "trace { #!\n}\n",
                    "trace is given twice, first in line 2"),
    "trace inside": (HEAD + VM.rstrip("\n }") + "\ntrace { #!\n}\n}\n",
                     "trace inside of vm 'a', which began in line 2: a }"),
    "trace: no }": (HEAD + VM + "trace { #!\n size = 64K\n", "trace does not end: a } is missing"),
    "vm in trace": (HEAD + VM + "trace {\n" + HARD.replace("{ l", "{ #!\nl") + "}\n",
                    "vm inside of trace, which began in line 3: a }"),
    # The board
    "no board": (VM, "there is no board = NAME"),
    "unknown board": (VM + "board = zcu12 #!", "unknown board 'zcu12': did you mean 'zcu102'"),
    "no board file": (VM + "board = ./none.conf #!", r"board file .*none\.conf: No such file"),
    "too many cores": (HEAD + VM + "cores = 9 #!", "cores is '9': board board has 1 to 3"),
    "no cores": (HEAD + VM + "cores = 0 #!", "cores is '0': board board has 1 to 3"),
    "too much ram": (HEAD + VM + "ram = 4G #!", "ram is 4G: board board has 512M"),
    "odd ram": (HEAD + VM + "ram = 5000 #!", "ram is '5000': it is a multiple of 4K"),
    # The VM
    "no vm": (HEAD, "there is no VM"),
    "vm's name": (HEAD + VM.replace("vm a {", "vm A {#!\n"), "vm 'A': a name is 1 to 15 of a-z"),
    "long name": (HEAD + VM.replace("vm a {", "vm abcdefghijklmnop {#!\n"), "is 1 to 15 of"),
    "no level": (HEAD + "vm a {#!\n" + vm(level=None).split("\n", 1)[1], "vm 'a' has no level"),
    "level": (HEAD + vm(level="hart!"), "unknown level 'hart': did you mean 'hrt'"),
    "on_fault": (HEAD + vm(on_fault="halt!"), "unknown on_fault 'halt': there is inject, stop"),
    "console": (HEAD + vm(console="uart!"), "unknown console 'uart'"),
    "no cpus": (HEAD + "vm a {#!\n" + vm(cpus=None).split("\n", 1)[1], "vm 'a' has no cores"),
    "no such core": (HEAD + vm(cpus="{3}!"), "there is no core '3': board board has 0 to 2"),
    "core no number": (HEAD + vm(cpus="{all}!"), "there is no core 'all'"),
    "core in list twice": (HEAD + vm(cpus="{0, 0}!"), "core 0 is in the list twice"),
    "core of hrt": (HEAD + HARD + vm("b", "{0, 2}!"), "core 2 .*: a hard real-time VM owns"),
    # Memory
    "no memory": (HEAD + "vm a {#!\n" + vm(memory=None).split("\n", 1)[1], "no memory = SIZE"),
    "memory no size": (HEAD + vm(memory="much!"), "memory is 'much': it is a size, such as"),
    "memory zero": (HEAD + vm(memory="0!"), "memory is '0'"),
    "memory misaligned": (HEAD + vm(memory="5000!"), "it is a multiple of 4K, such as 8K"),
    "memory overflow": (HEAD + vm(memory="99999999999G!"), "memory is '99999999999G'"),
    "memory beyond the end": (HEAD + vm(memory="1024G!"), "guests have addresses below"),
    "memory outside RAM": (HEAD + vm(memory="300M!"), "no room for 300M.* has 252M"),
    "memory too small": (HEAD + vm(memory="8K!"), "8K, too small for vm 'a'.* need 12K"),
    "too small for ramdisk": (HEAD + vm(memory="16K!", ramdisk="ramdisk"), "too small.* need 24K"),
    "Image too small": (HEAD + vm(image="Image", memory="20K!"), "too small for vm 'a'"),
    "memory_at misaligned": (HEAD + vm(memory_at="0x40000800!"),
                             "it is a multiple of 0x1000, such as 0x40000000"),
    "memory_at no address": (HEAD + vm(memory_at="here!"), "memory_at is 'here': it is an address"),
    "memory_at too high": (HEAD + vm(memory_at="0x8000000000!"), "guests have addresses below"),
    "memory ends too high": (HEAD + vm(memory_at="0x7ffffff000!"), "ends above 0x8000000000"),
    "memory_at for Linux": (HEAD + vm(image="Image", memory_at="0x40001000!"), "a multiple of 2M"),
    "memory on the GIC": (HEAD + vm(memory="32K", memory_at="0x07ff9000!"),
                          "distributor.* and memory.* overlap: gicd_at moves the distributor"),
    "console on the GIC": (HEAD + vm(console_at="0x08010000!"), "console.* and CPU interface.* "
                           "overlap: console_at moves the console"),
    "translation tables": (HEAD + "".join(
        vm(n, "{%d}" % i, memory=size)
        for i, (n, size) in enumerate([("a", "250M"), ("b", "131068K"), ("c", "127M")])),
        "take 1.. translation tables, but there are 128"),
    # Images
    "no image": (HEAD + "vm a {#!\n" + vm(image=None).split("\n", 1)[1], "vm 'a' has no image"),
    "missing image": (HEAD + vm(image="none.bin!"), "image .*none.bin: No such file"),
    "missing ramdisk": (HEAD + vm(ramdisk="none!"), "ramdisk .*none: No such file"),
    "missing dtb": (HEAD + vm(dtb="none.dtb!"), "dtb .*none.dtb: No such file"),
    "dtb is none": (HEAD + vm(dtb="raw.bin!"), "not a flattened device tree"),
    "dtb and cmdline": (HEAD + vm(dtb="board.dtb", cmdline="x!"), "put it into that one's /chosen"),
    "image is a folder": (HEAD + vm(image=".!"), "image .*: Is a directory"),
    "ELF elsewhere": (HEAD + vm(image="guest.elf!", memory_at="0x80000000"),
                      "linked for 0x40000000 to 0x40000064, but vm 'a' has its memory at"),
    # Levels
    "sgi on GICv2": (HEAD + vm(level="hrt", sgi="direct!"), "sgi = direct is for a GICv3"),
    "sgi for nrt": (HEAD + vm(sgi="direct!"), "sgi = direct is for level = hrt"),
    "gicr on GICv2": (HEAD + vm(gicr_at="0x80a0000!"), "has a GICv2: this is gicc_at"),
    "console_at without": (HEAD + vm(console="ring", console_at="0x9000000!"), "for console = pl0"),
    # Devices
    "unknown device": (HEAD + devices("timer@1001"), "no device 'timer@1001': did you mean 'tim"),
    "device unlike any": (HEAD + devices("no-such-thing-at-all"), "no device .*dtc -I dtb"),
    "device without its address": (HEAD + devices("usb"), "no device 'usb': .* 'usb@a000'"),
    "device of another board": (HEAD + devices("ethernet@ff0e0000"),
                                r"dtc -I dtb [./]*/board\.dtb shows"),
    "ambiguous device": (HEAD + devices('"twin@c000"'), "several devices.*such as /soc/twin@c000"),
    "device twice": (HEAD + devices("half@4000, half@4000"), "half@4000 is in the list twice"),
    "device of two": (HEAD + vm(devices="{half@4000}") + devices("half@4000", name="b", cpus="{1}"),
                      "half@4000 is given to vm 'b' and, in line 7, to vm 'a'"),
    "page of two": (HEAD + vm(devices="{half@4000}") + devices("half@4100", name="b", cpus="{1}"),
                    r"half@4100 \(vm 'b'\) and half@4000 \(vm 'a', line 7\) are on one page, 0x1"),
    "interrupt of two": (HEAD + vm(devices="{shared@5000}") +
                         devices("shared@6000", name="b", cpus="{1}"),
                         r"shared@6000 \(vm 'b'\) and shared@5000 \(vm 'a', line 7\) share int"),
    "page of the console": (HEAD + devices("near@800"), "shares the page 0x10000000 with the con"),
    "console's interrupt": (HEAD + devices("wdt@9000"), "has interrupt 33, which is the console's"),
    "console UART": (HEAD + devices("serial@0"), "is the console of board board"),
    "console by alias": (HEAD + devices("serial0"), "is the console of board board"),
    "GIC": (HEAD + devices("interrupt-controller@8000000"), "is the interrupt controller"),
    "PCI": (HEAD + devices("pcie@20000000"), "PCI host bridge"),
    "cpu": (HEAD + devices("cpu@0"), "is no device but cpu"),
    "memory as a device": (HEAD + devices("memory@40000000"), "is no device but memory"),
    "device in RAM": (HEAD + devices("in-ram@41000000"), "has registers in RAM"),
    "no registers": (HEAD + devices("sensor@48"), "has no registers.*pass the controller"),
    "PPI": (HEAD + devices("percpu@8000"), r"an interrupt of its core \(PPI 21\)"),
    "DMA": (HEAD + devices("dma@7000"), "may do DMA.* dma = unconfined accepts"),
    "device on the guest map": (HEAD + devices("board-map@9000000"),
                                "overlap: console_at moves the console"),
    "unknown clock": (HEAD + devices("i2c@3000"), "nobody knows the rate of clock '0' of i2c@3000"),
    "clock's form": (HEAD + vm(devices="{half@4000}", clocks='{"half@4000 100M"}!'),
                     'it is "DEVICE = RATE"'),
    "clock's rate": (HEAD + vm(devices="{half@4000}", clocks='{"half@4000 = 5G"}!'), "below 4G"),
    "clock of nobody": (HEAD + vm(devices="{half@4000}", clocks='{"half@400 = 5M"}!'),
                        "unknown device in clocks 'half@400': did you mean 'half@4000'"),
    # Maxima
    "too many segments": (HEAD + vm(image="many.elf!"), "has more than 14 segments"),
}
EXTRA = {
    "cut off": ("image cut.elf is an ELF file that is cut off", "cut.elf"),
    "nothing to load": ("is an ELF file with nothing to load", "empty.elf"),
    "overlapping segments": ("has two segments at 0x40000010", "twice.elf"),
    "entry elsewhere": ("has its entry at 0x1000, outside", "entry.elf"),
    "x86": ("is an ELF file, but not for 64-bit", "x86.elf"),
    "gzip": ("is compressed", "image.gz"),
    "zboot": ("zboot", "zboot"),
    "uImage": ("uImage", "uImage"),
    "zImage": ("32-bit Arm zImage", "zImage"),
    "empty": ("is empty", "empty"),
}
BASE = 0x40000000


def write_images(folder):
    """Images that are wrong."""
    some = pattern(64)
    for name, data in {
            "many.elf": elf([(BASE + i * 64, some, 64) for i in range(15)], BASE),
            "cut.elf": elf([(BASE, some, 64)], BASE)[:-1],
            "empty.elf": elf([], BASE),
            "twice.elf": elf([(BASE, some, 64), (BASE + 16, some, 64)], BASE),
            "entry.elf": elf([(BASE, some, 64)], 0x1000),
            "x86.elf": elf([(BASE, some, 64)], BASE, machine=62),
            "image.gz": b"\x1f\x8b\x08" + some, "zboot": b"MZ\0\0zimg" + some,
            "uImage": b"\x27\x05\x19\x56" + some, "zImage": bytes(36) + b"\x18\x28\x6f\x01",
            "empty": b""}.items():
        folder.write(name, data)


def check(folder, conf, reason):
    """The marked lines, and no others, have errors; the reason is among what is said."""
    done = folder.build(conf)
    marked = [str(i) for i, line in enumerate(conf.split("\n"), 1) if "#!" in line]
    errors = [line for line in done.stderr.split("\n") if " error: " in line]
    lines = [m.group(1) for m in (re.match(r"system\.conf:(\d+): ", e) for e in errors) if m]
    assert done.returncode == 1
    assert errors, "an error is expected"
    assert all(e.startswith("system.conf:") for e in errors)
    assert len(errors) == 1, done.stderr
    assert lines == marked, done.stderr
    assert re.search(reason, errors[0]), errors[0]
    assert not (folder.path / "out.img").exists()
    assert not list(folder.path.glob("*.part"))


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(folder, name):
    """One mistake of the table."""
    write_images(folder)
    check(folder, *MISTAKES[name])


@pytest.mark.parametrize("name", EXTRA)
def test_image_refused(folder, name):
    """An image that cannot be started."""
    write_images(folder)
    reason, image = EXTRA[name]
    check(folder, HEAD + vm(image=image + "!"), reason)


def test_conduit(folder):
    """PSCI by HVC is for guests: there is nobody above EL2 to take it."""
    folder.board(lambda dts: dts.replace('method = "smc"', 'method = "hvc"'))
    done = folder.build(HEAD + VM)
    assert done.returncode == 1
    assert "its firmware's PSCI is called by 'hvc'" in done.stderr


def test_too_many_vms(folder):
    """The ninth VM is one too many."""
    vms = "".join(f'vm v{i} {{ level = nrt cpus = {{{i}}} memory = 2M image = raw.bin\n}}\n'
                  for i in range(9))
    done = folder.build(HEAD + vms)
    assert done.returncode == 1
    assert "system.conf:18: error: vm 'v8' is one too many: there can be 8" in done.stderr


def test_too_many_devices(folder):
    """The seventeenth device of a VM is one too many."""
    names = ", ".join(f'"virtio_mmio@{0xa000000 + i * 0x200:x}"' for i in range(17))
    done = folder.build("board = virt\n" + vm(devices="{" + names + "}", dma="unconfined"))
    assert done.returncode == 1
    assert "vm 'a' has more than 16 devices" in done.stderr


def test_too_many_regions(folder):
    """A VM's sixteenth page of registers, where the sixteenth region is its memory."""
    names = ", ".join(f'"dma-controller@{0xfd500000 + i * 0x10000:x}", '
                      f'"dma-controller@{0xffa80000 + i * 0x10000:x}"' for i in range(8))
    done = folder.build("board = zcu102\n" + vm(devices="{" + names + "}", dma="unconfined"))
    assert done.returncode == 1
    assert "vm 'a' has more than 15 register areas" in done.stderr


def test_no_room_for_the_image(folder):
    """RAM that ends where the image begins."""
    done = folder.build(HEAD + "ram = 2M\n" + VM)
    assert done.returncode == 1
    assert "system.conf: error: IMAGE is" in done.stderr
    assert "is loaded at 0x40200000: that is not in the board's RAM" in done.stderr


def test_quote_without_end(folder):
    """The line of the quote, beside libConfuse's word on the end of the file."""
    done = folder.build(HEAD + vm(image='"raw.bin'))
    assert done.returncode == 1
    assert "system.conf:6: error: a quote begins here and does not end in this line" in done.stderr


def test_misspelt_board(folder):
    """A board's name that is almost right hides no other mistake, and makes no image."""
    done = folder.build("board = vrt\n" + vm(cpus="{7}", image='"none"'))
    assert done.returncode == 1
    assert "system.conf:1: error: unknown board 'vrt': did you mean 'virt'?" in done.stderr
    assert "system.conf:4: error: there is no core '7': board virt has 0 to 3" in done.stderr
    assert "system.conf:6: error: image ./none: No such file" in done.stderr
    assert folder.build("board = virtual-one\n" + vm(cpus="{7}")).stderr.count("error") == 1
    assert not (folder.path / "out.img").exists()


def test_all_in_one_run(folder):
    """Every mistake of a bad file is shown, in the order of the lines."""
    conf = """board = ./board.conf
spam = 1
cores = 7
vm a {
	level = hart
	cpus = {0, 5}
	memory = 5000
	image = "none"
	devices = {nothing, dma@7000}
	eggs { ham = 1 }
	console = x
}
trace {
	size = 1
	when_full = 2
	on_crash = 3
}
vm b { level = nrt cpus = {0} memory = 8K image = raw.bin
	sgi = direct
}
"""
    done = folder.build(conf)
    lines = [int(m) for m in re.findall(r"^system\.conf:(\d+): error", done.stderr, re.M)]
    assert lines == [2, 3, 5, 6, 7, 8, 9, 9, 10, 11, 14, 15, 16, 18, 19], done.stderr
    assert done.returncode == 1


def test_no_room_for_trace(folder):
    """The image leaves nothing before the VM, which has all the rest."""
    folder.write("big", pattern(0x180000))
    conf = HEAD + "ram = 6M\n" + vm(memory="2M", image='"big"') + "trace {\nsize = %dK #!\n}\n"
    check(folder, conf % 512, "no room for the trace, 1540K: no free piece of RAM is as large")
    assert folder.build(conf % 128).returncode == 0


def test_base_is_right(folder):
    """The configurations that the table spoils are right when nothing is spoilt."""
    assert folder.build(HEAD + VM + HARD).returncode == 0
    assert folder.build(HEAD + vm(devices="{half@4000, half@4100}")).returncode == 0
    assert folder.build(HEAD + vm(devices="{shared@5000, shared@6000}")).returncode == 0
    assert folder.build(HEAD + vm(devices="{dma@7000}", dma="unconfined")).returncode == 0


def test_old_image_stays(folder):
    """A build that fails leaves the last image alone."""
    folder.write("out.img", "old")
    assert folder.build(HEAD).returncode == 1
    assert (folder.path / "out.img").read_text() == "old"


BOARD_MISTAKES = {
    "no dtb": ("qemu = x\n", "there is no dtb"),
    "missing dtb": ('dtb = "./no.dtb"\n', r"my\.conf:1: error: device tree .*no\.dtb"),
    "not a dtb": ('dtb = "./raw.bin"\n', "is not a flattened device tree"),
    "unknown key": ('dtb = "./board.dtb"\nspam = 1\n', r"my\.conf:2: error: unknown key 'spam'"),
    "gic_lines": ('dtb = "./board.dtb"\ngic_lines = 90\n', r"my\.conf:2: error: gic_lines is '90'"),
    "few gic_lines": ('dtb = "./board.dtb"\ngic_lines = 64\n', "multiple of 32 from 96"),
    "console": ('dtb = "./board.dtb"\nconsole = xx\n', r"my\.conf:2: error: .*no console 'xx'"),
    "console's kind": ('dtb = "./board.dtb"\nconsole = "gpio@2000"\n', "neither a PL011 nor"),
    "clocks": ('dtb = "./board.dtb"\nclocks = {"clk 1 = 5M", "clk = 5M"}\n', "has 'clk = 5M'"),
    "ram": ('dtb = "./board.dtb"\nram = 3\n', r"my\.conf:2: error: ram is '3'"),
}


@pytest.mark.parametrize("name", BOARD_MISTAKES)
def test_board_mistake(folder, name):
    """A mistake in a board's file is shown with that file's name and line."""
    text, reason = BOARD_MISTAKES[name]
    folder.write("my.conf", text)
    done = folder.build("board = ./my.conf\n" + VM)
    assert done.returncode == 1
    assert re.search(reason, done.stderr), done.stderr
    assert done.stderr.count(" error: ") == 1
    assert not (folder.path / "out.img").exists()


@pytest.mark.parametrize("cut, reason", [
    ("method = \"smc\"", "no PSCI node"),
    ("compatible = \"arm,psci-1.0\"", "no PSCI node"),
    ("compatible = \"arm,gic-400\"", "no interrupt controller"),
    ("compatible = \"arm,armv8-timer\"", "has no timer"),
    ("device_type = \"memory\"", "has no memory"),
])
def test_tree_without(folder, cut, reason):
    """A board's tree must have what the hypervisor needs."""
    folder.board(lambda dts: dts.replace(cut, "x = <0>"))
    done = folder.build(HEAD + VM)
    assert done.returncode == 1
    assert reason in done.stderr
