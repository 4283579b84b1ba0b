/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translation tables of both stages: VMSAv8-64, 4 KiB granule, 39 bits, start at
 * level 1 (DDI 0487 D8). The stages differ in the attributes of a leaf only.
 */
#ifndef PT_H
#define PT_H

#include "types.h"

/* Leaf attributes, stage 1 of EL2: AttrIndx of MAIR_EL2 (head.S), AP, SH, AF, XN (D8.3.1). */
#define S1_AF		(BIT64(10) | BIT64(6))		/* AP[1] is RES1 at EL2 */
#define S1_RO		BIT64(7)
#define S1_XN		BIT64(54)
#define S1_NORMAL	(1ull << 2 | 3ull << 8)
#define S1_TEXT		(S1_AF | S1_NORMAL | S1_RO)
#define S1_RODATA	(S1_AF | S1_NORMAL | S1_RO | S1_XN)
#define S1_DATA		(S1_AF | S1_NORMAL | S1_XN)
#define S1_DEVICE	(S1_AF | S1_XN)
/* Stage 2: MemAttr, S2AP, SH, AF, XN. */
#define S2_AF		(BIT64(10) | 3ull << 6)
#define S2_RAM		(S2_AF | 0xfull << 2 | 3ull << 8)
/* read-only */
#define S2_TRACE	(BIT64(10) | 1ull << 6 | 0xfull << 2 | 3ull << 8 | BIT64(54))
#define S2_DEVICE	(S2_AF | 1ull << 2 | BIT64(54))	/* device nGnRE */

#define PT_ENTRIES	512u		/* of a table */
#define PT_VALID	BIT64(0)	/* of any descriptor */

/* Where tables come from: pages that belong to a VM. */
struct pt_pool {
	uint64_t next, end;	/* mapped where they are */
};

struct pt {
	uint64_t *root;		/* level 1 */
	uint64_t to_ptr;	/* added to a table's physical address gives its pointer */
	struct pt_pool *pool;	/* NULL: the image's */
};

/*
 * Map size bytes at va to pa with the largest blocks that fit; all three are
 * page-aligned. What is mapped there already is a bug of the caller. KZ_ENOMEM:
 * the pool of tables is used up. Boot core, before others walk the tables.
 */
MUST_USE enum kz_err pt_map(const struct pt *t, uint64_t va, uint64_t to, uint64_t size,
			    uint64_t attrs);

/*
 * The same for as much as is in one table: returns the bytes, or 0 without a table. Core of the
 * VM's vCPU 0, before it starts.
 */
uint64_t pt_map_some(const struct pt *t, uint64_t va, uint64_t to, uint64_t size, uint64_t attrs);

/* A zeroed table from the pool, or NULL. */
uint64_t *pt_alloc(struct pt_pool *pool);

/* The end of what pt_alloc has given out; it starts at pt_pool. */
const char *pt_pool_end(void);
extern uint64_t pt_pool[][PT_ENTRIES];

#endif
