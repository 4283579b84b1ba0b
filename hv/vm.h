/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual machines, their vCPUs, and the life that they lead. */
#ifndef HV_VM_H
#define HV_VM_H

#include <kizami/blob.h>
#include <kizami/trace.h>
#include <arch_types.h>		/* struct arch_vm, struct arch_vcpu, struct arch_percpu */
#include "exit.h"
#include "pl011.h"
#include "sched.h"
#include "spinlock.h"
#include "types.h"

struct vm;
struct percpu;

/*
 *            vcpu_on                      vm_halt, or own CPU_OFF
 *   VCPU_OFF --------> VCPU_READY ------> VCPU_RUNNING --------> VCPU_OFF
 *                      (its core sees it and enters)
 */
enum vcpu_state { VCPU_RUNNING, VCPU_READY, VCPU_OFF };

/* Bits of vcpu.hazard: work that the vCPU's own core does before it goes back. */
#define HAZARD_IRQ	BIT(0)		/* interrupt state changed elsewhere */
#define HAZARD_STOP	BIT(1)		/* its VM stops */
#define HAZARD_OFF	BIT(2)		/* it switches itself off */
#define HAZARD_SCHED	BIT(3)		/* its core's inbox is not empty */

/* A line of its own: another core's writes to its neighbour don't slow it. */
struct vcpu {
	_Alignas(64) struct arch_vcpu arch;	/* first: the entry code addresses it */
	struct vm *vm;
	struct percpu *cpu;		/* the core it lives on, for good */
	uint32_t id;			/* index in its VM */
	union {				/* MISRA D5 */
		struct {
			uint32_t hazard;	/* atomic */
			/* atomic; OFF -> READY under vm->lock, the rest by its core */
			enum vcpu_state state;
		};
		uint64_t obstacle;	/* 0: none, it can be entered at once */
	};
	uint64_t entry, arg;		/* of the start that READY asks for */
	uint64_t exits[EXIT_CLASSES];	/* written by its core only */
	struct sched sched;
	struct arch_away away;		/* its registers while another has the core's */
};

/*
 *               vm_start              vm_halt            last vCPU parked
 *   VM_STOPPED ----------> VM_RUNNING -------> VM_HALTING ---------------> VM_STOPPED
 *                              ^                   | then_start
 *                              +-------------------+
 */
enum vm_state { VM_STOPPED, VM_RUNNING, VM_HALTING };

struct vm {
	struct arch_vm arch;		/* first: what is used most */
	const struct kz_cfg_vm *cfg;
	uint32_t id;
	enum vm_state state;		/* atomic read; written under lock */
	struct spinlock lock;		/* state, alive, then_start, vCPU starts */
	uint32_t alive GUARDED_BY(vm_class);	/* vCPUs that are not VCPU_OFF */
	bool then_start GUARDED_BY(vm_class);
	bool fresh;			/* vCPU 0 loads the memory before it starts: */
	uint32_t load_region;		/* where it is, */
	uint64_t load_at;		/* as an offset in the region */
	uint64_t epoch;			/* ticks when its virtual counter was 0 */
	bool fault_reported;
	uint64_t faults;		/* atomic */
	uint32_t restarts;
	struct pl011 uart;
	struct vcpu vcpu[KZ_VCPUS_MAX];
};

/* What a core owns. Other cores read id and sched.slot, and write sched.inbox. */
struct percpu {
	struct kz_trace_head trace;	/* first: the entry code addresses it */
	struct sched_core sched;	/* near: what is used most */
	struct vcpu *vcpu;		/* whose registers the core has, or NULL */
	struct arch_percpu arch;
	uint32_t id;			/* index into the blob's machine.mpidr */
};

/* The machine, as the blob says it, and its VMs; constant after boot. */
struct machine {
	const struct kz_cfg *cfg;
	uint32_t vm_count;
	struct vm vm[KZ_VMS_MAX];
};
extern struct machine machine;

static inline void vm_lock(struct vm *vm) ACQUIRE(vm_class) UNGUARDED
{
	spin_lock(&vm->lock);
}

static inline void vm_unlock(struct vm *vm) RELEASE(vm_class) UNGUARDED
{
	spin_unlock(&vm->lock);
}

/* The VM's RAM that has the guest address `at`, or NULL. Bound: the regions of a VM. */
static inline const struct kz_cfg_region *vm_ram_at(const struct kz_cfg_vm *cfg, uint64_t at)
{
	for (uint32_t i = 0; i < cfg->region_count; i++) {
		const struct kz_cfg_region *r = &cfg->region[i];

		if (r->type == KZ_REGION_RAM && at - r->ipa < r->size) {
			return r;
		}
	}
	return NULL;
}

/*
 * Build the VM from its configuration: memory map, interrupts, console. Called
 * once a VM, on the boot core, before any other core runs. KZ_ENOMEM: the pool
 * of translation tables is used up.
 */
MUST_USE enum kz_err vm_init(struct vm *vm, uint32_t id, const struct kz_cfg_vm *cfg);

/* Make vCPU 0 ready to start: memory scrubbed and loaded by its own core. Any core. */
void vm_start(struct vm *vm) EXCLUDES(vm_class);

/*
 * Stop every vCPU of the VM; the last one to park starts it afresh if
 * `restart`. Any core; returns before it is done. Nothing happens to a VM that
 * is not running.
 */
void vm_halt(struct vm *vm, bool restart) EXCLUDES(vm_class);

/*
 * PSCI CPU_ON: KZ_EBUSY if it is not off. Any core of the same VM.
 */
MUST_USE enum kz_err vcpu_on(struct vcpu *v, uint64_t entry, uint64_t arg);

/* The calling vCPU is off from here. Own core only. */
void vcpu_off(struct vcpu *v) NO_LOCK;

/*
 * Ask the core of `v` to look at `hazard` bits before the guest goes on. Any
 * core; kicks the other core if it is not ours.
 */
void vcpu_hazard(struct vcpu *v, uint32_t bits);

/*
 * Carry out the hazards of `v`, which has just left its guest. Returns it, or
 * does not return if it stops: then the core looks for another. Own core; the
 * stack holds nothing that is needed.
 */
struct vcpu *vcpu_work(struct vcpu *v);

/* Enter whatever vCPU of this core is to run, now or later. Own core. */
_Noreturn void vcpu_run(struct percpu *cpu);

/* The start that v->state READY asks for: registers as after reset. Own core, v is loaded. */
void vcpu_reset(struct vcpu *v);

/*
 * Load the memory of a VM that starts, until an interrupt wants the core; when all is loaded it
 * is `fresh` no more. Core of vCPU 0.
 */
void vm_load(struct vm *vm);

/*
 * An access that nobody answers: counts it, reports the first one of the VM,
 * and does what on_fault says. Own core of `v`.
 */
void vcpu_fault(struct vcpu *v, const struct access *a, enum verdict why);

/* One emulated or failed access; the port has decoded it. Own core of `v`. */
enum verdict mmio_access(struct vcpu *v, struct access *a);

#endif
