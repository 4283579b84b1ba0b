/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What its ways to the hypervisor cost, each many times, in ticks of the counter: of each
 * way "costs: NAME n .. min .. max .. sum ..", and of the physical counter "from" and "to"
 * at both ends of the first of the cheapest ones, "first" and "last" at those of all.
 * "by=other" instead: takes whatever is left of the core, or with "by=yield" gives it away at
 * once, often enough.
 * spacing=20us is how far a deadline is away.
 */
#include <stdbool.h>
#include <stddef.h>

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
#include "timer.h"

#define SGI		1u
#define GICD_TYPER	0x0004u
#define GICD_ISENABLER	0x0100u
#define GICD_SGIR	0x0f00u
#define PSCI_VERSION	0x84000000u
#define OTHERS		2000u	/* yields: more than are measured */

SYSREG_READ(cntpct_el0, "cntpct_el0")
SYSREG_WRITE(sgi1r, "s3_0_c12_c11_5")

static uintptr_t gicd;
static bool is_v3;
static uint64_t spacing;	/* of two deadlines */
static volatile uint64_t entered;
static uint64_t offset;		/* the physical counter, less the virtual one */

void guest_irq(uint64_t now)
{
	const uint32_t intid = gic_acknowledge();

	if (intid < GIC_SPURIOUS) {
		write_cntv_ctl_el0(0);
		gic_end(intid);
		entered = now;
	}
}

/* ---- The ways: each returns when it began, and leaves in *end when it ended ---- */

