# SPDX-License-Identifier: Apache-2.0
"""What every QEMU test is given."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import machine  # noqa: E402
import masked  # noqa: E402


def pytest_configure():
    """Every machine of the session counts how long the hypervisor keeps interrupts masked."""
    if not masked.PLUGIN.is_file():
        raise pytest.UsageError(f"{masked.PLUGIN} is missing: make all")
    os.environ.setdefault("MASKED", tempfile.mkdtemp(prefix="masked-"))


def pytest_sessionfinish(session):
    """The longest stretches of the session; one that is over its budget is one more failure."""
    stretches = masked.merge(os.environ["MASKED"])
    if not stretches.count:
        return
    table = stretches.table()
    print(f"\n\nThe longest stretches with interrupts masked, in instructions:\n{table}")
    (machine.LOGS / "masked.md").write_text(table + "\n")
    over = stretches.over()
    if over:
        where = ("tests/qemu", None, "masked")
        session.config.hook.pytest_runtest_logreport(report=pytest.TestReport(
            "tests/qemu/masked", where, {}, "failed", "\n".join(over), "call"))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure():
    """Nothing is left of what the session counted, unless somebody asked for it."""
    if Path(os.environ["MASKED"]).name.startswith("masked-"):
        shutil.rmtree(os.environ["MASKED"], ignore_errors=True)


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
