/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What a VM with rights over others (blob.h, enum kz_right) may ask of the hypervisor:
 * calls as in hcall.h, arguments in x1 to x4. A VM is named by its place, 0 to
 * KZ_VMS_MAX - 1. A buffer is a guest address in one RAM region of the caller; no call moves more
 * than KZ_CONTROL_BYTES. What is there is copied once, then checked.
 *
 * For every call, in this order: KZ_EINVAL: an argument is out of its range, a buffer is not the
 * caller's RAM. KZ_EPERM: the caller has not the right. KZ_ENOENT: no such VM. KZ_EBUSY: not in
 * this state; the call may come again. Errors change nothing. A place that is nobody's is
 * KZ_ENOENT for who has the right over all, else KZ_EPERM.
 */
#ifndef KIZAMI_CONTROL_H
#define KIZAMI_CONTROL_H

#include <kizami/blob.h>
#include <kizami/trace.h>
#include <kizami/types.h>

#define KZ_CONTROL_BYTES	4096u
#define KZ_CONTROL_UNALIGNED	512u	/* of READ and FILL, between any addresses */

/*
 * (config): a new VM by the struct kz_cfg_vm there, 8-byte aligned. x1 = its place. Its memory,
 * cores, interrupts and devices must be free, and are its own from now on. One region, of type
 * STORE, has store_tables pages for translation tables (hv/blob.h: blob_tables says how many are
 * enough), then what its loads copy. Needs KZ_RIGHT_CREATE over all.
 * KZ_EINVAL: x1 = enum blob_err (hv/blob.h), x2 = index, as blob_check says them; 0: config itself.
 * KZ_ENOMEM: no place is free. KZ_ELOAD: core x1 cannot keep its promises beside it, by
 * x2 millionths.
 */
#define KZ_HVC_REGISTER			0xc6000010u

/*
 * (vm, offset, from, size): bytes for its store, behind the tables; both 64-byte aligned, size up
 * to KZ_CONTROL_BYTES. State CREATED. Needs KZ_RIGHT_CREATE.
 */
#define KZ_HVC_FILL			0xc6000011u

/* (vm, enum kz_verb). x1 = enum kz_vm_state after it; STOP, RESET, DESTROY end later. */
#define KZ_HVC_CONTROL			0xc6000012u

/*
 * (enum kz_inspect, which, to): a struct is written to `to`, which is 8-byte aligned. x1 = its
 * size.
 */
#define KZ_HVC_INSPECT			0xc6000013u

/* (vm, to, size): its console's output, which goes nowhere else meanwhile (KZ_VERB_ATTACH). */
#define KZ_HVC_CONSOLE_READ		0xc6000014u
/*
 * (vm, from, size): as if typed. Both: x1 = bytes, less than size if that is a lot; 0: there is no
 * more, or no room.
 */
#define KZ_HVC_CONSOLE_WRITE		0xc6000015u

/*
 * (vm, address, to, size): its memory, address as its guest has it. Both are 8-byte aligned where
 * size is more than KZ_CONTROL_UNALIGNED, as FILL's from is. Needs KZ_RIGHT_READ.
 */
#define KZ_HVC_READ			0xc6000016u

/*
 * (position, to, size): the hypervisor's log from there on, or from the oldest byte that is kept.
 * x1 = bytes (less than size if that is a lot; 0: no more), x2 = position of the first one.
 * Positions count bytes since power-on. Needs KZ_RIGHT_LIST over some VM.
 */
#define KZ_HVC_LOG			0xc6000017u

/*
 * What state allows a verb: START: CREATED, STOPPED, WAITING. PAUSE: RUNNING. RESUME: PAUSED,
 * KZ_EBUSY also while its cores have not left it.
 * SHUTDOWN: RUNNING, KZ_ENOENT: no vCPU of it listens (KZ_NOTIFY_SHUTDOWN). STOP, RESET: RUNNING,
 * PAUSED; STOP also WAITING. DESTROY: any but CLEARING. ATTACH, DETACH: any; ATTACH is KZ_EBUSY
 * while another VM has the console, and ends with the caller. Rights: RUN; RESET: RESTART;
 * DESTROY: CREATE; ATTACH, DETACH: CONSOLE.
 */
enum kz_verb {
	KZ_VERB_START, KZ_VERB_PAUSE, KZ_VERB_RESUME, KZ_VERB_SHUTDOWN, KZ_VERB_STOP,
	KZ_VERB_RESET, KZ_VERB_DESTROY, KZ_VERB_ATTACH, KZ_VERB_DETACH, KZ_VERBS
};

/*
 *                 START          off, STOP, a failure                  START
 *   CREATED ------------> RUNNING ---> STOPPING ---> STOPPED ------------------> RUNNING
 *                     RESUME ^ | PAUSE         \---> WAITING (restart, back-off) --^
 *                            | v               \---> RUNNING (RESET, restart)
 *                           PAUSED             \---> CLEARING (DESTROY) ---> NONE
 */
