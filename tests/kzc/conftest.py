# SPDX-License-Identifier: Apache-2.0
"""kzc as a user meets it: a folder with files in it, a command, what comes back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KZC = Path(os.environ.get("KZC", ROOT / "build/host/kzc")).resolve()

sys.path.insert(0, str(HERE))

import files  # noqa: E402


class Folder:
    """A folder with a board, guests' images and a hypervisor, all of them small."""

    def __init__(self, path):
        self.path = path
        self.write("hv.elf", files.hypervisor())
        self.write("raw.bin", files.pattern(5000))
        self.write("other.bin", files.pattern(300, seed=7))
        self.write("ramdisk", files.pattern(9000, seed=3))
        self.write("Image", files.linux_image(20000))
        self.write("guest.elf", files.elf([(0x40000000, files.pattern(100), 100)], 0x40000010))
        shutil.copy(HERE / "board.conf", path)
        self.board(lambda dts: dts)

    def write(self, name, data):
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(data, str):
            data = data.encode()
        path.write_bytes(data)
        return path

    def board(self, change):
        """Make board.dtb from its source after a change of it."""
        source = (HERE / "board.dts").read_text()
        self.write("board.dts", change(source))
        subprocess.run(["dtc", "-q", "-O", "dtb", "-o", "board.dtb", "board.dts"], cwd=self.path,
                       check=True)

    def run(self, *args):
        """Run kzc here; what it printed is text."""
        return subprocess.run([KZC, *args], cwd=self.path, capture_output=True, text=True,
                              timeout=60, check=False)

    def build(self, conf, output="out.img"):
        """Build from a configuration's text."""
        self.write("system.conf", conf)
        return self.run("build", "system.conf", "-o", output, "--hypervisor", "hv.elf")

    def image(self, conf):
        """The same, which must work; the image taken apart."""
        done = self.build(conf)
        assert done.returncode == 0, done.stderr
        return files.Image((self.path / "out.img").read_bytes())

    def tree(self, conf, vm):
        """A VM's device tree, to be asked with Tree.get."""
        self.write("system.conf", conf)
        done = self.run("dts", "system.conf", vm, "--hypervisor", "hv.elf")
        assert done.returncode == 0, done.stderr
        return files.Tree(self.write(f"{vm}.dts", done.stdout))


@pytest.fixture
def folder(tmp_path):
    """A fresh Folder."""
    return Folder(tmp_path)
