/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/*
 * The calls of control.h, one by one: who may, what is refused, in which order, that an error
 * changes nothing at all, and what the others do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <kizami/console.h>
#include "health.h"
#include "life_bed.h"

#define NOBODYS   6u		/* a place */
#define CREATED   4u		/* the place of the VM that `created` makes */
#define BUFFER    LINUX_AT	/* every VM has RAM there */

static int setup(void **state)
{
	(void)state;
	life_setup();
	life_start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	life_end();
	return 0;
}

/* ---- An error changes nothing ---- */

static struct {
	struct machine machine;
	struct percpu cpu[LIFE_CORES];
	uint8_t ram[HOST_RAM_SIZE];
	uint8_t owner[KZ_INTID_MAX];
} before;

static void snapshot(void)
{
	memcpy(&before.machine, &machine, sizeof(machine));
	memcpy(before.cpu, host.cpu, sizeof(before.cpu));
	memcpy(before.ram, host.ram, HOST_RAM_SIZE);
	memcpy(before.owner, host.owner, sizeof(before.owner));
}

/* But for locks, of which each turn is counted: they are free. */
static bool is_unchanged(void)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		before.machine.vm[i].lock = machine.vm[i].lock;
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		before.cpu[i].sched.lock = host.cpu[i].sched.lock;
	}
	return memcmp(&before.machine, &machine, sizeof(machine)) == 0 &&
	       memcmp(before.cpu, host.cpu, sizeof(before.cpu)) == 0 &&
	       memcmp(before.ram, host.ram, HOST_RAM_SIZE) == 0 &&
	       memcmp(before.owner, host.owner, sizeof(before.owner)) == 0;
}

static void refused(uint32_t caller, uint64_t *x, int64_t err, const char *what)
{
	int64_t is;

	snapshot();
	is = life_call(caller, x);
	if (is != err || !is_unchanged()) {
		fail_msg("%s by %s: %ld, not %ld%s", what, life.vm[caller].name, (long)is,
			 (long)err, is_unchanged() ? "" : ", and something changed");
	}
}

static uint32_t created(enum kz_level level)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	life_config(&cfg, 0, level);
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], CREATED);
	return CREATED;
}

/* ---- Errors, in their order ---- */

#define NO UINT32_MAX

/*
 * A call that is right but for its target, and in `bad` arguments that are wrong in themselves.
 * x[target] names the VM: `ok` is in a state that allows it, `busy` is not (NO: no such VM).
 */
