#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the tests executed of the hypervisor, line by line: docs/coverage.md says how and why.

Usage: coverage.py DATA     DATA: the folder that the QEMU tests left their counters in

Prints a table, writes build/cov/uncovered.txt and build/cov/html, and fails when there is too
little, or a block that nothing executes and docs/coverage.md does not explain.
"""

import array
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/qemu"))

import covered  # noqa: E402
import gcda  # noqa: E402
import merge  # noqa: E402

OUT = ROOT / "build/cov"
REASONS = ROOT / "docs/coverage.md"
# Percent of lines and of branches, and what must have them.
LINES, BRANCHES = 90, 80
GROUPS = (("hv", r"hv/[^/]+$", True), ("arch/arm64", r"arch/arm64/[^/]+$", True),
          ("arch", r"arch/[^/]+$", False))
# What gcov is called for each of the two compilers.
GCOV_ARM, GCOV_HOST = "aarch64-linux-gnu-gcov", "gcov"


class Failure(Exception):
    """Something is missing, or is not what it should be."""


def is_ours(name):
    """A file of the hypervisor; the host tests' twins are not."""
    return re.match(r"(hv|arch|arch/arm64)/[^/]+$", name) is not None


# ---- The real image ----

def summed(files):
    """Arrays of 64-bit words, added up."""
    total = []
    for path in files:
        values = array.array("Q", path.read_bytes())
        total = [a + b for a, b in zip(total or [0] * len(values), values)]
        if len(total) != len(values):
            raise Failure(f"{path} is of another image than its neighbours")
    return total


def image_data(folder):
    """Writes the .gcda of the image's objects; returns their paths."""
    files = sorted(folder.glob("*.counts"))
    counters = covered.Counters()
    total = summed(files)
    if len(total) != sum(count for *_, count in counters.of):
        raise Failure(f"{folder} has no counters of {covered.ELF}")
    by_source, i = defaultdict(dict), 0
    for source, function, _, count in counters.of:
        if function in by_source[source]:
            raise Failure(f"two {function} in files named {source}")
        by_source[source][function] = total[i:i + count]
        i += count
    paths = []
    for notes in sorted((OUT / "arm64").rglob("*.c.gcno")):
        source = notes.name[:-len(".gcno")]
        if source in by_source:
            paths.append(notes.with_suffix(".gcda"))
            gcda.Notes(notes).write(paths[-1], by_source.pop(source))
    if by_source:
        raise Failure(f"no .gcno of {', '.join(by_source)}")
    return paths


def assembly_add(coverage, folder):
    """Lines of the .S files; one is executed if any of its instructions was."""
    insns = covered.Assembly(covered.Counters()).insns
    marks = bytearray(len(insns))
    for path in folder.glob("*.marks"):
        for i, mark in enumerate(path.read_bytes()[:len(insns)]):
            marks[i] |= mark
    for (file, line, _, _), mark in zip(insns, marks):
        source = coverage.sources.setdefault(file, merge.Source())
        source.line(line, label(ROOT / file, line), mark)


def label(path, line):
    """The symbol that a line of assembly is under."""
    for text in reversed(path.read_text().splitlines()[:line]):
        match = re.match(r"([A-Za-z_]\w*):", text)
        if match:
            return match.group(1)
    return ""


# ---- Blocks that nothing executes ----

def plain(text):
    """A line of a source without its comment, and with single blanks."""
    return re.sub(r"\s*/\*.*$", "", re.sub(r"\s+", " ", text)).strip()


class Block:
    """Lines without one between them that is executed, in one function."""

    def __init__(self, file, function, first, text):
        self.key = (file, function, text)
        self.first = self.last = first

    def __str__(self):
        file, function, text = self.key
        span = f"{self.first}-{self.last}" if self.last > self.first else str(self.first)
        return f"{file}:{span}: {function}: {text}"


def blocks(coverage):
    """All of them."""
    found = []
    for name, source in sorted(coverage.sources.items()):
        text = (ROOT / name).read_text().splitlines()
        last = None
        for number, count in sorted(source.lines.items()):
            function = source.function[number]
            if count > 0:
                last = None
            elif last is not None and last.key[1] == function:
                last.last = number
            else:
                last = Block(name, function, number, plain(text[number - 1]))
                found.append(last)
    return found


