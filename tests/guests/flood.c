/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that prints without end what costs a console the most: lines of nothing
 * but escapes, empty lines, sequences that begin and do not end, questions to the
 * terminal, lines that are written over, and long ones. It reads nothing.
 */
#include "console.h"
#include "guest.h"

#define LINE 160u

/* How a line begins, and what it goes on with. */
static const struct {
	char head[4], rest[5];
} lines[] = {
	{ "", "\x1b" }, { "", "\n" }, { "", "\x1b[" }, { "\x1b[", "0" },
	{ "", "\x1b[6n" }, { "", "x\r" }, { "", "\t" }, { "", "x" },
};

void guest_irq(uint64_t now)
{
	(void)now;
}

void guest_main(const void *fdt)
{
	console_init(fdt);
	for (uint32_t i = 0;; i = (i + 1) % (sizeof(lines) / sizeof(lines[0]))) {
		console_print(lines[i].head);
		for (uint32_t n = 0; n < LINE; n++) {
			console_print(lines[i].rest);
		}
		console_print("\n");
	}
}
