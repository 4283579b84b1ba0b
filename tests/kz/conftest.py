# SPDX-License-Identifier: Apache-2.0
"""kz as a user meets it: a command, what comes back, and what the hypervisor then has."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KZ = Path(os.environ.get("KZ", ROOT / "build/host/kz-test")).resolve()

sys.path.insert(0, str(HERE))

import sim as simulator  # noqa: E402


class Done:
    """A run of kz that has ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        """The table's rows: {name: its words}."""
        return {line.split()[0]: line.split() for line in self.out.splitlines()[1:] if line}


class Kz:
    """Runs kz against the simulator."""

    def __init__(self, sim, path):
        self.sim, self.path = sim, path
        self.started = []

    def command(self, args):
        return [KZ, "--device", self.sim.path, "--board-dir", ROOT / "boards", "--dtb-dir",
                ROOT / "build/boards", *map(str, args)]

    def __call__(self, *args, stdin=subprocess.DEVNULL, **kwargs):
        done = subprocess.run(self.command(args), capture_output=True, timeout=60, check=False,
                              cwd=self.path, **({"stdin": stdin} if "input" not in kwargs else {}),
                              **kwargs)
        err = done.stderr.decode()
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return Done(done.returncode, done.stdout.decode(), err)

    def ok(self, *args, **kwargs):
        """It works, and has nothing to complain about."""
        done = self(*args, **kwargs)
        assert (done.code, done.err) == (0, ""), done.err
        return done

    def start(self, *args, **kwargs):
        """Starts kz; the test ends it."""
        process = subprocess.Popen(self.command(args), cwd=self.path, **{
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
            **kwargs})
        self.started.append(process)
        return process

    @staticmethod
    def finish(process, number=signal.SIGINT):
        """Ends it by a signal, or lets it end by itself."""
        if number is not None:
            process.send_signal(number)
        out, err = process.communicate(timeout=30)
        err = (err or b"").decode()
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return Done(process.returncode, (out or b"").decode(errors="replace"), err)

    def write(self, name, data):
        path = self.path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path


def until(condition, what="", seconds=20):
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it does not come: {what}"
        time.sleep(0.005)


@pytest.fixture
def sim(tmp_path):
    made = simulator.Sim(tmp_path / "kizami")
    yield made
    made.close()


@pytest.fixture
def kz(sim, tmp_path):
    made = Kz(sim, tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def wait():
    return until
