/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kzc/rt.c tools/kzc/rt_demand.c tools/kzc/rt_inner.c */
/*
 * The test of servers against a processor that is simulated step by step: all
 * begin at 0, the earliest deadline runs, for one hyperperiod. Nothing is computed
 * from formulas here but sums of what was released.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "dice.h"
#include "../../tools/kzc/rt.h"

#define SETS	2000000u
#define END	122u		/* of simulations: past a hyperperiod, when all is due */

/* Periods with a small common multiple, so that a hyperperiod is short: 120. */
static const uint8_t periods[] = { 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 60 };

static struct rt_set random_set(void)
{
	struct rt_set s = { .count = 1 + dice(5) };
	bool implicit = dice(4) == 0;

	for (unsigned i = 0; i < s.count; i++) {
		struct rt_task *k = &s.task[i];
		uint32_t most;

		k->t = periods[dice(sizeof(periods))];
		k->d = implicit ? k->t : 1 + dice((uint32_t)k->t);
		most = (uint32_t)(2 * k->d) / s.count + 1;
		k->c = 1 + dice(most < k->d ? most : (uint32_t)k->d);
	}
	return s;
}

/* Jobs in the order of their deadlines; a set has one job of a task at a time. */
struct job {
	uint64_t left, due;
};

/*
 * The first deadline that is missed, 0 for none. For `block` at the start nobody
 * of the set runs.
 */
static uint64_t simulate(const struct rt_set *s, uint64_t block)
{
	struct job job[RT_TASKS_MAX] = { { 0, 0 } };

	for (uint64_t now = 0; now < END; now++) {
		struct job *next = NULL;

		for (unsigned i = 0; i < s->count; i++) {
			const struct rt_task *k = &s->task[i];

			if (job[i].left != 0 && job[i].due == now) {
				return now;
			}
			if (now % k->t == 0) {
				job[i] = (struct job){ k->c, now + k->d };
			}
			if (job[i].left != 0 && (next == NULL || job[i].due < next->due)) {
				next = &job[i];
			}
		}
		if (now >= block && next != NULL) {
			next->left--;
		}
	}
	return 0;
}

/* What has to be done until `at`, job by job. */
static uint64_t owed_until(const struct rt_set *s, uint64_t at)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->count; i++) {
		for (uint64_t due = s->task[i].d; due <= at; due += s->task[i].t) {
			sum += s->task[i].c;
		}
	}
	return sum;
}

static void test_against_simulation(void **unused)
{
	uint64_t seen[2] = { 0, 0 };

	(void)unused;
	for (uint32_t n = 0; n < SETS; n++) {
		struct rt_set s = random_set();
		struct rt_result r = rt_test(&s);
		uint64_t miss = simulate(&s, 0);

		if (r.answer != (miss != 0 ? RT_LATE : RT_FITS) || r.at != miss ||
		    (miss != 0 && (r.demand != owed_until(&s, miss) || r.supply != miss ||
				   r.demand <= r.supply))) {
			fail_msg("set %u: %d at %llu, %llu of %llu; simulated: %llu", n, r.answer,
				 (unsigned long long)r.at, (unsigned long long)r.demand,
				 (unsigned long long)r.supply, (unsigned long long)miss);
		}
		seen[miss != 0]++;
	}
	assert_true(seen[0] > SETS / 5 && seen[1] > SETS / 5);
	print_message("%llu sets fit, %llu do not\n", (unsigned long long)seen[0],
		      (unsigned long long)seen[1]);
}

/* Slack, cut and spare are what can just be added or removed, as the simulation sees it. */
static void test_margins(void **unused)
{
	uint32_t slack_seen = 0;
	uint32_t cut_seen = 0;

	(void)unused;
	for (uint32_t n = 0; n < 20000; n++) {
		struct rt_set s = random_set();
		bool ok = rt_test(&s).answer == RT_FITS;
		unsigned i = dice(s.count);
		struct rt_set t = s;

		if (ok) {
			uint64_t slack = rt_slack(&s, i);
			uint64_t spare = rt_spare(&s);
			uint64_t least = RT_NEVER;

			t.task[i].c += slack;
			assert_int_equal(simulate(&t, 0), 0);
			t.task[i].c++;
			assert_true(t.task[i].c > t.task[i].d ||
				    simulate(&t, 0) != 0);
			for (uint64_t at = 1; at <= 240; at++) {
				uint64_t owed = owed_until(&s, at);

				if (owed != 0 && at - owed < least) {
					least = at - owed;
				}
			}
			assert_int_equal(spare, least);
			assert_int_equal(rt_cut(&s, i), 0);
			slack_seen += slack != 0;
		} else if (rt_cut(&s, i) == RT_NEVER) {
			t.task[i].c = 1;
			assert_true(simulate(&t, 0) != 0);
		} else {
			t.task[i].c -= rt_cut(&s, i);
			assert_int_equal(simulate(&t, 0), 0);
			t.task[i].c++;
			assert_true(simulate(&t, 0) != 0);
			assert_int_equal(rt_slack(&s, i), 0);
			cut_seen++;
		}
	}
	assert_true(slack_seen > 1000 && cut_seen > 1000);
}

