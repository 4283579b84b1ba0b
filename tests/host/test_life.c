/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/*
 * Lives of VMs in any order: a model of the states that control.h draws, verbs of anybody who may,
 * what guests do to themselves, and faults; at the end the machine is as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dice.h"
#include "health.h"
#include "life_bed.h"
#include "policy.h"

#define STEPS  100000u
#define NOBODY LIFE_CORES	/* a core on which no guest executes */

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

/* ---- The model ---- */

static struct model {
	enum kz_vm_state state;
	enum vm_then then;
	enum kz_reason reason;
	struct kz_cfg_vm cfg;
	uint32_t slot;			/* in RAM, of one that was created */
	uint32_t restarts, failures;
	bool created;
} model[KZ_VMS_MAX];
static bool slot_used[LIFE_SLOTS];
static uint32_t offs;

static bool is_alive(const struct model *m)
{
	return m->state == KZ_VM_RUNNING || m->state == KZ_VM_PAUSED;
}

static bool is_failure(enum kz_reason reason)
{
	return reason == KZ_REASON_FAULT || reason == KZ_REASON_MISS ||
	       reason == KZ_REASON_OVERRUN || reason == KZ_REASON_WATCHDOG;
}

static void model_halt(struct model *m, enum kz_reason reason, enum vm_then then)
{
	if (is_alive(m)) {
		m->state = KZ_VM_STOPPING;
		m->reason = reason;
		m->then = then;
		m->failures += is_failure(reason);
	}
}

static void model_fail(struct model *m, enum kz_reason reason)
{
	bool again = m->cfg.restart == KZ_RESTART_ALWAYS ||
		     (m->cfg.restart == KZ_RESTART_ON_FAILURE && is_failure(reason));

	model_halt(m, reason, again ? THEN_WAIT : THEN_STOP);
}

static int64_t model_verb(struct model *m, enum kz_verb verb)
{
	static const uint8_t allowed[KZ_VERBS] = {
		[KZ_VERB_START] = BIT(KZ_VM_CREATED) | BIT(KZ_VM_STOPPED) | BIT(KZ_VM_WAITING),
		[KZ_VERB_PAUSE] = BIT(KZ_VM_RUNNING),
		[KZ_VERB_RESUME] = BIT(KZ_VM_PAUSED),
		[KZ_VERB_SHUTDOWN] = BIT(KZ_VM_RUNNING),
		[KZ_VERB_STOP] = BIT(KZ_VM_RUNNING) | BIT(KZ_VM_PAUSED) | BIT(KZ_VM_WAITING),
		[KZ_VERB_RESET] = BIT(KZ_VM_RUNNING) | BIT(KZ_VM_PAUSED),
		[KZ_VERB_DESTROY] = 0xff & ~BIT(KZ_VM_CLEARING),
	};

	if (m->state == KZ_VM_NONE) {
		return KZ_ENOENT;
	}
	if ((allowed[verb] >> m->state & 1) == 0) {
		return KZ_EBUSY;
	}
	switch (verb) {
	case KZ_VERB_START:
		m->restarts += m->state == KZ_VM_WAITING;
		m->state = KZ_VM_RUNNING;
		break;
	case KZ_VERB_PAUSE:
		m->state = KZ_VM_PAUSED;
		break;
	case KZ_VERB_RESUME:
		m->state = KZ_VM_RUNNING;
		break;
	case KZ_VERB_SHUTDOWN:
		return KZ_ENOENT;		/* nobody listens here */
	case KZ_VERB_STOP:
		if (m->state == KZ_VM_WAITING) {
			m->state = KZ_VM_STOPPED;
			m->reason = KZ_REASON_STOP;
		}
		model_halt(m, KZ_REASON_STOP, THEN_STOP);
		break;
	case KZ_VERB_RESET:
		model_halt(m, KZ_REASON_RESTART, THEN_START);
		break;
	default:
		if (is_alive(m) || m->state == KZ_VM_STOPPING) {
			m->state = KZ_VM_STOPPING;
			m->reason = KZ_REASON_DESTROY;
			m->then = THEN_CLEAR;
		} else {
			m->state = KZ_VM_CLEARING;
		}
		break;
	}
	return KZ_OK;
}

static bool is_nobody_left(void)
{
	bool left = false;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		enum kz_vm_state s = model[i].state;

		left |= s >= KZ_VM_RUNNING;
	}
	return !left;
}

/* The last one ends. */
static void note_nobody(void)
{
	static bool before;
	bool now = is_nobody_left();

	offs += now && !before;
	before = now;
}

