/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: tests/host/console_bed.c hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* What the keys do, and what a console ring's guest can and cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "console_bed.h"
#include "policy.h"

static void test_keys(void **state)
{
	(void)state;
	type("a");
	assert_int_equal(typed(0), 'a');
	type("\0353");
	assert_string_equal(term_rows(), "[kizami] console: vision (Ctrl-] h for help)\n");
	type("b");
	assert_int_equal(typed(0), -1);
	assert_int_equal(typed(2), 'b');
	type("\035n");
	assert_string_equal(term_rows(), "[kizami] console: linux (Ctrl-] h for help)\n");
	type("\035n");
	assert_string_equal(term_rows(), "[kizami] console: servo (Ctrl-] h for help)\n");
	type("\0354");
	assert_string_equal(term_rows(), "[kizami] console: mute has none\n");
	type("\0351");
	assert_string_equal(term_rows(), "[kizami] console: linux (Ctrl-] h for help)\n");
	type("\035\035x");
	assert_int_equal(typed(0), 0x1d);
	assert_int_equal(typed(0), 'x');
	assert_int_equal(typed(0), -1);
}

static void test_help(void **state)
{
	static const char *const keys[] = { "h", "?", "z", "5", "0", "\r" };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(keys); i++) {
		type("\035");
		assert_string_equal(term_rows(), "");
		type(keys[i]);
		assert_string_equal(term_rows(),
				    "[kizami] Ctrl-] then n: next VM, 1-8: that VM, "
				    "s: status, x: power off, Ctrl-]: send it, h: help\n");
		assert_int_equal(typed(0), -1);
	}
}

static void test_power_off(void **state)
{
	jmp_buf here;

	(void)state;
	host.leave = &here;
	ring_put(2, 'z');
	ring_put(2, '\n');
	host_type(CONSOLE_ESCAPE);
	host_type('x');
	if (setjmp(here) == HOST_RETURNED) {
		everything_in();
		fail_msg("the machine is still on");
	}
	host.leave = NULL;
	assert_string_equal(term_rows(), "[kizami] console: power off\n");
}

/* A turn takes a few bytes, or one and goes on with the output: neither waits for the other. */
static void test_turns(void **state)
{
	(void)state;
	host.room = 0;
	for (uint32_t i = 0; i < 512; i++) {
		ring_put(2, i % 64 == 63 ? '\n' : 'x');
		host_type('k');
	}
	console_pump(2);
	host.room = UINT32_MAX;
	for (uint32_t turn = 0; host.in_len != 0; turn++) {
		uint32_t typed = host.in_len, sent = host.out_len;

		console_uart();
		assert_int_equal(typed - host.in_len, turn % 2 != 0 ? 1 : typed < 8 ? typed : 8);
		assert_true(turn % 2 != 0 || host.out_len == sent);
	}
	/* as many turns of the output have brought it all */
	term_read();
	assert_int_equal(term.rows_len, 8 * (strlen("[vision] ") + 64));
	assert_int_equal(console_in_dropped(0), 0);
}

/* Pasted text waits; what nobody reads is dropped and counted. */
static void test_paste(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PL011_RX + 5; i++) {
		host_type((uint8_t)('a' + i % 26));
	}
	everything_in();
	for (uint32_t i = 0; i < PL011_RX; i++) {
		assert_int_equal(typed(0), 'a' + (int)(i % 26));
	}
	assert_int_equal(typed(0), -1);
	assert_int_equal(console_in_dropped(0), 5);
}

static void test_focus_at_start(void **state)
{
	static const struct {
		uint8_t level[3], console[3];
		uint32_t focus;
	} rows[] = {
		{ { KZ_HRT, KZ_NRT, KZ_NRT }, { 1, 1, 1 }, 1 },
		{ { KZ_NRT, KZ_NRT, KZ_NRT }, { 1, 1, 1 }, 0 },
		{ { KZ_HRT, KZ_NRT, KZ_SRT }, { 1, 0, 1 }, 0 },
		{ { KZ_HRT, KZ_SRT, KZ_HRT }, { 0, 1, 1 }, 1 },
		{ { KZ_HRT, KZ_SRT, KZ_NRT }, { 0, 1, 1 }, 2 },
		{ { KZ_NRT, KZ_NRT, KZ_NRT }, { 0, 0, 1 }, 2 },
		{ { KZ_NRT, KZ_NRT, KZ_NRT }, { 0, 0, 0 }, 3 },
	};

	(void)state;
	bed.vm[3].console = KZ_CONSOLE_NONE;
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint32_t j = 0; j < 3; j++) {
			bed.vm[j].level = rows[i].level[j];
			bed.vm[j].console = rows[i].console[j];
		}
		console_init();
		type("k");
		for (uint32_t j = 0; j < 3; j++) {
			assert_int_equal(typed(j), rows[i].focus == j ? 'k' : -1);
		}
	}
	type("\035n");
	assert_string_equal(term_rows(), "[kizami] console: no VM has one\n");
}

