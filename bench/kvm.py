# SPDX-License-Identifier: Apache-2.0
"""KVM, to compare with: of Debian's arm64 kernel, with a small VMM as its only process.

The kernel is what scripts/setup unpacks; QEMU's machine has virtualization, so that the kernel
starts at EL2 and KVM works as on a board. VMs are pinned: their first vCPU to a core each.
"""

import re
import subprocess

import machine

FOLDER = machine.OUT / "kvm"
KERNEL = machine.ROOT / "build/debian/Image"
VMM = machine.ROOT / "bench/kvm/vmm.c"
# Nothing of the kernel's that changes from run to run.
CMDLINE = "console=ttyAMA0 quiet loglevel=1 nokaslr panic=-1 rdinit=/init"

TREE = """\
/dts-v1/;
/ {{ #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>;
 chosen {{ bootargs = "mode={mode}"; }};
 memory@40000000 {{ device_type = "memory"; reg = <0 0x40000000 0 0x1000000>; }};
 psci {{ compatible = "arm,psci-1.0", "arm,psci-0.2"; method = "hvc"; }};
 timer {{ compatible = "arm,armv8-timer"; interrupts = <1 13 4>, <1 14 4>, <1 11 4>, <1 10 4>; }};
 gic: intc@8000000 {{ compatible = "arm,gic-v3"; interrupt-controller; #interrupt-cells = <3>;
  reg = <0 0x08000000 0 0x10000>, <0 0x080a0000 0 0x40000>; }};
 uart@9000000 {{ compatible = "arm,pl011"; reg = <0 0x09000000 0 0x1000>; }};
}};
"""


def version():
    """Of the kernel."""
    text = KERNEL.read_bytes()
    found = re.search(rb"Linux version (\S+) .*?(#\d+ [^\0\n]*)", text)
    return found[1].decode("ascii") + " " + found[2].decode("ascii") if found else "of Debian"


def build():
    """The VMM."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run(["aarch64-linux-gnu-gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                    "-static", "-o", FOLDER / "init", VMM, "-pthread"], check=True)


def command(name, cores, guests):
    """QEMU's command line: guests are (vCPUs, first core, mode)."""
    root = FOLDER / name
    root.mkdir(parents=True, exist_ok=True)
    (root / "dev").mkdir(exist_ok=True)
    (root / "init").write_bytes((FOLDER / "init").read_bytes())
    (root / "init").chmod(0o755)
    (root / "bench.bin").write_bytes(machine.GUEST.read_bytes())
    words = ""
    for i, (vcpus, core, mode) in enumerate(guests):
        subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", root / f"guest{i}.dtb", "-"],
                       input=TREE.format(mode=mode), text=True, check=True)
        words += f" vcpus{i}={vcpus} core{i}={core}"
    files = "\n".join(sorted(str(p.relative_to(root)) for p in root.rglob("*")))
    initrd = FOLDER / f"{name}.cpio"
    initrd.write_bytes(subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet", "--reproducible"], cwd=root, check=True,
        input=files.encode("ascii"), capture_output=True).stdout)
    return [*machine.qemu("virt", cores, "1024", ("virtualization=on", "dtb-randomness=off")),
            "-rtc", "base=2026-01-01,clock=vm", "-kernel", KERNEL, "-initrd", initrd,
            "-append", CMDLINE + words]
