/* SPDX-License-Identifier: Apache-2.0 */
#include "diag.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 40u /* longer words are not compared */

struct diag_item {
	struct diag_item *next;
	int line;
	bool error;
	const char *text;
};

static void item_add(struct diag *d, int line, bool error, const char *fmt, va_list ap)
{
	struct diag_item **at = &d->first;
	struct diag_item *it;
	char text[1024];

	/* clang 14 does not see the callers' va_start: NOLINTNEXTLINE(clang-analyzer-valist.*) */
	vsnprintf(text, sizeof(text), fmt, ap);
	for (it = d->first; it != NULL; it = it->next) {
		if ((it->line == line) && (strcmp(it->text, text) == 0)) {
			return;
		}
	}
	while ((*at != NULL) && ((*at)->line <= line)) {
		at = &(*at)->next;
	}
	it = mem_zalloc(d->mem, sizeof(*it));
	it->next = *at;
	it->line = line;
	it->error = error;
	it->text = mem_strndup(d->mem, text, strlen(text));
	*at = it;
	d->errors += error ? 1 : 0;
	d->notes += error ? 0 : 1;
}

void diag_error(struct diag *d, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	item_add(d, line, true, fmt, ap);
	va_end(ap);
}

void diag_note(struct diag *d, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	item_add(d, line, false, fmt, ap);
	va_end(ap);
}

void diag_print(const struct diag *d, FILE *out)
{
	for (const struct diag_item *it = d->first; it != NULL; it = it->next) {
		const char *kind = it->error ? "error" : "note";

		if (it->line > 0) {
			fprintf(out, "%s:%d: %s: %s\n", d->file, it->line, kind, it->text);
		} else {
			fprintf(out, "%s: %s: %s\n", d->file, kind, it->text);
		}
	}
}

/* Edit distance: insertions, deletions, replacements, and two neighbours swapped. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][WORD_MAX + 1];
	size_t la = strlen(a);
	size_t lb = strlen(b);

	if ((la > WORD_MAX) || (lb > WORD_MAX)) {
		return WORD_MAX;
	}
	for (size_t j = 0; j <= lb; j++) {
		row[0][j] = (unsigned)j;
	}
	for (size_t i = 1; i <= la; i++) {
		unsigned *cur = row[i % 3];
		unsigned *up = row[(i + 2) % 3];
		unsigned *up2 = row[(i + 1) % 3];

		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = up[j - 1] + ((a[i - 1] == b[j - 1]) ? 0 : 1);

			best = (up[j] + 1 < best) ? up[j] + 1 : best;
			best = (cur[j - 1] + 1 < best) ? cur[j - 1] + 1 : best;
			if ((i > 1) && (j > 1) && (a[i - 1] == b[j - 2]) &&
			    (a[i - 2] == b[j - 1]) && (up2[j - 2] + 1 < best)) {
				best = up2[j - 2] + 1;
			}
			cur[j] = best;
		}
	}
	return row[la % 3][lb];
}

const char *diag_nearest(const char *word, const char *const *list)
{
	const char *best = NULL;
	unsigned least = (unsigned)(strlen(word) + 2) / 3 + 1;

	for (; *list != NULL; list++) {
		unsigned n = distance(word, *list);

		if (n < least) {
			least = n;
			best = *list;
		}
	}
	return best;
}

const char *diag_list(struct mem *mem, const char *const *list)
{
	const char *text = "";

	for (; *list != NULL; list++) {
		text = mem_printf(mem, "%s%s%s", text, (text[0] == '\0') ? "" : ", ", *list);
	}
	return text;
}

void diag_unknown(struct diag *d, int line, const char *what, const char *word,
		  const char *const *list)
{
	const char *near = diag_nearest(word, list);

	if (near != NULL) {
		diag_error(d, line, "unknown %s '%s': did you mean '%s'?", what, word, near);
	} else {
		diag_error(d, line, "unknown %s '%s': there is %s", what, word,
			   diag_list(d->mem, list));
	}
}
