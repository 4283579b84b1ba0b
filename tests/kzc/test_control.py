# SPDX-License-Identifier: Apache-2.0
"""Rights over other VMs, the view of the trace, watchdogs and restarts."""

import pytest

from test_mistakes import HARD, HEAD, check, vm, write_images

LIST, CONSOLE, READ, RUN, RESTART, CREATE = range(6)
ALL = 0xff
OTHER = vm("b", "{1}")

MISTAKES = {
    # Rights
    "right": (vm(control="{lst}!"), "unknown right 'lst': did you mean 'list'"),
    "right unlike any": (vm(control="{zzzz}!"), "unknown right 'zzzz': there is list, console"),
    "true in a list": (vm(control="{list, true}!"), "unknown right 'true'"),
    "a word": (vm(control="yes!"), "unknown right 'yes'"),
    "unknown vm": (vm(control="{list(bb)}!") + OTHER, "unknown vm 'bb': did you mean 'b'"),
    "unknown right of a vm": (vm(control="{halt(b)}!") + OTHER, "unknown right 'halt': there is"),
    "second of two": (vm(control="{list, read(a), run(c)}!") + OTHER, "unknown vm 'c'"),
    "line of a list": (vm(control="{list,\n read(a), run(c)}!") + OTHER, "unknown vm 'c'"),
    "no name": (vm(control='{"list()"}!'), r"control has 'list\(\)': a right over one VM is list"),
    "no name, no quotes": (vm(control="{list, run( )}!"), r"control has 'run\(\)': a right over"),
    "no end": (vm(control='{"list(a"}!'), r"control has 'list\(a': a right over one VM is list"),
    "open": (vm(control="{list(a}!"), r"unexpected token '\('|syntax"),
    "all for hrt": (vm(level="hrt", control="true!") + OTHER,
                    "control = true is for level = srt or nrt: vm 'a' is hrt"),
    "trace of one": (vm(control="{list, trace(a)}!"), "trace is of the whole machine"),
    "trace without list": (vm(control="{trace}!"), "needs the right to list them all"),
    "trace, list of one": (vm(control="{list(b), trace}!") + OTHER, "the trace shows all VMs"),
    "trace_at without": (vm(control="{list}", trace_at="0xb000000!"),
                         "trace_at is for a VM that has the trace"),
    "trace_at off": (vm(control="true", trace_at="0xb000800!"), "a multiple of 0x1000"),
    "trace on memory": (vm(control="true", trace_at="0x40000000!"),
                        "trace.* and memory.* overlap: trace_at moves the trace"),
    "trace_at too high": (vm(control="true", trace_at="0x7fffff0000!"), "trace.* ends above"),
    # Restarts
    "restart": (vm(restart="sometimes!"), "unknown restart 'sometimes': there is never, on-fail"),
    "backoff": (vm(restart="always", backoff="10!"), "backoff is '10': it is a time of whole mil"),
    "backoff too fine": (vm(restart="always", backoff="10us!"), "backoff is '10us'"),
    "backoff too long": (vm(restart="always", backoff="3601s!"), "backoff is '3601s'.* 3600s"),
    "backoff_max": (vm(restart="always", backoff_max="x!"), "backoff_max is 'x'"),
    "backoff beyond": (vm(restart="always", backoff="20ms!", backoff_max="10ms"),
                       "backoff is 20ms, longer than the backoff_max of 10ms"),
    "backoff for nothing": (vm(backoff="10ms!"), "backoff is for restart = on-failure or always"),
    "backoff_max, never": (vm(restart="never", backoff_max="1s!"), "backoff_max is for restart"),
    # Watchdogs
    "watchdog_at without": (vm(watchdog_at="0x9050000!"), "watchdog_at is for watchdog { device"),
}


def with_watchdog(section, **keys):
    """A VM with that section, whose line is marked."""
    text = vm(**keys)
    return text[:text.rindex("}")] + f"\twatchdog {{ {section} }} #!\n}}\n"


