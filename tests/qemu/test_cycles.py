# SPDX-License-Identifier: Apache-2.0
"""VMs that come and go at random, thousands of times, also while their creator is reset at random
moments: nothing is lost, and neither a server nor a hard real-time guest notices.

$CYCLES is how many VMs are created and destroyed on each board in each test, 60 by default."""

import os
import re
import struct
import subprocess

import pytest

import blob
import control as c
import covered
import machine

CYCLES = int(os.environ.get("CYCLES", "60"))
RESETS = max(3, CYCLES // 20)
ROUNDS = 20             # of so many resets, until an instance has found a VM of the one before
ELF = covered.ELF if covered.is_on() else machine.ROOT / "build/arm64/kizami.elf"
WARDEN, GUARD, SOFT = range(3)
CORES = 4
FIRST = 4               # place that is free
PIECES, PIECE = 16, 4 << 20     # of free memory: tests/guests/cycle.h
IRQ, IRQS, LINES = 96, 64, 160
WORK = c.BUFFER - 4096  # in the warden's ramdisk: struct cycle
FOREVER = 1 << 40
# Where one instruction is one nanosecond, the clock goes on with the instructions of all cores,
# which take turns: a job of the server's seems to last longer while others are busy, and the guard
# counts its own instructions. Turns can be so long (another core's of nine million was seen) that
# it is QEMU that makes the server miss; the guard keeps them short.
OTHERS = """
vm guard {{ level = hrt  cpus = {{0}}  memory = 2M  image = "{g}/punctual.bin"  console = ring
	cmdline = "ahead=1ms" }}
vm soft {{ level = srt  cpus = {{1}}  memory = 2M  image = "{g}/pulse.bin"  console = ring
	cmdline = "keep work=200us report=100ms"  realtime {{ budget = 4ms  period = 10ms }} }}
"""
WITNESS = 'vm witness {{ level = nrt  cpus = {{2}}  memory = 2M  image = "{g}/witness.bin" }}'
REAPS = """vm reaper {{ level = nrt  cpus = {{2}}  memory = 2M  image = "{g}/reaper.bin"
	cmdline = "vm=0 most={most}"  control = {{ restart(warden) }} }}
"""
TICKER = f'memory = 2M  image = "{c.GUESTS}/ticker.bin"  console = none'
CYCLE = {
    "nrt": f'vm nrt {{ level = nrt  cpus = {{3}}  {TICKER}  cmdline = "period=20ms sleep" }}',
    "srt": f"""vm srt {{ level = srt  cpus = {{3}}  {TICKER}  cmdline = "period=20ms sleep"
	realtime {{ budget = 2ms  period = 10ms }} }}""",
    "hrt": f'vm hrt {{ level = hrt  cpus = {{3}}  {TICKER}  cmdline = "period=20ms" }}',
}
SOFT_CORES, HARD_CORES = 0b1110, 0b1000
GUARDED = (r"^punctual: taken (?P<taken>\d+) least (?P<least>\d+) most (?P<most>\d+) "
           r"lost (?P<lost>\d+) strays (?P<strays>\d+)$")
ENDS = r"^cycle: (gone|bad) (\d+) (-?\d+)$"
PULSE = (r"^pulse: (?P<jobs>\d+) jobs .*  end .* max (?P<end>\d+)  missed (?P<missed>\d+)"
         r"  of \d+ at \d+$")


def symbols():
    """{name: (address, size)} of the hypervisor's variables, without the compiler's suffixes."""
    out = subprocess.run(["aarch64-linux-gnu-nm", "-S", ELF], capture_output=True, text=True,
                         check=True).stdout
    found = re.findall(r"^(\S+) (?:(\S+) )?\S (\w+)(?:\.\S+)?$", out, re.MULTILINE)
    return {name: (int(at, 16), int(size or "0", 16)) for at, size, name in found}


def plans_make(name, board):
    """The templates, and one a core that wants more of it than there is."""
    plans = {key: c.Plan(text, f"{name}-{key}", board) for key, text in CYCLE.items()}
    for key in CYCLE:
        plans[key].vm["irq_lines"] = LINES
    for core in range(1, CORES):
        plan = plans[f"greedy{core}"] = c.Plan(CYCLE["srt"], f"{name}-greedy", board)
        plan.cores(core)
        plan.name(f"greedy{core}")
        plan.vm["budget_ns"] = plan.vm["period_ns"] = plan.vm["deadline_ns"] = 10_000_000
    for i in range(8 - FIRST + 1):
        plan = plans[f"last{i}"] = c.Plan(CYCLE["nrt"], f"{name}-last", board)
        plan.cores(1 + i % 3)
        plan.name(f"last{i}")
    return plans


def pool_of(plans):
    """Where free memory begins."""
    return plans["nrt"].region(0)["pa"]


def work_of(plans, payload, ram, count):
    """struct cycle, as words; payload: where in the ramdisk at ram what is."""
    work = [42, count, pool_of(plans), PIECES, FIRST, SOFT_CORES, HARD_CORES, IRQ]
    for name in CYCLE:
        work += [ram + payload[name], ram + payload[name + "/store"], len(plans[name].store)]
    return work


class Cycles(c.Warden):
    """A machine where VMs come and go, and what is known of it."""

    def start(self, board, image):
        """What the command says, and where things are."""
        b = blob.Blob(image)
        self.image_pa, self.gicd = b["image_pa"], b.machine["gicd_pa"]
        self.has_gicv3 = b.machine["gic_version"] == 3
        assert LINES <= b.machine["gic_lines"], board
        self.symbols = symbols()
        return self

    def variable(self, name):
        """(address in memory, size) of a variable of the hypervisor."""
        at, size = self.symbols[name]
        return self.image_pa + at - self.symbols["_head"][0], size

    def accounts(self):
        """All that has an owner, or is promised: by the hypervisor's answers, by its memory as it
        is seen from outside, and by the interrupt controller."""
        promised = {}
        for core in range(1, CORES):
            error, where, short = self.register(f"greedy{core}")
            assert (error, where) == (c.ELOAD, core)
            promised[core] = short
        names = "owner", "running", "reader", "away", "pool_used"
        spans = {name: self.variable(name) for name in names}
        if self.has_gicv3:      # QEMU's GICv2 answers cores only
            for name, offset in ("enabled", 0x100), ("pending", 0x200), ("active", 0x300):
                spans[name] = self.gicd + offset + IRQ // 8, IRQS // 8
        places = [self.info(vm) and self.info(vm)["name"] for vm in range(8)]
        return {"promised": promised, "places": places, "config": self.inspect(c.MACHINE)[1][40:],
                **self.memory.read(spans)}

    def pool_is_zero(self):
        """All memory that was ever a VM's is scrubbed."""
        pool = self.memory.read({"pool": (pool_of(self.plans), PIECES * PIECE)})["pool"]
        where = next((i for i in range(len(pool) // 4096)
                      if any(pool[4096 * i:4096 * i + 4096])), None)
        assert where is None, f"page {where} of the free memory is not zero"

    def cycle(self, count):
        """So many come and go: how many it were."""
        text = " ".join(f"{word:x}" for word in work_of(self.plans, self.payload, self.ram, count))
        match = self.line(f"y {text}", ENDS, 60 + CYCLES)
        assert (match[1], match[3]) == ("gone", "0") and int(match[2]) >= count
        return int(match[2])

    def all_places(self):
        """As many VMs as there are places, and each goes again."""
        last = [name for name in self.plans if name.startswith("last")]
        assert [self.create(name) for name in last[:-1]] == list(range(FIRST, 8))
        assert self.register(last[-1])[0] == c.ENOMEM
        for vm in range(FIRST, 8):
            assert self.until(vm, c.RUNNING)["restarts"] == 0
            self.destroy(vm)


def boot(board, name, other, args, most="40ms"):
    """The machine of that name, with another VM."""
    image = c.system_build(name, board, (OTHERS + other).format(g=c.GUESTS, most=most),
                           'control = true  cmdline = "nap work=0000000000"', core=1)
    plans = plans_make(name, board)
    where = c.plans_put(image, plans)
    work_put(image, plans, where)
    return c.image_boot(Cycles, board, image, name, (plans, where), args).start(board, image)


def work_put(image, plans, payload):
    """What an instance of the warden does that is not the first one: into its ramdisk, and where
    that is into its command line."""
    b = blob.Blob(image)
    index = b.vm_of("warden")
    load = next(load for load in (b.load(index, i) for i in range(b.vm(index)["load_count"]))
                if load["size"] == c.PAYLOAD)
    words = work_of(plans, payload, load["ipa"], FOREVER)
    at = b.at + load["offset"] + WORK
    b.data[at:at + 8 * len(words)] = struct.pack(f"<{len(words)}Q", *words)
    old, new = b"work=0000000000", b"work=%010d" % (load["ipa"] + WORK)
    assert b.data.count(old) == 1
    at = b.data.index(old)
    b.data[at:at + len(old)] = new
    b.save(image)


def figures(m, vm, pattern, start=0):
    """What those of its lines say that match."""
    found = [re.match(pattern, line) for line in m.lines_of(vm, start)]
    return [{key: int(value) for key, value in match.groupdict().items()}
            for match in found if match]


def wait_reports(w, count):
    """So many more of the guard's and of the server's."""
    start = len(w.m.screen.lines)
    w.m.wait("reports", lambda: len(figures(w.m, "guard", GUARDED, start)) >= count and
             len(figures(w.m, "soft", PULSE, start)) >= count, 120)
    return start


def others(w):
    """What must not change: how often the guard left for the hypervisor, the server's misses."""
    soft = w.vcpu(SOFT)
    return w.vcpu(GUARD)["exits"], soft["misses"], soft["late"]


def check_others(w, quiet, start, was):
    """The guard is as late as it is when all is quiet, to the instruction, and has not left for the
    hypervisor once; the server has missed nothing."""
    before = figures(w.m, "guard", GUARDED, quiet)
    reports = figures(w.m, "guard", GUARDED, start)
    jobs = figures(w.m, "soft", PULSE, start)
    print(f"guard: quiet {before[-1]}\n  {len(reports)} reports, most "
          f"{max(r['most'] for r in reports)}\nsoft: {sum(r['jobs'] for r in jobs)} jobs, "
          f"{sum(r['missed'] for r in jobs)} missed, end "
          f"{max(r['end'] for r in figures(w.m, 'soft', PULSE, quiet)[:2])} before, "
          f"{max(r['end'] for r in jobs)} ns")
    for r in before + reports:
        assert r == before[0], (before[0], r)
    assert (before[0]["lost"], before[0]["strays"]) == (0, 0)
    assert others(w) == was
    assert sum(r["missed"] for r in jobs) == 0 and len(jobs) > 0


@pytest.mark.parametrize("board", machine.BOARDS)
def test_cycles(board):
    """VMs of each level, on any cores, with interrupts, servers and watchdogs; then all that can be
    had is there again."""
    with boot(board, f"cycles-{board}", WITNESS, machine.EXACT) as w:
        wait_reports(w, 1)
        before = w.accounts()
        quiet = wait_reports(w, 2)
        was = others(w)
        start = len(w.m.screen.lines)
        print(f"\n{board}: {w.cycle(CYCLES)} gone, {w.m.lines_of('warden')[-2]}")
        wait_reports(w, 1)
        check_others(w, quiet, start, was)
        assert all(line.endswith("changed 0 strays 0") for line in w.m.lines_of("witness"))
        w.pool_is_zero()
        assert w.accounts() == before
        w.all_places()
        assert w.accounts() == before


def took_over(w, start):
    """[(how many, in which states)] of each instance of the warden whose line did not end with
    it."""
    found = [re.match(r"^cycle: took over (\d+) (\d+)$", line)
             for line in w.m.lines_of("warden", start)]
    return [(int(match[1]), int(match[2])) for match in found if match]


def reset_all(w):
    """The warden is reset at random moments, so often that at least once VMs were left over: where
    the machine is busy, three resets may all come while there are none, or before the line that
    says so is out. How often it was, and what took_over() says."""
    start = len(w.m.screen.lines)
    for i in range(ROUNDS):
        reset_round(w, RESETS)
        taken = took_over(w, start)
        if any(count for count, _ in taken):
            return (i + 1) * RESETS, taken
    pytest.fail(f"nothing was left over in {ROUNDS * RESETS} resets: {taken}")


def reset_round(w, count):
    """So often; then all that come and go are gone, and the warden listens."""
    text = " ".join(f"{word:x}" for word in work_of(w.plans, w.payload, w.ram, FOREVER))
    start = len(w.m.screen.lines)
    w.m.escape("4")
    w.m.wait_line("kizami", "console: reaper")
    w.m.escape("1")
    w.m.wait_line("kizami", "console: warden")
    w.m.send(f"y {text}\r")
    w.m.escape("4")
    w.m.send(f"{count}g")
    w.m.wait_line("reaper", f"^reaper: done {count} refused ", 60 + 2 * count)
    w.m.escape("1")
    ends = []
    for _ in range(100):        # what is typed while it starts again is lost
        w.m.send("q")
        w.m.run(0.3)
        ends = [line for line in w.m.lines_of("warden", start) if re.match(ENDS, line)]
        if ends:
            break
    assert ends and re.match(ENDS, ends[-1]).group(1, 3) == ("gone", "0"), ends
    w.line("", r"^\?$")         # what was too much


@pytest.mark.parametrize("board", machine.BOARDS)
@pytest.mark.parametrize("exact", [
    pytest.param(True, id="exact"),
    pytest.param(False, id="threads", marks=pytest.mark.xdist_group("clock"))])
def test_cycles_reset(board, exact):
    """The same, and who creates them is reset at any moment: the next instance takes over. Once
    where instructions are counted, and once where cores are threads, that race."""
    with boot(board, f"cycles-reset-{board}-{'exact' if exact else 'threads'}", REAPS,
              machine.EXACT if exact else [], "40ms" if exact else "400ms") as w:
        wait_reports(w, 1)
        before = w.accounts()
        quiet = wait_reports(w, 2)
        was, start = others(w), len(w.m.screen.lines)
        resets, taken = reset_all(w)
        seen = [state for state in range(8) if any(states >> state & 1 for _, states in taken)]
        gone = [line for line in w.m.lines_of("kizami", start) if line.endswith(": destroyed")]
        print(f"\n{board}: {w.info(WARDEN)['restarts']} resets, {len(gone)} seen to go, "
              f"{sum(n for n, _ in taken)} taken over in states {seen}")
        assert w.info(WARDEN)["restarts"] == resets
        if exact:
            wait_reports(w, 1)
            check_others(w, quiet, start, was)
        w.pool_is_zero()
        assert w.accounts() == before
        w.all_places()
        assert w.accounts() == before
