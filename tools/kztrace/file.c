/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is looked at twice. First every part's header, which finds what is wrong
 * and leaves, for each block of the file, where its first header is and which cores
 * have a part that begins there. Then each core walks through its own blocks, with a
 * small window of the file each, and the earliest record of all cores is the next.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"

#define HEADERS_WINDOW 0x1000u
#define BLOB_MAX       (sizeof(struct kz_cfg) + KZ_VMS_MAX * sizeof(struct kz_cfg_vm))
#define HZ_MAX	       1000000000000ull
#define PROGRESS_SIZE  (64ull << 20)

struct trace_block {
	uint64_t first; /* header in it */
	uint32_t cores; /* a bit for each that has a part from here on */
};

static bool wrong(struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct trace *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "kztrace: %s: ", t->path);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	t->failed = true;
	return false;
}

/* All of a range of the file that was there when it was opened. */
static bool read_at(struct trace *t, uint64_t at, void *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(t->fd, (uint8_t *)to + done, size - done, (off_t)(at + done));

		if ((n < 0) && (errno == EINTR)) {
			continue;
		}
		if (n <= 0) {
			return wrong(t, "at %#" PRIx64 ": %s", at + done,
				     (n < 0) ? strerror(errno) : "the file has become shorter");
		}
		done += (size_t)n;
	}
	return true;
}

/*
 * `need` bytes at `at`, from a core's window; if they are not there, it is filled from
 * `at` on with up to `want`. NULL: a message was printed.
 */
static const uint8_t *window(struct trace *t, struct trace_core *c, uint64_t at, size_t need,
			     size_t want)
{
	if ((at < c->window_at) || (at + need > c->window_at + c->window_size)) {
		if (want > t->size - at) {
			want = (size_t)(t->size - at);
		}
		c->window_size = 0;
		if (!read_at(t, at, c->window, want)) {
			return NULL;
		}
		c->window_at = at;
		c->window_size = want;
	}
	return c->window + (at - c->window_at);
}

static bool read_part(struct trace *t, struct trace_core *c, uint64_t at, struct kz_trace_part *p)
{
	const uint8_t *bytes = window(t, c, at, sizeof(*p), HEADERS_WINDOW);

	if (bytes != NULL) {
		memcpy(p, bytes, sizeof(*p));
	}
	return bytes != NULL;
}

/* ---- What is in the file ---- */

static bool open_blob(struct trace *t, const struct kz_trace_file *head)
{
	struct blob_where where;
	struct kz_cfg *cfg;
	enum blob_err err;

	if ((head->blob_size % 8 != 0) || (head->blob_size < sizeof(struct kz_cfg)) ||
	    (head->blob_size > BLOB_MAX)) {
		return wrong(t, "at 0xc: a configuration of %" PRIu32 " bytes cannot be",
			     head->blob_size);
	}
	if (t->size < sizeof(*head) + head->blob_size) {
		return wrong(t, "at %#" PRIx64 ": the file ends within the configuration", t->size);
	}
	cfg = malloc(head->blob_size);
	if (cfg == NULL) {
		return wrong(t, "%s", strerror(errno));
	}
	t->cfg = cfg;
	if (!read_at(t, sizeof(*head), cfg, head->blob_size)) {
		return false;
	}
	err = blob_check(cfg, head->blob_size, &where);
	if ((err != BLOB_OK) && (where.vm < BLOB_NO_VM)) {
		return wrong(t, "at 0x20: configuration: %s (VM %u, entry %u)", blob_strerror(err),
			     where.vm, where.index);
	}
	if (err != BLOB_OK) {
		return wrong(t, "at 0x20: configuration: %s (machine, entry %u)",
			     blob_strerror(err), where.index);
	}
	if (head->core_count != cfg->machine.cpu_count) {
		return wrong(t, "at 0x18: %" PRIu32 " cores; the configuration has %" PRIu32,
			     head->core_count, cfg->machine.cpu_count);
	}
	return true;
}

static bool open_head(struct trace *t)
{
	struct kz_trace_file head = { .version = 0 };
	size_t size = (t->size < sizeof(head)) ? (size_t)t->size : sizeof(head);

	if (!read_at(t, 0, &head, size)) {
		return false;
	}
	if (memcmp(head.magic, "KZTRACE\n", (size < 8) ? size : 8) != 0 || (size == 0)) {
		return wrong(t, "at 0x0: not a Kizami trace (it begins with \"KZTRACE\\n\")");
	}
	if (size < sizeof(head)) {
		return wrong(t, "at %#zx: the file ends within its header", size);
	}
	if (head.version != KZ_TRACE_VERSION) {
		return wrong(t, "at 0x8: version %" PRIu32 "; this kztrace reads version %u",
			     head.version, KZ_TRACE_VERSION);
	}
	if ((head.hz == 0) || (head.hz > HZ_MAX)) {
		return wrong(t, "at 0x10: a counter of %" PRIu64 " Hz cannot be", head.hz);
	}
	if ((head.core_count == 0) || (head.core_count > KZ_TRACE_CORES)) {
		return wrong(t, "at 0x18: %" PRIu32 " cores; there are 1 to %u", head.core_count,
			     KZ_TRACE_CORES);
	}
	if (head.reserved != 0) {
		return wrong(t, "at 0x1c: a reserved field is not 0");
	}
	t->hz = head.hz;
	t->core_count = head.core_count;
	t->parts = sizeof(head) + head.blob_size;
	return open_blob(t, &head);
}

