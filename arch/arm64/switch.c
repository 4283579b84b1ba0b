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
#include "vgic.h"
#include "vgic_switch.h"

#define TIMER_ENABLE	1u		/* CNTx_CTL_EL0, DDI 0487 D19.12 */
#define TIMER_IMASK	2u
#define CPTR_TFP	BIT64(10)

/* When a timer asserts its line, in ticks of its counter. */
static inline uint64_t fires(uint64_t ctl, uint64_t cval)
{
	return (ctl & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE ? cval : NEVER;
}

/* The guest's use of FP registers traps. */
static void fp_trap(bool on)
{
	write_cptr_el2((read_cptr_el2() & ~CPTR_TFP) | (on ? CPTR_TFP : 0));
}

/* Registers of v that its core has only if it is an odd one, or a guest uses them. */
static COLD void odd_save(struct vcpu *v)
{
	v->away.amair_el1 = read_amair_el1();
	v->away.afsr0_el1 = read_afsr0_el1();
	v->away.afsr1_el1 = read_afsr1_el1();
	v->away.mdscr_el1 = read_mdscr_el1();
	v->away.cntp_ctl_el0 = read_cntp_ctl_el0();
	v->away.cntp_cval_el0 = read_cntp_cval_el0();
	v->away.hcr_el2 = read_hcr_el2();	/* VSE goes by itself */
}

static COLD void odd_load(const struct vcpu *v)
{
	write_amair_el1(v->away.amair_el1);
	write_afsr0_el1(v->away.afsr0_el1);
	write_afsr1_el1(v->away.afsr1_el1);
	write_mdscr_el1(v->away.mdscr_el1);
	write_cntp_ctl_el0(v->away.cntp_ctl_el0);
	write_cntp_cval_el0(v->away.cntp_cval_el0);
	write_hcr_el2(v->away.hcr_el2);
}

uint64_t arch_vcpu_save(struct vcpu *v)
{
	struct arch_away *r = &v->away;
	uint64_t virt;

	/* what comes back is what was there */
	(void)el1_switch(v, &r->sctlr_el1, &r->sctlr_el1);
	if ((v->cpu->arch.odd & ODD_REGISTERS) != 0) {
		odd_save(v);
	}
	vgic_save(v);
	if (v->sched.state != SCHED_BLOCKED) {
		return NEVER;
	}
	virt = fires(r->cntv_ctl_el0, r->cntv_cval_el0);
	return min_u64(virt == NEVER ? NEVER : virt + r->cntvoff_el2,
		       fires(r->cntp_ctl_el0, r->cntp_cval_el0));
}

void arch_vcpu_load(struct vcpu *v)
{
	el1_load(v, NULL, &v->away.sctlr_el1);
	if ((v->cpu->arch.odd & ODD_REGISTERS) != 0) {
		odd_load(v);
	}
	fp_trap(v->cpu->arch.fp != v);
	vgic_load(v);
}

/* Its virtual timer is due already: its line would cost another exit. */
static ALWAYS_INLINE bool timer_due(const struct vcpu *v, uint64_t now)
{
	const struct arch_away *r = &v->away;

	return (r->cntv_ctl_el0 & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE &&
	       r->cntv_cval_el0 <= now - r->cntvoff_el2;
}

static NOINLINE struct vcpu *switch_timer(struct vcpu *v, struct vcpu *old)
{
	vgic_load_irq(v, gic.vtimer);
	return el1_switch(v, &old->away.sctlr_el1, &v->away.sctlr_el1);
}

/* All that is left to do, if that is more than the usual. */
static NOINLINE struct vcpu *switch_long(struct vcpu *v, struct vcpu *old)
{
	v->cpu->vcpu = v;
	(void)arch_vcpu_save(old);
	arch_vcpu_load(v);
	return v;
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
	}
}

static ALWAYS_INLINE struct vcpu *switch_to(struct percpu *cpu, struct vcpu *v,
					    struct vcpu *old, bool v3)
{
	if (UNLIKELY(!vgic_switch(old, v, v3))) {
		return switch_long(v, old);
	}
	cpu->vcpu = v;
	switch_fp(cpu, v, old);
	if (UNLIKELY(timer_due(v, cpu->sched.since))) {
		return switch_timer(v, old);
	}
	return el1_switch(v, &old->away.sctlr_el1, &v->away.sctlr_el1);
}

static NOINLINE struct vcpu *switch_odd(struct vcpu *v, struct vcpu *old)
{
	return (v->cpu->arch.odd & ODD_REGISTERS) != 0 ? switch_long(v, old) :
	       switch_to(v->cpu, v, old, false);
}

struct vcpu *vcpu_switch(struct vcpu *v)
{
	struct percpu *cpu = v->cpu;
	struct vcpu *old = cpu->vcpu;

	write_cnthp_cval_el2(cpu->sched.next);	/* NEVER: longer than machines last */
	if (v == old) {
		return v;
	}
	return LIKELY(cpu->arch.odd == 0) ? switch_to(cpu, v, old, true) : switch_odd(v, old);
}

/* ---- FP registers: they move when somebody uses them ---- */

void fp_release(struct vcpu *v)
{
	struct percpu *cpu = v->cpu;
	struct vcpu *owner = cpu->arch.fp;

	fp_trap(false);
	isb();			/* the trap is off before the registers move */
	if (owner != NULL && owner != v) {
		fp_save(owner->away.fp);
	}
	cpu->arch.fp = v;
}

void fp_reset(struct vcpu *v)
{
	struct percpu *cpu = v->cpu;

	if (cpu->sched.count > 1) {	/* it has none until it wants some: fp_take */
		cpu->arch.fp = cpu->arch.fp == v ? NULL : cpu->arch.fp;
		fp_trap(true);
	} else {
		fp_release(v);
		fp_clear();
	}
}

void fp_take(struct vcpu *v)
{
	bool mine = v->cpu->arch.fp == v;

	fp_release(v);
	if (!mine) {
		fp_load(v->away.fp);
	}
}
