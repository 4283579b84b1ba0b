/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU leaves the core's registers and another comes (hv/sched.h). General
 * registers are in struct vcpu already (vectors.S), FP registers stay until another
 * wants them. Built for speed; bench/ counts the instructions.
 */
#include "arch.h"
#include "barrier.h"
#include "sysreg.h"
#include "trap.h"
#include "vectors.h"
#include "vgic.h"

/* When a timer asserts its line, in ticks of its counter. */
static inline uint64_t fires(uint64_t ctl, uint64_t cval)
{
	return timer_is_on(ctl) ? cval : NEVER;
}

/* v's use of FP registers traps; v is loaded. */
static void fp_trap(struct vcpu *v, bool on)
{
	v->away.cptr_el2 = CPTR_GUEST | (on ? CPTR_TFP : 0);
	write_cptr_el2(v->away.cptr_el2);
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
	vgic_load(v);
}

/* ---- FP registers: they move when somebody uses them ---- */

/* They are v's instead of `owner`'s, which is another or NULL. */
static ALWAYS_INLINE void fp_move(struct vcpu *v, struct vcpu *owner)
{
	v->cpu->arch.fp = v;
	fp_trap(v, false);
	isb();			/* the trap is off before the registers move */
	if (owner != NULL) {
		owner->away.cptr_el2 = CPTR_GUEST | CPTR_TFP;
		fp_save(owner->away.fp);
	}
}

void fp_release(struct vcpu *v)
{
	struct vcpu *owner = v->cpu->arch.fp;

	fp_move(v, owner != v ? owner : NULL);
}

void fp_reset(struct vcpu *v)
{
	struct percpu *cpu = v->cpu;

	if (!sched_is_alone(&cpu->sched)) {	/* it has none until it wants some: fp_take */
		cpu->arch.fp = cpu->arch.fp == v ? NULL : cpu->arch.fp;
		fp_trap(v, true);
	} else {
		fp_release(v);
		fp_clear();
	}
}

void fp_take(struct vcpu *v)
{
	fp_move(v, v->cpu->arch.fp);	/* it trapped: they are not v's */
	fp_load(v->away.fp);
}
