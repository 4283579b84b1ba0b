# SPDX-License-Identifier: Apache-2.0
"""Servers, weights and shared cores: each mistake, and what becomes of what is right."""

import re
import xml.etree.ElementTree

import pytest

from test_mistakes import HARD, HEAD, VM, vm

RAW = 'memory = 4M image = "raw.bin"'


def soft(realtime, name="a", cpus="{0}", level="srt", more=""):
    """A VM with a realtime section of these lines; a ! marks a line's end."""
    lines = "\n".join("\t\t" + re.sub("!$", " #!", line) for line in realtime.split("\n"))
    return (f"vm {name} {{\n\tlevel = {level}\n\tcpus = {cpus}\n\t{RAW}\n{more}"
            f"\trealtime {{\n{lines}\n\t}}\n}}\n")


def tasks(text, more=""):
    """A VM with tasks; their line is marked."""
    return HEAD + soft(f"budget = 2ms period = 10ms {more}\ntasks = {{{text}}}!")


def one(key, value):
    """A server with one key changed; its line is marked."""
    keys = {"budget": "2ms", "period": "10ms", "deadline": "8ms", **{key: value + "!"}}
    return HEAD + soft("\n".join(f"{k} = {v}" for k, v in keys.items()))


MISTAKES = {
    # A server's times
    "budget no time": (one("budget", "2"), "budget is '2': it is a time in ns, us, ms or s, such"),
    "budget in hours": (one("budget", "2h"), "budget is '2h'"),
    "budget negative": (one("budget", "-2ms"), "budget is '-2ms'"),
    "budget without digits": (one("budget", ".5ms"), "budget is '.5ms'"),
    "budget ends in a point": (one("budget", "5.ms"), "budget is '5.ms'"),
    "budget of two points": (one("budget", "1.5.0ms"), "budget is '1.5.0ms'"),
    "half a nanosecond": (one("budget", "1500.5ns"), "budget is '1500.5ns'"),
    "budget overflow": (one("budget", "99999999999999999s"), "budget is '99999999999999999s'"),
    "budget of 64 bits more": (one("budget", "18446744073711551616ns"),
                               "budget is '18446744073711551616ns': it is a time in"),
    "period overflow": (one("period", "18446744074s"), "period is '18446744074s': it is a time"),
    "budget too small": (one("budget", "999ns"), "budget is 999ns: it is 1us to 3600s"),
    "budget zero": (one("budget", "0ms"), "budget is 0ms: it is 1us to 3600s"),
    "period too small": (one("period", "9.999us"), "period is 9.999us: it is 10us to 3600s"),
    "period too long": (one("period", "3600.1s"), "period is 3600.1s: it is 10us to 3600s"),
    "deadline > period": (one("deadline", "10.1ms"),
                          "deadline is 10.1ms, longer than the period of 10ms"),
    "budget > deadline": (one("budget", "8.5ms"), "budget is 8.5ms, longer than the deadline of 8"),
    "budget > period": (HEAD + soft("budget = 11ms!\nperiod = 10ms"),
                        "budget is 11ms, longer than the period of 10ms"),
    "no budget": (HEAD + soft("period = 10ms").replace("e {", "e { #!"),
                  "realtime of vm 'a' has no budget = TIME, such as 2ms"),
    "no period": (HEAD + soft("budget = 1ms").replace("e {", "e { #!"), "has no period = TIME"),
    "only a deadline": (HEAD + soft("deadline = 10ms!"), "deadline is for a budget and a period"),
    # Its words, its place
    "on_miss": (one("on_miss", "panic"), "unknown on_miss 'panic': there is count, notify, rest"),
    "on_miss = throttle": (one("on_miss", "throttle"), "unknown on_miss 'throttle'"),
    "on_overrun": (one("on_overrun", "stopp"), "unknown on_overrun 'stopp': did you mean 'stop'"),
    "on_overrun = restart": (one("on_overrun", "restart"), "unknown on_overrun 'restart'"),
    "unknown key": (one("bugdet", "2ms"), "unknown key 'bugdet': did you mean 'budget'"),
    "key twice": (HEAD + soft("budget = 2ms\nperiod = 10ms\nbudget = 1ms!"),
                  "'budget' is given twice, first in line 7"),
    "realtime twice": (HEAD + soft("budget = 2ms\nperiod = 10ms", more="\trealtime { }\n")
                       .replace("realtime {\n", "realtime { #!\n"),
                       "realtime of vm 'a' is given twice, first in line 6"),
    "realtime for nrt": (HEAD + soft("budget = 2ms\nperiod = 10ms", level="nrt")
                         .replace("e {", "e { #!"), "realtime is for level = srt: vm 'a' is nrt"),
    "realtime for hrt": (HEAD + soft("budget = 2ms\nperiod = 10ms", level="hrt")
                         .replace("e {", "e { #!"), "realtime is for level = srt: vm 'a' is hrt"),
    "realtime of the system": (HEAD + VM + "realtime { #!\n budget = 1ms\n}\n",
                               "unknown key 'realtime'"),
    "realtime = ": (HEAD + vm(level="srt", realtime="2ms!"), "missing opening brace"),
    "no } of realtime": (HEAD + soft("budget = 2ms\nperiod = 10ms")[:-4]
                         .replace("e {", "e { #!"),
                         "realtime of vm 'a' does not end: a } is missing"),
    "no } behind realtime": (HEAD + soft("budget = 2ms\nperiod = 10ms", "s")[:-2] +
                             "vm b { #!\n level = nrt\n}\n",
                             "vm inside of vm 's', which began in line 2: a } is missing"),
    # Tasks
    "task without a name": (tasks('"1ms / 5ms"'), "tasks has '1ms / 5ms': it is \"NAME = EXECUT"),
    "task without a period": (tasks('"a = 1ms"'), "tasks has 'a = 1ms'"),
    "task with four times": (tasks('"a = 1ms / 5ms / 4ms / 3ms"'), "tasks has 'a = 1ms / 5ms / 4"),
    "task of no time": (tasks('"a = 0ms / 5ms"'), "tasks has 'a = 0ms / 5ms'"),
    "task without units": (tasks('"a = 1 / 5"'), "tasks has 'a = 1 / 5'"),
    "task of two words": (tasks('"a b = 1ms / 5ms"'), "tasks has 'a b = 1ms / 5ms'"),
    "task's deadline": (tasks('"a = 1ms / 5ms / 6ms"'), "task 'a' has a deadline beyond its per"),
    "task's execution": (tasks('"a = 3ms / 5ms / 2ms"'), "task 'a' executes for longer than its"),
    "task twice": (tasks('"a = 1ms / 50ms", "a = 1ms / 70ms"'), "task 'a' is in the list twice"),
    "17 tasks": (tasks(", ".join(f'"t{i} = 1us / 1s"' for i in range(17))),
                 "vm 'a' has more than 16 tasks"),
    "policy": (HEAD + soft('budget = 2ms period = 10ms\ntasks = {"a = 1us / 1s"}\npolicy = rm!'),
               "unknown policy 'rm': there is fixed, edf"),
    "policy of nothing": (HEAD + soft("budget = 2ms period = 10ms\npolicy = edf!"),
                          "policy is for tasks"),
    "tasks without a server": (HEAD + soft('tasks = {"a = 1ms / 5ms"}!'),
                               "tasks are for a budget and a period"),
    # Shares
    "weight zero": (HEAD + vm(weight="0!"), "weight is '0': it is 1 to 10000"),
    "weight too large": (HEAD + vm(weight="10001!"), "weight is '10001': it is 1 to 10000"),
    "weight no number": (HEAD + vm(weight="high!"), "weight is 'high': it is 1 to 10000"),
    "weight for hrt": (HEAD + vm(level="hrt", weight="5!"), "weight is for VMs that share cores"),
    "nrt_reserve": (HEAD + VM + "nrt_reserve = 5 #!", "nrt_reserve is '5': it is a share, 0% to"),
    "nrt_reserve of all": (HEAD + VM + "nrt_reserve = 100.1% #!", "nrt_reserve is '100.1%'"),
    "nrt_reserve too fine": (HEAD + VM + "nrt_reserve = 0.00001% #!", "is '0.00001%'"),
    "core's reserve": (HEAD + VM + "core 0 {\n reserve = x% #!\n}\n", "reserve is 'x%': it is a s"),
    "reserve of no core": (HEAD + VM + "core 3 { #!\n reserve = 5%\n}\n",
                           "there is no core '3': board board has 0 to 2"),
    "core without a number": (HEAD + VM + "core any { #!\n reserve = 5%\n}\n", "no core 'any'"),
    "core twice": (HEAD + VM + "core 1 { }\ncore 1 { #!\n}\n",
                   "core '1' is given twice, first in line 3"),
    "core twice in words": (HEAD + VM + "core 1 { reserve = 1% }\ncore 0x1 { #!\n}\n",
                            "core 0x1 is given twice"),
    "core's key": (HEAD + VM + "core 0 {\n resreve = 1% #!\n}\n", "unknown key 'resreve': did yo"),
    "core inside of a vm": (HEAD + VM.replace("{ l", "{\nl").rstrip("\n }") +
                            "\ncore 1 { #!\n reserve = 5%\n}\n",
                            "core inside of vm 'a', which began in line 2: a } is missing"),
    "reserve of an hrt core": (HEAD + HARD + "core 2 { #!\n reserve = 5%\n}\n",
                               "core 2 is a hard real-time VM's: it is not shared"),
    # Cores
    "any for hrt": (HEAD + vm(level="hrt", cpus="any!"), "cpus = any is for VMs that share cores"),
    "any of too many": (HEAD + vm(cpus='"any 4"!'), "cpus is 'any 4': board board has 3 cores"),
    "any of nothing": (HEAD + vm(cpus='"any 0"!'), "there is no core 'any 0'"),
    "any of many words": (HEAD + vm(cpus='"any 1 2"!'), "there is no core 'any 1 2'"),
    "anything": (HEAD + vm(cpus="anything!"), "there is no core 'anything'"),
    "any beside hrt": (HEAD + HARD + vm(cpus='"any 3"!'),
                       "vm 'a' wants 3 cores of any kind, but 2 of board board are no hard real"),
    "no room for stolen time": (HEAD + VM + vm("b", memory="12K!"), "too small for vm.* need 16"),
    "any with others": (HEAD + vm(cpus="{0, any}!"), "there is no core 'any'"),
    "hrt with srt": (HEAD + HARD + soft("budget = 1ms\nperiod = 9ms", "b", "{2}")
                     .replace("{2}", "{2} #!"), "core 2 is given to vm 'b' and, in line 2, to vm "
                     "'h': a hard real-time VM owns its cores"),
    "srt with hrt": (HEAD + vm("b", "{1, 2}", level="srt") + HARD.replace("{2}", "{2} #!\n"),
                     "core 2 is given to vm 'h' and, in line 4, to vm 'b'"),
}


