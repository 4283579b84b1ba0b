/* SPDX-License-Identifier: Apache-2.0 */
/* Times as they come in, kept as sum, extremes and a histogram: small, and never allocated. */
#ifndef GUEST_STATS_H
#define GUEST_STATS_H

#include <stdint.h>

/* In ticks or ns: below 32 a bucket each, above 16 buckets an octave. */
#define STATS_EXACT	32u
#define STATS_OCTAVE	16u
#define STATS_BUCKETS	(STATS_EXACT + 27u * STATS_OCTAVE)

struct stats {
	uint64_t sum, min, max;
	uint32_t count;
	uint32_t bucket[STATS_BUCKETS];
};

/* Empties it. */
void stats_clear(struct stats *stats);

void stats_record(struct stats *stats, uint64_t value);

/* What 99 of 100 values stay within, to the width of a bucket. */
uint64_t stats_p99(const struct stats *stats);

/* The mean; 0 of nothing. */
uint64_t stats_mean(const struct stats *stats);

/* The largest value that falls into the bucket. */
uint64_t stats_top(uint32_t bucket);

#endif
