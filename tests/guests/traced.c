/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that knows what it did: it leaves for the hypervisor in every way that
 * there is, for `run` of its counter, counts what it does, says so in one line
 * ("traced: NAME value ..."), and switches itself off. By its command line:
 *   jobs    the job of a server, by job_done; each 16th is longer than the budget
 *   sleep   wakes by its timer
 *   many    two vCPUs: calls, registers, SGIs, the distributor, FP, faults
 *   hard    for HRT: its timer, and what exits even there
 *   wait    does nothing until a 'q' is typed
 * and run=1s pause=1ms.
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmio.h"
#include "mmu.h"
#include "options.h"
#include "psci.h"
#include "realtime.h"
#include "second.h"
#include "timer.h"

#define SGI_SELF		1u
#define SGI_OTHER		2u
#define GICD_TYPER		0x0004u
#define GICD_ISENABLER		0x0100u
#define GICD_IPRIORITYR		0x0400u
#define GICD_SGIR		0x0f00u
#define PSCI_VERSION		0x84000000u
#define PSCI_CPU_OFF		0x84000002u
#define UNKNOWN_CALL		0x8600f077u
#define FAULTS			10u

SYSREG_READ(vbar_el1, "vbar_el1")
SYSREG_READ(pmcr_el0, "pmcr_el0")
SYSREG_WRITE(sgi1r, "s3_0_c12_c11_5")

/* What each vCPU did. */
static volatile struct counts {
	uint64_t calls, smcs, infos, timers, sent, taken, others;
} counts[2];
static struct line line;
static const void *tree;
static uint64_t frequency, end, pause;
static uintptr_t gicd;
static uint32_t intid;
static bool is_v3;
static volatile bool second_ready, second_stop;

static uint32_t self(void)
{
	return second_ready || second_stop ? (uint32_t)read_mpidr_el1() & 1 : 0;
}

