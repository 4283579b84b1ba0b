/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include "console.h"

#define DIGITS_MAX	20u	/* of 2^64 in decimal */

static void line_byte(struct line *line, char byte)
{
	if (line->length < LINE_MAX) {
		line->text[line->length] = byte;
		line->length++;
	}
}

void line_begin(struct line *line)
{
	line->length = 0;
	line->sent = 0;
}

void line_text(struct line *line, const char *text)
{
	for (; *text != '\0'; text++) {
		line_byte(line, *text);
	}
}

static void line_number(struct line *line, uint64_t value, uint64_t base)
{
	char digit[DIGITS_MAX];
	uint32_t count = 0;

	do {
		const uint64_t d = value % base;

		digit[count] = (char)(d < 10 ? '0' + d : 'a' + d - 10);
		count++;
		value /= base;
	} while (value != 0);
	while (count > 0) {
		count--;
		line_byte(line, digit[count]);
	}
}

void line_decimal(struct line *line, uint64_t value)
{
	line_number(line, value, 10);
}

void line_hex(struct line *line, uint64_t value)
{
	line_text(line, "0x");
	line_number(line, value, 16);
}

void line_value(struct line *line, const char *text, uint64_t value)
{
	line_text(line, text);
	line_decimal(line, value);
}

bool line_send(struct line *line, uint32_t size)
{
	const uint32_t left = line->length - line->sent;

	line->sent += console_write(line->text + line->sent, left < size ? left : size);
	return line->sent == line->length;
}

void line_print(struct line *line)
{
	line_text(line, "\n");
	while (!line_send(line, LINE_MAX)) {
	}
}
