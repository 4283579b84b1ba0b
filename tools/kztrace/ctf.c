/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kztrace ctf: the records as a trace of the Common Trace Format 1.8 (diamon.org/ctf):
 * a directory with the metadata, a text (ctf_meta.c), and a stream of packets for each core.
 * All integers are little-endian and lie at the next byte.
 */
#include "ctf.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "out.h"

#define PACKET_SIZE 0x10000u
#define PACKET_HEAD (2 * 4 + 6 * 8 + 4)
#define EVENT_MAX   32 /* bytes */

/*
 * A ring has its records in the order in which things happened, but a QUICK has the time of its
 * begin: what it did lies before it with later times. A stream's times don't go back: so many
 * records wait, and the earliest one is next.
 */
#define WAITING 32u

/* In ns: babeltrace2 refuses what is a little above. */
#define TIME_MAX (INT64_MAX / 2)

struct stream {
	uint32_t core;
	FILE *file;
	uint8_t guest; /* of the last RUN or STATE */
	uint64_t last; /* time that was written */
	uint64_t discarded;
	bool gap; /* the next event is the first one behind lost records */
	struct trace_item waiting[WAITING];
	unsigned count;
	/* the packet */
	uint64_t begin, packets;
	size_t size;
	uint8_t bytes[PACKET_SIZE];
};

struct ctf {
	struct trace trace;
	struct out_dir dir;
	struct stream *stream[KZ_TRACE_CORES];
	bool failed; /* a write */
};

/* ---- Packets ---- */

static void put8(struct stream *s, unsigned value)
{
	s->bytes[s->size++] = (uint8_t)value;
}

static void put16(struct stream *s, unsigned value)
{
	put8(s, value & 0xffu);
	put8(s, value >> 8 & 0xffu);
}

static void put32(struct stream *s, uint32_t value)
{
	put16(s, value & 0xffffu);
	put16(s, value >> 16);
}

static void put64(struct stream *s, uint64_t value)
{
	put32(s, (uint32_t)value);
	put32(s, (uint32_t)(value >> 32));
}

/* The packet, if anything is in it; its head is complete only now. */
static void packet_end(struct ctf *ctf, struct stream *s)
{
	size_t size = s->size;

	if (size <= PACKET_HEAD) {
		return;
	}
	s->size = 0;
	put32(s, CTF_MAGIC);
	put32(s, 0); /* stream id */
	put64(s, s->begin);
	put64(s, s->last);
	put64(s, size * 8); /* of the content, in bits */
	put64(s, size * 8); /* of the packet */
	put64(s, s->packets++);
	put64(s, s->discarded);
	put32(s, s->core);
	ctf->failed = !out_dir_write(&ctf->dir, s->file, s->bytes, size) || ctf->failed;
	s->size = PACKET_HEAD;
}

/* ---- Events ---- */

static void put_guest(struct stream *s, uint8_t id)
{
	put8(s, TRACE_VM(id));
	put8(s, TRACE_CPU(id));
}

/* What an exit was for. */
static void put_class(struct stream *s, unsigned class, uint16_t arg)
{
	switch (class) {
	case KZ_TRACE_HCALL:
	case KZ_TRACE_IRQ:
	case KZ_TRACE_MAINT:
	case KZ_TRACE_KICK:
		put16(s, arg);
		break;
	case KZ_TRACE_MMIO:
		put32(s, (uint32_t)arg << 2);
		break;
	case KZ_TRACE_SYSREG:
		put8(s, arg >> 14);
		put8(s, arg >> 11 & 7u);
		put8(s, arg >> 7 & 15u);
		put8(s, arg >> 3 & 15u);
		put8(s, arg & 7u);
		break;
	case KZ_TRACE_SGI:
		put8(s, arg & 15u);
		put8(s, arg >> 4 & 255u);
		break;
	default:
		break;
	}
}

static void put_exit(struct stream *s, const struct kz_trace_record *rec)
{
	unsigned first = (rec->type >= KZ_TRACE_QUICK) ? KZ_TRACE_QUICK : KZ_TRACE_EXIT;

	put_guest(s, s->guest);
	if (first == KZ_TRACE_QUICK) {
		put32(s, rec->value - (uint32_t)rec->time);
	}
	put_class(s, rec->type - first, rec->arg);
}

static void put_fields(struct stream *s, const struct kz_trace_record *rec)
{
	switch (rec->type) {
	case KZ_TRACE_STATE:
	case KZ_TRACE_RUN:
		s->guest = rec->vcpu;
		break;
	case KZ_TRACE_IDLE:
	case KZ_TRACE_PANIC:
		return;
	case KZ_TRACE_WAKE:
		put16(s, rec->arg);
		return;
	default:
		break;
	}
	put_guest(s, rec->vcpu);
	switch (rec->type) {
	case KZ_TRACE_STATE:
	case KZ_TRACE_READY:
	case KZ_TRACE_INJECT:
	case KZ_TRACE_START:
	case KZ_TRACE_OFF:
	case KZ_TRACE_VM_START:
		put16(s, rec->arg);
		break;
	case KZ_TRACE_VM_STOP:
		put16(s, rec->arg);
		put16(s, (uint16_t)rec->value);
		break;
	case KZ_TRACE_RELEASE:
	case KZ_TRACE_MISS:
		put64(s, (uint64_t)rec->value * 64);
		break;
	case KZ_TRACE_VM_FAULT:
		put16(s, rec->arg);
		put64(s, (uint64_t)rec->value * 256);
		break;
	default:
		break;
	}
}

