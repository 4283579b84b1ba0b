/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text: a small part of what C calls printf, with C's meaning. */
#include "console.h"
#include "spinlock.h"

#define LOG_MAX    160u /* a line of hv_log, its end included */
#define DIGITS_MAX 20u  /* of 2^64 - 1 in decimal */

/* What is written, and the conversion that is on: %[-][0][width][l]... */
struct text {
	char *buf;
	size_t size;
	size_t len; /* what it needs, even behind the end of buf */
	bool left, zero, wide;
	uint32_t width;
};

static COLD void text_char(struct text *t, char c)
{
	if (t->len + 1 < t->size) {
		t->buf[t->len] = c;
	}
	t->len++;
}

/* Bound: the length of the string, and the width. */
static COLD void text_string(struct text *t, const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		n++;
	}
	for (; !t->left && n < t->width; t->width--) {
		text_char(t, ' ');
	}
	for (; *s != '\0'; s++) {
		text_char(t, *s);
	}
	for (; n < t->width; n++) {
		text_char(t, ' ');
	}
}

/* Bound: DIGITS_MAX, and the width. */
static COLD void text_number(struct text *t, uint64_t v, uint32_t base, bool negative)
{
	char digits[DIGITS_MAX + 2];
	uint32_t end = DIGITS_MAX + 1;
	uint32_t at = end;
	uint32_t least = t->zero && !t->left && t->width != 0 ? t->width - negative : 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0 || (end - at < least && at > 1));
	if (negative) {
		digits[--at] = '-';
	}
	text_string(t, &digits[at]);
}

/* Parse what stands between % and the conversion's letter; two digits of width at most. */
static COLD const char *text_spec(struct text *t, const char *p)
{
	t->left = false;
	t->zero = false;
	t->wide = false;
	t->width = 0;
	for (; *p == '-' || *p == '0'; p++) {
		t->left |= *p == '-';
		t->zero |= *p == '0';
	}
	for (uint32_t i = 0; i < 2 && *p >= '0' && *p <= '9'; i++) {
		t->width = t->width * 10 + (uint32_t)(*p++ - '0');
	}
	if (*p == 'l') {
		t->wide = true;
		p++;
	}
	return p;
}

/* Format one conversion; an unknown letter stands for itself. */
static COLD void text_convert(struct text *t, char letter, va_list *ap)
{
	char one[2] = {letter, '\0'};
	uint64_t v;

	if (letter == 's') {
		text_string(t, va_arg(*ap, const char *));
	} else if (letter == 'c') {
		one[0] = (char)va_arg(*ap, int);
		text_string(t, one);
	} else if (letter == 'u' || letter == 'x') {
		v = t->wide ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int);
		text_number(t, v, letter == 'u' ? 10 : 16, false);
	} else if (letter == 'd') {
		v = (uint64_t)(t->wide ? va_arg(*ap, long) : va_arg(*ap, int));
		text_number(t, v >> 63 != 0 ? -v : v, 10, v >> 63 != 0);
	} else {
		text_string(t, one);
	}
}

/* Bound: the length of fmt. */
COLD size_t format_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct text t = {.buf = buf, .size = size};
	va_list args;

	va_copy(args, ap);
	for (const char *p = fmt; *p != '\0'; p++) {
		if (*p != '%') {
			text_char(&t, *p);
			continue;
		}
		p = text_spec(&t, p + 1);
		if (*p == '\0') {
			break;
		}
		text_convert(&t, *p, &args);
	}
	va_end(args);
	if (size != 0) {
		buf[min_u64(t.len, size - 1)] = '\0';
	}
	return t.len;
}

COLD size_t format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = format_v(buf, size, fmt, ap);
	va_end(ap);
	return len;
}

COLD void hv_log(const char *fmt, ...)
{
	static struct spinlock lock; /* one writer of the channel at a time */
	char line[LOG_MAX];
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = format_v(line, sizeof(line), fmt, ap);
	va_end(ap);
	len = min_u64(len, sizeof(line) - 1);
	line[len++] = '\n';
	spin_lock(&lock);
	console_write(CONSOLE_HV, line, (uint32_t)len);
	spin_unlock(&lock);
	console_pump(CONSOLE_HV);
}