/* What stops has stopped, what is cleared is gone. */
static void model_settle(void)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		struct model *m = &model[i];

		if (m->state == KZ_VM_STOPPING &&
		    (m->then == THEN_START || (m->then == THEN_WAIT && m->cfg.backoff_ms == 0))) {
			m->state = KZ_VM_RUNNING;
			m->restarts++;
		} else if (m->state == KZ_VM_STOPPING && m->then == THEN_WAIT) {
			m->state = KZ_VM_WAITING;
		} else if (m->state == KZ_VM_STOPPING && m->then == THEN_STOP) {
			m->state = KZ_VM_STOPPED;
		} else if (m->state == KZ_VM_STOPPING || m->state == KZ_VM_CLEARING) {
			slot_used[m->slot] &= !m->created;
			*m = (struct model){ .state = KZ_VM_NONE };
		}
	}
}

static void compare(uint32_t step)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		const struct model *m = &model[i];
		const struct vm *vm = &machine.vm[i];

		if (vm->state != m->state) {
			fail_msg("step %u: VM %u: %u, not %u (then %u, reason %u, level %u, "
				 "due %lu at %lu)", step, i,
				 vm->state, m->state, m->then, vm->reason, m->cfg.level,
				 (unsigned long)vm->due, (unsigned long)host.ticks);
		}
		if (m->state != KZ_VM_NONE) {
			if (vm->restarts != m->restarts || vm->failures != m->failures ||
			    vm->reason != m->reason) {
				fail_msg("step %u: VM %u, %u: reason %u, not %u; %u restarts, "
					 "not %u; %u failures, not %u", step, i, vm->state,
					 vm->reason, m->reason, vm->restarts, m->restarts,
					 vm->failures, m->failures);
			}
		}
	}
}

/* ---- What happens ---- */

static void act_register(void)
{
	struct kz_cfg_vm cfg;
	uint32_t slot = dice(LIFE_SLOTS), place = 0;
	enum kz_level level = (enum kz_level)dice(KZ_LEVELS);
	bool twice = slot_used[slot], hrt = false;
	uint64_t x[5];
	int64_t err;

	if (machine.vm[LINUX].state != KZ_VM_RUNNING) {
		return;
	}
	while (place < KZ_VMS_MAX && model[place].state != KZ_VM_NONE) {
		place++;
	}
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		hrt |= model[i].created && model[i].cfg.level == KZ_HRT;
	}
	life_config(&cfg, slot, level);
	cfg.restart = (uint8_t)dice(KZ_RESTARTS);
	cfg.on_fault = (uint8_t)(KZ_FAULT_STOP + dice(2));
	/* with a server, guests that execute for ever miss deadlines by themselves */
	cfg.server.on_miss = level == KZ_SRT ? KZ_EVENT_COUNT :
			     (uint8_t)(KZ_EVENT_RESTART + dice(2));
	cfg.server.on_overrun = KZ_EVENT_COUNT;
	cfg.watchdog_ns = dice(2) * 100000000ull;
	cfg.backoff_ms = dice(3) * 10;
	cfg.backoff_max_ms = cfg.backoff_ms * 4;
	err = life_register(&cfg, x);
	if (place == KZ_VMS_MAX) {
		assert_int_equal(err, KZ_ENOMEM);
	} else if (twice || (level == KZ_HRT && hrt)) {
		assert_int_equal(err, KZ_EINVAL);
	} else {
		assert_int_equal(err, KZ_OK);
		assert_int_equal(x[1], place);
		model[place] = (struct model){
			.state = KZ_VM_CREATED, .cfg = cfg, .slot = slot, .created = true,
		};
		slot_used[slot] = true;
	}
}

static void act_verb(void)
{
	uint32_t who = dice(2) == 0 ? LINUX : RAW, id = dice(KZ_VMS_MAX);
	enum kz_verb verb = (enum kz_verb)dice(KZ_VERB_ATTACH);
	bool may = who == LINUX || (verb != KZ_VERB_RESET && verb != KZ_VERB_DESTROY);
	int64_t err, got;

	/* The image's VMs stay, and linux seldom stops. */
	if (machine.vm[who].state != KZ_VM_RUNNING || machine.vm[who].fresh ||
	    (id < LIFE_VMS && verb == KZ_VERB_DESTROY) || (id == LINUX && dice(8) != 0)) {
		return;
	}
	err = may ? model_verb(&model[id], verb) : KZ_EPERM;
	if (err == KZ_OK && verb == KZ_VERB_RESUME && !vm_is_still(&machine.vm[id])) {
		model[id].state = KZ_VM_PAUSED;	/* not yet */
		err = KZ_EBUSY;
	}
	got = life_verb(who, id, verb);
	if (got != err) {
		fail_msg("VM %u, %u: verb %u: %ld, not %ld", id, machine.vm[id].state, verb,
			 (long)got,
			 (long)err);
	}
}

