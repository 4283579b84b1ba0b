/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "arch.h"
#include "console.h"
#include "control.h"
#include "health.h"
#include "policy.h"
#include "trace.h"

struct machine machine;

static uint32_t running;	/* VMs that execute, or will by themselves; atomic */

void *vm_ram(const struct kz_cfg_vm *cfg, uint64_t at, uint64_t size)
{
	for (uint32_t i = 0; i < cfg->region_count; i++) {
		const struct kz_cfg_region *r = &cfg->region[i];
		uint64_t offset = at - r->ipa;

		if (r->type == KZ_REGION_RAM && offset < r->size) {
			return size > r->size - offset ? NULL : arch_ptr(pa(r->pa + offset));
		}
	}
	return NULL;
}

enum kz_err vm_init(struct vm *vm, uint32_t id, const struct kz_cfg_vm *cfg)
{
	vm->cfg = cfg;
	vm->id = id;
	vm->due = NEVER;
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		vm->rights[i] = cfg->rights[i];
	}
	for (uint32_t i = 0; i < KZ_VCPUS_MAX; i++) {
		vm->vcpu[i].state = VCPU_OFF;
	}
	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpu[i];

		v->vm = vm;
		v->id = i;
		v->cpu = arch_cpu(cfg->cpu[i]);
		v->arch.trace = KZ_TRACE_RUN | KZ_TRACE_VCPU(id, i) << 8;
		if (!vm->created) {
			sched_add(v);
		}
	}
	if (!vm->created) {
		vm->mapped = true;
		vm->images = (const char *)machine.cfg;
		vm->state = KZ_VM_STOPPED;
	}
	return arch_vm_init(vm);
}

/* ---- States ---- */

static void set_state_locked(struct vm *vm, enum kz_vm_state state) REQUIRES(vm_class)
{
	__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
	vm->changes++;
	control_tell(vm);
}

static void vcpu_make_ready_locked(struct vcpu *v, uint64_t entry, uint64_t arg)
	REQUIRES(vm_class)
{
	v->entry = entry;
	v->arg = arg;
	v->vm->alive++;
	__atomic_store_n(&v->state, VCPU_READY, __ATOMIC_RELEASE);
	sched_post(v);
}

/* vCPU 0 has its core for work with the memory, and then for the guest, unless it is cleared. */
static void vm_begin_locked(struct vm *vm, bool clear) REQUIRES(vm_class)
{
	if (clear) {
		console_ring_at(vm->id, NULL);
	}
	vm->clear = clear;
	vm->fresh = true;
	vm->begins = true;
	vm->load_region = 0;
	vm->load_at = 0;
	set_state_locked(vm, clear ? KZ_VM_CLEARING : KZ_VM_RUNNING);
	vcpu_make_ready_locked(&vm->vcpu[0], vm->cfg->entry, vm->cfg->arg);
}

static void vm_start_locked(struct vm *vm) REQUIRES(vm_class)
{
	trace_of(&vm->vcpu[0], KZ_TRACE_VM_START | TRACE_ARG(vm->restarts & 0xffff));
	vm_begin_locked(vm, false);
}

static void vm_start_again_locked(struct vm *vm) REQUIRES(vm_class)
{
	if (vm->state == KZ_VM_WAITING) {
		vm->restarts++;
		vm->again = true;
		health_set(vm, NEVER);
		vm_start_locked(vm);
	}
}

void vm_start_again(struct vm *vm)
{
	vm_lock(vm);
	vm_start_again_locked(vm);
	vm_unlock(vm);
}

void vm_start(struct vm *vm)
{
	vm_lock(vm);
	vm_start_again_locked(vm);
	if (vm->state == KZ_VM_STOPPED || vm->state == KZ_VM_CREATED) {
		vm->again = false;
		__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
		vm_start_locked(vm);
	}
	vm_unlock(vm);
}

static bool is_alive(const struct vm *vm)
{
	enum kz_vm_state state = __atomic_load_n(&vm->state, __ATOMIC_RELAXED);

	return state == KZ_VM_RUNNING || state == KZ_VM_PAUSED;
}

/* Each vCPU that is not off gets `bits`; cores that take no interrupt of ours lose their memory. */
static void vm_hazard_locked(struct vm *vm, uint32_t bits) REQUIRES(vm_class)
{
	const struct vcpu *here = arch_this_cpu()->vcpu;
	bool others = false;

	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpu[i];

		if (__atomic_load_n(&v->state, __ATOMIC_RELAXED) != VCPU_OFF) {
			vcpu_hazard(v, bits);
			others |= v != here;
		}
	}
	/* One that is loaded, or mapped, does not execute yet: vm_load looks at `hazard` later. */
	if (others && vm->cfg->level == KZ_HRT && !vm->fresh) {
		vm->revoked = true;
		arch_vm_revoke(vm, true);
	}
}

