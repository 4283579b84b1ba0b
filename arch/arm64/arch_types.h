/* SPDX-License-Identifier: Apache-2.0 */
/* What arm64 keeps for a VM, a vCPU and a core. */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdint.h>
#include <vgic.h>
#include "vectors.h"

/*
 * While the guest runs, SP_EL2 points at its struct vcpu, which begins with
 * this: vectors.S stores registers through it and then takes host_sp.
 */
struct arch_vcpu {
	uint64_t x[32];			/* x[31] is the zero register: 0 */
	uint64_t host_sp;		/* top of the core's EL2 stack */
	struct vgic_cpu vgic;
};

_Static_assert(__builtin_offsetof(struct arch_vcpu, host_sp) == VCPU_HOST_SP, "vectors.S");

struct arch_vm {
	uint64_t *root;			/* stage-2 level 1 table */
	uint64_t vttbr;			/* VTTBR_EL2 */
	uint64_t cntvoff;		/* CNTVOFF_EL2: the counter starts at 0 with the VM */
	bool hrt;			/* it owns the CPU interfaces of its cores */
	struct vgic_frame gicd, gicr;	/* gicr: of all vCPUs; GICv2: vgic_hrt_dir's, or none */
	struct vgic vgic;
};

struct arch_percpu {
	uint64_t none;			/* the core's own registers hold all there is */
};

#endif
