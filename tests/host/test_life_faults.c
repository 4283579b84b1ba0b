/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/* flags: -finstrument-functions -finstrument-functions-exclude-file-list=tests/host,/usr */
/*
 * A life of a VM in which one thing goes wrong, at the first step, at the second, and so on until
 * there is no such step any more. A step is any call of a function of the hypervisor and any return
 * from one: where no lock is held, another core could do there what it likes, and it does. After
 * each life the accounts are what they were: nothing is anybody's that was not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "health.h"
#include "life_bed.h"
#include "policy.h"

#define FIRST	  LIFE_VMS		/* place of the VM of this life */
#define SECOND	  (FIRST + 1)
#define FREE_FROM 0x60000u		/* of RAM, offset: what no VM of the image has */
#define NOBODY	  LIFE_CORES		/* a core on which no guest executes */
#define EVERY	  97u			/* so often all VMs stop, to see that these were all */

enum fault {
	NO_FAULT,			/* the others' measure */
	CONTROL_RESET, CONTROL_DIES, CONTROL_PAUSED, CONTROL_STOPPED,
	VM_FAULTS, VM_OFF, VM_RESETS, VM_UNSERVED,
	RIVAL_STARTS, RIVAL_PAUSES, RIVAL_RESUMES, RIVAL_STOPS,
	OTHER_RESETS, OTHER_DESTROYS, OTHER_REGISTERS, OTHER_ATTACHES,
	NEIGHBOUR_RESETS, SERVO_RESETS, TABLES_GONE, INTERRUPT, TIME_PASSES, FAULTS
};

static const char *const names[FAULTS] = {
	"no fault", "control VM reset", "control VM dies", "control VM paused",
	"control VM stopped", "VM faults", "VM off", "VM resets", "watchdog", "rival starts",
	"rival pauses", "rival resumes", "rival stops", "other resets", "other destroys",
	"other registers", "other attaches", "neighbour resets", "servo resets", "no table",
	"interrupt", "time passes",
};

/* ---- Steps ---- */

static struct {
	bool armed, done;
	enum fault fault;
	uint32_t step, at;		/* so many were there, and the one where it happens */
	bool registers;			/* within KZ_HVC_REGISTER: one at a time */
} now;

void __cyg_profile_func_enter(void *function, void *from);
void __cyg_profile_func_exit(void *function, void *from);

static bool is_free(const struct spinlock *l)
{
	return l->word >> 16 == (l->word & 0xffff);
}

/* Another core would wait. */
static bool is_locked(void)
{
	bool locked = false;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		locked |= !is_free(&machine.vm[i].lock);
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		locked |= !is_free(&host.cpu[i].sched.lock);
	}
	return locked;
}

/* A call of a VM by a vCPU of its that executes elsewhere. */
static void elsewhere(uint32_t vm, uint64_t fn, uint64_t a, uint64_t b)
{
	uint64_t x[5] = { fn, a, b, 0, 0 };

	if (machine.vm[vm].state == KZ_VM_RUNNING) {
		(void)!control_call(&machine.vm[vm].vcpu[0], x);
	}
}

static void other_registers(void)
{
	struct kz_cfg_vm *cfg = life_memory(LINUX_AT + 0x4000);

	if (!now.registers) {
		life_config(cfg, 7, KZ_SRT);
		elsewhere(LINUX, KZ_HVC_REGISTER, LINUX_AT + 0x4000, 0);
	}
}

static void time_passes(void)
{
	host.ticks += 1600;		/* a watchdog is due, and deadlines */
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		arch_cpu_kick(i);
	}
}

static void vm_goes_wrong(struct vm *vm)
{
	switch (now.fault) {
	case VM_FAULTS: vm_fail(vm, KZ_REASON_FAULT); break;
	case VM_OFF: vm_fail(vm, KZ_REASON_OFF); break;
	case VM_RESETS: vm_halt(vm, KZ_REASON_RESET, THEN_START); break;
	case VM_UNSERVED: vm_fail_since(vm, KZ_REASON_WATCHDOG, vm->changes); break;
	default: break;
	}
}

