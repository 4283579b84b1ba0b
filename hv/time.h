/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks and ns, and fractions of 2^32. Products take 128 bits: nothing overflows
 * that began below 2^63. No division but by constants of the machine: arm64 has
 * none of 128 bits.
 */
#ifndef HV_TIME_H
#define HV_TIME_H

#include "types.h"

__extension__ typedef unsigned __int128 u128;

#define NEVER UINT64_MAX

/* t * fraction / 2^shift, rounded down. */
static ALWAYS_INLINE uint64_t ticks_scale_by(uint64_t t, uint64_t fraction, uint32_t shift)
{
	return (uint64_t)((u128)t * fraction >> shift);
}

/* t * fraction / 2^32, rounded down. */
static inline uint64_t ticks_scale(uint64_t t, uint64_t fraction)
{
	return ticks_scale_by(t, fraction, 32);
}

/*
 * part / whole in 2^-32, rounded down: of 63 bits, part <= whole, whole not 0.
 * Bound: 32 turns.
 */
static inline uint64_t ticks_fraction(uint64_t part, uint64_t whole)
{
	uint64_t q = part / whole;

	if (part >> 32 == 0) {
		return (part << 32) / whole;
	}
	part %= whole;
	for (uint32_t i = 0; i < 32; i++) {
		part <<= 1;
		q <<= 1;
		if (part >= whole) {
			part -= whole;
			q |= 1;
		}
	}
	return q;
}

#endif
