# SPDX-License-Identifier: Apache-2.0
"""The trace, held against accounts that know nothing of it: QEMU's, the guests', the status page's.

One run of a second in which everything happens that leaves a record. The guests end by
themselves, the status page is asked for, and the last VM switches the machine off."""

import collections

import pytest

import account
import blob
import machine
import trace

BOARDS = ("virt", "zcu102")
SYSTEM = """board = {board}
trace {{ size = 512K }}
vm host {{ level = nrt  cpus = {{1}}  memory = 2M  cmdline = "wait"  image = {image} }}
vm task {{ level = srt  cpus = {{1}}  memory = 2M  console = ring  image = {image}
	cmdline = "jobs"  realtime {{ budget = 500us  period = 5ms }} }}
vm plain {{ level = srt  cpus = {{1}}  memory = 2M  console = ring  image = {image}
	cmdline = "sleep pause=2ms"  realtime {{ budget = 200us  period = 2ms }} }}
vm rest {{ level = nrt  cpus = {{1}}  memory = 2M  console = ring  image = {image}
	cmdline = "sleep pause=3ms" }}
vm many {{ level = nrt  cpus = {{2, 0}}  memory = 2M  image = {image}  cmdline = "many pause=1ms" }}
vm also {{ level = nrt  cpus = {{2}}  memory = 2M  console = ring  image = {image}
	cmdline = "sleep pause=1ms" }}
vm hard {{ level = hrt  cpus = {{3}}  memory = 2M  console = ring  image = {image}
	cmdline = "hard" }}
"""
# The functions, a register, and the words of the distributor that the guests use.
INFO, JOB_DONE, PSCI_VERSION, SYSTEM_OFF, UNKNOWN = (0xc6000004, 0xc6000002, 0x84000000,
                                                     0x84000008, 0x8600f077)
SGI1R = 3 << 14 | 0 << 11 | 12 << 7 | 11 << 3 | 5
PMCR = 3 << 14 | 3 << 11 | 9 << 7 | 12 << 3 | 0
TYPER, SGIR = 0x4, 0xf00
VMS = {"task": "jobs", "plain": "sleep", "rest": "sleep", "many": "many", "also": "sleep",
       "hard": "hard"}


class Run:
    """All that is known of it."""

    def __init__(self, board):
        conf = SYSTEM.format(board=board, image='"../../guests/traced.bin"')
        image = machine.image_build(conf, f"trace-{board}")
        ram = trace.Ram(f"trace-{board}")
        log = machine.LOGS / f"trace-{board}.int"
        self.trace = trace.Trace(ram, image)
        self.machine = blob.Blob(image).machine
        self.gicd_ipa = blob.Blob(image).vm(0)["gicd_ipa"]
        with machine.board_boot(board, image, f"trace-{board}",
                                [*machine.EXACT, *ram.args, *account.ARGS, "-D", log]) as m:
            self.trace.start()
            self.said = {}
            for vm, name in VMS.items():
                self.wait(m, vm, name)
            self.wait(m, "many", "second")
            self.page = m.status()
            m.send("q")
            assert m.wait_end() == 0
            self.cores = self.trace.stop()
        self.account = account.Account(log, len(self.cores))
        ram.close()
        log.unlink()

    def wait(self, m, vm, name):
        """The VM's one line: {what: how many}."""
        m.seen = 0
        words = m.wait_line(vm, f"^traced: {name} (.*)$", 120).group(1).split()
        self.said[vm if name != "second" else name] = dict(zip(words[::2], map(int, words[1::2])))

    def gicd(self, offset):
        """The arg of an access to the guests' distributor."""
        return self.gicd_ipa + offset >> 2 & 0xffff


RUNS = {}


@pytest.fixture(scope="module", params=[
    pytest.param(board, marks=pytest.mark.xdist_group(f"trace-{board}")) for board in BOARDS])
def run(request):
    """The run on each board, once."""
    if request.param not in RUNS:
        RUNS[request.param] = Run(request.param)
    return RUNS[request.param]


