# SPDX-License-Identifier: Apache-2.0
"""A core that nobody may have sleeps, whatever waits for a guest."""

import pytest

import machine
import trace

# It spins up to its timer, ten times its budget: the interrupt is pending while it is throttled.
CONF = """board = {board}
vm one {{ level = srt  cpus = {{1}}  memory = 2M  image = "../../guests/punctual.bin"
	cmdline = "spin=1ms period=20ms report=20"  realtime {{ budget = 100us  period = 10ms }} }}
"""


@pytest.mark.parametrize("board", machine.BOARDS)
def test_throttled(board):
    """A pending virtual interrupt of a vCPU without a budget does not end its core's sleep."""
    name = f"idle-throttled-{board}"
    image = machine.image_build(CONF.format(board=board), name)
    ram = trace.Ram(name)
    t = trace.Trace(ram, image)
    with machine.board_boot(board, image, name, [*machine.EXACT, *ram.args]) as m:
        m.wait_line("one", "^punctual: taken 20 ", 60)
    t.read()
    records = t.rings[1].records
    ram.close()
    releases = sum(r.type == trace.RELEASE for r in records)
    throttled = sum(r.type == trace.THROTTLE for r in records)
    woken = sum(r.type == trace.WAKE for r in records)
    print(f"\n{board}: {releases} jobs, {throttled} throttled, woken {woken} times")
    assert throttled >= 20
    # At most for its release, its budget's end, and its timer.
    assert throttled <= woken <= 3 * releases
