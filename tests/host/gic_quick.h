/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The twin of arch/gic_quick.h: the same names by way of gic.h, whoever implements that; and
 * registers that are touched without either are those of gic_host.h.
 */
#ifndef GIC_QUICK_H
#define GIC_QUICK_H

#include <assert.h>
#include <stddef.h>
#include <sysreg.h>
#include "gic.h"
#include "gic_host.h"

#define GICH_HCR	GIC_HOST_HCR
#define GICH_VMCR	GIC_HOST_VMCR
#define GICH_ELRSR	GIC_HOST_ELRSR
#define GICH_APR	GIC_HOST_APR
#define GICH_LR		GIC_HOST_LR

#define mmio_read32(at)		gic_host_read32(at)
#define mmio_write32(at, v)	gic_host_write32(at, v)

#define read_ich_hcr_el2()	gic_host_ich_read(GIC_HOST_HCR)
#define write_ich_hcr_el2(v)	gic_host_ich_write(GIC_HOST_HCR, v)
#define read_ich_vmcr_el2()	gic_host_ich_read(GIC_HOST_VMCR)
#define write_ich_vmcr_el2(v)	gic_host_ich_write(GIC_HOST_VMCR, v)
#define read_ich_elrsr_el2()	gic_host_ich_read(GIC_HOST_ELRSR)
#define read_ich_ap0r0_el2()	gic_host_ich_read(GIC_HOST_APR)
#define write_ich_ap0r0_el2(v)	gic_host_ich_write(GIC_HOST_APR, v)
#define read_ich_ap1r0_el2()	gic_host_ich_read(GIC_HOST_APR1)
#define write_ich_ap1r0_el2(v)	gic_host_ich_write(GIC_HOST_APR1, v)
#define read_ich_lr0_el2()	gic_host_ich_read(GIC_HOST_LR)
#define read_ich_lr1_el2()	gic_host_ich_read(GIC_HOST_LR + 4)
#define read_ich_lr2_el2()	gic_host_ich_read(GIC_HOST_LR + 8)
#define read_ich_lr3_el2()	gic_host_ich_read(GIC_HOST_LR + 12)
#define write_ich_lr0_el2(v)	gic_host_ich_write(GIC_HOST_LR, v)
#define write_ich_lr1_el2(v)	gic_host_ich_write(GIC_HOST_LR + 4, v)
#define write_ich_lr2_el2(v)	gic_host_ich_write(GIC_HOST_LR + 8, v)
#define write_ich_lr3_el2(v)	gic_host_ich_write(GIC_HOST_LR + 12, v)

static inline void gic_quick_call(bool v3, uint64_t value)
{
	uint32_t cpu = 0;

	assert(v3 == gic.v3);
	while (gic.sgi_value[cpu] != value) {
		cpu++;
		assert(cpu < 8);
	}
	gic_sgi(cpu, GIC_SGI_KICK);
}

static inline uint64_t gic_quick_hcr_get(bool v3)
{
	assert(v3 == gic.v3);
	return v3 ? read_ich_hcr_el2() : mmio_read32(gic.gich + GICH_HCR);
}

static inline void gic_quick_hcr_set(bool v3, uint64_t hcr)
{
	assert(v3 == gic.v3);
	if (v3) {
		write_ich_hcr_el2(hcr);
	} else {
		mmio_write32(gic.gich + GICH_HCR, (uint32_t)hcr);
	}
}

static inline uint32_t gic_quick_empty(bool v3)
{
	assert(v3 == gic.v3);
	return gic_lr_empty();
}

/* List register i, as it is. */
static inline uint64_t gic_quick_lr_get(bool v3, uint32_t i)
{
	assert(v3 == gic.v3 && i < GIC_LRS_MAX);
	return gic_host_ich_read(GIC_HOST_LR + 4 * i);
}

static inline void gic_quick_lr_set(bool v3, uint32_t i, uint64_t v)
{
	void (*hook)(void) = gic_host.before_lr;

	assert(v3 == gic.v3 && i < GIC_LRS_MAX);
	gic_host.before_lr = NULL;
	if (hook != NULL) {
		hook();
	}
	gic_host_ich_write(GIC_HOST_LR + 4 * i, v);
}

static inline void gic_quick_lr_v3(uint32_t i, uint64_t v)
{
	gic_quick_lr_set(true, i, v);
}

static inline void gic_quick_lr(bool v3, uint32_t i, uint64_t word, uint32_t source)
{
	assert(v3 == gic.v3 && i < GIC_LRS_MAX);
	gic_host_lr_write(i, word, v3 ? 0 : source);
}

#endif
