/* SPDX-License-Identifier: Apache-2.0 */
/* The list registers of a core: which interrupts they hold, and what becomes of them. */
#include "vgic.h"

#include "arch.h"
#include "gic.h"
#include "vgic_bank.h"

/* An interrupt, or none: bank is NULL and prio lower than any. */
struct candidate {
	struct vgic_bank *bank;
	uint32_t intid;
	uint32_t prio;
};

static uint32_t bank_count(const struct vm *vm)
{
	return vm->cfg->irq_lines / 32;
}

static bool is_target(const struct vcpu *v, const struct vgic_bank *b, uint32_t intid)
{
	return b->cpu[intid % 32] == v->id;
}

/* ---- List registers of this core ---- */

/* How list register i, whose intid is known, is when that is pending; lr_word says the same. */
static struct lr lr_pending(struct vcpu *v, uint32_t i) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	const struct vgic_bank *b = vgic_bank_of(v, intid);
	struct lr lr = {
		.intid = intid,
		.prio = b->prio[intid % 32],
		.state = LR_PENDING,
		.group1 = (b->group1 & BIT(intid % 32)) != 0,
		.hw = (g->lr_hw & BIT(i)) != 0,
	};

	g->lr_word[i] = gic_lr_word(&lr);
	return lr;
}

void vgic_word_locked(struct vcpu *v, uint32_t intid)
{
	const struct vgic_bank *b = &v->arch.vgic.bank;

	vgic_forget_again(&v->arch.vgic);
	if ((b->inlr & BIT(intid)) != 0) {
		(void)lr_pending(v, b->lr[intid]);
	}
}

/* Write list register i, whose intid and source are known; HW is for a pending one only. */
static void lr_write(struct vcpu *v, uint32_t i, uint32_t state, bool hw, bool eoi)
	REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct lr lr;

	g->lr_hw = hw ? g->lr_hw | BIT(i) : g->lr_hw & ~BIT(i);
	g->lr_eoi = eoi ? g->lr_eoi | BIT(i) : g->lr_eoi & ~BIT(i);
	lr = lr_pending(v, i);
	lr.state = (uint8_t)state;
	lr.source = g->lr_source[i];
	lr.eoi = eoi;
	gic_lr_write(i, &lr);
}

/* Put b's intid, which is pending, into the free list register i. */
static void lr_put(struct vcpu *v, struct vgic_bank *b, uint32_t intid, uint32_t i)
	REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t n = intid % 32;
	uint32_t bit = BIT(n);
	bool eoi = (b->line & ~b->edge & bit) != 0;
	bool level = eoi && (b->latch & bit) == 0;	/* the latch outlives the line */
	uint8_t source = 0;

	b->latch &= ~bit;
	if (intid < GIC_SGIS && g->sgi_source[intid] != 0) {
		uint8_t sources = g->sgi_source[intid];

		source = (uint8_t)__builtin_ctz(sources);
		sources &= (uint8_t)(sources - 1);
		g->sgi_source[intid] = sources;
		if (sources != 0) {	/* the next sender's turn comes with the EOI */
			b->latch |= bit;
			eoi = true;
		}
	}
	g->lr_used |= BIT(i);
	g->lr_level = level ? g->lr_level | BIT(i) : g->lr_level & ~BIT(i);
	g->lr_intid[i] = (uint16_t)intid;
	g->lr_source[i] = source;
	b->inlr |= bit;
	b->lr[n] = (uint8_t)i;
	b->fresh &= ~bit;
	lr_write(v, i, LR_PENDING, (b->held & bit) != 0, eoi);
}

/* The guest has ended it, or unpended it: so is the twin, unless it has fired again. */
static void release_held(struct vcpu *v, struct vgic_bank *b, uint32_t intid)
{
	if ((b->held & ~b->latch & BIT(intid % 32)) != 0) {
		b->held &= ~BIT(intid % 32);
		gic_deactivate(v->cpu->id, intid);
	}
}

