/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest ways for interrupts of a vCPU that shares its core, inline; the long ones
 * are vgic_switch.c.
 */
#ifndef VGIC_SWITCH_H
#define VGIC_SWITCH_H

#include <gic_quick.h>
#include "vgic_quick.h"

/* The physical state of the core's private twins. */
static inline void twins(const struct vcpu *v, uint32_t reg, uint32_t set)
{
	if (UNLIKELY(set != 0)) {
		mmio_write32(v->arch.vgic.ppis + reg, set);
	}
}

/*
 * Is nothing pending or active in list registers or outside, and no word for us under way? Then
 * VMCR is all that there is of its interface. A guest may have ended an interrupt without
 * dropping its priority: apr is not 0.
 */
static ALWAYS_INLINE bool is_plain(const struct vgic_cpu *g, bool v3, uint64_t apr)
{
	return (LIKELY(g->in_use == GIC_HCR_EN) ||
		(g->hcr == GIC_HCR_EN &&
		 (g->lr_used & ~(gic_quick_empty(v3) & ~g->lr_eoi)) == 0)) &&
	       ((g->bank.held & ~g->bank.inlr) | apr) == 0;
}

/* ICH_VMCR_EL2, GICH_VMCR. */
static ALWAYS_INLINE uint64_t vmcr_get(bool v3)
{
	return v3 ? read_ich_vmcr_el2() : mmio_read32(gic.gich + GICH_VMCR);
}

static ALWAYS_INLINE void vmcr_set(bool v3, uint64_t vmcr)
{
	if (v3) {
		write_ich_vmcr_el2(vmcr);
	} else {
		mmio_write32(gic.gich + GICH_VMCR, (uint32_t)vmcr);
	}
}

/* The physical twins `want` of v fire, instead of `old`, those of who was here. */
static inline void load_enables(const struct vcpu *v, uint32_t want, uint32_t old)
{
	twins(v, GICD_ICENABLER, old & ~want);
	twins(v, GICD_ISENABLER, want & ~old);
}

/*
 * vgic_save(old) and vgic_load(v), if both are plain; false: nothing is done that those would not
 * do as well. Own core.
 */
static ALWAYS_INLINE bool vgic_switch(struct vcpu *old, const struct vcpu *v, bool v3)
{
	struct vgic_cpu *g = &old->arch.vgic;
	const struct vgic_cpu *h = &v->arch.vgic;
	uint64_t goes = g->away, comes = h->away;

	if (goes != comes) {
		if (comes >> 32 != 0) {			/* not plain; old is loaded: that is */
			return false;
		}
		load_enables(v, (uint32_t)comes, (uint32_t)goes);
	}
	if (!is_plain(g, v3, v3 ? read_ich_ap0r0_el2() | read_ich_ap1r0_el2() :
				  mmio_read32(gic.gich + GICH_APR))) {
		return false;
	}
	g->vmcr = vmcr_get(v3);
	vmcr_set(v3, h->vmcr);
	return true;
}

/*
 * The private twin `intid` of v, which vgic_switch has brought back, has fired: delivered in the
 * list register that it had, without the exit that its line would cost. Where that is not so
 * simple nothing is done, and its line does it. Own core.
 */
static inline void vgic_load_irq(struct vcpu *v, uint32_t intid)
{
	const struct vgic_bank *b = &v->arch.vgic.bank;

	if (((b->held & ~b->latch) >> intid & 1) != 0 &&
	    vgic_quick_again(v, intid, gic.v3, true, 0)) {
		twins(v, GICD_ISACTIVER, BIT(intid));
	}
}

/* The same for the virtual timer, when nothing has changed since; false: nothing is done. */
static ALWAYS_INLINE bool vgic_load_timer(const struct vcpu *v, bool v3)
{
	bool done = vgic_quick_timer(v, v3);

	if (LIKELY(done)) {
		mmio_write32(v->arch.vgic.ppis + GICD_ISACTIVER, v->arch.vgic.again_bit);
	}
	return done;
}

#endif
