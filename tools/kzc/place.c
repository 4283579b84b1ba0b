/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything lies in a VM's addresses, and at last in the blob. */
#include <string.h>

#include "cores.h"
#include "tree.h"

#define TREE_SLACK 64u /* node names grow with addresses */

struct part {
	const char *what;
	const char *key; /* what moves it */
	uint64_t base, size;
	int line;
};

/* ---- The VM's memory ---- */

/* From the top of the VM's memory down: tree, console ring, stolen time, ramdisk. */
static void top_place(struct vm *vm)
{
	uint64_t at = vm->base + vm->size;

	if (vm->tree >= 0) {
		struct piece *p = &vm->piece[vm->tree];

		at -= ALIGN_UP(p->slot, KZ_PAGE_SIZE);
		p->ipa = at;
		vm->cfg.arg = at;
	}
	if (vm->cfg.console == KZ_CONSOLE_RING) {
		at -= KZ_CONSOLE_SIZE;
		vm->cfg.console_ipa = at;
	}
	if (vm->has_stolen) {
		at -= KZ_STOLEN_SIZE;
		vm->cfg.stolen_ipa = at;
	}
	if (vm->ramdisk >= 0) {
		struct piece *p = &vm->piece[vm->ramdisk];

		at = (at - p->size) & ~(KZ_PAGE_SIZE - 1ull);
		p->ipa = at;
	}
}

/* What the VM needs at the top of its memory. */
static uint64_t top_size(const struct vm *vm)
{
	uint64_t size = (vm->cfg.console == KZ_CONSOLE_RING) ? KZ_CONSOLE_SIZE : 0;

	size += vm->has_stolen ? KZ_STOLEN_SIZE : 0;
	if (vm->tree >= 0) {
		size += ALIGN_UP(vm->piece[vm->tree].slot, KZ_PAGE_SIZE);
	}
	if (vm->ramdisk >= 0) {
		size += ALIGN_UP(vm->piece[vm->ramdisk].size, KZ_PAGE_SIZE);
	}
	return size;
}

static bool image_place(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;
	uint64_t top = top_size(vm);

	if ((vm->kind == GUEST_LINUX) && ((vm->base % MIB2) != 0)) {
		diag_error(&s->diag, c->memory_at.line,
			   "memory_at is 0x%llx, but image %s, a Linux "
			   "Image, wants a multiple of 2M",
			   (unsigned long long)vm->base, c->image.s);
		return false;
	}
	for (unsigned i = 0; i < vm->image_count; i++) {
		struct piece *p = &vm->piece[i];
		uint64_t rel = (vm->kind == GUEST_ELF) ? p->at - vm->base : p->at;

		if ((vm->kind == GUEST_ELF) &&
		    ((p->at < vm->base) || (rel > vm->size) || (p->run_size > vm->size - rel))) {
			diag_error(
				&s->diag, c->image.line,
				"image %s is linked for 0x%llx to "
				"0x%llx, but vm '%s' has its memory at 0x%llx to 0x%llx: link it "
				"there, or change memory_at or memory",
				c->image.s, (unsigned long long)p->at,
				(unsigned long long)(p->at + p->run_size), c->name.s,
				(unsigned long long)vm->base,
				(unsigned long long)(vm->base + vm->size));
			return false;
		}
		if ((rel > vm->size) || (p->run_size > vm->size - rel) ||
		    (top > vm->size - rel - p->run_size)) {
			uint64_t need = rel + p->run_size + top;

			diag_error(&s->diag, c->memory.line,
				   "memory is %s, too small for vm "
				   "'%s': its image, ramdisk and device tree need %lluK",
				   c->memory.s, c->name.s,
				   (unsigned long long)(ALIGN_UP(need, KZ_PAGE_SIZE) >> 10));
			return false;
		}
		p->ipa = vm->base + rel;
	}
	return true;
}

