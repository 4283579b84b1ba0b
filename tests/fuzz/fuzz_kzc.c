/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kzc/admit.c tools/kzc/rt.c tools/kzc/rt_demand.c tools/kzc/rt_inner.c */
/* link: tools/kzc/board_keys.c tools/kzc/cores.c tools/kzc/realtime.c */
/* link: tools/kzc/board.c tools/kzc/conf.c tools/kzc/device.c tools/kzc/diag.c tools/kzc/dt.c */
/* link: tools/kzc/guest.c tools/kzc/image.c tools/kzc/map.c tools/kzc/mem.c tools/kzc/pass.c */
/* link: tools/kzc/place.c tools/kzc/ram.c tools/kzc/scan.c tools/kzc/svg.c tools/kzc/sys.c */
/* link: tools/kzc/trace.c tools/kzc/conf_value.c tools/kzc/control.c tools/kzc/health.c */
/* link: tools/kzc/intid.c */
/* link: tools/kzc/tree.c tools/kzc/vm.c hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * kzc from text to image on a small board. The input is a configuration; behind its first NUL
 * are the bytes of the file "fuzz", which it can use as an image, a ramdisk or a device tree.
 * kzc must never make a blob that the hypervisor refuses.
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "board_make.h"
#include "file_add.h"
#include "map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mem board_mem;
static struct board board;
static FILE *nowhere;

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void init(void)
{
	static struct conf_text clock = { "clocks 3 = 50M", 1 };
	struct conf_board conf = { .gic_lines = { "128", 1 }, .clocks = { &clock, 1, 1 } };
	struct bytes fdt = { mem_zalloc(&board_mem, BOARD_MAKE_SIZE), BOARD_MAKE_SIZE };

	board_make(fdt.data);
	require(dt_open(&fdt));
	board.name = "fuzz";
	board.diag = (struct diag){ .mem = &board_mem, .file = "board" };
	require(board_parse(&board, &conf, fdt));
	nowhere = fopen("/dev/null", "w");
	require(nowhere != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = (size == 0) ? NULL : memchr(data, '\0', size);
	size_t len = (nul == NULL) ? size : (size_t)(nul - data);
	struct sys *s = calloc(1, sizeof(*s));
	char *text;

	require(s != NULL);
	if (nowhere == NULL) {
		init();
	}
	s->diag = (struct diag){ .mem = &s->mem, .file = "fuzz.conf" };
	s->dir = "/nonexistent";
	s->hv.size = 4096;
	s->hv.data = mem_zalloc(&s->mem, s->hv.size);
	file_add(s, "raw", "raw binary", 10);
	file_add(s, "fuzz", (nul == NULL) ? data : nul + 1, (nul == NULL) ? 0 : size - len - 1);
	text = mem_strndup(&s->mem, (const char *)((size == 0) ? (const uint8_t *)"" : data), len);
	if (sys_parse(s, text, len, &board)) {
		require(image_make(s).data != NULL);
		map_text(s, nowhere);
		map_svg(s, nowhere);
		require(map_whatis(s, s->board.m.trace_pa, nowhere));
		require(map_whatis(s, s->board.image_pa, nowhere));
	} else {
		require(s->diag.errors > 0);
	}
	diag_print(&s->diag, nowhere);
	mem_free(&s->mem);
	free(s);
	return 0;
}
