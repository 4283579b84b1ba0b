/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EL2 exception vectors (DDI 0487 D1.3.1), the way into a guest, and the two
 * instructions sequences that C cannot say: SMC and the guest's FP registers.
 *
 * While a guest runs, SP_EL2 is its struct vcpu. A short exit (calls and
 * interrupts, most accesses) saves what the procedure call standard lets C
 * destroy; C keeps the rest. A long exit saves all, because the instruction to be
 * emulated names one of the others, or a report may want them. The hypervisor is
 * built with -ffixed-x18. ELR_EL2 and SPSR_EL2 stay where they are: EL2 takes no
 * exception of its own that it survives.
 */
#include "layout.h"
#include "vectors.h"

	.macro	save_short
	stp	x0, x1, [sp, #VCPU_X(0)]
	stp	x2, x3, [sp, #VCPU_X(2)]
	stp	x4, x5, [sp, #VCPU_X(4)]
	stp	x6, x7, [sp, #VCPU_X(6)]
	stp	x8, x9, [sp, #VCPU_X(8)]
	stp	x10, x11, [sp, #VCPU_X(10)]
	stp	x12, x13, [sp, #VCPU_X(12)]
	stp	x14, x15, [sp, #VCPU_X(14)]
	stp	x16, x17, [sp, #VCPU_X(16)]
	str	x30, [sp, #VCPU_X(30)]
	.endm

	.macro	restore_short
	ldp	x2, x3, [sp, #VCPU_X(2)]
	ldp	x4, x5, [sp, #VCPU_X(4)]
	ldp	x6, x7, [sp, #VCPU_X(6)]
	ldp	x8, x9, [sp, #VCPU_X(8)]
	ldp	x10, x11, [sp, #VCPU_X(10)]
	ldp	x12, x13, [sp, #VCPU_X(12)]
	ldp	x14, x15, [sp, #VCPU_X(14)]
	ldp	x16, x17, [sp, #VCPU_X(16)]
	ldr	x30, [sp, #VCPU_X(30)]
	ldp	x0, x1, [sp, #VCPU_X(0)]
	.endm

	.macro	save_rest
	stp	x18, x19, [x0, #VCPU_X(18)]
	stp	x20, x21, [x0, #VCPU_X(20)]
	stp	x22, x23, [x0, #VCPU_X(22)]
	stp	x24, x25, [x0, #VCPU_X(24)]
	stp	x26, x27, [x0, #VCPU_X(26)]
	stp	x28, x29, [x0, #VCPU_X(28)]
	.endm

	.macro	restore_rest
	ldp	x18, x19, [sp, #VCPU_X(18)]
	ldp	x20, x21, [sp, #VCPU_X(20)]
	ldp	x22, x23, [sp, #VCPU_X(22)]
	ldp	x24, x25, [sp, #VCPU_X(24)]
	ldp	x26, x27, [sp, #VCPU_X(26)]
	ldp	x28, x29, [sp, #VCPU_X(28)]
	.endm

	/* x0 = vCPU, cpu = the core's struct percpu; SP = its stack, which ends there. */
	.macro	host_stack cpu
	mov	x0, sp
	ldr	\cpu, [sp, #VCPU_HOST_SP]
	mov	sp, \cpu
	.endm

	/* KZ_TRACE_RUN of the vCPU x0; SP as above, where percpu.trace.next is. */
	.macro	trace_run
#ifndef TRACE_OFF
	mrs	x1, cntpct_el0
	ldr	x2, [x0, #VCPU_TRACE]
	ldr	x3, [sp]
	stp	x1, x2, [x3], #16
	stlr	x3, [sp]		/* a reader that sees it sees the record */
	tbnz	x3, #15, trace_full	/* KZ_TRACE_CHUNK */
#endif
	.endm

	/* A slot of the table: 32 instructions. */
	.macro	slot_at n
	.org	vectors + \n * 0x80
	.endm

	.macro	slot_sync n
	slot_at	\n
	save_short
	b	exit_sync
	.endm

	.macro	slot n, target
	slot_at	\n
	save_short
	host_stack x1
	bl	\target
	mov	sp, x0
	restore_short
	eret
	.endm

	/* From EL2 itself: ours to be ashamed of. What is left of the slot is used otherwise. */
	.macro	slot_bug n
	slot_at	\n
	bl	bug
	.endm

	.section .vectors, "ax"
	.balign	2048
	.global vectors
vectors:
	slot_bug 0
exit_sync:
	host_stack x2
	mrs	x1, esr_el2
	lsr	w3, w1, #26		/* ESR_EL2.EC, D19.2.37 */
	sub	w3, w3, #0x16		/* HVC and SMC in AArch64 state: 0x16, 0x17 */
	cmp	w3, #1
	b.hi	exit_sysreg
	bl	trap_call
	mov	sp, x0
	restore_short
	eret

	/*
	 * The instruction's register, ISS.Rt of a trapped MSR or MRS (EC 0x18) and
	 * ISS.SRT of a data abort (0x24): if it is one that is saved, that will do.
	 */
	slot_bug 1
exit_sysreg:
	cmp	w3, #(0x18 - 0x16)
	b.ne	exit_abort
	ubfx	w4, w1, #5, #5
	cmp	w4, #17
	b.hi	exit_sysreg_long
	bl	trap_sysreg
	mov	sp, x0
	restore_short
	eret

	slot_bug 2
exit_abort:
	cmp	w3, #(0x24 - 0x16)
	ubfx	w4, w1, #16, #5
	b.ne	exit_long
	cmp	w4, #17
	b.hi	exit_long
	bl	trap_sync
	mov	sp, x0
	restore_short
	eret

exit_sysreg_long:
	save_rest
	bl	trap_sysreg
	b	exit_all

	slot_bug 3
exit_long:
	save_rest
	bl	trap_sync
exit_all:
	mov	sp, x0
	restore_rest
	restore_short
	eret

	/*
	 * x0 = the vCPU that left, x1 = when; SP is as the vector had it, x18 to x29 are the
	 * guest's. The first slot is full.
	 */
	slot_bug 4
	.global trap_sched, trap_job_done, trap_next
trap_sched:
	save_rest
	bl	turn_sched
sched_run:
	trace_run
	/*
	 * void vcpu_enter(struct vcpu *v): from the core's own stack, which is
	 * empty behind it, to a guest that was reset or stopped.
	 */
	.global vcpu_enter
vcpu_enter:
	mov	sp, x0
	restore_rest
	restore_short
	eret

	slot_bug 5
trap_job_done:
	save_rest
	bl	turn_job_done
	b	sched_run
trap_next:
	save_rest
	bl	turn_next
	b	sched_run
bug:
	mrs	x0, tpidr_el2
	add	sp, x0, #PANIC_STACK
	ubfx	x0, x30, #7, #4		/* its slot */
	b	trap_bug

	/* void fp_clear(void): nothing of an earlier owner's is left in the FP registers. */
	slot_bug 6
	.arch_extension fp
	.arch_extension simd
	.global fp_clear
fp_clear:
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25
	movi	v\n\().2d, #0
	.endr
	b	1f
	slot_bug 7
1:	.irp	n, 26,27,28,29,30,31
	movi	v\n\().2d, #0
	.endr
	msr	fpcr, xzr
	msr	fpsr, xzr
	ret
trace_full:
	mov	x19, x0
	mov	x0, sp
	bl	trace_turn
	mov	x0, x19
	b	exit_all
	/* uint64_t smc_call(fn, a, b, c): SMCCC, DEN0028, 2.6: x4 to x17 are lost. */
	.global smc_call
smc_call:
	smc	#0
	ret

	/* From a guest in AArch64 state: synchronous, IRQ, FIQ, SError. */
	slot_sync 8
	slot	9, trap_irq
	slot	10, trap_irq
	slot	11, trap_serror
	/* From a guest's EL0 in AArch32 state. */
	slot_sync 12
	slot	13, trap_irq
	slot	14, trap_irq
	slot	15, trap_serror


	/* void fp_save(uint64_t *to), fp_load(const uint64_t *from): v0 to v31, FPCR, FPSR. */
	.macro	fp_pairs op
	\op	q0, q1, [x0]
	\op	q2, q3, [x0, #32]
	\op	q4, q5, [x0, #64]
	\op	q6, q7, [x0, #96]
	\op	q8, q9, [x0, #128]
	\op	q10, q11, [x0, #160]
	\op	q12, q13, [x0, #192]
	\op	q14, q15, [x0, #224]
	\op	q16, q17, [x0, #256]
	\op	q18, q19, [x0, #288]
	\op	q20, q21, [x0, #320]
	\op	q22, q23, [x0, #352]
	\op	q24, q25, [x0, #384]
	\op	q26, q27, [x0, #416]
	\op	q28, q29, [x0, #448]
	\op	q30, q31, [x0, #480]
	.endm

	.text
	.global fp_save, fp_load
fp_save:
	fp_pairs stp
	mrs	x1, fpcr
	mrs	x2, fpsr
	str	w1, [x0, #512]
	str	w2, [x0, #516]
	ret
fp_load:
	fp_pairs ldp
	ldr	w1, [x0, #512]
	ldr	w2, [x0, #516]
	msr	fpcr, x1
	msr	fpsr, x2
	ret