static const struct row {
	const char *name;
	uint64_t x[5];
	uint32_t target, ok, busy;
	struct {
		uint32_t arg;		/* 0: no more */
		uint64_t value;
	} bad[10];
} rows[] = {
	{ "fill", { KZ_HVC_FILL, 0, 64, BUFFER, 64 }, 1, CREATED, SERVO,
	  { { 1, 8 }, { 1, 1ull << 32 }, { 2, 1 }, { 2, 63 }, { 3, 0 }, { 3, UINT64_MAX - 63 },
	    { 3, LINUX_NEXT - 32 }, { 4, 0 }, { 4, 63 }, { 4, KZ_CONTROL_BYTES + 64 } } },
	{ "start", { KZ_HVC_CONTROL, 0, KZ_VERB_START }, 1, NO, SERVO,
	  { { 1, 8 }, { 1, UINT64_MAX }, { 2, KZ_VERBS }, { 2, 1ull << 32 } } },
	{ "pause", { KZ_HVC_CONTROL, 0, KZ_VERB_PAUSE }, 1, NO, CREATED, { { 1, 8 } } },
	{ "resume", { KZ_HVC_CONTROL, 0, KZ_VERB_RESUME }, 1, NO, SERVO, { { 1, 8 } } },
	{ "shutdown", { KZ_HVC_CONTROL, 0, KZ_VERB_SHUTDOWN }, 1, NO, CREATED, { { 1, 8 } } },
	{ "stop", { KZ_HVC_CONTROL, 0, KZ_VERB_STOP }, 1, NO, CREATED, { { 1, 8 } } },
	{ "reset", { KZ_HVC_CONTROL, 0, KZ_VERB_RESET }, 1, NO, CREATED, { { 1, 8 } } },
	{ "destroy", { KZ_HVC_CONTROL, 0, KZ_VERB_DESTROY }, 1, NO, NO, { { 1, 8 } } },
	{ "attach", { KZ_HVC_CONTROL, 0, KZ_VERB_ATTACH }, 1, NO, NO, { { 1, 8 } } },
	{ "detach", { KZ_HVC_CONTROL, 0, KZ_VERB_DETACH }, 1, NO, SERVO, { { 1, 8 } } },
	{ "inspect config", { KZ_HVC_INSPECT, KZ_INSPECT_CONFIG, 0, BUFFER }, 2, SERVO, NO,
	  { { 1, KZ_INSPECTS }, { 1, 1ull << 32 }, { 2, 8 }, { 3, BUFFER + 4 }, { 3, 0 },
	    { 2, SERVO | 1 << 8 }, { 2, 1ull << 63 },
	    { 3, LINUX_NEXT - 8 }, { 3, UINT64_MAX - 7 } } },
	{ "inspect VM", { KZ_HVC_INSPECT, KZ_INSPECT_VM, 0, BUFFER }, 2, SERVO, NO,
	  { { 2, 8 }, { 3, BUFFER + 1 }, { 3, LINUX_NEXT - 8 } } },
	{ "inspect vCPU", { KZ_HVC_INSPECT, KZ_INSPECT_VCPU, 0, BUFFER }, 2, SERVO, NO,
	  { { 2, 8 }, { 3, BUFFER + 1 }, { 3, LINUX_NEXT - 8 } } },
	{ "inspect registers", { KZ_HVC_INSPECT, KZ_INSPECT_REGISTERS, 0, BUFFER }, 2, NO, SERVO,
	  { { 2, 8 }, { 3, BUFFER + 1 }, { 3, LINUX_NEXT - 8 } } },
	{ "console read", { KZ_HVC_CONSOLE_READ, 0, BUFFER, 16 }, 1, NO, SERVO,
	  { { 1, 8 }, { 1, 1ull << 32 }, { 2, 0 }, { 3, 0 }, { 3, KZ_CONTROL_BYTES + 1 },
	    { 2, LINUX_NEXT - 8 }, { 3, UINT64_MAX } } },
	{ "console write", { KZ_HVC_CONSOLE_WRITE, 0, BUFFER, 1 }, 1, CREATED, NO,
	  { { 1, 8 }, { 2, 0 }, { 3, 0 }, { 3, KZ_CONTROL_BYTES + 1 },
	    { 2, LINUX_NEXT + 0x1000 } } },
	{ "read", { KZ_HVC_READ, 0, OTHERS_AT, BUFFER, 16 }, 1, SERVO, CREATED,
	  { { 1, 8 }, { 3, 0 }, { 4, 0 }, { 4, KZ_CONTROL_BYTES + 1 }, { 3, LINUX_NEXT - 15 },
	    { 4, UINT64_MAX } } },
};

/* The places that a call may name, and what linux, who may do all, gets for each. */
static void row_check(const struct row *r, uint32_t bad)
{
	const struct {
		uint32_t place;
		int64_t err;
	} to[] = { { r->ok, KZ_OK }, { r->busy, KZ_EBUSY }, { NOBODYS, KZ_ENOENT } };
	char what[80];

	for (uint32_t i = 0; i < ARRAY_SIZE(to); i++) {
		static const uint32_t who[] = { LINUX, SERVO };
		bool spoiled = r->bad[bad].arg != 0;

		for (uint32_t k = 0; k < ARRAY_SIZE(who) && to[i].place != NO; k++) {
			uint64_t x[5];
			int64_t err = spoiled ? KZ_EINVAL : who[k] == SERVO ? KZ_EPERM : to[i].err;

			memcpy(x, r->x, sizeof(x));
			x[r->target] = to[i].place;
			if (spoiled) {
				x[r->bad[bad].arg] = r->bad[bad].value;
			}
			snprintf(what, sizeof(what), "%s, place %u, %s (x%u)", r->name, to[i].place,
				 spoiled ? "spoiled" : "right", r->bad[bad].arg);
			if (err == KZ_OK) {
				assert_int_equal(life_call(who[k], x), KZ_OK);
			} else {
				refused(who[k], x, err, what);
			}
		}
	}
}

