/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only in the image that counts what it executes. What the compiler adds to count comes behind
 * calls too, so there are no tail calls, and C's callers of trap_sched have changed x18 to x29.
 * So every exit saves them, here, before C; and trap_sched and its like get them back. The
 * linker (--wrap) puts these in between; arch/ knows nothing of it.
 */
#include "vectors.h"

	.macro	save_rest
	stp	x18, x19, [x0, #VCPU_X(18)]
	stp	x20, x21, [x0, #VCPU_X(20)]
	stp	x22, x23, [x0, #VCPU_X(22)]
	stp	x24, x25, [x0, #VCPU_X(24)]
	stp	x26, x27, [x0, #VCPU_X(26)]
	stp	x28, x29, [x0, #VCPU_X(28)]
	.endm

	.macro	load_rest
	ldp	x18, x19, [x0, #VCPU_X(18)]
	ldp	x20, x21, [x0, #VCPU_X(20)]
	ldp	x22, x23, [x0, #VCPU_X(22)]
	ldp	x24, x25, [x0, #VCPU_X(24)]
	ldp	x26, x27, [x0, #VCPU_X(26)]
	ldp	x28, x29, [x0, #VCPU_X(28)]
	.endm

	.text
	/* What vectors.S calls: x0 = the vCPU that left, and the one that goes on. */
	.irp	name, call, sysreg, sync, irq, serror
	.global	__wrap_trap_\name
__wrap_trap_\name:
	save_rest
	str	x30, [sp, #-16]!
	bl	__real_trap_\name
	ldr	x30, [sp], #16
	load_rest
	ret
	.endr

	/* What C calls; these never return. SP is as the vector had it: percpu's address. */
	.irp	name, sched, job_done, next
	.global	__wrap_trap_\name
__wrap_trap_\name:
	load_rest
	ldr	x2, [x0, #VCPU_HOST_SP]
	mov	sp, x2
	b	__real_trap_\name
	.endr
