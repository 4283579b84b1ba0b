/* SPDX-License-Identifier: Apache-2.0 */
/* A line of text that is put together first, and printed piece by piece later. */
#ifndef GUEST_LINE_H
#define GUEST_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define LINE_MAX	200u

struct line {
	char text[LINE_MAX];
	uint32_t length;
	uint32_t sent;
};

/* Empties the line. */
void line_begin(struct line *line);

/* Appends; what does not fit is dropped. */
void line_text(struct line *line, const char *text);
void line_decimal(struct line *line, uint64_t value);
void line_hex(struct line *line, uint64_t value);

/* Appends a text and a number behind it. */
void line_value(struct line *line, const char *text, uint64_t value);

/* Hands at most size bytes more to the console; true when all of the line is out. */
bool line_send(struct line *line, uint32_t size);

/* Ends the line, and waits until all of it is out. */
void line_print(struct line *line);

#endif
