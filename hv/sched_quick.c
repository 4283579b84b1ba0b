/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's quick way, for what guests do all the time: nothing is called, so
 * that these are leaf functions in the tail of the vectors. What they leave to
 * sched_next they have not begun, or it goes on from there.
 */
#include "sched.h"

#include "sched_pick.h"
#include "trace.h"

/* v executes next: can it at once? */
static ALWAYS_INLINE bool is_clear(const struct vcpu *v)
{
	return LIKELY(__atomic_load_n(&v->obstacle, __ATOMIC_RELAXED) == 0);
}

/* What woke v, while its chunk has room (trace_is_last): else this were no leaf function. */
static ALWAYS_INLINE void quick_trace(struct percpu *cpu, const struct vcpu *v, uint64_t word)
{
	bool full = TRACE_ON && trace_put(cpu, cpu->sched.since, trace_whose(v) + word);

	(void)full;			/* it is not */
}

/* v, which waits and has a server, wakes up; false: that is not done here. */
static ALWAYS_INLINE bool quick_wake_server(struct percpu *cpu, struct vcpu *v)
{
	struct sched_core *c = &cpu->sched;
	struct sched *s = &v->sched;
	struct server *server = &s->server;
	uint64_t release = server->release;

	/* With nothing overdrawn a new period has a budget: false means that nothing began. */
	if (UNLIKELY(s->masked || server->left < 0 || server->next.period != 0 ||
		     too_late(v, c->since) || !server_wake_as(server, c->since, server_begin))) {
		return false;
	}
	if (LIKELY(server->release != release)) {
		s->jobs++;
		quick_trace(cpu, v, KZ_TRACE_RELEASE +
			    TRACE_VALUE(trace_ticks(server->due - c->since)));
	} else {
		quick_trace(cpu, v, KZ_TRACE_READY);
	}
	s->wanted = c->since;
	s->state = SCHED_READY;
	s->event = job_event(server);
	c->edf |= s->bit;
	return true;
}

/*
 * Whose timer is due wakes up; *first: who without a server is furthest behind then, if one of
 * them did. False: something else is due.
 */
static ALWAYS_INLINE bool quick_expire(struct percpu *cpu, uint64_t now, struct vcpu **first)
{
	struct sched_core *c = &cpu->sched;

	for (uint32_t set = c->timed; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (now < v->sched.event) {
			continue;
		}
		if (UNLIKELY(v->sched.state != SCHED_BLOCKED || trace_is_last(cpu))) {
			return false;
		}
		if (!has_server(v)) {
			*first = wake_fair(c, v, now);
			if (UNLIKELY(*first != v || c->edf != 0)) {
				quick_trace(cpu, v, KZ_TRACE_READY);	/* else its RUN follows */
			}
		} else if (!quick_wake_server(cpu, v)) {
			return false;
		}
	}
	return true;
}

/*
 * Nobody is ready who has a server. v, which has none, left, and others like it woke up; `first`
 * is furthest behind: it executes, as choose would say, who has nothing to compare it with.
 */
static ALWAYS_INLINE struct vcpu *quick_turn(struct sched_core *c, struct vcpu *v,
					     struct vcpu *first, uint64_t now)
{
	v->sched.wanted = now;
	if (LIKELY(first->sched.wanted == now)) {
		c->current = first;	/* it did not wait for the core: nothing was stolen */
	} else {
		dispatch(c, first);
	}
	look_again(c, (c->fair & (c->fair - 1)) != 0 ? now + c->slice : NEVER);
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

static NOINLINE struct vcpu *slow_job_done(struct vcpu *v)
{
	sched_job_done(v);
	return NULL;
}

struct vcpu *sched_quick(struct vcpu *v, uint64_t now)
{
	struct percpu *cpu = v->cpu;
	struct sched_core *c = &cpu->sched;
	struct sched *s = &v->sched;
	struct vcpu *first = NULL;
	uint64_t ran = now - c->since;

	if (UNLIKELY(c->current != v || c->guilty != NULL || c->inbox != 0 ||
		     (has_server(v) && s->server.left <= (int64_t)ran))) {
		return NULL;
	}
	(void)spend(v, ran);		/* there is more */
	c->since = now;
	if (now >= c->next) {
		bool done = now < c->poll && quick_expire(cpu, now, &first);

		if (first != NULL && LIKELY(done && c->edf == 0)) {
			return quick_turn(c, v, first, now);
		}
		if (first != NULL) {
			end_turn(c);
		}
		if (UNLIKELY(!done)) {
			return NULL;
		}
	}
	return quick_choose(c);
}

struct vcpu *sched_quick_job_done(struct vcpu *v, uint64_t now)
{
	struct sched_core *c = &v->cpu->sched;
	uint32_t others = c->fair & ~v->sched.bit;
	uint64_t ran = now - c->since;

	if (UNLIKELY(has_server(v) || others == 0 || c->inbox != 0 || now >= c->next)) {
		return slow_job_done(v);
	}
	(void)spend(v, ran);		/* there is more */
	c->since = now;
	v->sched.wanted = now;
	v = give_way(c, v, others);
	dispatch(c, v);
	look_again(c, now + c->slice);
	return is_clear(v) ? v : NULL;
}
