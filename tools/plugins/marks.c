/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for QEMU's TCG: how many instructions were executed before one in a range of
 * addresses was executed for the first time. For one core, from reset on.
 *
 *   -plugin marks.so,out=FILE,at=LOW:HIGH[,at=LOW:HIGH...]
 *
 * Addresses are hexadecimal, virtual ones as the guest has them then, HIGH excluded. The output
 * has a line for each range, in order of the command line: the count.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

EXPORT int qemu_plugin_version = 4;

#define MARKS 8

static struct {
	uint64_t low, high, count;
	bool reached;
} marks[MARKS];
static unsigned int mark_count;
static unsigned int left; /* not reached yet */
static uint64_t executed;
static const char *path;

static void write_all(void)
{
	FILE *f = fopen(path, "w");

	for (unsigned int i = 0; f != NULL && i < mark_count; i++) {
		fprintf(f, "%llu\n", (unsigned long long)marks[i].count);
	}
	if (f == NULL || fclose(f) != 0) {
		fprintf(stderr, "marks: cannot write %s\n", path);
	}
}

static void on_insn(unsigned int vcpu, void *data)
{
	const uint64_t at = (uint64_t)(uintptr_t)data;

	(void)vcpu;
	for (unsigned int i = 0; left != 0 && i < mark_count; i++) {
		if (!marks[i].reached && at >= marks[i].low && at < marks[i].high) {
			marks[i].reached = true;
			marks[i].count = executed;
			left--;
			if (left == 0) {
				write_all();
			}
		}
	}
	executed++;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; left != 0 && i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, on_insn, NO_REGS, (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool good = true;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0) {
			path = strdup(argv[i] + 4);
		} else if (strncmp(argv[i], "at=", 3) == 0 && mark_count < MARKS) {
			char *end = argv[i] + 3;

			marks[mark_count].low = strtoull(end, &end, 16);
			good &= *end == ':';
			marks[mark_count].high = strtoull(end + 1, NULL, 16);
			mark_count++;
		} else {
			good = false;
		}
	}
	left = mark_count;
	if (!good || path == NULL || mark_count == 0) {
		fprintf(stderr, "marks: out=FILE,at=LOW:HIGH,... is wanted\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
