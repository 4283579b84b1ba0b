/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kztrace/capture_ring.c */
/* flags: -pthread */
/* A ring read while it is written: every record that is taken is whole, and every other counted. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/kztrace/capture_ring.h"

#define RECORDS KZ_TRACE_CHUNK_RECORDS
#define BASE    0xffffc00000400000ull /* the hypervisor's addresses are not ours */

/* A core that traces, as trace.h says it. */
struct core {
	struct kz_trace_head head;
	struct kz_trace_record *record;
	uint32_t chunks;
	bool next_first; /* in a turn: before turns */
	unsigned rest;   /* records between two rests */
	uint64_t total;
	int done;
};

static void core_init(struct core *c, uint32_t chunks)
{
	memset(c, 0, sizeof(*c));
	c->chunks = chunks;
	c->record = calloc((size_t)chunks * RECORDS, sizeof(*c->record));
	assert_non_null(c->record);
	c->head.base = BASE;
	c->head.next = BASE;
}

static uint64_t chunk_base(const struct core *c, uint64_t turns)
{
	return BASE + 2 * (turns % c->chunks) * KZ_TRACE_CHUNK;
}

static void core_turn(struct core *c)
{
	uint64_t turns = c->head.turns + 1;

	if (c->next_first) {
		__atomic_store_n(&c->head.next, chunk_base(c, turns), __ATOMIC_RELEASE);
	}
	__atomic_store_n(&c->head.turns, turns, __ATOMIC_RELEASE);
	if (!c->next_first) {
		__atomic_store_n(&c->head.next, chunk_base(c, turns), __ATOMIC_RELEASE);
	}
}

/* What the record of an index has in it: each half tells it. */
static struct kz_trace_record record_of(uint64_t index)
{
	return (struct kz_trace_record){ .time = index * 0x9e3779b97f4a7c15ull,
					 .value = (uint32_t)index };
}

static void core_write(struct core *c, uint64_t index)
{
	uint64_t next = c->head.next;

	c->record[index % ((uint64_t)c->chunks * RECORDS)] = record_of(index);
	__atomic_store_n(&c->head.next, next + 16, __ATOMIC_RELEASE);
	if (((next + 16) % KZ_TRACE_CHUNK) == 0) {
		core_turn(c);
	}
}

static void core_write_to(struct core *c, uint64_t total)
{
	for (; c->total < total; c->total++) {
		core_write(c, c->total);
	}
}

static void expect_whole(const struct kz_trace_record *rec, uint64_t index, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct kz_trace_record want = record_of(index + i);

		assert_memory_equal(&rec[i], &want, sizeof(want));
	}
}

/* Read all that there is; returns behind which index. All of it must be right. */
static uint64_t read_all(struct ring *r, uint64_t last)
{
	static struct kz_trace_record rec[RECORDS];
	uint64_t count, index;

	assert_true(ring_count(r, &count));
	while (r->pos < count) {
		uint64_t lost = r->lost;
		uint64_t n = ring_read(r, count, rec, &index);

		if (n > 0) {
			assert_int_equal(index - last, r->lost - lost);
			expect_whole(rec, index, n);
		}
		last += r->lost - lost + n;
		assert_int_equal(r->pos, last);
	}
	return last;
}

/* Before, in and behind each turn: all that was written is there, but what was overwritten. */
static void test_quiet(void **state)
{
	(void)state;
	for (uint32_t chunks = 2; chunks <= 5; chunks++) {
		uint64_t capacity = (uint64_t)chunks * RECORDS;
		struct core c;
		struct ring r;

		core_init(&c, chunks);
		c.next_first = (chunks % 2) != 0;
		for (uint64_t total = 0; total < 3 * capacity; total += (RECORDS / 2) - 1) {
			uint64_t older = (total < capacity) ? 0 : total - capacity + 1;

			core_write_to(&c, total);
			ring_init(&r, &c.head, c.record, chunks);
			ring_begin(&r);
			assert_int_equal(r.older, older);
			assert_int_equal(read_all(&r, older), total);
			assert_int_equal(r.read + r.older, total);
			assert_int_equal(r.lost, 0);
		}
		free(c.record);
	}
}

