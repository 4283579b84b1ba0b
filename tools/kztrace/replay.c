/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine: what each record changes. Jobs are in replay_job.c. */
#include "replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "replay_state.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return (a > b) ? a : b;
}

/* ---- Cores ---- */

static void shares_add(struct replay_shares *s, const struct rcore *c, uint64_t ticks)
{
	switch (c->what) {
	case REPLAY_GUEST:
		s->guest[TRACE_VM(c->vcpu)] += ticks;
		break;
	case REPLAY_HYP:
		s->hyp[(c->vcpu == KZ_TRACE_NOBODY) ? KZ_VMS_MAX : TRACE_VM(c->vcpu)] += ticks;
		break;
	case REPLAY_SLEEP:
		s->sleep += ticks;
		break;
	case REPLAY_UNKNOWN:
		s->unknown += ticks;
		break;
	}
}

struct replay_shares core_shares(const struct rcore *c, uint64_t at)
{
	struct replay_shares s = c->total;

	shares_add(&s, c, (at > c->since) ? at - c->since : 0);
	return s;
}

/* What the core does from `at` on; of `to`, what it is. */
static void core_set(struct replay *r, struct rcore *c, uint64_t at, const struct replay_span *to)
{
	uint64_t t = max_u64(at, c->since);
	bool ends = to->quick || (to->what == REPLAY_GUEST) || (to->what == REPLAY_SLEEP) ||
		    ((to->what == REPLAY_HYP) && (to->class == REPLAY_WAKE));
	struct replay_span s = { c->since,	t,	c->id,	c->what, c->vcpu, c->class, c->arg,
				 c->whole && ends, to->quick };

	jobs_due(c, t);
	shares_add(&c->total, c, t - c->since);
	if ((r->ops->span != NULL) && ((t > c->since) || (c->what == REPLAY_HYP))) {
		r->ops->span(r->ctx, &s);
	}
	c->since = t;
	c->last = max_u64(c->last, t);
	c->what = to->what;
	c->vcpu = to->vcpu;
	c->class = to->class;
	c->arg = to->arg;
	c->whole = to->whole;
}

static void core_guest(struct replay *r, struct rcore *c, uint64_t at, uint8_t id, bool quick)
{
	struct replay_span to = { .what = REPLAY_GUEST, .vcpu = id, .quick = quick };

	c->guest = id;
	core_set(r, c, at, &to);
}

static void core_hyp(struct replay *r, struct rcore *c, uint64_t at, uint8_t id, unsigned class,
		     uint16_t arg)
{
	struct replay_span to = { .what = REPLAY_HYP, .vcpu = id, .class = (uint8_t)class,
				  .arg = arg, .whole = class != REPLAY_OTHER };

	core_set(r, c, at, &to);
}

static void core_plain(struct replay *r, struct rcore *c, uint64_t at, enum replay_what what,
		       bool quick)
{
	struct replay_span to = { .what = what, .vcpu = KZ_TRACE_NOBODY, .quick = quick };

	core_set(r, c, at, &to);
}

/* ---- vCPUs ---- */

static void vcpu_set(struct replay *r, struct rvcpu *v, uint64_t at, enum replay_state state)
{
	uint64_t t = max_u64(at, v->since);
	struct replay_vspan s = { v->since, t, v->id, v->state };

	if (state == v->state) {
		return;
	}
	job_due(v, t);
	v->ready += (v->state == REPLAY_V_READY) ? t - v->since : 0;
	v->throttled += (v->state == REPLAY_V_THROTTLED) ? t - v->since : 0;
	if ((r->ops->state != NULL) && (t > v->since)) {
		r->ops->state(r->ctx, &s);
	}
	v->since = t;
	v->state = state;
}

static bool vcpu_has_core(const struct rvcpu *v)
{
	return (v->state == REPLAY_V_RUNNING) || (v->state == REPLAY_V_EXIT);
}

