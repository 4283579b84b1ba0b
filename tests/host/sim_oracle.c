/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim.h"

void oracle_init(struct oracle *o, const struct sim_set *set)
{
	memset(o, 0, sizeof(*o));
	o->set = set;
	o->runner = SIM_NOBODY;
	o->loaded = SIM_NOBODY;
	o->first_late = NEVER;
	o->started = o->now = host.ticks;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct sim_spec *s = &set->spec[i];

		o->ref[i].server = s->budget != 0;
		o->ref[i].budget = s->budget;
		o->ref[i].period = s->period;
		o->ref[i].deadline = s->deadline;
		o->ref[i].alarm = NEVER;
	}
}

/* ---- Never more than promised ---- */

/* What a server may execute in periods that begin and are due within `length`. */
static uint64_t demand_bound(const struct oracle *o, uint32_t i, uint64_t length)
{
	const struct sim_spec *s = &o->set->spec[i];

	if (o->set->strict) {
		return ((length - s->deadline) / s->period + 1) * s->budget;
	}
	return length * s->budget / s->deadline;
}

/* The last period is over: no window that ends with it has more than its share. */
static void check_windows(const struct oracle *o, uint32_t i)
{
	const struct ref *r = &o->ref[i];
	uint64_t ran = 0, due;

	if (r->periods == 0) {
		return;
	}
	due = r->period_log[(r->periods - 1) % SIM_MARKS].due;
	for (uint32_t back = 1; back <= r->periods && back <= SIM_MARKS; back++) {
		uint32_t slot = (r->periods - back) % SIM_MARKS;
		uint64_t length = due - r->period_log[slot].release;

		ran += r->period_log[slot].ran;
		SIM_CHECK(ran <= demand_bound(o, i, length) + o->set->cost,
			  "%u executed %llu in %llu ticks up to its deadline at %llu", i,
			  (ull)ran, (ull)length, (ull)due);
	}
}

/* ---- Never less than promised ---- */

/* Of a server that is without the core for `blackout` at first. */
static uint64_t supply_bound(const struct ref *r, uint64_t length, uint64_t blackout)
{
	uint64_t rest;

	if (length <= blackout) {
		return 0;
	}
	length -= blackout;
	rest = length % r->period;
	return length / r->period * r->budget + (rest < r->budget ? rest : r->budget);
}

static void check_supply(const struct oracle *o, uint32_t i)
{
	const struct ref *r = &o->ref[i];
	uint32_t marks = r->marks < SIM_MARKS ? r->marks : SIM_MARKS;

	if (!r->server || o->set->forced || (r->state != REF_READY && r->state != REF_OUT)) {
		return;
	}
	for (uint32_t m = 0; m < marks; m++) {
		const struct sim_mark *mark = &r->mark[m];
		uint64_t length = o->now - mark->at;
		uint64_t bound = supply_bound(r, length, mark->blackout);

		SIM_CHECK(r->supply - mark->supply + r->slack >= bound,
			  "%u got %llu of %llu in the %llu ticks from %llu on", i,
			  (ull)(r->supply - mark->supply), (ull)bound, (ull)length,
			  (ull)mark->at);
	}
}

/* The first mark of a backlog stays; of the others, the youngest. */
static void set_mark(struct oracle *o, struct ref *r, uint64_t blackout)
{
	uint32_t slot = r->marks < SIM_MARKS ? r->marks : 1 + r->marks % (SIM_MARKS - 1);

	r->mark[slot] = (struct sim_mark){o->now, r->supply, blackout};
	r->marks++;
}

/* It wants to run from here on; `fresh`: with a whole budget before it. */
static void begin_backlog(struct oracle *o, struct ref *r, bool fresh)
{
	uint64_t blackout = r->deadline - r->budget;

	r->marks = 0;
	r->supply = 0;
	r->waits = true;
	r->slack = o->set->blocking;
	if (!fresh) {
		blackout += r->period - (o->set->strict ? 0 : r->budget) + o->guard;
		r->slack += 2;			/* what is left is cut to whole ticks */
	}
	set_mark(o, r, blackout);
}

