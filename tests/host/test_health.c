/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/* Watchdogs, what follows a failure, and how long that waits. A tick is a microsecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "health.h"
#include "life_bed.h"
#include "policy.h"

#define US     1000ull
#define WCS    0x000u
#define WOR    0x008u
#define WCV    0x010u
#define IIDR   0xfccu
#define WRR    0x1000u

static struct vm *servo, *linux_vm;

static int setup(void **state)
{
	(void)state;
	servo = &machine.vm[SERVO];
	linux_vm = &machine.vm[LINUX];
	life_setup();
	life.vm[SERVO].wdt_ipa = 0x2a440000;
	life.vm[SERVO].wdt_intid = 34;
	life_start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	life_end();
	return 0;
}

static void kick(uint32_t vm, uint64_t us)
{
	assert_int_equal(life_call4(vm, KZ_HVC_WATCHDOG, us * US, 0, 0, 0), KZ_OK);
	life_settle();
}

static void stops_at(struct vm *vm, uint64_t at, enum kz_reason reason)
{
	uint32_t failures = vm->failures;

	life_until(at - 1);
	assert_int_equal(vm->state, KZ_VM_RUNNING);
	assert_int_equal(vm->failures, failures);
	life_until(at);
	assert_int_equal(vm->failures, failures + 1);
	assert_int_equal(vm->reason, reason);
	assert_int_equal(vm->stopped, at);
}

/* ---- By call ---- */

static void test_call(void **state)
{
	static const uint64_t bad[] = { 1, KZ_WATCHDOG_MIN - 1, KZ_WATCHDOG_MAX + 1, UINT64_MAX };
	uint64_t at = host.ticks;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(life_call4(SERVO, KZ_HVC_WATCHDOG, bad[i], 0, 0, 0), KZ_EINVAL);
		assert_int_equal(servo->due, NEVER);
	}
	for (uint32_t vm = 0; vm < LIFE_VMS; vm++) {
		if (vm == LINUX || vm == SERVO) {	/* HRT: the console's core looks */
			at = host.ticks;
			kick(vm, 1000);
			life_until(at + 900);
			kick(vm, 1000);
			life_until(at + 1800);
			kick(vm, 0);
			life_until(at + 5000);
			assert_int_equal(machine.vm[vm].state, KZ_VM_RUNNING);
			kick(vm, 10);
			stops_at(&machine.vm[vm], host.ticks + 10, KZ_REASON_WATCHDOG);
			life_quiet();
			assert_int_equal(machine.vm[vm].state, KZ_VM_STOPPED);
			assert_int_equal(machine.vm[vm].due, NEVER);
		}
	}
}

/* From each start on, before the guest has said anything; and only from the start of the VM. */
static void test_configured(void **state)
{
	(void)state;
	life.vm[SERVO].watchdog_ns = 500 * US;
	life.vm[SERVO].restart = KZ_RESTART_ON_FAILURE;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_RESET), KZ_OK);
	life_quiet();
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t at = servo->started + 500;

		assert_int_equal(servo->due, at);
		stops_at(servo, at, KZ_REASON_WATCHDOG);
		life_quiet();
		assert_int_equal(servo->state, KZ_VM_RUNNING);
		assert_int_equal(servo->restart_time, servo->started - at);
	}
	kick(SERVO, 0);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_STOP), KZ_OK);
	life_until(host.ticks + 7777);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_START), KZ_OK);
	life_quiet();
	assert_in_range(servo->restart_time, 0, 100);	/* that was no restart */
}

