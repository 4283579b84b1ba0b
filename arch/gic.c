/* SPDX-License-Identifier: Apache-2.0 */
#include "gic.h"

#include <barrier.h>
#include <sysreg.h>
#include "arch.h"
#include "gic_quick.h"	/* this one: what it does is tested with this file */

/* GICv2 CPU interface and its hypervisor half (IHI 0048 4.4, 5.3). */
#define GICC_CTLR	0x0000u
#define GICC_PMR	0x0004u
#define GICC_BPR	0x0008u
#define GICC_APR	0x00d0u
#define GICC_NSAPR	0x00e0u
#define GICC_ENABLE	BIT(0)
#define GICC_EOIMODE	BIT(9)
#define GICH_VTR	0x004u

#define GICD_RWP	BIT(31)
#define GICD_CTLR_ARE	BIT(4)
#define GICD_CTLR_GROUPS 3u		/* EnableGrp0, EnableGrp1 */
#define GICR_WAKER_SLEEP BIT(1)
#define GICR_WAKER_ASLEEP BIT(2)
#define GICR_TYPER_LAST	BIT(4)
#define GICR_STRIDE	0x20000u
#define ICC_CTLR_EOIMODE BIT64(1)
#define ICC_SRE_ALL	0xfull		/* SRE, DFB, DIB, Enable */
#define AFFINITY	0xff00ffffffull	/* MPIDR_EL1.Aff3..Aff0 */
#define EOICOUNT_SHIFT	27		/* GICH_HCR and ICH_HCR_EL2: bits 31:27 */

struct gic gic;

static const struct kz_cfg_machine *cfg(void)
{
	return &machine.cfg->machine;
}

/* ---- Distributor ---- */

uint64_t gic_frame(uint32_t cpu, uint32_t intid)
{
	return gic.v3 && intid < GIC_PRIVATE ? gic.gicr[cpu] + GICR_SGI : gic.gicd;
}

/* Write one bit of a bank of registers that act on ones only. */
static void write_bit(uint32_t cpu, uint32_t reg, uint32_t intid)
{
	mmio_write32(gic_frame(cpu, intid) + reg + intid / 32 * 4, BIT(intid % 32));
}

static void wait_rwp(void)
{
	/* Bound: the distributor's own, a few hundred cycles (IHI 0069 12.9.4). */
	while (gic.v3 && (mmio_read32(gic.gicd + GICD_CTLR) & GICD_RWP) != 0) {
	}
}

void gic_enable(uint32_t cpu, uint32_t intid, bool on)
{
	write_bit(cpu, on ? GICD_ISENABLER : GICD_ICENABLER, intid);
}

void gic_set_pending(uint32_t intid)
{
	write_bit(0, GICD_ISPENDR, intid);
}

void gic_deactivate(uint32_t cpu, uint32_t intid)
{
	write_bit(cpu, GICD_ICACTIVER, intid);
}

static void set_priority(uint32_t cpu, uint32_t intid, uint8_t prio)
{
	*(volatile uint8_t *)(gic_frame(cpu, intid) + GICD_IPRIORITYR + intid) = prio;
}

void gic_reset_irq(uint32_t cpu, uint32_t intid)
{
	gic_enable(cpu, intid, false);
	write_bit(cpu, GICD_ICPENDR, intid);
	gic_deactivate(cpu, intid);
	set_priority(cpu, intid, GIC_PRIORITY);
}

void gic_config(uint32_t intid, uint32_t mask, uint32_t value)
{
	/* Interrupts of several VMs share a word: one change at a time. */
	static struct spinlock lock;
	uint64_t at = gic.gicd + GICD_ICFGR + intid / 16 * 4;

	spin_lock(&lock);
	mmio_write32(at, (mmio_read32(at) & ~mask) | (value & mask));
	spin_unlock(&lock);
}

void gic_set_edge(uint32_t intid, bool edge)
{
	uint32_t bit = 2u << intid % 16 * 2;

	gic_config(intid, bit, edge ? bit : 0);
}