/* It has left v. If its target changed meanwhile and it is pending, that one shall know. */
static void pass_on(struct vcpu *v, const struct vgic_bank *b, uint32_t intid) REQUIRES(irq_class)
{
	uint32_t to = b->cpu[intid % 32];

	if (UNLIKELY(to != v->id && to < v->vm->cfg->vcpu_count &&
		     (vgic_bank_pending(b) & b->live & BIT(intid % 32)) != 0)) {
		vgic_ask_locked(&v->vm->vcpu[to]);
	}
}

/* What list register i has pending waits in the bank again; a line does so by itself. */
static void lr_unpend(struct vcpu *v, struct vgic_bank *b, uint32_t intid, uint32_t i)
	REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;

	if ((g->lr_level & BIT(i)) == 0) {
		b->latch |= BIT(intid % 32);
		if (intid < GIC_SGIS && !gic.v3) {
			g->sgi_source[intid] |= (uint8_t)BIT(g->lr_source[i]);
		}
	}
}

/*
 * List register i is free: what its state says goes back to the bank. If that is
 * LR_INVALID, the guest has ended the interrupt.
 */
static void lr_free(struct vcpu *v, uint32_t i, uint32_t state) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t n = intid % 32;
	uint32_t bit = BIT(n);

	if (i == g->again_lr) {
		vgic_forget_again(g);
	}
	if ((state & LR_PENDING) != 0) {
		lr_unpend(v, b, intid, i);
	}
	if ((state & LR_ACTIVE) != 0 || (b->make_active & bit) != 0) {
		b->active |= bit;
		b->lr[n] = (uint8_t)((state & LR_ACTIVE) != 0 ? v->id : VGIC_NOBODY);
	}
	g->lr_used &= ~BIT(i);
	g->lr_eoi &= ~BIT(i);
	b->inlr &= ~bit;
	b->drop_pending &= ~bit;
	b->drop_active &= ~bit;
	b->make_active &= ~bit;
	if (state == LR_INVALID) {
		b->asked &= ~bit;
		if ((g->lr_hw & BIT(i)) != 0) {
			b->held &= ~bit;	/* the hardware did it */
		} else {
			release_held(v, b, intid);
		}
	}
	pass_on(v, b, intid);
}

/* Take back what list register i says, and free it. */
static void lr_evict(struct vcpu *v, uint32_t i) REQUIRES(irq_class)
{
	uint32_t state = gic_lr_state(i);

	gic_lr_clear(i);
	lr_free(v, i, state);
}

/* Retire all that the guest has ended since. */
static void lr_reclaim(struct vcpu *v) REQUIRES(irq_class)
{
	uint32_t done = v->arch.vgic.lr_used & gic_lr_empty();

	/* Bound: the list registers. */
	for (; done != 0; done &= done - 1) {
		lr_free(v, (uint32_t)__builtin_ctz(done), LR_INVALID);
	}
}

/* ---- Choosing ---- */

/*
 * The interrupt of the highest priority: of those that are active outside the
 * list registers, and that `who` has acknowledged; or else of those that could
 * be delivered, and whose target `who` is.
 */
static struct candidate best(struct vcpu *v, bool active, uint32_t who)
{
	struct candidate c = { .bank = NULL, .prio = 0x100 };

	/* Bound: VGIC_BANKS, of 32 bits. */
	for (uint32_t i = 0; i < bank_count(v->vm); i++) {
		struct vgic_bank *b = vgic_bank_of(v, i * 32);
		uint32_t set = active ? b->active :
			       vgic_bank_pending(b) & b->live & ~b->inlr & ~b->active;

		for (; set != 0; set &= set - 1) {
			uint32_t n = (uint32_t)__builtin_ctz(set);

			if ((active ? b->lr : b->cpu)[n] == who && b->prio[n] < c.prio) {
				c.bank = b;
				c.intid = i * 32 + n;
				c.prio = b->prio[n];
			}
		}
	}
	return c;
}