/* Each record, one at a time; and when the reader comes late, it knows what it has missed. */
static void test_follow(void **state)
{
	struct core c;
	struct ring r;
	uint64_t last = 0;

	(void)state;
	core_init(&c, 2);
	ring_init(&r, &c.head, c.record, 2);
	ring_begin(&r);
	for (uint64_t total = 0; total < 5 * RECORDS; total += (total % 7) + 1) {
		core_write_to(&c, total);
		last = read_all(&r, last);
		assert_int_equal(last, total);
	}
	assert_int_equal(r.lost, 0);
	core_write_to(&c, c.total + 2 * RECORDS - 1);
	last = read_all(&r, last);
	assert_int_equal(r.lost, 0);
	core_write_to(&c, c.total + 2 * RECORDS + 9);
	last = read_all(&r, last);
	assert_int_equal(r.lost, 10);
	assert_int_equal(last, c.total);
	free(c.record);
}

/* The ring comes round between the count and the copy: what is not whole is not taken. */
static void test_overtaken(void **state)
{
	static struct kz_trace_record rec[RECORDS];
	struct core c;
	struct ring r;
	uint64_t count, index;

	(void)state;
	core_init(&c, 2);
	core_write_to(&c, 2 * RECORDS - 100);
	ring_init(&r, &c.head, c.record, 2);
	assert_true(ring_count(&r, &count));
	core_write_to(&c, 2 * RECORDS + 9);
	assert_int_equal(ring_read(&r, count, rec, &index), RECORDS - 10);
	assert_int_equal(index, 10);
	expect_whole(rec, index, RECORDS - 10);
	assert_int_equal(r.lost, 10);
	core_write_to(&c, 4 * RECORDS - 1);
	assert_int_equal(ring_read(&r, count, rec, &index), 0);
	assert_int_equal(r.lost, 10 + RECORDS - 100);
	assert_int_equal(r.pos, count);
	assert_true(ring_count(&r, &count));
	assert_int_equal(read_all(&r, r.pos), 4 * RECORDS - 1);
	free(c.record);
	core_init(&c, 2);
	core_write_to(&c, 5);
	ring_init(&r, &c.head, c.record, 2);
	assert_true(ring_count(&r, &count));
	c.head.next = BASE + 5; /* the head is spoilt meanwhile: nothing is known to be whole */
	assert_int_equal(ring_read(&r, count, rec, &index), 0);
	assert_int_equal(r.lost, 5);
	free(c.record);
}

static void expect_count(struct core *c, uint64_t turns, uint64_t next, int64_t count)
{
	struct ring r;
	uint64_t got;

	ring_init(&r, &c->head, c->record, c->chunks);
	c->head.turns = turns;
	c->head.next = next;
	assert_int_equal(ring_count(&r, &got), count >= 0);
	assert_int_equal(r.damaged, count < 0);
	assert_int_equal(got, (count < 0) ? 0 : count);
}

/* A machine that was ended within a turn; and heads that no hypervisor writes. */
static void test_heads(void **state)
{
	struct core c;

	(void)state;
	for (uint32_t chunks = 2; chunks <= 3; chunks++) {
		uint64_t one = BASE + 2 * KZ_TRACE_CHUNK;

		core_init(&c, chunks);
		expect_count(&c, 0, 0, 0);
		expect_count(&c, 0, BASE, 0);
		expect_count(&c, 0, BASE + 16, 1);
		expect_count(&c, 0, BASE + KZ_TRACE_CHUNK, RECORDS);
		expect_count(&c, 1, BASE + KZ_TRACE_CHUNK, RECORDS);
		expect_count(&c, 0, one, RECORDS);
		expect_count(&c, 1, one, RECORDS);
		expect_count(&c, 1, one + 32, RECORDS + 2);
		expect_count(&c, chunks, BASE + 16, chunks * RECORDS + 1);
		expect_count(&c, chunks, one - KZ_TRACE_CHUNK, (chunks + 1) * RECORDS);
		expect_count(&c, chunks + 1, one - KZ_TRACE_CHUNK, (chunks + 1) * RECORDS);
		expect_count(&c, 0, BASE + 8, -1);
		expect_count(&c, 0, BASE - 16, -1);
		expect_count(&c, 0, BASE + KZ_TRACE_CHUNK + 16, -1);
		expect_count(&c, 0, BASE + chunks * 2 * KZ_TRACE_CHUNK, -1);
		free(c.record);
	}
	core_init(&c, 4);
	expect_count(&c, 0, BASE + 4 * KZ_TRACE_CHUNK, -1);
	expect_count(&c, 2, BASE + 16, -1);
	free(c.record);
}

