/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick way from one vCPU to another, behind trap_sched and trap_job_done: the
 * vectors have saved all registers of the guest's, so that the build lets functions
 * here destroy those that C keeps elsewhere. Built for speed; bench/ counts the
 * instructions.
 */
#include "arch.h"
#include "gic.h"
#include "sched_quick.h"
#include "sysreg.h"
#include "trap.h"
#include "vectors.h"
#include "vgic.h"
#include "vgic_switch.h"

/* Its virtual timer is due already: its line would cost another exit. */
static ALWAYS_INLINE bool timer_due(const struct arch_away *r, uint64_t now)
{
	return timer_is_on(r->cntv_ctl_el0) && r->cntv_cval_el0 <= now - r->cntvoff_el2;
}

/* Its list register is not as it was. */
static NOINLINE struct vcpu *switch_timer(struct vcpu *v, struct vcpu *old)
{
	vgic_load_irq(v, gic.vtimer);
	return el1_switch(v, &old->away.sctlr_el1, &v->away.sctlr_el1);
}

/* All that is left to do, if that is more than the usual. */
static NOINLINE struct vcpu *switch_long(struct vcpu *v, struct vcpu *old)
{
	(void)arch_vcpu_save(old);
	arch_vcpu_load(v);
	return v;
}

static ALWAYS_INLINE struct vcpu *switch_to(struct vcpu *v, struct vcpu *old,
					    const struct arch_away *r, uint64_t now, bool v3)
{
	if (UNLIKELY(!vgic_switch(old, v, v3))) {
		return switch_long(v, old);
	}
	if (UNLIKELY(timer_due(r, now) && !vgic_load_timer(v, v3))) {
		return switch_timer(v, old);
	}
	return el1_switch(v, &old->away.sctlr_el1, &r->sctlr_el1);
}

static NOINLINE struct vcpu *switch_odd(struct vcpu *v, struct vcpu *old,
					const struct arch_away *r, uint64_t now)
{
	return (v->cpu->arch.odd & ODD_REGISTERS) != 0 ? switch_long(v, old) :
	       switch_to(v, old, r, now, false);
}

/* v comes, whose registers are in r; old goes: at `now`, or a little later. */
static NOINLINE struct vcpu *vcpu_switch(struct vcpu *v, struct vcpu *old,
					 const struct arch_away *r, uint64_t now)
{
	struct percpu *cpu = v->cpu;

	cpu->vcpu = v;
	write_cnthp_cval_el2(cpu->sched.next);	/* NEVER: longer than machines last */
	return LIKELY(cpu->arch.odd == 0) ? switch_to(v, old, r, now, true) :
	       switch_odd(v, old, r, now);
}

struct vcpu *turn_sched(struct vcpu *v, uint64_t now)
{
	bool same;
	struct vcpu *next = sched_quick(v, now, &same);

	if (same) {
		write_cnthp_cval_el2(v->cpu->sched.next);
		return v;
	}
	return LIKELY(next != NULL) ? vcpu_switch(next, v, &next->away, now) : sched_next(v->cpu);
}

struct vcpu *turn_job_done(struct vcpu *v, uint64_t now)
{
	struct vcpu *next = sched_quick_job_done(v, now);

	return LIKELY(next != NULL) ? vcpu_switch(next, v, &next->away, now) : sched_next(v->cpu);
}
