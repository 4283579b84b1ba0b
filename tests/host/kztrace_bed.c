/* SPDX-License-Identifier: Apache-2.0 */
#include "kztrace_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blob_make.h"

static int loud = -1, quiet = -1;

static void need(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

void bed_add(struct bed *b, const void *data, size_t size)
{
	if (b->size + size > b->room) {
		b->room = (b->size + size) * 2;
		b->data = realloc(b->data, b->room);
		need(b->data != NULL, "realloc");
	}
	memcpy(b->data + b->size, data, size);
	b->size += size;
}

void bed_init(struct bed *b)
{
	struct kz_trace_file head = { "", KZ_TRACE_VERSION, BLOB_MAKE_SIZE, 1000000000, 4, 0 };
	uint64_t cfg[BLOB_MAKE_SIZE / 8];
	struct kz_cfg_vm *hello;

	memset(b, 0, sizeof(*b));
	b->fd = -1;
	memcpy(head.magic, "KZTRACE\n", 8);
	blob_make((struct kz_cfg *)(void *)cfg, 3);
	hello = (struct kz_cfg_vm *)((struct kz_cfg *)(void *)cfg + 1) + 1;
	hello->level = KZ_SRT;
	hello->cpu[0] = 0;
	hello->server = (struct kz_cfg_server){ 2000, 20000, 20000, 100, 0, 0, 0 };
	bed_add(b, &head, sizeof(head));
	bed_add(b, cfg, sizeof(cfg));
}

void bed_free(struct bed *b)
{
	free(b->data);
	if (b->fd >= 0) {
		close(b->fd);
	}
}

void bed_part(struct bed *b, uint32_t core, uint32_t count)
{
	struct kz_trace_part part = { core, count, b->next[core] };

	b->next[core] += count;
	bed_add(b, &part, sizeof(part));
}

void bed_record(struct bed *b, uint64_t time, unsigned type, unsigned vcpu, unsigned arg,
		uint32_t value)
{
	struct kz_trace_record rec = { time, (uint8_t)type, (uint8_t)vcpu, (uint16_t)arg, value };

	bed_add(b, &rec, sizeof(rec));
}

void bed_one(struct bed *b, uint32_t core, uint64_t time, unsigned type, unsigned vcpu,
	     unsigned arg, uint32_t value)
{
	bed_part(b, core, 1);
	bed_record(b, time, type, vcpu, arg, value);
}

const char *bed_path(struct bed *b, size_t size)
{
	if (b->fd < 0) {
		b->fd = memfd_create("trace", MFD_CLOEXEC);
		need(b->fd >= 0, "memfd_create");
		snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", b->fd);
	}
	need(ftruncate(b->fd, 0) == 0, "ftruncate");
	need(pwrite(b->fd, b->data, size, 0) == (ssize_t)size, "pwrite");
	return b->path;
}

/* ---- What must hold ---- */

static void on_span(void *ctx, const struct replay_span *s)
{
	struct bed_check *c = ctx;
	bool hyp = (s->what == REPLAY_HYP);
	bool vcpu = trace_has_vcpu(c->t, s->vcpu) && (trace_vcpu_core(c->t, s->vcpu) == s->core);

	c->spans++;
	if ((s->core >= c->t->core_count) || (s->from != c->core_to[s->core]) ||
	    (s->to < s->from) || (!hyp && (s->to == s->from)) || (s->what > REPLAY_SLEEP) ||
	    (hyp && (s->class >= REPLAY_CLASSES)) ||
	    (!vcpu && ((s->vcpu != KZ_TRACE_NOBODY) || (s->what == REPLAY_GUEST)))) {
		c->bad = true;
		return;
	}
	c->core_to[s->core] = s->to;
}

static void on_state(void *ctx, const struct replay_vspan *s)
{
	struct bed_check *c = ctx;

	c->states++;
	if (!trace_has_vcpu(c->t, s->vcpu) || (s->state >= REPLAY_STATES) || (s->to <= s->from) ||
	    (s->from != c->vcpu_to[TRACE_SLOT(s->vcpu)])) {
		c->bad = true;
		return;
	}
	c->vcpu_to[TRACE_SLOT(s->vcpu)] = s->to;
}

static void on_job(void *ctx, const struct replay_job *j)
{
	struct bed_check *c = ctx;

	c->jobs++;
	c->bad |= !trace_has_vcpu(c->t, j->vcpu) || (j->end < j->release) ||
		  (j->has_start && (j->start < j->release)) || (j->how > REPLAY_END_TRACE);
}

static void on_latency(void *ctx, const struct replay_latency *l)
{
	struct bed_check *c = ctx;

	c->latencies++;
	c->bad |= !trace_has_vcpu(c->t, l->vcpu) || (l->to < l->from);
}

static void on_event(void *ctx, const struct replay_event *e)
{
	struct bed_check *c = ctx;

	c->events++;
	c->bad |= (e->core >= c->t->core_count) || ((e->type == REPLAY_LOST) != (e->lost > 0)) ||
		  (!trace_has_vcpu(c->t, e->vcpu) && (e->vcpu != KZ_TRACE_NOBODY));
}

bool bed_replay(struct trace *t, struct bed_check *c)
{
	static const struct replay_ops ops = { on_span, on_state, on_job, on_latency, on_event };

	memset(c, 0, sizeof(*c));
	c->t = t;
	for (unsigned i = 0; i < KZ_TRACE_CORES; i++) {
		c->core_to[i] = t->begin;
	}
	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		c->vcpu_to[i] = t->begin;
	}
	if (!replay(t, &ops, c)) {
		return false;
	}
	for (unsigned i = 0; i < t->core_count; i++) {
		c->bad |= c->core_to[i] != c->core_to[0];
	}
	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		uint8_t id = (uint8_t)KZ_TRACE_VCPU(i / KZ_VCPUS_MAX, i % KZ_VCPUS_MAX);

		c->bad |= trace_has_vcpu(t, id) && (c->vcpu_to[i] != c->core_to[0]);
	}
	return !c->bad;
}

/* ---- stderr ---- */

void bed_quiet(void)
{
	if (loud < 0) {
		loud = dup(STDERR_FILENO);
		quiet = memfd_create("said", MFD_CLOEXEC);
		need((loud >= 0) && (quiet >= 0), "stderr");
	}
	need((ftruncate(quiet, 0) == 0) && (lseek(quiet, 0, SEEK_SET) == 0), "stderr");
	need(dup2(quiet, STDERR_FILENO) >= 0, "dup2");
}

void bed_loud(void)
{
	need(dup2(loud, STDERR_FILENO) >= 0, "dup2");
}

long bed_said(void)
{
	return (long)lseek(quiet, 0, SEEK_END);
}

void bed_read(char *text, size_t size)
{
	ssize_t n = pread(quiet, text, size - 1, 0);

	text[(n < 0) ? 0 : n] = '\0';
}
