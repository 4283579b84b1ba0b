#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a script can check of the house's style. Prints FILE:LINE: what; exits 1 if anything."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

FILE_LINES = 600
FUNCTION_LINES = 60
LINE_COLUMNS = 100
MAKEFILE_LINES = 250

FOLDERS = (".ci", "arch", "bench", "boards", "demo", "docs", "guests", "hv", "include", "linux",
           "scripts", "tests", "tools")
TOP = ("Makefile", "checks.mk", "run", "test", "README.md", "CHANGES.md")
C = (".c", ".h")
CODE = (".c", ".h", ".S", ".py", ".lds", ".sh")
# Bytes, not text: inputs that a fuzzer found.
SKIPPED = ("tests/fuzz/corpus",)

# Where inline assembly may be: one instruction a function.
ASM_FILES = ("sysreg.h", "barrier.h", "cp15.h")
ASM_FOLDERS = ("hv", "arch", "include")

# C11's headers for freestanding programs, and what hv's contract brings.
FREESTANDING = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdalign.h", "limits.h"}
# In the order of who may include whom: a folder, what it may include by quotes, and by brackets.
LAYERS = (
    ("include/", (), {"kizami/", "linux/"}),
    ("hv/", ("hv",), {"kizami/", "arch_types.h", "arch_trace.h"}),
    ("arch/arm64/", ("arch/arm64", "arch", "hv"), {"kizami/", "sysreg.h", "barrier.h",
                                                    "gic_quick.h", "vgic.h"}),
    ("arch/", ("arch", "hv"), {"kizami/", "arch_types.h", "sysreg.h", "barrier.h",
                               "gic_quick.h"}),
    ("guests/", ("guests/lib",), {"kizami/"}),
)

# The contract with the port: calls down and up, and conditionals of hv per 1000 lines, beside
# the guards of headers.
CONTRACT = "hv/arch.h"
CALLS = {"arch": 36, "hv": 8}
CONDITIONS = 2
# Headers that compile alone: what compiles them, of which folder.
ARM = ("aarch64-linux-gnu-gcc", "-march=armv8-a", "-ffreestanding")
# A list, which means what its includer says.
LISTS = ("arch/arm64/sysreg_list.h",)
COMPILERS = (
    ("include/", ("gcc", "-Iinclude")),
    ("hv/", (*ARM, "-Iinclude", "-Ihv", "-Iarch", "-Iarch/arm64")),
    ("arch/", (*ARM, "-Iinclude", "-Ihv", "-Iarch", "-Iarch/arm64")),
    ("guests/", (*ARM, "-Iinclude", "-Iguests/lib")),
    ("tools/", ("gcc", "-D_GNU_SOURCE", "-Iinclude", "-Ihv")),
)


