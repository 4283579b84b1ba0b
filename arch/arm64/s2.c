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

enum kz_err s2_build(struct vm *vm)
{
	struct pt t = { .root = pt_alloc(), .to_ptr = image_to_ptr };
	enum kz_err err = t.root == NULL ? KZ_ENOMEM : map_gicc(vm, &t);
	uint64_t last = vm->cfg->gicc_ipa + KZ_GICC_SIZE;

	for (uint32_t i = 0; i < vm->cfg->region_count && err == KZ_OK; i++) {
		const struct kz_cfg_region *r = &vm->cfg->region[i];

		err = pt_map(&t, r->ipa, r->pa, r->size,
			     r->type == KZ_REGION_RAM ? S2_RAM : S2_DEVICE);
		last = r->ipa + r->size > last ? r->ipa + r->size : last;
	}
	vm->arch.root = t.root;
	vm->arch.root_used = (uint32_t)((last - 1) >> 30) + 1;
	vm->arch.vttbr = ((uint64_t)t.root - image_to_ptr) |
			 (uint64_t)(vm->id + 1) << VTTBR_VMID_SHIFT;
	dsb_ishst();	/* the tables before the walks of whichever core runs the VM */
	return err;
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