/* The pieces of an ELF image may be anywhere, so may its entry. */
static bool entry_place(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;

	vm->cfg.entry = (vm->kind == GUEST_ELF) ? vm->entry_at : vm->base + vm->entry_at;
	for (unsigned i = 0; i < vm->image_count; i++) {
		const struct piece *p = &vm->piece[i];

		for (unsigned j = 0; j < i; j++) {
			const struct piece *q = &vm->piece[j];

			if ((p->ipa < q->ipa + q->run_size) && (q->ipa < p->ipa + p->run_size)) {
				diag_error(
					&s->diag, c->image.line,
					"image %s has two segments at "
					"0x%llx",
					c->image.s,
					(unsigned long long)((p->ipa > q->ipa) ? p->ipa : q->ipa));
				return false;
			}
		}
	}
	if (((vm->cfg.entry % 4) != 0) || (vm->cfg.entry < vm->base) ||
	    (vm->cfg.entry - vm->base > vm->size - 4)) {
		diag_error(&s->diag, c->image.line,
			   "image %s has its entry at 0x%llx, outside the "
			   "memory of vm '%s'",
			   c->image.s, (unsigned long long)vm->cfg.entry, c->name.s);
		return false;
	}
	return true;
}

void place_vm(struct sys *s, struct vm *vm)
{
	vm->ok = false;
	if ((vm->size == 0) || (vm->image_count == 0)) {
		return;
	}
	if (vm->size > (1ull << KZ_IPA_BITS) - vm->base) {
		return; /* parts_check() says so */
	}
	if (image_place(s, vm)) {
		top_place(vm);
		vm->ok = entry_place(s, vm);
	}
}

/* The tree's piece: the user's own, or a generated one, whose size is all that counts yet. */
static void tree_add(struct sys *s, struct vm *vm)
{
	const struct conf_text *own = &vm->conf->dtb;
	struct bytes tree = { NULL, 0 };
	struct piece *p;

	if (own->s != NULL) {
		const struct bytes *f = sys_file(s, "dtb", *own);

		if ((f != NULL) && !dt_open(f)) {
			diag_error(&s->diag, own->line,
				   "dtb %s is not a flattened device tree (dtc "
				   "-O dtb makes one)",
				   own->s);
		} else if (f != NULL) {
			tree = *f;
		}
	} else {
		tree = tree_make(s, vm);
	}
	if (tree.data == NULL) {
		return;
	}
	vm->tree = (int)vm->piece_count;
	p = &vm->piece[vm->piece_count];
	vm->piece_count++;
	p->what = "device tree";
	p->data = tree.data;
	p->size = tree.size;
	p->slot = tree.size + ((own->s == NULL) ? TREE_SLACK : 0);
	p->run_size = p->slot;
}

/* ---- The VM's addresses ---- */

static unsigned parts_list(struct sys *s, const struct vm *vm, struct part *part)
{
	const struct conf_vm *c = vm->conf;
	bool v3 = (s->board.m.gic_version == 3);
	unsigned n = 0;

	part[n++] = (struct part){ "memory", "memory_at", vm->base, vm->size,
				   (c->memory_at.line != 0) ? c->memory_at.line : c->memory.line };
	part[n++] = (struct part){ "distributor", "gicd_at", vm->cfg.gicd_ipa,
				   v3 ? KZ_GICD3_SIZE : KZ_GICD2_SIZE, c->gicd_at.line };
	part[n++] = (struct part){ v3 ? "redistributors" : "CPU interface",
				   v3 ? "gicr_at" : "gicc_at", vm->cfg.gicc_ipa,
				   v3 ? vm->cfg.vcpu_count * (uint64_t)KZ_GICR_SIZE : KZ_GICC_SIZE,
				   v3 ? c->gicr_at.line : c->gicc_at.line };
	if (vm->cfg.console == KZ_CONSOLE_PL011) {
		part[n++] = (struct part){ "console", "console_at", vm->cfg.console_ipa,
					   KZ_CONSOLE_SIZE, c->console_at.line };
	}
	if (vm->cfg.wdt_ipa != 0) {
		part[n++] = (struct part){ "watchdog", "watchdog_at", vm->cfg.wdt_ipa, KZ_WDT_SIZE,
					   (c->watchdog_at.line != 0) ? c->watchdog_at.line
								      : c->watchdog.line };
	}
	if (vm->trace != 0) {
		part[n++] = (struct part){ "trace", "trace_at", vm->cfg.region[vm->trace].ipa,
					   vm->cfg.region[vm->trace].size,
					   (c->trace_at.line != 0) ? c->trace_at.line
								   : c->control.line };
	}
	for (unsigned i = 0; i < vm->device_count; i++) {
		const struct device *dev = &vm->device[i];

		for (unsigned k = 0; k < dev->reg_count; k++) {
			part[n++] = (struct part){ dev->name, NULL, dev->reg[k].base,
						   dev->reg[k].size, dev->line };
		}
	}
	return n;
}

