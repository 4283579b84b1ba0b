/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic.h"

#include <gic_quick.h>
#include "arch.h"
#include "vgic_bank.h"

#define NO_LR	VGIC_LRS

/* An interrupt that could be delivered. */
struct candidate {
	struct vgic_bank *bank;
	uint32_t intid;
	uint8_t prio;
};

static uint32_t bank_count(const struct vm *vm)
{
	return vm->cfg->irq_lines / 32;
}

static uint32_t pending(const struct vgic_bank *b)
{
	return b->latch | (b->line & ~b->edge);
}

void vgic_live_locked(struct vm *vm, struct vgic_bank *b)
{
	uint32_t ctlr = vm->arch.vgic.ctlr;

	b->live = b->enabled & (((ctlr & 1) != 0 ? ~b->group1 : 0) |
				((ctlr & 2) != 0 ? b->group1 : 0));
}

/* ---- List registers of this core ---- */

/* Put b's intid, which is pending, into the free list register i. */
static void lr_put(struct vcpu *v, struct vgic_bank *b, uint32_t intid, uint32_t i)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t n = intid % 32;
	uint32_t bit = BIT(n);
	bool hw = (b->held & bit) != 0;
	bool level = (b->line & ~b->edge & bit) != 0;
	struct lr lr = {
		.intid = intid,
		.prio = b->prio[n],
		.state = LR_PENDING,
		.group1 = (b->group1 & bit) != 0,
		.hw = hw,
		.eoi = level,
	};

	b->latch &= ~bit;
	if (intid < GIC_SGIS && g->sgi_source[intid] != 0) {
		uint8_t sources = g->sgi_source[intid];

		lr.source = (uint8_t)__builtin_ctz(sources);
		sources &= (uint8_t)(sources - 1);
		g->sgi_source[intid] = sources;
		if (sources != 0) {	/* the next sender's turn comes with the EOI */
			b->latch |= bit;
			lr.eoi = true;
		}
		g->lr_source[i] = lr.source;
	}
	gic_lr_write(i, &lr);
	g->lr_used |= BIT(i);
	g->lr_hw = hw ? g->lr_hw | BIT(i) : g->lr_hw & ~BIT(i);
	g->lr_level = level ? g->lr_level | BIT(i) : g->lr_level & ~BIT(i);
	g->lr_intid[i] = (uint16_t)intid;
	b->inlr |= bit;
	b->lr[n] = (uint8_t)i;
	b->fresh &= ~bit;
}

/* Write list register i again with another state; without HW if it must not have it. */
static void lr_rewrite(struct vcpu *v, uint32_t i, uint32_t state, bool hw, bool eoi)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	struct lr lr = {
		.intid = intid,
		.prio = b->prio[intid % 32],
		.state = (uint8_t)state,
		.source = g->lr_source[i],
		.group1 = (b->group1 & BIT(intid % 32)) != 0,
		.hw = hw,
		.eoi = eoi,
	};

	if (!hw) {
		g->lr_hw &= ~BIT(i);
	}
	gic_lr_write(i, &lr);
}

/* List register i is free again. */
static void lr_forget(struct vcpu *v, uint32_t i)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];

	g->lr_used &= ~BIT(i);
	vgic_bank_of(v, intid)->inlr &= ~BIT(intid % 32);
}

/* The twin is ended, by us. */
static void release_held(struct vcpu *v, struct vgic_bank *b, uint32_t intid)
{
	if ((b->held & BIT(intid % 32)) != 0) {
		b->held &= ~BIT(intid % 32);
		gic_deactivate(v->cpu->id, intid);
	}
}

/* The guest has ended the interrupt of list register i. */
static void lr_retire(struct vcpu *v, uint32_t i)
{
	uint32_t intid = v->arch.vgic.lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);

	lr_forget(v, i);
	if ((v->arch.vgic.lr_hw & BIT(i)) != 0) {
		b->held &= ~BIT(intid % 32);	/* the hardware did it */
	} else {
		release_held(v, b, intid);
	}
}

