/* SPDX-License-Identifier: Apache-2.0 */
/* The picture: a band for each core, in it a row for each vCPU; time to the right. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "svg.h"
#include "timeline.h"
#include "when.h"

#define MARGIN    16
#define GUTTER    186 /* names, left of the plot */
#define SHARES    62  /* right of it */
#define BAND_GAP  8
#define LABEL_GAP 36 /* between two labels of the axis, at least */

/*
 * One for each VM that there can be. They keep apart from each other, from the hypervisor's and
 * from red with each kind of colour blindness too; the lightest come last.
 */
static const char *const colours[KZ_VMS_MAX] = {
	"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#8a4fe0", "#a0e080", "#f0e442",
};

static const char style[] =
	"<style>\n"
	"text { font-family: 'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif;"
	" font-size: 11px; fill: #1f2530 }\n"
	".title { font-size: 19px; font-weight: bold }\n"
	".name { font-size: 13px }\n"
	".core { font-size: 13px; font-weight: bold }\n"
	".dim { fill: #566070 }\n"
	".right { text-anchor: end }\n"
	".axis { text-anchor: middle }\n"
	".band { fill: #f4f6f8; stroke: #c9d0d8 }\n"
	".grid { stroke: #dce1e7; fill: none }\n"
	".base { stroke: #c9d0d8; fill: none }\n"
	".hv { fill: #2b303b }\n"
	".lost { fill: url(#lost) }\n"
	".arrow { stroke: #11151c; stroke-width: 1.2; fill: #11151c }\n"
	".halo { stroke: #ffffff; stroke-opacity: .75; stroke-width: 3.4; fill: none }\n"
	".tick { fill: #566070 }\n"
	".several { fill: #8a94a2 }\n"
	".miss { stroke: #d00000; stroke-width: 2.2; fill: #d00000 }\n"
	"</style>\n"
	"<defs>\n"
	"<pattern id=\"lost\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
	"<rect width=\"6\" height=\"6\" fill=\"#e9ecf0\"/>"
	"<path d=\"M0 6L6 0\" stroke=\"#b4bcc7\"/></pattern>\n";

const char *tl_colour(unsigned vm)
{
	return colours[vm % KZ_VMS_MAX];
}

const struct piece_list *tl_list(const struct timeline *tl, const struct tl_row *row,
				 enum piece_kind kind)
{
	return (kind == PIECE_MISS) ? &tl->misses.list[row->list][kind]
				    : &tl->pieces.list[row->list][kind];
}

const char *tl_at(const struct timeline *tl, uint64_t ticks)
{
	static char text[4][WHEN_MAX];
	static unsigned turn;

	turn = (turn + 1) % 4;
	return when_exact(text[turn], trace_ns(tl->trace, ticks - tl->trace->begin));
}

/* Where a time is in the plot, in pixels from its left edge. */
static double place(const struct timeline *tl, uint64_t ticks)
{
	return (double)(ticks - tl->from) / (double)(tl->to - tl->from) * tl->plot_w;
}

/* ---- Spans ---- */

/* A lane: where its bars are, and the least height of a column with anything in it. */
struct lane {
	double y, h, least;
};

/*
 * A span as wide as a pixel or wider is drawn as it is. What is narrower, and what was merged
 * before, is added up in columns of a pixel's width: how much of the column it is.
 */
static void sort_out(const struct timeline *tl, const struct piece_list *list,
		     const struct lane *lane, FILE *path, double *column)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct piece *p = &list->piece[i];
		double x = place(tl, p->from), end = place(tl, p->to);
		double density = (double)p->covered / (double)(p->to - p->from);

		if ((end - x >= 1) && (p->covered == p->to - p->from)) {
			svg_box(path, tl->plot_x + x, lane->y, end - x, lane->h);
			continue;
		}
		for (unsigned c = (unsigned)x; (c < tl->plot_w) && (c < end); c++) {
			double left = (x > c) ? x : c;
			double right = (end < c + 1) ? end : c + 1;

			column[c] += (right - left) * density;
		}
	}
}

