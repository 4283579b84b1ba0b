# SPDX-License-Identifier: Apache-2.0
"""From one state to another: start, pause, unpause, shutdown, reboot, destroy."""

import signal
import socket
import time

import abi
import pytest
import sim as simulator

WORDS = {abi.CREATED: "created", abi.STOPPED: "stopped", abi.RUNNING: "running",
         abi.PAUSED: "paused", abi.STOPPING: "stopping", abi.WAITING: "waiting",
         abi.CLEARING: "clearing"}


def put(sim, name, state):
    with sim.lock:
        vm = sim.vm(name)
        vm.info.state = state
        return vm


@pytest.mark.parametrize("verb, before, after", [
    ("start", abi.STOPPED, abi.RUNNING), ("start", abi.CREATED, abi.RUNNING),
    ("start", abi.WAITING, abi.RUNNING), ("pause", abi.RUNNING, abi.PAUSED),
    ("unpause", abi.PAUSED, abi.RUNNING), ("reboot", abi.RUNNING, abi.RUNNING),
    ("reboot", abi.PAUSED, abi.RUNNING)])
def test_verb(kz, sim, wait, verb, before, after):
    vm = put(sim, "servo", before)
    started = vm.info.started
    done = kz.ok("--json", verb, "servo")
    assert vm.info.state == after
    assert done.json == [{"id": 2, "name": "servo", "state": WORDS[after]}]
    if verb in ("start", "reboot"):
        wait(lambda: vm.info.started != started, "loaded")
    assert vm.info.started == started or verb in ("start", "reboot")
    assert vm.info.restarts == (verb == "reboot")
    vm = put(sim, "servo", before)
    assert kz.ok(verb, "2").out == ""


@pytest.mark.parametrize("verb, states", [
    ("start", {abi.CREATED, abi.STOPPED, abi.WAITING}), ("pause", {abi.RUNNING}),
    ("unpause", {abi.PAUSED}), ("shutdown", {abi.RUNNING}),
    ("reboot", {abi.RUNNING, abi.PAUSED})])
def test_wrong_state(kz, sim, verb, states):
    for state, word in WORDS.items():
        if state in states:
            continue
        vm = put(sim, "servo", state)
        done = kz(verb, "servo")
        assert done.code == 1 and vm.info.state == state, word
        assert f"vm servo is {word}: this is for a VM that is " in done.err
        if state == abi.PAUSED:
            assert "kz unpause lets it go on" in done.err


def test_pause_until_it_stands_still(kz, sim):
    """It is paused at once, but a core may take a while to leave it."""
    sim.delay, sim.lags = 0.3, True
    vm = sim.vm("servo")
    kz.ok("pause", "servo")
    assert vm.is_still()
    kz.ok("unpause", "servo")
    with sim.lock:
        vm.pause(True)
    kz.ok("unpause", "servo")
    assert vm.info.state == abi.RUNNING


@pytest.mark.parametrize("words", [("pause", "linux"), ("destroy", "0"), ("dump", "linux", "core")])
def test_not_itself(kz, sim, words):
    """Nobody would be left to let it go on."""
    done = kz(*words)
    assert done.code == 1 and "vm linux is the one that kz runs in" in done.err
    assert sim.vm("linux").info.state == abi.RUNNING and not (kz.path / "core").exists()


def test_never_still(kz, sim, wait):
    sim.delay, sim.lags = 60, True
    done = kz("pause", "--timeout", "0.2", "servo")
    assert done.code == 3 and "vm servo does not stand still yet" in done.err
    done = kz("unpause", "--timeout", "0.2", "servo")
    assert done.code == 3 and "vm servo is still on its way to stand still" in done.err
    for verb in ("unpause", "pause"):
        sim.calls.clear()
        process = kz.start(verb, "servo")
        wait(lambda: len([f for f, _ in sim.calls if f == abi.INSPECT]) > 12, "looks")
        assert kz.finish(process, signal.SIGINT).code == 130
        sim.vm("servo").info.state = abi.RUNNING


def test_shutdown(kz, sim):
    sim.delay = 0.3
    vm = sim.vm("servo")
    kz.ok("shutdown", "servo")
    assert vm.info.state == abi.RUNNING
    time.sleep(0.5)
    assert vm.info.state == abi.STOPPED
    put(sim, "servo", abi.RUNNING)
    assert kz.ok("shutdown", "-w", "servo", "--json").json[0]["state"] == "stopped"
    assert vm.info.reason == abi.REASON_OFF


def test_shutdown_deaf(kz, sim):
    vm = sim.vm("servo")
    vm.listens = False
    done = kz("shutdown", "servo")
    assert done.code == 1
    assert "vm servo does not listen for it: it is not up yet" in done.err
    assert "kz shutdown --force stops it" in done.err
    kz.ok("shutdown", "--force", "servo")
    assert (vm.info.state, vm.info.reason) == (abi.STOPPED, abi.REASON_STOP)


