/* SPDX-License-Identifier: Apache-2.0 */
/* What arm64 keeps for a VM, a vCPU and a core. */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <vgic.h>
#include "pt.h"
#include "vectors.h"

struct vcpu;

/* What of a vCPU is in the core's registers while it is loaded, and here else. */
struct arch_away {
	uint64_t sctlr_el1, regs[19];	/* as in switch.S */
	uint64_t elr_el2, spsr_el2;
	uint64_t cntv_ctl_el0, cntv_cval_el0;
	uint64_t cptr_el2;		/* its use of FP registers traps unless it is percpu.fp */
	uint64_t vttbr_el2, vmpidr_el2, cntvoff_el2;	/* constant */
	/* With ODD_REGISTERS. */
	uint64_t amair_el1, afsr0_el1, afsr1_el1, mdscr_el1;
	uint64_t cntp_ctl_el0, cntp_cval_el0;
	/* v0 to v31, FPCR and FPSR, of 32 bits; of a vCPU that is not percpu.fp */
	_Alignas(16) uint64_t fp[65];
	uint64_t hcr_el2;		/* that of all that share a core, unless ODD_REGISTERS */
};

_Static_assert(__builtin_offsetof(struct arch_away, cntv_ctl_el0) == 22 * 8, "switch.S");
_Static_assert(__builtin_offsetof(struct arch_away, cntvoff_el2) == 27 * 8, "switch.S");

/*
 * While the guest runs, SP_EL2 points at its struct vcpu, which begins with
 * this: vectors.S stores registers through it and then takes host_sp.
 */
struct arch_vcpu {
	uint64_t x[32];			/* x[31] is the zero register: 0 */
	uint64_t host_sp;		/* top of the core's EL2 stack */
	uint64_t trace;			/* the second word of KZ_TRACE_RUN */
	uint64_t kick;			/* gic.sgi_value of its core; 0: shared, or unknown */
	struct vgic_cpu vgic;
};

_Static_assert(__builtin_offsetof(struct arch_vcpu, host_sp) == VCPU_HOST_SP, "vectors.S");
_Static_assert(__builtin_offsetof(struct arch_vcpu, trace) == VCPU_TRACE, "vectors.S");

struct arch_vm {
	struct vgic vgic;
	uint64_t *root;			/* stage-2 level 1 table, */
	uint32_t root_used;		/* of which so many entries are in use, at most */
	uint64_t vttbr;			/* VTTBR_EL2 */
	struct pt_pool tables;		/* of a VM that was created */
	bool hrt;			/* it owns the CPU interfaces of its cores */
	struct vgic_frame gicd, gicr;	/* gicr: of all vCPUs; GICv2: vgic_hrt_dir's, or none */
};

#define ODD_GICV2	BIT(0)
/*
 * It keeps what is written to AMAIR_EL1, AFSR0_EL1 or AFSR1_EL1; or a guest has set MDSCR_EL1,
 * used the physical timer, or had an SError. For good: its switches take longer.
 */
#define ODD_REGISTERS	BIT(1)

struct arch_percpu {
	struct vcpu *fp;		/* whose FP registers the core has */
	uint8_t odd;			/* what makes a switch more than usual: */
	uint32_t ppis;			/* guests' PPIs that are on while no vCPU is loaded */
	bool lent;			/* its CPU interface is an HRT guest's; atomic */
};

#endif