void gic_route(uint32_t intid, uint32_t cpu)
{
	if (gic.v3) {
		*(volatile uint64_t *)(gic.gicd + GICD_IROUTER + 8ull * intid) = gic.affinity[cpu];
	} else {
		*(volatile uint8_t *)(gic.gicd + GICD_ITARGETSR + intid) = gic.gicc_id[cpu];
	}
}

/* 32 INTIDs of a frame: off, not pending, not active, ours in group and priority. */
static void bank_off(uint64_t frame, uint32_t first)
{
	uint64_t bits = frame + first / 8;

	mmio_write32(bits + GICD_ICENABLER, ~0u);
	mmio_write32(bits + GICD_ICPENDR, ~0u);
	mmio_write32(bits + GICD_ICACTIVER, ~0u);
	if (gic.v3) {
		mmio_write32(bits + GICD_IGROUPR, ~0u);
	}
	for (uint32_t i = 0; i < 32; i += 4) {
		mmio_write32(frame + GICD_IPRIORITYR + first + i, GIC_PRIORITY * 0x01010101u);
	}
}

static void find_redistributors(void)
{
	uint64_t end = cfg()->gicr_pa + cfg()->gicr_size;

	/* Bound: the frames that the blob names. */
	for (uint64_t r = cfg()->gicr_pa; r < end; r += GICR_STRIDE) {
		uint64_t typer = *(volatile const uint64_t *)(r + GICR_TYPER);
		uint64_t aff = typer >> 32;

		for (uint32_t i = 0; i < cfg()->cpu_count; i++) {
			uint64_t want = cfg()->mpidr[i];

			want = (want & 0xffffff) | (want >> 32 & 0xff) << 24;
			if (aff == want) {
				gic.gicr[i] = r;
			}
		}
		if ((typer & GICR_TYPER_LAST) != 0) {
			break;
		}
	}
}

void gic_init(void)
{
	gic.v3 = cfg()->gic_version == 3;
	gic.htimer = (uint8_t)cfg()->htimer_intid;
	gic.vtimer = (uint8_t)cfg()->vtimer_intid;
	gic.gicd = cfg()->gicd_pa;
	gic.gicc = cfg()->gicc_pa;
	gic.gich = cfg()->gich_pa;
	for (uint32_t i = 0; i < cfg()->cpu_count; i++) {
		uint64_t a = cfg()->mpidr[i] & AFFINITY;

		gic.affinity[i] = a;
		gic.gicc_id[i] = (uint8_t)BIT(i);	/* corrected by the core itself */
		/* Aff3, RS, Aff2, Aff1 in 55:48, 47:44, 39:32, 23:16 (IHI 0069 12.2.19). */
		gic.sgi_value[i] = !gic.v3 ? (uint64_t)BIT(i) << 16 :
				   (a & 0xff00000000) << 16 | (a & 0xff0000) << 16 |
				   (a & 0xff00) << 8 | (a & 0xf0) << 40 | BIT64(a & 0xf);
	}
	if (gic.v3) {
		find_redistributors();
	}
	mmio_write32(gic.gicd + GICD_CTLR, 0);
	wait_rwp();
	/* With affinity routing first: IROUTER is there only then (IHI 0069 12.9.22). */
	if (gic.v3) {
		mmio_write32(gic.gicd + GICD_CTLR, GICD_CTLR_ARE);
		wait_rwp();
	}
	for (uint32_t first = GIC_PRIVATE; first < cfg()->gic_lines; first += 32) {
		bank_off(gic.gicd, first);
	}
	mmio_write32(gic.gicd + GICD_CTLR, gic.v3 ? GICD_CTLR_ARE | GICD_CTLR_GROUPS : 1u);
	wait_rwp();
}

/* ---- This core's interface ---- */

