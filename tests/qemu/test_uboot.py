# SPDX-License-Identifier: Apache-2.0
"""The image through U-Boot, as on a real board: loaded somewhere, started by booti."""

import pytest

import machine

pytestmark = pytest.mark.xdist_group("clock")
UBOOT = machine.ROOT / "build/debian/u-boot.bin"
LOADED_AT = 0x50000000


def test_booti():
    """U-Boot on QEMU's virt takes the image for a kernel; the demo comes up."""
    image = machine.image_build(machine.ROOT / "demo/virt.conf", "uboot")
    command = ["qemu-system-aarch64", "-M", "virt,gic-version=3,virtualization=on", "-cpu",
               "cortex-a53", "-smp", "4", "-m", "2G", "-nic", "none", "-display", "none", "-serial",
               "mon:stdio", "-no-reboot", "-bios", UBOOT, "-device",
               f"loader,file={image},addr={LOADED_AT:#x},force-raw=on"]
    with machine.Machine(command, machine.LOGS / "uboot.log") as m:
        m.wait("U-Boot", lambda: "autoboot" in m.screen.current()[1], 60)
        m.send("\r")
        m.wait("prompt", lambda: m.screen.current()[1] == "=> ", 60)
        m.send(f"booti {LOADED_AT:#x} - ${{fdtcontroladdr}}\r")
        m.wait_line(None, r"Moving Image from 0x50000000 to 0x40200000", 30)
        m.wait_line(machine.HV, r"board virt, GICv3, 6 VMs", 30)
        assert m.wait_linux() == 2
        assert m.status()["vm"]["servo"]["state"] == "running"
