/* SPDX-License-Identifier: Apache-2.0 */
#include "dt.h"

#include <libfdt.h>
#include <string.h>

#define DEPTH_MAX 16 /* buses above a node */

bool dt_open(const struct bytes *file)
{
	return (file->size >= sizeof(struct fdt_header)) &&
	       (fdt_check_full(file->data, file->size) == 0);
}

bool dt_cell(const void *fdt, int node, const char *prop, int index, uint32_t *out)
{
	int len;
	const fdt32_t *cell = fdt_getprop(fdt, node, prop, &len);

	if ((cell == NULL) || (index < 0) || (len / 4 <= index)) {
		return false;
	}
	*out = fdt32_ld(cell + index);
	return true;
}

uint32_t dt_cells(const void *fdt, int node, const char *prop, uint32_t dflt)
{
	uint32_t value;

	return dt_cell(fdt, node, prop, 0, &value) ? value : dflt;
}

const char *dt_string(const void *fdt, int node, const char *prop)
{
	int len;
	const char *text = fdt_getprop(fdt, node, prop, &len);

	return ((text != NULL) && (len > 0) && (text[len - 1] == '\0')) ? text : NULL;
}

/* A number of one to three cells; of three, the first (PCI's flags) is left out. */
static uint64_t cells_value(const fdt32_t *cell, uint32_t count)
{
	uint64_t value = 0;

	for (uint32_t i = (count > 2) ? count - 2 : 0; i < count; i++) {
		value = (value << 32) | fdt32_ld(cell + i);
	}
	return value;
}

/* Through the ranges of one bus, whose parent's addresses have up cells. */
static bool bus_translate(const void *fdt, int bus, uint32_t up, struct dt_reg *r)
{
	uint32_t ac = dt_cells(fdt, bus, "#address-cells", 2);
	uint32_t sc = dt_cells(fdt, bus, "#size-cells", 1);
	int len;
	const fdt32_t *range = fdt_getprop(fdt, bus, "ranges", &len);
	int step = (int)(ac + up + sc);

	if ((range == NULL) || (ac > 3) || (sc > 2) || (up > 3)) {
		return false;
	}
	if (len == 0) {
		return true;
	}
	for (len /= 4; len >= step; len -= step, range += step) {
		uint64_t child = cells_value(range, ac);
		uint64_t parent = cells_value(range + ac, up);
		uint64_t size = cells_value(range + ac + up, sc);

		if ((r->base >= child) && (r->size <= size) &&
		    (r->base - child <= size - r->size)) {
			r->base = r->base - child + parent;
			return true;
		}
	}
	return false;
}

/* From an address on a bus to the CPU's. */
static bool cpu_translate(const void *fdt, int bus, struct dt_reg *r)
{
	for (int depth = 0; (bus > 0) && (depth < DEPTH_MAX); depth++) {
		int up = fdt_parent_offset(fdt, bus);

		if ((up < 0) ||
		    !bus_translate(fdt, bus, dt_cells(fdt, up, "#address-cells", 2), r)) {
			return false;
		}
		bus = up;
	}
	return (bus == 0) && (r->base <= UINT64_MAX - r->size);
}

bool dt_reg(const void *fdt, int node, unsigned index, struct dt_reg *out)
{
	int bus = fdt_parent_offset(fdt, node);
	int len;
	const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);
	uint32_t ac;
	uint32_t sc;

	if ((reg == NULL) || (bus < 0)) {
		return false;
	}
	ac = dt_cells(fdt, bus, "#address-cells", 2);
	sc = dt_cells(fdt, bus, "#size-cells", 1);
	if ((ac == 0) || (ac > 3) || (sc == 0) || (sc > 2) ||
	    ((uint64_t)(unsigned)len / 4 / (ac + sc) <= index)) {
		return false;
	}
	reg += index * (ac + sc);
	out->base = cells_value(reg, ac);
	out->size = cells_value(reg + ac, sc);
	return cpu_translate(fdt, bus, out);
}

bool dt_range(const void *fdt, int node, unsigned index, uint64_t *child, struct dt_reg *out)
{
	int len = 0;
	const fdt32_t *range = fdt_getprop(fdt, node, "ranges", &len);
	uint32_t ac;
	uint32_t sc;
	uint32_t up;
	int bus;

	/* A bus without a translation of its own has that of the next one. */
	for (int depth = 0; (range != NULL) && (len == 0) && (depth < DEPTH_MAX); depth++) {
		node = fdt_parent_offset(fdt, node);
		range = (node <= 0) ? NULL : fdt_getprop(fdt, node, "ranges", &len);
	}
	bus = (range == NULL) ? -1 : fdt_parent_offset(fdt, node);
	if (bus < 0) {
		return false;
	}
	ac = dt_cells(fdt, node, "#address-cells", 2);
	sc = dt_cells(fdt, node, "#size-cells", 1);
	up = dt_cells(fdt, bus, "#address-cells", 2);
	if ((ac == 0) || (ac > 3) || (sc == 0) || (sc > 2) || (up == 0) || (up > 3) ||
	    ((uint64_t)(unsigned)len / 4 / (ac + up + sc) <= index)) {
		return false;
	}
	range += index * (ac + up + sc);
	*child = cells_value(range, ac);
	out->base = cells_value(range + ac, up);
	out->size = cells_value(range + ac + up, sc);
	return cpu_translate(fdt, bus, out);
}

