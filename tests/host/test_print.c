/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/print.c */
/* text_add against C's own snprintf; hv_log's lines. */
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

void console_announce(uint32_t channel)
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

/* A random conversion of `letter`: strings left in their field, numbers right, zeros or not. */
static void random_spec(char *spec, char letter, bool wide)
{
	char *p = spec;
	bool width = random() % 2 == 0;

	*p++ = '%';
	if (width && letter == 's') {
		p += sprintf(p, "-%ld", random() % 99 + 1);
	} else if (width) {
		p += sprintf(p, "%s%ld", random() % 2 == 0 ? "0" : "", random() % 20 + 1);
	}
	if (wide) {
		*p++ = 'l';
	}
	*p++ = letter;
	*p = '\0';
}

/* In two pieces, the first of which is "ab": the same as C writes, and nothing behind its end. */
static void both(size_t size, const char *fmt, ...)
{
	char want[600], got[600];
	struct text t = { got, &got[size - 1] };
	va_list ap;
	size_t head;

	memset(want, 'w', sizeof(want));
	memset(got, 'w', sizeof(got));
	head = (size_t)snprintf(want, size, "ab");
	head = head < size ? head : size - 1;
	va_start(ap, fmt);
	vsnprintf(want + head, size - head, fmt, ap);
	va_end(ap);
	text_add(&t, "%s", "ab");
	assert_int_equal(t.at - got, head);
	va_start(ap, fmt);
	text_add_v(&t, fmt, ap);
	va_end(ap);
	if (t.at != got + strlen(want) || memcmp(want, got, sizeof(want)) != 0) {
		fail_msg("%s, size %zu: %td \"%.*s\", C says \"%.*s\"", fmt, size, t.at - got,
			 (int)size, got, (int)size, want);
	}
}

static void test_like_c(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		char a[16], b[16], c[16], fmt[100];
		size_t size = random() % 4 == 0 ? (size_t)random() % 20 + 1 : 599;

		random_spec(a, "ux"[random() % 2], true);
		random_spec(b, "ux"[random() % 2], false);
		random_spec(c, 's', false);
		snprintf(fmt, sizeof(fmt), "<%s|%s|%s%s>", a, b, c, b);
		both(size, fmt, random64(), (uint32_t)random64(),
		     &"0123456789abcdef"[random() % 17], (uint32_t)random() % 2);
	}
}

static void test_edges(void **state)
{
	(void)state;
	both(599, "%s", "");
	both(1, "%s", "abc");
	both(3, "%s", "abc");
	both(6, "%s", "abc");
	both(5, "%s", "abc");
	both(599, "%u %lu %x %lx", UINT32_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX);
	both(599, "%u %lu %x %lx %3u %03u", 0u, 0ul, 0u, 0ul, 0u, 0u);
	both(599, "%020lu %016lx %20lu %1lu", UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	both(599, "%-99s|", "");
}

static void test_log_is_one_line(void **state)
{
	char text[300];

	(void)state;
	pumped = 0;
	hv_log("vm %s: %u", "servo", 13u);
	assert_int_equal(logged_len, 13);
	assert_memory_equal(logged, "vm servo: 13\n", 13);
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
		cmocka_unit_test(test_log_is_one_line),
	};

	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