static void vm_grant_locked(struct vm *vm) REQUIRES(vm_class)
{
	if (vm->revoked) {
		vm->revoked = false;
		arch_vm_revoke(vm, false);
	}
}

static bool is_failure(enum kz_reason reason)
{
	return reason >= KZ_REASON_FAULT && reason <= KZ_REASON_WATCHDOG;
}

/* It neither executes nor will by itself. */
static void vm_ended_locked(struct vm *vm, enum kz_vm_state state) REQUIRES(vm_class)
{
	set_state_locked(vm, state);
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
}

static void vm_halt_locked(struct vm *vm, enum kz_reason reason, enum vm_then then)
	REQUIRES(vm_class)
{
	vm->reason = reason;
	vm->failures += is_failure(reason);
	vm->stopped = arch_ticks();
	vm->then = then;
	health_set(vm, NEVER);
	set_state_locked(vm, KZ_VM_STOPPING);
	trace_of(&vm->vcpu[0], KZ_TRACE_VM_STOP | TRACE_VALUE(reason) |
		 TRACE_ARG(then == THEN_START || then == THEN_WAIT ? 1 : 0));
}

void vm_halt(struct vm *vm, enum kz_reason reason, enum vm_then then)
{
	vm_lock(vm);
	if (is_alive(vm)) {
		vm_halt_locked(vm, reason, then);
		vm_hazard_locked(vm, HAZARD_STOP);
	} else if (vm->state == KZ_VM_WAITING && then == THEN_STOP) {
		health_set(vm, NEVER);
		vm->reason = reason;
		vm_ended_locked(vm, KZ_VM_STOPPED);
	}
	vm_unlock(vm);
}

static enum vm_then after(const struct vm *vm, enum kz_reason reason)
{
	uint32_t restart = vm->cfg->restart;

	return restart == KZ_RESTART_ALWAYS ||
	       (restart == KZ_RESTART_ON_FAILURE && is_failure(reason)) ? THEN_WAIT : THEN_STOP;
}

void vm_fail(struct vm *vm, enum kz_reason reason)
{
	vm_halt(vm, reason, after(vm, reason));
}

void vm_fail_since(struct vm *vm, enum kz_reason reason, uint32_t changes)
{
	vm_lock(vm);
	if (is_alive(vm) && vm->changes == changes) {
		vm_halt_locked(vm, reason, after(vm, reason));
		vm_hazard_locked(vm, HAZARD_STOP);
	}
	vm_unlock(vm);
}

enum kz_err vm_pause(struct vm *vm)
{
	enum kz_err err = KZ_EBUSY;

	vm_lock(vm);
	if (vm->state == KZ_VM_RUNNING) {
		health_set(vm, NEVER);
		set_state_locked(vm, KZ_VM_PAUSED);
		vm_hazard_locked(vm, HAZARD_PAUSE);
		err = KZ_OK;
	}
	vm_unlock(vm);
	return err;
}

bool vm_is_still(const struct vm *vm)
{
	enum kz_vm_state state = __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
	bool still = state == KZ_VM_PAUSED;

	for (uint32_t i = 0; i < vm->cfg->vcpu_count && still; i++) {
		const struct vcpu *v = &vm->vcpu[i];
		enum sched_state s = __atomic_load_n(&v->sched.state, __ATOMIC_ACQUIRE);

		still = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE) == VCPU_OFF ||
			s == SCHED_OFF || s == SCHED_PAUSED;
	}
	return still || state == KZ_VM_STOPPED || state == KZ_VM_WAITING;
}

enum kz_err vm_resume(struct vm *vm)
{
	enum kz_err err = KZ_EBUSY;

	vm_lock(vm);
	if (vm->state == KZ_VM_PAUSED && vm_is_still(vm)) {
		vm_grant_locked(vm);
		set_state_locked(vm, KZ_VM_RUNNING);
		health_resume(vm);
		for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
			struct vcpu *v = &vm->vcpu[i];

			__atomic_fetch_and(&v->hazard, ~HAZARD_PAUSE, __ATOMIC_RELEASE);
			if (v->state != VCPU_OFF) {
				sched_post(v);
			}
		}
		err = KZ_OK;
	}
	vm_unlock(vm);
	return err;
}

