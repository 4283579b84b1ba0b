/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline: what timeline.c reads, timeline_draw.c draws and timeline_zoom.c adds. */
#ifndef KZTRACE_TIMELINE_H
#define KZTRACE_TIMELINE_H

#include <stdio.h>

#include "pieces.h"
#include "replay.h"

#define TL_WIDTH_MIN 640
#define TL_WIDTH_MAX 4000

/*
 * Pieces, for each row and in all, so that cells are narrower than a pixel in all but strange
 * cases; and misses, which keep their reasons. They bound the picture's size.
 */
#define TL_PIECES     12000u
#define TL_PIECES_MAX 120000u
#define TL_MISSES     2000u

/* Of rows, in pixels from their top. */
#define TL_CORE_H    28	/* row of a core */
#define TL_IRQ_Y     5	/* its interrupts */
#define TL_IRQ_H     6
#define TL_HV_Y	     12	/* the hypervisor */
#define TL_HV_H	     12
#define TL_ROW_H     40	/* row of a vCPU */
#define TL_LANE_Y    11	/* it executes, or is throttled */
#define TL_LANE_H    16
#define TL_WAIT_Y    27	/* it waits for the core, or nothing is known */
#define TL_WAIT_H    4
#define TL_INJECT_Y  32	/* interrupts that the hypervisor makes */
#define TL_INJECT_H  4
#define TL_MARKS_Y   1	/* arrows: from above the lanes to below them */
#define TL_ARROWS_H  37

/* A column with anything in it is not lower than this. */
#define TL_LEAST      2
#define TL_LEAST_WAIT 1
#define TL_LEAST_HV   3

/* Marks of one kind nearer than this to each other become one bar, in pixels. */
#define TL_ARROW_GAP 6
#define TL_MISS_GAP  8
#define TL_TICK_GAP  2
#define TL_GROUP     48	/* of at most this width, so that each place has its text */

struct tl_row {
	unsigned list;	/* in struct pieces */
	uint32_t core;
	int vcpu;	/* KZ_TRACE_VCPU, or -1: the core itself */
	unsigned y;
};

struct timeline {
	struct trace *trace;
	uint64_t from, to;	/* ticks, absolute */
	unsigned width;
	unsigned plot_x, plot_w, top, bottom;	/* of the plot, in pixels */
	struct tl_row row[PIECES_ROWS];
	unsigned row_count;
	struct pieces pieces;
	/* PIECE_MISS only; what a mark says is an index into job. */
	struct pieces misses;
	struct replay_job *job;
	size_t job_count;
	uint64_t lost;		/* records, in the range */
};

/* tl_colour - of a VM. */
const char *tl_colour(unsigned vm);

/* tl_list - the pieces of a row and kind. */
const struct piece_list *tl_list(const struct timeline *tl, const struct tl_row *row,
				 enum piece_kind kind);

/* tl_at - a time, as the picture shows it: from the trace's begin, exactly. A static buffer. */
const char *tl_at(const struct timeline *tl, uint64_t ticks);

/* tl_draw - the whole picture. */
void tl_draw(struct timeline *tl, FILE *out);

/* tl_put_marks - the marks of a row, with what they say (timeline_marks.c). */
void tl_put_marks(const struct timeline *tl, FILE *out, const struct tl_row *row);

/* tl_put_legend - what all of it means; returns the height (timeline_marks.c). */
unsigned tl_put_legend(const struct timeline *tl, FILE *out, unsigned y);

/* tl_put_zoom - the data and the script with which a browser zooms (timeline_zoom.c). */
void tl_put_zoom(const struct timeline *tl, FILE *out);

#endif