/* vCPU 0 goes off and comes back, beside another: the VM did not start again. */
static void test_on_again(void **state)
{
	uint64_t started;

	(void)state;
	life.vm[LINUX].watchdog_ns = 900 * US;
	host_become(LIFE_CORES);
	vm_halt(linux_vm, KZ_REASON_RESTART, THEN_START);
	life_quiet();
	host_become(0);
	assert_int_equal(vcpu_on(&linux_vm->vcpu[1], 0x1000, 0), KZ_OK);
	life_quiet();
	started = linux_vm->started;
	kick(LINUX, 50000);
	host_become(0);
	life.left[0] = true;
	vcpu_hazard(&linux_vm->vcpu[0], HAZARD_OFF);
	life_settle();
	assert_int_equal(linux_vm->vcpu[0].state, VCPU_OFF);
	host_become(LIFE_CORES);
	assert_int_equal(vcpu_on(&linux_vm->vcpu[0], 0x2000, 0), KZ_OK);
	life_until(host.ticks + 100);
	assert_int_equal(linux_vm->vcpu[0].state, VCPU_RUNNING);
	assert_int_equal(linux_vm->started, started);
	assert_int_equal(linux_vm->watchdog, 50000);
	kick(LINUX, 0);
}

/* ---- The SBSA's ---- */

static void wdt_put(uint64_t at, uint32_t value)
{
	struct access a = { .addr = at, .value = value, .size = 4, .write = true };

	host_become(3);
	assert_int_equal(wdt_access(&servo->vcpu[0], &a), DONE);
	life_settle();
}

static uint32_t wdt_get(uint64_t at)
{
	struct access a = { .addr = at, .size = 4 };

	assert_int_equal(wdt_access(&servo->vcpu[0], &a), DONE);
	return (uint32_t)a.value;
}

static bool line(void)
{
	return (servo->arch.line[0] >> 34 & 1) != 0;
}

/* The first time it interrupts, the second time it fails; what is read is what DEN0029 says. */
static void test_sbsa(void **state)
{
	uint64_t at;

	(void)state;
	wdt_put(WOR, 1000);
	assert_int_equal(servo->due, NEVER);
	at = host.ticks;
	wdt_put(WCS, 1);
	assert_int_equal(wdt_get(WCS), 1);
	assert_int_equal(wdt_get(WCV), at + 1000);
	life_until(at + 999);
	assert_false(line());
	life_until(at + 1000);
	assert_true(line());
	assert_int_equal(wdt_get(WCS), 3);
	assert_int_equal(wdt_get(WCV), at + 2000);
	life_until(at + 1500);
	wdt_put(WRR, 0);
	assert_false(line());
	assert_int_equal(wdt_get(WCS), 1);
	life_until(at + 2499);
	assert_false(line());
	life_until(at + 2500);
	assert_true(line());
	wdt_put(WCV, (uint32_t)(at + 2600));	/* said outright: WS0 stays */
	assert_int_equal(wdt_get(WCS), 3);
	stops_at(servo, at + 2600, KZ_REASON_WATCHDOG);
}

static void test_sbsa_off(void **state)
{
	(void)state;
	wdt_put(WOR, 1000);
	wdt_put(WCS, 1);
	life_until(host.ticks + 1000);
	assert_true(line());
	wdt_put(WCS, 0);
	assert_false(line());
	life_until(host.ticks + 5000);
	assert_int_equal(servo->state, KZ_VM_RUNNING);
	assert_false(line());
	assert_int_equal(servo->due, NEVER);
}

/*
 * What was written is read back, 32 bits at a time: WOR has 48 bits, WCV 64; of WCS only the enable
 * bit is written, and what there is not reads as zero and ignores writes.
 */