/* ---- The rules of a server ---- */

static void begin_period(struct oracle *o, uint32_t i, uint64_t at)
{
	struct ref *r = &o->ref[i];
	uint32_t slot = r->periods % SIM_MARKS;
	bool change = r->next.period != 0;

	check_windows(o, i);
	if (change) {
		check_supply(o, i);
		r->budget = r->next.budget;
		r->period = r->next.period;
		r->deadline = r->next.deadline;
		r->next.period = 0;
	}
	r->release = at;
	r->due = at + r->deadline;
	r->left = (int64_t)r->budget + (r->left < 0 ? r->left : 0);
	r->told = false;
	r->jobs++;
	r->periods++;
	r->period_log[slot].release = at;
	r->period_log[slot].due = r->due;
	r->period_log[slot].ran = 0;
	if (change) {
		begin_backlog(o, r, at == o->now);
	}
}

static void ready_or_out(struct ref *r)
{
	r->state = !r->server || r->left > 0 ? REF_READY : REF_OUT;
	r->masked = r->state == REF_OUT;
}

static void charge(struct oracle *o, uint32_t i, uint64_t ticks)
{
	struct ref *r = &o->ref[i];

	r->executed += ticks;
	r->supply += ticks;
	if (!r->server) {
		return;
	}
	r->left -= (int64_t)ticks;
	r->period_log[(r->periods - 1) % SIM_MARKS].ran += ticks;
	if (r->left <= 0) {
		if (r->state == REF_READY) {
			r->state = REF_OUT;
			r->overruns++;
			o->left_it |= o->runner == i;
		}
		r->masked = true;
	}
}

/* When something happens to it by itself. */
static uint64_t next_event(const struct ref *r)
{
	switch (r->state) {
	case REF_READY:
	case REF_OUT:
		return !r->server ? NEVER : r->told ? r->release + r->period : r->due;
	case REF_WAIT:
		return r->masked ? min_u64(r->alarm, r->release + r->period) : r->alarm;
	case REF_DONE:
		return r->release + r->period;
	default:
		return NEVER;
	}
}

void oracle_pass(struct oracle *o, uint64_t to)
{
	for (uint32_t i = 0; i < o->set->count; i++) {
		SIM_CHECK(next_event(&o->ref[i]) >= to || to == o->now,
			  "at %llu nobody looked at %u, which had an event at %llu", (ull)to, i,
			  (ull)next_event(&o->ref[i]));
	}
	if (o->runner != SIM_NOBODY) {
		const struct ref *r = &o->ref[o->runner];

		SIM_CHECK(!r->server || (int64_t)(to - o->now) <= r->left,
			  "%u executes at %llu without a budget", o->runner, (ull)to);
		charge(o, o->runner, to - o->now);
	}
	o->now = to;
}

void oracle_blame(struct oracle *o, uint32_t i, uint64_t to)
{
	uint64_t ticks = to - o->now;

	o->now = to;
	charge(o, i, ticks);
}

void oracle_start(struct oracle *o, uint32_t i)
{
	struct ref *r = &o->ref[i];

	if (r->server) {
		begin_period(o, i, o->now);
	}
	ready_or_out(r);
	begin_backlog(o, r, true);
}

void oracle_block(struct oracle *o, uint32_t i, uint64_t alarm)
{
	struct ref *r = &o->ref[i];

	check_supply(o, i);
	r->state = REF_WAIT;
	r->alarm = alarm;
	if (r->server && o->set->strict && r->left > 0) {
		r->left = 0;
	}
	o->left_it = true;
}

/*
 * What is left may be used as long as its density is no more than budget / deadline,
 * and the deadline not so near that interrupts alone could make it miss; more than
 * that begins a new period, whose deadline is not near.
 */
