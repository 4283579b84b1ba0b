/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers, hints and what C has no word for, one instruction a function (DDI 0487, B2.3, C6.2). */
#ifndef BARRIER_H
#define BARRIER_H

#include <stdint.h>

static inline void isb(void)
{
	__asm__ volatile("isb" : : : "memory");
}

static inline void dsb_sy(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

static inline void dsb_ish(void)
{
	__asm__ volatile("dsb ish" : : : "memory");
}

static inline void dsb_ishst(void)
{
	__asm__ volatile("dsb ishst" : : : "memory");
}

static inline void wfi(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

static inline void yield(void)
{
	__asm__ volatile("yield" : : : "memory");
}

/* Store two words; returns the address behind them. */
static inline uint64_t store_pair(uint64_t at, uint64_t a, uint64_t b)
{
	__asm__ volatile("stp %1, %2, [%0], #16" : "+r"(at) : "r"(a), "r"(b) : "memory");
	return at;
}

/* Order what was written to memory before a system register write that tells others. */
static inline void barrier_publish(void)
{
	dsb_ishst();
}

#endif
