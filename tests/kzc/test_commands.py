# SPDX-License-Identifier: Apache-2.0
"""map, whatis, qemu, and how kzc is called."""

import re
import xml.etree.ElementTree

import pytest

CONF = """board = ./board.conf
vm soft { level = nrt cpus = {0} memory = 64M image = "a<&>b.bin" }
vm hard { level = hrt cpus = {2} memory = 2M image = "raw.bin" console = none
	devices = {"timer@1000"} }
"""


@pytest.fixture
def folder_map(folder):
    """A folder with CONF in it."""
    folder.write("a<&>b.bin", "guest")
    folder.write("system.conf", CONF)
    return folder


def test_map_text(folder_map):
    """Each core, each byte of RAM, each device has its owner in the text."""
    done = folder_map.run("map", "system.conf", "--hypervisor", "hv.elf")
    assert done.returncode == 0
    text = re.sub(" +", " ", done.stdout)
    assert "0 MPIDR 0 soft, nrt, vCPU 0" in text
    assert "1 MPIDR 1 free" in text
    assert "2 MPIDR 100 hard, hrt, vCPU 0" in text
    assert "0x0010001000 0x0010001fff timer@1000, INTID 42 43" in text
    spans = re.findall(r"^ 0x(\w+) 0x(\w+) (\S+) (.+)$", text.split("vm soft")[0], re.M)
    spans = [(int(a, 16), int(b, 16) + 1, size, who) for a, b, size, who in spans]
    for (_, end, _, _), (base, _, _, _) in zip(spans, spans[1:]):
        assert base == end
    assert spans[0][0] == 0x40000000
    assert spans[-1][1] == 0x60000000
    kept = [(base, end) for base, end, _, who in spans if who == "reserved"]
    assert kept == [(0x50000000, 0x50001000), (0x58000000, 0x58100000)]
    owned = {who: end - base for base, end, _, who in spans if who not in ("free", "reserved")}
    trace = 4096 + 3 * 65536
    assert owned == {"boot loader": 2 << 20, "Kizami": (2 << 20) - trace, "trace": trace,
                     "soft": 64 << 20, "hard": 2 << 20}


OWNERS = {  # of an offset from the trace's page, or an address, in the system
    "trace": (0x10, "trace + 0x10: where its rings are (struct kz_trace_mem)"),
    "first ring": (4096, "trace + 0x1000: the ring of core 0 + 0x0"),
    "last ring": (4096 + 3 * 65536 - 1, "trace + 0x30fff: the ring of core 2 + 0xffff"),
    "image": (-1, "Kizami + 0x1cefff: the hypervisor"),
    "vm": (4096 + 3 * 65536 + 8, "vm soft + 0x8: guest address 0x40000008"),
    "device": (0x10001004, "/soc/timer@1000 + 0x4"),
    "device's owner": (0x10001004, "  owner       vm hard"),
    "free": (0x45000000, "RAM: /memory@40000000 + 0x5000000"),
    "reserved": (0x58000010, "/reserved-memory/firmware@58000000 + 0x10: RAM that is reserved"),
}


@pytest.mark.parametrize("name", OWNERS)
def test_whatis_system(folder_map, name):
    """An address of a system: whose, and what it is to its owner."""
    at, words = OWNERS[name]
    base = folder_map.image(CONF).cfg.trace_pa
    at += base if at < 0x1000000 else 0
    done = folder_map.run("whatis", "system.conf", hex(at), "--hypervisor", "hv.elf")
    assert (done.returncode, "error" in done.stderr) == (0, False)
    assert re.search("^" + re.escape(words), done.stdout, re.M), done.stdout


def test_whatis_mistake(folder_map):
    """A system with a mistake has no owners."""
    folder_map.write("system.conf", CONF.replace("{2}", "{0}"))
    done = folder_map.run("whatis", "system.conf", "0x40400000", "--hypervisor", "hv.elf")
    assert (done.returncode, done.stdout) == (1, "")
    assert "system.conf:3: error: " in done.stderr


