/* SPDX-License-Identifier: Apache-2.0 */
/* An identity map, so that the guest's memory is cached. */
#ifndef GUEST_MMU_H
#define GUEST_MMU_H

/*
 * Switches MMU and caches on for this CPU: the memory of the device tree's first
 * memory node is Normal write-back, all else below 512 GiB is Device. Without
 * a memory node nothing changes. The first CPU's call ends before another's begins.
 */
void mmu_enable(const void *fdt);

#endif
