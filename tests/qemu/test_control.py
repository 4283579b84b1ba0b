# SPDX-License-Identifier: Apache-2.0
"""VMs that another VM creates, pauses, watches and destroys, by the calls of control.h."""

import struct

import pytest

import blob
import control as c
import machine

pytestmark = pytest.mark.xdist_group("clock")
G = c.GUESTS
WITNESS = f'vm witness {{ level = nrt  cpus = {{1}}  memory = 2M  image = "{G}/witness.bin" }}\n'
TICKER = f'image = "{G}/ticker.bin"  cmdline = "period=20ms {{}}"'
BUSY, SLEEP = TICKER.format(""), TICKER.format("sleep")
PLANS = {
    "alone": f"vm alone {{ level = nrt  cpus = {{2}}  memory = 2M  {SLEEP} }}",
    "beside": f"vm beside {{ level = nrt  cpus = {{0}}  memory = 2M  {SLEEP} }}",
    "soft": f"""vm soft {{ level = srt  cpus = {{0}}  memory = 2M  {SLEEP}
	realtime {{ budget = 2ms  period = 10ms }} }}""",
    "hard": f"vm hard {{ level = hrt  cpus = {{3}}  memory = 2M  {BUSY}  console = ring }}",
    "asleep": f"vm asleep {{ level = hrt  cpus = {{2}}  memory = 2M  {SLEEP}  console = ring }}",
}


def goes_on(w, vm, count=6):
    """Waits until it has counted on."""
    before = len(w.m.lines_of(vm))
    w.m.wait(f"more of {vm}", lambda: len(w.m.lines_of(vm)) >= before + count, 30)


def is_quiet(w, vm, seconds=0.2):
    """Does it not count in that time?"""
    before = len(w.m.lines_of(vm))
    w.m.run(seconds)
    return len(w.m.lines_of(vm)) == before


def memory_is_zero(w, plan):
    """All that the plan's VM had reads as zero from outside."""
    regions = [plan.region(i) for i in range(plan.vm["region_count"])]
    spans = {f"{r['pa']:#x}": (r["pa"], r["size"]) for r in regions if r["type"] != 1}
    for name, data in w.memory.read(spans).items():
        assert not any(data), f"memory at {name} was not scrubbed"


ONES = 0x0101010101010101


def registers_check(w, vm):
    """A ticker that is paused where it holds its patterns has them; it is paused until it is."""
    for _ in range(50):
        error, data = w.inspect(c.REGISTERS, vm)
        assert error == 0
        x = struct.unpack_from("<33Q", data)
        v = struct.unpack_from("<64Q", data, 8 * 52)
        assert 0 < x[31] - 0x40000000 < 0x10000 and x[32] & 0xf == 5, "EL1h, in its text"
        if x[2] == ONES and x[28] == 28 * ONES:
            break
        assert w.control(vm, c.RESUME) == 0
        w.m.run(0.05)
        assert w.control(vm, c.PAUSE) == 0
        w.m.run(0.05)
    assert [x[n] for n in range(19, 29)] == [n * ONES for n in range(19, 29)]
    assert [v[2 * n] for n in range(8, 16)] == [n * ONES for n in range(8, 16)]