# libConfuse has a word on these too.
NESTED = ("no } of realtime", "no } behind realtime", "core inside of a vm")


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(folder, name):
    """The marked line, the reason, and nothing else."""
    conf, reason = MISTAKES[name]
    line = next(i for i, text in enumerate(conf.split("\n"), 1) if "#!" in text)
    done = folder.build(conf)
    errors = [e for e in done.stderr.split("\n") if " error: " in e]
    assert done.returncode == 1
    assert any(e.startswith(f"system.conf:{line}: error: ") and re.search(reason, e)
               for e in errors), done.stderr
    assert len(errors) == 1 or name in NESTED, done.stderr
    assert not (folder.path / "out.img").exists()


@pytest.mark.parametrize("key", ["block", "switch", "interrupt"])
def test_board_mistake(folder, key):
    """What the hypervisor costs is a time, and not a long one."""
    for value in ("5", "1s", "x"):
        folder.write("my.conf", f'dtb = "./board.dtb"\n{key} = {value}\n')
        done = folder.build("board = ./my.conf\n" + VM)
        assert done.returncode == 1
        assert f"my.conf:2: error: {key} is '{value}': it is a time below 1s" in done.stderr


def test_board_block(folder):
    """block of a board's file is in the blob; without it there is a default."""
    assert folder.image(HEAD + VM).cfg.block_ns == 10000
    folder.write("my.conf", 'dtb = "./board.dtb"\nblock = 2.5us\nswitch = 0ns interrupt = 1us\n')
    assert folder.image("board = ./my.conf\n" + VM).cfg.block_ns == 2500