/* Note that a part of a core begins at `at`. */
static void index_part(struct trace *t, uint64_t at, uint32_t core)
{
	size_t b = (size_t)(at / TRACE_BLOCK);

	if (b >= t->block_count) { /* the next one: a part is shorter than a block */
		t->block_count = b + 1;
		t->block[b] = (struct trace_block){ at, 0 };
	}
	t->block[b].cores |= 1u << core;
}

static bool check_part(struct trace *t, uint64_t at, const struct kz_trace_part *p)
{
	const struct trace_core *c;

	if (p->core >= t->core_count) {
		return wrong(t, "at %#" PRIx64 ": a part of core %" PRIu32 "; there are %" PRIu32,
			     at, p->core, t->core_count);
	}
	if ((p->count == 0) || (p->count > KZ_TRACE_CHUNK_RECORDS)) {
		return wrong(t, "at %#" PRIx64 ": a part of %" PRIu32 " records; it has 1 to %u",
			     at + 4, p->count, KZ_TRACE_CHUNK_RECORDS);
	}
	c = &t->core[p->core];
	if ((c->records > 0) && (p->index < c->next_index)) {
		return wrong(t, "at %#" PRIx64 ": core %" PRIu32 " goes back, from record %" PRIu64
			     " to %" PRIu64, at + 8, p->core, c->next_index, p->index);
	}
	if (p->index + p->count < p->index) {
		return wrong(t, "at %#" PRIx64 ": there is no record %" PRIu64, at + 8, p->index);
	}
	return true;
}

/* A part's records, of which `count` are there. */
static void take_part(struct trace *t, uint64_t at, const struct kz_trace_part *p, uint32_t count)
{
	struct trace_core *c = &t->core[p->core];

	if (c->records == 0) {
		c->first_index = p->index;
		c->first_at = at + sizeof(*p);
	} else {
		c->lost += p->index - c->next_index;
	}
	c->last_at = at + sizeof(*p) + (count - 1) * sizeof(struct kz_trace_record);
	c->next_index = p->index + count;
	c->records += count;
	t->records += count;
	index_part(t, at, p->core);
}

/* The times of the cores' first and last records. */
static bool read_times(struct trace *t)
{
	struct kz_trace_record first, last;
	bool any = false;

	for (unsigned i = 0; i < t->core_count; i++) {
		struct trace_core *c = &t->core[i];

		if (c->records == 0) {
			continue;
		}
		if (!read_at(t, c->first_at, &first, sizeof(first)) ||
		    !read_at(t, c->last_at, &last, sizeof(last))) {
			return false;
		}
		c->first_time = first.time;
		c->last_time = last.time;
		t->begin = (!any || (first.time < t->begin)) ? first.time : t->begin;
		t->end = (!any || (last.time > t->end)) ? last.time : t->end;
		any = true;
	}
	return true;
}

/* The pass over all parts' headers, with the first core's window. */
static bool index_parts(struct trace *t)
{
	uint64_t at = t->parts;
	struct kz_trace_part p;

	while (at < t->size) {
		uint64_t there;

		if (t->size - at < sizeof(p)) {
			t->truncated = at;
			return true;
		}
		if (!read_part(t, &t->core[0], at, &p) || !check_part(t, at, &p)) {
			return false;
		}
		there = (t->size - at - sizeof(p)) / sizeof(struct kz_trace_record);
		if (there < p.count) {
			t->truncated = at + sizeof(p) + there * sizeof(struct kz_trace_record);
			if (there > 0) {
				take_part(t, at, &p, (uint32_t)there);
			}
			return true;
		}
		take_part(t, at, &p, p.count);
		at += sizeof(p) + p.count * sizeof(struct kz_trace_record);
	}
	return true;
}

static bool open_memory(struct trace *t)
{
	t->block = calloc((size_t)(t->size / TRACE_BLOCK + 1), sizeof(*t->block));
	if (t->block == NULL) {
		return wrong(t, "%s", strerror(errno));
	}
	for (unsigned i = 0; i < t->core_count; i++) {
		t->core[i].window = malloc(TRACE_WINDOW);
		if (t->core[i].window == NULL) {
			return wrong(t, "%s", strerror(errno));
		}
	}
	return true;
}

static void release(struct trace *t)
{
	for (unsigned i = 0; i < KZ_TRACE_CORES; i++) {
		free(t->core[i].window);
		t->core[i].window = NULL;
	}
	free(t->block);
	free((void *)(uintptr_t)t->cfg);
	t->block = NULL;
	t->cfg = NULL;
	if (t->fd >= 0) {
		close(t->fd);
	}
	t->fd = -1;
}

