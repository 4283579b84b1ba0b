/* SPDX-License-Identifier: Apache-2.0 */
/* What a compiler calls by itself, byte by byte: it must work with the MMU off. */
	.section .text.memset, "ax"
	.global memset
memset:
	mov	x3, x0
1:	cbz	x2, 2f
	strb	w1, [x3], #1
	sub	x2, x2, #1
	b	1b
2:	ret

	.section .text.memcpy, "ax"
	.global memcpy
memcpy:
	mov	x3, x0
1:	cbz	x2, 2f
	ldrb	w4, [x1], #1
	strb	w4, [x3], #1
	sub	x2, x2, #1
	b	1b
2:	ret
