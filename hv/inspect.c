/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM with rights sees of others. Counters are as their cores have them at this moment. */
#include "arch.h"
#include "console.h"
#include "control.h"

_Static_assert(KZ_EXIT_CLASSES == EXIT_CLASSES, "control.h");

static uint64_t ns_or_0(uint64_t ticks)
{
	return ticks == NEVER ? 0 : ns_of_ticks(ticks);
}

static void machine_info(const struct vcpu *v, struct kz_machine_info *to)
{
	*to = (struct kz_machine_info){
		.now = ns_of_ticks(arch_ticks()),
		.hz = arch_ticks_hz(),
		.vm_count = __atomic_load_n(&machine.vm_count, __ATOMIC_ACQUIRE),
		.changes = __atomic_load_n(&machine.changes, __ATOMIC_RELAXED),
		.caller = v->vm->id,
		.image_size = (uint32_t)machine.cfg->blob_offset,
		.cfg = *machine.cfg,
	};
}

static void vm_info_locked(struct vm *vm, struct kz_vm_info *to) REQUIRES(vm_class)
{
	*to = (struct kz_vm_info){
		.state = vm->state,
		.reason = vm->reason,
		.changes = vm->changes,
		.restarts = vm->restarts,
		.failures = vm->failures,
		.attached = console_reader(vm->id),
		.faults = __atomic_load_n(&vm->faults, __ATOMIC_RELAXED),
		.fault_address = vm->fault_address,
		.fault_pc = vm->fault_pc,
		.stopped = ns_of_ticks(vm->stopped),
		.started = ns_of_ticks(vm->started),
		.restart_time = ns_of_ticks(vm->restart_time),
		.in_dropped = console_in_dropped(vm->id),
		.out_dropped = console_out_dropped(vm->id),
	};
	for (uint32_t i = 0; i < KZ_NAME_MAX; i++) {
		to->name[i] = vm->cfg->name[i];
	}
	if (vm->state == KZ_VM_WAITING) {
		to->resumes = ns_or_0(vm->due);
	} else {
		to->watchdog = ns_or_0(vm->due);
	}
}

static void vcpu_info(const struct vcpu *v, struct kz_vcpu_info *to)
{
	const struct sched *s = &v->sched;
	const struct server *n = &s->server;
	const struct sched_core *c = &v->cpu->sched;
	bool runs = __atomic_load_n(&c->current, __ATOMIC_RELAXED) == v;
	uint64_t since = __atomic_load_n(&c->since, __ATOMIC_RELAXED);
	uint64_t now = arch_ticks();

	*to = (struct kz_vcpu_info){
		.state = __atomic_load_n(&v->state, __ATOMIC_RELAXED),
		.core = v->cpu->id,
		.sched = __atomic_load_n(&s->state, __ATOMIC_RELAXED),
		.executed = ns_of_ticks(s->executed + (runs && now > since ? now - since : 0)),
		.stolen = ns_of_ticks(s->stolen),
		.budget = ns_of_ticks(n->budget),
		.period = ns_of_ticks(n->period),
		.deadline = ns_of_ticks(n->deadline),
		.jobs = s->jobs,
		.misses = s->misses,
		.late = s->late,
		.overruns = s->overruns,
	};
	for (uint32_t i = 0; i < EXIT_CLASSES; i++) {
		to->exits[i] = __atomic_load_n(&v->exits[i], __ATOMIC_RELAXED);
	}
}

/* What the caller's memory holds is never read back: it may write there meanwhile. */
static void trace_heads(struct kz_trace_head *to)
{
	for (uint32_t i = 0; i < machine.cfg->machine.cpu_count; i++) {
		const struct kz_trace_head *from = &arch_cpu(i)->trace;
		uint64_t turns;

		/* Bound: a turn is over: once more, and it is far from the next. */
		do {
			/* In the order that a reader of the ring wants: trace.h. */
			turns = __atomic_load_n(&from->turns, __ATOMIC_ACQUIRE);
			to[i].turns = turns;
			to[i].next = __atomic_load_n(&from->next, __ATOMIC_ACQUIRE);
			to[i].base = from->base;
			to[i].dropped = __atomic_load_n(&from->dropped, __ATOMIC_RELAXED);
		} while (__atomic_load_n(&from->turns, __ATOMIC_ACQUIRE) != turns);
	}
}