def test_server(folder):
    """Times in any unit; the deadline is the period's end if it is not given."""
    image = folder.image(HEAD + soft("budget = 2.5ms\nperiod = 0.01s\ndeadline = 7500us") +
                         soft("budget = 10000ns period = 1ms", "b", "{1}"))
    a, b = image.vm["a"], image.vm["b"]
    assert (a.budget_ns, a.period_ns, a.deadline_ns) == (2500000, 10000000, 7500000)
    assert (b.budget_ns, b.period_ns, b.deadline_ns) == (10000, 1000000, 1000000)
    assert (a.weight, a.on_miss, a.on_overrun) == (100, 1, 0)


@pytest.mark.parametrize("miss, overrun, codes", [
    ("count", "throttle", (0, 0)), ("notify", "notify", (1, 1)), ("restart", "stop", (2, 3)),
    ("stop", "throttle", (3, 0))])
def test_events(folder, miss, overrun, codes):
    """What happens at a miss and at an overrun."""
    image = folder.image(HEAD + soft(f"budget = 1ms period = 10ms\non_miss = {miss}\n"
                                     f"on_overrun = {overrun}"))
    assert (image.vm["a"].on_miss, image.vm["a"].on_overrun) == codes


def test_no_server(folder):
    """Only SRT has events; a guest that tells its own times may say what a miss does."""
    image = folder.image(HEAD + HARD + VM + soft("on_miss = stop", "s", "{1}") +
                         vm("t", "{1}", level="srt", weight="10000"))
    assert [image.vm[n].weight for n in "hast"] == [0, 100, 100, 10000]
    assert [image.vm[n].on_miss for n in "hast"] == [0, 0, 3, 1]
    assert all(image.vm[n].budget_ns == image.vm[n].period_ns == 0 for n in "hast")


