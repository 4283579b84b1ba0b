/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/print.c */
/* format_v against C's own snprintf; hv_log's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "console.h"

/* The console behind hv_log: the last line, and whether it was pumped. */
static char logged[1024];
static uint32_t logged_len, pumped;

void console_write(uint32_t channel, const char *bytes, uint32_t len)
{
	assert_int_equal(channel, CONSOLE_HV);
	assert_true(len <= sizeof(logged));
	memcpy(logged, bytes, len);
	logged_len = len;
}

void console_pump(uint32_t channel)
{
	assert_int_equal(channel, CONSOLE_HV);
	pumped++;
}

static uint64_t random64(void)
{
	uint64_t v = ((uint64_t)(uint32_t)random() << 42) ^ ((uint64_t)(uint32_t)random() << 21) ^
	             (uint64_t)(uint32_t)random();

	return v >> (random() % 64);
}

/* A random conversion of `letter`: flags, width, l where the letter takes it. */
static void random_spec(char *spec, char letter, bool wide)
{
	char *p = spec;
	bool number = letter != 's' && letter != 'c';
	bool zero = number && random() % 3 == 0;

	*p++ = '%';
	if (random() % 3 == 0) {
		*p++ = '-';
	}
	if (zero) {
		*p++ = '0';
	}
	if (random() % 2 == 0) {
		p += sprintf(p, "%ld", random() % (zero ? 20 : 99) + 1);
	}
	if (wide) {
		*p++ = 'l';
	}
	*p++ = letter;
	*p = '\0';
}

static void both(size_t size, const char *fmt, ...)
{
	char want[600], got[600];
	va_list ap;
	size_t want_len, got_len;

	memset(want, 'w', sizeof(want));
	memset(got, 'w', sizeof(got));
	va_start(ap, fmt);
	want_len = (size_t)vsnprintf(want, size, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	got_len = format_v(got, size, fmt, ap);
	va_end(ap);
	if (want_len != got_len || memcmp(want, got, sizeof(want)) != 0) {
		fail_msg("%s, size %zu: %zu \"%.*s\", C says %zu \"%.*s\"", fmt, size, got_len,
		         (int)size, got, want_len, (int)size, want);
	}
}

static void test_like_c(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		char a[16], b[16], c[16], d[16], fmt[100];
		size_t size = random() % 4 == 0 ? (size_t)random() % 20 : 599;

		random_spec(a, "ux"[random() % 2], true);
		random_spec(b, "uxd"[random() % 3], false);
		random_spec(c, random() % 2 == 0 ? 's' : 'd', false);
		random_spec(d, 'c', false);
		snprintf(fmt, sizeof(fmt), "<%s|%s|%s%%%%%s>", a, b, c, d);
		if (strchr(c, 's') != NULL) {
			both(size, fmt, random64(), (uint32_t)random64(),
			     &"0123456789abcdef"[random() % 17], 'a' + random() % 26);
		} else {
			both(size, fmt, random64(), (uint32_t)random64(), (int)random64(),
			     'a' + random() % 26);
		}
	}
}

static void test_edges(void **state)
{
	(void)state;
	both(599, "%s", "");
	both(599, "");
	both(0, "abc");
	both(1, "abc");
	both(3, "abc");
	both(4, "abc");
	both(599, "%u %lu %x %lx", UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX);
	both(599, "%d %d %ld %ld", INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX);
	both(599, "%020lu %016lx %05d %-5d|%5d", UINT64_MAX, UINT64_MAX, -42, -42, -42);
	both(599, "%99u", 1u);
}

static void test_format_returns_length(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(format(buf, sizeof(buf), "%s", "0123456789"), 10);
	assert_string_equal(buf, "0123456");
	assert_int_equal(format(buf, sizeof(buf), "%u", 42u), 2);
	assert_string_equal(buf, "42");
}

static void test_log_is_one_line(void **state)
{
	char text[300];

	(void)state;
	pumped = 0;
	hv_log("vm %s: %d", "servo", -3);
	assert_int_equal(logged_len, 13);
	assert_memory_equal(logged, "vm servo: -3\n", 13);
	assert_int_equal(pumped, 1);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	hv_log("%s", text);
	assert_int_equal(logged_len, 160);
	assert_int_equal(logged[158], 'x');
	assert_int_equal(logged[159], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_c),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_format_returns_length),
		cmocka_unit_test(test_log_is_one_line),
	};

	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
