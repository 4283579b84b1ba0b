/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of a vCPU that shares its core: its list registers and its private
 * twins come and go with it. While it is away the model says due where it would
 * touch hardware, and vgic_attend does it when it is back.
 */
#include <gic_quick.h>
#include "arch.h"
#include "vgic.h"
#include "vgic_quick.h"

#define GICH_HCR	0x000u
#define GICH_VMCR	0x008u
#define GICH_APR	0x0f0u

/* The physical state of the core's private twins. */
static inline void twins(const struct vcpu *v, uint32_t reg, uint32_t set)
{
	if (UNLIKELY(set != 0)) {
		mmio_write32(gic_frame(v->cpu->id, 0) + reg, set);
	}
}

static inline void save_v3(struct vgic_cpu *g)
{
	uint32_t used = g->lr_used;

	g->vmcr = read_ich_vmcr_el2();
	g->apr[0] = read_ich_ap0r0_el2();
	g->apr[1] = read_ich_ap1r0_el2();
	g->hcr_now = read_ich_hcr_el2();
	if ((used & 1) != 0) {
		g->lr[0] = read_ich_lr0_el2();
		write_ich_lr0_el2(0);
	}
	if ((used & 2) != 0) {
		g->lr[1] = read_ich_lr1_el2();
		write_ich_lr1_el2(0);
	}
	if ((used & 4) != 0) {
		g->lr[2] = read_ich_lr2_el2();
		write_ich_lr2_el2(0);
	}
	if ((used & 8) != 0) {
		g->lr[3] = read_ich_lr3_el2();
		write_ich_lr3_el2(0);
	}
}

static inline void load_v3(const struct vgic_cpu *g)
{
	write_ich_vmcr_el2(g->vmcr);
	write_ich_ap0r0_el2(g->apr[0]);
	write_ich_ap1r0_el2(g->apr[1]);
	write_ich_hcr_el2(g->hcr_now);
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		gic_quick_lr_v3(i, g->lr[i]);
	}
}

static void save_v2(struct vgic_cpu *g)
{
	g->vmcr = mmio_read32(gic.gich + GICH_VMCR);
	g->apr[0] = mmio_read32(gic.gich + GICH_APR);
	g->hcr_now = mmio_read32(gic.gich + GICH_HCR);
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		g->lr[i] = mmio_read32(gic.gich + GICH_LR + 4 * i);
		mmio_write32(gic.gich + GICH_LR + 4 * i, 0);
	}
}

static void load_v2(const struct vgic_cpu *g)
{
	mmio_write32(gic.gich + GICH_VMCR, (uint32_t)g->vmcr);
	mmio_write32(gic.gich + GICH_APR, (uint32_t)g->apr[0]);
	mmio_write32(gic.gich + GICH_HCR, (uint32_t)g->hcr_now);
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		mmio_write32(gic.gich + GICH_LR + 4 * i, (uint32_t)g->lr[i]);
	}
}

void vgic_save(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;

	if (gic.v3) {
		save_v3(g);
	} else {
		save_v2(g);
	}
	v->cpu->arch.ppis = b->enabled & b->hw;
	/* one that the guest has ended is not active any more: writing it changes nothing */
	twins(v, GICD_ICACTIVER, b->held & b->hw);
}

void vgic_load(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint32_t want = b->enabled & b->hw;
	uint32_t differ = want ^ v->cpu->arch.ppis;
	uint32_t held = b->held & b->hw;

	if (gic.v3) {
		load_v3(g);
	} else {
		load_v2(g);
	}
	twins(v, GICD_ICENABLER, differ & ~want);
	twins(v, GICD_ISENABLER, differ & want);
	if (UNLIKELY(held != 0)) {
		/* whose end in a list register is still to come */
		for (uint32_t used = g->lr_used & gic_quick_empty(gic.v3); used != 0;
		     used &= used - 1) {
			uint32_t i = (uint32_t)__builtin_ctz(used);

			held &= ~((g->lr_hw >> i & 1) != 0 && g->lr_intid[i] < GIC_PRIVATE ?
				  BIT(g->lr_intid[i] % 32) : 0);
		}
		twins(v, GICD_ISACTIVER, held);
	}
}

void vgic_load_irq(struct vcpu *v, uint32_t intid)
{
	struct vgic_bank *b = &v->arch.vgic.bank;
	uint32_t bit = BIT(intid);
	bool v3 = gic.v3;

	if ((b->enabled & b->hw & bit) == 0 || intid == 0) {
		return;
	}
	if ((b->held & bit) != 0 && ((b->latch & bit) != 0 || (b->inlr & bit) == 0 ||
	    (gic_quick_empty(v3) >> b->lr[intid] & 1) == 0)) {
		return;			/* it has fired, and the guest has not ended it */
	}
	twins(v, GICD_ISACTIVER, bit);
	if (!vgic_quick_again(v, intid, v3, true, 0)) {
		vgic_hw_irq(v, intid);
	}
}

bool vgic_has_work(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;

	if (g->due || g->hcr != GIC_HCR_EN) {
		return vgic_is_pending(v);
	}
	/* Bound: the list registers. */
	for (uint32_t used = g->lr_used & ~gic_quick_empty(gic.v3); used != 0; used &= used - 1) {
		if ((gic_lr_state((uint32_t)__builtin_ctz(used)) & LR_PENDING) != 0) {
			return true;
		}
	}
	return false;
}

/* ---- Interrupts that come while another vCPU executes ---- */

static uint8_t owner[KZ_INTID_MAX];	/* VM's id + 1 of each physical SPI, 0: nobody's */

void vgic_own(const struct vm *vm, uint32_t intid)
{
	owner[intid] = (uint8_t)(vm->id + 1);
}

struct vcpu *vgic_target(uint32_t intid)
{
	uint32_t id = intid < KZ_INTID_MAX ? owner[intid] : 0;
	struct vm *vm = &machine.vm[id - 1];
	uint32_t target;

	if (id == 0) {
		return NULL;
	}
	target = vm->arch.vgic.spi[intid / 32 - 1].cpu[intid % 32];
	return &vm->vcpu[target < vm->cfg->vcpu_count ? target : 0];
}

/* Bound: KZ_IRQS_MAX. */
void vgic_mask(struct vcpu *v, bool masked)
{
	const struct kz_cfg_vm *cfg = v->vm->cfg;

	for (uint32_t i = 0; i < cfg->irq_count; i++) {
		uint32_t intid = cfg->irq[i].intid;
		const struct vgic_bank *b = &v->vm->arch.vgic.spi[intid / 32 - 1];

		if ((b->enabled >> intid % 32 & 1) != 0 && b->cpu[intid % 32] == v->id) {
			gic_enable(0, intid, !masked);
		}
	}
}
