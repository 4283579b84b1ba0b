/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt controller, GICv2 or GICv3 as the device tree says (IHI 0048, IHI 0069). */
#ifndef GUEST_GIC_H
#define GUEST_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "sysreg.h"

#define GIC_SPURIOUS	1020u	/* INTIDs from here on are none */

/* Switches the distributor and this CPU's interface on; false when the tree has no GIC. */
bool gic_init(const void *fdt);

/* Enables intid at a priority; an SPI is routed to this CPU. */
void gic_enable(uint32_t intid, uint8_t priority);

/* Takes the pending interrupt of highest priority; >= GIC_SPURIOUS when there is none. */
uint32_t gic_acknowledge(void);

/* Ends what gic_acknowledge() returned. */
void gic_end(uint32_t intid);

/* Disables all of them, so that this CPU can sleep: one that stays pending would end each WFI. */
void gic_close(void);

/*
 * With interrupts masked: sleeps until one is pending, and takes it. WFI comes before
 * the mask is off: an interrupt that was taken before it would not end it.
 */
static inline void gic_wait(void)
{
	cpu_wfi();
	cpu_irq_enable();
	cpu_isb();
	cpu_irq_disable();
}

#endif
