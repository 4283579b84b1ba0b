/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's GIC: physical interrupts, and for each core a virtual CPU interface
 * with list registers, as IHI 0048 5.2 and IHI 0069 6 describe them. It checks
 * that arch/gic.h is used as the architecture allows, and a test plays guest and
 * devices on it. The host's current core (host_become) is the one that acts.
 */
#ifndef GIC_HOST_H
#define GIC_HOST_H

#include <kizami/blob.h>
#include "gic.h"

#define GIC_HOST_BANKS	32u
#define GIC_HOST_NONE	1023u

/* 32 physical interrupts. */
struct host_bank {
	uint32_t enabled, latch, line, edge, active;
};

/* Virtual CPU interface of a core. */
struct host_vif {
	struct lr lr[GIC_LRS_MAX];
	uint32_t hcr;
	uint32_t eoicount;
	uint32_t apr[2];		/* of each group, a bit for each of 32 priorities */
	uint8_t pmr;
	bool eoimode;			/* EOI drops the priority only, DIR ends */
	bool group[2];			/* enabled */
};

struct gic_host {
	struct host_vif vif[KZ_CPUS_MAX];
	struct host_bank own[KZ_CPUS_MAX];	/* INTIDs 0..31 */
	struct host_bank spi[GIC_HOST_BANKS];	/* by INTID / 32, entry 0 unused */
	uint8_t route[KZ_INTID_MAX];
	uint32_t lr_writes;		/* of all cores */
	bool coming;			/* twins are made active after their list registers */
	uint32_t kicks;			/* SGIs that our cores sent each other */
	void (*before_lr)(void);	/* once, before the next word into a list register */
};
extern struct gic_host gic_host;

/* As after power-on. */
void gic_host_reset(bool v3, uint8_t lr_count);

/* A device drives its line; an edge-triggered interrupt latches the rise. */
void gic_host_line(uint32_t cpu, uint32_t intid, bool high);
bool gic_host_is_active(uint32_t cpu, uint32_t intid);
bool gic_host_is_enabled(uint32_t cpu, uint32_t intid);

/* The calling core's private interrupts and interface as gic_init_cpu leaves them. */
void gic_host_init_cpu(void);

/* ---- The guest at its CPU interface ---- */

/* The interrupt acknowledged (version 2: SGI source in 12:10), or GIC_HOST_NONE. */
uint32_t vif_ack(void);
void vif_eoi(uint32_t iar);
void vif_dir(uint32_t iar);
/* Does the interface want the hypervisor? GICH_MISR is not 0. */
bool vif_wants_us(uint32_t cpu);
/* What the guest would see: an interrupt is signalled. */
bool vif_signals(uint32_t cpu);
/* Active priorities of both groups. */
uint32_t vif_active(uint32_t cpu);

/* ---- Registers, as who does not go by way of arch/gic.h has them (gic_quick.h) ---- */

/* Frames of this GIC, where no memory is. */
#define GIC_HOST_GICH	0x10000ull
#define GIC_HOST_GICD	0x20000ull
#define GIC_HOST_GICR	0x100000ull

/* ICH_ registers of version 3, by the offset that version 2 has them at. */
#define GIC_HOST_HCR	0x000u
#define GIC_HOST_VMCR	0x008u
#define GIC_HOST_ELRSR	0x030u
#define GIC_HOST_APR	0x0f0u		/* group 0 */
#define GIC_HOST_APR1	0x0f4u		/* group 1, version 3 only */
#define GIC_HOST_LR	0x100u		/* + 4 * i */

uint64_t gic_host_ich_read(uint32_t offset);
void gic_host_ich_write(uint32_t offset, uint64_t value);
/* A word that gic_lr_word made, into list register i; source: of a GICv2 SGI. */
void gic_host_lr_write(uint32_t i, uint64_t word, uint32_t source);
/* In one of the frames above, or a test's memory. */
uint32_t gic_host_read32(uint64_t at);
void gic_host_write32(uint64_t at, uint32_t value);

#endif
