/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the measuring guest: at EL1 with the MMU off, x0 = device tree. It has the
 * header of a Linux arm64 Image, so that all hypervisors and QEMU load it alike. The first
 * instructions behind the header's branch read both counters.
 */
	.section .text.start, "ax"
	.global _start
_start:
	b	entry
	.long	0
	.quad	0			/* text_offset */
	.quad	_end - . + 16		/* image_size, which this word is 16 bytes into */
	.quad	(1 << 3) | (1 << 1)	/* little-endian, 4 KiB pages, anywhere */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

entry:
	mrs	x20, cntpct_el0
	mrs	x21, cntvct_el0
	msr	daifset, #0xf
	msr	tpidr_el1, xzr		/* which CPU: 0 */
	adrp	x1, _bss_start
	adrp	x2, _bss_end
1:	stp	xzr, xzr, [x1], #16
	cmp	x1, x2
	b.lo	1b
	adrp	x1, stack_top
	mov	sp, x1
	bl	cpu_prepare
	mov	x1, x20
	mov	x2, x21
	bl	bench_main
1:	wfi
	b	1b

/* CPU_ON enters here: the counter is read by the first instruction. x0 = context. */
	.section .text.second, "ax"
	.global second_entry
second_entry:
	mrs	x20, cntvct_el0
	msr	daifset, #0xf
	mov	x1, #1
	msr	tpidr_el1, x1
	adrp	x1, second_stack_top
	mov	sp, x1
	bl	cpu_prepare
	mov	x1, x20
	bl	second_main
1:	wfi
	b	1b

/* Little-endian, MMU and caches off, all RES1 bits; vectors; FP/SIMD is not trapped. */
cpu_prepare:
	mov	x1, #0x0800
	movk	x1, #0x30d0, lsl #16
	msr	sctlr_el1, x1
	adr	x1, vectors
	msr	vbar_el1, x1
	mov	x1, #(3 << 20)
	msr	cpacr_el1, x1
	isb
	ret

	.macro	bad_vector
	.balign	128
	b	.
	.endm

	.section .text.vectors, "ax"
	.balign	2048
vectors:
	bad_vector
	bad_vector
	bad_vector
	bad_vector
	.balign	128
	b	sync_entry
	/* An interrupt: the counter is read by the second instruction. */
	.balign	128
	stp	x0, x1, [sp, #-160]!
	mrs	x0, cntvct_el0
	b	irq_entry
	.rept	10
	bad_vector
	.endr

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
	bl	bench_irq
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

/* What is refused is counted, and skipped: SMC has no answer on some machines. */
sync_entry:
	stp	x0, x1, [sp, #-16]!
	mrs	x0, elr_el1
	add	x0, x0, #4
	msr	elr_el1, x0
	adrp	x0, refused
	ldr	x1, [x0, #:lo12:refused]
	add	x1, x1, #1
	str	x1, [x0, #:lo12:refused]
	ldp	x0, x1, [sp], #16
	eret

	.section .bss.stacks, "aw", %nobits
	.balign	4096
	.space	20480			/* an image of 110 KiB, as others' figures have it */
stack_top:
	.space	4096
second_stack_top:
