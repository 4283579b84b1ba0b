# SPDX-License-Identifier: Apache-2.0
"""What is kept of a run: the peers' figures, the history, the budget."""

import json

import machine

BENCH = machine.ROOT / "bench"
PEERS = BENCH / "peers.json"
HISTORY = BENCH / "history"
BUDGET = BENCH / "budget"

HEAD = """\
# What each path may cost, in instructions, and what the hypervisor may take, in bytes. Above it a
# run of the bench fails. `bench/bench --accept` writes this file: machine, level, row, the median,
# and a bound of the 99th percentile, which is the one measured and an eighth and 8 more; so is
# that of a median of another compiler's.
"""


def room(value):
    """A bound of what coincidences, or another compiler, change."""
    return value + value // 8 + 8


def peers_read():
    """{"date", "versions", "figures": {machine: {system: {row: figure}}}} of the last full run."""
    if not PEERS.is_file():
        return {"date": "", "versions": {}, "figures": {}}
    return json.loads(PEERS.read_text(encoding="utf-8"))


def peers_write(peers):
    """A line a figure, so that a change shows what changed."""
    PEERS.write_text(json.dumps(peers, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def history_add(about, figures):
    """Appends a line a figure."""
    with open(HISTORY, "a", encoding="utf-8") as file:
        for board, levels in figures.items():
            for level, rows in levels.items():
                for row, figure in rows.items():
                    file.write(json.dumps({**about, "machine": board, "level": level, "row": row,
                                           **figure}) + "\n")


def history_last():
    """(about, figures) of the last run."""
    about, figures = {}, {}
    if not HISTORY.is_file():
        return about, figures
    for line in HISTORY.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        where = [entry.pop(key) for key in ("machine", "level", "row")]
        now = {key: entry.pop(key) for key in ("commit", "date", "qemu", "gcc")}
        if now != about:
            about, figures = now, {}
        figures.setdefault(where[0], {}).setdefault(where[1], {})[where[2]] = entry
    return about, figures


class Budget:
    """bench/budget."""

    def __init__(self):
        self.size = None
        self.compiler = ""
        self.bounds = {}        # (machine, level, row): (p50, p99 or None)
        for number, line in enumerate(BUDGET.read_text(encoding="utf-8").splitlines(), 1):
            word = line.split("#")[0].split()
            if not word:
                continue
            try:
                if word[0] == "size" and len(word) == 2:
                    self.size = int(word[1])
                elif word[0] == "compiler":
                    self.compiler = " ".join(word[1:])
                else:
                    board, level, row, p50, p99 = word
                    self.bounds[board, level, row] = (int(p50), None if p99 == "-" else int(p99))
            except ValueError:
                raise SystemExit(f"{BUDGET}:{number}: MACHINE LEVEL ROW P50 P99, size BYTES or "
                                 "compiler NAME is wanted") from None

    def accept(self, figures, compiler):
        """What was measured is the budget from now on."""
        self.compiler = compiler
        for board, levels in figures.items():
            for level, rows in levels.items():
                for row, figure in rows.items():
                    p99 = figure.get("p99")
                    bound = None if p99 is None else room(p99)
                    self.bounds[board, level, row] = (figure["p50"], bound)

    def write(self):
        """The size's budget is set by hand."""
        lines = [f"size {self.size}\n", f"compiler {self.compiler}\n"]
        for where, (p50, p99) in self.bounds.items():
            lines.append(" ".join([*where, str(p50), "-" if p99 is None else str(p99)]) + "\n")
        BUDGET.write_text(HEAD + "".join(lines), encoding="utf-8")

    def compare(self, figures, compiler):
        """(what is over, what is under): lines to print. A figure without a budget is over it."""
        over, under = [], []
        for board, levels in figures.items():
            for level, rows in levels.items():
                for row, figure in rows.items():
                    where = f"{board} {level} {row}"
                    if (board, level, row) not in self.bounds:
                        over.append(f"{where}: {figure['p50']}, and no budget")
                        continue
                    p50, p99 = self.bounds[board, level, row]
                    p50 = p50 if compiler == self.compiler else room(p50)
                    if figure["p50"] > p50:
                        over.append(f"{where}: {figure['p50']}, the budget is {p50}")
                    elif p99 is not None and figure["p99"] > p99:
                        over.append(f"{where}: 99th percentile {figure['p99']}, the bound is {p99}")
                    elif figure["p50"] < p50:
                        under.append(f"{where}: {figure['p50']}, the budget is {p50}")
        return over, under

    def missing(self, figures, boards):
        """Budgets of these boards that nothing was measured for."""
        return [f"{board} {level} {row}: a budget, and no figure"
                for board, level, row in self.bounds
                if board in boards and row not in figures.get(board, {}).get(level, {})]
