/* SPDX-License-Identifier: Apache-2.0 */
/* Passed-through devices: whose registers, whose interrupts. */
#include <libfdt.h>
#include <string.h>

#include "sys.h"

#define NAMES_MAX 1024u

/* Devices that never read or write memory by themselves. Everything else is taken to do it. */
static const char *const no_dma_words[] = { "arm,pl011",
					    "arm,pl022",
					    "arm,pl031",
					    "arm,pl050",
					    "arm,pl061",
					    "arm,sp804",
					    "arm,sp805",
					    "xlnx,zynq-can-1.0",
					    "xlnx,canfd-1.0",
					    "cdns,i2c-r1p10",
					    "cdns,i2c-r1p14",
					    "cdns,spi-r1p6",
					    "cdns,ttc",
					    "cdns,uart-r1p8",
					    "cdns,uart-r1p12",
					    "cdns,wdt-r1p2",
					    "xlnx,xuartps",
					    "xlnx,zynqmp-gpio-1.0",
					    "xlnx,zynq-gpio-1.0",
					    "xlnx,zynqmp-rtc",
					    "xlnx,zynqmp-ams",
					    "cfi-flash",
					    "ns16550a",
					    "snps,dw-apb-uart",
					    "snps,dw-wdt",
					    "snps,dw-apb-timer",
					    "snps,dw-apb-gpio",
					    "snps,designware-i2c",
					    NULL };

static bool spans_hit(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return (a < b + b_size) && (b < a + a_size);
}

/* All names that could have been meant: nodes with registers. */
static const char *const *device_names(struct sys *s)
{
	const char **names = mem_zalloc(&s->mem, (NAMES_MAX + 1) * sizeof(*names));
	const void *fdt = s->board.fdt;
	unsigned n = 0;

	for (int node = fdt_next_node(fdt, -1, NULL); (node >= 0) && (n < NAMES_MAX);
	     node = fdt_next_node(fdt, node, NULL)) {
		struct dt_reg r;
		const char *name = fdt_get_name(fdt, node, NULL);

		if ((name != NULL) && (node != s->board.gic) && (node != s->board.uart) &&
		    dt_reg(fdt, node, 0, &r) &&
		    (fdt_getprop(fdt, node, "device_type", NULL) == NULL)) {
			names[n++] = name;
		}
	}
	return names;
}

/* What a name that no device has may have meant: one that lacks its address, or is misspelt. */
static const char *device_near(const char *word, const char *const *names)
{
	size_t len = strlen(word);

	for (const char *const *n = names; *n != NULL; n++) {
		if ((strncmp(*n, word, len) == 0) && ((*n)[len] == '@')) {
			return *n;
		}
	}
	return diag_nearest(word, names);
}

/* The node of a device of that VM; negative, and an error, when it cannot be one. */
static int device_find(struct sys *s, const struct conf_text *item)
{
	const struct board *b = &s->board;
	const char *type;
	bool more;
	int node = dt_lookup(b->fdt, item->s, &more);

	if (node < 0) {
		const char *near = device_near(item->s, device_names(s));
		const char *help =
			(near != NULL) ? mem_printf(&s->mem, "did you mean '%s'?", near)
				       : mem_printf(&s->mem, "dtc -I dtb %s shows its device tree",
						    (b->dtb == NULL) ? "FILE" : b->dtb);

		diag_error(&s->diag, item->line, "board %s has no device '%s': %s", b->name,
			   item->s, help);
		return -1;
	}
	if (more) {
		diag_error(&s->diag, item->line,
			   "board %s has several devices '%s': write the whole "
			   "path, such as %s",
			   b->name, item->s, dt_path(&s->mem, b->fdt, node));
		return -1;
	}
	type = dt_string(b->fdt, node, "device_type");
	if (node == b->gic) {
		diag_error(&s->diag, item->line,
			   "%s is the interrupt controller, which all VMs "
			   "share: each has one of its own already",
			   item->s);
	} else if (node == b->uart) {
		diag_error(&s->diag, item->line,
			   "%s is the console of board %s, which all VMs share "
			   "(console = pl011): take another UART",
			   item->s, b->name);
	} else if ((type != NULL) && (strcmp(type, "pci") == 0)) {
		diag_error(&s->diag, item->line,
			   "%s is a PCI host bridge: those cannot be passed "
			   "through in this version",
			   item->s);
	} else if (type != NULL) {
		diag_error(&s->diag, item->line,
			   "%s is no device but %s: that is what cpus and "
			   "memory are for",
			   item->s, type);
	} else {
		return node;
	}
	return -1;
}

