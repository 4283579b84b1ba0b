/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that tells, in its own instructions, how late its timer's interrupt is: it sleeps, then
 * it spins, and once the counter says that it is time, it counts its turns until the handler has
 * run. So it does not matter where cores take turns on one thread that others came in between. An
 * interrupt that does not come for so many turns is lost. At HRT it does all this without an exit.
 *
 * Command line: period=100us, spin=5us (of that), report=1000 (interrupts in a report); ahead=0: so
 * far ahead its other timer is, always and in vain. Where cores take turns, a turn lasts up to a
 * quarter of the time to the machine's next timer: who keeps one near keeps all turns short.
 */
#include <stdbool.h>

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "timer.h"

#define PRIORITY	0x80u
#define SEND_MAX	16u	/* bytes a period */
#define TURNS_MAX	1000000u
#define CTL_MASKED	3u	/* CNTP_CTL_EL0: ENABLE, IMASK */

SYSREG_WRITE(cntp_tval_el0, "cntp_tval_el0")
SYSREG_WRITE(cntp_ctl_el0, "cntp_ctl_el0")

static uint32_t intid;
static volatile uint64_t taken;
static volatile uint64_t strays;

void guest_irq(uint64_t now)
{
	const uint32_t id = gic_acknowledge() & 0x3ff;

	(void)now;
	if (id == intid) {
		write_cntv_ctl_el0(0);
		taken = taken + 1;
	} else if (id < GIC_SPURIOUS) {
		strays = strays + 1;
	}
	if (id < GIC_SPURIOUS) {
		gic_end(id);
	}
}

static void sleep_until(uint64_t ticks)
{
	cpu_irq_disable();
	timer_arm(ticks);
	while (read_cntvct_el0() < ticks) {
		gic_wait();
	}
	cpu_irq_enable();
}

/* Until the handler has run: turns of the loop since `deadline`. */
static uint64_t turns_until_taken(uint64_t deadline)
{
	const uint64_t before = taken;
	uint64_t turns = 0;

	timer_arm(deadline);
	while (read_cntvct_el0() < deadline) {
	}
	while (taken == before && turns < TURNS_MAX) {
		turns++;
	}
	return turns;
}

static void report(struct line *line, uint64_t count, uint64_t least, uint64_t most, uint64_t lost)
{
	line_begin(line);
	line_value(line, "punctual: taken ", count);
	line_value(line, " least ", least);
	line_value(line, " most ", most);
	line_value(line, " lost ", lost);
	line_value(line, " strays ", strays);
	line_text(line, "\n");
}

void guest_main(const void *fdt)
{
	static struct line line;
	const char *args = fdt_bootargs(fdt);
	const uint64_t frequency = read_cntfrq_el0();
	const uint64_t period = timer_ticks(option_value(args, "period", 100000), frequency);
	const uint64_t spin = timer_ticks(option_value(args, "spin", 5000), frequency);
	const uint64_t size = option_value(args, "report", 1000);
	const uint64_t ahead = timer_ticks(option_value(args, "ahead", 0), frequency);
	uint64_t count = 0, least = UINT64_MAX, most = 0, lost = 0;

	mmu_enable(fdt);
	console_init(fdt);
	intid = timer_intid(fdt);
	if (!gic_init(fdt)) {
		return;
	}
	for (uint32_t i = 0; i < 32; i++) {
		if (i < 16 || i == intid) {
			gic_enable(i, i == intid ? PRIORITY : PRIORITY + 0x20);
		}
	}
	cpu_irq_enable();
	for (;;) {
		const uint64_t deadline = read_cntvct_el0() + period;
		uint64_t turns;

		if (ahead != 0) {
			write_cntp_tval_el0(ahead);
			write_cntp_ctl_el0(CTL_MASKED);
		}
		sleep_until(deadline - spin);
		turns = turns_until_taken(deadline);
		lost += turns == TURNS_MAX ? 1 : 0;
		least = turns < least ? turns : least;
		most = turns > most ? turns : most;
		count++;
		if (line.sent < line.length) {
			line_send(&line, SEND_MAX);
		} else if (count >= size) {
			report(&line, count, least, most, lost);
			count = 0;
			least = UINT64_MAX;
			most = 0;
			lost = 0;
		}
	}
}