static void parts_check(struct sys *s, const struct vm *vm)
{
	struct part part[6 + DEVICES_MAX * DEVICE_REGS_MAX];
	unsigned n = parts_list(s, vm, part);

	for (unsigned i = 0; i < n; i++) {
		const struct part *a = &part[i];

		if (a->size > (1ull << KZ_IPA_BITS) - a->base) {
			diag_error(&s->diag, a->line,
				   "the %s of vm '%s' at 0x%llx ends above "
				   "0x%llx: %s moves it",
				   a->what, vm->conf->name.s, (unsigned long long)a->base,
				   1ull << KZ_IPA_BITS, a->key);
		}
		for (unsigned j = 0; j < i; j++) {
			const struct part *b = &part[j];
			const struct part *moved = (a->key != NULL) ? a : b;

			if ((moved->key == NULL) || (a->base >= b->base + b->size) ||
			    (b->base >= a->base + a->size)) {
				continue;
			}
			diag_error(&s->diag,
				   (a->line != 0)   ? a->line
				   : (b->line != 0) ? b->line
						    : vm->conf->name.line,
				   "in vm '%s', %s (0x%llx, 0x%llx bytes) and %s (0x%llx, 0x%llx "
				   "bytes) overlap: %s moves the %s",
				   vm->conf->name.s, a->what, (unsigned long long)a->base,
				   (unsigned long long)a->size, b->what,
				   (unsigned long long)b->base, (unsigned long long)b->size,
				   moved->key, moved->what);
		}
	}
}

/* ---- The blob ---- */

/* How many translation tables stage 2 takes, the root included: 4 KiB granule, 512 entries. */
static unsigned tables_count(const struct vm *vm)
{
	uint64_t seen1[KZ_REGIONS_MAX * 2]; /* GiB that have a table, */
	uint64_t seen2[KZ_REGIONS_MAX * 4]; /* and 2 MiB that have one */
	unsigned n1 = 0;
	unsigned n2 = 0;
	unsigned count = 1;

	for (unsigned i = 0; i < vm->cfg.region_count; i++) {
		const struct kz_cfg_region *r = &vm->cfg.region[i];
		uint64_t ends[2] = { r->ipa, r->ipa + r->size };
		bool big = (((r->ipa ^ r->pa) % GIB1) == 0);
		bool mid = (((r->ipa ^ r->pa) % MIB2) == 0);
		uint64_t at;

		/* Without alignment each GiB, and each 2 MiB, needs its table. */
		if (!mid) {
			count += (unsigned)(r->size / MIB2);
		}
		if (!big) {
			count += (unsigned)(r->size / GIB1);
		}
		for (unsigned e = 0; e < 2; e++) {
			bool new1 = (!big || ((ends[e] % GIB1) != 0));
			bool new2 = (!mid || ((ends[e] % MIB2) != 0));

			at = (ends[e] - e) / GIB1;
			for (unsigned k = 0; k < n1; k++) {
				new1 = new1 && (seen1[k] != at);
			}
			if (new1) {
				seen1[n1++] = at;
			}
			at = (ends[e] - e) / MIB2;
			for (unsigned k = 0; k < n2; k++) {
				new2 = new2 && (seen2[k] != at);
			}
			if (new2) {
				seen2[n2++] = at;
			}
		}
	}
	return count + n1 + n2;
}

