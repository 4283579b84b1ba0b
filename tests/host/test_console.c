/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: tests/host/console_bed.c hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* What a terminal shows of several writers, and when the console says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "console_bed.h"

/* What the UART sent since the last call, and sends with the interrupts that are asked for. */
static void expect_sent(const char *want)
{
	everything_out();
	assert_int_equal(host.out_len - term.seen, strlen(want));
	assert_memory_equal(host.out + term.seen, want, strlen(want));
	term.seen = host.out_len;
}

static void test_lines(void **state)
{
	(void)state;
	put(2, "frame ");
	expect_sent("");
	put(2, "1\n");
	expect_sent("[vision] frame 1\r\n");
	put(2, "2\r\n");
	expect_sent("[vision] 2\r\n");
	put(2, "\n");
	expect_sent("[vision] \r\n");
	hv_log("hello %u", 7u);
	expect_sent("[kizami] hello 7\r\n");
}

/* The focused VM's prompt shows at once, gives way to other lines, and comes back. */
static void test_prompt(void **state)
{
	(void)state;
	put(0, "# ");
	expect_sent("[linux] # ");
	put(0, "l");
	expect_sent("l");
	put(2, "x\n");
	expect_sent("\r\x1b[K[vision] x\r\n[linux] # l");
	put(0, "s\r\n");
	expect_sent("s\r\n");
	put(2, "y\n");
	expect_sent("[vision] y\r\n");
}

/* What is written over with a carriage return looks so, and harms no tag. */
static void test_carriage_return(void **state)
{
	(void)state;
	put(0, "10%\r20%");
	term_read();
	assert_string_equal(term.row, "[linux] 20%");
	put(0, "\r\r\n");
	assert_string_equal(term_rows(), "[linux] 20%\n");
	put(0, "\r\rx\r\r\r\n");
	assert_string_equal(term_rows(), "[linux] x\n");
	put(2, "long text\rab\n");
	everything_out();
	assert_string_equal(term_rows(), "[vision] ab\n");
}

/* Escape sequences: the focused VM's pass, its questions once; nothing of the others' does. */
static void test_escapes(void **state)
{
	(void)state;
	put(0, "\x1b[1m# \x1b[6n\x1b[K\x1b]\a");
	expect_sent("[linux] \x1b[1m# \x1b[6n\x1b[K\x1b]\a");
	put(2, "a\x1b[6n\x1b[31;1mb\tc\a\b\x1bZ\x1b\n");
	expect_sent("\r\x1b[K[vision] ab\tc\r\n[linux] \x1b[1m# \x1b[K\x1b]\a");
	put(0, "\x1b[0c");
	expect_sent("\x1b[0c");
	put(2, "\x1b[6\n");
	expect_sent("\r\x1b[K[vision] \r\n[linux] \x1b[1m# \x1b[K\x1b]\a");
	put(0, "\x1b");
	expect_sent("\x1b");
	put(2, "x\n");
	expect_sent("\r\x1b[K[vision] x\r\n[linux] \x1b[1m# \x1b[K\x1b]\a\x1b");
	put(0, "[\n");
	expect_sent("[\r\n");
	put(0, "\x1b[6n\n");
	expect_sent("[linux] \x1b[6n\r\n");
	put(2, "\x1b\tx\n");
	expect_sent("[vision] x\r\n");
}

static void test_long_lines(void **state)
{
	char want[400];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t vm = 2 * i;
		const char *name = machine.vm[vm].cfg->name;

		for (uint32_t j = 0; j < 170; j++) {
			put(vm, j == 165 ? "!" : "a");
		}
		put(vm, "\n");
		memset(want, 'a', sizeof(want));
		memcpy(want, i == 0 ? "[linux] " : "[vision] ", 8 + i);
		snprintf(want + 168 + i, 200, "\n[%s+] aaaaa!aaaa\n", name);
		everything_out();
		assert_string_equal(term_rows(), want);
		put(vm, "b\n");
		assert_string_equal(term_rows(), i == 0 ? "[linux] b\n" : "[vision] b\n");
	}
}

/* ---- Any interleaving: each VM's stream is whole ---- */