def test_shared_cores(folder):
    """VMs on one core, in any mixture of levels but hard; a VM has one vCPU of a core."""
    image = folder.image(HEAD + VM + soft("budget = 1ms period = 10ms", "s", "{1, 0}") +
                         vm("b", "{0}"))
    assert [image.vm[n].cpu[:2] for n in "asb"] == [(0, 0), (1, 0), (0, 0)]


def test_reserve(folder):
    """5 % for those without a server, where there are any; nrt_reserve and core N change it."""
    vms = VM + soft("budget = 1ms period = 10ms", "s", "{0, 1}") + HARD
    assert folder.image(HEAD + vms).cfg.reserve_ppm[:4] == (50000, 0, 0, 0)
    image = folder.image(HEAD + "nrt_reserve = 12.5%\n" + vms)
    assert image.cfg.reserve_ppm[:4] == (125000, 0, 0, 0)
    image = folder.image(HEAD + "nrt_reserve = 1%\ncore 1 { reserve = 0.0001% }\n" + vms)
    assert image.cfg.reserve_ppm[:4] == (10000, 1, 0, 0)
    image = folder.image(HEAD + vms + "core 0 { reserve = 0% }\n")
    assert image.cfg.reserve_ppm[:4] == (0, 0, 0, 0)


def placed(folder, conf):
    """Where each VM's vCPUs are, and the notes."""
    image = folder.image(HEAD + conf)
    notes = folder.run("check", "system.conf", "--hypervisor", "hv.elf").stderr
    return {n: vm.cpu[:vm.vcpu_count] for n, vm in image.vm.items()}, notes


