/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What records mean: spans of cores, states of vCPUs, jobs, events. All times are
 * ticks. Where records are lost, or were never there, the state is unknown until a
 * record tells it again: no time is invented.
 */
#ifndef KZTRACE_REPLAY_H
#define KZTRACE_REPLAY_H

#include "file.h"

/* ---- Cores ---- */

enum replay_what { REPLAY_UNKNOWN, REPLAY_GUEST, REPLAY_HYP, REPLAY_SLEEP };

/* Classes of REPLAY_HYP beside those of enum kz_trace_class. */
#define REPLAY_WAKE	KZ_TRACE_CLASSES	/* a sleep ended; arg: INTID */
#define REPLAY_OTHER	(KZ_TRACE_CLASSES + 1u) /* its begin was not seen, or the core's start */
#define REPLAY_CLASSES	(KZ_TRACE_CLASSES + 2u)

/* What a core did. Of a core: in order, without holes, from t->begin to the end. */
struct replay_span {
	uint64_t from, to; /* from < to, but for REPLAY_HYP: from <= to */
	uint32_t core;
	enum replay_what what;
	uint8_t vcpu;  /* GUEST: who executes. HYP: whose exit it is, or NOBODY */
	uint8_t class; /* HYP */
	uint16_t arg;  /* HYP: as the class has it */
	bool whole;    /* HYP: begin and end were seen: from..to is its cost */
	bool quick;    /* HYP: a KZ_TRACE_QUICK */
};

/* ---- vCPUs ---- */

enum replay_state {
	REPLAY_V_UNKNOWN,
	REPLAY_V_OFF,
	REPLAY_V_RUNNING,   /* its guest executes */
	REPLAY_V_EXIT,	    /* the hypervisor works in an exit of it */
	REPLAY_V_READY,	    /* it wants the core and has not got it */
	REPLAY_V_BLOCKED,   /* it waits for an interrupt */
	REPLAY_V_THROTTLED, /* it wants to run and has no budget */
	REPLAY_V_DONE,	    /* its job is done; it waits for the next release */
	REPLAY_STATES
};

/* A vCPU was in a state. Of a vCPU: in order, without holes, from t->begin to the end. */
struct replay_vspan {
	uint64_t from, to; /* from < to */
	uint8_t vcpu;
	enum replay_state state;
};

/* Who had a core. Of a VM there is one vCPU of a core at most. */
struct replay_shares {
	uint64_t guest[KZ_VMS_MAX];
	uint64_t hyp[KZ_VMS_MAX + 1]; /* in exits of each; the last: of nobody */
	uint64_t sleep, unknown;
};

enum replay_end {
	REPLAY_END_DONE,    /* the guest said so */
	REPLAY_END_BLOCK,   /* it waits for an interrupt */
	REPLAY_END_RELEASE, /* it was not done when the next one was released */
	REPLAY_END_OFF,	    /* its vCPU was switched off */
	REPLAY_END_LOST,    /* records are missing: unknown */
	REPLAY_END_TRACE,   /* the trace ends before */
};

/*
 * A job: released by its server (KZ_TRACE_RELEASE), or, in between and of who has
 * none, from when its vCPU is ready to when it waits again.
 */
struct replay_job {
	uint8_t vcpu;
	bool released; /* by its server */
	bool has_due, has_start, missed;
	enum replay_end how;
	uint64_t number;  /* of its vCPU's in this trace, from 0 */
	uint64_t release; /* when the hypervisor released it, or its vCPU was ready */
	uint64_t due;	  /* absolute deadline, to 64 ticks */
	uint64_t start;	  /* when its guest first executed */
	uint64_t end;
	uint64_t missed_at; /* when the hypervisor saw it */
	uint64_t left;	    /* missed: the budget that was left, to 64 ticks */
	/* From release to due, or to the end if that was earlier or there is no due: */
	struct replay_shares who;	/* on its core */
	uint64_t throttled;		/* of that, it had no budget */
	uint64_t ready;			/* of that, it waited for the core */
};

/*
 * From the arrival of an interrupt (the begin of its exit, or the end of a sleep) to
 * its guest's execution: of a vCPU that waited or was without budget, or that executed
 * and was interrupted by a line of its own.
 */
struct replay_latency {
	uint64_t from, to;
	uint8_t vcpu;
	bool woken;	 /* it waited */
	bool has_intid;	 /* the exit was for an interrupt */
	uint16_t intid;
};

#define REPLAY_LOST 255 /* type of an event: records are missing */

/* The other records, as points in time; in the merged order. */
struct replay_event {
	uint64_t time; /* LOST: of the record behind the gap */
	uint64_t from; /* LOST: of the record before it; else as time */
	uint64_t lost; /* LOST: how many */
	uint64_t due;  /* RELEASE: the absolute deadline, to 64 ticks */
	uint32_t core; /* whose ring has it */
	uint8_t type;  /* enum kz_trace_type, READY to PANIC; or REPLAY_LOST */
	uint8_t vcpu;
	uint16_t arg;
	uint32_t value;
};

/* What a reader wants to hear; NULL: nothing of that. Pointers hold during the call only. */
struct replay_ops {
	void (*span)(void *ctx, const struct replay_span *s);
	void (*state)(void *ctx, const struct replay_vspan *s);
	void (*job)(void *ctx, const struct replay_job *j); /* at its end */
	void (*latency)(void *ctx, const struct replay_latency *l);
	void (*event)(void *ctx, const struct replay_event *e);
};

/*
 * replay - read all of t from its beginning. A span and a state is told when it has
 * ended, so what is told is in order of each core and each vCPU, not of all. The ends
 * of cores' last spans: t->end where the core's ring was taking records until then,
 * else its last record. False: the file could not be read, and a message was printed.
 */
bool replay(struct trace *t, const struct replay_ops *ops, void *ctx)
	__attribute__((warn_unused_result));

/* ---- Records that are in no file ---- */

struct replay;

/*
 * replay_new - a replay that is fed one record after the other. Of t, cfg, hz, core_count and begin
 * are used, and stay until replay_free. NULL: there is no memory.
 */
struct replay *replay_new(struct trace *t, const struct replay_ops *ops, void *ctx);

/*
 * replay_feed - the next record, in the order of trace_next. Its offset is not looked at. Returns
 * NULL, or why it makes no sense: then it was left out.
 */
const char *replay_feed(struct replay *r, const struct trace_item *item);

/* replay_free - without the ends of what has not ended. r may be NULL. */
void replay_free(struct replay *r);

/* ---- Names ---- */

/* replay_class_name - "hcall", "mmio", ... "wake", "other". */
const char *replay_class_name(unsigned class);
/* replay_state_name - "running", "ready", ... */
const char *replay_state_name(enum replay_state state);
/* replay_reason_name - of enum kz_reason: "watchdog", ... or "?". */
const char *replay_reason_name(uint32_t reason);
/* replay_call_name - of KZ_TRACE_CALL: "KZ_HVC_JOB_DONE", "PSCI_CPU_ON", or "0xc4000042"; a static
 * buffer. */
const char *replay_call_name(uint16_t call);

#endif