/* Something arrived for v: when the exit or the end of the sleep began that it is told in. */
static void vcpu_arrival(struct rvcpu *v, uint64_t at, bool woken)
{
	const struct rcore *c = v->core;
	bool hyp = (c->what == REPLAY_HYP);

	if (v->waking) {
		return;
	}
	v->waking = true;
	v->wake.vcpu = v->id;
	v->wake.woken = woken;
	v->wake.from = max_u64((hyp && (c->since < at)) ? c->since : at, woken ? v->since : 0);
	v->wake.has_intid = hyp && ((c->class == KZ_TRACE_IRQ) || (c->class == KZ_TRACE_KICK) ||
				    (c->class == REPLAY_WAKE));
	v->wake.intid = v->wake.has_intid ? c->arg : 0;
}

/* v wants its core from `at` on. */
static void vcpu_ready(struct replay *r, struct rvcpu *v, uint64_t at, bool interrupt)
{
	if (vcpu_has_core(v) || (v->state == REPLAY_V_READY)) {
		return;
	}
	if (interrupt && ((v->state == REPLAY_V_BLOCKED) || (v->state == REPLAY_V_UNKNOWN))) {
		vcpu_arrival(v, at, true);
	}
	vcpu_set(r, v, at, REPLAY_V_READY);
	if (!v->has_job) {
		job_open(v, max_u64(at, v->since), false);
	}
}

/* v is about to execute: if it waited, it is ready since the exit before that, as trace.h says. */
static void vcpu_imply(struct replay *r, struct rvcpu *v, uint64_t at)
{
	bool hyp = (v->core->what == REPLAY_HYP); /* else nobody says when an interrupt came */

	if ((v->state != REPLAY_V_UNKNOWN) && !vcpu_has_core(v)) {
		vcpu_ready(r, v, hyp ? v->core->since : at, hyp);
	}
}

/* v's guest executes from `at` on. */
static void vcpu_run(struct replay *r, struct rvcpu *v, uint64_t at)
{
	vcpu_set(r, v, at, REPLAY_V_RUNNING);
	if (v->has_job && !v->job.has_start) {
		v->job.has_start = true;
		v->job.start = max_u64(at, v->job.release);
	}
	if (v->waking) {
		v->waking = false;
		v->wake.to = max_u64(at, v->wake.from);
		if (r->ops->latency != NULL) {
			r->ops->latency(r->ctx, &v->wake);
		}
	}
}

/* Who had the core, beside `but`, has it no more. */
static void core_taken(struct replay *r, struct rcore *c, uint64_t at, const struct rvcpu *but)
{
	for (unsigned i = 0; i < c->count; i++) {
		if ((c->on[i] != but) && vcpu_has_core(c->on[i])) {
			vcpu_set(r, c->on[i], at, REPLAY_V_READY);
		}
	}
}

/* The core sleeps: who had it waits, as one does that has its core for itself. */
static void core_sleeps(struct replay *r, struct rcore *c, uint64_t at)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (vcpu_has_core(c->on[i])) {
			job_end(r, c->on[i], at, REPLAY_END_BLOCK);
			vcpu_set(r, c->on[i], at, REPLAY_V_BLOCKED);
		}
	}
}

/* Nothing is known of the core and its vCPUs from `at` on. */
static void core_forget(struct replay *r, struct rcore *c, uint64_t at, enum replay_end how)
{
	core_plain(r, c, at, REPLAY_UNKNOWN, false);
	c->guest = KZ_TRACE_NOBODY;
	for (unsigned i = 0; i < c->count; i++) {
		struct rvcpu *v = c->on[i];

		job_end(r, v, at, how);
		vcpu_set(r, v, at, REPLAY_V_UNKNOWN);
		v->waking = false;
		v->has_due = false;
	}
}

/* ---- Records of cores ---- */

/* The vCPU of a record, if it is one of that core. */
static struct rvcpu *vcpu_of(struct replay *r, uint8_t id, const struct rcore *c)
{
	if (!trace_has_vcpu(r->t, id) || ((c != NULL) && (r->v[TRACE_SLOT(id)].core != c))) {
		return NULL;
	}
	return &r->v[TRACE_SLOT(id)];
}

