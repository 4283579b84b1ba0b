/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are counted from outside (tools/plugins/calls.c), and the guest that they are about.
 */
/* kizami/hcall.h is C's. */
#define HVC_NOTIFY_LOW	0x0003
#define HVC_NOTIFY_HIGH	0xc600
#define NOTIFY_SHUTDOWN	4

	.section .text.calls, "ax"
/*
 * x0: five words, the call's x0 to x4, which become its answer; x1: what is counted, or 0; x2: 1 if
 * it is looked at until control_settled.
 */
	.global control_call, control_begin, control_done
control_call:
	mov	x9, x0
	mov	x10, x1
	mov	x11, x2
	ldp	x0, x1, [x9]
	ldp	x2, x3, [x9, #16]
	ldr	x4, [x9, #32]
control_begin:
	hvc	#0
control_done:
	stp	x0, x1, [x9]
	str	x2, [x9, #16]
	ret

/* What followed the last call is over. */
	.global control_settled
control_settled:
	ret

/* x0: of what; x1: a number of it. */
	.global control_value
control_value:
	ret

/*
 * The guest that comes and goes: it is copied from here. Its page behind this one has the time
 * of its first instruction; control.c says what it does next.
 */
	.balign	64
	.global target_begin, target_mode, target_end
target_begin:
	mrs	x20, cntpct_el0
	msr	daifset, #0xf
	adr	x1, target_begin
	add	x1, x1, #0x1000
	str	x20, [x1]
	mov	x0, #HVC_NOTIFY_LOW
	movk	x0, #HVC_NOTIFY_HIGH, lsl #16
	mov	x1, #NOTIFY_SHUTDOWN
	hvc	#0
	ldr	w2, target_mode
	cbz	w2, 1f
	cmp	w2, #1
	b.eq	2f
/* 2: prints as much as a console keeps, and sleeps. */
	mov	x1, #0x09000000
	mov	w2, #1024
	mov	w3, #'.'
3:	ldr	w4, [x1, #0x18]
	tbnz	w4, #5, 3b
	str	w3, [x1]
	sub	w2, w2, #1
	cbnz	w2, 3b
/* 0: sleeps. */
1:	wfi
	b	1b
/*
 * 1: never sleeps. Its timer is always near: the cores of the model take turns, which are as long
 * as a quarter of the time to the next timer.
 */
2:	mov	x2, #3
	msr	cntv_ctl_el0, x2
4:	mrs	x3, cntvct_el0
	add	x3, x3, #100
	msr	cntv_cval_el0, x3
	b	4b
target_mode:
	.word	0
	.balign	64
target_end:
