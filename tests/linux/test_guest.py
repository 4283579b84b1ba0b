# SPDX-License-Identifier: Apache-2.0
"""kizami.ko in guests of Kizami's: one with all rights, one with none."""

import machine
import plain
import pytest

GUESTS = machine.ROOT / "build/guests"
CONF = """board = {board}
vm linux {{ level = nrt  cpus = {{0, 1}}  memory = 256M  image = "{linux}/Image"
	ramdisk = "{ramdisk}"  cmdline = "console=ttyAMA0 quiet panic=-1"  control = true }}
vm servo {{ level = nrt  cpus = {{2}}  memory = 2M  image = "{guests}/hello.bin" }}
vm other {{ level = nrt  cpus = {{3}}  memory = 256M  image = "{linux}/Image"
	ramdisk = "{linux}/initrd.gz"  cmdline = "console=ttyAMA0 quiet panic=-1" }}
"""


@pytest.fixture
def boot_guests(request, tmp_path):
    """boot_guests(files={}, board="virt"): the three VMs, with files in linux's initramfs."""
    running = []

    def start(files=None, board="virt"):
        name = f"linux-{request.node.originalname}-{board}"
        have = {"bin/try": plain.LINUX / "tests/bin/try", **(files or {})}
        ramdisk = plain.initrd(tmp_path, plain.LINUX / "control.gz", have)
        image = machine.image_build(CONF.format(board=board, linux=plain.LINUX, guests=GUESTS,
                                                ramdisk=ramdisk), name)
        running.append(machine.board_boot(board, image, name))
        m = running[-1]
        assert m.wait_linux() == 2
        return m

    yield start
    for m in running:
        m.__exit__()


def names(m):
    """The VMs that have folders."""
    return m.shell("ls -d /proc/kizami/*/ | xargs -n 1 basename | sort")


@pytest.mark.parametrize("board", machine.BOARDS)
def test_control(boot_guests, board):
    """All of the device and of /proc, with the hypervisor itself."""
    m = boot_guests(board=board)
    assert f"board            {board}" in m.shell("cat /proc/kizami/machine")
    assert [line.split()[:4] for line in m.shell("cat /proc/kizami/vms")] == [
        ["name", "state", "level", "cores"], ["linux", "running", "nrt", "0,1"],
        ["servo", "running", "nrt", "2"], ["other", "running", "nrt", "3"]]
    assert names(m) == ["linux", "other", "servo"]
    for file in ("info", "vcpus", "config"):
        assert len(m.shell(f"cat /proc/kizami/servo/{file}")) >= 7
    checks = "machine bounds functions verbs events trace threads".split()
    assert m.shell(f"try {' '.join(checks)}") == [f"ok {name}" for name in checks]
    m.shell("echo 0 >/sys/devices/system/cpu/cpu0/online")
    assert m.shell("try events") == ["ok events"]
    m.shell("echo 1 >/sys/devices/system/cpu/cpu0/online")
    assert m.shell("rmmod kizami && insmod /lib/kizami.ko; try events") == ["ok events"]
    assert m.shell("dmesg | grep -E 'BUG|WARNING|Call trace|Unable|no events'",
                   log=True) == []


def test_come_and_go(boot_guests):
    """A VM's folder goes with it; one that is asked to switches itself off; who reboots is told
    of events again."""
    m = boot_guests()
    m.shell("try destroy 1")
    assert m.shell("sleep 2; ls /proc/kizami | grep servo") == []
    # The other one must be up to be asked.
    m.escape("3")
    m.send("\r")
    m.wait_prompt("other")
    m.escape("1")
    assert m.shell("try shutdown 2; echo $?") == ["0"]
    m.wait_line("other", "The system is going down", 60)
    assert m.shell("for i in $(seq 60); do grep -q '^state *stopped' /proc/kizami/other/info && "
                   "break; sleep 1; done; grep -E '^(state|reason)' /proc/kizami/other/info") == [
        "state            stopped", "reason           off"]
    m.send("reboot\r")
    assert m.wait_linux() == 2
    assert names(m) == ["linux", "other"]


def test_asked_early(boot_guests):
    """Whoever takes a request to shut down does it, however early in its boot that came."""
    m = boot_guests()
    for _ in range(2):
        m.shell("kz reboot other || kz start other")
        m.shell("until kz shutdown other 2>/dev/null; do :; done", timeout=120)
        m.wait_line("kizami", "^other: stopped", 30)


def test_other_hypervisor(boot_guests, kbuild):
    """Who answers with another UID is not Kizami."""
    module, _ = kbuild({"call.c": [("{ 0x1c5b2a9d,", "{ 0x1c5b2a9e,")]})
    m = boot_guests({"lib/wrong.ko": module})
    m.shell("rmmod kizami; dmesg -c >/dev/null")
    assert m.shell("insmod /lib/wrong.ko 2>/dev/null; echo $?") != ["0"]
    assert any("the hypervisor is not Kizami: UID 1c5b2a9d 384c4f7e" in line
               for line in m.shell("dmesg", log=True))
    assert m.shell("cat /proc/modules") == []