static const char *on_run(struct replay *r, struct rcore *c, const struct kz_trace_record *rec)
{
	struct rvcpu *v = vcpu_of(r, rec->vcpu, c);

	if (v == NULL) {
		return "a RUN of a vCPU that is not of this core";
	}
	vcpu_imply(r, v, rec->time);
	core_guest(r, c, rec->time, v->id, false);
	core_taken(r, c, c->since, v);
	vcpu_run(r, v, c->since);
	return NULL;
}

/* It matters only where nothing is known: else it says what the records before it did. */
static const char *on_state(struct replay *r, struct rcore *c, const struct kz_trace_record *rec)
{
	struct rvcpu *v = vcpu_of(r, rec->vcpu, c);

	bool nobody = (rec->vcpu == KZ_TRACE_NOBODY) && (rec->arg != 0);

	if ((rec->arg > 2) || ((v == NULL) && !nobody)) {
		return "a STATE of a vCPU that is not of this core";
	}
	if (c->what != REPLAY_UNKNOWN) {
		return NULL;
	}
	c->guest = rec->vcpu;
	if (rec->arg == 0) {
		core_guest(r, c, rec->time, v->id, false);
		vcpu_run(r, v, c->since);
	} else if (rec->arg == 1) {
		core_hyp(r, c, rec->time, rec->vcpu, REPLAY_OTHER, 0);
	} else {
		core_plain(r, c, rec->time, REPLAY_SLEEP, false);
	}
	return NULL;
}

/* Is this interrupt one of the guest that it interrupts? */
static bool irq_is_own(const struct replay *r, uint8_t guest, unsigned class, uint16_t intid)
{
	const struct kz_cfg_vm *vm = blob_vm(r->t->cfg, TRACE_VM(guest));

	if (class != KZ_TRACE_IRQ) {
		return false;
	}
	for (unsigned i = 0; i < vm->irq_count; i++) {
		if (vm->irq[i].intid == intid) {
			return true;
		}
	}
	return intid < 32;
}

/* The exit of the core's guest begins. */
static void begin_exit(struct replay *r, struct rcore *c, uint64_t at, unsigned class, uint16_t arg)
{
	struct rvcpu *v = vcpu_of(r, c->guest, c);

	core_hyp(r, c, at, c->guest, class, arg);
	if (v == NULL) {
		return;
	}
	if (irq_is_own(r, c->guest, class, arg)) {
		vcpu_arrival(v, c->since, false);
	}
	if (v->state == REPLAY_V_RUNNING) {
		vcpu_set(r, v, c->since, REPLAY_V_EXIT);
	}
}

static const char *on_quick(struct replay *r, struct rcore *c, const struct kz_trace_record *rec,
			    unsigned class)
{
	uint32_t cost = rec->value - (uint32_t)rec->time;
	struct rvcpu *v = vcpu_of(r, c->guest, c);
	uint64_t end = rec->time + cost;

	if (cost > INT32_MAX) {
		return "a QUICK that ends before it begins";
	}
	begin_exit(r, c, rec->time, class, rec->arg);
	if (v == NULL) {
		core_plain(r, c, end, REPLAY_UNKNOWN, true); /* who goes on is not known */
	} else {
		vcpu_imply(r, v, end);
		core_guest(r, c, end, v->id, true);
		vcpu_run(r, v, c->since);
	}
	return NULL;
}

static const char *on_core(struct replay *r, struct rcore *c, const struct kz_trace_record *rec)
{
	switch (rec->type) {
	case KZ_TRACE_STATE:
		return on_state(r, c, rec);
	case KZ_TRACE_RUN:
		return on_run(r, c, rec);
	case KZ_TRACE_IDLE:
		core_plain(r, c, rec->time, REPLAY_SLEEP, false);
		core_sleeps(r, c, c->since);
		return NULL;
	case KZ_TRACE_WAKE:
		core_hyp(r, c, rec->time, KZ_TRACE_NOBODY, REPLAY_WAKE, rec->arg);
		return NULL;
	default:
		break;
	}
	if (rec->type >= KZ_TRACE_QUICK) {
		return on_quick(r, c, rec, rec->type - KZ_TRACE_QUICK);
	}
	begin_exit(r, c, rec->time, rec->type - KZ_TRACE_EXIT, rec->arg);
	return NULL;
}

