/* SPDX-License-Identifier: Apache-2.0 */
/* What one wants to know of a device tree, over libfdt. Nodes are libfdt's offsets. */
#ifndef KZC_DT_H
#define KZC_DT_H

#include "mem.h"

struct dt_reg {
	uint64_t base, size; /* as the CPU sees it */
};

struct dt_irq {
	uint32_t intid; /* 16.. PPI, 32.. SPI */
	uint32_t flags; /* the specifier's third cell */
};

/* dt_open - check a flattened tree of at most size bytes; false when it is none. */
bool dt_open(const struct bytes *file);

/* dt_cell - the index-th cell of a property; false when it is shorter or not there. */
bool dt_cell(const void *fdt, int node, const char *prop, int index, uint32_t *out);

/* dt_cells - a property of one cell, or its default. */
uint32_t dt_cells(const void *fdt, int node, const char *prop, uint32_t dflt);

/* dt_string - a property that is a string, or NULL. */
const char *dt_string(const void *fdt, int node, const char *prop);

/*
 * dt_reg - the index-th entry of a node's reg, through the ranges of its parents. False when
 * there is none, or when no address of the CPU belongs to it.
 */
bool dt_reg(const void *fdt, int node, unsigned index, struct dt_reg *out);

/*
 * dt_range - the index-th entry of a bus's ranges: the address on the bus and where the CPU has
 * it. False when there is none; a bus without any has the CPU's addresses.
 */
bool dt_range(const void *fdt, int node, unsigned index, uint64_t *child, struct dt_reg *out);

/*
 * dt_irq_cells - the index-th interrupt of a node (interrupts-extended or interrupts).
 * Returns its number of cells, 0 when there is none, -1 when it is malformed; *parent is the
 * interrupt controller's node.
 */
int dt_irq_cells(const void *fdt, int node, unsigned index, int *parent, uint32_t cell[4]);

/*
 * dt_irq - the same, as an interrupt of the GIC. Returns 1, 0 when there is none, -1 when it is
 * malformed or another controller's.
 */
int dt_irq(const void *fdt, int node, unsigned index, int gic, struct dt_irq *out);

/* dt_is - is the node's compatible list one with a word of that list (ended by NULL)? */
bool dt_is(const void *fdt, int node, const char *const *words);

/* dt_enabled - has the node no status, or status okay? */
bool dt_enabled(const void *fdt, int node);

/* dt_find - the first enabled node that dt_is() from the list, or a negative value. */
int dt_find(const void *fdt, const char *const *words);

/*
 * dt_lookup - the node of a path, an alias or a name ("timer@ff110000"). Negative when there
 * is none; *more says that a name fits several nodes.
 */
int dt_lookup(const void *fdt, const char *name, bool *more);

/* dt_path - the node's path. */
const char *dt_path(struct mem *mem, const void *fdt, int node);

#endif
