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

/* A period begins at `at` with a full budget, less what was overdrawn. */
void server_release(struct server *s, uint64_t at);

/* The period that follows this one: at its end, or now if that was missed by a period or more. */
void server_next(struct server *s, uint64_t now);

/*
 * Its vCPU, which waited, wants to run again: the wake-up rule. With the old
 * period over, a new one begins. Within it, what is left may be used as long as
 * that is no more than budget/deadline of the time to the deadline; else a new
 * period begins (deadline = period) or the rest is cut to it (deadline < period).
 * False: nothing is left until the period's end.
 */
MUST_USE bool server_wake(struct server *s, uint64_t now);

#endif
