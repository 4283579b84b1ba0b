/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: hv/console.c hv/console_in.c hv/print.c */
/* link: hv/status.c hv/pl011.c */
/* link: hv/trace.c tests/host/arch_host.c */
/* link: tests/host/sim.c tests/host/sim_sets.c tests/host/sim_oracle.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * The scheduler in simulated time, sanitized: some of the random sets, and the
 * sharing of what servers leave, which takes seconds to be seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim.h"

#define SECOND		1000000u	/* ticks */
#define SLICE		1000u
#define SETS		50000u
#define FIRST_SEED	5000000u

static struct sim sim;
static struct sim_set set;

static int setup(void **state)
{
	(void)state;
	host_reset();
	set = (struct sim_set){.seed = 1, .horizon = SECOND};
	return 0;
}

static void add(struct sim_spec spec)
{
	set.spec[set.count++] = spec;
}

static void add_hogs(uint32_t count, uint32_t weight)
{
	for (uint32_t i = 0; i < count; i++) {
		add((struct sim_spec){.weight = weight, .kind = SIM_HOG});
	}
}

static void run(void)
{
	assert_int_equal(sim_admit(&set), SIM_ADMITTED);
	sim_run(&sim, &set);
}

static uint64_t executed(uint32_t i)
{
	return sim.oracle.ref[i].executed;
}

/* ---- Sets ---- */

static void test_sets(void **state)
{
	struct sim_totals totals = { 0 };

	(void)state;
	for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SETS; seed++) {
		sim_check_seed(seed, &totals);
	}
	sim_totals_print(&totals, FIRST_SEED);
	assert_int_equal(totals.sets, SETS);
	/* the generator makes enough of everything */
	assert_true(totals.admitted > SETS / 2 && totals.refused > SETS / 50);
	assert_true(totals.strict > SETS / 20 && totals.pairs > SETS / 20);
	assert_true(totals.storms > SETS / 50 && totals.unknown < SETS / 20);
}

/* Known by hand: the oracle's own admission. */
static void test_witness(void **state)
{
	(void)state;
	add((struct sim_spec){.budget = 5, .period = 10, .deadline = 10});
	add((struct sim_spec){.budget = 5, .period = 10, .deadline = 10});
	assert_int_equal(sim_witness(&set), 0);
	set.spec[1].deadline = 9;		/* 5 at 9, 10 at 10 */
	assert_int_equal(sim_witness(&set), 0);
	set.spec[0].deadline = 9;		/* 10 at 9 */
	assert_int_equal(sim_witness(&set), 9);
	set.spec[0] = (struct sim_spec){.budget = 6, .period = 10, .deadline = 10};
	set.spec[1] = (struct sim_spec){.budget = 6, .period = 14, .deadline = 14};
	assert_int_equal(sim_witness(&set), 70);	/* 7 * 6 + 5 * 6 */
}

/* ---- What servers leave ---- */

/* Hogs of any weights beside any servers: each has its part, to 4 slices in a second. */
static void test_shares(void **state)
{
	uint64_t rng = 77;

	(void)state;
	for (uint32_t turn = 0; turn < 40; turn++) {
		uint32_t servers = (uint32_t)sim_range(&rng, 0, 3);
		uint64_t left = 0, weights = 0;

		(void)setup(NULL);
		set.seed = turn;
		for (uint32_t i = 0; i < servers; i++) {
			uint64_t period = sim_range(&rng, 100, 5000);
			uint64_t kind = sim_range(&rng, 0, SIM_MIXED);

			add((struct sim_spec){.period = period, .deadline = period,
					      .budget = period / 5, .kind = (enum sim_kind)kind});
		}
		for (uint32_t i = (uint32_t)sim_range(&rng, 2, 5); i != 0; i--) {
			add_hogs(1, (uint32_t)sim_range(&rng, 25, 400));
		}
		run();
		for (uint32_t i = servers; i < set.count; i++) {
			left += executed(i);
			weights += set.spec[i].weight;
		}
		for (uint32_t i = servers; i < set.count; i++) {
			int64_t fair = (int64_t)(left * set.spec[i].weight / weights);

			assert_in_range((uint64_t)(llabs((int64_t)executed(i) - fair)), 0,
					4 * SLICE);
		}
	}
}

