# SPDX-License-Identifier: Apache-2.0
"""What a record costs: the same guest under the hypervisor as it is, and under one that was built
without the trace. One instruction is one tick, so that the difference is exact."""

import subprocess

import pytest

import machine
import trace

ON = machine.ROOT / "build/arm64/kizami.elf"
OFF = machine.ROOT / "build/off/arm64/kizami.elf"
RECORD = 12     # instructions
CHUNK = 50      # to begin one, which thousands of calls are not to notice
CORE = 1
SERVER = "level = srt  realtime { budget = 500us  period = 1ms }"
GUEST = 'cpus = {1}  memory = 2M  image = "../../guests/costs.bin"'
ALONE = ("hvc", "smc", "call", "read", "write", "byte", "sgi", "timer")


def conf(board, level, words, *others):
    """The guest that measures, and others on its core."""
    text = f'board = {board}\ntrace {{ size = 512K }}\n'
    text += f'vm one {{ {level}  {GUEST}  cmdline = "{words}" }}\n'
    for i, by in enumerate(others):
        text += f'vm other{i} {{ level = nrt  {GUEST}  cmdline = "by={by}" }}\n'
    return text


def measured(m, ways):
    """{way: {figure: value}}, as the guest says it."""
    found = {}
    for way in ways:
        m.seen = 0
        words = m.wait_line("one", rf"^costs: {way} (.*)$", 60).group(1).split()
        found[way] = dict(zip(words[::2], map(int, words[1::2])))
    return found


def run(name, board, text, ways, elf):
    """The figures with this hypervisor, and the records of the guest's core."""
    image = machine.image_build(text, name, ["--hypervisor", elf])
    ram = trace.Ram(name)
    t = trace.Trace(ram, image)
    with machine.board_boot(board, image, name, [*machine.EXACT, *ram.args]) as m:
        if elf == ON:
            t.start()
        found = measured(m, ways)
        records = t.stop()[CORE] if elf == ON else []
    ram.close()
    return found, records


@pytest.fixture(scope="module")
def off():
    """The hypervisor without the trace."""
    subprocess.run(["make", "-s", "-C", machine.ROOT, "TRACE=off", "B=build/off",
                    OFF.relative_to(machine.ROOT)], check=True)
    return OFF


@pytest.mark.xdist_group("trace-cost")
@pytest.mark.parametrize("board", ["virt", "zcu102"])
@pytest.mark.parametrize("name, ways, others, expected", [
    ("alone", ALONE, [], []),
    ("sleep", ["sleep"], ["other"], [trace.RUN]),
    ("server", ["sleep"], ["other"], [trace.READY, trace.RUN]),
    ("release", ["sleep"], ["other"], [trace.RELEASE, trace.RUN]),
    ("yield", ["yield"], ["yield"], [trace.RUN, trace.RUN])])
def test_cost(monkeypatch, off, board, name, ways, others, expected):
    """No figure is worse by more than 12 instructions for each record on its way; and so it is of
    thousands of calls together, with the chunks that they begin."""
    monkeypatch.delenv("MASKED", raising=False)     # which knows one hypervisor
    text = conf(board, SERVER if name in ("server", "release") else "level = nrt",
                " ".join(ways) + " spacing=1100us" * (name == "release"), *others)
    name = f"trace-cost-{name}-{board}"
    without, _ = run(f"{name}-off", board, text, ways, off)
    with_, records = run(name, board, text, ways, ON)
    for way in ways:
        a, b = with_[way], without[way]
        on_way, in_all = ([r for r in records if a[first] <= r.time <= a[last]]
                          for first, last in (("from", "to"), ("first", "last")))
        print(f"\n{board} {way}: {b['min']} without, {a['min']} with {len(on_way)} records; "
              f"max {b['max']}, {a['max']}; "
              f"of all {b['sum']}, {a['sum']} with {len(in_all)}")
        assert on_way and 0 < a["min"] - b["min"] <= RECORD * len(on_way), way
        chunks = 0 if a["n"] > trace.RECORDS else [r.type for r in in_all].count(trace.STATE)
        assert a["sum"] - b["sum"] <= RECORD * len(in_all) + CHUNK * chunks, way
        assert not expected or [r.type for r in on_way if not trace.is_exit(r)] == expected
