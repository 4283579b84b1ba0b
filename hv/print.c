/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text: a small part of what C calls printf, with C's meaning. */
#include "console.h"
#include "spinlock.h"

#define LOG_MAX		160u	/* a line of hv_log, its end included */
#define DIGITS_MAX	20u	/* of 2^64 - 1 in decimal */

struct text {
	char *buf;
	size_t size;
	size_t len;		/* what it needs, even behind the end of buf */
};

/* One conversion: %[-][0][width][l]... */
struct spec {
	bool left, zero;
	uint32_t width;
	uint32_t longs;
};

static void text_char(struct text *t, char c)
{
	if (t->len + 1 < t->size) {
		t->buf[t->len] = c;
	}
	t->len++;
}

/* Bound: width, at most 99. */
static void text_fill(struct text *t, char c, uint32_t from, uint32_t width)
{
	for (uint32_t i = from; i < width; i++) {
		text_char(t, c);
	}
}

/* Bound: the length of the string, and the width. */
static void text_string(struct text *t, const struct spec *sp, const char *s)
{
	uint32_t n = 0;

	while (s[n] != '\0') {
		n++;
	}
	if (!sp->left) {
		text_fill(t, ' ', n, sp->width);
	}
	for (uint32_t i = 0; i < n; i++) {
		text_char(t, s[i]);
	}
	if (sp->left) {
		text_fill(t, ' ', n, sp->width);
	}
}

/* Bound: DIGITS_MAX, and the width. */
static void text_number(struct text *t, const struct spec *sp, uint64_t v, uint32_t base,
			bool negative)
{
	char digits[DIGITS_MAX + 2];
	uint32_t at = DIGITS_MAX + 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0);
	if (sp->zero && !sp->left) {
		if (negative) {
			text_char(t, '-');
		}
		text_fill(t, '0', DIGITS_MAX + 1 - at + negative, sp->width);
		text_string(t, &(struct spec){ 0 }, &digits[at]);
		return;
	}
	if (negative) {
		digits[--at] = '-';
	}
	text_string(t, sp, &digits[at]);
}

/* Parse what stands between % and the conversion's letter; two digits of width at most. */
static const char *spec_parse(struct spec *sp, const char *p)
{
	*sp = (struct spec){ 0 };
	for (; *p == '-' || *p == '0'; p++) {
		sp->left |= *p == '-';
		sp->zero |= *p == '0';
	}
	for (uint32_t i = 0; i < 2 && *p >= '0' && *p <= '9'; i++) {
		sp->width = sp->width * 10 + (uint32_t)(*p++ - '0');
	}
	while (*p == 'l') {
		sp->longs++;
		p++;
	}
	return p;
}

static uint64_t arg_unsigned(const struct spec *sp, va_list *ap)
{
	return sp->longs == 0 ? va_arg(*ap, unsigned int) :
	       sp->longs == 1 ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned long long);
}

static int64_t arg_signed(const struct spec *sp, va_list *ap)
{
	return sp->longs == 0 ? va_arg(*ap, int) :
	       sp->longs == 1 ? va_arg(*ap, long) : va_arg(*ap, long long);
}

/* Format one conversion; an unknown letter stands for itself. */
static void text_convert(struct text *t, const struct spec *sp, char letter, va_list *ap)
{
	char one[2] = { letter, '\0' };
	int64_t d;

	switch (letter) {
	case 's':
		text_string(t, sp, va_arg(*ap, const char *));
		break;
	case 'u':
		text_number(t, sp, arg_unsigned(sp, ap), 10, false);
		break;
	case 'x':
		text_number(t, sp, arg_unsigned(sp, ap), 16, false);
		break;
	case 'd':
		d = arg_signed(sp, ap);
		text_number(t, sp, d < 0 ? -(uint64_t)d : (uint64_t)d, 10, d < 0);
		break;
	case 'c':
		one[0] = (char)va_arg(*ap, int);
		text_string(t, sp, one);
		break;
	default:
		text_string(t, sp, one);
		break;
	}
}

/* Bound: the length of fmt. */
size_t format_v(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct text t = { .buf = buf, .size = size };
	struct spec sp;
	va_list args;

	va_copy(args, ap);
	for (const char *p = fmt; *p != '\0'; p++) {
		if (*p != '%') {
			text_char(&t, *p);
			continue;
		}
		p = spec_parse(&sp, p + 1);
		if (*p == '\0') {
			break;
		}
		text_convert(&t, &sp, *p, &args);
	}
	va_end(args);
	if (size != 0) {
		buf[t.len < size ? t.len : size - 1] = '\0';
	}
	return t.len;
}

size_t format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = format_v(buf, size, fmt, ap);
	va_end(ap);
	return len;
}

void hv_log(const char *fmt, ...)
{
	static struct spinlock lock;	/* one writer of the channel at a time */
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
