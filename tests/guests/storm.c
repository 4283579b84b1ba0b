/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts without end, on a shared core. First 16 lines of different priorities become
 * pending at once, the vCPU gives its core away, and takes them when it is back: in
 * their order? Then a device that was passed through, if there is one, raises its line
 * and never lowers it: each end of its interrupt is the next one's beginning.
 *
 * Command line: rounds=0 at=300ms (of the virtual counter) run=2s.
 */
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmio.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "timer.h"

#define LINES		16u
#define FIRST		48u	/* SPIs without a device: software makes them pending */
#define GICD_ISPENDR	0x200u

/* DDI 0224: an alarm at the time that it is now. */
#define PL031_DR	0x00u
#define PL031_MR	0x04u
#define PL031_IMSC	0x10u
/* UG1085, UART: the transmitter is empty. */
#define UART_CR		0x00u
#define UART_IER	0x08u
#define UART_IDR	0x0cu
#define UART_TXEN	0x10u
#define UART_TEMPTY	0x08u

static uint32_t device;			/* its INTID */
static uintptr_t registers;
static bool uart;			/* else a real-time clock */
static uint64_t taken, end;		/* of its interrupts; when it is enough */
static uint8_t priority[LINES];
static uint32_t last, seen, wrong;	/* of this round: priority, count; of all: out of order */

/* Its line, high for good; or low. */
static void device_raise(bool high)
{
	if (uart) {
		mmio_write32(registers + UART_CR, UART_TXEN);
		mmio_write32(registers + (high ? UART_IER : UART_IDR), UART_TEMPTY);
	} else {
		mmio_write32(registers + PL031_MR, mmio_read32(registers + PL031_DR));
		mmio_write32(registers + PL031_IMSC, high ? 1 : 0);
	}
}

void guest_irq(uint64_t now)
{
	const uint32_t intid = gic_acknowledge();

	if (intid >= GIC_SPURIOUS) {
		return;
	}
	if (intid == device) {
		taken++;
		/* QEMU's GICv2 looks at a line when it rises; the end is the only other change */
		if (uart || now >= end) {
			device_raise(false);
		}
		gic_end(intid);
		if (uart && now < end) {
			device_raise(true);
		}
		return;
	} else if (intid - FIRST < LINES) {
		wrong += priority[intid - FIRST] < last ? 1 : 0;
		last = priority[intid - FIRST];
		seen++;
	}
	gic_end(intid);
}

/* One order of priorities after another: the 16 steps of a generator that visits all. */
static void shuffle(uint32_t round)
{
	for (uint32_t i = 0; i < LINES; i++) {
		priority[i] = (uint8_t)(((5 * i + round * 3 + round / 16) % LINES + 4) << 3);
		gic_enable(FIRST + i, priority[i]);
	}
}

/* Bits of lines that were not taken, of all rounds. */
static uint32_t rounds_run(uintptr_t gicd, uint64_t rounds)
{
	uint32_t lost = 0;

	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t release = 0, missed = 0;

		shuffle(round);
		last = 0;
		seen = 0;
		mmio_write32(gicd + GICD_ISPENDR + FIRST / 32 * 4,
			     ((1u << LINES) - 1) << FIRST % 32);
		(void)realtime_job_done(&release, &missed);
		cpu_irq_enable();
		cpu_isb();
		cpu_irq_disable();
		lost += LINES - seen;
	}
	return lost;
}

/* False: the tree has no device that it knows. */
static bool device_find(const void *fdt)
{
	struct fdt_node node;
	uint64_t size;

	uart = fdt_find(fdt, "cdns,uart-r1p12", &node);
	if ((!uart && !fdt_find(fdt, "arm,pl031", &node)) ||
	    !fdt_reg(&node, 0, &registers, &size)) {
		return false;
	}
	device = fdt_intid(&node, 0);
	gic_enable(device, 0x80);
	return true;
}

static void wait_until(uint64_t ticks)
{
	while (read_cntvct_el0() < ticks) {
	}
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t frequency = read_cntfrq_el0();
	const uint64_t rounds = option_value(args, "rounds", 0);
	const uint64_t at = timer_ticks(option_value(args, "at", 300000000u), frequency);
	const uint64_t run = timer_ticks(option_value(args, "run", 2000000000u), frequency);
	struct fdt_node gic;
	uint64_t gicd, size;
	uint32_t lost;
	struct line line;

	mmu_enable(fdt);
	console_init(fdt);
	if (!gic_init(fdt) ||
	    (!fdt_find(fdt, "arm,gic-v3", &gic) && !fdt_find(fdt, "arm,cortex-a15-gic", &gic) &&
	     !fdt_find(fdt, "arm,gic-400", &gic)) ||
	    !fdt_reg(&gic, 0, &gicd, &size)) {
		return;
	}
	lost = rounds_run(gicd, rounds);
	line_begin(&line);
	line_value(&line, "storm: rounds ", rounds);
	line_value(&line, " lost ", lost);
	line_value(&line, " wrong ", wrong);
	line_print(&line);
	wait_until(at);
	if (!device_find(fdt)) {
		return;
	}
	end = at + run;
	device_raise(true);
	cpu_irq_enable();
	wait_until(end);
	cpu_irq_disable();
	line_begin(&line);
	line_value(&line, "storm: taken ", taken);
	line_print(&line);
	for (;;) {
	}
}
