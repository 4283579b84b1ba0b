/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticket locks: first come, first served, so that waiting is bounded by the
 * number of cores times the longest hold. Never held across a return to a guest.
 */
#ifndef HV_SPINLOCK_H
#define HV_SPINLOCK_H

#include "guard.h"
#include "types.h"

struct CAPABILITY("lock") spinlock {
	uint32_t word;		/* owner in bits 15:0, next ticket in bits 31:16 */
};

/* Returns what spin_unlock_inline wants to know. */
static ALWAYS_INLINE uint16_t spin_lock_inline(struct spinlock *l) ACQUIRE(l) UNGUARDED
{
	uint32_t w = __atomic_fetch_add(&l->word, 0x10000u, __ATOMIC_ACQUIRE);
	uint16_t ticket = (uint16_t)(w >> 16);

	/* Bound: the holders before us, at most one a core. */
	while (UNLIKELY((uint16_t)w != ticket)) {
		w = __atomic_load_n(&l->word, __ATOMIC_ACQUIRE);
	}
	return ticket;
}

static ALWAYS_INLINE void spin_unlock_inline(struct spinlock *l, uint16_t ticket)
	RELEASE(l) UNGUARDED
{
	__atomic_store_n((uint16_t *)&l->word, (uint16_t)(ticket + 1), __ATOMIC_RELEASE);
}

/* The same where instructions are not counted. */
static NOINLINE UNUSED void spin_lock(struct spinlock *l) ACQUIRE(l)
{
	(void)spin_lock_inline(l);
}

/* Until another core has changed that. Bound: by that core. */
static NOINLINE UNUSED void spin_while(const uint32_t *word, uint32_t mask, uint32_t value)
{
	while ((__atomic_load_n(word, __ATOMIC_ACQUIRE) & mask) == value) {
	}
}

static inline bool spin_trylock(struct spinlock *l) TRY_ACQUIRE(true, l) UNGUARDED
{
	uint32_t w = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

	return (uint16_t)w == (uint16_t)(w >> 16) &&
	       __atomic_compare_exchange_n(&l->word, &w, w + 0x10000u, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l) RELEASE(l) UNGUARDED
{
	uint16_t *owner = (uint16_t *)&l->word;		/* MISRA D2 */

	__atomic_store_n(owner, (uint16_t)(__atomic_load_n(owner, __ATOMIC_RELAXED) + 1),
			 __ATOMIC_RELEASE);
}

#endif
