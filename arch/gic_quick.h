/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shortest paths do with the physical GIC, inline; gic.c has the same as
 * functions, by way of these. `v3` is gic.v3, read once by the caller. Included
 * with angle brackets: the host tests have a twin.
 */
#ifndef GIC_QUICK_H
#define GIC_QUICK_H

#include <barrier.h>
#include <sysreg.h>
#include "gic.h"

/* GICv2 (IHI 0048 4.4.4, 4.4.5, 5.3.9, 5.3.10). */
#define GICC_IAR	0x000cu
#define GICC_EOIR	0x0010u
#define GICH_HCR	0x000u
#define GICH_VMCR	0x008u
#define GICH_ELRSR	0x030u
#define GICH_APR	0x0f0u
#define GICH_LR		0x100u

static ALWAYS_INLINE uint64_t gic_quick_ack(bool v3)
{
	return v3 ? read_icc_iar1_el1() : mmio_read32(gic.gicc + GICC_IAR);
}

static ALWAYS_INLINE void gic_quick_eoi(bool v3, uint64_t iar)
{
	if (v3) {
		write_icc_eoir1_el1(iar);
	} else {
		mmio_write32(gic.gicc + GICC_EOIR, (uint32_t)iar);
	}
}

static ALWAYS_INLINE void gic_quick_dir(bool v3, uint64_t iar)
{
	if (v3) {
		write_icc_dir_el1(iar);
	} else {
		mmio_write32(gic.gicc + GICC_DIR, (uint32_t)iar);
	}
}

/* An SGI, as gic.sgi_value has it; what was written to memory before is visible to its core. */
static ALWAYS_INLINE void gic_quick_call(bool v3, uint64_t value)
{
	/* what the core shall see before the SGI that makes it look */
	barrier_publish();
	if (v3) {
		write_icc_sgi1r_el1(value);	/* it goes out at the next isb or eret */
	} else {
		mmio_write32(gic.gicd + GICD_SGIR, (uint32_t)value);
	}
}

/* Causes and state of the virtual CPU interface: with 0 it signals nothing. */
static ALWAYS_INLINE uint64_t gic_quick_hcr_get(bool v3)
{
	return v3 ? read_ich_hcr_el2() : mmio_read32(gic.gich + GICH_HCR);
}

static ALWAYS_INLINE void gic_quick_hcr_set(bool v3, uint64_t hcr)
{
	if (v3) {
		write_ich_hcr_el2(hcr);
	} else {
		mmio_write32(gic.gich + GICH_HCR, (uint32_t)hcr);
	}
}

/* Bits of list registers that are empty. */
static ALWAYS_INLINE uint32_t gic_quick_empty(bool v3)
{
	return v3 ? (uint32_t)read_ich_elrsr_el2() : mmio_read32(gic.gich + GICH_ELRSR);
}

/* Without a jump table; i < GIC_LRS_MAX. */
static ALWAYS_INLINE void gic_quick_lr_v3(uint32_t i, uint64_t v)
{
	if (LIKELY(i == 0)) {
		write_ich_lr0_el2(v);
	} else if (i == 1) {
		write_ich_lr1_el2(v);
	} else if (i == 2) {
		write_ich_lr2_el2(v);
	} else {
		write_ich_lr3_el2(v);
	}
}

/* List register i, as it is. */
static ALWAYS_INLINE uint64_t gic_quick_lr_get(bool v3, uint32_t i)
{
	return !v3 ? mmio_read32(gic.gich + GICH_LR + 4 * i) :
	       i == 0 ? read_ich_lr0_el2() :
	       i == 1 ? read_ich_lr1_el2() :
	       i == 2 ? read_ich_lr2_el2() : read_ich_lr3_el2();
}

static ALWAYS_INLINE void gic_quick_lr_set(bool v3, uint32_t i, uint64_t v)
{
	if (v3) {
		gic_quick_lr_v3(i, v);
	} else {
		mmio_write32(gic.gich + GICH_LR + 4 * i, (uint32_t)v);
	}
}

/* A pending interrupt, gic_lr_word, into list register i; source: of an SGI, GICv2. */
static ALWAYS_INLINE void gic_quick_lr(bool v3, uint32_t i, uint64_t word, uint32_t source)
{
	gic_quick_lr_set(v3, i, v3 ? word : word | source << 10);
}

#endif
