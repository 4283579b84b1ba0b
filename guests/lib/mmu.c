/* SPDX-License-Identifier: Apache-2.0 */
#include "mmu.h"

#include <stdbool.h>

#include "fdt.h"
#include "sysreg.h"

#define GIB		(1ull << 30)
#define BLOCK		(1ull << 21)
#define ENTRIES		512u

/* Descriptors, DDI 0487, D8.3. */
#define DESC_BLOCK	1ull
#define DESC_TABLE	3ull
#define DESC_ATTR(i)	((uint64_t)(i) << 2)
#define DESC_INNER_SH	(3ull << 8)
#define DESC_AF		(1ull << 10)
#define DESC_XN		(3ull << 53)
#define NORMAL		(DESC_BLOCK | DESC_ATTR(0) | DESC_INNER_SH | DESC_AF)
#define DEVICE		(DESC_BLOCK | DESC_ATTR(1) | DESC_AF | DESC_XN)
/* MAIR_EL1: 0 is Normal write-back, 1 is Device-nGnRE. */
#define MAIR		0x04ffull
/* TCR_EL1: T0SZ 25 (39 bits), walks inner-shareable write-back, EPD1, IPS 40 bits. */
#define TCR		(25ull | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 23 | 2ull << 32)
#define SCTLR_M_C_I	(1ull << 0 | 1ull << 2 | 1ull << 12)

static uint64_t level1[ENTRIES] __attribute__((aligned(4096)));
static uint64_t level2[ENTRIES] __attribute__((aligned(4096)));
/* The tables are, by the first CPU that came: others may use them while the next one comes. */
static bool filled;

/* Where the image begins and ends, from the linker script; hidden: found without a relocation. */
extern const uint8_t _start[] __attribute__((visibility("hidden")));
extern const uint8_t _end[] __attribute__((visibility("hidden")));

static void tables_fill(uint64_t ram, uint64_t size)
{
	const uint64_t gib = ram & ~(GIB - 1);

	for (uint64_t i = 0; i < ENTRIES; i++) {
		const uint64_t address = i * GIB;
		const bool inside = address >= ram && address - ram + GIB <= size;

		level1[i] = address | (inside ? NORMAL : DEVICE);
	}
	/* The GiB in which memory starts may hold devices too. */
	for (uint64_t i = 0; i < ENTRIES; i++) {
		const uint64_t address = gib + i * BLOCK;
		const bool inside = address + BLOCK > ram && address < ram + size;

		level2[i] = address | (inside ? NORMAL : DEVICE);
	}
	level1[(gib / GIB) % ENTRIES] = (uintptr_t)level2 | DESC_TABLE;
}

/*
 * What was written with the MMU off went past the caches: drops the lines that a
 * cache may hold of the image since before, so that nothing stale shows up.
 */
static void image_invalidate(void)
{
	const uintptr_t line = 4ul << (read_ctr_el0() >> 16 & 15);

	for (uintptr_t p = (uintptr_t)_start & ~(line - 1); p < (uintptr_t)_end; p += line) {
		cpu_dc_ivac(p);
	}
}

void mmu_enable(const void *fdt)
{
	const bool first = !filled;
	struct fdt_node memory;
	uint64_t ram, size;

	if (!fdt_find(fdt, "memory", &memory) || !fdt_reg(&memory, 0, &ram, &size)) {
		return;
	}
	if (first) {
		tables_fill(ram, size);
		filled = true;
	}
	write_mair_el1(MAIR);
	write_tcr_el1(TCR);
	write_ttbr0_el1((uintptr_t)level1);
	/* Orders the writes of the tables before the walks and the invalidations. */
	cpu_dsb();
	if (first) {
		image_invalidate();
	}
	cpu_tlbi_vmalle1();
	cpu_ic_iallu();
	/* The invalidations end before the first cached access. */
	cpu_dsb();
	cpu_isb();
	write_sctlr_el1(read_sctlr_el1() | SCTLR_M_C_I);
	cpu_isb();
}
