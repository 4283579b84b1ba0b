# SPDX-License-Identifier: Apache-2.0
"""A hostile guest beside three that would notice: nothing outside it changes."""

import re
import struct
import time

import pytest

import blob
import covered
import machine
import memory

HV_ELF = covered.ELF if covered.is_on() else machine.ROOT / "build/arm64/kizami.elf"
# The core behind a busy one is late in its turn when QEMU emulates all of them on one thread:
# so the hostile guest has the last core.
CONF = """board = {board}
vm witness {{ level = nrt  cpus = {{0}}  memory = 2M  image = "../../guests/witness.bin" }}
vm guard   {{ level = hrt  cpus = {{1}}  memory = 2M  image = "../../guests/witness.bin"
             console = ring }}
vm servo   {{ level = hrt  cpus = {{2}}  memory = 2M  image = "../../guests/servo.bin"
             console = ring }}
vm hostile {{ level = {level}  cpus = {{3}}  memory = 2M  image = "../../guests/hostile.bin" }}
"""
OTHERS = ("witness", "guard", "servo")
WITNESS = (r"^witness: min (?P<min>\d+) median (?P<median>\d+) max (?P<max>\d+) "
           r"checked (?P<checked>\d+) changed (?P<changed>\d+) strays (?P<strays>\d+)$")
PHASES = {"CPU_SUSPEND": 64, "memory of the board": 2_000_000,
          "memory of the whole space": 40_000, "fetches from devices": 4,
          "cache maintenance": 100_000, "calls": 20_000, "SGIs": 16_000, "debug exceptions": 2,
          "illegal returns": 28, "privileged and undefined words": 5_000,
          "state and hints": 1_000, "system instructions": 65_000,
          "system register reads": 32_000, "system register writes": 98_000,
          "registers of the interrupt controller": 30_000}


def code_size():
    """Bytes of the hypervisor's text and read-only data, from the start of the image."""
    elf = HV_ELF.read_bytes()
    phoff, phentsize, phnum = (struct.unpack_from("<Q", elf, 32)[0],
                               *struct.unpack_from("<HH", elf, 54))
    for i in range(phnum):
        kind, flags, _, _, paddr = struct.unpack_from("<IIQQQ", elf, phoff + i * phentsize)
        if kind == 1 and flags & 2:
            return paddr
    raise AssertionError("the hypervisor has no writable segment")


def constant_spans(image):
    """{name: (pa, size)} of what nobody may ever write: code, blob, images, other VMs' code."""
    b = blob.Blob(image)
    pa = b["image_pa"]
    spans = {"hypervisor": (pa, code_size()),
             "blob and images": (pa + b.at, b["image_size"] - b.at)}
    for name in OTHERS:
        vm = b.vm_of(name)
        region, load = b.region(vm, 0), b.load(vm, 0)
        # The last, partial page of the guests' images is their data.
        spans[name] = (region["pa"] + load["ipa"] - region["ipa"],
                       load["size"] & ~(blob.PAGE - 1))
    return spans


def figures(lines, pattern):
    """The numbers in those of the lines that match."""
    matches = [re.match(pattern, line) for line in lines]
    return [{k: int(v) for k, v in m.groupdict().items()} for m in matches if m]


def wait_quiet(m, count):
    """Figures of the three others, of so many more reports each."""
    start = len(m.screen.lines)
    patterns = {"witness": WITNESS, "guard": WITNESS, "servo": machine.SERVO}

    def ready():
        now = {vm: figures(m.lines_of(vm, start), p) for vm, p in patterns.items()}
        return now if min(map(len, now.values())) >= count else None

    return m.wait(f"{count} reports of the others", ready, 240)