def exits_of(run, name):
    """The vCPU's exits, in order."""
    vcpu = run.trace.numbers[name]
    return [r for r, who, _, _ in trace.spans(run.cores[run.trace.core[vcpu]])
            if trace.is_exit(r) and who == vcpu]


def count(records, cls, arg=None):
    """How many exits of that class, with that arg."""
    return sum(trace.class_of(r) == cls and arg in (None, r.arg) for r in records)


def is_info(r):
    """The guest asks for what the hypervisor knows of it."""
    return trace.is_exit(r) and (trace.class_of(r), r.arg) == (trace.HCALL, trace.call(INFO))


# ---- QEMU ------------------------------------------------------------------------------------

def test_exceptions(run):
    """Each exception that a guest leaves by has its record, and each acknowledged interrupt that
    the hypervisor polled; on each core in that order; and nothing else has one."""
    m = run.machine
    own = {*range(16), m["htimer_intid"], m["uart_intid"], m["maint_intid"]}
    off = run.trace.core[run.trace.numbers["host:0"]]
    for core, (records, events) in enumerate(zip(run.cores, run.account.events)):
        records = [r for r in records if trace.is_exit(r) or r.type == trace.WAKE]
        assert len(events) >= len(records) > 100, core
        # The machine may go off while another core is between an interrupt and its record.
        cut = [e.kind for e in events[len(records):]]
        assert not cut or (cut == ["poll"] and core != off), f"core {core}: {cut} at the end"
        for i, (r, e) in enumerate(zip(records, events)):
            where = f"core {core}, {i}: {r}, {vars(e)}"
            if e.kind == "poll":
                assert (r.type, r.arg) == (trace.WAKE, e.intid), where
                continue
            assert trace.is_exit(r), where
            cls, arg = e.expected(own, m["maint_intid"])
            is_class = trace.class_of(r)
            if cls == trace.SGI and is_class == trace.SYSREG:   # the long way
                assert r.arg == SGI1R, where
            else:
                assert is_class == cls and arg in (None, r.arg), where


def test_returns(run):
    """Each return to a guest has its record, a RUN or the end of a QUICK."""
    found = sum(r.type == trace.RUN or r.type >= trace.QUICK for core in run.cores for r in core)
    assert run.account.returns == found
    for records, events in zip(run.cores, run.account.events):
        left = sum(e.kind != "poll" for e in events)
        back = sum(r.type == trace.RUN or r.type >= trace.QUICK for r in records)
        assert left == back, "behind the last exit nobody runs any more"


def test_order(run):
    """What a core does is one thing after another, and its times never go back."""
    for records in run.cores:
        last = 0
        for r, _, _, _ in trace.spans(records):
            if r.type != trace.RELEASE:         # the time of the decision, as the scheduler has it
                assert r.time >= last, r
                last = r.time
            if r.type >= trace.QUICK:
                assert r.time < trace.end_of(r) < r.time + 1_000_000, r
                last = trace.end_of(r)


def test_place(run):
    """Nobody is spoken of on a core where he has no business."""
    for core, records in enumerate(run.cores):
        for r, who, _, _ in trace.spans(records):
            if not trace.READY <= r.type < trace.PANIC and r.type != trace.RUN:
                assert r.vcpu == 0 or r.type == trace.STATE, r
            elif r.type in (trace.INJECT, trace.VM_START, trace.VM_STOP):
                # by one's own VM; at power-on, and for its deadlines, by the hypervisor
                assert who in (trace.NOBODY, r.vcpu) or who >> 4 == r.vcpu >> 4, r
            else:
                assert run.trace.core[r.vcpu] == core, r


# ---- The guests ------------------------------------------------------------------------------

