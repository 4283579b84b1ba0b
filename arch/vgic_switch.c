/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts on a core that several vCPUs share: those that a vCPU has as it waits,
 * and those that come while another executes.
 */
#include <gic_quick.h>
#include "arch.h"
#include "vgic.h"

bool vgic_has_work(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;

	if (g->due || g->hcr != GIC_HCR_EN || (g->lr_used & g->lr_eoi) != 0) {
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