static void test_sbsa_registers(void **state)
{
	static const uint64_t nothing[] = { 0x004, 0x018, 0xfc8, 0xfd0, 0x1004, 0x1fd0 };
	static const uint8_t sizes[] = { 1, 2, 8 };
	struct access odd = { .addr = WOR + 2, .size = 4 };

	(void)state;
	wdt_put(WOR, 0x89abcdef);
	wdt_put(WOR + 4, 0xffff4567);
	assert_int_equal(wdt_get(WOR), 0x89abcdef);
	assert_int_equal(wdt_get(WOR + 4), 0x4567);
	assert_int_equal(wdt_get(WCV), (uint32_t)(host.ticks + 0x456789abcdefull));
	assert_int_equal(wdt_get(WCV + 4), 0x4567);
	wdt_put(WCV + 4, 0xfedcba98);
	wdt_put(WCV, 0x76543210);
	assert_int_equal(wdt_get(WCV + 4), 0xfedcba98);
	assert_int_equal(wdt_get(WCV), 0x76543210);
	wdt_put(WCS, 0xfffffffe);
	assert_int_equal(wdt_get(WCS), 0);
	assert_int_equal(wdt_get(IIDR) & 0xf0000, 0x10000);	/* architecture version 1 */
	assert_int_equal(wdt_get(WRR + IIDR), wdt_get(IIDR));
	assert_int_equal(wdt_get(WRR), 0);
	for (uint32_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		wdt_put(nothing[i], 0xffffffff);
		assert_int_equal(wdt_get(nothing[i]), 0);
	}
	wdt_put(IIDR, 0);
	assert_int_not_equal(wdt_get(IIDR), 0);
	assert_int_equal(wdt_access(&servo->vcpu[0], &odd), UNKNOWN);
	for (uint32_t i = 0; i < sizeof(sizes); i++) {
		odd = (struct access){ .addr = WOR, .size = sizes[i], .write = true };
		assert_int_equal(wdt_access(&servo->vcpu[0], &odd), UNKNOWN);
	}
	assert_int_equal(wdt_get(WOR), 0x89abcdef);
	assert_int_equal(servo->due, NEVER);
}

/* Served by another core while ours finds that it is due. */
static void test_sbsa_served(void **state)
{
	uint64_t at;

	(void)state;
	wdt_put(WOR, 1000);
	wdt_put(WCS, 1);
	at = host.ticks;
	servo->wdt.wcv = at + 1500;
	life_until(at + 1499);
	assert_false(line());
	assert_int_equal(servo->due, at + 1500);
	life_until(at + 1500);
	assert_true(line());
	assert_int_equal(servo->failures, 0);
}

/* ---- Pause and resume ---- */

static void test_pause(void **state)
{
	uint64_t at;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		if (i == 0) {
			kick(SERVO, 1000);
		} else {
			kick(SERVO, 0);
			wdt_put(WOR, 1000);
			wdt_put(WCS, 1);
		}
		assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_PAUSE), KZ_OK);
		life_until(host.ticks + 5000);
		assert_int_equal(servo->state, KZ_VM_PAUSED);
		assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_RESUME), KZ_OK);
		at = host.ticks;
		life_settle();
		life_until(at + 999);
		assert_false(line());
		assert_int_equal(servo->due, at + 1000);
	}
	life_until(at + 1000);
	assert_true(line());
	stops_at(servo, at + 2000, KZ_REASON_WATCHDOG);
}

/* CPU_ON by a vCPU that has not heard of the pause yet. */
static void test_pause_and_on(void **state)
{
	(void)state;
	assert_int_equal(life_verb(RAW, LINUX, KZ_VERB_PAUSE), KZ_OK);
	host_become(0);
	assert_int_equal(vcpu_on(&linux_vm->vcpu[1], 0x1000, 0), KZ_OK);
	life_until(host.ticks + 5000);
	assert_int_equal(linux_vm->vcpu[1].state, VCPU_READY);
	assert_true(vm_is_still(linux_vm));
	assert_int_equal(life_verb(RAW, LINUX, KZ_VERB_RESUME), KZ_OK);
	life_until(host.ticks + 5000);
	assert_int_equal(linux_vm->vcpu[1].state, VCPU_RUNNING);
}

