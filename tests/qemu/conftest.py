# SPDX-License-Identifier: Apache-2.0
"""What every QEMU test is given."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import machine  # noqa: E402


@pytest.fixture(params=machine.BOARDS)
def board(request):
    """Each built-in board in turn."""
    return request.param


@pytest.fixture
def boot(request):
    """boot(board, conf, args=()) starts a machine that ends with the test.

    conf is a configuration: a Path, or its text, in which build/... is relative to build/test/qemu.
    """
    running = []
    name = re.sub(r"[^a-z0-9_-]+", "-", request.node.name.lower()).strip("-")

    def start(board, conf, args=()):
        unique = name if not running else f"{name}-{len(running) + 1}"
        image = machine.image_build(conf, unique)
        running.append(machine.board_boot(board, image, unique, args))
        return running[-1]

    yield start
    for m in running:
        m.__exit__()