static void test_orders(void **state)
{
	(void)state;
	(void)created(KZ_NRT);
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t n = 0;

		row_check(&rows[i], ARRAY_SIZE(rows[i].bad) - 1);
		for (; n < ARRAY_SIZE(rows[i].bad) && rows[i].bad[n].arg != 0; n++) {
			row_check(&rows[i], n);
		}
	}
}

/* What has no VM as its target. */
static void test_orders_whole(void **state)
{
	static const uint64_t bad[][5] = {
		{ KZ_HVC_LOG, 0, 0, 16 }, { KZ_HVC_LOG, 0, BUFFER, 0 },
		{ KZ_HVC_LOG, 0, BUFFER, KZ_CONTROL_BYTES + 1 },
		{ KZ_HVC_LOG, 0, LINUX_NEXT - 8, 16 },
		{ KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 1, BUFFER },
		{ KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 1ull << 40, BUFFER },
		{ KZ_HVC_INSPECT, KZ_INSPECT_TRACE, 1, BUFFER },
		{ KZ_HVC_INSPECT, KZ_INSPECT_TRACE, 0, LINUX_NEXT - 8 },
		{ KZ_HVC_REGISTER, 0 }, { KZ_HVC_REGISTER, BUFFER + 4 },
		{ KZ_HVC_REGISTER, LINUX_NEXT - 8 }, { KZ_HVC_REGISTER, UINT64_MAX - 7 },
	};
	static const uint64_t right[][5] = {
		{ KZ_HVC_LOG, 0, BUFFER, 16 },
		{ KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 0, BUFFER },
		{ KZ_HVC_INSPECT, KZ_INSPECT_TRACE, 0, BUFFER },
		{ KZ_HVC_REGISTER, BUFFER },
	};
	uint64_t x[5];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (uint32_t who = 0; who < LIFE_VMS; who++) {
			memcpy(x, bad[i], sizeof(x));
			refused(who, x, KZ_EINVAL, "spoiled");
		}
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(right); i++) {
		memcpy(x, right[i], sizeof(x));
		refused(SERVO, x, KZ_EPERM, "without a right");
	}
	for (uint32_t i = 0; i < 2; i++) {	/* over one VM: the log, the machine */
		memcpy(x, right[i], sizeof(x));
		assert_int_equal(life_call(ISLAND, x), KZ_OK);
	}
	memcpy(x, right[2], sizeof(x));
	refused(ISLAND, x, KZ_EPERM, "trace");
	memcpy(x, right[2], sizeof(x));
	assert_int_equal(life_call(RAW, x), KZ_OK);
	memcpy(x, right[3], sizeof(x));
	refused(RAW, x, KZ_EPERM, "register");
}

/* ---- Rights ---- */

/* A safety island sees and resets the servo, and that is all it can do to anybody. */
static void test_island(void **state)
{
	static const uint32_t listed[] = { KZ_INSPECT_CONFIG, KZ_INSPECT_VM, KZ_INSPECT_VCPU };
	uint32_t resets = machine.vm[SERVO].arch.resets;

	(void)state;
	for (uint32_t id = 0; id < KZ_VMS_MAX; id++) {
		for (uint32_t verb = 0; verb < KZ_VERBS; verb++) {
			uint64_t x[5] = { KZ_HVC_CONTROL, id, verb };

			if (id != SERVO || verb != KZ_VERB_RESET) {
				refused(ISLAND, x, KZ_EPERM, "verb");
			}
		}
		for (uint32_t i = 0; i < ARRAY_SIZE(listed); i++) {
			uint64_t x[5] = { KZ_HVC_INSPECT, listed[i], id, BUFFER };

			if (id == SERVO) {
				assert_int_equal(life_call(ISLAND, x), KZ_OK);
			} else {
				refused(ISLAND, x, KZ_EPERM, "inspect");
			}
		}
		refused(ISLAND, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT, BUFFER, 8 }, KZ_EPERM,
			"read");
		refused(ISLAND, (uint64_t[5]){ KZ_HVC_FILL, id, 0, BUFFER, 64 }, KZ_EPERM, "fill");
		refused(ISLAND, (uint64_t[5]){ KZ_HVC_CONSOLE_READ, id, BUFFER, 8 }, KZ_EPERM, "");
		refused(ISLAND, (uint64_t[5]){ KZ_HVC_CONSOLE_WRITE, id, BUFFER, 8 }, KZ_EPERM, "");
	}
	refused(ISLAND, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_REGISTERS, SERVO, BUFFER },
		KZ_EPERM, "registers");
	assert_int_equal(life_verb(ISLAND, SERVO, KZ_VERB_RESET), KZ_OK);
	life_quiet();
	assert_int_equal(machine.vm[SERVO].arch.resets, resets + 1);
	assert_int_equal(machine.vm[SERVO].reason, KZ_REASON_RESTART);
}

