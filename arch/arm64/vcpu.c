/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU on its core: reset, parking, and the exceptions that we raise in it. */
#include "arch.h"
#include "barrier.h"
#include "gic.h"
#include "mmu.h"
#include "psci.h"
#include "sysreg.h"
#include "trace.h"
#include "trap.h"
#include "vectors.h"

/* HCR_EL2 (DDI 0487 D19.2.48). WFI and WFE don't trap: the core is this vCPU's. */
#define HCR_VM		BIT64(0)
/* set/way invalidation also cleans: no one else's line is lost */
#define HCR_SWIO	BIT64(1)
#define HCR_FMO		BIT64(3)
#define HCR_IMO		BIT64(4)
#define HCR_AMO		BIT64(5)
#define HCR_TWI		BIT64(13)
#define HCR_TID3	BIT64(18)
#define HCR_TSC		BIT64(19)
#define HCR_TIDCP	BIT64(20)
#define HCR_TACR	BIT64(21)
#define HCR_RW		BIT64(31)
#define HCR_TLOR	BIT64(35)
#define HCR_GUEST	(HCR_VM | HCR_SWIO | HCR_AMO | HCR_TID3 | HCR_TSC | HCR_TIDCP | \
			 HCR_TACR | HCR_RW | HCR_TLOR)

/* RES1, SH0 inner, ORGN0 IRGN0 write-back, SL0 level 1, T0SZ 25 */
#define VTCR_BASE	0x80003559ull
#define MDCR_TPMCR	BIT64(5)
#define MDCR_TPM	BIT64(6)
#define MDCR_TDA	BIT64(9)
#define MDCR_TDOSA	BIT64(10)
#define MDCR_TDRA	BIT64(11)
#define MDCR_HPMD	BIT64(17)
/* EL1PCTEN, EL1PCEN: counter and physical timer untrapped */
#define CNTHCTL_GUEST	3ull
#define CNTHCTL_SHARED	1ull		/* EL1PCEN only when somebody uses it: vcpu_use_ptimer */
#define SCTLR_EL1_RESET	0x30d00800ull	/* RES1, all off */
#define SPSR_EL1H	0x3c5ull	/* D A I F masked, EL1 with SP_EL1 */
#define SPSR_NZCV	0xf0000000ull
#define SPSR_PAN	BIT64(22)
#define SCTLR_SPAN	BIT64(23)

enum kz_err arch_vm_init(struct vm *vm)
{
	vgic_init(vm);
	return vm->created || vm->cfg->vcpu_count == 0 ? KZ_OK : s2_build(vm);
}

void arch_vm_reset(struct vm *vm)
{
	vgic_reset(vm);
}

void arch_vm_revoke(struct vm *vm, bool revoked)
{
	if (!revoked) {
		s2_grant(vm);
		return;
	}
	s2_revoke(vm);
	/* Who sleeps makes no access: it is woken to make one. */
	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		if (vm->vcpu[i].cpu != arch_this_cpu()) {
			gic_wake_lent(vm->vcpu[i].cpu->id);
		}
	}
}

/* Are they registers at all? On most cores they are 0 (DDI 0487 D19.2: implementation defined). */
static void reset_odd(struct percpu *cpu)
{
	write_amair_el1(~0ull);
	write_afsr0_el1(~0ull);
	write_afsr1_el1(~0ull);
	isb();			/* what is read is what was kept */
	if ((read_amair_el1() | read_afsr0_el1() | read_afsr1_el1()) != 0) {
		cpu->arch.odd |= ODD_REGISTERS;
	}
	if (!gic.v3) {
		cpu->arch.odd |= ODD_GICV2;
	}
	write_amair_el1(0);
	write_afsr0_el1(0);
	write_afsr1_el1(0);
}

static void reset_timers(void)
{
	write_cntv_ctl_el0(0);
	write_cntv_cval_el0(0);
	write_cntp_ctl_el0(0);
	write_cntp_cval_el0(0);
}

/*
 * Debug state as after reset: it is the guest's on its core. Six breakpoints and
 * four watchpoints, as Arm's cores have; of one that had more, the rest keep
 * their value, and do nothing until the guest sets MDSCR_EL1.
 */
