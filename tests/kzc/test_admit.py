# SPDX-License-Identifier: Apache-2.0
"""Admission: what kzc check says of servers and of tasks inside, against schedules made here."""

import random
import re
from math import lcm

import pytest

FREE = "block = 0ns\nswitch = 0ns\ninterrupt = 0ns\n"
COSTS = "block = 10us\nswitch = 400ns\ninterrupt = 600ns\n"


def vm(name, budget, period, deadline=None, cpus="{0}", more=""):
    """A VM with a server; times are written as they are given, or in us."""
    text = [t if isinstance(t, str) else f"{t}us" for t in (budget, period, deadline or period)]
    return (f'vm {name} {{\n\tlevel = srt\n\tcpus = {cpus}\n\tmemory = 4M\n\timage = "raw.bin"\n'
            f"\trealtime {{\n\t\tbudget = {text[0]}\n\t\tperiod = {text[1]}\n"
            f"\t\tdeadline = {text[2]}\n{more}\t}}\n}}\n")


def other(cpus="{0}"):
    """A VM without a server."""
    return f'vm other {{ level = nrt cpus = {cpus} memory = 4M image = "raw.bin" }}\n'


class Bench:
    """A folder whose board has given costs."""

    def __init__(self, folder):
        self.folder = folder
        self.board = (folder.path / "board.conf").read_text()

    def check(self, conf, costs=FREE):
        """kzc check; what was printed."""
        self.folder.write("board.conf", self.board + costs)
        self.folder.write("system.conf", "board = ./board.conf\n" + conf)
        return self.folder.run("check", "system.conf")

    def refused(self, conf, costs=FREE):
        """The errors of what must not pass."""
        done = self.check(conf, costs)
        assert done.returncode == 1
        assert not done.stdout
        return done.stderr

    def table(self, conf, costs=FREE):
        """The lines of what must pass, without the width of columns."""
        done = self.check(conf, costs)
        assert done.returncode == 0, done.stderr
        return [re.sub(" +", " ", line).strip() for line in done.stdout.splitlines()]


@pytest.fixture
def bench(folder):
    """A fresh Bench."""
    return Bench(folder)


def line_of(conf, text):
    """The line of the file that has a text; the board's line is the first."""
    return conf[:conf.index(text)].count("\n") + 2


def test_table(bench):
    """Each figure, by hand."""
    conf = (other() + vm("vision", "2ms", "10ms") + vm("motor", "1ms", "5ms", "2500us") +
            vm("alone", "1ms", "4ms", cpus="{1}"))
    assert bench.table(conf, COSTS) == [
        # (2 + 1 + 2 * 0.01) / (1 - 0.2 - 0.2), as they may wait and go on
        "core 0: servers 40 %, reserve 5 %, left for others 60 %, who wait 5033.334us at most",
        # at 2.5 ms: 1 ms, once block, once over
        "spare 1.48ms",
        "server budget period deadline slack for guest",
        # at 10 ms: 2 * 1 + 2 + 3 * 0.01; the reserve allows 5.5
        "vision 2ms 10ms 10ms 5.5ms 1998.2us",
        "motor 1ms 5ms 2.5ms 1.48ms 999us",
        "core 1: servers 25 %, reserve 0 %, left for others 75 %, who wait 1346.667us at most",
        "spare 2.98ms",
        "server budget period deadline slack for guest",
        "alone 1ms 4ms 4ms 2.98ms 999us"]


def test_nothing_to_say(bench):
    """Without servers there is no table, with an error none."""
    assert bench.table(other()) == []
    done = bench.check(vm("a", "2ms", "10ms") + "spam = 1\n")
    assert done.returncode == 1
    assert not done.stdout


def test_refused(bench):
    """The line, the core, the set, the first instant, and a remedy that is the least."""
    conf = other("{1}") + vm("a", 700, 2000, 1000, "{1}") + vm("b", 500, 1200, 1200, "{1}")
    error = bench.refused(conf, "block = 1us\n")
    # at 1.2 ms: 700 + 500 + 1 + 2 * 1
    assert error == (
        f"system.conf:{line_of(conf, 'budget = 700us')}: error: core 1: the servers of vm 'a' and "
        "vm 'b' are too much: 1.2ms after a common start they need 1.203ms, 3us more than there "
        "is; a budget of vm 'a' of 697us would do, 3us less\n")
    bench.table(conf.replace("700us", "697us"), "block = 1us\n")
    bench.refused(conf.replace("700us", "697001ns"), "block = 1us\n")


def test_reserve(bench):
    """What others keep is not given to servers, and may be given away."""
    conf = other() + vm("a", 3000, 10000) + vm("b", 6600, 10000)
    error = bench.refused(conf)
    assert ("core 0: the servers of vm 'a' and vm 'b' take 96 %, and 5 % is kept for others; a "
            "budget of vm 'a' of 2.9ms would do, 100us less") in error
    assert bench.table(conf + "nrt_reserve = 4%\n")[0].startswith("core 0: servers 96 %, reserve 4")
    assert "reserve 0 %" in bench.table(conf.replace(other(), ""))[0]


