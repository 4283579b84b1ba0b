# SPDX-License-Identifier: Apache-2.0
"""What Kizami is compared with: the same guest on the bare machine and under other hypervisors."""

import kvm
import machine
import xen

MINUTES = 60


def bare(board, cores, mode):
    """The guest at EL1, without a hypervisor."""
    command = machine.qemu(board, cores)
    if board == "zcu102":
        command += ["-dtb", machine.ROOT / "build/boards/zcu102.dtb"]
    name = f"{board}-bare-{mode}"
    figures = machine.figures_of(name, [*command, "-kernel", machine.GUEST, "-append",
                                        f"mode={mode}"])
    for row in ("boot_virtual", *(("boot",) if mode == "pair" else ())):
        figures.pop(row, None)
    return figures


def xen_run(name, cores, domains, until="done", rename=None):
    """The guest as domU."""
    command = xen.command(name, cores, domains)
    figures = machine.figures_of(f"xen-{name}", command, until, 30 * MINUTES)
    if rename is not None:
        return {rename: figures["timer_wfi"]}
    if name != "alone":
        figures.pop("boot")
    figures.pop("boot_virtual")
    return figures


def kvm_run(name, cores, guests, rename=None):
    """The guest under KVM."""
    figures = machine.figures_of(f"kvm-{name}", kvm.command(name, cores, guests), "done",
                                 10 * MINUTES)
    if rename is not None:
        return {rename: figures["timer_wfi"]}
    if name != "alone":
        figures.pop("boot")
    figures.pop("boot_virtual")
    return figures


def jobs():
    """(machine, system, function, arguments) of all that is run."""
    for board in ("virt", "virt-gicv2", "zcu102"):
        yield board, "bare", bare, (board, 1, "alone")
        yield board, "bare", bare, (board, 2, "pair")
    one = "xen=1 mode="
    yield "virt", "xen", xen_run, ("alone", 1, [(1, one + "alone")])
    yield "virt", "xen", xen_run, ("pair", 2, [(2, one + "pair")])
    yield "virt", "xen", xen_run, ("yield", 1, [(1, one + "yield")] * 2, "yield_round")
    yield "virt", "xen", xen_run, ("fp", 1, [(1, one + "fp")] * 2, "fp_use")
    for disturber in ("hog", "traps", "chat"):
        for where, cores in (("other", 2), ("same", 1)):
            yield "virt", "xen", xen_run, (
                f"{disturber}-{where}", cores, [(1, one + "sleep"), (1, one + disturber)],
                "done", f"{disturber}_{where}")
            yield "virt", "kvm", kvm_run, (
                f"{disturber}-{where}", cores, [(1, 0, "sleep"), (1, cores - 1, disturber)],
                f"{disturber}_{where}")
    yield "virt", "kvm", kvm_run, ("alone", 1, [(1, 0, "alone")])
    yield "virt", "kvm", kvm_run, ("pair", 2, [(2, 0, "pair")])


def prepare():
    """Builds what the peers take; returns their versions."""
    kvm.build()
    return {"xen": xen.version(), "kvm": kvm.version()}
