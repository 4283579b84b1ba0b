# SPDX-License-Identifier: Apache-2.0
"""What is measured, in the order of the tables, and what others have published of themselves."""

# (name, what it says in a table): the guest's names, but for those that are derived below.
INTERRUPTS = (
    ("timer_spin", "timer deadline to handler, spinning"),
    ("timer_wfi", "the same, waiting in WFI"),
    ("timer_calls", "the same, looping on PSCI_VERSION"),
    ("timer_isenabler", "the same, looping on GICD_ISENABLER1 writes"),
    ("sgi_self", "self-SGI to handler"),
    ("sgi_self_x19", "the same, sent from register x19"),
    ("sgi_resume", "self-SGI to the loop that it interrupted"),
    ("ipi", "IPI to a vCPU in WFI on another core"),
    ("ipi_back", "the same, the other way"),
    ("ipi_round", "there and back"),
    ("storm_first", "storm of 16 lines: unmasked to the first handler"),
    ("storm_last", "storm of 16 lines: unmasked to the last handler"),
    ("storm_disorder", "of the 16, how many were not in their place"),
    ("irq_acknowledge", "interrupt acknowledge"),
    ("irq_end", "end of interrupt"),
    ("irq_deactivate", "deactivate (EOImode 1)"),
)
CALLS = (
    ("psci_hvc", "PSCI_VERSION by HVC"),
    ("psci_smc", "PSCI_VERSION by SMC"),
    ("cpu_on", "PSCI CPU_ON to the first instruction of the other vCPU"),
    ("typer_read", "GICD_TYPER read"),
    ("typer_read_x19", "the same, into register x19"),
    ("isenabler0_write", "ISENABLER0 write (GICR or GICD)"),
    ("isenabler1_write", "GICD_ISENABLER1 write"),
    ("isenabler1_read", "GICD_ISENABLER1 read"),
    ("console_write", "UART data register write"),
)
SHARED = (
    ("switch", "vCPU switch (half of a round of yields)"),
    ("fp_switch", "vCPU switch, both with FP registers in use"),
    ("fp_use", "first FP instruction after another VM's"),
    ("hog_same", "timer from WFI, beside a VM on the same core that never waits"),
    ("traps_same", "... that does nothing but trap"),
    ("chat_same", "... that never stops printing"),
    ("hog_other", "timer from WFI, beside a VM on another core that never waits"),
    ("traps_other", "... that does nothing but trap"),
    ("chat_other", "... that never stops printing"),
)
BOOT = (
    ("boot_entry", "reset to the hypervisor's first instruction"),
    ("boot_mmu", "... to its first with the MMU on"),
    ("boot_built", "... to where all VMs are built"),
    ("boot_loaded", "... to where the VM's memory is loaded"),
    ("boot", "... to the guest's first instruction"),
)
# What a control VM's calls cost its core, but for the last two, which any VM makes of itself.
VERBS = (
    ("inspect_machine", "INSPECT of the machine"),
    ("inspect_vm", "... of a VM"),
    ("inspect_vcpu", "... of a vCPU"),
    ("inspect_config", "... of a VM's configuration"),
    ("inspect_registers", "... of a vCPU's registers"),
    ("inspect_trace", "... of the trace's places"),
    ("memory_read", "READ of 4 KiB"),
    ("log_read", "LOG, 512 bytes"),
    ("console_read", "CONSOLE_READ of 64 bytes"),
    ("console_read_most", "... of 1 KiB, all that is kept"),
    ("console_type", "CONSOLE_WRITE of a byte"),
    ("console_type_most", "... of 64, all that is taken"),
    ("register", "REGISTER of a VM with one vCPU"),
    ("register_most", "... with the most of everything, beside others of the kind"),
    ("fill", "FILL of 4 KiB"),
    ("verb_start", "START"),
    ("verb_pause", "PAUSE"),
    ("verb_resume", "RESUME"),
    ("verb_shutdown", "SHUTDOWN"),
    ("verb_reset", "RESET"),
    ("verb_stop", "STOP"),
    ("verb_destroy", "DESTROY of one that runs"),
    ("verb_attach", "ATTACH"),
    ("verb_detach", "DETACH"),
    ("watchdog", "WATCHDOG, a kick"),
    ("events", "EVENTS"),
)
# From a control VM's HVC on, of all cores.
REVOKE = tuple(
    (f"{how}_{verb}_{part}", f"{verb.upper()} of {who}: {text}")
    for how, who, parts in (
        ("revoke", "a loop", (
            ("all", "to its last instruction"),
            ("caller", "... of these, the caller's core's"),
            ("taken", "to the hypervisor's first one on its core"))),
        ("asleep", "one in WFI", (
            ("target", "instructions that it still executes"),
            ("taken", "to the hypervisor's first one on its core"))))
    for verb in ("reset", "stop", "pause") for part, text in parts)
