/* SPDX-License-Identifier: Apache-2.0 */
/* How soon an HRT guest is stopped from outside, and how soon one is back. */
#include "control.h"

#define TIMES		50u
#define TURNS		9u
#define TURNS_LARGE	5u
#define QUIET		8u	/* restarts until they are said no more */
#define SETTLE		50000u
#define STRIDE		37u		/* ticks: each time in another phase of its loop */
#define AGO		3000u
#define WATCHDOG_NS	20000000u
#define LONG		5000000u	/* ticks: the target has begun by then */

/* The verb while the target is in that mode, until its core is ours; the target goes on then. */
static bool revoke(enum row row, enum kz_verb what, uint64_t *first)
{
	const enum kz_vm_state state = what == KZ_VERB_STOP ? KZ_VM_STOPPED : KZ_VM_PAUSED;

	if (verb(row, what) != KZ_OK) {
		return false;
	}
	rest(SETTLE);
	control_settled();
	if (what == KZ_VERB_RESET) {
		*first = target_wait(*first);
		return *first != 0;
	}
	if (!target_state(state) ||
	    verb(NOT_COUNTED, what == KZ_VERB_STOP ? KZ_VERB_START : KZ_VERB_RESUME) != KZ_OK) {
		return false;
	}
	if (what == KZ_VERB_STOP) {
		*first = target_wait(*first);
	}
	return true;
}

static void revokes(enum mode mode, enum row reset, enum row stop, enum row pause)
{
	const struct plan plan = { SMALL, PAGE, 0, mode };
	uint64_t first;

	if (!target_create(&plan) || verb(NOT_COUNTED, KZ_VERB_START) != KZ_OK) {
		return;
	}
	first = target_wait(0);
	for (uint32_t i = 0; i < TIMES; i++) {
		rest(AGO + i * STRIDE);
		if (!revoke(reset, KZ_VERB_RESET, &first)) {
			break;
		}
		rest(AGO + i * STRIDE);
		if (!revoke(stop, KZ_VERB_STOP, &first)) {
			break;
		}
		rest(AGO + i * STRIDE);
		if (!revoke(pause, KZ_VERB_PAUSE, &first)) {
			break;
		}
	}
	(void)target_destroy();
}

void bench_revoke(void)
{
	revokes(SPINS, RESET_SPINS, STOP_SPINS, PAUSE_SPINS);
	revokes(SLEEPS, RESET_SLEEPS, STOP_SLEEPS, PAUSE_SLEEPS);
}

/* Its first instruction's time; this core does not look meanwhile, for that counts, too. */
static uint64_t long_wait(uint64_t before)
{
	rest(LONG);
	return target_wait(before);
}

/* By calls. The log has nothing of a restart from the ninth on, but for powers of two. */
static void starts(const struct plan *plan)
{
	uint64_t first, before;

	for (uint32_t i = 0; i < TURNS && target_create(plan); i++) {
		rest(LONG);
		before = now();
		(void)verb(NOT_COUNTED, KZ_VERB_START);
		first = long_wait(0);
		control_value(START_FIRST, first - before);
		(void)verb(NOT_COUNTED, KZ_VERB_STOP);
		rest(LONG);
		before = now();
		(void)verb(NOT_COUNTED, KZ_VERB_START);
		first = long_wait(first);
		control_value(START_AGAIN, first - before);
		for (uint32_t k = 1; i == TURNS - 1 && k < 2 * QUIET; k++) {
			before = now();
			(void)verb(NOT_COUNTED, KZ_VERB_RESET);
			first = long_wait(first);
			control_value(k > QUIET ? RESET_TO : NOT_COUNTED, first - before);
		}
		(void)target_destroy();
	}
}

/* When its watchdog is due, in ns since power-on, which is what the counter counts. */
static uint64_t due(void)
{
	const struct kz_vm_info *info = (const struct kz_vm_info *)buffer;

	return inspect(NOT_COUNTED, KZ_INSPECT_VM, target) == KZ_OK ? info->watchdog : 0;
}

/* It never kicks: each time that it has failed it is back a while later. */
static void back(const struct plan *plan, uint32_t turns, enum row row)
{
	uint64_t first;

	if (!target_create(plan) || verb(NOT_COUNTED, KZ_VERB_START) != KZ_OK) {
		return;
	}
	first = target_wait(0);
	for (uint32_t i = 0; i < turns && first != 0; i++) {
		const uint64_t at = due();

		if (at < now()) {
			break;
		}
		/* This core sleeps long after that: it does not look while the target starts. */
		rest(at - now());
		first = long_wait(first);
		control_value(row, first - at);
	}
	(void)target_destroy();
}

void bench_starts(void)
{
	static const struct plan plain = { 2 * MIB, PAGE, 0, SLEEPS };
	static const struct plan small = { 2 * MIB, PAGE, WATCHDOG_NS, SLEEPS };
	static const struct plan zero = { 16 * MIB, PAGE, WATCHDOG_NS, SLEEPS };
	static const struct plan load = { 16 * MIB, MIB, WATCHDOG_NS, SLEEPS };

	starts(&plain);
	back(&small, TURNS, BACK);
	back(&zero, TURNS_LARGE, BACK_ZERO);
	back(&load, TURNS_LARGE, BACK_LOAD);
}