/* No SGI of earlier is left to this core: version 2 has registers of their own for that. */
static void clear_sgis(uint32_t cpu)
{
	mmio_write32(gic_frame(cpu, 0) + GICD_ICPENDR, BIT(GIC_SGIS) - 1);
	for (uint32_t i = 0; !gic.v3 && i < GIC_SGIS; i += 4) {
		mmio_write32(gic.gicd + GICD_CPENDSGIR + i, ~0u);
	}
}

/* The private interrupts that are ours. */
static NOINLINE void enable_own(uint32_t cpu, bool on)
{
	gic_enable(cpu, GIC_SGI_KICK, on);
	gic_enable(cpu, GIC_SGI_SCHED, on);
	gic_enable(cpu, cfg()->maint_intid, on);
	gic_enable(cpu, cfg()->htimer_intid, on);
}

static void init_private(uint32_t cpu)
{
	bank_off(gic_frame(cpu, 0), 0);
	clear_sgis(cpu);
	enable_own(cpu, true);
}

/* ListRegs of GICH_VTR and ICH_VTR_EL2: one less than there are. */
static uint8_t lr_count(uint32_t vtr)
{
	return (uint8_t)min_u64((vtr & 0x1f) + 1, GIC_LRS_MAX);
}

static void init_v3(uint32_t cpu)
{
	uint64_t waker = gic.gicr[cpu] + GICR_WAKER;

	mmio_write32(waker, mmio_read32(waker) & ~GICR_WAKER_SLEEP);
	/* Bound: the redistributor's wake-up (IHI 0069 11.1). */
	while ((mmio_read32(waker) & GICR_WAKER_ASLEEP) != 0) {
	}
	write_icc_sre_el2(ICC_SRE_ALL);
	isb();				/* SRE before the registers that it uncovers */
	write_icc_sre_el1(7);
	write_icc_ap1r0_el1(0);
	write_icc_pmr_el1(0xff);
	write_icc_bpr1_el1(0);
	write_icc_ctlr_el1(ICC_CTLR_EOIMODE);
	write_icc_igrpen1_el1(1);
	gic.lr_count = lr_count((uint32_t)read_ich_vtr_el2());
}

static void init_v2(uint32_t cpu)
{
	uint32_t id = mmio_read32(gic.gicd + GICD_ITARGETSR) & 0xff;

	if (id != 0) {			/* RAZ on a uniprocessor (IHI 0048 4.3.12) */
		gic.gicc_id[cpu] = (uint8_t)id;
		gic.sgi_value[cpu] = (uint64_t)id << 16;
	}
	mmio_write32(gic.gicc + GICC_CTLR, 0);
	mmio_write32(gic.gicc + GICC_APR, 0);
	mmio_write32(gic.gicc + GICC_NSAPR, 0);
	mmio_write32(gic.gicc + GICC_PMR, 0xff);
	mmio_write32(gic.gicc + GICC_BPR, 0);
	mmio_write32(gic.gicc + GICC_CTLR, GICC_ENABLE | GICC_EOIMODE);
	gic.lr_count = lr_count(mmio_read32(gic.gich + GICH_VTR));
}

void gic_init_cpu(uint32_t cpu)
{
	if (gic.v3) {
		init_v3(cpu);
	} else {
		init_v2(cpu);
	}
	init_private(cpu);
	gic_virtual_reset();
	gic_hcr_write(0);
	isb();			/* all of it before this core takes an interrupt */
}

void gic_lend_cpu(uint32_t cpu, bool sgi_direct)
{
	enable_own(cpu, false);
	clear_sgis(cpu);
	if (gic.v3) {
		write_icc_igrpen1_el1(0);
		write_icc_pmr_el1(0);
		write_icc_ctlr_el1(0);
		/*
		 * What reaches foreign cores traps: ICC_SGI1R_EL1 and its kin (TC). So does group 0
		 * (TALL0), which no guest has and which may be the firmware's (IHI 0069 12.4.12).
		 */
		gic_hcr_write(GIC_HCR_TALL0 | (sgi_direct ? 0 : GIC_HCR_TC));
	} else {
		for (uint32_t i = 0; i < GIC_SGIS; i++) {
			/* where it can be switched, a guest expects it on */
			gic_enable(cpu, i, true);
		}
		mmio_write32(gic.gicc + GICC_CTLR, 0);
		mmio_write32(gic.gicc + GICC_PMR, 0);
	}
	isb();			/* the interface as lent before the guest runs */
}