static double column_height(const struct lane *lane, double share)
{
	double height = (share >= 1) ? lane->h : share * lane->h;

	/* Halves of pixels are fine enough, and neighbours become one. */
	height = (double)(int)(height * 2 + 0.5) / 2;
	return (share <= 0) ? 0 : (height < lane->least) ? lane->least : height;
}

/* Columns, from the lane's bottom, or on what stands there already. */
static void put_columns(const struct timeline *tl, const struct lane *lane, FILE *path,
			const double *column, const double *below)
{
	for (unsigned c = 0, end; c < tl->plot_w; c = end) {
		double h = column_height(lane, column[c]);
		double base = (below == NULL) ? 0 : column_height(lane, below[c]);

		end = c + 1;
		while ((end < tl->plot_w) && (column_height(lane, column[end]) == h) &&
		       ((below == NULL) || (column_height(lane, below[end]) == base))) {
			end++;
		}
		base = (base + h > lane->h) ? lane->h - h : base;
		if (h > 0) {
			svg_box(path, tl->plot_x + c, lane->y + lane->h - base - h, end - c, h);
		}
	}
}

/* A lane of one kind of spans; class or fill: how it looks. */
static void put_lane(const struct timeline *tl, FILE *out, const struct tl_row *row,
		     enum piece_kind kind, struct lane lane, const char *look, double *column,
		     const double *below)
{
	memset(column, 0, tl->plot_w * sizeof(*column));
	fprintf(out, "<path id=\"r%uk%u\" %s d=\"", row->list, kind, look);
	sort_out(tl, tl_list(tl, row, kind), &lane, out, column);
	put_columns(tl, &lane, out, column, below);
	fputs("\"/>\n", out);
}

static void put_spans(const struct timeline *tl, FILE *out, const struct tl_row *row)
{
	static double ran[TL_WIDTH_MAX], column[TL_WIDTH_MAX];
	char look[64];
	unsigned vm;

	if (row->vcpu < 0) {
		put_lane(tl, out, row, PIECE_LOST,
			 (struct lane){ row->y + 2, TL_CORE_H - 4, TL_CORE_H - 4 },
			 "class=\"lost\"", column, NULL);
		put_lane(tl, out, row, PIECE_HV,
			 (struct lane){ row->y + TL_HV_Y, TL_HV_H, TL_LEAST_HV }, "class=\"hv\"",
			 column, NULL);
		return;
	}
	vm = TRACE_VM(row->vcpu);
	put_lane(tl, out, row, PIECE_LOST,
		 (struct lane){ row->y + TL_WAIT_Y, TL_WAIT_H, TL_WAIT_H }, "class=\"lost\"",
		 column, NULL);
	snprintf(look, sizeof(look), "fill=\"%s\"", tl_colour(vm));
	put_lane(tl, out, row, PIECE_RUN, (struct lane){ row->y + TL_LANE_Y, TL_LANE_H, TL_LEAST },
		 look, ran, NULL);
	put_lane(tl, out, row, PIECE_WAIT,
		 (struct lane){ row->y + TL_WAIT_Y, TL_WAIT_H, TL_LEAST_WAIT }, look, column, NULL);
	snprintf(look, sizeof(look), "fill=\"url(#t%u)\"", vm);
	put_lane(tl, out, row, PIECE_THROTTLED,
		 (struct lane){ row->y + TL_LANE_Y, TL_LANE_H, TL_LEAST }, look, column, ran);
}

/* ---- Names and shares ---- */

