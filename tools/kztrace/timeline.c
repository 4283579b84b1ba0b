/* SPDX-License-Identifier: Apache-2.0 */
/* kztrace timeline: who had each core, and when, as a picture. */
#include "timeline.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "commands.h"
#include "out.h"
#include "range.h"

struct options {
	const char *file, *output;
	struct range range;
	unsigned width;
};

/* ---- What the picture has ---- */

/* The part of [from, to) that the picture shows. */
static bool clip(const struct timeline *tl, uint64_t *from, uint64_t *to)
{
	*from = (*from < tl->from) ? tl->from : *from;
	*to = (*to > tl->to) ? tl->to : *to;
	return *from < *to;
}

static bool is_shown(const struct timeline *tl, uint64_t at)
{
	return (at >= tl->from) && (at <= tl->to);
}

static unsigned vcpu_list(uint8_t vcpu)
{
	return KZ_CPUS_MAX + TRACE_SLOT(vcpu);
}

static void on_span(void *ctx, const struct replay_span *s)
{
	struct timeline *tl = ctx;
	uint64_t from = s->from, to = s->to;

	if ((s->what == REPLAY_HYP) &&
	    (s->class == KZ_TRACE_IRQ || s->class == REPLAY_WAKE || s->class == KZ_TRACE_KICK ||
	     s->class == KZ_TRACE_MAINT) &&
	    is_shown(tl, s->from)) {
		pieces_mark(&tl->pieces, s->core, PIECE_IRQ, s->from, s->arg);
	}
	if (!clip(tl, &from, &to)) {
		return;
	}
	switch (s->what) {
	case REPLAY_GUEST:
		pieces_span(&tl->pieces, vcpu_list(s->vcpu), PIECE_RUN, from, to);
		break;
	case REPLAY_HYP:
		pieces_span(&tl->pieces, s->core, PIECE_HV, from, to);
		break;
	case REPLAY_UNKNOWN:
		pieces_span(&tl->pieces, s->core, PIECE_LOST, from, to);
		break;
	case REPLAY_SLEEP:
		break;
	}
}

static void on_state(void *ctx, const struct replay_vspan *s)
{
	struct timeline *tl = ctx;
	uint64_t from = s->from, to = s->to;

	if (!clip(tl, &from, &to)) {
		return;
	}
	if (s->state == REPLAY_V_READY) {
		pieces_span(&tl->pieces, vcpu_list(s->vcpu), PIECE_WAIT, from, to);
	} else if (s->state == REPLAY_V_THROTTLED) {
		pieces_span(&tl->pieces, vcpu_list(s->vcpu), PIECE_THROTTLED, from, to);
	} else if (s->state == REPLAY_V_UNKNOWN) {
		pieces_span(&tl->pieces, vcpu_list(s->vcpu), PIECE_LOST, from, to);
	}
}

static void on_event(void *ctx, const struct replay_event *e)
{
	struct timeline *tl = ctx;

	switch (e->type) {
	case REPLAY_LOST:
		tl->lost += ((e->time >= tl->from) && (e->from <= tl->to)) ? e->lost : 0;
		break;
	case KZ_TRACE_RELEASE:
		if (is_shown(tl, e->time)) {
			pieces_mark(&tl->pieces, vcpu_list(e->vcpu), PIECE_RELEASE, e->time, 0);
		}
		if (is_shown(tl, e->due)) {
			pieces_mark(&tl->pieces, vcpu_list(e->vcpu), PIECE_DEADLINE, e->due, 0);
		}
		break;
	case KZ_TRACE_INJECT:
		if (is_shown(tl, e->time)) {
			pieces_mark(&tl->pieces, vcpu_list(e->vcpu), PIECE_IRQ, e->time, e->arg);
		}
		break;
	default:
		break;
	}
}

/* Jobs that no mark speaks of any more, since marks were merged, are forgotten. */
static void jobs_compact(struct timeline *tl)
{
	struct replay_job *kept = malloc(2 * TL_MISSES * sizeof(*kept));
	size_t count = 0;

	if (kept == NULL) {
		fputs("kztrace: out of memory\n", stderr);
		exit(EXIT_WRONG);
	}
	for (unsigned row = 0; row < PIECES_ROWS; row++) {
		struct piece_list *list = &tl->misses.list[row][PIECE_MISS];

		for (size_t i = 0; i < list->count; i++) {
			kept[count] = tl->job[list->piece[i].arg];
			list->piece[i].arg = (uint32_t)count++;
		}
	}
	free(tl->job);
	tl->job = kept;
	tl->job_count = count;
}