static bool open_file(struct trace *t)
{
	struct stat st;

	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	if ((t->fd < 0) || (fstat(t->fd, &st) != 0)) {
		return wrong(t, "%s", strerror(errno));
	}
	if (!S_ISREG(st.st_mode)) {
		return wrong(t, "not a regular file");
	}
	t->size = (uint64_t)st.st_size;
	if (!open_head(t) || !open_memory(t) || !index_parts(t)) {
		return false;
	}
	if (t->records == 0) {
		return wrong(t, "at %#" PRIx64 ": there is no record", t->parts);
	}
	return read_times(t);
}

bool trace_open(struct trace *t, const char *path)
{
	memset(t, 0, sizeof(*t));
	t->path = path;
	t->fd = -1;
	t->percent = -1;
	if (!open_file(t)) {
		release(t);
		return false;
	}
	trace_rewind(t);
	return true;
}

/* ---- The merge ---- */

/* c->at is a part's header: find the core's own next part. False: there is none, or failed. */
static bool next_part(struct trace *t, struct trace_core *c)
{
	uint32_t bit = 1u << (unsigned)(c - t->core);
	uint64_t stop = (t->truncated != 0) ? t->truncated : t->size;
	struct kz_trace_part p;

	for (;;) {
		size_t b = (size_t)(c->at / TRACE_BLOCK);

		if (b != c->block) { /* begin with a block that has one */
			for (b = c->block + 1;
			     (b < t->block_count) && ((t->block[b].cores & bit) == 0);) {
				b++;
			}
			if (b >= t->block_count) {
				return false;
			}
			c->block = b;
			c->at = t->block[b].first;
		}
		if ((c->at >= stop) ||
		    (stop - c->at < sizeof(p) + sizeof(struct kz_trace_record)) ||
		    !read_part(t, c, c->at, &p)) {
			return false;
		}
		if (p.core == (unsigned)(c - t->core)) {
			break;
		}
		c->at += sizeof(p) + p.count * sizeof(struct kz_trace_record);
	}
	c->at += sizeof(p);
	c->left = p.count;
	if ((stop - c->at) / sizeof(struct kz_trace_record) < c->left) {
		c->left = (uint32_t)((stop - c->at) / sizeof(struct kz_trace_record));
	}
	c->part_index = p.index;
	return true;
}

/* The core's next record into c->item. */
static void advance(struct trace *t, struct trace_core *c)
{
	const uint8_t *bytes;

	c->has_item = false;
	if ((c->left == 0) && !next_part(t, c)) {
		return;
	}
	bytes = window(t, c, c->at, sizeof(c->item.rec),
		       c->left * sizeof(c->item.rec) + HEADERS_WINDOW);
	if (bytes == NULL) {
		return;
	}
	memcpy(&c->item.rec, bytes, sizeof(c->item.rec));
	c->item.core = (uint32_t)(c - t->core);
	c->item.index = c->part_index;
	c->item.offset = c->at;
	c->item.lost = c->part_index - c->next;
	c->at += sizeof(c->item.rec);
	c->left--;
	c->part_index++;
	c->next = c->part_index;
	c->has_item = true;
}

void trace_rewind(struct trace *t)
{
	t->done = 0;
	for (unsigned i = 0; i < t->core_count; i++) {
		struct trace_core *c = &t->core[i];

		c->at = t->parts;
		c->block = (size_t)(c->at / TRACE_BLOCK);
		c->left = 0;
		c->next = c->first_index;
		c->has_item = false;
		if (c->records > 0) {
			advance(t, c);
		}
	}
}

static void progress(struct trace *t)
{
	int percent = (int)(t->done * 100 / t->records);

	if ((t->percent != percent) && (t->size > PROGRESS_SIZE) && isatty(STDERR_FILENO)) {
		t->percent = percent;
		fprintf(stderr, "\rkztrace: %s: %d %%", t->path, percent);
	}
}

bool trace_next(struct trace *t, struct trace_item *item)
{
	struct trace_core *best = NULL;

	for (unsigned i = 0; i < t->core_count; i++) {
		struct trace_core *c = &t->core[i];

		if (c->has_item && ((best == NULL) || (c->item.rec.time < best->item.rec.time))) {
			best = c;
		}
	}
	if ((t->done & 0xffff) == 0 || best == NULL) {
		progress(t);
	}
	if ((best == NULL) || t->failed) {
		return false;
	}
	*item = best->item;
	t->done++;
	advance(t, best);
	return true;
}

void trace_bad(struct trace *t, const struct trace_item *item, const char *reason)
{
	if (t->bad == 0) {
		t->bad_offset = item->offset;
		t->bad_reason = reason;
	}
	t->bad++;
}

int trace_close(struct trace *t)
{
	if (t->percent >= 0) {
		fputs("\r\033[K", stderr);
	}
	if (t->bad > 0) {
		wrong(t, "at %#" PRIx64 ": %s; %" PRIu64 " record%s without sense, left out",
		      t->bad_offset, t->bad_reason, t->bad, (t->bad == 1) ? "" : "s");
	}
	if (t->truncated != 0) {
		wrong(t, "at %#" PRIx64 ": the file ends within a part; what is complete was used",
		      t->truncated);
	}
	release(t);
	return t->failed ? EXIT_WRONG : EXIT_SUCCESS;
}
