/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where exits arrive: what guests do all the time is done here, without a call;
 * the rest goes the long way in trap.c. Built for speed, the other files for
 * size; bench/ counts the instructions.
 */
#include <kizami/hcall.h>
#include <gic_quick.h>
#include "arch.h"
#include "esr.h"
#include "psci.h"
#include "sysreg.h"
#include "trace.h"
#include "trap.h"
#include "vectors.h"
#include "vgic_quick.h"

#define ISS_RT		(31u << 5)
#define ESR_HVC_0	(0x16u << 26 | ESR_IL)
/* MSR ICC_SGI1R_EL1: 3, 0, 12, 11, 5 */
#define ESR_SGI1R	(EC_SYSREG << 26 | ESR_IL | 0x3a3016u)
/* A word, not signed, that the syndrome describes, by an instruction of 32 bits; aligned or not. */
#define WORD_MASK	(63u << 26 | ESR_IL | ISS_ISV | 3u << 22 | ISS_SSE | ISS_S1PTW)
#define WORD		(EC_DABT << 26 | ESR_IL | ISS_ISV | 2u << 22)

/* A sum: one instruction less than an OR of that constant. */
#define QUICK(class, arg)	((KZ_TRACE_QUICK + KZ_TRACE_##class) + TRACE_ARG(arg))

/* When this exit began, for the trace; 0 where there is none. */
static ALWAYS_INLINE uint64_t begin(void)
{
	return TRACE_ON ? arch_count() : 0;
}

static NOINLINE struct vcpu *full(struct vcpu *v)
{
	trace_turn(v->cpu);
	return v;
}

/* There is more to do for v than that. */
static NOINLINE struct vcpu *busy(struct vcpu *v, uint64_t begun, uint64_t quick)
{
	trace_at(v->cpu, begun, quick - KZ_TRACE_QUICK + KZ_TRACE_EXIT);
	return trap_finish(v);
}

/* v goes on: the whole exit is a record. */
static ALWAYS_INLINE struct vcpu *done(struct vcpu *v, uint64_t begun, uint64_t quick)
{
	if (UNLIKELY(v->hazard != 0)) {
		return busy(v, begun, quick);
	}
	if (TRACE_ON && trace_put(v->cpu, begun, quick | TRACE_VALUE(arch_count()))) {
		return full(v);
	}
	return v;
}

/* It may be another that goes on: the exit begins. True: the chunk is full. */
static ALWAYS_INLINE bool leave(const struct vcpu *v, uint64_t begun, uint64_t quick)
{
	return TRACE_ON && trace_put(v->cpu, begun, quick - KZ_TRACE_QUICK + KZ_TRACE_EXIT);
}

static NOINLINE struct vcpu *full_sched(struct vcpu *v, uint64_t now)
{
	trace_turn(v->cpu);
	return trap_sched(v, now);
}

static NOINLINE struct vcpu *full_job_done(struct vcpu *v, uint64_t now)
{
	trace_turn(v->cpu);
	return trap_job_done(v, now);
}

struct vcpu *trap_call(struct vcpu *v, uint64_t esr)
{
	uint64_t now = begin();

	v->exits[EXIT_HCALL]++;
	if (UNLIKELY((uint32_t)esr != ESR_HVC_0)) {
		if (ESR_EC(esr) == EC_SMC) {
			/* HVC returns behind itself, a trapped SMC does not */
			write_elr_el2(read_elr_el2() + 4);
		}
		if ((esr & HVC_IMM) != 0) {
			return trap_call_long(v, esr);
		}
	}
	if (LIKELY(smccc_quick(v))) {
		return done(v, now, QUICK(HCALL, KZ_TRACE_CALL(PSCI_VERSION_32)));
	}
	if ((uint32_t)v->arch.x[0] == KZ_HVC_JOB_DONE) {
		v->arch.x[0] = (uint64_t)KZ_OK;
		now = TRACE_ON ? now : arch_count();	/* the scheduler's, too */
		if (leave(v, now, QUICK(HCALL, KZ_TRACE_CALL(KZ_HVC_JOB_DONE)))) {
			return full_job_done(v, now);
		}
		return trap_job_done(v, now);
	}
	return trap_call_long(v, esr);
}

/*
 * A plain load or store of a word in the distributor or a redistributor, where
 * the model has a quick answer: the model of a guest that is not HRT, or that of
 * one that is. VGIC_LONG: it has none. What a store returns is of no interest.
 */
