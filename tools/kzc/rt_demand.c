/* SPDX-License-Identifier: Apache-2.0 */
#include "rt_demand.h"

#define HORIZON (1ull << 60) /* no instant beyond it is looked at */

const struct rt_supply processor = { 1, 1, 0, 0 };

uint64_t demand_clip(u128 n)
{
	return (n > HORIZON) ? RT_NEVER : (uint64_t)n;
}

bool demand_valid(const struct rt_set *s)
{
	if ((s->count > RT_TASKS_MAX) || (s->block > RT_TIME_MAX) || (s->over > RT_TIME_MAX) ||
	    (s->reserve_ppm > RT_MILLION)) {
		return false;
	}
	for (unsigned i = 0; i < s->count; i++) {
		const struct rt_task *k = &s->task[i];

		if ((k->c == 0) || (k->d == 0) || (k->d > k->t) || (k->c > RT_TIME_MAX) ||
		    (k->t > RT_TIME_MAX)) {
			return false;
		}
	}
	return true;
}

/*
 * All fractions are divided digit by digit, of 32 bits, at the same time. left is what the digits
 * so far leave of 1. What follows them is below count, in the same unit: so left decides as soon
 * as it is above count or below 0. If it stays between for more digits than the product of all
 * den has, the difference is 0: it could not be so small otherwise.
 */
int rt_over(const uint64_t *num, const uint64_t *den, unsigned count)
{
	uint64_t rest[RT_TASKS_MAX + 2];
	int64_t left = 1;
	bool more = false;

	for (unsigned i = 0; i < count; i++) {
		uint64_t whole = num[i] / den[i];

		rest[i] = num[i] % den[i];
		more = more || (rest[i] != 0);
		if (whole > (uint64_t)left) {
			return 1;
		}
		left -= (int64_t)whole;
	}
	for (unsigned digit = 0; digit < 2 * count + 2; digit++) {
		if ((left <= 0) || !more) {
			return ((left < 0) || ((left == 0) && more)) ? 1 : (left == 0) ? 0 : -1;
		}
		if (left > (int64_t)count) {
			return -1;
		}
		left <<= 32;
		more = false;
		for (unsigned i = 0; i < count; i++) {
			u128 n = (u128)rest[i] << 32;

			left -= (int64_t)(n / den[i]);
			rest[i] = (uint64_t)(n % den[i]);
			more = more || (rest[i] != 0);
		}
	}
	return (left < 0) ? 1 : (left > (int64_t)count) ? -1 : 0;
}

int demand_load(const struct rt_set *s, uint64_t num, uint64_t den)
{
	uint64_t n[RT_TASKS_MAX + 1];
	uint64_t d[RT_TASKS_MAX + 1];

	for (unsigned i = 0; i < s->count; i++) {
		n[i] = s->task[i].c;
		d[i] = s->task[i].t;
	}
	n[s->count] = num;
	d[s->count] = den;
	return rt_over(n, d, s->count + 1);
}

uint64_t demand_when(const struct rt_supply *s, u128 execution)
{
	u128 whole;

	if (execution == 0) {
		return 0;
	}
	if (execution > HORIZON) {
		return RT_NEVER;
	}
	execution += s->owed;
	whole = (execution - 1) / s->q;
	return demand_clip(s->blackout + whole * s->p + (execution - whole * s->q));
}

/* What must be executed until `at` at the latest; nothing before the first deadline. */
static u128 demand(const struct rt_set *s, uint64_t at)
{
	u128 sum = 0;

	for (unsigned i = 0; i < s->count; i++) {
		const struct rt_task *k = &s->task[i];

		if (at >= k->d) {
			sum += (u128)((at - k->d) / k->t + 1) * k->c + s->over;
		}
	}
	return (sum == 0) ? 0 : sum + s->block;
}

u128 demand_requests(const struct rt_set *s, uint64_t at)
{
	u128 sum = s->block + (u128)s->count * s->over;

	for (unsigned i = 0; i < s->count; i++) {
		const struct rt_task *k = &s->task[i];

		sum += (u128)((at == 0) ? 1 : (at - 1) / k->t + 1) * k->c;
	}
	return sum;
}