/* Our SGI gets through to core `cpu` if its interface lets anything through. */
static void kick_open(uint32_t cpu)
{
	set_priority(cpu, GIC_SGI_KICK, 0);
	gic_enable(cpu, GIC_SGI_KICK, true);
}

static uint32_t kick_was[KZ_CPUS_MAX];	/* of a core that was woken: enable, pending, priority */

#define KICK_ENABLED	BIT(8)
#define KICK_PENDING	BIT(9)
#define KICK_WOKEN	BIT(10)

void gic_wake_lent(uint32_t cpu)
{
	uint64_t frame = gic_frame(cpu, GIC_SGI_KICK);

	if (gic.v3) {			/* version 2: banked, only the core itself can */
		uint64_t prio_at = frame + GICD_IPRIORITYR + GIC_SGI_KICK;
		bool on = (mmio_read32(frame + GICD_ISENABLER) & BIT(GIC_SGI_KICK)) != 0;
		bool pending = (mmio_read32(frame + GICD_ISPENDR) & BIT(GIC_SGI_KICK)) != 0;

		kick_was[cpu] = KICK_WOKEN | (on ? KICK_ENABLED : 0) |
				(pending ? KICK_PENDING : 0) | *(volatile const uint8_t *)prio_at;
		kick_open(cpu);
	}
	gic_sgi(cpu, GIC_SGI_KICK);
}

void gic_thaw_lent(uint32_t cpu, uint32_t cores)
{
	uint32_t was = kick_was[cpu];

	if (!gic.v3) {
		/* From who is no core of the guest's: the lowest byte, of SGI 0. */
		mmio_write32(gic.gicd + GICD_CPENDSGIR, ~cores & 0xff);
	} else if ((was & KICK_WOKEN) != 0) {
		set_priority(cpu, GIC_SGI_KICK, (uint8_t)was);
		gic_enable(cpu, GIC_SGI_KICK, (was & KICK_ENABLED) != 0);
		if ((was & KICK_PENDING) == 0) {
			write_bit(cpu, GICD_ICPENDR, GIC_SGI_KICK);
		}
		kick_was[cpu] = 0;
	}
}

static bool doze_v3(void)
{
	uint64_t group = read_icc_igrpen1_el1();
	uint64_t mask = read_icc_pmr_el1();

	if ((group & 1) != 0 && mask != 0) {
		return false;
	}
	write_icc_pmr_el1(0xff);
	write_icc_igrpen1_el1(1);
	isb();			/* the interface is open before the core sleeps on it */
	wfi();
	write_icc_igrpen1_el1(group);
	write_icc_pmr_el1(mask);
	isb();			/* and as the guest had it before it runs */
	return true;
}

static bool doze_v2(uint32_t cpu)
{
	uint64_t prio_at = gic.gicd + GICD_IPRIORITYR + GIC_SGI_KICK;
	uint32_t ctlr = mmio_read32(gic.gicc + GICC_CTLR);
	uint32_t mask = mmio_read32(gic.gicc + GICC_PMR);
	uint8_t prio = *(volatile const uint8_t *)prio_at;
	bool on = (mmio_read32(gic.gicd + GICD_ISENABLER) & BIT(GIC_SGI_KICK)) != 0;

	if (on && (ctlr & GICC_ENABLE) != 0 && prio < mask) {
		return false;
	}
	kick_open(cpu);
	mmio_write32(gic.gicc + GICC_PMR, 0xff);
	mmio_write32(gic.gicc + GICC_CTLR, ctlr | GICC_ENABLE);
	dsb_sy();		/* the interface is open before the core sleeps on it */
	wfi();
	mmio_write32(gic.gicc + GICC_CTLR, ctlr);
	mmio_write32(gic.gicc + GICC_PMR, mask);
	set_priority(cpu, GIC_SGI_KICK, prio);
	gic_enable(cpu, GIC_SGI_KICK, on);
	return true;
}

