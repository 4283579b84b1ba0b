/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what this core does (include/kizami/trace.h). A record is one store of
 * two words and one store-release of the place behind it; nobody else writes the ring,
 * so there is no lock. The ring's chunks lie with gaps between them in our address
 * space: a bit of the place behind a record says that its chunk is full.
 *
 * Built with TRACE_OFF nothing of it is there: bench/ measures the difference.
 */
#ifndef HV_TRACE_H
#define HV_TRACE_H

#include <kizami/trace.h>
#include <arch_trace.h>
#include "vm.h"

#ifdef TRACE_OFF
#define TRACE_ON	false
#else
#define TRACE_ON	true
#endif

/* A record's second word. */
#define TRACE_ARG(arg)		((uint64_t)(arg) << 16)		/* 16 bits */
#define TRACE_VALUE(value)	((uint64_t)(value) << 32)
/* Ticks in 32 bits, as RELEASE and MISS have them. */
#define TRACE_TICKS_SHIFT	6

_Static_assert(__builtin_offsetof(struct kz_trace_record, arg) == 10, "TRACE_ARG");
_Static_assert(__builtin_offsetof(struct kz_trace_record, value) == 12, "TRACE_VALUE");

/* The chunk is full: begin the next one, or drop what comes. Own core. */
void trace_turn(struct percpu *cpu);

/* A record, where instructions are counted; true: trace_turn follows. */
static ALWAYS_INLINE MUST_USE bool trace_put(struct percpu *cpu, uint64_t time, uint64_t word)
{
	uint64_t next = arch_trace_put(cpu->trace.next, time, word);

	/* a reader that sees `next` sees the record */
	__atomic_store_n(&cpu->trace.next, next, __ATOMIC_RELEASE);
	return UNLIKELY((next & KZ_TRACE_CHUNK) != 0);
}

/* The next record fills the chunk: not one for a leaf function. Own core `cpu`. */
static ALWAYS_INLINE bool trace_is_last(const struct percpu *cpu)
{
	return TRACE_ON && ((cpu->trace.next + sizeof(struct kz_trace_record)) &
			    KZ_TRACE_CHUNK) != 0;
}

/* A record of now, or of `time`. Own core `cpu`. */
void trace_at(struct percpu *cpu, uint64_t time, uint64_t word);
void trace_now(struct percpu *cpu, uint64_t word);

/* Whose a record is: its word, less the type. */
static inline uint64_t trace_whose(const struct vcpu *v)
{
	return v->arch.trace - KZ_TRACE_RUN;
}

/* The same of a vCPU, in the ring of the core that says it. Any core. */
void trace_of_run(const struct vcpu *v, uint64_t word);	/* less KZ_TRACE_RUN */

static ALWAYS_INLINE void trace_of(const struct vcpu *v, uint64_t word)
{
	trace_of_run(v, word - KZ_TRACE_RUN);
}

/* The core executes v from here on. Own core of v. */
void trace_run(const struct vcpu *v);

/* Ticks, as RELEASE and MISS have them. */
static inline uint32_t trace_ticks(uint64_t ticks)
{
	return (uint32_t)min_u64(ticks >> TRACE_TICKS_SHIFT, UINT32_MAX);
}

/* A job of v has been released; its core was charged up to now. */
static inline uint64_t trace_release(const struct vcpu *v)
{
	uint64_t since = v->cpu->sched.since;
	uint64_t due = v->sched.server.due;

	return KZ_TRACE_RELEASE | TRACE_VALUE(trace_ticks(due > since ? due - since : 0));
}

/* Every ring stops at the end of its chunk: what led to here is kept. Any core. */
void trace_stop(void);
/* The same, after a last record. */
void trace_panic(void);

/* arch_machine_init has mapped the rings, and said where in percpu.trace.base. Boot core, once. */
void trace_init(void);

#endif
