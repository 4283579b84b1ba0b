/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The trace: what every core did, in records of 16 bytes, in a ring for each core.
 * Always on. docs/abi.md, "Trace", has the same in prose and the file's format.
 *
 * Memory at kz_cfg_machine.trace_pa: a page with struct kz_trace_mem, behind it a
 * ring of `chunks` times KZ_TRACE_CHUNK bytes for each core. Only its core writes a
 * ring, in the order in which things happened; nobody locks. A ring fills chunk
 * after chunk; behind the last one it begins again, or stops (kz_trace_mem.mode).
 *
 * Times are ticks of the system counter (CNTPCT_EL0).
 */
#ifndef KIZAMI_TRACE_H
#define KIZAMI_TRACE_H

#include <kizami/types.h>

#define KZ_TRACE_MAGIC		0x52545a4bu	/* "KZTR" */
#define KZ_TRACE_VERSION	1u
#define KZ_TRACE_CHUNK		0x8000u		/* bytes */
#define KZ_TRACE_CHUNK_RECORDS	(KZ_TRACE_CHUNK / 16u)
#define KZ_TRACE_CHUNKS_MIN	2u		/* a core */
#define KZ_TRACE_CHUNKS_MAX	16u
#define KZ_TRACE_CORES		8u

struct kz_trace_record {
	uint64_t time;
	uint8_t type;		/* enum kz_trace_type */
	uint8_t vcpu;		/* KZ_TRACE_VCPU(vm, vcpu), where the type says so; else 0 */
	uint16_t arg;
	uint32_t value;
};

#define KZ_TRACE_VCPU(vm, vcpu)	((vm) << 4 | (vcpu))
#define KZ_TRACE_NOBODY		0xffu

/* What an exit was for: added to KZ_TRACE_EXIT and KZ_TRACE_QUICK. */
enum kz_trace_class {
	KZ_TRACE_HCALL,		/* HVC or SMC; arg: see KZ_TRACE_CALL */
	KZ_TRACE_MMIO,		/* access to an emulated device; arg: bits 17:2 of the address */
	KZ_TRACE_SYSREG,	/* arg: op0 15:14, op1 13:11, CRn 10:7, CRm 6:3, op2 2:0 */
	KZ_TRACE_FAULT,		/* instruction abort, SError; a data abort is MMIO, then VM_FAULT */
	KZ_TRACE_UNDEF,		/* something that this VM's processor does not have */
	KZ_TRACE_WFX,		/* WFI or WFE */
	KZ_TRACE_IRQ,		/* an interrupt for a guest; arg: INTID */
	KZ_TRACE_MAINT,		/* list registers want a refill; arg: INTID */
	KZ_TRACE_KICK,		/* an interrupt of the hypervisor's own; arg: INTID */
	/* ICC_SGI1R_EL1 where that is quick: else SYSREG, and INJECT; arg: SGI 3:0, vCPUs 11:4 */
	KZ_TRACE_SGI,
	KZ_TRACE_FP,		/* the FP registers are another vCPU's */
	KZ_TRACE_CLASSES
};

/* arg of KZ_TRACE_HCALL: a function identifier of SMCCC (DEN0028): fast, 64-bit, owner; number. */
#define KZ_TRACE_CALL(fn)	((uint16_t)((fn) >> 16 & 0xff00u) | (uint16_t)((fn) & 0xffu))

/*
 * A core is in one of three states: it executes a guest (from RUN on, or behind a
 * QUICK), the hypervisor works (from EXIT or WAKE on), or it sleeps (from IDLE on).
 */
enum kz_trace_type {
	KZ_TRACE_NONE = 0,
	/* The first record of each chunk. vcpu: whose registers the core has; NOBODY: nobody's.
	 * arg: 0 it executes, 1 hypervisor, 2 sleep */
	KZ_TRACE_STATE = 1,
	KZ_TRACE_RUN = 2,	/* the core executes vcpu from here on */
	KZ_TRACE_IDLE = 3,	/* the core sleeps */
	KZ_TRACE_WAKE = 4,	/* an interrupt ends its sleep, or it was polled; arg: INTID */

