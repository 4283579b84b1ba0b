# SPDX-License-Identifier: Apache-2.0
"""kizami.ko where there is no Kizami, and with one that is played (fake.c)."""

import re

import plain

TESTS = plain.LINUX / "tests"
FILES = {"lib/kizami_fake.ko": TESTS / "lib/kizami_fake.ko", "bin/try": TESTS / "bin/try"}


def started(boot_plain, node, **words):
    """The fake's module, loaded."""
    m = boot_plain(node=node, files=FILES, **words)
    status, log = plain.insmod(m, "/lib/kizami_fake.ko")
    assert status == 0, log
    return m


def sh(m, command, **words):
    """A command in the only shell."""
    return m.shell(command, None, **words)


def table(lines):
    """A file of lines "key  value": {key: [value...]}."""
    found = {}
    for line in lines:
        key, value = re.match(r"(.{16}) (.*)$", line).groups()
        found.setdefault(key.strip(), []).append(value)
    return found


def complaints(m):
    """What the kernel found wrong."""
    return sh(m, "dmesg | grep -E 'BUG|WARNING|Call trace|Unable|scheduling while'", log=True)


def test_no_warning(kbuild):
    """The module builds without a word of the compiler's, the linker's and modpost's."""
    module, said = kbuild(args=["W=1"])
    assert said == "" and module.exists()


def test_no_node(boot_plain):
    """Without the node it refuses, and says so."""
    m = boot_plain()
    status, log = plain.insmod(m)
    assert status != 0
    assert any("device tree has no node kizami,hypervisor-1" in line for line in log)
    assert sh(m, "cat /proc/modules") == []
    assert sh(m, "ls /dev/kizami /proc/kizami 2>/dev/null") == []


def test_no_hypervisor(boot_plain):
    """With the node, but nobody who answers; init has tried it, too."""
    m = boot_plain(node=plain.NODE)
    said = sh(m, "dmesg | grep kizami", log=True)
    assert any("not called by HVC" in line for line in said)
    status, log = plain.insmod(m)
    assert status != 0
    assert any("not called by HVC: there is no hypervisor" in line for line in log)
    assert sh(m, "cat /proc/modules") == [] and complaints(m) == []


def test_no_interrupt(boot_plain):
    """A node that cannot be used is an error of insmod's, and leaves nothing behind."""
    node = {"compatible": plain.NODE["compatible"]}
    m = boot_plain(node=node, files=FILES)
    status, log = plain.insmod(m, "/lib/kizami_fake.ko")
    assert status != 0
    assert any("cannot be used: error" in line for line in log)
    assert sh(m, "cat /proc/modules; ls /sys/bus/platform/drivers | grep kizami") == []


def test_plain_guest(boot_plain):
    """A VM without rights has the interrupt and nothing else; rmmod and insmod come again."""
    m = started(boot_plain, plain.NODE)
    assert sh(m, "ls /dev/kizami /proc/kizami 2>/dev/null") == []
    for _ in range(3):
        assert len(sh(m, "grep kizami /proc/interrupts")) == 1
        assert sh(m, "rmmod kizami; echo $?") == ["0"]
        assert sh(m, "grep kizami /proc/interrupts") == []
        assert sh(m, "insmod /lib/kizami_fake.ko; echo $?") == ["0"]
    assert complaints(m) == []


def test_device(boot_plain):
    """/dev/kizami: calls, bounds, events, the trace, threads."""
    m = started(boot_plain, plain.TRACED)
    assert sh(m, "ls -l /dev/kizami")[0].startswith("crw------- ")
    names = "machine rights bounds functions verbs events console trace threads".split()
    assert sh(m, f"try {' '.join(names)}") == [f"ok {name}" for name in names]
    # Who has it open keeps the module.
    assert sh(m, "rmmod kizami 3</dev/kizami; echo $?")[-1] == "1"
    assert sh(m, "rmmod kizami; echo $?") == ["0"]
    assert sh(m, "ls /dev/kizami /proc/kizami 2>/dev/null") == []
    assert complaints(m) == []


def test_no_trace(boot_plain):
    """Without the trace there is nothing to map."""
    m = started(boot_plain, plain.CONTROL)
    assert sh(m, "try no_trace") == ["ok no_trace"]