def life(w, name):
    """Created, started, paused, resumed, reset, stopped, started, destroyed."""
    up = "ticker: first "
    vm = w.create(name, start=False)
    info = w.info(vm)
    assert (info["state"], info["name"], info["started"]) == (c.CREATED, name, 0)
    assert is_quiet(w, name)
    w.says(name, up, c.START, vm)
    goes_on(w, name)
    assert w.control(vm, c.PAUSE) == 0
    w.m.run(0.2)
    assert is_quiet(w, name) and w.info(vm)["state"] == c.PAUSED
    assert w.vcpu(vm)["sched"] == 5
    assert w.control(vm, c.PAUSE) == w.control(vm, c.START) == c.EBUSY
    registers_check(w, vm)
    error, _, _ = w.call(c.READ, vm, 0x40000000, w.buffer, 4096)
    kernel = (c.GUESTS / "ticker.bin").read_bytes()[:4096]
    assert error == 0 and w.bytes(w.buffer, 4096)[:len(kernel)] == kernel
    assert w.control(vm, c.RESUME) == 0
    goes_on(w, name)
    assert w.inspect(c.REGISTERS, vm)[0] == c.EBUSY
    w.says(name, up, c.RESET, vm)
    info = w.info(vm)
    assert (info["restarts"], info["reason"], info["failures"]) == (1, c.REASON_RESTART, 0)
    assert info["started"] - info["stopped"] == info["restart_time"] > 0
    assert w.control(vm, c.STOP) == 0
    assert w.until(vm, c.STOPPED)["reason"] == c.REASON_STOP
    assert w.inspect(c.REGISTERS, vm)[0] == 0
    w.says(name, up, c.START, vm)
    assert w.control(vm, c.PAUSE) == 0
    w.m.run(0.2)
    w.destroy(vm)
    assert w.info(vm) is None and is_quiet(w, name)
    memory_is_zero(w, w.plans[name])
    assert not [line for line in w.m.lines_of(name) if "damaged" in line]
    return vm


@pytest.mark.parametrize("board", machine.BOARDS)
def test_life(board):
    """On a free core, beside others, with a server, on a core of its own; the others go on."""
    with c.boot(board, f"life-{board}", WITNESS, PLANS) as w:
        assert [life(w, name) for name in PLANS] == [2] * len(PLANS)
        # As many as have a core at once; the first free place is the first to be taken again.
        together = [name for name in PLANS if name != "asleep"]
        places = [w.create(name) for name in together]
        assert places == [2, 3, 4, 5]
        assert w.register("asleep") == (c.EINVAL, c.BLOB_CPU_TWICE, 0)
        for name in together:
            goes_on(w, name)
        w.destroy(3)
        assert w.create("beside") == 3
        goes_on(w, "beside")
        for place in places:
            w.destroy(place)
        strays = [line for line in w.m.lines_of("witness")[1:]
                  if not line.endswith("changed 0 strays 0")]
        assert not strays
        goes_on(w, "witness", 1)
        page = w.m.status()
        assert page["core"][2]["owner"] == page["core"][3]["owner"] == "-"
        assert [w.info(vm)["name"] for vm in (0, 1)] == ["warden", "witness"]


