/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/server.c */
/*
 * The rules of a server and the arithmetic of ticks, each for itself, at small
 * numbers and at the ends of the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "server.h"
#include "time.h"

static struct server made(uint64_t budget, uint64_t period, uint64_t deadline, uint64_t at)
{
	struct server s = { 0 };

	server_set(&s, budget, period, deadline);
	server_release(&s, at);
	return s;
}

/* ---- Fractions ---- */

static uint64_t naive_fraction(uint64_t part, uint64_t whole)
{
	return (uint64_t)(((u128)part << 32) / whole);
}

static void test_fraction(void **state)
{
	static const uint64_t values[] = {
		1, 2, 3, 7, 10, 1000, 62500000, 1000000000, 3600000000000, (1ull << 32) - 1,
		1ull << 32, (1ull << 53) + 1, (1ull << 62) + 12345, INT64_MAX,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_int_equal(ticks_fraction(0, values[i]), 0);
		assert_int_equal(ticks_fraction(values[i], values[i]), 1ull << 32);
		for (size_t k = 0; k <= i; k++) {
			assert_int_equal(ticks_fraction(values[k], values[i]),
					 naive_fraction(values[k], values[i]));
		}
	}
}

static void test_scale(void **state)
{
	(void)state;
	assert_int_equal(ticks_scale(10, ticks_fraction(1, 2)), 5);
	assert_int_equal(ticks_scale(INT64_MAX, 1ull << 32), INT64_MAX);
	assert_int_equal(ticks_scale(INT64_MAX, 1ull << 31), INT64_MAX / 2);
	assert_int_equal(ticks_scale(3, ticks_fraction(1, 3)), 0);	/* down, never up */
	for (uint64_t t = 0; t < 5000; t++) {
		uint64_t whole = 1 + t % 97, part = t % (whole + 1);
		uint64_t got = ticks_scale(t, ticks_fraction(part, whole));
		uint64_t exact = t * part / whole;

		assert_true(got <= exact && got + 1 >= exact);
	}
}

/* ---- Periods ---- */

static void test_release(void **state)
{
	struct server s = made(3, 10, 7, 100);

	(void)state;
	assert_true(server_is(&s));
	assert_int_equal(s.release, 100);
	assert_int_equal(s.due, 107);
	assert_int_equal(s.left, 3);
	s.left = 1;			/* what is left is lost */
	s.told = true;
	server_release(&s, 110);
	assert_int_equal(s.left, 3);
	assert_false(s.told);
	s.left = -2;			/* what was overdrawn is paid, */
	server_release(&s, 120);
	assert_int_equal(s.left, 1);
	s.left = -5;			/* over several periods if it has to be */
	server_release(&s, 130);
	assert_int_equal(s.left, -2);
	server_release(&s, 140);
	assert_int_equal(s.left, 1);
}

/* Parameters are those of the period's beginning until it ends. */
static void test_set(void **state)
{
	struct server s = made(3, 10, 7, 100);

	(void)state;
	server_set(&s, 8, 20, 16);
	assert_int_equal(s.budget, 3);
	assert_int_equal(s.period, 10);
	assert_int_equal(s.due, 107);
	server_next(&s, 110);
	assert_int_equal(s.release, 110);
	assert_int_equal(s.due, 126);
	assert_int_equal(s.left, 8);
	assert_int_equal(s.density, 1ull << 31);
	server_next(&s, 130);
	assert_int_equal(s.release, 130);
	assert_int_equal(s.due, 146);
}

static void test_next(void **state)
{
	struct server s = made(3, 10, 7, 100);

	(void)state;
	server_next(&s, 110);		/* exactly, */
	assert_int_equal(s.release, 110);
	server_next(&s, 125);		/* a little late: no drift, */
	assert_int_equal(s.release, 120);
	server_next(&s, 139);		/* almost a period late, */
	assert_int_equal(s.release, 130);
	server_next(&s, 150);		/* a whole one: it is lost */
	assert_int_equal(s.release, 150);
}

/* ---- The wake-up rule ---- */

static void test_wake_within(void **state)
{
	struct server s = made(4, 10, 10, 100);

	(void)state;
	s.left = 2;
	assert_true(server_wake(&s, 104));	/* 2 of 6 is no more than 4 of 10 */
	assert_int_equal(s.left, 2);
	assert_int_equal(s.due, 110);
}

/* More than its share until the deadline: a new deadline, so that nobody else pays. */
static void test_wake_implicit(void **state)
{
	struct server s = made(4, 10, 10, 100);

	(void)state;
	s.left = 2;
	assert_true(server_wake(&s, 107));	/* 2 of 3 */
	assert_int_equal(s.release, 107);
	assert_int_equal(s.due, 117);
	assert_int_equal(s.left, 4);
}

/* The same with a constrained deadline: the rest is cut, the period stays. */
static void test_wake_constrained(void **state)
{
	struct server s = made(4, 20, 8, 100);

	(void)state;
	assert_true(server_wake(&s, 104));	/* 4 left, 4 * 4/8 may be used */
	assert_int_equal(s.release, 100);
	assert_int_equal(s.due, 108);
	assert_int_equal(s.left, 2);
	assert_true(server_wake(&s, 104));	/* and is then no more than its share */
	assert_int_equal(s.left, 2);
	s.left = 1;
	assert_false(server_wake(&s, 107));	/* a half is nothing */
	assert_false(server_wake(&s, 108));
	s.left = 1;
	assert_false(server_wake(&s, 108));	/* the deadline has passed: not in this period */
	assert_false(server_wake(&s, 119));
	assert_true(server_wake(&s, 120));
	assert_int_equal(s.release, 120);
	assert_int_equal(s.left, 4);
}

static void test_wake_without_budget(void **state)
{
	struct server s = made(4, 10, 10, 100);

	(void)state;
	s.left = 0;
	assert_false(server_wake(&s, 101));
	assert_false(server_wake(&s, 109));
	assert_int_equal(s.release, 100);
	assert_true(server_wake(&s, 113));	/* its period begins when it wants it */
	assert_int_equal(s.release, 113);
	s.left = -6;
	assert_false(server_wake(&s, 200));	/* a new period, and still in debt */
	assert_int_equal(s.release, 200);
	assert_int_equal(s.left, -2);
}

/* Late in the life of a machine: 2^62 ticks are 146 years at 1 GHz. */
static void test_late_clock(void **state)
{
	const uint64_t hour = 3600000000000, late = 1ull << 62;
	struct server s = made(hour / 2, hour, hour, late);

	(void)state;
	s.left = (int64_t)(hour / 4);
	assert_true(server_wake(&s, late + hour / 4));
	assert_int_equal(s.release, late);
	assert_true(server_wake(&s, late + hour / 2 + 1));
	assert_int_equal(s.release, late + hour / 2 + 1);
	server_next(&s, s.release + hour);
	assert_int_equal(s.due, late + hour / 2 + 1 + 2 * hour);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fraction),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_wake_within),
		cmocka_unit_test(test_wake_implicit),
		cmocka_unit_test(test_wake_constrained),
		cmocka_unit_test(test_wake_without_budget),
		cmocka_unit_test(test_late_clock),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