def server(name, budget, cpus="any"):
    """A VM whose server has that budget in 10 ms."""
    return soft(f"budget = {budget}\nperiod = 10ms", name, cpus)


def test_place_servers(folder):
    """The densest server first, each where servers have least; not with a hard VM."""
    cores, notes = placed(folder, server("a", "1ms") + server("b", "6ms") + server("c", "5ms") +
                          server("d", "3ms") + HARD)
    assert cores == {"b": (0,), "c": (1,), "d": (1,), "a": (0,), "h": (2,)}
    assert ("system.conf:4: note: vm 'a': vCPU 0 is on core 0, which has most room for its server: "
            "others have 60 %") in notes
    assert "note: vm 'c': vCPU 0 is on core 1, which has most room for its server: others have 0 %"\
        in notes


def test_place_beside_pinned(folder):
    """Pinned VMs come first; what is kept from servers is no room."""
    cores, _ = placed(folder, server("p", "4ms", "{0}") + server("a", "3ms", '"any 2"'))
    assert cores["a"] == (1, 2)
    cores, _ = placed(folder, server("p", "6ms", "{0}") + server("q", "5ms", "{2}") +
                      server("a", "1ms", '"any 2"'))
    assert cores["a"] == (1, 2)
    cores, _ = placed(folder, server("a", "3ms") + VM.replace("vm a", "vm n") +
                      "core 1 { reserve = 50% }\n")
    assert cores["a"] == (2,)


def test_place_others(folder):
    """A VM without a server goes where it gets most, after the servers."""
    cores, notes = placed(folder, vm("n", "any") + server("a", "7ms") + server("b", "6ms") +
                          server("c", "5ms"))
    assert cores["n"] == cores["c"] == (2,)
    assert "vm 'n': vCPU 0 is on core 2, where its share is largest: 50 %" in notes
    cores, notes = placed(folder, vm("x", "{0}", weight="50") + vm("y", "{1}", weight="300") +
                          vm("z", "{2}") + vm("n", '"any 2"'))
    assert cores["n"] == (0, 2)
    assert "where its share is largest: 66.667 %" in notes


def test_stolen(folder):
    """A page for stolen time where a VM can be kept waiting, beside ring and ramdisk."""
    shared = vm("b", "{0}", console="ring", ramdisk="ramdisk")
    conf = HEAD + vm("a", "{0}") + shared + vm("c", "{1}") + HARD
    image = folder.image(conf)
    a, b = image.vm["a"], image.vm["b"]
    assert image.vm["c"].stolen_ipa == image.vm["h"].stolen_ipa == 0
    assert a.stolen_ipa % 4096 == 0 and a.stolen_ipa + 4096 == a.arg
    assert b.stolen_ipa + 4096 == b.console_ipa
    ramdisk = next(load for load in b.load if load.size == 9000)
    assert ramdisk.ipa + 9000 <= b.stolen_ipa
    for name, vm_of in (("a", a), ("b", b)):
        node = f"/reserved-memory/stolen-time@{vm_of.stolen_ipa:x}"
        tree = folder.tree(conf, name)
        assert tree.get(node, "reg") == [0, vm_of.stolen_ipa, 0, 0x1000]
        assert tree.get(node, "no-map", "s") == []
    assert "reserved-memory" not in folder.tree(conf, "c").nodes()
    assert folder.image(HEAD + soft("budget = 1ms period = 10ms")).vm["a"].stolen_ipa != 0
    image = folder.image(HEAD + vm("a", "{0}", dtb='"board.dtb"') + vm("b", "{0}"))
    assert image.vm["a"].stolen_ipa == 0


