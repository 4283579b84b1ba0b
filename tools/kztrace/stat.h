/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of many values in bounded memory: count, sum, least and greatest are exact.
 * Quantiles come from a histogram whose buckets are exact below 256 and 1/128 of their
 * values above: they are rounded up by less than 0.8 %.
 */
#ifndef KZTRACE_STAT_H
#define KZTRACE_STAT_H

#include <stdint.h>

#define STAT_SUB     128u /* buckets of an octave */
#define STAT_BUCKETS (58u * STAT_SUB)

struct stat_of {
	uint64_t count, min, max;
	unsigned __int128 sum;
	uint64_t *bucket; /* NULL: no value yet */
};

/* stat_add - one more value. Ends the program if there is no memory. */
void stat_add(struct stat_of *s, uint64_t value);

/* stat_avg - 0 if there is no value. */
uint64_t stat_avg(const struct stat_of *s);

/*
 * stat_quantile - the least value that at least num/den of all are not greater than,
 * rounded up to its bucket's end but not above the greatest. 0 if there is no value.
 */
uint64_t stat_quantile(const struct stat_of *s, unsigned num, unsigned den);

/* stat_bucket - the bucket of a value; stat_first - the least value of a bucket. */
unsigned stat_bucket(uint64_t value);
uint64_t stat_first(unsigned bucket);

void stat_free(struct stat_of *s);

#endif
