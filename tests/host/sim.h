/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One core in simulated time: the real scheduler, guests that behave at random,
 * and an oracle that knows the rules of a server and looks at who runs when. Time
 * stands still but where the simulation moves it: the scheduler costs nothing.
 */
#ifndef SIM_H
#define SIM_H

#include "arch.h"
#include "sched.h"

#define SIM_MAX		SCHED_SLOTS
#define SIM_NOBODY	SIM_MAX
#define SIM_TICK_NS	1000u		/* host.hz is 1 MHz: small numbers, many coincidences */
#define SIM_DEMAND_MAX	4096u		/* ticks: the exact test looks no further */
#define SIM_MARKS	16u

typedef unsigned long long ull;	/* as printf wants it */

/* What a guest does when it has executed for a while. */
enum sim_act { SIM_DONE, SIM_SLEEP, SIM_WAIT, SIM_ACTS };

enum sim_kind {
	SIM_HOG,		/* never waits */
	SIM_GOOD,		/* job_done after no more than its budget */
	SIM_JOBS,		/* job_done after less, exactly or more than its budget */
	SIM_SLEEPER,		/* WFI until its own timer */
	SIM_WAITER,		/* WFI until an interrupt from outside */
	SIM_MIXED,
	SIM_RANDOM_KINDS,
	SIM_CLOCKWORK = SIM_RANDOM_KINDS,	/* executes for `run`, then WFI for `pause` */
	SIM_LATECOMER,		/* one `pause`, then never again */
	SIM_YIELDER,		/* job_done after each `run` */
	SIM_KINDS
};

struct sim_spec {
	uint64_t budget, period, deadline;	/* ticks; budget 0: it has no server */
	uint32_t weight;
	enum sim_kind kind;
	uint64_t run, pause;	/* ticks; of clockwork */
	uint32_t lines;		/* of a storm: each fires as soon as it is acknowledged */
};

struct sim_set {
	uint64_t seed;
	uint32_t count;
	uint64_t horizon;
	uint64_t cost;		/* ticks that an interrupt takes; 0 but in storms */
	uint64_t block;		/* what the core is told of that */
	uint64_t blocking;	/* and that all of them may take from a vCPU */
	uint32_t reserve_ppm;
	bool proven;		/* what kzc would say */
	bool strict;		/* what the core has to conclude, */
	bool close;		/* unless its densities are the limit, up to rounding */
	bool forced;		/* it was refused: run it all the same */
	uint64_t witness;	/* refused: first instant at which demand exceeds time */
	struct sim_spec spec[SIM_MAX];
};

/* ---- sim_sets.c: sets, and what may be promised ---- */

uint64_t sim_random(uint64_t *state);
uint64_t sim_range(uint64_t *state, uint64_t low, uint64_t high);

/* A random set; storms if its seed says so. */
void sim_generate(struct sim_set *set, uint64_t seed);
void sim_print(const struct sim_set *set);

/*
 * The demand of all servers released together, instant by instant: the first at
 * which it exceeds the time that has passed; 0: none within the longest busy
 * period; NEVER: that is longer than SIM_DEMAND_MAX.
 */
uint64_t sim_witness(const struct sim_set *set);
/* Is it to run: admitted, and how? `witness` says why it is refused. */
enum sim_verdict { SIM_ADMITTED, SIM_REFUSED, SIM_UNKNOWN };
enum sim_verdict sim_admit(struct sim_set *set);
double sim_density(const struct sim_set *set);

/* ---- sim_oracle.c: the rules of a server, told a second time, and the checks ---- */

enum ref_state { REF_OFF, REF_READY, REF_WAIT, REF_OUT, REF_DONE };

/* A place in the history of one vCPU that goes on wanting to run. */
struct sim_mark {
	uint64_t at, supply;
	uint64_t blackout;
};

