# SPDX-License-Identifier: Apache-2.0
"""docs/bench.svg: the medians of QEMU's virt machine with a GICv3, on a logarithmic axis."""

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator  # noqa: E402

import rows  # noqa: E402

# What is drawn, from the top, and its short name.
DRAWN = (
    ("timer_spin", "timer deadline to handler, spinning"),
    ("timer_wfi", "the same, waiting in WFI"),
    ("timer_isenabler", "the same, in a loop of trapped writes"),
    ("hog_same", "the same, WFI, beside a VM that never waits"),
    ("sgi_self", "self-SGI to handler"),
    ("ipi", "IPI to a vCPU asleep on another core"),
    ("switch", "vCPU switch"),
    ("psci_hvc", "PSCI_VERSION by HVC"),
    ("psci_smc", "PSCI_VERSION by SMC"),
    ("typer_read", "GICD_TYPER read"),
    ("isenabler1_write", "GICD_ISENABLER1 write"),
    ("console_write", "UART data register write"),
    ("cpu_on", "PSCI CPU_ON to the other's first instruction"),
    ("boot", "reset to the first guest instruction"),
)
# System: colour, marker, filled.
STYLE = {
    "bare": ("#555555", "|", True),
    "xen": ("#c05020", "s", True),
    "kvm": ("#b08000", "P", True),
    "bao": ("#7a4fa0", "D", False),
    "jailhouse": ("#a04f7a", "^", False),
    "nrt": ("#1060b0", "o", True),
    "srt": ("#30a0d0", "X", True),
    "hrt": ("#109060", "v", True),
    "direct": ("#60c020", "*", True),
}
NAMES = dict(rows.SYSTEMS, nrt="Kizami NRT", srt="Kizami SRT", hrt="Kizami HRT",
             direct="Kizami HRT, sgi = direct", bare="bare, no hypervisor",
             bao="Bao, published", jailhouse="Jailhouse, published")
# So that marks of equal figures do not hide each other: parts of a row, by system.
SHIFT = {"nrt": 0.27, "srt": 0.09, "hrt": -0.09, "direct": -0.27}


def plain(value, _):
    """1000 as 1 k, so that it can be read at a glance."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def draw(systems, now, versions, path):
    """One mark a system and row; a row without a figure of a system has no mark."""
    matplotlib.rcParams.update({"svg.hashsalt": "kizami", "font.family": "DejaVu Sans",
                                "font.size": 9})
    canvas, axes = pyplot.subplots(figsize=(9.6, 8.6))
    for system, (colour, marker, filled) in STYLE.items():
        have = [(i, systems[system][row]["p50"]) for i, (row, _) in enumerate(DRAWN)
                if row in systems.get(system, {})]
        if not have:
            continue
        axes.scatter([value for _, value in have],
                     [len(DRAWN) - i + SHIFT.get(system, 0) for i, _ in have],
                     s=90 if marker in "|*" else 42, marker=marker, label=NAMES[system],
                     zorder=3, linewidths=1.4,
                     **({"color": colour} if filled else
                        {"facecolors": "white", "edgecolors": colour}))
    axes.set_xscale("log")
    axes.set_xlim(0.7, 2.5 * max(figure["p50"] for of in systems.values()
                                 for row, figure in of.items() if row in dict(DRAWN)))
    axes.xaxis.set_major_locator(LogLocator(numticks=14))
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_yticks([len(DRAWN) - i for i in range(len(DRAWN))])
    axes.set_yticklabels([text for _, text in DRAWN])
    axes.set_ylim(0.4, len(DRAWN) + 0.6)
    axes.grid(axis="x", which="major", color="#dddddd", zorder=0)
    axes.set_axisbelow(True)
    for i in range(len(DRAWN) - 1):
        axes.axhline(len(DRAWN) - i - 0.5, color="#eeeeee", linewidth=0.8, zorder=0)
    axes.set_xlabel("instructions from guest to guest, the hypervisor's included "
                    "(median of 1000)\nlogarithmic axis; further left is better")
    axes.set_title("What a hypervisor costs: QEMU virt, GICv3, Cortex-A53, -icount shift=0",
                   fontsize=10)
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.095), ncol=3, frameon=False)
    canvas.text(0.01, 0.025, f"Kizami {now['commit']}, {now['date']}; {versions}.", fontsize=7.5,
                color="#555555")
    canvas.text(0.01, 0.005, "Published: figures of others, of the same machine and method; "
                "not measured in this run. Instructions are not time on silicon.", fontsize=7.5,
                color="#555555")
    canvas.subplots_adjust(left=0.33, right=0.98, top=0.95, bottom=0.2)
    canvas.savefig(path, metadata={"Date": None})
    pyplot.close(canvas)
