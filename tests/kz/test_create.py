# SPDX-License-Identifier: Apache-2.0
"""A VM from a file: what the hypervisor gets, and that nothing is left half-made."""

import re
import signal
import subprocess

import abi
import pytest
from test_console import Terminal

IMAGE = bytes(range(1, 256)) * 100

OWN = """# a comment
vm web {
	level = nrt
	cpus = {2}
	memory = 8M
	image = "raw.bin"
	ramdisk = "ramdisk"
	cmdline = "console=ttyAMA0 it's quiet"
}
"""
XL = """name = "web"
memory = 8
cpus = "2"
kernel = "raw.bin"
ramdisk = 'ramdisk'
extra = "console=ttyAMA0 it's quiet"
"""


@pytest.fixture(params=["own", "xl"])
def conf(request, kz):
    """The same VM in both languages."""
    kz.write("raw.bin", IMAGE)
    kz.write("ramdisk", b"ramdisk!" * 700)
    kz.write("web.conf", OWN if request.param == "own" else XL)
    return "web.conf"


def functions(sim):
    return [f for f, _ in sim.calls if f in (abi.REGISTER, abi.FILL)] + [
        ("control", *x[:2]) for f, x in sim.calls if f == abi.CONTROL]


def test_create(kz, sim, conf):
    done = kz("create", conf)
    assert done.code == 0, done.err
    assert done.out == "vm web has number 3, 8 MiB of memory, core 2, and is running\n"
    vm = sim.vm("web")
    assert vm.info.state == abi.RUNNING and list(vm.cfg.cpu)[:1] == [2]
    memory = vm.memory[0x40000000]
    assert memory[:len(IMAGE)] == IMAGE and vm.cfg.entry == 0x40000000
    tree = vm.at(vm.cfg.arg, 4096)
    assert tree[:4] == b"\xd0\x0d\xfe\xed" and b"console=ttyAMA0 it's quiet\0" in tree
    assert memory.count(b"ramdisk!" * 700) == 1
    assert functions(sim)[-1] == ("control", 3, abi.START)
    fills = [x for f, x in sim.calls if f == abi.FILL]
    assert [x[1] for x in fills] == list(range(0, 4096 * len(fills), 4096))
    assert all(x[3] == 4096 for x in fills[:-1]) and 0 < fills[-1][3] <= 4096


def test_json(kz, conf):
    done = kz("--json", "create", conf)
    assert done.code == 0 and done.json["name"] == "web" and done.json["id"] == 3
    assert done.json["state"] == "running"


def test_paused(kz, sim, conf):
    done = kz("create", "-p", conf)
    assert done.code == 0 and "is created" in done.out
    vm = sim.vm("web")
    assert vm.info.state == abi.CREATED and not any(vm.memory[0x40000000])
    kz.ok("start", "web")
    assert vm.memory[0x40000000][:len(IMAGE)] == IMAGE


def test_dry_run(kz, sim, conf):
    done = kz("--json", "create", "-n", conf)
    assert done.code == 0 and done.json["cores"] == [2] and done.json["store_bytes"] > 0
    assert functions(sim) == [] and "web" not in sim.names()


def test_console_from_the_first_byte(kz, sim, conf, wait):
    t = Terminal(kz, "create", "-c", conf)
    wait(lambda: ("control", 3, abi.START) in functions(sim), "started")
    verbs = [f for f in functions(sim) if f not in (abi.REGISTER, abi.FILL)]
    assert verbs[:2] == [("control", 3, abi.ATTACH), ("control", 3, abi.START)]
    sim.console_put(sim.vm("web"), b"hello")
    wait(lambda: b"hello" in t.seen, "output")
    t.type(b"\x1d")
    assert t.leave() == 0 and sim.vm("web").info.state == abi.RUNNING


def test_two_of_them(kz, sim, conf):
    """The second one finds other memory, and a name is had once."""
    assert kz("create", conf).code == 0
    done = kz("create", conf)
    assert done.code == 1 and "web.conf:" in done.err and "web" in done.err
    text = (kz.path / conf).read_text().replace("web", "web2")
    kz.write("web2.conf", text)
    assert kz("create", "web2.conf").code == 0
    assert sim.names()[-2:] == ["web", "web2"]
    kz.ok("destroy", "web", "web2")
    assert sim.names() == ["linux", "vision", "servo"]


@pytest.mark.parametrize("function, answer, words", [
    (abi.REGISTER, (abi.EINVAL, abi.BLOB_REGION_TWICE, 1), "the hypervisor refuses it: "),
    (abi.REGISTER, (abi.EINVAL, 0, 0), "the hypervisor does not take this"),
    (abi.REGISTER, (abi.EPERM, 0, 0), "this VM has not the right"),
    (abi.REGISTER, (abi.ENOMEM, 0, 0), "no place is free: kz destroy makes room"),
    (abi.REGISTER, (abi.EBUSY, 0, 0), "not in its present state"),
    (abi.REGISTER, (abi.ELOAD, 2, 12345), "core 2 cannot keep its promises beside it: it lacks "
                                          "1.2345 % of its time"),
    (abi.FILL, (abi.EBUSY, 0, 0), "filling its store of vm web"),
    (abi.FILL, (abi.EINVAL, 0, 0), "filling its store of vm web"),
])
def test_refused(kz, sim, conf, function, answer, words):
    sim.fail[function] = answer
    done = kz("create", conf)
    assert done.code == 1 and words in done.err, done.err
    assert sim.names() == ["linux", "vision", "servo"]
    assert ("is destroyed again" in done.err) == (function == abi.FILL)


def test_start_fails(kz, sim, conf):
    sim.STATES = {**sim.STATES, abi.START: ()}
    done = kz("create", conf)
    assert done.code == 1 and "starting of vm web" in done.err
    assert sim.names() == ["linux", "vision", "servo"]


