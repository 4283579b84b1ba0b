/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "console.h"

#define NS_PER_S	1000000000ull
#define SLICES_PER_S	1000u

/* No product here exceeds 2^62: the remainders are below 10^9 and below the counter's rate. */
uint64_t ticks_of_ns(uint64_t ns)
{
	uint64_t hz = arch_ticks_hz();

	return ns / NS_PER_S * hz + (ns % NS_PER_S * hz + NS_PER_S / 2) / NS_PER_S;
}

uint64_t ns_of_ticks(uint64_t ticks)
{
	uint64_t hz = arch_ticks_hz();

	return ticks / hz * NS_PER_S + ticks % hz * NS_PER_S / hz;
}

/* ---- What is promised ---- */

/* budget / deadline, rounded up: what a server takes of a core in the sufficient test. */
static uint64_t density_of(uint64_t budget, uint64_t deadline)
{
	return deadline == 0 ? 0 : ticks_fraction(budget, deadline) + 1;
}

/* What the servers of a core take of it. */
struct load {
	uint64_t sum;		/* of densities, in 2^-32 */
	uint64_t shortest;	/* deadline; NEVER: there is no server */
	uint64_t block;		/* masked stretches in a deadline: one, and one a server */
};

/*
 * Each server at the most that it was promised, has, or shall have next; with `v`
 * at (budget, deadline). Bound: SCHED_SLOTS.
 */
static struct load load_of(const struct percpu *cpu, const struct vcpu *v, uint64_t budget,
			   uint64_t deadline)
{
	const struct sched_core *c = &cpu->sched;
	struct load l = { .shortest = NEVER, .block = c->block };

	for (uint32_t i = 0; i < c->count; i++) {
		const struct sched *s = &c->slot[i]->sched;
		const struct server *n = &s->server;
		bool told = c->slot[i] == v;
		const uint64_t has[][2] = {
			{ s->promised.budget, s->promised.deadline },
			{ n->budget, n->deadline },
			{ told ? budget : n->next.budget, told ? deadline : n->next.deadline },
		};
		uint64_t most = 0;

		for (uint32_t k = 0; k < ARRAY_SIZE(has); k++) {
			uint64_t density = density_of(has[k][0], has[k][1]);

			most = density > most ? density : most;
			l.shortest = density != 0 ? min_u64(l.shortest, has[k][1]) : l.shortest;
		}
		l.sum += most;
		l.block += most != 0 ? c->block : 0;
	}
	return l;
}

/* The sufficient test; what follows from it when it is passed: server_wake's guard. */
static bool fits(const struct sched_core *c, const struct load *l)
{
	return l->shortest == NEVER ||
	       (l->block < l->shortest &&
		l->sum + ticks_fraction(l->block, l->shortest) <= c->limit);
}

/*
 * Who wakes so shortly before its deadline could miss it by masked stretches alone:
 * block / (1 - sum), which is below the shortest deadline of a load that fits.
 */
static uint64_t guard_of(const struct load *l)
{
	uint64_t rest = l->sum < BIT64(32) ? (BIT64(32) - l->sum) >> 16 : 0;

	return l->shortest == NEVER || rest == 0 ? 0 : (l->block << 16) / rest + 1;
}

void sched_add(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	const struct kz_cfg_server *cfg = &v->vm->cfg->server;
	struct sched *s = &v->sched;

	s->bit = BIT(c->count);
	c->slot[c->count++] = v;
	s->event = NEVER;
	s->promised = (struct server){
		.budget = ticks_of_ns(cfg->budget_ns),
		.period = ticks_of_ns(cfg->period_ns),
		.deadline = ticks_of_ns(cfg->deadline_ns),
	};
	s->rate = ticks_fraction(KZ_WEIGHT_DEFAULT, cfg->weight != 0 ? cfg->weight : 1);
	c->shared |= c->count > 1 || cfg->period_ns != 0;
}

bool sched_init(struct percpu *cpu)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	struct sched_core *c = &cpu->sched;
	struct load l;

	c->slice = arch_ticks_hz() / SLICES_PER_S;
	c->limit = BIT64(32) - ticks_fraction(m->reserve_ppm[cpu->id], 1000000);
	c->block = ticks_of_ns(m->block_ns);
	c->poll = NEVER;
	c->rings = NEVER;
	c->asked = NEVER;
	l = load_of(cpu, NULL, 0, 0);
	c->guard = guard_of(&l);
	c->strict = !fits(c, &l);
	return !c->strict || (m->proven >> cpu->id & 1) != 0;
}

enum kz_err sched_serve(struct vcpu *v, uint64_t budget, uint64_t period, uint64_t deadline)
{
	struct sched *s = &v->sched;
	const struct server *p = &s->promised;
	struct load l = load_of(v->cpu, v, budget, deadline);
	bool less = budget <= p->budget && period >= p->period && deadline >= p->deadline;

	if (!less && !fits(&v->cpu->sched, &l)) {
		return KZ_ELOAD;
	}
	v->cpu->sched.guard = guard_of(&l);
	server_set(&s->server, budget, period, deadline);
	if (s->server.period == 0) {
		sched_serve_first(v);
	}
	return KZ_OK;
}

/* ---- What happens ---- */