def test_timeout(kz, sim):
    sim.vm("servo").obeys = False
    begin = time.monotonic()
    done = kz("shutdown", "-w", "--timeout", "0.3", "servo")
    assert done.code == 3 and 0.3 <= time.monotonic() - begin < 10
    assert "vm servo is still running: that takes longer than --timeout" in done.err


def test_interrupt(kz, sim, wait):
    sim.vm("servo").obeys = False
    process = kz.start("shutdown", "-w", "servo")
    wait(lambda: (abi.CONTROL, [2, abi.SHUTDOWN, 0, 0]) in sim.calls)
    assert kz.finish(process, signal.SIGINT).code == 130


def test_waits_by_events(kz, sim):
    """Looks only when something has changed: no busy waiting."""
    sim.delay = 1
    kz.ok("shutdown", "-w", "servo")
    looks = sum(f == abi.INSPECT and x[:2] == [abi.I_VM, 2] for f, x in sim.calls)
    assert looks <= 5


def test_start_fails(kz, sim):
    vm = put(sim, "servo", abi.STOPPED)
    vm.starts = False
    done = kz("start", "servo")
    assert done.code == 1 and "vm servo is stopped now (fault)" in done.err
    put(sim, "servo", abi.RUNNING)
    done = kz("reboot", "servo")
    assert done.code == 1 and "vm servo is stopped now (fault)" in done.err


def test_reboot_is_not_over_before_it_began(kz, sim):
    sim.delay, sim.lazy = 0.3, True
    kz.ok("reboot", "servo")
    assert sim.vm("servo").info.restarts == 1


def test_destroy(kz, sim):
    for state in WORDS:
        if state != abi.CLEARING and "servo" in sim.names():
            put(sim, "servo", state)
            kz.ok("destroy", "servo")
            assert sim.names() == ["linux", "vision"]
            sim.add(simulator.config("servo", 0x50000000), abi.RUNNING)
    assert kz.ok("destroy", "--json", "servo", "vision").json == [
        {"id": 2, "name": "servo", "state": "none"}, {"id": 1, "name": "vision", "state": "none"}]
    assert sim.names() == ["linux"]


def test_destroy_with_a_right_over_it_only(kz, sim):
    """The right goes with the VM."""
    sim.delay, sim.rights = 0.3, [0b100] * 6
    assert kz.ok("destroy", "--json", "servo").json == [{"id": 2, "name": "servo", "state": "none"}]


def test_destroyed_meanwhile(kz, sim):
    """While somebody waits for it to stop."""
    sim.delay = 0.3
    vm = sim.vm("servo")
    vm.obeys = False
    process = kz.start("shutdown", "-w", "servo")
    while (abi.CONTROL, [2, abi.SHUTDOWN, 0, 0]) not in sim.calls:
        time.sleep(0.01)
    with sim.lock:
        sim.clear(vm, 2)
    done = kz.finish(process, None)
    assert done.code == 4 and "vm servo was destroyed meanwhile" in done.err


def test_place_taken_anew(kz, sim):
    """Destroyed, and the place is another's before we look."""
    def clear(vm, place):
        sim.vms[place] = None
        sim.add(simulator.config("other", 0x50000000), abi.RUNNING)
        sim.notify()
    sim.clear = clear
    kz.ok("destroy", "servo")
    assert sim.names() == ["linux", "vision", "other"]


def test_several(kz, sim):
    done = kz("pause", "servo", "web", "vision")
    assert done.code == 4
    assert sim.vm("servo").info.state == sim.vm("vision").info.state == abi.PAUSED


@pytest.mark.parametrize("verb, right", [
    ("pause", abi.R_RUN), ("reboot", abi.R_RESTART), ("destroy", abi.R_CREATE),
    ("shutdown", abi.R_RUN)])
def test_rights(kz, sim, verb, right):
    sim.rights[right] = 0b010
    done = kz(verb, "servo")
    assert done.code == 1 and "of vm servo: this VM has not the right to" in done.err
    assert sim.vm("servo").info.state == abi.RUNNING
    kz.ok(verb, "vision")


def test_device_goes_away(kz, sim, wait):
    sim.vm("servo").obeys = False
    process = kz.start("shutdown", "-w", "servo")
    wait(lambda: (abi.CONTROL, [2, abi.SHUTDOWN, 0, 0]) in sim.calls)
    wait(lambda: sim.events, "somebody listens")
    with sim.lock:
        for event in sim.events:
            event.shutdown(socket.SHUT_RDWR)
    done = kz.finish(process, None)
    assert done.code == 1 and str(sim.path) in done.err
