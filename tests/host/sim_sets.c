/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

/* splitmix64: any seed is as good as another. */
uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t sim_range(uint64_t *state, uint64_t low, uint64_t high)
{
	return low + sim_random(state) % (high - low + 1);
}

/* ---- Sets ---- */

static uint64_t random_period(uint64_t *rng, uint32_t style)
{
	static const uint8_t harmonic[] = {10, 20, 40, 80};

	switch (style) {
	case 0:
		return harmonic[sim_range(rng, 0, 3)];
	case 1:
		return sim_range(rng, 10, 24);
	case 2:
		return 10 * sim_range(rng, 1, 6);
	default:
		return sim_range(rng, 10, 120);
	}
}

/* A server with about `share` of the core, of its deadline or of its period. */
static void random_server(struct sim_spec *s, uint64_t *rng, uint32_t style, double share)
{
	uint64_t constrained = sim_range(rng, 0, 1);

	s->period = random_period(rng, style);
	s->deadline = constrained != 0 ? sim_range(rng, 2 + s->period / 4, s->period) : s->period;
	s->budget = (uint64_t)(share * (double)(sim_range(rng, 0, 3) != 0 ?
						s->deadline : s->period) + 0.5);
	if (s->budget == 0) {
		s->budget = 1;
	} else if (s->budget > s->deadline) {
		s->budget = s->deadline;
	}
}

/* Times in which an interrupt's cost is small. */
static void make_storm(struct sim_set *set, uint64_t *rng)
{
	uint64_t stretches = 1;

	set->cost = sim_range(rng, 1, 2);
	for (uint32_t i = 0; i < set->count; i++) {
		struct sim_spec *s = &set->spec[i];

		s->budget *= 16;
		s->period *= 16;
		s->deadline *= 16;
		if (s->budget > 20 && sim_range(rng, 0, 2) == 0) {
			s->budget -= sim_range(rng, 0, s->budget / 3);
		}
		s->lines = sim_range(rng, 0, 1) != 0 ? (uint32_t)sim_range(rng, 1, 3) : 0;
		/* each once until it runs, and what an overdraft carries over */
		set->blocking += set->cost * (s->lines + 1);
	}
	set->blocking += set->cost;
	/* the core takes a stretch for each server, and one */
	for (uint32_t i = 0; i < set->count; i++) {
		stretches += set->spec[i].budget != 0;
	}
	set->block = (set->blocking + stretches - 1) / stretches;
	set->blocking = set->block * stretches;
}

void sim_generate(struct sim_set *set, uint64_t seed)
{
	uint64_t rng = seed;
	uint32_t servers = (uint32_t)sim_range(&rng, 1, 4);
	uint32_t style = (uint32_t)sim_range(&rng, 0, 3);
	double total = 0.3 + 0.008 * (double)sim_range(&rng, 0, 100);
	double weight[SIM_MAX], sum = 0.0;
	uint64_t longest = 0;

	memset(set, 0, sizeof(*set));
	set->seed = seed;
	if (sim_range(&rng, 0, 9) == 0) {
		servers = (uint32_t)sim_range(&rng, 5, SIM_MAX);
	}
	set->count = servers + (uint32_t)sim_range(&rng, 0, SIM_MAX - servers < 2 ?
							     SIM_MAX - servers : 2);
	for (uint32_t i = 0; i < servers; i++) {
		sum += weight[i] = (double)sim_range(&rng, 1, 16);
	}
	for (uint32_t i = 0; i < set->count; i++) {
		struct sim_spec *s = &set->spec[i];

		s->weight = (uint32_t)sim_range(&rng, 1, 400);
		s->kind = (enum sim_kind)sim_range(&rng, 0, SIM_RANDOM_KINDS - 1);
		if (i < servers) {
			random_server(s, &rng, style, total * weight[i] / sum);
		}
	}
	if (sim_range(&rng, 0, 9) == 0) {
		set->reserve_ppm = (uint32_t)sim_range(&rng, 0, 300000);
	}
	if (sim_range(&rng, 0, 15) == 0) {
		make_storm(set, &rng);
	}
	for (uint32_t i = 0; i < set->count; i++) {
		longest = set->spec[i].period > longest ? set->spec[i].period : longest;
	}
	set->horizon = 3 * longest + sim_range(&rng, 0, longest);
}

void sim_print(const struct sim_set *set)
{
	static const char kinds[SIM_KINDS][8] = {"hog", "good", "jobs", "sleeper", "waiter",
						 "mixed", "clock", "late", "yielder"};

	fprintf(stderr, "set: seed %llu, horizon %llu, reserve %u ppm%s%s\n",
		(ull)set->seed, (ull)set->horizon, set->reserve_ppm,
		set->strict ? ", strict" : "", set->forced ? ", forced" : "");
	for (uint32_t i = 0; i < set->count; i++) {
		const struct sim_spec *s = &set->spec[i];

		fprintf(stderr, "  %u: budget %llu, period %llu, deadline %llu, weight %u, %s, "
			"%u lines of %llu\n", i, (ull)s->budget, (ull)s->period,
			(ull)s->deadline, s->weight, kinds[s->kind], s->lines, (ull)set->cost);
	}
}

/* ---- What may be promised ---- */

double sim_density(const struct sim_set *set)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < set->count; i++) {
		if (set->spec[i].budget != 0) {
			sum += (double)set->spec[i].budget / (double)set->spec[i].deadline;
		}
	}
	return sum;
}