void policy_event(struct vcpu *v, uint32_t what)
{
	struct vm *vm = v->vm;
	bool missed = what == KZ_NOTIFY_MISS;
	uint8_t then = missed ? vm->cfg->server.on_miss : vm->cfg->server.on_overrun;

	/* What sched_wake would charge is charged, and v is not blocked: MISRA D6. */
	if (then == KZ_EVENT_NOTIFY && (v->sched.notify & what) != 0) {
		arch_irq_line(v, KZ_EVENT_INTID, true);
		arch_irq_line(v, KZ_EVENT_INTID, false);
	} else if (then == KZ_EVENT_STOP || then == KZ_EVENT_RESTART) {
		if (then == KZ_EVENT_STOP) {
			hv_log("%s: %s: the VM stops", vm->cfg->name,
			       missed ? "deadline missed" : "budget used up");
		}
		vm_halt(vm, then == KZ_EVENT_RESTART);
	}
}

/* ns of the guest's virtual counter; below 0 for what was before it began, with the VM loaded. */
static uint64_t guest_ns(const struct vcpu *v, uint64_t ticks)
{
	uint64_t epoch = v->vm->epoch;

	if (ticks == 0) {
		return 0;
	}
	return ticks >= epoch ? ns_of_ticks(ticks - epoch) : -ns_of_ticks(epoch - ticks);
}

void policy_released(struct vcpu *v)
{
	arch_vcpu_result(v, guest_ns(v, v->sched.server.release), v->sched.misses);
}

/* ---- Calls ---- */

static enum kz_err set_realtime_info(struct vcpu *v, const uint64_t *x)
{
	uint64_t deadline = x[1], period = x[2], execution = x[3];

	if (v->vm->cfg->level != KZ_SRT) {
		return KZ_EPERM;
	}
	if (execution < KZ_BUDGET_MIN || execution > deadline || deadline > period ||
	    period < KZ_PERIOD_MIN || period > KZ_PERIOD_MAX) {
		return KZ_EINVAL;
	}
	return sched_serve(v, ticks_of_ns(execution), ticks_of_ns(period), ticks_of_ns(deadline));
}

static enum kz_err info(const struct vcpu *v, uint64_t *x)
{
	const struct sched *s = &v->sched;
	const struct server *n = &s->server;
	bool next = n->next.period != 0;

	switch (x[1]) {
	case KZ_INFO_SERVER:
		x[1] = ns_of_ticks(next ? n->next.deadline : n->deadline);
		x[2] = ns_of_ticks(next ? n->next.period : n->period);
		x[3] = ns_of_ticks(next ? n->next.budget : n->budget);
		return KZ_OK;
	case KZ_INFO_COUNTS:
		x[1] = s->jobs;
		x[2] = s->misses;
		x[3] = s->overruns;
		return KZ_OK;
	case KZ_INFO_TIME:
		x[1] = ns_of_ticks(s->executed);
		x[2] = ns_of_ticks(s->stolen);
		x[3] = n->left > 0 ? ns_of_ticks((uint64_t)n->left) : 0;
		return KZ_OK;
	case KZ_INFO_LAST:
		x[1] = guest_ns(v, s->last_miss);
		x[2] = guest_ns(v, s->last_overrun);
		x[3] = guest_ns(v, n->release);
		return KZ_OK;
	default:
		return KZ_ENOENT;
	}
}

/*
 * Where the vCPU's stolen time is, as a guest address; from here on it is written
 * there: who does not ask keeps the page. NOT_SUPPORTED is the same number.
 */
static uint64_t stolen_time(struct vcpu *v)
{
	const struct kz_cfg_vm *cfg = v->vm->cfg;
	const struct kz_cfg_region *r = vm_ram_at(cfg, cfg->stolen_ipa);
	struct kz_stolen_time *page;

	if (cfg->stolen_ipa == 0 || r == NULL) {
		return ~0ull;
	}
	page = arch_ptr(pa(r->pa + (cfg->stolen_ipa - r->ipa)));
	v->sched.page = &page[v->id].stolen_ns;
	return cfg->stolen_ipa + v->id * sizeof(*page);
}

bool policy_call(struct vcpu *v, uint64_t *x)
{
	uint32_t fn = (uint32_t)x[0];
	bool again = fn == KZ_HVC_JOB_DONE;
	enum kz_err err = KZ_OK;

	switch (fn) {
	case KZ_HVC_SET_REALTIME_INFO:
		err = set_realtime_info(v, x);
		again = err == KZ_OK;
		break;
	case KZ_HVC_JOB_DONE:
		sched_job_done(v);
		break;
	case KZ_HVC_NOTIFY:
		if ((x[1] & ~(uint64_t)(KZ_NOTIFY_MISS | KZ_NOTIFY_OVERRUN)) != 0) {
			err = KZ_EINVAL;
		} else {
			v->sched.notify = (uint32_t)x[1];
		}
		break;
	case KZ_HVC_INFO:
		again = !sched_account(v);
		err = info(v, x);
		break;
	case KZ_HVC_PV_TIME_FEATURES:
		x[0] = v->vm->cfg->stolen_ipa != 0 && ((uint32_t)x[1] == KZ_HVC_PV_TIME_ST ||
		       (uint32_t)x[1] == KZ_HVC_PV_TIME_FEATURES) ? 0 : ~0ull;
		return false;
	case KZ_HVC_PV_TIME_ST:
		x[0] = stolen_time(v);
		return false;
	default:
		x[0] = ~0ull;		/* SMCCC: NOT_SUPPORTED */
		return false;
	}
	x[0] = (uint64_t)(int64_t)err;
	return again;
}
