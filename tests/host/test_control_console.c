/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/* Consoles that VMs read and write: two rivals, VMs that go, and the physical console beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <kizami/console.h>
#include "life_bed.h"

#define BUFFER LINUX_AT

static int setup(void **state)
{
	(void)state;
	alarm(20);			/* a pump that finds no end */
	life_setup();
	life_start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	life_end();
	alarm(0);
	return 0;
}

/* ---- The physical console ---- */

static const char *printed(void)
{
	host_become(0);
	for (uint32_t i = 0; host.notify && i < 10000; i++) {
		console_uart();
	}
	host.out[host.out_len] = '\0';
	host.out_len = 0;
	return (const char *)host.out;
}

static void says(uint32_t vm, const char *text)
{
	host_become(machine.vm[vm].vcpu[0].cpu->id);
	console_write(vm, text, (uint32_t)strlen(text));
	console_pump(vm);
}

static void keys(const char *text)
{
	for (; *text != '\0'; text++) {
		host_type((uint8_t)*text);
		host.notify = true;
		(void)printed();
	}
}

/* ---- Calls ---- */

static uint64_t *read_call(uint32_t who, uint32_t vm, uint32_t size, int64_t err)
{
	static uint64_t x[5];

	memcpy(x, (uint64_t[5]){ KZ_HVC_CONSOLE_READ, vm, BUFFER, size }, sizeof(x));
	assert_int_equal(life_call(who, x), err);
	return x;
}

static const char *memory_of(uint32_t vm)
{
	return arch_ptr(pa(life.vm[vm].region[0].pa));
}

static void reads(uint32_t who, uint32_t vm, uint32_t size, const char *text)
{
	assert_int_equal(read_call(who, vm, size, KZ_OK)[1], strlen(text));
	assert_memory_equal(memory_of(who), text, strlen(text));
}

/* One reader at a time; the other gets nothing until it ends. */
static void test_rivals(void **state)
{
	(void)state;
	(void)printed();
	says(SERVO, "before\n");
	assert_non_null(strstr(printed(), "[servo] before\r\n"));
	assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_DETACH), KZ_EBUSY);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
	assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_ATTACH), KZ_EBUSY);
	assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_DETACH), KZ_EBUSY);
	says(SERVO, "hello\n");
	(void)read_call(RAW, SERVO, 100, KZ_EBUSY);
	reads(LINUX, SERVO, 3, "hel");
	reads(LINUX, SERVO, 100, "lo\n");
	reads(LINUX, SERVO, 100, "");
	assert_null(strstr(printed(), "hello"));
	says(SERVO, "unread\n");
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_DETACH), KZ_OK);
	(void)read_call(LINUX, SERVO, 100, KZ_EBUSY);
	assert_non_null(strstr(printed(), "[servo] unread\r\n"));
	assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_ATTACH), KZ_OK);
	(void)read_call(LINUX, SERVO, 100, KZ_EBUSY);
	says(SERVO, "to raw\n");
	reads(RAW, SERVO, 100, "to raw\n");
}

/* Who has found nothing is told of the next byte, once. */
static void test_told(void **state)
{
	struct sched *s = &machine.vm[LINUX].vcpu[0].sched;

	(void)state;
	s->notify = KZ_NOTIFY_CONTROL;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
	says(SERVO, "1");
	reads(LINUX, SERVO, 100, "1");
	s->events = 0;
	says(SERVO, "2");
	assert_int_equal(s->events, KZ_NOTIFY_CONTROL);
	s->events = 0;
	says(SERVO, "3");
	assert_int_equal(s->events, 0);
	reads(LINUX, SERVO, 100, "23");
}

/* Who may see this VM only is told that it has gone, too. */
static void test_told_of_the_end(void **state)
{
	struct sched *s = &machine.vm[ISLAND].vcpu[0].sched;

	(void)state;
	s->notify = KZ_NOTIFY_CONTROL;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_STOP), KZ_OK);
	life_quiet();
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_DESTROY), KZ_OK);
	assert_int_equal(machine.vm[SERVO].state, KZ_VM_CLEARING);
	s->events = 0;
	life_quiet();
	assert_int_equal(machine.vm[SERVO].state, KZ_VM_NONE);
	assert_int_equal(s->events, KZ_NOTIFY_CONTROL);
}

/* What a VM has written and nobody takes is not lost but for what has no room. */
static void test_full(void **state)
{
	char line[101];
	uint32_t got = 0, dropped = console_out_dropped(SERVO);

	(void)state;
	memset(line, 'a', 100);
	line[100] = '\0';
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
	for (uint32_t i = 0; i < 20; i++) {
		says(SERVO, line);
	}
	for (uint64_t n = 1; n != 0; got += (uint32_t)n) {
		n = read_call(LINUX, SERVO, 77, KZ_OK)[1];
	}
	assert_int_equal(got, 1000);
	assert_int_equal(console_out_dropped(SERVO), dropped + 10);
}

/* A reset of the reader, or its end, ends what it reads. */
static void test_reader_ends(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_ATTACH), KZ_OK);
		if (i == 0) {
			assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_RESET), KZ_OK);
		} else if (i == 1) {
			assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_STOP), KZ_OK);
			life_quiet();
			assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_START), KZ_OK);
		} else {
			assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_DESTROY), KZ_OK);
		}
		life_quiet();
		assert_int_equal(console_reader(SERVO), 0);
		says(SERVO, "again\n");
		assert_non_null(strstr(printed(), "[servo] again\r\n"));
	}
}

