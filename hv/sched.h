/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs on a core (docs/design.md, "Sharing a core"): servers by earliest
 * deadline, then the others by weight. vCPUs do not migrate; a core's queues are
 * its own, other cores leave a bit in its inbox and call it. No tick: one timer,
 * at the next moment that matters. Loops are bounded by SCHED_SLOTS.
 *
 * A core with one vCPU and no server is not shared: nothing of this runs while
 * its guest does.
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <kizami/blob.h>
#include "server.h"
#include "spinlock.h"
#include "time.h"
#include "types.h"

#define SCHED_SLOTS	KZ_VMS_MAX	/* vCPUs of a core: of each VM one at most */
#define SCHED_LOOK	BIT(SCHED_SLOTS)	/* of sched_core.inbox: look at sched_core.watch */

struct vcpu;
struct percpu;

/*
 *                 start                    WFI, nothing pending
 *   SCHED_OFF -----------> SCHED_READY <------------------------> SCHED_BLOCKED
 *       ^  any, by stop     |  ^   ^    an interrupt, its timer     |
 *       +-------------      |  |   |                                | no budget is left
 *              budget is up |  |   | release                        |
 *                           v  |   +------ SCHED_DONE               |
 *              SCHED_THROTTLED |             ^ job_done             |
 *                    ^         +- release    +--- from READY        |
 *                    +----------------------------------------------+
 *
 * SCHED_PAUSED comes from any but OFF, and goes to READY: what it waited for may have come.
 */
enum sched_state {
	SCHED_OFF, SCHED_READY, SCHED_BLOCKED, SCHED_THROTTLED, SCHED_DONE, SCHED_PAUSED
};

/* The most that a server was promised, has, or shall have next. */
struct claim {
	uint64_t density;	/* budget / deadline in 2^-32; 0: it has no server */
	uint64_t deadline;	/* the shortest, in ticks; NEVER */
};

/* Of a vCPU. Its core writes; all may read the counters. Times are ticks. */
struct sched {
	enum sched_state state;
	uint32_t bit;		/* its bit in the core's sets */
	uint64_t event;		/* when it wants attention, of who is `timed` or waits; NEVER */
	/* In this order they are loaded in pairs. */
	uint64_t vtime;		/* weighted execution, of who has no server; wraps */
	uint64_t executed;
	uint64_t stolen;
	uint64_t *page;		/* its stolen time, in ns; NULL: it has not asked */
	uint64_t rate;		/* of vtime: 100 / weight in 2^-32 */
	uint64_t wanted;	/* ready and not running since then */
	struct server server;
	struct server promised;	/* what the configuration says; budget 0: nothing */
	struct claim claim;	/* what may not be given to others: under sched_core.lock */
	uint64_t jobs, misses, overruns;
	uint64_t late;		/* misses with budget left: 0 as long as we keep our word */
	uint64_t last_miss, last_overrun;
	uint32_t notify;	/* KZ_NOTIFY_ bits that the guest asked for */
	uint32_t events;	/* atomic: those that came since it asked */
	bool masked;		/* its lines wait for a budget */
	bool was_done;		/* SCHED_PAUSED: from DONE */
	uint64_t tick_ns;	/* ns of a tick, in 2^-32 */
	struct {
		uint64_t release, period;
		int64_t left;
	} spent;		/* of its last server, when that went: it remains spent */
};

/* Of a core. */
struct sched_core {
	struct vcpu *slot[SCHED_SLOTS];	/* by VM: of each one at most */
	uint32_t members;	/* atomic: slots that are somebody's; changes under lock */
	/* atomic: a bit for each vCPU that has a hazard, or is to start; SCHED_LOOK */
	uint32_t inbox;
	/* Sets of slots: ready with a server, ready without, with an event. */
	uint32_t edf, fair, timed;
	struct vcpu *current;	/* who is executing; NULL: nobody */
	struct vcpu *guilty;	/* whose interrupt this is; since then nothing is another's */
	uint64_t since;		/* and since when it was not charged */
	uint64_t next;		/* nothing is due before it */
	uint64_t slice;		/* how much those without a server run at a stretch */
	uint64_t poll;		/* the first of the two that follow; NEVER */
	uint64_t turn;		/* the console's next turn */
	uint64_t watch;		/* health_look's; atomic */
	uint64_t vmin;		/* vtime of who is furthest behind; never goes back */
	uint64_t rings, asked;	/* its rings are due; its UART asked for it; NEVER */
	uint64_t served;	/* it had its last turn */
	uint64_t limit;		/* sum of densities that servers may have, in 2^-32 */
	uint64_t block;		/* the longest stretch with interrupts masked */
	uint64_t guard;		/* who wakes that shortly before its deadline waits for the next */
	struct spinlock lock;	/* members, and the claim of each */
	bool console;		/* its turn has come: as soon as no server is ready */
	bool shared;
	bool strict;		/* densities exceed the limit: who waits gives up its budget */
};

static inline bool sched_is_alone(const struct sched_core *c)
{
	return (c->members & (c->members - 1)) == 0;
}

/*
 * Own core: charge, look into the inbox, do what is due, and choose. Returns the
 * vCPU that runs next, its registers loaded, with its hazards done; sleeps as
 * long as there is none.
 */
struct vcpu *sched_next(struct percpu *cpu);

/* v, which executes here, waits for an interrupt; sched_next follows. Own core. */
void sched_block(struct vcpu *v);

/*
 * The console's UART wants attention: console_uart is called as soon as no server is ready, and at
 * most twice in a slice; sched_next follows. Own core.
 */
void sched_console(struct percpu *cpu);

/* v has an interrupt: if it waits, it waits no more; sched_next follows. Own core. */
void sched_wake(struct vcpu *v);

/* v, which executes here, has done its job; sched_next follows. Own core. */
void sched_job_done(struct vcpu *v);

/*
 * Charge v, which executes here, up to now. False: its budget is used up by that, and
 * sched_next follows. Own core.
 */
MUST_USE bool sched_account(struct vcpu *v);

/* v, which executes here, has got its first server: it begins now; sched_next follows. Own core. */
void sched_serve_first(struct vcpu *v);

/*
 * An interrupt of v, which does not execute, came while another vCPU did: from
 * `since` to the end of the next sched_next, time is v's. Own core.
 */
void sched_blame(struct vcpu *v, uint64_t since);

/* The core looks at its VMs' health (health_look). Any core. */
void sched_look(struct percpu *cpu);

/* A bit in v's hazard, or in its state, wants its core's attention. Any core. */
void sched_post(struct vcpu *v);

/*
 * A server for v, from its next release on (now, if it had none), in ticks.
 * KZ_ELOAD: the sum of densities would exceed the core's limit. Own core.
 */
MUST_USE enum kz_err sched_serve(struct vcpu *v, uint64_t budget, uint64_t period,
				 uint64_t deadline);

/* Ticks of `ns`, to the nearest; ns of `ticks`, down. Any core. */
uint64_t ticks_of_ns(uint64_t ns);
uint64_t ns_of_ticks(uint64_t ticks);

/* What must hold between two calls; false: a bug. For tests. */
MUST_USE bool sched_check(const struct percpu *cpu);

#endif
