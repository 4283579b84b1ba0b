/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/* What a pause, or a reset, is to a server: no budget more, and none less. A tick is 1 us. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "life_bed.h"
#include "sched.h"

#define BUDGET 100u
#define PERIOD 1000u
#define NOBODY LIFE_CORES

static struct vm *raw;
static struct vcpu *v;

static int setup(void **state)
{
	(void)state;
	raw = &machine.vm[RAW];
	v = &raw->vcpu[0];
	life_setup();
	life_start();
	host_become(NOBODY);
	vm_halt(&machine.vm[ISLAND], KZ_REASON_STOP, THEN_STOP);	/* it shares the core */
	life_quiet();
	assert_int_equal(v->sched.server.budget, BUDGET);
	assert_int_equal(v->sched.server.period, PERIOD);
	/* to the begin of a period */
	life_until(v->sched.server.release + PERIOD);
	assert_int_equal(v->sched.server.release, host.ticks);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	life_end();
	return 0;
}

static void job_done(void)
{
	uint64_t x[5] = { KZ_HVC_JOB_DONE };

	assert_true(life_turn(RAW, x));
	life_settle();
	assert_int_equal(v->sched.state, SCHED_DONE);
}

static void pause_for(uint64_t ticks)
{
	uint64_t executed;

	host_become(NOBODY);
	assert_int_equal(vm_pause(raw), KZ_OK);
	life_settle();
	assert_int_equal(v->sched.state, SCHED_PAUSED);
	executed = v->sched.executed;
	life_until(host.ticks + ticks);
	assert_int_equal(v->sched.state, SCHED_PAUSED);
	assert_int_equal(v->sched.executed, executed);
	host_become(NOBODY);
	assert_int_equal(vm_resume(raw), KZ_OK);
	life_settle();
}

/* The job that is done stays so; the next one comes when it would have come. */
static void test_done_within(void **state)
{
	uint64_t release = host.ticks, jobs = v->sched.jobs;

	(void)state;
	life_until(release + 30);
	job_done();
	pause_for(500);
	assert_int_equal(v->sched.state, SCHED_DONE);
	life_until(release + PERIOD - 1);
	assert_int_equal(v->sched.state, SCHED_DONE);
	assert_int_equal(v->sched.jobs, jobs);
	life_until(release + PERIOD);
	assert_int_equal(v->sched.state, SCHED_READY);
	assert_int_equal(v->sched.jobs, jobs + 1);
	assert_int_equal(v->sched.server.release, release + PERIOD);
	assert_int_equal(v->arch.result[0], ns_of_ticks(release + PERIOD - raw->epoch));
	assert_int_equal(v->sched.misses, v->arch.result[1]);
}

/* Its period is over: the next job begins as it goes on, with a whole budget and deadline. */
static void test_done_beyond(void **state)
{
	uint64_t release = host.ticks, jobs = v->sched.jobs, misses = v->sched.misses, at;

	(void)state;
	life_until(release + 30);
	job_done();
	pause_for(3 * PERIOD + 170);
	at = host.ticks;
	assert_int_equal(v->sched.state, SCHED_READY);
	assert_int_equal(v->sched.jobs, jobs + 1);
	assert_int_equal(v->sched.server.release, at);
	assert_int_equal(v->sched.server.due, at + PERIOD);
	assert_int_equal(v->arch.result[0], ns_of_ticks(at - raw->epoch));
	assert_int_equal(v->sched.misses, misses);
	life_until(at + BUDGET - 1);
	assert_int_equal(v->sched.state, SCHED_READY);
	life_until(at + BUDGET);
	assert_int_equal(v->sched.state, SCHED_THROTTLED);
}

/* In the middle of a job: what is left of its budget is what it has. */
static void test_running(void **state)
{
	uint64_t release = host.ticks, executed = v->sched.executed;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		life_until(host.ticks + 30);
		pause_for(50);
		assert_int_equal(v->sched.state, SCHED_READY);
		assert_int_equal(v->sched.executed - executed, 30 * i);
	}
	life_until(host.ticks + 9);
	assert_int_equal(v->sched.state, SCHED_READY);
	life_until(host.ticks + 1);
	assert_int_equal(v->sched.state, SCHED_THROTTLED);
	pause_for(100);
	assert_int_equal(v->sched.state, SCHED_THROTTLED);
	life_until(release + PERIOD - 1);
	assert_int_equal(v->sched.state, SCHED_THROTTLED);
	life_until(release + PERIOD);
	assert_int_equal(v->sched.state, SCHED_READY);
	assert_int_equal(v->sched.executed - executed, BUDGET);
}

/* It leaves by itself before its core hears of the pause: the pause is not lost with that exit. */
static void test_leaves_meanwhile(void **state)
{
	uint32_t kicks;

	(void)state;
	host_become(NOBODY);
	assert_int_equal(vm_pause(raw), KZ_OK);
	assert_true((v->hazard & HAZARD_PAUSE) != 0);
	host_become(1);
	kicks = host.cpu[1].arch.kicks;
	assert_ptr_equal(vcpu_work(v), v);
	assert_true((v->hazard & HAZARD_PAUSE) != 0);
	assert_int_equal(host.cpu[1].arch.kicks, kicks + 1);
	life_settle();
	assert_int_equal(v->sched.state, SCHED_PAUSED);
	host_become(NOBODY);
	assert_int_equal(vm_resume(raw), KZ_OK);
	life_settle();
	assert_int_equal(v->sched.state, SCHED_READY);
}

/* Who told of more than its configuration has begins again with what that has, and no more. */
static void test_told_more(void **state)
{
	uint64_t x[5] = { KZ_HVC_SET_REALTIME_INFO, PERIOD * 1000, PERIOD * 1000, 300000 };
	uint64_t release, executed;

	(void)state;
	(void)life_turn(RAW, x);
	assert_int_equal(x[0], KZ_OK);
	life_settle();
	life_until(v->sched.server.release + PERIOD);
	release = host.ticks;
	assert_int_equal(v->sched.server.left, 300);
	life_until(release + 50);
	host_become(NOBODY);
	vm_halt(raw, KZ_REASON_RESET, THEN_START);
	life_quiet();
	assert_in_range(host.ticks, release + 50, release + PERIOD / 2);
	assert_int_equal(v->sched.server.budget, BUDGET);
	assert_true(v->sched.server.left <= (int64_t)BUDGET);
	executed = v->sched.executed;
	life_until(v->sched.server.release + PERIOD - 1);
	assert_int_equal(v->sched.state, SCHED_THROTTLED);
	assert_in_range(v->sched.executed - executed, BUDGET - 10, BUDGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_done_within, setup, teardown),
		cmocka_unit_test_setup_teardown(test_done_beyond, setup, teardown),
		cmocka_unit_test_setup_teardown(test_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_more, setup, teardown),
	};

	return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
