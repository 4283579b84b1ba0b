/* SPDX-License-Identifier: Apache-2.0 */
/* What a value means: numbers, sizes, rates, times, shares. */
#include <ctype.h>
#include <string.h>

#include "conf.h"

/* Digits with an optional 0x, from *text on; *text is left behind them. */
static bool number_take(const char **text, uint64_t *out)
{
	const char *at = *text;
	unsigned base = 10;
	uint64_t n = 0;

	if ((at[0] == '0') && ((at[1] == 'x') || (at[1] == 'X'))) {
		base = 16;
		at += 2;
	}
	*text = at;
	for (; isxdigit((unsigned char)*at); at++) {
		unsigned digit = isdigit((unsigned char)*at)
					 ? (unsigned)(*at - '0')
					 : (unsigned)(tolower((unsigned char)*at) - 'a') + 10;

		if (digit >= base) {
			break;
		}
		if (n > (UINT64_MAX - digit) / base) {
			return false;
		}
		n = n * base + digit;
	}
	if (at == *text) {
		return false;
	}
	*text = at;
	*out = n;
	return true;
}

/* The factor of a suffix K, M or G; *text is left behind it. */
static uint64_t suffix_take(const char **text, uint64_t unit)
{
	static const char suffix[] = "kmg";
	const char *at = strchr(suffix, tolower((unsigned char)**text));
	uint64_t factor = 1;

	if ((at == NULL) || (*at == '\0')) {
		return 1;
	}
	*text += 1;
	for (const char *s = suffix; s <= at; s++) {
		factor *= unit;
	}
	return factor;
}

bool conf_number(const char *text, uint64_t *out)
{
	return number_take(&text, out) && (*text == '\0');
}

bool conf_size(const char *text, uint64_t *out)
{
	uint64_t factor;

	if (!number_take(&text, out)) {
		return false;
	}
	factor = suffix_take(&text, 1024);
	if ((*text != '\0') || (*out > UINT64_MAX / factor)) {
		return false;
	}
	*out *= factor;
	return true;
}

bool conf_rate(const char *text, uint64_t *out)
{
	uint64_t factor;

	if (!number_take(&text, out)) {
		return false;
	}
	factor = suffix_take(&text, 1000);
	if ((strcmp(text, "") != 0) && (strcmp(text, "Hz") != 0)) {
		return false;
	}
	if (*out > UINT64_MAX / factor) {
		return false;
	}
	*out *= factor;
	return true;
}

/* A decimal number with an optional fraction, as mantissa / scale; *text is left behind it. */
static bool decimal_take(const char **text, uint64_t *mantissa, uint64_t *scale)
{
	const char *at = *text;
	bool point = false;

	*mantissa = 0;
	*scale = 1;
	for (; isdigit((unsigned char)*at) || ((*at == '.') && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		if ((*mantissa > UINT64_MAX / 100) || (*scale > UINT32_MAX)) {
			return false;
		}
		*mantissa = *mantissa * 10 + (uint64_t)(*at - '0');
		*scale *= point ? 10 : 1;
	}
	if (!isdigit((unsigned char)**text) || (at[-1] == '.')) {
		return false;
	}
	*text = at;
	return true;
}

/* mantissa / scale of a unit; false when that is no whole number, or too large. */
static bool decimal_of(uint64_t mantissa, uint64_t scale, uint64_t unit, uint64_t *out)
{
	unsigned __int128 n = (unsigned __int128)mantissa * unit;

	*out = (uint64_t)(n / scale);
	return ((n % scale) == 0) && (n / scale <= UINT64_MAX);
}

bool conf_time(const char *text, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	uint64_t mantissa;
	uint64_t scale;

	if (!decimal_take(&text, &mantissa, &scale)) {
		return false;
	}
	for (unsigned i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		if (strcmp(text, unit[i].name) == 0) {
			return decimal_of(mantissa, scale, unit[i].ns, out);
		}
	}
	return false;
}

bool conf_share(const char *text, uint32_t *out)
{
	uint64_t mantissa;
	uint64_t scale;
	uint64_t ppm;

	if (!decimal_take(&text, &mantissa, &scale) || (strcmp(text, "%") != 0) ||
	    !decimal_of(mantissa, scale, 10000, &ppm) || (ppm > 1000000)) {
		return false;
	}
	*out = (uint32_t)ppm;
	return true;
}

bool conf_clock(struct mem *mem, const char *text, const char **node, const char **which,
		uint64_t *rate)
{
	const char *eq = strrchr(text, '=');
	const char *value;
	size_t len;

	if (eq == NULL) {
		return false;
	}
	value = eq + 1 + strspn(eq + 1, " \t");
	if (!conf_rate(mem_strndup(mem, value, strcspn(value, " \t")), rate) || (*rate == 0) ||
	    (*rate > UINT32_MAX)) {
		return false;
	}
	text += strspn(text, " \t");
	len = strcspn(text, " \t=");
	*node = mem_strndup(mem, text, len);
	text += len + strspn(text + len, " \t");
	len = strcspn(text, " \t=");
	*which = mem_strndup(mem, text, len);
	text += len + strspn(text + len, " \t");
	return (text == eq) && ((*node)[0] != '\0');
}