enum kz_err vm_destroy(struct vm *vm)
{
	enum kz_err err = KZ_OK;

	vm_lock(vm);
	if (is_alive(vm)) {
		vm_halt_locked(vm, KZ_REASON_DESTROY, THEN_CLEAR);
		vm_hazard_locked(vm, HAZARD_STOP);
	} else if (vm->state == KZ_VM_STOPPING) {
		vm->reason = KZ_REASON_DESTROY;
		vm->then = THEN_CLEAR;
	} else if (vm->state == KZ_VM_CLEARING) {
		err = KZ_EBUSY;
	} else if (vm->state == KZ_VM_NONE) {
		err = KZ_ENOENT;	/* it has gone since the caller looked */
	} else {
		if (vm->state != KZ_VM_WAITING) {
			__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
		}
		health_set(vm, NEVER);
		vm_begin_locked(vm, true);
	}
	vm_unlock(vm);
	return err;
}

void vm_report_restart(const struct vm *vm, uint32_t n)
{
	if (n <= 8 || (n & (n - 1)) == 0) {
		hv_log("%s: restarts (%u)", vm->cfg->name, n);
	}
}

/* Every vCPU is parked. Returns what it came to. */
static enum kz_vm_state vm_stopped_locked(struct vm *vm) REQUIRES(vm_class)
{
	vm_grant_locked(vm);
	health_set(vm, NEVER);		/* a guest that was on its way may have set it again */
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		(void)console_detach(i, vm->id);	/* what it read is printed again */
	}
	if (vm->state == KZ_VM_CLEARING) {
		control_tell(vm);	/* who may see no other: that right goes with it */
		console_forget(vm->id);
		control_forget_locked(vm);
		vm_ended_locked(vm, KZ_VM_NONE);
	} else if (vm->then == THEN_CLEAR) {
		vm_begin_locked(vm, true);
	} else if (vm->then == THEN_START) {
		vm->restarts++;
		vm->again = true;
		vm_start_locked(vm);
	} else if (vm->then == THEN_WAIT) {
		set_state_locked(vm, KZ_VM_WAITING);
		health_back_off(vm);
	} else {
		vm_ended_locked(vm, KZ_VM_STOPPED);
	}
	return vm->state;
}

/* Its name as it was: by now another VM may be in its place. */
static void report_end(const struct vm *vm, enum kz_vm_state state, const char *name)
{
	switch (state) {
	case KZ_VM_RUNNING:
		vm_report_restart(vm, vm->restarts);
		return;
	case KZ_VM_WAITING:		/* it is said when it starts again */
	case KZ_VM_CLEARING:
		return;
	case KZ_VM_NONE:
		hv_log("%s: destroyed", name);
		break;
	default:
		hv_log("%s: stopped", name);
		break;
	}
	if (__atomic_load_n(&running, __ATOMIC_RELAXED) == 0) {
		hv_log("no VM is left: switching off");
		console_flush();
		arch_machine_off();
	}
}

void vcpu_off(struct vcpu *v)
{
	struct vm *vm = v->vm;
	enum kz_vm_state state = KZ_VM_RUNNING;
	char name[KZ_NAME_MAX];
	bool ended;

	if (v->state == VCPU_RUNNING) {
		arch_vcpu_park(v);
	}
	__builtin_memcpy(name, vm->cfg->name, sizeof(name));
	vm_lock(vm);
	trace_of(v, KZ_TRACE_OFF | TRACE_ARG(vm->state == KZ_VM_STOPPING));
	__atomic_store_n(&v->state, VCPU_OFF, __ATOMIC_RELAXED);
	__atomic_store_n(&v->hazard, 0, __ATOMIC_RELAXED);
	vm->alive--;
	ended = vm->alive == 0;
	if (ended && is_alive(vm)) {
		/* it did it itself */
		vm_halt_locked(vm, KZ_REASON_OFF, after(vm, KZ_REASON_OFF));
	}
	if (ended) {
		state = vm_stopped_locked(vm);
	}
	vm_unlock(vm);
	if (ended) {
		report_end(vm, state, name);
	}
}

enum kz_err vcpu_on(struct vcpu *v, uint64_t entry, uint64_t arg)
{
	struct vm *vm = v->vm;
	enum kz_err err = KZ_EBUSY;

