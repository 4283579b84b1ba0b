/* SPDX-License-Identifier: Apache-2.0 */
#include "rt.h"

#include "rt_demand.h"

static bool fits(const struct rt_set *s)
{
	uint64_t below = 0;

	return demand_valid(s) && (demand_load(s, s->reserve_ppm, RT_MILLION) <= 0) &&
	       ((s->count == 0) || (demand_late(s, &processor, &below) == 0));
}

struct rt_result rt_test(const struct rt_set *s)
{
	struct rt_result r = { RT_UNDECIDED, 0, 0, 0, 0 };

	if (!demand_valid(s)) {
		return r;
	}
	r.answer = RT_FITS;
	if (s->count != 0) {
		r = demand_first(s, &processor);
	}
	if ((r.answer == RT_FITS) && (demand_load(s, s->reserve_ppm, RT_MILLION) > 0)) {
		r.answer = RT_RESERVE;
	}
	return r;
}

/* The shortest deadline. */
static uint64_t shortest(const struct rt_set *s)
{
	uint64_t d = RT_TIME_MAX;

	for (unsigned i = 0; i < s->count; i++) {
		d = (s->task[i].d < d) ? s->task[i].d : d;
	}
	return d;
}

bool rt_dense(const struct rt_set *s)
{
	uint64_t num[RT_TASKS_MAX + 2];
	uint64_t den[RT_TASKS_MAX + 2];

	if (!demand_valid(s)) {
		return false;
	}
	for (unsigned i = 0; i < s->count; i++) {
		num[i] = s->task[i].c;
		den[i] = s->task[i].d;
	}
	num[s->count] = s->reserve_ppm;
	den[s->count] = RT_MILLION;
	num[s->count + 1] = s->count * s->over + s->block;
	den[s->count + 1] = shortest(s);
	return rt_over(num, den, s->count + 2) <= 0;
}

/*
 * It is masked / (1 - sum of c / d), masked being what all of them may be kept by. What one asks
 * for is only granted as long as that leaves 1 - sum >= reserve + masked / (shortest deadline).
 */
uint64_t rt_guard(const struct rt_set *s, unsigned servers)
{
	u128 masked = (u128)servers * s->over + s->block;
	u128 rest = (u128)1 << RT_ONE;

	if (masked == 0) {
		return 0;
	}
	if (servers > 1) {
		rest = (rest * s->reserve_ppm) / RT_MILLION + (masked << RT_ONE) / shortest(s);
	} else {
		rest -= ((u128)s->task[0].c << RT_ONE) / s->task[0].d;
	}
	return (rest == 0) ? RT_NEVER : demand_clip((masked << RT_ONE) / rest + 1);
}

/* The largest value of a field of the set, from `good` to below `bad`, with which it fits. */
static uint64_t largest(const struct rt_set *trial, uint64_t *field, uint64_t good, uint64_t bad)
{
	while (bad - good > 1) {
		*field = good + (bad - good) / 2;
		if (fits(trial)) {
			good = *field;
		} else {
			bad = *field;
		}
	}
	return good;
}

uint64_t rt_slack(const struct rt_set *s, unsigned i)
{
	struct rt_set trial = *s;
	const struct rt_task *k = &s->task[i];

	return fits(s) ? largest(&trial, &trial.task[i].c, k->c, k->d + 1) - k->c : 0;
}

uint64_t rt_cut(const struct rt_set *s, unsigned i)
{
	struct rt_set trial = *s;
	uint64_t good = largest(&trial, &trial.task[i].c, 0, s->task[i].c + 1);

	return (good == 0) ? RT_NEVER : s->task[i].c - good;
}

uint64_t rt_spare(const struct rt_set *s)
{
	struct rt_set trial = *s;

	if (!fits(s) || (s->count == 0)) {
		return 0;
	}
	return largest(&trial, &trial.block, s->block, s->block + shortest(s)) - s->block;
}

uint64_t rt_wait(const struct rt_set *s, bool waits)
{
	struct rt_set alone = *s;
	u128 left = (u128)1 << RT_ONE;
	uint64_t longest;

	if (!demand_valid(s)) {
		return RT_NEVER;
	}
	alone.block = 0; /* to be kept waiting by themselves is none of their wait */
	if (s->count == 0) {
		return 0;
	}
	if (!waits) {
		longest = demand_busy(&alone, &processor, true);
		return (longest == 0) ? RT_NEVER : longest;
	}
	for (unsigned i = 0; i < s->count; i++) {
		u128 u = ((u128)s->task[i].c << RT_ONE) / s->task[i].t + 1;

		if (u >= left) {
			return RT_NEVER;
		}
		left -= u;
	}
	return demand_clip((demand_requests(&alone, 0) << RT_ONE) / left + 1);
}

uint64_t rt_switches(const struct rt_set *s, unsigned i)
{
	uint64_t n = 1;

	for (unsigned j = 0; j < s->count; j++) {
		if (s->task[j].d < s->task[i].d) {
			n += (s->task[i].d - s->task[j].d - 1) / s->task[j].t + 1;
		}
	}
	return n;
}