bool gic_doze_lent(uint32_t cpu)
{
	return gic.v3 ? doze_v3() : doze_v2(cpu);
}

uint32_t gic_ack(void)
{
	return (uint32_t)gic_quick_ack(gic.v3);
}

void gic_eoi(uint32_t iar)
{
	gic_quick_eoi(gic.v3, iar);
}

void gic_dir(uint32_t iar)
{
	gic_quick_dir(gic.v3, iar);
}

void gic_sgi(uint32_t cpu, uint32_t intid)
{
	gic_quick_call(gic.v3, gic.sgi_value[cpu] | (uint64_t)intid << (gic.v3 ? 24 : 0));
	isb();			/* the SGI goes out now, not when the pipeline likes */
}

/* ---- Virtual CPU interface of this core ---- */

void gic_hcr_write(uint32_t bits)
{
	gic_quick_hcr_set(gic.v3, bits);
}

uint32_t gic_eoicount_take(uint32_t hcr_bits)
{
	uint32_t n = (uint32_t)gic_quick_hcr_get(gic.v3) >> EOICOUNT_SHIFT;

	if (n != 0) {
		gic_hcr_write(hcr_bits);
	}
	return n;
}

void gic_virtual_reset(void)
{
	for (uint32_t i = 0; i < gic.lr_count; i++) {
		gic_lr_clear(i);
	}
	if (gic.v3) {
		write_ich_vmcr_el2(0);
		/* One preemption register more for each bit of ICH_VTR_EL2.PREbits above 5. */
		switch (read_ich_vtr_el2() >> 26 & 7) {
		case 6:
			write_ich_ap0r3_el2(0);
			write_ich_ap1r3_el2(0);
			write_ich_ap0r2_el2(0);
			write_ich_ap1r2_el2(0);
			/* fall through */
		case 5:
			write_ich_ap0r1_el2(0);
			write_ich_ap1r1_el2(0);
			/* fall through */
		default:
			write_ich_ap0r0_el2(0);
			write_ich_ap1r0_el2(0);
			break;
		}
	} else {
		mmio_write32(gic.gich + GICH_VMCR, 0);
		mmio_write32(gic.gich + GICH_APR, 0);
	}
}

uint32_t gic_lr_empty(void)
{
	return gic_quick_empty(gic.v3);
}

uint64_t gic_lr_word(const struct lr *lr)
{
	uint64_t v = lr->intid;

	if (gic.v3) {
		/* ICH_LR<n>_EL2, IHI 0069 12.4.14. */
		v |= (uint64_t)lr->state << 62 | (uint64_t)lr->group1 << 60 |
		     (uint64_t)lr->prio << 48;
		v |= lr->hw ? BIT64(61) | (uint64_t)lr->intid << 32 : lr->eoi ? BIT64(41) : 0;
	} else {
		/* GICH_LRn, IHI 0048 5.3.10. */
		v |= (uint32_t)lr->state << 28 | (uint32_t)lr->group1 << 30 |
		     (uint32_t)(lr->prio >> 3) << 23;
		v |= lr->hw ? BIT(31) | lr->intid << 10 :
		     (lr->eoi ? BIT(19) : 0) | (uint32_t)lr->source << 10;
	}
	return v;
}

void gic_lr_write(uint32_t i, const struct lr *lr)
{
	gic_quick_lr_set(gic.v3, i, gic_lr_word(lr));
}

void gic_lr_clear(uint32_t i)
{
	gic_quick_lr_set(gic.v3, i, 0);
}

uint32_t gic_lr_state(uint32_t i)
{
	uint64_t v = gic_quick_lr_get(gic.v3, i);

	return gic.v3 ? (uint32_t)(v >> 62) : (uint32_t)v >> 28 & 3;
}