/* The largest weight beside the smallest. */
static void test_extreme_weights(void **state)
{
	(void)state;
	set.horizon = 30 * SECOND;
	add_hogs(1, 10000);
	add_hogs(1, 100);
	add_hogs(1, 1);
	run();
	assert_in_range(executed(0), 29 * SECOND + SECOND / 2, 30 * SECOND);
	assert_in_range(executed(1), 30 * SECOND / 101 - 3 * SLICE, 30 * SECOND / 101 + 3 * SLICE);
	assert_in_range(executed(2), 1, 30 * SECOND / 10101 + 3 * SLICE);
}

/* Who sleeps most of the time does not wait for hogs when it wakes. */
static void test_wake_preempts(void **state)
{
	(void)state;
	for (uint32_t hogs = 1; hogs <= 4; hogs++) {
		(void)setup(NULL);
		add((struct sim_spec){.weight = 100, .kind = SIM_CLOCKWORK, .run = 100,
				      .pause = 10 * SLICE});
		add_hogs(hogs, 100);
		run();
		assert_int_equal(sim.oracle.ref[0].worst_delay, 0);
		assert_in_range(executed(0), SECOND / 102 - 100, SECOND / 100 + 100);
	}
}

/* Nor does it find an old claim: after a long sleep it has two slices before the others. */
static void test_sleep_earns_little(void **state)
{
	(void)state;
	set.horizon = SECOND / 2 + 20 * SLICE;
	add((struct sim_spec){.weight = 100, .kind = SIM_LATECOMER, .run = 1,
			      .pause = SECOND / 2});
	add_hogs(1, 100);
	run();
	assert_in_range(executed(0), 10 * SLICE, 13 * SLICE);
}

/* To sleep for an instant now and then earns nothing either. */
static void test_naps_earn_nothing(void **state)
{
	static const uint32_t weights[] = {10, 25, 100, 400};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(weights); i++) {
		for (uint64_t stretch = 300; stretch < 20 * SLICE; stretch *= 7) {
			uint64_t fair = SECOND * (uint64_t)weights[i] / (weights[i] + 100);

			(void)setup(NULL);
			add((struct sim_spec){.weight = weights[i], .kind = SIM_CLOCKWORK,
					      .run = stretch, .pause = 1});
			add_hogs(1, 100);
			run();
			assert_in_range(executed(0), fair - 4 * SLICE, fair + 4 * SLICE);
		}
	}
}

/* Who gives its turn away stands behind all others. */
static void test_yield(void **state)
{
	(void)state;
	for (uint32_t hogs = 1; hogs <= 3; hogs++) {
		(void)setup(NULL);
		add((struct sim_spec){.weight = 100, .kind = SIM_YIELDER, .run = 100});
		add_hogs(hogs, 100);
		run();
		assert_in_range(executed(0), SECOND / (hogs * SLICE + 100) * 50,
				SECOND / (hogs * SLICE + 100) * 100 + 200);
		assert_true(sim.switches > SECOND / (2 * hogs * SLICE));
	}
}

/* ---- Servers ---- */

/* Released half a period after the other, due at the same moment: it does not cut in. */
static void test_equal_deadlines(void **state)
{
	(void)state;
	add((struct sim_spec){.budget = 700, .period = 1000, .deadline = 1000, .kind = SIM_HOG});
	add((struct sim_spec){.budget = 100, .period = 1000, .deadline = 500,
			      .kind = SIM_LATECOMER, .run = 1, .pause = 1499});
	run();
	assert_in_range(executed(0), 1000 * 700 - 700, 1000 * 700 + 700);
	assert_in_range(executed(1), 998 * 100, 1000 * 100);
	assert_in_range(sim.switches, 3 * 1000 - 10, 3 * 1000 + 10);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_witness, setup),
		cmocka_unit_test_setup(test_sets, setup),
		cmocka_unit_test_setup(test_shares, setup),
		cmocka_unit_test_setup(test_extreme_weights, setup),
		cmocka_unit_test_setup(test_wake_preempts, setup),
		cmocka_unit_test_setup(test_sleep_earns_little, setup),
		cmocka_unit_test_setup(test_naps_earn_nothing, setup),
		cmocka_unit_test_setup(test_yield, setup),
		cmocka_unit_test_setup(test_equal_deadlines, setup),
	};

	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