/* The smallest L with demand + what blocks > L, by looking at each L; 0: none until `end`. */
static uint64_t first_by_hand(const struct rt_set *s, uint64_t end)
{
	for (uint64_t at = 1; at <= end; at++) {
		uint64_t owed = owed_until(s, at);

		for (unsigned i = 0; i < s->count; i++) {
			owed += s->task[i].d <= at ? s->over : 0;
		}
		if (owed_until(s, at) != 0 && owed + s->block > at) {
			return at;
		}
	}
	return 0;
}

/* Blocking: what the formula says; and whoever fits does not miss when blocked at the start. */
static void test_blocking(void **unused)
{
	uint32_t seen[2] = { 0, 0 };

	(void)unused;
	for (uint32_t n = 0; n < 50000; n++) {
		struct rt_set s = random_set();
		struct rt_result r;
		uint64_t first;

		s.block = dice(4);
		s.over = dice(3);
		r = rt_test(&s);
		first = first_by_hand(&s, 1000);
		if (r.answer == RT_LATE && r.at > 1000) {
			continue;
		}
		assert_int_equal(r.answer, first != 0 ? RT_LATE : RT_FITS);
		assert_int_equal(r.at, first);
		if (first == 0) {
			uint64_t spare = rt_spare(&s);

			assert_int_equal(simulate(&s, s.block), 0);
			s.block += spare;
			assert_int_equal(first_by_hand(&s, 240), 0);
			s.block++;
			assert_true(first_by_hand(&s, 240) != 0);
		}
		seen[first != 0]++;
	}
	assert_true(seen[0] > 2000 && seen[1] > 2000);
}

/* How long the set is busy from 0 on without a pause. */
static uint64_t busy_by_hand(const struct rt_set *s)
{
	uint64_t left = 0;

	for (uint64_t now = 0; now <= 120; now++) {
		for (unsigned i = 0; i < s->count; i++) {
			left += now % s->task[i].t == 0 ? s->task[i].c : 0;
		}
		if (left == 0) {
			return now;
		}
		left--;
	}
	return RT_NEVER;
}

static void test_wait(void **unused)
{
	uint32_t seen = 0;

	(void)unused;
	for (uint32_t n = 0; n < 20000; n++) {
		struct rt_set s = random_set();
		uint64_t work = 0;
		uint64_t strict;

		for (unsigned i = 0; i < s.count; i++) {
			work += s.task[i].c * (120 / s.task[i].t);
		}
		s.block = dice(5);	/* is not part of it */
		strict = rt_wait(&s, false);
		assert_true(strict == (work < 120 ? busy_by_hand(&s) : RT_NEVER));
		if (work < 120) {
			assert_true(rt_wait(&s, true) >= strict);
			assert_true(rt_wait(&s, true) < RT_NEVER);
			seen++;
		}
	}
	assert_true(seen > 2000);
}

/* The density test against its own sum, over a common denominator; and it never admits too much. */
static void test_dense(void **unused)
{
	uint32_t seen = 0;

	(void)unused;
	for (uint32_t n = 0; n < 100000; n++) {
		struct rt_set s = random_set();
		const uint64_t common = 1000000ull * 5354228880ull;	/* of 1..24 */
		uint64_t first = 100;
		uint64_t sum = 0;
		bool small = true;
		bool ok;

		s.block = dice(3);
		s.over = dice(2);
		s.reserve_ppm = dice(2) * 50000;
		for (unsigned i = 0; i < s.count; i++) {
			small = small && s.task[i].d <= 24;
			first = s.task[i].d < first ? s.task[i].d : first;
			sum += common / s.task[i].d * s.task[i].c;
		}
		if (!small) {
			continue;
		}
		ok = sum + common / 1000000 * s.reserve_ppm +
		     common / first * (s.count * s.over + s.block) <= common;
		assert_int_equal(rt_dense(&s), ok);
		if (ok) {
			assert_int_equal(rt_test(&s).answer, RT_FITS);
			seen++;
		}
	}
	assert_true(seen > 1000);
}

