# SPDX-License-Identifier: Apache-2.0
"""A machine in QEMU, seen from its console only: what was printed by whom, and what to type."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pexpect

import covered
import masked

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ("build/cov/qemu" if covered.is_on() else "build/test/qemu")
KZC = ROOT / "build/host/kzc"
BOARDS = ("zcu102", "virt", "virt-gicv2")
HV = "kizami"
ESCAPE = "\x1d"
KERNEL_LINE = re.compile(r"\[ *\d+\.\d+\] ")

# Every time limit is multiplied by it: two busy cores emulate four, and so many tests run side by
# side.
SLOW = (float(os.environ.get("TIMEOUT_SCALE", "1")) *
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))

# One instruction is one nanosecond, and so is one tick of the counter: figures are exact. The
# cores take turns on one thread of this machine.
EXACT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm",
         "-global", "cortex-a53-arm-cpu.cntfrq=1000000000"]

# What the servo prints each second.
SERVO = (r"^servo: (?P<loops>\d+) loops  latency ns min (?P<min>\d+) avg (?P<avg>\d+) "
         r"p99 (?P<p99>\d+) max (?P<max>\d+)  missed (?P<missed>\d+)$")


class Failure(AssertionError):
    """Something did not show up in time, or the machine ended."""


def image_build(conf, name, options=()):
    """Builds build/test/qemu/NAME.img from a configuration, a file or its text."""
    LOGS.mkdir(parents=True, exist_ok=True)
    if not isinstance(conf, Path):
        text = conf
        conf = LOGS / f"{name}.conf"
        conf.write_text(text)
    image = LOGS / f"{name}.img"
    done = subprocess.run([KZC, "build", conf, "-o", image, *covered.build_options(), *options],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kzc build {conf}:\n{done.stdout}{done.stderr}"
    return image


class Screen:
    """Turns the console's bytes into whole lines: what is redrawn is kept once, as it ended."""

    ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-JL-Za-z]|\x1b\[\d*n")
    TAG = re.compile(r"\[([a-z0-9_-]+)(\+?)\] ?(.*)", re.DOTALL)

    def __init__(self):
        self.lines = []         # (VM, text), complete lines in the order of their ends
        self.partial = ""       # the line that is on the screen now

    def feed(self, text):
        """Takes more output. A carriage return alone starts a line over."""
        self.partial += text
        while "\n" in self.partial:
            line, self.partial = self.partial.split("\n", 1)
            self._add(self._shown(line.rstrip("\r")))

    @classmethod
    def _shown(cls, raw):
        raw = raw.rsplit("\x1b[K", 1)[-1].rsplit("\r", 1)[-1]
        raw = cls.ESCAPES.sub("", raw)
        while "\b" in raw:
            raw = re.sub("[^\x08]?\x08", "", raw, count=1)
        return raw

    def _add(self, line):
        match = self.TAG.match(line)
        if match is None:
            self.lines.append((None, line))
            return
        name, more, text = match.groups()
        if more:
            for i in range(len(self.lines) - 1, -1, -1):
                if self.lines[i][0] == name:
                    self.lines[i] = (name, self.lines[i][1] + text)
                    return
        self.lines.append((name, text))

    def current(self):
        """(VM, text) of the unfinished line on the screen."""
        match = self.TAG.match(self._shown(self.partial))
        return (match.group(1), match.group(3)) if match else (None, self._shown(self.partial))


class Machine:
    """A command whose output is a machine's console. Use it in a with statement."""

    def __init__(self, command, log):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.screen = Screen()
        self.seen = 0           # lines that wait_line() has gone past
        self.marks = 0
        self.output = open(log, "w", encoding="utf-8", newline="")
        plugin = covered if covered.is_on() else masked
        words = [str(word) for word in [*command[1:], *plugin.arguments(command)]]
        self.words = words
        self.child = pexpect.spawn(str(command[0]), words,
                                   encoding="utf-8", codec_errors="replace", echo=False,
                                   timeout=None, cwd=str(ROOT), dimensions=(50, 200))
        self.child.delaybeforesend = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if not self.child.closed:
            self.end()
        covered.collect(self.words)

    def end(self):
        """By itself if it can: an exact machine may be too busy to see a signal. What a plugin
        counts is in a mapped file.
        """
        self.child.kill(signal.SIGTERM)
        deadline = time.monotonic() + SLOW
        while self.pump() and time.monotonic() < deadline:
            pass
        self.child.close(force=True)
        self.output.close()

    # ---- Output ----

    def pump(self, seconds=0.2):
        """Reads what there is, waiting a moment for it; false when QEMU has ended."""
        try:
            text = self.child.read_nonblocking(size=65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output.write(text)
        self.output.flush()
        self.screen.feed(text)
        return True

    def run(self, seconds):
        """Lets the machine run for so many seconds of this machine's time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.pump():
            pass

    def fail(self, why):
        """Fails with the end of the console's output."""
        tail = [f"[{vm}] {text}" for vm, text in self.screen.lines[-25:]]
        raise Failure("\n".join([f"{why}; {self.log} ends so:", *tail,
                                 repr(self.screen.partial)]))

    def wait(self, what, ready, timeout):
        """Pumps until ready() is true (its value is returned); fails after the time limit."""
        end = time.monotonic() + timeout * SLOW
        while True:
            value = ready()
            if value:
                return value
            if not self.pump():
                value = ready()
                return value if value else self.fail(f"QEMU ended before {what}")
            if time.monotonic() > end:
                self.fail(f"no {what} in {timeout * SLOW:.0f} s")

    def wait_line(self, vm, pattern, timeout=30):
        """The match of the next line of the VM that the pattern is found in."""
        regex = re.compile(pattern)

        def ready():
            while self.seen < len(self.screen.lines):
                name, text = self.screen.lines[self.seen]
                self.seen += 1
                match = regex.search(text) if name == vm else None
                if match:
                    return match
            return None

        return self.wait(f"line of {vm} with {pattern!r}", ready, timeout)

    def lines_of(self, vm, start=0):
        """The VM's complete lines, from the index-th line of all on."""
        return [text for name, text in self.screen.lines[start:] if name == vm]

    def wait_end(self, timeout=30):
        """Waits until QEMU ends by itself; returns its exit status."""
        self.wait("end of QEMU", lambda: not self.child.isalive() or None, timeout)
        while self.pump():      # what it said last
            pass
        self.child.close()
        return self.child.exitstatus

    # ---- Input ----

    def send(self, text):
        """Types."""
        self.child.send(text)

    def escape(self, key):
        """Types the hypervisor's escape key and another."""
        self.child.send(ESCAPE + key)

    # ---- Linux ----

    def wait_prompt(self, vm="linux", timeout=120):
        """Waits for the shell to ask."""
        self.wait(f"prompt of {vm}",
                  lambda: self.screen.current() == (vm, "linux# "), timeout)

    def wait_linux(self, vm="linux", timeout=240):
        """Waits for Linux's shell, from power-on or from a restart."""
        match = self.wait_line(vm, r"^Linux \S+, (\d+) CPUs", timeout)
        self.wait_prompt(vm)
        self.shell("stty cols 150", vm)
        return int(match.group(1))

    def shell(self, command, vm="linux", timeout=60, log=False):
        """Runs a command in the shell that has the keyboard; returns what it printed. Lines as
        the kernel writes them belong to it only if the command shows the kernel's log.
        """
        self.marks += 1
        start = len(self.screen.lines)
        self.send(f"{command}; echo en''d-{self.marks}\r")
        self.wait_line(vm, rf"^end-{self.marks}$", timeout)
        self.wait_prompt(vm)
        lines = self.lines_of(vm, start)
        echo = next(i for i, text in enumerate(lines) if f"en''d-{self.marks}" in text)
        said = lines[echo + 1:lines.index(f"end-{self.marks}")]
        return said if log else [line for line in said if not KERNEL_LINE.match(line)]

    # ---- The hypervisor ----

    def status(self, timeout=30):
        """The status page: {"machine": text, "core": {}, "vm": {}, "exits": {}}."""
        self.seen = len(self.screen.lines)
        self.escape("s")
        start = self.wait(
            "status page",
            lambda: next((i for i in range(self.seen, len(self.screen.lines))
                          if self.screen.lines[i][1].startswith("status: ")), -1) + 1, timeout) - 1

        def ready():
            page = status_parse(self.lines_of(HV, start))
            vcpus = sum(len(vm["cores"]) for vm in page["vm"].values())
            return page if vcpus > 0 and len(page["exits"]) == vcpus else None

        return self.wait("whole status page", ready, timeout)


def board_boot(board, image, name, args=()):
    """QEMU's model of the board, booting the image; its log is build/test/qemu/NAME.log."""
    return Machine([ROOT / "scripts/qemu", board, image, *args], LOGS / f"{name}.log")


def status_parse(lines):
    """Takes the lines of a status page apart."""
    page = {"machine": lines[0], "core": {}, "vm": {}, "exits": {}}
    table, classes = None, []
    for line in lines[1:]:
        word = line.split()
        if not word:
            continue
        if word[0] in ("core", "vm", "exits", "time,"):
            table, classes = word[0], word[1:]
        elif table == "core" and len(word) >= 4 and word[0].isdigit():
            page["core"][int(word[0])] = {"owner": word[1], "level": word[2], "state": word[3]}
        elif table == "vm" and len(word) >= 8 and word[0].isdigit():
            page["vm"][word[1]] = {
                "id": int(word[0]), "level": word[2], "state": word[3],
                "cores": [int(core) for core in word[4].split(",") if core != "-"],
                "memory": word[5], "restarts": int(word[6]), "faults": int(word[7])}
        elif table == "exits" and ":" in word[0] and len(word) == 1 + len(classes):
            page["exits"][word[0]] = dict(zip(classes, map(int, word[1:])))
    return page


def exits_between(before, after, vcpu):
    """How often the vCPU left for the hypervisor between two status pages, by class."""
    return {name: count - before["exits"][vcpu][name]
            for name, count in after["exits"][vcpu].items()
            if count != before["exits"][vcpu][name]}
