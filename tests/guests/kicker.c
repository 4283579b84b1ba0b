/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest with a watchdog: serves it so often, then hangs with interrupts masked, as a controller
 * that failed. Each start prints the same again.
 *
 * Command line: timeout=2ms kicks=100, and device: by the SBSA watchdog of the device tree, whose
 * first signal it only counts; off: in the end it switches its VM off instead.
 */
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmio.h"
#include "mmu.h"
#include "options.h"
#include "psci.h"
#include "realtime.h"
#include "timer.h"

#define PRIORITY	0x80u
#define WCS		0x000u
#define WOR		0x008u
#define WRR		0x000u		/* of the refresh frame */

static uintptr_t control, refresh;
static uint32_t intid;
static volatile uint32_t signals;

void guest_irq(uint64_t now)
{
	const uint32_t id = gic_acknowledge();

	(void)now;
	if (id == intid) {
		struct line line;

		signals++;
		line_begin(&line);
		line_value(&line, "kicker: signal, WCS ", mmio_read32(control + WCS));
		line_print(&line);
		mmio_write32(control + WCS, 0);		/* the line is a level */
		mmio_write32(control + WCS, 1);
	}
	gic_end(id);
}

static bool find_device(const void *fdt, uint64_t timeout)
{
	struct fdt_node node;
	uint64_t at[2], size;

	if (!fdt_find(fdt, "arm,sbsa-gwdt", &node) || !fdt_reg(&node, 0, &at[0], &size) ||
	    !fdt_reg(&node, 1, &at[1], &size)) {
		return false;
	}
	intid = fdt_intid(&node, 0);
	control = at[0];
	refresh = at[1];
	if (!gic_init(fdt)) {
		return false;
	}
	gic_enable(intid, PRIORITY);
	cpu_irq_enable();
	/* Half of it for each signal. */
	mmio_write32(control + WOR, (uint32_t)(timeout / 2));
	mmio_write32(control + WCS, 1);
	return true;
}

static void kick(uint64_t ns)
{
	struct realtime r = { ns, 0, 0 };

	if (control != 0) {
		mmio_write32(refresh + WRR, 1);
	} else if (realtime_call(KZ_HVC_WATCHDOG, &r) != KZ_OK) {
		console_print("kicker: refused\n");
	}
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t frequency = read_cntfrq_el0();
	const uint64_t ns = option_value(args, "timeout", 2000000);
	const uint64_t timeout = timer_ticks(ns, frequency);
	const uint64_t kicks = option_value(args, "kicks", 100);

	mmu_enable(fdt);
	console_init(fdt);
	console_print("kicker: up\n");
	if (option_has(args, "device") && !find_device(fdt, timeout)) {
		console_print("kicker: no watchdog\n");
		return;
	}
	for (uint64_t i = 0; i < kicks; i++) {
		const uint64_t next = read_cntvct_el0() + timeout / 4;

		kick(ns);
		while (read_cntvct_el0() < next) {
		}
	}
	if (option_has(args, "off")) {
		psci_system_off();
	}
	console_print("kicker: hangs\n");
	if (!option_has(args, "device")) {
		cpu_irq_disable();
	}
	for (;;) {
	}
}