/* Take back what list register i says, and free it. */
static void lr_evict(struct vcpu *v, uint32_t i)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t state = gic_lr_state(i);
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t bit = BIT(intid % 32);

	if (state == LR_INVALID) {
		lr_retire(v, i);
		return;
	}
	gic_lr_clear(i);
	lr_forget(v, i);
	if ((state & LR_ACTIVE) != 0) {
		b->active |= bit;
	}
	if ((state & LR_PENDING) != 0 && (g->lr_level & BIT(i)) == 0) {
		b->latch |= bit;
		if (intid < GIC_SGIS && !gic.v3) {
			g->sgi_source[intid] |= (uint8_t)BIT(g->lr_source[i]);
		}
	}
}

/* Retire all that the guest has ended since. */
static void lr_reclaim(struct vcpu *v)
{
	uint32_t done = v->arch.vgic.lr_used & gic_lr_empty();

	/* Bound: the list registers. */
	for (; done != 0; done &= done - 1) {
		lr_retire(v, (uint32_t)__builtin_ctz(done));
	}
}

/* ---- Choosing ---- */

/* What of the bank could go to v now. */
static uint32_t deliverable(const struct vcpu *v, const struct vgic_bank *b, bool is_private)
{
	uint32_t set = pending(b) & b->live & ~b->inlr & ~b->active;

	if (!is_private) {
		/* Bound: 32 bits. */
		for (uint32_t s = set; s != 0; s &= s - 1) {
			if (b->cpu[__builtin_ctz(s)] != v->id) {
				set &= ~(s & -s);
			}
		}
	}
	return set;
}

/* Of the INTIDs in set, the one of the highest priority, if it beats *c. */
static void better(struct candidate *c, struct vgic_bank *b, uint32_t first, uint32_t set)
{
	/* Bound: 32 bits. */
	for (; set != 0; set &= set - 1) {
		uint32_t n = (uint32_t)__builtin_ctz(set);

		if (c->bank == NULL || b->prio[n] < c->prio) {
			*c = (struct candidate){ .bank = b, .intid = first + n, .prio = b->prio[n] };
		}
	}
}

static struct candidate best_deliverable(struct vcpu *v)
{
	struct vgic_bank *own = &v->arch.vgic.bank;
	struct candidate c = { .bank = NULL };

	better(&c, own, 0, deliverable(v, own, true));
	/* Bound: VGIC_BANKS. */
	for (uint32_t i = 1; i < bank_count(v->vm); i++) {
		struct vgic_bank *b = &v->vm->arch.vgic.spi[i - 1];

		better(&c, b, i * 32, deliverable(v, b, false));
	}
	return c;
}

/* The active interrupt outside the list registers that the guest ends next. */
static struct candidate best_active(struct vcpu *v)
{
	struct candidate c = { .bank = NULL };

	better(&c, &v->arch.vgic.bank, 0, v->arch.vgic.bank.active);
	for (uint32_t i = 1; i < bank_count(v->vm); i++) {
		struct vgic_bank *b = &v->vm->arch.vgic.spi[i - 1];
		uint32_t set = b->active;

		for (uint32_t s = set; s != 0; s &= s - 1) {
			if (b->cpu[__builtin_ctz(s)] != v->id) {
				set &= ~(s & -s);
			}
		}
		better(&c, b, i * 32, set);
	}
	return c;
}

/*
 * A list register for an interrupt of priority prio when all are taken: that of
 * the lowest pending one, if it is lower; else, if none is pending, that of the
 * lowest active one, which the guest ends last.
 */
static uint32_t lr_victim(struct vcpu *v, uint8_t prio)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t pend = NO_LR, act = NO_LR;
	int lowest_pend = -1, lowest_act = -1;

	for (uint32_t i = 0; i < gic.lr_count; i++) {
		int p = vgic_bank_of(v, g->lr_intid[i])->prio[g->lr_intid[i] % 32];

		if ((gic_lr_state(i) & LR_PENDING) != 0) {
			if (p > lowest_pend) {
				lowest_pend = p;
				pend = i;
			}
		} else if (p > lowest_act) {
			lowest_act = p;
			act = i;
		}
	}
	if (pend != NO_LR) {
		return lowest_pend > prio ? pend : NO_LR;
	}
	return act;
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

