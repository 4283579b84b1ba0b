/* SPDX-License-Identifier: Apache-2.0 */
#include "latency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "rings.h"

#define NS_PER_SECOND 1000000000ull

/* A core's records of a look: `at` of them are told. */
struct part {
	struct kz_trace_record *record; /* room for LATENCY_RECORDS */
	uint64_t from;                  /* where the look began */
	uint64_t index;                 /* of the first */
	uint64_t count, at;
	uint64_t next;    /* the index behind the last one that was told */
	uint64_t dropped; /* by a ring that has stopped, so far */
	struct latency_core is;
};

struct latency {
	struct rings r;
	struct trace trace; /* what a replay wants to know of a file */
	struct kz_cfg *cfg; /* what it was begun with */
	struct replay *replay;
	struct part part[KZ_TRACE_CORES];
	struct stat_of of[TRACE_SLOTS];
	bool open, failed; /* failed: it never opens */
	bool has;          /* the last look found it */
};

/* ---- What a replay tells ---- */

static void on_latency(void *ctx, const struct replay_latency *found)
{
	struct latency *l = ctx;

	stat_add(&l->of[TRACE_SLOT(found->vcpu)], trace_ns(&l->trace, found->to - found->from));
}

static const struct replay_ops ops = { .latency = on_latency };

/* The replay goes on; it begins anew when the VMs are others. */
static bool replay_ready(struct latency *l)
{
	struct kz_cfg *cfg = rings_config(&l->r);

	if (cfg == NULL) {
		return false;
	}
	if ((l->replay != NULL) && (cfg->size == l->cfg->size) &&
	    (memcmp(cfg, l->cfg, cfg->size) == 0)) {
		free(cfg);
		return true;
	}
	replay_free(l->replay);
	free(l->cfg);
	l->cfg = cfg;
	l->trace = (struct trace){ .hz = l->r.mem->hz, .core_count = l->r.cores, .cfg = cfg };
	l->replay = replay_new(&l->trace, &ops, l);
	return l->replay != NULL;
}

/* ---- The rings ---- */

static bool trace_begin(struct latency *l)
{
	if (rings_open(&l->r) != EXIT_OK) {
		return false;
	}
	for (uint32_t i = 0; i < l->r.cores; i++) {
		l->part[i].record = calloc(LATENCY_RECORDS, sizeof(*l->part[i].record));
		if (l->part[i].record == NULL) {
			snprintf(l->r.why, sizeof(l->r.why), "out of memory");
			return false;
		}
		ring_begin(&l->r.ring[i]);
		l->part[i].next = l->r.ring[i].pos;
	}
	return true;
}

static uint64_t oldest(const struct ring *r, uint64_t count)
{
	return (count < r->capacity) ? 0 : count - r->capacity + 1;
}

/* The newest records, up to the limit, that the head says there are. */
static void part_copy(struct ring *r, struct part *p, uint64_t limit)
{
	uint64_t count, first, index;

	p->count = 0;
	p->from = r->pos;
	if (!ring_count(r, &count) || (count <= r->pos)) {
		p->index = r->pos;
		return;
	}
	first = oldest(r, count);
	if (r->pos < first) {
		p->is.lost += first - r->pos;
		r->pos = first;
	}
	if (count - r->pos > limit) {
		p->is.skipped += count - limit - r->pos;
		r->pos = count - limit;
	}
	p->index = r->pos;
	while (r->pos < count) { /* a chunk each; the head is a copy, so none is lost here */
		p->count += ring_read(r, count, p->record + p->count, &index);
	}
}

/*
 * With heads that were read behind the copy: what of it is whole, and before `until`. What is
 * not is for the next look: so a core's records do not come before those of another one which
 * were earlier.
 */
static void part_cut(struct ring *r, struct part *p, uint64_t until)
{
	uint64_t count, n = 0, skip = 0;

	if (ring_count(r, &count) && (oldest(r, count) > p->index)) {
		skip = oldest(r, count) - p->index;
		skip = (skip > p->count) ? p->count : skip;
	}
	p->is.lost += skip;
	p->at = skip;
	for (n = skip; (n < p->count) && (p->record[n].time < until); n++) {
	}
	p->count = n;
	p->is.read = n - skip;
	r->pos = p->index + n;
}

/* What a stopped ring writes over its last record. */
static void part_drop(const struct kz_trace_head *head, struct part *p)
{
	p->is.lost += (head->dropped > p->dropped) ? head->dropped - p->dropped : 0;
	p->dropped = head->dropped;
}