def test_more_than_one_must_shrink(bench):
    """No remedy is named that is none."""
    conf = vm("a", 600, 1000) + vm("b", 700, 1000) + vm("c", 800, 1000) + vm("d", 900, 1000)
    error = bench.refused(conf)
    assert (f"system.conf:{line_of(conf, 'budget = 600us')}: error: core 0: the servers of vm 'a', "
            "vm 'b', vm 'c' and vm 'd' are too much: 1ms after a common start they need 3ms, 2ms "
            "more than there is; no one budget can shrink enough\n") == error


def test_remedy(bench):
    """The smallest cut is named, and only one that leaves a budget."""
    # at 1 ms: 2 * 300 + 450
    error = bench.refused(vm("y", 450, 1000) + vm("x", 300, 500))
    assert "a budget of vm 'x' of 275us would do, 25us less" in error
    # 900 ns are too much: b would have 300 ns, but 1 us is the least
    error = bench.refused(vm("b", "1200ns", 1000) + vm("a", "999700ns", 1000))
    assert "a budget of vm 'a' of 998.8us would do, 900ns less" in error


def test_all_cores_in_one_run(bench):
    """Each core has its error."""
    conf = "".join(vm(name, 800, 1000, cpus=f"{{{core}}}")
                   for core in (0, 2) for name in (f"a{core}", f"b{core}"))
    error = bench.refused(conf)
    assert re.findall("core . ", error.replace(":", " ")) == ["core 0 ", "core 2 "]


def test_strict(bench):
    """Only what the density test does not admit is strict; the blob says what is proven."""
    loose = vm("a", 400, 1000) + vm("b", 300, 1000, 500)
    strict = vm("a", 400, 1000) + vm("b", 301, 1000, 500)
    words = "who waits gives up the rest of its budget"
    assert words not in "".join(bench.table(loose))
    assert words in "".join(bench.table(strict))
    assert words in "".join(bench.table(loose, "block = 1us\n"))
    # at 1 ms the others wait: 400 + 301, and no more may come before 1 ms
    assert "who wait 701us at most" in bench.table(strict)[0]
    conf = "board = ./board.conf\n" + loose + vm("c", 1, 1000, cpus="{2}") + other("{1}")
    assert bench.folder.image(conf).cfg.proven == 0b101


def test_build_refuses(bench):
    """What is not proven becomes no image."""
    done = bench.folder.build("board = ./board.conf\n" + vm("a", 8, 10) + vm("b", 8, 10))
    assert done.returncode == 1
    assert "no one budget can shrink enough" in done.stderr
    assert not (bench.folder.path / "out.img").exists()


def server_tasks(text, policy, server=("2ms", "10ms", "10ms"), cpus="{0}"):
    """A VM with tasks, one a line."""
    lines = ",\n".join(f'\t\t\t"{task}"' for task in text)
    return vm("a", *server, cpus=cpus, more=f"\t\ttasks = {{\n{lines} }}\n\t\tpolicy = {policy}\n")


def test_tasks(bench):
    """Response times by hand: 16 ms without any, then 2 ms in each 10 ms."""
    tasks = ("x = 1ms / 40ms", "y = 2ms / 40ms / 28ms")
    assert bench.table(server_tasks(tasks, "fixed"))[3:] == [
        "a 2ms 10ms 10ms 8ms 2ms", "task x 17ms of 40ms", "task y 27ms of 28ms"]
    # y's deadline is before x's; and x's may be y's, released 12 ms later
    assert bench.table(server_tasks(tasks, "edf"))[4:] == [
        "task x 27ms of 40ms", "task y 18ms of 28ms"]
    # each switch and release costs, the budget is overdrawn once, and blocking is in the server's
    # deadline: 16 + 2 * 0.001, 1 + 0.0006 of execution, 0.01 owed
    assert bench.table(server_tasks(tasks, "fixed"), COSTS)[4] == "task x 17012.6us of 40ms"
    # strict, next to a tight one: 18 ms without any
    near = vm("near", "1ms", "10ms", "1ms")
    assert bench.table(server_tasks(tasks, "fixed").replace("28ms", "29ms") + near)[4:6] == [
        "task x 19ms of 40ms", "task y 29ms of 29ms"]


def test_tasks_behind_the_guard(bench):
    """A server that wakes too near to its deadline waits for the next period."""
    conf = server_tasks(("x = 1ms / 40ms",), "fixed", ("8ms", "10ms", "9ms"))
    costs = "block = 100us\nswitch = 0ns\ninterrupt = 0ns\n"
    # alone: 0.2 / (1 - 8 / 9), then 2 until the period's end, 1 of execution, 0.1 owed
    assert bench.table(conf, costs)[4] == "task x 4.9ms of 40ms"
    # beside one that may ask for all that is left: up to the shortest deadline
    assert bench.table(conf + vm("b", "10us", "10ms"), costs)[4] == "task x 12.1ms of 40ms"
    # which leaves 5 % free: 0.3 / (0.05 + 0.3 / 9)
    assert bench.table(conf + vm("b", "10us", "10ms") + other(), costs)[4] == (
        "task x 6700.001us of 40ms")


