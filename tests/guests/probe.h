/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For guests that do what they must not: vectors of their own, which count an
 * exception and go on behind the instruction that caused it. A fetch from a
 * place that has none goes on at the return address.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "sysreg.h"

SYSREG_READ(esr_el1, "esr_el1")
SYSREG_READ(far_el1, "far_el1")
SYSREG_READ(elr_el1, "elr_el1")
SYSREG_WRITE(elr_el1, "elr_el1")
SYSREG_READ(spsr_el1, "spsr_el1")
SYSREG_WRITE(spsr_el1, "spsr_el1")
SYSREG_WRITE(vbar_el1, "vbar_el1")
SYSREG_WRITE(cpacr_el1, "cpacr_el1")
SYSREG_READ(id_aa64pfr0_el1, "id_aa64pfr0_el1")
SYSREG_READ(cntpct_el0, "cntpct_el0")
SYSREG_READ(pan, "s3_0_c4_c2_3")
SYSREG_WRITE(pan, "s3_0_c4_c2_3")

#define ESR_EC(esr)	((uint32_t)((esr) >> 26) & 0x3fu)
#define EC_UNKNOWN	0x00u
#define EC_ILLEGAL	0x0eu
#define EC_SVC32	0x11u
#define EC_SVC		0x15u
#define EC_FETCH	0x21u
#define EC_PC_ALIGN	0x22u
#define EC_DATA		0x25u
#define EC_DATA_EL0	0x24u
#define EC_BREAKPOINT	0x31u
#define EC_STEP		0x33u
#define EC_WATCHPOINT	0x35u
#define EC_BRK		0x3cu
#define ESR_DFSC	0x3fu
#define DFSC_EXTERNAL	0x10u	/* synchronous external abort, not on a table walk */

#define SPSR_DAIF	0x3c0ull
#define SPSR_IL_SS	0x300000ull
#define SPSR_EL1H	5ull
#define SLOT_EL0	8u
#define SLOT_EL0_32	12u

/* What the last exception was, and how many there were. */
struct probe {
	uint64_t faults;	/* synchronous ones */
	uint64_t interrupts;	/* IRQ, FIQ, SError */
	uint64_t esr, far, pc;
	uint64_t slot;		/* index in the vector table */
	bool reads_pan;		/* the guest's wish: the processor has PAN */
	uint64_t pan;		/* PSTATE.PAN in the handler, if so */
	uint64_t user_esr;	/* of the last one at EL0 that was not SVC */
};
static struct probe probe;

/* x0 to x18 and x30, as the vectors below store them. */
#define FRAME_X30	19

extern char probe_vectors[] __attribute__((visibility("hidden")));
void probe_exception(uint64_t *frame, uint64_t slot);

/* slot is the index in the vector table. */
__attribute__((used)) void probe_exception(uint64_t *frame, uint64_t slot)
{
	uint64_t spsr = (read_spsr_el1() | SPSR_DAIF) & ~SPSR_IL_SS;

	if (slot == SLOT_EL0_32) {
		spsr = read_spsr_el1();		/* has other bits there */
	}
	if ((slot & 3) != 0) {
		probe.interrupts++;
		write_spsr_el1(spsr);	/* masked from here on */
		return;
	}
	probe.faults++;
	probe.esr = read_esr_el1();
	probe.far = read_far_el1();
	probe.pc = read_elr_el1();
	probe.slot = slot;
	if (probe.reads_pan) {
		probe.pan = read_pan();
	}
	if (slot >= SLOT_EL0 && ESR_EC(probe.esr) != EC_SVC && ESR_EC(probe.esr) != EC_SVC32) {
		probe.user_esr = probe.esr;
	}
	switch (ESR_EC(probe.esr)) {
	case EC_SVC:
	case EC_SVC32:
		write_spsr_el1(SPSR_DAIF | SPSR_EL1H);
		return;
	case EC_ILLEGAL:
	case EC_BREAKPOINT:
	case EC_STEP:
	case EC_WATCHPOINT:
		break;			/* the next one, or the same with debug masked */
	case EC_FETCH:
	case EC_PC_ALIGN:
		write_elr_el1(frame[FRAME_X30]);
		break;
	default:
		write_elr_el1(probe.pc + 4);
		break;
	}
	write_spsr_el1(spsr);
}

__asm__("	.pushsection .text.probe, \"ax\"\n"
	"	.balign	2048\n"
	"probe_vectors:\n"
	"	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
	"	.balign	128\n"
	"	stp	x0, x1, [sp, #-160]!\n"
	"	mov	x1, #\\n\n"
	"	b	probe_entry\n"
	"	.endr\n"
	"probe_entry:\n"
	"	stp	x2, x3, [sp, #16]\n"
	"	stp	x4, x5, [sp, #32]\n"
	"	stp	x6, x7, [sp, #48]\n"
	"	stp	x8, x9, [sp, #64]\n"
	"	stp	x10, x11, [sp, #80]\n"
	"	stp	x12, x13, [sp, #96]\n"
	"	stp	x14, x15, [sp, #112]\n"
	"	stp	x16, x17, [sp, #128]\n"
	"	stp	x18, x30, [sp, #144]\n"
	"	mov	x0, sp\n"
	"	bl	probe_exception\n"
	"	ldp	x2, x3, [sp, #16]\n"
	"	ldp	x4, x5, [sp, #32]\n"
	"	ldp	x6, x7, [sp, #48]\n"
	"	ldp	x8, x9, [sp, #64]\n"
	"	ldp	x10, x11, [sp, #80]\n"
	"	ldp	x12, x13, [sp, #96]\n"
	"	ldp	x14, x15, [sp, #112]\n"
	"	ldp	x16, x17, [sp, #128]\n"
	"	ldp	x18, x30, [sp, #144]\n"
	"	ldp	x0, x1, [sp], #160\n"
	"	eret\n"
	"	.popsection\n");

/* The vectors, and FP and SIMD for who wants to use them. */
static inline void probe_init(void)
{
	write_vbar_el1((uintptr_t)probe_vectors);
	write_cpacr_el1(3ull << 20);
	cpu_isb();
}

/* One 32-bit load that may fault; true when it did not. NOLINTNEXTLINE(readability-non-const-*) */
static inline bool probe_read32(uintptr_t address, uint32_t *value)
{
	const uint64_t before = probe.faults;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(*value) : "r"(address) : "memory");
	return *(volatile uint64_t *)&probe.faults == before;
}

/* One 32-bit store that may fault; true when it did not. */
static inline bool probe_write32(uintptr_t address, uint32_t value)
{
	const uint64_t before = probe.faults;

	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
	return *(volatile uint64_t *)&probe.faults == before;
}

/* A call of an address where nothing need be; true when it came back by itself. */
static inline bool probe_call(uintptr_t address)
{
	const uint64_t before = probe.faults;

	__asm__ volatile("blr %0" ::"r"(address)
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
			   "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x30", "cc",
			   "memory");
	return *(volatile uint64_t *)&probe.faults == before;
}

/* Pseudo-random numbers, the same in every run (xorshift64). */
static uint64_t probe_seed = 0x9e3779b97f4a7c15ull;

static inline uint64_t probe_random(void)
{
	probe_seed ^= probe_seed << 13;
	probe_seed ^= probe_seed >> 7;
	probe_seed ^= probe_seed << 17;
	return probe_seed;
}

#endif