static void writer_step(struct writer *w, uint32_t vm)
{
	bool end = random() % (w->line > 150 ? 3 : 30) == 0;
	char c = (char)('a' + random() % 26);

	if (w->len + 2 > sizeof(w->wrote) || !console_has_room(vm, 2)) {
		return;
	}
	if (end && random() % 2 == 0) {
		ring_put(vm, '\r');
	}
	c = end ? '\n' : c;
	w->line = end ? 0 : w->line + 1;
	w->wrote[w->len++] = c;
	ring_put(vm, c);
	if (random() % 4 != 0) {
		console_pump(vm);
	}
}

static void test_any_interleaving(void **state)
{
	static struct writer w[2];
	static char text[BYTES * 2];
	static const uint32_t vm[2] = { 0, 2 };
	static const char keys[] = { '1', '2', '3', 'n' };

	(void)state;
	memset(w, 0, sizeof(w));
	host.room = 0;
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t which = (uint32_t)random() % 2;

		writer_step(&w[which], vm[which]);
		if (random() % 8 == 0) {
			host.room += (uint32_t)random() % (i / 4096 % 2 == 0 ? 40 : 8);
		}
		if (host.notify && host.room != 0 && random() % 2 == 0) {
			console_uart();
		}
		if (random() % 5000 == 0) {
			host_type(CONSOLE_ESCAPE);
			host_type((uint8_t)keys[random() % 4]);
			everything_in();
		}
		if (host.out_len > HOST_OUT_MAX / 2) {
			break;
		}
	}
	for (uint32_t i = 0; i < 2; i++) {
		everything_out();
		ring_put(vm[i], '\n');
		console_pump(vm[i]);
		everything_out();
		w[i].wrote[w[i].len++] = '\n';
	}
	term_read();
	assert_int_equal(term.len, 0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(w[i].len > 20000);
		assert_int_equal(term_of(machine.vm[vm[i]].cfg->name, text), w[i].len);
		assert_memory_equal(text, w[i].wrote, w[i].len);
		assert_int_equal(console_out_dropped(vm[i]), 0);
	}
}

/* ---- Bounds ---- */

/* A flood of one VM delays a line of another by no more than one line. */
static void test_fair(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		const char *from = term.rows + term.rows_len;
		const char *mine;

		host.room = 0;
		for (uint32_t j = 0; j < 100; j++) {
			put(2 * i, "flood\n");
		}
		put(2 - 2 * i, "me\n");
		everything_out();
		term_read();
		mine = strstr(from, "] me\n");
		assert_non_null(mine);
		assert_true(mine - from <= 2 * (long)strlen("[vision] flood\n"));
		assert_int_equal(console_out_dropped(2 * i), 0);
	}
}

#define CALL 32u /* bytes that one call moves: from a ring, to the screen's line, to the UART */

/* One call moves a part; the interrupt goes on where it stopped. */
static void test_bounded(void **state)
{
	uint32_t sent = 0, calls = 0;

	(void)state;
	for (uint32_t i = 0; i < 10 * 50; i++) {
		ring_put(2, i % 50 == 49 ? '\n' : 'x');
	}
	hv_log("%s", "another line, and the first one of the status page");
	console_status();
	for (console_pump(2); host.notify; console_uart()) {
		assert_in_range(host.out_len, sent, sent + CALL);
		sent = host.out_len;
		calls++;
	}
	assert_in_range(calls, 3 * 10 * 50 / CALL, 200);
	term_read();
	assert_non_null(strstr(term.rows, "another line"));
	assert_non_null(strstr(term.rows, "status: "));
	assert_true(term.rows_len > 10 * strlen("[vision] ") + 10 * 50);
}

/* A tag costs as much as what a VM prints. */
static void test_bounded_tags(void **state)
{
	uint32_t calls = 1;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		ring_put(2, '\n');
	}
	for (console_pump(2); host.notify; console_uart()) {
		calls++;
	}
	assert_in_range(calls, 20 * (1 + 2 * strlen("[vision] ")) / CALL, 25);
}

