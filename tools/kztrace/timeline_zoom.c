/* SPDX-License-Identifier: Apache-2.0 */
/* What a browser zooms with: all pieces as JSON in <metadata>, and timeline.js. */
#include <inttypes.h>

#include "svg.h"
#include "timeline.h"
#include "why.h"

/* timeline.js, as a string. */
__asm__(".section .rodata\n"
	"tl_script:\n"
	"\t.incbin \"tools/kztrace/timeline.js\"\n"
	"\t.byte 0\n"
	"\t.previous\n");
extern const char tl_script[] __attribute__((visibility("hidden")));

/* In differences, which are short: the script has the same. */
static void put_list(const struct timeline *tl, FILE *out, const struct piece_list *list, bool mark)
{
	uint64_t before = tl->from;

	for (size_t i = 0; i < list->count; i++) {
		const struct piece *p = &list->piece[i];
		uint64_t length = p->to - p->from;

		fprintf(out, "%s%" PRIu64 ",%" PRIu64 ",%" PRIu64, (i == 0) ? "" : ",",
			p->from - before, length, mark ? p->covered : length - p->covered);
		if (mark) {
			fprintf(out, ",%" PRId32, (p->arg == PIECE_SEVERAL) ? -1 : (int32_t)p->arg);
		}
		before = mark ? p->from : p->to;
	}
}

static void put_row(const struct timeline *tl, FILE *out, const struct tl_row *row)
{
	bool first = true;

	fprintf(out, "{\"list\":%u,\"y\":%u,\"h\":%d,\"vcpu\":%s,\"name\":\"", row->list, row->y,
		(row->vcpu < 0) ? TL_CORE_H : TL_ROW_H, (row->vcpu < 0) ? "false" : "true");
	if (row->vcpu < 0) {
		fprintf(out, "core %" PRIu32, row->core);
	} else {
		svg_escaped(out, trace_vcpu_name(tl->trace, (uint8_t)row->vcpu));
	}
	fputs("\",\"lists\":{", out);
	for (unsigned kind = 0; kind < PIECE_KINDS; kind++) {
		const struct piece_list *list = tl_list(tl, row, kind);

		if (list->count > 0) {
			fprintf(out, "%s\"%u\":[", first ? "" : ",", kind);
			put_list(tl, out, list, kind >= PIECE_MARKS);
			fputs("]", out);
			first = false;
		}
	}
	fputs("}}", out);
}

/* Where lanes are in a row; their least heights as timeline_draw.c has them. */
static void put_lanes(FILE *out)
{
	fprintf(out,
		"\"lanes\":[{\"%d\":{\"y\":2,\"h\":%d,\"least\":%d},"
		"\"%d\":{\"y\":%d,\"h\":%d,\"least\":%d}},",
		PIECE_LOST, TL_CORE_H - 4, TL_CORE_H - 4, PIECE_HV, TL_HV_Y, TL_HV_H, TL_LEAST_HV);
	fprintf(out,
		"{\"%d\":{\"y\":%d,\"h\":%d,\"least\":%d},\"%d\":{\"y\":%d,\"h\":%d,\"least\":%d},"
		"\"%d\":{\"y\":%d,\"h\":%d,\"least\":%d},\"%d\":{\"y\":%d,\"h\":%d,\"least\":%d}}],"
		"\n",
		PIECE_LOST, TL_WAIT_Y, TL_WAIT_H, TL_WAIT_H, PIECE_RUN, TL_LANE_Y, TL_LANE_H,
		TL_LEAST, PIECE_WAIT, TL_WAIT_Y, TL_WAIT_H, TL_LEAST_WAIT, PIECE_THROTTLED,
		TL_LANE_Y, TL_LANE_H, TL_LEAST);
	fprintf(out, "\"ticks\":[{\"y\":%d,\"h\":%d},{\"y\":%d,\"h\":%d}],", TL_IRQ_Y, TL_IRQ_H,
		TL_INJECT_Y, TL_INJECT_H);
	fprintf(out, "\"mark\":%d,\"arrow\":%d,\"group\":%d,", TL_MARKS_Y, TL_ARROWS_H, TL_GROUP);
	fprintf(out, "\"gap\":{\"%d\":%d,\"%d\":%d,\"%d\":%d,\"%d\":%d},\n", PIECE_RELEASE,
		TL_ARROW_GAP, PIECE_DEADLINE, TL_ARROW_GAP, PIECE_IRQ, TL_TICK_GAP, PIECE_MISS,
		TL_MISS_GAP);
}

void tl_put_zoom(const struct timeline *tl, FILE *out)
{
	uint64_t cell = tl->pieces.cell;

	cell = (tl->misses.cell > cell) ? tl->misses.cell : cell;
	fprintf(out,
		"<metadata>{\"x\":%u,\"w\":%u,\"top\":%u,\"bottom\":%u,\"hz\":%" PRIu64
		",\"offset\":%" PRIu64 ",\"range\":%" PRIu64 ",\"cell\":%" PRIu64 ",\n",
		tl->plot_x, tl->plot_w, tl->top, tl->bottom, tl->trace->hz,
		tl->from - tl->trace->begin, tl->to - tl->from, cell);
	put_lanes(out);
	fputs("\"why\":[", out);
	for (size_t i = 0; i < tl->job_count; i++) {
		fputs((i == 0) ? "\"" : ",\n\"", out);
		svg_escaped(out, why_missed(tl->trace, &tl->job[i]));
		fputs("\"", out);
	}
	fputs("],\n\"rows\":[", out);
	for (unsigned i = 0; i < tl->row_count; i++) {
		fputs((i == 0) ? "\n" : ",\n", out);
		put_row(tl, out, &tl->row[i]);
	}
	fputs("]}</metadata>\n<script><![CDATA[\n", out);
	fputs(tl_script, out);
	fputs("]]></script>\n", out);
}