class Tree:
    """A work tree, and what is wrong with it."""

    def __init__(self, root):
        self.root = root
        self.errors = []
        self.files = sorted(self.find())

    def find(self):
        """The files that the rules are about, as paths from the root."""
        for name in TOP:
            if (self.root / name).is_file():
                yield name
        for folder in FOLDERS:
            for path in (self.root / folder).rglob("*"):
                name = path.relative_to(self.root).as_posix()
                if path.is_file() and "__pycache__" not in name and not name.startswith(SKIPPED):
                    yield name

    def error(self, name, line, text):
        """Notes an error."""
        self.errors.append(f"{name}:{line}: {text}")

    def check(self):
        """All rules on all files."""
        for name in self.files:
            try:
                text = (self.root / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            lines = text.split("\n")[:-1]
            if is_code(name, lines):
                self.check_lines(name, lines)
                self.check_spdx(name, lines)
            if name.endswith(C):
                self.check_functions(name, lines)
                self.check_includes(name, lines)
                self.check_asm(name, lines)
                self.check_own_header(name, lines)
            if name.endswith(".md"):
                self.check_links(name, text)
        self.check_contract()
        self.check_conditions()
        self.check_headers()
        return self.errors

    def check_lines(self, name, lines):
        """Length of the file, length and ends of lines."""
        limit = MAKEFILE_LINES if is_makefile(name) else FILE_LINES
        if len(lines) > limit:
            self.error(name, len(lines), f"{len(lines)} lines, more than {limit}")
        for number, line in enumerate(lines, 1):
            columns = len(line.expandtabs(8))
            # A sed script or a table in a shell script can't always be broken.
            if columns > LINE_COLUMNS and name.endswith((*C, ".S", ".py")):
                self.error(name, number, f"{columns} columns, more than {LINE_COLUMNS}")
            if line != line.rstrip():
                self.error(name, number, "blanks at the end of the line")

    def check_spdx(self, name, lines):
        """The licence, in the first line or behind #!."""
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
            self.error(name, 1, "no SPDX-License-Identifier in the first two lines")

    def check_functions(self, name, lines):
        """Functions: from the line of the name to the brace that closes it."""
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
                while start > 1 and lines[start - 2][:1] not in ("", "}", "#", "/", " ", "*"):
                    start -= 1
                    if not lines[start - 1].startswith("\t"):
                        break
            elif start is not None and line == "}":
                if number - start + 1 > FUNCTION_LINES:
                    self.error(name, start, f"a function of {number - start + 1} lines, more "
                               f"than {FUNCTION_LINES}")
                start = None
            elif (start is not None and name.startswith("hv/") and
                  re.match(r"#\s*(if|elif|else)", line)):
                self.error(name, number, "#if in a function")

    def check_includes(self, name, lines):
        """include <- hv <- arch; nobody includes from above."""
        if name.startswith("tools/"):
            self.check_tool(name, lines)
            return
        layer = next((known for known in LAYERS if name.startswith(known[0])), None)
        if layer is None:
            return
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s+([<"])([^">]+)[">]', line)
            if match is None:
                continue
            kind, what = match.groups()
            if kind == '"':
                ok = any((self.root / folder / what).is_file() for folder in layer[1])
            else:
                ok = what in FREESTANDING or any(
                    what == known or (known.endswith("/") and what.startswith(known))
                    for known in layer[2])
            if not ok:
                self.error(name, number, f"{layer[0]} may not include {what}")

    def check_tool(self, name, lines):
        """A tool has its own folder, the ABI, and of the hypervisor the check of the blob."""
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match and not (self.root / name).with_name(match[1]).is_file() and (
                    match[1] != "blob.h"):
                self.error(name, number, f"tools/ may not include {match[1]}")

    def check_own_header(self, name, lines):
        """A .c includes the header beside it before any other."""
        own = Path(name).with_suffix(".h").name
        if not name.endswith(".c") or not (self.root / name).with_name(own).is_file():
            return
        for number, line in enumerate(lines, 1):
            if re.match(r"\s*#\s*include\b", line):
                if not re.match(rf'\s*#\s*include\s+"{re.escape(own)}"', line):
                    self.error(name, number, f"{own} comes first")
                return

    def check_contract(self):
        """hv knows the port by few calls, and is known by few."""
        if CONTRACT not in self.files:
            return
        text = re.sub(r"/\*.*?\*/", "", (self.root / CONTRACT).read_text(encoding="utf-8"),
                      flags=re.DOTALL)
        for prefix, limit in CALLS.items():
            count = len(set(re.findall(rf"\b{prefix}_\w+(?=\()", text)))
            if count > limit:
                self.error(CONTRACT, 1, f"{count} calls {prefix}_, more than {limit}")

    def check_conditions(self):
        """hv is one program: conditionals beside the headers' guards are few."""
        found, total = [], 0
        for name in self.files:
            if not name.startswith("hv/") or not name.endswith(C):
                continue
            lines = (self.root / name).read_text(encoding="utf-8").split("\n")
            total += len(lines)
            guard = "HV_" + Path(name).stem.upper() + "_H"
            found += [(name, number) for number, line in enumerate(lines, 1)
                      if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b", line) and
                      line.split()[-1] != guard]
        if len(found) * 1000 > CONDITIONS * max(total, 1000):
            self.error(*found[-1], f"{len(found)} #if in {total} lines of hv, more than "
                       f"{CONDITIONS} in 1000")

    def check_headers(self):
        """Each header compiles alone."""
        for folder, command in COMPILERS:
            headers = [n for n in self.files if n.startswith(folder) and n.endswith(".h") and
                       n not in LISTS]
            if not headers:
                continue
            done = subprocess.run([*command, "-std=c11", "-fsyntax-only", "-x", "c", *headers],
                                  cwd=self.root, capture_output=True, text=True, check=False)
            wrong = re.findall(r"^([^:\s]+):(\d+):\d+: (?:fatal )?(error: .*)$", done.stderr,
                               re.MULTILINE)
            for name, number, what in wrong:
                self.error(name, number, f"does not compile alone: {what}")
            if done.returncode != 0 and not wrong:
                self.error(headers[0], 1, f"headers don't compile: {done.stderr.strip()[-200:]}")

    def check_asm(self, name, lines):
        """Inline assembly stays in its files."""
        if not name.startswith(ASM_FOLDERS) or Path(name).name in ASM_FILES:
            return
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(__asm__|__asm|asm)\b\s*(volatile|__volatile__|goto)?\s*\(", line):
                self.error(name, number, f"inline assembly outside {', '.join(ASM_FILES)}")

    def check_links(self, name, text):
        """Each link inside the repository leads somewhere, each anchor to a heading."""
        prose = re.sub(r"`[^`\n]*`", lambda m: " " * len(m.group()), text)
        for match in re.finditer(r"\]\(([^)\s]+)\)", prose):
            target, _, anchor = match.group(1).partition("#")
            number = text.count("\n", 0, match.start()) + 1
            if "://" in target or target.startswith("mailto:"):
                continue
            path = (self.root / name).parent / target if target else self.root / name
            if not path.exists():
                self.error(name, number, f"there is no {target}")
            elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
                self.error(name, number, f"{target or name} has no heading #{anchor}")


def is_makefile(name):
    return name == "Makefile" or name.endswith(".mk")


def is_code(name, lines):
    """Programs: by their ending, or by their first line."""
    return is_makefile(name) or name.endswith(CODE) or bool(lines and lines[0][:2] == "#!")


def anchors(text):
    """What the headings of a page are called in links."""
    found = set()
    for line in re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE):
        word = re.sub(r"[^\w\- ]", "", line.lower())
        found.add(word.replace(" ", "-"))
    return found


# One violation of each rule: {file: (text, words of the message)}.
HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"
WRONG = {
    "hv/long.c": (HEAD + "\n" * FILE_LINES, "lines, more than 600"),
    "hv/wide.c": (HEAD + "\tint x;" + " " * 90 + "\n", "columns, more than"),
    "hv/end.c": (HEAD + "int x; \n", "blanks at the end"),
    "hv/free.c": ("int x;\n", "no SPDX"),
    "hv/big.c": (HEAD + "int f(void)\n{\n" + "\n" * 58 + "}\n", "a function of 61 lines"),
    "hv/if.c": (HEAD + "int f(void)\n{\n#ifdef X\n#endif\n}\n", "#if in a function"),
    "hv/up.c": (HEAD + '#include "gic.h"\n', "hv/ may not include gic.h"),
    "hv/libc.c": (HEAD + "#include <stdio.h>\n", "hv/ may not include stdio.h"),
    "arch/port.c": (HEAD + '#include "trap.h"\n', "arch/ may not include trap.h"),
    "hv/arch.h": (HEAD + "#include <stdint.h>\n" +
                  "".join(f"void arch_a{n}(void);\n" for n in range(37)), "37 calls arch_"),
    "hv/order.c": (HEAD + '#include "vm.h"\n#include "order.h"\n', "order.h comes first"),
    "hv/many.c": (HEAD + "#ifdef A\n#if B\n#elif C\n#endif\n#endif\n", "more than 2 in 1000"),
    "hv/alone.h": (HEAD + "extern size_t x;\n", "does not compile alone"),
    "tools/a/alone.h": (HEAD + "extern FILE *x;\n", "does not compile alone"),
    "tools/a/a.c": (HEAD + '#include "vm.h"\n', "tools/ may not include vm.h"),
    "include/kizami/a.h": (HEAD + '#include "vm.h"\n', "include/ may not include vm.h"),
    "arch/asm.c": (HEAD + 'void f(void)\n{\n\t__asm__ volatile("nop");\n}\n', "inline assembly"),
    "Makefile": ("# SPDX-License-Identifier: Apache-2.0\n" + "\n" * 250, "more than 250"),
    "docs/a.md": ("[x](nowhere.md)\n", "there is no nowhere.md"),
    "docs/b.md": ("# One\n[x](#two)\n", "has no heading #two"),
}
RIGHT = {
    "arch/gic.h": HEAD,
    "arch/arm64/trap.h": HEAD,
    "arch/arm64/sysreg.h": HEAD + 'static inline void f(void)\n{\n\t__asm__ ("nop");\n}\n',
    "arch/arm64/ok.c": HEAD + '#include "trap.h"\n#include "gic.h"\n#include <kizami/blob.h>\n',
    "hv/order.h": HEAD,
    "tools/a/b.h": HEAD + "#include <stdio.h>\nextern FILE *x;\n",
    "tools/a/b.c": HEAD + '#include "b.h"\n#include <libfdt.h>\n#include "blob.h"\n',
    "hv/vm.h": HEAD + "#ifndef HV_VM_H\n#define HV_VM_H\n#include <stdint.h>\n#endif\n",
    "hv/ok.c": HEAD + '#include "vm.h"\nint f(void)\n{\n' + "\n" * 57 + "}\n",
    "docs/c.md": "# Who may, and when?\n[x](#who-may-and-when) [y](../hv/vm.h) `[z](no)`\n",
}


def self_test():
    """Each rule finds its violation, and nothing else is found."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in [*((n, w[0]) for n, w in WRONG.items()), *RIGHT.items()]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        errors = Tree(root).check()
    for name, (_, words) in WRONG.items():
        if not any(e.startswith(name + ":") and words in e for e in errors):
            return f"style.py does not find what is wrong with {name}: {words}"
    for e in errors:
        if e.split(":")[0] not in WRONG:
            return f"style.py finds what is right: {e}"
    return None


def main():
    """Checks itself, then the tree that it lies in."""
    broken = self_test()
    if broken is not None:
        print(broken)
        return 1
    tree = Tree(Path(__file__).resolve().parents[1])
    for error in tree.check():
        print(error)
    print(f"style: {len(tree.files)} files, {len(tree.errors)} errors")
    return 1 if tree.errors else 0


if __name__ == "__main__":
    sys.exit(main())
