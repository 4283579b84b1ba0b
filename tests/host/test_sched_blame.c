/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * An interrupt of one vCPU while another executes: its time is its owner's, also when
 * the owner waits, has next to nothing left, or stops in that very moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "console.h"
#include "policy.h"

#define MS	1000u		/* ticks: HOST_HZ is 1 MHz */
#define BUDGET	(2 * MS)
#define PERIOD	(10 * MS)

static struct {
	struct kz_cfg cfg;
	struct kz_cfg_vm vm[2];
	_Alignas(64) uint8_t image[4096];
} blob;

static struct vcpu *server, *other;
static struct sched_core *core;

/* Two VMs on core 0: one with a server of 2 ms in 10 ms, one without; the first one runs. */
static int setup(void **state)
{
	(void)state;
	host_reset();
	memset(&blob, 0, sizeof(blob));
	machine.cfg = &blob.cfg;
	machine.vm_count = 2;
	blob.cfg.vm_count = 2;
	blob.cfg.machine.cpu_count = 1;
	for (uint32_t i = 0; i < 2; i++) {
		struct kz_cfg_vm *cfg = &blob.vm[i];

		strcpy(cfg->name, i == 0 ? "server" : "other");
		cfg->level = i == 0 ? KZ_SRT : KZ_NRT;
		cfg->vcpu_count = 1;
		if (i == 0) {
			cfg->server.budget_ns = 2000000;
			cfg->server.period_ns = cfg->server.deadline_ns = 10000000;
		}
		cfg->server.weight = KZ_WEIGHT_DEFAULT;
		cfg->entry = 0x80000000;
		cfg->region_count = 1;
		cfg->region[0] = (struct kz_cfg_region){ 0x80000000, HOST_RAM_PA + 0x10000 * i,
							 0x8000, KZ_REGION_RAM, 0 };
		assert_int_equal(vm_init(&machine.vm[i], i, cfg), KZ_OK);
	}
	assert_true(sched_init(&host.cpu[0]));
	console_init();
	server = &machine.vm[0].vcpu[0];
	other = &machine.vm[1].vcpu[0];
	core = &host.cpu[0].sched;
	host_become(0);
	for (uint32_t i = 0; i < 2; i++) {
		jmp_buf here;

		vm_start(&machine.vm[i]);
		host.leave = &here;
		if (setjmp(here) == HOST_RETURNED) {
			vcpu_run(&host.cpu[0]);
		}
		host.leave = NULL;
		assert_ptr_equal(host.entered, server);
	}
	return 0;
}

/* The server waits, the other one executes. */
static void server_waits(void)
{
	sched_block(server);
	for (uint32_t i = 0; core->current != other || other->state != VCPU_RUNNING; i++) {
		assert_true(i < 100);
		assert_ptr_equal(sched_next(&host.cpu[0]), other);
	}
	assert_true(sched_check(&host.cpu[0]));
	host.frozen = true;
}

/* Its lines take more than it has, and it waits on: they are off until its period ends. */
static void test_waiting(void **state)
{
	uint64_t end = server->sched.server.release + PERIOD;

	(void)state;
	server_waits();
	end = server->sched.server.release + PERIOD;
	sched_blame(server, host.ticks);
	host.ticks += BUDGET;
	assert_ptr_equal(sched_next(&host.cpu[0]), other);
	assert_null(core->guilty);
	assert_int_equal(server->sched.state, SCHED_BLOCKED);
	assert_true(server->sched.masked && server->arch.masked);
	assert_true(server->sched.server.left <= 0);
	assert_int_equal(server->sched.event, end);
	assert_true(sched_check(&host.cpu[0]));
	host.ticks = end;
	(void)sched_next(&host.cpu[0]);
	assert_false(server->sched.masked || server->arch.masked);
	assert_true(sched_check(&host.cpu[0]));
}

/* Its VM stops in the same exit: the time that comes is nobody's fault any more. */
static void test_stops(void **state)
{
	uint64_t executed;

	(void)state;
	server_waits();
	sched_blame(server, host.ticks);
	executed = server->sched.executed;
	vm_halt(&machine.vm[0], KZ_REASON_STOP, THEN_STOP);
	host.ticks += 5;
	host.frozen = false;			/* each look at the clock is a tick later */
	assert_ptr_equal(sched_next(&host.cpu[0]), other);
	host.frozen = true;
	assert_null(core->guilty);
	assert_int_equal(server->sched.state, SCHED_OFF);
	assert_int_equal(server->sched.executed, executed + 5);
	assert_true(sched_check(&host.cpu[0]));
}

/* It wakes by it, and what the way in costs is all that it had left: who runs then has budget. */
static void test_last_ticks(void **state)
{
	(void)state;
	server_waits();
	for (int64_t left = 1; left < 40; left++) {
		struct vcpu *v;

		host.frozen = true;
		host.ticks = server->sched.server.release + server->sched.server.period;
		(void)sched_next(&host.cpu[0]);
		if (core->current == server) {
			sched_block(server);
			(void)sched_next(&host.cpu[0]);
		}
		sched_blame(server, host.ticks);
		sched_wake(server);
		server->sched.server.left = left;
		host.frozen = false;		/* each look at the clock is a tick later */
		v = sched_next(&host.cpu[0]);
		host.frozen = true;
		assert_null(core->guilty);
		assert_true(v == server ? server->sched.server.left > 0 : v == other);
		assert_true(sched_check(&host.cpu[0]));
		if (v == server) {
			assert_true(left > 1);
			sched_block(server);
			assert_ptr_equal(sched_next(&host.cpu[0]), other);
		}
	}
}

/* Leave no VM running: the count of them has no way back. */
static int teardown(void **state)
{
	jmp_buf here;

	(void)state;
	vm_halt(&machine.vm[0], KZ_REASON_STOP, THEN_STOP);
	vm_halt(&machine.vm[1], KZ_REASON_STOP, THEN_STOP);
	host.leave = &here;
	if (setjmp(here) == HOST_RETURNED) {
		(void)sched_next(&host.cpu[0]);
	}
	host.leave = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_ticks, setup, teardown),
	};

	return cmocka_run_group_tests_name("blame", tests, NULL, NULL);
}