static void reset_debug(void)
{
	uint64_t dfr0 = read_id_aa64dfr0_el1();

	write_oslar_el1(1);
	write_mdscr_el1(0);
	write_mdccint_el1(0);
	switch (dfr0 >> 12 & 0xf) {
	default: write_dbgbcr5_el1(0); /* fall through */
	case 4: write_dbgbcr4_el1(0); /* fall through */
	case 3: write_dbgbcr3_el1(0); /* fall through */
	case 2: write_dbgbcr2_el1(0); /* fall through */
	case 1: write_dbgbcr1_el1(0); write_dbgbcr0_el1(0); break;
	}
	switch (dfr0 >> 20 & 0xf) {
	default: write_dbgwcr3_el1(0); /* fall through */
	case 2: write_dbgwcr2_el1(0); /* fall through */
	case 1: write_dbgwcr1_el1(0); write_dbgwcr0_el1(0); break;
	}
}

/* The PMU counts for who owns the core, and is not there for others. */
static uint64_t mdcr_of(const struct vm *vm)
{
	uint64_t dfr0 = read_id_aa64dfr0_el1();
	uint64_t pmuver = dfr0 >> 8 & 0xf;
	uint64_t mdcr = MDCR_TDRA;

	if (pmuver == 0 || pmuver == 0xf) {
		return mdcr;
	}
	mdcr |= read_pmcr_el0() >> 11 & 0x1f;		/* HPMN = PMCR_EL0.N: all counters */
	if (pmuver >= 4) {
		mdcr |= MDCR_HPMD;			/* EL2 is not counted */
	}
	write_pmcr_el0(0x46);				/* LC, C, P: off, counters cleared */
	write_pmcntenclr_el0(~0u);
	write_pmintenclr_el1(~0u);
	write_pmovsclr_el0(~0u);
	write_pmuserenr_el0(0);
	return vm->arch.hrt ? mdcr : mdcr | MDCR_TPM | MDCR_TPMCR;
}

void vcpu_use_ptimer(const struct vcpu *v)
{
	v->cpu->arch.odd |= ODD_REGISTERS;
	write_cnthctl_el2(CNTHCTL_GUEST);
}

/* Others want the core while it waits; breakpoints are not switched (trap.c). */
void vcpu_share(struct vcpu *v)
{
	v->away.hcr_el2 |= HCR_TWI;
	write_hcr_el2(read_hcr_el2() | HCR_TWI);
	write_mdcr_el2(read_mdcr_el2() | MDCR_TDA | MDCR_TDOSA);
}

void arch_vcpu_share(struct vcpu *v)
{
	v->arch.kick = 0;
	v->away.hcr_el2 |= HCR_TWI;
	v->cpu->arch.odd |= ODD_REGISTERS;	/* the physical timer may be in use */
	if (v->cpu->vcpu == v) {
		vcpu_share(v);
	}
}

/* EL1 and what traps to EL2; timers are off. */
static void reset_el2(struct vcpu *v, uint64_t entry)
{
	uint64_t parange = read_id_aa64mmfr0_el1() & 0xf;
	struct arch_away *r = &v->away;
	bool hrt = v->vm->arch.hrt;

	write_vtcr_el2(VTCR_BASE | (parange < 5 ? parange : 5) << 16);
	write_vpidr_el2(read_midr_el1());
	write_hstr_el2(0);
	write_mdcr_el2(mdcr_of(v->vm));
	write_cnthctl_el2(!sched_is_alone(&v->cpu->sched) &&
			  (v->cpu->arch.odd & ODD_REGISTERS) == 0 ?
			  CNTHCTL_SHARED : CNTHCTL_GUEST);
	*r = (struct arch_away){
		.sctlr_el1 = SCTLR_EL1_RESET,
		.elr_el2 = entry,
		.spsr_el2 = SPSR_EL1H,
		/* An HRT guest's WFI traps until it is one that we can end: trap.c. */
		.hcr_el2 = HCR_GUEST | (hrt ? HCR_TWI : HCR_IMO | HCR_FMO),
		.cptr_el2 = CPTR_GUEST,
		.vttbr_el2 = v->vm->arch.vttbr,
		.vmpidr_el2 = vgic_affinity(v) | BIT64(31),	/* RES1 */
		.cntvoff_el2 = v->vm->epoch,
	};
	write_hcr_el2(r->hcr_el2);
	el1_load(v, NULL, &r->sctlr_el1);
	if (v->cpu->sched.shared) {
		vcpu_share(v);
	}
}