void guest_irq(uint64_t now)
{
	volatile struct counts *c = &counts[self()];
	const uint32_t taken = gic_acknowledge() & 0x3ff;

	(void)now;
	if (taken == intid) {
		write_cntv_ctl_el0(0);
		c->timers++;
	} else if (taken < 16) {
		c->taken++;
	} else {
		c->others++;
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

/* ---- Ways out ---- */

static int64_t call(uint32_t function, uint64_t argument)
{
	counts[self()].calls++;
	return hvc_call(function, argument, 0, 0);
}

static void smc(uint32_t function)
{
	register uint64_t x0 __asm__("x0") = function;

	counts[self()].smcs++;
	__asm__ volatile("smc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
}

static struct realtime info(enum kz_info_page page)
{
	struct realtime r;

	counts[self()].calls++;
	counts[self()].infos++;
	(void)realtime_info(page, &r);
	return r;
}

/* One SGI, to the vCPUs of the set. */
static void sgi(uint32_t number, uint32_t targets)
{
	counts[self()].sent++;
	if (is_v3) {
		write_sgi1r((uint64_t)number << 24 | targets);
		cpu_isb();
	} else {
		mmio_write32(gicd + GICD_SGIR, targets << 16 | number);
	}
}

static void fp_use(void)
{
	__asm__ volatile(".arch_extension fp\nfmov d0, x0\nfmov x0, d0" ::: "x0", "v0");
}

static void sleep_for(uint64_t ticks)
{
	const uint64_t before = counts[self()].timers;

	timer_arm(read_cntvct_el0() + ticks);
	while (counts[self()].timers == before) {
		gic_wait();
	}
}

/* What its processor does not have, and where nothing is. */
static void faults(void)
{
	const uint64_t vectors = read_vbar_el1();
	uint32_t value;

	probe_init();
	for (uint32_t i = 0; i < FAULTS; i++) {
		(void)probe_read32(0x20000000u + 4096 * i, &value);
		(void)read_pmcr_el0();
	}
	write_vbar_el1(vectors);
	cpu_isb();
}

/* ---- What it says ---- */

static void say_begin(const char *name)
{
	line_begin(&line);
	line_text(&line, "traced: ");
	line_text(&line, name);
}

static void say_counts(const char *prefix, const volatile struct counts *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{ "calls ", c->calls },	  { "smcs ", c->smcs }, { "infos ", c->infos },
		{ "timers ", c->timers }, { "sent ", c->sent }, { "taken ", c->taken },
		{ "others ", c->others },
	};

	for (uint32_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		line_text(&line, " ");
		line_text(&line, prefix);
		line_value(&line, list[i].name, list[i].value);
	}
}

/* The end: the last call, which switches off, is counted as one of its calls. */
static void finish(const char *name, uint64_t rounds, const struct realtime *first)
{
	const struct realtime page = info(KZ_INFO_COUNTS);
	const struct realtime last = info(KZ_INFO_TIME);

	counts[0].calls++;
	say_begin(name);
	line_value(&line, " rounds ", rounds);
	line_value(&line, " released ", page.x1);
	line_value(&line, " missed ", page.x2);
	line_value(&line, " overrun ", page.x3);
	line_value(&line, " executed ", last.x1 - first->x1);
	line_value(&line, " stolen ", last.x2 - first->x2);
	say_counts("", &counts[0]);
	line_print(&line);
	psci_system_off();
}

/* ---- What it does ---- */

static void work(uint64_t ticks)
{
	const uint64_t start = read_cntvct_el0();

	while (read_cntvct_el0() - start < ticks) {
	}
}

static void jobs(void)
{
	const struct realtime first = info(KZ_INFO_TIME);
	struct realtime server;
	uint64_t done = 0;

	(void)info(KZ_INFO_SERVER);
	(void)realtime_info(KZ_INFO_SERVER, &server);
	counts[0].calls++;
	counts[0].infos++;
	while (read_cntvct_el0() < end) {
		work(timer_ticks(done % 16 == 15 ? server.x3 + 1000 : server.x3 / 2, frequency));
		done++;
		(void)call(KZ_HVC_JOB_DONE, 0);
	}
	finish("jobs", done, &first);
}

static void sleeper(void)
{
	const struct realtime first = info(KZ_INFO_TIME);
	uint64_t done = 0;

	while (read_cntvct_el0() < end) {
		sleep_for(timer_ticks(pause, frequency));
		fp_use();
		work(timer_ticks(20000, frequency));
		done++;
	}
	finish("sleep", done, &first);
}

__attribute__((used)) void second_main(uint64_t context)
{
	write_vbar_el1(context); /* the first one's vectors */
	cpu_isb();
	second_ready = true;
	gic_init(tree);
	gic_enable(SGI_OTHER, 0x80);
	second_stop = false;
	while (!second_stop) {
		gic_wait();
	}
	say_begin("second");
	counts[1].calls++;
	say_counts("", &counts[1]);
	line_print(&line);
	hvc_call(PSCI_CPU_OFF, 0, 0, 0);
}

static void round_run(uint64_t round)
{
	uint32_t value;

	for (uint32_t i = 0; i < 3; i++) {
		value = mmio_read32(gicd + GICD_TYPER);
	}
	(void)value;
	mmio_write32(gicd + GICD_ISENABLER + 4, 0);
	*(volatile uint8_t *)(gicd + GICD_IPRIORITYR + 40) = (uint8_t)(round << 3);
	(void)call(PSCI_VERSION, 0);
	smc(PSCI_VERSION);
	(void)call(UNKNOWN_CALL, 0);
	cpu_irq_enable();
	sgi(SGI_SELF, 1);
	sgi(SGI_OTHER, 2);
	cpu_irq_disable();
	fp_use();
	(void)call(KZ_HVC_JOB_DONE, 0);
}

static void many(void)
{
	const uint64_t mpidr = read_mpidr_el1() & 0xff00ffffffull;
	const struct realtime first = info(KZ_INFO_TIME);
	uint64_t done = 0;

	faults();
	gic_enable(SGI_SELF, 0x80);
	second_stop = true;		/* until it is up */
	counts[0].calls++;
	if (psci_cpu_on(mpidr + 1, (uintptr_t)second_entry, read_vbar_el1()) != 0) {
		return;
	}
	while (second_stop) {
	}
	while (read_cntvct_el0() < end) {
		round_run(done);
		sleep_for(timer_ticks(pause, frequency));
		done++;
		if (done % 128 == 0) {
			console_print("traced: is here\n");
		}
	}
	second_stop = true;
	sgi(SGI_OTHER, 2);
	sleep_for(timer_ticks(5000000, frequency));
	finish("many", done, &first);
}

static void hard(void)
{
	const struct realtime first = info(KZ_INFO_TIME);
	const uint32_t core = is_v3 ? (uint32_t)read_mpidr_el1() & 0xff : 8;
	uint64_t done = 0;

	gic_enable(SGI_SELF, 0x80);
	while (read_cntvct_el0() < end) {
		sleep_for(timer_ticks(pause, frequency));
		cpu_irq_enable();
		if (done % 16 == 0) {
			(void)mmio_read32(gicd + GICD_TYPER);
			sgi(SGI_SELF, is_v3 ? 1u << core : core);
			(void)call(PSCI_VERSION, 0);
		}
		cpu_irq_disable();
		done++;
	}
	finish("hard", done, &first);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	struct fdt_node node;
	uint64_t base, size;

	tree = fdt;
	mmu_enable(fdt);
	console_init(fdt);
	write_cpacr_el1(3ull << 20);		/* FP */
	cpu_isb();
	frequency = read_cntfrq_el0();
	pause = option_value(args, "pause", 1000000u);
	intid = timer_intid(fdt);
	is_v3 = fdt_find(fdt, "arm,gic-v3", &node);
	if ((!is_v3 && !fdt_find(fdt, "arm,cortex-a15-gic", &node) &&
	     !fdt_find(fdt, "arm,gic-400", &node)) ||
	    !fdt_reg(&node, 0, &base, &size) || !gic_init(fdt)) {
		return;
	}
	gicd = base;
	gic_enable(intid, 0x80);
	end = read_cntvct_el0() + timer_ticks(option_value(args, "run", 1000000000u), frequency);
	if (option_has(args, "jobs")) {
		jobs();
	} else if (option_has(args, "sleep")) {
		sleeper();
	} else if (option_has(args, "many")) {
		many();
	} else if (option_has(args, "hard")) {
		hard();
	}
	/* Asleep while the others run, but not then: an idle machine's clock flies. */
	sleep_for(end + end / 4 - read_cntvct_el0());
	while (console_read() != 'q') {
		work(timer_ticks(5000000, frequency));
	}
	psci_system_off();
}
