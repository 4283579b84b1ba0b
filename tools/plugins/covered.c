/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for QEMU's TCG: which instructions of the hypervisor's assembly were
 * executed. C counts by itself (docs/coverage.md). tests/qemu/covered.py writes the
 * map that it reads and reads the file that it writes.
 *
 *   -plugin covered.so,map=FILE,out=FILE
 *
 * The map: the address of the image, and then an instruction a line: its offset
 * and its word, in hexadecimal. The output: a byte for each of them, in order, not 0
 * if it was executed; mapped, so that it is there however QEMU ends.
 *
 * Only where QEMU translates these words is anything marked: guests may use the
 * same addresses. The entry runs before the MMU is on, wherever the image
 * was loaded: of it a whole block must be as it is in the image.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

EXPORT int qemu_plugin_version = 4;

/* ---- The map ---- */

#define INSNS	   4096
#define TEXT_WORDS 262144	/* of the image's text: 1 MiB */
#define LOAD_ALIGN 0x200000	/* where an image may be loaded */
#define ENTRY_SIZE 0x1000	/* what runs there before the MMU is on */

static uint64_t base;
static uint32_t words[INSNS];
static uint16_t number[TEXT_WORDS];	/* by offset / 4: 1 + its index in words */
static uint32_t count;
static volatile uint8_t *out;

/* ---- While the machine runs ---- */

static void on_insn(unsigned int vcpu, void *data)
{
	volatile uint8_t *mark = data;

	(void)vcpu;
	*mark = 1;
}

/* The mark of the instruction, NULL: it is none of ours. */
static volatile uint8_t *mark_of(const struct qemu_plugin_insn *insn, uint64_t from)
{
	uint64_t offset = qemu_plugin_insn_vaddr(insn) - from;
	uint32_t n;

	if (offset / 4 >= TEXT_WORDS) {
		return NULL;
	}
	n = number[offset / 4];
	return n != 0 && insn_is(insn, words[n - 1]) ? &out[n - 1] : NULL;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	uint64_t from = base;
	uint64_t at = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));

	(void)id;
	if (at - base >= TEXT_WORDS * 4u) {
		from = at & ~(uint64_t)(LOAD_ALIGN - 1);
		if (at - from >= ENTRY_SIZE) {
			return;
		}
		for (size_t i = 0; i < n; i++) {
			if (mark_of(qemu_plugin_tb_get_insn(tb, i), from) == NULL) {
				return;
			}
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		volatile uint8_t *mark = mark_of(insn, from);

		if (mark != NULL) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, NO_REGS,
							       (void *)(uintptr_t)mark);
		}
	}
}

/* ---- When it is loaded ---- */

static bool map_read(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long v[2]; /* offset, word */
	char line[64];
	bool ok = f != NULL && fgets(line, sizeof(line), f) != NULL && numbers_read(line, v, 1);

	base = ok ? v[0] : 0;
	while (ok && fgets(line, sizeof(line), f) != NULL) {
		ok = numbers_read(line, v, 2) && v[0] / 4 < TEXT_WORDS && v[1] <= UINT32_MAX &&
		     count < INSNS;
		if (ok) {
			words[count++] = (uint32_t)v[1];
			number[v[0] / 4] = (uint16_t)count;
		} else {
			fprintf(stderr, "covered: %s: too much, or not an instruction\n", path);
		}
	}
	return f != NULL && fclose(f) == 0 && ok && count > 0;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool map = false;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "map=", 4) == 0) {
			map = map_read(argv[i] + 4);
		} else if (strncmp(argv[i], "out=", 4) == 0) {
			out = output_map(argv[i] + 4, INSNS);
		}
	}
	if (!map || out == NULL) {
		fprintf(stderr, "covered: no map, or no output\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