/* A VM does it to itself, or it befalls it: it executes. False: what comes of it comes later. */
static bool act_guest(void)
{
	uint32_t id = dice(KZ_VMS_MAX);
	struct vm *vm = &machine.vm[id];
	struct model *m = &model[id];
	struct vcpu *v = &vm->vcpu[0];
	struct access a = { .addr = 0x123, .size = 4 };

	if (vm->state != KZ_VM_RUNNING || vm->fresh || v->state != VCPU_RUNNING ||
	    v->cpu->vcpu != v || v->sched.state != SCHED_READY) {
		return true;
	}
	host_become(v->cpu->id);
	life.left[v->cpu->id] = true;
	switch (dice(6)) {
	case 0:		/* PSCI SYSTEM_OFF */
		model_fail(m, KZ_REASON_OFF);
		vm_fail(vm, KZ_REASON_OFF);
		break;
	case 1:		/* SYSTEM_RESET */
		model_halt(m, KZ_REASON_RESET, THEN_START);
		vm_halt(vm, KZ_REASON_RESET, THEN_START);
		break;
	case 2:
		if (m->cfg.on_fault == KZ_FAULT_RESTART) {
			model_halt(m, KZ_REASON_FAULT, THEN_START);
		} else if (m->cfg.on_fault == KZ_FAULT_STOP) {
			model_fail(m, KZ_REASON_FAULT);
		}
		vcpu_fault(v, &a, UNKNOWN);
		break;
	case 3:
		if (m->cfg.server.on_miss == KZ_EVENT_RESTART) {
			model_halt(m, KZ_REASON_MISS, THEN_START);
		} else if (m->cfg.server.on_miss == KZ_EVENT_STOP) {
			model_fail(m, KZ_REASON_MISS);
		}
		policy_event(v, KZ_NOTIFY_MISS);
		break;
	case 4:		/* CPU_OFF of the last one */
		if (vm->alive == 1) {
			model_fail(m, KZ_REASON_OFF);
		}
		if (vm->alive == 1 || id != LINUX) {
			vcpu_hazard(v, HAZARD_OFF);
		}
		return false;
	default:
		if (id == LINUX) {
			(void)!vcpu_on(&vm->vcpu[1], 0x1000, 0);
		}
		assert_int_equal(health_kick(vm, dice(2) * 50000000ull), KZ_OK);
		break;
	}
	return true;
}

/* What is due at that time: watchdogs, and the ends of back-offs. */
static void model_due(uint64_t at)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		struct model *m = &model[i];

		if (machine.vm[i].due != at) {
			continue;
		}
		assert_int_equal(machine.vm[i].state, m->state);
		if (m->state == KZ_VM_WAITING) {
			m->state = KZ_VM_RUNNING;
			m->restarts++;
		} else {
			assert_int_equal(m->state, KZ_VM_RUNNING);
			model_fail(m, KZ_REASON_WATCHDOG);
		}
	}
}

static uint64_t first_due(void)
{
	uint64_t first = NEVER;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		first = min_u64(first, machine.vm[i].due);
	}
	return first;
}

static void until_due(uint64_t at)
{
	life_until(at - 1);
	model_due(at);
	life_until(at);
}

static void act_time(void)
{
	uint64_t first = first_due(), at = host.ticks + dice(200);

	if (dice(20) != 0 && at < first) {
		life_until(at);
	} else if (first != NEVER && first > host.ticks) {
		until_due(first);
	}
}

/* Time passes while VMs start and stop: of what is due then, the model hears now. */
static void quiet(void)
{
	life_settle();
	for (uint64_t due = first_due(); due < host.ticks + 3000; due = first_due()) {
		if (due <= host.ticks) {
			break;			/* a back-off of nothing */
		}
		until_due(due);
	}
	model_settle();
	life_quiet();
	note_nobody();
}

/* ---- In any order ---- */

static void model_start(void)
{
	memset(model, 0, sizeof(model));
	memset(slot_used, 0, sizeof(slot_used));
	for (uint32_t i = 0; i < LIFE_VMS; i++) {
		model[i].state = KZ_VM_RUNNING;
		model[i].cfg = life.vm[i];
	}
}

/* Nobody else could. */
static void linux_again(void)
{
	struct vm *vm = &machine.vm[LINUX];

	host_become(LIFE_CORES);
	if (vm->state == KZ_VM_STOPPED) {
		vm_start(vm);
	} else if (vm->state == KZ_VM_PAUSED) {
		assert_int_equal(vm_resume(vm), KZ_OK);
	} else {
		return;
	}
	model[LINUX].state = KZ_VM_RUNNING;
	quiet();
}