/* What is left out costs as much as what is shown. */
static void test_bounded_omitted(void **state)
{
	static const char *const parts[] = { "\x1b", "\a", "\x1b[", "\x1b[0000000000m" };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++) {
		uint32_t len = (uint32_t)strlen(parts[i]);
		uint32_t calls = 1;

		for (uint32_t j = 0; j < 150 / len * len; j++) {
			ring_put(2, parts[i][j % len]);
		}
		ring_put(2, '\n');
		for (console_pump(2); host.notify; console_uart()) {
			calls++;
		}
		assert_in_range(calls, 2 * 150 / CALL, 13);
		term_read();
		assert_string_equal(term_rows(), "[vision] \n");
	}
}

/* A line of the page is formatted in a call of its own. */
static void test_bounded_status(void **state)
{
	uint32_t sent;

	(void)state;
	hv_log("first");
	console_status();
	do { /* until the UART has the end of a line, and room */
		console_uart();
		sent = host.out_len;
		assert_true(host.notify);
	} while (sent == 0 || host.out[sent - 1] != '\n');
	for (uint32_t i = 0; i < 2; i++) { /* formats it; draws its beginning */
		console_uart();
		assert_int_equal(host.out_len, sent);
	}
	console_uart();
	assert_memory_equal(host.out + sent, "[kizami] status: ", 17);
	everything_out();
	term_read();
	assert_non_null(strstr(term.rows, "\n[kizami] mute:0"));
}

/* A full ring drops and counts, says so, and says when there is room. */
static void test_full(void **state)
{
	uint32_t i;

	(void)state;
	host.room = 0;
	machine.vm[0].uart.reg[6] = BIT(5); /* IMSC: transmit */
	for (i = 0; console_has_room(0, 1); i++) {
		assert_true(i < 2000);
		ring_put(0, i % 50 == 49 ? '\n' : 'x');
		console_pump(0);
	}
	assert_true(i >= CONSOLE_RING);
	ring_put(0, 'y');
	ring_put(0, 'y');
	assert_int_equal(console_out_dropped(0), 2);
	host.room = 64;
	console_uart();
	assert_int_equal(machine.vm[0].arch.edges, 0);
	everything_out();
	assert_int_equal(machine.vm[0].arch.line[0] >> 33, 1);
	assert_true(console_has_room(0, CONSOLE_RING));
	term_read();
	assert_null(strchr(term.rows, 'y'));
}

/* hv_log loses whole lines only. */
static void test_log_full(void **state)
{
	uint32_t lines = 0;

	(void)state;
	host.room = 0;
	for (uint32_t i = 0; i < 100; i++) {
		hv_log("a line that is not short at all: %03u", i);
	}
	everything_out();
	term_read();
	for (const char *p = term.rows; *p != '\0'; p = strchr(p, '\n') + 1) {
		char want[80];

		snprintf(want, sizeof(want), "[kizami] a line that is not short at all: %03u\n",
			 lines++);
		assert_memory_equal(p, want, strlen(want));
	}
	assert_true(lines >= 20 && lines < 100);
	assert_int_equal(console_out_dropped(CONSOLE_HV), 100 - lines);
}

static void test_flush_ends(void **state)
{
	uint64_t before;

	(void)state;
	hv_log("last words");
	host.room = 0;
	put(0, "stuck\n");
	before = host.ticks;
	console_flush();
	assert_in_range(host.ticks - before, 200000, 200100);
	host.room = UINT32_MAX;
	console_flush();
	assert_string_equal(term_rows(), "[kizami] last words\n[linux] stuck\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, bed_setup),
		cmocka_unit_test_setup(test_prompt, bed_setup),
		cmocka_unit_test_setup(test_carriage_return, bed_setup),
		cmocka_unit_test_setup(test_escapes, bed_setup),
		cmocka_unit_test_setup(test_long_lines, bed_setup),
		cmocka_unit_test_setup(test_any_interleaving, bed_setup),
		cmocka_unit_test_setup(test_fair, bed_setup),
		cmocka_unit_test_setup(test_bounded, bed_setup),
		cmocka_unit_test_setup(test_bounded_tags, bed_setup),
		cmocka_unit_test_setup(test_bounded_omitted, bed_setup),
		cmocka_unit_test_setup(test_bounded_status, bed_setup),
		cmocka_unit_test_setup(test_full, bed_setup),
		cmocka_unit_test_setup(test_log_full, bed_setup),
		cmocka_unit_test_setup(test_flush_ends, bed_setup),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
