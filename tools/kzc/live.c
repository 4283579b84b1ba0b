/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include <libfdt.h>
#include <string.h>
#include <unistd.h>

#include "admit.h"
#include "blob.h"
#include "cores.h"
#include "live_ram.h"
#include "map.h"

#define EMPTY_SIZE 4096

/* ---- The system that runs ---- */

/* A board without files: what the hypervisor has told of it. */
static void board_empty(struct sys *s, const struct live *now)
{
	const struct conf_board none = { .dtb = { NULL, 0 } };
	void *fdt = mem_zalloc(&s->mem, EMPTY_SIZE);
	struct board *b = &s->board;

	memset(b, 0, sizeof(*b));
	b->name = mem_strndup(&s->mem, now->cfg->machine.board, KZ_NAME_MAX);
	b->diag = (struct diag){ .mem = &s->mem, .file = b->name };
	(void)fdt_create_empty_tree(fdt, EMPTY_SIZE);
	b->fdt = fdt;
	b->fdt_size = EMPTY_SIZE;
	b->gic = -1;
	b->uart = -1;
	b->pmu = -1;
	board_keys(b, &none);
	/* Nobody knows which interrupts are devices'. */
	memset(b->spi_used, 1, sizeof(b->spi_used));
}

static bool board_is_it(const struct board *b, const struct kz_cfg_machine *m)
{
	bool same = (b->m.gic_version == m->gic_version) && (b->m.gicd_pa == m->gicd_pa) &&
		    (b->m.uart_pa == m->uart_pa) && (b->m.cpu_count >= m->cpu_count);

	for (unsigned i = 0; same && (i < m->cpu_count); i++) {
		same = (b->m.mpidr[i] == m->mpidr[i]);
	}
	return same;
}

/* The board's own files if they are here; its machine is what runs in any case. */
static bool board_get(struct sys *s, const struct live *now, bool *found)
{
	const struct kz_cfg_machine *m = &now->cfg->machine;
	const char *own = mem_strndup(&s->mem, m->board, KZ_NAME_MAX);
	struct conf_text name = { (now->board != NULL) ? now->board : own, 0 };

	*found = (now->board != NULL) ||
		 ((s->paths.boards != NULL) &&
		  (access(mem_printf(&s->mem, "%s/%s.conf", s->paths.boards, own), F_OK) == 0));
	if (!*found) {
		board_empty(s, now);
	} else if (!board_load(&s->diag, &s->paths, name, ".", &s->board)) {
		return false;
	} else if (!board_is_it(&s->board, m)) {
		diag_error(&s->diag, 0, "board %s is not the machine that runs, which is %s: its "
			   "cores, GIC or console differ", s->board.name, own);
		return false;
	}
	s->board.m = *m;
	return true;
}

/* VMs that are there, and the one that comes behind them; NULL: no place is free. */
static struct vm *vms_set(struct sys *s, const struct live *now)
{
	for (unsigned v = 0; v < KZ_VMS_MAX; v++) {
		struct conf_vm *conf;
		struct vm *vm = &s->vm[s->vm_count];

		if (now->vm[v] == NULL) {
			continue;
		}
		conf = mem_zalloc(&s->mem, sizeof(*conf));
		conf->name.s = mem_strndup(&s->mem, now->vm[v]->name, KZ_NAME_MAX);
		vm->conf = conf;
		vm->cfg = *now->vm[v];
		vm->running = true;
		s->vm_count++;
	}
	if (s->vm_count == KZ_VMS_MAX) {
		diag_error(&s->diag, s->conf.vm[0].name.line,
			   "there are %u VMs already: destroy one first", KZ_VMS_MAX);
		return NULL;
	}
	s->vm[s->vm_count].conf = &s->conf.vm[0];
	s->vm[s->vm_count].cfg.region_count = 1;
	s->vm_count++;
	s->live = true;
	return &s->vm[s->vm_count - 1];
}