/* With the VM goes the right over it, but not that of who has it over all. */
static void test_rights_vanish(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_DESTROY), KZ_OK);
	life_quiet();
	assert_int_equal(machine.vm[SERVO].state, KZ_VM_NONE);
	assert_int_equal(life_verb(ISLAND, SERVO, KZ_VERB_RESET), KZ_EPERM);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_RESET), KZ_ENOENT);
	life_config(&cfg, 1, KZ_HRT);
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], SERVO);
	assert_int_equal(life_verb(LINUX, SERVO, KZ_VERB_START), KZ_OK);
	life_quiet();
	refused(ISLAND, (uint64_t[5]){ KZ_HVC_CONTROL, SERVO, KZ_VERB_RESET }, KZ_EPERM, "reset");
	refused(ISLAND, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_VM, SERVO, BUFFER }, KZ_EPERM,
		"inspect");
	assert_int_equal(life_call4(RAW, KZ_HVC_INSPECT, KZ_INSPECT_VM, SERVO, BUFFER, 0), KZ_OK);
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		assert_int_equal(machine.vm[SERVO].rights[i], 0);
	}
	/* and with one that has rights, these */
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_DESTROY), KZ_OK);
	life_quiet();
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		assert_int_equal(machine.vm[RAW].rights[i], 0);
	}
}

/* ---- A VM comes ---- */

static void test_register(void **state)
{
	struct kz_cfg_vm cfg;
	struct vm *vm = &machine.vm[CREATED];
	uint64_t x[5];

	(void)state;
	life_config(&cfg, 2, KZ_SRT);
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], CREATED);
	assert_int_equal(vm->state, KZ_VM_CREATED);
	assert_memory_equal(vm->cfg, &cfg, sizeof(cfg));
	assert_int_equal(machine.vm_count, CREATED + 1);
	assert_int_equal(host.owner[62], CREATED + 1);
	assert_int_equal(vm->changes, 1);
	/* what is in the caller's memory is nobody's business any more */
	memset(life_memory(LINUX_AT), 0xee, sizeof(cfg));
	assert_memory_equal(vm->cfg, &cfg, sizeof(cfg));
	life_check();
}

/* What is wrong with it, as blob_check says it. */
static void test_register_refused(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	life_config(&cfg, 0, KZ_NRT);
	cfg.irq_count = 2;
	cfg.irq[1].intid = 48;			/* linux's */
	memcpy(life_memory(LINUX_AT), &cfg, sizeof(cfg));
	x[0] = KZ_HVC_REGISTER;
	x[1] = LINUX_AT;
	refused(LINUX, x, KZ_EINVAL, "interrupt");
	assert_int_equal(x[1], BLOB_IRQ_TWICE);
	assert_int_equal(x[2], 1);
	refused(LINUX, (x[0] = KZ_HVC_REGISTER, x[1] = 0, x), KZ_EINVAL, "no config");
	assert_int_equal(x[1], 0);
	/* too much for core 1, where 200 of 1000 are taken, by 50000 millionths: as a fraction */
	life_config(&cfg, 0, KZ_SRT);
	cfg.server.budget_ns = 850000;
	memcpy(life_memory(LINUX_AT), &cfg, sizeof(cfg));
	x[0] = KZ_HVC_REGISTER;
	x[1] = LINUX_AT;
	assert_int_equal(life_call(LINUX, x), KZ_ELOAD);
	assert_int_equal(x[1], 1);
	assert_in_range(x[2], 50000, 50001);
	assert_int_equal(machine.vm[CREATED].state, KZ_VM_NONE);
	assert_int_equal(machine.vm_count, LIFE_VMS);
	life_check();
	cfg.server.budget_ns = 799000;
	assert_int_equal(life_register(&cfg, x), KZ_OK);
}

