/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "arch.h"
#include "console.h"

struct machine machine;

static uint32_t running;	/* VMs that are not stopped; atomic */

enum kz_err vm_init(struct vm *vm, uint32_t id, const struct kz_cfg_vm *cfg)
{
	vm->cfg = cfg;
	vm->id = id;
	vm->state = VM_STOPPED;
	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		struct vcpu *v = &vm->vcpu[i];

		v->vm = vm;
		v->id = i;
		v->cpu = arch_cpu(cfg->cpu[i]);
		v->core = cfg->cpu[i];
		v->cpu->vcpu = v;
	}
	return arch_vm_init(vm);
}

static void vcpu_make_ready_locked(struct vcpu *v, uint64_t entry, uint64_t arg)
{
	v->entry = entry;
	v->arg = arg;
	v->vm->alive++;
	__atomic_store_n(&v->state, VCPU_READY, __ATOMIC_RELEASE);
	if (v->cpu != arch_this_cpu()) {
		arch_cpu_kick(v->cpu->id);
	}
}

static void vm_start_locked(struct vm *vm)
{
	__atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&vm->state, VM_RUNNING, __ATOMIC_RELAXED);
	vm->fresh = true;
	vcpu_make_ready_locked(&vm->vcpu[0], vm->cfg->entry, vm->cfg->arg);
}

void vm_start(struct vm *vm)
{
	spin_lock(&vm->lock);
	if (vm->state == VM_STOPPED) {
		vm_start_locked(vm);
	}
	spin_unlock(&vm->lock);
}

void vm_halt(struct vm *vm, bool restart)
{
	struct vcpu *here = arch_this_cpu()->vcpu;
	bool others = false;

	spin_lock(&vm->lock);
	if (vm->state == VM_RUNNING) {
		__atomic_store_n(&vm->state, VM_HALTING, __ATOMIC_RELAXED);
		vm->then_start = restart;
		for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
			if (vm->vcpu[i].state != VCPU_OFF) {
				vcpu_hazard(&vm->vcpu[i], HAZARD_STOP);
				others |= &vm->vcpu[i] != here;
			}
		}
		/* Cores that take no interrupt of ours lose their memory instead. */
		if (others && vm->cfg->level == KZ_HRT) {
			arch_vm_revoke(vm);
		}
	}
	spin_unlock(&vm->lock);
}

/* Said while it is news, and then ever more rarely: a guest may restart as often as it likes. */
static void report_restart(const struct vm *vm)
{
	if (vm->restarts <= 8 || (vm->restarts & (vm->restarts - 1)) == 0) {
		hv_log("%s: restarts (%u)", vm->cfg->name, vm->restarts);
	}
}

