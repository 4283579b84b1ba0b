/* SPDX-License-Identifier: Apache-2.0 */
/* Calls by SMCCC (DEN0028): PSCI (DEN0022) in both directions, and who we are. */
#ifndef PSCI_H
#define PSCI_H

#include "vm.h"

#define PSCI_VERSION_32		0x84000000u
#define PSCI_VERSION_1_1	0x10001u
#define PSCI_CPU_ON_64		0xc4000003u
#define PSCI_SYSTEM_OFF		0x84000008u
#define PSCI_SUCCESS		0
#define PSCI_NOT_SUPPORTED	(-1)

/*
 * A guest made an HVC or SMC to which smccc_quick has no answer: its arguments are
 * in the vCPU's registers, where the results go. What it does not know returns
 * NOT_SUPPORTED. True: sched_next follows. Own core of v.
 */
bool smccc_call(struct vcpu *v);

/* What the port has for CPU_SUSPEND: */
/* Sleep for a guest whose core is its own, until something is pending for it. */
void vcpu_standby(struct vcpu *v);
/*
 * v's guest waits for an interrupt on a core that is shared: true if there is none, and sched_next
 * follows. Own core.
 */
bool vcpu_wait(struct vcpu *v);

/* The same for a call whose answer is a constant; false if it is not one of these. */
static inline bool smccc_quick(struct vcpu *v)
{
	bool known = (uint32_t)v->arch.x[0] == PSCI_VERSION_32;

	if (LIKELY(known)) {
		v->arch.x[0] = PSCI_VERSION_1_1;
	}
	return known;
}

#endif
