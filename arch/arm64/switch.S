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
	/* void el1_load(v, unused, const uint64_t *regs) */
	.global el1_load
el1_load:
	ldp	x3, x4, [x2, #0]
	msr	sctlr_el1, x3
	msr	cpacr_el1, x4
	ldp	x3, x4, [x2, #16]
	msr	ttbr0_el1, x3
	msr	ttbr1_el1, x4
	ldp	x3, x4, [x2, #32]
	msr	tcr_el1, x3
	msr	mair_el1, x4
	ldp	x3, x4, [x2, #48]
	msr	vbar_el1, x3
	msr	contextidr_el1, x4
	ldp	x3, x4, [x2, #64]
	msr	tpidr_el0, x3
	msr	tpidrro_el0, x4
	ldp	x3, x4, [x2, #80]
	msr	tpidr_el1, x3
	msr	csselr_el1, x4
	ldp	x3, x4, [x2, #96]
	msr	elr_el1, x3
	msr	spsr_el1, x4
	ldp	x3, x4, [x2, #112]
	msr	esr_el1, x3
	msr	far_el1, x4
	ldp	x3, x4, [x2, #128]
	msr	par_el1, x3
	msr	cntkctl_el1, x4
	ldp	x3, x4, [x2, #144]
	msr	sp_el0, x3
	msr	sp_el1, x4
	ldp	x3, x4, [x2, #160]
	msr	elr_el2, x3
	msr	spsr_el2, x4
	ldp	x3, x4, [x2, #176]
	msr	cntv_ctl_el0, x3
	msr	cntv_cval_el0, x4
	ldp	x3, x4, [x2, #192]
	msr	cptr_el2, x3
	msr	vttbr_el2, x4
	ldp	x3, x4, [x2, #208]
	msr	vmpidr_el2, x3
	msr	cntvoff_el2, x4
	ret
