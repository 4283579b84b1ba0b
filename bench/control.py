# SPDX-License-Identifier: Apache-2.0
"""Verbs on other VMs, revocation, and restarts: a guest with rights, and a plugin that counts."""

import subprocess

import kizami
import machine
import rows

GUEST = machine.ROOT / "build/guests/control.bin"
ELF = machine.ROOT / "build/guests/obj/control.elf"
PLUGIN = machine.ROOT / "build/host/calls.so"
CORES = 4
IPA = 0x40000000                # where the guest is, as it has it
TARGET = 0x60000000             # and the other one
LOG_BYTES = 512                 # that are read at once
MARKS = ("begin", "done", "settled")
# Of a call that is watched until its VM is stopped (tools/plugins/calls.c).
WATCHED = ("all", "caller", "target", "taken")
NUMBERED = {row[:-len(part)] if row.endswith(part) else row
            for row, _ in rows.CONTROL for part in (*(f"_{w}" for w in WATCHED), "")}


def vm(name, level, cpu, mode, memory, more):
    """The configuration of a VM with the guest. What it has may be the target's later."""
    return (f"vm {name} {{\n\t{kizami.KEYS[level]}\n\tcpus = {{{cpu}}}\n\tmemory = {memory}\n"
            f'\timage = "{GUEST}"\n\tcmdline = "{mode}"\n\t{more}\n}}\n')


def symbols(elf):
    """{name: address} of a program."""
    nm = subprocess.run(["aarch64-linux-gnu-nm", elf], check=True, capture_output=True,
                        text=True).stdout
    return {line.split()[-1]: int(line.split()[0], 16) for line in nm.splitlines()}


def plugin(out):
    """The plugin's option."""
    at = symbols(ELF)
    marks = [f"{name}={IPA + at['control_' + name]:x}" for name in (*MARKS, "value")]
    length = at["target_end"] - at["target_begin"]
    return ",".join([str(PLUGIN), f"out={out}", *marks, f"target={TARGET:x}:{TARGET + length:x}",
                     f"hv={kizami.TEXT:x}:{kizami.TEXT + 0x1000000:x}"])


def figure(values):
    """As the measuring guest reports them."""
    values = sorted(values)
    n = len(values)
    return {"n": n, "min": values[0], "p50": values[n // 2], "p99": values[n * 99 // 100],
            "max": values[-1]}


def collect(out, names):
    """{row: figure} of what the plugin wrote; names: number -> row."""
    samples = {}
    for line in out.read_text(encoding="ascii").splitlines():
        what, about, *values = line.split()
        row, values = names[int(about)], [int(value) for value in values]
        if what == "s":
            for part, value in zip(WATCHED, values):
                samples.setdefault(f"{row}_{part}", []).append(value)
        else:
            samples.setdefault(row, []).append(values[0])
    return {row: figure(values) for row, values in samples.items()}


def run(name, board, *vms):
    """What the plugin counts in the machine with these VMs, and what its guest says."""
    out = machine.OUT / f"{name}.calls"
    command = machine.qemu(board, CORES, options=("virtualization=on",))
    image = kizami.image(name, kizami.config(board, CORES, *vms))
    out.unlink(missing_ok=True)
    said = machine.parse(machine.run(name, [*command, "-kernel", image, "-plugin", plugin(out)]))
    names = {of["p50"]: row for row, of in said.items() if row in NUMBERED}
    figures = collect(out, names)
    if said["frequency"]["p50"] != 1000000000 or not figures:
        raise machine.Failed(f"{name}: nothing was counted, or not ns: {said}")
    if said["refused"]["p50"] != 0:
        raise machine.Failed(f"{name}: {names.get(said['refused']['p50'])} was refused")
    return figures, said


def managed(board, level):
    """Verbs on a VM of this level, its restarts; on an HRT one, how soon it is stopped."""
    figures, said = run(f"{board}-{level}-control", board,
                        vm("bench", "nrt", 0, f"mode={level}", "2M", "control = true"),
                        vm("target", level, 1, "mode=idle", "24M", "console = pl011"))
    if level == "nrt" and said["log_bytes"]["p50"] != LOG_BYTES:
        raise machine.Failed(f"{board}: the log has {said['log_bytes']['p50']} bytes")
    small, large, loaded = (figures[row]["p50"] for row in ("back", "back_16", "back_load"))
    zero = (large - small) // 14
    figures["zero_mib"] = {"p50": zero}
    figures["load_mib"] = {"p50": zero + loaded - large}
    for row in ("most_vms", "most_irqs"):
        if row in said:
            figures[row] = said[row]
    return figures


def own(board, level):
    """Calls that any VM makes of itself, one of this level."""
    figures, _ = run(f"{board}-{level}-own", board,
                     vm("other", "nrt", 0, "mode=idle", "2M", ""),
                     vm("bench", level, 1, "mode=own", "2M", ""))
    return figures


def jobs(boards):
    """(board, level, function, arguments) of all that is run."""
    for board in boards:
        for level in ("nrt", "srt", "hrt"):
            yield board, level, managed, (board, level)
            yield board, level, own, (board, level)
