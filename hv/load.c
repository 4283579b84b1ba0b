/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a VM that starts: mapped, scrubbed and loaded; of one that is destroyed: scrubbed. */
#include "arch.h"
#include "console.h"
#include "vm.h"

/* What is done between two looks at interrupts: a page, or some at once that are only zeroed. */
#define LOAD_STEP	0x1000u
#define ZERO_STEP	0x8000u

/* What the load has of [at, at + size) of the region; returns how much, and its begin in *first. */
static uint64_t overlap(const struct kz_cfg_region *r, uint64_t at, uint64_t size,
			const struct kz_cfg_load *l, uint64_t *first)
{
	uint64_t begin = l->ipa - r->ipa;	/* in the region, or beyond its size */
	uint64_t stop = min_u64(begin + l->size, at + size);

	*first = begin > at ? begin : at;
	return begin >= r->size || *first >= stop ? 0 : stop - *first;
}

/*
 * What was there goes, the images come. Returns how far it came: of a page that
 * images fill only a part is zeroed first. Bound: the loads, twice.
 */
static uint64_t step(const struct vm *vm, const struct kz_cfg_region *r, uint64_t at)
{
	const struct kz_cfg_vm *cfg = vm->cfg;
	const struct kz_cfg_load *end = &cfg->load[vm->clear ? 0 : cfg->load_count];
	uint64_t size = min_u64(ZERO_STEP, r->size - at);
	uint64_t first, done = 0;

	for (const struct kz_cfg_load *l = cfg->load; l != end && done == 0; l++) {
		done = overlap(r, at, size, l, &first);
	}
	if (done == 0) {
		arch_mem_zero(arch_ptr(pa(r->pa + at)), size);
		return size;
	}
	size = LOAD_STEP;
	done = 0;
	for (const struct kz_cfg_load *l = cfg->load; l != end && done != size; l++) {
		done = overlap(r, at, size, l, &first);
	}
	if (done != size) {
		arch_mem_zero(arch_ptr(pa(r->pa + at)), size);
	}
	for (const struct kz_cfg_load *l = cfg->load; l != end; l++) {
		uint64_t n = overlap(r, at, size, l, &first);

		if (n != 0) {
			arch_mem_copy(arch_ptr(pa(r->pa + first)),
				      vm->images + l->offset + (r->ipa + first - l->ipa), n);
		}
	}
	return size;
}

/* The next step; false when all is loaded. */
static bool load_next(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	for (; vm->load_region < cfg->region_count; vm->load_region++) {
		const struct kz_cfg_region *r = &cfg->region[vm->load_region];

		bool mine = r->type == KZ_REGION_RAM || (r->type == KZ_REGION_STORE && vm->clear);

		if (mine && vm->load_at < r->size) {
			vm->load_at += step(vm, r, vm->load_at);
			return true;
		}
		vm->load_at = 0;
	}
	return false;
}

/* False: there are not enough tables, which blob_tables has ruled out. */
static bool map_next(struct vm *vm)
{
	enum kz_err err = arch_vm_map(vm);

	if (err == KZ_OK) {
		vm->mapped = true;
		vm->load_region = 0;
		vm->load_at = 0;
	} else if (err == KZ_ENOMEM) {
		hv_log("%s: out of translation tables", vm->cfg->name);
		return false;
	}
	return true;
}

void vm_load(struct vm *vm)
{
	bool more = true;

	/* Bound: the VM's memory, in steps; an interrupt ends it. */
	while (more && !arch_cpu_poll()) {
		more = vm->mapped || vm->clear ? load_next(vm) : map_next(vm);
	}
	if (more) {
		return;
	}
	if (vm->clear || !vm->mapped) {
		vcpu_hazard(&vm->vcpu[0], HAZARD_OFF);
		return;
	}
	vm->epoch = arch_ticks();
	arch_vm_reset(vm);
	pl011_reset(vm);
	console_ring_reset(vm->id);
	wdt_reset(vm);
	vm_lock(vm);	/* whoever wants it to stop sees either this, or a vCPU that looks later */
	vm->fresh = false;
	vm_unlock(vm);
}
