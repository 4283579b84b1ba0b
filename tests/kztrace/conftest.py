# SPDX-License-Identifier: Apache-2.0
"""kztrace as a user meets it: a file, a command, what comes back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KZTRACE = Path(os.environ.get("KZTRACE", ROOT / "build/host/kztrace")).resolve()

sys.path.insert(0, str(HERE))

import ktfile  # noqa: E402

CELL = re.compile(r"\d[\d.]* (?:%|ns|us|ms|s)(?!\S)|\S+")


def run(*args, **kwargs):
    """Runs kztrace."""
    return subprocess.run([KZTRACE, *map(str, args)], capture_output=True, text=True, timeout=300,
                          check=False, **kwargs)


def duration(ns):
    """A duration as kztrace prints it."""
    for unit, name in ((10 ** 9, "s"), (10 ** 6, "ms"), (10 ** 3, "us")):
        if ns >= unit:
            return f"{ns // unit}.{ns % unit * 1000 // unit:03} {name}"
    return f"{ns} ns"


def nanoseconds(text):
    """The reverse, to what was printed of it."""
    number, unit = text.split()
    return float(number) * {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]


def percent(part, whole):
    """A part as kztrace prints it."""
    return f"{100 * part / whole if whole else 0:.2f} %"


class Report:
    """A report's sections: {title: its lines}."""

    HEADS = ("core", "vCPU", "class", "function", "INTID")

    def __init__(self, text):
        self.text = text
        self.sections = {}
        for block in text.strip().split("\n\n"):
            lines = block.split("\n")
            self.sections[lines[0].split(":")[0]] = lines

    def rows(self, title):
        """The cells of a table; a value and its unit are one."""
        lines = self.sections.get(title, ["", "  vCPU"])
        at = next(i for i, line in enumerate(lines) if line.split()[0] in self.HEADS)
        return [CELL.findall(line) for line in lines[at + 1:]]


@pytest.fixture
def trace(tmp_path):
    """A function that writes a file of VMs, cores and parts, and gives its path."""
    def make(vms, core_count, parts, hz=10 ** 9, mode=ktfile.OVERWRITE):
        path = tmp_path / "test.trace"
        cfg = ktfile.pack_cfg(vms, core_count, mode)
        path.write_bytes(ktfile.pack_head(cfg, core_count, hz) + b"".join(parts))
        return path
    return make