struct ref {
	enum ref_state state;
	bool server;
	uint64_t budget, period, deadline;
	struct {
		uint64_t budget, period, deadline;
	} next;				/* from the next release on; period 0: the same */
	uint64_t release, due;
	int64_t left;
	bool told, masked;
	uint64_t alarm;			/* of a WFI: when its own timer fires */
	uint64_t jobs, misses, late, overruns, executed;
	struct {
		uint64_t release, misses;
	} answer;			/* of its last job_done; release 0: none */
	/* Of the last periods: when they began, were due, and what was executed in them. */
	struct {
		uint64_t release, due, ran;
	} period_log[SIM_MARKS];
	uint32_t periods;
	/* Where its backlog began, and where it was left without the core since. */
	struct sim_mark mark[SIM_MARKS];
	uint32_t marks;
	uint64_t supply;		/* executed since its backlog began */
	uint64_t slack;			/* that its supply may be short of */
	bool waits;			/* it woke and has not run yet */
	uint64_t worst_delay;		/* between the two */
};

struct oracle {
	const struct sim_set *set;
	struct ref ref[SIM_MAX];
	uint64_t started, now;
	uint64_t guard;			/* who wakes that close to its deadline is too late */
	uint32_t runner;		/* who executes; SIM_NOBODY */
	uint32_t loaded;		/* whose own timer is the hardware's; SIM_NOBODY */
	bool left_it;			/* and has just given the core back */
	uint64_t first_late;		/* NEVER: nobody was */
};

struct sim;

void oracle_init(struct oracle *o, const struct sim_set *set);
/* Time passes, with the runner executing. False: something was due in between. */
void oracle_pass(struct oracle *o, uint64_t to);
/* Time passes in an interrupt of i. */
void oracle_blame(struct oracle *o, uint32_t i, uint64_t to);
void oracle_start(struct oracle *o, uint32_t i);
void oracle_block(struct oracle *o, uint32_t i, uint64_t alarm);
void oracle_wake(struct oracle *o, uint32_t i);
void oracle_done(struct oracle *o, uint32_t i);
void oracle_serve(struct oracle *o, uint32_t i, uint64_t budget, uint64_t period,
		  uint64_t deadline);
/* The scheduler looked at the clock: what is due happens. */
void oracle_settle(struct oracle *o);
/* It chose: SIM_NOBODY, if the core sleeps. */
void oracle_chosen(struct oracle *o, uint32_t i);
void oracle_compare(const struct oracle *o, uint32_t i, const struct vcpu *v);
/* At the end: counters agree. */
void oracle_end(const struct oracle *o, uint32_t i, const struct vcpu *v);

/* ---- sim.c: the event loop ---- */

struct sim_guest {
	uint64_t rng;
	uint64_t segment;		/* execution until its next act */
	enum sim_act act;
	uint64_t irq_at;		/* an interrupt from outside; NEVER */
	uint64_t alarm;			/* its own timer, while it waits */
	bool pending;			/* an interrupt that it has not seen */
	uint32_t lines;			/* of a storm: not yet fired since it last ran */
	uint64_t line_at;		/* the next of them; NEVER */
};

struct sim {
	const struct sim_set *set;
	struct oracle oracle;
	struct sim_guest guest[SIM_MAX];
	uint64_t jobs, switches, misses, storms;
};

/* A set from its start to its horizon; sim_fail on the first thing that is wrong. */
void sim_run(struct sim *sim, struct sim_set *set);

/* Does the core take its servers on? */
bool sim_accepted(struct sim_set *set);

/* What was done with many sets. */
struct sim_totals {
	uint64_t sets, admitted, strict, storms, refused, unknown, pairs, jobs, switches, misses;
	uint64_t interrupts;		/* of storms */
};

/*
 * The set of a seed: admitted, it runs; now and then, a second time with one
 * guest that behaves badly instead of well. Refused, it has to be by the core too, and to miss
 * its first deadline where the demand test says so.
 */
void sim_check_seed(uint64_t seed, struct sim_totals *t);
void sim_total(struct sim_totals *sum, const struct sim_totals *part);
void sim_totals_print(const struct sim_totals *t, uint64_t first_seed);

/* Where every check that fails ends: says why and with which set, and exits. */
_Noreturn void sim_fail(const char *fmt, ...) PRINTF(1, 2);
#define SIM_CHECK(x, ...)	((x) ? (void)0 : sim_fail(__VA_ARGS__))

#endif
