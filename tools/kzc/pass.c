/* SPDX-License-Identifier: Apache-2.0 */
/* A passed-through device's node: copied from the board's tree into the guest's. */
#include "tree.h"

#include <ctype.h>
#include <libfdt.h>
#include <string.h>

#define DEPTH_MAX 16u
#define REFS_MAX  16u

/* Properties that name other nodes: kept only if those are the VM's too. */
static const char *const ref_words[] = { "power-domains",
					 "power-domain-names",
					 "resets",
					 "reset-names",
					 "iommus",
					 "iommu-map",
					 "phys",
					 "phy-names",
					 "dmas",
					 "dma-names",
					 "interconnects",
					 "interconnect-names",
					 "mboxes",
					 "mbox-names",
					 "nvmem-cells",
					 "nvmem-cell-names",
					 "memory-region",
					 "msi-parent",
					 "msi-map",
					 "operating-points-v2",
					 "required-opps",
					 "pinctrl-names",
					 "phy-handle",
					 "fpga-mgr",
					 NULL };
static const char *const ref_ends[] = { "-supply", "-gpio", "-gpios", NULL };
static const char *const clock_words[] = { "assigned-clocks", "assigned-clock-rates",
					   "assigned-clock-parents", NULL };

struct pass {
	struct sys *s;
	const struct vm *vm;
	const struct device *dev;
	struct tree *t;
	const char *left_out; /* what the note will list */
};

static bool word_in(const char *const *list, const char *word)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, word) == 0) {
			return true;
		}
	}
	return false;
}

static bool prop_is_ref(const char *name)
{
	size_t len = strlen(name);

	for (const char *const *e = ref_ends; *e != NULL; e++) {
		if ((len > strlen(*e)) && (strcmp(name + len - strlen(*e), *e) == 0)) {
			return true;
		}
	}
	return word_in(ref_words, name) ||
	       ((strncmp(name, "pinctrl-", 8) == 0) && (isdigit((unsigned char)name[8]) != 0));
}

/* Is the node one of the VM's devices, or inside one? */
static bool node_is_passed(const struct pass *p, int node)
{
	for (unsigned depth = 0; (node > 0) && (depth < DEPTH_MAX); depth++) {
		for (unsigned i = 0; i < p->vm->device_count; i++) {
			if (p->vm->device[i].node == node) {
				return true;
			}
		}
		node = fdt_parent_offset(p->s->board.fdt, node);
	}
	return false;
}

/* Does the VM have what the property refers to? "dma-names" goes where "dmas" goes. */
static bool ref_is_kept(const struct pass *p, int node, const char *name)
{
	const char *names = strstr(name, "-names");
	uint32_t phandle;

	if (names != NULL) {
		name = mem_printf(&p->s->mem, "%.*ss", (int)(names - name), name);
	}
	return dt_cell(p->s->board.fdt, node, name, 0, &phandle) &&
	       node_is_passed(p, fdt_node_offset_by_phandle(p->s->board.fdt, phandle));
}

static void left_out_add(struct pass *p, const char *name)
{
	p->left_out = mem_printf(&p->s->mem, "%s%s%s", p->left_out,
				 (p->left_out[0] == '\0') ? "" : ", ", name);
}

/* ---- Clocks ---- */

/* The VM's word on a clock: by the device's name, and the clock's where it is given. */
static uint64_t rate_of_vm(const struct pass *p, const char *clock)
{
	uint64_t rate = 0;

	for (unsigned i = 0; i < p->vm->conf->clocks.count; i++) {
		const char *node;
		const char *which;
		uint64_t r;

		if (conf_clock(&p->s->mem, p->vm->conf->clocks.item[i].s, &node, &which, &r) &&
		    (strcmp(node, p->dev->name) == 0) &&
		    ((which[0] == '\0') ? (rate == 0) : (strcmp(which, clock) == 0))) {
			rate = r;
		}
	}
	return rate;
}

/* The board's: a fixed clock, or one of its file. */
static uint64_t rate_of_board(const struct pass *p, int provider, uint32_t number)
{
	const struct board *b = &p->s->board;
	const char *name = fdt_get_name(b->fdt, provider, NULL);

	if (fdt_node_check_compatible(b->fdt, provider, "fixed-clock") == 0) {
		return dt_cells(b->fdt, provider, "clock-frequency", 0);
	}
	for (unsigned i = 0; (name != NULL) && (i < b->clocks.count); i++) {
		const char *node;
		const char *which;
		uint64_t r;
		uint64_t n;

		if (conf_clock(&p->s->mem, b->clocks.item[i].s, &node, &which, &r) &&
		    (strcmp(node, name) == 0) && conf_number(which, &n) && (n == number)) {
			return r;
		}
	}
	return 0;
}