static struct candidate best_deliverable(struct vcpu *v)
{
	return best(v, false, v->id);
}

/*
 * The active interrupt outside the list registers that the guest ends next: one
 * that it has acknowledged, else one that software made active.
 */
static struct candidate best_active(struct vcpu *v)
{
	struct candidate c = best(v, true, v->id);

	return c.bank != NULL ? c : best(v, true, VGIC_NOBODY);
}

/* Of the list registers, which are all active, the one whose interrupt ends last. */
static uint32_t lr_lowest(struct vcpu *v) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t lowest = 0, prio = 0;

	for (uint32_t i = 0; i < gic.lr_count; i++) {
		uint32_t p = vgic_bank_of(v, g->lr_intid[i])->prio[g->lr_intid[i] % 32];

		if (p >= prio) {
			prio = p;
			lowest = i;
		}
	}
	return lowest;
}

static void hcr_update(struct vcpu *v, bool more_waits)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool ended_outside = best_active(v).bank != NULL;
	uint32_t hcr = GIC_HCR_EN | (more_waits ? GIC_HCR_NPIE : 0) |
		       (ended_outside ? GIC_HCR_LRENPIE : 0);

	if (hcr != g->hcr) {
		g->hcr = hcr;
		gic_hcr_write(hcr);
	}
}

/*
 * Establish the rule of the cache; no list register is pending yet. The highest
 * of what waits gets one, even if all are taken; the others, if there are more.
 */
static void lr_fill(struct vcpu *v) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t all = BIT(gic.lr_count) - 1;
	struct candidate c = best_deliverable(v);

	if (c.bank != NULL && g->lr_used == all) {
		lr_evict(v, lr_lowest(v));
	}
	/* Bound: the list registers. */
	while (c.bank != NULL && g->lr_used != all) {
		lr_put(v, c.bank, c.intid, (uint32_t)__builtin_ctz(~g->lr_used));
		c = best_deliverable(v);
	}
	hcr_update(v, c.bank != NULL);
}

/* ---- Keeping in step ---- */

/* What the register model ordered for the interrupt in list register i. */
static void lr_obey(struct vcpu *v, uint32_t i) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t bit = BIT(intid % 32);
	uint32_t state = gic_lr_state(i);
	uint32_t want = state;

	if ((b->drop_pending & bit) != 0) {
		want &= ~LR_PENDING;
	}
	if ((b->drop_active & bit) != 0) {
		want &= ~LR_ACTIVE;
	}
	if ((b->make_active & bit) != 0) {
		want |= LR_ACTIVE;
	}
	b->drop_pending &= ~bit;
	b->drop_active &= ~bit;
	b->make_active &= ~bit;
	if (want == (LR_PENDING | LR_ACTIVE)) {
		lr_unpend(v, b, intid, i);
		want = LR_ACTIVE;
	}
	if (want == LR_INVALID) {
		gic_lr_clear(i);
		g->lr_hw &= ~BIT(i);	/* it did not end: we end the twin */
		lr_free(v, i, LR_INVALID);
	} else if (want != state) {
		lr_write(v, i, want, false, true);
	}
}

/*
 * Choose anew: what is pending in list register i goes back. One that is active
 * has its next turn after the EOI, which wants us then: as active and pending it
 * would become pending there without our knowing, before a higher one that
 * waits; and if its target changed, it may be another vCPU's turn.
 */
static void lr_refresh(struct vcpu *v, uint32_t i) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);

	if (gic_lr_state(i) == LR_PENDING) {
		lr_evict(v, i);
	} else if ((g->lr_eoi & BIT(i)) == 0 &&
		   ((vgic_bank_pending(b) & BIT(intid % 32)) != 0 || !is_target(v, b, intid))) {
		lr_write(v, i, LR_ACTIVE, false, true);
	}
}

