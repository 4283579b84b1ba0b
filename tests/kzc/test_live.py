# SPDX-License-Identifier: Apache-2.0
"""VMs that are created beside those of an image: kzc live."""

import re

import pytest

import files
from test_mistakes import HARD, HEAD, vm

MIB2 = 0x200000
BASE = HEAD + vm("a", "{0}", control="true")
RAM_TYPE, DEVICE, STORE = 0, 1, 3


def within(text, section):
    """A VM's text with a section inside."""
    return text[:text.rindex("}")] + f"\t{section}\n}}\n"


class Made:
    """What kzc live wrote: the struct, and the store's bytes."""

    def __init__(self, done, data):
        assert done.returncode == 0, done.stderr
        self.notes = done.stderr
        self.text = done.stdout
        self.vm = files.Fields(data, 0, files.VM)
        at = self.vm.end
        for name, (layout, size, count) in files.SIZES.items():
            used = getattr(self.vm, name + "_count")
            setattr(self.vm, name, [files.Fields(data, at + i * size, layout)
                                    for i in range(used)])
            assert not any(data[at + used * size:at + count * size]), "zero behind the count"
            at += size * count
        self.store = data[at:]

    def regions(self, kind):
        """Its regions of that type."""
        return [r for r in self.vm.region if r.type == kind]

    def memory(self):
        """Its memory as it starts, by guest address."""
        ram = sorted(self.regions(RAM_TYPE), key=lambda r: r.ipa)
        content = bytearray(ram[-1].ipa + ram[-1].size - ram[0].ipa)
        for load in self.vm.load:
            assert any(r.ipa <= load.ipa and load.ipa + load.size <= r.ipa + r.size for r in ram)
            assert load.offset % 64 == 0
            at = load.ipa - ram[0].ipa
            content[at:at + load.size] = self.store[load.offset:load.offset + load.size]
        return content


def live(folder, base, conf, args=("--board-dir", "boards")):
    """Runs it; base is the configuration of what runs."""
    done = folder.build(base)
    assert done.returncode == 0, done.stderr
    folder.write("new.conf", conf)
    return folder.run("live", "out.img", "new.conf", "-o", "new.vm", *args)


def made(folder, base, conf, args=("--board-dir", "boards")):
    """The same, which must work."""
    done = live(folder, base, conf, args)
    return Made(done, (folder.path / "new.vm").read_bytes() if done.returncode == 0 else b"")


@pytest.fixture(autouse=True)
def boards(folder):
    """The board's file and tree, where board names are looked up."""
    folder.write("boards/board.conf", (folder.path / "board.conf").read_text())
    folder.write("boards/board.dtb", (folder.path / "board.dtb").read_bytes())


def test_vm(folder):
    """Memory, store, tables, image, tree, and no rights."""
    new = made(folder, BASE, vm("b", "{1}", ramdisk="ramdisk"))
    image = folder.image(BASE)
    ram, = new.regions(RAM_TYPE)
    store, = new.regions(STORE)
    assert (ram.ipa, ram.size, ram.pa % MIB2) == (0x40000000, 4 << 20, 0)
    assert store.ipa == 0 and store.size >= new.vm.store_tables * 4096 + len(new.store)
    assert new.vm.store_tables == 4 and len(new.store) % 64 == 0
    spans = [(r.pa, r.size) for r in (ram, store, image.vm["a"].region[0])]
    spans += [(image.cfg.image_pa, image.image_size), (image.cfg.trace_pa, 0x31000)]
    spans.sort()
    for (base, size), (after, _) in zip(spans, spans[1:]):
        assert base + size <= after
    memory = new.memory()
    assert memory[:5000] == files.pattern(5000)
    assert files.pattern(9000, seed=3) in memory
    assert memory[new.vm.arg - 0x40000000:][:4] == b"\xd0\x0d\xfe\xed"
    assert new.vm.rights == (0,) * 8
    assert (new.vm.cpu[0], new.vm.console_intid) == (1, 33)
    assert re.search(r"vm b: cores 1; .* 4 translation tables\n", new.text)


def test_as_at_boot(folder):
    """But for memory and the store it is what kzc build makes of it."""
    conf = vm("b", "{1}", level="srt", console="ring", restart="always", watchdog_at="0x9100000",
              memory_at="0x50000000")
    conf = within(within(conf, "realtime { budget = 1ms period = 10ms }"),
                  "watchdog { device = true timeout = 2s }")
    new = made(folder, BASE, conf).vm
    old = folder.image(BASE + conf).vm["b"]
    for name, _ in files.VM:
        if name not in ("region_count", "store_tables", "reserved2", "reserved3"):
            assert getattr(new, name) == getattr(old, name), name
    assert [(l.ipa, l.size) for l in new.load] == [(l.ipa, l.size) for l in old.load]


