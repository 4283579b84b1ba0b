# SPDX-License-Identifier: Apache-2.0
"""Lines and branches of sources, from gcov's JSON of many builds of them, as one."""

import gzip
import json
import subprocess


class Failure(Exception):
    """gcov did not answer, or not of these files."""


class Source:
    """A file: {line: count}, {line: function}, and {(line, function): [branches]}."""

    def __init__(self):
        self.lines = {}
        self.function = {}
        self.branches = {}

    def line(self, number, function, count):
        """A line that was compiled, and how often it was executed."""
        self.lines[number] = self.lines.get(number, 0) + count
        self.function.setdefault(number, function)

    def branch(self, number, function, found):
        """Branches [(falls through, count)] of a line in one build.

        The same kinds in the same order are the same branches. Else the compilers saw different
        code there (a twin header of the host, say), and the build that took more counts.
        """
        key = (number, function)
        old = self.branches.get(key)
        if old is not None and [kind for kind, _ in old] == [kind for kind, _ in found]:
            found = [(kind, a + b) for (kind, a), (_, b) in zip(old, found)]
        elif old is not None:
            def taken(branches):
                return sum(n > 0 for _, n in branches) / len(branches), len(branches)
            found = max(old, found, key=taken)
        self.branches[key] = found

    def branch_counts(self):
        """{line: [counts]}."""
        counts = {}
        for (number, _), found in sorted(self.branches.items()):
            counts.setdefault(number, []).extend(n for _, n in found)
        return counts


class Coverage:
    """Sources by their name from the root of the tree."""

    def __init__(self, is_ours):
        self.is_ours = is_ours
        self.sources = {}

    def add_gcov(self, gcov, data_files, cwd):
        """What gcov says of .gcda files."""
        for at in range(0, len(data_files), 40):
            done = subprocess.run([gcov, "-j", "-t", "-b", *map(str, data_files[at:at + 40])],
                                  cwd=cwd, capture_output=True, check=False)
            if done.returncode != 0 or b"mismatch" in done.stderr:
                raise Failure(f"{gcov}: {done.stderr.decode(errors='replace')}")
            out = done.stdout
            if out[:2] == b"\x1f\x8b":
                out = gzip.decompress(out)
            for text in out.decode().splitlines():
                if text.strip():
                    self._add(json.loads(text))

    def _add(self, unit):
        for file in unit["files"]:
            if not self.is_ours(file["file"]):
                continue
            source = self.sources.setdefault(file["file"], Source())
            branches = {}
            for line in file["lines"]:
                number, function = line["line_number"], line.get("function_name", "")
                source.line(number, function, line["count"])
                found = [(b["fallthrough"], b["count"]) for b in line["branches"]]
                if found:
                    branches.setdefault((number, function), []).extend(found)
            for (number, function), found in branches.items():
                source.branch(number, function, found)

    def info(self, root):
        """The same for genhtml."""
        out = []
        for name, source in sorted(self.sources.items()):
            out.append(f"SF:{root / name}")
            for number, counts in source.branch_counts().items():
                executed = source.lines.get(number, 0) > 0
                out += [f"BRDA:{number},0,{i},{n if executed else '-'}"
                        for i, n in enumerate(counts)]
            out += [f"DA:{number},{n}" for number, n in sorted(source.lines.items())]
            out.append("end_of_record")
        return "\n".join(out) + "\n"
