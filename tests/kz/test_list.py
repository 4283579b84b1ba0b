# SPDX-License-Identifier: Apache-2.0
"""What there is: list, info, uptime, dmesg; and what is wrong with the device or the call."""

import os
import socket
import subprocess

import abi
import pytest
from conftest import KZ
from sim import MIB

VERBS = ["list", "create", "start", "pause", "unpause", "shutdown", "reboot", "destroy", "console",
         "info", "top", "trace", "dump", "dmesg", "uptime"]


def test_list(kz, sim):
    with sim.lock:
        sim.vm("linux").vcpus[0].executed = 61_500_000_000
        sim.vm("linux").vcpus[1].executed = 2_100_000_000
        sim.vm("servo").info.restarts = 3
        sim.vm("servo").info.reason = abi.REASON_WATCHDOG
        sim.vm("vision").info.state = abi.WAITING
    rows = kz.ok("list").rows
    assert rows["linux"] == ["linux", "0", "64", "2", "running", "63.6", "nrt", "0,1", "0", "-"]
    assert rows["vision"] == ["vision", "1", "4", "1", "waiting", "0.0", "srt", "1", "0", "-"]
    assert rows["servo"] == ["servo", "2", "4", "1", "running", "0.0", "hrt", "3", "3", "watchdog"]
    assert list(kz.ok("list", "servo").rows) == ["servo"]
    assert list(kz.ok("list", "2", "0").rows) == ["servo", "linux"]


@pytest.mark.parametrize("state, word", enumerate(
    ["none", "created", "stopped", "running", "paused", "stopping", "waiting", "clearing"]))
def test_states(kz, sim, state, word):
    sim.vm("servo").info.state = state
    assert kz.ok("list", "servo").rows["servo"][4] == word
    assert kz.ok("--json", "list", "servo").json[0]["state"] == word


@pytest.mark.parametrize("reason, word", enumerate(
    ["-", "off", "reset", "fault", "miss", "overrun", "watchdog", "stop", "restart", "destroy"]))
def test_reasons(kz, sim, reason, word):
    sim.vm("servo").info.reason = reason
    assert kz.ok("list", "servo").rows["servo"][9] == word


def test_list_json(kz, sim):
    with sim.lock:
        sim.vm("vision").vcpus[0].misses = 7
        sim.vm("vision").vcpus[0].exits[5] = 1 << 40
    vms = {vm["name"]: vm for vm in kz.ok("list", "--json").json}
    assert list(vms) == ["linux", "vision", "servo"]
    vision = vms["vision"]
    assert (vision["id"], vision["level"], vision["memory_bytes"]) == (1, "srt", 4 << 20)
    assert vision["vcpu"][0]["budget_ns"] == 2_000_000
    assert vision["vcpu"][0]["misses"] == 7
    assert vision["vcpu"][0]["exits"]["wfx"] == 1 << 40
    assert vision["cores"] == [1] and vms["linux"]["cores"] == [0, 1]
    assert vision["regions"] == [{"type": "ram", "guest_address": 0x40000000,
                                  "address": 0x40000000 + (192 << 20), "size_bytes": 4 << 20}]
    assert vision["console_attached_to"] is None


def test_long(kz, sim):
    sim.vm("servo").info.fault_address = 0xdead000
    sim.vm("servo").info.restart_time = 812_345
    for done in (kz.ok("list", "-l", "servo"), kz.ok("info", "servo")):
        lines = {line.split(":")[0].strip(): line.split(":", 1)[1].strip()
                 for line in done.out.splitlines()}
        assert lines["name"] == "servo" and lines["level"] == "hrt"
        assert lines["memory"] == "4 MiB"
        assert lines["fault_address"] == "0xdead000"
        assert lines["restart_time"] == "812.345 us"
    assert kz.ok("list", "--long").out.count("name ") == 3


