/* SPDX-License-Identifier: Apache-2.0 */
/* What happened at a time: arrows, ticks and crosses, each with a text; and the legend. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "svg.h"
#include "timeline.h"
#include "why.h"

#define LEGEND_X    16
#define LEGEND_LINE 22

/* ---- What they say ---- */

/* Appends to a text of a size, as far as it fits. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
							 const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(&text[used], size - used, format, args);
	va_end(args);
}

/* Marks that are drawn as one. */
struct group {
	uint64_t from, to;
	double x, end; /* in the picture */
	uint64_t count;
	uint32_t arg;
};

static void say_group(const struct timeline *tl, FILE *out, const struct tl_row *row,
		      enum piece_kind kind, const struct group *g)
{
	const char *name = (row->vcpu < 0) ? "" : trace_vcpu_name(tl->trace, (uint8_t)row->vcpu);
	char intid[32] = "several INTIDs";
	char text[1200] = "";

	if (g->arg != PIECE_SEVERAL) {
		snprintf(intid, sizeof(intid), "INTID %" PRIu32, g->arg);
	}
	if (g->count > 1) {
		append(text, sizeof(text), "%" PRIu64 " %s from %s to %s: ", g->count,
		       (kind == PIECE_RELEASE)    ? "releases"
		       : (kind == PIECE_DEADLINE) ? "deadlines"
		       : (kind == PIECE_IRQ)      ? "interrupts"
						  : "missed deadlines",
		       tl_at(tl, g->from), tl_at(tl, g->to));
	}
	if (kind == PIECE_MISS) {
		append(text, sizeof(text), "%s%s", (g->count > 1) ? "the first: " : "",
		       why_missed(tl->trace, &tl->job[g->arg]));
	} else if (kind == PIECE_IRQ) {
		append(text, sizeof(text), "%s%s%s", intid,
		       (name[0] == '\0') ? "" : " injected into ", name);
	} else if (g->count > 1) {
		append(text, sizeof(text), "%s", name);
	} else {
		append(text, sizeof(text), "%s %s", name,
		       (kind == PIECE_RELEASE) ? "released" : "deadline");
	}
	if ((g->count == 1) && (kind != PIECE_MISS)) {
		append(text, sizeof(text), " at %s", tl_at(tl, g->from));
	}
	fputs("<title>", out);
	svg_escaped(out, text);
	fputs("</title>", out);
}

/* ---- How they look ---- */

static void put_point(FILE *out, char command, double x, double y)
{
	fputc(command, out);
	svg_number(out, x);
	fputc(' ', out);
	svg_number(out, y);
}

/* A shaft as high as the row, behind its bars; the head is above or below them. */
static void put_arrow(FILE *out, double x, double y, bool up)
{
	double end = y + TL_ARROWS_H;
	double tip = up ? y : end;
	double back = up ? y + 6 : end - 6;

	fputs("<path class=\"arrow\" d=\"", out);
	put_point(out, 'M', x, y);
	put_point(out, 'L', x, end);
	put_point(out, 'M', x, tip);
	put_point(out, 'L', x - 3, back);
	put_point(out, 'L', x + 3, back);
	fputs("z\"/>", out);
}

static void put_cross(FILE *out, double x, double y)
{
	for (unsigned i = 0; i < 2; i++) {
		fprintf(out, "<path class=\"%s\" d=\"", (i == 0) ? "halo" : "miss");
		put_point(out, 'M', x - 4, y - 4);
		put_point(out, 'L', x + 4, y + 4);
		put_point(out, 'M', x - 4, y + 4);
		put_point(out, 'L', x + 4, y - 4);
		fputs("\"/>", out);
	}
}

static void put_bar(FILE *out, const char *class, double x, double end, double y, double h)
{
	fprintf(out, "<path class=\"%s\" d=\"", class);
	svg_box(out, x, y, end - x, h);
	fputs("\"/>", out);
}

/* One mark as itself, several as a bar from the first to the last one. */
static void put_group(const struct timeline *tl, FILE *out, const struct tl_row *row,
		      enum piece_kind kind, const struct group *g)
{
	double y = row->y + TL_MARKS_Y;
	double end = (g->end - g->x < 2) ? g->x + 2 : g->end;

	fputs("<g>", out);
	say_group(tl, out, row, kind, g);
	if (kind == PIECE_IRQ) {
		bool core = row->vcpu < 0;

		put_bar(out, (g->count == 1) ? "tick" : "several", g->x - 0.5,
			(g->count == 1) ? g->x + 0.5 : end,
			row->y + (core ? TL_IRQ_Y : TL_INJECT_Y), core ? TL_IRQ_H : TL_INJECT_H);
	} else if (kind == PIECE_MISS) {
		put_cross(out, g->x, y + 4);
		if (g->count > 1) {
			put_bar(out, "miss", g->x, end, y + 3, 2);
		}
	} else if (g->count == 1) {
		put_arrow(out, g->x, y, kind == PIECE_RELEASE);
	} else {
		put_bar(out, "several", g->x - 1, end + 1,
			(kind == PIECE_RELEASE) ? y + 1 : y + TL_ARROWS_H - 1, 2);
	}
	fputs("</g>\n", out);
}

