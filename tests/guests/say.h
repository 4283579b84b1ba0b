/* SPDX-License-Identifier: Apache-2.0 */
/* What test guests print: words and numbers, and "ok NAME" or "not ok NAME: why". */
#ifndef SAY_H
#define SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"

static inline void say_begin(struct line *line, const char *text)
{
	line_begin(line);
	line_text(line, text);
}

static inline void say_value(struct line *line, const char *name, uint64_t value)
{
	line_text(line, name);
	line_decimal(line, value);
}

/* Waits until all of it is out. */
static inline void say_end(struct line *line)
{
	line_text(line, "\n");
	while (!line_send(line, LINE_MAX)) {
	}
}

/* Of a number that is what it should be, or not. */
static inline void say_equal(const char *name, int64_t is, int64_t should)
{
	struct line line;

	say_begin(&line, is == should ? "ok " : "not ok ");
	line_text(&line, name);
	if (is != should) {
		line_text(&line, is < 0 ? ": -" : ": ");
		line_decimal(&line, (uint64_t)(is < 0 ? -is : is));
		line_text(&line, should < 0 ? ", not -" : ", not ");
		line_decimal(&line, (uint64_t)(should < 0 ? -should : should));
	}
	say_end(&line);
}

static inline void say_check(const char *name, bool ok)
{
	say_equal(name, ok ? 1 : 0, 1);
}

#endif
