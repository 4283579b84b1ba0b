/* SPDX-License-Identifier: Apache-2.0 */
#include "when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_SECOND 1000000000ull

/* What stands behind the number, as ns. */
static bool parse_unit(const char *text, uint64_t *unit)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "", NS_SECOND }, { "s", NS_SECOND }, { "ms", 1000000 },
		{ "us", 1000 },    { "µs", 1000 },     { "ns", 1 },
	};

	text += (*text == ' ') ? 1 : 0;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) == 0) {
			*unit = units[i].ns;
			return true;
		}
	}
	return false;
}

bool when_parse(const char *text, uint64_t *ns)
{
	size_t whole = strspn(text, "0123456789");
	bool point = text[whole] == '.';
	size_t part = point ? strspn(&text[whole + 1], "0123456789") : 0;
	unsigned __int128 sum = 0;
	uint64_t unit;

	/* 20 digits times a unit fit 128 bits. */
	if ((whole + part == 0) || (whole > 20) ||
	    !parse_unit(&text[whole + part + (point ? 1 : 0)], &unit)) {
		return false;
	}
	for (size_t i = 0; i < whole; i++) {
		sum = sum * 10 + (unsigned)(text[i] - '0');
	}
	sum *= unit;
	for (size_t i = 0; i < part; i++) {
		unsigned digit = (unsigned)(text[whole + 1 + i] - '0');

		if ((unit % 10 != 0) && (digit != 0)) {
			return false;
		}
		unit /= 10;
		sum += unit * digit;
	}
	*ns = (uint64_t)sum;
	return sum <= UINT64_MAX;
}

uint64_t when_ticks(uint64_t ns, uint64_t hz)
{
	unsigned __int128 ticks = (unsigned __int128)ns * hz / NS_SECOND;

	return (ticks > UINT64_MAX) ? UINT64_MAX : (uint64_t)ticks;
}

const char *when_unit(uint64_t unit_ns)
{
	return (unit_ns >= NS_SECOND) ? "s"
	       : (unit_ns >= 1000000) ? "ms"
	       : (unit_ns >= 1000)    ? "µs"
				      : "ns";
}

const char *when_number(char text[WHEN_MAX], uint64_t ns, uint64_t unit_ns, uint64_t step_ns)
{
	uint64_t rest = ns % unit_ns;
	uint64_t digit = unit_ns;
	int used = snprintf(text, WHEN_MAX, "%" PRIu64, ns / unit_ns);

	if (step_ns % unit_ns == 0) {
		return text;
	}
	text[used++] = '.';
	do {
		digit /= 10;
		text[used++] = (char)('0' + rest / digit % 10);
	} while ((digit > 1) && (step_ns % digit != 0));
	text[used] = '\0';
	return text;
}

const char *when_exact(char text[WHEN_MAX], uint64_t ns)
{
	uint64_t unit = ((ns >= NS_SECOND) || (ns == 0)) ? NS_SECOND
			: (ns >= 1000000)                ? 1000000
			: (ns >= 1000)                   ? 1000
							 : 1;
	uint64_t step = 1;
	size_t used;

	while ((step < unit) && (ns % (step * 10) == 0)) {
		step *= 10;
	}
	(void)when_number(text, ns, unit, step);
	used = strlen(text);
	snprintf(&text[used], WHEN_MAX - used, " %s", when_unit(unit));
	return text;
}