STARTS = (
    ("first_start", "first START, 2 MiB: HVC to the guest's first instruction"),
    ("next_start", "START of one that was stopped"),
    ("restart", "RESET"),
    ("back", "watchdog due, 2 MiB, to the guest's first instruction"),
    ("back_16", "... 16 MiB"),
    ("back_load", "... 16 MiB, its image 1 MiB of it"),
    ("zero_mib", "a MiB that is zeroed"),
    ("load_mib", "a MiB that the image fills"),
)
CONTROL = VERBS + REVOKE + STARTS
TABLES = (("interrupts", INTERRUPTS), ("calls", CALLS), ("shared", SHARED), ("boot", BOOT),
          ("verbs", VERBS), ("revoke", REVOKE), ("starts", STARTS))
ALL = INTERRUPTS + CALLS + SHARED + BOOT + CONTROL
TEXT = dict(ALL)
# What a table's figures are, where it is not this.
TITLE = "instructions, guest to guest"
TITLES = {
    "boot": "instructions",
    "verbs": "instructions of the caller's core",
    "revoke": "instructions of all cores, or ns",
    "starts": "instructions of all cores, or ns",
}

# Half of a round of the guest's.
HALVED = {"yield_round": "switch", "fp_round": "fp_switch"}

SYSTEMS = {
    "bare": "bare", "xen": "Xen", "kvm": "KVM", "bao": "Bao*", "jailhouse": "Jailhouse*",
    "nrt": "NRT", "srt": "SRT", "hrt": "HRT", "direct": "HRT, sgi = direct",
}
PEERS = ("xen", "kvm", "bao", "jailhouse")
KIZAMI = ("nrt", "srt", "hrt", "direct")

# Published, of the same machine, QEMU virt with a GICv3, by the same method: not measured here.
PUBLISHED = {
    "bao": {"timer_spin": (201,), "timer_wfi": (202,), "timer_isenabler": (1993, 3761),
            "sgi_self": (778,), "ipi": (809,), "psci_hvc": (189,), "psci_smc": (203,),
            "typer_read": (225,), "isenabler1_write": (3565,), "boot": (322000,)},
    "jailhouse": {"timer_spin": (208,), "timer_wfi": (209,), "timer_isenabler": (675, 1174),
                  "sgi_self": (1402,), "psci_smc": (137,), "typer_read": (268,),
                  "isenabler1_write": (967,), "boot": (612000,)},
}


def derive(figures):
    """The rows of the tables, of what a guest said."""
    rows = {}
    for name, figure in figures.items():
        if name in HALVED:
            rows[HALVED[name]] = {k: v if k == "n" else v // 2 for k, v in figure.items()}
        elif name in TEXT:
            rows[name] = figure
    if "boot" in figures and "boot_virtual" in figures:
        loaded = figures["boot"]["p50"] - figures["boot_virtual"]["p50"]
        rows["boot_loaded"] = {"p50": loaded}
    return rows


def published():
    """The same shape as what is measured: {system: {row: figure}}."""
    return {system: {row: {"p50": value[0], "max": value[-1]} for row, value in rows.items()}
            for system, rows in PUBLISHED.items()}
