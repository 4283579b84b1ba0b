# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel as a guest, beside all the others of the demo of each board. To boot it takes
longest: the tests of a board share a machine, in which nothing is left of one but restarts."""

import re
import subprocess

import pytest

import machine

pytestmark = pytest.mark.xdist_group("clock")
DEMO = machine.ROOT / "demo"
VCPUS = 2
OTHERS = ("hello", "servo", "linux2", "pulse", "plain")
COMPLAINTS = ("Unable to handle", "Call trace:", "detected stall", "Internal error",
              "nobody cared", "soft lockup")


def complaints(m, name):
    """The lines in which its kernel says that something went wrong."""
    return [line for line in m.lines_of(name) if any(word in line for word in COMPLAINTS)]


class Kept:
    """The board's demo, as long as it is of use."""

    def __init__(self, board):
        self.board = board
        self.m = None
        self.boots = 0

    def take(self):
        """Linux's shell has the keyboard; what was printed before is gone past."""
        if self.m is None:
            self.boots += 1
            name = f"linux-{self.board}-{self.boots}"
            image = machine.image_build(DEMO / f"{self.board}.conf", name)
            self.m = machine.board_boot(self.board, image, name)
            assert self.m.wait_linux() == VCPUS
        self.m.seen = len(self.m.screen.lines)
        self.m.send("\r")
        self.m.wait_prompt()
        return self.m

    def end(self):
        """The next test boots it anew."""
        if self.m is not None:
            self.m.__exit__()
        self.m = None


@pytest.fixture(scope="module", params=machine.BOARDS, name="kept")
def kept_demo(request):
    """Each built-in board's in turn."""
    kept = Kept(request.param)
    yield kept
    kept.end()


@pytest.fixture(name="demo")
def demo_with_shell(request, kept):
    """A machine at Linux's prompt: not one that a test failed in or switched off."""
    failed = request.session.testsfailed
    m = kept.take()
    yield m
    if request.session.testsfailed != failed or m.child.closed:
        kept.end()


@pytest.fixture(name="board")
def board_of_demo(kept):
    """Its board."""
    return kept.board


def restarts(m):
    """Of each VM."""
    return {name: vm["restarts"] for name, vm in m.status()["vm"].items()}


def hello_count(m, timeout=30):
    """The number in hello's next line."""
    return int(m.wait_line("hello", r"^hello (\d+)$", timeout).group(1))


def others_alive(m):
    """hello, servo and the two soft real-time guests print, and hello did not start afresh."""
    first = hello_count(m)
    m.wait_line("servo", r"^servo: \d+ loops")
    m.wait_line("pulse", r"^pulse: \d+ jobs")
    m.wait_line("plain", r"^plain: \d+ jobs")
    second = hello_count(m)
    assert 0 < second - first < 60, f"hello went from {first} to {second}"
    return second


def interrupt_counts(m):
    """/proc/interrupts: {name: counts of each CPU}."""
    table = {}
    for line in m.shell("cat /proc/interrupts")[1:]:
        word = line.split()
        counts = []
        for w in word[1:]:
            if not w.isdigit():
                break
            counts.append(int(w))
        table[word[-1] if word[0][0].isdigit() else word[0]] = counts
    return table


def test_shell(demo):
    """The shell on two CPUs, a clock that runs, interrupts that arrive at both."""
    m = demo
    assert m.shell("nproc") == [str(VCPUS)]
    assert m.shell("cat /sys/devices/system/cpu/online") == ["0-1"]
    mem = int(m.shell("grep MemTotal /proc/meminfo")[0].split()[1])
    assert 400 * 1024 < mem <= 512 * 1024

    before = interrupt_counts(m)
    start = int(m.shell("date +%s")[0])
    m.shell("sleep 3")
    took = int(m.shell("date +%s")[0]) - start
    after = interrupt_counts(m)
    assert 3 <= took <= 60, f"sleep 3 took {took} s on the guest's clock"
    assert start > 1577836800, "the wall clock was never set"
    for cpu in range(VCPUS):
        assert after["arch_timer"][cpu] > before["arch_timer"][cpu], f"no timer on CPU {cpu}"
        assert after["IPI0:"][cpu] + after["IPI1:"][cpu] > 0, f"no IPI on CPU {cpu}"
    assert after["uart-pl011"][0] > before["uart-pl011"][0], "the console works without interrupts"
    assert after["Err:"] == [0]
    # An interrupt storm would show as a count far above what the time allows.
    assert sum(after["arch_timer"]) - sum(before["arch_timer"]) < 2 * 1000 * (took + 60)

    assert not complaints(m, "linux")
    faults = m.status()["vm"]
    assert {vm["faults"] for vm in faults.values()} == {0}


