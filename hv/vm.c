/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "arch.h"
#include "console.h"
#include "policy.h"
#include "trace.h"

struct machine machine;

static uint32_t running;	/* VMs that are not stopped; atomic */

enum kz_err vm_init(struct vm *vm, uint32_t id, const struct kz_cfg_vm *cfg)
{
	vm->cfg = cfg;
	vm->id = id;
	vm->state = VM_STOPPED;
	for (uint32_t i = 0; i < KZ_VCPUS_MAX; i++) {
		vm->vcpu[i].state = VCPU_OFF;
	}
	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpu[i];

		v->vm = vm;
		v->id = i;
		v->cpu = arch_cpu(cfg->cpu[i]);
		v->arch.trace = KZ_TRACE_RUN | KZ_TRACE_VCPU(id, i) << 8;
		sched_add(v);
	}
	return arch_vm_init(vm);
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

static void vm_start_locked(struct vm *vm) REQUIRES(vm_class)
{
	__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&vm->state, VM_RUNNING, __ATOMIC_RELAXED);
	trace_of(&vm->vcpu[0], KZ_TRACE_VM_START | TRACE_ARG(vm->restarts & 0xffff));
	vm->fresh = true;
	vm->load_region = 0;
	vm->load_at = 0;
	vcpu_make_ready_locked(&vm->vcpu[0], vm->cfg->entry, vm->cfg->arg);
}

void vm_start(struct vm *vm)
{
	vm_lock(vm);
	if (vm->state == VM_STOPPED) {
		vm_start_locked(vm);
	}
	vm_unlock(vm);
}

void vm_halt(struct vm *vm, bool restart)
{
	struct vcpu *here = arch_this_cpu()->vcpu;
	bool others = false;

	vm_lock(vm);
	if (vm->state == VM_RUNNING) {
		__atomic_store_n(&vm->state, VM_HALTING, __ATOMIC_RELAXED);
		trace_of(&vm->vcpu[0], KZ_TRACE_VM_STOP | TRACE_ARG(restart));
		vm->then_start = restart;
		for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
			if (vm->vcpu[i].state != VCPU_OFF) {
				vcpu_hazard(&vm->vcpu[i], HAZARD_STOP);
				others |= &vm->vcpu[i] != here;
			}
		}
		/* Cores that take no interrupt of ours lose their memory instead. */
		if (others && vm->cfg->level == KZ_HRT) {
			arch_vm_revoke(vm, true);
		}
	}
	vm_unlock(vm);
}

/* Said while it is news, and then ever more rarely: a guest may restart as often as it likes. */
static void report_restart(const struct vm *vm)
{
	if (vm->restarts <= 8 || (vm->restarts & (vm->restarts - 1)) == 0) {
		hv_log("%s: restarts (%u)", vm->cfg->name, vm->restarts);
	}
}

/* Every vCPU is parked. */
static void vm_stopped_locked(struct vm *vm) REQUIRES(vm_class)
{
	if (vm->cfg->level == KZ_HRT) {
		arch_vm_revoke(vm, false);
	}
	__atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
	if (vm->then_start) {
		vm->restarts++;
		vm_start_locked(vm);
	}
}

void vcpu_off(struct vcpu *v)
{
	struct vm *vm = v->vm;
	bool ended, again;

	if (v->state == VCPU_RUNNING) {
		arch_vcpu_park(v);
	}
	vm_lock(vm);
	trace_of(v, KZ_TRACE_OFF | TRACE_ARG(vm->state == VM_HALTING));
	__atomic_store_n(&v->state, VCPU_OFF, __ATOMIC_RELAXED);
	__atomic_store_n(&v->hazard, 0, __ATOMIC_RELAXED);
	vm->alive--;
	ended = vm->alive == 0;
	if (ended && vm->state == VM_RUNNING) {
		vm->then_start = false;		/* the last one switched itself off */
		trace_of(&vm->vcpu[0], KZ_TRACE_VM_STOP);
	}
	again = ended && vm->then_start;
	if (ended) {
		vm_stopped_locked(vm);
	}
	vm_unlock(vm);
	if (again) {
		report_restart(vm);
	} else if (ended) {
		hv_log("%s: stopped", vm->cfg->name);
		if (__atomic_load_n(&running, __ATOMIC_RELAXED) == 0) {
			hv_log("no VM is left: switching off");
			console_flush();
			arch_machine_off();
		}
	}
}