/* ---- What a VM at run time cannot have ---- */

static void not_here(struct sys *s, const char *key, int line)
{
	if (line != 0) {
		diag_error(&s->diag, line, "%s is of the whole system, which runs already", key);
	}
}

static bool conf_check(struct sys *s)
{
	const struct conf *c = &s->conf;

	not_here(s, "board", c->board.line);
	not_here(s, "cores", c->cores.line);
	not_here(s, "ram", c->ram.line);
	not_here(s, "nrt_reserve", c->nrt_reserve.line);
	not_here(s, "trace", c->trace.line);
	for (unsigned i = 0; i < c->core_count; i++) {
		not_here(s, "core", c->core[i].name.line);
	}
	if (c->vm_count == 0) {
		diag_error(&s->diag, 0, "there is no VM: vm NAME { level = ... }");
	} else if (c->vm_count > 1) {
		diag_error(&s->diag, c->vm[1].name.line,
			   "vm '%s' is one too many: one is created at a time", c->vm[1].name.s);
	}
	return c->vm_count > 0;
}

static void vm_check(struct sys *s, const struct vm *vm)
{
	const struct conf_vm *c = vm->conf;
	const struct kz_cfg_machine *m = &s->board.m;

	for (const struct vm *other = s->vm; other < vm; other++) {
		if (strcmp(other->conf->name.s, c->name.s) == 0) {
			diag_error(&s->diag, c->name.line, "there is a vm '%s' already", c->name.s);
		}
	}
	if (c->control.line != 0) {
		diag_error(&s->diag, c->control.line,
			   "control is given when the system starts: a VM that comes later has no "
			   "rights over others");
	}
	if (c->trace_at.s != NULL) {
		diag_error(&s->diag, c->trace_at.line, "trace_at is for a VM that has the trace");
	}
	if ((vm->cfg.level == KZ_HRT) &&
	    (memchr(vm->cfg.cpu, (int)m->console_cpu, vm->cfg.vcpu_count) != NULL)) {
		diag_error(&s->diag, c->cpus.line,
			   "core %u serves the console: it cannot become a hard real-time VM's",
			   m->console_cpu);
	}
}

/* ---- Devices ---- */

static bool spans_meet(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return (a < b + b_size) && (b < a + a_size);
}

/* A device that a VM has already, or that shares a page or an interrupt with one. */
static void device_compare(struct sys *s, const struct device *dev, const struct vm *other)
{
	const struct kz_cfg_vm *c = &other->cfg;
	bool page = false;
	bool irq = false;

	for (unsigned i = 0; i < c->region_count * dev->reg_count; i++) {
		const struct kz_cfg_region *r = &c->region[i / dev->reg_count];
		const struct dt_reg *reg = &dev->reg[i % dev->reg_count];

		page = page || ((r->type == KZ_REGION_DEVICE) &&
				spans_meet(r->pa, r->size, reg->base, reg->size));
	}
	for (unsigned i = 0; i < c->irq_count * dev->irq_count; i++) {
		irq = irq || (c->irq[i / dev->irq_count].intid == dev->irq[i % dev->irq_count]);
	}
	if (page || irq) {
		diag_error(&s->diag, dev->line, "%s: vm '%s' has %s", dev->name,
			   other->conf->name.s, page ? "its page" : "its interrupt");
	}
}

static void devices_check(struct sys *s, const struct vm *vm)
{
	for (unsigned i = 0; i < vm->device_count; i++) {
		for (const struct vm *other = s->vm; other < vm; other++) {
			device_compare(s, &vm->device[i], other);
		}
	}
}

/* ---- Memory ---- */

static void ram_add(struct vm *vm, uint64_t at, uint64_t pa, uint64_t size)
{
	unsigned i = 0;

	if (at != 0) {
		i = vm->cfg.region_count;
		vm->cfg.region_count++;
	}
	vm->cfg.region[i] = (struct kz_cfg_region){ vm->base + at, pa, size, KZ_REGION_RAM, 0 };
}

