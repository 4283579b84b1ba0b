/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job of pulse.c as any small RTOS would do it: its timer releases a job each
 * period, and it sleeps in WFI when the job is done. It makes no call: what it
 * gets is its server's affair, which the configuration describes.
 *
 * Command line: period=10ms deadline=10ms execution=2ms work=1.5ms.
 */
#include <stdbool.h>

#include "console.h"
#include "gic.h"
#include "guest.h"
#include "job.h"
#include "mmu.h"
#include "timer.h"

#define TIMER_PRIORITY	0x80u

static struct job job;
static uint32_t intid;
static uint64_t first;			/* ticks: when the first job is released */
static volatile uint64_t released;	/* jobs; the interrupt's */

/* The n-th release in ns, from the first one: no rounding adds up. */
static uint64_t release_ns(uint64_t n)
{
	return timer_ns(first, job.frequency) + n * job.period;
}

static uint64_t release_ticks(uint64_t n)
{
	return first + timer_ticks(n * job.period, job.frequency);
}

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge();

	(void)now;
	if (taken == intid) {
		released = released + 1;
		timer_arm(release_ticks(released));
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

/* Sleeps until more than n jobs were released. */
static void release_wait(uint64_t n)
{
	cpu_irq_disable();
	while (released <= n) {
		gic_wait();
	}
	cpu_irq_enable();
}

void guest_main(const void *fdt)
{
	mmu_enable(fdt);
	console_init(fdt);
	job_init(&job, "plain", fdt);
	intid = timer_intid(fdt);
	if (!gic_init(fdt)) {
		return;
	}
	job_hello(&job, ", by its timer");
	gic_enable(intid, TIMER_PRIORITY);
	first = read_cntvct_el0() + timer_ticks(job.period, job.frequency);
	timer_arm(first);
	cpu_irq_enable();
	for (uint64_t n = 0;; n++) {
		release_wait(n);
		if (job_run(&job, release_ns(n)) - release_ns(n) > job.deadline) {
			job.missed++;
		}
		job_report(&job, release_ns(n));
	}
}