def test_hotplug(demo):
    """The second CPU is unplugged and plugged again, several times; the others go on."""
    m = demo
    m.shell("cd /sys/devices/system/cpu")
    for _ in range(3):
        m.shell("echo 0 >cpu1/online")
        assert m.shell("nproc") == ["1"]
        first, second = m.status(), m.status()
        assert machine.exits_between(first, second, "linux:1") == {}
        assert {page["core"][1]["owner"] for page in (first, second)} <= {"linux2:0", "-"}
        m.shell("echo 1 >cpu1/online")
        assert m.shell("nproc") == ["2"]
        assert sum(machine.exits_between(second, m.status(), "linux:1").values()) > 0
    assert m.shell("cd; taskset 2 sh -c 'echo I run'") == ["I run"]
    others_alive(m)


def test_reboot(demo):
    """reboot restarts Linux alone, as often as one likes."""
    m = demo
    before, count = restarts(m), others_alive(m)
    for n in (1, 2):
        m.send("reboot\r")
        assert m.wait_linux() == VCPUS
        assert restarts(m) == {**before, "linux": before["linux"] + n}
        uptime = float(m.shell("cat /proc/uptime")[0].split()[0])
        assert uptime < 240
    assert others_alive(m) > count


def test_console(demo, board):
    """The escape key moves the keyboard between VMs, and prints the status page."""
    m, start = demo, len(demo.screen.lines)
    m.escape("h")
    m.wait_line(machine.HV, r"(?i)next VM", 20)

    page = m.status()
    assert re.match(rf"status: board {board}, GICv[23], 4 cores, 6 VMs", page["machine"])
    assert page["core"][0]["owner"] in ("linux:0", "pulse:0", "plain:0", "-")
    assert page["core"][1]["owner"] in ("linux:1", "linux2:0", "-")
    assert page["core"][2]["owner"] in ("hello:0", "-") and page["core"][3]["owner"] == "servo:0"
    assert {name: vm["cores"] for name, vm in page["vm"].items()} == {
        "linux": [0, 1], "hello": [2], "servo": [3], "linux2": [1], "pulse": [0], "plain": [0]}
    assert {name: vm["level"] for name, vm in page["vm"].items()} == {
        "linux": "nrt", "hello": "nrt", "servo": "hrt", "linux2": "nrt", "pulse": "srt",
        "plain": "srt"}
    assert {vm["state"] for vm in page["vm"].values()} == {"running"}

    # servo prints its histogram for an h; Linux must not get that h.
    m.escape("3")
    m.send("h")
    m.wait_line("servo", r"^servo: within \d+ ticks", 30)
    m.escape("1")
    assert m.shell("echo back") == ["back"]
    m.escape("n")       # hello, which does not read
    m.send("echo lost\r")
    for _ in range(5):  # servo, linux2, pulse, plain, and around to linux
        m.escape("n")
    assert m.shell("echo here") == ["here"]
    assert not any("lost" in line for line in m.lines_of("linux", start))


def test_output(demo):
    """Nothing that Linux prints is lost or torn, however much it is."""
    text = demo.shell("seq -s . 1 300")
    assert "".join(text) == ".".join(map(str, range(1, 301)))
    assert demo.shell("seq 1 2000", timeout=240) == [str(n) for n in range(1, 2001)]


