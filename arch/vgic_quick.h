/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest ways through the model, inline and without a call, for what
 * guests do all the time. Each does the whole job or nothing: then the caller
 * takes the long way. vgic.h has the rules, bench/ the instruction counts.
 */
#ifndef VGIC_QUICK_H
#define VGIC_QUICK_H

#include <gic_quick.h>
#include "vgic_bank.h"

/* No answer: take the long way. Values of registers have 32 bits. */
#define VGIC_LONG	BIT64(63)

/*
 * Deliver the private interrupt intid of v again in the list register that it
 * had last time. A twin (hw) that fires again has left it: the guest's EOI ended
 * both. Of an SGI the list register must be empty. Own core.
 */
static ALWAYS_INLINE bool vgic_quick_again(struct vcpu *v, uint64_t intid, bool v3, bool hw,
					   uint32_t source)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint32_t bit = BIT(intid);
	uint16_t ticket = vgic_lock_inline(vgic);
	uint32_t i = b->lr[intid];

	if (UNLIKELY((b->live & b->inlr & bit) == 0 || g->hcr != GIC_HCR_EN ||
		     ((hw ? g->lr_hw : gic_quick_empty(v3)) >> i & 1) == 0 ||
		     (!hw && (b->latch & bit) != 0))) {
		vgic_unlock_inline(vgic, ticket);
		return false;
	}
	b->fresh &= ~bit;
	if (!hw && !v3) {
		g->lr_source[i] = (uint8_t)source;
	}
	gic_quick_lr(v3, i, g->lr_word[i], source);
	if (hw && intid == gic.vtimer) {
		g->again_lr = i;
		g->again_bit = bit;
		g->again = g->lr_word[i];
	}
	vgic_unlock_inline(vgic, ticket);
	return true;
}

/*
 * The same for the virtual timer, when nothing has changed since. No lock: another vCPU may
 * change what `again` says between load and write. Then the timer was first: under one lock, who
 * changes it forgets it and then asks this core, so that vgic_sync_locked puts the list register
 * right; and this core cannot see that request and `again` as it was. Own core.
 */
static ALWAYS_INLINE bool vgic_quick_timer(const struct vcpu *v, bool v3)
{
	uint64_t word = __atomic_load_n(&v->arch.vgic.again, __ATOMIC_RELAXED);

	if (LIKELY(word != 0)) {
		gic_quick_lr_set(v3, v->arch.vgic.again_lr, word);
	}
	return word != 0;
}

/*
 * Raise SGI intid of t, another vCPU of v's VM, and call its core; if it is off,
 * it finds the SGI when it starts. Own core of v, the sender.
 */
static ALWAYS_INLINE bool vgic_quick_post(struct vcpu *v, struct vcpu *t, uint32_t intid, bool v3)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_bank *b = &t->arch.vgic.bank;
	uint64_t kick = t->arch.kick;
	uint16_t ticket;

	if (UNLIKELY(kick == 0)) {
		return false;
	}
	if (v3 && UNLIKELY((b->group1 >> intid & 1) == 0)) {
		return false;
	}
	ticket = vgic_lock_inline(vgic);
	b->latch |= BIT(intid);
	if (!v3) {
		t->arch.vgic.sgi_source[intid] |= (uint8_t)BIT(v->id);
	}
	vgic_unlock_inline(vgic, ticket);
	if (LIKELY((__atomic_fetch_or(&t->hazard, HAZARD_IRQ, __ATOMIC_RELEASE) &
		    HAZARD_IRQ) == 0)) {
		gic_quick_call(v3, kick);
	}
	return true;
}

/* An SGI to one vCPU, as both versions have it. */
static ALWAYS_INLINE bool vgic_quick_sgi(struct vcpu *v, uint32_t targets, uint32_t intid, bool v3)
{
	if (targets == BIT(v->id)) {
		return (!v3 || (v->arch.vgic.bank.group1 >> intid & 1) != 0) &&
		       vgic_quick_again(v, intid, v3, false, v->id);
	}
	return (targets & (targets - 1)) == 0 && (targets & v->vm->arch.vgic.vcpus) != 0 &&
	       vgic_quick_post(v, v->vm->arch.vgic.peer[__builtin_ctz(targets)], intid, v3);
}

/*
 * ICC_SGI1R_EL1 = value (IHI 0069 12.2.19). Own core of v, the sender; GICv3. An HRT
 * guest's bank has no group 1 and its hcr is 0: it takes the long way.
 */
static ALWAYS_INLINE bool vgic_quick_sgi1r(struct vcpu *v, uint64_t value)
{
	uint32_t intid = (uint32_t)(value >> 24) & 0xf;

	/* INTID and target list, nothing else: no IRM, affinity or range. */
	return (value & ~0x0f00ffffull) == 0 &&
	       vgic_quick_sgi(v, (uint32_t)value & 0xffff, intid, true);
}

/* GICD_SGIR = value (IHI 0048 4.3.15). Own core of v, the sender; GICv2, not HRT. */
static ALWAYS_INLINE bool vgic_quick_sgir(struct vcpu *v, uint32_t value)
{
	uint32_t targets = value >> 24 == 2 ? BIT(v->id) :
			   value >> 24 == 0 ? value >> 16 & 0xff : 0;	/* filter, or target list */

	return vgic_quick_sgi(v, targets, value & 0xf, false);
}

