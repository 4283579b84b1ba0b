# SPDX-License-Identifier: Apache-2.0
"""The virt machine without a hypervisor: its device tree, a node added, and Linux's shell."""

import gzip
import shutil
import subprocess

import machine

LINUX = machine.ROOT / "build/linux"
LOGS = machine.ROOT / "build/test/linux"
QEMU = "qemu-system-aarch64"

# Memory that the kernel has not: the trace, of which QEMU's loader writes the magic number.
TRACE = 0x4f000000
TRACE_SIZE = 0x10000
TRACE_MAGIC = 0x52545a4b

NODE = {"compatible": ("s", "kizami,hypervisor-1", "kizami,hypervisor"),
        "interrupts": ("i", 1, 20 - 16, 1)}
CONTROL = {**NODE, "kizami,control": ()}
TRACED = {**CONTROL, "reg": ("x", 0, f"{TRACE:x}", 0, f"{TRACE_SIZE:x}"),
          "reg-names": ("s", "trace")}


def options(cpus):
    """The machine; 256 MiB."""
    return ["-cpu", "cortex-a53", "-smp", str(cpus), "-m", "256M", "-nodefaults"]


def put(dtb, path, properties):
    """Writes a node; a property is a type of fdtput's, and values."""
    subprocess.run(["fdtput", "-c", dtb, path], check=True)
    for name, value in properties.items():
        kind = ["-t", value[0]] if value else []
        subprocess.run(["fdtput", *kind, dtb, path, name, *map(str, value[1:])], check=True)


def tree(folder, node, cpus):
    """The machine's tree with a node /hypervisor."""
    dtb = folder / "virt.dtb"
    subprocess.run([QEMU, "-M", f"virt,gic-version=3,dumpdtb={dtb}", *options(cpus),
                    "-display", "none"], check=True, capture_output=True)
    put(dtb, "/reserved-memory", {"#address-cells": ("i", 2), "#size-cells": ("i", 2),
                                  "ranges": ()})
    put(dtb, f"/reserved-memory/trace@{TRACE:x}", {**{"reg": TRACED["reg"]}, "no-map": ()})
    put(dtb, "/hypervisor", node)
    return dtb


def initrd(folder, base, files):
    """An initramfs with files behind it: {path there: file here}."""
    root = folder / "root"
    for path, file in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / path)
    root.mkdir(exist_ok=True)
    names = "".join(f"{p.relative_to(root)}\n" for p in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True,
                             input=names.encode(), capture_output=True).stdout
    out = folder / "initrd.gz"
    out.write_bytes(base.read_bytes() + gzip.compress(archive))
    return out


def boot(folder, name, node=None, files=None, cpus=2):
    """Boots to the shell; the console is nobody's but Linux's: its VM is None."""
    command = ["/usr/bin/timeout", "600", QEMU, "-M", "virt,gic-version=3", *options(cpus),
               "-display", "none",
               "-serial", "mon:stdio", "-no-reboot", "-kernel", LINUX / "Image",
               "-initrd", initrd(folder, LINUX / "initrd.gz", files or {}),
               "-append", "console=ttyAMA0 quiet panic=-1"]
    if node is not None:
        command += ["-dtb", tree(folder, node, cpus),
                    "-device", f"loader,addr={TRACE:#x},data={TRACE_MAGIC:#x},data-len=4"]
    m = machine.Machine(command, LOGS / f"{name}.log")
    assert m.wait_linux(None) == cpus
    return m


def insmod(m, path="/lib/kizami.ko"):
    """Loads a module; its exit status, and what the kernel said of it."""
    m.shell("dmesg -c >/dev/null", None)
    said = m.shell(f"insmod {path}; echo status $?", None)
    log = m.shell("dmesg", None, log=True)
    return int(said[-1].removeprefix("status ")), log
