/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A constant-bandwidth server with hard reservation (Abeni, Buttazzo 1998; for
 * deadlines before the period's end, Abeni, Lipari, Lelli 2015): `budget` of
 * execution in each `period`, within `deadline` of the period's beginning, never
 * more. All times are ticks of the system counter. The functions are pure: they
 * know no core and no queue (hv/sched.h).
 */
#ifndef HV_SERVER_H
#define HV_SERVER_H

#include "time.h"
#include "types.h"

struct server {
	uint64_t budget, period, deadline;	/* period 0: there is no server */
	uint64_t density;	/* budget / deadline in 2^-32, rounded down */
	uint64_t release;	/* when this period began */
	uint64_t due;		/* release + deadline */
	int64_t left;		/* of this period's budget; below 0: overdrawn, the next one pays */
	bool told;		/* the miss of this period's deadline was told */
	struct {
		uint64_t budget, period, deadline;
	} next;			/* parameters from the next release on; period 0: the same */
};

static inline bool server_is(const struct server *s)
{
	return s->period != 0;
}

/* Parameters from the next release on; the period that runs keeps its own. */
void server_set(struct server *s, uint64_t budget, uint64_t period, uint64_t deadline);

/* What server_set said holds from here on. */
void server_renew(struct server *s);

/* The same with the parameters that it has. */
static inline void server_begin(struct server *s, uint64_t at)
{
	s->release = at;
	s->due = at + s->deadline;
	s->left = (int64_t)s->budget + (s->left < 0 ? s->left : 0);
	s->told = false;
}

/* A period begins at `at` with a full budget, less what was overdrawn. */
static inline void server_release(struct server *s, uint64_t at)
{
	if (UNLIKELY(s->next.period != 0)) {
		server_renew(s);
	}
	server_begin(s, at);
}

/* The period that follows this one: at its end, or now if that was missed by a period or more. */
void server_next(struct server *s, uint64_t now);

/*
 * Its vCPU wakes up within `guard` of its deadline, too near to it to be kept: it waits for the
 * period's end.
 */
static inline bool server_too_late(const struct server *s, uint64_t now, uint64_t guard)
{
	if (now - s->release >= s->period || now + guard < s->due) {
		return false;
	}
	/* with deadline = period, what is too much for the rest begins a new period */
	return s->deadline < s->period || now >= s->due ||
	       s->left <= (int64_t)ticks_scale(s->due - now, s->density);
}

/*
 * Its vCPU, which waited, wants to run again: the wake-up rule. With the old
 * period over, a new one begins. Within it, what is left may be used as long as
 * that is no more than budget/deadline of the time to the deadline; else a new
 * period begins (deadline = period) or the rest is cut to it (deadline < period).
 * False: nothing is left until the period's end.
 */
static ALWAYS_INLINE bool server_wake_as(struct server *s, uint64_t now,
					 void (*begin)(struct server *s, uint64_t at))
{
	uint64_t laxity = s->due - now;
	int64_t fair;

	if (now - s->release >= s->period) {
		begin(s, now);
		return s->left > 0;
	}
	if (s->left <= 0 || now - s->release >= s->deadline) {
		return false;
	}
	fair = (int64_t)ticks_scale(laxity, s->density);
	if (s->left > fair) {
		if (s->deadline == s->period) {
			begin(s, now);
		} else {
			s->left = fair;
		}
	}
	return s->left > 0;
}

static inline bool server_wake(struct server *s, uint64_t now)
{
	return server_wake_as(s, now, server_release);
}

#endif
