/* SPDX-License-Identifier: Apache-2.0 */
/* What arm64 keeps for a VM, a vCPU and a core. */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdint.h>
#include <vgic.h>
#include "vectors.h"

struct vcpu;

/* What of a vCPU is in the core's registers while it is loaded, and here else. */
#define VCPU_EL1_REGS(R)                                                                          \
	R(sctlr_el1) R(cpacr_el1) R(ttbr0_el1) R(ttbr1_el1) R(tcr_el1) R(mair_el1) R(amair_el1)   \
	R(vbar_el1) R(contextidr_el1) R(tpidr_el0) R(tpidrro_el0) R(tpidr_el1) R(elr_el1)         \
	R(spsr_el1) R(esr_el1) R(far_el1) R(afsr0_el1) R(afsr1_el1) R(par_el1) R(csselr_el1)      \
	R(sp_el0) R(sp_el1) R(cntkctl_el1) R(mdscr_el1) R(elr_el2) R(spsr_el2) R(hcr_el2)         \
	R(cntv_cval_el0) R(cntp_cval_el0) R(cntv_ctl_el0) R(cntp_ctl_el0)

struct vcpu_regs {
#define R(name) uint64_t name;
	VCPU_EL1_REGS(R)
#undef R
};

/*
 * While the guest runs, SP_EL2 points at its struct vcpu, which begins with
 * this: vectors.S stores registers through it and then takes host_sp.
 */
struct arch_vcpu {
	uint64_t x[32];			/* x[31] is the zero register: 0 */
	uint64_t host_sp;		/* top of the core's EL2 stack */
	uint64_t kick;			/* gic.sgi_value of its core; 0: it is shared, or not known */
	struct vgic_cpu vgic;
	struct vcpu_regs regs;
	_Alignas(16) uint64_t fp[66];	/* v0 to v31, FPCR, FPSR; of a vCPU that is not percpu.fp */
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
	struct vcpu *fp;		/* whose FP registers the core has */
	uint32_t ppis;			/* PPIs of guests that are enabled, while no vCPU is loaded */
};

#endif