def test_info(kz):
    machine = kz.ok("info", "--json").json
    assert (machine["board"], machine["cores"], machine["memory_bytes"]) == ("virt", 4, 2 << 30)
    assert machine["counter_hz"] == 10 ** 9 and machine["caller"] == 0
    assert 3600 < machine["uptime_ns"] / 1e9 < 4000
    # The image and what is below it, the trace of four cores, three VMs.
    used = 3 * MIB + 4 * 64 * 1024 + 4096 + (64 + 4 + 4) * MIB
    assert machine["memory_free_bytes"] == (2 << 30) - used
    assert machine["memory_free_largest_bytes"] == (2 << 30) - 204 * MIB
    text = kz.ok("info").out
    assert "board                   : virt\n" in text and "memory                  : 2 GiB" in text


def test_info_of_a_part(kz, sim):
    """Who may not see all VMs does not know what is free."""
    sim.rights[abi.R_LIST] = 0b011
    assert kz.ok("info", "--json").json["memory_free_bytes"] is None
    assert "memory_free             : -\n" in kz.ok("info").out


def test_uptime(kz, sim):
    sim.vm("vision").info.state = abi.STOPPED
    up = kz.ok("uptime", "--json").json
    vms = {vm["name"]: vm["uptime_ns"] for vm in up["vms"]}
    assert 3600 < up["machine_ns"] / 1e9 < 4000
    sim.vm("linux").info.stopped = sim.vm("linux").info.started + 1     # and is being loaded
    assert kz.ok("--json", "uptime", "linux").json["vms"][0]["uptime_ns"] == 0
    sim.vm("linux").info.stopped = 0
    assert vms["vision"] == 0 and 600 <= vms["servo"] / 1e9 < 1000
    lines = kz.ok("uptime").out.splitlines()
    assert lines[1].split()[:2] == ["(machine)", "-"] and "1 h 0 min" in lines[1]
    assert lines[3].split() == ["vision", "1", "-"]
    assert "10 min" in lines[4]
    assert len(kz.ok("uptime", "servo").out.splitlines()) == 3


def test_dmesg(kz, sim):
    sim.log = b"kizami: 4 cores\n" + b"x" * 9000 + b"\nend\n"
    assert kz.ok("dmesg").out.encode() == sim.log
    sim.log_dropped = 100
    assert kz.ok("dmesg").out.encode() == sim.log
    pieces = kz.ok("--json", "dmesg").out.splitlines()
    import json
    assert "".join(json.loads(p)["text"] for p in pieces).encode() == sim.log
    assert json.loads(pieces[0])["position"] == 100


def test_dmesg_json_of_any_bytes(kz, sim):
    sim.log = bytes(range(256))
    import json
    assert len(json.loads(kz.ok("--json", "dmesg").out)["text"]) == 256


def test_dmesg_watch(kz, sim):
    sim.log = b"one\n"
    process = kz.start("dmesg", "-w")
    assert process.stdout.readline() == b"one\n"
    sim.log += b"two\n"
    assert process.stdout.readline() == b"two\n"
    assert kz.finish(process).code == 0


# ---- What one may see ----

def test_rights(kz, sim):
    sim.rights[abi.R_LIST] = 0b100
    assert list(kz.ok("list").rows) == ["servo"]
    done = kz("list", "linux")
    assert done.code == 4 and "there is no vm 'linux'; there is servo (2)" in done.err
    sim.rights[abi.R_LIST] = 0
    done = kz("info")
    assert done.code == 1 and "has not the right" in done.err and "control" in done.err
    assert kz("dmesg").code == 1


def test_no_vm(kz):
    for verb in ("list", "info", "uptime", "start", "pause", "unpause", "shutdown", "reboot",
                 "destroy", "console"):
        done = kz(verb, "web")
        assert done.code == 4, verb
        assert done.err == (f"kz {verb}: there is no vm 'web'; there is linux (0), vision (1), "
                            "servo (2)\n")
    assert kz("dump", "web", "x").code == 4
    assert kz("list", "7").code == 4
    assert kz("list", "-1").code == 2