/* ---- Records of vCPUs ---- */

static void on_done(struct replay *r, struct rvcpu *v, uint64_t at)
{
	job_end(r, v, at, REPLAY_END_DONE);
	if (v->has_server) {
		vcpu_set(r, v, at, REPLAY_V_DONE);
		return;
	}
	/* Without a server it gives way, and wants the core again at once. */
	vcpu_set(r, v, at, REPLAY_V_READY);
	job_open(v, max_u64(at, v->since), false);
}

static void on_off(struct replay *r, struct rvcpu *v, uint64_t at)
{
	job_end(r, v, at, REPLAY_END_OFF);
	vcpu_set(r, v, at, REPLAY_V_OFF);
	v->waking = false;
	v->has_due = false;
	v->has_server = v->promised;
}

static void on_vcpu(struct replay *r, struct rvcpu *v, const struct kz_trace_record *rec)
{
	uint64_t at = rec->time;

	switch (rec->type) {
	case KZ_TRACE_READY:
		vcpu_ready(r, v, at, rec->arg == 0);
		break;
	case KZ_TRACE_BLOCK:
		job_end(r, v, at, REPLAY_END_BLOCK);
		vcpu_set(r, v, at, REPLAY_V_BLOCKED);
		break;
	case KZ_TRACE_RELEASE:
		job_release(r, v, at, at + (uint64_t)rec->value * 64);
		break;
	case KZ_TRACE_DONE:
		on_done(r, v, at);
		break;
	case KZ_TRACE_THROTTLE:
		if (v->state == REPLAY_V_BLOCKED) {
			vcpu_arrival(v, at, true);
		}
		vcpu_set(r, v, at, REPLAY_V_THROTTLED);
		break;
	case KZ_TRACE_MISS:
		job_miss(v, at, (uint64_t)rec->value * 64);
		break;
	case KZ_TRACE_START:
		if ((v->state == REPLAY_V_OFF) || (v->state == REPLAY_V_UNKNOWN)) {
			vcpu_ready(r, v, at, false);
		}
		break;
	case KZ_TRACE_OFF:
		on_off(r, v, at);
		break;
	default:
		break;
	}
}

static void tell(struct replay *r, const struct trace_item *item, uint64_t from, uint64_t lost)
{
	const struct kz_trace_record *rec = &item->rec;
	struct replay_event e = { rec->time, from, lost, 0, item->core, rec->type, rec->vcpu,
				  rec->arg, rec->value };

	if (r->ops->event == NULL) {
		return;
	}
	if (lost > 0) {
		e.type = REPLAY_LOST;
		e.vcpu = KZ_TRACE_NOBODY;
		e.arg = 0;
		e.value = 0;
	} else if (rec->type == KZ_TRACE_PANIC) {
		e.vcpu = KZ_TRACE_NOBODY;
	} else if (rec->type == KZ_TRACE_RELEASE) {
		e.due = rec->time + (uint64_t)rec->value * 64;
	}
	r->ops->event(r->ctx, &e);
}

static const char *on_event(struct replay *r, struct rcore *c, const struct trace_item *item)
{
	struct rvcpu *v = vcpu_of(r, item->rec.vcpu, NULL);

	if (item->rec.type == KZ_TRACE_PANIC) {
		tell(r, item, item->rec.time, 0);
		core_forget(r, c, item->rec.time, REPLAY_END_LOST);
		c->ended = true;
		return NULL;
	}
	if (v == NULL) {
		return "a record of a vCPU that there is not";
	}
	tell(r, item, item->rec.time, 0);
	on_vcpu(r, v, &item->rec);
	return NULL;
}

/* ---- All ---- */