/* The last deadline before `below`, 0 for none, when all begin at 0. */
static uint64_t last_deadline(const struct rt_set *s, uint64_t below)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < s->count; i++) {
		const struct rt_task *k = &s->task[i];

		if (below > k->d) {
			uint64_t at = (below - 1 - k->d) / k->t * k->t + k->d;

			last = (at > last) ? at : last;
		}
	}
	return last;
}

/*
 * QPA: is there a deadline before *below until which demand exceeds supply? From above: if the
 * demand until t is met at n <= t, it is so for all between them, as demand never falls. 1: there
 * is, and *below is next to it; 0: there is none; -1: it takes too many steps.
 */
static int late(const struct rt_set *s, const struct rt_supply *in, uint64_t *below)
{
	uint64_t t = last_deadline(s, *below);

	for (unsigned step = 0; step < RT_STEPS; step++) {
		uint64_t met = demand_when(in, demand(s, t));

		if (t == 0) {
			return 0;
		}
		if (met > t) {
			*below = last_deadline(s, t + 1) + 1;
			return 1;
		}
		t = (met < t) ? met : last_deadline(s, t);
	}
	return -1;
}

uint64_t demand_busy(const struct rt_set *s, const struct rt_supply *in, bool joined)
{
	uint64_t w = demand_when(in, demand_requests(s, 0));

	for (unsigned step = 0; (step < RT_STEPS) && (w != RT_NEVER); step++) {
		uint64_t next = demand_when(in, demand_requests(s, w + (joined ? 1 : 0)));

		if (next == w) {
			return w;
		}
		w = next;
	}
	return 0;
}

/*
 * From where on supply - demand cannot be negative, as its rate is above the demand's; 0: not
 * known. demand(L) <= U L + sum of u (t - d) + constants; supply(L) >= q/p (L - blackout) - owed.
 */
static uint64_t slope_end(const struct rt_set *s, const struct rt_supply *in)
{
	u128 rate = ((u128)in->q << RT_ONE) / in->p;
	u128 above = s->block + (u128)s->count * s->over + in->owed;

	above += (u128)in->blackout * in->q / in->p + 1;
	for (unsigned i = 0; i < s->count; i++) {
		const struct rt_task *k = &s->task[i];
		u128 u = ((u128)k->c << RT_ONE) / k->t + 1;

		if (u >= rate) {
			return 0;
		}
		rate -= u;
		above += (u128)(k->t - k->d) * k->c / k->t + 1;
	}
	above = (above << RT_ONE) / rate + 1;
	return (above > HORIZON) ? 0 : (uint64_t)above;
}

int demand_late(const struct rt_set *s, const struct rt_supply *in, uint64_t *below)
{
	int over = demand_load(s, in->p - in->q, in->p);
	int found = -1;

	*below = (over < 0) ? slope_end(s, in) : 0;
	if (*below != 0) {
		found = late(s, in, below);
	}
	if ((found < 0) && (over <= 0)) {
		/* behind the longest busy time there is nothing new */
		*below = demand_busy(s, in, false) + 1;
		found = (*below > 1) ? late(s, in, below) : -1;
	}
	for (uint64_t end = 2; (found < 0) && (over >= 0) && (end < HORIZON); end *= 2) {
		*below = end;
		found = (late(s, in, below) == 1) ? 1 : -1;
	}
	if ((found < 0) && (over > 0)) {
		*below = RT_NEVER;
		found = 1;
	}
	return found;
}

/* "Is there one before L" is false up to the first and true from then on: bisection. */
struct rt_result demand_first(const struct rt_set *s, const struct rt_supply *in)
{
	struct rt_result r = { RT_FITS, 0, 0, 0, 0 };
	uint64_t none = 0;
	uint64_t some = 0;
	int found = demand_late(s, in, &some);

	if (found != 1) {
		r.answer = (found == 0) ? RT_FITS : RT_UNDECIDED;
		return r;
	}
	r.answer = RT_LATE;
	r.at = RT_NEVER;
	if (some == RT_NEVER) {
		return r;
	}
	while ((found >= 0) && (some - none > 1)) {
		uint64_t mid = none + (some - none) / 2;
		uint64_t at = mid;

		found = late(s, in, &at);
		if (found == 1) {
			some = at;
		} else {
			none = mid;
		}
	}
	r.at = some - 1;
	r.demand = demand_clip(demand(s, r.at));
	r.supply = rt_sbf(in, r.at);
	return r;
}
