/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "console.h"
#include "control.h"
#include "health.h"

#define NS_PER_S	1000000000ull

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

/* ---- What happens ---- */

bool policy_notify(struct vcpu *v, uint32_t what)
{
	bool asked = (__atomic_load_n(&v->sched.notify, __ATOMIC_RELAXED) & what) != 0;

	if (asked) {
		__atomic_fetch_or(&v->sched.events, what, __ATOMIC_RELEASE);
		arch_irq_line(v, KZ_EVENT_INTID, true);
		arch_irq_line(v, KZ_EVENT_INTID, false);
	}
	return asked;
}

void policy_event(struct vcpu *v, uint32_t what)
{
	struct vm *vm = v->vm;
	bool missed = what == KZ_NOTIFY_MISS;
	enum kz_reason reason = missed ? KZ_REASON_MISS : KZ_REASON_OVERRUN;
	uint8_t then = missed ? vm->cfg->server.on_miss : vm->cfg->server.on_overrun;

	if (then == KZ_EVENT_NOTIFY) {
		(void)policy_notify(v, what);
	} else if (then == KZ_EVENT_STOP) {
		hv_log("%s: %s: the VM stops", vm->cfg->name,
		       missed ? "deadline missed" : "budget used up");
		vm_fail(vm, reason);
	} else if (then == KZ_EVENT_RESTART) {
		vm_halt(vm, reason, THEN_START);
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
	struct kz_stolen_time *page = vm_ram(cfg, cfg->stolen_ipa, KZ_STOLEN_SIZE);

	if (cfg->stolen_ipa == 0 || page == NULL) {
		return ~0ull;
	}
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
		if (x[1] >= 2 * KZ_NOTIFY_CONTROL) {
			err = KZ_EINVAL;
		} else {
			v->sched.notify = (uint32_t)x[1];
		}
		break;
	case KZ_HVC_WATCHDOG:
		err = health_kick(v->vm, x[1]);
		break;
	case KZ_HVC_EVENTS:
		x[1] = __atomic_exchange_n(&v->sched.events, 0, __ATOMIC_ACQUIRE);
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
		if (fn - KZ_HVC_REGISTER <= KZ_HVC_LOG - KZ_HVC_REGISTER) {
			err = control_call(v, x);
			break;
		}
		x[0] = ~0ull;		/* SMCCC: NOT_SUPPORTED */
		return false;
	}
	x[0] = (uint64_t)(int64_t)err;
	return again;
}