	/* vCPUs. A RUN of one that was blocked implies READY, at the time of the exit before it. */
	KZ_TRACE_READY = 8,	/* vcpu is ready; arg: 0 an interrupt, 1 budget, 2 start */
	KZ_TRACE_BLOCK = 9,	/* vcpu waits for an interrupt: its job is done */
	KZ_TRACE_RELEASE = 10,	/* a job of vcpu begins; value: deadline from here, in 64 ticks */
	KZ_TRACE_DONE = 11,	/* vcpu says that its job is done */
	KZ_TRACE_THROTTLE = 12,	/* vcpu has used its budget up */
	KZ_TRACE_MISS = 13,	/* vcpu misses its deadline; value: budget left, in 64 ticks */
	KZ_TRACE_INJECT = 14,	/* an interrupt that no device raised, for vcpu; arg: INTID */
	KZ_TRACE_START = 15,	/* vcpu starts: CPU_ON, or its VM does */
	KZ_TRACE_OFF = 16,	/* vcpu is off; arg: 0 it said so, 1 its VM stops */

	KZ_TRACE_VM_START = 17,	/* vcpu: 0 of the VM; arg: restarts so far */
	/* vcpu: 0 of the VM; arg: 0 stop, 1 restart; value: enum kz_reason (control.h) */
	KZ_TRACE_VM_STOP = 18,
	KZ_TRACE_VM_FAULT = 19,	/* vcpu; arg: 0 nothing there, 1 forbidden; value: ipa in 256 */
	KZ_TRACE_PANIC = 20,	/* a bug of the hypervisor: the core's last record */

	/*
	 * + enum kz_trace_class. A guest's exit begins; RUN or IDLE ends it. The guest is that of
	 * the last RUN or STATE.
	 */
	KZ_TRACE_EXIT = 32,
	/* A whole exit, and the same guest goes on; value: low half of the counter when it did */
	KZ_TRACE_QUICK = 64,
};

/* Full: begin again. Or stop when full: the last record is then the newest. */
enum kz_trace_mode { KZ_TRACE_OVERWRITE, KZ_TRACE_STOP, KZ_TRACE_MODES };

/*
 * Of a ring; written by its core only. Records are read with the index that
 *
 *   n = turns * KZ_TRACE_CHUNK_RECORDS + (next % KZ_TRACE_CHUNK) / 16
 *
 * gives (acquire: turns, next, turns again; a turn is under way where both turns differ,
 * or next is not in the chunk turns % chunks, whose end is not in it):
 * all below n are written; when n is read once more behind the copy, those below
 * n - chunks * KZ_TRACE_CHUNK_RECORDS + 1 may have been overwritten meanwhile.
 */
struct kz_trace_head {
	uint64_t next;		/* where the next record goes, as the hypervisor sees it: */
	uint64_t base;		/* chunk i is at base + 2 * i * KZ_TRACE_CHUNK there */
	uint64_t turns;		/* chunks begun before this one, since power-on */
	/* records behind the end of a stopped ring, whose last place has the newest */
	uint64_t dropped;
};

struct kz_trace_mem {
	uint32_t magic;
	uint32_t version;
	uint32_t core_count;
	uint32_t chunks;		/* of a core */
	uint64_t hz;			/* ticks a second */
	uint32_t mode;			/* enum kz_trace_mode */
	uint32_t stopped;		/* atomic: rings stop at the end of their chunk, or have */
	uint64_t head_pa[KZ_TRACE_CORES];	/* struct kz_trace_head of each core */
};

/*
 * A file, as `kztrace capture` writes it: this, the configuration blob (blob.h: struct
 * kz_cfg, struct kz_cfg_vm ...; names, cores, servers), then parts until its end: each
 * struct kz_trace_part and its records. Parts of a core are in order; those of
 * different cores come as they were read.
 */
struct kz_trace_file {
	char magic[8];			/* "KZTRACE\n" */
	uint32_t version;		/* KZ_TRACE_VERSION */
	uint32_t blob_size;		/* bytes, a multiple of 8 */
	uint64_t hz;
	uint32_t core_count;
	uint32_t reserved;
};

struct kz_trace_part {
	uint32_t core;
	uint32_t count;			/* records that follow, 1 to KZ_TRACE_CHUNK_RECORDS */
	uint64_t index;			/* of the first, in its core's; a gap: lost */
};

_Static_assert(sizeof(struct kz_trace_record) == 16, "ABI");
_Static_assert(sizeof(struct kz_trace_head) == 32, "ABI");
_Static_assert(sizeof(struct kz_trace_mem) == 96, "ABI");
_Static_assert(sizeof(struct kz_trace_file) == 32, "ABI");
_Static_assert(sizeof(struct kz_trace_part) == 16, "ABI");

#endif
