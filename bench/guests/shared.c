/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to share a core with another VM, and what a VM can do to disturb another. */
#include "bench.h"

#include <kizami/hcall.h>

#define WARM		(5u * ROUNDS)	/* both VMs are in step, and stay so while one measures */
#define XEN_SCHED_OP	29u		/* Xen's call; its operation yield is 0 */

/*
 * Gives the core to the other VM: a VM without a server that has done its job; Xen's yield.
 * Which one is known where it is compiled: nothing is chosen within a round.
 */
static inline __attribute__((always_inline)) void yield(bool xen)
{
	register uint64_t x0 __asm__("x0") = xen ? 0 : KZ_HVC_JOB_DONE;
	register uint64_t x1 __asm__("x1") = 0;
	register uint64_t x16 __asm__("x16") = XEN_SCHED_OP;

	if (xen) {
		__asm__ volatile("hvc #0xea1"
				 : "+r"(x0), "+r"(x1), "+r"(x16)
				 :
				 : "x2", "x3", "x4", "x5", "memory");
	} else {
		__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1)::"x2", "x3", "memory");
	}
}

/* One instruction that needs the FP registers, between two stamps. */
static inline uint64_t fp_use(void)
{
	uint64_t t0, t1;

	__asm__ volatile(".arch_extension fp\n\tisb\n\tmrs %0, cntvct_el0\n\tfmov d0, xzr\n\t"
			 "isb\n\tmrs %1, cntvct_el0"
			 : "=&r"(t0), "=&r"(t1)
			 :
			 : "memory");
	return t1 - t0;
}

/*
 * Both VMs do this: a round is two switches. With fp both use FP registers in each turn, so that
 * they were always the other's before.
 */
static inline __attribute__((always_inline)) void rounds(bool xen, bool fp)
{
	for (uint32_t i = 0; i < WARM; i++) {
		yield(xen);
		if (fp) {
			fp_use();
		}
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t t0 = stamp();

		yield(xen);
		if (fp) {
			sample[1][i] = fp_use();
		}
		sample[0][i] = stamp() - t0;
	}
	for (uint32_t i = 0; i < WARM; i++) {
		yield(xen);
		if (fp) {
			fp_use();
		}
	}
}

/* Keeps the other one going. */
static _Noreturn void rest(bool fp)
{
	for (;;) {
		if (platform.xen) {
			yield(true);
		} else {
			yield(false);
		}
		if (fp) {
			fp_use();
		}
	}
}

void bench_yield(void)
{
	if (platform.xen) {
		rounds(true, false);
	} else {
		rounds(false, false);
	}
	report("yield_round", sample[0], overhead);
	rest(false);
}

void bench_fp(void)
{
	if (platform.xen) {
		rounds(true, true);
	} else {
		rounds(false, true);
	}
	report("fp_round", sample[0], overhead);
	report("fp_use", sample[1], overhead);
	rest(true);
}

/* Never does anything but trap: calls and accesses in turn. */
void disturb_traps(void)
{
	for (;;) {
		psci(PSCI_VERSION, 0, 0, 0);
		write32_x1(platform.gicd + GIC_ISENABLER + 4, 2);
	}
}

/* Never stops talking. */
void disturb_chat(void)
{
	for (;;) {
		for (char c = ' '; c < '`'; c++) {
			while ((read32(platform.uart_state) & platform.uart_full) != 0) {
			}
			write32_x1(platform.uart_send, (uint8_t)c);
		}
		write32(platform.uart_send, '\n');
	}
}