static void blob_fill(const struct sys *s, struct vm *vm)
{
	struct kz_cfg_region *ram = &vm->cfg.region[0];

	if (vm->trace != 0) {
		vm->cfg.region[vm->trace].pa = s->board.m.trace_pa;
	}
	ram->ipa = vm->base;
	ram->pa = vm->pa;
	ram->size = vm->size;
	ram->type = KZ_REGION_RAM;
	for (unsigned i = 0; i < vm->piece_count; i++) {
		const struct piece *p = &vm->piece[i];
		struct kz_cfg_load *l = &vm->cfg.load[vm->cfg.load_count];

		if (p->size != 0) {
			l->ipa = p->ipa;
			l->size = p->size;
			vm->cfg.load_count++;
		}
	}
}

/* The first core that is no hard real-time VM's serves the console; if there is none, nobody. */
static uint32_t console_cpu(struct sys *s)
{
	uint32_t hard = 0;

	for (unsigned v = 0; v < s->vm_count; v++) {
		for (unsigned i = 0; i < s->vm[v].cfg.vcpu_count; i++) {
			hard |= (s->vm[v].cfg.level == KZ_HRT) ? 1u << s->vm[v].cfg.cpu[i] : 0;
		}
	}
	for (uint32_t i = 0; i < s->board.m.cpu_count; i++) {
		if ((hard & (1u << i)) == 0) {
			return i;
		}
	}
	diag_note(&s->diag, 0,
		  "every core is a hard real-time VM's: nobody serves the console, keys do nothing "
		  "and console rings are not read");
	return 0;
}

void place_trees(struct sys *s)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];

		if (vm->running) {
			continue;
		}
		if (vm->physical) {
			vm->base = vm->pa;
			place_vm(s, vm);
			parts_check(s, vm);
		}
		if ((vm->conf->dtb.s != NULL) && (vm->ramdisk >= 0)) {
			diag_note(&s->diag, vm->conf->dtb.line,
				  "the ramdisk is at 0x%llx, 0x%llx bytes: "
				  "that must be in /chosen of %s",
				  (unsigned long long)vm->piece[vm->ramdisk].ipa,
				  (unsigned long long)vm->piece[vm->ramdisk].size, vm->conf->dtb.s);
		}
		if (vm->conf->dtb.s == NULL) {
			struct bytes tree = tree_make(s, vm);
			struct piece *p = &vm->piece[vm->tree];

			p->data = tree.data;
			p->size = tree.size;
			if (p->size > p->slot) {
				diag_error(&s->diag, vm->conf->name.line,
					   "the device tree of vm "
					   "'%s' grew: this is a mistake of kzc",
					   vm->conf->name.s);
			}
		}
	}
}

bool place_guests(struct sys *s)
{
	intids_place(s);
	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];

		if (vm->running) {
			continue;
		}
		/* A tree of the user's own does not say that the page is taken. */
		vm->has_stolen = vm_is_delayed(s, vm) && (vm->conf->dtb.s == NULL);
		if ((vm->cfg.vcpu_count != 0) && (vm->size != 0)) {
			tree_add(s, vm);
		}
		place_vm(s, vm);
		if (!vm->physical && (vm->size != 0)) {
			parts_check(s, vm);
		}
	}
	return s->diag.errors == 0;
}

void place_all(struct sys *s)
{
	unsigned tables = 0;

	if (!place_guests(s)) {
		return;
	}
	image_layout(s);
	if (!ram_place(s)) {
		return;
	}
	place_trees(s);
	for (unsigned v = 0; v < s->vm_count; v++) {
		blob_fill(s, &s->vm[v]);
		tables += tables_count(&s->vm[v]);
	}
	s->board.m.console_cpu = console_cpu(s);
	if (tables > KZ_PT_PAGES) {
		diag_error(&s->diag, 0,
			   "the VMs' memory and devices take %u translation tables, but "
			   "there are %u: make memory sizes and memory_at multiples of 2M",
			   tables, KZ_PT_PAGES);
	}
}
