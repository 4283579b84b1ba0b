/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kzc/rt.c tools/kzc/rt_demand.c tools/kzc/rt_inner.c */
/*
 * Tasks inside of a server, against a simulation of both, step by step: the
 * server's budget comes as late as it may, and the tasks begin when it just went.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dice.h"
#include "../../tools/kzc/rt.h"

#define SETS	200000u
#define END	600u		/* past a hyperperiod, 120, from any point of it */

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct server {
	uint64_t q, p, d;
	bool strict;
};

static struct server random_server(void)
{
	static const uint8_t periods[] = { 1, 2, 3, 4, 5, 6, 8, 10, 12 };
	struct server s;

	s.p = periods[dice(sizeof(periods))];
	s.d = 1 + dice((uint32_t)s.p);
	s.q = 1 + dice((uint32_t)s.d);
	s.strict = dice(2) != 0;
	return s;
}

static struct rt_set random_tasks(const struct server *in)
{
	static const uint8_t periods[] = { 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 60, 120 };
	struct rt_set s = { .count = 1 + dice(4) };

	for (unsigned i = 0; i < s.count; i++) {
		struct rt_task *k = &s.task[i];

		k->t = periods[dice(sizeof(periods))];
		k->d = 1 + k->t / 3 + dice((uint32_t)(k->t - k->t / 3));
		k->c = 1 + dice((uint32_t)(k->t * in->q / in->p / s.count) + 1);
		k->d = k->d > k->t ? k->t : k->d;
	}
	return s;
}

/*
 * The least that a server gives from `from` on for `window`: in each period its q
 * steps lie outside of the window as far as there is room before its deadline. A
 * strict one that waited just before gives nothing more in that period.
 */
static uint64_t least(const struct server *s, uint64_t from, uint64_t window, bool gave_up)
{
	uint64_t sum = 0;

	for (uint64_t begin = 0; begin < from + window; begin += s->p) {
		uint64_t outside = 0;

		for (uint64_t at = begin; at < begin + s->d; at++) {
			outside += at < from || at >= from + window;
		}
		if ((begin != 0 || !gave_up) && outside < s->q) {
			sum += s->q - outside;
		}
	}
	return sum;
}

static void test_supply(void **unused)
{
	(void)unused;
	for (uint64_t n = 0; n < 8 * 36; n++) {
		struct server s = { 0, 1 + n / 36, 0, (n & 1) != 0 };

		for (s.d = 1; s.d <= s.p; s.d++) {
			for (s.q = 1; s.q <= s.d; s.q++) {
				struct rt_supply in = rt_supply_of(s.q, s.p, s.d, n % 3, s.strict);
				uint64_t when = 0;

				for (uint64_t w = 0; w < 5 * s.p; w++) {
					uint64_t min = RT_NEVER;

					for (uint64_t from = 0; from < s.p; from++) {
						uint64_t got = least(&s, from, w, false);
						uint64_t up = least(&s, from, w, s.strict);

						min = got < min ? got : min;
						min = up < min ? up : min;
					}
					min = min > in.owed ? min - in.owed : 0;
					assert_int_equal(rt_sbf(&in, w), min);
					for (; when <= min; when++) {
						assert_int_equal(rt_sbf_when(&in, when), w);
					}
				}
			}
		}
	}
}

/* Does the server give the step `now`, at its worst? */
static bool gives(const struct server *s, uint64_t now, uint64_t *owed)
{
	uint64_t dark = s->p - s->q + (s->strict ? s->d : s->d - s->q);

	if (now < dark || (now - dark) % s->p >= s->q) {
		return false;
	}
	if (*owed != 0) {
		*owed -= 1;
		return false;
	}
	return true;
}

struct seen {
	uint64_t miss;		/* the first deadline missed, of any task; 0: none */
	uint64_t response[RT_TASKS_MAX];	/* the longest */
	bool late[RT_TASKS_MAX];		/* its first job */
};

/*
 * All tasks begin at 0, but `later` at `offset`; by fixed priority, or the earliest
 * deadline first, `later` last among equals.
 */
static struct seen simulate(const struct rt_set *s, const struct server *in, uint64_t owed,
			    bool edf, unsigned later, uint64_t offset, uint64_t end)
{
	struct seen seen = { 0, { 0 }, { false } };
	uint64_t left[RT_TASKS_MAX] = { 0 };
	uint64_t since[RT_TASKS_MAX] = { 0 };

	for (uint64_t now = 0; now < end; now++) {
		unsigned next = RT_TASKS_MAX;

		for (unsigned i = 0; i < s->count; i++) {
			const struct rt_task *k = &s->task[i];
			uint64_t begin = i == later ? offset : 0;

			if (left[i] != 0 && now == since[i] + k->d) {
				seen.miss = seen.miss == 0 ? now : seen.miss;
				seen.late[i] = seen.late[i] || since[i] == begin;
			}
			if (now >= begin && (now - begin) % k->t == 0) {
				left[i] = k->c;
				since[i] = now;
			}
			if (left[i] != 0 && (next == RT_TASKS_MAX ||
					     (edf && since[i] + k->d - (next == later) <
					      since[next] + s->task[next].d))) {
				next = i;
			}
		}
		if (next != RT_TASKS_MAX && gives(in, now, &owed)) {
			left[next]--;
			if (left[next] == 0) {
				seen.response[next] = max(seen.response[next],
							  now + 1 - since[next]);
			}
		}
	}
	return seen;
}

