# SPDX-License-Identifier: Apache-2.0
"""What a guest does wrong is its own affair: faults, restarts, vCPUs on and off, fresh starts."""

import re
import subprocess

import pytest

import machine

pytestmark = pytest.mark.xdist_group("clock")
GUESTS = "../../guests"
WITNESS = f"""board = {{board}}
vm witness {{{{ level = nrt  cpus = {{{{0}}}}  memory = 2M  image = "{GUESTS}/witness.bin" }}}}
"""
FAULTY = WITNESS + f"""
vm faulty {{{{ level = {{level}}  cpus = {{{{1}}}}  memory = 2M  image = "{GUESTS}/faulty.bin"
	on_fault = {{on_fault}} }}}}
"""
# On an exact machine, where a busy core's second takes many.
BRIEF = WITNESS.replace('witness.bin"', 'witness.bin"  cmdline = "ticks=100"')
CRASH = BRIEF + f"""
vm crash {{{{ level = {{level}}  cpus = {{{{3}}}}  memory = 2M  image = "{GUESTS}/crash.bin"
	on_fault = restart  console = none }}}}
"""
TWO_CORES = WITNESS + f"""
vm {{name}} {{{{ level = {{level}}  cpus = {{{{1, 2}}}}  memory = 2M
	image = "{GUESTS}/{{name}}.bin"  console = {{console}} }}}}
"""
REPORT = (r"^(?P<vm>\w+): vCPU (?P<vcpu>\d) at pc (?P<pc>0x[0-9a-f]+): (?P<access>[a-z ]+) of "
          r"(?P<size>\d+) bytes at (?P<address>0x[0-9a-f]+): (?P<why>[^;]+); (?P<act>.*)$")
FIGURES = r"^witness: min (\d+) median (\d+) max (\d+) checked (\d+) changed (\d+) strays (\d+)$"
ACTS = {"inject": "external abort injected", "stop": "the VM stops", "restart": "the VM restarts"}
# Nowhere: 16 MiB behind the 2 MiB that a VM has at 1 GiB.
NOWHERE = 0x41200000


def faulty_boot(boot, board, level, on_fault):
    """Boots a guest that faults on a key, and gives it the keyboard."""
    m = boot(board, FAULTY.format(board=board, level=level, on_fault=on_fault))
    m.wait_line("faulty", "^faulty: up$")
    m.escape("2")
    m.wait_line("kizami", "console: faulty")
    return m


def said_of(m, vm):
    """The hypervisor's lines about a VM."""
    return [line for line in m.lines_of("kizami") if line.startswith(f"{vm}: ")]


def report_check(m, vm, act, access="read", address=NOWHERE):
    """The report of the VM's fault is there, once and whole, and its hint leads somewhere."""
    lines = said_of(m, vm)
    reports = [match for line in lines if (match := re.match(REPORT, line))]
    hints = [match for line in lines
             if (match := re.match(rf"{vm}: look it up: kzc (whatis \S+ \S+); further faults are "
                                   r"counted only$", line))]
    assert len(reports) == 1 and len(hints) == 1, lines
    got = reports[0].groupdict()
    assert (got["vm"], got["vcpu"], got["access"], got["size"]) == (vm, "0", access, "4")
    assert int(got["address"], 16) == address and got["act"] == act
    assert 0x40000000 <= int(got["pc"], 16) < 0x40200000
    done = subprocess.run([machine.KZC, *hints[0].group(1).split()], capture_output=True,
                          text=True, check=False, cwd=machine.ROOT)
    assert done.returncode == 0 and done.stdout, done.stderr
    print(f"\n{lines[lines.index(reports[0].string)]}\n{hints[0].string}\n{done.stdout}")


def figures(m):
    """The witness's next report."""
    return [int(n) for n in m.wait_line("witness", FIGURES, 60).groups()]


def alive(m):
    """The witness goes on, its memory is what it was, and nobody's interrupt came to it."""
    first, second = figures(m), figures(m)
    assert first[3] < second[3], "the witness stands still"
    assert second[4:] == [0, 0], second


@pytest.mark.parametrize("level", ["nrt", "hrt"])
def test_inject(boot, board, level):
    """Each kind of access to nothing ends as a bus would have it; a report is printed once,
    after 100000 faults too."""
    m = faulty_boot(boot, board, level, "inject")
    m.send("i")
    count = int(m.wait_line("faulty", r"^ok faults: (\d+)$").group(1))
    assert not [line for line in m.lines_of("faulty") if line.startswith("not ok")]
    assert [line for line in m.lines_of("faulty")].count("ok read at EL0") == 1
    m.send("m")
    assert m.wait_line("faulty", r"^ok many: (\d+)$", 60).group(1) == "100000"
    m.send("f")
    m.wait_line("faulty", "^faulty: goes on$")
    page = m.status()
    # SVC is an exception of the guest's, and no fault.
    assert page["vm"]["faulty"]["faults"] == count - 1 + 100000 + 1
    assert page["vm"]["faulty"]["restarts"] == 0 and page["vm"]["witness"]["faults"] == 0
    assert len(said_of(m, "faulty")) == 2
    report_check(m, "faulty", ACTS["inject"], address=NOWHERE + 8)
    alive(m)


