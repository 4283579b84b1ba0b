/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "trace.h"

struct host host;
static _Thread_local uint32_t this_cpu;

/* Also defined where a test links hv/main.c or its like. */
__attribute__((weak)) struct machine machine;

void host_reset(void)
{
	uint8_t *ram = host.ram;
	struct percpu *cpu = host.cpu;

	memset(&host, 0, sizeof(host));
	memset(&machine, 0, sizeof(machine));
	host.room = UINT32_MAX;
	host.hz = HOST_HZ;
	host.ram = ram != NULL ? ram : aligned_alloc(4096, HOST_RAM_SIZE);
	host.cpu = cpu != NULL ? cpu : calloc(KZ_CPUS_MAX, sizeof(*cpu));
	assert(host.ram != NULL && host.cpu != NULL);
	memset(host.ram, 0xa5, HOST_RAM_SIZE);
	memset(host.cpu, 0, KZ_CPUS_MAX * sizeof(*host.cpu));
	for (uint32_t i = 0; i < KZ_CPUS_MAX; i++) {
		host.cpu[i].id = i;
	}
	for (uint32_t i = 0; i < KZ_VMS_MAX * KZ_VCPUS_MAX; i++) {
		struct vcpu *v = &machine.vm[i / KZ_VCPUS_MAX].vcpu[i % KZ_VCPUS_MAX];

		v->away.alarm = UINT64_MAX;
		v->state = VCPU_OFF;
	}
	this_cpu = 0;
}

void host_freeze(uint64_t ticks)
{
	host.frozen = true;
	host.ticks = ticks;
	for (uint32_t i = 0; i < KZ_CPUS_MAX; i++) {
		host.timer[i] = UINT64_MAX;
		host.cpu[i].arch.loaded = NULL;
	}
}

void host_become(uint32_t cpu)
{
	this_cpu = cpu;
}

void host_type(uint8_t c)
{
	assert(host.in_len < HOST_IN_MAX);
	host.in[(host.in_head + host.in_len++) % HOST_IN_MAX] = c;
}

static _Noreturn void host_leave(int why)
{
	assert(host.leave != NULL);
	longjmp(*host.leave, why);
}

/* The contract of a call that belongs to the vCPU's own core. */
static void check_own(const struct vcpu *v)
{
	assert(v->cpu == &host.cpu[this_cpu]);
}

/* ---- Machine and cores ---- */

void arch_machine_off(void)
{
	host_leave(HOST_OFF);
}

struct percpu *arch_this_cpu(void)
{
	return &host.cpu[this_cpu];
}

struct percpu *arch_cpu(uint32_t cpu)
{
	assert(cpu < KZ_CPUS_MAX);
	return &host.cpu[cpu];
}

enum kz_err arch_machine_init(void)
{
	return KZ_OK;
}

enum kz_err arch_cpu_start(uint32_t cpu)
{
	assert(cpu < KZ_CPUS_MAX && cpu != this_cpu && !host.cpu[cpu].arch.started);
	host.cpu[cpu].arch.started = true;
	return KZ_OK;
}

void arch_cpu_kick(uint32_t cpu)
{
	assert(cpu < KZ_CPUS_MAX);
	__atomic_fetch_add(&host.cpu[cpu].arch.kicks, 1, __ATOMIC_RELEASE);
}

void arch_cpu_relax(void)
{
}

void arch_cpu_wait(void)
{
	struct arch_percpu *me = &host.cpu[this_cpu].arch;
	uint32_t kicks = __atomic_load_n(&me->kicks, __ATOMIC_ACQUIRE);

	me->waits++;
	if (me->woken == kicks) {
		host_leave(HOST_ASLEEP);
	}
	me->woken = kicks;
}

bool arch_cpu_poll(void)
{
	struct arch_percpu *me = &host.cpu[this_cpu].arch;
	uint32_t kicks = __atomic_load_n(&me->kicks, __ATOMIC_ACQUIRE);
	bool wanted = me->woken != kicks;

	me->woken = kicks;
	return wanted;
}

uint64_t arch_ticks(void)
{
	return host.frozen ? host.ticks : __atomic_fetch_add(&host.ticks, 1, __ATOMIC_RELAXED);
}

