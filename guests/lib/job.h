/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A periodic job that does a fixed amount of work, and its figures: how late
 * after its release a job begins, and how long after it it is finished. Who
 * releases the jobs is the guest's affair. Times are in ns.
 */
#ifndef GUEST_JOB_H
#define GUEST_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"
#include "stats.h"

struct job {
	const char *name;
	uint64_t period, deadline, execution;	/* what it promises, and asks for */
	uint64_t work;				/* what it does of that */
	uint64_t turns;				/* the same, of the loop */
	uint64_t frequency;			/* of the counter */
	uint64_t settle, report, hold;		/* when it reports: job_init() */
	uint64_t shown;				/* from this release on, the line may be printed */
	struct stats begin, response;		/* since the last report */
	uint64_t jobs;				/* since the start */
	uint64_t missed;			/* since the last report */
	struct line line;
};

/*
 * Reads "period=", "deadline=", "execution=" and "work=" from the command line:
 * 10 ms, the period, 2 ms, and three quarters of the execution if they are not
 * there; and finds out how many turns of the loop the work takes. For who
 * measures more than he prints: "settle=" is how long it does not measure in the
 * beginning (0), "report=" how much a report is about (1 s), and "hold=" for how
 * long it is held back (0).
 */
void job_init(struct job *job, const char *name, const void *fdt);

/* The virtual counter, in ns. */
uint64_t job_now(const struct job *job);

/* The job that was released at `release`: works, and notes its figures. Returns its end. */
uint64_t job_run(struct job *job, uint64_t release);

/*
 * After a job, in what is left of its execution: puts together a report when one
 * is due, and prints it after a later job. True: one was put together.
 */
bool job_report(struct job *job, uint64_t release);

/* Says what it is going to do, and waits until that is out. */
void job_hello(struct job *job, const char *how);

#endif
