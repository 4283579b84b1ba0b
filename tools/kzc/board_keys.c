/* SPDX-License-Identifier: Apache-2.0 */
/* What a board file says beside its device tree. */
#include <string.h>

#include "board.h"

#define LINES_MAX 1024u
#define COST_END  1000000000ull

static void lines_set(struct board *b, struct conf_text lines)
{
	uint64_t n;

	if (lines.s == NULL) {
		return;
	}
	if (!conf_number(lines.s, &n) || (n < b->m.gic_lines) || (n > LINES_MAX) ||
	    ((n % 32) != 0)) {
		diag_error(&b->diag, lines.line,
			   "gic_lines is '%s': it is a multiple of 32 from %u "
			   "(the tree uses that many) to %u",
			   lines.s, b->m.gic_lines, LINES_MAX);
		return;
	}
	b->m.gic_lines = (uint32_t)n;
}

static void clocks_check(struct board *b)
{
	for (unsigned i = 0; i < b->clocks.count; i++) {
		const struct conf_text *item = &b->clocks.item[i];
		const char *node;
		const char *which;
		uint64_t rate;
		uint64_t number;

		if (!conf_clock(b->diag.mem, item->s, &node, &which, &rate) ||
		    !conf_number(which, &number)) {
			diag_error(&b->diag, item->line,
				   "clocks has '%s': it is \"PROVIDER NUMBER = "
				   "RATE\", the rate such as 100M, below 4G",
				   item->s);
		}
	}
}

/* What the hypervisor takes at times; dflt when the key is not given. */
static uint32_t cost_read(struct board *b, const char *key, struct conf_text text, uint32_t dflt)
{
	uint64_t ns;

	if (text.s == NULL) {
		return dflt;
	}
	if (!conf_time(text.s, &ns) || (ns >= COST_END)) {
		diag_error(&b->diag, text.line, "%s is '%s': it is a time below 1s, such as %uns",
			   key, text.s, dflt);
		return dflt;
	}
	return (uint32_t)ns;
}

void board_keys(struct board *b, const struct conf_board *conf)
{
	b->m.block_ns = cost_read(b, "block", conf->block, 10000);
	b->switch_ns = cost_read(b, "switch", conf->switch_cost, 400);
	b->irq_ns = cost_read(b, "interrupt", conf->interrupt_cost, 400);
	lines_set(b, conf->gic_lines);
	clocks_check(b);
}
