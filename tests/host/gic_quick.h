/* SPDX-License-Identifier: Apache-2.0 */
/* The twin of arch/gic_quick.h: the same names by way of gic.h, whoever implements that. */
#ifndef GIC_QUICK_H
#define GIC_QUICK_H

#include <assert.h>
#include "gic.h"

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

static inline uint32_t gic_quick_empty(bool v3)
{
	assert(v3 == gic.v3);
	return gic_lr_empty();
}

static inline void gic_quick_lr(bool v3, uint32_t i, uint32_t intid, uint32_t prio, bool group1,
				bool hw, uint32_t source)
{
	struct lr lr = {
		.intid = intid,
		.prio = (uint8_t)prio,
		.state = LR_PENDING,
		.source = v3 || hw ? 0 : (uint8_t)source,
		.group1 = group1,
		.hw = hw,
	};

	assert(v3 == gic.v3 && i < GIC_LRS_MAX);
	gic_lr_write(i, &lr);
}

#endif