static void wake_server(struct oracle *o, uint32_t i)
{
	struct ref *r = &o->ref[i];
	uint64_t density = (r->budget << 32) / r->deadline;
	int64_t fair;

	if (o->now >= r->release + r->period) {
		begin_period(o, i, o->now);
		return;
	}
	fair = o->now < r->due ? (int64_t)((r->due - o->now) * density >> 32) : 0;
	if (o->now + o->guard >= r->due && (r->deadline < r->period || r->left <= fair)) {
		r->told = true;			/* it was not unfinished at its deadline */
		r->state = REF_OUT;
		return;
	}
	if (r->left <= fair || r->left <= 0) {
		return;
	}
	if (r->deadline == r->period) {
		r->jobs -= o->now == r->release;	/* the same job */
		begin_period(o, i, o->now);
	} else {
		r->left = fair;
	}
}

void oracle_wake(struct oracle *o, uint32_t i)
{
	struct ref *r = &o->ref[i];

	if (r->state != REF_WAIT) {
		return;
	}
	if (r->server) {
		wake_server(o, i);
	}
	r->alarm = NEVER;
	if (r->state != REF_OUT) {
		ready_or_out(r);
	}
	r->masked = r->state == REF_OUT;
	begin_backlog(o, r, r->server && r->release == o->now &&
			    r->left == (int64_t)r->budget);
}

void oracle_done(struct oracle *o, uint32_t i)
{
	check_supply(o, i);
	if (o->ref[i].server) {
		o->ref[i].state = REF_DONE;
	}
	o->left_it = true;
}

void oracle_serve(struct oracle *o, uint32_t i, uint64_t budget, uint64_t period,
		  uint64_t deadline)
{
	o->ref[i].next.budget = budget;
	o->ref[i].next.period = period;
	o->ref[i].next.deadline = deadline;
}

static void miss(struct oracle *o, uint32_t i)
{
	struct ref *r = &o->ref[i];

	r->told = true;
	r->misses++;
	if (r->left > 0) {
		r->late++;
		o->first_late = min_u64(o->first_late, r->due);
		SIM_CHECK(o->set->forced, "%u missed its deadline at %llu with %lld left", i,
			  (ull)r->due, (long long)r->left);
	}
	SIM_CHECK(o->set->forced || o->set->spec[i].kind != SIM_GOOD ||
		  o->set->spec[i].lines != 0, "%u is good, but missed its deadline at %llu", i,
		  (ull)r->due);
}

void oracle_settle(struct oracle *o)
{
	for (uint32_t i = 0; i < o->set->count; i++) {
		struct ref *r = &o->ref[i];
		bool done = r->state == REF_DONE;

		if (r->state == REF_WAIT && (i != o->loaded ? next_event(r) : r->masked ?
					     r->release + r->period : NEVER) <= o->now) {
			oracle_wake(o, i);
		}
		if (r->state == REF_WAIT || !r->server) {
			continue;
		}
		if (!done && !r->told && o->now >= r->due) {
			miss(o, i);
		}
		if (o->now >= r->release + r->period) {
			begin_period(o, i, r->release + r->period);
			ready_or_out(r);
			if (done) {
				begin_backlog(o, r, true);
				r->answer.release = r->release;
				r->answer.misses = r->misses;
			}
		}
	}
}

/* ---- Who runs ---- */

/* Earliest deadline of who is ready; NEVER: nobody with a server is. */
static uint64_t earliest(const struct oracle *o)
{
	uint64_t due = NEVER;

	for (uint32_t i = 0; i < o->set->count; i++) {
		if (o->ref[i].server && o->ref[i].state == REF_READY) {
			due = min_u64(due, o->ref[i].due);
		}
	}
	return due;
}