/* An HRT VM that is not mapped yet has no memory that could be revoked, or given back. */
static void test_halt_early(void **state)
{
	static const enum kz_verb verbs[] = {
		KZ_VERB_DESTROY, KZ_VERB_START, KZ_VERB_PAUSE, KZ_VERB_STOP, KZ_VERB_RESET,
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		struct kz_cfg_vm cfg;
		uint64_t x[5];

		life_config(&cfg, 0, KZ_HRT);
		assert_int_equal(life_register(&cfg, x), KZ_OK);
		if (i > 1) {
			assert_int_equal(life_verb(LINUX, LIFE_VMS, KZ_VERB_START), KZ_OK);
		}
		assert_int_equal(life_verb(LINUX, LIFE_VMS, verbs[i]), KZ_OK);
		assert_int_equal(machine.vm[LIFE_VMS].arch.revokes, 0);
		life_quiet();
		if (verbs[i] == KZ_VERB_PAUSE) {
			assert_int_equal(life_verb(LINUX, LIFE_VMS, KZ_VERB_RESUME), KZ_OK);
			life_quiet();
		}
		assert_int_equal(machine.vm[LIFE_VMS].arch.mapped,
				 machine.vm[LIFE_VMS].state == KZ_VM_RUNNING);
		assert_int_equal(machine.vm[LIFE_VMS].arch.revokes, 0);
		(void)life_verb(LINUX, LIFE_VMS, KZ_VERB_DESTROY);
		life_quiet();
		machine.vm[LIFE_VMS].arch.revokes = 0;
	}
}

/* ---- What follows ---- */

static void test_policies(void **state)
{
	static const struct {
		enum kz_restart restart;
		enum kz_reason reason;
		bool again;
	} rows[] = {
		{ KZ_RESTART_NEVER, KZ_REASON_OFF, false },
		{ KZ_RESTART_NEVER, KZ_REASON_FAULT, false },
		{ KZ_RESTART_NEVER, KZ_REASON_MISS, false },
		{ KZ_RESTART_NEVER, KZ_REASON_OVERRUN, false },
		{ KZ_RESTART_NEVER, KZ_REASON_WATCHDOG, false },
		{ KZ_RESTART_ON_FAILURE, KZ_REASON_OFF, false },
		{ KZ_RESTART_ON_FAILURE, KZ_REASON_FAULT, true },
		{ KZ_RESTART_ON_FAILURE, KZ_REASON_MISS, true },
		{ KZ_RESTART_ON_FAILURE, KZ_REASON_OVERRUN, true },
		{ KZ_RESTART_ON_FAILURE, KZ_REASON_WATCHDOG, true },
		{ KZ_RESTART_ALWAYS, KZ_REASON_OFF, true },
		{ KZ_RESTART_ALWAYS, KZ_REASON_FAULT, true },
		{ KZ_RESTART_ALWAYS, KZ_REASON_MISS, true },
		{ KZ_RESTART_ALWAYS, KZ_REASON_OVERRUN, true },
		{ KZ_RESTART_ALWAYS, KZ_REASON_WATCHDOG, true },
	};

	(void)state;
	life.vm[SERVO].backoff_ms = life.vm[SERVO].backoff_max_ms = 5;
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t restarts = servo->restarts, failures = servo->failures;

		life.vm[SERVO].restart = (uint8_t)rows[i].restart;
		host_become(LIFE_CORES);
		vm_fail(servo, rows[i].reason);
		life_quiet();
		assert_int_equal(servo->state, rows[i].again ? KZ_VM_WAITING : KZ_VM_STOPPED);
		assert_int_equal(servo->failures, failures + (rows[i].reason != KZ_REASON_OFF));
		life_until(servo->stopped + 10000);
		assert_int_equal(servo->restarts, restarts + rows[i].again);
		if (!rows[i].again) {
			assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_START), KZ_OK);
		}
		life_quiet();
		assert_int_equal(servo->state, KZ_VM_RUNNING);
	}
}