def test_map_agrees_with_image(folder_map):
    """What the map says of memory is what the blob has."""
    image = folder_map.image(CONF)
    text = folder_map.run("map", "system.conf", "--hypervisor", "hv.elf").stdout
    for name, vm in image.vm.items():
        ram = vm.region[0]
        assert re.search(f"0x{ram.pa:010x}  0x{ram.pa + ram.size - 1:010x} .* {name}\n", text)


def test_map_svg(folder_map):
    """The picture is well-formed whatever the names are, and has all owners in it."""
    done = folder_map.run("map", "system.conf", "-o", "map.svg")
    assert done.returncode == 0
    root = xml.etree.ElementTree.parse(folder_map.path / "map.svg").getroot()
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for word in ("Core 0", "Core 1", "Core 2", "soft", "hard", "HRT", "NRT", "free", "Kizami",
                 "trace", "64M", "reserved", "timer@1000", "a<&>b.bin",
                 "0x10001000, 4K, INTID 42 43"):
        assert word in texts
    width = float(root.get("width"))
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x", 0)) + float(box.get("width")) <= width
        assert float(box.get("height")) > 0


def test_map_of_a_mistake(folder_map):
    """No picture of what cannot be."""
    folder_map.write("system.conf", CONF.replace("{2}", "{0}"))
    assert folder_map.run("map", "system.conf", "-o", "map.svg").returncode == 1
    assert not (folder_map.path / "map.svg").exists()


WHATIS = {
    "0x10001004": ["/soc/timer@1000 + 0x4", "cdns,ttc", "INTID 42 (SPI 10), level",
                   "INTID 43 (SPI 11), edge", "disabled"],
    "0x10045678": ["/soc/usb@a000/core@0 + 0x5678", "INTID 52"],
    "0x1008c010": ["/soc/bus@80000/twin@c000 + 0x10"],
    "0x10004108": ["/soc/half@4100 + 0x8"],
    "0x10000018": ["/soc/serial@0 + 0x18: the console, which the hypervisor has"],
    "0x8020000": ["interrupt-controller@8000000 + 0x0: the interrupt controller"],
    "0x48000000": ["RAM: /memory@40000000 + 0x8000000"],
    "0x5fffffff": ["RAM: ", "physical addresses; what a VM has at its own, kzc map shows"],
    "0x58000010": ["/reserved-memory/firmware@58000000 + 0x10: RAM that is reserved",
                   "memory      0x58000000 to 0x580fffff"],
    "0x60000000": ["nothing: no node", "/memory@40000000 ends at 0x5fffffff"],
    "0": ["nothing: no node of the tree of board board has 0x0"],
    "0xffffffffffffffff": ["nothing"],
}


@pytest.mark.parametrize("address", WHATIS)
def test_whatis(folder, address):
    """The deepest node at an address, through all ranges."""
    done = folder.run("whatis", "./board.conf", address)
    assert done.returncode == 0, done.stderr
    for words in WHATIS[address]:
        assert words in done.stdout


@pytest.mark.parametrize("address, note", [
    ("1207959552", "kzc: note: 1207959552 is decimal: 0x48000000\n"), ("0x48000000", ""),
    ("1152M", "")])
def test_whatis_decimal(folder, address, note):
    """An address copied from a tree, where they are hexadecimal, is not misread unnoticed."""
    done = folder.run("whatis", "./board.conf", address)
    assert (done.returncode, done.stderr) == (0, note)
    assert done.stdout.startswith("RAM: /memory@40000000 + 0x8000000\n")


def test_whatis_built_in(folder):
    """A built-in board by its name; an unknown one."""
    assert "/axi/timer@ff110000 + 0x0" in folder.run("whatis", "zcu102", "0xff110000").stdout
    done = folder.run("whatis", "zcu103", "0")
    assert done.returncode == 1
    assert "did you mean 'zcu102'" in done.stderr


