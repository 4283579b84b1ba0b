/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_demand.h"

uint64_t rt_sbf(const struct rt_supply *s, uint64_t window)
{
	uint64_t in = (window > s->blackout) ? window - s->blackout : 0;
	uint64_t part = in % s->p;
	uint64_t got = in / s->p * s->q + ((part < s->q) ? part : s->q);

	return (got > s->owed) ? got - s->owed : 0;
}

uint64_t rt_sbf_when(const struct rt_supply *s, uint64_t execution)
{
	return demand_when(s, execution);
}

struct rt_supply rt_supply_of(uint64_t q, uint64_t p, uint64_t d, uint64_t owed, bool strict)
{
	return (struct rt_supply){ q, p, p + d - (strict ? q : 2 * q), owed };
}

/* It waits for the period's end, and then for as long as the next one's deadline allows. */
struct rt_supply rt_supply_guard(const struct rt_supply *s, uint64_t d, uint64_t guard)
{
	uint64_t late = s->p - s->q + ((guard < d) ? guard : d);

	return (struct rt_supply){ s->q, s->p, (late > s->blackout) ? late : s->blackout, s->owed };
}

/* Execution asked for until `at` by task i's first job and by all that go before it. */
static u128 requests_before(const struct rt_set *s, unsigned i, uint64_t at)
{
	u128 sum = s->task[i].c;

	for (unsigned j = 0; j < i; j++) {
		sum += (u128)((at - 1) / s->task[j].t + 1) * s->task[j].c;
	}
	return sum;
}

/* The fixed point of: when has come what is asked for until then? */
static struct rt_result fixed_one(const struct rt_set *s, const struct rt_supply *in, unsigned i)
{
	struct rt_result r = { RT_UNDECIDED, 0, 0, 0, 0 };
	const struct rt_task *k = &s->task[i];
	uint64_t w = 1;

	for (unsigned step = 0; step < RT_STEPS; step++) {
		uint64_t next = demand_when(in, requests_before(s, i, w));

		if (next > k->d) {
			r.answer = RT_LATE;
			r.at = k->d;
			r.demand = demand_clip(requests_before(s, i, k->d));
			r.supply = rt_sbf(in, k->d);
			break;
		}
		if (next == w) {
			r.answer = RT_FITS;
			r.response = w;
			break;
		}
		w = next;
	}
	return r;
}

static struct rt_set bare(const struct rt_set *s)
{
	struct rt_set b = *s;

	b.block = 0;
	b.over = 0;
	b.reserve_ppm = 0;
	return b;
}

static bool all_are(struct rt_result *out, unsigned count, enum rt_answer answer)
{
	for (unsigned i = 0; i < count; i++) {
		out[i] = (struct rt_result){ answer, 0, 0, 0, 0 };
	}
	return (answer == RT_FITS);
}

bool rt_fixed(const struct rt_set *s, const struct rt_supply *in, struct rt_result *out)
{
	struct rt_set b = bare(s);
	bool ok = true;

	if (!demand_valid(&b)) {
		return all_are(out, (s->count > RT_TASKS_MAX) ? 0 : s->count, RT_UNDECIDED);
	}
	for (unsigned i = 0; i < s->count; i++) {
		out[i] = fixed_one(&b, in, i);
		ok = ok && (out[i].answer == RT_FITS);
	}
	return ok;
}

/*
 * When the job of task i is done that is released `a` after the others' start: all jobs with
 * deadlines no later go first.
 */
static uint64_t edf_done(const struct rt_set *s, const struct rt_supply *in, unsigned i, uint64_t a,
			 unsigned *steps)
{
	uint64_t due = a + s->task[i].d;
	uint64_t w = 1;

	for (; *steps != 0; (*steps)--) {
		u128 sum = (u128)(a / s->task[i].t + 1) * s->task[i].c;
		uint64_t next;

		for (unsigned j = 0; j < s->count; j++) {
			const struct rt_task *k = &s->task[j];

			if ((j != i) && (k->d <= due)) {
				uint64_t begun = (w - 1) / k->t + 1;
				uint64_t until = (due - k->d) / k->t + 1;

				sum += (u128)((begun < until) ? begun : until) * k->c;
			}
		}
		next = demand_when(in, sum);
		if (next == w) {
			return w;
		}
		w = next;
	}
	return RT_NEVER;
}

/*
 * The longest response of task i under EDF (Spuri 1996), in a set that fits: the others begin at
 * once, and its job lies so that its deadline is one of theirs. With too many such places: d,
 * which holds, as the set fits.
 */
static uint64_t edf_response(const struct rt_set *s, const struct rt_supply *in, unsigned i)
{
	const struct rt_task *me = &s->task[i];
	uint64_t end = demand_busy(s, in, false);
	uint64_t longest = 0;
	unsigned steps = RT_STEPS;

	if (end == 0) {
		return me->d;
	}
	for (unsigned j = 0; j < s->count; j++) {
		const struct rt_task *k = &s->task[j];
		uint64_t due = k->d;

		if (due < me->d) {
			due += ((me->d - due - 1) / k->t + 1) * k->t;
		}
		for (; due - me->d < end; due += k->t) {
			uint64_t done = edf_done(s, in, i, due - me->d, &steps);

			if (done == RT_NEVER) {
				return me->d;
			}
			if ((done > due - me->d) && (done - (due - me->d) > longest)) {
				longest = done - (due - me->d);
			}
		}
	}
	return longest;
}

bool rt_edf(const struct rt_set *s, const struct rt_supply *in, struct rt_result *out)
{
	struct rt_set b = bare(s);
	struct rt_result r;

	if (!demand_valid(&b)) {
		return all_are(out, (s->count > RT_TASKS_MAX) ? 0 : s->count, RT_UNDECIDED);
	}
	if (s->count == 0) {
		return true;
	}
	r = demand_first(&b, in);
	for (unsigned i = 0; i < s->count; i++) {
		out[i] = r;
		if (r.answer == RT_FITS) {
			out[i].response = edf_response(&b, in, i);
		}
	}
	return (r.answer == RT_FITS);
}