def test_name_before_number(kz, sim):
    sim.vm("vision").cfg.name = b"2"
    sim.vms[1].info.name = b"2"
    assert kz.ok("list", "2", "--json").json[0]["id"] == 1


# ---- The device ----

def run(*args, **kwargs):
    return subprocess.run([KZ, *args], capture_output=True, text=True, timeout=30, check=False,
                          **kwargs)


@pytest.mark.parametrize("verb", VERBS)
def test_device_missing(verb):
    done = run(verb)
    assert done.returncode == 1
    assert "not in a Kizami control VM: /dev/kizami is missing" in done.stderr
    assert done.stdout == ""


def test_device_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--device", tmp_path / "file", "list")
    assert done.returncode == 1 and "Inappropriate ioctl" in done.stderr
    left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    left.bind(str(tmp_path / "left"))
    left.close()
    done = run("--device", tmp_path / "left", "list")
    assert done.returncode == 1 and "nobody listens" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_device_denied(kz, sim):
    os.chmod(sim.path, 0o600)
    for folder in (kz.path, *kz.path.parents):
        if folder.owner() == "root" and "pytest" in str(folder):
            folder.chmod(0o755)
    binary = kz.path / "kz"
    binary.write_bytes(KZ.read_bytes())
    binary.chmod(0o755)
    done = subprocess.run([binary, "--device", sim.path, "list"], capture_output=True, text=True,
                          timeout=30, check=False, user=65534, group=65534, extra_groups=[])
    assert done.returncode == 1
    assert "Permission denied: it is root's" in done.stderr


def test_device_errors(kz, sim):
    import errno
    sim.errno[abi.INSPECT] = errno.ENOTTY
    done = kz("list")
    assert done.code == 1 and "of different versions" in done.err
    assert done.err.count("\n") == 1
    sim.errno[abi.INSPECT] = errno.EFAULT
    assert "Bad address" in kz("list").err
    sim.errno.clear()
    sim.cfg.version = 3
    assert "has version 3, kz knows 4" in kz("info").err
    sim.cfg.version = 4
    sim.fail[abi.INSPECT] = (-77, 0, 0)
    assert "says -77" in kz("list").err


# ---- The call ----

def test_usage(kz):
    for args, words in (((), "there is no verb"), (("lsit",), "there is no verb 'lsit'"),
                        (("list", "-x"), "unknown option -x"),
                        (("list", "--lnog"), "unknown option --lnog"),
                        (("list", "-w"), "it has no -w"), (("dmesg", "now"), "takes no words"),
                        (("pause",), "which VM?"), (("pause", "-w", "servo"), "it has no -w"),
                        (("pause", "--timeout", "x", "servo"), "--timeout is a time"),
                        (("pause", "--timeout"), "a value is missing for --timeout"),
                        (("top", "-d", "0"), "--delay is a time"),
                        (("top", "-n", "-1"), "--count is a number"),
                        (("top", "servo"), "takes no words"), (("console",), "of one VM"),
                        (("console", "--json", "servo"), "no JSON"),
                        (("create", "-c", "--json", "x"), "no JSON"), (("create",), "one file"),
                        (("trace",), "a file"), (("dump", "servo"), "a VM, and a file"),
                        (("--frob", "list"), "unknown option --frob")):
        done = kz(*args)
        assert done.code == 2, args
        assert words in done.err and done.out == "", args


def test_help():
    done = run("help")
    assert done.returncode == 0 and done.stderr == ""
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout
        more = run("help", verb)
        assert more.returncode == 0 and more.stdout.startswith(f"usage: kz {verb} "), verb
        assert run(verb, "--help").stdout == more.stdout
    assert run("--help").stdout == done.stdout
    assert run("help", "lsit").returncode == 2


def test_stdout_is_full(kz):
    for args in (("list",), ("--json", "list"), ("info",), ("uptime",)):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(kz.command(args), stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=30, check=False)
        assert done.returncode == 1 and "No space left" in done.stderr