/* The name of the index-th clock, or its number. */
static const char *clock_name(const struct pass *p, int node, int index)
{
	const char *name = fdt_stringlist_get(p->s->board.fdt, node, "clock-names", index, NULL);

	return (name != NULL) ? name : mem_printf(&p->s->mem, "%d", index);
}

static void put_clocks(struct pass *p, int node)
{
	const void *fdt = p->s->board.fdt;
	uint32_t ref[REFS_MAX];
	unsigned count = 0;
	uint32_t phandle;

	for (int at = 0; (count < REFS_MAX) && dt_cell(fdt, node, "clocks", at, &phandle);) {
		int provider = fdt_node_offset_by_phandle(fdt, phandle);
		uint32_t cells = (provider < 0) ? 0 : dt_cells(fdt, provider, "#clock-cells", 0);
		const char *name = clock_name(p, node, (int)count);
		uint64_t rate = rate_of_vm(p, name);
		uint32_t number = 0;

		if ((cells > 4) ||
		    ((cells > 0) && !dt_cell(fdt, node, "clocks", at + 1, &number))) {
			break;
		}
		if ((rate == 0) && (provider >= 0)) {
			rate = rate_of_board(p, provider, number);
		}
		if (rate == 0) {
			diag_error(&p->s->diag, p->dev->line,
				   "nobody knows the rate of clock '%s' of "
				   "%s: say it with clocks = {\"%s %s = 100M\"}",
				   name, p->dev->name, p->dev->name, name);
		}
		ref[count] = tree_clock(p->t, rate);
		count++;
		at += (int)cells + 1;
	}
	tree_cells(p->t, "clocks", ref, count);
}

/* ---- Registers and interrupts ---- */

/* A number in one or two cells. */
static unsigned cells_put(uint32_t *cell, uint32_t count, uint64_t value)
{
	if (count == 2) {
		cell[0] = (uint32_t)(value >> 32);
	}
	cell[count - 1] = (uint32_t)value;
	return count;
}

/* The copied node is a child of the guest's root: two cells each, the CPU's addresses. */
static void put_reg(struct pass *p, int node)
{
	uint32_t cell[64];
	unsigned n = 0;
	struct dt_reg r;

	for (unsigned i = 0; (n + 4 <= 64) && dt_reg(p->s->board.fdt, node, i, &r); i++) {
		n += cells_put(cell + n, 2, r.base);
		n += cells_put(cell + n, 2, r.size);
	}
	if (n > 0) {
		tree_cells(p->t, "reg", cell, n);
	}
}

/* The same for a bus: its parent is now the guest's root. */
static void put_ranges(struct pass *p, int node)
{
	const void *fdt = p->s->board.fdt;
	uint32_t ac = dt_cells(fdt, node, "#address-cells", 2);
	uint32_t sc = dt_cells(fdt, node, "#size-cells", 1);
	uint32_t cell[64];
	unsigned n = 0;
	uint64_t child;
	struct dt_reg r;

	if ((ac < 1) || (ac > 2) || (sc < 1) || (sc > 2)) {
		return;
	}
	for (unsigned i = 0; (n + ac + 2 + sc <= 64) && dt_range(fdt, node, i, &child, &r); i++) {
		n += cells_put(cell + n, ac, child);
		n += cells_put(cell + n, 2, r.base);
		n += cells_put(cell + n, sc, r.size);
	}
	tree_cells(p->t, "ranges", cell, n);
}

/* Its interrupts, if they are the GIC's; else what is written there (a controller of its own). */
static void put_irqs(struct pass *p, int node)
{
	const struct board *b = &p->s->board;
	uint32_t cell[63];
	unsigned n = 0;
	struct dt_irq irq;
	int parent;

	for (unsigned i = 0; n + 3 <= 63; i++) {
		if (dt_irq(b->fdt, node, i, b->gic, &irq) != 1) {
			break;
		}
		cell[n++] = (irq.intid < 32) ? 1 : 0;
		cell[n++] = irq.intid - ((irq.intid < 32) ? 16 : 32);
		cell[n++] = irq.flags;
	}
	if (n > 0) {
		tree_cells(p->t, "interrupts", cell, n);
		tree_cell(p->t, "interrupt-parent", p->t->phandle_gic);
	} else if ((dt_irq_cells(b->fdt, node, 0, &parent, cell) > 0) &&
		   node_is_passed(p, parent)) {
		int len;
		const void *raw = fdt_getprop(b->fdt, node, "interrupts", &len);

		if (raw != NULL) {
			tree_bytes(p->t, "interrupts", raw, len);
			tree_cell(p->t, "interrupt-parent", fdt_get_phandle(b->fdt, parent));
		}
	}
}

/* ---- Nodes ---- */

static void put_prop(struct pass *p, int node, bool top, const char *name, const void *data,
		     int len)
{
	static const char *const rewritten[] = { "interrupts", "interrupts-extended",
						 "interrupt-parent", "status", NULL };

	if (word_in(rewritten, name) || word_in(clock_words, name)) {
		return;
	}
	if (strcmp(name, "clocks") == 0) {
		put_clocks(p, node);
	} else if (top && (strcmp(name, "reg") == 0)) {
		put_reg(p, node);
	} else if (top && (strcmp(name, "ranges") == 0)) {
		put_ranges(p, node);
	} else if (prop_is_ref(name) && !ref_is_kept(p, node, name)) {
		left_out_add(p, name);
	} else {
		tree_bytes(p->t, name, data, len);
	}
}

static void put_props(struct pass *p, int node, bool top)
{
	const void *fdt = p->s->board.fdt;
	int prop;

	fdt_for_each_property_offset(prop, fdt, node)
	{
		const char *name;
		int len;
		const void *data = fdt_getprop_by_offset(fdt, prop, &name, &len);

		if (data != NULL) {
			put_prop(p, node, top, name, data, len);
		}
	}
	put_irqs(p, node);
}

static void put_device(struct pass *p)
{
	const void *fdt = p->s->board.fdt;
	int depth = 0;
	int open = 0;

	for (int node = p->dev->node; (node >= 0) && (depth >= 0);) {
		bool top = (node == p->dev->node);
		const char *name = fdt_get_name(fdt, node, NULL);

		for (; open > depth; open--) {
			tree_end(p->t);
		}
		if (top || dt_enabled(fdt, node)) {
			tree_begin(p->t, (name == NULL) ? "device" : name);
			put_props(p, node, top);
			open = depth + 1;
			node = fdt_next_node(fdt, node, &depth);
		} else {
			int skip = depth;

			do {
				node = fdt_next_node(fdt, node, &depth);
			} while ((node >= 0) && (depth > skip));
		}
	}
	for (; open > 0; open--) {
		tree_end(p->t);
	}
}

/* Each line of clocks must be right, and about a device that the VM has. */
static void clocks_check(struct sys *s, const struct vm *vm)
{
	for (unsigned i = 0; i < vm->conf->clocks.count; i++) {
		const struct conf_text *item = &vm->conf->clocks.item[i];
		const char *names[DEVICES_MAX + 1] = { NULL };
		const char *node;
		const char *which;
		uint64_t rate;

		for (unsigned k = 0; k < vm->device_count; k++) {
			names[k] = vm->device[k].name;
		}
		if (!conf_clock(&s->mem, item->s, &node, &which, &rate)) {
			diag_error(&s->diag, item->line,
				   "clocks has '%s': it is \"DEVICE = RATE\" or "
				   "\"DEVICE CLOCK = RATE\", the rate such as 100M, below 4G",
				   item->s);
		} else if (!word_in(names, node)) {
			diag_unknown(&s->diag, item->line, "device in clocks", node, names);
		}
	}
}

void pass_devices(struct sys *s, const struct vm *vm, struct tree *t)
{
	clocks_check(s, vm);
	for (unsigned i = 0; i < vm->device_count; i++) {
		struct pass p = { s, vm, &vm->device[i], t, "" };

		put_device(&p);
		if (p.left_out[0] != '\0') {
			diag_note(&s->diag, p.dev->line,
				  "%s: left out %s, which nothing in the VM "
				  "serves",
				  p.dev->name, p.left_out);
		}
	}
}
