# SPDX-License-Identifier: Apache-2.0
"""The longest masked stretches of the console, when everything that makes one long comes together:
a paste with the hypervisor's keys in it, VMs that print what costs most, VMs that restart."""

import os
import shutil
from pathlib import Path

import pytest

import machine
import masked

# The first core serves the console; two VMs live there, too.
CONF = """board = {board}
vm first {{ level = nrt  cpus = {{0}}  memory = 2M  image = "../../guests/flood.bin" }}
vm crash {{ level = nrt  cpus = {{0}}  memory = 2M  image = "../../guests/crash.bin"
	on_fault = restart  console = none }}
vm a-name-of-15-by {{ level = nrt  cpus = {{1}}  memory = 2M  image = "../../guests/flood.bin" }}
vm ring-1 {{ level = nrt  cpus = {{2}}  memory = 2M  image = "../../guests/flood.bin"
	console = ring }}
vm ring-2 {{ level = nrt  cpus = {{2}}  memory = 2M  image = "../../guests/flood.bin"
	console = ring }}
vm resetter {{ level = nrt  cpus = {{1, 2}}  memory = 2M  image = "../../guests/resetter.bin" }}
vm servo {{ level = hrt  cpus = {{3}}  memory = 2M  image = "../../guests/servo.bin"
	console = ring }}
"""
# 1 KiB: each key among as many other bytes as a UART's FIFO holds, and all of them in a row.
KEYS = "nsh1z3]"
PASTE = "".join(machine.ESCAPE + key + "typed for nobody" * 4 for key in 2 * KEYS)
ROW = "".join(machine.ESCAPE + key for key in 2 * KEYS)


@pytest.mark.parametrize("board", ("virt", "zcu102"))
def test_paste(boot, board, tmp_path, monkeypatch):
    """All stretches keep to the budget, and what the keys ask for comes."""
    session = Path(os.environ["MASKED"])
    monkeypatch.setenv("MASKED", str(tmp_path))
    m = boot(board, CONF.format(board=board))
    m.wait_line("kizami", r"crash: restarts \(8\)", 60)
    for _ in range(4):
        m.send(PASTE)
        m.run(2)
        m.send(ROW)
        m.run(2)
    page = m.status(60)
    assert len(page["vm"]) == 7 and page["vm"]["crash"]["restarts"] > 100
    said = m.lines_of(machine.HV)
    for what in ("console: ", "Ctrl-] then n: next VM", "status: board"):
        assert len([line for line in said if line.startswith(what)]) >= 4, what
    stretches = masked.merge(tmp_path)
    for path in tmp_path.iterdir():     # for the session's table
        name = f"{path.stem}-{board}.out" if path.suffix == ".out" else path.name
        shutil.copy(path, session / name)
    print(f"\n{stretches.table()}")
    for path in ("pump", "console_uart", "hv_log", "console_poll"):
        assert stretches.count.get(("irq", path), 0) > 10, path
    assert not stretches.over()
