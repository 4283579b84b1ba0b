/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of a vCPU that shares its core: its list registers and its private twins
 * come and go with it. While it is away the model says due where it would touch
 * hardware, and vgic_attend does it when it is back.
 */
#include "vgic_switch.h"

#include <gic_quick.h>
#include "arch.h"
#include "vgic.h"

/* The private twins that are active: held, and not ended by way of a list register. */
static uint32_t still_held(const struct vgic_cpu *g)
{
	const struct vgic_bank *b = &g->bank;
	uint32_t held = b->held & b->hw;

	for (uint32_t s = b->inlr & held; UNLIKELY(s != 0); s &= s - 1) {
		uint32_t intid = (uint32_t)__builtin_ctz(s);

		held &= ~(((g->away_empty & g->lr_hw) >> b->lr[intid] & 1) << intid);
	}
	return held;
}

void vgic_save(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool v3 = gic.v3;

	g->vmcr = vmcr_get(v3);
	if (v3) {
		g->apr[0] = read_ich_ap0r0_el2();
		g->apr[1] = read_ich_ap1r0_el2();
	} else {
		g->apr[0] = mmio_read32(gic.gich + GICH_APR);
	}
	g->hcr_now = gic_quick_hcr_get(v3);
	g->away_empty = gic_quick_empty(v3);
	g->not_plain = is_plain(g, v3, g->apr[0] | g->apr[1]) ? 0 : 1;
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		g->lr[i] = gic_quick_lr_get(v3, i);
		gic_quick_lr_set(v3, i, 0);
	}
	if (UNLIKELY(g->hcr != GIC_HCR_EN || (g->lr_used & g->lr_eoi) != 0) &&
	    v->sched.state != SCHED_BLOCKED) {	/* vgic_has_work has looked */
		/* the maintenance interrupt goes with its cause: that is looked for later */
		g->due = true;
		__atomic_fetch_or(&v->hazard, HAZARD_IRQ, __ATOMIC_RELAXED);
	}
	v->cpu->arch.ppis = g->twins_on;
	/* one that the guest has ended is not active any more */
	twins(v, GICD_ICACTIVER, still_held(g));
}

void vgic_load(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool v3 = gic.v3;

	if (g->not_plain == 0) {	/* vgic_switch says no more of it */
		g->apr[0] = 0;
		g->apr[1] = 0;
		g->hcr_now = GIC_HCR_EN;
		g->away_empty = ~0u;
	}
	vmcr_set(v3, g->vmcr);
	if (v3) {
		write_ich_ap0r0_el2(g->apr[0]);
		write_ich_ap1r0_el2(g->apr[1]);
	} else {
		mmio_write32(gic.gich + GICH_APR, (uint32_t)g->apr[0]);
	}
	gic_quick_hcr_set(v3, g->hcr_now);
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		gic_quick_lr_set(v3, i, g->lr[i]);
	}
	g->not_plain = 0;		/* until vgic_save looks; vgic_switch has looked */
	load_enables(v, g->twins_on, v->cpu->arch.ppis);
	twins(v, GICD_ISACTIVER, still_held(g));
}

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

/* Bound: the lines of the machine, by words. */
void vgic_disown(struct vm *vm)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(vm->lines.spi); i++) {
		struct vgic_bank *b = &vm->lines.spi[i];

		for (uint32_t set = b->hw; set != 0; set &= set - 1) {
			uint32_t intid = 32 * (i + 1) + (uint32_t)__builtin_ctz(set);

			gic_reset_irq(0, intid);
			owner[intid] = 0;
		}
		b->hw = 0;
	}
}

struct vcpu *vgic_target(uint32_t intid)
{
	uint32_t id = intid < KZ_INTID_MAX ? owner[intid] : 0;
	struct vm *vm = &machine.vm[id - 1];
	uint32_t target;

	if (id == 0) {
		return NULL;
	}
	target = vm->lines.spi[intid / 32 - 1].cpu[intid % 32];
	return &vm->vcpu[target < vm->cfg->vcpu_count ? target : 0];
}

/*
 * Bound: KZ_IRQS_MAX. Who changes a target or an enable meanwhile either is seen here, or sees
 * sched.masked.
 */
void vgic_mask(struct vcpu *v, bool masked)
{
	const struct kz_cfg_vm *cfg = v->vm->cfg;

	vgic_lock(&v->vm->arch.vgic);
	for (uint32_t i = 0; i < cfg->irq_count; i++) {
		uint32_t intid = cfg->irq[i].intid;
		const struct vgic_bank *b = &v->vm->lines.spi[intid / 32 - 1];

		if ((b->enabled >> intid % 32 & 1) != 0 && b->cpu[intid % 32] == v->id) {
			gic_enable(0, intid, !masked);
		}
	}
	vgic_unlock(&v->vm->arch.vgic);
}
