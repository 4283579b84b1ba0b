/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the hypervisor: SMCCC (DEN 0028), and the PSCI (DEN 0022) ones by name. */
#ifndef GUEST_PSCI_H
#define GUEST_PSCI_H

#include <stdint.h>

/* Any call with up to three arguments, by HVC. */
int64_t hvc_call(uint32_t id, uint64_t a1, uint64_t a2, uint64_t a3);

/* The major version in bits 31:16, the minor in 15:0. */
int64_t psci_version(void);

/* Starts the CPU with that affinity at entry, with context in its x0; 0 or a PSCI error. */
int64_t psci_cpu_on(uint64_t mpidr, uintptr_t entry, uint64_t context);

/* Switches this VM off. */
void psci_system_off(void);

/* Restarts this VM. */
void psci_system_reset(void);

#endif
