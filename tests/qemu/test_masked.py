# SPDX-License-Identifier: Apache-2.0
"""The figures of masked.py: QEMU's own log of what was executed agrees, and a budget is one."""

import os
import re
import subprocess
import sys

import pytest

import machine
import masked

# test_budget runs test_boots too.
pytestmark = pytest.mark.xdist_group("masked")
CONF = """board = virt
vm one { level = nrt  cpus = {0, 1}  memory = 2M  image = "../../guests/hello.bin" }
vm two { level = hrt  cpus = {3}  memory = 2M  image = "../../guests/servo.bin"  console = ring }
"""


def stretches_of(log, elf):
    """The same by QEMU's log of executed blocks of one instruction each: {kind: [lengths]}.
    Locks are free in it: its cores take turns."""
    vectors = elf.vectors()
    marks = {elf.base + 4 * i: masked.mark_of(word, chain, elf.base + 4 * i - vectors)
             for i, (word, chain) in enumerate(zip(elf.words, elf.chains()))}
    # A block that was entered and not begun: the core's turn was over.
    log = re.sub(r"^Trace .*\nStopped execution .*\n", "", log, flags=re.MULTILINE)
    running, found = {}, {}
    for core, at in re.findall(r"^Trace (\d+): \S+ \[\w+/(\w+)/", log, re.MULTILINE):
        mark = marks[int(at, 16)]
        kind, length = running.get(core, ("entry", 0))
        if mark in masked.SLOTS.values():
            kind, length = masked.KINDS[mark], 0
        length += 1
        if mark in (masked.POLL, masked.WFI, masked.ERET):
            found.setdefault(kind, []).append(length)
            kind, length = "poll" if mark == masked.POLL else "wake", 0
        running[core] = (kind, length)
    return found


def test_log(boot, tmp_path, monkeypatch):
    """As many stretches of each kind as in the log, and the longest as long."""
    monkeypatch.setenv("MASKED", str(tmp_path))
    elf = masked.Elf(masked.ELVES[0])
    log = tmp_path / "log"
    m = boot("virt", CONF, [
        *machine.EXACT, "-accel", "tcg,one-insn-per-tb=on", "-d", "exec,nochain", "-D", str(log),
        "-dfilter", f"{elf.base:#x}+{len(elf.text):#x}"])
    m.wait_line("one", "^hello 2$", 60)
    m.send("\x01x")
    m.wait_end()
    found = stretches_of(log.read_text(errors="replace"), elf)
    counted = masked.merge(tmp_path)
    for kind in ("sync", "irq", "poll", "wake"):
        mine = {path: most for (k, path), (most, _) in counted.longest.items() if k == kind}
        count = sum(n for (k, _), n in counted.count.items() if k == kind)
        lengths = found.get(kind, [])
        print(f"\n{kind}: {count} stretches, {mine}; in the log {len(lengths)}")
        assert count == len(lengths)
        assert max(mine.values(), default=0) == max(lengths, default=0)
    assert len(found["sync"]) > 20 and len(found["irq"]) > 20


@pytest.mark.parametrize("less, status", ((0, 0), (1, 1)))
def test_budget(tmp_path, less, status):
    """A session fails when a stretch is longer than its path's budget, by one instruction."""
    env = dict(os.environ, MASKED=str(tmp_path / "first"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__,
               "-k", "test_boots"]
    subprocess.run(command, env=env, check=False, capture_output=True)
    longest = masked.merge(tmp_path / "first").longest["sync", "sysreg_access"][0]
    lines = masked.BUDGET.read_text().splitlines()
    tight = tmp_path / "budget"
    tight.write_text("\n".join(
        f"sysreg_access {longest - less}" if line.startswith("sysreg_access ") else
        re.sub(r"\d+$", "1000000", line) if line[:1] != "#" else line for line in lines))
    env |= {"MASKED": str(tmp_path / "second"), "MASKED_BUDGET": str(tight)}
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == status, done.stdout
    assert ("sync, sysreg_access: " in done.stdout) == (status != 0)
    assert re.search(r"^1 failed, 1 passed" if less else r"^1 passed",
                     done.stdout.splitlines()[-1])


def test_boots(boot):
    """What test_budget measures."""
    m = boot("virt", CONF, machine.EXACT)
    m.wait_line("one", "^hello 1$", 60)
