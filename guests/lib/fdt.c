/* SPDX-License-Identifier: Apache-2.0 */
#include "fdt.h"

#include <stddef.h>

#define FDT_MAGIC	0xd00dfeedu
#define FDT_BEGIN_NODE	1u
#define FDT_END_NODE	2u
#define FDT_PROP	3u
#define FDT_NOP		4u
#define FDT_DEPTH_MAX	16u

/* Offsets in the header. */
#define FDT_TOTALSIZE	4u
#define FDT_OFF_STRUCT	8u
#define FDT_OFF_STRINGS	12u

struct fdt_level {
	uint32_t address_cells;	/* for the children */
	uint32_t size_cells;
	struct fdt_node node;
	bool match;
};

struct fdt_walk {
	const uint8_t *base;
	const uint8_t *strings;
	uint32_t size;
	uint32_t at;		/* offset of the next token */
	uint32_t depth;		/* of level[]: 0 is above the root */
	const char *type;
	const char *bootargs;
	struct fdt_level level[FDT_DEPTH_MAX];
};

static uint32_t fdt_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool text_equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Whether one of the NUL-separated strings in list is text. */
static bool list_has(const uint8_t *list, uint32_t size, const char *text)
{
	for (uint32_t i = 0; i < size; i++) {
		if ((i == 0 || list[i - 1] == '\0') && text_equal((const char *)list + i, text)) {
			return true;
		}
	}
	return false;
}

static void walk_property(struct fdt_walk *walk, const char *name, const uint8_t *value,
			  uint32_t size)
{
	struct fdt_level *level = &walk->level[walk->depth];

	if (text_equal(name, "#address-cells") && size == 4) {
		level->address_cells = fdt_be32(value);
	} else if (text_equal(name, "#size-cells") && size == 4) {
		level->size_cells = fdt_be32(value);
	} else if (text_equal(name, "reg")) {
		level->node.reg = value;
		level->node.reg_size = size;
	} else if (text_equal(name, "interrupts")) {
		level->node.interrupts = value;
		level->node.interrupts_size = size;
	} else if (text_equal(name, "method") && size > 0) {
		level->node.method = value;
	} else if (text_equal(name, "bootargs") && size > 0 && value[size - 1] == '\0') {
		walk->bootargs = (const char *)value;
	} else if (text_equal(name, "compatible") || text_equal(name, "device_type")) {
		level->match = level->match || list_has(value, size, walk->type);
	}
}

static bool walk_begin(struct fdt_walk *walk)
{
	struct fdt_level *level;

	if (walk->depth + 1 >= FDT_DEPTH_MAX) {
		return false;
	}
	walk->depth++;
	level = &walk->level[walk->depth];
	*level = (struct fdt_level){ .address_cells = 2, .size_cells = 1 };
	level->node.address_cells = level[-1].address_cells;
	level->node.size_cells = level[-1].size_cells;
	while (walk->at < walk->size && walk->base[walk->at] != '\0') {
		walk->at++;
	}
	walk->at = (walk->at + 4u) & ~3u;
	return true;
}

/* Takes one token; false at the end of the tree, or where it is damaged. */
static bool walk_step(struct fdt_walk *walk, bool *node_ended)
{
	uint32_t token, size;
	const uint8_t *property;

	*node_ended = false;
	if (walk->at + 12u > walk->size) {
		return false;
	}
	token = fdt_be32(walk->base + walk->at);
	walk->at += 4;
	switch (token) {
	case FDT_BEGIN_NODE:
		return walk_begin(walk);
	case FDT_END_NODE:
		*node_ended = true;
		return walk->depth > 0;
	case FDT_PROP:
		property = walk->base + walk->at;
		size = fdt_be32(property);
		if (size > walk->size - walk->at - 8u) {
			return false;
		}
		walk->at += (8u + size + 3u) & ~3u;
		walk_property(walk, (const char *)walk->strings + fdt_be32(property + 4),
			      property + 8, size);
		return true;
	default:
		return token == FDT_NOP;
	}
}

static bool walk_start(struct fdt_walk *walk, const void *fdt, const char *type)
{
	const uint8_t *base = fdt;

	*walk = (struct fdt_walk){ .base = base, .type = type, .bootargs = "" };
	if (base == NULL || fdt_be32(base) != FDT_MAGIC) {
		return false;
	}
	walk->size = fdt_be32(base + FDT_TOTALSIZE);
	walk->at = fdt_be32(base + FDT_OFF_STRUCT);
	walk->strings = base + fdt_be32(base + FDT_OFF_STRINGS);
	return true;
}

bool fdt_find(const void *fdt, const char *type, struct fdt_node *node)
{
	struct fdt_walk walk;
	bool node_ended;

	if (!walk_start(&walk, fdt, type)) {
		return false;
	}
	while (walk_step(&walk, &node_ended)) {
		if (node_ended) {
			if (walk.level[walk.depth].match) {
				*node = walk.level[walk.depth].node;
				return true;
			}
			walk.depth--;
		}
	}
	return false;
}

const char *fdt_bootargs(const void *fdt)
{
	struct fdt_walk walk;
	bool node_ended;

	/* No node is of the type "/": the whole tree is walked. */
	if (walk_start(&walk, fdt, "/")) {
		while (walk_step(&walk, &node_ended)) {
			walk.depth -= node_ended ? 1 : 0;
		}
	}
	return walk.bootargs;
}

static uint64_t cells_read(const uint8_t *p, uint32_t cells)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < cells; i++) {
		value = value << 32 | fdt_be32(p + (size_t)4 * i);
	}
	return value;
}

bool fdt_reg(const struct fdt_node *node, uint32_t index, uint64_t *address, uint64_t *size)
{
	const uint32_t entry = 4u * (node->address_cells + node->size_cells);
	const uint8_t *reg = node->reg + (size_t)index * entry;

	if (node->reg == NULL || entry == 0 || node->reg_size / entry <= index) {
		return false;
	}
	*address = cells_read(reg, node->address_cells);
	*size = cells_read(reg + (size_t)4 * node->address_cells, node->size_cells);
	return true;
}

uint32_t fdt_intid(const struct fdt_node *node, uint32_t index)
{
	const uint8_t *entry = node->interrupts + (size_t)12 * index;

	if (node->interrupts == NULL || node->interrupts_size / 12u <= index) {
		return 0;
	}
	/* Cell 0: 1 is a PPI, 0 an SPI. */
	return fdt_be32(entry + 4) + (fdt_be32(entry) == 1 ? 16u : 32u);
}
