/* SPDX-License-Identifier: Apache-2.0 */
/* Single accesses of every kind, which the hostile guest tries on what is not its own. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "probe.h"

#define READ_KINDS	13u
#define WRITE_KINDS	13u
#define CACHE_KINDS	7u

#define ACCESS(code) \
	__asm__ volatile(".arch_extension simd\n" code \
			 : "+r"(at) : "r"(1ul) \
			 : "x9", "x10", "v0", "v1", "memory")

/* A load of any size and form. */
static inline void access_read(uintptr_t at, uint32_t kind)
{
	switch (kind % READ_KINDS) {
	case 0: ACCESS("ldr w9, [%0]"); break;
	case 1: ACCESS("ldrb w9, [%0, #3]"); break;
	case 2: ACCESS("ldrh w9, [%0, #2]"); break;
	case 3: ACCESS("ldr x9, [%0]"); break;
	case 4: ACCESS("ldp x9, x10, [%0]"); break;
	case 5: ACCESS("ldr q0, [%0]"); break;
	case 6: ACCESS("ldxr x9, [%0]"); break;
	case 7: ACCESS("ldar w9, [%0]"); break;
	case 8: ACCESS("ldur x9, [%0, #1]"); break;
	case 9: ACCESS("ldrsb x9, [%0, #5]"); break;
	case 10: ACCESS("ldp q0, q1, [%0]"); break;
	case 11: ACCESS("ldr x9, [%0], #8"); break;
	default: ACCESS("ld2 {v0.16b, v1.16b}, [%0]"); break;
	}
}

/* A store of any size and form; the exclusive one is a load first. */
static inline void access_write(uintptr_t at, uint32_t kind)
{
	switch (kind % WRITE_KINDS) {
	case 0: ACCESS("str w9, [%0]"); break;
	case 1: ACCESS("strb w9, [%0, #3]"); break;
	case 2: ACCESS("strh w9, [%0, #2]"); break;
	case 3: ACCESS("str x9, [%0]"); break;
	case 4: ACCESS("stp x9, x10, [%0]"); break;
	case 5: ACCESS("str q0, [%0]"); break;
	case 6: ACCESS("stlr w9, [%0]"); break;
	case 7: ACCESS("stur x9, [%0, #1]"); break;
	case 8: ACCESS("dc zva, %0"); break;
	case 9: ACCESS("stp q0, q1, [%0]"); break;
	case 10: ACCESS("str x9, [%0], #8"); break;
	case 11: ACCESS("stnp x9, x10, [%0]"); break;
	default: ACCESS("st2 {v0.16b, v1.16b}, [%0]"); break;
	}
}

/* Cache maintenance and hints: they may fault, and must not harm. */
static inline void access_cache(uintptr_t at, uint32_t kind)
{
	switch (kind % CACHE_KINDS) {
	case 0: ACCESS("dc civac, %0"); break;
	case 1: ACCESS("dc ivac, %0"); break;
	case 2: ACCESS("dc cvac, %0"); break;
	case 3: ACCESS("dc cvau, %0"); break;
	case 4: ACCESS("ic ivau, %0"); break;
	case 5: ACCESS("prfm pstl1keep, [%0]"); break;
	default: ACCESS("at s1e1w, %0"); break;
	}
}

/* A read or a write of a register of 1, 2, 4 or 8 bytes. */
static inline void access_sized(uintptr_t at, uint32_t size, bool write, uint64_t value)
{
	switch (size) {
	case 1:
		if (write) {
			__asm__ volatile("strb %w0, [%1]" ::"r"(value), "r"(at) : "memory");
		} else {
			ACCESS("ldrb w9, [%0]");
		}
		break;
	case 2:
		if (write) {
			__asm__ volatile("strh %w0, [%1]" ::"r"(value), "r"(at) : "memory");
		} else {
			ACCESS("ldrh w9, [%0]");
		}
		break;
	case 4:
		if (write) {
			__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(at) : "memory");
		} else {
			ACCESS("ldr w9, [%0]");
		}
		break;
	default:
		if (write) {
			__asm__ volatile("str %0, [%1]" ::"r"(value), "r"(at) : "memory");
		} else {
			ACCESS("ldr x9, [%0]");
		}
		break;
	}
}

/* A call with random arguments; x0 comes back. */
static inline uint64_t call_random(uint64_t fn, bool smc)
{
	register uint64_t x0 __asm__("x0") = fn;
	register uint64_t x1 __asm__("x1") = probe_random();
	register uint64_t x2 __asm__("x2") = probe_random();
	register uint64_t x3 __asm__("x3") = probe_random();
	register uint64_t x4 __asm__("x4") = probe_random();
	register uint64_t x5 __asm__("x5") = probe_random();
	register uint64_t x6 __asm__("x6") = probe_random();
	register uint64_t x7 __asm__("x7") = probe_random();

	if (smc) {
		__asm__ volatile("smc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5),
				   "+r"(x6), "+r"(x7)::"memory");
	} else {
		__asm__ volatile("hvc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5),
				   "+r"(x6), "+r"(x7)::"memory");
	}
	return x0;
}

/* Code made at run time: each instruction's own register is x9. */
static inline void code_run(uintptr_t code, uint64_t value)
{
	register uint64_t x9 __asm__("x9") = value;

	__asm__ volatile("blr %1"
			 : "+r"(x9)
			 : "r"(code)
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x10", "x11",
			   "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30", "cc", "memory");
}

#undef ACCESS

#endif
