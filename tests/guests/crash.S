/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that reads from nowhere as soon as it starts. */
	.section .text.start, "ax"
	.global _start
_start:
	mov	x0, #0x20000000
	ldr	w1, [x0]
1:	wfi
	b	1b
