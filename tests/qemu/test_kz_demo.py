# SPDX-License-Identifier: Apache-2.0
"""README's walk through the demo's control VM: the same commands, and what they say and do."""

import re

import pytest

import machine

pytestmark = pytest.mark.xdist_group("clock")
DEMO = machine.ROOT / "demo"
SECTION = "## Managing it: the control VM"
ROWS = {        # Name: Mem, VCPUs, Level, Cores
    "linux": ("512", "2", "nrt", "0,1"), "hello": ("2", "1", "nrt", "2"),
    "servo": ("2", "1", "hrt", "3"), "linux2": ("256", "1", "nrt", "1"),
    "pulse": ("2", "1", "srt", "0"), "plain": ("2", "1", "srt", "0")}
NEW = ("128", "1", "nrt", "1")
COMPLAINTS = ("Unable to handle", "Call trace:", "Internal error", "nobody cared", "no events")


def readme():
    """The section's commands, in their order."""
    text = (machine.ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index(SECTION):].split("\n## ")[0]
    return re.findall(r"^\tlinux# (.+)$", section, re.MULTILINE)


class Walk:
    """Runs README's commands one by one, each as it stands there."""

    def __init__(self, m):
        self.m = m
        self.todo = readme()
        self.start = 0          # index of the first line since the last command

    def take(self, command):
        """It is the next one."""
        assert self.todo and self.todo.pop(0) == command, f"{command}: README has {self.todo[:1]}"
        self.start = len(self.m.screen.lines)

    def wait_line(self, vm, pattern, timeout=30):
        """A line of the VM since the last command began."""
        self.m.seen = self.start
        return self.m.wait_line(vm, pattern, timeout)

    def shell(self, command):
        """What another command says."""
        return self.m.shell(command, timeout=90)

    def run(self, command, code=0):
        """What it says."""
        self.take(command)
        *said, last = self.shell(f"{command}; echo code $?")
        assert last == f"code {code}", (command, said, last)
        return said

    def leave(self, command, seconds, keys):
        """Lets it draw on the terminal for a while, leaves it by keys; the lines that it drew."""
        self.take(command)
        before = self.m.log.stat().st_size
        self.m.send(f"{command}\r")
        self.m.run(seconds * machine.SLOW)
        self.m.send(keys)
        self.m.wait_prompt()
        drawn = self.m.log.read_bytes()[before:].decode(errors="replace")
        drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", drawn)
        return [line[len("[linux] "):] for line in drawn.split("\n") if line.startswith("[linux] ")]


def table(lines):
    """{name: (words)} of kz list."""
    assert lines[0].split() == ["Name", "ID", "Mem", "VCPUs", "State", "Time(s)", "Level", "Cores",
                                "Restarts", "Reason"]
    return {line.split()[0]: line.split() for line in lines[1:]}


def row(words):
    """Of a row what does not change."""
    return words[2], words[3], words[6], words[7]


def fields(lines):
    """{key: value} of kz info."""
    return dict(re.split(r" *: ", line, maxsplit=1) for line in lines)


def hello_stands_still(walk, m):
    """Paused, it says nothing, and then it goes on where it was."""
    m.wait_line("hello", r"^hello \d+$")
    assert walk.run("kz pause hello") == []
    m.run(1)
    before = m.lines_of("hello")
    assert table(walk.shell("kz list hello"))["hello"][4] == "paused"
    m.run(4)
    assert m.lines_of("hello") == before
    assert walk.run("kz unpause hello") == []
    after = m.wait("hello to go on", lambda: m.lines_of("hello")[len(before):], 30)
    assert after[0] == f"hello {int(before[-1].split()[1]) + 1}"


def servo_comes_back(walk, m):
    """It fails, it is restarted, it says why and how long that took; Linux is as it was."""
    walk.run("echo k | kz console servo")
    walk.wait_line("kizami", "^servo: vCPU 0 at pc 0x[0-9a-f]+: read of 4 bytes at 0x70000000: "
                   "nothing is there; the VM stops")
    walk.wait_line("kizami", r"^servo: restarts \(1\)")
    # What it was saying when it failed may be before that in the line.
    walk.wait_line("servo", "servo: 1 kHz loop")
    m.wait_line("servo", machine.SERVO)
    said = fields(walk.run('kz info servo | grep -E "reason|restart"'))
    assert (said["restart"], said["reason"], said["restarts"]) == ("on-failure", "fault", "1")
    assert re.fullmatch(r"[\d.]+ [mun]?s", said["restart_time"])
    linux = fields(walk.shell("kz info linux | grep -E '^(restarts|changes|faults|reason) '"))
    assert linux == {"reason": "-", "restarts": "0", "changes": "1", "faults": "0"}


