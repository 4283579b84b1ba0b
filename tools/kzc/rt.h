/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real-time analysis: does a set of servers meet its deadlines under EDF, and a
 * set of tasks inside of a server its own. Pure functions of whole ns, without
 * the types of kzc; docs/admission.md has the reasons. Each loop is bounded: a
 * set that takes more than RT_STEPS is RT_UNDECIDED, which is no promise.
 */
#ifndef KZC_RT_H
#define KZC_RT_H

#include <stdbool.h>
#include <stdint.h>

#define RT_TASKS_MAX 16u
#define RT_TIME_MAX  (1ull << 48) /* ns, three days: no parameter is above it */
#define RT_NEVER     UINT64_MAX
#define RT_STEPS     65536u

/* Execution c in each period t, within d of its beginning: 1 <= c, 1 <= d <= t. */
struct rt_task {
	uint64_t c, t, d;
};

struct rt_set {
	struct rt_task task[RT_TASKS_MAX];
	unsigned count;
	uint64_t block;       /* who is not ready or comes later may keep the processor so long */
	uint64_t over;        /* each may exceed its c so far: the next period pays */
	uint32_t reserve_ppm; /* of the processor, that is kept for others */
};

/* Execution that is sure to come: q in each p, the first at last after `blackout`. */
struct rt_supply {
	uint64_t q, p;
	uint64_t blackout; /* the longest time without any, at least p - q */
	uint64_t owed;     /* was had before, and is paid back once */
};

enum rt_answer {
	RT_FITS,
	RT_LATE,    /* a deadline is missed: `at` */
	RT_RESERVE, /* no deadline is missed, but less than the reserve is left */
	RT_UNDECIDED,
};

struct rt_result {
	enum rt_answer answer;
	uint64_t at;       /* RT_LATE: the first instant at which demand exceeds supply (with
			    * more than RT_STEPS to it, one of the next); RT_NEVER:
			    * 36 years or more from the start, as the load is only just above 1 */
	uint64_t demand;   /* until then, blocking included */
	uint64_t supply;   /* until then */
	uint64_t response; /* RT_FITS, of a task: the longest it may take, at most d */
};

/*
 * rt_over - is the sum of num[i] / den[i] above 1 (1), 1 (0), or below it (-1)? Exactly; num
 * is below 2^63, den not 0; count at most RT_TASKS_MAX + 2.
 */
int rt_over(const uint64_t *num, const uint64_t *den, unsigned count);

/*
 * rt_test - the processor-demand test (QPA), for all L from the smallest deadline on:
 *
 *   sum of c * (floor((L - d) / t) + 1)  +  over * (how many have d <= L)  +  block  <=  L
 *
 * It is sufficient for any arrivals, and exact (a violation is a schedule that misses) when block
 * and over are 0. The reserve is looked at last: utilisation <= 1 - reserve.
 */
struct rt_result rt_test(const struct rt_set *s);

/*
 * rt_dense - do they also fit when they may wait in the middle of a period and go on (the wake-up
 * rule)? The sum of c / d, plus (count * over + block) / (smallest d), is at most 1 - reserve.
 */
bool rt_dense(const struct rt_set *s);

/*
 * rt_guard - who wakes nearer to its deadline than this gets nothing more of its period
 * (hv/policy.c). The set is rt_dense; `servers` are on the core, at least its tasks: with more than
 * one, whatever the others ask for at run time.
 */
uint64_t rt_guard(const struct rt_set *s, unsigned servers);

/* rt_slack - by how much task i's c may grow until rt_test no longer says RT_FITS. */
uint64_t rt_slack(const struct rt_set *s, unsigned i);

/* rt_cut - by how much c of task i alone must shrink until it does; RT_NEVER: that is no help. */
uint64_t rt_cut(const struct rt_set *s, unsigned i);

/* rt_spare - the smallest of L - demand(L): how much more blocking the set takes. */
uint64_t rt_spare(const struct rt_set *s);

/*
 * rt_wait - how long at most others than the set wait at a stretch; RT_NEVER without a bound.
 * waits: the set's tasks may wait in the middle of a period and go on.
 */
uint64_t rt_wait(const struct rt_set *s, bool waits);

/*
 * rt_supply_of - what a server (budget q, period p, deadline d) supplies at least, to someone
 * who wants all of it. strict: it gives up the rest of its budget when it waits. owed: what it may
 * have overdrawn.
 */
struct rt_supply rt_supply_of(uint64_t q, uint64_t p, uint64_t d, uint64_t owed, bool strict);

/* rt_supply_guard - the same if it gets nothing when it wakes within `guard` of its deadline d. */
struct rt_supply rt_supply_guard(const struct rt_supply *s, uint64_t d, uint64_t guard);

/* rt_sbf - the least execution in any window so long; rt_sbf_when - the window for so much. */
uint64_t rt_sbf(const struct rt_supply *s, uint64_t window);
uint64_t rt_sbf_when(const struct rt_supply *s, uint64_t execution);

/*
 * rt_switches - how often in a period task i of the set is switched to: once, and after each
 * release of a shorter deadline that can preempt it: ceil((d_i - d_j) / t_j).
 */
uint64_t rt_switches(const struct rt_set *s, unsigned i);

/*
 * rt_fixed, rt_edf - the tasks of s (its block, over and reserve are not looked at) in a supply:
 * by fixed priority, task 0 the highest, or by EDF. One result a task; true when all fit.
 */
bool rt_fixed(const struct rt_set *s, const struct rt_supply *in, struct rt_result *out);
bool rt_edf(const struct rt_set *s, const struct rt_supply *in, struct rt_result *out);

#endif