def reasons(path):
    """{(file, function, text): line} of docs/coverage.md: under a heading that is a file's name,
    - `function`: `first line of the block`: why."""
    found, file = {}, None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        heading = re.match(r"#+ (.*)", line)
        if heading:
            file = heading.group(1) if is_ours(heading.group(1)) else None
            continue
        match = re.match(r"- `([^`]*)`: `([^`]*)`: \S", line)
        if match and file is not None:
            found[(file, match.group(1), plain(match.group(2)))] = number
        elif line.startswith("- ") and file is not None:
            raise Failure(f"{path}:{number}: not \"- `function`: `first line`: why\"")
    return found


def check_reasons(found, known):
    """Complaints: blocks without a reason; and reasons without a block, which are only said."""
    keys = {block.key for block in found}
    missing = [f"{block}\n    is not executed, and docs/coverage.md does not say why"
               for block in found if block.key not in known]
    for key, line in known.items():
        if key not in keys:
            print(f"warning: docs/coverage.md:{line}: {' '.join(key)}: is executed now, or is not "
                  "there any more")
    return missing


# ---- The report ----

class Sum:
    """Lines and branches: how many, and how many of them were executed or taken."""

    def __init__(self):
        self.lines = self.lines_done = self.branches = self.branches_done = 0

    def add(self, source):
        """Counts a file."""
        taken = [n for counts in source.branch_counts().values() for n in counts]
        self.lines += len(source.lines)
        self.lines_done += sum(n > 0 for n in source.lines.values())
        self.branches += len(taken)
        self.branches_done += sum(n > 0 for n in taken)

    def percent(self):
        """Of lines, of branches."""
        return (100 * self.lines_done / max(1, self.lines),
                100 * self.branches_done / max(1, self.branches) if self.branches else 100.0)

    def row(self, name):
        """A line of the table."""
        lines, branches = self.percent()
        text = f"{name:28} {self.lines_done:5} of {self.lines:5}  {lines:5.1f} %"
        if self.branches:
            text += f"   {self.branches_done:5} of {self.branches:5}  {branches:5.1f} %"
        return text


def table(coverage):
    """Prints it; returns complaints of groups that have too little."""
    few = []
    print(f"{'':28} {'lines':>14}  {'':7}   {'branches':>14}")
    for group, pattern, required in GROUPS:
        total = Sum()
        for name, source in sorted(coverage.sources.items()):
            if re.match(pattern, name):
                own = Sum()
                own.add(source)
                total.add(source)
                print(own.row(name))
        print(total.row(f"{group}: all") + "\n")
        for percent, limit, what in zip(total.percent(), (LINES, BRANCHES), ("lines", "branches")):
            if required and percent < limit:
                few.append(f"{group}: {percent:.1f} % of the {what}, less than {limit} %")
    return few


def write_uncovered(coverage, found):
    """build/cov/uncovered.txt: the blocks, and the branches of executed lines never taken."""
    out = [str(block) for block in found]
    for name, source in sorted(coverage.sources.items()):
        text = (ROOT / name).read_text().splitlines()
        for number, counts in source.branch_counts().items():
            if source.lines.get(number, 0) > 0 and 0 in counts:
                taken = " ".join("+" if n else "-" for n in counts)
                out.append(f"{name}:{number}: [{taken}] {text[number - 1].strip()}")
    (OUT / "uncovered.txt").write_text("\n".join(out) + "\n")


def write_html(coverage):
    """build/cov/html."""
    info = OUT / "coverage.info"
    info.write_text(coverage.info(ROOT))
    done = subprocess.run(["genhtml", "--quiet", "--branch-coverage", "--legend", "--title",
                           "Kizami, image and host tests", "--prefix", ROOT, "-o", OUT / "html",
                           info], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"genhtml: {done.stderr}")


def main(folder):
    """Returns the exit status."""
    coverage = merge.Coverage(is_ours)
    try:
        image = image_data(folder)
        host = sorted((OUT / "host/tests").glob("*.gcda"))
        if not host:
            raise Failure("no host test was run")
        coverage.add_gcov(GCOV_ARM, image, ROOT)
        coverage.add_gcov(GCOV_HOST, host, ROOT)
        assembly_add(coverage, folder)
        found = blocks(coverage)
        complaints = table(coverage) + check_reasons(found, reasons(REASONS))
        write_uncovered(coverage, found)
        write_html(coverage)
    except (Failure, gcda.Failure, merge.Failure, OSError) as e:
        print(f"coverage: {e}", file=sys.stderr)
        return 2
    for complaint in complaints:
        print(complaint)
    print("coverage: build/cov/html/index.html; what is missing is in build/cov/uncovered.txt")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__.strip())
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