@pytest.mark.parametrize("board, flags", [("virt", 1), ("virt-gicv2", 0x301)])
def test_event_interrupt(folder, board, flags):
    """SRT and NRT guests learn of their event interrupt; a hard one has no such node."""
    conf = (f"board = {board}\n" + vm("s", "{0, 1}", level="srt", console="ring") + vm("n", "{0}") +
            vm("h", "{3}", level="hrt"))
    tree = folder.tree(conf, "s")
    assert tree.get("/hypervisor", "compatible", "s") == ["kizami,hypervisor-1",
                                                         "kizami,hypervisor"]
    assert tree.get("/hypervisor", "interrupts") == [1, 4, flags]
    assert tree.get("/hypervisor", "interrupt-parent") == tree.get("/intc@8000000", "phandle")
    assert len(tree.nodes("/hypervisor")) == 1
    assert folder.tree(conf, "n").get("/hypervisor", "interrupts")[:2] == [1, 4]
    assert "hypervisor" not in folder.tree(conf, "h").nodes()


MAP = HEAD + (VM.replace("vm a", "vm n") + server("s", "2.5ms", "{0}") +
              soft("budget = 1ms\nperiod = 10ms\ndeadline = 5ms", "d", "{1}") + HARD)


def test_map_text(folder):
    """Who shares a core, and what each has of it."""
    folder.write("system.conf", MAP)
    done = folder.run("map", "system.conf", "--hypervisor", "hv.elf")
    text = re.sub(" +", " ", done.stdout)
    assert "0 MPIDR 0 n, nrt, vCPU 0, weight 100\n s, srt, vCPU 0, server 2.5ms/10ms (25 %)\n" \
        " serves the console, 5 % is kept from servers\n" in text
    assert "1 MPIDR 1 d, srt, vCPU 0, server 1ms/10ms, deadline 5ms (10 %)\n 2 MPIDR" in text
    assert "2 MPIDR 100 h, hrt, vCPU 0\n" in text
    assert text.count("stolen time") == 3


def test_map_svg(folder):
    """The same in the picture, in which no box leaves its core's."""
    folder.write("system.conf", MAP)
    assert folder.run("map", "system.conf", "-o", "map.svg").returncode == 0
    root = xml.etree.ElementTree.parse(folder.path / "map.svg").getroot()
    ns = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in root.iter(ns + "text")]
    for word in ("n, vCPU 0", "weight 100", "s, vCPU 0", "2.5ms/10ms (25 %)",
                 "1ms/10ms, deadline 5ms (10 %)", "h, vCPU 0"):
        assert word in texts
    boxes = [[float(r.get(k, 0)) for k in ("x", "y", "width", "height")]
             for r in root.iter(ns + "rect")]
    cores = [b for b in boxes if b[1] == 138]
    strips = [b for b in boxes if 138 < b[1] < 138 + cores[0][3] and b[3] == 42]
    assert len(cores) == 3 and len(strips) == 2
    for x, y, w, h in strips:
        assert any(cx <= x and x + w <= cx + cw and y + h <= cy + ch for cx, cy, cw, ch in cores)
    memory = [float(t.get("y")) for t in root.iter(ns + "text") if t.text == "Memory"]
    assert memory[0] > 138 + cores[0][3]


def test_tasks(folder):
    """Any way to write a task that is right is accepted."""
    for policy in ("", "policy = fixed", "policy = edf"):
        conf = HEAD + soft(f'budget = 8ms period = 10ms {policy}\ntasks = {{"a=1ms/100ms", '
                           '" b  =\t1.5ms / 200ms/ 150ms ", "c = 1us / 0.1s / 90ms"}')
        done = folder.build(conf)
        assert done.returncode == 0, done.stderr


def test_two_sections_on_a_line(folder):
    """Whose section it is does not depend on lines, nor on what comes before it in the VM."""
    image = folder.image(HEAD + f"vm a {{ realtime {{ budget = 1ms period = 10ms }} level = srt "
                         f"cpus = {{0}} {RAW} }} vm b {{ level = srt realtime {{ period = 20ms "
                         f"budget = 3ms }} cpus = {{1}} {RAW} }}\nvm c {{ level = srt cpus = {{2}} "
                         f"realtime {{ }} {RAW} }}\n")
    assert [image.vm[n].budget_ns for n in "abc"] == [1000000, 3000000, 0]
    assert [image.vm[n].period_ns for n in "abc"] == [10000000, 20000000, 0]