def test_refused(board="virt"):
    """What is wrong is refused in the order of control.h, and changes nothing."""
    plans = {name: c.Plan(PLANS[name], f"refused-{name}", board) for name in ("alone", "soft")}
    greedy = c.Plan(PLANS["soft"], "refused-greedy", board)
    greedy.name("greedy")
    greedy.vm["budget_ns"] = 9_500_000
    odd = {"rights": ("rights", b"\xff" * 8), "tables": ("store_tables", 1),
           "entry": ("entry", 0x10), "name": ("name", b"witness".ljust(16, b"\0")),
           "cpu": ("cpu0", 7)}
    for key, (field, value) in odd.items():
        plans[key] = c.Plan(PLANS["alone"], f"refused-{key}", board)
        plans[key].vm[field] = value
    with c.boot(board, "refused", WITNESS, {**plans, "greedy": greedy}) as w:
        before = [w.info(vm) for vm in range(2)], w.info(2)
        for key in odd:
            error, why, _ = w.register(key)
            assert error == c.EINVAL and why != 0, key
        assert w.call(c.REGISTER, 0x10) == (c.EINVAL, 0, 0)
        assert w.call(c.REGISTER, w.ram + w.payload["alone"] + 4)[0] == c.EINVAL
        error, core, ppm = w.register("greedy")
        assert error == c.ELOAD and core == 0 and 0 < ppm < 1_000_000
        for verb in (c.START, c.DESTROY, c.ATTACH):
            assert w.control(2, verb) == c.ENOENT and w.control(8, verb) == c.EINVAL
        assert w.call(c.CONTROL, 0, 9)[0] == c.EINVAL
        assert w.call(c.FILL, 1, 0, w.buffer, 4096)[0] == c.EBUSY
        assert w.call(c.FILL, 1, 0, 0x20, 4096)[0] == c.EINVAL
        assert w.call(c.READ, 1, 0x40000000, w.buffer, 4097)[0] == c.EINVAL
        assert w.call(c.READ, 1, 0x401ff008, w.buffer, 4096)[0] == c.EINVAL
        assert w.call(c.READ, 1, 0x09000000, w.buffer, 8)[0] == c.EINVAL
        assert w.call(c.INSPECT, 6, 0, w.buffer)[0] == c.EINVAL
        assert w.call(c.INSPECT, c.VM, 0, w.buffer + 4)[0] == c.EINVAL
        assert w.call(c.INSPECT, c.VCPU, 1 | 1 << 8, w.buffer)[0] == c.ENOENT
        assert w.call(c.CONSOLE_READ, 1, w.buffer, 100)[0] == c.EBUSY
        assert w.control(1, c.SHUTDOWN) == c.ENOENT, "the witness does not listen"
        assert ([w.info(vm) for vm in range(2)], w.info(2)) == before
        vm = w.create("alone", start=False)
        size = len(plans["alone"].store)
        room = c.pages(size)
        assert w.call(c.FILL, vm, room - 64, w.buffer, 64)[0] == 0
        for offset, length in ((room, 64), (room - 64, 128), (1 << 63, 64), (32, 64), (0, 32),
                               (0, 0), (0, 8192), (-64, 128)):
            assert w.call(c.FILL, vm, offset, w.buffer, length)[0] == c.EINVAL, offset
        assert w.call(c.READ, vm, 0x40000000, w.buffer, 64)[0] == c.EBUSY
        assert w.register("alone")[0] == c.EINVAL, "its memory and its name are taken"
        w.destroy(vm)


SERVO = f"""
vm servo {{ level = hrt  cpus = {{3}}  memory = 2M  image = "{G}/ticker.bin"  console = ring
	cmdline = "period=20ms" }}
"""


def test_island():
    """A safety island may watch, and restart one VM, and nothing else; a VM without rights nothing
    at all."""
    rights = "control = { list, restart(servo) }"
    with c.boot("virt", "island", WITNESS + SERVO, {}, rights) as w:
        for vm, name in enumerate(("warden", "witness", "servo")):
            assert w.info(vm)["name"] == name and w.inspect(c.CONFIG, vm)[0] == 0
        w.says("servo", "ticker: first ", c.RESET, 2)
        assert w.info(2)["restarts"] == 1
        for vm in range(4):
            for verb in range(9):
                if (vm, verb) != (2, c.RESET):
                    assert w.control(vm, verb) == c.EPERM, (vm, verb)
            assert w.call(c.READ, vm, 0x40000000, w.buffer, 64)[0] == c.EPERM
            assert w.call(c.CONSOLE_WRITE, vm, w.buffer, 1)[0] == c.EPERM
            assert w.inspect(c.REGISTERS, vm)[0] == c.EPERM
        assert w.call(c.REGISTER, w.ram)[0] == c.EPERM
        assert w.call(c.LOG, 0, w.buffer, 64)[0] == 0
    with c.boot("virt", "nobody", WITNESS, {}, "") as w:
        for what in range(6):
            assert w.inspect(what, 1 if 0 < what < 5 else 0)[0] == c.EPERM
        for verb in range(9):
            assert w.control(0, verb) == w.control(1, verb) == w.control(5, verb) == c.EPERM
        assert w.call(c.REGISTER, w.ram)[0] == w.call(c.LOG, 0, w.buffer, 64)[0] == c.EPERM


