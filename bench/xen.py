# SPDX-License-Identifier: Apache-2.0
"""Xen, to compare with: Debian's package, the guest as dom0less domU, its vCPU on its own core."""

import subprocess

import machine

FOLDER = machine.OUT / "xen"
IMAGE = machine.ROOT / "build/debian/xen"
MODULE = 0x4c000000
STEP = 0x1000000


def version():
    """Of the package, which scripts/setup has unpacked."""
    return (machine.ROOT / "build/debian/xen.version").read_text(encoding="ascii").strip()


def domain(index, vcpus, cmdline):
    """The node of a domU."""
    at = MODULE + index * STEP
    size = machine.GUEST.stat().st_size
    return (f'domU{index} {{ compatible = "xen,domain"; #address-cells = <2>; #size-cells = <2>; '
            f'memory = <0 0x8000>; cpus = <{vcpus}>; vpl011; '
            f'module@{at:x} {{ compatible = "multiboot,kernel", "multiboot,module"; '
            f'reg = <0 {at:#x} 0 {size:#x}>; bootargs = "{cmdline}"; }}; }};\n')


def command(name, cores, domains, options=""):
    """QEMU's command line: domains are (vCPUs, command line), on cores in their order."""
    qemu = machine.qemu("virt", cores, options=("virtualization=on",))
    base = FOLDER / f"{name}.dtb"
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([word if not word.startswith("virt,") else f"{word},dumpdtb={base}"
                    for word in qemu], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", base], check=True,
                            capture_output=True, text=True).stdout
    source += ("/ { chosen { #address-cells = <2>; #size-cells = <2>; xen,xen-bootargs = "
               f'"console=dtuart dtuart=/pl011@9000000 guest_loglvl=all {options}";\n')
    source += "".join(domain(i, vcpus, line) for i, (vcpus, line) in enumerate(domains))
    source += "}; };\n"
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", base, "-"], check=True,
                   input=source, text=True)
    loaders = []
    for i in range(len(domains)):
        loaders += ["-device", f"loader,file={machine.GUEST},addr={MODULE + i * STEP:#x},"
                    "force-raw=on"]
    return [*qemu, "-kernel", IMAGE, "-dtb", base, *loaders]
