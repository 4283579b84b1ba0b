/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual timer (DDI 0487, D11.2): no trap, neither to arm it nor to read the counter. */
#ifndef GUEST_TIMER_H
#define GUEST_TIMER_H

#include <stdint.h>

#include "fdt.h"
#include "sysreg.h"

/* The virtual timer's PPI as the device tree says; 27 when it says nothing. */
static inline uint32_t timer_intid(const void *fdt)
{
	struct fdt_node node;
	uint32_t intid = 0;

	if (fdt_find(fdt, "arm,armv8-timer", &node)) {
		intid = fdt_intid(&node, 2);
	}
	return intid != 0 ? intid : 27;
}

/* Arms the timer for the moment when the counter reaches deadline. */
static inline void timer_arm(uint64_t deadline)
{
	write_cntv_cval_el0(deadline);
	write_cntv_ctl_el0(1);
}

/* Ticks into nanoseconds, rounded down; for centuries at 1 GHz. */
static inline uint64_t timer_ns(uint64_t ticks, uint64_t frequency)
{
	return ticks / frequency * 1000000000u + ticks % frequency * 1000000000u / frequency;
}

/* Nanoseconds into ticks, rounded down. */
static inline uint64_t timer_ticks(uint64_t ns, uint64_t frequency)
{
	return ns / 1000000000u * frequency + ns % 1000000000u * frequency / 1000000000u;
}

#endif