static void somebody_acts(void)
{
	switch (now.fault) {
	case CONTROL_RESET: vm_halt(&machine.vm[LINUX], KZ_REASON_RESET, THEN_START); break;
	case CONTROL_DIES: vm_fail(&machine.vm[LINUX], KZ_REASON_FAULT); break;
	case CONTROL_PAUSED: elsewhere(RAW, KZ_HVC_CONTROL, LINUX, KZ_VERB_PAUSE); break;
	case CONTROL_STOPPED: elsewhere(RAW, KZ_HVC_CONTROL, LINUX, KZ_VERB_STOP); break;
	case RIVAL_STARTS: elsewhere(RAW, KZ_HVC_CONTROL, FIRST, KZ_VERB_START); break;
	case RIVAL_PAUSES: elsewhere(RAW, KZ_HVC_CONTROL, FIRST, KZ_VERB_PAUSE); break;
	case RIVAL_RESUMES: elsewhere(RAW, KZ_HVC_CONTROL, FIRST, KZ_VERB_RESUME); break;
	case RIVAL_STOPS: elsewhere(RAW, KZ_HVC_CONTROL, FIRST, KZ_VERB_STOP); break;
	case OTHER_RESETS: elsewhere(LINUX, KZ_HVC_CONTROL, FIRST, KZ_VERB_RESET); break;
	case OTHER_DESTROYS: elsewhere(LINUX, KZ_HVC_CONTROL, FIRST, KZ_VERB_DESTROY); break;
	case OTHER_ATTACHES: elsewhere(RAW, KZ_HVC_CONTROL, FIRST, KZ_VERB_ATTACH); break;
	case OTHER_REGISTERS: other_registers(); break;
	case NEIGHBOUR_RESETS: vm_halt(&machine.vm[RAW], KZ_REASON_RESET, THEN_START); break;
	case SERVO_RESETS: elsewhere(ISLAND, KZ_HVC_CONTROL, SERVO, KZ_VERB_RESET); break;
	case TABLES_GONE: host.no_tables = true; break;
	case INTERRUPT: arch_cpu_kick(machine.vm[FIRST].cfg->cpu[0]); break;
	case TIME_PASSES: time_passes(); break;
	default: vm_goes_wrong(&machine.vm[FIRST]); break;
	}
}

static void step(void)
{
	uint32_t core;

	if (!now.armed || is_locked() || now.step++ != now.at) {
		return;
	}
	now.armed = false;
	now.done = true;
	core = arch_this_cpu()->id;
	host_become(NOBODY);
	somebody_acts();
	host_become(core);
}

void __cyg_profile_func_enter(void *function, void *from)
{
	(void)function;
	(void)from;
	step();
}

void __cyg_profile_func_exit(void *function, void *from)
{
	(void)function;
	(void)from;
	step();
}

/* ---- Accounts ---- */

static struct accounts {
	enum kz_vm_state state[KZ_VMS_MAX];
	uint8_t rights[KZ_VMS_MAX][KZ_RIGHTS];
	uint8_t owner[KZ_INTID_MAX];	/* of interrupts */
	uint32_t reader[KZ_VMS_MAX];	/* of consoles */
	uint32_t revoked, vcpus;	/* a bit each; that are not off */
	struct {
		uint32_t members, queued;
		uint64_t density, guard;
	} core[LIFE_CORES];
	uint32_t offs;
} before, after;