/* ---- When the console has its turn ---- */

static struct vcpu *vcpu_begin(uint32_t vm)
{
	struct vcpu *v = &machine.vm[vm].vcpu[0];

	v->cpu = &host.cpu[0];
	sched_add(v);
	machine.vm[vm].fresh = false;
	v->state = VCPU_RUNNING;
	sched_post(v);
	return v;
}

/* Not while a server is ready, not at once again, and it is nobody's time but stolen. */
static void test_turn(void **state)
{
	struct sched_core *c = &host.cpu[0].sched;
	struct vcpu *linux = vcpu_begin(0), *vision;
	uint64_t before;

	(void)state;
	bed.vm[2].server = (struct kz_cfg_server){.budget_ns = 2000000, .period_ns = 10000000,
						  .deadline_ns = 10000000};
	vision = vcpu_begin(2);
	host_freeze(100000);
	assert_true(sched_init(&host.cpu[0]));
	assert_ptr_equal(sched_next(&host.cpu[0]), vision);
	host_type('a');
	sched_console(&host.cpu[0]);
	assert_ptr_equal(sched_next(&host.cpu[0]), vision);
	assert_int_equal(typed(0), -1);
	assert_int_equal(host.timer[0], 102000);	/* nothing but its budget's end */
	sched_job_done(vision);
	assert_ptr_equal(sched_next(&host.cpu[0]), linux);
	assert_int_equal(typed(0), 'a');
	host_type('b');
	sched_console(&host.cpu[0]);
	assert_ptr_equal(sched_next(&host.cpu[0]), linux);
	assert_int_equal(typed(0), -1);
	assert_int_equal(host.timer[0], 100000 + c->slice / 2);
	host.ticks += c->slice / 2;
	host.frozen = false;
	before = linux->sched.executed + linux->sched.stolen;
	assert_ptr_equal(sched_next(&host.cpu[0]), linux);
	assert_int_equal(typed(0), 'b');
	assert_true(linux->sched.stolen > 0);
	assert_int_equal(linux->sched.executed + linux->sched.stolen - before, c->since - 100000);
}

/* Much input takes the turn; the next one is for output, whatever else is typed. */
static void test_turn_much(void **state)
{
	(void)state;
	host.room = UINT32_MAX;
	for (uint32_t i = 0; i < 40; i++) {
		host_type('a');
	}
	ring_put(0, 'x');
	console_announce(0);
	console_uart();
	assert_int_equal(host.out_len, 0);
	assert_in_range(host.in_len, 20, 39);
	assert_true(host.notify);		/* it comes again */
	console_uart();
	assert_true(host.out_len > 0);
	assert_true(host.in_len > 0);
	everything_out();
	while (typed(0) >= 0) {
	}
}

static void hazard(struct vcpu *v)
{
	vcpu_hazard(v, HAZARD_IRQ);
}

/* Who waits for what is typed runs next: nobody has to come and look again. */
static void test_turn_wakes(void **state)
{
	struct access imsc = { .addr = 0x38, .value = 0x50, .size = 4, .write = true };
	struct vcpu *linux = vcpu_begin(0);

	(void)state;
	(void)vcpu_begin(3);
	host.rises = hazard;
	host_freeze(100000);
	assert_true(sched_init(&host.cpu[0]));
	assert_ptr_equal(sched_next(&host.cpu[0]), linux);
	assert_int_equal(pl011_access(linux, &imsc), DONE);
	sched_block(linux);
	assert_ptr_equal(sched_next(&host.cpu[0]), &machine.vm[3].vcpu[0]);
	host_type('a');
	sched_console(&host.cpu[0]);
	assert_ptr_equal(sched_next(&host.cpu[0]), linux);
	assert_int_equal(typed(0), 'a');
}

