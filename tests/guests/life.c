/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of two vCPUs that looks at what it starts with, leaves marks
 * everywhere, and does by keys:
 *   r  resets its VM
 *   p  PSCI: what each call answers, mistakes included
 *   s  its second vCPU on and off, a thousand times
 *   d  identification registers, PMU and debug registers
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "guest.h"
#include "line.h"
#include "psci.h"
#include "second.h"

#define PSCI_CPU_OFF		0x84000002u
#define PSCI_AFFINITY_INFO	0xc4000004u
#define PSCI_MIGRATE_INFO_TYPE	0x84000006u
#define PSCI_FEATURES		0x8400000au
#define INVALID_PARAMETERS	(-2)
#define ALREADY_ON		(-4)
#define INVALID_ADDRESS		(-9)
#define MARK			0x6b697a616d69ull
#define STORM			1000u
#define PATIENCE		100000000u	/* turns of a loop that waits */

SYSREG_READ(id_aa64dfr0_el1, "id_aa64dfr0_el1")
SYSREG_READ(id_aa64mmfr0_el1, "id_aa64mmfr0_el1")
SYSREG_READ(tpidr_el1, "tpidr_el1")
SYSREG_WRITE(tpidr_el1, "tpidr_el1")
SYSREG_READ(tpidr_el0, "tpidr_el0")
SYSREG_WRITE(tpidr_el0, "tpidr_el0")
SYSREG_READ(contextidr_el1, "contextidr_el1")
SYSREG_WRITE(contextidr_el1, "contextidr_el1")
SYSREG_READ(mair_el1, "mair_el1")
SYSREG_READ(ttbr1_el1, "ttbr1_el1")
SYSREG_WRITE(ttbr1_el1, "ttbr1_el1")
SYSREG_READ(mdscr_el1, "mdscr_el1")
SYSREG_WRITE(mdscr_el1, "mdscr_el1")
SYSREG_READ(mdccint_el1, "mdccint_el1")
SYSREG_WRITE(mdccint_el1, "mdccint_el1")
SYSREG_WRITE(oslar_el1, "oslar_el1")
SYSREG_READ(dbgbcr0_el1, "dbgbcr0_el1")
SYSREG_WRITE(dbgbcr0_el1, "dbgbcr0_el1")
SYSREG_READ(dbgbcr5_el1, "dbgbcr5_el1")
SYSREG_WRITE(dbgbcr5_el1, "dbgbcr5_el1")
SYSREG_READ(dbgwcr0_el1, "dbgwcr0_el1")
SYSREG_WRITE(dbgwcr0_el1, "dbgwcr0_el1")
SYSREG_READ(dbgwcr3_el1, "dbgwcr3_el1")
SYSREG_WRITE(dbgwcr3_el1, "dbgwcr3_el1")
SYSREG_READ(cntv_ctl_el0, "cntv_ctl_el0")
SYSREG_READ(cntp_ctl_el0, "cntp_ctl_el0")
SYSREG_WRITE(cntp_ctl_el0, "cntp_ctl_el0")
SYSREG_READ(cntkctl_el1, "cntkctl_el1")
SYSREG_WRITE(cntkctl_el1, "cntkctl_el1")
SYSREG_READ(pmcr_el0, "pmcr_el0")
SYSREG_WRITE(pmcr_el0, "pmcr_el0")
SYSREG_READ(pmccntr_el0, "pmccntr_el0")
SYSREG_WRITE(pmcntenset_el0, "pmcntenset_el0")

static uintptr_t ram, ram_end;
static uint64_t mpidr;
static volatile uint64_t arrived, context_seen;
static volatile bool stay;
static bool is_v3;

void guest_irq(uint64_t now)
{
	(void)now;
}

static void check(const char *name, bool ok)
{
	struct line line;

	line_begin(&line);
	line_text(&line, ok ? "ok " : "not ok ");
	line_text(&line, name);
	line_print(&line);
}

/* ---- What a start finds ---- */

/* All bits of v0 to v31, FPCR and FPSR in one. */
static uint64_t fp_gather(void)
{
	uint64_t low, high;

	__asm__ volatile(".arch_extension fp\n.arch_extension simd\n"
			 ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,"
			 " 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
			 "orr v0.16b, v0.16b, v\\n\\().16b\n"
			 ".endr\n"
			 "mov %0, v0.d[0]\n"
			 "mov %1, v0.d[1]\n"
			 "mrs x9, fpcr\n"
			 "orr %0, %0, x9\n"
			 "mrs x9, fpsr\n"
			 "orr %0, %0, x9\n"
			 : "=&r"(low), "=&r"(high)::"x9", "v0");
	return low | high;
}

