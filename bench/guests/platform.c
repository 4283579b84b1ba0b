/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "console.h"
#include "fdt.h"
#include "options.h"
#include "timer.h"

#define PL011_DR	0x00u
#define PL011_FR	0x18u
#define PL011_FR_TXFF	(1u << 5)
/* Cadence UART: of the bare ZCU102. */
#define CADENCE_CR	0x00u
#define CADENCE_CR_TX	0x14u	/* receiver and transmitter on */
#define CADENCE_SR	0x2cu
#define CADENCE_SR_FULL	(1u << 4)
#define CADENCE_FIFO	0x30u

#define GIC_PAGES	0x10000u

struct platform platform;

/* The index-th reg of a node of one of the types, and its size; 0 if there is none. */
static uintptr_t find(const void *fdt, const char *const type[], uint32_t types, uint32_t index,
		      uint64_t *size)
{
	struct fdt_node node;
	uint64_t address;

	for (uint32_t i = 0; i < types; i++) {
		if (fdt_find(fdt, type[i], &node) && fdt_reg(&node, index, &address, size)) {
			return address;
		}
	}
	return 0;
}

void console_init(const void *fdt)
{
	const char *const pl011[] = { "arm,pl011", "arm,sbsa-uart" };
	const char *const cadence[] = { "cdns,uart-r1p12", "xlnx,xuartps" };
	uint64_t size;
	uintptr_t uart = find(fdt, pl011, 2, 0, &size);

	if (uart != 0) {
		platform.uart_send = uart + PL011_DR;
		platform.uart_state = uart + PL011_FR;
		platform.uart_full = PL011_FR_TXFF;
		return;
	}
	uart = find(fdt, cadence, 2, 0, &size);
	if (uart != 0) {
		write32(uart + CADENCE_CR, CADENCE_CR_TX);
		platform.uart_send = uart + CADENCE_FIFO;
		platform.uart_state = uart + CADENCE_SR;
		platform.uart_full = CADENCE_SR_FULL;
	}
}

uint32_t console_write(const char *bytes, uint32_t size)
{
	uint32_t count = 0;

	if (platform.uart_send == 0) {
		return size;
	}
	while (count < size && (read32(platform.uart_state) & platform.uart_full) == 0) {
		write32(platform.uart_send, (uint8_t)bytes[count]);
		count++;
	}
	return count;
}

int64_t psci(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;

	/* SMCCC 1.0 may clobber x4..x17. */
	if (platform.smc) {
		__asm__ volatile("smc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
				   "x14", "x15", "x16", "x17", "memory");
	} else {
		__asm__ volatile("hvc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
				   "x14", "x15", "x16", "x17", "memory");
	}
	return (int64_t)x0;
}

void platform_init(const void *fdt)
{
	const char *const v3[] = { "arm,gic-v3" };
	const char *const v2[] = { "arm,cortex-a15-gic", "arm,gic-400" };
	const char *const conduit[] = { "arm,psci-1.0", "arm,psci-0.2" };
	struct fdt_node node = { 0 };
	uint64_t size;

	console_init(fdt);
	platform.args = fdt_bootargs(fdt);
	platform.frequency = read_cntfrq_el0();
	platform.timer = timer_intid(fdt);
	platform.xen = option_has(platform.args, "xen=1");
	platform.gicr = find(fdt, v3, 1, 1, &size);
	if (platform.gicr != 0) {
		platform.gicd = find(fdt, v3, 1, 0, &size);
	} else {
		platform.gicd = find(fdt, v2, 2, 0, &size);
		platform.gicc = find(fdt, v2, 2, 1, &size);
		/* A page in each 64 KiB, repeated in between: so they follow each other. */
		platform.gicc += size == 2 * GIC_PAGES ? GIC_PAGES - 0x1000 : 0;
	}
	if (fdt_find(fdt, conduit[0], &node) || fdt_find(fdt, conduit[1], &node)) {
		platform.smc = node.method != (const uint8_t *)0 && node.method[0] == 's';
	}
}
