/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets in struct arch_vcpu that assembly uses, and what assembly and C call of each other. */
#ifndef VECTORS_H
#define VECTORS_H

#define VCPU_X(n)	((n) * 8)
#define VCPU_HOST_SP	256
#define VCPU_TRACE	264

#ifndef __ASSEMBLER__

#include <stdint.h>

struct percpu;
struct vcpu;

extern char vectors[];

/* Called by the vectors with the vCPU that left; they return the one to go on with. */
struct vcpu *trap_call(struct vcpu *v, uint64_t esr);
struct vcpu *trap_sync(struct vcpu *v, uint64_t esr);
struct vcpu *trap_sysreg(struct vcpu *v, uint64_t esr);	/* or trap_sync */
struct vcpu *trap_irq(struct vcpu *v);
struct vcpu *trap_serror(struct vcpu *v);
/* An exception taken from EL2 itself; vector is its index in the table. */
_Noreturn void trap_bug(uint64_t vector);

_Noreturn void vcpu_enter(struct vcpu *v);
uint64_t smc_call(uint64_t fn, uint64_t a, uint64_t b, uint64_t c);
void fp_clear(void);
/* switch.S */
struct vcpu *el1_switch(struct vcpu *v, uint64_t *from, const uint64_t *to);
void el1_load(struct vcpu *v, const uint64_t *unused, const uint64_t *regs);

void fp_save(uint64_t *to);
void fp_load(const uint64_t *from);
/*
 * Another vCPU may go on than v, which left at `now`. Reached by a jump only, in the tail of what a
 * vector calls: C has put back the registers that are the guest's (the build checks that).
 */
struct vcpu *trap_sched(struct vcpu *v, uint64_t now);		/* nothing else came of this exit */
struct vcpu *trap_job_done(struct vcpu *v, uint64_t now);	/* and it gives way to others */
struct vcpu *trap_next(struct vcpu *v);				/* sched_next says */
/* What they call. */
struct vcpu *turn_sched(struct vcpu *v, uint64_t now);
struct vcpu *turn_job_done(struct vcpu *v, uint64_t now);
struct vcpu *turn_next(struct vcpu *v);

/* head.S: called on the way up. */
uint64_t boot_map(uint64_t image_pa);
_Noreturn void boot_main(uint64_t image_pa);
_Noreturn void secondary_main(struct percpu *cpu);
extern char _head[], secondary_entry[];
extern uint64_t boot_root;
extern const uint64_t boot_size;	/* with its zeros: the blob is behind it */

#endif
#endif