def test_calls(run):
    """Calls, SGIs, words of the distributor, sleeps: as many as the guests say."""
    for vm in VMS:
        said, exits = run.said[vm], exits_of(run, f"{vm}:0")
        assert count(exits, trace.HCALL) == said["calls"] + said["smcs"], vm
        assert count(exits, trace.HCALL, trace.call(INFO)) == said["infos"], vm
        sends = (count(exits, trace.SGI) + count(exits, trace.SYSREG, SGI1R)
                 if run.machine["gic_version"] == 3 else count(exits, trace.MMIO, run.gicd(SGIR)))
        assert sends == said["sent"], vm
        if vm != "hard":                        # whose WFI and timer are its own
            assert count(exits, trace.WFX) == said["timers"], vm
        assert said["others"] == 0
    said, exits = run.said["many"], exits_of(run, "many:0")
    assert count(exits, trace.MMIO, run.gicd(TYPER)) == 3 * said["rounds"]
    assert count(exits, trace.HCALL, trace.call(JOB_DONE)) == said["rounds"]
    assert count(exits, trace.HCALL, trace.call(PSCI_VERSION)) == 2 * said["rounds"]
    assert count(exits, trace.HCALL, trace.call(UNKNOWN)) == said["rounds"]
    assert count(exits, trace.HCALL, trace.call(SYSTEM_OFF)) == 1
    assert said["taken"] == said["rounds"]
    assert run.said["second"]["taken"] == said["rounds"] + 1
    exits = exits_of(run, "many:1")             # whose core is its own: it is woken by a kick
    assert count(exits, trace.KICK) >= run.said["second"]["taken"] and not count(exits, trace.WFX)
    exits = exits_of(run, "hard:0")
    assert count(exits, trace.MMIO, run.gicd(TYPER)) == run.said["hard"]["taken"]
    assert count(exits, trace.IRQ) == 0


def test_sgis(run):
    """An SGI that goes the long way is an INJECT, one that goes the short way is its exit."""
    said, vcpu = run.said["many"], run.trace.numbers["many:0"]
    injected = collections.Counter((r.vcpu, r.arg) for r in run.cores[2] if r.type == trace.INJECT)
    exits = exits_of(run, "many:0")
    if run.machine["gic_version"] == 3:
        quick = (count(exits, trace.SGI, 1 << 4 | 1), count(exits, trace.SGI, 2 << 4 | 2))
        assert quick[0] + injected[vcpu, 1] == said["taken"]
        assert quick[1] + injected[vcpu + 1, 2] == run.said["second"]["taken"]
        assert min(quick) > 900
    else:
        quick = count([r for r in exits if r.type >= trace.QUICK], trace.MMIO, run.gicd(SGIR))
        assert quick + injected[vcpu, 1] + injected[vcpu + 1, 2] == said["sent"]
        assert quick > 1700
    assert set(injected) <= {(vcpu, 1), (vcpu + 1, 2)}


def test_jobs(run):
    """What the scheduler says to the guests that have servers, it writes down."""
    for vm in ("task", "plain"):
        said, vcpu = run.said[vm], run.trace.numbers[f"{vm}:0"]
        records = [r for r, _, _, _ in trace.spans(run.cores[1])]
        asked = [i for i, (r, who, _, _) in enumerate(trace.spans(run.cores[1]))
                 if who == vcpu and is_info(r)][-2]             # KZ_INFO_COUNTS
        of = collections.Counter(r.type for r in records[:asked] if r.vcpu == vcpu)
        assert of[trace.RELEASE] == said["released"], vm
        assert of[trace.MISS] == said["missed"], vm
        assert said["missed"] > 1 or vm != "task", "nothing was missed"
        assert of[trace.THROTTLE] >= said["overrun"], vm
        assert of[trace.DONE] == (said["rounds"] if vm == "task" else 0), vm
        assert of[trace.BLOCK] == said["timers"], vm


