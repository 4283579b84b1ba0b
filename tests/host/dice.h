/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-random numbers, the same in every run (a linear congruential generator). */
#ifndef DICE_H
#define DICE_H

#include <stdint.h>

static uint64_t dice_state = 1;

/* 0 to sides - 1. */
static inline uint32_t dice(uint32_t sides)
{
	dice_state = dice_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((dice_state >> 33) * sides >> 31);
}

#endif
