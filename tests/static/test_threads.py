# SPDX-License-Identifier: Apache-2.0
"""make threads on copies of the tree with one lock forgotten."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Who includes a header.
SOURCE = {"arch/vgic_quick.h": "arch/arm64/quick.c"}


def threads(root, name):
    """What the check says of one file of a tree."""
    done = subprocess.run(["make", "-s", "threads", f"HV_SRC={name}"], cwd=root,
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(("name", "old", "new", "words"), [
    ("hv/vm.c", "\t\tvm_start_locked(vm);\n\t}\n\tvm_unlock(vm);", "\t\tvm_start_locked(vm);\n\t}",
     "'vm_class' is still held at the end"),
    ("hv/vm.c", "vm_lock(vm);\n\tvm_start_again_locked(vm);\n\tif",
     "vm_start_again_locked(vm);\n\tif",
     "'vm_start_locked' requires holding class 'vm_class'"),
    ("hv/vm.c", "\tvm->alive--;\n", "\tvm_unlock(vm);\n\tvm->alive--;\n\tvm_lock(vm);\n",
     "'alive' requires holding class 'vm_class'"),
    ("hv/vm.c", "\tvm->alive--;\n", '\tvm->alive--;\n\thv_log("one less");\n',
     "cannot call function 'hv_log' while class 'vm_class' is held"),
    ("hv/pl011.c", "\tpl011_lock(&vm->uart);\n\ttaken", "\ttaken",
     "'rx_push' requires holding class 'uart_class'"),
    ("hv/pl011.c", "\tirq_update_unlock(vm);\n\tif (pump) {\n\t\tconsole_pump(vm->id);\n\t}",
     "\tif (pump) {\n\t\tconsole_pump(vm->id);\n\t}\n\tirq_update_unlock(vm);",
     "cannot call function 'console_pump' while class 'uart_class' is held"),
    ("hv/print.c", "line));\n\tspin_unlock(&log_lock);\n", "line));\n",
     "'log_lock' is still held at the end"),
    ("arch/vgic.c", "\tvgic_lock(vgic);\n\tvgic_sync_locked(v);", "\tvgic_sync_locked(v);",
     "'vgic_sync_locked' requires holding class 'irq_class'"),
    ("arch/vgic_quick.h", "\tvgic_unlock_inline(vgic, ticket);\n\treturn true;", "\treturn true;",
     "'irq_class' is not held on every path"),
])
def test_forgotten(tmp_path, name, old, new, words):
    """Each mistake is told."""
    for folder in ("hv", "arch", "include"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for part in ("Makefile", "checks.mk", "linux/linux.mk", "linux/kz.mk",
                 "tests/coverage/coverage.mk"):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    path = tmp_path / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    status, said = threads(tmp_path, SOURCE.get(name, name))
    assert status != 0
    assert words in said
