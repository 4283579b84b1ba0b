/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to share a core. "mode=yield": two VMs that only give the core to
 * each other; a round is two switches. "mode=sleep": from the timer's deadline to
 * the handler's first instruction, out of WFI. "mode=hog": never waits. Ticks are
 * instructions under QEMU -icount shift=0 with a counter of 1 GHz.
 */
#include <stdbool.h>

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "options.h"
#include "realtime.h"
#include "stats.h"
#include "timer.h"

#define ROUNDS	1000u
#define SPACING	50000u		/* ticks between two deadlines */

static struct stats stats;
static struct line line;
static volatile uint64_t entered;

void guest_irq(uint64_t now)
{
	const uint32_t intid = gic_acknowledge();

	if (intid < GIC_SPURIOUS) {
		write_cntv_ctl_el0(0);
		gic_end(intid);
		entered = now;
	}
}

static uint64_t sample[ROUNDS];

/* By counting: of 1000 samples, once. */
static uint64_t median(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t below = 0, equal = 0;

		for (uint32_t k = 0; k < ROUNDS; k++) {
			below += sample[k] < sample[i];
			equal += sample[k] == sample[i];
		}
		if (below <= ROUNDS / 2 && below + equal > ROUNDS / 2) {
			return sample[i];
		}
	}
	return 0;
}

static void report(const char *what)
{
	stats_clear(&stats);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		stats_record(&stats, sample[i]);
	}
	line_begin(&line);
	line_text(&line, "BENCH ");
	line_text(&line, what);
	line_value(&line, " n=", stats.count);
	line_value(&line, " min=", stats.min);
	line_value(&line, " p50=", median());
	line_value(&line, " avg=", stats_mean(&stats));
	line_value(&line, " max=", stats.max);
	line_print(&line);
}

/* KZ_HVC_JOB_DONE, of which a VM without a server learns nothing. */
static inline void yield(void)
{
	register uint64_t x0 __asm__("x0") = KZ_HVC_JOB_DONE;

	__asm__ volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

static void bench_yield(void)
{
	for (uint32_t i = 0; i < 5 * ROUNDS; i++) {
		yield();
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t begin = read_cntvct_el0();

		yield();
		sample[i] = read_cntvct_el0() - begin;
	}
	for (uint32_t i = 0; i < 5 * ROUNDS; i++) {
		yield();
	}
	report("yield_round");
	for (;;) {
		yield();
	}
}

static void bench_sleep(const void *fdt)
{
	gic_init(fdt);
	gic_enable(timer_intid(fdt), 0x80);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t deadline = read_cntvct_el0() + SPACING + i % 101;

		entered = 0;
		timer_arm(deadline);
		while (entered == 0) {
			cpu_dsb();
			gic_wait();
		}
		sample[i] = entered - deadline;
	}
	report("sleep_to_handler");
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);

	console_init(fdt);
	if (option_has(args, "mode=yield")) {
		bench_yield();
	} else if (option_has(args, "mode=sleep")) {
		bench_sleep(fdt);
	}
	for (;;) {
	}
}