WATCHDOGS = {
    "timeout": (with_watchdog("timeout = 10"), "timeout is '10': it is a time in ns, us, ms"),
    "short": (with_watchdog("timeout = 9us"), "timeout is 9us: it is 10us to 3600s"),
    "long": (with_watchdog("timeout = 3601s"), "timeout is 3601s: it is 10us to"),
    "armed": (with_watchdog("timeout = 1s armed = yes"), "unknown armed 'yes': there is false"),
    "armed without": (with_watchdog("armed = true"), "armed is for a timeout = TIME"),
    "device": (with_watchdog("device = sbsa"), "unknown device 'sbsa'"),
    "key": (with_watchdog("time = 1s"), "unknown key 'time'"),
    "key twice": (with_watchdog("timeout = 1s timeout = 2s"), "'timeout' is given twice"),
    "on the console": (with_watchdog("device = true", watchdog_at="0x8fff000").replace(
        "fff000\n", "fff000 #!\n").replace("} #!", "}"),
        "watchdog.* and console.* overlap: watchdog_at moves the watchdog"),
    "at 0": (with_watchdog("device = true", watchdog_at="0").replace(
        "at = 0\n", "at = 0 #!\n").replace("} #!", "}"), "watchdog_at is 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(folder, name):
    """One mistake, on its line."""
    write_images(folder)
    conf, reason = MISTAKES[name]
    check(folder, HEAD + conf, reason)


@pytest.mark.parametrize("name", WATCHDOGS)
def test_watchdog_mistake(folder, name):
    """The same in the section."""
    write_images(folder)
    conf, reason = WATCHDOGS[name]
    check(folder, HEAD + conf, reason)


def test_nobody_looks(folder):
    """A watchdog needs a core that is no hard VM's."""
    conf = "board = virt\ncores = 2\n" + vm(level="hrt", cpus="{0}") + with_watchdog(
        "timeout = 10ms", level="hrt", cpus="{1}", name="b")
    check(folder, conf, "nobody would look at the watchdog of vm 'b'")
    assert folder.build(conf.replace("cores = 2", "cores = 3")).returncode == 0


def test_trace_takes_a_region(folder):
    """The trace is one of the sixteen regions."""
    names = [f"dma-controller@{base + i * 0x10000:x}" for base in (0xfd500000, 0xffa80000)
             for i in range(8)][:15]
    keys = {"devices": "{" + ", ".join(f'"{n}"' for n in names) + "}", "dma": "unconfined",
            "clocks": "{" + ", ".join(f'"{n} = 1M"' for n in names) + "}"}
    assert folder.build("board = zcu102\n" + vm(**keys), "right.img").returncode == 0
    check(folder, "board = zcu102\n" + vm(**keys, control="true!"),
          "vm 'a' has 15 register areas: with the trace it can have 14")


def test_rights(folder):
    """A mask of VMs for each right; names may come later in the file."""
    image = folder.image(HEAD + vm(control="""{ list, run(b), # a comment, with (parentheses)
	restart ( b ), restart(h), "read(a)",
	console\t(h)}""") + OTHER + HARD)
    assert image.vm["a"].rights == (ALL, 4, 1, 2, 6, 0, 0, 0)
    assert image.vm["b"].rights == (0,) * 8
    assert folder.image(HEAD + vm(control="{create(b)}") + OTHER).vm["a"].rights[CREATE] == 2
    assert folder.image(HEAD + vm(control="list(b)") + OTHER).vm["a"].rights[LIST] == 2
    assert folder.image(HEAD + vm(control="{list(a), list}")).vm["a"].rights[LIST] == ALL
    for off in ("false", "{}"):
        assert folder.image(HEAD + vm(control=off)).vm["a"].rights == (0,) * 8


def test_all(folder):
    """control = true: all rights, and the trace where it is."""
    image = folder.image(HEAD + vm(control="true") + vm("b", "{1}", level="srt",
                                                        control="{list, trace}",
                                                        trace_at="0x10000000"))
    a, b = image.vm["a"], image.vm["b"]
    assert a.rights == (ALL,) * 6 + (0, 0)
    size = 4096 + image.cfg.cpu_count * image.cfg.trace_chunks * 0x8000
    for v, ipa in ((a, 0xb000000), (b, 0x10000000)):
        r = v.region[1]
        assert (r.ipa, r.pa, r.size, r.type) == (ipa, image.cfg.trace_pa, size, 2)
    image = folder.image(HEAD + vm(control="{list}"))
    assert image.vm["a"].region_count == 1


def test_hard_with_rights(folder):
    """A safety island may be hard."""
    tree = folder.tree(HEAD + OTHER + HARD.replace("level", "control = {list, restart(b)} level"),
                       "h")
    assert tree.get("/hypervisor", "kizami,control", "s") == []
    assert tree.get("/hypervisor", "interrupts") is None


def test_tree(folder):
    """What the control VM's tree says, and what others' don't."""
    conf = "board = virt\n" + vm(control="true") + vm("b", "{1}", control="{run(a)}") + vm("c")
    tree = folder.tree(conf, "a")
    assert tree.get("/hypervisor", "compatible", "s")[0] == "kizami,hypervisor-1"
    assert tree.get("/hypervisor", "kizami,control", "s") == []
    assert tree.get("/hypervisor", "reg") == [0, 0xb000000, 0, 0x41000]
    assert tree.get("/hypervisor", "reg-names", "s") == ["trace"]
    tree = folder.tree(conf, "b")
    assert tree.get("/hypervisor", "kizami,control", "s") == []
    assert tree.get("/hypervisor", "reg") is None
    assert folder.tree(conf, "c").get("/hypervisor", "kizami,control", "s") is None


@pytest.mark.parametrize("keys, watchdog, code, first, most", [
    ({}, None, 0, 0, 0),
    ({"restart": "never"}, "timeout = 1s", 0, 0, 0),
    ({}, "", 1, 100, 10000),
    ({"restart": "on-failure"}, None, 1, 100, 10000),
    ({"restart": "always", "backoff": "0"}, None, 2, 0, 10000),
    ({"restart": "always", "backoff": "0ms", "backoff_max": "0"}, None, 2, 0, 0),
    ({"restart": "always", "backoff": "2s", "backoff_max": "3600s"}, None, 2, 2000, 3600000),
    ({"restart": "always", "backoff": "60s"}, None, 2, 60000, 60000),
    ({"restart": "always", "backoff_max": "20ms"}, None, 2, 20, 20),
    ({"level": "hrt"}, "timeout = 1ms", 1, 0, 10000),
])
def test_restart(folder, keys, watchdog, code, first, most):
    """What follows a failure, given or not."""
    text = vm(**keys) if watchdog is None else with_watchdog(watchdog, **keys)
    a = folder.image(HEAD + text).vm["a"]
    assert (a.restart, a.backoff_ms, a.backoff_max_ms) == (code, first, most)


@pytest.mark.parametrize("section, ns, seconds", [
    ("timeout = 10ms", 10000000, None),
    ("timeout = 10us armed = true", 10000, None),
    ("timeout = 1h armed = true".replace("1h", "3600s"), 3600 * 10**9, None),
    ("timeout = 10ms armed = false", 0, None),
    ("device = true", 0, []),
    ("device = true timeout = 2.5s", 2500000000, [3]),
    ("device = true timeout = 30s armed = false", 0, [30]),
])
def test_watchdog(folder, section, ns, seconds):
    """The time from each start on, and the device."""
    conf = HEAD + with_watchdog(section)
    a = folder.image(conf).vm["a"]
    assert a.watchdog_ns == ns
    tree = folder.tree(conf, "a")
    node = "/watchdog@9050000"
    if seconds is None:
        assert (a.wdt_ipa, a.wdt_intid) == (0, 0)
        assert node[1:] not in tree.nodes()
    else:
        assert (a.wdt_ipa, a.wdt_intid) == (0x9050000, 34)
        assert tree.get(node, "compatible", "s") == ["arm,sbsa-gwdt"]
        assert tree.get(node, "reg") == [0, 0x9050000, 0, 0x1000, 0, 0x9051000, 0, 0x1000]
        assert tree.get(node, "interrupts") == [0, 2, 4]
        assert tree.get(node, "timeout-sec") == (seconds or None)


def test_watchdog_interrupt(folder):
    """The next free one: behind the console's and devices', of the machine for a hard VM."""
    image = folder.image(HEAD + with_watchdog("device = true", console="ring"))
    assert image.vm["a"].wdt_intid == 33
    image = folder.image(HEAD + with_watchdog("device = true", level="hrt",
                                              watchdog_at="0x9100000") +
                         vm("b", "{1}", level="hrt"))
    a, b = image.vm["a"], image.vm["b"]
    used = {a.console_intid, a.wdt_intid, b.console_intid}
    assert len(used) == 3 and min(used) > 33 and 33 not in used
    assert a.wdt_ipa == 0x9100000 and a.irq_lines > a.wdt_intid


def test_text(folder):
    """check, map and whatis."""
    folder.write("system.conf", HEAD + with_watchdog("timeout = 10ms device = true",
                                                     control="{create, list, trace}") +
                 vm("b", "{1}", control="{restart(a)}"))
    args = ("system.conf", "--hypervisor", "hv.elf")
    assert folder.run("check", *args).stdout == (
        "vm a has control: list, create, trace\nvm b has control: restart(a)\n")
    text = folder.run("map", *args).stdout
    for line in ("  control: list, create, trace\n", "  control: restart(a)\n",
                 "  watchdog: 10ms from each start on\n",
                 "  restart = on-failure, after 100ms, later after 10s at most\n",
                 "    0x0009050000  0x0009051fff  watchdog, INTID 34\n",
                 "    0x000b000000  0x000b030fff  trace\n",
                 "  for VMs at run time: "):
        assert line in text, line
    image = folder.image((folder.path / "system.conf").read_text())
    done = folder.run("whatis", "system.conf", hex(image.cfg.trace_pa + 0x1234), *args[1:])
    assert "  seen by     vm a, at guest address 0xb001234\n" in done.stdout
    folder.write("system.conf", HEAD + vm(control="{list}"))
    assert "for VMs at run time" not in folder.run("map", *args).stdout


def test_free(folder):
    """What is left: RAM without the image, the trace and the VMs."""
    folder.write("system.conf", HEAD + "ram = 64M\n" + vm(control="true", memory="32M"))
    text = folder.run("map", "system.conf", "--hypervisor", "hv.elf").stdout
    assert "  for VMs at run time: 28M, the largest piece 28M\n" in text, text