static bool is_of_core(unsigned type)
{
	return ((type >= KZ_TRACE_STATE) && (type <= KZ_TRACE_WAKE)) ||
	       ((type >= KZ_TRACE_EXIT) && (type < KZ_TRACE_EXIT + KZ_TRACE_CLASSES)) ||
	       ((type >= KZ_TRACE_QUICK) && (type < KZ_TRACE_QUICK + KZ_TRACE_CLASSES));
}

static const char *on_record(struct replay *r, const struct trace_item *item)
{
	struct rcore *c = &r->core[item->core];
	unsigned type = item->rec.type;
	const char *bad = NULL;

	if (item->lost > 0) {
		tell(r, item, c->last, item->lost);
		core_forget(r, c, c->last, REPLAY_END_LOST);
	}
	if (c->last > item->rec.time + r->t->hz) {
		return "time goes back by more than a second";
	}
	c->ended = false;
	if (is_of_core(type)) {
		bad = on_core(r, c, &item->rec);
	} else if ((type >= KZ_TRACE_READY) && (type <= KZ_TRACE_PANIC)) {
		bad = on_event(r, c, item);
	} else {
		return "a record of an unknown type";
	}
	if (bad == NULL) {
		c->last = max_u64(c->last, item->rec.time);
	}
	return bad;
}

static void begin(struct replay *r)
{
	const struct kz_cfg *cfg = r->t->cfg;

	for (unsigned i = 0; i < r->t->core_count; i++) {
		r->core[i].id = i;
		r->core[i].since = r->core[i].last = r->t->begin;
		r->core[i].vcpu = r->core[i].guest = KZ_TRACE_NOBODY;
	}
	for (unsigned m = 0; m < cfg->vm_count; m++) {
		const struct kz_cfg_vm *vm = blob_vm(cfg, m);

		for (unsigned i = 0; i < vm->vcpu_count; i++) {
			struct rvcpu *v = &r->v[m * KZ_VCPUS_MAX + i];
			struct rcore *c = &r->core[vm->cpu[i]];

			v->id = (uint8_t)KZ_TRACE_VCPU(m, i);
			v->core = c;
			v->since = r->t->begin;
			v->promised = v->has_server = vm->server.period_ns != 0;
			c->on[c->count++] = v;
		}
	}
}

/* Was the core's ring taking records until the end of the trace? */
static bool core_goes_on(const struct replay *r, const struct rcore *c)
{
	const struct trace_core *tc = &r->t->core[c->id];

	return (tc->records > 0) && !c->ended && (r->t->truncated == 0) && !trace_may_stop(tc);
}

static void finish(struct replay *r)
{
	uint64_t end = r->t->end;

	for (unsigned i = 0; i < r->t->core_count; i++) {
		end = max_u64(end, r->core[i].last);
	}
	for (unsigned i = 0; i < r->t->core_count; i++) {
		struct rcore *c = &r->core[i];
		bool known = core_goes_on(r, c);

		core_forget(r, c, known ? end : c->last, REPLAY_END_TRACE);
		core_plain(r, c, end, REPLAY_UNKNOWN, false);
		for (unsigned k = 0; k < c->count; k++) { /* the last span of each is told */
			vcpu_set(r, c->on[k], end, REPLAY_STATES);
		}
	}
}

struct replay *replay_new(struct trace *t, const struct replay_ops *ops, void *ctx)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->t = t;
		r->ops = ops;
		r->ctx = ctx;
		begin(r);
	}
	return r;
}

const char *replay_feed(struct replay *r, const struct trace_item *item)
{
	return on_record(r, item);
}

void replay_free(struct replay *r)
{
	free(r);
}

bool replay(struct trace *t, const struct replay_ops *ops, void *ctx)
{
	struct replay *r = replay_new(t, ops, ctx);
	struct trace_item item;

	if (r == NULL) {
		fprintf(stderr, "kztrace: out of memory\n");
		t->failed = true;
		return false;
	}
	trace_rewind(t);
	while (trace_next(t, &item)) {
		const char *bad = replay_feed(r, &item);

		if (bad != NULL) {
			trace_bad(t, &item, bad);
		}
	}
	finish(r);
	replay_free(r);
	return !t->failed;
}
