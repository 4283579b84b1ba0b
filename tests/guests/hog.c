/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that never sleeps, and that knows by the counter alone how much it
 * runs: it reads the counter all the time, and a step of more than `gap` is time
 * that somebody else had. With a server it asks after each gap for the release of
 * the period, and adds up what it had in each. Between two measurements of
 * `run` it prints what it found, and sets it beside what the hypervisor says.
 *
 * Command line: run=100ms gap=1us idle=0 (sleeps that long after each report).
 */
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "timer.h"

struct span {
	uint64_t elapsed, had, gaps, longest;	/* ns, but for gaps */
	uint64_t periods, most;			/* whole ones, and the most it had in one */
	uint64_t executed, stolen;		/* as the hypervisor says */
	uint64_t stolen_page;			/* as the page of stolen time says */
};

static uint64_t frequency, gap, run;
static uint32_t intid;
static const volatile struct kz_stolen_time *page;

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge();

	(void)now;
	write_cntv_ctl_el0(0);
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

static uint64_t page_stolen(void)
{
	return page != (void *)0 ? page->stolen_ns : 0;
}

static uint64_t release_of(void)
{
	struct realtime last;

	return realtime_info(KZ_INFO_LAST, &last) == KZ_OK ? last.x3 : 0;
}

/* Spins for `run`; all in ticks until the end. */
static void span_measure(struct span *s)
{
	uint64_t release = release_of(), mine = 0, had = 0;
	const uint64_t start = read_cntvct_el0();
	uint64_t last = start;
	bool whole = false;	/* the period's beginning was seen */

	while (last - start < run) {
		const uint64_t now = read_cntvct_el0();
		const uint64_t step = now - last;
		uint64_t newest;

		last = now;
		if (step <= gap) {
			mine += step;
			continue;
		}
		s->gaps++;
		s->longest = step > s->longest ? step : s->longest;
		newest = release_of();
		if (newest != release) {
			release = newest;
			s->most = whole && mine > s->most ? mine : s->most;
			s->periods += whole ? 1 : 0;
			whole = true;
			had += mine;
			mine = 0;
		}
	}
	s->elapsed = timer_ns(last - start, frequency);
	s->had = timer_ns(had + mine, frequency);
	s->longest = timer_ns(s->longest, frequency);
	s->most = timer_ns(s->most, frequency);
}

static void span_print(const struct span *s)
{
	struct line line;

	line_begin(&line);
	line_value(&line, "hog: elapsed ", s->elapsed);
	line_value(&line, " had ", s->had);
	line_value(&line, " gaps ", s->gaps);
	line_value(&line, " longest ", s->longest);
	line_value(&line, " periods ", s->periods);
	line_value(&line, " most ", s->most);
	line_value(&line, " executed ", s->executed);
	line_value(&line, " stolen ", s->stolen);
	line_value(&line, " page ", s->stolen_page);
	line_print(&line);
}

static void hog_sleep(uint64_t ticks)
{
	timer_arm(read_cntvct_el0() + ticks);
	gic_wait();
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	uint64_t idle;

	mmu_enable(fdt);
	console_init(fdt);
	frequency = read_cntfrq_el0();
	run = timer_ticks(option_value(args, "run", 100000000u), frequency);
	gap = timer_ticks(option_value(args, "gap", 1000u), frequency);
	idle = timer_ticks(option_value(args, "idle", 0), frequency);
	intid = timer_intid(fdt);
	if (!gic_init(fdt)) {
		return;
	}
	gic_enable(intid, 0x80);
	page = realtime_stolen();
	console_print("hog: up\n");
	for (;;) {
		struct span s = { 0 };
		struct realtime before = { 0 }, after = { 0 };
		const uint64_t stolen = page_stolen();

		(void)realtime_info(KZ_INFO_TIME, &before);
		span_measure(&s);
		(void)realtime_info(KZ_INFO_TIME, &after);
		s.executed = after.x1 - before.x1;
		s.stolen = after.x2 - before.x2;
		s.stolen_page = page_stolen() - stolen;
		span_print(&s);
		if (idle != 0) {
			hog_sleep(idle);
		}
	}
}
