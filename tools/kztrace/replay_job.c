/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: from a release to the end, and who had the core between release and deadline. */
#include <string.h>

#include "replay_state.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return (a > b) ? a - b : 0;
}

/* In `state` until `at`. */
static uint64_t in_state(const struct rvcpu *v, enum replay_state state, uint64_t so_far,
			 uint64_t at)
{
	return so_far + ((v->state == state) ? less(at, v->since) : 0);
}

/* From here on the job's account runs. */
static void account_begin(struct rvcpu *v, uint64_t at)
{
	v->base = core_shares(v->core, at);
	v->base_ready = in_state(v, REPLAY_V_READY, v->ready, at);
	v->base_throttled = in_state(v, REPLAY_V_THROTTLED, v->throttled, at);
	v->passed = false;
	if (v->job.has_due && (v->job.due < v->core->next_due)) {
		v->core->next_due = v->job.due;
	}
	job_due(v, at);
}

/*
 * The account up to `at`. A QUICK tells of its begin only at its end: what was taken
 * for the guest's until then can have been the hypervisor's, so nothing goes below 0.
 */
static void account_end(struct rvcpu *v, uint64_t at)
{
	struct replay_shares now = core_shares(v->core, at);
	struct replay_shares *who = &v->job.who;

	for (unsigned i = 0; i < KZ_VMS_MAX; i++) {
		who->guest[i] = less(now.guest[i], v->base.guest[i]);
	}
	for (unsigned i = 0; i <= KZ_VMS_MAX; i++) {
		who->hyp[i] = less(now.hyp[i], v->base.hyp[i]);
	}
	who->sleep = less(now.sleep, v->base.sleep);
	who->unknown = less(now.unknown, v->base.unknown);
	v->job.ready = less(in_state(v, REPLAY_V_READY, v->ready, at), v->base_ready);
	v->job.throttled =
		less(in_state(v, REPLAY_V_THROTTLED, v->throttled, at), v->base_throttled);
	v->passed = true;
}

void job_due(struct rvcpu *v, uint64_t at)
{
	if (v->has_job && v->job.has_due && !v->passed && (v->job.due <= at)) {
		account_end(v, v->job.due);
	}
}

void jobs_due(struct rcore *c, uint64_t at)
{
	if (at < c->next_due) {
		return;
	}
	c->next_due = UINT64_MAX;
	for (unsigned i = 0; i < c->count; i++) {
		struct rvcpu *v = c->on[i];

		job_due(v, at);
		if (v->has_job && v->job.has_due && !v->passed && (v->job.due < c->next_due)) {
			c->next_due = v->job.due;
		}
	}
}

void job_open(struct rvcpu *v, uint64_t at, bool released)
{
	memset(&v->job, 0, sizeof(v->job));
	v->job.vcpu = v->id;
	v->job.number = v->jobs++;
	v->job.released = released;
	v->job.release = at;
	v->job.has_due = v->has_due && (released || (v->due > at));
	v->job.due = v->due;
	v->has_job = true;
	if (v->state == REPLAY_V_RUNNING) {
		v->job.has_start = true;
		v->job.start = at;
	}
	account_begin(v, at);
}

void job_release(struct replay *r, struct rvcpu *v, uint64_t at, uint64_t due)
{
	const struct rcore *c = v->core;
	bool same = (c->what == REPLAY_HYP) && (v->job.release >= c->since); /* exit */

	v->has_server = true;
	v->has_due = true;
	v->due = due;
	if (v->has_job && !v->job.released && !v->job.has_start && same) {
		v->job.released = true;
		v->job.release = at;
		v->job.has_due = true;
		v->job.due = due;
		account_begin(v, at);
		return;
	}
	job_end(r, v, at, REPLAY_END_RELEASE);
	job_open(v, at, true);
}

void job_miss(struct rvcpu *v, uint64_t at, uint64_t left)
{
	if (v->has_job) {
		v->job.missed = true;
		v->job.missed_at = at;
		v->job.left = left;
	}
}

void job_end(struct replay *r, struct rvcpu *v, uint64_t at, enum replay_end how)
{
	uint64_t end = (at > v->job.release) ? at : v->job.release;

	if (!v->has_job) {
		return;
	}
	job_due(v, end);
	if (!v->passed) {
		account_end(v, end);
	}
	v->has_job = false;
	v->job.how = how;
	v->job.end = end;
	if (r->ops->job != NULL) {
		r->ops->job(r->ctx, &v->job);
	}
}
