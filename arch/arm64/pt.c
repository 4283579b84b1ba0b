/* SPDX-License-Identifier: Apache-2.0 */
#include "pt.h"

#include <kizami/blob.h>
#include "arch.h"
#include "layout.h"

#define DESC_TABLE	BIT64(1)	/* levels 1 and 2; a page at level 3 */
#define DESC_ADDR	0x0000fffffffff000ull
#define FILL_MAX	128u		/* entries that are written at a stretch */
#define HV_TABLES	28u		/* for the hypervisor's own map; 4 of the trace */

/* Zeros in the image file: nobody clears them. */
uint64_t pt_pool[KZ_PT_PAGES + HV_TABLES][PT_ENTRIES]
	__attribute__((aligned(PAGE_SIZE), section(".bss..tables")));
static uint32_t pool_used;

const char *pt_pool_end(void)
{
	return (const char *)pt_pool[pool_used];
}

uint64_t *pt_alloc(struct pt_pool *pool)
{
	uint64_t *table = NULL;

	if (pool == NULL) {
		table = pool_used < ARRAY_SIZE(pt_pool) ? pt_pool[pool_used++] : NULL;
	} else if (pool->next < pool->end) {
		table = (uint64_t *)pool->next;		/* mapped where it is */
		pool->next += PAGE_SIZE;
		arch_mem_zero(table, PAGE_SIZE);
	}
	return table;
}

static uint32_t level_shift(uint32_t level)
{
	return PAGE_SHIFT + 9u * (3u - level);
}

/* The table below *desc, made if there is none. */
static uint64_t *table_below(const struct pt *t, uint64_t *desc)
{
	struct pt_pool *pool = t->pool;
	uint64_t *next;

	if ((*desc & PT_VALID) != 0) {
		return (uint64_t *)((*desc & DESC_ADDR) + t->to_ptr);
	}
	next = pt_alloc(pool);
	if (next != NULL) {
		*desc = ((uint64_t)next - t->to_ptr) | PT_VALID | DESC_TABLE;
	}
	return next;
}

/*
 * Fill leaves of one table from *desc on, as far as size and the table go, FILL_MAX at most;
 * returns the bytes.
 */
static uint64_t fill(uint64_t *desc, uint64_t index, uint32_t shift, uint64_t to, uint64_t size,
		     uint64_t attrs)
{
	uint64_t n = min_u64(min_u64(size >> shift, PT_ENTRIES - index), FILL_MAX);

	/* Bound: the entries of a table; blocks stop where a table is in the way. */
	for (uint64_t i = 0; i < n; i++) {
		if (shift != PAGE_SHIFT && (desc[i] & PT_VALID) != 0) {
			return i << shift;
		}
		desc[i] = (to + (i << shift)) | attrs;
	}
	return n << shift;
}

uint64_t pt_map_some(const struct pt *t, uint64_t va, uint64_t to, uint64_t size, uint64_t attrs)
{
	uint64_t *table = t->root;

	/* Bound: three levels. */
	for (uint32_t level = 1; table != NULL; level++) {
		uint32_t shift = level_shift(level);
		uint64_t leaf = 1ull << shift;
		uint64_t index = (va >> shift) & (PT_ENTRIES - 1);
		uint64_t *desc = &table[index];

		if (level == 3) {
			return fill(desc, index, shift, to, size,
				    attrs | PT_VALID | DESC_TABLE);
		}
		if (size >= leaf && ((va | to) & (leaf - 1)) == 0 && (*desc & PT_VALID) == 0) {
			return fill(desc, index, shift, to, size, attrs | PT_VALID);
		}
		table = table_below(t, desc);
	}
	return 0;
}

enum kz_err pt_map(const struct pt *t, uint64_t va, uint64_t to, uint64_t size, uint64_t attrs)
{
	/* Bound: one turn a table. */
	while (size != 0) {
		uint64_t done = pt_map_some(t, va, to, size, attrs);

		if (done == 0) {
			return KZ_ENOMEM;
		}
		va += done;
		to += done;
		size -= done;
	}
	return KZ_OK;
}
