/* SPDX-License-Identifier: Apache-2.0 */
/* The few types and helpers that every file of the hypervisor uses. */
#ifndef HV_TYPES_H
#define HV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <kizami/types.h>

/* Physical and intermediate physical addresses do not mix by accident. */
typedef struct { uint64_t v; } pa_t;
typedef struct { uint64_t v; } ipa_t;

static inline pa_t pa(uint64_t v)
{
	return (pa_t){ v };
}

static inline ipa_t ipa(uint64_t v)
{
	return (ipa_t){ v };
}

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1u << (n))
#define BIT64(n)	(1ull << (n))
#define LIKELY(x)	__builtin_expect(!!(x), 1)
#define UNLIKELY(x)	__builtin_expect(!!(x), 0)
#define MUST_USE	__attribute__((warn_unused_result))
#define ALWAYS_INLINE	inline __attribute__((always_inline))
#define UNUSED		__attribute__((unused))
#define NOINLINE	__attribute__((noinline))
#define COLD		__attribute__((cold, noinline))	/* for size, among hot code */
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
