/* SPDX-License-Identifier: Apache-2.0 */
/* A small reader of flattened device trees (Devicetree Specification v0.4, chapter 5). */
#ifndef GUEST_FDT_H
#define GUEST_FDT_H

#include <stdbool.h>
#include <stdint.h>

/* What one node says; pointers are into the tree, null when a property is absent. */
struct fdt_node {
	const uint8_t *reg;
	const uint8_t *interrupts;
	const uint8_t *method;		/* of a PSCI node */
	uint32_t reg_size;		/* bytes */
	uint32_t interrupts_size;	/* bytes */
	uint32_t address_cells;		/* of the parent: they shape reg */
	uint32_t size_cells;
};

/*
 * Finds the first node whose "compatible" or "device_type" list has the string
 * type. A tree that is not one, or is damaged, has no such node.
 */
bool fdt_find(const void *fdt, const char *type, struct fdt_node *node);

/* The index-th address and size of the node's reg; false when it has fewer. */
bool fdt_reg(const struct fdt_node *node, uint32_t index, uint64_t *address, uint64_t *size);

/* The command line, "bootargs" of /chosen; "" without one. */
const char *fdt_bootargs(const void *fdt);

/* The INTID of the node's index-th interrupt, in the GIC's three cells; 0 when it has fewer. */
uint32_t fdt_intid(const struct fdt_node *node, uint32_t index);

#endif