static const char *describe(const struct kz_cfg_vm *vm)
{
	static const char *const level[KZ_LEVELS] = { "HRT", "SRT", "NRT" };
	static char text[96];
	char budget[WHEN_MAX], period[WHEN_MAX];

	if (vm->level == KZ_HRT) {
		return "HRT";
	}
	if (vm->server.budget_ns != 0) {
		snprintf(text, sizeof(text), "%s  %s in %s", level[vm->level],
			 when_exact(budget, vm->server.budget_ns),
			 when_exact(period, vm->server.period_ns));
	} else {
		snprintf(text, sizeof(text), "%s  weight %" PRIu32, level[vm->level],
			 vm->server.weight);
	}
	return text;
}

/* How much of the picture's time a row has had. */
static void put_share(const struct timeline *tl, FILE *out, const struct tl_row *row)
{
	const struct piece_list *list = tl_list(tl, row, (row->vcpu < 0) ? PIECE_HV : PIECE_RUN);
	double y = row->y + ((row->vcpu < 0) ? TL_HV_Y + 10 : TL_LANE_Y + 12);
	uint64_t sum = 0;
	char text[16];

	for (size_t i = 0; i < list->count; i++) {
		sum += list->piece[i].covered;
	}
	snprintf(text, sizeof(text), "%.2f %%", 100 * (double)sum / (double)(tl->to - tl->from));
	fprintf(out, "<g id=\"r%ushare\">", row->list);
	svg_text(out, tl->width - MARGIN - 6, y, "right", text);
	fputs("</g>\n", out);
}

static void put_row(const struct timeline *tl, FILE *out, const struct tl_row *row)
{
	const struct kz_cfg *cfg = tl->trace->cfg;
	char text[32];

	if (row->vcpu < 0) {
		snprintf(text, sizeof(text), "Core %" PRIu32, row->core);
		svg_text(out, MARGIN + 8, row->y + 20, "core", text);
		svg_text(out, tl->plot_x - 8, row->y + 22, "dim right", "hypervisor");
	} else {
		fprintf(out,
			"<rect x=\"%d\" y=\"%u\" width=\"5\" height=\"%d\" fill=\"%s\"/>\n"
			"<path class=\"base\" d=\"M%u %u.5h%u\"/>\n",
			MARGIN + 8, row->y + TL_LANE_Y - 6, TL_LANE_H + 12,
			tl_colour(TRACE_VM(row->vcpu)), tl->plot_x, row->y + TL_WAIT_Y + TL_WAIT_H,
			tl->plot_w);
		svg_text(out, MARGIN + 20, row->y + TL_LANE_Y + 5, "name",
			 trace_vcpu_name(tl->trace, (uint8_t)row->vcpu));
		svg_text(out, MARGIN + 20, row->y + TL_LANE_Y + 20, "dim",
			 describe(blob_vm(cfg, TRACE_VM(row->vcpu))));
	}
	tl_put_marks(tl, out, row);
	put_spans(tl, out, row);
	put_share(tl, out, row);
}

/* ---- The axis ---- */

static uint64_t axis_unit(uint64_t step)
{
	return (step >= 100000000) ? 1000000000
	       : (step >= 100000)  ? 1000000
	       : (step >= 100)     ? 1000
				   : 1;
}

static const char *axis_label(char text[WHEN_MAX + 8], uint64_t at, uint64_t step)
{
	char number[WHEN_MAX];

	snprintf(text, WHEN_MAX + 8, "%s %s", when_number(number, at, axis_unit(step), step),
		 when_unit(axis_unit(step)));
	return text;
}

/* 1, 2 or 5 times a power of ten, in ns, so that labels up to `last` have room. */
static uint64_t axis_step(const struct timeline *tl, double range_ns, uint64_t last)
{
	static const unsigned factor[3] = { 1, 2, 5 };
	char text[WHEN_MAX + 8];
	uint64_t power = 1;

	for (unsigned i = 0;; i++) {
		uint64_t step = power * factor[i % 3];
		double room = (double)step / range_ns * tl->plot_w;

		if (room >= svg_text_width(axis_label(text, last, step), 11) + LABEL_GAP) {
			return step;
		}
		power *= (i % 3 == 2) ? 10 : 1;
	}
}