/* One piece, in the largest blocks that there is room for. */
static bool ram_whole(struct live_ram *r, const struct vm *vm, uint64_t at, uint64_t *pa)
{
	static const uint64_t align[] = { GIB1, MIB2, KZ_PAGE_SIZE };
	uint64_t like = vm->physical ? 0 : vm->base + at;
	uint64_t size = vm->size - at;

	for (unsigned i = 0; i < 3; i++) {
		if ((size >= align[i]) && live_ram_take(r, size, align[i], like, pa)) {
			return true;
		}
	}
	return false;
}

/* Several pieces, which the guest does not see: not for who is promised one, or does DMA. */
static bool memory_place(struct sys *s, struct live_ram *r, struct vm *vm)
{
	bool one = (vm->cfg.level == KZ_HRT) || vm->physical || ((vm->base % MIB2) != 0);
	uint64_t largest;
	uint64_t sum = live_ram_sum(r, &largest);
	uint64_t at = 0;
	uint64_t pa;

	while (!ram_whole(r, vm, at, &pa)) {
		uint64_t size = 0;

		/* The last region is the store's. */
		if (one || (sum < vm->size) || (vm->cfg.region_count + 2u > KZ_REGIONS_MAX) ||
		    !live_ram_take_part(r, &pa, &size)) {
			diag_error(&s->diag, vm->conf->memory.line,
				   "there is no room for %s of memory: %s of RAM is free, the "
				   "largest piece has %s%s",
				   vm->conf->memory.s, map_size(&s->mem, sum),
				   map_size(&s->mem, largest),
				   one ? ", and it must be one piece" : "");
			return false;
		}
		ram_add(vm, at, pa, size);
		at += size;
	}
	ram_add(vm, at, pa, vm->size - at);
	vm->pa = vm->cfg.region[0].pa;
	return true;
}

/* ---- What its loads copy ---- */

/* The bytes of a piece that lie in one region: a load of their own. */
static bool load_add(struct vm *vm, const struct piece *p, const struct kz_cfg_region *r,
		     struct bytes *store)
{
	uint64_t from = (p->ipa > r->ipa) ? p->ipa : r->ipa;
	uint64_t end = p->ipa + p->size;

	end = (end < r->ipa + r->size) ? end : r->ipa + r->size;
	if ((r->type != KZ_REGION_RAM) || (from >= end)) {
		return true;
	}
	if (vm->cfg.load_count == KZ_LOADS_MAX) {
		return false;
	}
	vm->cfg.load[vm->cfg.load_count] = (struct kz_cfg_load){ from, store->size, end - from };
	vm->cfg.load_count++;
	memcpy(store->data + store->size, p->data + (from - p->ipa), end - from);
	store->size += ALIGN_UP(end - from, 64);
	return true;
}

static bool loads_make(struct sys *s, struct vm *vm, struct bytes *store)
{
	uint64_t most = KZ_LOADS_MAX * 64ull;
	bool ok = true;

	for (unsigned i = 0; i < vm->piece_count; i++) {
		most += vm->piece[i].size;
	}
	*store = (struct bytes){ mem_zalloc(&s->mem, most), 0 };
	for (unsigned i = 0; i < vm->piece_count; i++) {
		for (unsigned k = 0; ok && (k < vm->cfg.region_count); k++) {
			ok = load_add(vm, &vm->piece[i], &vm->cfg.region[k], store);
		}
	}
	if (!ok) {
		diag_error(&s->diag, vm->conf->image.line,
			   "the image of vm '%s' lies in more than %u pieces, in memory that is "
			   "one of several pieces itself: free RAM is too scattered",
			   vm->conf->name.s, KZ_LOADS_MAX);
	}
	return ok;
}

