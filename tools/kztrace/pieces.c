/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pieces_init(struct pieces *p, size_t limit)
{
	memset(p, 0, sizeof(*p));
	p->limit = limit;
	p->cell = 1;
}

void pieces_free(struct pieces *p)
{
	for (unsigned row = 0; row < PIECES_ROWS; row++) {
		for (unsigned kind = 0; kind < PIECE_KINDS; kind++) {
			free(p->list[row][kind].piece);
		}
	}
}

/* Lies in one cell of the grid. */
static bool is_short(const struct pieces *p, const struct piece *a)
{
	uint64_t last = (a->to > a->from) ? a->to - 1 : a->to;

	return a->from / p->cell == last / p->cell;
}

/* Adds b, which is not before a, to a, if they are short and of one cell. */
static bool merge(const struct pieces *p, struct piece *a, const struct piece *b)
{
	if (!is_short(p, a) || !is_short(p, b) || (a->from / p->cell != b->from / p->cell)) {
		return false;
	}
	a->to = (b->to > a->to) ? b->to : a->to;
	a->covered += b->covered;
	a->arg = ((a->arg == b->arg) || p->keep_arg) ? a->arg : PIECE_SEVERAL;
	return true;
}

static void compact(struct pieces *p, struct piece_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if ((kept == 0) || !merge(p, &list->piece[kept - 1], &list->piece[i])) {
			list->piece[kept++] = list->piece[i];
		}
	}
	p->count -= list->count - kept;
	list->count = kept;
}

/* To three quarters of the limit: doubling the cells for each piece would be slow. */
static void coarsen(struct pieces *p)
{
	while ((p->count > p->limit / 4 * 3) && (p->cell <= UINT64_MAX / 2)) {
		p->cell *= 2;
		for (unsigned row = 0; row < PIECES_ROWS; row++) {
			for (unsigned kind = 0; kind < PIECE_KINDS; kind++) {
				compact(p, &p->list[row][kind]);
			}
		}
	}
}

static void insert(struct pieces *p, struct piece_list *list, size_t at, const struct piece *new)
{
	if (list->count == list->size) {
		list->size = (list->size == 0) ? 64 : 2 * list->size;
		list->piece = realloc(list->piece, list->size * sizeof(*list->piece));
		if (list->piece == NULL) {
			fputs("kztrace: out of memory\n", stderr);
			exit(1);
		}
	}
	memmove(&list->piece[at + 1], &list->piece[at], (list->count - at) * sizeof(*list->piece));
	list->piece[at] = *new;
	list->count++;
	p->count++;
	if (p->count > p->limit) {
		coarsen(p);
	}
}

static void add(struct pieces *p, struct piece_list *list, const struct piece *new)
{
	size_t at = list->count;

	while ((at > 0) && (list->piece[at - 1].from > new->from)) {
		at--;
	}
	if ((at == 0) || !merge(p, &list->piece[at - 1], new)) {
		insert(p, list, at, new);
	}
}

void pieces_span(struct pieces *p, unsigned row, enum piece_kind kind, uint64_t from, uint64_t to)
{
	const struct piece new = { from, to, to - from, 0 };
	struct piece_list *list = &p->list[row][kind];
	struct piece *last = (list->count == 0) ? NULL : &list->piece[list->count - 1];

	if (to <= from) {
		return;
	}
	if ((last != NULL) && (last->covered == from - last->from)) { /* it goes on */
		last->to = to;
		last->covered += to - from;
		return;
	}
	add(p, list, &new);
}

void pieces_mark(struct pieces *p, unsigned row, enum piece_kind kind, uint64_t at, uint32_t arg)
{
	const struct piece new = { at, at, 1, arg };

	add(p, &p->list[row][kind], &new);
}