def test_qemu(folder):
    """A board's QEMU arguments."""
    assert folder.run("qemu", "./board.conf").stdout == "-M test\n"
    for board in ("virt", "virt-gicv2", "zcu102"):
        assert "virtualization=on" in folder.run("qemu", board).stdout
    folder.write("board.conf", 'dtb = "./board.dtb"\n')
    assert folder.run("qemu", "./board.conf").returncode == 1


def test_bad_hypervisor(folder_map):
    """Neither Kizami nor an ELF file."""
    done = folder_map.run("check", "system.conf", "--hypervisor", "raw.bin")
    assert done.returncode == 1
    assert done.stderr == "kzc: error: raw.bin is not Kizami's ELF file for arm64\n"


@pytest.mark.parametrize("args", [
    [], ["bild"], ["check"], ["check", "a", "b"], ["build", "system.conf"], ["--spam"],
    ["check", "system.conf", "-o", "x"], ["dts", "system.conf"], ["whatis", "virt", "here"],
    ["map"], ["build", "system.conf", "-o"]])
def test_usage(folder_map, args):
    """Wrong use is exit 2, and something to read."""
    done = folder_map.run(*args)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout


@pytest.mark.parametrize("args", [["--help"], ["build", "--help"], ["-h"], ["map", "-h"]])
def test_help(folder, args):
    """Help is no mistake, and is about the command that was named."""
    done = folder.run(*args)
    assert done.returncode == 0
    assert not done.stderr
    named = [c for c in ("check", "build", "dts", "map", "whatis", "qemu")
             if f"  kzc {c} " in done.stdout]
    assert named == (args[:1] if len(args) == 2 else
                     ["check", "build", "dts", "map", "whatis", "qemu"])


def test_check(folder_map):
    """check is silent when all is well, and needs no hypervisor."""
    done = folder_map.run("check", "system.conf", "--hypervisor", "none.elf")
    assert done.returncode == 0
    assert " error: " not in done.stderr
    assert not done.stdout


def test_no_file(folder):
    """A configuration that is not there."""
    done = folder.run("check", "none.conf")
    assert done.returncode == 1
    assert "none.conf: error: No such file" in done.stderr


def test_unknown_vm(folder_map):
    """dts of a VM that is not there."""
    done = folder_map.run("dts", "system.conf", "sofd")
    assert done.returncode == 1
    assert "unknown vm 'sofd': did you mean 'soft'" in done.stderr
    assert not done.stdout


def test_output_cannot_be_written(folder_map):
    """An output that cannot be written is an error, and leaves nothing behind."""
    done = folder_map.run("build", "system.conf", "-o", "no/such/out.img", "--hypervisor", "hv.elf")
    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_relative_to_the_file(folder_map):
    """Paths are relative to the configuration, wherever kzc is called."""
    (folder_map.path / "sub").mkdir()
    done = folder_map.run("check", str(folder_map.path / "system.conf"))
    assert done.returncode == 0
    folder_map.write("sub/system.conf", CONF.replace("./board.conf", "../board.conf"))
    done = folder_map.run("check", "sub/system.conf")
    assert "sub/system.conf:2: error: image sub/a<&>b.bin: No such file" in done.stderr


COMMENTED = """# a comment, isn't it
board = ./board.conf // another
/* and one
   of two lines */
vm s {
	level = nrt	# with a " quote
	cpus = {0, # in a list
		1}
	memory = 0x400000 /* hexadecimal */ image = 'raw.bin'
	cmdline = "# no comment // here /* or */ here"
}
"""


def test_comments(folder):
    """Comments may be anywhere, and are none in quotes."""
    image = folder.image(COMMENTED)
    assert image.vm["s"].vcpu_count == 2
    tree = folder.tree(COMMENTED, "s")
    assert " ".join(tree.get("/chosen", "bootargs", "s")) == "# no comment // here /* or */ here"


def test_lines_behind_comments(folder):
    """Lines are counted through comments and quotes."""
    done = folder.build(COMMENTED + "spam = 1\n")
    assert "system.conf:12: error: unknown key 'spam'" in done.stderr
