/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's quick way, for what guests do all the time, inline in the tail of the vectors:
 * nothing is called. What it leaves to sched_next it has not begun, or it goes on from there.
 *
 * It is for a vCPU that has just left its guest, and of which nothing else is known: so that it is
 * current, nobody is guilty, and this core has put nothing into its own inbox. What another core
 * has put there rings as soon as interrupts are on.
 */
#ifndef HV_SCHED_QUICK_H
#define HV_SCHED_QUICK_H

#include "sched.h"
#include "sched_pick.h"
#include "trace.h"

/* v executes next: can it at once? */
static ALWAYS_INLINE bool is_clear(const struct vcpu *v)
{
	/* what a relaxed atomic load does; GCC gives that one no offset */
	const volatile uint64_t *obstacle = &v->obstacle;

	return LIKELY(*obstacle == 0);
}

/* What woke v, while its chunk has room (trace_is_last): else this were no leaf function. */
static ALWAYS_INLINE void quick_trace(struct percpu *cpu, const struct vcpu *v, uint64_t now,
				      uint64_t word)
{
	bool full = TRACE_ON && trace_put(cpu, now, trace_whose(v) + word);

	(void)full;			/* it is not */
}

/* v, which waits and has a server, wakes up; false: that is not done here. */
static ALWAYS_INLINE bool quick_wake_server(struct percpu *cpu, struct vcpu *v, uint64_t now)
{
	struct sched *s = &v->sched;
	struct server *server = &s->server;
	uint64_t release = server->release;

	/* With nothing overdrawn a new period has a budget: false means that nothing began. */
	if (UNLIKELY(s->masked || server->left < 0 || server->next.period != 0 ||
		     trace_is_last(cpu) || too_late(v, now) ||
		     !server_wake_as(server, now, server_begin))) {
		return false;
	}
	if (LIKELY(server->release != release)) {
		s->jobs++;
		quick_trace(cpu, v, now, KZ_TRACE_RELEASE +
			    TRACE_VALUE(trace_ticks(server->due - now)));
	} else {
		quick_trace(cpu, v, now, KZ_TRACE_READY);
	}
	s->wanted = now;
	s->state = SCHED_READY;
	s->event = job_event(server);
	cpu->sched.edf |= s->bit;
	return true;
}

enum quick {
	QUICK_LONG,	/* something else is due: sched_next goes on from here */
	QUICK_DONE,	/* now choose */
	QUICK_FIRST	/* one woke up that is furthest behind, and nobody is ready with a server */
};

/*
 * w, which waits and has no server, wakes up; `more` may do so after it. v is ready and has none,
 * as all who are; NULL: somebody has. *first: who without a server is furthest behind.
 */
static ALWAYS_INLINE enum quick quick_wake_fair(struct percpu *cpu, struct vcpu *w, struct vcpu *v,
						uint64_t now, uint64_t more, struct vcpu **first)
{
	struct sched_core *c = &cpu->sched;
	struct hind h;

	if (LIKELY(v != NULL)) {
		h = hindmost_of(c, v, c->fair & ~v->sched.bit);
		if (LIKELY(place_by(c, w, h) && more == 0)) {
			wake_fair(c, w);
			*first = w;
			return QUICK_FIRST;	/* its RUN says the same as READY */
		}
	} else {
		h = hindmost(c);
	}
	if (trace_is_last(cpu)) {
		return QUICK_LONG;
	}
	quick_trace(cpu, w, now, KZ_TRACE_READY);
	*first = place_by(c, w, h) ? w : h.v;
	w->sched.wanted = now;
	wake_fair(c, w);
	return QUICK_DONE;
}

/*
 * Whose timer is due wakes up. v: who leaves, if it has no server; NULL: it has. *first stays if
 * nobody without one woke up. Bound: SCHED_SLOTS.
 */
static ALWAYS_INLINE enum quick quick_expire(struct percpu *cpu, struct vcpu *v, uint64_t now,
					     struct vcpu **first)
{
	enum quick done = QUICK_DONE;