/* ---- The merge ---- */

/* The earliest record of all cores; false: all are told. */
static bool record_next(struct latency *l, struct trace_item *item)
{
	struct part *best = NULL;

	for (uint32_t i = 0; i < l->r.cores; i++) {
		struct part *p = &l->part[i];

		if ((p->at < p->count) &&
		    ((best == NULL) || (p->record[p->at].time < best->record[best->at].time))) {
			best = p;
		}
	}
	if (best == NULL) {
		return false;
	}
	*item = (struct trace_item){ .rec = best->record[best->at],
				     .core = (uint32_t)(best - l->part),
				     .index = best->index + best->at };
	item->lost = item->index - best->next;
	best->next = item->index + 1;
	best->at++;
	return true;
}

static void records_tell(struct latency *l)
{
	struct trace_item item;

	while (record_next(l, &item)) {
		if (replay_feed(l->replay, &item) != NULL) {
			l->part[item.core].is.left_out++;
		}
	}
}

/* ---- A look ---- */

static uint64_t limit_of(uint64_t ns)
{
	uint64_t limit = (ns >= NS_PER_SECOND) ? LATENCY_RECORDS
					       : ns * LATENCY_RECORDS_SECOND / NS_PER_SECOND + 1;

	return (limit < LATENCY_RECORDS) ? limit : LATENCY_RECORDS;
}

static bool look(struct latency *l, uint64_t ns)
{
	struct rings *r = &l->r;
	uint64_t until;

	if (!l->open) {
		l->failed = l->failed || !trace_begin(l);
		l->open = !l->failed;
	}
	if (l->failed || !replay_ready(l) || (rings_heads(r) != EXIT_OK)) {
		return false;
	}
	for (uint32_t i = 0; i < r->cores; i++) {
		part_copy(&r->ring[i], &l->part[i], limit_of(ns));
	}
	if (rings_heads(r) != EXIT_OK) {
		for (uint32_t i = 0; i < r->cores; i++) { /* the next look takes them */
			r->ring[i].pos = l->part[i].from;
		}
		return false;
	}
	until = (uint64_t)((unsigned __int128)r->machine.now * r->mem->hz / NS_PER_SECOND);
	for (uint32_t i = 0; i < r->cores; i++) {
		part_cut(&r->ring[i], &l->part[i], until);
		part_drop(&r->head[i], &l->part[i]);
	}
	records_tell(l);
	return true;
}

void latency_look(struct latency *l, const struct kz_machine_info *m, const struct vmi *vm,
		  int count, uint64_t ns)
{
	l->r.machine = *m;
	memset(l->r.known, 0, sizeof(l->r.known));
	for (int i = 0; i < count; i++) {
		l->r.known[vm[i].id] = true;
		l->r.vm[vm[i].id] = vm[i].cfg;
	}
	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		stat_free(&l->of[i]);
		l->of[i] = (struct stat_of){ .count = 0 };
	}
	for (unsigned i = 0; i < KZ_TRACE_CORES; i++) {
		l->part[i].is = (struct latency_core){ .read = 0 };
	}
	l->has = look(l, ns);
}

/* ---- What it found ---- */

const char *latency_missing(const struct latency *l)
{
	return l->has ? NULL : l->r.why;
}

const struct stat_of *latency_of(const struct latency *l, unsigned vm, unsigned vcpu)
{
	return &l->of[TRACE_SLOT(KZ_TRACE_VCPU(vm, vcpu))];
}

const struct latency_core *latency_core_of(const struct latency *l, unsigned core)
{
	return &l->part[core].is;
}

bool latency_is_part(const struct latency *l, unsigned core)
{
	const struct latency_core *is = latency_core_of(l, core);

	return is->lost + is->skipped > 0;
}

struct latency *latency_new(struct kz *kz)
{
	struct latency *l = calloc(1, sizeof(*l));

	if (l != NULL) {
		l->r.kz = kz;
		l->r.quiet = true;
	}
	return l;
}

void latency_free(struct latency *l)
{
	for (unsigned i = 0; (l != NULL) && (i < KZ_TRACE_CORES); i++) {
		free(l->part[i].record);
	}
	for (unsigned i = 0; (l != NULL) && (i < TRACE_SLOTS); i++) {
		stat_free(&l->of[i]);
	}
	if (l != NULL) {
		replay_free(l->replay);
		free(l->cfg);
	}
	free(l);
}
