/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_ring.h"

#include <string.h>

#define RECORDS  KZ_TRACE_CHUNK_RECORDS
#define DISTANCE (2 * KZ_TRACE_CHUNK) /* of chunks, in the hypervisor's addresses */

void ring_init(struct ring *r, const struct kz_trace_head *head,
	       const struct kz_trace_record *record, uint32_t chunks)
{
	*r = (struct ring){ .head = head,
			    .record = record,
			    .chunks = chunks,
			    .capacity = (uint64_t)chunks * RECORDS };
}

/*
 * Around a turn one of the two fields is written before the other. Which chunk `next` is in
 * tells whether `turns` is that chunk's, so either order is understood, even if the machine was
 * ended there.
 */
bool ring_count(struct ring *r, uint64_t *count)
{
	uint64_t turns, next, again, base, chunk, at;

	do { /* until no turn falls between the two */
		turns = __atomic_load_n(&r->head->turns, __ATOMIC_ACQUIRE);
		base = __atomic_load_n(&r->head->base, __ATOMIC_ACQUIRE);
		next = __atomic_load_n(&r->head->next, __ATOMIC_ACQUIRE);
		again = __atomic_load_n(&r->head->turns, __ATOMIC_ACQUIRE);
	} while (turns != again);
	*count = 0;
	r->damaged = false;
	if (next == 0) {
		return true;
	}
	chunk = (next - base) / DISTANCE;
	at = (next - base) % DISTANCE;
	r->damaged = (chunk >= r->chunks) || (at > KZ_TRACE_CHUNK) || (at % 16 != 0);
	if (r->damaged) {
		return false;
	}
	if (chunk == turns % r->chunks) {
		*count = turns * RECORDS + at / 16;
	} else if ((at == KZ_TRACE_CHUNK) && ((chunk + 1) % r->chunks == turns % r->chunks)) {
		*count = turns * RECORDS; /* turns is ahead */
	} else if ((at < KZ_TRACE_CHUNK) && (chunk == (turns + 1) % r->chunks)) {
		*count = (turns + 1) * RECORDS + at / 16; /* next is ahead */
	} else {
		r->damaged = true;
	}
	return !r->damaged;
}

/* The oldest record that is surely whole when count have been written and one is under way. */
static uint64_t oldest(const struct ring *r, uint64_t count)
{
	return (count < r->capacity) ? 0 : count - r->capacity + 1;
}

void ring_begin(struct ring *r)
{
	uint64_t count;

	if (ring_count(r, &count)) {
		r->pos = oldest(r, count);
		r->older = r->pos;
	}
}

uint64_t ring_read(struct ring *r, uint64_t count, struct kz_trace_record *out, uint64_t *index)
{
	uint64_t n, now, skip;

	if (r->pos < oldest(r, count)) {
		r->lost += oldest(r, count) - r->pos;
		r->pos = oldest(r, count);
	}
	n = RECORDS - r->pos % RECORDS;
	n = (count - r->pos < n) ? count - r->pos : n;
	memcpy(out, &r->record[r->pos % r->capacity], n * sizeof(*out));
	/* The copy is read before the count that says which of it is whole. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	now = ring_count(r, &now) ? now : UINT64_MAX;
	skip = (oldest(r, now) <= r->pos) ? 0 : oldest(r, now) - r->pos;
	skip = (skip > n) ? n : skip;
	memmove(out, out + skip, (n - skip) * sizeof(*out));
	*index = r->pos + skip;
	r->lost += skip;
	r->read += n - skip;
	r->pos += n;
	return n - skip;
}

bool ring_read_newest(struct ring *r, struct kz_trace_record *out, uint64_t *index)
{
	const struct kz_trace_record *place;
	uint64_t count, times, last;
	struct kz_trace_record again;

	if (!ring_count(r, &count) || (count == 0)) {
		return false;
	}
	last = (count - 1) / RECORDS * RECORDS + RECORDS - 1;
	place = &r->record[last % r->capacity];
	do { /* until no record falls between the two copies */
		times = __atomic_load_n(&r->head->dropped, __ATOMIC_ACQUIRE);
		*out = *place;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		again = *(const volatile struct kz_trace_record *)place;
	} while ((memcmp(out, &again, sizeof(again)) != 0) ||
		 (times != __atomic_load_n(&r->head->dropped, __ATOMIC_ACQUIRE)));
	*index = last + times - 1;
	if ((times == 0) || (*index < r->pos)) {
		return false;
	}
	r->dropped = *index - r->pos;
	r->pos = *index + 1;
	r->read++;
	return true;
}