@pytest.mark.parametrize("policy, tasks, error", [
    ("fixed", ("x = 1ms / 40ms", "y = 2ms / 40ms / 26ms"),
     "task 'y' of vm 'a' may miss its deadline: 26ms from when all begin 3ms is needed, "
     "interrupts included, and the server gives 2ms"),
    ("edf", ("x = 1ms / 40ms / 26ms", "y = 2ms / 40ms / 26ms"),
     "task 'x' of vm 'a' may miss its deadline: 26ms from when all begin 3ms is needed, "
     "interrupts included, and the server gives 2ms"),
    ("edf", ("x = 1ms / 40ms / 20ms", "y = 2ms / 40ms / 26ms"),
     "task 'y' of vm 'a' may miss its deadline: 26ms from when all begin 3ms is needed, "
     "interrupts included, and the server gives 2ms"),
    ("fixed", ("x = 1ms / 16ms",),
     "task 'x' of vm 'a' may miss its deadline: 16ms from when all begin 1ms is needed, "
     "interrupts included, and the server gives 0ns"),
    ("edf", ("x = 1ms / 50ms", "y = 2ms / 10ms"), "task 'y' of vm 'a' may miss its deadline: 10ms"),
    ("edf", ("x = 2ns / 10ns",), "task 'x' of vm 'a' may miss its deadline: 10ns from when all"),
])
def test_task_is_late(bench, policy, tasks, error):
    """The task's line, and when it fails."""
    conf = server_tasks(tasks, policy)
    name = re.search("task '(.)", error).group(1)
    line = line_of(conf, f'"{name}')
    said = bench.refused(conf)
    assert f"system.conf:{line}: error: {error}" in said
    assert said.count("error") == 1


def test_all_late_tasks(bench):
    """By fixed priority each task that fails is named."""
    error = bench.refused(server_tasks(("x = 1ms / 17ms", "y = 1ms / 17ms", "z = 2us / 17ms"),
                                       "fixed"))
    assert re.findall("task '(.)'", error) == ["y", "z"]


def test_budget_of_switches(bench):
    """A budget that goes into switches is no use to the tasks."""
    conf = server_tasks(("x = 1us / 1s",), "fixed", ("10us", "10ms", "10ms"))
    conf += vm("b", "10us", "1ms", "100us")
    assert "task x" in "".join(bench.table(conf, "switch = 0ns\nblock = 0ns\n"))
    error = bench.refused(conf, "switch = 1us\nblock = 0ns\n")
    # (10 - 0.1) / 1, up, and once more
    assert (f"system.conf:{line_of(conf, 'budget')}: error: nothing of the budget is left for the "
            "tasks of vm 'a': it may be switched to 11 times in a period, at 1us each") in error


def test_tasks_of_two_vcpus(bench):
    """Which vCPU would a task be on?"""
    conf = server_tasks(("x = 1us / 1s",), "fixed", cpus="{1, 0}")
    error = bench.refused(conf)
    line = line_of(conf, '"x')
    assert f"system.conf:{line}: error: tasks are for a VM of one vCPU: vm 'a' has 2" in error
    assert error.count("error") == 1


def first_miss(servers):
    """EDF from a common start, a step a microsecond: the first deadline missed, or None."""
    left, due = [0] * len(servers), [0] * len(servers)
    for now in range(lcm(*(t for _, t, _ in servers)) + 1):
        for i, (c, t, d) in enumerate(servers):
            if left[i] and now == due[i]:
                return now
            if now % t == 0:
                left[i], due[i] = c, now + d
        ready = [i for i, n in enumerate(left) if n]
        if ready:
            left[min(ready, key=due.__getitem__)] -= 1
    return None


def test_against_schedules(bench):
    """Random sets: refused are those that miss, at the instant that is named."""
    dice = random.Random(5)
    seen = {True: 0, False: 0}
    for _ in range(60):
        servers = []
        for _ in range(dice.randint(2, 4)):
            t = dice.choice((10, 12, 15, 20, 30, 60))
            d = dice.randint(t // 2, t)
            servers.append((dice.randint(1, d * 2 // 3), t, d))
        miss = first_miss(servers)
        done = bench.check("".join(vm(f"v{i}", *s) for i, s in enumerate(servers)))
        assert done.returncode == (miss is not None), (servers, done.stderr)
        if miss is not None:
            assert f" are too much: {miss}us after a common start" in done.stderr, servers
        seen[miss is not None] += 1
    assert min(seen.values()) > 10