/* Grid and labels, above and below. Numbers count from the trace's begin. */
static void put_axis(const struct timeline *tl, FILE *out, unsigned top, unsigned bottom)
{
	uint64_t from = trace_ns(tl->trace, tl->from - tl->trace->begin);
	uint64_t to = trace_ns(tl->trace, tl->to - tl->trace->begin);
	double range = (double)(tl->to - tl->from) * 1e9 / (double)tl->trace->hz;
	uint64_t step = axis_step(tl, range, to);
	char text[WHEN_MAX + 8];

	fputs("<g id=\"axis\">\n", out);
	/* Counted: the last one plus a step may be beyond what 64 bits hold. */
	for (uint64_t i = from / step + ((from % step != 0) ? 1 : 0); i <= to / step; i++) {
		uint64_t at = i * step;
		double x = tl->plot_x + (double)(at - from) / range * tl->plot_w;

		fputs("<path class=\"grid\" d=\"M", out);
		svg_number(out, x);
		fprintf(out, " %uV%u\"/>\n", top, bottom);
		svg_text(out, x, top - 6, "axis", axis_label(text, at, step));
		svg_text(out, x, bottom + 14, "axis", text);
	}
	fputs("</g>\n", out);
}

/* ---- The page ---- */

static void add_row(struct timeline *tl, unsigned list, uint32_t core, int vcpu, unsigned *y)
{
	tl->row[tl->row_count++] = (struct tl_row){ list, core, vcpu, *y };
	*y += (vcpu < 0) ? TL_CORE_H : TL_ROW_H;
}

/* Of a core: itself, then its vCPUs in the order of the configuration. */
static void add_band(struct timeline *tl, uint32_t core, unsigned *y)
{
	const struct kz_cfg *cfg = tl->trace->cfg;

	add_row(tl, core, core, -1, y);
	for (unsigned v = 0; v < cfg->vm_count; v++) {
		for (unsigned c = 0; c < blob_vm(cfg, v)->vcpu_count; c++) {
			unsigned list = KZ_CPUS_MAX + v * KZ_VCPUS_MAX + c;

			if (blob_vm(cfg, v)->cpu[c] == core) {
				add_row(tl, list, core, (int)KZ_TRACE_VCPU(v, c), y);
			}
		}
	}
}

static void put_defs(const struct timeline *tl, FILE *out)
{
	fputs(style, out);
	for (unsigned v = 0; v < tl->trace->cfg->vm_count; v++) {
		fprintf(out,
			"<pattern id=\"t%u\" width=\"5\" height=\"5\" "
			"patternUnits=\"userSpaceOnUse\"><rect width=\"5\" height=\"5\" "
			"fill=\"#ffffff\"/><path d=\"M-1 1L1 -1M0 5L5 0M4 6L6 4\" stroke=\"%s\" "
			"stroke-width=\"1.8\"/></pattern>\n",
			v, tl_colour(v));
	}
	fputs("</defs>\n", out);
}

/* The file's name, as much of it as there is room for. */
static void put_name(const struct timeline *tl, FILE *out, const char *name)
{
	char text[256];
	size_t length;

	snprintf(text, sizeof(text), "%s", name);
	for (length = strlen(text); svg_text_width(text, 19) > tl->width - 2 * MARGIN;) {
		text[--length] = '\0';
	}
	svg_text(out, MARGIN, 30, "title", text);
}

static void put_title(const struct timeline *tl, FILE *out)
{
	const struct trace *t = tl->trace;
	const char *slash = strrchr(t->path, '/');
	char text[256];

	put_name(tl, out, (slash == NULL) ? t->path : slash + 1);
	snprintf(text, sizeof(text),
		 "Board %s, %" PRIu32 " core%s. From %s to %s, of %s in the trace.",
		 t->cfg->machine.board, t->core_count, (t->core_count == 1) ? "" : "s",
		 tl_at(tl, tl->from), tl_at(tl, tl->to), tl_at(tl, t->end));
	svg_text(out, MARGIN, 49, "dim", text);
}

