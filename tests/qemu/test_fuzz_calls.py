# SPDX-License-Identifier: Apache-2.0
"""Calls at random, from VMs with all rights, few, and none (tests/guests/fuzzer.c): nothing happens
to the hypervisor, to memory of nobody, or to VMs that the caller leaves alone or has no right over.

FUZZ_SEEDS=1-20 FUZZ_CALLS=100000: other and longer runs.
"""

import hashlib
import os
import re
import struct

import pytest

import blob
import control as c
import machine
import trace
from test_isolation import code_size

pytestmark = pytest.mark.xdist_group("clock")
FIRST, LAST = (os.environ.get("FUZZ_SEEDS", "1") + "-").split("-")[:2]
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
CALLS = int(os.environ.get("FUZZ_CALLS", "6000"))
PAYLOAD, PIECE, PIECES = 1 << 20, 0x80000, 24
MAGIC = 0x534e414c50005a4b
BEYOND = 8 << 20            # of nobody's memory, behind the pool, is not zero
G = c.GUESTS
SPARED = ("pulse", "witness", "vault")
# An exact machine's clock counts the instructions of all cores: a job's 50 us are some hundred.
CONF = """board = {board}
vm warden  {{ level = srt  cpus = {{{cpus}}}  memory = 8M  image = "{g}/fuzzer.bin"
             ramdisk = "{payload}"  cmdline = "{args}"  {control} }}
vm pulse   {{ level = srt  cpus = {{1}}  memory = 2M  image = "{g}/pulse.bin"
             realtime {{ budget = 2ms  period = 10ms }}  cmdline = "keep work=50us" }}
vm witness {{ level = hrt  cpus = {{3}}  memory = 2M  image = "{g}/witness.bin"
             console = ring }}
vm vault   {{ level = nrt  cpus = {{1}}  memory = 2M  image = "{g}/witness.bin" }}
vm victim  {{ level = nrt  cpus = {{0}}  memory = 2M  image = "{g}/ticker.bin"
             cmdline = "sleep period=200ms"  restart = on-failure }}
"""
# The words of `control`, and the masks that it comes to: list, console, read, run, restart, create.
VICTIM = 1 << 4
ROLES = {
    "control": ("control = { list, console, read(warden), read(victim), run, restart, create }",
                (255, 255, VICTIM | 1, 255, 255, 255)),
    "island": ("control = { list, restart(victim), run(victim), console(victim) }",
               (255, VICTIM, 0, VICTIM, VICTIM, 0)),
    "ordinary": ("", (0, 0, 0, 0, 0, 0)),
}
TICKER = f'memory = 128K  image = "{G}/ticker.bin"  cmdline = "sleep"'
PLANS = {
    "nrt": f"vm nrt {{ level = nrt  cpus = {{2}}  {TICKER}  console = none }}",
    "pair": f"vm pair {{ level = nrt  cpus = {{2, 0}}  {TICKER}  console = pl011 }}",
    "srt": f"""vm srt {{ level = srt  cpus = {{2}}  {TICKER}  console = none
	realtime {{ budget = 2ms  period = 10ms  on_miss = restart }} }}""",
    "hrt": f"vm hrt {{ level = hrt  cpus = {{2}}  {TICKER}  console = ring }}",
    "dog": f"""vm dog {{ level = nrt  cpus = {{2}}  {TICKER}  console = none  restart = always
	backoff = 1ms  watchdog {{ timeout = 10ms  device = true }} }}""",
}
CODES = ("ok", "einval", "eperm", "enoent", "ebusy", "enomem", "eload")


def payload_make(plans, image):
    """The ramdisk's bytes: struct plans of fuzzer.h, then what it names."""
    at = 40 + 24 * 8
    entries, data = b"", b""
    for plan in plans:
        cfg = at + len(data)
        data += bytes(plan.cfg) + bytes(-len(plan.cfg) % 64)
        entries += struct.pack("<3Q", cfg, at + len(data), len(plan.store))
        data += plan.store + bytes(-len(plan.store) % 64)
    head = struct.pack("<5Q", MAGIC, pool_of(image), PIECES, image["image_pa"], len(plans))
    return (head + entries.ljust(24 * 8, b"\0") + data).ljust(PAYLOAD, b"\0")


def regions_of(image):
    """(pa, size) of the memory of all VMs of an image."""
    all_of = [image.region(v, r) for v in range(image["vm_count"])
              for r in range(image.vm(v)["region_count"])]
    return [(r["pa"], r["size"]) for r in all_of if r["type"] == 0]


