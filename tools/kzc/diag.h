/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and notes, collected so that one run shows them all. */
#ifndef KZC_DIAG_H
#define KZC_DIAG_H

#include <stdio.h>

#include "mem.h"

struct diag_item;

struct diag {
	struct mem *mem;
	const char *file; /* what the line numbers count in */
	struct diag_item *first;
	unsigned errors;
	unsigned notes;
};

/*
 * diag_error, diag_note - add one message. line is 1-based, 0 for the file as a whole. What is
 * already there with the same line and text is not added again.
 */
void diag_error(struct diag *d, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_note(struct diag *d, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* diag_print - all messages in the order of their lines: "file:line: error: text". */
void diag_print(const struct diag *d, FILE *out);

/*
 * diag_nearest - the word of the list (ended by NULL) that is most like the given one, or NULL
 * when none is close enough to have been meant.
 */
const char *diag_nearest(const char *word, const char *const *list);

/* diag_list - the words as "a, b, c". */
const char *diag_list(struct mem *mem, const char *const *list);

/*
 * diag_unknown - the error "unknown <what> 'word'", with the nearest word of the list, or with
 * the list when nothing is near.
 */
void diag_unknown(struct diag *d, int line, const char *what, const char *word,
		  const char *const *list);

#endif
