# SPDX-License-Identifier: Apache-2.0
"""Machines that count instructions: QEMU's models, run until their guest has said all."""

import os
import re
import selectors
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build/bench"
GUEST = ROOT / "build/guests/bench.bin"
KZC = ROOT / "build/host/kzc"
QEMU = os.environ.get("QEMU", "qemu-system-aarch64")
TIMEOUT = 600
READ = 65536            # bytes at a time; what is waited for may be their first line
TAIL = READ + 4000

# One instruction is one nanosecond, and one tick of the counter.
EXACT = ["-icount", "shift=0,sleep=off", "-display", "none", "-serial", "stdio",
         "-monitor", "none", "-no-reboot"]
COUNTER = ["-global", "cortex-a53-arm-cpu.cntfrq=1000000000"]

LINE = re.compile(r"BENCH (\w+) (n=\d+ min=\d+ p50=\d+ p99=\d+ max=\d+|value=\d+|refused) \.")
NUMBER = re.compile(r"(\w+)=(\d+)")


class Failed(Exception):
    """A machine did not come to its end."""


def qemu(board, cores, memory="512", options=()):
    """QEMU's command line for a board, without an image; options may replace -M's."""
    if board == "zcu102":
        return [QEMU, "-M", "xlnx-zcu102" + "".join(f",{o}" for o in options),
                "-smp", "4", "-m", "2G", "-audio", "none", *COUNTER, *EXACT]
    gic = "2" if board == "virt-gicv2" else "3"
    return [QEMU, "-M", f"virt,gic-version={gic}" + "".join(f",{o}" for o in options),
            "-cpu", "cortex-a53", "-smp", str(cores), "-m", memory, "-nodefaults",
            *COUNTER, *EXACT]


def clean(text):
    """The console's text without escapes, and with the lines whole that it shows in parts."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace("\r", ""))
    return re.sub(r"\n\[[a-z0-9_-]+\+\] ?", "", text)


def parse(text):
    """{row: {n, min, p50, p99, max}} of the guest's lines, the first of each; a value is p50."""
    figures = {}
    for name, rest in LINE.findall(clean(text)):
        if name not in figures and rest != "refused":
            numbers = {k: int(v) for k, v in NUMBER.findall(rest)}
            figures[name] = ({"p50": numbers["value"]} if "value" in numbers else numbers)
    return figures


def run(name, command, until="done", timeout=TIMEOUT):
    """The text of a machine's console, up to the guest's line `until`; OUT/NAME.log has it."""
    OUT.mkdir(parents=True, exist_ok=True)
    end = re.compile(rf"BENCH {until} [^\n]* \.")
    text, deadline = "", time.monotonic() + timeout
    with open(OUT / f"{name}.err", "wb") as err, subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=err) as child, selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        try:
            while end.search(clean(text[-TAIL:])) is None:
                if time.monotonic() > deadline:
                    raise Failed(f"{name}: no end in {timeout} s")
                if not selector.select(timeout=1):
                    continue
                more = os.read(child.stdout.fileno(), READ)
                if not more:
                    raise Failed(f"{name}: QEMU ended before its guest was done")
                text += more.decode("utf-8", "replace")
        finally:
            child.kill()
            (OUT / f"{name}.log").write_text(text, encoding="utf-8")
    return text


def figures_of(name, command, until="done", timeout=TIMEOUT):
    """What the guest of a machine measured; its counter must be as fast as instructions are."""
    figures = parse(run(name, command, until, timeout))
    if figures.get("frequency", {}).get("p50") != 1000000000:
        raise Failed(f"{name}: the counter does not run at 1 GHz: {figures.get('frequency')}")
    return figures
