/* SPDX-License-Identifier: Apache-2.0 */
/* What a report has counted (report.c), and how it is printed (report_print.c). */
#ifndef KZTRACE_REPORT_H
#define KZTRACE_REPORT_H

#include <stdio.h>

#include "replay.h"
#include "stat.h"

#define REPORT_LINES  1024u /* INTIDs; the last: those of it and above */
#define REPORT_EVENTS 24u   /* of each kind, listed */
/* To whom an interrupt was: TRACE_SLOT of a vCPU, or: */
#define TO_VM	 TRACE_SLOTS		    /* and a VM's index: one of its vCPUs */
#define TO_HYP	 (TRACE_SLOTS + KZ_VMS_MAX) /* the hypervisor */
#define TO_GUEST (TO_HYP + 1)		    /* a guest, not known which */
#define TO_COUNT (TO_GUEST + 1)

struct report_core {
	uint64_t in[REPLAY_SLEEP + 1]; /* by enum replay_what */
	uint64_t gaps;
	uint64_t switches; /* one guest behind another */
	uint8_t guest;
};

struct report_vcpu {
	uint64_t in[REPLAY_STATES];
	uint64_t starts, throttles, missed_jobs, misses;
	uint64_t ended[REPLAY_END_TRACE + 1]; /* released jobs, by enum replay_end */
	struct stat_of response, start;	      /* of released jobs */
	struct stat_of woken, woken_start;    /* of the others */
	struct stat_of latency;
};

struct report_class {
	uint64_t cut, quick; /* begin or end were not seen; in one record */
	struct stat_of cost; /* of the others */
};

struct report_call {
	uint64_t count, min, max;
	unsigned __int128 sum;
};

struct report {
	struct trace *t;
	uint64_t begin, end;
	struct report_core core[KZ_TRACE_CORES];
	struct report_vcpu v[TRACE_SLOTS];
	struct report_class class[REPLAY_CLASSES];
	struct report_call call[0x10000]; /* by KZ_TRACE_CALL */
	uint64_t irq[REPORT_LINES][TO_COUNT];
	uint64_t injected[REPORT_LINES][TRACE_SLOTS];
	struct replay_job *miss; /* the earliest */
	unsigned miss_count, miss_max;
	uint64_t misses; /* of jobs */
	struct replay_event event[REPORT_EVENTS], gap[REPORT_EVENTS];
	/* VM_START: ticks from the stop before it to its guest's execution; 0: not a restart, or
	 * not seen */
	uint64_t ran[REPORT_EVENTS];
	uint64_t stopped[KZ_VMS_MAX];	 /* VM_STOP, to be started again */
	unsigned restarting[KZ_VMS_MAX]; /* its VM_START in event, plus 1; 0: none that waits */
	uint64_t events, gaps; /* all, listed or not */
};

/* report_print - all of it, as text. */
void report_print(const struct report *r, FILE *out);

/* report_misses - its part for misses (report_miss.c). */
void report_misses(const struct report *r, FILE *out);

/* report_percent - "12.34 %"; a static buffer of eight in turn. */
const char *report_percent(uint64_t part, uint64_t whole);

#endif