uint64_t arch_ticks_hz(void)
{
	return host.hz;
}

void arch_timer_arm(uint64_t ticks)
{
	host.timer[this_cpu] = ticks;
}

void hv_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	host_leave(HOST_PANIC);
}

/* ---- Memory ---- */

void *arch_ptr(pa_t at)
{
	assert(at.v - HOST_RAM_PA < HOST_RAM_SIZE);
	return host.ram + (at.v - HOST_RAM_PA);
}

void arch_mem_zero(void *to, uint64_t size)
{
	assert(size % 64 == 0 && (uintptr_t)to % 64 == 0);
	memset(to, 0, size);
}

void arch_mem_copy(void *to, const void *from, uint64_t size)
{
	assert(size != 0);
	memcpy(to, from, size);
}

/* ---- VMs and vCPUs ---- */

/* Its interrupts are its own; those of a place that is nobody's are free again. */
enum kz_err arch_vm_init(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	assert(vm->id == (uint32_t)(vm - machine.vm));
	vm->arch.inits++;
	vm->arch.mapped = !vm->created;
	for (uint32_t i = 0; i < KZ_INTID_MAX; i++) {
		host.owner[i] = host.owner[i] == vm->id + 1 ? 0 : host.owner[i];
	}
	for (uint32_t i = 0; i < cfg->irq_count && cfg->vcpu_count != 0; i++) {
		assert(host.owner[cfg->irq[i].intid] == 0);
		host.owner[cfg->irq[i].intid] = (uint8_t)(vm->id + 1);
	}
	return KZ_OK;
}

/* A region a call. */
enum kz_err arch_vm_map(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	check_own(&vm->vcpu[0]);
	assert(vm->created && !vm->arch.mapped && vm->fresh && vm->load_at == 0);
	assert(vm->load_region < cfg->region_count && !vm->arch.revoked);
	if (host.no_tables) {
		return KZ_ENOMEM;
	}
	vm->arch.maps++;
	vm->load_region++;
	vm->arch.mapped = vm->load_region == cfg->region_count;
	return vm->arch.mapped ? KZ_OK : KZ_EBUSY;
}

/* The contract of what must not meet a running guest. */
static void check_parked(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		assert(vm->vcpu[i].arch.frozen ||
		       vm->vcpu[i].arch.resets == vm->vcpu[i].arch.parks);
	}
}

void arch_vm_reset(struct vm *vm)
{
	check_parked(vm);
	memset(vm->arch.line, 0, sizeof(vm->arch.line));
	vm->arch.resets++;
}

void arch_vm_revoke(struct vm *vm, bool revoked)
{
	assert(vm->arch.mapped && (revoked || vm->arch.revoked));
	if (!revoked) {
		check_parked(vm);
	}
	vm->arch.revoked = revoked;
	vm->arch.revokes += revoked;
}

void arch_vcpu_reset(struct vcpu *v, uint64_t entry, uint64_t arg)
{
	check_own(v);
	assert(v->arch.resets == v->arch.parks && v->cpu->arch.loaded == NULL);
	v->cpu->arch.loaded = v;
	v->arch.resets++;
	v->arch.parked = false;
	v->arch.pc = entry;
	v->arch.x0 = arg;
}

void arch_vcpu_park(struct vcpu *v)
{
	check_own(v);
	assert(v->arch.resets == v->arch.parks + 1 && v->cpu->arch.loaded == v);
	v->cpu->arch.loaded = NULL;
	v->arch.parks++;
	v->arch.parked = true;
}

void arch_vcpu_freeze(struct vcpu *v)
{
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);

	check_own(v);
	assert(v->arch.resets == v->arch.parks + 1);
	v->arch.freezes++;
	if (v->vm->cfg->level == KZ_HRT &&
	    (hazard & (HAZARD_PAUSE | HAZARD_STOP)) == HAZARD_PAUSE) {
		assert(v->cpu->arch.loaded == v);
		v->sched.state = SCHED_PAUSED;
		v->arch.frozen = true;
		host_leave(HOST_FROZEN);
	}
}

