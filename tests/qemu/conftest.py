# SPDX-License-Identifier: Apache-2.0
"""What every QEMU test is given.

Several workers of pytest-xdist may run the tests side by side: -n 2 --dist loadgroup, as ./test
does. A test of an exact machine (-icount) is one busy thread, and what it measures does not depend
on what else is busy. All others, whose guests' time is this machine's, are in the group "clock":
one worker has them, one after the other. What is built or written in one place makes a group too.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import covered  # noqa: E402
import machine  # noqa: E402
import masked  # noqa: E402

# The longest tests: what is begun last leaves other workers with nothing to do.
LONGEST = ("test_overrun_told", "test_long", "test_hostile", "test_servo_load", "test_steal",
           "test_registers")


def is_worker(config):
    """A worker's session is a part of the session."""
    return hasattr(config, "workerinput")


def pytest_configure(config):
    """Every machine of the session counts how long the hypervisor keeps interrupts masked: the
    workers' too, which inherit the folder."""
    config.addinivalue_line("markers", "xdist_group(name): one worker runs all of the group")
    if covered.is_on():
        return
    if not masked.PLUGIN.is_file():
        raise pytest.UsageError(f"{masked.PLUGIN} is missing: make all")
    if "MASKED" not in os.environ:
        os.environ["MASKED"] = tempfile.mkdtemp(prefix="masked-")


def pytest_collection_modifyitems(config, items):
    """Workers are given the groups first, and then the longest tests."""
    def order(item):
        name = item.originalname
        return (item.get_closest_marker("xdist_group") is None,
                LONGEST.index(name) if name in LONGEST else len(LONGEST))

    if is_worker(config):
        items.sort(key=order)


def pytest_sessionfinish(session):
    """The longest stretches of the session; one that is over its budget is one more failure."""
    if is_worker(session.config) or covered.is_on():
        return
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


def pytest_unconfigure(config):
    """Nothing is left of what the session counted, unless somebody asked for it."""
    if is_worker(config) or covered.is_on():
        return
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