/*
 * HAZARD_IRQ, when all that came is one SGI from one sender, and its list
 * register is empty. Own core.
 */
static ALWAYS_INLINE bool vgic_quick_attend(struct vcpu *v, bool v3)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;
	uint16_t ticket = vgic_lock_inline(vgic);
	bool done = false;
	uint32_t set;

	set = b->latch & b->live & (BIT(GIC_SGIS) - 1);
	if (LIKELY(!g->due && (set & (set - 1)) == 0 &&
		   (b->inlr & set) != 0 && g->hcr == GIC_HCR_EN)) {
		uint32_t intid = (uint32_t)__builtin_ctz(set);
		uint32_t i = b->lr[intid];
		uint32_t sources = v3 ? 0 : g->sgi_source[intid];

		if (LIKELY((gic_quick_empty(v3) >> i & 1) != 0 &&
			   (sources & (sources - 1)) == 0)) {
			uint32_t source = v3 ? 0 : (uint32_t)__builtin_ctz(sources);

			if (!v3) {
				g->sgi_source[intid] = 0;
				g->lr_source[i] = (uint8_t)source;
			}
			b->latch &= ~set;
			b->fresh &= ~set;
			gic_quick_lr(v3, i, g->lr_word[i], source);
			done = true;
		}
	}
	vgic_unlock_inline(vgic, ticket);
	return done;
}

/* Read a word at `offset` of the distributor. */
static ALWAYS_INLINE uint64_t vgic_quick_read(struct vcpu *v, uint32_t offset)
{
	return offset == GICD_TYPER ? v->vm->arch.vgic.typer : VGIC_LONG;
}

/*
 * Write `value` to GICD_ISENABLER<bank> or ICENABLER<bank>, where that changes
 * nothing: one word is read, so no lock.
 */
static ALWAYS_INLINE bool vgic_quick_enable(const struct vgic_bank *b, uint32_t offset,
					    uint32_t value)
{
	uint32_t enabled = __atomic_load_n(&b->enabled, __ATOMIC_RELAXED);

	return (value & (offset < GICD_ICENABLER ? ~enabled : enabled)) == 0;
}

/* Write a word at `offset` of the distributor; not HRT. */
static ALWAYS_INLINE bool vgic_quick_write(struct vcpu *v, uint32_t offset, uint32_t value)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	uint32_t bank = (offset & 0x7f) / 4;

	if (offset - GICD_ISENABLER < 0x100 && bank - 1 < vgic->typer % 32) {
		return vgic_quick_enable(&v->vm->lines.spi[bank - 1], offset, value);
	}
	if (gic.v3) {
		return false;
	}
	if (offset == GICD_SGIR) {
		return vgic_quick_sgir(v, value);
	}
	return (offset == GICD_ISENABLER || offset == GICD_ICENABLER) &&
	       vgic_quick_enable(&v->arch.vgic.bank, offset, value);
}

/*
 * Write a word at `offset` of an HRT guest's distributor: enables of its own
 * interrupts, and GICv2 SGIs to the sender or to listed cores of its VM.
 */
static ALWAYS_INLINE bool vgic_quick_write_hrt(struct vcpu *v, uint32_t offset, uint32_t value)
{
	const struct vgic *vgic = &v->vm->arch.vgic;
	uint32_t bank = (offset & 0x7f) / 4;
	uint32_t own;

	if (offset == GICD_SGIR && !gic.v3 && (value >> 24 & 1) == 0) {
		uint32_t targets = (value >> 24 & 2) != 0 ? gic.gicc_id[v->cpu->id] : value >> 16;

		mmio_write32(gic.gicd + GICD_SGIR,
			     (targets & vgic->cores) << 16 | (value & 0xf));
		return true;
	}
	if (offset - GICD_ISENABLER >= 0x100) {
		return false;
	}
	if (bank - 1 < vgic->typer % 32) {
		own = v->vm->lines.spi[bank - 1].hw;
	} else if (bank == 0 && !gic.v3) {
		own = v->arch.vgic.bank.hw | (BIT(GIC_SGIS) - 1);
	} else {
		return false;
	}
	mmio_write32(gic.gicd + offset, value & own);
	return true;
}

/* Write a word at `offset` of the redistributors (GICv3): enables, as above. */
static ALWAYS_INLINE bool vgic_quick_write_r(struct vcpu *v, uint32_t offset, uint32_t value,
					     bool hrt)
{
	struct vcpu *owner = &v->vm->vcpu[offset / KZ_GICR_SIZE];
	uint32_t reg = offset % KZ_GICR_SIZE - GICR_SGI;
	struct vgic_bank *b = &owner->arch.vgic.bank;

	if (reg != GICD_ISENABLER && reg != GICD_ICENABLER) {
		return false;
	}
	if (!hrt) {
		return vgic_quick_enable(b, reg, value);
	}
	mmio_write32(gic.gicr[owner->cpu->id] + GICR_SGI + reg,
		     value & (b->hw | (BIT(GIC_SGIS) - 1)));
	return true;
}

#endif