def test_best_fit(folder):
    """What is small goes where it breaks no block of 2 MiB; what is large into the smallest
    piece."""
    # Behind the image, before the first VM's 2 MiB, there is the gap; the trace is at its end.
    new = made(folder, BASE, vm("b", "{1}", memory="64K"))
    image = folder.image(BASE)
    first = image.vm["a"].region[0].pa
    for r in new.regions(RAM_TYPE) + new.regions(STORE):
        assert image.cfg.image_pa + image.image_size <= r.pa and r.pa + r.size <= first
    # The trace is not free: what would fit without it goes behind the first VM.
    base = HEAD + vm("a", "{0}")
    image = folder.image(base)
    gap = image.vm["a"].region[0].pa - image.cfg.image_pa - image.image_size
    new = made(folder, base, vm("b", "{1}", memory=f"{(gap >> 10) - 64}K"))
    assert new.regions(RAM_TYPE)[0].pa > first
    new = made(folder, BASE + "ram = 64M\n" + vm("m", "{1}", memory="24M"),
               vm("b", "{1}", memory="24M"))
    ram, = new.regions(RAM_TYPE)
    assert ram.pa % MIB2 == 0 and ram.pa + ram.size <= 0x44000000


def test_two_banks(folder):
    """Memory in several pieces for who may have it, so that none is left over."""
    folder.board(lambda dts: dts.replace("<0x40000000 0x20000000>",
                                         "<0x40000000 0x1000000 0x60000000 0x1400000>"))
    folder.write("boards/board.dtb", (folder.path / "board.dtb").read_bytes())
    folder.write("big", files.pattern(3 << 20))
    image = folder.image(BASE)
    assert image.cfg.ram_count == 2
    new = made(folder, BASE, vm("b", "{1}", memory="21M", ramdisk='"big"'))
    ram = new.regions(RAM_TYPE)
    assert [r.size for r in ram] == [20 << 20, 1 << 20]
    assert ram[0].pa % MIB2 == 0 and ram[1].ipa % MIB2 == 0
    assert ram[0].ipa + ram[0].size == ram[1].ipa
    assert len(new.vm.load) == 4, "the ramdisk is on both sides of the border"
    assert files.pattern(3 << 20) in new.memory()
    done = live(folder, BASE, vm("b", "{2}", level="hrt", memory="21M"))
    assert "new.conf:4: error: there is no room for 21M of memory: " in done.stderr
    assert "the largest piece has 20M, and it must be one piece" in done.stderr


MISTAKES = {
    "name": (vm("a!".rstrip("!"), "{1}").replace("vm a {", "vm a { #!"), "there is a vm 'a' alr"),
    "board": ("board = virt #!\n" + vm("b"), "board is of the whole system, which runs already"),
    "cores": (vm("b") + "cores = 2 #!\n", "cores is of the whole system"),
    "ram": (vm("b") + "ram = 2M #!\n", "ram is of the whole system"),
    "nrt_reserve": (vm("b") + "nrt_reserve = 2% #!\n", "nrt_reserve is of the whole system"),
    "trace": (vm("b") + "trace { size = 64K } #!\n", "trace is of the whole system"),
    "core": (vm("b") + "core 1 { reserve = 5% } #!\n", "core is of the whole system"),
    "two": (vm("b") + vm("c").replace("{\n", "{ #!\n", 1), "vm 'c' is one too many"),
    "control": (vm("b", control="true!"), "control is given when the system starts"),
    "trace_at": (vm("b", trace_at="0xb000000!"), "trace_at is for a VM that has the trace"),
    "core of hrt": (vm("b", "{2}!"), "core 2 is given to vm 'b' and to vm 'h': a hard real-time"),
    "hrt on a core that is taken": (vm("b", "{1}!", level="hrt"),
                                    "core 1 is given to vm 'b' and to vm 's': a hard real-time"),
    "memory": (vm("b", memory="600M!"), "there is no room for 600M of memory: 4.*M of RAM is fr"),
    "image": (vm("b", image="none!"), "image ./none: No such file"),
    "device": (vm("b", devices="{timer@1000}!"), "timer@1000: vm 's' has its page"),
    "server": (within(vm("b", "{1}", level="srt"),
                      "realtime {\n\t\tbudget = 6ms #!\n\t\tperiod = 10ms\n\t}"),
               "core 1: the servers of vm 's' and vm 'b' .*; a budget of vm 'b' of .* would do"),
}
SERVED = (BASE + within(vm("s", "{1}", level="srt", devices="{timer@1000}"),
                        "realtime { budget = 5ms period = 10ms }") + HARD)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(folder, name):
    """One mistake, on its line, and nothing is written."""
    conf, reason = MISTAKES[name]
    done = live(folder, SERVED, conf)
    marked = [i for i, line in enumerate(conf.split("\n"), 1) if "#!" in line]
    errors = re.findall(r"^new\.conf:(\d+): error: (.*)$", done.stderr, re.M)
    assert done.returncode == 1
    assert [int(line) for line, _ in errors] == marked, done.stderr
    assert re.search(reason, errors[0][1]), done.stderr
    assert not (folder.path / "new.vm").exists()


