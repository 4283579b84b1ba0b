/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs next, and when to look again: the parts that the long and the quick way
 * of the scheduler have in common, inline. Loops are bounded by SCHED_SLOTS.
 */
#ifndef HV_SCHED_PICK_H
#define HV_SCHED_PICK_H

#include "vm.h"

/* vtime counts in 2^-8 ticks: with a large weight, a short turn is not for nothing. */
#define VTIME_SHIFT	8

/* The first of the set, which is not empty; of 64 bits, as an index has. */
static inline struct vcpu *slot_of(const struct sched_core *c, uint64_t set)
{
	return c->slot[__builtin_ctzll(set)];
}

static inline bool has_server(const struct vcpu *v)
{
	return server_is(&v->sched.server);
}

/* While a job is not done: its deadline, then its period's end. */
static inline uint64_t job_event(const struct server *s)
{
	return s->told ? s->release + s->period : s->due;
}

static inline int64_t vslice(const struct sched_core *c)
{
	return (int64_t)(c->slice << VTIME_SHIFT);
}

/* v, which has no server, executed for that long. */
static ALWAYS_INLINE void spend_fair(struct sched *s, uint64_t ticks)
{
	s->vtime += ticks_scale_by(ticks, s->rate, 32 - VTIME_SHIFT);
	s->executed += ticks;
}

/* v executed for that long. False: its budget is used up. */
static ALWAYS_INLINE bool spend(struct vcpu *v, uint64_t ticks)
{
	struct sched *s = &v->sched;

	if (!has_server(v)) {
		spend_fair(s, ticks);
		return true;
	}
	s->executed += ticks;
	s->server.left -= (int64_t)ticks;
	return LIKELY(s->server.left > 0);
}

/* Who without a server is furthest behind, NULL: nobody is ready; and the core's vmin by that. */
struct hind {
	struct vcpu *v;
	uint64_t vtime;			/* its; of nobody one that all are behind */
	uint64_t vmin;
};

/* The hindmost of v and `others`, none of whom has a server. Bound: SCHED_SLOTS. */
static ALWAYS_INLINE struct hind hindmost_of(struct sched_core *c, struct vcpu *v, uint64_t others)
{
	struct hind h = { .v = v, .vtime = v->sched.vtime, .vmin = c->vmin };

	for (uint64_t set = others; UNLIKELY(set != 0); set &= set - 1) {
		struct vcpu *o = slot_of(c, set);

		if ((int64_t)(o->sched.vtime - h.vtime) < 0) {
			h.v = o;
			h.vtime = o->sched.vtime;
		}
	}
	if ((int64_t)(h.vtime - h.vmin) >= 0) {
		h.vmin = h.vtime;
		c->vmin = h.vmin;
	}
	return h;
}

static ALWAYS_INLINE struct hind hindmost(struct sched_core *c)
{
	uint64_t set = c->fair;

	if (set == 0) {
		return (struct hind){ .vtime = c->vmin + BIT64(62), .vmin = c->vmin };
	}
	return hindmost_of(c, slot_of(c, set), set & (set - 1));
}

/*
 * A sleeper is at most two slices ahead of the others, and eight behind. A hog that
 * was alone was not looked at for as long as it was; the caller has charged it.
 * True: it is v that is furthest behind now.
 */
static ALWAYS_INLINE bool place_by(struct sched_core *c, struct vcpu *v, struct hind h)
{
	uint64_t vtime = v->sched.vtime;
	int64_t ahead = (int64_t)(vtime - h.vmin);

	if (ahead + 2 * vslice(c) < 0) {
		vtime = h.vmin - 2 * (uint64_t)vslice(c);
	} else if (UNLIKELY(ahead > 8 * vslice(c))) {
		vtime = h.vmin + 8 * (uint64_t)vslice(c);
	}
	v->sched.vtime = vtime;
	return (int64_t)(vtime - h.vtime) < 0;
}

static ALWAYS_INLINE void place(struct sched_core *c, struct vcpu *v)
{
	(void)place_by(c, v, hindmost(c));
}