/* EOIs of interrupts that had lost their list register: the highest priority ends first. */
static void end_outside(struct vcpu *v) REQUIRES(irq_class)
{
	uint32_t n = gic_eoicount_take(v->arch.vgic.hcr);

	/* Bound: EOIcount has five bits. */
	for (; n != 0; n--) {
		struct candidate c = best_active(v);

		if (c.bank == NULL) {
			return;
		}
		c.bank->active &= ~BIT(c.intid % 32);
		release_held(v, c.bank, c.intid);
		pass_on(v, c.bank, c.intid);
	}
}

/* What other vCPUs have asked: is it active here, else pending? */
static void answer(struct vcpu *v) REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;

	/* Bound: the list registers. */
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);
		struct vgic_bank *b = vgic_bank_of(v, g->lr_intid[i]);
		uint32_t bit = BIT(g->lr_intid[i] % 32);

		b->snap = gic_lr_state(i) == LR_ACTIVE ? b->snap | bit : b->snap & ~bit;
		b->fresh |= b->asked & bit;
		b->asked &= ~bit;
	}
}

void vgic_sync_locked(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;

	vgic_forget_again(g);		/* hcr, lr_hw and fresh may change, too */
	g->due = false;
	lr_reclaim(v);
	if ((g->hcr & GIC_HCR_LRENPIE) != 0) {
		end_outside(v);
	}
	/* Bound: the list registers. */
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		lr_obey(v, i);
		if ((g->lr_used & BIT(i)) != 0) {
			lr_refresh(v, i);
		}
	}
	lr_fill(v);
	answer(v);
}

void vgic_deliver_locked(struct vcpu *v, struct vgic_bank *b, uint32_t intid)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t bit = BIT(intid % 32);
	uint32_t i = b->lr[intid % 32];
	uint32_t free;

	if ((b->inlr & bit) != 0 && g->lr_intid[i] == intid &&
	    (g->lr_used & gic_lr_empty() & BIT(i)) != 0) {
		lr_free(v, i, LR_INVALID);
	}
	free = ~g->lr_used & (BIT(gic.lr_count) - 1);
	if (free != 0 && g->hcr == GIC_HCR_EN &&
	    (vgic_bank_pending(b) & b->live & ~b->inlr & ~b->active & bit) != 0) {
		lr_put(v, b, intid, (uint32_t)__builtin_ctz(free));
	} else {
		vgic_sync_locked(v);
	}
}

/* What v has acknowledged, its EOI ends no more. */
static void disown(const struct vcpu *v, struct vgic_bank *b)
{
	for (uint32_t s = b->active; s != 0; s &= s - 1) {
		uint8_t *holder = &b->lr[__builtin_ctz(s)];

		*holder = *holder == v->id ? VGIC_NOBODY : *holder;
	}
}

void vgic_park(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	vgic_lock(vgic);
	lr_reclaim(v);
	/* Bound: the list registers. */
	for (uint32_t used = v->arch.vgic.lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		lr_obey(v, i);
		if ((v->arch.vgic.lr_used & BIT(i)) != 0) {
			lr_evict(v, i);
		}
	}
	for (uint32_t i = 0; i < bank_count(v->vm); i++) {
		disown(v, vgic_bank_of(v, i * 32));
	}
	vgic_unlock(vgic);
}

void vgic_forget_locked(struct vcpu *v, const struct vgic_bank *b, uint32_t intid)
{
	struct vm *vm = v->vm;
	uint32_t i = b->lr[intid % 32];

	if ((b->inlr & BIT(intid % 32)) == 0) {
		return;
	}
	/* Bound: KZ_VCPUS_MAX. */
	for (struct vcpu *t = vm->vcpu; t < &vm->vcpu[vm->cfg->vcpu_count]; t++) {
		struct vgic_cpu *g = &t->arch.vgic;

		if ((g->lr_used & g->lr_hw & BIT(i)) != 0 && g->lr_intid[i] == intid &&
		    (intid >= GIC_PRIVATE || t == v)) {
			lr_free(t, i, LR_INVALID);
		}
	}
}
