/* SPDX-License-Identifier: Apache-2.0 */
/* What the state machine keeps, and its part for jobs: for replay.c and replay_job.c only. */
#ifndef KZTRACE_REPLAY_STATE_H
#define KZTRACE_REPLAY_STATE_H

#include <stdio.h>

#include "replay.h"

struct rvcpu;

struct rcore {
	uint32_t id;
	/* since then, the core does this (as struct replay_span) */
	uint64_t since;
	enum replay_what what;
	uint8_t vcpu, class;
	uint16_t arg;
	bool whole;

	uint8_t guest;	/* of the last RUN or STATE; NOBODY: not known */
	uint64_t last;	/* the latest time that its records have told */
	bool ended;	/* by a panic */
	struct replay_shares total; /* up to `since` */
	uint64_t next_due;	    /* no job of its vCPUs has a due before, if it has not passed */
	unsigned count;
	struct rvcpu *on[KZ_VMS_MAX]; /* its vCPUs */
};

struct rvcpu {
	uint8_t id;
	struct rcore *core;
	uint64_t since;
	enum replay_state state;
	bool promised, has_server; /* by the configuration; and now */
	bool has_due;
	uint64_t due; /* of the last release */
	uint64_t ready, throttled; /* in these states, up to `since` */
	bool waking;
	struct replay_latency wake;
	/* The job, as long as it is open. */
	bool has_job, passed; /* its due has passed: who, ready and throttled are final */
	struct replay_job job;
	struct replay_shares base; /* of the core, at the release */
	uint64_t base_ready, base_throttled;
	uint64_t jobs;
};

struct replay {
	struct trace *t;
	const struct replay_ops *ops;
	void *ctx;
	struct rcore core[KZ_TRACE_CORES];
	struct rvcpu v[TRACE_SLOTS];
};

/* core_shares - who had the core, up to `at`, which is not before c->since. */
struct replay_shares core_shares(const struct rcore *c, uint64_t at);

/* job_open - v wants to run: a job that has a deadline if its server's has not passed. */
void job_open(struct rvcpu *v, uint64_t at, bool released);

/* job_release - v's server releases a job; one that waits since this exit becomes it. */
void job_release(struct replay *r, struct rvcpu *v, uint64_t at, uint64_t due);

void job_miss(struct rvcpu *v, uint64_t at, uint64_t left);

/* job_end - v's job, if it has one, is over; tell it. */
void job_end(struct replay *r, struct rvcpu *v, uint64_t at, enum replay_end how);

/* job_due - time goes on to `at`: if that is behind the job's due, note who had the core. */
void job_due(struct rvcpu *v, uint64_t at);

/* jobs_due - the same for all vCPUs of a core, before its span ends at `at`. */
void jobs_due(struct rcore *c, uint64_t at);

#endif
