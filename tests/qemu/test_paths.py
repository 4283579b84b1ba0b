# SPDX-License-Identifier: Apache-2.0
"""bench/paths: the guests' own counters agree with what the plugin recorded, and a way that is
longer than it may be is found."""

import re
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pytest

import machine

SCRIPT = machine.ROOT / "bench/paths"
sys.path.insert(0, str(machine.ROOT / "tools/paths"))

import ways  # noqa: E402
from hvcode import ERET, Code  # noqa: E402

ROUNDS = 64


@pytest.fixture(scope="module", name="paths")
def paths_script():
    """The script as a module."""
    loader = SourceFileLoader("bench_paths", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module", name="code")
def hypervisor_code(paths):
    """The hypervisor's instructions."""
    return Code(paths.ELF)


@pytest.fixture(scope="module", name="scene", params=(3, 2))
def alone_scene(request, paths, code, tmp_path_factory):
    """The scene in which most is timed."""
    paths.OUT = tmp_path_factory.mktemp("paths")
    paths.TIMEOUT *= machine.SLOW
    (paths.OUT / "map").write_text(code.map())
    return paths.Scene(code, request.param, "alone"), paths.OUT / f"alone{request.param}.out"


def test_counter(scene):
    """What the guest counted around one instruction is what the plugin recorded, exactly."""
    scene = scene[0]
    timed = dict(scene.timed())
    assert len(timed) == 12 and not list(scene.errors()), list(scene.errors())
    byname = {cls.name: cls for cls in scene.classes}
    for name in ("HVC PSCI_VERSION", "SMC PSCI_VERSION", "read GICD_TYPER"):
        assert byname[name].count == ROUNDS and len(byname[name].ways) == 1
        print(f"\nGICv{scene.gic} {name}: {byname[name].ways[0].total}", end="")


def test_whole(scene, code):
    """Each way goes from a vector to ERET and leaves nothing out but by a branch; what is charged
    to frames is all of it."""
    for cls in scene[0].classes:
        for way in cls.ways:
            insns = list(way.insns())
            assert len(insns) == way.total == way.tree().total() == sum(way.own().values())
            assert sum(way.mix().values()) == way.total
            assert insns[0].symbol.endswith("vector"), cls.name
            assert code.mark(insns[-1])[0] == ERET, cls.name
            for first, count in way.runs:
                assert code.insns[first + count - 1].kind == "branch", cls.name


def altered(paths, scene, out, code, change):
    """What the script says of the scene when the plugin's line for a call is another one."""
    lines = out.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if ways.Way(code, line).name == "HVC PSCI_VERSION")
    lines[at] = change(lines[at].split())
    other = object.__new__(paths.Scene)
    other.__dict__.update(scene.__dict__, classes=ways.classes_of(code, "\n".join(lines)))
    return list(other.errors())


def test_found(paths, scene, code):
    """An instruction too few, a barrier, and a sixth access to a system register are found."""
    scene, out = scene

    def fewer(word):
        first, count = (int(w, 16) for w in word[-2:])
        return " ".join(word[:7] + [f"{int(word[7], 16) - 1:x}"] + word[8:-2] +
                        [f"{first:x}", f"{count - 1:x}"])

    def more(kind, times):
        index = next(i for i, insn in enumerate(code.insns) if insn.kind == kind)
        return lambda word: " ".join(word[:7] + [f"{int(word[7], 16) + times:x}"] + word[8:] +
                                     [f"{index:x}", "1"] * times)

    assert altered(paths, scene, out, code, " ".join) == []
    short = altered(paths, scene, out, code, fewer)
    assert len(short) == 1 and "by the guest's counter" in short[0]
    for kind in ("barrier", "ordered"):
        assert any("or a barrier" in error
                   for error in altered(paths, scene, out, code, more(kind, 1)))
    assert not any("or a barrier" in error
                   for error in altered(paths, scene, out, code, more("sysreg", 2)))
    assert any("or a barrier" in error
               for error in altered(paths, scene, out, code, more("sysreg", 5)))


def test_comments(paths, code, tmp_path):
    """A barrier's comment is found on its line or above it; without one there is none."""
    source = tmp_path / "a.c"
    source.write_text("\tdsb();\t\t\t/* one\n\t\t\t\t * line */\n\n\t/* what\n\t * it orders */\n"
                      "\tisb();\n\tdmb();\n")
    comments = [paths.comment_of(str(source), line) for line in (1, 6, 7)]
    assert comments == ["one line", "what it orders", ""]
    assert any(re.match("dsb", insn.text) for insn in code.insns)