static void test_fixed(void **unused)
{
	uint32_t fit = 0;
	uint32_t not = 0;

	(void)unused;
	for (uint32_t n = 0; n < SETS; n++) {
		struct server in = random_server();
		struct rt_set s = random_tasks(&in);
		uint64_t owed = dice(3);
		struct rt_supply supply = rt_supply_of(in.q, in.p, in.d, owed, in.strict);
		struct rt_result r[RT_TASKS_MAX];
		/* the first job of each: what comes later is not worse, as long as none is late */
		struct seen seen = simulate(&s, &in, owed, false, RT_TASKS_MAX, 0, 125);
		bool ok = rt_fixed(&s, &supply, r);
		bool late = false;

		for (unsigned i = 0; i < s.count && !late; i++) {
			late = seen.late[i];
			assert_int_equal(r[i].answer, late ? RT_LATE : RT_FITS);
			if (late) {
				assert_int_equal(r[i].at, s.task[i].d);
				assert_true(r[i].demand > r[i].supply);
				not++;
			} else {
				assert_int_equal(r[i].response, seen.response[i]);
				fit++;
			}
		}
		assert_int_equal(ok, !late);
	}
	assert_true(fit > SETS / 2 && not > SETS / 2);
	print_message("%u tasks fit, %u do not\n", fit, not);
}

/* Is the load above the server's share? Over a common denominator. */
static bool overloaded(const struct rt_set *s, const struct server *in)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->count; i++) {
		sum += s->task[i].c * (120 / s->task[i].t);
	}
	return sum > 120 * in->q / in->p;
}

static void test_edf(void **unused)
{
	uint32_t fit = 0;
	uint32_t not = 0;

	(void)unused;
	for (uint32_t n = 0; n < SETS / 2; n++) {
		struct server in = random_server();
		struct rt_set s = random_tasks(&in);
		uint64_t owed = dice(3);
		struct rt_supply supply = rt_supply_of(in.q, in.p, in.d, owed, in.strict);
		struct rt_result r[RT_TASKS_MAX];
		struct seen seen = simulate(&s, &in, owed, true, RT_TASKS_MAX, 0, END);
		bool ok = rt_edf(&s, &supply, r);

		assert_int_equal(r[0].answer, ok ? RT_FITS : RT_LATE);
		if (r[0].at >= END) {
			assert_true(overloaded(&s, &in));
			assert_int_equal(seen.miss, 0);
		} else {
			assert_int_equal(r[0].at, seen.miss);
			assert_true(ok || r[0].demand > r[0].supply);
		}
		fit += ok;
		not += !ok;
	}
	assert_true(fit > SETS / 10 && not > SETS / 10);
	print_message("%u sets fit, %u do not\n", fit, not);
}

/* A task's longest response is found among all its phases, and is not exceeded. */
static void test_edf_response(void **unused)
{
	uint32_t checked = 0;

	(void)unused;
	while (checked < 1000) {
		struct server in = random_server();
		struct rt_set s = random_tasks(&in);
		uint64_t owed = dice(3);
		struct rt_supply supply = rt_supply_of(in.q, in.p, in.d, owed, in.strict);
		struct rt_result r[RT_TASKS_MAX];

		if (s.count < 2 || !rt_edf(&s, &supply, r)) {
			continue;
		}
		for (unsigned i = 0; i < s.count; i++) {
			uint64_t longest = 0;

			for (uint64_t offset = 0; offset < s.task[i].t; offset++) {
				struct seen seen = simulate(&s, &in, owed, true, i, offset, 240);

				assert_int_equal(seen.miss, 0);
				longest = max(longest, seen.response[i]);
			}
			assert_int_equal(r[i].response, longest);
			assert_true(longest <= s.task[i].d);
		}
		checked++;
	}
}

static void test_switches(void **unused)
{
	const struct rt_set s = {
		.task = { { 1, 10, 10 }, { 1, 6, 4 }, { 1, 3, 3 }, { 1, 10, 10 } }, .count = 4
	};

	(void)unused;
	assert_int_equal(rt_switches(&s, 0), 1 + 1 + 3);	/* (10 - 4) / 6, (10 - 3) / 3, up */
	assert_int_equal(rt_switches(&s, 1), 1 + 1);
	assert_int_equal(rt_switches(&s, 2), 1);
	assert_int_equal(rt_switches(&s, 3), 1 + 1 + 3);
}

/* Durations of real systems, by hand: 2 ms in each 10 ms; a task of 1 ms each 40 ms. */
static void test_real_sizes(void **unused)
{
	const uint64_t ms = 1000000;
	struct rt_supply in = rt_supply_of(2 * ms, 10 * ms, 10 * ms, 0, false);
	struct rt_set s = { .task = { { ms, 40 * ms, 40 * ms }, { 2 * ms, 40 * ms, 27 * ms } },
			    .count = 2 };
	struct rt_result r[RT_TASKS_MAX];

	(void)unused;
	assert_int_equal(in.blackout, 16 * ms);
	assert_true(rt_fixed(&s, &in, r));
	assert_int_equal(r[0].response, 17 * ms);
	assert_int_equal(r[1].response, 27 * ms);
	s.task[1].d--;
	assert_false(rt_fixed(&s, &in, r));
	assert_int_equal(r[0].answer, RT_FITS);
	assert_int_equal(r[1].at, 27 * ms - 1);
	assert_int_equal(r[1].demand, 3 * ms);
	assert_int_equal(r[1].supply, 3 * ms - 1);
	s.task[1].d++;
	assert_true(rt_edf(&s, &in, r));
	assert_int_equal(r[1].response, 18 * ms);	/* it goes first */
	s.task[0].d = 27 * ms - 1;
	assert_true(rt_edf(&s, &in, r));
	s.task[1].d--;
	assert_false(rt_edf(&s, &in, r));
	assert_int_equal(r[0].at, 27 * ms - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_supply),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_real_sizes),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_edf),
		cmocka_unit_test(test_edf_response),
	};

	dice_state = 7;
	return cmocka_run_group_tests_name("rt_inner", tests, NULL, NULL);
}
