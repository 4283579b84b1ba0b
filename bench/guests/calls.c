/* SPDX-License-Identifier: Apache-2.0 */
/* What a call or a trapped access costs: an access that is not trapped reads 1. */
#include "bench.h"

#define LINE_BYTES	64u
#define GICD_TYPER	0x004u

/* Stamp, one instruction, stamp. An answer that is none, NOT_SUPPORTED, is a refusal. */
static inline uint64_t timed_hvc(uint32_t function)
{
	register uint64_t x0 __asm__("x0") = function;
	uint64_t t0, t1;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\thvc #0\n\tisb\n\tmrs %1, cntvct_el0"
			 : "=&r"(t0), "=&r"(t1), "+r"(x0)
			 :
			 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
			   "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	refused += (int32_t)x0 < 0;
	return t1 - t0;
}

static inline uint64_t timed_smc(uint32_t function)
{
	register uint64_t x0 __asm__("x0") = function;
	uint64_t t0, t1;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tsmc #0\n\tisb\n\tmrs %1, cntvct_el0"
			 : "=&r"(t0), "=&r"(t1), "+r"(x0)
			 :
			 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
			   "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	refused += (int32_t)x0 < 0;
	return t1 - t0;
}

/* The register that is loaded into: see bench.h. */
#define TIMED_READ(reg, name)                                                                      \
	static inline uint64_t name(uintptr_t address)                                             \
	{                                                                                          \
		uint64_t t0, t1;                                                                   \
		register uint32_t value __asm__(reg);                                              \
                                                                                                   \
		__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tldr %w2, [%3]\n\tisb\n\t"           \
				 "mrs %1, cntvct_el0"                                              \
				 : "=&r"(t0), "=&r"(t1), "=&r"(value)                              \
				 : "r"(address)                                                    \
				 : "memory");                                                      \
		return t1 - t0;                                                                    \
	}

TIMED_READ("x1", timed_read)
TIMED_READ("x19", timed_read_x19)

static inline uint64_t timed_write(uintptr_t address, uint32_t value)
{
	uint64_t t0, t1;
	register uint32_t x1 __asm__("x1") = value;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tstr %w2, [%3]\n\tisb\n\tmrs %1, cntvct_el0"
			 : "=&r"(t0), "=&r"(t1)
			 : "r"(x1), "r"(address)
			 : "memory");
	return t1 - t0;
}

void bench_calls(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_hvc(PSCI_VERSION);
	}
	report("psci_hvc", sample[0], overhead);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_smc(PSCI_VERSION);
	}
	report("psci_smc", sample[0], overhead);
}

void bench_accesses(void)
{
	const uintptr_t spis = platform.gicd + GIC_ISENABLER + 4;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_read(platform.gicd + GICD_TYPER);
	}
	report("typer_read", sample[0], overhead);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_read_x19(platform.gicd + GICD_TYPER);
	}
	report("typer_read_x19", sample[0], overhead);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_write(ic_local() + GIC_ISENABLER, 1u << platform.timer);
	}
	report("isenabler0_write", sample[0], overhead);
	write32(spis, 2);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_write(spis, 2);
	}
	report("isenabler1_write", sample[0], overhead);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sample[0][i] = timed_read(spis);
	}
	report("isenabler1_read", sample[0], overhead);
}

/* A byte into the UART, when there is room; lines, as a guest would write them. */
void bench_console(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const bool end = i % LINE_BYTES == LINE_BYTES - 1;

		while ((read32(platform.uart_state) & platform.uart_full) != 0) {
		}
		sample[0][i] = timed_write(platform.uart_send, end ? '\n' : '.');
	}
	write32(platform.uart_send, '\n');
	report("console_write", sample[0], overhead);
}