/* Establish the rule of the cache. */
static void lr_fill(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct candidate c = best_deliverable(v);

	/* Bound: a turn fills a list register, or puts a higher priority into it. */
	for (uint32_t turns = 2u * gic.lr_count; c.bank != NULL && turns != 0; turns--) {
		uint32_t free = ~g->lr_used & (BIT(gic.lr_count) - 1);
		uint32_t i = free != 0 ? (uint32_t)__builtin_ctz(free) : lr_victim(v, c.prio);

		if (i == NO_LR) {
			break;
		}
		if (free == 0) {
			lr_evict(v, i);
		}
		lr_put(v, c.bank, c.intid, i);
		c = best_deliverable(v);
	}
	hcr_update(v, c.bank != NULL);
}

/* ---- Keeping in step ---- */

/* What the register model ordered for the interrupt in list register i. */
static void lr_obey(struct vcpu *v, uint32_t i)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t bit = BIT(intid % 32);
	uint32_t state = gic_lr_state(i);
	uint32_t want = state;

	if ((b->drop_pending & bit) != 0 ||
	    ((g->lr_level & BIT(i)) != 0 && (b->line & ~b->edge & bit) == 0)) {
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
	if (want == LR_INVALID) {
		gic_lr_clear(i);
		lr_forget(v, i);
		release_held(v, b, intid);
	} else if (want != state) {
		lr_rewrite(v, i, want, false, true);
	}
}

/* It became pending again while in list register i. */
static void lr_merge(struct vcpu *v, uint32_t i)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = g->lr_intid[i];
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t bit = BIT(intid % 32);
	uint32_t state = gic_lr_state(i);

	if ((b->latch & b->live & bit) == 0 || state == LR_INVALID) {
		return;
	}
	if (intid < GIC_SGIS && !gic.v3) {
		lr_rewrite(v, i, state, false, true);	/* each sender has its turn: tell us at the EOI */
	} else {
		b->latch &= ~bit;
		if (state == LR_ACTIVE) {
			lr_rewrite(v, i, LR_PENDING | LR_ACTIVE, false, true);
		}
	}
}

/* EOIs of interrupts that had lost their list register: the highest priority ends first. */
static void end_outside(struct vcpu *v)
{
	uint32_t n = gic_eoicount_take(v->arch.vgic.hcr);

	/* Bound: EOIcount has five bits. */
	for (; n != 0; n--) {
		struct candidate c = best_active(v);

		if (c.bank == NULL) {
			return;
		}
		c.bank->active &= ~BIT(c.intid % 32);
		if ((c.bank->latch & BIT(c.intid % 32)) == 0) {
			release_held(v, c.bank, c.intid);
		}
	}
}

void vgic_sync_locked(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool refresh = g->refresh;

	g->refresh = false;
	g->due = false;
	lr_reclaim(v);
	if ((g->hcr & GIC_HCR_LRENPIE) != 0) {
		end_outside(v);
	}
	/* Bound: the list registers. */
	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);
		struct vgic_bank *b = vgic_bank_of(v, g->lr_intid[i]);
		uint32_t bit = BIT(g->lr_intid[i] % 32);

		lr_obey(v, i);
		if ((g->lr_used & BIT(i)) == 0) {
			continue;
		}
		if (refresh && gic_lr_state(i) == LR_PENDING) {
			lr_evict(v, i);
			continue;
		}
		lr_merge(v, i);
		b->snap = gic_lr_state(i) >= LR_ACTIVE ? b->snap | bit : b->snap & ~bit;
		b->fresh |= bit;
	}
	lr_fill(v);
}

void vgic_sync(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	spin_lock(&vgic->lock);
	vgic_sync_locked(v);
	spin_unlock(&vgic->lock);
}

