/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/server.c tools/kzc/rt.c tools/kzc/rt_demand.c tools/kzc/rt_inner.c */
/*
 * What the analysis says that a server supplies, against the hypervisor's own
 * rules: a guest that waits and wakes by dice, and a core that gives the budget
 * as early, as late or as irregularly as the deadline allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dice.h"
#include "server.h"
#include "../../tools/kzc/rt.h"

#define RUNS	20000u
#define TICKS	4000u		/* a run */

enum core { EARLY, LATE, ANY };

static struct {
	uint64_t tight;		/* how often the least was supplied, and not more */
	uint64_t cut, anew;	/* what the wake-up rule did */
	uint64_t late;		/* what the guard did */
} seen;

static bool wake(struct server *s, uint64_t now, uint64_t guard)
{
	uint64_t release = s->release;
	int64_t left = s->left;
	bool late = guard != 0 && server_too_late(s, now, guard);
	bool ok = !late && server_wake(s, now);

	seen.late += late && left > 0;

	seen.cut += s->release == release && s->left < left;
	seen.anew += s->release != release && now - release < s->period;
	return ok;
}

/* Does the core run it now? What is left must come before the deadline. */
static bool runs(const struct server *s, uint64_t now, enum core core)
{
	if (s->left <= 0) {
		return false;
	}
	assert_true(now < s->due && (uint64_t)s->left <= s->due - now);
	return (uint64_t)s->left == s->due - now || core == EARLY || (core == ANY && dice(3) == 0);
}

static void run(uint64_t budget, uint64_t period, uint64_t deadline, bool strict)
{
	const uint64_t guard = dice(2) == 0 ? 0 : dice((uint32_t)deadline + 1);
	const struct rt_supply free = rt_supply_of(budget, period, deadline, 0, strict);
	const struct rt_supply in = rt_supply_guard(&free, deadline, guard);
	/* what is cut is cut to whole ticks */
	const uint64_t rounded = !strict && deadline < period ? 1 : 0;
	struct server s = { .budget = 0 };
	bool wants = false;
	bool throttled = false;
	uint64_t since = 0;
	uint64_t got = 0;
	uint64_t sum = 0;
	enum core core = ANY;

	server_set(&s, budget, period, deadline);
	server_release(&s, 0);
	for (uint64_t now = 0; now < TICKS; now++) {
		if (!wants && dice(8) == 0) {
			wants = true;
			since = now;
			got = 0;
			core = (enum core)dice(3);
			throttled = !wake(&s, now, guard);
		}
		if (!wants) {
			continue;
		}
		if (now - s.release >= s.period) {
			server_next(&s, now);
			throttled = false;
		}
		if (got > rt_sbf(&in, now - since)) {
			core = dice(50) == 0 ? EARLY : core;
		} else if (now - since > in.blackout) {
			seen.tight++;
		}
		assert_true(got + rounded >= rt_sbf(&in, now - since));
		if (!throttled && runs(&s, now, core)) {
			s.left--;
			got++;
			sum++;
			/* nor more than once the budget, and its share of the time: rt_wait */
			assert_true(got * period <= budget * (period + now + 1 - since));
			assert_true(sum * period <= budget * (period + now + 1));
			if (dice((uint32_t)period) == 0 || (dice(4) == 0 && core == EARLY)) {
				wants = false;
				s.left = strict && s.left > 0 ? 0 : s.left;
			}
		}
	}
}

static void test_wake(void **unused)
{
	(void)unused;
	for (uint32_t n = 0; n < RUNS; n++) {
		uint64_t period = 2 + dice(120);
		uint64_t deadline = dice(2) == 0 ? period : 1 + dice((uint32_t)period);

		run(1 + dice((uint32_t)deadline), period, deadline, dice(2) != 0);
	}
	assert_true(seen.tight > RUNS && seen.cut > RUNS && seen.anew > RUNS && seen.late > RUNS);
	print_message("at the least %llu times; %llu budgets cut, %llu begun anew\n",
		      (unsigned long long)seen.tight, (unsigned long long)seen.cut,
		      (unsigned long long)seen.anew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake),
	};

	dice_state = 3;
	return cmocka_run_group_tests_name("rt_wake", tests, NULL, NULL);
}