bool host_thaw(uint32_t cpu)
{
	struct vcpu *v = host.cpu[cpu].arch.loaded;
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);

	assert(v->arch.frozen && cpu == this_cpu);
	if ((hazard & (HAZARD_PAUSE | HAZARD_STOP)) == HAZARD_PAUSE) {
		return false;
	}
	v->arch.frozen = false;
	v->sched.state = SCHED_READY;
	return true;
}

void arch_vcpu_registers(const struct vcpu *v, struct kz_vcpu_registers *to)
{
	*to = (struct kz_vcpu_registers){ .x[0] = v->arch.x0, .pc = v->arch.pc };
}

void arch_vcpu_share(struct vcpu *v)
{
	check_own(v);
	v->arch.shares++;
}

uint64_t arch_vcpu_save(struct vcpu *v)
{
	check_own(v);
	assert(v->cpu->arch.loaded == v);
	v->cpu->arch.loaded = NULL;
	return v->away.alarm;
}

void arch_vcpu_load(struct vcpu *v)
{
	check_own(v);
	assert(v->cpu->arch.loaded == NULL && !v->arch.parked);
	v->cpu->arch.loaded = v;
}

void arch_vcpu_mask(struct vcpu *v, bool masked)
{
	check_own(v);
	assert(v->arch.masked != masked);
	v->arch.masked = masked;
}

void arch_vcpu_result(struct vcpu *v, uint64_t a, uint64_t b)
{
	check_own(v);
	v->arch.result[0] = a;
	v->arch.result[1] = b;
}

void arch_vcpu_sync(struct vcpu *v)
{
	check_own(v);
	v->arch.syncs++;
}

/* The guest goes on where the test lets it. What was revoked just now has left a hazard. */
void arch_vcpu_enter(struct vcpu *v)
{
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);

	check_own(v);
	assert(!v->arch.parked && v->arch.resets == v->arch.parks + 1);
	assert(!v->vm->arch.revoked || (hazard & (HAZARD_PAUSE | HAZARD_STOP)) != 0);
	assert(!v->arch.frozen && v->vm->arch.mapped && !v->vm->fresh);
	assert(v->cpu->arch.loaded == v);
	host.entered = v;
	host_leave(HOST_ENTERED);
}

uint64_t arch_vcpu_pc(const struct vcpu *v)
{
	return v->arch.pc;
}

void arch_vcpu_inject_abort(struct vcpu *v, const struct access *a)
{
	check_own(v);
	v->arch.aborts++;
	v->arch.abort_addr = a->addr;
}

/* ---- Interrupts ---- */

void arch_irq_line(struct vcpu *v, uint32_t intid, bool high)
{
	uint64_t bit = BIT64(intid % 64);
	uint64_t *word = intid < 32 ? &v->arch.ppi : &v->vm->arch.line[intid / 64];

	assert(intid >= 16 && intid < KZ_INTID_MAX);
	if (((*word & bit) != 0) != high) {
		if (intid < 32) {
			v->arch.ppi_rises += high;
		} else {
			v->vm->arch.edges++;
		}
		if (high && host.rises != NULL) {
			host.rises(v);
		}
	}
	*word = high ? *word | bit : *word & ~bit;
}

/* ---- The UART ---- */

bool arch_uart_put(uint8_t c)
{
	if (__atomic_load_n(&host.room, __ATOMIC_RELAXED) == 0) {
		return false;
	}
	assert(host.out_len < HOST_OUT_MAX);
	__atomic_fetch_sub(&host.room, 1, __ATOMIC_RELAXED);
	host.out[host.out_len++] = c;
	if (host.slow) {
		sched_yield();
	}
	return true;
}

int arch_uart_get(void)
{
	int c;

	if (host.in_len == 0) {
		__atomic_store_n(&host.notify, false, __ATOMIC_RELAXED);
		return -1;
	}
	c = host.in[host.in_head];
	host.in_head = (host.in_head + 1) % HOST_IN_MAX;
	host.in_len--;
	return c;
}

void arch_uart_notify(void)
{
	__atomic_store_n(&host.notify, true, __ATOMIC_RELAXED);
	if (host.slow) {
		sched_yield();
	}
}

uint64_t host_count(void)
{
	return host.ticks;
}