static uint64_t by_hvc(uint64_t *end)
{
	register uint64_t x0 __asm__("x0") = PSCI_VERSION;
	const uint64_t begin = read_cntvct_el0();

	__asm__ volatile("hvc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
	*end = read_cntvct_el0();
	return begin;
}

static uint64_t by_smc(uint64_t *end)
{
	register uint64_t x0 __asm__("x0") = PSCI_VERSION;
	const uint64_t begin = read_cntvct_el0();

	__asm__ volatile("smc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
	*end = read_cntvct_el0();
	return begin;
}

/* A call that is not among the quick ones. */
static uint64_t by_call(uint64_t *end)
{
	register uint64_t x0 __asm__("x0") = PSCI_VERSION + 6;
	const uint64_t begin = read_cntvct_el0();

	__asm__ volatile("hvc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
	*end = read_cntvct_el0();
	return begin;
}

static uint64_t by_read(uint64_t *end)
{
	const uint64_t begin = read_cntvct_el0();

	(void)mmio_read32(gicd + GICD_TYPER);
	*end = read_cntvct_el0();
	return begin;
}

static uint64_t by_write(uint64_t *end)
{
	const uint64_t begin = read_cntvct_el0();

	mmio_write32(gicd + GICD_ISENABLER + 4, 0);
	*end = read_cntvct_el0();
	return begin;
}

/* A byte: the long way. */
static uint64_t by_byte(uint64_t *end)
{
	const uint64_t begin = read_cntvct_el0();

	*(volatile uint8_t *)(gicd + 0x400 + 40) = 0x80;
	*end = read_cntvct_el0();
	return begin;
}

static uint64_t by_sgi(uint64_t *end)
{
	uint64_t begin;

	entered = 0;
	cpu_irq_enable();
	begin = read_cntvct_el0();
	if (is_v3) {
		write_sgi1r(SGI << 24 | 1);
	} else {
		mmio_write32(gicd + GICD_SGIR, 1u << 16 | SGI);
	}
	while (entered == 0) {
	}
	cpu_irq_disable();
	*end = entered;
	return begin;
}

/* From the deadline to the handler: it spins. */
static uint64_t by_timer(uint64_t *end)
{
	const uint64_t deadline = read_cntvct_el0() + spacing;

	entered = 0;
	timer_arm(deadline);
	cpu_irq_enable();
	while (entered == 0) {
	}
	cpu_irq_disable();
	*end = entered;
	return deadline;
}

/* The same, out of its sleep. */
static uint64_t by_sleep(uint64_t *end)
{
	const uint64_t deadline = read_cntvct_el0() + spacing;

	entered = 0;
	timer_arm(deadline);
	while (entered == 0) {
		cpu_dsb();
		gic_wait();
	}
	*end = entered;
	return deadline;
}

static uint64_t by_yield(uint64_t *end)
{
	register uint64_t x0 __asm__("x0") = KZ_HVC_JOB_DONE;
	const uint64_t begin = read_cntvct_el0();

	__asm__ volatile("hvc #0" : "+r"(x0)::"x1", "x2", "x3", "memory");
	*end = read_cntvct_el0();
	return begin;
}

/* Without pointers: an image like this is not relocated. */
static const struct way {
	char name[8];
	uint32_t count;
} ways[] = {
	{ "hvc", 5000 },  { "smc", 100 },  { "call", 3000 }, { "read", 100 },  { "write", 100 },
	{ "byte", 100 },  { "sgi", 100 },  { "timer", 100 }, { "sleep", 100 }, { "yield", 1000 },
};

static uint64_t go(uint32_t way, uint64_t *end)
{
	switch (way) {
	case 0:
		return by_hvc(end);
	case 1:
		return by_smc(end);
	case 2:
		return by_call(end);
	case 3:
		return by_read(end);
	case 4:
		return by_write(end);
	case 5:
		return by_byte(end);
	case 6:
		return by_sgi(end);
	case 7:
		return by_timer(end);
	case 8:
		return by_sleep(end);
	default:
		return by_yield(end);
	}
}

static void measure(uint32_t n)
{
	const struct way *way = &ways[n];
	uint64_t min = UINT64_MAX, max = 0, sum = 0, from = 0, to = 0, first = 0, end = 0;
	struct line line;

	for (uint32_t i = 0; i < way->count + 10; i++) {
		const uint64_t begin = go(n, &end);
		const uint64_t took = end - begin;

		if (i < 10) {			/* not yet as always */
			first = end;
			continue;
		}
		sum += took;
		max = took > max ? took : max;
		if (took < min) {
			min = took;
			from = begin;
			to = end;
		}
	}
	line_begin(&line);
	line_text(&line, "costs: ");
	line_text(&line, way->name);
	line_value(&line, " n ", way->count);
	line_value(&line, " min ", min);
	line_value(&line, " max ", max);
	line_value(&line, " sum ", sum);
	line_value(&line, " from ", from + offset);
	line_value(&line, " to ", to + offset);
	line_value(&line, " first ", first + offset);
	line_value(&line, " last ", end + offset);
	line_print(&line);
}

static void other(bool yields)
{
	uint64_t end;

	if (yields) {
		for (uint32_t i = 0; i < OTHERS; i++) {
			(void)by_yield(&end);
		}
		for (;;) {
			cpu_wfi();
		}
	}
	for (;;) {
	}
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	struct fdt_node node;
	uint64_t size;

	mmu_enable(fdt);
	console_init(fdt);
	is_v3 = fdt_find(fdt, "arm,gic-v3", &node);
	if (option_has(args, "by=other") || option_has(args, "by=yield")) {
		other(option_has(args, "by=yield"));
	}
	if ((!is_v3 && !fdt_find(fdt, "arm,cortex-a15-gic", &node) &&
	     !fdt_find(fdt, "arm,gic-400", &node)) ||
	    !fdt_reg(&node, 0, &gicd, &size) || !gic_init(fdt)) {
		return;
	}
	spacing = timer_ticks(option_value(args, "spacing", 20000), read_cntfrq_el0());
	gic_enable(timer_intid(fdt), 0x80);
	gic_enable(SGI, 0x80);
	offset = read_cntpct_el0() - read_cntvct_el0();
	for (uint32_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (option_has(args, ways[i].name)) {
			measure(i);
		}
	}
	console_print("costs: done\n");
	psci_system_off();
}
