/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

static uint32_t bucket_of(uint64_t value)
{
	uint32_t octave;

	if (value < STATS_EXACT) {
		return (uint32_t)value;
	}
	if (value > 0xffffffffu) {
		value = 0xffffffffu;
	}
	octave = 31u - (uint32_t)__builtin_clz((uint32_t)value);
	return STATS_EXACT + (octave - 5u) * STATS_OCTAVE +
	       ((uint32_t)value >> (octave - 4u)) % STATS_OCTAVE;
}

uint64_t stats_top(uint32_t bucket)
{
	const uint32_t index = bucket - STATS_EXACT;

	if (bucket < STATS_EXACT) {
		return bucket;
	}
	return ((STATS_OCTAVE + index % STATS_OCTAVE + 1ull) << (index / STATS_OCTAVE + 1)) - 1;
}

void stats_clear(struct stats *stats)
{
	*stats = (struct stats){ .min = UINT64_MAX };
}

void stats_record(struct stats *stats, uint64_t value)
{
	stats->count++;
	stats->sum += value;
	stats->bucket[bucket_of(value)]++;
	if (value < stats->min) {
		stats->min = value;
	}
	if (value > stats->max) {
		stats->max = value;
	}
}

uint64_t stats_p99(const struct stats *stats)
{
	uint32_t sum = 0;
	uint64_t top;

	for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
		sum += stats->bucket[i];
		if ((uint64_t)sum * 100 >= (uint64_t)stats->count * 99) {
			top = stats_top(i);
			return top < stats->max ? top : stats->max;
		}
	}
	return stats->max;
}

uint64_t stats_mean(const struct stats *stats)
{
	return stats->count == 0 ? 0 : stats->sum / stats->count;
}
