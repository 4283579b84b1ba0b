/* SPDX-License-Identifier: Apache-2.0 */
/* link: tests/host/kztrace_bed.c hv/blob.c hv/blob_vm.c hv/blob_text.c tools/kztrace/stat.c */
/* link: tools/kztrace/file.c tools/kztrace/names.c tools/kztrace/replay.c */
/* link: tools/kztrace/replay_job.c */
/* kztrace's reader and its figures: the order of records, what is cut or spoilt, buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../tools/kztrace/stat.h"
#include "dice.h"
#include "kztrace_bed.h"

#define RECORD sizeof(struct kz_trace_record)
#define PART   sizeof(struct kz_trace_part)
#define MANY   200000u

/* ---- Order ---- */

/* A few cores' records, which say their index in `value`; times go back now and then. */
static void make_mixed(struct bed *b, unsigned parts, uint32_t most)
{
	uint64_t now[4] = { 1000, 1000, 1000, 1000 };

	for (unsigned p = 0; p < parts; p++) {
		/* stretches of one core alone, so that others have blocks without a part */
		uint32_t core = (dice(3) == 0) ? p / 4096 % 4 : dice(4);
		uint32_t count = 1 + dice(most);

		bed_part(b, core, count);
		for (uint32_t i = 0; i < count; i++) {
			now[core] += dice(20);
			bed_record(b, now[core] - ((dice(10) == 0) ? dice(50) : 0),
				   KZ_TRACE_INJECT, BED_LINUX0, 0,
				   (uint32_t)(b->next[core] - count + i));
		}
	}
}

/* Each core's records in their order and without a hole; never one while another's is earlier. */
static void check_mixed(struct trace *t)
{
	struct trace_item item, head[4];
	uint64_t next[4] = { 0 };
	uint64_t seen = 0;

	while (trace_next(t, &item)) {
		assert_int_equal(item.rec.value, next[item.core]);
		assert_int_equal(item.index, next[item.core]);
		assert_int_equal(item.lost, 0);
		next[item.core]++;
		seen++;
		for (unsigned i = 0; i < 4; i++) {
			head[i] = t->core[i].item;
			if (!t->core[i].has_item || (i == item.core)) {
				continue;
			}
			assert_true((head[i].rec.time > item.rec.time) ||
				    ((head[i].rec.time == item.rec.time) && (i > item.core)));
		}
	}
	assert_int_equal(seen, t->records);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(next[i], t->core[i].records);
	}
}

static void mixed(unsigned parts, uint32_t most)
{
	struct trace t;
	struct bed b;

	bed_init(&b);
	make_mixed(&b, parts, most);
	assert_true(trace_open(&t, bed_path(&b, b.size)));
	assert_true(t.core[3].records > 0);
	check_mixed(&t);
	trace_rewind(&t);
	check_mixed(&t);
	assert_int_equal(trace_close(&t), 0);
	bed_free(&b);
}

/* Parts of one record, of some, and as large as they can be; many blocks of the file. */
static void test_order(void **state)
{
	(void)state;
	mixed(40000, 1);
	mixed(20000, 30);
	mixed(300, KZ_TRACE_CHUNK_RECORDS);
}

/* ---- Cut and spoilt ---- */