def check_phases(m, start):
    """Waits for the end of the attack; {phase: (tried, faulted)}."""
    m.wait("end of the attack",
           lambda: "hostile: all done" in m.lines_of("hostile", start) or None, 150)
    found = {}
    for line in m.lines_of("hostile", start):
        match = re.match(r"(not ok|ok) (.*): (\d+) tried, (\d+) faulted$", line)
        if match:
            assert match.group(1) == "ok", line
            found[match.group(2)] = (int(match.group(3)), int(match.group(4)))
    return found


def check_others(before, during, after):
    """Memory and interrupts of the others are what they were, and no latency is worse. QEMU's
    cores take turns: an interrupt is late by what another core had begun, also when all is
    quiet, and how often depends on how long the hostile guest's loop is that waits."""
    for vm in ("witness", "guard"):
        quiet = min(before[vm], key=lambda r: r["max"])
        for r in before[vm] + during[vm] + after[vm]:
            assert r["changed"] == 0, f"{vm}'s memory changed: {r}"
            assert r["strays"] == 0, f"{vm} got a foreign interrupt: {r}"
        for r in during[vm] + after[vm]:
            # The minimum says no more where no turn is in the way: it is the median there.
            assert r["median"] <= quiet["median"], f"{vm}: {r}"
        assert min(r["max"] for r in after[vm]) <= quiet["max"]
        assert after[vm][-1]["checked"] > before[vm][-1]["checked"]
    quiet = min(before["servo"], key=lambda r: r["max"])
    for r in during["servo"] + after["servo"]:
        assert (r["min"], r["p99"], r["missed"]) == (quiet["min"], quiet["p99"], 0), r
    assert min(r["max"] for r in after["servo"]) <= quiet["max"]


@pytest.mark.parametrize("board,level", [
    ("virt", "nrt"), ("virt", "hrt"), ("virt-gicv2", "nrt"), ("virt-gicv2", "hrt"),
    ("zcu102", "nrt")])
def test_hostile(boot, board, level):
    """Everything that EL1 can try, from both kinds of core."""
    seen = memory.Memory(machine.LOGS / f"hostile-{board}-{level}.qmp")
    m = boot(board, CONF.format(board=board, level=level),
             [*machine.EXACT, *seen.arguments()])
    spans = constant_spans(m.log.with_suffix(".img"))
    before = wait_quiet(m, 2)
    digests = seen.digests(spans)
    m.escape("4")
    m.wait_line("kizami", "console: hostile")

    start, began = len(m.screen.lines), time.monotonic()
    m.send("g")
    phases = check_phases(m, start)
    took = time.monotonic() - began
    during = {"witness": figures(m.lines_of("witness", start), WITNESS),
              "guard": figures(m.lines_of("guard", start), WITNESS),
              "servo": figures(m.lines_of("servo", start), machine.SERVO)}
    after = wait_quiet(m, 3)

    print(f"\n{board}, hostile at {level.upper()}, {took:.0f} s")
    for name, (tried, faulted) in phases.items():
        print(f"  {name}: {tried} tried, {faulted} faulted")
    for vm in OTHERS:
        print(f"  {vm}: before {before[vm][-1]}, after {after[vm][-1]}")
    for name, least in PHASES.items():
        assert phases[name][0] >= least, f"{name}: {phases.get(name)}"
    check_others(before, during, after)
    assert seen.digests(spans) == digests

    page = m.status()
    assert {vm["state"] for vm in page["vm"].values()} == {"running"}
    assert {vm["restarts"] for vm in page["vm"].values()} == {0}
    faults = {name: vm["faults"] for name, vm in page["vm"].items()}
    tried = sum(phases[name][0] for name in PHASES if name.startswith("memory"))
    assert faults.pop("hostile") >= tried
    assert set(faults.values()) == {0}
    for name in ("guard", "servo"):
        assert sum(page["exits"][f"{name}:0"].values()) < 100
    said = [line for line in m.lines_of("kizami") if line.startswith("hostile: ")]
    assert len(said) == 2, said
    assert "vCPU 0 at pc 0x" in said[0] and "look it up: kzc whatis" in said[1]
