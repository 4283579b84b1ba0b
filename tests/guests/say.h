/* SPDX-License-Identifier: Apache-2.0 */
/* What test guests print of a check: "ok NAME" or "not ok NAME: why". */
#ifndef SAY_H
#define SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"

/* Of a number that is what it should be, or not. */
static inline void say_equal(const char *name, int64_t is, int64_t should)
{
	struct line line;

	line_begin(&line);
	line_text(&line, is == should ? "ok " : "not ok ");
	line_text(&line, name);
	if (is != should) {
		line_text(&line, is < 0 ? ": -" : ": ");
		line_decimal(&line, (uint64_t)(is < 0 ? -is : is));
		line_text(&line, should < 0 ? ", not -" : ", not ");
		line_decimal(&line, (uint64_t)(should < 0 ? -should : should));
	}
	line_print(&line);
}

static inline void say_check(const char *name, bool ok)
{
	say_equal(name, ok ? 1 : 0, 1);
}

#endif
