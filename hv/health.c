/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include "arch.h"
#include "console.h"
#include "wdt.h"

static struct percpu *watcher(const struct vm *vm)
{
	return vm->cfg->level == KZ_HRT ? arch_cpu(machine.cfg->machine.console_cpu) :
	       vm->vcpu[0].cpu;
}

void health_set(struct vm *vm, uint64_t at)
{
	struct percpu *cpu = watcher(vm);

	__atomic_store_n(&vm->due, at, __ATOMIC_SEQ_CST);
	/* Either it looks later and sees `due`, or its new time is seen here. */
	if (at < __atomic_load_n(&cpu->sched.watch, __ATOMIC_SEQ_CST)) {
		sched_look(cpu);
	}
}

/* `changes` of its state were known when it was due. */
static void due(struct vm *vm, uint64_t now, uint32_t changes)
{
	enum kz_vm_state state = __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);

	if (state == KZ_VM_WAITING) {
		vm_report_restart(vm, vm->restarts + 1);
		vm_start_again(vm);
	} else if (state == KZ_VM_RUNNING && !wdt_due(vm, now)) {
		hv_log("%s: its watchdog was not served in time", vm->cfg->name);
		vm_fail_since(vm, KZ_REASON_WATCHDOG, changes);
	}
}

/* Bound: the VMs. */
uint64_t health_look(const struct percpu *cpu, uint64_t now)
{
	uint32_t count = __atomic_load_n(&machine.vm_count, __ATOMIC_ACQUIRE);
	uint64_t next = NEVER;

	for (struct vm *vm = machine.vm; vm != &machine.vm[count]; vm++) {
		uint32_t changes = __atomic_load_n(&vm->changes, __ATOMIC_SEQ_CST);
		uint64_t at = __atomic_load_n(&vm->due, __ATOMIC_SEQ_CST);

		if (at == NEVER || watcher(vm) != cpu) {
			continue;
		}
		if (at <= now && __atomic_compare_exchange_n(&vm->due, &at, NEVER, false,
							     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			due(vm, now, changes);
			at = __atomic_load_n(&vm->due, __ATOMIC_SEQ_CST);
		}
		next = min_u64(next, at);
	}
	return next;
}

void health_start(struct vm *vm)
{
	vm->watchdog = ticks_of_ns(vm->cfg->watchdog_ns);
	health_resume(vm);
}

void health_resume(struct vm *vm)
{
	uint64_t ticks = vm->watchdog != 0 ? vm->watchdog : wdt_resume(vm);

	if (ticks != 0) {
		health_set(vm, arch_ticks() + ticks);
	}
}

void health_back_off(struct vm *vm)
{
	uint64_t ms = arch_ticks_hz() / 1000;
	uint64_t most = vm->cfg->backoff_max_ms * ms;

	if (vm->backoff == 0 || vm->stopped - vm->started > most) {
		vm->backoff = vm->cfg->backoff_ms * ms;
	}
	health_set(vm, arch_ticks() + vm->backoff);
	vm->backoff = min_u64(2 * vm->backoff, most);
}

enum kz_err health_kick(struct vm *vm, uint64_t ns)
{
	if (ns != 0 && (ns < KZ_WATCHDOG_MIN || ns > KZ_WATCHDOG_MAX)) {
		return KZ_EINVAL;
	}
	vm->watchdog = ticks_of_ns(ns);
	health_set(vm, ns != 0 ? arch_ticks() + vm->watchdog : NEVER);
	return KZ_OK;
}
