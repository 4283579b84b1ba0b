/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of a vCPU that shares its core, inline: its list registers and its
 * private twins come and go with it. While it is away the model says due where it
 * would touch hardware, and vgic_attend does it when it is back.
 */
#ifndef VGIC_SWITCH_H
#define VGIC_SWITCH_H

#include <gic_quick.h>
#include "vm.h"

#define GICH_HCR	0x000u
#define GICH_VMCR	0x008u
#define GICH_APR	0x0f0u

/* The physical state of the core's private twins. */
static inline void twins(const struct vcpu *v, uint32_t reg, uint32_t set)
{
	if (UNLIKELY(set != 0)) {
		mmio_write32((gic.v3 ? gic.gicr[v->cpu->id] + GICR_SGI : gic.gicd) + reg, set);
	}
}

static inline void save_v3(struct vgic_cpu *g)
{
	uint32_t used;

	g->vmcr = read_ich_vmcr_el2();
	g->apr[0] = read_ich_ap0r0_el2();
	g->apr[1] = read_ich_ap1r0_el2();
	g->hcr_now = read_ich_hcr_el2();
	g->away_empty = (uint32_t)read_ich_elrsr_el2();
	used = g->lr_used & ~g->away_empty;
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
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		gic_quick_lr_v3(i, g->lr[i]);
	}
}

static void save_v2(struct vgic_cpu *g)
{
	g->vmcr = mmio_read32(gic.gich + GICH_VMCR);
	g->apr[0] = mmio_read32(gic.gich + GICH_APR);
	g->hcr_now = mmio_read32(gic.gich + GICH_HCR);
	g->away_empty = mmio_read32(gic.gich + GICH_ELRSR);
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
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
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		mmio_write32(gic.gich + GICH_LR + 4 * i, (uint32_t)g->lr[i]);
	}
}

/* The private twins that are active: held, and not ended in a list register. */
static inline uint32_t still_held(const struct vgic_cpu *g)
{
	const struct vgic_bank *b = &g->bank;
	uint32_t held = b->held & b->hw;

	for (uint32_t s = b->inlr & held; UNLIKELY(s != 0); s &= s - 1) {
		uint32_t intid = (uint32_t)__builtin_ctz(s);

		held &= ~((g->away_empty >> b->lr[intid] & 1) << intid);
	}
	return held;
}

static inline void vgic_save(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;

	if (gic.v3) {
		save_v3(g);
	} else {
		save_v2(g);
	}
	v->cpu->arch.ppis = b->enabled & b->hw;
	/* one that the guest has ended is not active any more */
	twins(v, GICD_ICACTIVER, still_held(g));
}

/*
 * vgic_save(old) and vgic_load(v), if neither has anything in list registers or active, and
 * their twins are the same; false: nothing is done. Active priorities are 0 then: what is
 * active outside list registers makes hcr differ.
 */
static ALWAYS_INLINE bool vgic_switch(struct vcpu *old, const struct vcpu *v)
{
	struct vgic_cpu *g = &old->arch.vgic;
	const struct vgic_cpu *h = &v->arch.vgic;

	if (!gic.v3 || (g->lr_used | h->lr_used | g->bank.held | h->bank.held) != 0 ||
	    (g->hcr | h->hcr) != GIC_HCR_EN ||
	    (g->bank.enabled & g->bank.hw) != (h->bank.enabled & h->bank.hw)) {
		return false;
	}
	/* vgic_load may bring it back: with this, not with what it had the last time but one */
	g->apr[0] = 0;
	g->apr[1] = 0;
	g->hcr_now = GIC_HCR_EN;
	g->away_empty = ~0u;
	g->vmcr = read_ich_vmcr_el2();
	write_ich_vmcr_el2(h->vmcr);
	return true;
}

static inline void vgic_load(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint32_t want = b->enabled & b->hw;
	uint32_t differ = want ^ v->cpu->arch.ppis;

	if (gic.v3) {
		load_v3(g);
	} else {
		load_v2(g);
	}
	twins(v, GICD_ICENABLER, differ & ~want);
	twins(v, GICD_ISENABLER, differ & want);
	twins(v, GICD_ISACTIVER, still_held(g));
}

/*
 * vgic_load_irq after vgic_load, in the most frequent case: the guest has ended the
 * interrupt last time, and it fires again in the list register that it had. False:
 * nothing is done.
 */
static ALWAYS_INLINE bool vgic_load_again(struct vcpu *v, uint32_t intid)
{
	struct spinlock *lock = &v->vm->arch.vgic.lock;
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint32_t bit = BIT(intid);
	uint32_t i;
	bool done;

	spin_lock_inline(lock);
	i = b->lr[intid];
	done = (b->live & b->inlr & b->held & ~(b->active | b->latch) & bit) != 0 &&
	       g->hcr == GIC_HCR_EN && (g->lr_hw & g->away_empty & BIT(i)) != 0;
	if (LIKELY(done)) {
		b->fresh &= ~bit;
		twins(v, GICD_ISACTIVER, bit);
		gic_quick_lr(gic.v3, i, intid, b->prio[intid], b->group1 >> intid & 1, true, 0);
	}
	spin_unlock(lock);
	return done;
}

#endif