/* The core's interrupt interface: an HRT guest gets the physical one. */
static void reset_gic(struct vcpu *v)
{
	if (v->vm->arch.hrt) {
		uint32_t twins = v->arch.vgic.bank.hw;

		for (; twins != 0; twins &= twins - 1) {
			gic_reset_irq(v->cpu->id, (uint32_t)__builtin_ctz(twins));
		}
		__atomic_fetch_or(&v->vm->arch.vgic.cores, gic.gicc_id[v->cpu->id],
				  __ATOMIC_RELAXED);
		gic_lend_cpu(v->cpu->id, (v->vm->cfg->flags & KZ_VM_SGI_DIRECT) != 0);
		/* from here on a hazard comes with the loss of its memory; before, it is seen */
		__atomic_store_n(&v->cpu->arch.lent, true, __ATOMIC_SEQ_CST);
	} else {
		vgic_reset_cpu(v);
	}
}

void arch_vcpu_reset(struct vcpu *v, uint64_t entry, uint64_t arg)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(v->arch.x); i++) {
		v->arch.x[i] = 0;
	}
	v->arch.x[0] = arg;
	v->arch.host_sp = (uint64_t)v->cpu;	/* the stack grows down from the core's data */
	reset_el2(v, entry);
	reset_odd(v->cpu);
	reset_debug();
	reset_gic(v);
	fp_reset(v);
	/* VTTBR_EL2 and HCR_EL2 before the invalidation that they select */
	isb();
	tlbi_vmalls12e1();
	dsb_ish();			/* the invalidation before the guest's first walk */
	isb();				/* and before what this core has fetched ahead */
}

void arch_vcpu_park(struct vcpu *v)
{
	if (v->cpu->arch.fp == v) {
		v->cpu->arch.fp = NULL;
	}
	reset_timers();
	if (v->vm->arch.hrt) {
		/* An SGI to a core that sleeps here would be for us. */
		__atomic_fetch_and(&v->vm->arch.vgic.cores,
				   ~(uint32_t)gic.gicc_id[v->cpu->id], __ATOMIC_RELAXED);
	} else {
		vgic_park(v);
	}
	__atomic_store_n(&v->cpu->arch.lent, false, __ATOMIC_SEQ_CST);
	gic_init_cpu(v->cpu->id);
	v->cpu->arch.ppis = 0;
}

/* It waits for its VM to go on, or to stop. */
static bool is_paused(const struct vcpu *v)
{
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);

	return (hazard & (HAZARD_PAUSE | HAZARD_STOP)) == HAZARD_PAUSE;
}

void arch_vcpu_freeze(struct vcpu *v)
{
	if (v->cpu->vcpu == v) {	/* what comes back is what was there */
		(void)el1_switch(v, &v->away.sctlr_el1, &v->away.sctlr_el1);
	}
	if (v->cpu->arch.fp == v) {
		uint64_t cptr = read_cptr_el2();

		write_cptr_el2(cptr & ~CPTR_TFP);
		isb();			/* the trap is off before the registers are read */
		fp_save(v->away.fp);
		write_cptr_el2(cptr);
	}
	if (!v->vm->arch.hrt || !is_paused(v)) {
		return;
	}
	v->sched.state = SCHED_PAUSED;
	/* Bound: by who paused it. Its interrupts are masked, and stay pending. */
	spin_while(&v->hazard, HAZARD_PAUSE | HAZARD_STOP, HAZARD_PAUSE);
	v->sched.state = SCHED_READY;
	gic_thaw_lent(v->cpu->id, v->vm->arch.vgic.cores);
}