static void fp_mark(void)
{
	__asm__ volatile(".arch_extension fp\n.arch_extension simd\n"
			 ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,"
			 " 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
			 "dup v\\n\\().2d, %0\n"
			 ".endr\n"
			 "mov x9, #0x400000\n"
			 "msr fpcr, x9\n" ::"r"(MARK)
			 : "x9", "v0");
}

static uint64_t debug_gather(void)
{
	write_oslar_el1(0);
	cpu_isb();
	return read_mdscr_el1() | read_mdccint_el1() | (read_dbgbcr0_el1() & 1) |
	       (read_dbgbcr5_el1() & 1) | (read_dbgwcr0_el1() & 1) | (read_dbgwcr3_el1() & 1);
}

/* Breakpoint 0 is not on: it would hit. The rest is, with MDSCR_EL1.MDE. */
static void debug_mark(void)
{
	write_dbgbcr5_el1(0x1e5);
	write_dbgwcr0_el1(0x1ffb);
	write_dbgwcr3_el1(0x1ffb);
	write_dbgbcr0_el1(0x1e5);
	write_mdccint_el1(1u << 29);
	write_mdscr_el1(1u << 15);
}

static uint64_t registers_gather(void)
{
	return read_tpidr_el1() | read_tpidr_el0() | read_contextidr_el1() | read_mair_el1() |
	       read_ttbr1_el1() | (read_cntkctl_el1() & 0x3ff) | (read_cntp_ctl_el0() & 1) |
	       (read_cntv_ctl_el0() & 1) | (read_sctlr_el1() & 0x1005);
}

static void registers_mark(void)
{
	write_tpidr_el1(MARK);
	write_tpidr_el0(MARK);
	write_contextidr_el1(0xcafe);
	write_mair_el1(MARK);
	write_ttbr1_el1(MARK << 12);
	write_cntkctl_el1(0x303);
	write_cntp_ctl_el0(1);
	write_cntv_ctl_el0(1);
}

/* Marks in the upper half of the memory, a word a page; how many were found there. */
static uint32_t memory_mark(void)
{
	uint32_t found = 0;

	for (uintptr_t at = ram + (ram_end - ram) / 2; at < ram_end; at += 4096) {
		volatile uint64_t *word = (volatile uint64_t *)(at + 64 * (at >> 12 & 63));

		found += *word != 0 ? 1 : 0;
		*word = MARK;
	}
	return found;
}

static void fresh(void)
{
	check("floating point is zero", fp_gather() == 0);
	check("debug registers are off", debug_gather() == 0);
	check("system registers are reset", registers_gather() == 0);
	check("memory is scrubbed", memory_mark() == 0);
	fp_mark();
	debug_mark();
	registers_mark();
	console_print("life: up\n");
}

/* ---- The second vCPU ---- */

__attribute__((used)) void second_main(uint64_t context)
{
	context_seen = context;
	arrived = arrived + 1;
	while (stay) {
	}
	hvc_call(PSCI_CPU_OFF, 0, 0, 0);
}

static int64_t affinity(uint64_t of, uint64_t level)
{
	return hvc_call(PSCI_AFFINITY_INFO, of, level, 0);
}

static bool wait_affinity(int64_t state)
{
	for (uint32_t i = 0; i < PATIENCE; i++) {
		if (affinity(mpidr + 1, 0) == state) {
			return true;
		}
	}
	return false;
}

static int64_t second_on(uint64_t context)
{
	return psci_cpu_on(mpidr + 1, (uintptr_t)second_entry, context);
}

