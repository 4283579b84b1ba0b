/* SPDX-License-Identifier: Apache-2.0 */
/* The second vCPU of a test guest: a stack of its own, then second_main(context). */
#ifndef SECOND_H
#define SECOND_H

#include <stdint.h>

extern char second_entry[] __attribute__((visibility("hidden")));
void second_main(uint64_t context);

__asm__("	.pushsection .text.second, \"ax\"\n"
	"second_entry:\n"
	"	msr	daifset, #15\n"
	"	adrp	x1, second_stack_top\n"
	"	mov	sp, x1\n"
	"	b	second_main\n"
	"	.popsection\n"
	"	.pushsection .bss.second, \"aw\", %nobits\n"
	"	.balign	4096\n"
	"	.space	4096\n"
	"second_stack_top:\n"
	"	.popsection\n");

#endif
