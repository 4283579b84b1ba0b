/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's port keeps in each VM, vCPU and core: all of it there to be read by a test. */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <kizami/blob.h>
#include "types.h"

struct arch_vm {
	bool ready;			/* arch_vm_init was called */
	bool revoked;			/* between arch_vm_revoke and arch_vm_grant */
	uint32_t resets;
	uint64_t line[(KZ_INTID_MAX + 63) / 64];	/* level of each interrupt line */
	uint32_t edges;			/* calls of arch_irq_line */
};

struct arch_vcpu {
	bool parked;
	uint32_t resets;		/* calls of arch_vcpu_reset */
	uint32_t parks, syncs;
	uint64_t pc, x0;
	uint32_t aborts;		/* external aborts injected */
	uint64_t abort_addr;		/* of the last one */
};

struct arch_percpu {
	uint32_t kicks;			/* calls of arch_cpu_kick for this core */
	uint32_t waits;			/* calls of arch_cpu_wait */
};

#endif
