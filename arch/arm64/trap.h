/* SPDX-License-Identifier: Apache-2.0 */
/* From exceptions to the hypervisor: decoding, trapped system registers, injection. */
#ifndef TRAP_H
#define TRAP_H

#include "vm.h"

/* The end of an exit that EXIT began: v goes on, when nobody asked for more than that. */
struct vcpu *trap_finish(struct vcpu *v);

/* The long ways of exits, for what quick.c does not do itself: they return who runs next. */
struct vcpu *trap_call_long(struct vcpu *v, uint64_t esr);
struct vcpu *trap_sync_long(struct vcpu *v, uint64_t esr);
/* An acknowledged interrupt whose priority is dropped, or a spurious one. */
struct vcpu *trap_irq_long(struct vcpu *v, uint32_t iar, uint64_t now);
/* HAZARD_IRQ was set, and is taken back. */
struct vcpu *trap_kick_long(struct vcpu *v, uint64_t now);

/* vcpu.c: on a shared core the WFI of v, which is loaded, is ours. */
void vcpu_share(struct vcpu *v);
/* v, which shares its core, uses the physical timer: from here on that is switched. */
void vcpu_use_ptimer(const struct vcpu *v);

/* CPTR_EL2 (DDI 0487 D19.2.34). RES1; TTA: no trace unit. TFP: switch.c. */
#define CPTR_GUEST	0x1033ffull
#define CPTR_TFP	BIT64(10)
/* Of CNTx_CTL_EL0 (DDI 0487 D19.12), ENABLE without IMASK: its line is up from CVAL on. */
static inline bool timer_is_on(uint64_t ctl)
{
	return (ctl & 3) == 1;
}

/* switch.c: the core's FP registers are v's from here on, whatever they hold; as it left them. */
void fp_release(struct vcpu *v);
/* v, whose away.fp is 0, has FP registers of zeros. */
void fp_reset(struct vcpu *v);
void fp_take(struct vcpu *v);

/* Vectors of this core. */
void trap_init_cpu(void);

/* Handle one physical interrupt of a core that has no guest in it. */
void trap_irq_el2(struct percpu *cpu);

/* A trapped MRS or MSR: iss is ESR_EL2.ISS of EC 0x18 (DDI 0487 D19.2.37). */
enum verdict sysreg_access(struct vcpu *v, uint32_t iss);

/* Undefined Instruction exception at EL1. */
void inject_undef(void);

#endif