void vgic_park(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	spin_lock(&vgic->lock);
	for (uint32_t used = v->arch.vgic.lr_used; used != 0; used &= used - 1) {
		lr_evict(v, (uint32_t)__builtin_ctz(used));
	}
	spin_unlock(&vgic->lock);
}

bool vgic_is_pending(struct vcpu *v)
{
	bool is_pending = false;

	vgic_sync(v);
	for (uint32_t used = v->arch.vgic.lr_used; used != 0; used &= used - 1) {
		is_pending |= (gic_lr_state((uint32_t)__builtin_ctz(used)) & LR_PENDING) != 0;
	}
	return is_pending;
}

void vgic_notify_locked(struct vcpu *v, uint32_t mask, bool refresh)
{
	struct vm *vm = v->vm;

	/* Bound: KZ_VCPUS_MAX. */
	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		struct vcpu *t = &vm->vcpu[i];

		if ((mask & BIT(i)) == 0) {
			continue;
		}
		t->arch.vgic.refresh |= refresh;
		t->arch.vgic.due = true;
		if (t == v) {
			vgic_sync_locked(v);
		} else if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) == VCPU_RUNNING) {
			vcpu_hazard(t, HAZARD_IRQ);
		}
	}
}

uint32_t vgic_in_lr_locked(struct vcpu *v, const struct vgic_bank *b, uint32_t state)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t set = 0;

	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		if (vgic_bank_of(v, g->lr_intid[i]) == b && (gic_lr_state(i) & state) != 0) {
			set |= BIT(g->lr_intid[i] % 32);
		}
	}
	return set;
}

/* ---- Sources ---- */

/*
 * The short way: intid may be delivered to this vCPU, nothing else waits for a
 * list register, and there is a free one, or the one that it had last time. The
 * rest is sorted out by vgic_sync_locked. A twin that fires again has left its
 * list register: the guest's EOI ended both.
 */
static inline bool lr_quick(struct vcpu *v, struct vgic_bank *b, uint32_t intid, bool hw,
			    uint32_t source)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t n = intid % 32;
	uint32_t bit = BIT(n);
	bool v3 = gic.v3;
	uint32_t i;

	if (UNLIKELY((b->live & ~(b->active | b->line) & bit) == 0 || g->hcr != GIC_HCR_EN)) {
		return false;
	}
	if (LIKELY((b->inlr & bit) != 0)) {
		i = b->lr[n];
		if ((hw ? g->lr_hw & BIT(i) : gic_lr_empty() & BIT(i)) == 0) {
			return false;
		}
	} else {
		uint32_t free = ~g->lr_used & (BIT(gic.lr_count) - 1);

		if (free == 0) {
			return false;
		}
		i = (uint32_t)__builtin_ctz(free);
		g->lr_used |= BIT(i);
		g->lr_hw = hw ? g->lr_hw | BIT(i) : g->lr_hw & ~BIT(i);
		g->lr_level &= ~BIT(i);
		g->lr_intid[i] = (uint16_t)intid;
		b->inlr |= bit;
		b->lr[n] = (uint8_t)i;
		b->held |= hw ? bit : 0;
	}
	if (!hw) {
		g->lr_source[i] = (uint8_t)source;
	}
	b->fresh &= ~bit;
	if (LIKELY(i < GIC_QUICK_LRS)) {
		gic_quick_lr(v3, i, intid, b->prio[n], (b->group1 & bit) != 0, hw, source);
	} else {
		const struct lr lr = {
			.intid = intid, .prio = b->prio[n], .state = LR_PENDING,
			.source = (uint8_t)source, .group1 = (b->group1 & bit) != 0, .hw = hw,
		};

		gic_lr_write(i, &lr);
	}
	return true;
}

static NOINLINE void hw_irq_slow_locked(struct vcpu *v, struct vgic_bank *b, uint32_t intid)
{
	uint32_t n = intid % 32;

	b->held |= BIT(n);
	b->latch |= BIT(n);
	if (intid < GIC_PRIVATE || b->cpu[n] == v->id) {
		vgic_sync_locked(v);
	} else if (b->cpu[n] < v->vm->cfg->vcpu_count) {
		vgic_notify_locked(v, BIT(b->cpu[n]), false);
	}
}