enum kz_err vcpu_on(struct vcpu *v, uint64_t entry, uint64_t arg)
{
	struct vm *vm = v->vm;
	enum kz_err err = KZ_EBUSY;

	vm_lock(vm);
	if (vm->state == VM_RUNNING && v->state == VCPU_OFF) {
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
	if ((bits & HAZARD_SCHED) != 0) {
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
	trace_of(v, KZ_TRACE_START);
	arch_vcpu_reset(v, v->entry, v->arg);
	v->sched.executed = 0;
	v->sched.stolen = 0;
	__atomic_store_n(&v->state, VCPU_RUNNING, __ATOMIC_RELAXED);
	arch_vcpu_sync(v);
}

/* ---- Memory of a VM that starts ---- */

/* What is done between two looks at interrupts: a page, or some at once that are only zeroed. */
#define LOAD_STEP	0x1000u
#define ZERO_STEP	0x8000u

/* What the load has of [at, at + size) of the region; returns how much, and its begin in *first. */
static uint64_t overlap(const struct kz_cfg_region *r, uint64_t at, uint64_t size,
			const struct kz_cfg_load *l, uint64_t *first)
{
	uint64_t begin = l->ipa - r->ipa;	/* in the region, or beyond its size */
	uint64_t stop = min_u64(begin + l->size, at + size);

	*first = begin > at ? begin : at;
	return begin >= r->size || *first >= stop ? 0 : stop - *first;
}

/*
 * What was there goes, the images come. Returns how far it came: of a page that
 * images fill only a part is zeroed first. Bound: the loads, twice.
 */
static uint64_t step(const struct kz_cfg_vm *cfg, const struct kz_cfg_region *r, uint64_t at)
{
	const struct kz_cfg_load *end = &cfg->load[cfg->load_count];
	uint64_t size = min_u64(ZERO_STEP, r->size - at);
	uint64_t first, done = 0;

	for (const struct kz_cfg_load *l = cfg->load; l != end && done == 0; l++) {
		done = overlap(r, at, size, l, &first);
	}
	if (done == 0) {
		arch_mem_zero(arch_ptr(pa(r->pa + at)), size);
		return size;
	}
	size = LOAD_STEP;
	done = 0;
	for (const struct kz_cfg_load *l = cfg->load; l != end && done != size; l++) {
		done = overlap(r, at, size, l, &first);
	}
	if (done != size) {
		arch_mem_zero(arch_ptr(pa(r->pa + at)), size);
	}
	for (const struct kz_cfg_load *l = cfg->load; l != end; l++) {
		uint64_t n = overlap(r, at, size, l, &first);

		if (n != 0) {
			arch_mem_copy(arch_ptr(pa(r->pa + first)), (const char *)machine.cfg +
				      l->offset + (r->ipa + first - l->ipa), n);
		}
	}
	return size;
}

/* The next step; false when all is loaded. */
static bool load_next(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	for (; vm->load_region < cfg->region_count; vm->load_region++) {
		const struct kz_cfg_region *r = &cfg->region[vm->load_region];

		if (r->type == KZ_REGION_RAM && vm->load_at < r->size) {
			vm->load_at += step(cfg, r, vm->load_at);
			return true;
		}
		vm->load_at = 0;
	}
	return false;
}

void vm_load(struct vm *vm)
{
	bool more = true;

	/* Bound: the VM's memory, in steps; an interrupt ends it. */
	while (more && !arch_cpu_poll()) {
		more = load_next(vm);
	}
	if (!more) {
		vm->epoch = arch_ticks();
		arch_vm_reset(vm);
		pl011_reset(vm);
		console_ring_reset(vm->id);
		vm->fresh = false;
	}
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
	if (!__atomic_exchange_n(&vm->fault_reported, true, __ATOMIC_RELAXED)) {
		report_fault(v, a, why);
	}
	if (vm->cfg->on_fault == KZ_FAULT_INJECT) {
		arch_vcpu_inject_abort(v, a);
	} else {
		if (machine.cfg->machine.trace_on_crash != 0) {
			trace_stop();
		}
		vm_halt(vm, vm->cfg->on_fault == KZ_FAULT_RESTART);
	}
}