def test_executed(run):
    """Between its RUN and its exits a vCPU executes: what the scheduler charges it for is that,
    and at most what the hypervisor does from an exit to the next RUN, where one of both is that
    vCPU's."""
    for vm in VMS:
        said, vcpu = run.said[vm], run.trace.numbers[f"{vm}:0"]
        asked, executed, worked, exits = 0, 0, 0, 0
        left, begun = trace.NOBODY, None
        for r, who, state, since in trace.spans(run.cores[run.trace.core[vcpu]]):
            if r.type == trace.STATE:
                continue
            if trace.is_exit(r):
                left, begun = who, r.time
            elif r.type == trace.WAKE and state == trace.SLEEPS:
                left, begun = trace.NOBODY, r.time
            if 0 < asked < said["infos"]:
                if who == vcpu and state == trace.EXECUTES:
                    executed += r.time - since
                if r.type == trace.RUN and vcpu in (left, r.vcpu):
                    worked += r.time - begun
                    exits += 1
                elif r.type == trace.IDLE and left == vcpu:
                    worked += r.time - begun
                elif r.type >= trace.QUICK and who == vcpu:
                    worked += trace.end_of(r) - r.time
                    exits += 1
            if who == vcpu and is_info(r):
                asked += 1
        assert exits > 100 and executed > 0
        # QEMU's cores take turns: an exit may wait for the others' turns.
        assert 0 <= said["executed"] - executed <= min(worked, 3000 * exits), vm


def stolen_of(run, vm):
    """How long the VM wanted to run between its first question and its last, and did not; and how
    often. It wants to from READY on, from RELEASE, from THROTTLE, or from an exit that another one
    runs after; it does not from BLOCK and DONE on."""
    vcpu, infos = run.trace.numbers[f"{vm}:0"], run.said[vm]["infos"]
    asked, stolen, waits, since = 0, 0, 0, None
    left, begun, blocked = trace.NOBODY, 0, False
    for r, who, _, _ in trace.spans(run.cores[run.trace.core[vcpu]]):
        if trace.is_exit(r) or r.type == trace.WAKE:
            left, begun = who if trace.is_exit(r) else trace.NOBODY, r.time
        if trace.is_exit(r) and who == vcpu:
            since, blocked = r.time, False
            asked += is_info(r)
        elif r.type in (trace.BLOCK, trace.DONE) and r.vcpu == vcpu:
            since, blocked = None, True
        elif r.type in (trace.READY, trace.RELEASE, trace.THROTTLE) and r.vcpu == vcpu:
            since, blocked = r.time if blocked else since, False
        elif r.type == trace.RUN and r.vcpu == vcpu:
            if left != vcpu and 0 < asked < infos:
                stolen += max(0, begun - (begun if blocked else since))
                waits += 1
            since, blocked = None, False
    return stolen, waits


def test_stolen(run):
    """What others had of a vCPU's time is what the hypervisor tells it."""
    for vm in ("task", "plain", "rest", "many", "also"):
        stolen, waits = stolen_of(run, vm)
        assert waits > 100
        # An exit begins some instructions before the scheduler looks at the clock.
        assert abs(run.said[vm]["stolen"] - stolen) <= 300 * waits, vm


# ---- The status page -------------------------------------------------------------------------

def test_status(run):
    """Exits by class, as the status page counts them. It has no class for SGIs, which are system
    registers (or words of the distributor), and none for FP. What nobody answered is not counted
    where it went, but as a fault; a register that is not there, as undefined."""
    for name, page in run.page["exits"].items():
        if name == "host:0":                    # runs on
            continue
        vcpu = run.trace.numbers[name]
        found = collections.Counter()
        last = None
        for r, who, _, _ in trace.spans(run.cores[run.trace.core[vcpu]]):
            if trace.is_exit(r) and who == vcpu:
                last = "sysreg" if trace.class_of(r) == trace.SGI else trace.CLASSES[
                    trace.class_of(r)]
                last = "undef" if (last, r.arg) == ("sysreg", PMCR) and name == "many:0" else last
                found[last] += 1
            elif r.type == trace.VM_FAULT and r.vcpu == vcpu:
                found[last] -= 1
                found["fault"] += 1
        assert {k: found[k] for k in page} == page, name
        assert set(found) - set(page) <= {"fp"}
