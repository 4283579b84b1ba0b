/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract with the port: arch_ is what the hypervisor asks of the
 * processor, hv_ is what the processor tells the hypervisor. arm64 and the host
 * build of the tests implement it.
 */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include "vm.h"

/* ---- Machine and cores ---- */

/* Switch the machine off (PSCI SYSTEM_OFF, DEN0022). Does not return. */
_Noreturn void arch_machine_off(void);

/* The core that runs this, and any core by its index. */
struct percpu *arch_this_cpu(void);
struct percpu *arch_cpu(uint32_t cpu);

/*
 * The blob is good: map what it names, set the interrupt controller up. Boot
 * core, once. KZ_ENOMEM: out of translation tables.
 */
MUST_USE enum kz_err arch_machine_init(void);

/* Start core `cpu` in hv_secondary (PSCI CPU_ON). KZ_EINVAL: the firmware refused. */
MUST_USE enum kz_err arch_cpu_start(uint32_t cpu);

/* Make core `cpu` leave its guest or its sleep soon. Any core. */
void arch_cpu_kick(uint32_t cpu);

/* Give way while polling. */
void arch_cpu_relax(void);

/* Sleep until an interrupt wants this core, and handle it. Own core, no lock held. */
void arch_cpu_wait(void) NO_LOCK;
/* Handle an interrupt if one wants this core; true: one did. Own core, no lock held. */
bool arch_cpu_poll(void) NO_LOCK;

/* ---- Time: ticks of the system counter ---- */

uint64_t arch_ticks(void);
uint64_t arch_ticks_hz(void);

/* Interrupt this core at `ticks`, so that it comes to sched_next; NEVER: not. */
void arch_timer_arm(uint64_t ticks);

/* ---- Memory ---- */

/* The hypervisor's view of RAM that the blob names. */
void *arch_ptr(pa_t at);

/* Zero (64-byte multiples), or copy, and clean to the point of coherency. */
void arch_mem_zero(void *to, uint64_t size);
void arch_mem_copy(void *to, const void *from, uint64_t size);

/* ---- VMs ---- */

/*
 * Interrupt routing, and what is known of its memory map: all of it, but for a VM that was
 * created at run time; no interrupt is its own any more if its configuration has no vCPU. The VM
 * does not run. KZ_ENOMEM: out of translation tables.
 */
MUST_USE enum kz_err arch_vm_init(struct vm *vm);

/*
 * A part of the memory map of a VM that was created, by its load_region and load_at. KZ_EBUSY:
 * there is more to do. KZ_ENOMEM: out of its tables. Core of its vCPU 0, before it starts.
 */
MUST_USE enum kz_err arch_vm_map(struct vm *vm);

/* Interrupt state as after power-on; every vCPU is parked or frozen. */
void arch_vm_reset(struct vm *vm);

/*
 * After it no vCPU of the VM gets further than its next fetch or access. Any core.
 * False undoes it; every vCPU is parked or frozen.
 */
void arch_vm_revoke(struct vm *vm, bool revoked);

/* ---- vCPUs; own core only ---- */

/* Registers as after power-on, at `entry` with `arg` as the only parameter. */
void arch_vcpu_reset(struct vcpu *v, uint64_t entry, uint64_t arg);

/* v, which is loaded, goes: nothing of the guest's wakes the core. */
void arch_vcpu_park(struct vcpu *v);

/* Registers of v, which is loaded, go to memory. Returns when its timers want it; NEVER. */
uint64_t arch_vcpu_save(struct vcpu *v);
/* And come back; no other vCPU is loaded. */
void arch_vcpu_load(struct vcpu *v);

/*
 * v, which does not execute, can be looked at: arch_vcpu_registers. An HRT vCPU, which is loaded,
 * stays here as long as HAZARD_PAUSE is set and HAZARD_STOP is not, its interrupts untouched.
 */
void arch_vcpu_freeze(struct vcpu *v);
/* As it was then. Any core; v does not execute. */
void arch_vcpu_registers(const struct vcpu *v, struct kz_vcpu_registers *to);

/* From now on v, which may be loaded, is not alone on its core. */
void arch_vcpu_share(struct vcpu *v);

/* The physical interrupts that v is the target of: masked, or as the guest has them. */
void arch_vcpu_mask(struct vcpu *v, bool masked);

/* Values that the call in which v waits returns behind its error code. */
void arch_vcpu_result(struct vcpu *v, uint64_t a, uint64_t b);

/* Deliver what is pending: HAZARD_IRQ, and before the first entry. */
void arch_vcpu_sync(struct vcpu *v);

/* Go to the guest; the stack is left empty. */
_Noreturn void arch_vcpu_enter(struct vcpu *v);

uint64_t arch_vcpu_pc(const struct vcpu *v);

/* What a bus answers where there is nothing: a synchronous external abort. */
void arch_vcpu_inject_abort(struct vcpu *v, const struct access *a);

/* ---- Interrupts of emulated devices ---- */

/* Drive the line `intid` of v's VM; a private one is v's own. Any core. */
void arch_irq_line(struct vcpu *v, uint32_t intid, bool high) EXCLUDES(irq_class);

/* ---- The physical console ---- */

/* False when its FIFO is full. */
MUST_USE bool arch_uart_put(uint8_t c);
/*
 * -1 when its FIFO is empty. Reading it empty ends its interrupt, which is on again after one
 * that sched_console was told of. Console core.
 */
int arch_uart_get(void);
/* sched_console on the console core when the FIFO takes more; reading it empty ends that. */
void arch_uart_notify(void);

/* ---- Upwards ---- */

_Noreturn void hv_main(const struct kz_cfg *cfg, uint64_t image_pa, size_t blob_size_max);
_Noreturn void hv_secondary(struct percpu *cpu);
_Noreturn void hv_panic(const char *fmt, ...) PRINTF(1, 2);	/* our own bug */

#endif