enum kz_vm_state {
	KZ_VM_NONE, KZ_VM_CREATED, KZ_VM_STOPPED, KZ_VM_RUNNING, KZ_VM_PAUSED, KZ_VM_STOPPING,
	KZ_VM_WAITING, KZ_VM_CLEARING, KZ_VM_STATES
};

/* Why it stopped, or restarted, last. */
enum kz_reason {
	KZ_REASON_NONE,		/* it never did */
	KZ_REASON_OFF,		/* its own PSCI SYSTEM_OFF, or its last CPU_OFF */
	KZ_REASON_RESET,	/* its own PSCI SYSTEM_RESET */
	KZ_REASON_FAULT,	/* an access to nothing, and on_fault */
	KZ_REASON_MISS,		/* a deadline missed, and on_miss */
	KZ_REASON_OVERRUN,	/* a budget used up, and on_overrun */
	KZ_REASON_WATCHDOG,
	KZ_REASON_STOP,		/* KZ_VERB_STOP */
	KZ_REASON_RESTART,	/* KZ_VERB_RESET */
	KZ_REASON_DESTROY,
	KZ_REASONS
};

/* Rights: LIST; REGISTERS: READ, and the VM is not running (else KZ_EBUSY). */
enum kz_inspect {
	KZ_INSPECT_MACHINE,	/* (0): struct kz_machine_info; LIST over some VM */
	KZ_INSPECT_CONFIG,	/* (vm): struct kz_cfg_vm */
	KZ_INSPECT_VM,		/* (vm): struct kz_vm_info */
	KZ_INSPECT_VCPU,	/* (vm | vcpu << 8): struct kz_vcpu_info */
	KZ_INSPECT_REGISTERS,	/* (vm | vcpu << 8): struct kz_vcpu_registers */
	KZ_INSPECT_TRACE,	/* (0): struct kz_trace_head[cpu_count]; LIST over all */
	KZ_INSPECTS
};

/* Times are in ns since power-on, or of execution. */
struct kz_machine_info {
	uint64_t now;
	uint64_t hz;			/* of the counter, which the trace's times are in */
	uint32_t vm_count;		/* places that are somebody's are below it */
	uint32_t changes;		/* of any VM's state, since power-on */
	uint32_t caller;		/* its place */
	uint32_t image_size;		/* of the hypervisor, its .bss included, bytes */
	uint64_t reserved;
	struct kz_cfg cfg;		/* its vm_count, and the VMs behind it: of the image */
};

struct kz_vm_info {
	char name[KZ_NAME_MAX];
	uint32_t state;			/* enum kz_vm_state */
	uint32_t reason;		/* enum kz_reason */
	uint32_t changes;		/* of its state */
	uint32_t restarts;
	uint32_t failures;		/* stops that nobody asked for */
	uint32_t attached;		/* VM that has its console, plus 1; 0: the machine */
	uint64_t faults;
	uint64_t fault_address, fault_pc;	/* of the last one */
	uint64_t stopped;		/* when it did last */
	uint64_t started;		/* when its first instruction was executed last */
	uint64_t restart_time;		/* from what made it stop to that, at its last restart */
	uint64_t watchdog;		/* when it is due; 0: it does not run */
	uint64_t resumes;		/* WAITING: when it starts again */
	uint32_t in_dropped, out_dropped;	/* console_in_dropped, console_out_dropped */
};

#define KZ_EXIT_CLASSES	9u	/* hv/exit.h, in its order; docs/abi.md has their names */

struct kz_vcpu_info {
	uint32_t state;			/* 0 running, 1 ready to start, 2 off */
	uint32_t core;
	uint32_t sched;			/* 0 off, 1 ready, 2 waits, 3 throttled, 4 done, 5 paused */
	uint32_t reserved;
	uint64_t executed, stolen;
	uint64_t budget, period, deadline;	/* 0: no server */
	uint64_t jobs, misses, late, overruns;
	uint64_t exits[KZ_EXIT_CLASSES];
};

/* As PSTATE, ELR_EL1 ... of DDI 0487; v: low half first. */
struct kz_vcpu_registers {
	uint64_t x[31], pc, pstate;
	uint64_t sp_el0, sp_el1, elr_el1, spsr_el1, esr_el1, far_el1, vbar_el1;
	uint64_t sctlr_el1, tcr_el1, ttbr0_el1, ttbr1_el1, mair_el1, tpidr_el0, tpidr_el1;
	uint64_t tpidrro_el0, contextidr_el1, cpacr_el1;
	uint64_t fpsr, fpcr;
	uint64_t v[64];
};

_Static_assert(sizeof(struct kz_machine_info) == 40 + sizeof(struct kz_cfg), "ABI");
_Static_assert(sizeof(struct kz_vm_info) == 112, "ABI");
_Static_assert(sizeof(struct kz_vcpu_info) == 160, "ABI");
_Static_assert(sizeof(struct kz_vcpu_registers) == 8 * (33 + 17 + 2 + 64), "ABI");

#endif