/* ---- Console rings ---- */

static void ring_print(const char *s)
{
	struct kz_console_ring *r = servo_ring();

	for (; *s != '\0'; s++) {
		r->out[r->out_head++ % KZ_CONSOLE_OUT] = (uint8_t)*s;
	}
}

/* As long as something comes: a poll takes a part. */
static void poll_rings(void)
{
	uint32_t before;

	do {
		before = servo_ring()->out_tail;
		(void)console_poll(0);
		everything_out();
	} while (servo_ring()->out_tail != before);
}

static void test_ring_timer(void **state)
{
	struct sched_core *c = &host.cpu[0].sched;

	(void)state;
	c->poll = c->next = NEVER;
	console_start();
	assert_int_equal(c->poll, 0);		/* at once, */
	assert_int_equal(c->next, 0);
	assert_int_equal(console_poll(1000), 21000);	/* and every 20 ms */
	bed.vm[1].console = KZ_CONSOLE_PL011;
	console_init();
	c->poll = NEVER;
	console_start();
	assert_true(c->poll == NEVER);
}

/* Two rings take turns, a part of one a call, and come as often as one would alone. */
static void test_ring_turns(void **state)
{
	struct kz_console_ring *r[2] = { servo_ring(), (void *)(host.ram + 0x7000) };

	(void)state;
	bed.vm[3].console = KZ_CONSOLE_RING;
	console_init();
	for (uint32_t i = 0; i < 2; i++) {
		memset(r[i], 0, sizeof(*r[i]));
		memset(r[i]->out, 'x', 256);
		r[i]->out_head = 256;
	}
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(console_poll(1000), 1500);
		assert_int_equal(r[0]->out_tail + r[1]->out_tail, 32 * (i + 1));
		assert_true(i % 2 == 0 || r[0]->out_tail == r[1]->out_tail);
		everything_out();
	}
	assert_int_equal(console_poll(1000), 21000);
}

/* Random lines through the ring, over its ends and the 32 bits of its indices. */
static void test_ring_output(void **state)
{
	static struct writer w;
	static char text[BYTES * 2];
	struct kz_console_ring *r = servo_ring();

	(void)state;
	w.len = 0;
	while (w.len < BYTES - 100) {
		uint32_t n = (uint32_t)random() % 90;

		if (r->out_head - r->out_tail + n + 1 > KZ_CONSOLE_OUT) {
			poll_rings();
			continue;
		}
		for (uint32_t i = 0; i <= n; i++) {
			char c = (char)(i == n ? '\n' : 'a' + random() % 26);

			w.wrote[w.len++] = c;
			ring_print((char[]){ c, '\0' });
		}
	}
	for (uint32_t i = 0; i < 4; i++) {
		poll_rings();
	}
	term_read();
	assert_int_equal(r->out_tail, r->out_head);
	assert_int_equal(term_of("servo", text), w.len);
	assert_memory_equal(text, w.wrote, w.len);
}

static void test_ring_input(void **state)
{
	struct kz_console_ring *r = servo_ring();

	(void)state;
	type("\0352");
	type("hello");
	assert_int_equal(r->in_head, 5);
	assert_memory_equal(r->in, "hello", 5);
	for (uint32_t i = 0; i < KZ_CONSOLE_IN; i++) {
		host_type('x');
		everything_in();
	}
	assert_int_equal(r->in_head, KZ_CONSOLE_IN);
	assert_int_equal(console_in_dropped(1), 5);
	r->in_tail = 3;
	type("yz");
	assert_int_equal(r->in_head, KZ_CONSOLE_IN + 2);
	assert_memory_equal(r->in, "yzllo", 5);
}

