/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core's ring (trace.h), read while its core may be writing it: a record counts as read only
 * if the ring has not come round to it until after the copy.
 */
#ifndef KZTRACE_CAPTURE_RING_H
#define KZTRACE_CAPTURE_RING_H

#include <stdbool.h>

#include <kizami/trace.h>

struct ring {
	const struct kz_trace_head *head;
	const struct kz_trace_record *record; /* `capacity` of them */
	uint32_t chunks;
	uint64_t capacity;
	uint64_t pos;        /* index of the next record to read */
	uint64_t read, lost; /* so many so far; lost: overwritten before they could be read */
	uint64_t older;      /* overwritten before the first look */
	uint64_t dropped;    /* what the ring did not keep, since it has stopped */
	bool damaged;        /* its head made no sense when last seen */
};

/* ring_init - a ring of so many chunks; nothing is read from it yet. */
void ring_init(struct ring *r, const struct kz_trace_head *head,
	       const struct kz_trace_record *record, uint32_t chunks);

/*
 * ring_count - how many records have been written since power-on; 0 if the core has not started.
 * False: the head makes no sense, and r->damaged.
 */
bool ring_count(struct ring *r, uint64_t *count);

/* ring_begin - begin with the oldest record that is still there. */
void ring_begin(struct ring *r);

/*
 * ring_read - the next records, to the end of a chunk at most, of `count` that ring_count said.
 * out has room for KZ_TRACE_CHUNK_RECORDS. Returns how many, *index is that of the first; 0: all
 * those were lost. There may be more until r->pos == count.
 */
uint64_t ring_read(struct ring *r, uint64_t count, struct kz_trace_record *out, uint64_t *index);

/*
 * ring_read_newest - the newest record of a ring that has stopped, when all before it have been
 * read: it is in the ring's last place, over those between, which were dropped. False: there is
 * none that was not read.
 */
bool ring_read_newest(struct ring *r, struct kz_trace_record *out, uint64_t *index);

#endif
