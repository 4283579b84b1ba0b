/* SPDX-License-Identifier: Apache-2.0 */
/* The free RAM of a system that runs, while pieces are taken from it. */
#ifndef KZC_LIVE_RAM_H
#define KZC_LIVE_RAM_H

#include "live.h"

struct live_ram {
	struct kz_cfg_ram free[LIVE_FREE_MAX]; /* in the order of addresses */
	unsigned count;
};

/* live_ram_read - what is free now. */
void live_ram_read(struct live_ram *r, const struct live *now);

/* live_ram_take - size bytes at an address that is equal to like, modulo align; false: no room. */
bool live_ram_take(struct live_ram *r, uint64_t size, uint64_t align, uint64_t like, uint64_t *pa);

/* live_ram_take_part - all blocks of 2 MiB of the piece that has most; false: there is none. */
bool live_ram_take_part(struct live_ram *r, uint64_t *pa, uint64_t *size);

/* live_ram_sum - all that is free, and the largest piece. */
uint64_t live_ram_sum(const struct live_ram *r, uint64_t *largest);

#endif
