#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: misra.py

hv/ and arch/ against MISRA C:2012 with cppcheck's addon, and against docs/misra.md: a finding is
covered by a row of "Set aside", by a deviation (`MISRA D1` in a comment at its line or the line
above) or by a row of "Where the checker errs". Anything else is an error, and so is a row or a
deviation that no finding needs. Of cppcheck's own checks, errors and warnings count.

Versions differ in what they find. TRIED ones are judged in full, the first of them says which
rows are needed; with another one, what is not covered is told, and is no error.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TRIED = ("2.10", "2.17")
FOLDERS = ("hv", "arch")
INCLUDES = ("include", "hv", "arch", "arch/arm64")
DOCUMENT = "docs/misra.md"
# What the compiler defines; with it cppcheck looks at this one configuration only.
DEFINES = ("__ATOMIC_RELAXED=0", "__ATOMIC_ACQUIRE=2", "__ATOMIC_RELEASE=3", "__ATOMIC_ACQ_REL=4",
           "__ATOMIC_SEQ_CST=5", "__BYTE_ORDER__=1234", "__ORDER_LITTLE_ENDIAN__=1234")
# MISRA C:2012 with its amendments 1 and 2: what nobody may deviate from.
MANDATORY = {"9.1", "12.5", "13.6", "17.3", "17.4", "17.6", "19.1", "21.13", "21.17", "21.18",
             "21.19", "21.20", "22.2", "22.4", "22.5", "22.6"}

RULE = re.compile(r"(\d+\.\d+)(?: ([RA]))?(?: \((unseen)\))?$")


class Document:
    """What docs/misra.md says."""

    def __init__(self, text):
        self.errors = []
        self.aside = {}         # rule: does cppcheck see it?
        self.deviations = {}    # name: (rules, does cppcheck see it?)
        self.errs = {}          # (rule, file or *, version): line
        self.section = None
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("## "):
                self.section = line[3:]
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.startswith("|") and cells[0] not in ("rule", "name") and cells[0].strip("-"):
                self.row(number, cells)
        for rule in set(self.aside) & MANDATORY:
            self.errors.append(f"{DOCUMENT}: {rule} is mandatory: it can't be set aside")

    def row(self, number, cells):
        """A row of the table of this section."""
        if self.section == "Set aside":
            for word in cells[0].split(", "):
                match = RULE.match(word)
                if match is None or match[2] is None:
                    self.errors.append(f"{DOCUMENT}:{number}: {word} is not like 10.1 R")
                else:
                    self.aside[match[1]] = match[3] is None
        elif self.section == "Deviations at a place":
            if cells[0] in self.deviations:
                self.errors.append(f"{DOCUMENT}:{number}: {cells[0]} is there twice")
            rules = cells[1].replace(" (unseen)", "").replace("`", "").split(", ")
            self.deviations[cells[0]] = (rules, "(unseen)" not in cells[1])
            if set(rules) & MANDATORY:
                self.errors.append(f"{DOCUMENT}:{number}: a deviation from a mandatory rule")
        elif self.section == "Where the checker errs":
            self.errs[cells[0].strip("`"), cells[1].strip("`"), cells[2]] = number


def marks(root, folders):
    """{(file, line): {names}} of the comments that name deviations, by the line they are at."""
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.[chS]")):
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                for name in re.findall(r"\bMISRA (D\d+)\b", line):
                    found.setdefault((path.relative_to(root).as_posix(), number), set()).add(name)
    return found


def version_of():
    """cppcheck's version, as 2.10."""
    text = subprocess.run(["cppcheck", "--version"], check=True, capture_output=True,
                          text=True).stdout
    return ".".join(re.search(r"(\d+)\.(\d+)", text).groups())


def findings_of(root, folders, includes):
    """{(file, line, rule)} that cppcheck has of the folders."""
    with tempfile.TemporaryDirectory() as copy:     # the addon's files lie beside the code
        for folder in {*folders, *includes}:
            shutil.copytree(root / folder, Path(copy) / folder, dirs_exist_ok=True)
        done = subprocess.run(
            ["cppcheck", "-q", "-j2", "--enable=style", "--addon=misra", "--std=c11",
             "--platform=unix64", "--template={file}:{line}:{id}:{severity}",
             *(f"-I{folder}" for folder in includes), *(f"-D{define}" for define in DEFINES),
             *folders],
            cwd=copy, capture_output=True, text=True, check=False)
    found = set()
    for line in (done.stdout + done.stderr).splitlines():
        match = re.match(r"([^:]+):(\d+):([\w.-]+):(\w+)$", line)
        if match is None:
            sys.exit(f"cppcheck: {line}")
        name, number, what, severity = match.groups()
        if what.startswith("misra-c2012-"):
            found.add((name, int(number), what.removeprefix("misra-c2012-")))
        elif severity in ("error", "warning"):
            found.add((name, int(number), what))
    return found


def judge(document, found, marked, version):
    """The errors, and how many findings each way of covering took."""
    errors, used = list(document.errors), set()
    counts = {"set aside": 0, "deviations": 0, "the checker's": 0}
    for name, line, rule in sorted(found):
        at = [(where, mark) for where in ((name, line), (name, line - 1))
              for mark in marked.get(where, ())
              if rule in document.deviations.get(mark, ((),))[0]]
        errs = [key for key in ((rule, name, version), (rule, "*", version))
                if key in document.errs]
        if at:
            used.update((where[0], mark) for where, mark in at)
            counts["deviations"] += 1
        elif errs:
            used.update(errs)
            counts["the checker's"] += 1
        elif rule in document.aside:
            used.add(rule)
            counts["set aside"] += 1
        else:
            errors.append(f"{name}:{line}: rule {rule}: no row of {DOCUMENT} covers it, and no "
                          "deviation")
    for where, names in sorted(marked.items()):
        for mark in names - set(document.deviations):
            errors.append(f"{where[0]}:{where[1]}: {DOCUMENT} has no {mark}")
    if version == TRIED[0]:
        errors += unneeded(document, marked, used, version)
    return errors, counts


def unneeded(document, marked, used, version):
    """Rows, deviations and comments that cover nothing."""
    errors = [f"{DOCUMENT}: nothing needs the row of {rule} any more"
              for rule, seen in document.aside.items() if seen and rule not in used]
    errors += [f"{DOCUMENT}:{line}: nothing needs this row any more"
               for key, line in document.errs.items() if key[2] == version and key not in used]
    for mark, (_, seen) in document.deviations.items():
        places = [where for where, names in sorted(marked.items()) if mark in names]
        if not places:
            errors.append(f"{DOCUMENT}: no place in the code names {mark}")
        errors += [f"{where[0]}:{where[1]}: nothing needs {mark} here" for where in places
                   if seen and (where[0], mark) not in used]
    return errors


def check(root, folders=FOLDERS, includes=INCLUDES):
    """Prints what is wrong; the number of errors that count."""
    version = version_of()
    document = Document((root / DOCUMENT).read_text(encoding="utf-8"))
    found = findings_of(root, folders, includes)
    errors, counts = judge(document, found, marks(root, folders), version)
    for error in errors:
        print(error)
    print(f"misra: cppcheck {version}: {len(found)} findings: " +
          ", ".join(f"{count} {what}" for what, count in counts.items()) +
          f"; {len(errors)} errors")
    if version not in TRIED:
        print(f"misra: tried with cppcheck {' and '.join(TRIED)}: what {version} finds does not "
              "count")
        return len(document.errors)
    return len(errors)


if __name__ == "__main__":
    sys.exit(1 if check(Path(__file__).resolve().parents[2]) else 0)
