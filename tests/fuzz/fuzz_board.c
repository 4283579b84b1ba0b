/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kzc/board_keys.c */
/* link: tools/kzc/board.c tools/kzc/conf.c tools/kzc/diag.c tools/kzc/dt.c tools/kzc/mem.c */
/* link: tools/kzc/conf_value.c tools/kzc/scan.c tools/kzc/whatis.c */
/* A board's device tree, as libfdt accepts it, with anything at all in it. */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "dt.h"
#include "whatis.h"

#define SIZE_MAX_USED \
	6000u /* libfdt walks from the front each time: larger ones only take time \
	                     */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

/* Ask about the ends of each area. */
static void ask(struct mem *mem, const struct board *b)
{
	unsigned left = 16;

	for (int node = fdt_next_node(b->fdt, -1, NULL); (node >= 0) && (left > 0);
	     node = fdt_next_node(b->fdt, node, NULL)) {
		struct dt_reg r;
		struct dt_irq irq;
		uint64_t child;
		bool more;

		for (unsigned i = 0; (i < 4) && dt_range(b->fdt, node, i, &child, &r); i++) {
			whatis_print(mem, b, r.base, nowhere);
		}
		if (dt_irq(b->fdt, node, 0, b->gic, &irq) == 1) {
			(void)dt_lookup(b->fdt, fdt_get_name(b->fdt, node, NULL), &more);
		}
		if (dt_reg(b->fdt, node, 0, &r)) {
			whatis_print(mem, b, r.base, nowhere);
			whatis_print(mem, b, r.base + r.size, nowhere);
			left--;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem mem = { NULL };
	struct board *b = calloc(1, sizeof(*b));
	struct bytes fdt;
	struct conf_board conf = { .ram = { "1M", 1 } };

	if (b == NULL) {
		abort();
	}
	size = (size > SIZE_MAX_USED) ? 0 : size;
	fdt = (struct bytes){ mem_zalloc(&mem, size), size };
	if (nowhere == NULL) {
		nowhere = fopen("/dev/null", "w");
	}
	if (size > 0) {
		memcpy(fdt.data, data, size);
	}
	b->name = "fuzz";
	b->diag = (struct diag){ .mem = &mem, .file = "fuzz" };
	if (dt_open(&fdt) && (board_parse(b, &conf, fdt) || (b->fdt != NULL))) {
		ask(&mem, b);
	}
	diag_print(&b->diag, nowhere);
	mem_free(&mem);
	free(b);
	return 0;
}
