/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A soft real-time guest that knows where it runs: it tells the hypervisor its
 * deadline, period and execution time, works, and says when a job is done, which
 * brings it to its next release. It asks to be told when it misses a deadline.
 * pulse_plain.c is the same job that knows nothing of a hypervisor.
 *
 * Command line: period=10ms deadline=10ms execution=2ms work=1.5ms, each with the
 * default shown; "keep" leaves the server as the configuration has it.
 */
#include <stdbool.h>

#include "console.h"
#include "gic.h"
#include "guest.h"
#include "job.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "timer.h"

#define EVENT_PRIORITY	0x40u

static struct job job;
static uint32_t event_intid;
/* The interrupt's: misses that it told, and the latest of them. */
static volatile uint64_t told, told_deadline, told_at;

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge();
	struct realtime last;

	if (taken == event_intid && realtime_info(KZ_INFO_LAST, &last) == KZ_OK) {
		told = told + 1;
		told_deadline = last.x1;
		told_at = timer_ns(now, job.frequency);
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

/* A refusal is no end: what the configuration promised is still there. */
static bool server_set(const char *args)
{
	struct realtime server;
	int64_t error = KZ_OK;

	if (!option_has(args, "keep")) {
		error = realtime_set_info(job.deadline, job.period, job.execution);
	}
	if (error != KZ_OK) {
		job_hello(&job, error == KZ_ELOAD ? ": refused, no room" : ": refused");
	}
	if (realtime_info(KZ_INFO_SERVER, &server) != KZ_OK || server.x2 == 0) {
		console_print("pulse: there is no server for it\n");
		return false;
	}
	if (error != KZ_OK || option_has(args, "keep")) {
		job.deadline = server.x1;
		job.period = server.x2;
		job.execution = server.x3;
	}
	return true;
}

/* The line behind a report of misses: when the last one was, and when it was told. */
static void misses_print(void)
{
	struct line line;

	line_begin(&line);
	line_value(&line, "pulse: told ", told);
	line_value(&line, ", the last of ", told_deadline);
	line_value(&line, " at ", told_at);
	line_print(&line);
}

void guest_main(const void *fdt)
{
	uint64_t release = 0, missed = 0, before, printed = 0;

	mmu_enable(fdt);
	console_init(fdt);
	job_init(&job, "pulse", fdt);
	event_intid = realtime_intid(fdt);
	if (!gic_init(fdt) || !server_set(fdt_bootargs(fdt))) {
		return;
	}
	job_hello(&job, ", by job_done");
	gic_enable(event_intid, EVENT_PRIORITY);
	if (realtime_notify(KZ_NOTIFY_MISS) != KZ_OK) {
		console_print("pulse: misses are not told\n");
	}
	cpu_irq_enable();
	realtime_job_done(&release, &missed);
	before = missed;
	for (;;) {
		job_run(&job, release);
		job.missed += missed - before;
		before = missed;
		if (job_report(&job, release) && told != printed) {
			printed = told;
			misses_print();
		}
		realtime_job_done(&release, &missed);
	}
}
