/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kz trace: the rings into a file as kztrace reads it (kizami/trace.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "rings.h"
#include "show.h"
#include "stop.h"

/* A quarter of the smallest ring, 4096 records, at three million records a second. */
#define POLL_MIN_MS 1
#define POLL_MAX_MS 20

struct tracer {
	struct rings r;
	struct kz_trace_record part[KZ_TRACE_CHUNK_RECORDS];
	const char *path;
	FILE *out;
};

static int write_failed(const struct tracer *t)
{
	return kz_fail(t->r.kz, "%s: %s", t->path, strerror(errno));
}

static int part_write(struct tracer *t, uint32_t core, uint64_t index, uint64_t count,
		      const struct kz_trace_record *record)
{
	struct kz_trace_part part = { .core = core, .count = (uint32_t)count, .index = index };

	return ((fwrite(&part, sizeof(part), 1, t->out) == 1) &&
		(fwrite(record, sizeof(*record), count, t->out) == count))
		       ? EXIT_OK
		       : write_failed(t);
}

/*
 * What a core's ring has, to a chunk's end. Whether it was overwritten during the copy, only a
 * head that is read behind it can say: ring_read itself has none.
 */
static int chunk_take(struct tracer *t, uint32_t core, uint64_t count)
{
	struct ring *r = &t->r.ring[core];
	uint64_t index, now, first, skip, n = ring_read(r, count, t->part, &index);
	int code = rings_heads(&t->r);

	if ((code != EXIT_OK) || !ring_count(r, &now)) {
		return code;
	}
	first = (now < r->capacity) ? 0 : now - r->capacity + 1;
	skip = (first <= index) ? 0 : first - index;
	skip = (skip > n) ? n : skip;
	r->read -= skip;
	r->lost += skip;
	return (n == skip) ? EXIT_OK : part_write(t, core, index + skip, n - skip, t->part + skip);
}

/* One look at all rings; *fresh: the fullest one's records, in 16ths of its room. */
static int rings_take(struct tracer *t, uint64_t *fresh)
{
	int code = rings_heads(&t->r);

	*fresh = 0;
	for (uint32_t i = 0; (code == EXIT_OK) && (i < t->r.cores); i++) {
		struct ring *r = &t->r.ring[i];
		uint64_t count, have;

		if (!ring_count(r, &count) || (count <= r->pos)) {
			continue;
		}
		have = (count - r->pos) * 16 / r->capacity;
		*fresh = (have > *fresh) ? have : *fresh;
		while ((code == EXIT_OK) && (r->pos < count)) {
			code = chunk_take(t, i, count);
		}
	}
	return code;
}

/* ---- The file ---- */

static int header_write(struct tracer *t)
{
	static const uint8_t zeros[8];
	struct kz_cfg *cfg = rings_config(&t->r);
	uint32_t pad;
	int code = EXIT_OK;

	if (cfg == NULL) {
		return EXIT_FAILED;
	}
	pad = (8 - cfg->size % 8) % 8;
	struct kz_trace_file header = { .version = KZ_TRACE_VERSION,
					.blob_size = cfg->size + pad,
					.hz = t->r.mem->hz,
					.core_count = t->r.cores };
	memcpy(header.magic, "KZTRACE\n", sizeof(header.magic));
	if ((fwrite(&header, sizeof(header), 1, t->out) != 1) ||
	    (fwrite(cfg, cfg->size, 1, t->out) != 1) || (fwrite(zeros, 1, pad, t->out) != pad)) {
		code = write_failed(t);
	}
	free(cfg);
	return code;
}

static int summary(struct tracer *t)
{
	uint64_t taken = 0, lost = 0, older = 0;

	for (uint32_t i = 0; i < t->r.cores; i++) {
		struct kz_trace_record newest;
		uint64_t index;

		/* A stopped ring's newest record is in its last place. */
		if (ring_read_newest(&t->r.ring[i], &newest, &index) &&
		    (part_write(t, i, index, 1, &newest) != EXIT_OK)) {
			return EXIT_FAILED;
		}
		taken += t->r.ring[i].read;
		lost += t->r.ring[i].lost;
		older += t->r.ring[i].older;
	}
	if (t->r.kz->json) {
		json_t *o = json_object();

		show_add(o, "file", json_string(t->path));
		show_add_number(o, "records", taken);
		show_add_number(o, "lost", lost);
		show_add_number(o, "older", older);
		show_add_number(o, "cores", t->r.cores);
		return show_json(t->r.kz, o);
	}
	printf("%s: %" PRIu64 " records of %u cores, %" PRIu64 " lost, %" PRIu64
	       " older ones were overwritten before\n",
	       t->path, taken, t->r.cores, lost, older);
	return show_flush(t->r.kz);
}

/* Until Ctrl-C or the time is up. */
static int rings_follow(struct tracer *t, int64_t ms)
{
	int64_t end = (ms == WAIT_FOREVER) ? INT64_MAX : now_ms() + ms;
	int64_t wait = POLL_MIN_MS;
	int code = EXIT_OK;

	for (uint32_t i = 0; i < t->r.cores; i++) {
		ring_begin(&t->r.ring[i]);
	}
	while (code == EXIT_OK) {
		bool last = stop_asked() || (now_ms() >= end);
		uint64_t fresh;

		code = rings_take(t, &fresh);
		if (last) {
			break;
		}
		wait = (fresh >= 4) ? wait / 2 : wait + 1;
		wait = (wait < POLL_MIN_MS) ? POLL_MIN_MS : wait;
		wait = (wait > POLL_MAX_MS) ? POLL_MAX_MS : wait;
		(void)wait_for(NULL, -1, wait);
	}
	return code;
}

static int trace_run(struct tracer *t, int64_t ms)
{
	int code = EXIT_OK, err = call_machine(t->r.kz, &t->r.machine);

	for (unsigned i = 0; (err == KZ_OK) && (i < KZ_VMS_MAX); i++) {
		err = call_config(t->r.kz, i, &t->r.vm[i]);
		t->r.known[i] = (err == KZ_OK);
		err = ((err == KZ_ENOENT) || (err == KZ_EPERM)) ? KZ_OK : err;
	}
	if (err != KZ_OK) {
		return call_failed(t->r.kz, err, "looking at the machine", NULL);
	}
	code = rings_open(&t->r);
	if (code != EXIT_OK) {
		return code;
	}
	stop_begin();
	t->out = fopen(t->path, "wb");
	if (t->out == NULL) {
		return write_failed(t);
	}
	code = header_write(t);
	code = (code == EXIT_OK) ? rings_follow(t, ms) : code;
	code = (code == EXIT_OK) ? summary(t) : code;
	if ((fclose(t->out) != 0) && (code == EXIT_OK)) {
		code = write_failed(t);
	}
	return code;
}

int verb_trace(struct kz *kz, int argc, char **argv)
{
	struct tracer *t;
	int64_t ms = WAIT_FOREVER;
	int code;

	code = kz_time_option(kz, argc, argv, &ms);
	if (code != EXIT_OK) {
		return code;
	}
	if (argc - optind != 1) {
		return kz_usage(kz, "a file to write to");
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		return kz_fail(kz, "out of memory");
	}
	t->r.kz = kz;
	t->path = argv[optind];
	code = trace_run(t, ms);
	free(t);
	return code;
}