	vm_lock(vm);
	if (is_alive(vm) && v->state == VCPU_OFF) {
		if (vm->state == KZ_VM_PAUSED) {	/* who calls has not seen that yet */
			__atomic_fetch_or(&v->hazard, HAZARD_PAUSE, __ATOMIC_RELAXED);
		}
		vcpu_make_ready_locked(v, entry, arg);
		err = KZ_OK;
	}
	vm_unlock(vm);
	return err;
}

void vcpu_hazard(struct vcpu *v, uint32_t bits)
{
	uint32_t before = __atomic_fetch_or(&v->hazard, bits, __ATOMIC_RELEASE);

	if ((before & bits) != bits) {
		sched_post(v);
	}
}

struct vcpu *vcpu_work(struct vcpu *v)
{
	uint32_t bits = __atomic_exchange_n(&v->hazard, 0, __ATOMIC_ACQUIRE);

	if ((bits & (HAZARD_STOP | HAZARD_OFF)) != 0) {
		__atomic_fetch_or(&v->hazard, bits, __ATOMIC_RELAXED);
		vcpu_run(v->cpu);
	}
	if ((bits & HAZARD_IRQ) != 0) {
		arch_vcpu_sync(v);
	}
	if ((bits & HAZARD_PAUSE) != 0) {
		__atomic_fetch_or(&v->hazard, HAZARD_PAUSE, __ATOMIC_RELAXED);
	}
	if ((bits & (HAZARD_SCHED | HAZARD_PAUSE)) != 0) {
		arch_cpu_kick(v->cpu->id);	/* another may run: as its interrupt does it */
	}
	return v;
}

void vcpu_run(struct percpu *cpu)
{
	struct vcpu *v = sched_next(cpu);

	trace_run(v);
	arch_vcpu_enter(v);
}

void vcpu_reset(struct vcpu *v)
{
	struct vm *vm = v->vm;

	trace_of(v, KZ_TRACE_START);
	if (v->id == 0 && vm->begins) {
		vm->begins = false;
		vm->started = arch_ticks();
		if (vm->again) {
			vm->restart_time = vm->started - vm->stopped;
		}
		health_start(vm);
	}
	arch_vcpu_reset(v, v->entry, v->arg);
	v->sched.executed = 0;
	v->sched.stolen = 0;
	v->sched.events = 0;
	__atomic_store_n(&v->state, VCPU_RUNNING, __ATOMIC_RELAXED);
	arch_vcpu_sync(v);
}

/* ---- Faults ---- */

static void report_fault(const struct vcpu *v, const struct access *a, enum verdict why)
{
	static const char act[][24] = {
		"external abort injected", "the VM stops", "the VM restarts",
	};
	const char *what = a->fetch ? "instruction fetch" : a->write ? "write" : "read";
	const char *name = v->vm->cfg->name;

	hv_log("%s: vCPU %u at pc 0x%lx: %s of %u bytes at 0x%lx: %s; %s", name, v->id,
	       (unsigned long)arch_vcpu_pc(v), what, a->size, (unsigned long)a->addr,
	       why == FORBIDDEN ? "not allowed" : a->size == 0 && !a->fetch ?
	       "not a plain load or store" : "nothing is there", act[v->vm->cfg->on_fault]);
	hv_log("%s: look it up: kzc whatis %s 0x%lx; further faults are counted only", name,
	       machine.cfg->machine.board, (unsigned long)a->addr);
}

void vcpu_fault(struct vcpu *v, const struct access *a, enum verdict why)
{
	struct vm *vm = v->vm;

	trace_of(v, KZ_TRACE_VM_FAULT | TRACE_ARG(why == FORBIDDEN) |
		 TRACE_VALUE(a->addr >> 8 & UINT32_MAX));
	__atomic_fetch_add(&vm->faults, 1, __ATOMIC_RELAXED);
	vm->fault_address = a->addr;
	vm->fault_pc = arch_vcpu_pc(v);
	if (!__atomic_exchange_n(&vm->fault_reported, true, __ATOMIC_RELAXED)) {
		report_fault(v, a, why);
	}
	if (vm->cfg->on_fault == KZ_FAULT_INJECT) {
		arch_vcpu_inject_abort(v, a);
	} else {
		if (machine.cfg->machine.trace_on_crash != 0) {
			trace_stop();
		}
		if (vm->cfg->on_fault == KZ_FAULT_RESTART) {
			vm_halt(vm, KZ_REASON_FAULT, THEN_START);
		} else {
			vm_fail(vm, KZ_REASON_FAULT);
		}
	}
}
