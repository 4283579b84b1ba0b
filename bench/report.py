# SPDX-License-Identifier: Apache-2.0
"""docs/bench.md: what is between its markers is written here, the rest by hand."""

import re

import machine
import rows
import store

PAGE = machine.ROOT / "docs/bench.md"
PICTURE = machine.ROOT / "docs/bench.svg"
PART = re.compile(r"(<!-- bench: (\w[\w-]*) -->\n).*?(<!-- end -->)", re.DOTALL)


def spread(figure):
    """The median, and where the others differ from it: [min p99 max]."""
    middle = figure["p50"]
    if "min" not in figure:
        return str(middle) if figure.get("max", middle) == middle else \
            f"{middle} [max {figure['max']}]"
    if figure["min"] == middle == figure["max"]:
        return str(middle)
    return f"{middle} [{figure['min']} {figure['p99']} {figure['max']}]"


def cell(systems, system, row):
    """A cell of a table; a storm's order is not a time."""
    figure = systems.get(system, {}).get(row)
    return "–" if figure is None else spread(figure)


def best_peer(systems, row):
    """The smallest median of a peer, and its name; None if no peer has the row."""
    have = [(systems[peer][row]["p50"], peer) for peer in rows.PEERS
            if row in systems.get(peer, {})]
    return min(have) if have else None


def ratio(systems, row, level):
    """Kizami's median by the best peer's."""
    best = best_peer(systems, row)
    figure = systems.get(level, {}).get(row)
    if best is None or figure is None or best[0] == 0 or row == "storm_disorder":
        return "–"
    value = figure["p50"] / best[0]
    digits = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
    return f"{digits} ({rows.SYSTEMS[best[1]]})"


def table(systems, chosen, title):
    """The rows of a machine, a column for each system that has one of them."""
    columns = [s for s in rows.SYSTEMS
               if any(row in systems.get(s, {}) for row, _ in chosen)]
    peers = any(peer in columns for peer in rows.PEERS)
    ratios = ("nrt", "hrt") if peers else ()
    heads = [title, *(rows.SYSTEMS[c] for c in columns),
             *(f"{rows.SYSTEMS[r]} / best peer" for r in ratios)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row, text in chosen:
        if not any(row in systems.get(c, {}) for c in columns):
            continue
        cells = [text, *(cell(systems, c, row) for c in columns),
                 *(ratio(systems, row, r) for r in ratios)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def about(now, peers):
    """What was measured, and with what."""
    xen = peers["versions"].get("xen", "")
    lines = [f"Kizami {now['commit']}, {now['date']}; {now['qemu']}; {now['gcc']}.",
             f"Peers measured {peers['date']}: Xen {xen} (Debian)."]
    if "kvm" in peers["versions"]:
        lines[-1] = lines[-1][:-1] + f"; KVM of Linux {peers['versions']['kvm']} (Debian)."
    return "\n".join(lines) + "\n"


def everything():
    """({machine: {system: {row: figure}}}, about, peers): the last run's, and the peers'."""
    now, figures = store.history_last()
    peers = store.peers_read()
    every = {board: dict(levels) for board, levels in figures.items()}
    for board, systems in peers["figures"].items():
        every.setdefault(board, {}).update(systems)
    every.setdefault("virt", {}).update(rows.published())
    return every, now, peers


def write():
    """The page and the picture, of what is stored."""
    every, now, peers = everything()
    parts = {"about": about(now, peers)}
    for board, systems in every.items():
        for name, chosen in rows.TABLES:
            parts[f"{board}-{name}"] = table(systems, chosen, rows.TITLES.get(name, rows.TITLE))
    text = PAGE.read_text(encoding="utf-8")
    wanted = set(name for _, name, _ in PART.findall(text))
    if not wanted:
        raise SystemExit(f"{PAGE}: no <!-- bench: NAME --> in it")
    unknown = wanted - set(parts)
    if unknown:
        raise SystemExit(f"{PAGE}: there is no part {', '.join(sorted(unknown))}")
    PAGE.write_text(PART.sub(lambda m: m[1] + parts[m[2]] + m[3], text), encoding="utf-8")
    # Only who draws needs the package for it.
    import picture  # pylint: disable=import-outside-toplevel
    versions = "; ".join(f"{rows.SYSTEMS[name]} {version}"
                         for name, version in sorted(peers["versions"].items(), reverse=True))
    picture.draw(every["virt"], now, versions, PICTURE)