static void account(struct accounts *a)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->owner, host.owner, sizeof(a->owner));
	a->offs = life.offs;
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		const struct vm *vm = &machine.vm[i];

		a->state[i] = vm->state;
		memcpy(a->rights[i], vm->rights, sizeof(a->rights[i]));
		a->reader[i] = console_reader(i);
		a->revoked |= (uint32_t)(vm->revoked || vm->arch.revoked) << i;
		for (uint32_t k = 0; k < KZ_VCPUS_MAX; k++) {
			a->vcpus += vm->vcpu[k].state != VCPU_OFF;
		}
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		const struct sched_core *c = &host.cpu[i].sched;

		a->core[i].members = c->members;
		a->core[i].queued = (c->edf | c->fair | c->timed) & ~c->members;
		a->core[i].guard = c->guard;
		for (uint32_t set = c->members; set != 0; set &= set - 1) {
			a->core[i].density += c->slot[__builtin_ctz(set)]->sched.claim.density;
		}
	}
}

/* Where memory that is free is not zero; or 0. */
static uint32_t dirty(void)
{
	static const uint8_t zero[4096];

	for (uint32_t at = FREE_FROM; at < HOST_RAM_SIZE; at += sizeof(zero)) {
		if (memcmp(host.ram + at, zero, sizeof(zero)) != 0) {
			return at;
		}
	}
	return 0;
}

static void compare(const char *what)
{
	uint32_t where = dirty();

	account(&after);
	if (where != 0) {
		fail_msg("%s, step %u: RAM at 0x%x was not scrubbed", what, now.at, where);
	}
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		if (after.state[i] != before.state[i]) {
			fail_msg("%s, step %u: VM %u in state %u", what, now.at, i,
				 after.state[i]);
		}
	}
	for (uint32_t i = 0; i < KZ_INTID_MAX; i++) {
		if (after.owner[i] != before.owner[i]) {
			fail_msg("%s, step %u: interrupt %u of VM %d", what, now.at, i,
				 after.owner[i] - 1);
		}
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		if (memcmp(&after.core[i], &before.core[i], sizeof(after.core[i])) != 0) {
			fail_msg("%s, step %u: core %u: members %x, queued %x, density %lx, "
				 "guard %lu", what, now.at, i, after.core[i].members,
				 after.core[i].queued, (unsigned long)after.core[i].density,
				 (unsigned long)after.core[i].guard);
		}
	}
	if (memcmp(&after, &before, sizeof(after)) != 0) {
		fail_msg("%s, step %u: rights, readers, revoked 0x%x, %u vCPUs, off %u times",
			 what, now.at, after.revoked, after.vcpus, after.offs - before.offs);
	}
}

/* ---- A life ---- */

static bool linux_is_well(void)
{
	return machine.vm[LINUX].state == KZ_VM_RUNNING && !machine.vm[LINUX].fresh &&
	       machine.vm[LINUX].vcpu[0].state == VCPU_RUNNING &&
	       (machine.vm[LINUX].vcpu[0].hazard & (HAZARD_STOP | HAZARD_PAUSE)) == 0;
}

/* A call of the instance of linux that has begun this life, if it still is there. */
static uint32_t instance;	/* its number: of changes of its state */
static uint64_t began;		/* after the end of the one before it, in ticks */

static bool call(uint64_t *x)
{
	if (!linux_is_well() || machine.vm[LINUX].changes != instance) {
		return false;
	}
	(void)life_call(LINUX, x);
	return true;
}

static void verb(uint32_t id, enum kz_verb which)
{
	uint64_t x[5] = { KZ_HVC_CONTROL, id, which };

	(void)!call(x);
	life_quiet();
}

static void create(uint32_t slot, enum kz_level level, enum kz_restart restart, uint32_t vcpus)
{
	struct kz_cfg_vm *cfg = life_memory(LINUX_AT);
	uint64_t x[5] = { KZ_HVC_REGISTER, LINUX_AT };

	life_config(cfg, slot, level);
	cfg->restart = (uint8_t)restart;
	cfg->watchdog_ns = 1500000;
	cfg->backoff_ms = 1;
	cfg->backoff_max_ms = 4;
	cfg->vcpu_count = (uint8_t)vcpus;
	cfg->cpu[1] = 0;
	if (!linux_is_well() || machine.vm[LINUX].changes != instance) {
		return;
	}
	now.registers = true;
	(void)!call(x);
	now.registers = false;
	if (x[0] == KZ_OK) {
		uint64_t fill[5] = { KZ_HVC_FILL, x[1], 0, LINUX_AT, KZ_CONTROL_BYTES };

		(void)!call(fill);
	}
}

