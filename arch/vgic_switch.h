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

/* The private twins that fire if their line is high. */
static inline uint32_t twins_on(const struct vgic_cpu *g)
{
	return g->bank.enabled & g->bank.hw;
}

/* The private twins that are active: held, and not ended by way of a list register. */
static inline uint32_t still_held(const struct vgic_cpu *g)
{
	const struct vgic_bank *b = &g->bank;
	uint32_t held = b->held & b->hw;

	for (uint32_t s = b->inlr & held; UNLIKELY(s != 0); s &= s - 1) {
		uint32_t intid = (uint32_t)__builtin_ctz(s);

		held &= ~((g->away_empty & g->lr_hw) >> b->lr[intid] & 1) << intid;
	}
	return held;
}

/*
 * Is nothing pending or active in list registers or outside, and no word for us under way? Then
 * VMCR is all that there is of its interface. A guest may have ended an interrupt without
 * dropping its priority: apr is not 0.
 */
static ALWAYS_INLINE bool is_plain(const struct vgic_cpu *g, uint32_t empty, uint64_t apr)
{
	return ((g->lr_used & ~(empty & ~g->lr_eoi)) | (g->hcr ^ GIC_HCR_EN) |
		(g->bank.held & ~g->bank.inlr) | apr) == 0;
}

/* v's interface and twins go to memory. Own core. */
static inline void vgic_save(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool v3 = gic.v3;

	if (v3) {
		g->vmcr = read_ich_vmcr_el2();
		g->apr[0] = read_ich_ap0r0_el2();
		g->apr[1] = read_ich_ap1r0_el2();
		g->hcr_now = read_ich_hcr_el2();
	} else {
		g->vmcr = mmio_read32(gic.gich + GICH_VMCR);
		g->apr[0] = mmio_read32(gic.gich + GICH_APR);
		g->hcr_now = mmio_read32(gic.gich + GICH_HCR);
	}
	g->away_empty = gic_quick_empty(v3);
	g->plain = is_plain(g, g->away_empty, g->apr[0] | g->apr[1]);
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
	v->cpu->arch.ppis = twins_on(g);
	/* one that the guest has ended is not active any more */
	twins(v, GICD_ICACTIVER, still_held(g));
}

/* v's physical twins fire, or not, instead of those of who was here. */
static inline void load_enables(const struct vcpu *v, uint32_t old)
{
	uint32_t want = twins_on(&v->arch.vgic);

	twins(v, GICD_ICENABLER, old & ~want);
	twins(v, GICD_ISENABLER, want & ~old);
}

/* And come back. Own core. */
static inline void vgic_load(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool v3 = gic.v3;

	if (g->plain) {			/* vgic_switch says no more of it */
		g->apr[0] = 0;
		g->apr[1] = 0;
		g->hcr_now = GIC_HCR_EN;
		g->away_empty = ~0u;
	}
	if (v3) {
		write_ich_vmcr_el2(g->vmcr);
		write_ich_ap0r0_el2(g->apr[0]);
		write_ich_ap1r0_el2(g->apr[1]);
		write_ich_hcr_el2(g->hcr_now);
	} else {
		mmio_write32(gic.gich + GICH_VMCR, (uint32_t)g->vmcr);
		mmio_write32(gic.gich + GICH_APR, (uint32_t)g->apr[0]);
		mmio_write32(gic.gich + GICH_HCR, (uint32_t)g->hcr_now);
	}
	for (uint32_t used = g->lr_used & ~g->away_empty; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		gic_quick_lr_set(v3, i, g->lr[i]);
	}
	load_enables(v, v->cpu->arch.ppis);
	twins(v, GICD_ISACTIVER, still_held(g));
}

/* vgic_save(old) and vgic_load(v), if both are plain; false: nothing is done. Own core; GICv3. */
static ALWAYS_INLINE bool vgic_switch(struct vcpu *old, const struct vcpu *v)
{
	struct vgic_cpu *g = &old->arch.vgic;
	const struct vgic_cpu *h = &v->arch.vgic;

	if (!h->plain || !is_plain(g, gic_quick_empty(true),
				   read_ich_ap0r0_el2() | read_ich_ap1r0_el2())) {
		return false;
	}
	g->plain = true;
	g->vmcr = read_ich_vmcr_el2();
	write_ich_vmcr_el2(h->vmcr);
	if (twins_on(g) != twins_on(h)) {
		load_enables(v, twins_on(g));
	}
	return true;
}

/*
 * The private twin `intid` of v, which comes back, has fired: delivered in the list register that
 * it had, without the exit that its line would cost. Where that is not so simple nothing is
 * done, and its line does it. Own core.
 */
static ALWAYS_INLINE void vgic_load_irq(struct vcpu *v, uint32_t intid)
{
	struct spinlock *lock = &v->vm->arch.vgic.lock;
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint32_t bit = BIT(intid);
	uint16_t ticket = spin_lock_inline(lock);
	uint32_t i = b->lr[intid];

	if (LIKELY(g->plain && (b->live & b->inlr & b->held & ~(b->active | b->latch) & bit) != 0 &&
		   (g->lr_hw >> i & 1) != 0)) {
		b->fresh &= ~bit;
		twins(v, GICD_ISACTIVER, bit);
		gic_quick_lr(gic.v3, i, intid, b->prio[intid], b->group1 >> intid & 1, true, 0);
	}
	spin_unlock_inline(lock, ticket);
}

#endif