/* May these pages be a guest's? */
static bool reg_check(struct sys *s, const struct device *dev, const struct dt_reg *r)
{
	const struct kz_cfg_machine *m = &s->board.m;
	const struct kz_cfg_ram own[] = {
		{ m->gicd_pa, (m->gic_version == 2) ? KZ_GICD2_SIZE : KZ_GICD3_SIZE },
		{ m->gicc_pa, (m->gic_version == 2) ? KZ_GICC_SIZE : 0 },
		{ m->gich_pa, (m->gic_version == 2) ? KZ_GICC_SIZE : 0 },
		{ m->gicv_pa, (m->gic_version == 2) ? KZ_GICC_SIZE : 0 },
		{ m->gicr_pa, m->gicr_size },
		{ m->uart_pa, (m->uart == KZ_UART_NONE) ? 0 : KZ_CONSOLE_SIZE },
	};

	if ((r->size > KZ_PA_LIMIT) || (r->base > KZ_PA_LIMIT - r->size)) {
		diag_error(&s->diag, dev->line,
			   "%s is at 0x%llx: devices above 0x%llx cannot be "
			   "passed through",
			   dev->name, (unsigned long long)r->base, (unsigned long long)KZ_PA_LIMIT);
		return false;
	}
	for (unsigned i = 0; i < 6; i++) {
		if (spans_hit(r->base, r->size, own[i].pa, own[i].size)) {
			diag_error(&s->diag, dev->line, "%s shares the page 0x%llx with the %s",
				   dev->name, (unsigned long long)own[i].pa,
				   (i == 5) ? "console" : "interrupt controller");
			return false;
		}
	}
	for (unsigned i = 0; i < m->ram_count; i++) {
		if (spans_hit(r->base, r->size, m->ram[i].pa, m->ram[i].size)) {
			diag_error(&s->diag, dev->line, "%s has registers in RAM (0x%llx)",
				   dev->name, (unsigned long long)r->base);
			return false;
		}
	}
	return true;
}

/* Add whole pages to what the device has; what is there already is not added again. */
static void reg_add(struct sys *s, struct device *dev, struct dt_reg r)
{
	uint64_t end = ALIGN_UP(r.base + r.size, KZ_PAGE_SIZE);

	r.base &= ~(KZ_PAGE_SIZE - 1ull);
	r.size = end - r.base;
	if ((r.size == 0) || !reg_check(s, dev, &r)) {
		return;
	}
	for (unsigned i = 0; i < dev->reg_count; i++) {
		if ((r.base >= dev->reg[i].base) && (end <= dev->reg[i].base + dev->reg[i].size)) {
			return;
		}
	}
	if (dev->reg_count == DEVICE_REGS_MAX) {
		diag_error(&s->diag, dev->line, "%s has more than %u register areas", dev->name,
			   DEVICE_REGS_MAX);
		return;
	}
	dev->reg[dev->reg_count] = r;
	dev->reg_count++;
}

/* Note it as the device's; false when it was noted before. */
static bool irq_note(struct device *dev, uint32_t intid)
{
	for (unsigned i = 0; i < dev->irq_count; i++) {
		if (dev->irq[i] == intid) {
			return false;
		}
	}
	if (dev->irq_count < DEVICE_IRQS_MAX) {
		dev->irq[dev->irq_count] = intid;
		dev->irq_count++;
	}
	return true;
}

