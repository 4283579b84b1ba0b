/* SPDX-License-Identifier: Apache-2.0 */
/* Calls by SMCCC (DEN0028): PSCI (DEN0022) in both directions, and who we are. */
#ifndef PSCI_H
#define PSCI_H

#include <stdint.h>

struct vcpu;

#define PSCI_CPU_ON_64		0xc4000003u
#define PSCI_SYSTEM_OFF		0x84000008u
#define PSCI_SUCCESS		0
#define PSCI_NOT_SUPPORTED	(-1)

/*
 * A guest made an HVC or SMC: its arguments are in the vCPU's registers, where
 * the results go. What it does not know returns NOT_SUPPORTED. Own core of v.
 */
void smccc_call(struct vcpu *v);

#endif
