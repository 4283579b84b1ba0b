/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: what hist.c has counted and hist_svg.c draws. */
#ifndef KZTRACE_HIST_H
#define KZTRACE_HIST_H

#include <stdio.h>

#include "replay.h"
#include "stat.h"

/* Of a vCPU; [1]: of released jobs, [0]: of the others. */
struct hist_vcpu {
	struct stat_of response[2], start[2];
	uint64_t misses;
};

struct hist {
	struct trace *t;
	int vm; /* only this one; -1: all */
	struct hist_vcpu v[TRACE_SLOTS];
};

/* hist_has - is there anything to draw of a vCPU, and was it asked for? */
bool hist_has(const struct hist *h, unsigned slot);

/* hist_draw - the whole picture. */
void hist_draw(const struct hist *h, FILE *out);

#endif
