/* SPDX-License-Identifier: Apache-2.0 */
#include "gic.h"

#include "fdt.h"
#include "mmio.h"
#include "sysreg.h"

#define GICD_CTLR		0x0000u
#define GICD_TYPER		0x0004u
#define GICD_IGROUPR		0x0080u
#define GICD_ISENABLER		0x0100u
#define GICD_ICENABLER		0x0180u
#define GICD_IPRIORITYR		0x0400u
#define GICD_ITARGETSR		0x0800u
#define GICD_IROUTER		0x6000u
#define GICD_CTLR_ENABLE	1u
#define GICD_CTLR_V3		0x13u	/* groups enabled, affinity routing */
#define GICC_CTLR		0x00u
#define GICC_PMR		0x04u
#define GICC_IAR		0x0cu
#define GICC_EOIR		0x10u
#define GICR_TYPER		0x08u
#define GICR_TYPER_LAST		(1ull << 4)
#define GICR_WAKER		0x14u
#define GICR_WAKER_ASLEEP	(1u << 2)
#define GICR_SGI		0x10000u
#define GICR_STRIDE		0x20000u
#define MPIDR_AFFINITY		0xff00ffffffull

static struct {
	uintptr_t gicd;
	uintptr_t gicc;		/* GICv2 */
	uintptr_t sgi;		/* GICv3: the SGI frame of this CPU's redistributor */
} gic;

static bool gic2_init(const struct fdt_node *node)
{
	uint64_t address, size;

	if (!fdt_reg(node, 1, &address, &size)) {
		return false;
	}
	gic.gicc = address;
	mmio_write32(gic.gicd + GICD_CTLR, GICD_CTLR_ENABLE);
	mmio_write32(gic.gicc + GICC_PMR, 0xff);
	mmio_write32(gic.gicc + GICC_CTLR, 1);
	return true;
}

/* The redistributor frame with this CPU's affinity; 0 when there is none. */
static uintptr_t gicr_find(uintptr_t frame, uint64_t size)
{
	const uint64_t mpidr = read_mpidr_el1() & MPIDR_AFFINITY;
	const uint64_t affinity = (mpidr >> 32) << 24 | (mpidr & 0xffffff);

	for (uint64_t i = 0; i < size / GICR_STRIDE; i++) {
		const uint64_t typer = mmio_read64(frame + GICR_TYPER);

		if (typer >> 32 == affinity) {
			return frame;
		}
		if ((typer & GICR_TYPER_LAST) != 0) {
			break;
		}
		frame += GICR_STRIDE;
	}
	return 0;
}

static bool gic3_init(const struct fdt_node *node)
{
	uint64_t address, size;
	uintptr_t gicr;

	if (!fdt_reg(node, 1, &address, &size)) {
		return false;
	}
	gicr = gicr_find(address, size);
	if (gicr == 0) {
		return false;
	}
	gic.sgi = gicr + GICR_SGI;
	mmio_write32(gic.gicd + GICD_CTLR, GICD_CTLR_V3);
	mmio_write32(gicr + GICR_WAKER, 0);
	while ((mmio_read32(gicr + GICR_WAKER) & GICR_WAKER_ASLEEP) != 0) {
	}
	/* SGIs and PPIs are in group 1: IRQ, and ICC_IAR1_EL1. */
	mmio_write32(gic.sgi + GICD_IGROUPR, 0xffffffffu);
	write_icc_sre_el1(read_icc_sre_el1() | 1);
	cpu_isb();
	write_icc_pmr_el1(0xff);
	write_icc_igrpen1_el1(1);
	cpu_isb();
	return true;
}

bool gic_init(const void *fdt)
{
	struct fdt_node node;
	uint64_t address, size;
	const bool v3 = fdt_find(fdt, "arm,gic-v3", &node);

	if (!v3 && !fdt_find(fdt, "arm,cortex-a15-gic", &node) &&
	    !fdt_find(fdt, "arm,gic-400", &node)) {
		return false;
	}
	if (!fdt_reg(&node, 0, &address, &size)) {
		return false;
	}
	gic.gicd = address;
	return v3 ? gic3_init(&node) : gic2_init(&node);
}

/* GICv2 has priorities and targets in bytes; access by byte is architected. */
static void mmio_write8(uintptr_t address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

void gic_enable(uint32_t intid, uint8_t priority)
{
	const uintptr_t word = 4ul * (intid / 32);
	const bool local = intid < 32;
	const uintptr_t frame = local && gic.sgi != 0 ? gic.sgi : gic.gicd;

	mmio_write8(frame + GICD_IPRIORITYR + intid, priority);
	if (!local && gic.sgi != 0) {
		const uintptr_t group = gic.gicd + GICD_IGROUPR + word;

		mmio_write32(group, mmio_read32(group) | 1u << intid % 32);
		*(volatile uint64_t *)(gic.gicd + GICD_IROUTER + 8ul * intid) =
			read_mpidr_el1() & MPIDR_AFFINITY;
	} else if (!local) {
		/* Byte 0 of the banked targets is this CPU's own mask. */
		mmio_write8(gic.gicd + GICD_ITARGETSR + intid,
			    (uint8_t)mmio_read32(gic.gicd + GICD_ITARGETSR));
	}
	mmio_write32(frame + GICD_ISENABLER + word, 1u << intid % 32);
}

uint32_t gic_acknowledge(void)
{
	if (gic.sgi != 0) {
		return (uint32_t)read_icc_iar1_el1();
	}
	return mmio_read32(gic.gicc + GICC_IAR);
}

void gic_end(uint32_t intid)
{
	if (gic.sgi != 0) {
		write_icc_eoir1_el1(intid);
	} else {
		mmio_write32(gic.gicc + GICC_EOIR, intid);
	}
}

void gic_close(void)
{
	const uint32_t words = (mmio_read32(gic.gicd + GICD_TYPER) & 31) + 1;
	uint32_t iar;

	for (uint32_t i = 0; i < words; i++) {
		const uintptr_t frame = i == 0 && gic.sgi != 0 ? gic.sgi : gic.gicd;

		mmio_write32(frame + GICD_ICENABLER + 4ul * i, ~0u);
	}
	/* Bound: the SGIs, which version 2 may not disable. */
	while (((iar = gic_acknowledge()) & 0x3ff) < GIC_SPURIOUS) {
		gic_end(iar);
	}
}