/* Typed by two at once, as far as there is room. */
static void test_type(void **state)
{
	struct kz_console_ring *ring = (void *)(uintptr_t)(memory_of(SERVO) + 0x1000);
	uint64_t n = 0;

	(void)state;
	memset(life_memory(BUFFER), 'l', 64);
	memset((void *)(uintptr_t)memory_of(RAW), 'r', 64);
	for (uint32_t i = 0; i < 9; i++) {
		uint64_t x[5] = { KZ_HVC_CONSOLE_WRITE, SERVO, BUFFER, 40 };

		assert_int_equal(life_call(i % 2 == 0 ? LINUX : RAW, x), KZ_OK);
		assert_int_equal(x[1], n + 40 <= KZ_CONSOLE_IN ? 40 : KZ_CONSOLE_IN - n);
		n += x[1];
	}
	assert_int_equal(ring->in_head, KZ_CONSOLE_IN);
	for (uint32_t i = 0; i < KZ_CONSOLE_IN; i++) {
		assert_int_equal(ring->in[i], i / 40 % 2 == 0 ? 'l' : 'r');
	}
}

/* An unfinished line has the screen and the keys when its console is taken away, and comes back. */
static void test_focus(void **state)
{
	(void)state;
	keys("\x1d" "4");			/* raw */
	says(RAW, "~ # ");
	assert_non_null(strstr(printed(), "[raw] ~ # "));
	says(SERVO, "over it\n");
	(void)printed();
	says(LINUX, "more\n");
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_ATTACH), KZ_OK);
	says(SERVO, "x\n");
	assert_non_null(strstr(printed(), "[servo] x\r\n"));
	says(RAW, "elsewhere");
	assert_null(strstr(printed(), "elsewhere"));
	reads(LINUX, RAW, 100, "elsewhere");
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_DETACH), KZ_OK);
	says(RAW, "ls\n");
	assert_non_null(strstr(printed(), "[raw] ~ # ls\r\n"));
}

/* A VM that goes takes its unfinished line with it: who comes has a clean one. */
static void test_line_goes(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	keys("\x1d" "4");
	says(RAW, "a long unfinished line");
	(void)printed();
	says(LINUX, "y");			/* its turn: raw's line stays on the screen */
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_DESTROY), KZ_OK);
	life_quiet();
	life_config(&cfg, 0, KZ_NRT);
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], RAW);
	says(RAW, "new");
	for (uint32_t i = 0; i < 20; i++) {
		says(RAW, ".");
	}
	assert_non_null(strstr(printed(), "[vm-a] new...................."));
	says(RAW, "\n");
	assert_string_equal(printed(), "\r\n");
}

/* A console taken while its VM is cleared is not that of the next in its place. */
static void test_attach_late(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_STOP), KZ_OK);
	life_quiet();
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_DESTROY), KZ_OK);
	assert_int_equal(machine.vm[SERVO].state, KZ_VM_CLEARING);
	assert_int_equal(life_verb(RAW, SERVO, KZ_VERB_ATTACH), KZ_OK);
	life_quiet();
	life_config(&cfg, 0, KZ_HRT);
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], SERVO);
	assert_int_equal(console_reader(SERVO), 0);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
}

/* Taken while the UART is in a line: that ends there, the next one is the reader's. */
static void test_attach_midway(void **state)
{
	static const char text[] = "second\n";
	const char *out;

	(void)state;
	(void)printed();
	host.room = 9;
	says(SERVO, "first\nsecond\n");
	assert_int_equal(host.room, 0);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_ATTACH), KZ_OK);
	host.room = HOST_OUT_MAX;
	host.notify = true;
	out = printed();
	assert_non_null(strstr(out, "[servo] first\r\n"));
	assert_null(strstr(out, "second"));
	reads(LINUX, SERVO, 100, text);
	/* as a guest's ring is emptied: without a pump of its own */
	host_become(3);
	console_write(SERVO, text, sizeof(text) - 1);
	host.notify = false;
	console_announce(SERVO);
	assert_false(host.notify);
	assert_string_equal(printed(), "");
	reads(LINUX, SERVO, 100, text);
}

/* The last VM with a console is gone: its focus goes nowhere, and keys harm nobody. */
static void test_focus_of_nobody(void **state)
{
	(void)state;
	(void)printed();
	life.vm[LINUX].console = life.vm[ISLAND].console = KZ_CONSOLE_NONE;
	life.vm[SERVO].console = KZ_CONSOLE_NONE;
	keys("\x1d" "4");
	assert_int_equal(console_focus, RAW);
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_DESTROY), KZ_OK);
	life_quiet();
	keys("a");
	keys("\x1d" "n");
	keys("\x1d" "4");
	keys("b");
	says(SERVO, "alive\n");
	assert_non_null(strstr(printed(), "alive"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rivals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_of_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_focus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_line_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_midway, setup, teardown),
		cmocka_unit_test_setup_teardown(test_focus_of_nobody, setup, teardown),
	};

	return cmocka_run_group_tests_name("control console", tests, NULL, NULL);
}
