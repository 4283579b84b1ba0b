/* SPDX-License-Identifier: Apache-2.0 */
/* From exceptions to the hypervisor: decoding, trapped system registers, injection. */
#ifndef TRAP_H
#define TRAP_H

#include "exit.h"

struct percpu;
struct vcpu;

/* Vectors of this core. */
void trap_init_cpu(void);

/* Handle one physical interrupt of a core that has no guest in it. */
void trap_irq_el2(struct percpu *cpu);

/* A trapped MRS or MSR: iss is ESR_EL2.ISS of EC 0x18 (DDI 0487 D19.2.37). */
enum verdict sysreg_access(struct vcpu *v, uint32_t iss);

/* Undefined Instruction exception at EL1. */
void inject_undef(void);

#endif