void arch_vcpu_registers(const struct vcpu *v, struct kz_vcpu_registers *to)
{
	const struct arch_away *r = &v->away;
	const uint64_t *el1 = r->regs;

	*to = (struct kz_vcpu_registers){
		.pc = r->elr_el2, .pstate = r->spsr_el2,
		.sctlr_el1 = r->sctlr_el1, .cpacr_el1 = el1[0],
		.ttbr0_el1 = el1[1], .ttbr1_el1 = el1[2],
		.tcr_el1 = el1[3], .mair_el1 = el1[4],
		.vbar_el1 = el1[5], .contextidr_el1 = el1[6],
		.tpidr_el0 = el1[7], .tpidrro_el0 = el1[8],
		.tpidr_el1 = el1[9],
		.elr_el1 = el1[11], .spsr_el1 = el1[12],
		.esr_el1 = el1[13], .far_el1 = el1[14],
		.sp_el0 = el1[17], .sp_el1 = el1[18],
		.fpcr = (uint32_t)r->fp[64], .fpsr = r->fp[64] >> 32,
	};
	for (uint32_t i = 0; i < ARRAY_SIZE(to->x); i++) {
		to->x[i] = v->arch.x[i];
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(to->v); i++) {
		to->v[i] = r->fp[i];
	}
}

void arch_vcpu_mask(struct vcpu *v, bool masked)
{
	if (!v->vm->arch.hrt) {
		vgic_mask(v, masked);
	}
}

void arch_vcpu_result(struct vcpu *v, uint64_t a, uint64_t b)
{
	v->arch.x[1] = a;
	v->arch.x[2] = b;
}

void arch_vcpu_sync(struct vcpu *v)
{
	if (!v->vm->arch.hrt) {
		vgic_attend(v);
	}
}

void arch_vcpu_enter(struct vcpu *v)
{
	vcpu_enter(v);
}

uint64_t arch_vcpu_pc(const struct vcpu *v)
{
	(void)v;			/* it has just left this core */
	return read_elr_el2();
}

void vcpu_standby(struct vcpu *v)
{
	if (!v->vm->arch.hrt && vgic_is_pending(v)) {
		return;
	}
	dsb_sy();			/* the guest's stores before it sleeps */
	if (v->vm->arch.hrt && gic_doze_lent(v->cpu->id)) {
		return;
	}
	trace_now(v->cpu, KZ_TRACE_IDLE);
	/* a physical interrupt, ours included, ends it and is taken on return */
	wfi();
}

void arch_irq_line(struct vcpu *v, uint32_t intid, bool high)
{
	if (!v->vm->arch.hrt) {
		vgic_line(v, intid, high);
	} else if (high) {
		gic_set_pending(intid);
	}
}

/* ---- Exceptions that the guest takes ---- */

/* As the processor would enter EL1 for a synchronous exception (DDI 0487 D1.3). */
static void inject_sync(uint32_t esr)
{
	uint64_t spsr = read_spsr_el2();
	uint64_t offset;

	switch (spsr & 0x1f) {
	case 0x5:			/* EL1h */
		offset = 0x200;
		break;
	case 0x4:			/* EL1t */
		offset = 0x000;
		break;
	case 0x0:			/* EL0, AArch64 */
		offset = 0x400;
		break;
	default:			/* EL0, AArch32 */
		offset = 0x600;
		break;
	}
	write_esr_el1(esr);
	write_elr_el1(read_elr_el2());
	write_spsr_el1(spsr);
	write_elr_el2(read_vbar_el1() + offset);
	spsr &= SPSR_NZCV | SPSR_PAN;
	if ((read_id_aa64mmfr1_el1() >> 20 & 0xf) != 0 && (read_sctlr_el1() & SCTLR_SPAN) == 0) {
		spsr |= SPSR_PAN;
	}
	write_spsr_el2(spsr | SPSR_EL1H);
}

void inject_undef(void)
{
	inject_sync(BIT(25));		/* EC 0: unknown; IL */
}

void arch_vcpu_inject_abort(struct vcpu *v, const struct access *a)
{
	uint32_t ec = a->fetch ? 0x20 : 0x24;

	(void)v;
	if ((read_spsr_el2() & 0xf) != 0) {
		ec |= 1;		/* taken from the current exception level */
	}
	write_far_el1(read_far_el2());
	/* IL, WnR, and DFSC 0x10: synchronous external abort, not on a table walk. */
	inject_sync(ec << 26 | BIT(25) | (!a->fetch && a->write ? BIT(6) : 0) | 0x10);
}
