/* SPDX-License-Identifier: Apache-2.0 */
/* GICv2 and GICv3 (IHI 0048, IHI 0069), with stamps around what is measured. */
#include "bench.h"

#define GICD_CTLR	0x000u
#define GICD_CTLR_V3	0x13u	/* groups enabled, affinity routing */
#define GICD_CTLR_RWP	(1u << 31)
#define GIC_IGROUPR	0x080u
#define GIC_IPRIORITYR	0x400u
#define GICD_ITARGETSR	0x800u
#define GICC_CTLR	0x00u
#define GICC_PMR	0x04u
#define GICC_IAR	0x0cu
#define GICC_EOIR	0x10u
#define GICC_DIR	0x1000u
#define GICC_CTLR_SPLIT	0x201u
#define GICR_TYPER	0x08u
#define GICR_TYPER_LAST	(1u << 4)
#define GICR_WAKER	0x14u
#define GICR_STRIDE	0x20000u
#define GICR_SGI	0x10000u
#define ICC_CTLR_SPLIT	2u
#define AFFINITY	0xff00ffffffull
#define PRIORITIES	0xa0a0a0a0u
#define PMR		0xf0u
#define SPURIOUS	1020u

SYSREG_WRITE(icc_bpr1_el1, "s3_0_c12_c12_3")
SYSREG_WRITE(icc_ctlr_el1, "s3_0_c12_c12_4")
SYSREG_WRITE(icc_dir_el1, "s3_0_c12_c11_1")
SYSREG_READ(tpidr_el1, "tpidr_el1")

static struct {
	uintptr_t local[2];	/* by CPU */
	uint64_t first;		/* affinity of CPU 0 */
	bool v3, split;
} ic;

bool ic_is_v3(void)
{
	return ic.v3;
}

uintptr_t ic_local(void)
{
	return ic.local[read_tpidr_el1()];
}

/* CPU 1 is the core behind CPU 0, in the same cluster. */
uint64_t ic_other(void)
{
	return ic.first + 1;
}

/* This CPU's redistributor, switched on. */
static uintptr_t redistributor(void)
{
	const uint32_t affinity = (uint32_t)(read_mpidr_el1() & 0xffffffu);
	uintptr_t frame = platform.gicr;

	while (read32(frame + GICR_TYPER + 4) != affinity &&
	       (read32(frame + GICR_TYPER) & GICR_TYPER_LAST) == 0) {
		frame += GICR_STRIDE;
	}
	write32(frame + GICR_WAKER, 0);
	return frame + GICR_SGI;
}

void ic_cpu_init(void)
{
	const uint64_t cpu = read_tpidr_el1();

	ic.local[cpu] = ic.v3 ? redistributor() : platform.gicd;
	for (uint32_t i = 0; i < 32; i += 4) {
		write32(ic.local[cpu] + GIC_IPRIORITYR + i, PRIORITIES);
	}
	if (ic.v3) {
		write32(ic.local[cpu] + GIC_IGROUPR, 0xffffffffu);
	}
	write32(ic.local[cpu] + GIC_ISENABLER, 0xffffu | 1u << platform.timer);
	if (ic.v3) {
		write_icc_sre_el1(read_icc_sre_el1() | 1);
		cpu_isb();
		write_icc_pmr_el1(PMR);
		write_icc_bpr1_el1(0);
		write_icc_ctlr_el1(0);
		write_icc_igrpen1_el1(1);
		cpu_isb();
	} else {
		write32(platform.gicc + GICC_PMR, PMR);
		write32(platform.gicc + GICC_CTLR, 1);
	}
}

void ic_init(void)
{
	ic.v3 = platform.gicr != 0;
	ic.first = read_mpidr_el1() & AFFINITY;
	write32(platform.gicd + GICD_CTLR, ic.v3 ? GICD_CTLR_V3 : 1);
	while (ic.v3 && (read32(platform.gicd + GICD_CTLR) & GICD_CTLR_RWP) != 0) {
	}
	ic_cpu_init();
}

void ic_mode(bool split)
{
	ic.split = split;
	if (ic.v3) {
		write_icc_ctlr_el1(split ? ICC_CTLR_SPLIT : 0);
		cpu_isb();
	} else {
		write32(platform.gicc + GICC_CTLR, split ? GICC_CTLR_SPLIT : 1);
	}
}

void ic_priority(uint32_t intid, uint8_t priority)
{
	const uintptr_t word = ic_local() + GIC_IPRIORITYR + (intid & ~3u);
	const uint32_t shift = 8 * (intid & 3u);

	write32(word, (read32(word) & ~(0xffu << shift)) | (uint32_t)priority << shift);
}

uint64_t ic_sgi(uint32_t intid, uint32_t cpu)
{
	const uint64_t to = ic.first + cpu;
	uint32_t self;

	if (ic.v3) {
		return (to >> 32 & 0xff) << 48 | (to >> 16 & 0xff) << 32 | (uint64_t)intid << 24 |
		       (to >> 8 & 0xff) << 16 | 1ull << (to & 0xf);
	}
	if (cpu == read_tpidr_el1()) {
		return 2u << 24 | intid;
	}
	/* The banked targets of SGIs and PPIs are this CPU's own bit; 0 on a single one. */
	self = read32(platform.gicd + GICD_ITARGETSR) & 0xffu;
	self = self == 0 ? 1 : self;
	return (cpu == 1 ? self << 1 : self >> 1) << 16 | intid;
}

static void quieten(const struct note *n)
{
	if (n->intid == platform.timer) {
		write_cntv_ctl_el0(0);
	}
}

/* Nothing but the one instruction is between two stamps. */
static void take_v3(struct note *n)
{
	uint64_t t0 = stamp();
	const uint64_t iar = read_icc_iar1_el1();

	n->acknowledge = stamp() - t0;
	n->intid = (uint32_t)iar;
	if (n->intid >= SPURIOUS) {
		return;
	}
	quieten(n);
	t0 = stamp();
	write_icc_eoir1_el1(iar);
	n->end = stamp() - t0;
	if (ic.split) {
		t0 = stamp();
		write_icc_dir_el1(iar);
		n->deactivate = stamp() - t0;
	}
}

/* An address that is worked out here, not where it is used. */
static inline uintptr_t now(uintptr_t address)
{
	__asm__ volatile("" : "+r"(address));
	return address;
}

static void take_v2(struct note *n)
{
	const uintptr_t iar_at = now(platform.gicc + GICC_IAR);
	const uintptr_t eoir_at = now(platform.gicc + GICC_EOIR);
	const uintptr_t dir_at = now(platform.gicc + GICC_DIR);
	uint64_t t0 = stamp();
	const uint32_t iar = read32(iar_at);

	n->acknowledge = stamp() - t0;
	n->intid = iar & 0x3ffu;
	if (n->intid >= SPURIOUS) {
		return;
	}
	quieten(n);
	t0 = stamp();
	write32(eoir_at, iar);
	n->end = stamp() - t0;
	if (ic.split) {
		t0 = stamp();
		write32(dir_at, iar);
		n->deactivate = stamp() - t0;
	}
}

void ic_take(struct note *n)
{
	if (ic.v3) {
		take_v3(n);
	} else {
		take_v2(n);
	}
}