/* All verbs, and two VMs on a core. */
static void live(enum kz_level level)
{
	static const enum kz_verb verbs[] = {
		KZ_VERB_START, KZ_VERB_ATTACH, KZ_VERB_PAUSE, KZ_VERB_RESUME, KZ_VERB_RESET,
		KZ_VERB_STOP, KZ_VERB_START,
	};

	verb(SERVO, KZ_VERB_ATTACH);
	create(0, level, KZ_RESTART_ON_FAILURE, level == KZ_HRT ? 1 : 2);
	for (uint32_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		verb(FIRST, verbs[i]);
	}
	create(1, KZ_SRT, KZ_RESTART_NEVER, 1);
	verb(SECOND, KZ_VERB_START);
	verb(FIRST, KZ_VERB_DESTROY);
	verb(SECOND, KZ_VERB_DESTROY);
}

/* Who is stopped begins again, who is paused goes on: nobody else would do that. */
static void recover(void)
{
	struct vm *vm = &machine.vm[LINUX];

	host.no_tables = false;
	life_quiet();
	host_become(NOBODY);
	if (vm->state == KZ_VM_STOPPED) {
		vm_start(vm);
	} else if (vm->state == KZ_VM_PAUSED) {
		assert_int_equal(vm_resume(vm), KZ_OK);
	}
	life_quiet();
	assert_true(linux_is_well());
}

/* A console that was read is the machine's again if its reader is gone; else it lets it go. */
static void let_go(void)
{
	if (machine.vm[LINUX].stopped != began) {
		assert_int_equal(console_reader(SERVO), 0);
	}
	(void)life_verb(LINUX, SERVO, KZ_VERB_DETACH);
}

/* The next instance lists what is there, and all of it goes. */
static void take_over(void)
{
	for (uint32_t i = FIRST; i < KZ_VMS_MAX; i++) {
		int64_t err = life_call4(LINUX, KZ_HVC_INSPECT, KZ_INSPECT_VM, i, LINUX_AT, 0);

		if (err == KZ_OK) {
			assert_int_equal(life_verb(LINUX, i, KZ_VERB_DESTROY), KZ_OK);
			life_quiet();
		}
		assert_int_equal(life_call4(LINUX, KZ_HVC_INSPECT, KZ_INSPECT_VM, i, LINUX_AT, 0),
				 KZ_ENOENT);
	}
}

/* No VM is left, but once, and then all are back: what counts those that run is right. */
static void all_stop(const char *what)
{
	uint32_t offs = life.offs;

	for (uint32_t i = 0; i < LIFE_VMS; i++) {
		assert_int_equal(life.offs, offs);
		host_become(NOBODY);
		vm_halt(&machine.vm[i], KZ_REASON_STOP, THEN_STOP);
		life_quiet();
		assert_int_equal(machine.vm[i].state, KZ_VM_STOPPED);
	}
	if (life.offs != offs + 1) {
		fail_msg("%s, step %u: off %u times", what, now.at, life.offs - offs);
	}
	life_start();
	before.offs = life.offs;
}

/* A fault at each step; returns how many there are. */
static uint32_t lives(enum kz_level level, enum fault fault)
{
	uint32_t at = 0;

	do {
		instance = machine.vm[LINUX].changes;
		began = machine.vm[LINUX].stopped;
		memset(&now, 0, sizeof(now));
		now.fault = fault;
		now.at = at;
		now.armed = fault != NO_FAULT;
		live(level);
		now.armed = false;
		recover();
		let_go();
		take_over();
		compare(names[fault]);
		if (at % EVERY == 0) {
			all_stop(names[fault]);
		}
		host.out_len = 0;
		at++;
	} while (now.done);
	return at - 1;
}