/* The interrupt controller that a node's "interrupts" are meant for. */
static int irq_parent(const void *fdt, int node)
{
	for (int depth = 0; (node >= 0) && (depth < DEPTH_MAX); depth++) {
		uint32_t phandle;

		if (dt_cell(fdt, node, "interrupt-parent", 0, &phandle)) {
			return fdt_node_offset_by_phandle(fdt, phandle);
		}
		node = (node == 0) ? -1 : fdt_parent_offset(fdt, node);
	}
	return -1;
}

static int cells_copy(const fdt32_t *from, uint32_t count, uint32_t cell[4])
{
	for (uint32_t i = 0; (i < count) && (i < 4); i++) {
		cell[i] = fdt32_ld(from + i);
	}
	return (count <= 4) ? (int)count : -1;
}

/* The index-th of interrupts-extended: each has its own controller. */
static int irq_extended(const void *fdt, const fdt32_t *at, int len, unsigned index, int *parent,
			uint32_t cell[4])
{
	for (len /= 4; len > 0; index--) {
		uint32_t count;

		*parent = fdt_node_offset_by_phandle(fdt, fdt32_ld(at));
		if (*parent < 0) {
			return -1;
		}
		count = dt_cells(fdt, *parent, "#interrupt-cells", 0);
		if ((count == 0) || (count > 4) || ((int)count >= len)) {
			return -1;
		}
		if (index == 0) {
			return cells_copy(at + 1, count, cell);
		}
		at += count + 1;
		len -= (int)count + 1;
	}
	return 0;
}

int dt_irq_cells(const void *fdt, int node, unsigned index, int *parent, uint32_t cell[4])
{
	int len;
	const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts-extended", &len);
	uint32_t count;

	if (irq != NULL) {
		return irq_extended(fdt, irq, len, index, parent, cell);
	}
	irq = fdt_getprop(fdt, node, "interrupts", &len);
	if (irq == NULL) {
		return 0;
	}
	*parent = irq_parent(fdt, node);
	count = (*parent < 0) ? 0 : dt_cells(fdt, *parent, "#interrupt-cells", 0);
	if ((count == 0) || (count > 4)) {
		return -1;
	}
	if ((unsigned)len / 4 / count <= index) {
		return 0;
	}
	return cells_copy(irq + index * count, count, cell);
}

int dt_irq(const void *fdt, int node, unsigned index, int gic, struct dt_irq *out)
{
	uint32_t cell[4];
	int parent;
	int count = dt_irq_cells(fdt, node, index, &parent, cell);

	if (count <= 0) {
		return count;
	}
	if ((parent != gic) || (count < 3) || (cell[0] > 1) ||
	    (cell[1] >= ((cell[0] == 0) ? 988u : 16u))) {
		return -1;
	}
	out->intid = cell[1] + ((cell[0] == 0) ? 32u : 16u);
	out->flags = cell[2];
	return 1;
}

bool dt_is(const void *fdt, int node, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (fdt_node_check_compatible(fdt, node, *words) == 0) {
			return true;
		}
	}
	return false;
}

bool dt_enabled(const void *fdt, int node)
{
	const char *status = dt_string(fdt, node, "status");

	return (status == NULL) || (strcmp(status, "okay") == 0) || (strcmp(status, "ok") == 0);
}

int dt_find(const void *fdt, const char *const *words)
{
	int node;

	for (node = fdt_next_node(fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(fdt, node, NULL)) {
		if (dt_is(fdt, node, words) && dt_enabled(fdt, node)) {
			break;
		}
	}
	return node;
}

int dt_lookup(const void *fdt, const char *name, bool *more)
{
	int found = -FDT_ERR_NOTFOUND;
	const char *alias;

	*more = false;
	if (name[0] == '/') {
		return fdt_path_offset(fdt, name);
	}
	for (int node = fdt_next_node(fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(fdt, node, NULL)) {
		const char *n = fdt_get_name(fdt, node, NULL);

		if ((n != NULL) && (n[0] != '\0') && (strcmp(n, name) == 0)) {
			*more = *more || (found >= 0);
			found = (found >= 0) ? found : node;
		}
	}
	alias = (found >= 0) ? NULL : fdt_get_alias(fdt, name);
	return (alias != NULL) ? fdt_path_offset(fdt, alias) : found;
}

const char *dt_path(struct mem *mem, const void *fdt, int node)
{
	char path[512];

	if (fdt_get_path(fdt, node, path, sizeof(path)) != 0) {
		return "?";
	}
	return mem_strndup(mem, path, strlen(path));
}