def test_each_fill_fails(kz, sim, conf):
    """Whichever call it is that fails, nothing is left."""
    kz("create", conf)
    count = sum(f == abi.FILL for f, _ in sim.calls)
    kz.ok("destroy", "web")
    for n in range(0, count, max(1, count // 6)):
        left = [n]

        def hook(call):
            if call.function == abi.FILL:
                sim.fail.clear()
                if left[0] == 0:
                    sim.fail[abi.FILL] = (abi.EPERM, 0, 0)
                left[0] -= 1
        sim.hook = hook
        assert kz("create", conf).code == 1
        assert sim.names() == ["linux", "vision", "servo"]
        sim.fail.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("when", [abi.REGISTER, abi.FILL, abi.CONTROL])
def test_signal(kz, sim, conf, number, when):
    """At each step: what is there is whole, or is not there."""
    # Longer than kz takes to exit: it has to wait for the end of what it destroys.
    sim.delay = 2 if number == signal.SIGINT else 0.02
    process = None
    sent = []

    def hook(call):
        if call.function == when and not sent:
            sent.append(1)
            process.send_signal(number)
    sim.hook = hook
    process = kz.start("create", conf)
    done = kz.finish(process, None)
    if when == abi.CONTROL:     # START has been called: it is made
        assert done.code == 0 and sim.vm("web").info.state == abi.RUNNING
    else:
        assert done.code == 130 and sim.names() == ["linux", "vision", "servo"]
        assert functions(sim).count(abi.FILL) == (when == abi.FILL), "at once"


def test_terminal_is_gone(kz, sim, conf):
    """Nobody reads what is said: it is made all the same, or not at all."""
    process = kz.start("create", conf, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stderr.close()
    process.stdout = process.stderr = None
    process.wait(timeout=30)
    assert sim.vm("web").info.state == abi.RUNNING


def test_terminal_is_gone_and_it_fails(kz, sim, conf):
    """To say so is not what ends it."""
    sim.fail[abi.FILL] = (abi.EINVAL, 0, 0)
    process = kz.start("create", conf)
    process.stdout.close()
    process.stderr.close()
    process.stdout = process.stderr = None
    assert process.wait(timeout=30) == 1
    assert sim.names() == ["linux", "vision", "servo"]


@pytest.mark.parametrize("extra, cmdline", [
    (r"'back\\slash'", r"back\slash"), (r"""'a "b" c'""", 'a "b" c'),
    (r'"a \"b\" it\'s \\ c"', "a \"b\" it's \\ c"), ("'${HOME} $x # {'", "${HOME} $x # {")])
def test_quotes(kz, sim, extra, cmdline):
    """What is in a string arrives in the guest as it was meant."""
    kz.write("raw.bin", IMAGE)
    kz.write("web.cfg", f"name = 'web'\nmemory = 8\nkernel = 'raw.bin'\nextra = {extra}\n")
    done = kz("create", "web.cfg")
    assert done.code == 0, done.err
    vm = sim.vm("web")
    value = cmdline.encode() + b"\0"     # a property: its length, its name, its value
    assert re.search(len(value).to_bytes(4, "big") + b"...." + re.escape(value),
                     bytes(vm.at(vm.cfg.arg, 4096)), re.DOTALL)


def test_progress_on_a_terminal(kz, sim, conf, wait):
    t = Terminal(kz, "create", conf)
    assert t.leave() == 0
    wait(lambda: b"images: 100 %" in t.seen, "progress")


def test_mistakes(kz, sim):
    """All in one run, with their lines; nothing is asked of the hypervisor."""
    kz.write("raw.bin", IMAGE)
    kz.write("a.conf", "board = virt\nvm web {\n\tlevel = nrt\n\tcpus = {9}\n\tmemory = 3\n"
             "\timage = \"nowhere\"\n\tfrob = 1\n}\n")
    done = kz("create", "a.conf")
    assert done.code == 1
    for line in (1, 4, 5, 6, 7):
        assert f"a.conf:{line}: error: " in done.err, (line, done.err)
    assert functions(sim) == []
    assert "a.conf: error: " in kz("create", "b.conf").err.replace("b.conf", "a.conf")
    kz.write("two.conf", OWN + OWN.replace("web", "web2"))
    assert kz("create", "two.conf").code == 1


def test_hrt(kz, sim):
    """A hard real-time VM on a core that is free; and not on one that is not."""
    kz.write("raw.bin", IMAGE)
    text = "vm fast {{ level = hrt cpus = {{{}}} memory = 2M image = 'raw.bin' console = ring }}"
    kz.write("fast.conf", text.format(2))
    assert kz("create", "fast.conf").code == 0
    assert sim.vm("fast").cfg.level == abi.HRT
    kz.ok("destroy", "fast")
    kz.write("fast.conf", text.format(3))
    done = kz("create", "fast.conf")
    assert done.code == 1 and "fast.conf:1: error: " in done.err


def test_relative_paths(kz, sim):
    """Ours are relative to the file, xl's to the current folder."""
    (kz.path / "sub").mkdir()
    kz.write("sub/raw.bin", IMAGE)
    kz.write("sub/own.conf", OWN.replace('\tramdisk = "ramdisk"\n', ""))
    assert kz("create", "-n", "sub/own.conf").code == 0
    kz.write("sub/xl.cfg", XL.replace("ramdisk = 'ramdisk'\n", ""))
    assert "sub/xl.cfg:4: error: kernel raw.bin" in kz("create", "-n", "sub/xl.cfg").err
    (kz.path / "sub/raw.bin").rename(kz.path / "raw.bin")
    assert kz("create", "-n", "sub/xl.cfg").code == 0