	for (uint64_t set = cpu->sched.timed; set != 0 && done == QUICK_DONE;) {
		struct vcpu *w = slot_of(&cpu->sched, set);

		set &= set - 1;
		if (now < w->sched.event) {
			continue;
		}
		if (UNLIKELY(w->sched.state != SCHED_BLOCKED)) {
			done = QUICK_LONG;
		} else if (!has_server(w)) {
			done = quick_wake_fair(cpu, w, v, now, set, first);
		} else {
			v = NULL;
			done = quick_wake_server(cpu, w, now) ? QUICK_DONE : QUICK_LONG;
		}
	}
	return done;
}

/* `first` executes instead of v: as choose would say, who has nothing to compare it with. */
static ALWAYS_INLINE struct vcpu *quick_turn(struct sched_core *c, struct vcpu *v,
					     struct vcpu *first, uint64_t now, uint64_t end)
{
	c->since = now;
	v->sched.wanted = now;
	c->current = first;		/* it did not wait for the core: nothing was stolen */
	look_again_by(c, end);
	return is_clear(first) ? first : NULL;
}

/* Whoever is to execute. By itself: what it keeps in registers is not in others' way. */
static NOINLINE struct vcpu *quick_choose(struct sched_core *c)
{
	struct vcpu *v = choose(c);

	if (UNLIKELY(v == NULL || !is_clear(v))) {
		return NULL;
	}
	look_again(c, turn_end(c, v));
	return v;
}

/*
 * sched_next in the most frequent cases, for v, which leaves its guest at `now`; all is done but
 * that another vCPU's registers come (cpu->vcpu), if it is not the `same` that goes on, and the
 * timer at sched.next. NULL: sched_next follows. Own core.
 */
static ALWAYS_INLINE MUST_USE struct vcpu *sched_quick(struct vcpu *v, uint64_t now, bool *same)
{
	struct percpu *cpu = v->cpu;
	struct sched_core *c = &cpu->sched;
	struct sched *s = &v->sched;
	bool fair = (c->fair & s->bit) != 0;
	struct vcpu *next, *first = NULL;
	uint64_t ran = now - c->since;
	uint64_t due = c->next;
	uint64_t slice = c->slice;
	uint64_t poll = c->poll;

	*same = false;
	if (LIKELY(fair)) {
		spend_fair(s, ran);
	} else if (s->server.left > (int64_t)ran) {
		(void)spend(v, ran);		/* there is more */
	} else {
		return NULL;
	}
	if (now >= due) {
		enum quick done = now >= poll ? QUICK_LONG :
				  quick_expire(cpu, fair ? v : NULL, now, &first);

		if (LIKELY(done == QUICK_FIRST)) {
			return quick_turn(c, v, first, now, min_u64(now + slice, poll));
		}
		c->since = now;
		if (first != NULL) {
			end_turn(c);
		}
		if (UNLIKELY(done == QUICK_LONG)) {
			return NULL;
		}
	}
	c->since = now;
	next = quick_choose(c);
	*same = next == v;
	return next;
}

static NOINLINE struct vcpu *slow_job_done(struct vcpu *v)
{
	sched_job_done(v);
	return NULL;
}

/* The same with sched_job_done. */
static ALWAYS_INLINE MUST_USE struct vcpu *sched_quick_job_done(struct vcpu *v, uint64_t now)
{
	struct sched_core *c = &v->cpu->sched;
	struct sched *s = &v->sched;
	uint32_t fair = c->fair;
	uint64_t others = fair & ~s->bit;
	uint64_t ran = now - c->since;
	uint64_t due = c->next;

	/* It has a server, or is alone; or something is due. */
	if (UNLIKELY(others == fair || others == 0 || now >= due)) {
		return slow_job_done(v);
	}
	spend_fair(s, ran);
	c->since = now;
	s->wanted = now;
	v = give_way(c, v, others);
	dispatch(c, v);
	look_again(c, now + c->slice);
	return is_clear(v) ? v : NULL;
}

#endif
