/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies between two looks, from the trace: what kztrace's replay calls so (replay.h). The
 * work is bounded, so they are those of a sample where a core writes more.
 */
#ifndef KZ_LATENCY_H
#define KZ_LATENCY_H

#include "stat.h"
#include "vmi.h"

/* Records of a core: so many of a look at most, and so many a second if looks are more frequent. */
#define LATENCY_RECORDS        4096u
#define LATENCY_RECORDS_SECOND 8192u

/* Of a core's records since the look before. */
struct latency_core {
	uint64_t read;
	uint64_t lost;     /* overwritten before they could be read */
	uint64_t skipped;  /* more than the bound */
	uint64_t left_out; /* read, and without sense: of a VM that is gone */
};

struct latency;

/*
 * latency_new - NULL: no memory. Nothing is read yet: the first look is where latencies begin;
 * what it finds of before is for knowing who was doing what.
 */
struct latency *latency_new(struct kz *kz);
void latency_free(struct latency *l);

/*
 * latency_look - read what was recorded until m->now, ns after the look before. Without a trace,
 * or the right to it, there is nothing: latency_missing. Prints no message.
 */
void latency_look(struct latency *l, const struct kz_machine_info *m, const struct vmi *vm,
		  int count, uint64_t ns);

/* latency_missing - why the last look found no trace; NULL: it did. */
const char *latency_missing(const struct latency *l);

/* latency_of - those that ended since the look before, in ns; of a vCPU of that look. */
const struct stat_of *latency_of(const struct latency *l, unsigned vm, unsigned vcpu);

/* latency_core_of - if there is a trace. */
const struct latency_core *latency_core_of(const struct latency *l, unsigned core);

/* latency_is_part - was some of what the core did not read? Then there may be more latencies. */
bool latency_is_part(const struct latency *l, unsigned core);

#endif
