/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a picture shows, in bounded memory: spans and marks of rows, in lists that become
 * coarser when there are too many.
 *
 * A piece is one span, or several short ones that lie in one cell of a grid of time; then
 * `covered` is less than its length. The cells are one tick wide at first, so that nothing is
 * merged but what happened in one tick. When there are more pieces than the limit, the cells
 * become twice as wide, until there are few enough again: a list then has at most about three
 * pieces a cell, however many spans it has seen. No time is lost or made by this: only where in
 * its cell a short span lay.
 */
#ifndef KZTRACE_PIECES_H
#define KZTRACE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kizami/blob.h>

/* Rows: one for each core, behind them one for each vCPU there can be. */
#define PIECES_ROWS   (KZ_CPUS_MAX + KZ_VMS_MAX * KZ_VCPUS_MAX)
#define PIECE_SEVERAL UINT32_MAX

enum piece_kind {
	/* Spans */
	PIECE_RUN,
	PIECE_WAIT,
	PIECE_THROTTLED,
	PIECE_HV,
	PIECE_LOST,
	/* Marks: what happened at a time */
	PIECE_RELEASE,
	PIECE_DEADLINE,
	PIECE_IRQ,
	PIECE_MISS,
	PIECE_KINDS
};

#define PIECE_MARKS PIECE_RELEASE

struct piece {
	uint64_t from, to;	/* ticks; a mark alone: both the same */
	uint64_t covered;	/* a span: ticks of it, at most to - from; a mark: how many */
	uint32_t arg;		/* a mark: what the caller says; PIECE_SEVERAL: not all the same */
};

struct piece_list {
	struct piece *piece;	/* by time */
	size_t count, size;
};

struct pieces {
	struct piece_list list[PIECES_ROWS][PIECE_KINDS];
	size_t count, limit;	/* of all lists together */
	uint64_t cell;		/* ticks, a power of two */
	bool keep_arg;		/* merged marks have the first one's arg, not PIECE_SEVERAL */
};

/* pieces_init - empty lists that together stay at or below limit. */
void pieces_init(struct pieces *p, size_t limit);

/*
 * pieces_span - a span of a row, [from, to). Those of one row and kind come in order and don't
 * overlap; an empty one is ignored. Exits when there is no memory.
 */
void pieces_span(struct pieces *p, unsigned row, enum piece_kind kind, uint64_t from, uint64_t to);

/* pieces_mark - a mark of a row; those of one row and kind come nearly in order. */
void pieces_mark(struct pieces *p, unsigned row, enum piece_kind kind, uint64_t at, uint32_t arg);

void pieces_free(struct pieces *p);

#endif
