/* SPDX-License-Identifier: Apache-2.0 */
/* The trace's keys. */
#include <kizami/trace.h>

#include "sys.h"

#define RING_MIN     (KZ_TRACE_CHUNKS_MIN * KZ_TRACE_CHUNK)
#define RING_MAX     (KZ_TRACE_CHUNKS_MAX * KZ_TRACE_CHUNK)
#define RING_DEFAULT 0x10000u

static const char *const full_words[] = { "overwrite", "stop", NULL };
static const char *const crash_words[] = { "go_on", "stop", NULL };

_Static_assert((KZ_TRACE_OVERWRITE == 0) && (KZ_TRACE_STOP == 1), "full_words");
_Static_assert((RING_MIN == (64u << 10)) && (RING_MAX == (512u << 10)) &&
		       (KZ_TRACE_CHUNK == (32u << 10)),
	       "what size_read says");

/* Bytes of a core's ring. */
static uint64_t size_read(struct sys *s, struct conf_text text)
{
	uint64_t size = RING_DEFAULT;

	if (text.s == NULL) {
		return size;
	}
	if (!conf_size(text.s, &size)) {
		diag_error(&s->diag, text.line, "size is '%s': it is a size, such as 64K", text.s);
	} else if ((size < RING_MIN) || (size > RING_MAX)) {
		diag_error(&s->diag, text.line, "size is %s: it is 64K to 512K of each core",
			   text.s);
	} else if ((size % KZ_TRACE_CHUNK) != 0) {
		diag_error(&s->diag, text.line,
			   "size is %s: it is a multiple of 32K, such as %lluK", text.s,
			   (unsigned long long)(ALIGN_UP(size, KZ_TRACE_CHUNK) >> 10));
	} else {
		return size;
	}
	return RING_DEFAULT;
}

void trace_read(struct sys *s)
{
	const struct conf_trace *c = &s->conf.trace;
	struct kz_cfg_machine *m = &s->board.m;

	m->trace_chunks = (uint32_t)(size_read(s, c->size) / KZ_TRACE_CHUNK);
	m->trace_mode = word_read(s, "when_full", c->when_full, full_words, KZ_TRACE_OVERWRITE);
	m->trace_on_crash = word_read(s, "on_crash", c->on_crash, crash_words, 0);
}
