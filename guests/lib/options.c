/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <stddef.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ';
}

/* What follows a word's name: '=', ' ' or the end; null if there is no such word. */
static const char *option_find(const char *args, const char *name)
{
	bool begin = true;

	for (; *args != '\0'; args++) {
		size_t n = 0;

		while (begin && name[n] != '\0' && args[n] == name[n]) {
			n++;
		}
		if (begin && name[n] == '\0' && (args[n] == '=' || is_end(args[n]))) {
			return args + n;
		}
		begin = *args == ' ';
	}
	return NULL;
}

/* How many ns the unit has: 1 without one, 0 if it is none. */
static uint64_t unit_ns(const char *text)
{
	static const struct {
		char text[3];
		uint32_t ns;
	} unit[] = { { "", 1 }, { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 },
		     { "s", 1000000000 } };

	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		size_t n = 0;

		while (unit[i].text[n] != '\0' && text[n] == unit[i].text[n]) {
			n++;
		}
		if (unit[i].text[n] == '\0' && is_end(text[n])) {
			return unit[i].ns;
		}
	}
	return 0;
}

uint64_t option_value(const char *args, const char *name, uint64_t otherwise)
{
	const char *text = option_find(args, name);
	uint64_t value = 0, fraction = 0, scale = 1, unit;

	if (text == NULL || *text != '=' || !is_digit(text[1])) {
		return otherwise;
	}
	for (text++; is_digit(*text); text++) {
		value = value * 10 + (uint64_t)(*text - '0');
	}
	if (*text == '.') {
		for (text++; is_digit(*text); text++) {
			if (scale < 1000000000u) {
				fraction = fraction * 10 + (uint64_t)(*text - '0');
				scale *= 10;
			}
		}
	}
	unit = unit_ns(text);
	return unit == 0 ? otherwise : value * unit + fraction * unit / scale;
}

bool option_has(const char *args, const char *word)
{
	const char *end = option_find(args, word);

	return end != NULL && is_end(*end);
}