static void on_job(void *ctx, const struct replay_job *j)
{
	struct timeline *tl = ctx;
	uint64_t at = j->has_due ? j->due : j->missed_at;

	if (!j->missed || !is_shown(tl, at)) {
		return;
	}
	if (tl->job_count == 2 * TL_MISSES) {
		jobs_compact(tl);
	}
	tl->job[tl->job_count] = *j;
	pieces_mark(&tl->misses, vcpu_list(j->vcpu), PIECE_MISS, at, (uint32_t)tl->job_count++);
}

static bool read_all(struct timeline *tl)
{
	static const struct replay_ops ops = {
		.span = on_span,
		.state = on_state,
		.job = on_job,
		.event = on_event,
	};
	unsigned rows = tl->trace->core_count;

	for (unsigned v = 0; v < tl->trace->cfg->vm_count; v++) {
		rows += blob_vm(tl->trace->cfg, v)->vcpu_count;
	}
	pieces_init(&tl->pieces,
		    (rows * TL_PIECES < TL_PIECES_MAX) ? rows * TL_PIECES : TL_PIECES_MAX);
	pieces_init(&tl->misses, TL_MISSES);
	tl->misses.keep_arg = true;
	tl->job = malloc(2 * TL_MISSES * sizeof(*tl->job));
	if (tl->job == NULL) {
		fputs("kztrace: out of memory\n", stderr);
		exit(EXIT_WRONG);
	}
	return replay(tl->trace, &ops, tl);
}

/* ---- Options ---- */

static int usage_error(const char *what)
{
	fprintf(stderr, "kztrace: timeline: %s\n", what);
	return command_usage("timeline");
}

static bool parse_width(const char *text, unsigned *width)
{
	char *end;
	long value = strtol(text, &end, 10);

	if ((*end != '\0') || (value < TL_WIDTH_MIN) || (value > TL_WIDTH_MAX)) {
		fprintf(stderr, "kztrace: timeline: --width is %d to %d pixels, not %s\n",
			TL_WIDTH_MIN, TL_WIDTH_MAX, text);
		return false;
	}
	*width = (unsigned)value;
	return true;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "width", required_argument, NULL, 'w' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .range = RANGE_ALL, .width = 1200 };
	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
		if (c == 'o') {
			o->output = optarg;
		} else if (c == 'h') {
			exit(command_help("timeline"));
		} else if (c == '?') {
			return command_usage("timeline");
		} else if (!((c == 'w') ? parse_width(optarg, &o->width)
					: range_option(&o->range, "timeline", c, optarg))) {
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		return usage_error((optind == argc) ? "no FILE" : "more than one FILE");
	}
	o->file = argv[optind];
	return (o->output == NULL) ? usage_error("no -o") : EXIT_SUCCESS;
}

static int draw(struct timeline *tl, const char *name)
{
	struct out out;

	if (out_open(&out, name) != 0) {
		return EXIT_WRONG;
	}
	tl_draw(tl, out.file);
	return (out_close(&out, true) == 0) ? EXIT_SUCCESS : EXIT_WRONG;
}

int timeline_main(int argc, char **argv)
{
	static struct timeline tl;
	static struct trace trace;
	struct options o;
	int err = parse(argc, argv, &o);
	int closed;

	if (err != EXIT_SUCCESS) {
		return err;
	}
	if (!trace_open(&trace, o.file)) {
		return EXIT_WRONG;
	}
	memset(&tl, 0, sizeof(tl)); /* a caller may draw more than one */
	tl.trace = &trace;
	tl.width = o.width;
	err = range_ticks(&o.range, "timeline", &trace, &tl.from, &tl.to);
	if ((err == EXIT_SUCCESS) && (tl.from == tl.to)) {
		fprintf(stderr, "kztrace: %s: nothing to draw: no time passes in it\n", o.file);
		err = EXIT_WRONG;
	}
	if (err == EXIT_SUCCESS) {
		err = read_all(&tl) ? draw(&tl, o.output) : EXIT_WRONG;
	}
	pieces_free(&tl.pieces);
	pieces_free(&tl.misses);
	free(tl.job);
	closed = trace_close(&trace);
	return (err == EXIT_SUCCESS) ? closed : err;
}