static void irq_add(struct sys *s, struct vm *vm, struct device *dev, const struct dt_irq *irq)
{
	struct kz_cfg_irq *to = &vm->cfg.irq[vm->cfg.irq_count];

	if (irq->intid < 32) {
		diag_error(&s->diag, dev->line,
			   "%s has an interrupt of its core (PPI %u): those "
			   "cannot be passed through",
			   dev->name, irq->intid);
		return;
	}
	if (!irq_note(dev, irq->intid)) {
		return;
	}
	for (unsigned i = 0; i < vm->cfg.irq_count; i++) {
		if (vm->cfg.irq[i].intid == irq->intid) {
			return;
		}
	}
	if (irq->intid == s->board.m.uart_intid) {
		diag_error(&s->diag, dev->line, "%s has interrupt %u, which is the console's",
			   dev->name, irq->intid);
	} else if (irq->intid >= s->board.m.gic_lines) {
		diag_error(&s->diag, dev->line,
			   "%s has interrupt %u, but board %s has gic_lines = "
			   "%u",
			   dev->name, irq->intid, s->board.name, s->board.m.gic_lines);
	} else if (vm->cfg.irq_count == KZ_IRQS_MAX) {
		diag_error(&s->diag, dev->line, "vm '%s' has more than %u interrupts",
			   vm->conf->name.s, KZ_IRQS_MAX);
	} else {
		to->intid = irq->intid;
		to->flags = ((irq->flags & 3u) != 0) ? KZ_IRQ_EDGE : 0;
		vm->cfg.irq_count++;
	}
}

/* A node and, on a bus of its own, its children: a USB controller is often in two parts. */
static void node_read(struct sys *s, struct vm *vm, struct device *dev, int node)
{
	const void *fdt = s->board.fdt;
	struct dt_reg r;
	struct dt_irq irq;
	int found = 0;

	for (unsigned i = 0; dt_reg(fdt, node, i, &r); i++) {
		reg_add(s, dev, r);
	}
	for (unsigned i = 0; i < KZ_IRQS_MAX; i++) {
		found = dt_irq(fdt, node, i, s->board.gic, &irq);
		if (found <= 0) {
			break;
		}
		irq_add(s, vm, dev, &irq);
	}
	if ((found < 0) && (node == dev->node)) {
		diag_note(&s->diag, dev->line,
			  "%s has an interrupt that is not the GIC's: the VM "
			  "does not get it",
			  dev->name);
	}
}

static void device_read(struct sys *s, struct vm *vm, struct device *dev)
{
	const void *fdt = s->board.fdt;
	unsigned errors = s->diag.errors;
	int depth = 0;

	for (int node = dev->node; (node >= 0) && (depth >= 0);
	     node = fdt_next_node(fdt, node, &depth)) {
		if ((depth >= 0) && ((node == dev->node) || dt_enabled(fdt, node))) {
			node_read(s, vm, dev, node);
		}
	}
	if (s->diag.errors > errors) {
		return;
	}
	if (dev->reg_count == 0) {
		diag_error(&s->diag, dev->line,
			   "%s has no registers that a core can reach: pass the controller that it "
			   "is attached to",
			   dev->name);
		return;
	}
	if (!dt_is(fdt, dev->node, no_dma_words) && !vm->unconfined) {
		diag_error(&s->diag, dev->line,
			   "%s may do DMA, and nothing confines it (no SMMU is "
			   "driven): it could overwrite everything. dma = unconfined accepts that",
			   dev->name);
	} else if (!dt_is(fdt, dev->node, no_dma_words) && !vm->physical) {
		diag_note(&s->diag, dev->line,
			  "the DMA of %s takes physical addresses: memory_at = "
			  "physical makes the guest's the same",
			  dev->name);
	}
}

static void devices_read(struct sys *s, struct vm *vm)
{
	const struct conf_list *list = &vm->conf->devices;

	for (unsigned i = 0; i < list->count; i++) {
		struct device *dev = &vm->device[vm->device_count];
		int node = device_find(s, &list->item[i]);
		bool twice = false;

		for (unsigned k = 0; k < vm->device_count; k++) {
			twice = twice || (vm->device[k].node == node);
		}
		if (node < 0) {
			continue;
		}
		if (twice) {
			diag_error(&s->diag, list->item[i].line, "%s is in the list twice",
				   list->item[i].s);
		} else if (vm->device_count == DEVICES_MAX) {
			diag_error(&s->diag, list->item[i].line, "vm '%s' has more than %u devices",
				   vm->conf->name.s, DEVICES_MAX);
			return;
		} else {
			dev->name = list->item[i].s;
			dev->line = list->item[i].line;
			dev->node = node;
			vm->device_count++;
			device_read(s, vm, dev);
		}
	}
}