def test_proc(boot_plain):
    """What /proc/kizami says of the machine and its VMs."""
    m = started(boot_plain, plain.CONTROL)
    found = table(sh(m, "cat /proc/kizami/machine"))
    assert found["board"] == ["fake"] and found["ram"] == ["0x40000000, 2097152 KiB"]
    assert found["hypervisor"] == ["30000 bytes"]
    assert [line.split() for line in sh(m, "cat /proc/kizami/vms")] == [
        "name state level cores memory restarts failures faults reason".split(),
        "linux running nrt 0,1 2048K 3 0 1 none".split(),
        "servo running hrt 3 2048K 3 0 1 none".split()]
    assert sh(m, "ls /proc/kizami") == ["linux    machine  servo    vms"]
    found = table(sh(m, "cat /proc/kizami/servo/info"))
    assert found["name"] == ["servo"] and found["state"] == ["running"]
    assert found["last fault"] == ["0xdead000, pc 0x0"]
    blocks = "\n".join(sh(m, "cat /proc/kizami/linux/vcpus")).split("\n\n")
    assert [table(block.split("\n"))["core"] for block in blocks] == [["0"], ["1"]]
    found = table(sh(m, "cat /proc/kizami/servo/vcpus"))
    assert found["executed"] == ["1.234567890 s"] and " wfx 55 " in found["exits"][0]
    assert found["jobs"] == ["0, missed 4, late 0, overrun 0"]
    found = table(sh(m, "cat /proc/kizami/servo/config"))
    assert found["server"] == ["1000000 / 10000000 / 9000000 ns, on miss count, on overrun count"]
    assert found["region"] == ["ram at 0x40000000, physical 0x51000000, 2048 KiB"]
    assert found["interrupt"] == ["33, level"]
    assert table(sh(m, "cat /proc/kizami/linux/config"))["right list"] == ["VMs 0xff"]
    assert complaints(m) == []


def test_folders(boot_plain):
    """Folders come and go as VMs do; names that are taken are no obstacle."""
    m = started(boot_plain, plain.CONTROL)
    assert sh(m, "try create new") == ["place 3"]
    assert sh(m, "sleep 1; cat /proc/kizami/new/info | head -n 3") == [
        "name             new", "place            3", "state            created"]
    assert sh(m, "try create machine; try create new; sleep 1") == ["place 4", "place 5"]
    assert sh(m, "ls -d /proc/kizami/*/ | xargs -n 1 basename | sort") == [
        "linux", "machine.4", "new", "new.5", "servo"]
    # Whoever reads there when a VM goes gets an error, and the folder is gone.
    assert sh(m, "cd /proc/kizami/new; try destroy 3; sleep 1; cat info 2>&1") == [
        "cat: can't open 'info': No such file or directory"]
    sh(m, "cd /")
    assert sh(m, "try destroy 4; try destroy 5; try destroy 1; sleep 1") == []
    assert sh(m, "ls /proc/kizami") == ["linux    machine  vms"]
    assert sh(m, "try create servo; sleep 1; cat /proc/kizami/servo/info | sed -n 3p") == [
        "place 1", "state            created"]
    assert complaints(m) == []


def test_folders_race(boot_plain):
    """VMs come and go while others read there."""
    m = started(boot_plain, plain.CONTROL)
    sh(m, "reader() { while :; do cat /proc/kizami/*/* /proc/kizami/vms; done; }; "
          "reader >/dev/null 2>&1 & reader >/dev/null 2>&1 & :")
    sh(m, "for i in $(seq 60); do try create new >/dev/null; try destroy 3; done", timeout=120)
    sh(m, "kill %1 %2; sleep 1")
    assert sh(m, "ls /proc/kizami") == ["linux    machine  servo    vms"]
    assert sh(m, "rmmod kizami; echo $?") == ["0"]
    assert complaints(m) == []


def interrupts(m):
    """How many of the hypervisor's came, on all CPUs together."""
    words = sh(m, "grep kizami /proc/interrupts")[0].split()[1:]
    return sum(int(w) for w in words[:words.index("GICv3")])


def test_hotplug(boot_plain):
    """The CPU that listens goes off: another one does; all but one go, and come again."""
    m = started(boot_plain, plain.CONTROL, cpus=3)
    for gone in ("0", "1", "2"):
        sh(m, f"cd /sys/devices/system/cpu; echo 0 >cpu{gone}/online")
        before = interrupts(m)
        assert sh(m, "try events") == ["ok events"]
        assert interrupts(m) == before + 2
        sh(m, f"echo 1 >cpu{gone}/online")
    sh(m, "echo 0 >cpu0/online; echo 0 >cpu1/online")
    assert sh(m, "try events; cat online") == ["ok events", "2"]
    sh(m, "echo 1 >cpu0/online")
    assert sh(m, "rmmod kizami; echo $?") == ["0"]
    assert complaints(m) == []


def test_shutdown(boot_plain):
    """Who is asked to switches itself off in order."""
    m = started(boot_plain, plain.CONTROL)
    m.send("try shutdown 0\r")
    m.wait_line(None, "The system is going down", 60)
    assert m.wait_end(60) == 0
    assert not any("forcing the issue" in line for line in m.lines_of(None))
