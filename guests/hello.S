/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest guest: no memory, no stack, no library, no device tree. It says
 * hello with a counter once a second on the PL011 of QEMU's virt, which is where
 * every VM finds its console by default, and sleeps in between.
 *
 * x19 UART   x20 counter   x21 ticks a second   x22 time of the next line
 * x23 GICv2 CPU interface, 0 on GICv3   x24 what it acknowledged
 */
#define UART		0x09000000
#define UART_DR		0x00
#define UART_FR		0x18
#define UART_FR_TXFF	5
#define GICD		0x08000000
#define GICD_ISENABLER	0x100
#define GICC		0x08010000
#define GICC_PMR	0x04
#define GICC_IAR	0x0c
#define GICC_EOIR	0x10
#define SPURIOUS	0x3ff
#define GICR		0x080a0000
#define GICR_SGI	0x080b0000
#define TIMER_BIT	(1 << 27)		/* the virtual timer's PPI */
#define ICC_IAR1_EL1	s3_0_c12_c12_0
#define ICC_EOIR1_EL1	s3_0_c12_c12_1
#define ICC_PMR_EL1	s3_0_c4_c6_0
#define ICC_IGRPEN1_EL1	s3_0_c12_c12_7

	.section .text.start, "ax"
	.global _start
_start:
	/* Only an interrupt that is enabled in the GIC ends WFI. It stays masked here. */
	msr	daifset, #0xf
	mov	w2, #TIMER_BIT
	mov	w3, #0xff
	mov	x4, #GICD
	mrs	x0, id_aa64pfr0_el1
	tst	x0, #(0xf << 24)		/* GIC system registers: a GICv3 */
	b.ne	gicv3
	mov	x23, #GICC
	mov	w0, #1
	str	w2, [x4, #GICD_ISENABLER]
	str	w0, [x4]			/* GICD_CTLR */
	str	w3, [x23, #GICC_PMR]
	str	w0, [x23]			/* GICC_CTLR */
	b	start
gicv3:	mov	x23, #0
	mov	x5, #GICR
	mov	x6, #GICR_SGI
	mov	w0, #0x12			/* affinity routing, group 1 */
	str	w0, [x4]			/* GICD_CTLR */
	str	wzr, [x5, #0x14]		/* GICR_WAKER */
	str	w2, [x6, #0x80]			/* GICR_IGROUPR0 */
	str	w2, [x6, #GICD_ISENABLER]
	msr	ICC_PMR_EL1, x3
	mov	x0, #1
	msr	ICC_IGRPEN1_EL1, x0

start:	mov	x19, #UART
	mov	x20, #0
	mov	x24, #SPURIOUS
	mrs	x21, cntfrq_el0
	mrs	x22, cntvct_el0

line:	add	x20, x20, #1
	adr	x0, text
	bl	puts
	mov	x0, x20
	bl	putn
	mov	w0, #'\n'
	bl	putc
	add	x22, x22, x21
	msr	cntv_cval_el0, x22		/* the timer's line falls */
	mov	x0, #1
	msr	cntv_ctl_el0, x0
	isb
	bl	end
sleep:	wfi
	bl	take
	mrs	x0, cntv_ctl_el0
	tbnz	x0, #2, line			/* ISTATUS */
	bl	end
	b	sleep

/* Acknowledges the interrupt that ended WFI: else it would end the next one too. */
take:	cbz	x23, 1f
	ldr	w24, [x23, #GICC_IAR]
	ret
1:	mrs	x24, ICC_IAR1_EL1
	ret

end:	cmp	w24, #SPURIOUS
	b.eq	2f
	cbz	x23, 1f
	str	w24, [x23, #GICC_EOIR]
	ret
1:	msr	ICC_EOIR1_EL1, x24
2:	ret

/* Prints the NUL-terminated string at x0. */
puts:	mov	x9, x30
	mov	x10, x0
1:	ldrb	w0, [x10], #1
	cbz	w0, 2f
	bl	putc
	b	1b
2:	ret	x9

/* Prints x0 in decimal, from its highest power of ten down. */
putn:	mov	x9, x30
	mov	x10, x0
	mov	x11, #1
	mov	x12, #10
1:	udiv	x13, x10, x11
	cmp	x13, x12
	b.lo	2f
	mul	x11, x11, x12
	b	1b
2:	udiv	x13, x10, x11
	msub	x10, x13, x11, x10
	add	w0, w13, #'0'
	bl	putc
	udiv	x11, x11, x12
	cbnz	x11, 2b
	ret	x9

/* Prints the byte in w0. */
putc:	ldr	w1, [x19, #UART_FR]
	tbnz	w1, #UART_FR_TXFF, putc
	strb	w0, [x19, #UART_DR]
	ret

text:	.asciz	"hello "