def two_more(walk, m):
    """Two Linuxes are created, each from its own kind of file, and come up."""
    for name, file in (("linux3", "linux3.conf"), ("linux4", "linux4.cfg")):
        assert walk.run(f"kz create {file}")[-1] == (
            f"vm {name} has number {6 if name == 'linux3' else 7}, 128 MiB of memory, core 1, and "
            "is running")
    rows = table(walk.shell("kz list"))
    assert {name: row(words) for name, words in rows.items()} == {
        **ROWS, "linux3": NEW, "linux4": NEW}
    # What xl calls on_crash.
    assert fields(walk.shell("kz info linux4 | grep '^restart '")) == {"restart": "on-failure"}
    for name in ("linux3", "linux4"):
        walk.wait_line(name, "^Linux .* 1 CPUs", 120)


def picture(walk, m):
    """kz top, until q: each vCPU has a row of what it got, each VM one of why it exited."""
    said = walk.leave("kz top", 3, "q")
    names = [*ROWS, "linux3", "linux4"]
    assert any(line.startswith("kz top: 8 VMs, up ") for line in said)
    assert any(re.match(r"Cores:  0: +[\d.]+ %  1: +[\d.]+ %  2: +[\d.]+ %  3: +[\d.]+ %", line)
               for line in said)
    for name in names:
        assert any(line.startswith(f"{name}/0 ") for line in said), name
        assert any(re.match(rf"{name}( +\d+)+$", line) for line in said), name
    pulse = next(line for line in said if line.startswith("pulse/0 "))
    assert "1.000 ms/10.000 ms" in pulse
    # Its timer's interrupts are in the trace. Its core's ring comes round as it draws.
    assert any(re.match(r"Trace:  [1-9]\d* records read, \d+ lost, 0 skipped$", line)
               for line in said)
    assert any(re.match(r"linux/0 .* [\d.]+ +>?[\d.]+$", line) for line in said)
    assert any(line.startswith("kz top: 8 VMs") for line in walk.shell("kz top -b -n 1"))


def attached(walk, m):
    """What the VM says is here and nowhere else; Ctrl-] twice leaves."""
    walk.take("kz console linux3")
    m.send("kz console linux3\r")
    m.wait_line("linux", "^kz: the console of vm linux3; Ctrl-] leaves")
    m.send("\recho ex''pr $(nproc)\r")
    m.wait_line("linux", "^expr 1$")
    m.wait_prompt()
    m.send(machine.ESCAPE * 2)
    # linux3's prompt, which looks the same, and then the own one.
    m.wait_line("linux", "^linux# $")
    m.wait_prompt()
    assert m.lines_of("linux3", walk.start) == []
    assert walk.shell("nproc") == ["2"]


def test_walk(boot):
    """Everything that README shows of kz."""
    m = boot("virt", DEMO / "virt.conf")
    assert m.wait_linux() == 2
    walk = Walk(m)
    rows = table(walk.run("kz list"))
    assert {name: row(words) for name, words in rows.items()} == ROWS
    assert {(words[4], words[8], words[9]) for words in rows.values()} == {("running", "0", "-")}
    hello_stands_still(walk, m)
    servo_comes_back(walk, m)
    free = walk.run("kz info | grep free")
    assert len(free) == 2
    two_more(walk, m)
    picture(walk, m)
    attached(walk, m)
    assert walk.run("kz shutdown -w linux3") == []
    walk.wait_line("kizami", "^linux3: stopped$")
    assert table(walk.shell("kz list linux3"))["linux3"][4::5] == ["stopped", "off"]
    assert walk.shell("kz info | grep free") != free
    assert walk.run("kz destroy linux3 linux4") == []
    assert walk.run("kz info | grep free") == free
    assert set(table(walk.shell("kz list"))) == set(ROWS)
    assert walk.shell("kz list linux3 2>&1; echo code $?")[-1] == "code 4"
    assert walk.todo == []
    bad = [line for line in m.lines_of("linux") if any(word in line for word in COMPLAINTS)]
    assert bad == []