/* Are spans merged that would be apart by a pixel or more? */
static bool is_coarse(const struct timeline *tl)
{
	return (tl->to - tl->from) / tl->plot_w < tl->pieces.cell;
}

static void put_notes(const struct timeline *tl, FILE *out, unsigned y)
{
	char text[256], time[WHEN_MAX];

	svg_text(out, MARGIN, y, "dim",
		 "Spans narrower than a pixel are added up: a column's height is their share of "
		 "its");
	svg_text(out, MARGIN, y + 16, "dim",
		 "time, but at least 2 pixels (waiting: 1, the hypervisor: 3).");
	if (tl->lost != 0) {
		snprintf(text, sizeof(text), "%" PRIu64 " records of this range were lost.",
			 tl->lost);
		svg_text(out, MARGIN, y + 32, "dim", text);
		y += 16;
	}
	if (is_coarse(tl)) {
		snprintf(text, sizeof(text),
			 "There are so many spans that those within %s are one.",
			 when_exact(time, trace_ns(tl->trace, tl->pieces.cell)));
		svg_text(out, MARGIN, y + 32, "dim", text);
		y += 16;
	}
	fprintf(out, "<g id=\"hint\" transform=\"translate(%d %u)\"></g>\n", MARGIN, y + 32);
}

static void put_bands(const struct timeline *tl, FILE *out, unsigned bottom)
{
	for (unsigned i = 0; i < tl->row_count; i++) {
		unsigned end = bottom + BAND_GAP;

		for (unsigned k = tl->row_count - 1; k > i; k--) {
			end = (tl->row[k].vcpu < 0) ? tl->row[k].y : end;
		}
		if (tl->row[i].vcpu < 0) {
			fprintf(out,
				"<rect class=\"band\" x=\"%d.5\" y=\"%u.5\" width=\"%u\" "
				"height=\"%u\" rx=\"4\"/>\n",
				MARGIN, tl->row[i].y, tl->width - 2 * MARGIN,
				end - BAND_GAP - tl->row[i].y);
		}
	}
}

void tl_draw(struct timeline *tl, FILE *out)
{
	char *legend = NULL;
	size_t size;
	FILE *memory = open_memstream(&legend, &size);
	unsigned top, bottom, height;

	if (memory == NULL) {
		fputs("kztrace: out of memory\n", stderr);
		exit(EXIT_WRONG);
	}
	tl->plot_x = MARGIN + GUTTER;
	tl->plot_w = tl->width - tl->plot_x - SHARES - MARGIN;
	top = 64 + tl_put_legend(tl, memory, 64) + 38;
	(void)fclose(memory);
	bottom = top;
	for (uint32_t core = 0; core < tl->trace->core_count; core++) {
		bottom += (core == 0) ? 0 : BAND_GAP;
		add_band(tl, core, &bottom);
	}
	tl->top = top;
	tl->bottom = bottom;
	height = bottom + 80 + ((tl->lost != 0) ? 16 : 0) +
		 (is_coarse(tl) ? 16 : 0); /* notes, a line of the script's */
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\">\n",
		tl->width, height, tl->width, height);
	put_defs(tl, out);
	fprintf(out, "<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n", tl->width, height);
	put_title(tl, out);
	fputs(legend, out);
	free(legend);
	put_bands(tl, out, bottom);
	put_axis(tl, out, top, bottom);
	svg_text(out, tl->width - MARGIN - 6, top - 21, "dim right", "share");
	for (unsigned i = 0; i < tl->row_count; i++) {
		put_row(tl, out, &tl->row[i]);
	}
	put_notes(tl, out, bottom + 36);
	tl_put_zoom(tl, out);
	fputs("</svg>\n", out);
}