static void check_choice(const struct oracle *o, uint32_t i)
{
	uint64_t due = earliest(o);
	const struct ref *r = &o->ref[i], *before = &o->ref[o->runner];

	SIM_CHECK(r->state == REF_READY, "at %llu %u runs, but has no right to", (ull)o->now, i);
	if (due == NEVER) {
		return;
	}
	SIM_CHECK(r->server && r->due == due, "at %llu %u runs, due %llu, but one is due %llu",
		  (ull)o->now, i, (ull)(r->server ? r->due : 0), (ull)due);
	SIM_CHECK(o->runner == SIM_NOBODY || o->runner == i || o->left_it || !before->server ||
		  before->state != REF_READY || before->due != due,
		  "at %llu %u runs instead of %u, with the same deadline", (ull)o->now, i,
		  o->runner);
}

static void note_delay(const struct oracle *o, struct ref *r)
{
	uint64_t delay = o->now - r->mark[0].at;

	if (r->waits && delay > r->worst_delay) {
		r->worst_delay = delay;
	}
	r->waits = false;
}

void oracle_chosen(struct oracle *o, uint32_t i)
{
	if (i == SIM_NOBODY) {
		for (uint32_t k = 0; k < o->set->count; k++) {
			SIM_CHECK(o->ref[k].state != REF_READY, "at %llu the core sleeps, but %u "
				  "is ready", (ull)o->now, k);
		}
	} else {
		check_choice(o, i);
	}
	if (i != o->runner) {
		if (o->runner != SIM_NOBODY && o->ref[o->runner].server &&
		    (o->ref[o->runner].state == REF_READY || o->ref[o->runner].state == REF_OUT)) {
			struct ref *r = &o->ref[o->runner];

			set_mark(o, r, r->period + r->deadline - 2 * r->budget);
		}
		if (i != SIM_NOBODY) {
			check_supply(o, i);
			note_delay(o, &o->ref[i]);
		}
	}
	o->runner = i;
	o->left_it = false;
}

void oracle_compare(const struct oracle *o, uint32_t i, const struct vcpu *v)
{
	const struct ref *r = &o->ref[i];
	const struct sched *s = &v->sched;
	uint64_t release;

	SIM_CHECK(!r->server || (s->server.release == r->release && s->server.due == r->due &&
				 s->server.left == r->left),
		  "at %llu %u: release %llu, due %llu, left %lld; should be %llu, %llu, %lld",
		  (ull)o->now, i, (ull)s->server.release, (ull)s->server.due,
		  (long long)s->server.left, (ull)r->release, (ull)r->due, (long long)r->left);
	/* A guest's clock begins when its memory is there. */
	release = r->answer.release == 0 ? 0 : (r->answer.release - v->vm->epoch) * SIM_TICK_NS;
	SIM_CHECK(v->arch.result[0] == release && v->arch.result[1] == r->answer.misses,
		  "at %llu %u: job_done says %llu ns, %llu missed; should be %llu, %llu",
		  (ull)o->now, i, (ull)v->arch.result[0], (ull)v->arch.result[1], (ull)release,
		  (ull)r->answer.misses);
}

void oracle_end(const struct oracle *o, uint32_t i, const struct vcpu *v)
{
	const struct ref *r = &o->ref[i];
	const struct sched *s = &v->sched;
	uint64_t told = r->misses + (i % 2 != 0 ? r->overruns : 0);	/* as configured */

	check_supply(o, i);
	check_windows(o, i);
	SIM_CHECK(s->executed == r->executed && s->misses == r->misses && s->late == r->late &&
		  s->overruns == r->overruns,
		  "%u at the end: executed %llu, misses %llu, late %llu, overruns %llu; should be "
		  "%llu, %llu, %llu, %llu", i, (ull)s->executed, (ull)s->misses, (ull)s->late,
		  (ull)s->overruns, (ull)r->executed, (ull)r->misses, (ull)r->late,
		  (ull)r->overruns);
	SIM_CHECK(!r->server || s->jobs == r->jobs, "%u at the end: %llu jobs, should be %llu", i,
		  (ull)s->jobs, (ull)r->jobs);
	SIM_CHECK(v->arch.ppi_rises == told, "%u at the end: %u events told, should be %llu", i,
		  v->arch.ppi_rises, (ull)told);
}