static void put_event(struct ctf *ctf, struct stream *s, const struct trace_item *item)
{
	const struct kz_trace_record *rec = &item->rec;

	if (!ctf_has_event(rec->type)) {
		trace_bad(&ctf->trace, item, "a record of an unknown type");
		return;
	}
	if (rec->time < s->last) {
		trace_bad(&ctf->trace, item, "time goes back");
		return;
	}
	if (trace_ns(&ctf->trace, rec->time) > TIME_MAX) {
		trace_bad(&ctf->trace, item, "a time of centuries");
		return;
	}
	if (s->size + EVENT_MAX > PACKET_SIZE) {
		packet_end(ctf, s);
	}
	if (s->size == PACKET_HEAD) {
		s->begin = rec->time;
	}
	s->last = rec->time;
	put8(s, rec->type);
	put64(s, rec->time);
	if (rec->type >= KZ_TRACE_EXIT) {
		put_exit(s, rec);
	} else {
		put_fields(s, rec);
	}
	if (s->gap) {
		/* Readers take it that events were lost before a packet's end: be exact. */
		s->gap = false;
		packet_end(ctf, s);
	}
}

/* The earliest ones, until only so many wait. */
static void drain(struct ctf *ctf, struct stream *s, unsigned left)
{
	unsigned first = (s->count > left) ? s->count - left : 0;

	for (unsigned i = 0; i < first; i++) {
		put_event(ctf, s, &s->waiting[i]);
	}
	s->count -= first;
	memmove(s->waiting, &s->waiting[first], s->count * sizeof(s->waiting[0]));
}

static void take(struct ctf *ctf, const struct trace_item *item)
{
	struct stream *s = ctf->stream[item->core];
	unsigned at;

	if (item->lost > 0) {
		drain(ctf, s, 0);
		packet_end(ctf, s);
		s->discarded += item->lost;
		s->guest = KZ_TRACE_NOBODY;
		s->gap = true;
	}
	for (at = s->count; (at > 0) && (s->waiting[at - 1].rec.time > item->rec.time); at--) {
		s->waiting[at] = s->waiting[at - 1];
	}
	s->waiting[at] = *item;
	s->count++;
	if (s->count == WAITING) {
		drain(ctf, s, WAITING / 2);
	}
}

/* ---- Streams ---- */

static bool streams_open(struct ctf *ctf)
{
	for (uint32_t i = 0; i < ctf->trace.core_count; i++) {
		struct stream *s;
		char name[16];

		if (ctf->trace.core[i].records == 0) {
			continue;
		}
		s = calloc(1, sizeof(*s));
		if (s == NULL) {
			fputs("kztrace: out of memory\n", stderr);
			return false;
		}
		ctf->stream[i] = s;
		snprintf(name, sizeof(name), "core%u", (unsigned)i);
		s->core = i;
		s->guest = KZ_TRACE_NOBODY;
		s->size = PACKET_HEAD;
		s->file = out_dir_file(&ctf->dir, name);
		if (s->file == NULL) {
			return false;
		}
	}
	return true;
}

static bool streams_close(struct ctf *ctf)
{
	bool ok = true;

	for (uint32_t i = 0; i < KZ_TRACE_CORES; i++) {
		struct stream *s = ctf->stream[i];

		if ((s != NULL) && (s->file != NULL)) {
			drain(ctf, s, 0);
			packet_end(ctf, s);
			ok = (out_dir_end(&ctf->dir, s->file) == 0) && ok;
		}
		free(s);
	}
	return ok;
}

static bool put_metadata(struct ctf *ctf)
{
	FILE *file = out_dir_file(&ctf->dir, "metadata");

	if (file == NULL) {
		return false;
	}
	ctf_metadata(&ctf->trace, file);
	return out_dir_end(&ctf->dir, file) == 0;
}

static bool convert(struct ctf *ctf)
{
	struct trace_item item;
	bool ok = put_metadata(ctf) && streams_open(ctf);

	while (ok && !ctf->failed && trace_next(&ctf->trace, &item)) {
		take(ctf, &item);
	}
	return streams_close(ctf) && ok && !ctf->failed && !ctf->trace.failed;
}

int ctf_main(int argc, char **argv)
{
	static struct ctf ctf;
	bool ok;
	int closed;

	if ((argc == 2) && ((strcmp(argv[1], "--help") == 0) || (strcmp(argv[1], "-h") == 0))) {
		return command_help("ctf");
	}
	if ((argc != 3) || (argv[1][0] == '-') || (argv[2][0] == '-')) {
		return command_usage("ctf");
	}
	if (!trace_open(&ctf.trace, argv[1])) {
		return EXIT_WRONG;
	}
	ok = out_dir_open(&ctf.dir, argv[2]) == 0;
	if (ok) {
		ok = convert(&ctf);
		ok = (out_dir_close(&ctf.dir, ok) == 0) && ok;
	}
	closed = trace_close(&ctf.trace);
	return ok ? closed : EXIT_WRONG;
}
