/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic.h"

#include "arch.h"
#include "gic.h"
#include "trace.h"
#include "vgic_bank.h"

void vgic_live_locked(struct vm *vm, struct vgic_bank *b)
{
	uint32_t ctlr = vm->arch.vgic.ctlr;

	b->live = b->enabled & (((ctlr & 1) != 0 ? ~b->group1 : 0) |
				((ctlr & 2) != 0 ? b->group1 : 0));
}

void vgic_ask_locked(struct vcpu *t)
{
	t->arch.vgic.due = true;
	if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) == VCPU_RUNNING) {
		vcpu_hazard(t, HAZARD_IRQ);
	}
}

void vgic_sync(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	vgic_lock(vgic);
	vgic_sync_locked(v);
	vgic_unlock(vgic);
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

void vgic_notify_locked(struct vm *vm, uint32_t mask)
{
	const struct vcpu *here = arch_this_cpu()->vcpu;	/* loaded */

	/* Bound: KZ_VCPUS_MAX. */
	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		struct vcpu *t = &vm->vcpu[i];

		if ((mask >> i & 1) == 0) {
			continue;
		}
		if (t == here && t->state == VCPU_RUNNING) {
			vgic_sync_locked(t);
			sched_wake(t);
		} else {
			vgic_ask_locked(t);
		}
	}
}

uint32_t vgic_in_lr_locked(struct vcpu *v, const struct vgic_bank *b, uint32_t state)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t set = 0;

	for (uint32_t used = g->lr_used; used != 0; used &= used - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(used);

		if (vgic_bank_of(v, g->lr_intid[i]) == b &&
		    (state == 0 || (gic_lr_state(i) & state) != 0)) {
			set |= BIT(g->lr_intid[i] % 32);
		}
	}
	return set;
}

/* ---- Sources ---- */

uint64_t vgic_affinity(const struct vcpu *v)
{
	return v->vm->arch.hrt ? gic.affinity[v->cpu->id] : v->id;
}

struct vcpu *vgic_vcpu_of(struct vm *vm, uint64_t affinity)
{
	/* Bound: KZ_VCPUS_MAX. */
	for (struct vcpu *v = vm->vcpu; v < &vm->vcpu[vm->cfg->vcpu_count]; v++) {
		if (vgic_affinity(v) == affinity) {
			return v;
		}
	}
	return NULL;
}

bool vgic_has_twin(struct vcpu *v, uint32_t intid)
{
	return intid < v->vm->cfg->irq_lines &&
	       (vgic_bank_of(v, intid)->hw & BIT(intid % 32)) != 0;
}

void vgic_hw_irq(struct vcpu *v, uint32_t intid)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t n = intid % 32;

	vgic_lock(vgic);
	vgic_forget_locked(v, b, intid);
	b->held |= BIT(n);
	b->latch |= BIT(n);
	if (b->cpu[n] == v->id && v->cpu == arch_this_cpu() && vgic_is_loaded(v)) {
		vgic_deliver_locked(v, b, intid);
	} else if (b->cpu[n] < v->vm->cfg->vcpu_count) {
		vgic_ask_locked(&v->vm->vcpu[b->cpu[n]]);
	}
	vgic_unlock(vgic);
}

void vgic_line(struct vcpu *v, uint32_t intid, bool high)
{
	struct vm *vm = v->vm;
	struct vgic *vgic = &vm->arch.vgic;
	struct vgic_bank *b = vgic_bank_of(v, intid);
	uint32_t bit = BIT(intid % 32);
	uint32_t target;

	vgic_lock(vgic);
	if (intid < GIC_PRIVATE) {		/* an edge, of the vCPU's own */
		if (high) {
			b->latch |= bit;
			trace_of(v, KZ_TRACE_INJECT | TRACE_ARG(intid));
		}
		if (high && arch_this_cpu()->vcpu == v && vgic_is_loaded(v)) {
			vgic_deliver_locked(v, b, intid);
		} else if (high) {
			vgic_ask_locked(v);
		}
		vgic_unlock(vgic);
		return;
	}
	if (high) {
		b->latch |= b->edge & ~b->line & bit;
	}
	target = b->cpu[intid % 32];
	if (high && (b->line & bit) == 0 && target < vm->cfg->vcpu_count) {
		trace_of(&vm->vcpu[target], KZ_TRACE_INJECT | TRACE_ARG(intid));
	}
	b->line = high ? b->line | bit : b->line & ~bit;
	if (target < vm->cfg->vcpu_count && ((b->live | b->inlr) & bit) != 0) {
		vgic_notify_locked(vm, BIT(target));
	}
	vgic_unlock(vgic);
}

void vgic_attend(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vgic_bank *b = &v->arch.vgic.bank;
	uint32_t set;

	vgic_lock(vgic);
	set = b->latch & b->live;
	if (v->arch.vgic.due || (set & (set - 1)) != 0) {
		vgic_sync_locked(v);
	} else if (set != 0) {		/* one SGI */
		vgic_deliver_locked(v, b, (uint32_t)__builtin_ctz(set));
	}
	vgic_unlock(vgic);
}

static NOINLINE void sgi_to_locked(struct vcpu *v, struct vcpu *t, uint32_t intid, bool group1)
	REQUIRES(irq_class)
{
	struct vgic_bank *b = &t->arch.vgic.bank;

	if (gic.v3 && ((b->group1 >> intid & 1) != 0) != group1) {
		return;		/* IHI 0069 4.6.2: the other group's SGI */
	}
	trace_of(t, KZ_TRACE_INJECT | TRACE_ARG(intid));
	b->latch |= BIT(intid);
	if (!gic.v3) {
		t->arch.vgic.sgi_source[intid] |= (uint8_t)BIT(v->id);
	}
	if (t == v) {
		vgic_deliver_locked(v, b, intid);
	} else if (__atomic_load_n(&t->state, __ATOMIC_RELAXED) == VCPU_RUNNING) {
		vcpu_hazard(t, HAZARD_IRQ);
	}
}

void vgic_sgi(struct vcpu *v, uint32_t intid, uint32_t targets, bool group1)
{
	struct vm *vm = v->vm;

	vgic_lock(&vm->arch.vgic);
	/* Bound: KZ_VCPUS_MAX. */
	for (uint32_t s = targets & vm->arch.vgic.vcpus; s != 0; s &= s - 1) {
		sgi_to_locked(v, &vm->vcpu[__builtin_ctz(s)], intid, group1);
	}
	vgic_unlock(&vm->arch.vgic);
}