/* Who executes without a server goes on only if nobody is behind it. */
static inline void end_turn(struct sched_core *c)
{
	struct vcpu *v = c->current;

	if (v != NULL && (c->fair & v->sched.bit) != 0) {
		v->sched.wanted = c->since;
		c->current = NULL;
	}
}

/* v, which has no server and was placed, waits no more; end_turn follows, or it is v's. */
static ALWAYS_INLINE void wake_fair(struct sched_core *c, struct vcpu *v)
{
	v->sched.state = SCHED_READY;
	c->timed &= ~v->sched.bit;
	c->fair |= v->sched.bit;
}

static inline bool too_late(const struct vcpu *v, uint64_t now)
{
	return server_too_late(&v->sched.server, now, v->cpu->sched.guard);
}

/* v is behind all `others`, of which there are some. Returns the first of them. */
static ALWAYS_INLINE struct vcpu *give_way(struct sched_core *c, struct vcpu *v, uint64_t others)
{
	struct vcpu *best = slot_of(c, others);
	uint64_t last = best->sched.vtime;

	while (UNLIKELY((others &= others - 1) != 0)) {
		struct vcpu *o = slot_of(c, others);

		if ((int64_t)(o->sched.vtime - best->sched.vtime) < 0) {
			best = o;
		} else if ((int64_t)(o->sched.vtime - last) > 0) {
			last = o->sched.vtime;
		}
	}
	if ((int64_t)(v->sched.vtime - ++last) < 0) {
		v->sched.vtime = last;
	}
	return best;
}

static ALWAYS_INLINE struct vcpu *pick_edf(const struct sched_core *c)
{
	struct vcpu *best = c->current;

	if (best == NULL || (c->edf & best->sched.bit) == 0) {
		best = slot_of(c, c->edf);
	}
	for (uint64_t set = c->edf; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (v->sched.server.due < best->sched.server.due) {
			best = v;
		}
	}
	return best;
}

/* Who is furthest behind; the current one goes on until another is a slice behind it. */
static ALWAYS_INLINE struct vcpu *pick_fair(struct sched_core *c)
{
	struct hind h = hindmost(c);

	if (c->current != NULL && (c->fair & c->current->sched.bit) != 0 &&
	    (int64_t)(c->current->sched.vtime - h.vtime) < vslice(c)) {
		return c->current;
	}
	return h.v;
}

/* v executes from now on: what it waited is stolen. */
static ALWAYS_INLINE void dispatch(struct sched_core *c, struct vcpu *v)
{
	struct sched *s = &v->sched;
	uint64_t *page = s->page;

	s->stolen += c->since - s->wanted;
	if (page != NULL) {
		__atomic_store_n(page, ticks_scale(s->stolen, s->tick_ns), __ATOMIC_RELAXED);
	}
	c->current = v;
}

static ALWAYS_INLINE struct vcpu *choose(struct sched_core *c)
{
	struct vcpu *old = c->current;
	struct vcpu *v = c->edf != 0 ? pick_edf(c) : pick_fair(c);

	if (v != old) {
		if (old != NULL) {
			old->sched.wanted = c->since;
		}
		c->current = NULL;
		if (v != NULL) {
			dispatch(c, v);
		}
	}
	return v;
}

/* When to look again: at the first event, or at `at`; the caller has seen to the console. */
static ALWAYS_INLINE void look_again_by(struct sched_core *c, uint64_t at)
{
	for (uint64_t set = c->timed; UNLIKELY(set != 0); set &= set - 1) {
		at = min_u64(at, slot_of(c, set)->sched.event);
	}
	c->next = at;
}

static ALWAYS_INLINE void look_again(struct sched_core *c, uint64_t at)
{
	look_again_by(c, min_u64(at, c->poll));
}

/* When the budget or the turn of `v` is over. */
static ALWAYS_INLINE uint64_t turn_end(const struct sched_core *c, const struct vcpu *v)
{
	return has_server(v) ? c->since + (uint64_t)v->sched.server.left :
	       (c->fair & ~v->sched.bit) != 0 ? c->since + c->slice : NEVER;
}

#endif