/* Of two vCPUs the second finds no room: the first leaves again. */
static void test_register_half(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	life_config(&cfg, 0, KZ_SRT);
	cfg.server.budget_ns = 850000;
	cfg.vcpu_count = 2;
	cfg.cpu[0] = 0;
	cfg.cpu[1] = 1;
	assert_int_equal(life_register(&cfg, x), KZ_ELOAD);
	assert_int_equal(x[1], 1);
	life_check();
	cfg.vcpu_count = 1;
	cfg.cpu[1] = 0;
	assert_int_equal(life_register(&cfg, x), KZ_OK);
}

static void test_places(void **state)
{
	struct kz_cfg_vm cfg;
	uint64_t x[5];

	(void)state;
	for (uint32_t i = 0; i < KZ_VMS_MAX - LIFE_VMS; i++) {
		life_config(&cfg, i, KZ_NRT);
		assert_int_equal(life_register(&cfg, x), KZ_OK);
		assert_int_equal(x[1], LIFE_VMS + i);
	}
	life_config(&cfg, 7, KZ_NRT);
	memcpy(life_memory(LINUX_AT), &cfg, sizeof(cfg));
	refused(LINUX, (uint64_t[5]){ KZ_HVC_REGISTER, LINUX_AT }, KZ_ENOMEM, "places");
	assert_int_equal(life_verb(LINUX, 5, KZ_VERB_DESTROY), KZ_OK);
	life_quiet();
	assert_int_equal(life_register(&cfg, x), KZ_OK);
	assert_int_equal(x[1], 5);
}

/* Its store takes what comes, behind the tables and nowhere else, until it starts. */
static void test_fill(void **state)
{
	uint32_t id = created(KZ_NRT);
	const struct kz_cfg_vm *cfg = machine.vm[id].cfg;
	uint64_t tables = cfg->store_tables * (uint64_t)KZ_PAGE_SIZE;
	uint64_t room = LIFE_RAM - tables;
	uint8_t *store = arch_ptr(pa(cfg->region[1].pa));

	(void)state;
	memset(life_memory(LINUX_NEXT - 64), 'x', 64);
	snapshot();
	assert_int_equal(life_call4(LINUX, KZ_HVC_FILL, id, room - 64, LINUX_NEXT - 64, 64), KZ_OK);
	assert_int_equal(store[LIFE_RAM - 64], 'x');
	memcpy(store + LIFE_RAM - 64, before.ram + (store - host.ram) + LIFE_RAM - 64, 64);
	assert_true(is_unchanged());
	assert_int_equal(life_call4(LINUX, KZ_HVC_FILL, id, 0, BUFFER, KZ_CONTROL_BYTES), KZ_OK);
	assert_memory_equal(store + tables, life_memory(BUFFER), KZ_CONTROL_BYTES);
	refused(LINUX, (uint64_t[5]){ KZ_HVC_FILL, id, room, BUFFER, 64 }, KZ_EINVAL, "end");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_FILL, id, room - 64, BUFFER, 128 }, KZ_EINVAL, "end");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_FILL, id, -64ull, BUFFER, 64 }, KZ_EINVAL, "wrap");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_FILL, id, -64ull, BUFFER, 128 }, KZ_EINVAL, "wrap");
	assert_int_equal(life_verb(LINUX, id, KZ_VERB_START), KZ_OK);
	refused(LINUX, (uint64_t[5]){ KZ_HVC_FILL, id, 0, BUFFER, 64 }, KZ_EBUSY, "started");
}

