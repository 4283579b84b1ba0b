# SPDX-License-Identifier: Apache-2.0
"""What bash offers behind `kz`."""

import subprocess

import pytest
from conftest import KZ, ROOT
from test_list import VERBS

FILE = ROOT / "linux/kz/kz.bash-completion"


@pytest.fixture
def complete(kz, sim):
    """The words that are offered for the last one of a line."""
    def run(*words, device=True):
        before = ["kz", *(["--device", sim.path] if device else [])]
        script = f"""
            source {FILE}
            shopt -s expand_aliases
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _kz {KZ} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", *before, *words],
                              capture_output=True, text=True, timeout=60, check=False, cwd=kz.path)
        assert done.stderr == ""
        return sorted(done.stdout.split())
    return run


def test_verbs(complete):
    assert complete("") == sorted([*VERBS, "help"])
    assert complete("un") == ["unpause"]
    assert complete("help", "du") == ["dump"]
    assert complete("--j", device=False) == ["--json"]
    assert complete("--json", "li") == ["list"]


def test_vms(complete, sim):
    for verb in ("list", "info", "uptime", "start", "pause", "unpause", "shutdown", "reboot",
                 "destroy", "console", "dump"):
        assert complete(verb, "") == ["linux", "servo", "vision"], verb
    assert complete("pause", "s") == ["servo"]
    assert complete("pause", "servo", "v") == ["vision"]
    sim.vms[2] = None
    assert complete("pause", "") == ["linux", "vision"]


def test_options(complete):
    assert complete("shutdown", "--") == ["--force", "--help", "--json", "--timeout", "--wait"]
    assert complete("create", "--") == ["--console", "--dry-run", "--help", "--json", "--paused"]
    assert complete("top", "--c") == ["--count"]
    assert complete("top", "--delay", "") == []


def test_every_option_is_taken(complete, kz):
    """Nothing is offered that is refused."""
    for verb in VERBS:
        for option in complete(verb, "--"):
            assert "unknown option" not in kz(verb, option, "/nowhere", "1", "2").err, option
    assert "unknown option" in kz("list", "--frob").err


def test_files(complete, kz):
    kz.write("web.cfg", "")
    assert complete("create", "we") == ["web.cfg"]
    assert complete("dump", "linux", "we") == ["web.cfg"]
    assert complete("--device", "we", device=False) == ["web.cfg"]


def test_no_device(complete):
    assert complete("pause", "", device=False) == []
