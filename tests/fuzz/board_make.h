/* SPDX-License-Identifier: Apache-2.0 */
/* A small board's device tree, made without a compiler at hand. */
#ifndef BOARD_MAKE_H
#define BOARD_MAKE_H

#include <libfdt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOARD_MAKE_SIZE 8192

static inline void bm_do(int err)
{
	if (err != 0) {
		abort();
	}
}

static inline void bm_cells(void *fdt, const char *name, const uint32_t *value, unsigned count)
{
	fdt32_t cell[32];

	for (unsigned i = 0; (i < count) && (i < 32); i++) {
		cell[i] = cpu_to_fdt32(value[i]);
	}
	bm_do(fdt_property(fdt, name, cell, (int)(count * 4)));
}

#define BM_CELLS(fdt, name, ...)                               \
	bm_cells(fdt, name, (const uint32_t[]){ __VA_ARGS__ }, \
		 sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

/* A node with a compatible, ready for more. */
static inline void bm_node(void *fdt, const char *name, const char *compatible)
{
	bm_do(fdt_begin_node(fdt, name));
	if (compatible != NULL) {
		bm_do(fdt_property_string(fdt, "compatible", compatible));
	}
}

/* A device: a page of registers, an SPI, perhaps a clock of the controller. */
static inline void bm_device(void *fdt, const char *name, const char *compatible, uint32_t base,
			     uint32_t spi, uint32_t clock)
{
	bm_node(fdt, name, compatible);
	BM_CELLS(fdt, "reg", base, 0x800);
	BM_CELLS(fdt, "interrupts", 0, spi, 4);
	if (clock != 0) {
		BM_CELLS(fdt, "clocks", 2, clock);
	}
	bm_do(fdt_end_node(fdt));
}

static inline void bm_cores(void *fdt)
{
	bm_node(fdt, "cpus", NULL);
	BM_CELLS(fdt, "#address-cells", 1);
	BM_CELLS(fdt, "#size-cells", 0);
	for (uint32_t i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "cpu@%x", i);
		bm_node(fdt, name, "arm,cortex-a53");
		bm_do(fdt_property_string(fdt, "device_type", "cpu"));
		BM_CELLS(fdt, "reg", i);
		bm_do(fdt_end_node(fdt));
	}
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "memory@40000000", NULL);
	bm_do(fdt_property_string(fdt, "device_type", "memory"));
	BM_CELLS(fdt, "reg", 0x40000000, 0x1000000);
	bm_do(fdt_end_node(fdt));
}

static inline void bm_system(void *fdt)
{
	bm_node(fdt, "psci", "arm,psci-1.0");
	bm_do(fdt_property_string(fdt, "method", "smc"));
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "timer", "arm,armv8-timer");
	BM_CELLS(fdt, "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "pmu", "arm,armv8-pmuv3");
	BM_CELLS(fdt, "interrupts", 0, 40, 4, 0, 41, 4, 0, 42, 4, 0, 43, 4);
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "gic", "arm,gic-v3");
	BM_CELLS(fdt, "reg", 0x8000000, 0x10000, 0x80a0000, 0x80000);
	BM_CELLS(fdt, "interrupts", 1, 9, 4);
	BM_CELLS(fdt, "#interrupt-cells", 3);
	BM_CELLS(fdt, "phandle", 1);
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "clocks", "acme,clocks");
	BM_CELLS(fdt, "#clock-cells", 1);
	BM_CELLS(fdt, "phandle", 2);
	bm_do(fdt_end_node(fdt));
	bm_node(fdt, "chosen", NULL);
	bm_do(fdt_property_string(fdt, "stdout-path", "/uart"));
	bm_do(fdt_end_node(fdt));
}

/* board_make - write it into BOARD_MAKE_SIZE bytes. */
static inline void board_make(void *fdt)
{
	bm_do(fdt_create(fdt, BOARD_MAKE_SIZE));
	bm_do(fdt_finish_reservemap(fdt));
	bm_node(fdt, "", NULL);
	BM_CELLS(fdt, "#address-cells", 1);
	BM_CELLS(fdt, "#size-cells", 1);
	BM_CELLS(fdt, "interrupt-parent", 1);
	bm_cores(fdt);
	bm_system(fdt);
	bm_device(fdt, "uart", "arm,pl011", 0x9000000, 1, 0);
	bm_device(fdt, "a", "cdns,ttc", 0x9010000, 2, 3);
	bm_device(fdt, "b", "arm,pl061", 0x9020000, 3, 0);
	bm_device(fdt, "c", "arm,pl061", 0x9020800, 4, 0);
	bm_device(fdt, "d", "acme,dma", 0x9030000, 5, 7);
	bm_device(fdt, "e", "arm,pl061", 0x9040000, 3, 0);
	bm_do(fdt_end_node(fdt));
	bm_do(fdt_finish(fdt));
}

#endif
