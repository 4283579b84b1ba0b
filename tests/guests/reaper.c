/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that may restart another, and does so again and again, at random moments.
 *
 * Command line: vm=0 (its place), most=20ms (between two of them), seed=1. A typed 'g' makes it
 * begin: that many times as decimal digits before it say.
 */
#include <kizami/control.h>

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "options.h"
#include "realtime.h"
#include "timer.h"

#define PRIORITY	0x80u
#define NAP		1000000u	/* ns between two looks at the keyboard */
#define LEAST		1000u		/* ns: a shorter nap might be over before it begins */

static uint32_t timer;
static uint64_t frequency, dice;

void guest_irq(uint64_t now)
{
	const uint32_t id = gic_acknowledge();

	(void)now;
	if (id == timer) {
		write_cntv_ctl_el0(0);
	}
	gic_end(id);
}

/* With interrupts masked, until then. */
static void sleep_until(uint64_t ticks)
{
	while (read_cntvct_el0() < ticks) {
		timer_arm(ticks);
		gic_wait();
	}
}

/* xorshift64* (Vigna 2016). */
static uint64_t random(uint64_t below)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (dice * 0x2545f4914f6cdd1dull >> 20) % below;
}

static void say(const char *what, uint64_t a, uint64_t b)
{
	struct line line;

	line_begin(&line);
	line_value(&line, what, a);
	line_value(&line, " refused ", b);
	line_print(&line);
}

/* It is not always in a state that allows it: it is only those times that count that are. */
static void reap(uint64_t vm, uint64_t most, uint64_t count)
{
	uint64_t busy = 0;

	for (uint64_t done = 0; done < count;) {
		struct realtime r = { vm, KZ_VERB_RESET, 0 };

		sleep_until(read_cntvct_el0() + timer_ticks(LEAST + random(most), frequency));
		if (realtime_call(KZ_HVC_CONTROL, &r) == KZ_OK) {
			done++;
		} else {
			busy++;
		}
	}
	say("reaper: done ", count, busy);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t vm = option_value(args, "vm", 0);
	const uint64_t most = option_value(args, "most", 20000000);
	uint64_t count = 0;

	console_init(fdt);
	frequency = read_cntfrq_el0();
	timer = timer_intid(fdt);
	dice = 2 * option_value(args, "seed", 1) + 1;
	if (!gic_init(fdt)) {
		return;
	}
	gic_enable(timer, PRIORITY);
	console_print("reaper: up\n");
	for (;;) {
		const int c = console_read();

		if (c < 0) {
			sleep_until(read_cntvct_el0() + timer_ticks(NAP, frequency));
		} else if (c == 'g') {
			reap(vm, most, count);
			count = 0;
		} else if (c >= '0' && c <= '9') {
			count = count * 10 + (uint64_t)(c - '0');
		}
	}
}
