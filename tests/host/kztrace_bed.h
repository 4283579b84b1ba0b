/* SPDX-License-Identifier: Apache-2.0 */
/* Traces made in memory for kztrace's tests, and what must hold for whatever is replayed. */
#ifndef KZTRACE_BED_H
#define KZTRACE_BED_H

#include "../../tools/kztrace/replay.h"

#define BED_LINUX0 KZ_TRACE_VCPU(0, 0) /* core 0 */
#define BED_LINUX1 KZ_TRACE_VCPU(0, 1) /* core 1 */
#define BED_HELLO  KZ_TRACE_VCPU(1, 0) /* core 0; it has a server */
#define BED_SERVO  KZ_TRACE_VCPU(2, 0) /* core 3 */

/* A file being made. */
struct bed {
	uint8_t *data;
	size_t size, room;
	char path[32];
	int fd; /* -1: not written yet */
	uint64_t next[KZ_TRACE_CORES];
};

/* The header and a configuration: three VMs, four cores, a counter of 1 GHz. */
void bed_init(struct bed *b);
void bed_free(struct bed *b);
void bed_add(struct bed *b, const void *data, size_t size);
/* The header of a part; its records follow by bed_record. Gives a core's next index to it. */
void bed_part(struct bed *b, uint32_t core, uint32_t count);
void bed_record(struct bed *b, uint64_t time, unsigned type, unsigned vcpu, unsigned arg,
		uint32_t value);
/* A part of one record. */
void bed_one(struct bed *b, uint32_t core, uint64_t time, unsigned type, unsigned vcpu,
	     unsigned arg, uint32_t value);
/* Write the first `size` bytes of it; its path. */
const char *bed_path(struct bed *b, size_t size);

/* What was told, and whether it can be: spans and states without holes, to the same end. */
struct bed_check {
	const struct trace *t;
	bool bad;
	uint64_t core_to[KZ_TRACE_CORES], vcpu_to[TRACE_SLOTS];
	uint64_t spans, states, jobs, latencies, events;
};

/* Replay an open trace. False: something that was told cannot be, or it could not be read. */
bool bed_replay(struct trace *t, struct bed_check *c);

/* stderr goes to where nobody reads it, until bed_loud. */
void bed_quiet(void);
void bed_loud(void);
/* How many bytes were written there since bed_quiet. */
long bed_said(void);
/* Its first bytes, as a string. */
void bed_read(char *text, size_t size);

#endif
