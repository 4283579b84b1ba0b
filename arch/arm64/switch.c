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

#define TIMER_ENABLE	1u		/* CNTx_CTL_EL0, DDI 0487 D19.12 */
#define TIMER_IMASK	2u
#define CPTR_TFP	BIT64(10)

/* When a timer asserts its line, as ticks of the physical counter. */
static inline uint64_t fires(uint64_t ctl, uint64_t cval)
{
	return (ctl & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE ? cval : NEVER;
}

uint64_t arch_vcpu_save(struct vcpu *v)
{
	struct vcpu_regs *r = &v->arch.regs;
	uint64_t virt;

#define R(name) r->name = read_##name();
	VCPU_EL1_REGS(R)
#undef R
	/* neither fires for another: its line is its own timers' */
	write_cntv_ctl_el0(0);
	write_cntp_ctl_el0(0);
	vgic_save(v);
	virt = fires(r->cntv_ctl_el0, r->cntv_cval_el0);
	return min_u64(virt == NEVER ? NEVER : virt + v->vm->arch.cntvoff,
		       fires(r->cntp_ctl_el0, r->cntp_cval_el0));
}

void arch_vcpu_load(struct vcpu *v)
{
	const struct vcpu_regs *r = &v->arch.regs;
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	uint64_t now = v->cpu->sched.since;

	vcpu_load_el2(v);
#define R(name) write_##name(r->name);
	VCPU_EL1_REGS(R)
#undef R
	vgic_load(v);
	/* A timer that is due already is delivered at once: its line would cost an exit. */
	if (fires(r->cntv_ctl_el0, r->cntv_cval_el0) <= now - v->vm->arch.cntvoff) {
		vgic_load_irq(v, m->vtimer_intid);
	}
	if (fires(r->cntp_ctl_el0, r->cntp_cval_el0) <= now) {
		vgic_load_irq(v, m->ptimer_intid);
	}
}

/* ---- FP registers: they move when somebody uses them ---- */

uint64_t fp_trap_bit(const struct vcpu *v)
{
	return v->cpu->arch.fp == v ? 0 : CPTR_TFP;
}

void fp_release(struct vcpu *v)
{
	struct vcpu *owner = v->cpu->arch.fp;

	write_cptr_el2(read_cptr_el2() & ~CPTR_TFP);
	isb();			/* the trap is off before the registers move */
	if (owner != NULL && owner != v) {
		fp_save(owner->arch.fp);
	}
	v->cpu->arch.fp = v;
}

void fp_take(struct vcpu *v)
{
	if (v->cpu->arch.fp != v) {
		fp_release(v);
		fp_load(v->arch.fp);
	}
}