void vgic_hw_irq(struct vcpu *v, uint32_t intid)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_bank *b = vgic_bank_of(v, intid);

	spin_lock(&vgic->lock);
	if (UNLIKELY((intid >= GIC_PRIVATE && b->cpu[intid % 32] != v->id) ||
		     !lr_quick(v, b, intid, true, 0))) {
		hw_irq_slow_locked(v, b, intid);
	}
	spin_unlock(&vgic->lock);
}

void vgic_line(struct vm *vm, uint32_t intid, bool high)
{
	struct vgic *vgic = &vm->arch.vgic;
	struct vgic_bank *b = &vgic->spi[intid / 32 - 1];
	uint32_t bit = BIT(intid % 32);
	struct percpu *here = arch_this_cpu();
	uint32_t target;

	spin_lock(&vgic->lock);
	if (high && (b->edge & bit) != 0) {
		b->latch |= bit;
	}
	b->line = high ? b->line | bit : b->line & ~bit;
	target = b->cpu[intid % 32];
	if (target < vm->cfg->vcpu_count && ((b->live | b->inlr) & bit) != 0) {
		struct vcpu *t = &vm->vcpu[target];

		t->arch.vgic.due = true;
		if (here->vcpu == t && t->state == VCPU_RUNNING) {
			vgic_sync_locked(t);
		} else if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) == VCPU_RUNNING) {
			vcpu_hazard(t, HAZARD_IRQ);
		}
	}
	spin_unlock(&vgic->lock);
}

/* SGIs that other vCPUs latched here, each from one sender, into list registers. */
static bool attend_sgis_locked(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	struct vgic_bank *b = &g->bank;

	/* Bound: the SGIs. */
	for (uint32_t set = b->latch & b->live; set != 0; set &= set - 1) {
		uint32_t intid = (uint32_t)__builtin_ctz(set);
		uint32_t sources = intid < GIC_SGIS ? g->sgi_source[intid] : 0;
		uint32_t source = sources != 0 ? (uint32_t)__builtin_ctz(sources) : 0;

		if (intid >= GIC_SGIS || (sources & (sources - 1)) != 0 ||
		    !lr_quick(v, b, intid, false, source)) {
			return false;
		}
		b->latch &= ~BIT(intid);
		g->sgi_source[intid] = 0;
	}
	return true;
}

void vgic_attend(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	spin_lock(&vgic->lock);
	if (v->arch.vgic.due || !attend_sgis_locked(v)) {
		vgic_sync_locked(v);
	}
	spin_unlock(&vgic->lock);
}

void vgic_sgi(struct vcpu *v, uint32_t intid, uint32_t targets, bool group1)
{
	struct vm *vm = v->vm;

	spin_lock(&vm->arch.vgic.lock);
	/* Bound: KZ_VCPUS_MAX. */
	for (uint32_t s = targets & vm->arch.vgic.vcpus; s != 0; s &= s - 1) {
		struct vcpu *t = &vm->vcpu[__builtin_ctz(s)];
		struct vgic_bank *b = &t->arch.vgic.bank;

		if (gic.v3 && ((b->group1 & BIT(intid)) != 0) != group1) {
			continue;	/* IHI 0069 4.6.2: the other group's SGI */
		}
		if (t == v && (b->latch & BIT(intid)) == 0 &&
		    lr_quick(v, b, intid, false, v->id)) {
			continue;
		}
		b->latch |= BIT(intid);
		if (!gic.v3) {
			t->arch.vgic.sgi_source[intid] |= (uint8_t)BIT(v->id);
		}
		if (t == v) {
			vgic_sync_locked(v);
		} else if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) == VCPU_RUNNING) {
			vcpu_hazard(t, HAZARD_IRQ);
		}
	}
	spin_unlock(&vm->arch.vgic.lock);
}