/* Twice as long each time, up to the most; who ran longer than that begins anew. */
static void test_back_off(void **state)
{
	static const uint64_t ms[] = { 2, 4, 8, 10, 10 };
	const struct kz_vm_info *info = life_memory(LINUX_AT);

	(void)state;
	life.vm[SERVO].restart = KZ_RESTART_ON_FAILURE;
	life.vm[SERVO].backoff_ms = 2;
	life.vm[SERVO].backoff_max_ms = 10;
	life_until(host.ticks + 20000);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(ms); i++) {
			host_become(LIFE_CORES);
			vm_fail(servo, KZ_REASON_FAULT);
			life_settle();
			assert_int_equal(servo->state, KZ_VM_WAITING);
			assert_int_equal(servo->due, servo->stopped + ms[i] * 1000);
			assert_int_equal(life_call4(LINUX, KZ_HVC_INSPECT, KZ_INSPECT_VM, SERVO,
						    LINUX_AT, 0), KZ_OK);
			assert_int_equal(info->state, KZ_VM_WAITING);
			assert_int_equal(info->resumes, ns_of_ticks(servo->due));
			assert_int_equal(info->watchdog, 0);
			life_until(servo->due - 1);
			assert_int_equal(servo->state, KZ_VM_WAITING);
			life_until(host.ticks + 1);
			life_quiet();
			assert_int_equal(servo->state, KZ_VM_RUNNING);
			assert_in_range(servo->restart_time, ms[i] * 1000, ms[i] * 1000 + 100);
			life_until(servo->started + 9000);
		}
		life_until(servo->started + 10001);
	}
}

/* It is said 1 to 8, 16, 32 and 64 times: who fails for ever leaves the console readable. */
static void test_said_rarely(void **state)
{
	uint32_t lines = 0;

	(void)state;
	life.vm[SERVO].restart = KZ_RESTART_ON_FAILURE;
	life.vm[SERVO].backoff_ms = life.vm[SERVO].backoff_max_ms = 1;
	host.out_len = 0;
	for (uint32_t i = 1; i <= 100; i++) {
		host_become(LIFE_CORES);
		vm_fail(servo, KZ_REASON_FAULT);
		life_until(host.ticks + 2000);
		life_quiet();
		assert_int_equal(servo->restarts, i);
		assert_int_equal(servo->state, KZ_VM_RUNNING);
	}
	console_flush();
	for (uint32_t i = 0; i + 9 < host.out_len; i++) {
		lines += memcmp(&host.out[i], "restarts (", 10) == 0;
	}
	assert_int_equal(lines, 11);
}

/* ---- Who comes first ---- */

/* Its core looks just when it is kicked, or stopped: one of the two holds, whole. */
static void test_races(void **state)
{
	uint64_t at;

	(void)state;
	kick(SERVO, 1000);
	at = host.ticks + 1000;
	life_until(at - 1);
	host.ticks = at;
	assert_int_equal(health_kick(servo, 1000 * US), KZ_OK);	/* before it looks */
	host_become(0);
	assert_int_equal(health_look(&host.cpu[0], at), at + 1000);
	life_settle();
	assert_int_equal(servo->state, KZ_VM_RUNNING);
	life_until(at + 999);
	host.ticks = at + 1000;
	host_become(0);
	(void)health_look(&host.cpu[0], host.ticks);
	assert_int_equal(health_kick(servo, 1000 * US), KZ_OK);	/* too late */
	life_quiet();
	assert_int_equal(servo->state, KZ_VM_STOPPED);
	assert_int_equal(servo->due, NEVER);
	/* the back-off was over, and who looked has not come to the start, when it is stopped */
	life.vm[SERVO].restart = KZ_RESTART_ALWAYS;
	life.vm[SERVO].backoff_ms = life.vm[SERVO].backoff_max_ms = 5;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_START), KZ_OK);
	life_quiet();
	host_become(LIFE_CORES);
	vm_fail(servo, KZ_REASON_FAULT);
	life_quiet();
	assert_int_equal(servo->state, KZ_VM_WAITING);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_STOP), KZ_OK);
	vm_start_again(servo);
	life_quiet();
	assert_int_equal(servo->state, KZ_VM_STOPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(test_on_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sbsa, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sbsa_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sbsa_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sbsa_served, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_and_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_said_rarely, setup, teardown),
		cmocka_unit_test_setup_teardown(test_races, setup, teardown),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
