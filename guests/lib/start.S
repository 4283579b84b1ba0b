/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a guest with the library: at the first byte of the image, at EL1 with
 * the MMU off, x0 = device tree (the Linux boot protocol). Clears .bss, sets the
 * stack and the vectors, and calls guest_main(device tree).
 */
	.section .text.start, "ax"
	.global _start
_start:
	msr	daifset, #0xf
	adrp	x1, _bss_start
	adrp	x2, _bss_end
1:	stp	xzr, xzr, [x1], #16
	cmp	x1, x2
	b.lo	1b
	adrp	x1, stack_top
	mov	sp, x1
	adr	x1, vectors
	msr	vbar_el1, x1
	isb
	mov	x29, #0
	mov	x30, #0
	bl	guest_main
	b	guest_end

/*
 * An interrupt: the counter is read by the second instruction, and handed to
 * guest_irq() as its argument. A handler in C saves x19..x29 itself.
 */
	.macro	irq_vector
	.balign	128
	stp	x0, x1, [sp, #-160]!
	mrs	x0, cntvct_el0
	b	irq_entry
	.endm

	.macro	fault_vector kind
	.balign	128
	mov	x0, #\kind
	b	fault_entry
	.endm

	.section .text.vectors, "ax"
	.balign	2048
vectors:
	fault_vector 0
	fault_vector 1
	fault_vector 2
	fault_vector 3
	fault_vector 4
	irq_vector
	fault_vector 6
	fault_vector 7
	fault_vector 8
	fault_vector 9
	fault_vector 10
	fault_vector 11
	fault_vector 12
	fault_vector 13
	fault_vector 14
	fault_vector 15

irq_entry:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x30, [sp, #144]
	bl	guest_irq
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x30, [sp, #144]
	ldp	x0, x1, [sp], #160
	eret

fault_entry:
	adrp	x1, stack_top
	mov	sp, x1
	mrs	x1, esr_el1
	mrs	x2, elr_el1
	mrs	x3, far_el1
	bl	guest_fault
	b	guest_end

guest_end:
	wfi
	b	guest_end

	.section .bss.stack, "aw", %nobits
	.balign	4096
	.space	8192
stack_top:
