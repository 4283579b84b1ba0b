/* SPDX-License-Identifier: Apache-2.0 */
#include "whatis.h"

#include <libfdt.h>
#include <string.h>

#include "dt.h"

struct hit {
	int node; /* negative: none */
	struct dt_reg reg;
};

/* The smallest area around the address; of equal ones the deepest node, which comes last. */
static struct hit node_find(const void *fdt, uint64_t address)
{
	struct hit best = { .node = -1 };

	for (int node = fdt_next_node(fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(fdt, node, NULL)) {
		struct dt_reg r;

		for (unsigned i = 0; dt_reg(fdt, node, i, &r); i++) {
			if ((address >= r.base) && (address - r.base < r.size) &&
			    ((best.node < 0) || (r.size <= best.reg.size))) {
				best = (struct hit){ node, r };
			}
		}
	}
	return best;
}

static void print_compatible(const void *fdt, int node, FILE *out)
{
	for (int i = 0; i < fdt_stringlist_count(fdt, node, "compatible"); i++) {
		fprintf(out, "%s%s", (i == 0) ? "  compatible  " : ", ",
			fdt_stringlist_get(fdt, node, "compatible", i, NULL));
	}
	if (fdt_stringlist_count(fdt, node, "compatible") > 0) {
		fputc('\n', out);
	}
}

static void print_irqs(const struct board *b, int node, FILE *out)
{
	struct dt_irq irq;
	uint32_t last = 0;

	for (unsigned i = 0; dt_irq(b->fdt, node, i, b->gic, &irq) == 1; i++) {
		bool spi = (irq.intid >= 32);

		if (irq.intid == last) {
			continue;
		}
		last = irq.intid;
		fprintf(out, "  interrupt   INTID %u (%s %u), %s\n", irq.intid, spi ? "SPI" : "PPI",
			irq.intid - (spi ? 32 : 16), ((irq.flags & 3u) != 0) ? "edge" : "level");
	}
}

static bool is_reserved(const struct board *b, int node)
{
	int parent = fdt_path_offset(b->fdt, "/reserved-memory");

	return (parent >= 0) && (fdt_parent_offset(b->fdt, node) == parent);
}

static void print_node(struct mem *mem, const struct board *b, const struct hit *hit,
		       uint64_t address, FILE *out)
{
	const char *owner = "";
	const char *area = "registers";

	if (hit->node == b->gic) {
		owner = ": the interrupt controller, which the hypervisor has";
	} else if (hit->node == b->uart) {
		owner = ": the console, which the hypervisor has";
	} else if (is_reserved(b, hit->node)) {
		owner = ": RAM that is reserved in the board's tree, and given to nobody";
		area = "memory   ";
	}
	fprintf(out, "%s + 0x%llx%s\n", dt_path(mem, b->fdt, hit->node),
		(unsigned long long)(address - hit->reg.base), owner);
	print_compatible(b->fdt, hit->node, out);
	fprintf(out, "  %s   0x%llx to 0x%llx\n", area, (unsigned long long)hit->reg.base,
		(unsigned long long)(hit->reg.base + hit->reg.size - 1));
	print_irqs(b, hit->node, out);
	if (!dt_enabled(b->fdt, hit->node)) {
		fputs("  status      disabled in the board's tree (it can be passed through)\n",
		      out);
	}
}

/* Is the address in memory of the tree, whatever the board's file leaves of it? */
static bool is_ram(const struct board *b, const struct hit *hit)
{
	const char *type = dt_string(b->fdt, hit->node, "device_type");

	return (type != NULL) && (strcmp(type, "memory") == 0);
}

static void print_nothing(struct mem *mem, const struct board *b, uint64_t address, FILE *out)
{
	struct hit below = { .node = -1 };

	for (int node = fdt_next_node(b->fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(b->fdt, node, NULL)) {
		struct dt_reg r;

		for (unsigned i = 0; dt_reg(b->fdt, node, i, &r); i++) {
			if ((r.size > 0) && (r.base <= address) &&
			    ((below.node < 0) ||
			     (r.base + r.size > below.reg.base + below.reg.size))) {
				below = (struct hit){ node, r };
			}
		}
	}
	fprintf(out, "nothing: no node of the tree of board %s has 0x%llx\n", b->name,
		(unsigned long long)address);
	if (below.node >= 0) {
		fprintf(out, "  before it   %s ends at 0x%llx\n", dt_path(mem, b->fdt, below.node),
			(unsigned long long)(below.reg.base + below.reg.size - 1));
	}
}

void whatis_print(struct mem *mem, const struct board *b, uint64_t address, FILE *out)
{
	struct hit hit = node_find(b->fdt, address);

	if (hit.node < 0) {
		print_nothing(mem, b, address, out);
	} else if (is_ram(b, &hit)) {
		fprintf(out, "RAM: %s + 0x%llx\n", dt_path(mem, b->fdt, hit.node),
			(unsigned long long)(address - hit.reg.base));
		fputs("  This is of physical addresses; what a VM has at its own, kzc map shows\n",
		      out);
	} else {
		print_node(mem, b, &hit, address, out);
	}
}
