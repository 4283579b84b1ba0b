/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of two vCPUs that resets itself as fast as it can, each time while its
 * second vCPU does something else: it sleeps, runs, calls, resets too, or is on
 * its way up or down.
 */
#include "probe.h"

#include "gic.h"
#include "guest.h"
#include "psci.h"
#include "second.h"

#define PSCI_CPU_OFF	0x84000002u
#define MODES		7u

void guest_irq(uint64_t now)
{
	(void)now;
}

static volatile uint32_t arrived;
static const void *volatile tree;

__attribute__((used)) void second_main(uint64_t context)
{
	if (context == 4) {
		/* With an interface that lets interrupts through, but none that comes. */
		gic_init(tree);
	}
	arrived = 1;
	for (;;) {
		switch (context) {
		case 0:
		case 4:
			cpu_wfi();
			break;
		case 1:
			psci_version();
			break;
		case 2:
			psci_system_reset();
			break;
		case 3:
			hvc_call(PSCI_CPU_OFF, 0, 0, 0);
			break;
		default:
			break;
		}
	}
}

void guest_main(const void *fdt)
{
	const uint64_t mpidr = read_mpidr_el1() & 0xff00ffffffull;
	const uint64_t mode = (read_cntpct_el0() >> 4) % MODES;

	tree = fdt;
	/* HRT: the cores as they are, the second is the next one. */
	psci_cpu_on(mpidr + 1, (uintptr_t)second_entry, mode);
	/* Mode 6 does not wait: the second is stopped on its way up. */
	for (uint32_t i = 0; mode != 6 && arrived == 0 && i < 100000; i++) {
	}
	for (uint64_t i = read_cntpct_el0() % 512; i > 0; i--) {
		__asm__ volatile("nop");
	}
	psci_system_reset();
}