/* Whatever the guest writes to its indices: nothing outside its page, and a working ring after. */
static void test_ring_hostile(void **state)
{
	struct kz_console_ring *r = servo_ring();
	uint8_t *ram = malloc(HOST_RAM_SIZE);
	size_t page = (size_t)((uint8_t *)r - host.ram);

	(void)state;
	assert_non_null(ram);
	memcpy(ram, host.ram, HOST_RAM_SIZE);
	type("\0352");
	for (uint32_t i = 0; i < 20000; i++) {
		r->out_head = (uint32_t)random() * 5;
		r->in_tail = (uint32_t)random() * 3;
		r->out_tail = (uint32_t)random();
		r->in_head = (uint32_t)random();
		type("q");
		poll_rings();
		assert_in_range(r->in_head - r->in_tail, 1, KZ_CONSOLE_IN);
		assert_true(r->out_head - r->out_tail <= KZ_CONSOLE_OUT);
		term.seen = host.out_len = 0;
	}
	assert_memory_equal(ram, host.ram, page);
	assert_memory_equal(ram + page + sizeof(*r), host.ram + page + sizeof(*r),
			    HOST_RAM_SIZE - page - sizeof(*r));
	free(ram);
	ring_print("\nfine\n");
	for (uint32_t i = 0; i < 8; i++) {
		poll_rings();
	}
	term_read();
	assert_non_null(strstr(term.rows, "[servo] fine\n"));
}

/* A VM that starts afresh finds its ring at zero, and no byte of it is lost. */
static void test_ring_restart(void **state)
{
	struct kz_console_ring *r = servo_ring();

	(void)state;
	ring_print("one\n");
	poll_rings();
	assert_string_equal(term_rows(), "[servo] one\n");
	memset(r, 0, sizeof(*r));
	console_ring_reset(1);
	ring_print("two, and more\n");
	poll_rings();
	assert_string_equal(term_rows(), "[servo] two, and more\n");
	type("\0352");
	type("abc");
	memset(r, 0, sizeof(*r));
	console_ring_reset(1);
	type("d");
	assert_int_equal(r->in_head, 1);
	assert_int_equal(r->in[0], 'd');
}

/* One byte more than the ring has is out of range: nothing of it is shown. */
static void test_ring_out_of_range(void **state)
{
	struct kz_console_ring *r = servo_ring();

	(void)state;
	memset(r->out, '\n', sizeof(r->out));
	r->out_head = KZ_CONSOLE_OUT + 1;
	poll_rings();
	assert_string_equal(term_rows(), "");
	assert_int_equal(r->out_tail, r->out_head);
	ring_print("ok\n");
	poll_rings();
	assert_string_equal(term_rows(), "[servo] ok\n");
}

/* The page is looked for in the region that has it, not in a device or one that ends there. */
static void test_ring_region(void **state)
{
	struct kz_cfg_vm *cfg = &bed.vm[1];

	(void)state;
	cfg->region_count = 3;
	cfg->region[2] = (struct kz_cfg_region){
		.ipa = 0x80001000, .pa = HOST_RAM_PA + 0x3000, .size = 0x1000, .type = KZ_REGION_RAM
	};
	cfg->region[1] = cfg->region[2];
	cfg->region[1].type = KZ_REGION_DEVICE;
	cfg->region[1].pa = 0;
	cfg->region[0].size = 0x1000;
	cfg->region[0].pa = HOST_RAM_PA;
	console_init();
	ring_print("here\n");
	poll_rings();
	assert_string_equal(term_rows(), "[servo] here\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_keys, bed_setup),
		cmocka_unit_test_setup(test_help, bed_setup),
		cmocka_unit_test_setup(test_power_off, bed_setup),
		cmocka_unit_test_setup(test_turns, bed_setup),
		cmocka_unit_test_setup(test_paste, bed_setup),
		cmocka_unit_test_setup(test_focus_at_start, bed_setup),
		cmocka_unit_test_setup(test_turn, bed_setup),
		cmocka_unit_test_setup(test_turn_much, bed_setup),
		cmocka_unit_test_setup(test_turn_wakes, bed_setup),
		cmocka_unit_test_setup(test_ring_timer, bed_setup),
		cmocka_unit_test_setup(test_ring_turns, bed_setup),
		cmocka_unit_test_setup(test_ring_output, bed_setup),
		cmocka_unit_test_setup(test_ring_input, bed_setup),
		cmocka_unit_test_setup(test_ring_hostile, bed_setup),
		cmocka_unit_test_setup(test_ring_restart, bed_setup),
		cmocka_unit_test_setup(test_ring_out_of_range, bed_setup),
		cmocka_unit_test_setup(test_ring_region, bed_setup),
	};

	return cmocka_run_group_tests_name("console keys", tests, NULL, NULL);
}