/* ---- What is seen of it ---- */

static void test_read(void **state)
{
	uint32_t id = created(KZ_NRT);
	uint8_t *ram = arch_ptr(pa(machine.vm[id].cfg->region[0].pa));
	uint64_t end = OTHERS_AT + LIFE_RAM;

	(void)state;
	memset(life_memory(BUFFER), 'I', KZ_CONTROL_BYTES);
	assert_int_equal(life_call4(LINUX, KZ_HVC_FILL, id, 0, BUFFER, 128), KZ_OK);
	assert_int_equal(life_verb(LINUX, id, KZ_VERB_START), KZ_OK);
	/* it has not been scrubbed yet: what is there is another's */
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT, BUFFER, 8 }, KZ_EBUSY, "fresh");
	life_quiet();
	assert_int_equal(life_call4(LINUX, KZ_HVC_READ, id, OTHERS_AT + 0xfff, LINUX_NEXT - 3, 3),
			 KZ_OK);
	assert_memory_equal(life_memory(LINUX_NEXT - 3), "\0II", 3);
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT, BUFFER + 4, 513 }, KZ_EINVAL, "");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT + 1, BUFFER, 513 }, KZ_EINVAL, "");
	ram[LIFE_RAM - 1] = 'e';
	assert_int_equal(life_call4(LINUX, KZ_HVC_READ, id, end - 1, BUFFER, 1), KZ_OK);
	assert_int_equal(*(uint8_t *)life_memory(BUFFER), 'e');
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, end - 1, BUFFER, 2 }, KZ_EINVAL, "end");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, end, BUFFER, 1 }, KZ_EINVAL, "end");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, 0, BUFFER, 1 }, KZ_EINVAL, "the store");
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT - 1, BUFFER, 2 }, KZ_EINVAL, "");
	assert_int_equal(life_verb(LINUX, id, KZ_VERB_STOP), KZ_OK);
	life_quiet();
	assert_int_equal(life_call4(LINUX, KZ_HVC_READ, id, end - 1, BUFFER, 1), KZ_OK);
	assert_int_equal(life_verb(LINUX, id, KZ_VERB_DESTROY), KZ_OK);
	assert_int_equal(machine.vm[id].state, KZ_VM_CLEARING);
	refused(LINUX, (uint64_t[5]){ KZ_HVC_READ, id, OTHERS_AT, BUFFER, 8 }, KZ_EBUSY, "goes");
}

static void test_inspect(void **state)
{
	struct kz_machine_info *m = life_memory(BUFFER);
	struct kz_vm_info *info = life_memory(BUFFER);
	struct kz_vcpu_info *vcpu = life_memory(BUFFER);
	struct kz_vcpu_registers *regs = life_memory(BUFFER);
	struct vm *raw = &machine.vm[RAW];
	uint64_t x[5] = { KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 0, BUFFER };

	(void)state;
	assert_int_equal(life_call(LINUX, x), KZ_OK);
	assert_int_equal(x[1], sizeof(*m));
	assert_int_equal(m->now, host.ticks * 1000);
	assert_int_equal(m->hz, HOST_HZ);
	assert_int_equal(m->vm_count, LIFE_VMS);
	assert_int_equal(m->changes, machine.changes);
	assert_int_equal(m->caller, LINUX);
	assert_int_equal(m->image_size, 0x8000);
	assert_memory_equal(&m->cfg, &life.cfg, sizeof(life.cfg));
	raw->faults = 5;
	raw->fault_address = 6;
	raw->fault_pc = 7;
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_ATTACH), KZ_OK);
	memcpy(x, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_VM, RAW, BUFFER }, sizeof(x));
	assert_int_equal(life_call(LINUX, x), KZ_OK);
	assert_int_equal(x[1], sizeof(*info));
	assert_string_equal(info->name, "raw");
	assert_int_equal(info->state, KZ_VM_RUNNING);
	assert_int_equal(info->attached, LINUX + 1);
	assert_int_equal(info->faults, 5);
	assert_int_equal(info->fault_address, 6);
	assert_int_equal(info->fault_pc, 7);
	assert_int_equal(info->started, raw->started * 1000);
	assert_int_equal(info->watchdog | info->resumes, 0);
	memcpy(x, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_VCPU, LINUX | 256, BUFFER }, sizeof(x));
	assert_int_equal(life_call(LINUX, x), KZ_OK);
	assert_int_equal(x[1], sizeof(*vcpu));
	assert_int_equal(vcpu->state, VCPU_OFF);
	assert_int_equal(vcpu->core, 1);
	x[1] = KZ_INSPECT_VCPU;
	x[2] = LINUX | 2 << 8;
	refused(LINUX, (x[0] = KZ_HVC_INSPECT, x), KZ_ENOENT, "no such vCPU");
	memcpy(x, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_VCPU, RAW, BUFFER }, sizeof(x));
	assert_int_equal(life_call(LINUX, x), KZ_OK);
	assert_int_equal(vcpu->budget, 100000);
	assert_int_equal(vcpu->period, 1000000);
	refused(LINUX, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_REGISTERS, RAW, BUFFER }, KZ_EBUSY,
		"it runs");
	assert_int_equal(life_verb(LINUX, RAW, KZ_VERB_PAUSE), KZ_OK);
	life_settle();
	raw->vcpu[0].arch.pc = 0x1234;
	assert_int_equal(life_call4(LINUX, KZ_HVC_INSPECT, KZ_INSPECT_REGISTERS, RAW, BUFFER, 0),
			 KZ_OK);
	assert_int_equal(regs->pc, 0x1234);
}

