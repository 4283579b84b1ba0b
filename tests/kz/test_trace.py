# SPDX-License-Identifier: Apache-2.0
"""The rings as a file, which kztrace reads."""

import os
import signal
import subprocess
from pathlib import Path

import abi
import pytest
import rings as made_up
import sim as simulator
from conftest import ROOT

KZTRACE = Path(os.environ.get("KZTRACE", ROOT / "build/host/kztrace")).resolve()


@pytest.fixture
def rings(sim):
    return made_up.Rings(sim)


def test_what_is_there(kz, rings):
    rings.put(0, 100)
    rings.put(3, 2047)
    done = kz.ok("--json", "trace", "-t", "0.05", "out.kzt")
    assert done.json == {"file": "out.kzt", "records": 2147, "lost": 0, "older": 0, "cores": 4}
    parts, names = made_up.parse((kz.path / "out.kzt").read_bytes())
    assert names == ["linux", "vision", "servo"]
    assert parts[0] == [(n, 1000 + n) for n in range(100)]
    assert parts[3] == [(n, 1000 + n) for n in range(2047)]
    assert set(parts) == {0, 3}


def test_kztrace_reads_it(kz, rings):
    rings.put(1, 500, type=2, vcpu=0x10)
    text = kz.ok("trace", "-t", "0.05", "out.kzt").out
    assert text.startswith("out.kzt: 500 records of 4 cores, 0 lost")
    done = subprocess.run([KZTRACE, "report", kz.path / "out.kzt"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "vision" in done.stdout


def test_older_are_counted(kz, rings):
    rings.put(2, 10000)
    done = kz.ok("--json", "trace", "-t", "0.05", "out.kzt").json
    kept = 2 * made_up.RECORDS - 1
    assert done["older"] == 10000 - kept and done["records"] == kept and done["lost"] == 0
    parts, _ = made_up.parse((kz.path / "out.kzt").read_bytes())
    assert parts[2] == [(n, 1000 + n) for n in range(10000 - kept, 10000)]


def test_until_ctrl_c(kz, sim, rings, wait):
    """What comes while it runs is all there."""
    rings.put(0, 10)
    process = kz.start("--json", "trace", "out.kzt")
    wait(lambda: sum(f == abi.INSPECT and x[0] == abi.I_TRACE for f, x in sim.calls) > 3, "looks")
    for _ in range(40):
        rings.put(0, 300)
        seen = len(sim.calls)
        wait(lambda seen=seen: len(sim.calls) > seen + 8, "another look")
    done = kz.finish(process, signal.SIGINT)
    assert done.code == 0 and done.json["records"] == 12010 and done.json["lost"] == 0
    parts, _ = made_up.parse((kz.path / "out.kzt").read_bytes())
    assert parts[0] == [(n, 1000 + n) for n in range(12010)]


def test_overwritten_during_the_copy(kz, sim, rings):
    """Records that came round between the two looks at a head are not in the file."""
    rings.put(0, 2000)
    heads = []

    def round_again(call):
        if call.function == abi.INSPECT and call.x[0] == abi.I_TRACE:
            heads.append(1)
            if len(heads) == 3:     # opened, looked, read: now the second look
                rings.put(0, 3000)
    sim.hook = round_again
    done = kz.ok("--json", "trace", "-t", "0.05", "out.kzt").json
    parts, _ = made_up.parse((kz.path / "out.kzt").read_bytes())
    assert done["lost"] > 0 and done["records"] + done["lost"] == 5000
    assert all(time == 1000 + n for n, time in parts[0])
    assert [n for n, _ in parts[0]][0] == done["lost"]


def test_places_that_are_free(kz, sim, rings):
    """Records name places: a place between others that is nobody's keeps its number."""
    with sim.lock:
        sim.vms[1] = None
    rings.put(3, 100, type=2, vcpu=0x20)
    kz.ok("trace", "-t", "0.05", "out.kzt")
    _, names = made_up.parse((kz.path / "out.kzt").read_bytes())
    assert names == ["linux", "gone-1", "servo"]
    done = subprocess.run([KZTRACE, "report", kz.path / "out.kzt"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0 and "servo" in done.stdout, done.stderr


def test_vm_created_at_run_time(kz, sim, rings):
    """Its store and its loads are no part of a file; its name is."""
    cfg = simulator.config("fresh", 0x60000000, cpus=(0,))
    cfg.region[1] = abi.Region(0, 0x61000000, 0x10000, abi.STORE)
    cfg.region_count, cfg.store_tables, cfg.load_count = 2, 4, 1
    cfg.load[0] = abi.Load(0x40000000, 0x4000, 64)
    with sim.lock:
        sim.add(cfg, abi.RUNNING)
    rings.put(0, 100, type=2, vcpu=0x30)
    kz.ok("trace", "-t", "0.05", "out.kzt")
    done = subprocess.run([KZTRACE, "report", kz.path / "out.kzt"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0 and "fresh" in done.stdout, done.stderr


def test_no_trace(kz, sim):
    done = kz("trace", "-t", "1", "out.kzt")
    assert done.code == 1 and "the trace is not in this VM's memory map" in done.err
    assert not (kz.path / "out.kzt").exists()


def test_no_right(kz, sim, rings):
    sim.rights[abi.R_LIST] = 0b111
    done = kz("trace", "-t", "1", "out.kzt")
    assert done.code == 1 and "reading the trace: this VM has not the right" in done.err


def test_damaged(kz, sim, rings):
    sim.heads[1].next = 12345
    done = kz("trace", "-t", "1", "out.kzt")
    assert done.code == 1 and "the head of a ring of the trace is damaged" in done.err
    rings.memory[4] = 9
    assert "the trace has version 9" in kz("trace", "-t", "1", "out.kzt").err


def test_file_cannot_be_written(kz, rings):
    done = kz("trace", "-t", "1", "nowhere/out.kzt")
    assert done.code == 1 and "nowhere/out.kzt: No such file" in done.err
    rings.put(0, 1000)
    done = kz("trace", "-t", "0.05", "/dev/full")
    assert done.code == 1 and "No space left" in done.err