def test_two(demo):
    """The second Linux has a shell of its own, one CPU, less memory; both know what they were not
    given; one that is rebooted does not disturb the other."""
    m = demo
    before = restarts(m)
    m.escape("4")
    m.wait_line("kizami", "console: linux2")
    m.send("\r")
    m.wait_prompt("linux2")
    assert m.shell("nproc", "linux2") == ["1"]
    mem = int(m.shell("grep MemTotal /proc/meminfo", "linux2")[0].split()[1])
    assert 150 * 1024 < mem <= 256 * 1024
    m.send("reboot\r")
    assert m.wait_linux("linux2") == 1
    m.escape("1")
    m.wait_line("kizami", "console: linux ")
    assert m.shell("nproc") == [str(VCPUS)]
    assert restarts(m) == {**before, "linux2": before["linux2"] + 1}
    for name in ("linux", "linux2"):
        assert not complaints(m, name)


def test_poweroff(demo):
    """poweroff stops Linux alone, and leaves its cores to the others; the escape key switches off
    the machine."""
    m = demo
    count = others_alive(m)
    m.send("poweroff\r")
    m.wait_line("linux", "reboot: Power down", 60)

    def stopped():
        # The core that says so on the console turns to another vCPU only then.
        page = m.status()
        owners = [core["owner"] for core in page["core"].values()]
        if page["vm"]["linux"]["state"] != "stopped" or "linux:0" in owners:
            return None
        return page

    page = m.wait("stop of linux", stopped, 60)
    assert page["core"][0]["owner"] in ("pulse:0", "plain:0", "-")
    assert page["core"][1]["owner"] in ("linux2:0", "-")
    assert {page["vm"][name]["state"] for name in OTHERS} == {"running"}
    assert others_alive(m) > count
    later = m.status()
    assert later["exits"]["linux:0"] == page["exits"]["linux:0"]
    assert later["exits"]["linux:1"] == page["exits"]["linux:1"]

    m.escape("x")
    assert m.wait_end(30) == 0


WATCHED = """board = virt
vm linux {{ level = nrt  cpus = {{0}}  memory = 256M  restart = on-failure
	image = "../../linux/Image"  ramdisk = "{ramdisk}"
	cmdline = "console=ttyAMA0 quiet panic=-1"
	watchdog {{ device = true  armed = false  timeout = 4s }} }}
"""


def watched_ramdisk():
    """The initramfs with the kernel package's own driver of the SBSA's watchdog."""
    folder, out = machine.LOGS / "watched.d", machine.LOGS / "watched.gz"
    build = machine.ROOT / "build"
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    (folder / "lib/sbsa_gwdt.ko").write_bytes((build / "debian/sbsa_gwdt.ko").read_bytes())
    subprocess.run([machine.ROOT / "scripts/initrd", build / "debian/busybox",
                    machine.ROOT / "guests/linux/init", out, build / "linux/initrd.d", folder],
                   check=True)
    return out


def test_watchdog(boot):
    """Linux's own driver serves its watchdog; once nobody does, Linux is restarted."""
    m = boot("virt", WATCHED.format(ramdisk=watched_ramdisk()))
    m.wait_linux()
    of = "/sys/class/watchdog/watchdog0"
    said = m.shell(f"insmod /lib/sbsa_gwdt.ko; cd {of}; cat identity timeout state")
    assert said[-3:] == ["SBSA Generic Watchdog", "4", "inactive"]
    assert m.shell("watchdog -t 1 -T 4 /dev/watchdog; sleep 6; cat state")[-1] == "active"
    vm = m.status()["vm"]["linux"]
    assert (vm["state"], vm["restarts"]) == ("running", 0)
    m.send("killall -9 watchdog\r")
    m.wait_line("kizami", "^linux: its watchdog was not served in time$")
    m.wait_line("kizami", r"^linux: restarts \(1\)$")
    m.wait_linux()
    assert m.status()["vm"]["linux"]["restarts"] == 1
