/* SPDX-License-Identifier: Apache-2.0 */
#include "arch.h"
#include "barrier.h"
#include "gic.h"
#include "layout.h"
#include "mmu.h"
#include "pt.h"
#include "sysreg.h"

#define VTTBR_VMID_SHIFT	48

static enum kz_err map_gicc(struct vm *vm, const struct pt *t)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	/*
	 * HRT owns the physical CPU interface, but for its second page: GICC_DIR could end
	 * others' interrupts. The rest get the virtual interface, made to look like it.
	 */
	uint64_t frame = vm->arch.hrt ? m->gicc_pa : m->gicv_pa;
	uint64_t size = vm->arch.hrt ? PAGE_SIZE : KZ_GICC_SIZE;

	return m->gic_version == 2 ? pt_map(t, vm->cfg->gicc_ipa, frame, size, S2_DEVICE) : KZ_OK;
}

/* Attributes of a region; 0: the guest does not see it. */
static uint64_t attrs_of(const struct kz_cfg_region *r)
{
	static const uint64_t attrs[KZ_REGION_TYPES] = { S2_RAM, S2_DEVICE, S2_TRACE, 0 };

	return attrs[r->type];
}

/* The root, and the CPU interface: what comes before the regions. */
static enum kz_err begin(struct vm *vm, struct pt *t)
{
	uint64_t last = vm->cfg->gicc_ipa + KZ_GICC_SIZE;

	t->root = pt_alloc(t->pool);
	if (t->root == NULL) {
		return KZ_ENOMEM;
	}
	for (uint32_t i = 0; i < vm->cfg->region_count; i++) {
		const struct kz_cfg_region *r = &vm->cfg->region[i];

		last = r->ipa + r->size > last ? r->ipa + r->size : last;
	}
	vm->arch.root = t->root;
	vm->arch.root_used = (uint32_t)((last - 1) >> 30) + 1;
	vm->arch.vttbr = ((uint64_t)t->root - t->to_ptr) |
			 (uint64_t)(vm->id + 1) << VTTBR_VMID_SHIFT;
	return map_gicc(vm, t);
}

enum kz_err s2_build(struct vm *vm)
{
	struct pt t = { .to_ptr = image_to_ptr };
	enum kz_err err = begin(vm, &t);

	for (uint32_t i = 0; i < vm->cfg->region_count && err == KZ_OK; i++) {
		const struct kz_cfg_region *r = &vm->cfg->region[i];

		err = pt_map(&t, r->ipa, r->pa, r->size, attrs_of(r));
	}
	dsb_ishst();	/* the tables before the walks of whichever core runs the VM */
	return err;
}

/* Its tables lie in the first pages of its store, and nobody walks them yet. */
enum kz_err arch_vm_map(struct vm *vm)
{
	struct pt t = { .root = vm->arch.root, .pool = &vm->arch.tables };
	const struct kz_cfg_region *r = &vm->cfg->region[vm->load_region];
	uint64_t done;

	if (vm->load_region == 0 && vm->load_at == 0) {
		uint64_t end = (uint64_t)vm->images;

		vm->arch.tables = (struct pt_pool){
			.next = end - (uint64_t)vm->cfg->store_tables * PAGE_SIZE,
			.end = end,
		};
		if (begin(vm, &t) != KZ_OK) {
			return KZ_ENOMEM;
		}
	}
	if (attrs_of(r) != 0) {
		done = pt_map_some(&t, r->ipa + vm->load_at, r->pa + vm->load_at,
				   r->size - vm->load_at, attrs_of(r));
		if (done == 0) {
			return KZ_ENOMEM;
		}
		vm->load_at += done;
	}
	if (attrs_of(r) == 0 || vm->load_at == r->size) {
		vm->load_region++;
		vm->load_at = 0;
	}
	dsb_ishst();	/* as above */
	return vm->load_region == vm->cfg->region_count ? KZ_OK : KZ_EBUSY;
}

static void tlb_flush(const struct vm *vm)
{
	uint64_t mine = read_vttbr_el2();

	dsb_ishst();			/* the new entries before the invalidation */
	write_vttbr_el2(vm->arch.vttbr);
	isb();				/* the VMID before the TLBI that uses it */
	tlbi_vmalls12e1is();
	dsb_ish();			/* the invalidation before whatever comes next */
	write_vttbr_el2(mine);
	isb();
}

/*
 * A revoked VM walks a root whose entries are all invalid. Its cores keep
 * VTTBR_EL2, and the rest of each entry waits for its valid bit to come back.
 */
static void set_valid(struct vm *vm, uint64_t valid)
{
	/* Bound: the entries of a table. */
	for (uint32_t i = 0; i < vm->arch.root_used; i++) {
		uint64_t desc = vm->arch.root[i];

		if (desc != 0) {
			__atomic_store_n(&vm->arch.root[i], (desc & ~PT_VALID) | valid,
					 __ATOMIC_RELAXED);
		}
	}
	tlb_flush(vm);
}

void s2_revoke(struct vm *vm)
{
	set_valid(vm, 0);
}

void s2_grant(struct vm *vm)
{
	set_valid(vm, PT_VALID);
}