static void test_over(void **unused)
{
	const uint64_t big = (1ull << 62) - 57;
	const uint64_t num[] = { 1, 1, 1, 0 };
	const uint64_t den[] = { 2, 3, 6, 1 };
	const uint64_t den_more[] = { 2, 3, 5, 1 };
	const uint64_t den_less[] = { 2, 3, 7, 1 };
	/* 1/3 + 2/3, by one part in 2^62 less or more: no double sees the difference */
	const uint64_t near[] = { big / 3, big - big / 3 - 1, big - big / 3, big - big / 3 + 1 };

	(void)unused;
	assert_int_equal(rt_over(num, den, 4), 0);
	assert_int_equal(rt_over(num, den_more, 4), 1);
	assert_int_equal(rt_over(num, den_less, 4), -1);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(rt_over((uint64_t[]){ near[0], near[i] },
					 (uint64_t[]){ big, big }, 2), i - 2);
	}
	assert_int_equal(rt_over((uint64_t[]){ 3, 5 }, (uint64_t[]){ 3, 1ull << 60 }, 2), 1);
	assert_int_equal(rt_over((uint64_t[]){ 3, 0 }, (uint64_t[]){ 3, 7 }, 2), 0);
	assert_int_equal(rt_over((uint64_t[]){ 9, 9 }, (uint64_t[]){ 3, 7 }, 2), 1);
	/* 1/p + (p - 1)/p of two different primes: off by less than 2^-120 */
	assert_int_equal(rt_over((uint64_t[]){ 1, 4611686018427387732ull },
				 (uint64_t[]){ 4611686018427387847ull, 4611686018427387733ull }, 2),
			 -1);
}

/* Real sizes: a load of exactly 1, the reserve, an hour, and one ns too much. */
static void test_real_sizes(void **unused)
{
	const uint64_t hour = 14 * 257142857143ull;	/* and 2 ns */
	struct rt_set s = { .task = { { 2000000, 10000000, 10000000 },
				      { 8000000, 10000000, 10000000 } }, .count = 2 };
	struct rt_result r;

	(void)unused;
	assert_int_equal(rt_test(&s).answer, RT_FITS);
	assert_int_equal(rt_spare(&s), 0);
	s.reserve_ppm = 1;
	assert_int_equal(rt_test(&s).answer, RT_RESERVE);
	s.reserve_ppm = 0;
	s.task[1].c++;
	r = rt_test(&s);
	assert_int_equal(r.answer, RT_LATE);
	assert_int_equal(r.at, 10000000);
	assert_int_equal(r.demand, 10000001);
	assert_int_equal(rt_cut(&s, 0), 1);

	/* The second meets its deadline only just: 7 jobs of the first and itself until 1 h. */
	s.task[0] = (struct rt_task){ hour / 14, hour / 7, hour / 7 };
	s.task[1] = (struct rt_task){ hour / 2, hour, hour };
	s.task[1].c = hour - 7 * (hour / 14);
	assert_int_equal(rt_test(&s).answer, RT_FITS);
	s.task[1].c++;
	r = rt_test(&s);
	assert_int_equal(r.answer, RT_LATE);
	assert_int_equal(r.at, hour);

	s.task[0].d = s.task[0].t + 1;
	assert_int_equal(rt_test(&s).answer, RT_UNDECIDED);
	s.task[0].d = s.task[0].t;
	s.task[0].c = 0;
	assert_int_equal(rt_test(&s).answer, RT_UNDECIDED);
	s.count = 0;
	assert_int_equal(rt_test(&s).answer, RT_FITS);

	/* a load of 1 - 10^-18: it fits, but that takes too long to see, and is not claimed */
	s.task[0] = (struct rt_task){ 359805, 1000003, 1000003 };
	s.task[1] = (struct rt_task){ 191673, 1000033, 1000033 };
	s.task[2] = (struct rt_task){ 448546, 1000037, 1000037 };
	s.count = 3;
	assert_int_equal(rt_test(&s).answer, RT_UNDECIDED);
	s.task[2].c++;
	r = rt_test(&s);
	assert_int_equal(r.answer, RT_LATE);
	assert_int_equal(r.supply, r.at);
	assert_true(r.demand > r.at);

	/* a load of 1 + 2^-96: that is late, in 10^12 years */
	s.task[0] = (struct rt_task){ 140737488355298ull, 281474976710597ull, 281474976710597ull };
	s.task[1] = (struct rt_task){ 140737488355298ull, 281474976710595ull, 281474976710595ull };
	s.count = 2;
	r = rt_test(&s);
	assert_int_equal(r.answer, RT_LATE);
	assert_true(r.at == RT_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_real_sizes),
		cmocka_unit_test(test_against_simulation),
		cmocka_unit_test(test_margins),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_dense),
	};

	return cmocka_run_group_tests_name("rt", tests, NULL, NULL);
}
