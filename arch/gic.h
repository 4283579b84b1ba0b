/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical GIC: version 2 (IHI 0048) through its frames, version 3 (IHI
 * 0069) through system registers. Cores that run HRT guests lend them the CPU
 * interface; all else is ours. EOImode 1: EOI drops priority, the guest's own
 * EOI (through a list register with HW) or gic_deactivate ends the interrupt.
 */
#ifndef GIC_H
#define GIC_H

#include "types.h"

#define GIC_SGIS	16u
#define GIC_PRIVATE	32u		/* INTIDs below it are a core's own */
#define GIC_SPURIOUS	1020u		/* and above: nothing was pending */
#define GIC_LRS_MAX	4u		/* what Arm's cores and GICs have; more are not used */
#define GIC_SGI_KICK	0u		/* how our cores call each other, */
#define GIC_SGI_SCHED	1u		/* and one that several vCPUs share */
#define GIC_PRIORITY	0xa0u		/* of every interrupt that is ours or forwarded */

/* Distributor registers that both versions have, from its base. */
#define GICD_CTLR	0x000u
#define GICD_TYPER	0x004u
#define GICD_IIDR	0x008u
#define GICD_IGROUPR	0x080u
#define GICD_ISENABLER	0x100u
#define GICD_ICENABLER	0x180u
#define GICD_ISPENDR	0x200u
#define GICD_ICPENDR	0x280u
#define GICD_ISACTIVER	0x300u
#define GICD_ICACTIVER	0x380u
#define GICD_IPRIORITYR	0x400u
#define GICD_ITARGETSR	0x800u
#define GICD_ICFGR	0xc00u
#define GICD_SGIR	0xf00u
#define GICD_CPENDSGIR	0xf10u
#define GICD_SPENDSGIR	0xf20u
#define GICD_IROUTER	0x6000u		/* version 3; 8 bytes each */
/* GICv2 CPU interface, second page. */
#define GICC_DIR	0x1000u
/* Redistributor, from the RD frame; the SGI frame repeats the distributor's offsets. */
#define GICR_CTLR	0x0000u
#define GICR_IIDR	0x0004u
#define GICR_TYPER	0x0008u
#define GICR_WAKER	0x0014u
#define GICR_SGI	0x10000u

#define LR_INVALID	0u
#define LR_PENDING	1u
#define LR_ACTIVE	2u

/* What a list register holds, for gic_lr_write. */
struct lr {
	uint32_t intid;
	uint8_t prio;		/* as in GICD_IPRIORITYR */
	uint8_t state;		/* LR_PENDING and LR_ACTIVE, or both */
	uint8_t source;		/* GICv2 SGI: the vCPU that sent it */
	bool group1;
	bool hw;		/* the guest's EOI deactivates the physical interrupt */
	bool eoi;		/* its EOI wants us (not with hw) */
};

/* Cause bits for gic_hcr_write: GICH_HCR and ICH_HCR_EL2 agree on them. */
#define GIC_HCR_EN	BIT(0)
#define GIC_HCR_LRENPIE	BIT(2)
#define GIC_HCR_NPIE	BIT(3)
#define GIC_HCR_TC	BIT(10)		/* version 3 only */
#define GIC_HCR_TALL0	BIT(11)		/* version 3 only */

struct gic {
	bool v3;
	uint8_t htimer, vtimer;		/* PPIs of the timers: ours, a guest's virtual one */
	uint8_t lr_count;
	uint64_t gicd, gicc, gich;
	uint64_t gicr[8];		/* of each core */
	uint64_t affinity[8];		/* of each core, as IROUTER wants it */
	uint64_t sgi_value[8];		/* SGI 0 to each core: for ICC_SGI1R_EL1 or GICD_SGIR */
	uint8_t gicc_id[8];		/* GICv2: bit of each core in ITARGETSR */
};
extern struct gic gic;

static inline uint32_t mmio_read32(uint64_t at)
{
	return *(volatile const uint32_t *)at;
}

static inline void mmio_write32(uint64_t at, uint32_t v)
{
	*(volatile uint32_t *)at = v;
}

/* Distributor: everything off, then on. Boot core, once. */
void gic_init(void);

/*
 * This core's interface, timers' PPIs, list registers; also takes it back from a guest. Own
 * core.
 */
void gic_init_cpu(uint32_t cpu);

/* Lend the interface to the HRT guest of this core, as after reset. Own core. */
void gic_lend_cpu(uint32_t cpu, bool sgi_direct);

/* Wake a core that is lent and sleeps. Any core but itself. */
void gic_wake_lent(uint32_t cpu);
/* The core goes on: what woke it was not its guest's, who owns `cores` (version 2). Own core. */
void gic_thaw_lent(uint32_t cpu, uint32_t cores);

/*
 * The guest that has this core's interface wants to sleep. If the interface lets
 * no interrupt through, ours included, sleep here with it open until there is
 * one, and return true. Own core.
 */
MUST_USE bool gic_doze_lent(uint32_t cpu);

/* Acknowledge: INTID in bits 9:0 (version 2: SGI source in 12:10). Own core. */
uint32_t gic_ack(void);
/* Drop the priority; with deactivate also end it. Own core. */
void gic_eoi(uint32_t iar);
void gic_dir(uint32_t iar);

/* A physical SGI to a core; what was written to memory before is visible to it. */
void gic_sgi(uint32_t cpu, uint32_t intid);

/* Private INTIDs: of core `cpu` (version 2: own core only). SPIs: cpu is ignored. */
void gic_enable(uint32_t cpu, uint32_t intid, bool on);
void gic_set_pending(uint32_t intid);
void gic_deactivate(uint32_t cpu, uint32_t intid);
/* Off, not pending, not active, at GIC_PRIORITY. */
void gic_reset_irq(uint32_t cpu, uint32_t intid);
void gic_set_edge(uint32_t intid, bool edge);
/* Change the bits of mask in the GICD_ICFGR word of SPI intid. Any core. */
void gic_config(uint32_t intid, uint32_t mask, uint32_t value);
void gic_route(uint32_t intid, uint32_t cpu);

/* The frame that has the registers of `intid` for core `cpu`: distributor or SGI frame. */
uint64_t gic_frame(uint32_t cpu, uint32_t intid);

/* List registers of this core. */
void gic_lr_write(uint32_t i, const struct lr *lr);
/* What it writes. */
uint64_t gic_lr_word(const struct lr *lr);
void gic_lr_clear(uint32_t i);
/* LR_ bits of the list register. */
uint32_t gic_lr_state(uint32_t i);
/* Bits of list registers that are empty. */
uint32_t gic_lr_empty(void);
void gic_hcr_write(uint32_t bits);
/* EOIs without a list register since the last call. */
uint32_t gic_eoicount_take(uint32_t hcr_bits);
/* Virtual CPU interface as after reset. */
void gic_virtual_reset(void);

#endif
