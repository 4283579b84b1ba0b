#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a script can check of the house's style. Prints FILE:LINE: what; exits 1 if anything."""

import re
import sys
import tempfile
from pathlib import Path

FILE_LINES = 600
FUNCTION_LINES = 60
LINE_COLUMNS = 100
MAKEFILE_LINES = 250

FOLDERS = (".ci", "arch", "bench", "boards", "demo", "docs", "guests", "hv", "include", "linux",
           "scripts", "tests", "tools")
TOP = ("Makefile", "run", "test", "README.md", "CHANGES.md")
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
            if name.endswith(".md"):
                self.check_links(name, text)
        return self.errors

    def check_lines(self, name, lines):
        """Length of the file, length and ends of lines."""
        limit = MAKEFILE_LINES if name == "Makefile" else FILE_LINES
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


def is_code(name, lines):
    """Programs: by their ending, or by their first line."""
    return name == "Makefile" or name.endswith(CODE) or bool(lines and lines[0][:2] == "#!")


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