def test_console():
    """A console that a VM reads is not printed; what is typed arrives; the log is there whole."""
    with c.boot("virt", "console", WITNESS, {"alone": PLANS["alone"]}) as w:
        vm = w.create("alone")
        w.m.run(0.3)
        assert w.line("n 8", "^= 0x0$")
        assert w.control(vm, c.ATTACH) == 0 and w.info(vm)["attached"] == 1
        assert is_quiet(w, "alone", 0.3)
        text = b""
        for _ in range(40):
            w.line("e", "^! 0x8$")
            error, size, _ = w.call(c.CONSOLE_READ, vm, w.buffer, 4096)
            assert error == 0
            text += w.bytes(w.buffer, size + -size % 8)[:size]
        numbers = [int(n) for n in text.decode().split("ticker: ")[1:]]
        assert len(numbers) > 20 and numbers == list(range(numbers[0], numbers[-1] + 1))
        assert w.control(vm, c.DETACH) == 0 and w.control(vm, c.DETACH) == c.EBUSY
        goes_on(w, "alone")
        error, size, at = w.call(c.LOG, 0, w.buffer, 4096)
        assert error == at == 0
        assert w.bytes(w.buffer, size + -size % 8).startswith(b"board virt, GICv3, 2 VMs\n")


def test_dies():
    """The VM with the rights restarts: what it built is there, and the next one takes over."""
    with c.boot("virt", "dies", WITNESS, {"alone": PLANS["alone"], "soft": PLANS["soft"]}) as w:
        alone, soft = w.create("alone"), w.create("soft", start=False)
        assert w.control(alone, c.ATTACH) == 0
        assert is_quiet(w, "alone", 0.3)
        w.m.seen = len(w.m.screen.lines)
        w.m.send(f"c {c.CONTROL:x} 0 {c.RESET:x}\r")
        w.m.wait_line("warden", "^warden: up$")
        goes_on(w, "alone")     # its console is the machine's again
        assert (w.info(alone)["state"], w.info(soft)["state"]) == (c.RUNNING, c.CREATED)
        assert w.info(alone)["restarts"] == 0 and w.info(alone)["attached"] == 0
        w.says("soft", "ticker: first ", c.START, soft)
        w.destroy(alone)
        w.destroy(soft)


KICKER = """vm kicker {{ level = {level}  cpus = {{2}}  memory = 2M  image = "{guests}/kicker.bin"
	cmdline = "timeout=2ms kicks=20 {more}"  console = ring  backoff = {backoff}
	watchdog {{ {watchdog} }}  restart = {restart} }}
"""


@pytest.mark.xdist_group("watchdog")
@pytest.mark.parametrize(("board", "level"), [(board, "hrt") for board in machine.BOARDS] +
                         [("virt", "nrt")])
def test_watchdog(board, level):
    """A controller that hangs is back within a millisecond of its watchdog; nobody else notices."""
    conf = KICKER.format(level=level, guests=G, more="", backoff="0", restart="on-failure",
                         watchdog="timeout = 10ms  armed = true")
    with c.boot(board, f"watchdog-{board}-{level}", WITNESS + conf, {}, args=machine.EXACT) as w:
        for turn in range(1, 3):
            w.m.wait_line("kicker", "^kicker: hangs$", 60)
            w.m.wait_line("kizami", "^kicker: its watchdog was not served in time$", 60)
            w.m.wait_line("kicker", "^kicker: up$", 60)
            info = w.info(2)
            assert info["restarts"] >= turn and info["reason"] == c.REASON_WATCHDOG
            assert info["failures"] - info["restarts"] in (0, 1)
            print(f"\n{board} {level}: back {info['restart_time']} ns after its watchdog")
            assert 0 < info["restart_time"] < 1_000_000
        assert all(line.endswith("changed 0 strays 0") for line in w.m.lines_of("witness")[1:])


def test_watchdog_device():
    """The SBSA watchdog: the first signal is the guest's interrupt, the second is a failure."""
    conf = KICKER.format(level="nrt", guests=G, more="device", backoff="20ms",
                         restart="on-failure", watchdog="device = true")
    with c.boot("virt", "watchdog-device", WITNESS + conf, {}, args=machine.EXACT) as w:
        w.m.wait_line("kicker", "^kicker: hangs$", 60)
        w.m.wait_line("kicker", "^kicker: signal, WCS 3$", 60)
        info = w.info(2)
        assert info["restarts"] == 0, "its interrupt handler serves it: it goes on for good"
