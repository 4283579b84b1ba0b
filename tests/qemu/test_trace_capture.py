# SPDX-License-Identifier: Apache-2.0
"""scripts/traced: all that the cores of a machine trace, from power-on until QEMU ends."""

import re
import struct

import pytest

import machine

CONF = """board = {board}
vm hello {{ level = nrt  cpus = {{0}}  memory = 2M  image = "{guests}/hello.bin" }}
vm servo {{ level = hrt  cpus = {{3}}  memory = 2M  image = "{guests}/servo.bin"  console = ring }}
vm pulse {{
	level = srt  cpus = {{0}}  memory = 2M  image = "{guests}/pulse.bin"  console = ring
	cmdline = "execution=1ms period=10ms deadline=8ms work=100us report=5s"
	realtime {{ budget = 500us  period = 10ms }}
}}
"""
RECORDS = 2048  # of a chunk
STATE, RUN, RELEASE, THROTTLE, MISS, VM_START = 1, 2, 10, 12, 13, 17
KNOWN = {1, 2, 3, 4, *range(8, 21), *range(32, 43), *range(64, 75)}


def boot(board, name):
    """Boots for a while; the trace's file."""
    guests = machine.ROOT / "build/guests"
    image = machine.image_build(CONF.format(board=board, guests=guests), name)
    path = machine.LOGS / f"{name}.kzt"
    path.unlink(missing_ok=True)
    m = machine.Machine([machine.ROOT / "scripts/traced", path, board, image, *machine.EXACT],
                        machine.LOGS / f"{name}.log")
    with m:
        m.wait_line("hello", "^hello 8$")
        m.escape("x")
        m.wait_end()
    said = [text for _, text in m.screen.lines if text.startswith(f"traced: {path}: ")]
    count = re.fullmatch(r".*: (\d+) records of 4 cores, none lost", said[0])
    assert count, said
    return path.read_bytes(), int(count.group(1))


def cores_of(data):
    """Each core's records, which must have no gap."""
    magic, version, blob, hz, cores, _ = struct.unpack_from("<8sIIQII", data)
    assert (magic, version, hz, cores) == (b"KZTRACE\n", 1, 1000000000, 4)
    out = [b""] * cores
    at = 32 + blob
    while at < len(data):
        core, count, index = struct.unpack_from("<IIQ", data, at)
        assert index == len(out[core]) // 16
        out[core] += data[at + 16:at + 16 + 16 * count]
        at += 16 + 16 * count
    assert at == len(data)
    return out


@pytest.mark.parametrize("board", machine.BOARDS)
def test_all(board):
    """Nothing is lost, and what there is has the form of a trace."""
    data, count = boot(board, f"trace-{board}")
    cores = cores_of(data)
    assert count == sum(len(core) for core in cores) // 16
    started = []
    for core in cores:
        records = list(struct.iter_unpack("<QBBHI", core))
        # What the scheduler releases has the time of the decision, a little earlier.
        times = [r[0] for r in records if r[1] not in (RELEASE, THROTTLE, MISS)]
        assert records and times == sorted(times)
        assert {r[1] for r in records} <= KNOWN
        assert all(r[1] == STATE for r in records[::RECORDS])
        started += [r[2] for r in records if r[1] == VM_START]
    assert sorted(started) == [0x00, 0x10, 0x20]
    assert len(cores[0]) // 16 > 2 * RECORDS, "too short to see a turn"
    last = list(struct.iter_unpack("<QBBHI", cores[3]))[-1]
    assert (last[1], last[2]) == (RUN, 0x10), "the hard real-time VM executes, and that is all"