void tl_put_marks(const struct timeline *tl, FILE *out, const struct tl_row *row)
{
	static const double gap[PIECE_KINDS] = {
		[PIECE_RELEASE] = TL_ARROW_GAP,
		[PIECE_DEADLINE] = TL_ARROW_GAP,
		[PIECE_IRQ] = TL_TICK_GAP,
		[PIECE_MISS] = TL_MISS_GAP,
	};

	fprintf(out, "<g id=\"r%umarks\">\n", row->list);
	for (unsigned kind = PIECE_MARKS; kind < PIECE_KINDS; kind++) {
		const struct piece_list *list = tl_list(tl, row, kind);
		struct group g = { 0 };

		for (size_t i = 0; i < list->count; i++) {
			const struct piece *p = &list->piece[i];
			double scale = (double)tl->plot_w / (double)(tl->to - tl->from);
			double x = tl->plot_x + (double)(p->from - tl->from) * scale;

			if ((g.count > 0) && ((x - g.end >= gap[kind]) || (x - g.x >= TL_GROUP))) {
				put_group(tl, out, row, kind, &g);
				g.count = 0;
			}
			if (g.count == 0) {
				g = (struct group){ .from = p->from, .x = x, .arg = p->arg };
			}
			g.count += p->covered;
			g.to = p->to;
			g.end = tl->plot_x + (double)(p->to - tl->from) * scale;
			if ((g.arg != p->arg) && (kind != PIECE_MISS)) {
				g.arg = PIECE_SEVERAL;
			}
		}
		if (g.count > 0) {
			put_group(tl, out, row, kind, &g);
		}
	}
	fputs("</g>\n", out);
}

/* ---- The legend ---- */

enum sample { RUNS, WAITS, THROTTLED, HYP, IRQ, RELEASE, DEADLINE, MISS, SEVERAL, LOST, SAMPLES };

static void put_sample(FILE *out, enum sample what, double x, double y)
{
	static const struct {
		const char *look;
		double y, h;
	} bar[SAMPLES] = {
		[RUNS] = { "fill=\"#56b4e9\"", -12, 14 },
		[WAITS] = { "fill=\"#56b4e9\"", -7, TL_WAIT_H },
		[THROTTLED] = { "fill=\"url(#t0)\"", -12, 14 },
		[HYP] = { "class=\"hv\"", -11, TL_HV_H },
		[LOST] = { "class=\"lost\"", -12, 14 },
		[SEVERAL] = { "class=\"several\"", -6, 2 },
	};

	if (bar[what].look != NULL) {
		fprintf(out, "<path %s d=\"", bar[what].look);
		svg_box(out, x, y + bar[what].y, 22, bar[what].h);
		fputs("\"/>\n", out);
	} else if (what == IRQ) {
		put_bar(out, "tick", x + 8, x + 9, y - 9, TL_IRQ_H);
		put_bar(out, "tick", x + 13, x + 14, y - 9, TL_IRQ_H);
	} else if (what == MISS) {
		put_cross(out, x + 11, y - 5);
	} else {
		fprintf(out, "<path class=\"arrow\" d=\"M%g %gv16M%g %gl-3 %dh6z\"/>\n", x + 11,
			y - 12, x + 11, (what == RELEASE) ? y - 12 : y + 4,
			(what == RELEASE) ? 6 : -6);
	}
}

unsigned tl_put_legend(const struct timeline *tl, FILE *out, unsigned y)
{
	static const char *const words[SAMPLES] = {
		[RUNS] = "executes (colour: its VM)",
		[WAITS] = "ready, waits for the core",
		[THROTTLED] = "without budget",
		[HYP] = "hypervisor",
		[IRQ] = "interrupt",
		[RELEASE] = "release",
		[DEADLINE] = "deadline",
		[MISS] = "deadline missed",
		[SEVERAL] = "several marks",
		[LOST] = "unknown: no records",
	};
	double x = LEGEND_X;
	unsigned line = y + 12;

	for (unsigned i = 0; i < SAMPLES; i++) {
		double width = 28 + svg_text_width(words[i], 11) + 12;

		if ((x > LEGEND_X) && (x + width > tl->width - LEGEND_X)) {
			x = LEGEND_X;
			line += LEGEND_LINE;
		}
		put_sample(out, i, x, line);
		svg_text(out, x + 28, line, "", words[i]);
		x += width;
	}
	return line + 10 - y;
}
