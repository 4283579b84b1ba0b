/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzer's two vCPUs share, and where its numbers come from. */
#ifndef FUZZER_H
#define FUZZER_H

#include <stdbool.h>
#include <stdint.h>

#include <kizami/control.h>
#include <kizami/hcall.h>

#define ARENA		0x10000u	/* bytes that buffers are in */
#define EDGE		8192u		/* at the end of its memory, too */
#define MARGIN		64u		/* around a buffer: nothing changes there */
#define CODES		8u		/* KZ_OK, the six errors, anything else */
#define CALLS		(KZ_HVC_LOG - KZ_HVC_REGISTER + 1)
#define CORES		4u		/* of the machine */
#define PLANS_MAX	8u
#define PLANS_MAGIC	0x534e414c50005a4bull
#define PIECE		0x80000u	/* of the pool: memory and store of a VM */

/* At the beginning of its ramdisk. */
struct plans {
	uint64_t magic;
	uint64_t pool, pieces;		/* memory that nobody has */
	uint64_t image;			/* where the hypervisor is */
	uint64_t count;
	struct {
		uint64_t cfg, store, size;	/* from here on */
	} plan[PLANS_MAX];
};

struct call {
	uint64_t x[8];
};

/* One of the vCPUs. */
struct fuzzer {
	uint64_t dice;
	uint32_t id;
	uint64_t calls;
	uint64_t codes[CODES];
	uint64_t done[CALLS], verbs[KZ_VERBS];	/* that succeeded */
	uint64_t wrong;
	const char *why;		/* of the first one, */
	struct call bad, answer;	/* and what it was */
	struct kz_cfg_vm config;	/* what it asks for, or the hypervisor took */
};

/* What both have; it stays as it is. */
struct arena {
	uint8_t *at;			/* ARENA bytes */
	uint64_t ram, end;		/* its memory */
	const struct plans *plans;
	uint64_t spare;			/* places that are left alone, a bit each */
	uint64_t self;			/* its own */
	uint8_t rights[KZ_RIGHTS];
	bool pair;			/* there are two of them */
};

/* xorshift64* (Vigna 2016). */
static inline uint64_t dice64(struct fuzzer *f)
{
	f->dice ^= f->dice >> 12;
	f->dice ^= f->dice << 25;
	f->dice ^= f->dice >> 27;
	return f->dice * 0x2545f4914f6cdd1dull;
}

static inline uint32_t dice(struct fuzzer *f, uint32_t sides)
{
	return (uint32_t)((dice64(f) >> 33) % sides);
}

/* Numbers at which something ends. */
static inline uint64_t odd_number(struct fuzzer *f)
{
	switch (dice(f, 8)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << dice(f, 64);
	case 3:
		return (1ull << dice(f, 64)) - 1;
	case 4:
		return -(uint64_t)dice(f, 2 * KZ_CONTROL_BYTES);
	case 5:
		return dice64(f);
	case 6:
		return dice(f, KZ_CONTROL_BYTES + 2);
	default:
		return KZ_CONTROL_BYTES - 1 + dice(f, 3);
	}
}

/* An address that a buffer may have, or should not. */
static inline uint64_t address(struct fuzzer *f, const struct arena *a)
{
	const uint64_t other[] = {
		0x08000000, 0x09000000, 0x40000000, 0x40200000, KZ_PA_LIMIT, 1ull << KZ_IPA_BITS,
		a->plans != 0 ? a->plans->pool : 0, a->plans != 0 ? a->plans->image : 0,
	};
	const uint32_t kind = dice(f, 16);

	if (kind < 10) {
		return (uintptr_t)a->at + MARGIN + (dice(f, ARENA) & ~7u);
	}
	switch (kind) {
	case 10:
		return (uintptr_t)a->at + MARGIN + dice(f, ARENA);
	case 11:
		return a->end - (dice(f, EDGE) & ~7u);
	case 12:
		return a->end - dice(f, EDGE);
	case 13:
		return a->ram - 1 - dice(f, KZ_CONTROL_BYTES);
	case 14:
		return odd_number(f);
	default:
		return other[dice(f, sizeof(other) / sizeof(other[0]))] +
		       (dice(f, 2) != 0 ? dice(f, 1u << 22) & ~7u : 0);
	}
}

/*
 * May the hypervisor write there, as far as we go on then? It must not where we are ourselves; what
 * is no memory of ours it has to refuse.
 */
static inline bool address_is_safe(const struct arena *a, uint64_t at)
{
	const uint64_t first = (uintptr_t)a->at;

	return at < a->ram || at >= a->end - EDGE ||
	       (at >= first && at < first + ARENA + MARGIN);
}

#endif