/* The VM's regions: each page once, though two devices may share it. */
static void regions_make(struct sys *s, struct vm *vm)
{
	for (unsigned i = 0; i < vm->device_count * DEVICE_REGS_MAX; i++) {
		const struct device *dev = &vm->device[i / DEVICE_REGS_MAX];
		struct dt_reg r = dev->reg[i % DEVICE_REGS_MAX];
		unsigned k = 1;

		if ((i % DEVICE_REGS_MAX) >= dev->reg_count) {
			continue;
		}
		while (k < vm->cfg.region_count) {
			struct kz_cfg_region *old = &vm->cfg.region[k];
			uint64_t end = r.base + r.size;

			if (!spans_hit(r.base, r.size, old->pa, old->size)) {
				k++;
				continue;
			}
			end = (old->pa + old->size > end) ? old->pa + old->size : end;
			r.base = (old->pa < r.base) ? old->pa : r.base;
			r.size = end - r.base;
			vm->cfg.region_count--;
			*old = vm->cfg.region[vm->cfg.region_count];
			k = 1;
		}
		if (vm->cfg.region_count == KZ_REGIONS_MAX) {
			diag_error(&s->diag, dev->line, "vm '%s' has more than %u register areas",
				   vm->conf->name.s, KZ_REGIONS_MAX - 1);
			return;
		}
		vm->cfg.region[vm->cfg.region_count] = (struct kz_cfg_region){
			.ipa = r.base,
			.pa = r.base,
			.size = r.size,
			.type = KZ_REGION_DEVICE,
		};
		vm->cfg.region_count++;
	}
}

static bool irq_is_shared(const struct device *a, const struct device *b, uint32_t *intid)
{
	for (unsigned i = 0; i < a->irq_count; i++) {
		for (unsigned k = 0; k < b->irq_count; k++) {
			if (a->irq[i] == b->irq[k]) {
				*intid = a->irq[i];
				return true;
			}
		}
	}
	return false;
}

static bool page_is_shared(const struct device *a, const struct device *b, uint64_t *page)
{
	for (unsigned i = 0; i < a->reg_count; i++) {
		for (unsigned k = 0; k < b->reg_count; k++) {
			if (spans_hit(a->reg[i].base, a->reg[i].size, b->reg[k].base,
				      b->reg[k].size)) {
				*page = (a->reg[i].base > b->reg[k].base) ? a->reg[i].base
									  : b->reg[k].base;
				return true;
			}
		}
	}
	return false;
}

/* Two devices of two VMs: they may have nothing in common. */
static void devices_compare(struct sys *s, const struct vm *va, const struct device *a,
			    const struct vm *vb, const struct device *b)
{
	const char *an = va->conf->name.s;
	const char *bn = vb->conf->name.s;
	uint64_t page;
	uint32_t intid;

	if (a->node == b->node) {
		diag_error(&s->diag, b->line, "%s is given to vm '%s' and, in line %d, to vm '%s'",
			   b->name, bn, a->line, an);
		return;
	}
	if (page_is_shared(a, b, &page)) {
		diag_error(&s->diag, b->line,
			   "%s (vm '%s') and %s (vm '%s', line %d) are on one page, 0x%llx: give "
			   "both to one VM",
			   b->name, bn, a->name, an, a->line, (unsigned long long)page);
	}
	if (irq_is_shared(a, b, &intid)) {
		diag_error(&s->diag, b->line,
			   "%s (vm '%s') and %s (vm '%s', line %d) share interrupt %u: give both "
			   "to one VM",
			   b->name, bn, a->name, an, a->line, intid);
	}
}

void device_read_all(struct sys *s)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		devices_read(s, &s->vm[v]);
		regions_make(s, &s->vm[v]);
		for (unsigned w = 0; w < v; w++) {
			const struct vm *a = &s->vm[w];
			const struct vm *b = &s->vm[v];

			for (unsigned i = 0; i < a->device_count * b->device_count; i++) {
				devices_compare(s, a, &a->device[i / b->device_count], b,
						&b->device[i % b->device_count]);
			}
		}
	}
}
