/* SPDX-License-Identifier: Apache-2.0 */
#include "stat.h"

#include <stdio.h>
#include <stdlib.h>

#include "file.h"

/* Values below 2 * STAT_SUB have a bucket each; above, STAT_SUB buckets for each octave. */
unsigned stat_bucket(uint64_t value)
{
	unsigned shift;

	if (value < 2 * STAT_SUB) {
		return (unsigned)value;
	}
	shift = 63u - (unsigned)__builtin_clzll(value) - 7u;
	return shift * STAT_SUB + (unsigned)(value >> shift);
}

uint64_t stat_first(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * STAT_SUB) {
		return bucket;
	}
	shift = bucket / STAT_SUB - 1;
	return (uint64_t)(bucket % STAT_SUB + STAT_SUB) << shift;
}

void stat_add(struct stat_of *s, uint64_t value)
{
	_Static_assert(STAT_SUB == 128, "stat_bucket has its logarithm");

	if (s->bucket == NULL) {
		s->bucket = calloc(STAT_BUCKETS, sizeof(*s->bucket));
		if (s->bucket == NULL) {
			fputs("kztrace: out of memory\n", stderr);
			exit(EXIT_WRONG);
		}
		s->min = UINT64_MAX;
	}
	s->count++;
	s->sum += value;
	s->min = (value < s->min) ? value : s->min;
	s->max = (value > s->max) ? value : s->max;
	s->bucket[stat_bucket(value)]++;
}

uint64_t stat_avg(const struct stat_of *s)
{
	return (s->count == 0) ? 0 : (uint64_t)(s->sum / s->count);
}

uint64_t stat_quantile(const struct stat_of *s, unsigned num, unsigned den)
{
	uint64_t rank = (uint64_t)(((unsigned __int128)s->count * num + den - 1) / den);
	uint64_t seen = 0;

	if (s->count == 0) {
		return 0;
	}
	for (unsigned b = 0; b < STAT_BUCKETS; b++) {
		seen += s->bucket[b];
		if (seen >= rank) {
			uint64_t last = (b + 1 < STAT_BUCKETS) ? stat_first(b + 1) - 1 : s->max;

			return (last < s->max) ? last : s->max;
		}
	}
	return s->max;
}

void stat_free(struct stat_of *s)
{
	free(s->bucket);
	s->bucket = NULL;
}