/* Stopped: the last place has the newest, and its index says how many came between. */
static void test_stopped(void **state)
{
	struct kz_trace_record rec = { 0 };
	struct core c;
	struct ring r;
	uint64_t index;

	(void)state;
	core_init(&c, 3);
	core_write_to(&c, 3 * RECORDS - 1);
	ring_init(&r, &c.head, c.record, 3);
	assert_int_equal(read_all(&r, 0), 3 * RECORDS - 1);
	assert_false(ring_read_newest(&r, &rec, &index));
	/* The chunk is full: its last place is given again. */
	c.record[3 * RECORDS - 1] = record_of(3 * RECORDS - 1);
	c.head.dropped = 1;
	assert_true(ring_read_newest(&r, &rec, &index));
	expect_whole(&rec, 3 * RECORDS - 1, 1);
	assert_int_equal(index, 3 * RECORDS - 1);
	assert_int_equal(r.dropped, 0);
	assert_false(ring_read_newest(&r, &rec, &index));
	/* A hundred later; the newest may not have been counted yet. */
	for (int counted = 0; counted < 2; counted++) {
		ring_init(&r, &c.head, c.record, 3);
		assert_int_equal(read_all(&r, 0), 3 * RECORDS - 1 + (uint64_t)counted);
		c.record[3 * RECORDS - 1] = record_of(4711);
		c.head.dropped = 101;
		assert_true(ring_read_newest(&r, &rec, &index));
		assert_int_equal(rec.value, 4711);
		assert_int_equal(index, 3 * RECORDS - 1 + 100);
		assert_int_equal(r.dropped, 100 - counted);
		assert_int_equal(r.read + r.lost, 3 * RECORDS + (uint64_t)counted);
		c.record[3 * RECORDS - 1] = record_of(3 * RECORDS - 1);
		c.head.next += 16; /* as it is for a moment with each record */
	}
	free(c.record);
}

static void *core_run(void *arg)
{
	struct core *c = arg;
	uint64_t total = c->total;

	for (c->total = 0; c->total < total; c->total++) {
		core_write(c, c->total);
		if ((c->total % c->rest) == 0) {
			usleep(20);
		}
	}
	__atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A writer of 2 million records against a reader; what is lost is exactly what is not read. */
static struct ring race(unsigned rest, bool next_first, useconds_t pause)
{
	pthread_t thread;
	struct core c;
	struct ring r;
	uint64_t last = 0;
	int done = 0;

	core_init(&c, 2);
	c.total = 2000000;
	c.rest = rest;
	c.next_first = next_first;
	ring_init(&r, &c.head, c.record, 2);
	assert_int_equal(pthread_create(&thread, NULL, core_run, &c), 0);
	while (!done) {
		done = __atomic_load_n(&c.done, __ATOMIC_ACQUIRE);
		last = read_all(&r, last);
		usleep(pause);
	}
	pthread_join(thread, NULL);
	assert_int_equal(last, 2000000);
	assert_int_equal(r.read + r.lost, 2000000);
	print_message("  a rest each %u: %llu read, %llu lost\n", rest, (unsigned long long)r.read,
		      (unsigned long long)r.lost);
	free(c.record);
	return r;
}

static void test_race(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		struct ring fast = race(1000000, order != 0, 0);
		struct ring slow = race(1000000, order != 0, 3000);

		assert_true(fast.read > 0);
		assert_true((slow.read > 0) && (slow.lost > 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet),     cmocka_unit_test(test_follow),
		cmocka_unit_test(test_overtaken), cmocka_unit_test(test_heads),
		cmocka_unit_test(test_stopped),   cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