def test_stop(boot, board):
    """on_fault = stop: the VM ends, and no other."""
    m = faulty_boot(boot, board, "nrt", "stop")
    m.send("f")
    m.wait_line("kizami", "^faulty: stopped$")
    report_check(m, "faulty", ACTS["stop"])
    page = m.status()
    assert page["vm"]["faulty"]["state"] == "stopped" and page["core"][1]["state"] == "off"
    assert page["vm"]["witness"]["state"] == "running"
    assert "faulty: goes on" not in m.lines_of("faulty")
    alive(m)


@pytest.mark.parametrize("level", ["nrt", "hrt"])
def test_restart(boot, board, level):
    """on_fault = restart: the VM begins anew, each time; it is explained once."""
    m = faulty_boot(boot, board, level, "restart")
    for n in (1, 2, 3):
        m.send("f")
        m.wait_line("faulty", "^faulty: up$")
        vm = m.status()["vm"]["faulty"]
        assert (vm["state"], vm["restarts"], vm["faults"]) == ("running", n, n)
    assert "faulty: goes on" not in m.lines_of("faulty")
    report_check(m, "faulty", ACTS["restart"])
    assert len(said_of(m, "faulty")) == 2 + 3
    alive(m)


def storm_lines(restarts):
    """How many lines so many restarts may print: the first eight, then each power of two."""
    return 8 + max(0, restarts.bit_length() - 4)


@pytest.mark.parametrize("level", ["nrt", "hrt"])
def test_restart_storm(boot, level):
    """A VM that faults as soon as it starts restarts all the time: few lines, and its neighbour
    is as late as ever, to the instruction."""
    alone = boot("virt", BRIEF.format(board="virt"), machine.EXACT)
    figures(alone)
    quiet = figures(alone)
    alone.__exit__()

    m = boot("virt", CRASH.format(board="virt", level=level), machine.EXACT)
    figures(m)
    busy = figures(m)
    page = m.status()
    crash = page["vm"]["crash"]
    print(f"\n{crash['restarts']} restarts, witness alone {quiet[:3]}, beside them {busy[:3]}")
    assert crash["restarts"] > 500 and crash["faults"] >= crash["restarts"]
    lines = said_of(m, "crash")
    assert len([line for line in lines if "restarts (" in line]) <= storm_lines(
        m.status()["vm"]["crash"]["restarts"])
    report_check(m, "crash", ACTS["restart"], address=0x20000000)
    assert busy[:2] == quiet[:2] and busy[4:] == [0, 0]


@pytest.mark.parametrize("level", ["nrt", "hrt"])
def test_reset_storm(boot, board, level):
    """A VM of two vCPUs resets itself in a loop, whatever its second vCPU is doing."""
    m = boot(board, TWO_CORES.format(board=board, level=level, name="resetter", console="none"))
    counts = []
    while len(counts) < 3:
        alive(m)
        counts.append(m.status()["vm"]["resetter"]["restarts"])
    print(f"\n{board}, {level}: restarts {counts}")
    assert all(a < b for a, b in zip(counts, counts[1:])), f"it hangs: {counts}"
    assert counts[-1] > 50
    assert len(said_of(m, "resetter")) <= storm_lines(counts[-1] * 2)
    page = m.status()
    assert {vm["faults"] for vm in page["vm"].values()} == {0}
    assert page["vm"]["witness"]["restarts"] == 0


def life_do(m, key, timeout=60):
    """Types a key; the guest's answers up to its end mark."""
    start = len(m.screen.lines)
    m.send(key)
    m.wait_line("life", "^life: (done|up)$", timeout)
    lines = m.lines_of("life", start)
    assert not [line for line in lines if line.startswith("not ok")], lines
    return [line[3:] for line in lines if line.startswith("ok ")]


@pytest.mark.parametrize("level", ["nrt", "hrt"])
def test_life(boot, board, level):
    """A start finds nothing of an earlier life; PSCI, identification registers, PMU and debug
    registers are as they should be; a vCPU goes on and off a thousand times."""
    m = boot(board, TWO_CORES.format(board=board, level=level, name="life", console="pl011"))
    m.wait_line("life", "^life: up$")
    m.escape("2")
    m.wait_line("kizami", "console: life")
    assert not [line for line in m.lines_of("life") if line.startswith("not ok")]
    assert len(life_do(m, "p")) == 20
    assert ("a PMU" if level == "hrt" else "no PMU") in life_do(m, "d")
    assert life_do(m, "s", 120) == ["on and off"]
    for n in (1, 2, 3):
        assert len(life_do(m, "r")) == 4
        assert m.status()["vm"]["life"]["restarts"] == n
    assert len(life_do(m, "p")) == 20
    alive(m)