static uint32_t size_of(enum kz_inspect what)
{
	switch (what) {
	case KZ_INSPECT_MACHINE:
		return sizeof(struct kz_machine_info);
	case KZ_INSPECT_CONFIG:
		return sizeof(struct kz_cfg_vm);
	case KZ_INSPECT_VM:
		return sizeof(struct kz_vm_info);
	case KZ_INSPECT_VCPU:
		return sizeof(struct kz_vcpu_info);
	case KZ_INSPECT_REGISTERS:
		return sizeof(struct kz_vcpu_registers);
	default:
		return machine.cfg->machine.cpu_count * (uint32_t)sizeof(struct kz_trace_head);
	}
}

/* Of a VM, under its lock: it does not go, or go on, meanwhile. */
static enum kz_err inspect_locked(struct vm *vm, enum kz_inspect what, uint64_t vcpu, void *to)
	REQUIRES(vm_class)
{
	if (vm->state == KZ_VM_NONE || vcpu >= vm->cfg->vcpu_count) {
		return KZ_ENOENT;
	}
	if (what == KZ_INSPECT_CONFIG) {
		*(struct kz_cfg_vm *)to = *vm->cfg;
	} else if (what == KZ_INSPECT_VM) {
		vm_info_locked(vm, to);
	} else if (what == KZ_INSPECT_VCPU) {
		vcpu_info(&vm->vcpu[vcpu], to);
	} else if (vm_is_still(vm)) {
		arch_vcpu_registers(&vm->vcpu[vcpu], to);
	} else {
		return KZ_EBUSY;
	}
	return KZ_OK;
}

static enum kz_err inspect_vm(const struct vcpu *v, enum kz_inspect what, uint64_t which, void *to)
{
	enum kz_right right = what == KZ_INSPECT_REGISTERS ? KZ_RIGHT_READ : KZ_RIGHT_LIST;
	uint64_t id = which & 0xff, vcpu = which >> 8;
	enum kz_err err;

	if (id >= KZ_VMS_MAX || (what < KZ_INSPECT_VCPU && vcpu != 0)) {
		return KZ_EINVAL;
	}
	if (!control_may(v->vm, right, (uint32_t)id)) {
		return KZ_EPERM;
	}
	vm_lock(&machine.vm[id]);
	err = inspect_locked(&machine.vm[id], what, vcpu, to);
	vm_unlock(&machine.vm[id]);
	return err;
}

static enum kz_err inspect_machine(const struct vcpu *v, enum kz_inspect what, void *to)
{
	uint8_t rights = v->vm->rights[KZ_RIGHT_LIST];

	if (what == KZ_INSPECT_TRACE ? rights != 0xff : rights == 0) {
		return KZ_EPERM;
	}
	if (what == KZ_INSPECT_TRACE) {
		trace_heads(to);
	} else {
		machine_info(v, to);
	}
	return KZ_OK;
}

enum kz_err inspect(struct vcpu *v, const uint64_t *x, uint32_t *size)
{
	enum kz_inspect what = (enum kz_inspect)x[1];
	bool whole = what == KZ_INSPECT_MACHINE || what == KZ_INSPECT_TRACE;
	void *to;

	if (x[1] >= KZ_INSPECTS) {
		return KZ_EINVAL;
	}
	*size = size_of(what);
	to = vm_ram(v->vm->cfg, x[3], *size);
	if (to == NULL || x[3] % 8 != 0 || (whole && x[2] != 0)) {
		return KZ_EINVAL;
	}
	return whole ? inspect_machine(v, what, to) : inspect_vm(v, what, x[2], to);
}