uint64_t sim_witness(const struct sim_set *set)
{
	static uint32_t due[SIM_DEMAND_MAX], released[SIM_DEMAND_MAX];
	uint64_t demand = 0, asked = 0;

	memset(due, 0, sizeof(due));
	memset(released, 0, sizeof(released));
	for (uint32_t i = 0; i < set->count; i++) {
		const struct sim_spec *s = &set->spec[i];

		for (uint64_t t = 0; s->budget != 0 && t < SIM_DEMAND_MAX; t += s->period) {
			released[t] += (uint32_t)s->budget;
			if (t + s->deadline < SIM_DEMAND_MAX) {
				due[t + s->deadline] += (uint32_t)s->budget;
			}
		}
	}
	for (uint64_t t = 0; t < SIM_DEMAND_MAX; t++) {
		demand += due[t];
		if (demand > t) {
			return t;
		}
		if (t != 0 && asked <= t) {
			return 0;		/* the busy period is over */
		}
		asked += released[t];
	}
	return NEVER;
}

/* Densities within this of the limit: rounding decides, either way is right. */
#define CLOSE	1e-8

enum sim_verdict sim_admit(struct sim_set *set)
{
	double limit = 1.0 - (double)set->reserve_ppm / 1e6;
	double density = sim_density(set);
	uint64_t shortest = NEVER;

	for (uint32_t i = 0; i < set->count; i++) {
		if (set->spec[i].budget != 0) {
			shortest = min_u64(shortest, set->spec[i].deadline);
		}
	}
	density += (double)set->blocking / (double)shortest;
	set->close = density > limit - CLOSE && density < limit + CLOSE;
	set->strict = density > limit;
	if (!set->strict && !set->close) {
		return SIM_ADMITTED;
	}
	set->witness = set->cost != 0 ? NEVER : sim_witness(set);
	set->proven = set->witness == 0;
	return set->proven ? SIM_ADMITTED : set->witness == NEVER ? SIM_UNKNOWN : SIM_REFUSED;
}

/* ---- Many sets ---- */

static void run(struct sim_set *set, struct sim_totals *t)
{
	static struct sim sim;

	sim_run(&sim, set);
	t->jobs += sim.jobs;
	t->switches += sim.switches;
	t->misses += sim.misses;
	t->interrupts += sim.storms;
	t->strict += set->strict;
	t->storms += set->cost != 0;
}

/* Guest 0 behaves well, and then it does not: the others' guarantees are the same. */
static void run_pair(struct sim_set *set, struct sim_totals *t)
{
	uint32_t lines = set->spec[0].lines;

	set->spec[0].kind = SIM_GOOD;
	set->spec[0].lines = 0;
	run(set, t);
	set->spec[0].kind = set->seed % 16 < 8 ? SIM_HOG : SIM_MIXED;
	set->spec[0].lines = lines;
	run(set, t);
	t->pairs++;
}

/* All servers begin together, and none waits: the first miss is where it has to be. */
static void run_refused(struct sim_set *set, struct sim_totals *t)
{
	static struct sim sim;

	SIM_CHECK(set->close || !sim_accepted(set), "seed %llu: the core accepts a set that "
		  "needs proof", (ull)set->seed);
	for (uint32_t i = 0; i < set->count; i++) {
		set->spec[i].kind = SIM_HOG;
	}
	set->forced = true;
	set->proven = true;
	set->horizon = NEVER - 1;
	sim_run(&sim, set);
	SIM_CHECK(sim.oracle.first_late == set->witness + sim.oracle.started, "seed %llu: the "
		  "first miss is at %llu instead of %llu", (ull)set->seed,
		  (ull)(sim.oracle.first_late - sim.oracle.started), (ull)set->witness);
	t->jobs += sim.jobs;
	t->switches += sim.switches;
}

void sim_check_seed(uint64_t seed, struct sim_totals *t)
{
	struct sim_set set;

	sim_generate(&set, seed);
	switch (sim_admit(&set)) {
	case SIM_ADMITTED:
		t->admitted++;
		if (seed % 8 == 0) {
			run_pair(&set, t);
		} else {
			run(&set, t);
		}
		break;
	case SIM_REFUSED:
		t->refused++;
		run_refused(&set, t);
		break;
	default:
		t->unknown++;
		break;
	}
	t->sets++;
}

void sim_total(struct sim_totals *sum, const struct sim_totals *part)
{
	sum->sets += part->sets;
	sum->admitted += part->admitted;
	sum->strict += part->strict;
	sum->storms += part->storms;
	sum->refused += part->refused;
	sum->unknown += part->unknown;
	sum->pairs += part->pairs;
	sum->jobs += part->jobs;
	sum->switches += part->switches;
	sum->misses += part->misses;
	sum->interrupts += part->interrupts;
}

void sim_totals_print(const struct sim_totals *t, uint64_t first_seed)
{
	printf("%llu sets from seed %llu: %llu admitted (%llu runs strict, %llu with storms of "
	       "%llu interrupts, %llu twice), %llu refused and shown to miss, %llu undecided; "
	       "%llu jobs, %llu switches, %llu deadlines missed by guests that wanted too much\n",
	       (ull)t->sets, (ull)first_seed, (ull)t->admitted, (ull)t->strict, (ull)t->storms,
	       (ull)t->interrupts, (ull)t->pairs, (ull)t->refused, (ull)t->unknown,
	       (ull)t->jobs, (ull)t->switches, (ull)t->misses);
}