static bool store_place(struct sys *s, struct live_ram *r, struct vm *vm, const struct bytes *store)
{
	struct kz_cfg_region *region = &vm->cfg.region[vm->cfg.region_count];
	uint32_t tables = blob_tables(&vm->cfg);
	uint64_t size = tables * (uint64_t)KZ_PAGE_SIZE + ALIGN_UP(store->size, KZ_PAGE_SIZE);
	uint64_t pa = 0;

	if (vm->cfg.region_count == KZ_REGIONS_MAX) {
		diag_error(&s->diag, vm->conf->devices.line,
			   "vm '%s' has more than %u register areas, beside what the hypervisor "
			   "keeps for it",
			   vm->conf->name.s, KZ_REGIONS_MAX - 2);
		return false;
	}
	if (!((size >= MIB2) && live_ram_take(r, size, MIB2, 0, &pa)) &&
	    !live_ram_take(r, size, KZ_PAGE_SIZE, 0, &pa)) {
		diag_error(&s->diag, vm->conf->memory.line,
			   "there is no room for what the hypervisor keeps to restart vm '%s': %s "
			   "in one piece",
			   vm->conf->name.s, map_size(&s->mem, size));
		return false;
	}
	*region = (struct kz_cfg_region){ 0, pa, size, KZ_REGION_STORE, 0 };
	vm->cfg.region_count++;
	vm->cfg.store_tables = tables;
	return true;
}

/* ---- All together ---- */

static void devices_read(struct sys *s, const struct vm *vm, bool has_board)
{
	if (has_board) {
		device_read_all(s);
		devices_check(s, vm);
	} else if (vm->conf->devices.count != 0) {
		diag_error(&s->diag, vm->conf->devices.line,
			   "devices are known from the files of board %s, which are not here",
			   s->board.name);
	}
}

/* All that needs no memory yet; false: there are errors. */
static bool vm_make(struct sys *s, struct vm *vm, bool has_board)
{
	vm_read(s, vm);
	guest_read(s, vm);
	cores_join(s);
	health_check(s);
	vm_check(s, vm);
	admit_all(s);
	devices_read(s, vm, has_board);
	return place_guests(s);
}

/* The hypervisor's own word on it. */
static bool blob_ask(struct sys *s, const struct live *now, const struct kz_cfg_vm *vm)
{
	struct blob_where where;
	enum blob_err err;
	uint32_t id = 0;

	while (now->vm[id] != NULL) {
		id++;
	}
	err = blob_check_vm(now->cfg, now->vm, id, vm, &where);
	if (err != BLOB_OK) {
		diag_error(&s->diag, 0,
			   "the hypervisor would refuse this (%u: %s): this is a mistake of kzc",
			   where.index, blob_strerror(err));
	}
	return err == BLOB_OK;
}

bool live_parse(struct sys *s, char *text, size_t size, const struct live *now, struct live_vm *out)
{
	struct live_ram *ram = mem_zalloc(&s->mem, sizeof(*ram));
	bool has_board;
	struct vm *vm;

	s->dir = (s->dir == NULL) ? "." : s->dir;
	if (!conf_parse(&s->diag, text, size, &s->conf) || !conf_check(s) ||
	    !board_get(s, now, &has_board)) {
		return false;
	}
	vm = vms_set(s, now);
	if ((vm == NULL) || !vm_make(s, vm, has_board)) {
		return false;
	}
	live_ram_read(ram, now);
	if (!memory_place(s, ram, vm)) {
		return false;
	}
	place_trees(s);
	vm->cfg.region[0].ipa = vm->base;
	if ((s->diag.errors != 0) || !loads_make(s, vm, &out->store) ||
	    !store_place(s, ram, vm, &out->store)) {
		return false;
	}
	out->cfg = vm->cfg;
	return blob_ask(s, now, &out->cfg);
}

bool live_load(struct sys *s, const char *path, const struct live *now, struct live_vm *out)
{
	struct bytes text;

	return sys_text(s, path, &text) && live_parse(s, (char *)text.data, text.size, now, out);
}