static void test_any_order(void **state)
{
	uint32_t members[LIFE_CORES], seen[KZ_VM_STATES] = { 0 }, reasons[KZ_REASONS] = { 0 };
	uint64_t guard = host.cpu[1].sched.guard;

	(void)state;
	model_start();
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		members[i] = host.cpu[i].sched.members;
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		for (uint32_t n = dice(3); n > 0; n--) {
			switch (dice(8)) {
			case 0: act_register(); break;
			case 1: case 2: n = act_guest() ? n : 1; break;
			default: act_verb(); break;
			}
			life_check();
		}
		for (uint32_t k = 0; k < KZ_VMS_MAX; k++) {
			seen[model[k].state]++;
		}
		quiet();
		compare(i);
		act_time();
		quiet();
		compare(i);
		life_check();
		for (uint32_t k = 0; k < KZ_VMS_MAX; k++) {
			seen[machine.vm[k].state]++;
			reasons[machine.vm[k].reason]++;
		}
		linux_again();
		host.out_len = 0;
	}
	for (uint32_t i = 0; i < KZ_VM_STATES; i++) {
		assert_true(seen[i] > 100);
	}
	for (uint32_t i = 1; i < KZ_REASONS; i++) {
		assert_true(i == KZ_REASON_OVERRUN || i == KZ_REASON_DESTROY || reasons[i] > 100);
	}
	print_message("nobody was left %u times, the machine went off %u times\n", offs, life.offs);
	assert_int_equal(life.offs, offs);
	life_end();
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		assert_int_equal(host.cpu[i].sched.members, members[i]);
	}
	assert_int_equal(host.cpu[1].sched.guard, guard);
	for (uint32_t i = 0; i < KZ_INTID_MAX; i++) {
		assert_int_equal(host.owner[i], i >= 48 && i < 48 + LIFE_VMS ? i - 47 : 0);
	}
}

/* Between a look at its state and its lock a VM may go: its place is not cleared once more. */
static void test_gone(void **state)
{
	struct vm *vm = &machine.vm[LIFE_VMS + 1];

	(void)state;
	assert_int_equal(vm->state, KZ_VM_NONE);
	assert_int_equal(vm_destroy(vm), KZ_ENOENT);
	assert_int_equal(vm->state, KZ_VM_NONE);
	assert_int_equal(vm->vcpu[0].state, VCPU_OFF);
	life_check();
}

/* ---- Budgets ---- */

/* How raw begins again: not; by resets; behind pauses; by resets, and its server is its word. */
enum way { RUNS, RESETS, PAUSES, TELLS, WAYS };

/* It says what server it wants, if it has none. */
static void tell(struct vcpu *v)
{
	uint64_t x[5] = { KZ_HVC_SET_REALTIME_INFO, 1000000, 1000000, 100000 };

	if (host.cpu[1].vcpu != v || server_is(&v->sched.server)) {
		return;
	}
	(void)life_turn(RAW, x);		/* true: another one may be the first */
	assert_int_equal(x[0], KZ_OK);
}

/* What core 1 executes of raw in so many ticks, when it begins again before its budget is spent. */
static uint64_t executed_by(enum way way, uint64_t ticks, uint32_t *times)
{
	struct vm *vm = &machine.vm[RAW];
	struct vcpu *v = &vm->vcpu[0];
	uint64_t sum = 0, since = 0, last = v->sched.executed, end = host.ticks + ticks;

	for (*times = 0; host.ticks < end; last = v->sched.executed) {
		life_until(host.ticks + 10);
		since += v->sched.executed > last ? v->sched.executed - last : 0;
		if (way == TELLS) {
			tell(v);
		}
		if (way == RUNS || since < 60) {
			continue;
		}
		host_become(NOBODY);
		if (way == PAUSES) {
			assert_int_equal(vm_pause(vm), KZ_OK);
			life_settle();
			host_become(NOBODY);
			assert_int_equal(vm_resume(vm), KZ_OK);
		} else {
			vm_halt(vm, KZ_REASON_RESET, THEN_START);
		}
		++*times;
		sum += since;
		since = 0;
	}
	return sum + since;
}

/* A server's budget of 100 in 1000 ticks is that, also of who begins again all the time. */
static void test_restart_budget(void **state)
{
	(void)state;
	host_become(NOBODY);
	vm_halt(&machine.vm[ISLAND], KZ_REASON_STOP, THEN_STOP);	/* it has the core else */
	life_quiet();
	for (enum way way = RUNS; way < WAYS; way++) {
		uint64_t executed;
		uint32_t times;

		if (way == TELLS) {
			machine.vm[RAW].vcpu[0].sched.promised = (struct server){ 0 };
			host_become(NOBODY);
			vm_halt(&machine.vm[RAW], KZ_REASON_RESET, THEN_START);
			life_quiet();
		}
		executed = executed_by(way, 100000, &times);
		print_message("way %d: executed %lu, %u times\n", (int)way,
			      (unsigned long)executed, times);
		assert_in_range(executed, way == RUNS ? 9900 : 5000, 10200);
		assert_true(way == RUNS || times > 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_budget, setup, teardown),
	};

	return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
