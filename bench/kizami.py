# SPDX-License-Identifier: Apache-2.0
"""Kizami's own machines: what is run on each board at each level, and the boot's phases."""

import subprocess

import machine

BOARDS = ("virt", "virt-gicv2", "zcu102")
LEVELS = ("nrt", "srt", "hrt", "direct")
# A server that the measurement does not use up: what it costs is measured, not that it ends.
SERVER = "realtime {\n\t\tbudget = 10s\n\t\tperiod = 11s\n\t}"
KEYS = {
    "nrt": "level = nrt",
    "srt": f"level = srt\n\t{SERVER}",
    "hrt": "level = hrt",
    "direct": "level = hrt\n\tsgi = direct",
}
DISTURBERS = ("hog", "traps", "chat")
# Where QEMU puts an Image: above the base of RAM, where its own first instructions are.
RAM = {"virt": 0x40000000, "virt-gicv2": 0x40000000, "zcu102": 0}
TEXT = 0x7fc0000000


def vm(name, keys, cpus, mode):
    """The configuration of a VM with the measuring guest."""
    return (f"vm {name} {{\n\t{keys}\n\tcpus = {{{cpus}}}\n\tmemory = 2M\n"
            f'\timage = "{machine.GUEST}"\n\tcmdline = "mode={mode}"\n}}\n')


def config(board, cores, *vms):
    """A whole configuration."""
    ram = "" if board == "zcu102" else "ram = 512M\n"
    return f"board = {board}\ncores = {cores}\n{ram}" + "".join(vms)


def image(name, text):
    """Builds the configuration's image, build/bench/NAME.img."""
    machine.OUT.mkdir(parents=True, exist_ok=True)
    conf, out = machine.OUT / f"{name}.conf", machine.OUT / f"{name}.img"
    conf.write_text(text, encoding="utf-8")
    done = subprocess.run([machine.KZC, "build", conf, "-o", out], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise machine.Failed(f"kzc build {conf}:\n{done.stdout}{done.stderr}")
    return out


def measure(name, board, cores, text, until="done"):
    """What the guest says in the machine with this configuration."""
    command = machine.qemu(board, cores, options=("virtualization=on",))
    return machine.figures_of(name, [*command, "-kernel", image(name, text)], until)


def alone(board, level):
    """One VM, one core."""
    return measure(f"{board}-{level}-alone", board, 1,
                   config(board, 1, vm("bench", KEYS[level], "0", "alone")))


def pair(board, level):
    """One VM with two cores; what it has in common with the one core is not taken twice."""
    figures = measure(f"{board}-{level}-pair", board, 2,
                      config(board, 2, vm("bench", KEYS[level], "0, 1", "pair")))
    return {row: figures[row] for row in ("cpu_on", "ipi", "ipi_back", "ipi_round")
            if row in figures}


def shared(board, mode):
    """Two NRT VMs that give each other their core."""
    text = config(board, 1, *(vm(name, KEYS["nrt"], "0", mode) for name in ("bench", "other")))
    figures = measure(f"{board}-{mode}", board, 1, text,
                      "yield_round" if mode == "yield" else "fp_use")
    rows = ("yield_round",) if mode == "yield" else ("fp_round", "fp_use")
    return {row: figures[row] for row in rows}


def disturbed(board, level, disturber, where):
    """The timer out of WFI, beside another VM on the same core, or on another one."""
    cores = 1 if where == "same" else 2
    other = vm("other", KEYS["nrt"], str(cores - 1), disturber)
    name = f"{board}-{level}-{disturber}-{where}"
    figures = measure(name, board, cores,
                      config(board, cores, vm("bench", KEYS[level], "0", "sleep"), other))
    return {f"{disturber}_{where}": figures["timer_wfi"]}


def symbol(name):
    """The address of a function of the hypervisor."""
    nm = subprocess.run(["aarch64-linux-gnu-nm", machine.ROOT / "build/arm64/kizami.elf"],
                        check=True, capture_output=True, text=True).stdout
    for line in nm.splitlines():
        word = line.split()
        if word[-1] == name:
            return int(word[0], 16)
    raise machine.Failed(f"the hypervisor has no {name}")


def phases(board):
    """Instructions from reset to the hypervisor's entry, to its first with the MMU on, and to
    where all VMs are built and the first one is chosen."""
    name = f"{board}-boot"
    built = symbol("hv_secondary")
    ram = RAM[board] + 0x100000
    ranges = ((ram, ram + 0x8000000), (TEXT, TEXT + 0x1000000), (built, built + 4))
    out = machine.OUT / f"{name}.marks"
    out.unlink(missing_ok=True)
    marks = machine.ROOT / "build/host/marks.so"
    plugin = f"{marks},out={out}," + ",".join(f"at={low:x}:{high:x}" for low, high in ranges)
    command = machine.qemu(board, 1, options=("virtualization=on",))
    path = image(name, config(board, 1, vm("bench", KEYS["nrt"], "0", "alone")))
    machine.run(name, [*command, "-kernel", path, "-plugin", plugin], "boot")
    counts = [int(word) for word in out.read_text(encoding="ascii").split()]
    return {row: {"p50": count}
            for row, count in zip(("boot_entry", "boot_mmu", "boot_built"), counts)}


def jobs(boards):
    """(board, level, function, arguments) of all that is run."""
    for board in boards:
        for level in LEVELS:
            if level == "direct" and board != "virt":
                continue
            yield board, level, alone, (board, level)
            yield board, level, pair, (board, level)
            if level == "nrt":
                yield board, level, phases, (board,)
                yield board, level, shared, (board, "yield")
                yield board, level, shared, (board, "fp")
            if level == "direct":
                continue
            for disturber in DISTURBERS:
                yield board, level, disturbed, (board, level, disturber, "other")
                if level != "hrt":
                    yield board, level, disturbed, (board, level, disturber, "same")