def trace_of(image):
    """Where the machine's trace is."""
    m = image.machine
    return m["trace_pa"], 4096 + m["cpu_count"] * m["trace_chunks"] * 32768


def pool_of(image):
    """Behind all that is somebody's."""
    ends = [pa + size for pa, size in [*regions_of(image), trace_of(image),
                                       (image["image_pa"], image["image_size"])]]
    return -(-max(ends) // (2 << 20)) * (2 << 20)


def system_build(board, name, role, args, cpus):
    """The image of a system, with the plans in the fuzzer's ramdisk."""
    payload = machine.LOGS / f"{name}.payload"
    machine.LOGS.mkdir(parents=True, exist_ok=True)
    payload.write_bytes(bytes(range(1, 65)) * (PAYLOAD // 64))
    words, rights = ROLES[role]
    masks = " ".join(f"r{i}={mask}" for i, mask in enumerate(rights))
    spare = sum(1 << i for i in range(1, 4))
    path = machine.image_build(CONF.format(
        board=board, g=G, payload=payload, control=words, cpus=cpus,
        args=f"spare={spare} {masks} {args}"), name)
    image = blob.Blob(path)
    assert tuple(image.vm(0)["rights"][:6]) == rights
    plans = [c.Plan(text, f"{name}-{key}", board) for key, text in PLANS.items()]
    load = next(load for load in (image.load(0, i) for i in range(image.vm(0)["load_count"]))
                if load["size"] == PAYLOAD)
    at = image.at + load["offset"]
    image.data[at:at + PAYLOAD] = payload_make(plans, image)
    image.save(path)
    return path, image


class Seen:
    """What of a machine's memory nobody may write, page by page."""

    def __init__(self, image, name):
        self.image = image
        self.ram = trace.Ram(name)
        self.base = image.machine["ram0_pa"]
        pool = pool_of(image)
        with open(self.ram.path, "r+b") as f:
            f.seek(pool + PIECE * PIECES - self.base)
            f.write(bytes(range(255, -1, -1)) * (BEYOND // 256))
        pa, end = image["image_pa"], image["image_pa"] + image["image_size"]
        # Its data, between its constants and the blob, change; so do VMs, the pool, the trace.
        self.busy = [(pa + code_size(), image.at - code_size()), trace_of(image),
                     (pool, PIECE * PIECES), *regions_of(image)]
        self.constant = [(pa, code_size()), (pa + image.at, end - pa - image.at)]
        for vm in map(image.vm_of, SPARED):
            load, region = image.load(vm, 0), image.region(vm, 0)
            self.constant.append((region["pa"] + load["ipa"] - region["ipa"],
                                  load["size"] & ~(blob.PAGE - 1)))

    def pages(self):
        """{pa: digest} of pages that are not zero."""
        found = {}
        with open(self.ram.path, "rb") as f:
            size, at = os.fstat(f.fileno()).st_size, 0
            while at < size:
                try:
                    at = os.lseek(f.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
                f.seek(at)
                for i in range(at, end, blob.PAGE):
                    data = f.read(blob.PAGE)
                    pa = i + self.base
                    if any(data) and self.is_still(pa):
                        found[pa] = hashlib.sha1(data).digest()
                at = end
        assert len(found) > BEYOND // blob.PAGE
        assert all(pa in found for pa, _ in self.constant), "a part is empty"
        return found

    def is_still(self, pa):
        """Is the page one that stays as it is?"""
        if any(0 <= pa - at < size for at, size in self.constant):
            return True
        return not any(-blob.PAGE < pa - at < size for at, size in self.busy)

    def changed(self, before, after, used):
        """Addresses of pages that are not as they were, but for what was given to VMs: memory that
        was somebody's cannot be."""
        image = self.image
        whose = [(image["image_pa"], image["image_size"]), trace_of(image)]
        for vm in ("warden", *SPARED):
            region = image.region(image.vm_of(vm), 0)
            whose.append((region["pa"], region["size"]))
        for at, size in used:
            assert not any(at < pa + length and pa < at + size for pa, length in whose), hex(at)
        return [hex(pa) for pa in sorted(before.keys() | after.keys())
                if before.get(pa) != after.get(pa) and
                not any(at <= pa < at + size for at, size in used)]


def numbers(lines, title):
    """{name: number} of the line that begins so."""
    line = next(line for line in lines if line.startswith(title + ": ok ") or
                (line.startswith(title + ":") and title != "fuzz"))
    words = line.split(": ", 1)[1].split()
    return dict(zip(words[::2], map(int, words[1::2])))


def check_reach(role, codes, done, verbs):
    """The calls came as far as they can."""
    for code in {"control": CODES, "island": CODES[:5], "ordinary": CODES[:3]}[role]:
        assert codes[code] > 0, codes
    if role == "control":
        assert min(done.values()) > 0 and min(verbs.values()) > 0, (done, verbs)
    else:
        assert done["REGISTER"] == done["FILL"] == verbs["DESTROY"] == 0
    if role == "island":
        assert done["INSPECT"] > 0 and verbs["STOP"] > 0 and verbs["RESET"] > 0
    if role == "ordinary":
        assert sum(done.values()) == 0


def check_others(m, start, exact):
    """They go on, and nothing of theirs was touched."""
    for vm in ("witness", "vault"):
        m.seen = len(m.screen.lines)
        m.wait_line(vm, "changed ", 120)
        lines = [line for line in m.lines_of(vm, start) if line.startswith("witness: ")]
        assert lines and all(line.endswith("changed 0 strays 0") for line in lines), lines
    m.seen = len(m.screen.lines)
    m.wait_line("pulse", " missed ", 120)
    missed = [int(re.search(r" missed (\d+) ", line)[1]) for line in m.lines_of("pulse", start)
              if " missed " in line]
    assert missed and (not exact or set(missed) == {0}), missed
    page = m.status(60)
    for vm in SPARED:
        assert (page["vm"][vm]["state"], page["vm"][vm]["restarts"],
                page["vm"][vm]["faults"]) == ("running", 0, 0), page
    assert page["vm"]["warden"]["restarts"] == 0


def wait_end(m, start, seconds):
    """The fuzzer has come to its end, and the hypervisor has not."""
    def ready():
        panic = [line for line in m.lines_of("kizami", start) if line.startswith("panic")]
        assert not panic, panic
        return "fuzz: end" in m.lines_of("warden", start) or None

    m.wait("end of the fuzzer", ready, seconds)


def run(board, role, seed, exact, pair, calls=CALLS):
    """One run of the fuzzer."""
    name = f"fuzz-{board}-{role}-{seed}-{'exact' if exact else 'race'}"
    args = f"seed={seed} calls={calls}{' pair' if pair else ''}"
    path, image = system_build(board, name, role, args, "0, 1" if pair else "0")
    seen = Seen(image, name)
    try:
        with machine.board_boot(board, path, name,
                                [*seen.ram.args, *(machine.EXACT if exact else [])]) as m:
            m.wait_line("warden", "^fuzz: ready$", 60)
            for vm in ("witness", "vault"):
                m.seen = 0
                m.wait_line(vm, "changed ", 60)
            m.escape("1")
            m.wait_line("kizami", "^console: warden")
            start = len(m.screen.lines)
            before = seen.pages()
            m.send("g")
            wait_end(m, start, 120 + calls // 30)
            lines = [line for line in m.lines_of("warden", start) if line.startswith("fuzz")]
            print(f"\n{name}", *lines, sep="\n  ")
            bad = [line for line in m.lines_of("warden", start) if line.startswith("not ok")]
            assert not bad and "fuzz: wrong 0" in lines, (bad, lines[-4:])
            check_others(m, start, exact)
            used = [tuple(int(word, 16) for word in line.split()[2:]) for line in lines
                    if line.startswith("fuzz: used ")]
            assert not seen.changed(before, seen.pages(), used)
            wait_end(m, start, 1)
            found = [numbers(lines, title) for title in ("fuzz", "fuzz done", "fuzz verbs")]
            if pair:
                check_reach(role, *found)
            assert role != "control" or min(found[1]["REGISTER"], found[2]["DESTROY"]) > 0
    finally:
        seen.ram.close()


@pytest.mark.xdist_group("fuzz")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("role", ROLES)
def test_alone(role, seed):
    """From one vCPU, on an exact machine: no deadline of another VM is missed."""
    run("virt", role, seed, True, False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("board", machine.BOARDS)
def test_race(board, role, seed):
    """From two vCPUs, which change each other's arguments meanwhile."""
    run(board, role, seed, False, True, CALLS if board != "virt-gicv2" else CALLS // 2)
