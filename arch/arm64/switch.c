/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU leaves the core's registers and another comes (hv/sched.h). General
 * registers are in struct vcpu already (vectors.S), FP registers stay until another
 * wants them. Built for speed; bench/ counts the instructions.
 */
#include "arch.h"
#include "barrier.h"
#include "gic.h"
#include "sysreg.h"
#include "trap.h"
#include "vectors.h"
#include "vgic_switch.h"

#define TIMER_ENABLE	1u		/* CNTx_CTL_EL0, DDI 0487 D19.12 */
#define TIMER_IMASK	2u
#define CPTR_TFP	BIT64(10)

/* When a timer asserts its line, in ticks of its counter. */
static inline uint64_t fires(uint64_t ctl, uint64_t cval)
{
	return (ctl & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE ? cval : NEVER;
}

uint64_t arch_vcpu_save(struct vcpu *v)
{
	struct arch_away *r = &v->away;
	uint64_t virt;

	el1_switch(v, r->regs, NULL);
	vgic_save(v);
	if (v->sched.state != SCHED_BLOCKED) {
		return NEVER;
	}
	virt = fires(r->cntv_ctl_el0, r->cntv_cval_el0);
	return min_u64(virt == NEVER ? NEVER : virt + r->cntvoff_el2,
		       fires(r->cntp_ctl_el0, r->cntp_cval_el0));
}

static ALWAYS_INLINE void load_timer(struct vcpu *v, uint32_t intid)
{
	if (UNLIKELY(!vgic_load_again(v, intid))) {
		vgic_load_irq(v, intid);
	}
}

/* A timer of v that is due already is delivered at once: its line would cost an exit. */
static NOINLINE void load_timers(struct vcpu *v)
{
	const struct arch_away *r = &v->away;
	uint64_t now = v->cpu->sched.since;

	if (fires(r->cntv_ctl_el0, r->cntv_cval_el0) <= now - r->cntvoff_el2) {
		load_timer(v, gic.vtimer);
	}
	if (UNLIKELY(fires(r->cntp_ctl_el0, r->cntp_cval_el0) <= now)) {
		vgic_load_irq(v, gic.ptimer);
	}
}

static ALWAYS_INLINE bool any_timer(const struct vcpu *v)
{
	return ((v->away.cntv_ctl_el0 | v->away.cntp_ctl_el0) & TIMER_ENABLE) != 0;
}

void arch_vcpu_load(struct vcpu *v)
{
	el1_load(v, v->away.regs);
	if (v->cpu->arch.fp_trap != (v->cpu->arch.fp != v)) {
		fp_trap(v->cpu, v->cpu->arch.fp != v);
	}
	vgic_load(v);
	if (any_timer(v)) {
		load_timers(v);
	}
}

/* With list registers in use, or private interrupts that differ. */
static NOINLINE struct vcpu *switch_gic(struct vcpu *v, struct vcpu *old)
{
	vgic_save(old);
	vgic_load(v);
	if (any_timer(v)) {
		load_timers(v);
	}
	return el1_switch(v, old->away.regs, v->away.regs);
}

static NOINLINE struct vcpu *switch_timers(struct vcpu *v, struct vcpu *old)
{
	load_timers(v);
	return el1_switch(v, old->away.regs, v->away.regs);
}

/*
 * Who leaves has the FP registers or they trap, and so it shall be of who comes: the trap
 * changes if either has them.
 */
static ALWAYS_INLINE void switch_fp(struct percpu *cpu, const struct vcpu *v,
				    const struct vcpu *old)
{
	const struct vcpu *fp = cpu->arch.fp;

	if (fp == old || fp == v) {
		write_cptr_el2(read_cptr_el2() ^ CPTR_TFP);
		cpu->arch.fp_trap = fp == old;
	}
}

struct vcpu *vcpu_switch(struct vcpu *v, struct vcpu *old)
{
	struct percpu *cpu = v->cpu;

	write_cnthp_cval_el2(cpu->sched.next);		/* NEVER: longer than machines last */
	write_cnthp_ctl_el2(TIMER_ENABLE);
	if (v == old) {
		return v;
	}
	cpu->vcpu = v;
	switch_fp(cpu, v, old);
	if (UNLIKELY(!vgic_switch(old, v))) {
		return switch_gic(v, old);
	}
	if (UNLIKELY(any_timer(v))) {
		return switch_timers(v, old);
	}
	return el1_switch(v, old->away.regs, v->away.regs);
}

/* ---- FP registers: they move when somebody uses them ---- */

void fp_trap(struct percpu *cpu, bool on)
{
	uint64_t cptr = read_cptr_el2();

	write_cptr_el2(on ? cptr | CPTR_TFP : cptr & ~CPTR_TFP);
	cpu->arch.fp_trap = on;
}

void fp_release(struct vcpu *v)
{
	struct percpu *cpu = v->cpu;
	struct vcpu *owner = cpu->arch.fp;

	fp_trap(cpu, false);
	isb();			/* the trap is off before the registers move */
	if (owner != NULL && owner != v) {
		fp_save(owner->away.fp);
	}
	cpu->arch.fp = v;
}

void fp_take(struct vcpu *v)
{
	bool mine = v->cpu->arch.fp == v;

	fp_release(v);
	if (!mine) {
		fp_load(v->away.fp);
	}
}
