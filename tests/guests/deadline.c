/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that misses its deadlines: it spins and is never done. The event
 * interrupt tells it of each miss; it notes how long after the deadline that
 * came, and how far the hypervisor's time of the miss is from the deadline,
 * which it knows from the release of the job and from its server.
 *
 * Command line: count=100 (misses in a report), events=1 (what it asks for).
 */
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "stats.h"
#include "timer.h"

#define EVENT_PRIORITY	0x40u

static uint32_t event_intid;
static uint64_t frequency;
static struct realtime server;
static struct stats told, noted;	/* ns behind the deadline */
static volatile uint64_t events, overruns, early;

static void miss_note(uint64_t now)
{
	struct realtime last;
	uint64_t deadline;

	(void)realtime_info(KZ_INFO_LAST, &last);
	overruns = last.x2;
	/* The job that missed is this one, or one that the present release has ended. */
	deadline = last.x3 + server.x1;
	while (deadline > last.x1 + server.x2 / 2) {
		deadline -= server.x2;
	}
	if (last.x1 < deadline) {
		early = early + 1;
		return;
	}
	stats_record(&noted, last.x1 - deadline);
	stats_record(&told, timer_ns(now, frequency) - deadline);
}

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge();

	if (taken == event_intid) {
		events = events + 1;
		miss_note(now);
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

static void report(void)
{
	struct realtime counts;
	struct line line;

	(void)realtime_info(KZ_INFO_COUNTS, &counts);
	line_begin(&line);
	line_value(&line, "deadline: events ", events);
	line_value(&line, " jobs ", counts.x1);
	line_value(&line, " missed ", counts.x2);
	line_value(&line, " overrun ", counts.x3);
	line_value(&line, " early ", early);
	line_value(&line, " told min ", told.min);
	line_value(&line, " max ", told.max);
	line_value(&line, " noted min ", noted.min);
	line_value(&line, " max ", noted.max);
	line_print(&line);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	uint64_t count;

	mmu_enable(fdt);
	console_init(fdt);
	frequency = read_cntfrq_el0();
	count = option_value(args, "count", 100);
	event_intid = realtime_intid(fdt);
	if (!gic_init(fdt)) {
		return;
	}
	gic_enable(event_intid, EVENT_PRIORITY);
	(void)realtime_info(KZ_INFO_SERVER, &server);
	stats_clear(&told);
	stats_clear(&noted);
	console_print("deadline: up\n");
	(void)realtime_notify(option_value(args, "events", KZ_NOTIFY_MISS));
	cpu_irq_enable();
	for (;;) {
		const uint64_t start = events;

		while (events - start < count) {
		}
		cpu_irq_disable();
		report();
		stats_clear(&told);
		stats_clear(&noted);
		cpu_irq_enable();
	}
}