static void psci(void)
{
	check("PSCI_VERSION", psci_version() == 0x10001);
	check("MIGRATE_INFO_TYPE", hvc_call(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0) == 2);
	check("FEATURES of CPU_OFF", hvc_call(PSCI_FEATURES, PSCI_CPU_OFF, 0, 0) == 0);
	check("FEATURES of nothing", hvc_call(PSCI_FEATURES, 0x8400001f, 0, 0) == -1);
	check("unknown call", hvc_call(0x8400001f, 0, 0, 0) == -1);
	check("AFFINITY_INFO of itself", affinity(mpidr, 0) == 0);
	check("AFFINITY_INFO of an off vCPU", affinity(mpidr + 1, 0) == 1);
	check("AFFINITY_INFO of nobody", affinity(mpidr + 0x100, 0) == INVALID_PARAMETERS);
	check("AFFINITY_INFO of a level", affinity(mpidr, 3) == INVALID_PARAMETERS);
	check("CPU_ON of itself",
	      psci_cpu_on(mpidr, (uintptr_t)second_entry, 0) == ALREADY_ON);
	check("CPU_ON of nobody",
	      psci_cpu_on(mpidr + 0x10000, (uintptr_t)second_entry, 0) == INVALID_PARAMETERS);
	check("CPU_ON behind the memory", psci_cpu_on(mpidr + 1, ram_end, 0) == INVALID_ADDRESS);
	check("CPU_ON below the memory", psci_cpu_on(mpidr + 1, ram - 4, 0) == INVALID_ADDRESS);
	check("CPU_ON of 2^64 - 4", psci_cpu_on(mpidr + 1, ~3ull, 0) == INVALID_ADDRESS);
	check("it is off still", affinity(mpidr + 1, 0) == 1);
	stay = true;
	check("CPU_ON", second_on(MARK) == 0);
	check("AFFINITY_INFO of a running vCPU", wait_affinity(0));
	check("CPU_ON twice", second_on(0) == ALREADY_ON);
	while (arrived == 0) {
	}
	check("its context", context_seen == MARK);
	stay = false;
	check("CPU_OFF", wait_affinity(1));
	console_print("life: done\n");
}

static void storm(void)
{
	const uint64_t before = arrived;
	bool ok = true;

	stay = false;
	for (uint32_t i = 0; i < STORM && ok; i++) {
		ok = second_on(i) == 0 && wait_affinity(1) && context_seen == i;
	}
	check("on and off", ok && arrived == before + STORM);
	console_print("life: done\n");
}

/* ---- Registers ---- */

static bool pmu_counts(void)
{
	uint64_t before;

	write_pmcr_el0(1);
	write_pmcntenset_el0(1u << 31);
	cpu_isb();
	before = read_pmccntr_el0();
	for (uint32_t i = 0; i < 100; i++) {
		cpu_isb();
	}
	return read_pmccntr_el0() != before;
}

static void registers(void)
{
	const uint64_t pfr0 = read_id_aa64pfr0_el1();
	const uint64_t dfr0 = read_id_aa64dfr0_el1();
	const bool v3 = (pfr0 >> 24 & 15) != 0;
	const uint64_t faults = probe.faults;
	volatile uint64_t pmcr;

	check("EL1 is 64 bits, EL2 and EL3 are not there", (pfr0 & 0xfff0) == 0x10 ||
	      (pfr0 & 0xfff0) == 0x0);
	check("neither RAS nor SVE", (pfr0 >> 28 & 0xff) == 0);
	check("physical addresses of 40 bits at most", (read_id_aa64mmfr0_el1() & 15) <= 2);
	check("neither trace nor profiling", (dfr0 >> 4 & 15) == 0 && (dfr0 >> 32 & 15) == 0);
	check("six breakpoints", (dfr0 >> 12 & 15) == 5);
	check("the GIC of the device tree", v3 == is_v3);
	pmcr = read_pmcr_el0();
	(void)pmcr;
	if (*(volatile uint64_t *)&probe.faults != faults) {
		check("no PMU", ESR_EC(probe.esr) == EC_UNKNOWN && (dfr0 >> 8 & 15) == 0);
	} else {
		check("a PMU", (dfr0 >> 8 & 15) != 0 && (dfr0 >> 8 & 15) != 15 && pmu_counts());
	}
	console_print("life: done\n");
}

void guest_main(const void *fdt)
{
	struct fdt_node node;
	uint64_t base = 0, size = 0;

	console_init(fdt);
	probe_init();
	is_v3 = fdt_find(fdt, "arm,gic-v3", &node);
	mpidr = read_mpidr_el1() & 0xff00ffffffull;
	if (fdt_find(fdt, "memory", &node) && fdt_reg(&node, 0, &base, &size)) {
		ram = base;
		ram_end = base + size;
	}
	fresh();
	for (;;) {
		switch (console_read()) {
		case 'r':
			psci_system_reset();
			break;
		case 'p':
			psci();
			break;
		case 's':
			storm();
			break;
		case 'd':
			registers();
			break;
		default:
			break;
		}
	}
}
