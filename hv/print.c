/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text: a small part of what C calls printf, with C's meaning. */
#include "console.h"
#include "spinlock.h"

#define LOG_MAX    160u /* a line of hv_log, its end included */
#define NUMBER_MAX 20u  /* digits of 2^64 - 1 in decimal */

/* Up to its end, or to `stop`: where that is. Bound: the length of the string. */
static const char *text_run(struct text *t, const char *s, char stop)
{
	char *at = t->at;
	char *end = t->end;

	for (; *s != '\0' && *s != stop; s++) {
		if (at != end) {
			*at++ = *s;
		}
	}
	t->at = at;
	return s;
}

NOINLINE void text_pad(struct text *t, const char *from, uint32_t width)
{
	char *at = t->at;

	for (; at != t->end && at < from + width; at++) {
		*at = ' ';
	}
	t->at = at;
}

/* Right in its field, of NUMBER_MAX at most. Bound: NUMBER_MAX. */
static void text_number(struct text *t, uint64_t v, uint32_t base, char pad, uint32_t width)
{
	char digits[NUMBER_MAX + 1];
	char *first = &digits[NUMBER_MAX];
	char *field = first - width;

	*first = '\0';
	do {
		*--first = (char)(v % base + (v % base < 10 ? '0' : 'a' - 10));
		v /= base;
	} while (v != 0);
	while (first > field) {
		*--first = pad;
	}
	(void)text_run(t, first, '\0');
}

/* Bound: the length of fmt. */
void text_add_v(struct text *t, const char *fmt, va_list ap)
{
	for (fmt = text_run(t, fmt, '%'); *fmt != '\0'; fmt = text_run(t, fmt + 1, '%')) {
		char *field = t->at;
		uint32_t width = 0;
		char pad;
		bool wide;

		fmt += fmt[1] == '-' ? 2 : 1;
		pad = *fmt == '0' ? '0' : ' ';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
			width = width * 10 + (uint32_t)(*fmt - '0');
		}
		wide = *fmt == 'l';
		fmt += wide;
		if (*fmt == 's') {
			(void)text_run(t, va_arg(ap, const char *), '\0');
			text_pad(t, field, width);
		} else {
			uint64_t v = wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);

			text_number(t, v, *fmt == 'x' ? 16 : 10, pad, width);
		}
	}
	*t->at = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_add_v(t, fmt, ap);
	va_end(ap);
}

static struct spinlock log_lock; /* one writer of the channel at a time, and of the log */
static char log_ring[LOG_RING];
static uint64_t log_end; /* bytes since power-on */

/* Bound: LOG_READ. */
uint32_t log_read(uint64_t *position, uint8_t *to, uint32_t size)
{
	uint32_t at, n, first;

	spin_lock(&log_lock);
	if (*position > log_end) {
		*position = log_end;
	} else if (log_end - *position > LOG_RING) {
		*position = log_end - LOG_RING;
	}
	n = (uint32_t)min_u64(min_u64(size, LOG_READ), log_end - *position);
	at = (uint32_t)(*position % LOG_RING);
	first = (uint32_t)min_u64(n, LOG_RING - at);
	__builtin_memcpy(to, &log_ring[at], first);
	__builtin_memcpy(to + first, log_ring, n - first);
	spin_unlock(&log_lock);
	return n;
}

void hv_log(const char *fmt, ...)
{
	char line[LOG_MAX];
	struct text t = { line, &line[LOG_MAX - 1] };
	va_list ap;

	va_start(ap, fmt);
	text_add_v(&t, fmt, ap);
	va_end(ap);
	*t.at++ = '\n';
	spin_lock(&log_lock);
	for (const char *c = line; c != t.at; c++) {
		log_ring[log_end++ % LOG_RING] = *c;
	}
	console_write(CONSOLE_HV, line, (uint32_t)(t.at - line));
	spin_unlock(&log_lock);
	console_announce(CONSOLE_HV);
}