/* Every vCPU is parked. */
static void vm_stopped_locked(struct vm *vm)
{
	if (vm->cfg->level == KZ_HRT) {
		arch_vm_grant(vm);
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

	arch_vcpu_park(v);
	spin_lock(&vm->lock);
	__atomic_store_n(&v->state, VCPU_OFF, __ATOMIC_RELAXED);
	__atomic_store_n(&v->hazard, 0, __ATOMIC_RELAXED);
	vm->alive--;
	ended = vm->alive == 0;
	if (ended && vm->state == VM_RUNNING) {
		vm->then_start = false;		/* the last one switched itself off */
	}
	again = ended && vm->then_start;
	if (ended) {
		vm_stopped_locked(vm);
	}
	spin_unlock(&vm->lock);
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

	spin_lock(&vm->lock);
	if (vm->state == VM_RUNNING && v->state == VCPU_OFF) {
		vcpu_make_ready_locked(v, entry, arg);
		err = KZ_OK;
	}
	spin_unlock(&vm->lock);
	return err;
}

void vcpu_hazard(struct vcpu *v, uint32_t bits)
{
	uint32_t before = __atomic_fetch_or(&v->hazard, bits, __ATOMIC_RELEASE);

	if ((before & bits) != bits && v->cpu != arch_this_cpu()) {
		arch_cpu_kick(v->cpu->id);
	}
}

struct vcpu *vcpu_work(struct vcpu *v)
{
	uint32_t bits = __atomic_exchange_n(&v->hazard, 0, __ATOMIC_ACQUIRE);

	if ((bits & (HAZARD_STOP | HAZARD_OFF)) != 0) {
		vcpu_off(v);
		vcpu_run(v->cpu);
	}
	if ((bits & HAZARD_IRQ) != 0) {
		arch_vcpu_sync(v);
	}
	return v;
}

/* ---- Memory of a VM that starts ---- */

/* Zero [from, to) of a region. */
static void scrub(const struct kz_cfg_region *r, uint64_t from, uint64_t to)
{
	if (from < to) {
		arch_mem_zero(arch_ptr(pa(r->pa + (from - r->ipa))), to - from);
	}
}

/* The first load at or behind `at` in the region, or NULL. Bound: the loads. */
static const struct kz_cfg_load *next_load(const struct kz_cfg_vm *cfg,
					   const struct kz_cfg_region *r, uint64_t at)
{
	const struct kz_cfg_load *next = NULL;

	for (uint32_t i = 0; i < cfg->load_count; i++) {
		const struct kz_cfg_load *l = &cfg->load[i];

		if (l->ipa >= at && l->ipa - r->ipa < r->size &&
		    (next == NULL || l->ipa < next->ipa)) {
			next = l;
		}
	}
	return next;
}

/* What was there goes, the images come: pages that no load fills are zeroed. */
static void region_load(const struct kz_cfg_vm *cfg, const struct kz_cfg_region *r)
{
	const char *blob = (const char *)machine.cfg;
	const uint64_t line = 64;
	uint64_t at = r->ipa;

	/* Bound: the loads. */
	for (const struct kz_cfg_load *l = next_load(cfg, r, at); l != NULL;
	     l = next_load(cfg, r, at)) {
		uint64_t size = (l->size + line - 1) & ~(line - 1);

		scrub(r, at & ~(line - 1), l->ipa & ~(line - 1));
		arch_mem_copy(arch_ptr(pa(r->pa + (l->ipa - r->ipa))), blob + l->offset, size);
		at = l->ipa + size;
	}
	scrub(r, at, r->ipa + r->size);
}

static void vm_load(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	for (uint32_t i = 0; i < cfg->region_count; i++) {
		if (cfg->region[i].type == KZ_REGION_RAM) {
			region_load(cfg, &cfg->region[i]);
		}
	}
	arch_vm_reset(vm);
	pl011_reset(vm);
	console_ring_reset(vm->id);
	vm->fresh = false;
}

/* Wait until the core's vCPU is to start, and make it so. */
static struct vcpu *vcpu_wait(struct percpu *cpu)
{
	struct vcpu *v = cpu->vcpu;

	/* Bound: none; a core without work sleeps here. */
	while (v == NULL || __atomic_load_n(&v->state, __ATOMIC_ACQUIRE) != VCPU_READY) {
		arch_cpu_wait();
	}
	if (v->vm->fresh) {
		vm_load(v->vm);
	}
	arch_vcpu_reset(v, v->entry, v->arg);
	__atomic_store_n(&v->state, VCPU_RUNNING, __ATOMIC_RELAXED);
	arch_vcpu_sync(v);
	return v;
}

void vcpu_run(struct percpu *cpu)
{
	struct vcpu *v = vcpu_wait(cpu);

	/* Bound: none; a turn for each start that a stop overtook. */
	while ((__atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE) & (HAZARD_STOP | HAZARD_OFF)) != 0) {
		vcpu_off(v);
		v = vcpu_wait(cpu);
	}
	arch_vcpu_enter(v);
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

	__atomic_fetch_add(&vm->faults, 1, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&vm->fault_reported, true, __ATOMIC_RELAXED)) {
		report_fault(v, a, why);
	}
	if (vm->cfg->on_fault == KZ_FAULT_INJECT) {
		arch_vcpu_inject_abort(v, a);
	} else {
		vm_halt(vm, vm->cfg->on_fault == KZ_FAULT_RESTART);
	}
}
