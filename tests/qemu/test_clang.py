# SPDX-License-Identifier: Apache-2.0
"""What clang built runs as what gcc built does."""

import subprocess

import pytest

import machine

pytestmark = pytest.mark.xdist_group("clock")


@pytest.mark.parametrize("board", ["zcu102", "virt"])
def test_clang(board):
    """The demo with clang's hypervisor comes up, on GICv2 and GICv3; servo has no exits."""
    made = subprocess.run(["make", "-s", "COMPILER=clang", "all"], cwd=machine.ROOT,
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    image = machine.image_build(machine.ROOT / f"demo/{board}.conf", f"clang-{board}",
                                ["--hypervisor", machine.ROOT / "build/clang/arm64/kizami.elf"])
    with machine.board_boot(board, image, f"clang-{board}") as m:
        assert m.wait_linux() == 2
        m.wait_line("servo", r"^servo: \d+ loops")
        before = m.status()
        m.wait_line("servo", r"^servo: \d+ loops")
        assert machine.exits_between(before, m.status(), "servo:0") == {}