static void make_small(struct bed *b)
{
	bed_init(b);
	bed_part(b, 0, 3);
	bed_record(b, 100, KZ_TRACE_STATE, KZ_TRACE_NOBODY, 1, 0);
	bed_record(b, 110, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_record(b, 150, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(b, 3, 120, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_part(b, 0, 5);
	bed_record(b, 160, KZ_TRACE_BLOCK, BED_LINUX0, 0, 0);
	bed_record(b, 170, KZ_TRACE_IDLE, 0, 0, 0);
	bed_record(b, 200, KZ_TRACE_WAKE, 0, 27, 0);
	bed_record(b, 210, KZ_TRACE_RELEASE, BED_HELLO, 0, 4);
	bed_record(b, 220, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	bed_one(b, 3, 300, KZ_TRACE_QUICK + KZ_TRACE_MMIO, 0, 4, 310);
}

/* How many records are whole in the first `size` bytes; *at: these bytes end where a part does. */
static uint64_t whole(size_t from, size_t size, bool *at_end)
{
	static const uint32_t counts[] = { 3, 1, 5, 1 };
	uint64_t n = 0;
	size_t at = from;

	*at_end = (size == from);
	for (unsigned i = 0; i < 4; i++) {
		size_t end = at + PART + counts[i] * RECORD;

		if (size >= end) {
			n += counts[i];
		} else if (size >= at + PART) {
			n += (size - at - PART) / RECORD;
		}
		*at_end |= (size == end);
		at = end;
	}
	return n;
}

static void test_truncated(void **state)
{
	struct bed b;
	size_t from;

	(void)state;
	make_small(&b);
	from = b.size - 4 * PART - 10 * RECORD;
	for (size_t size = 0; size <= b.size; size++) {
		struct bed_check c;
		struct trace t;
		bool at_end;
		uint64_t n = (size < from) ? 0 : whole(from, size, &at_end);
		bool opened;
		int code = EXIT_WRONG;

		bed_quiet();
		opened = trace_open(&t, bed_path(&b, size));
		if (opened) {
			bool good = bed_replay(&t, &c);
			uint64_t records = t.records;

			code = trace_close(&t);
			bed_loud();
			assert_true(good);
			assert_int_equal(records, n);
			assert_int_equal(code, at_end ? EXIT_SUCCESS : EXIT_WRONG);
		}
		bed_loud();
		assert_int_equal(opened, n > 0);
		assert_int_equal(bed_said() > 0, code != EXIT_SUCCESS); /* nothing fails silently */
	}
	bed_free(&b);
}

/* Each bit of it, one at a time: whatever is said then, it is said of what is possible. */
static void test_flipped(void **state)
{
	struct bed b;
	unsigned opened = 0;

	(void)state;
	make_small(&b);
	for (size_t bit = 0; bit < b.size * 8; bit++) {
		struct bed_check c;
		struct trace t;

		b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		bed_quiet();
		if (trace_open(&t, bed_path(&b, b.size))) {
			bool good = bed_replay(&t, &c);

			opened++;
			(void)trace_close(&t);
			bed_loud();
			assert_true(good);
		}
		bed_loud();
		b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(opened > 1000);
	bed_free(&b);
}

/* The header's and parts' fields, spoilt one by one: refused, with the offset. */
static void test_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		const char *says;
	} cases[] = {
		{ 0, 0x12345678, "at 0x0: not a Kizami trace" },
		{ 8, 2, "at 0x8: version 2" },
		{ 12, 4, "at 0xc: a configuration of 4 bytes" },
		{ 12, 0x7ffffff8, "at 0xc: a configuration of 2147483640 bytes" },
		{ 16, 0, "at 0x10: a counter of 0 Hz" },
		{ 24, 9, "at 0x18: 9 cores" },
		{ 24, 3, "at 0x18: 3 cores; the configuration has 4" },
		{ 28, 1, "at 0x1c: a reserved field" },
		{ 32, 7, "at 0x20: configuration: " },
	};
	char said[256] = "";
	struct trace t;
	struct bed b;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_small(&b);
		memcpy(b.data + cases[i].at, &cases[i].value, 4);
		if (cases[i].at == 16) {
			memset(b.data + 16, 0, 8);
		}
		bed_quiet();
		assert_false(trace_open(&t, bed_path(&b, b.size)));
		bed_read(said, sizeof(said));
		bed_loud();
		if (strstr(said, cases[i].says) == NULL) {
			fail_msg("%s: %s", cases[i].says, said);
		}
		bed_free(&b);
	}
}

static void refused_part(uint32_t core, uint32_t count, uint64_t index, size_t field,
			 const char *says)
{
	struct kz_trace_part part = { core, count, index };
	char said[256] = "", where[64];
	struct trace t;
	struct bed b;
	size_t at;

	make_small(&b);
	at = b.size;
	bed_add(&b, &part, sizeof(part));
	bed_record(&b, 400, KZ_TRACE_IDLE, 0, 0, 0);
	bed_quiet();
	assert_false(trace_open(&t, bed_path(&b, b.size)));
	bed_read(said, sizeof(said));
	bed_loud();
	snprintf(where, sizeof(where), "at %#zx: ", at + field);
	if ((strstr(said, says) == NULL) || (strstr(said, where) == NULL)) {
		fail_msg("%s: %s", says, said);
	}
	bed_free(&b);
}

static void test_refused_parts(void **state)
{
	(void)state;
	refused_part(4, 1, 100, 0, "a part of core 4; there are 4");
	refused_part(0, 0, 100, 4, "a part of 0 records");
	refused_part(0, KZ_TRACE_CHUNK_RECORDS + 1, 100, 4, "a part of 2049 records");
	refused_part(0, 1, 7, 8, "core 0 goes back, from record 8 to 7");
	refused_part(0, 1, UINT64_MAX, 8, "there is no record");
}

static void test_nothing_there(void **state)
{
	struct trace t;
	struct bed b;

	(void)state;
	bed_init(&b);
	bed_quiet();
	assert_false(trace_open(&t, "/nonexistent/file"));
	assert_false(trace_open(&t, "/dev/null"));
	assert_false(trace_open(&t, "/tmp"));
	assert_false(trace_open(&t, bed_path(&b, b.size)));
	bed_loud();
	bed_free(&b);
}

/* ---- Figures ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void check_quantile(const struct stat_of *s, const uint64_t *sorted, unsigned num,
			   unsigned den)
{
	uint64_t exact = sorted[((uint64_t)MANY * num + den - 1) / den - 1];
	uint64_t got = stat_quantile(s, num, den);

	assert_true((got >= exact) && (got - exact <= exact / 128));
}

static void test_stat(void **state)
{
	uint64_t *values = malloc(MANY * sizeof(*values));
	struct stat_of s = { .count = 0 };
	uint64_t sum = 0;

	(void)state;
	assert_non_null(values);
	assert_int_equal(stat_quantile(&s, 1, 2), 0);
	assert_int_equal(stat_avg(&s), 0);
	for (unsigned i = 0; i < MANY; i++) {
		values[i] = dice(1u << (1 + dice(30)));
		sum += values[i];
		stat_add(&s, values[i]);
	}
	qsort(values, MANY, sizeof(*values), by_value);
	assert_int_equal(s.min, values[0]);
	assert_int_equal(s.max, values[MANY - 1]);
	assert_int_equal(stat_avg(&s), sum / MANY);
	for (unsigned i = 1; i <= 1000; i++) {
		check_quantile(&s, values, i, 1000);
	}
	stat_free(&s);
	free(values);
}

/* Buckets follow each other without a hole, up to the last value that there is. */
static void test_buckets(void **state)
{
	(void)state;
	for (unsigned b = 1; b < STAT_BUCKETS; b++) {
		assert_int_equal(stat_bucket(stat_first(b)), b);
		assert_int_equal(stat_bucket(stat_first(b) - 1), b - 1);
	}
	assert_int_equal(stat_bucket(UINT64_MAX), STAT_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	      cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_parts), cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_stat),	      cmocka_unit_test(test_buckets),
	};

	return cmocka_run_group_tests_name("kztrace", tests, NULL, NULL);
}
