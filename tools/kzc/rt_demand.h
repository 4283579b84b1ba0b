/* SPDX-License-Identifier: Apache-2.0 */
/* What rt.c and rt_inner.c share: demand against supply. Sets are valid, but for demand_valid. */
#ifndef KZC_RT_DEMAND_H
#define KZC_RT_DEMAND_H

#include "rt.h"

#define RT_MILLION 1000000u
#define RT_ONE     62u /* fractions are of 2^62 */

__extension__ typedef unsigned __int128 u128;

/* The whole processor. */
extern const struct rt_supply processor;

/* demand_clip - n, or RT_NEVER when it is too far away to be looked at. */
uint64_t demand_clip(u128 n);

/* demand_valid - is all within what the analysis can count with? */
bool demand_valid(const struct rt_set *s);

/* demand_load - the sum of c/t, and num/den, against 1: as rt_over. */
int demand_load(const struct rt_set *s, uint64_t num, uint64_t den);

/* demand_when - when that much has been supplied. */
uint64_t demand_when(const struct rt_supply *s, u128 execution);

/* demand_requests - what is asked for until `at`, if all begin at once. */
u128 demand_requests(const struct rt_set *s, uint64_t at);

/*
 * demand_busy - the longest time that the set keeps a supply busy, from a start of all at once; 0:
 * not known. joined: what begins at its very end belongs to it.
 */
uint64_t demand_busy(const struct rt_set *s, const struct rt_supply *in, bool joined);

/*
 * demand_late - does demand exceed supply anywhere? 1: before *below, 0: nowhere, -1: undecided.
 * At least one task.
 */
int demand_late(const struct rt_set *s, const struct rt_supply *in, uint64_t *below);

/* demand_first - the same, and the first instant. */
struct rt_result demand_first(const struct rt_set *s, const struct rt_supply *in);

#endif