static inline uint64_t gic_word(struct vcpu *v, uint64_t at, uint32_t iss)
{
	const struct arch_vm *vm = &v->vm->arch;
	uint32_t value = (uint32_t)v->arch.x[iss >> 16 & 31];
	uint64_t offset = at - vm->gicd.base;
	bool done;

	if (UNLIKELY((at & 3) != 0)) {
		return VGIC_LONG;
	}
	if (LIKELY(offset < vm->gicd.size)) {
		if ((iss & ISS_WNR) == 0) {
			return vgic_quick_read(v, (uint32_t)offset);
		}
		done = vm->hrt ? vgic_quick_write_hrt(v, (uint32_t)offset, value) :
		       vgic_quick_write(v, (uint32_t)offset, value);
	} else {
		offset = at - vm->gicr.base;
		done = offset < vm->gicr.size && (iss & ISS_WNR) != 0 &&
		       vgic_quick_write_r(v, (uint32_t)offset, value, vm->hrt);
	}
	return done ? 0 : VGIC_LONG;
}

struct vcpu *trap_sync(struct vcpu *v, uint64_t esr)
{
	uint64_t now = begin();
	uint32_t rt;

	if (LIKELY((esr & WORD_MASK) == WORD)) {
		uint64_t at = (read_hpfar_el2() & ~0xfull) << 8 | (read_far_el2() & 0xfff);
		uint64_t value = gic_word(v, at, (uint32_t)esr);

		if (value == VGIC_LONG) {
			return trap_sync_long(v, esr);
		}
		rt = (uint32_t)esr >> 16 & 31;
		if ((esr & ISS_WNR) == 0 && rt != 31) {
			v->arch.x[rt] = value;
		}
		v->exits[EXIT_MMIO]++;
		write_elr_el2(read_elr_el2() + 4);
		return done(v, now, QUICK(MMIO, at >> 2 & 0xffff));
	}
	return trap_sync_long(v, esr);
}

struct vcpu *trap_sysreg(struct vcpu *v, uint64_t esr)
{
	uint64_t now = begin();
	uint64_t value = v->arch.x[esr >> 5 & 31];

	/* An SGI (GICv3): the one trapped register on a hot path. */
	if (LIKELY((esr & ~(uint64_t)ISS_RT) == ESR_SGI1R && vgic_quick_sgi1r(v, value))) {
		v->exits[EXIT_SYSREG]++;
		write_elr_el2(read_elr_el2() + 4);
		/* arg, of a value that has nothing else, and one target */
		return done(v, now, QUICK(SGI, 0) + ((uint32_t)value << 20 |
						     (uint32_t)(value >> 24) << 16));
	}
	return trap_sync_long(v, esr);
}

/* Our timer: a level, until turn_sched or sched_next sets it anew. */
static ALWAYS_INLINE struct vcpu *own_timer(struct vcpu *v, uint64_t now, uint64_t iar, bool v3)
{
	gic_quick_dir(v3, iar);
	v->exits[EXIT_KICK]++;
	if (leave(v, now, QUICK(KICK, iar & INTID))) {
		return full_sched(v, now);
	}
	return trap_sched(v, now);
}

/* Once for each version of the GIC: nothing of the other is in its way. */
static ALWAYS_INLINE struct vcpu *irq(struct vcpu *v, bool v3)
{
	uint64_t now = arch_count();
	uint64_t iar = gic_quick_ack(v3);
	uint64_t intid = iar & INTID;

	if (LIKELY(intid == gic.vtimer && vgic_quick_timer(v, v3))) {
		gic_quick_eoi(v3, iar);
		v->exits[EXIT_IRQ]++;
		return done(v, now, QUICK(IRQ, intid));
	}
	if (LIKELY(intid - GIC_SGIS < GIC_PRIVATE - GIC_SGIS)) {
		gic_quick_eoi(v3, iar);
		if (intid == gic.htimer) {
			return own_timer(v, now, iar, v3);
		}
		if (LIKELY(vgic_quick_again(v, intid, v3, true, 0))) {
			v->exits[EXIT_IRQ]++;
			return done(v, now, QUICK(IRQ, intid));
		}
		return trap_irq_long(v, (uint32_t)iar, now);
	}
	if (intid >= GIC_SPURIOUS) {
		return trap_irq_long(v, (uint32_t)intid, now);
	}
	gic_quick_eoi(v3, iar);
	if (intid == GIC_SGI_KICK) {
		uint32_t only = HAZARD_IRQ;

		gic_quick_dir(v3, iar);
		v->exits[EXIT_KICK]++;
		if (LIKELY(__atomic_compare_exchange_n(&v->hazard, &only, 0, false,
						       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))) {
			if (UNLIKELY(!vgic_quick_attend(v, v3))) {
				return trap_kick_long(v, now);
			}
		}
		return done(v, now, QUICK(KICK, GIC_SGI_KICK));
	}
	return trap_irq_long(v, (uint32_t)iar, now);
}

static NOINLINE struct vcpu *irq_v2(struct vcpu *v)
{
	return irq(v, false);
}

struct vcpu *trap_irq(struct vcpu *v)
{
	return LIKELY(gic.v3) ? irq(v, true) : irq_v2(v);
}
