/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's device tree, written from the front to the back. */
#ifndef KZC_TREE_H
#define KZC_TREE_H

#include "sys.h"

#define TREE_CLOCKS_MAX 32u

struct tree {
	void *fdt;
	int err; /* libfdt's first error; what follows it does nothing */
	uint32_t phandle_gic;
	uint32_t phandle_cpu; /* of vCPU 0; the others' follow */
	uint32_t phandle_next;
	struct {
		uint64_t rate;
		uint32_t phandle;
	} clock[TREE_CLOCKS_MAX]; /* fixed clocks wanted so far */
	unsigned clock_count;
};

/* tree_make - the guest's tree, packed. Devices' mistakes are reported as they are met. */
struct bytes tree_make(struct sys *s, const struct vm *vm);

/* The pieces that it is made of; text is NUL-ended, cells and u64 are as in the specification. */
void tree_begin(struct tree *t, const char *name);
void tree_end(struct tree *t);
void tree_flag(struct tree *t, const char *name);
void tree_text(struct tree *t, const char *name, const char *text);
void tree_texts(struct tree *t, const char *name, const char *const *list);
void tree_cell(struct tree *t, const char *name, uint32_t value);
void tree_cells(struct tree *t, const char *name, const uint32_t *value, unsigned count);
void tree_bytes(struct tree *t, const char *name, const void *data, int len);

/* tree_clock - the phandle of a fixed clock of that rate. */
uint32_t tree_clock(struct tree *t, uint64_t rate);

/* pass_devices - the passed-through devices' nodes (pass.c). */
void pass_devices(struct sys *s, const struct vm *vm, struct tree *t);

#endif