def test_console_core(folder):
    """The console's core cannot become a hard VM's, though nobody else has it."""
    base = HEAD + vm("a", "{1}", control="true")
    done = live(folder, base, vm("b", "{0}", level="hrt"))
    assert "new.conf:3: error: core 0 serves the console" in done.stderr
    assert made(folder, base, vm("b", "{2}", level="hrt")).vm.console_intid > 33


def test_sufficient(folder):
    """What only the exact test lets pass, the hypervisor would refuse."""
    base = BASE + within(vm("s", "{1}", level="srt"),
                         "realtime { budget = 5ms period = 10ms deadline = 5100us }")
    new = within(vm("b", "{1}", level="srt"), "realtime { budget = 2ms period = 20ms }")
    assert folder.build(base + new).returncode == 0
    done = live(folder, base, new)
    assert re.search("new.conf:6: error: core 1: the servers of vm 's' and vm 'b' would fit, but "
                     "not by the test .*, are 108.*% together, and may be 100 %", done.stderr)
    made(folder, base, within(vm("b", "{1}", level="srt"), "realtime { on_miss = stop }"))


def test_reserve(folder):
    """What is kept from servers is as it was when the system started."""
    base = "nrt_reserve = 50%\n" + BASE + vm("c", "{1}")
    done = live(folder, base, within(vm("b", "{1}", level="srt"),
                                     "realtime { budget = 6ms period = 10ms }"))
    assert "core 1: the servers of vm 'b' take 60 %, and 50 % is kept for others" in done.stderr
    made(folder, base, within(vm("b", "{1}", level="srt"),
                              "realtime { budget = 4ms period = 10ms }"))


def test_hard_interrupts(folder):
    """A hard VM's console and watchdog get interrupts that no hard VM has yet."""
    new = made(folder, BASE + HARD, vm("b", "{1}", level="hrt")).vm
    assert new.console_intid != folder.image(BASE + HARD).vm["h"].console_intid
    watched = within(HARD, "watchdog { device = true }")
    new = made(folder, BASE + watched, watched.replace("vm h", "vm b").replace("{2}", "{1}")).vm
    old = folder.image(BASE + watched).vm["h"]
    assert len({new.console_intid, new.wdt_intid, old.console_intid, old.wdt_intid}) == 4


def test_full(folder):
    """The ninth VM."""
    base = HEAD + "".join(vm(f"v{i}", "{0}", memory="2M") for i in range(8))
    done = live(folder, base, vm("b", memory="2M"))
    assert "there are 8 VMs already: destroy one first" in done.stderr


def test_without_board(folder):
    """Where the board's files are not, all but devices can be had."""
    args = ("--board-dir", "nowhere")
    assert made(folder, BASE, vm("b", "{1}"), args).vm.vcpu_count == 1
    done = live(folder, BASE, vm("b", "{1}", devices="{timer@1000}"), args)
    assert "new.conf:6: error: devices are known from the files of board board" in done.stderr
    done = live(folder, BASE, vm("b", "{1}", level="hrt"), args)
    assert "there is no free interrupt for the console of vm 'b': console = ring" in done.stderr
    assert made(folder, BASE, vm("b", "{1}", level="hrt", console="ring"), args).vm.level == 0


def test_other_board(folder):
    """A board's files that are not of the machine that runs."""
    folder.write("boards/board.dtb", (folder.path / "board.dtb").read_bytes())
    folder.build(BASE)
    other = (folder.path / "board.dts").read_text().replace(
        "cpu@100", "cpu@102").replace("reg = <0x100>", "reg = <0x102>")
    folder.board(lambda _: other)
    folder.write("boards/board.dtb", (folder.path / "board.dtb").read_bytes())
    folder.write("new.conf", vm("b", "{1}"))
    done = folder.run("live", "out.img", "new.conf", "--board-dir", "boards")
    assert done.returncode == 1
    assert "board board is not the machine that runs, which is board" in done.stderr


def test_any(folder):
    """cpus = any knows who is there."""
    new = made(folder, BASE + HARD, vm("b", "any"))
    assert new.vm.cpu[0] == 1 and "vCPU 0 is on core 1" in new.notes
    new = made(folder, BASE + vm("c", "{1}", weight="50") + HARD, vm("b", "any"))
    assert new.vm.cpu[0] == 1 and "its share is largest: 66.6" in new.notes


def test_not_an_image(folder):
    """What is no image is said to be none."""
    folder.write("new.conf", vm("b"))
    folder.write("none.img", files.pattern(20000))
    done = folder.run("live", "none.img", "new.conf")
    assert done.returncode == 1 and "none.img is not an image of this version" in done.stderr
