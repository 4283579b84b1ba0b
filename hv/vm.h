/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual machines, their vCPUs, and the life that they lead. */
#ifndef HV_VM_H
#define HV_VM_H

#include <kizami/blob.h>
#include <kizami/control.h>
#include <kizami/trace.h>
#include <arch_types.h>		/* struct arch_vm, struct arch_vcpu, struct arch_percpu */
#include "exit.h"
#include "pl011.h"
#include "sched.h"
#include "spinlock.h"
#include "types.h"
#include "wdt.h"

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
#define HAZARD_PAUSE	BIT(4)		/* its VM pauses, until this is taken back */

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

/* What follows when the last vCPU of a VM that stops is parked. */
enum vm_then { THEN_STOP, THEN_WAIT, THEN_START, THEN_CLEAR };

/* States: kizami/control.h, enum kz_vm_state; RUNNING, PAUSED: some vCPU is not off. */
struct vm {
	struct arch_vm arch;		/* first: what is used most */
	const struct kz_cfg_vm *cfg;	/* with vcpu_count 0 in a place that is nobody's */
	uint32_t id;			/* its place */
	enum kz_vm_state state;		/* atomic read; written under lock */
	struct spinlock lock;		/* state, alive, then, vCPU starts, what inspect tells */
	uint32_t alive GUARDED_BY(vm_class);	/* vCPUs that are not VCPU_OFF */
	enum vm_then then GUARDED_BY(vm_class);
	enum kz_reason reason;		/* of the last stop */
	bool created;			/* at run time: its images are in its store */
	bool fresh;			/* vCPU 0 has work with the memory before it starts: */
	bool clear;			/* scrub it, and that was all; else load */
	bool begins;			/* no guest of this start has executed yet */
	bool again;			/* the start is a restart */
	bool mapped;			/* its translation tables are complete */
	bool revoked;			/* by arch_vm_revoke */
	uint32_t load_region;		/* where it is, */
	uint64_t load_at;		/* as an offset in the region */
	const char *images;		/* what the offsets of its loads count from */
	uint64_t epoch;			/* ticks when its virtual counter was 0 */
	bool fault_reported;
	uint64_t faults;		/* atomic */
	uint64_t fault_address, fault_pc;	/* of the last one; written by its core */
	uint32_t restarts, failures, changes;
	uint64_t stopped, started;	/* ticks; 0: never */
	uint64_t restart_time;
	/* Health (health.h): ticks, NEVER; atomic. */
	uint64_t due;			/* its watchdog's, or the end of its back-off */
	uint64_t backoff;		/* the next one, in ticks */
	uint64_t watchdog;		/* ticks in which it wants to be kicked; 0 */
	struct wdt wdt;
	uint8_t rights[KZ_RIGHTS];	/* of its configuration, less VMs that are gone */
	struct pl011 uart;
	struct arch_lines lines;	/* behind all that is small */
	struct vcpu vcpu[KZ_VCPUS_MAX];
};

/* What a core owns. Other cores read id and sched.slot, and write sched.inbox and sched.members. */
struct percpu {
	struct kz_trace_head trace;	/* first: the entry code addresses it */
	struct sched_core sched;	/* near: what is used most */
	struct vcpu *vcpu;		/* whose registers the core has, or NULL */
	struct arch_percpu arch;
	uint32_t id;			/* index into the blob's machine.mpidr */
};

/* The machine, as the blob says it, and its VMs. */
struct machine {
	const struct kz_cfg *cfg;
	uint32_t vm_count;		/* atomic; places that were ever somebody's are below it */
	uint32_t changes;		/* atomic: of states */
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

/*
 * Where `size` bytes of a VM's RAM, from the guest address `at` on, are for us; NULL: they are not
 * in one region. Bound: the regions of a VM.
 */
void *vm_ram(const struct kz_cfg_vm *cfg, uint64_t at, uint64_t size);

/*
 * Build the VM from its configuration: interrupts, console, and, but for a VM that is created at
 * run time, its memory map. In a place that is nobody's; its vCPUs have joined their cores.
 * KZ_ENOMEM: the pool of translation tables is used up.
 */
MUST_USE enum kz_err vm_init(struct vm *vm, uint32_t id, const struct kz_cfg_vm *cfg);

/* Make vCPU 0 ready to start: memory scrubbed and loaded by its own core. Any core. */
void vm_start(struct vm *vm) EXCLUDES(vm_class);
/* The same for one whose back-off is over, if it still waits. */
void vm_start_again(struct vm *vm) EXCLUDES(vm_class);
/* Say that it restarts for the n-th time: eight times, then ever more rarely. Any core. */
void vm_report_restart(const struct vm *vm, uint32_t n);

/*
 * Stop every vCPU of the VM; the last one to park does what comes `then`. Any core; returns
 * before it is done. Nothing happens to a VM that is not running, or stops.
 */
void vm_halt(struct vm *vm, enum kz_reason reason, enum vm_then then) EXCLUDES(vm_class);

/* It stopped without being asked to: as its `restart` says. As vm_halt. */
void vm_fail(struct vm *vm, enum kz_reason reason) EXCLUDES(vm_class);
/* The same if its state has not changed since then: vm->changes. */
void vm_fail_since(struct vm *vm, enum kz_reason reason, uint32_t changes) EXCLUDES(vm_class);

/* ---- What a control VM says (control.h has what else is checked). KZ_EBUSY: not in this state */

MUST_USE enum kz_err vm_pause(struct vm *vm) EXCLUDES(vm_class);
MUST_USE enum kz_err vm_resume(struct vm *vm) EXCLUDES(vm_class);
/* Its memory is scrubbed, and its place is nobody's: later. KZ_ENOENT: it is nobody's already. */
MUST_USE enum kz_err vm_destroy(struct vm *vm) EXCLUDES(vm_class);
/* No vCPU of it executes, or will: registers and memory stay as they are. */
MUST_USE bool vm_is_still(const struct vm *vm);

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
 * The memory of a VM that starts, or is cleared: map, scrub and load until an interrupt wants the
 * core; when all is done it is `fresh` no more. Core of vCPU 0.
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
