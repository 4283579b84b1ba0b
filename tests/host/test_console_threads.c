/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: tests/host/console_bed.c hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * The console from several cores at once, one thread each: two VMs that write as
 * fast as their rings take it, two cores that log, and the console core behind a
 * slow UART. Nobody pumps at the end: what a lost wake-up left behind is missed.
 * Also meant for -fsanitize=thread.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "console_bed.h"

#define ROUNDS 200u
#define LINES  12u /* a VM and a round */
#define LOGS   3u  /* a core and a round */

static uint32_t writers; /* threads that still write; atomic */

static void write_byte(uint32_t vm, char c)
{
	while (!console_has_room(vm, 1)) {
		sched_yield();
	}
	ring_put(vm, c);
	console_pump(vm);
}

static void *write_lines(void *arg)
{
	uint32_t vm = *(uint32_t *)arg;

	for (uint32_t i = 0; i < LINES; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%u of vm %u%.*s\n", i, vm, (int)(i % 23),
			 "......................");
		for (const char *p = line; *p != '\0'; p++) {
			write_byte(vm, *p);
		}
	}
	/* A line without an end: its bytes are the last that this core does. */
	for (uint32_t i = 0; i < 100; i++) {
		write_byte(vm, 'z');
	}
	__atomic_fetch_sub(&writers, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *log_lines(void *arg)
{
	for (uint32_t i = 0; i < LOGS; i++) {
		/* Until the other cores are in the midst of it, or at its end. */
		for (uint32_t j = (uint32_t)random() % 200; j > 0; j--) {
			sched_yield();
		}
		hv_log("%u of core %u", i, *(uint32_t *)arg);
	}
	__atomic_fetch_sub(&writers, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The UART: it takes 16 bytes at a time, and interrupts the console core when it was asked to. */
static void console_core(void)
{
	bool quiet = false;

	while (!quiet) {
		bool over = __atomic_load_n(&writers, __ATOMIC_ACQUIRE) == 0;

		if (__atomic_load_n(&host.room, __ATOMIC_RELAXED) == 0) {
			__atomic_fetch_add(&host.room, 16, __ATOMIC_RELAXED);
		}
		if (__atomic_load_n(&host.notify, __ATOMIC_RELAXED)) {
			console_uart();
		} else {
			quiet = over;
			sched_yield();
		}
	}
}

/* Every line of the VM, in its order, and nothing else. */
static void check_lines(uint32_t vm)
{
	static char text[BYTES];
	uint32_t len = term_of(machine.vm[vm].cfg->name, text);
	const char *p = text;

	for (uint32_t i = 0; i < LINES; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "%u of vm %u%.*s\n", i, vm, (int)(i % 23),
				 "......................");

		assert_memory_equal(p, line, (size_t)n);
		p += n;
	}
	assert_int_equal(p - text, len);
	assert_int_equal(console_out_dropped(vm), 0);
}

static void check_logs(void)
{
	static char text[BYTES];
	uint32_t len = term_of("kizami", text);
	uint32_t lines = 0;

	for (uint32_t i = 0; i < len; i++) {
		lines += text[i] == '\n';
	}
	assert_int_equal(lines, 2 * LOGS);
	assert_int_equal(console_out_dropped(CONSOLE_HV), 0);
}

static void test_threads(void **state)
{
	static uint32_t ids[4] = { 0, 2, 2, 3 };
	pthread_t thread[4];

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		(void)bed_setup(NULL);
		host.room = 0;
		host.slow = true;
		writers = 4;
		for (uint32_t i = 0; i < 4; i++) {
			int err = pthread_create(&thread[i], NULL, i < 2 ? write_lines : log_lines,
						 &ids[i]);

			assert_int_equal(err, 0);
		}
		console_core();
		for (uint32_t i = 0; i < 4; i++) {
			pthread_join(thread[i], NULL);
		}
		term_read();
		check_lines(0);
		check_lines(2);
		check_logs();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("console threads", tests, NULL, NULL);
}
