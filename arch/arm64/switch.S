/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system registers of a vCPU, to memory and back: struct arch_away, in this order
 * (arch_types.h asserts it). Pairs, which no compiler makes of volatile accesses. eret
 * synchronizes what is written here before the guest sees it.
 */
	.text
	/* struct vcpu *el1_switch(v, uint64_t *from, const uint64_t *to): v */
	.global el1_switch
el1_switch:
	mrs	x4, sctlr_el1
	mrs	x3, cpacr_el1
	stp	x4, x3, [x1, #0]
	mrs	x4, ttbr0_el1
	mrs	x3, ttbr1_el1
	stp	x4, x3, [x1, #16]
	mrs	x4, tcr_el1
	mrs	x3, mair_el1
	stp	x4, x3, [x1, #32]
	mrs	x4, vbar_el1
	mrs	x3, contextidr_el1
	stp	x4, x3, [x1, #48]
	mrs	x4, tpidr_el0
	mrs	x3, tpidrro_el0
	stp	x4, x3, [x1, #64]
	mrs	x4, tpidr_el1
	mrs	x3, csselr_el1
	stp	x4, x3, [x1, #80]
	mrs	x4, elr_el1
	mrs	x3, spsr_el1
	stp	x4, x3, [x1, #96]
	mrs	x4, esr_el1
	mrs	x3, far_el1
	stp	x4, x3, [x1, #112]
	mrs	x4, par_el1
	mrs	x3, cntkctl_el1
	stp	x4, x3, [x1, #128]
	mrs	x4, sp_el0
	mrs	x3, sp_el1
	stp	x4, x3, [x1, #144]
	mrs	x4, elr_el2
	mrs	x3, spsr_el2
	stp	x4, x3, [x1, #160]
	mrs	x4, cntv_ctl_el0
	mrs	x3, cntv_cval_el0
	stp	x4, x3, [x1, #176]
	mrs	x4, cntp_ctl_el0
	mrs	x3, cntp_cval_el0
	stp	x4, x3, [x1, #192]
	mrs	x4, hcr_el2		/* HCR_EL2.VSE goes by itself */
	str	x4, [x1, #208]
	cbz	x2, 1f
	mov	x1, x2
	/* void el1_load(struct vcpu *v, const uint64_t *regs) */
	.global el1_load
el1_load:
	ldp	x2, x3, [x1, #0]
	msr	sctlr_el1, x2
	msr	cpacr_el1, x3
	ldp	x2, x3, [x1, #16]
	msr	ttbr0_el1, x2
	msr	ttbr1_el1, x3
	ldp	x2, x3, [x1, #32]
	msr	tcr_el1, x2
	msr	mair_el1, x3
	ldp	x2, x3, [x1, #48]
	msr	vbar_el1, x2
	msr	contextidr_el1, x3
	ldp	x2, x3, [x1, #64]
	msr	tpidr_el0, x2
	msr	tpidrro_el0, x3
	ldp	x2, x3, [x1, #80]
	msr	tpidr_el1, x2
	msr	csselr_el1, x3
	ldp	x2, x3, [x1, #96]
	msr	elr_el1, x2
	msr	spsr_el1, x3
	ldp	x2, x3, [x1, #112]
	msr	esr_el1, x2
	msr	far_el1, x3
	ldp	x2, x3, [x1, #128]
	msr	par_el1, x2
	msr	cntkctl_el1, x3
	ldp	x2, x3, [x1, #144]
	msr	sp_el0, x2
	msr	sp_el1, x3
	ldp	x2, x3, [x1, #160]
	msr	elr_el2, x2
	msr	spsr_el2, x3
	ldp	x2, x3, [x1, #176]
	msr	cntv_ctl_el0, x2
	msr	cntv_cval_el0, x3
	ldp	x2, x3, [x1, #192]
	msr	cntp_ctl_el0, x2
	msr	cntp_cval_el0, x3
	ldp	x2, x3, [x1, #208]
	msr	hcr_el2, x2
	msr	vttbr_el2, x3
	ldp	x2, x3, [x1, #224]
	msr	vmpidr_el2, x2
	msr	cntvoff_el2, x3
1:	ret