static void test_inspect_trace(void **state)
{
	struct kz_trace_head *head = life_memory(BUFFER);
	uint64_t x[5];

	(void)state;
	host.cpu[3].trace.dropped = 99;
	memcpy(x, (uint64_t[5]){ KZ_HVC_INSPECT, KZ_INSPECT_TRACE, 0, BUFFER }, sizeof(x));
	assert_int_equal(life_call(LINUX, x), KZ_OK);
	assert_int_equal(x[1], LIFE_CORES * sizeof(*head));
	assert_int_equal(head[3].dropped, 99);
	host.cpu[3].trace.dropped = 0;
}

static int64_t log_from(uint64_t at, uint32_t size, uint64_t *x)
{
	memcpy(x, (uint64_t[5]){ KZ_HVC_LOG, at, BUFFER, size }, 5 * sizeof(*x));
	return life_call(LINUX, x);
}

static void test_log(void **state)
{
	static char lines[20000 + 1];
	const char *text = life_memory(BUFFER);
	uint64_t x[5], end;

	(void)state;
	assert_int_equal(log_from(UINT64_MAX, 64, x), KZ_OK);
	assert_int_equal(x[1], 0);
	end = x[2];
	hv_log("one %u", 1);
	assert_int_equal(log_from(end, 64, x), KZ_OK);
	assert_int_equal(x[1], 6);
	assert_int_equal(x[2], end);
	assert_memory_equal(text, "one 1\n", 6);
	assert_int_equal(log_from(end + 2, 3, x), KZ_OK);
	assert_int_equal(x[1], 3);
	assert_memory_equal(text, "e 1", 3);
	for (uint32_t i = 0; i < 2000; i++) {
		hv_log("line %u", 1000 + i);
		snprintf(lines + 10 * i, sizeof(lines) - 10 * i, "line %u\n", 1000 + i);
	}
	end += 6 + 20000;
	assert_int_equal(log_from(0, 4096, x), KZ_OK);
	assert_int_equal(x[2], end - LOG_RING);
	for (uint64_t at = x[2]; at < end; at += x[1]) {	/* across the ring's end, too */
		assert_int_equal(log_from(at, 4096, x), KZ_OK);
		assert_int_equal(x[2], at);
		assert_in_range(x[1], 1, 4096);
		assert_memory_equal(text, lines + (at - (end - 20000)), x[1]);
	}
	assert_int_equal(log_from(end, 64, x), KZ_OK);
	assert_int_equal(x[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orders_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_island, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights_vanish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register_half, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inspect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inspect_trace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
