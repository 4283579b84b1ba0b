/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the boot core and of the others, before there is a stack or an MMU.
 * The boot protocol is that of a Linux arm64 Image (Documentation/arch/arm64/
 * booting.rst): EL2, MMU off, D-cache off for the image's range.
 *
 * All of it lies in the image's first page, which stays mapped at its physical
 * address as well, so that the switch to HV_VA has ground under its feet.
 */
#include "layout.h"

	.section .head, "ax"
	.global _head
_head:
	b	boot_entry
	.long	0
	.quad	0x200000		/* text_offset */
	.quad	0			/* image_size: kzc knows it */
	/* little endian, 4 KiB pages, as near to the base of RAM as text_offset says */
	.quad	2
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

boot_entry:
	msr	daifset, #0xf
	mrs	x1, CurrentEL
	cmp	x1, #(2 << 2)
	b.ne	not_el2
	adrp	x19, _head		/* the image's physical address */
	adrp	x20, _percpu
	add	x21, x20, #PERCPU_DATA
	mov	sp, x21
	mov	x0, x19
	bl	boot_map		/* x0 = root table, physical */
	mov	x22, x0
	mov	x20, x19
	bl	mmu_on
	/* From here at HV_VA. x19 still is the image's physical address. */
	ldr	x1, =_percpu + PERCPU_DATA
	mov	sp, x1
	msr	tpidr_el2, x1
	mov	x0, x19
	bl	boot_main
	b	.

not_el2:
	wfi
	b	not_el2

	/* PSCI CPU_ON: x0 = the core's data page, at HV_VA. */
	.global secondary_entry
secondary_entry:
	msr	daifset, #0xf
	mov	x21, x0
	adrp	x20, _head
	adr	x1, boot_root
	ldr	x22, [x1]
	bl	mmu_on
	mov	sp, x21
	msr	tpidr_el2, x21
	mov	x0, x21
	bl	secondary_main
	b	.

	/*
	 * Turn the MMU on with the table at x22 and return to the caller at
	 * HV_VA. x20 = physical address of the image.
	 */
mmu_on:
	adr	x1, boot_regs
	ldp	x2, x3, [x1]
	ldp	x4, x5, [x1, #16]
	mrs	x6, id_aa64mmfr0_el1	/* TCR_EL2.PS = PARange, 48 bits at most */
	and	x6, x6, #0xf
	mov	x7, #5
	cmp	x6, x7
	csel	x6, x6, x7, lo
	bfi	x3, x6, #16, #3
	msr	mair_el2, x2
	msr	tcr_el2, x3
	msr	ttbr0_el2, x22
	tlbi	alle2
	ic	iallu
	dsb	nsh			/* the invalidations before the first walk */
	isb
	msr	sctlr_el2, x4
	isb				/* the MMU before the next fetch */
	sub	x30, x30, x20
	add	x30, x30, x5
	ret

	.balign	16
	/*
	 * D19.2: MAIR_EL2, TCR_EL2 (T0SZ 25, inner shareable, write-back), SCTLR_EL2 (M C I SA
	 * WXN), base.
	 */
boot_regs:
	/* 0: device nGnRE, 1: normal write-back, 2: normal non-cacheable */
	.quad	0x44ff04
	.quad	0x80803519
	.quad	0x30cd183d
	.quad	HV_VA
	.global boot_root
boot_root:
	.quad	0			/* written once, before the page becomes read-only */
	.global boot_size
boot_size:
	.quad	_end - _head
	.ltorg
