/* SPDX-License-Identifier: Apache-2.0 */
/* --from and --to: the part of a trace that a command is asked for. */
#ifndef KZTRACE_RANGE_H
#define KZTRACE_RANGE_H

#include "file.h"

struct range {
	uint64_t from_ns, to_ns; /* behind the trace's begin; UINT64_MAX: its end */
};

#define RANGE_ALL { 0, UINT64_MAX }

/* range_option - what an option 'f' or 't' says; false: printed why it cannot. */
bool range_option(struct range *r, const char *command, int option, const char *text);

/*
 * range_ticks - the range as absolute ticks within the trace: *from < *to, unless no time passes
 * in it at all. Returns EXIT_SUCCESS, or another exit code when it has printed what is wrong.
 */
int range_ticks(const struct range *r, const char *command, const struct trace *t, uint64_t *from,
		uint64_t *to);

#endif
