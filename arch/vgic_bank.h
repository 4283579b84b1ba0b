/* SPDX-License-Identifier: Apache-2.0 */
/* Where the state of an interrupt is, and what it amounts to. */
#ifndef VGIC_BANK_H
#define VGIC_BANK_H

#include "vm.h"

static inline struct vgic_bank *vgic_bank_of(struct vcpu *v, uint32_t intid)
{
	return intid < 32 ? &v->arch.vgic.bank : &v->vm->lines.spi[intid / 32 - 1];
}

/* Has the core v's registers? Own core, or it does not matter. */
static inline bool vgic_is_loaded(const struct vcpu *v)
{
	return v->cpu->vcpu == v && v->state == VCPU_RUNNING;
}

/* Pending outside the list registers: by an edge or by software, or because its line is high. */
static inline uint32_t vgic_bank_pending(const struct vgic_bank *b)
{
	return b->latch | (b->line & ~b->edge);
}

/* Something of what g->again says may change. Any core, under vgic.lock. */
static inline void vgic_forget_again(struct vgic_cpu *g)
{
	__atomic_store_n(&g->again, 0, __ATOMIC_RELAXED);
}

#endif