static void fresh(void)
{
	life_setup();
	memset(host.ram + FREE_FROM, 0, HOST_RAM_SIZE - FREE_FROM);
	life_start();
	account(&before);
}

static void all_faults(enum kz_level level)
{
	uint32_t steps = 0;

	fresh();
	for (enum fault f = NO_FAULT; f < FAULTS; f++) {
		uint32_t n = lives(level, f);

		assert_true(f == NO_FAULT ? n == 0 : n > 100);
		steps += n;
	}
	print_message("%u lives\n", steps);
	life_end();
}

static void test_nrt(void **state)
{
	(void)state;
	all_faults(KZ_NRT);
}

static void test_srt(void **state)
{
	(void)state;
	all_faults(KZ_SRT);
}

static void test_hrt(void **state)
{
	(void)state;
	all_faults(KZ_HRT);
}

/* ---- What is refused ---- */

/* Each byte of a configuration is wrong, in some ways: it is refused, or it lives and goes. */
static void test_spoiled(void **state)
{
	static const uint8_t values[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	struct kz_cfg_vm *cfg;
	uint32_t refused = 0, lived = 0;

	(void)state;
	fresh();
	cfg = life_memory(LINUX_AT);
	for (uint32_t i = 0; i < sizeof(*cfg) * ARRAY_SIZE(values); i++) {
		uint64_t x[5] = { KZ_HVC_REGISTER, LINUX_AT };

		life_config(cfg, 0, KZ_SRT);
		cfg->vcpu_count = 2;
		cfg->irq_count = 2;
		cfg->irq[1].intid = 80;
		((uint8_t *)cfg)[i / ARRAY_SIZE(values)] = values[i % ARRAY_SIZE(values)];
		now.at = i;
		if (life_call(LINUX, x) == KZ_OK) {
			(void)life_verb(LINUX, FIRST, KZ_VERB_START);
			life_quiet();
			lived++;
		} else {
			refused++;
		}
		take_over();
		compare("spoiled");
		host.out_len = 0;
	}
	print_message("%u refused, %u lived\n", refused, lived);
	assert_true(refused > 1000 && lived > 1000);
	life_end();
}

/* The second vCPU, or the third, has no room on its core: those before it leave again. */
static void test_no_room(void **state)
{
	static struct accounts was;
	struct kz_cfg_vm *cfg;

	(void)state;
	fresh();
	cfg = life_memory(LINUX_AT);
	for (uint32_t full = 0; full < 3; full++) {
		uint64_t x[5] = { KZ_HVC_REGISTER, LINUX_AT };

		life_config(cfg, 0, KZ_SRT);	/* most of a core */
		cfg->cpu[0] = (uint8_t)full;
		cfg->server.budget_ns = 850000;
		assert_int_equal(life_call(LINUX, x), full == 1 ? KZ_ELOAD : KZ_OK);
		if (full == 1) {		/* island and raw are there */
			assert_int_equal(x[1], 1);
			compare("no room");
			continue;
		}
		life_config(cfg, 1, KZ_SRT);
		cfg->vcpu_count = 3;
		cfg->server.budget_ns = 160000;
		for (uint32_t i = 0; i < 3; i++) {
			cfg->cpu[i] = (uint8_t)i;
		}
		account(&was);
		x[0] = KZ_HVC_REGISTER;
		x[1] = LINUX_AT;
		assert_int_equal(life_call(LINUX, x), KZ_ELOAD);
		assert_int_equal(x[1], full);
		account(&after);
		assert_memory_equal(&after, &was, sizeof(after));
		take_over();
		compare("no room");
	}
	life_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nrt),
		cmocka_unit_test(test_srt),
		cmocka_unit_test(test_hrt),
		cmocka_unit_test(test_spoiled),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests_name("life_faults", tests, NULL, NULL);
}
