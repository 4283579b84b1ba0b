# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel with kizami.ko, in QEMU's virt machine without Kizami or as its guest."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests/qemu")]

import plain  # noqa: E402


@pytest.fixture
def boot_plain(request, tmp_path):
    """boot_plain(node=None, files={}, cpus=2): Linux's shell without a hypervisor; see plain."""
    running = []

    def start(**words):
        name = re.sub(r"[^a-z0-9_-]+", "-", request.node.name.lower()).strip("-")
        running.append(plain.boot(tmp_path, f"{name}-{len(running)}", **words))
        return running[-1]

    yield start
    for m in running:
        m.__exit__()


@pytest.fixture(scope="session")
def kbuild(tmp_path_factory):
    """kbuild(change={}, args=()): builds the module anew, with texts of its files replaced;
    returns its path and what was said."""
    def build(change=None, args=()):
        folder = tmp_path_factory.mktemp("kbuild")
        for file in (ROOT / "linux/kizami").iterdir():
            text = file.read_text()
            for old, new in (change or {}).get(file.name, []):
                assert old in text, f"{file.name} has no {old}"
                text = text.replace(old, new)
            (folder / file.name).write_text(text)
        headers = next((ROOT / "build/debian/headers/usr/src").glob("linux-headers-*-arm64"))
        done = subprocess.run(
            ["make", "-s", "-C", headers, f"M={folder}", "ARCH=arm64",
             "CROSS_COMPILE=aarch64-linux-gnu-", "CONFIG_DEBUG_INFO_BTF_MODULES=",
             f"KIZAMI_INCLUDE={ROOT}/include", *args, "modules"],
            env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "kizami.ko", done.stdout + done.stderr

    return build
