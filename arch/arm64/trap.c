/* SPDX-License-Identifier: Apache-2.0 */
#include "trap.h"

#include "arch.h"
#include "barrier.h"
#include "console.h"
#include "gic.h"
#include "psci.h"
#include "sysreg.h"
#include "vectors.h"

/* ESR_EL2 (DDI 0487 D19.2.37). */
#define ESR_EC(esr)	((uint32_t)(esr) >> 26)
#define EC_SMC		0x17u
#define EC_SYSREG	0x18u
#define EC_IABT		0x20u
#define EC_DABT		0x24u
#define ESR_IL		BIT(25)		/* a 32-bit instruction */
#define ISS_ISV		BIT(24)
#define ISS_SSE		BIT(21)
#define ISS_SF		BIT(15)
#define ISS_S1PTW	BIT(7)
#define ISS_WNR		BIT(6)
#define FSC_PERMISSION	0x0cu		/* bits 5:2 of the fault status code */
#define HVC_IMM		0xffffu
#define PAR_FAILED	BIT64(0)
#define ADDR_PAGE	0xfffffffff000ull
#define HCR_VSE		BIT64(8)

void trap_init_cpu(void)
{
	write_vbar_el2((uint64_t)vectors);
	isb();
}

/* Behind the instruction that was emulated. */
static void skip(uint64_t esr)
{
	write_elr_el2(read_elr_el2() + ((esr & ESR_IL) != 0 ? 4 : 2));
}

static struct vcpu *finish(struct vcpu *v)
{
	return UNLIKELY(v->hazard != 0) ? vcpu_work(v) : v;
}

struct vcpu *trap_call(struct vcpu *v, uint64_t esr)
{
	v->exits[EXIT_HCALL]++;
	if (ESR_EC(esr) == EC_SMC) {
		skip(esr);	/* HVC returns behind itself, a trapped SMC does not */
	}
	if (LIKELY((esr & HVC_IMM) == 0)) {
		smccc_call(v);
	} else {
		v->arch.x[0] = (uint64_t)PSCI_NOT_SUPPORTED;
	}
	return finish(v);
}

/* ---- Aborts ---- */

/*
 * Where the guest went. HPFAR_EL2 has it for a translation fault; for a
 * permission fault, which only a fetch from a device can be, stage 1 is asked.
 */
static uint64_t fault_ipa(uint64_t esr, uint64_t far)
{
	uint64_t page = (read_hpfar_el2() & ~0xfull) << 8;

	if ((esr & 0x3c) == FSC_PERMISSION && (esr & ISS_S1PTW) == 0) {
		uint64_t par = read_par_el1();
		uint64_t walk;

		at_s1e1r(far);
		isb();			/* the result of AT before it is read */
		walk = read_par_el1();
		write_par_el1(par);
		page = (walk & PAR_FAILED) != 0 ? 0 : walk & ADDR_PAGE;
	}
	return page | (far & 0xfff);
}

/* A load's value into its register, as the instruction wants it. */
static void load_result(struct vcpu *v, uint32_t iss, const struct access *a)
{
	uint32_t rt = iss >> 16 & 31;
	uint32_t unused = 64u - 8u * a->size;
	uint64_t value = a->value << unused >> unused;

	if ((iss & ISS_SSE) != 0) {
		value = (uint64_t)((int64_t)(value << unused) >> unused);
		if ((iss & ISS_SF) == 0) {
			value = (uint32_t)value;
		}
	}
	if (rt != 31) {
		v->arch.x[rt] = value;
	}
}

static void data_abort(struct vcpu *v, uint64_t esr)
{
	uint32_t iss = (uint32_t)esr;
	uint32_t rt = iss >> 16 & 31;
	bool plain = (iss & (ISS_ISV | ISS_S1PTW)) == ISS_ISV;
	struct access a = {
		.addr = fault_ipa(esr, read_far_el2()),
		.size = plain ? (uint8_t)(1u << (iss >> 22 & 3)) : 0,
		.write = (iss & ISS_WNR) != 0,
	};
	enum verdict verdict;

	if (a.write && rt != 31) {
		uint32_t unused = 64u - 8u * a.size;

		a.value = plain ? v->arch.x[rt] << unused >> unused : 0;
	}
	verdict = mmio_access(v, &a);
	if (LIKELY(verdict == DONE)) {
		v->exits[EXIT_MMIO]++;
		if (!a.write) {
			load_result(v, iss, &a);
		}
		skip(esr);
	} else {
		v->exits[EXIT_FAULT]++;
		vcpu_fault(v, &a, verdict);
	}
}

static void instruction_abort(struct vcpu *v, uint64_t esr)
{
	struct access a = {
		.addr = fault_ipa(esr, read_far_el2()),
		.size = 4,
		.fetch = true,
	};

	v->exits[EXIT_FAULT]++;
	vcpu_fault(v, &a, UNKNOWN);
}

static bool is_revoked(struct vcpu *v)
{
	return (__atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE) & HAZARD_STOP) != 0;
}

/* Something that this VM's processor does not have. */
static void undefined(struct vcpu *v)
{
	v->exits[EXIT_UNDEF]++;
	inject_undef();
}

struct vcpu *trap_sync(struct vcpu *v, uint64_t esr)
{
	switch (ESR_EC(esr)) {
	case EC_DABT:
		if (LIKELY(!is_revoked(v))) {
			data_abort(v, esr);
		}
		break;
	case EC_IABT:
		if (!is_revoked(v)) {
			instruction_abort(v, esr);
		}
		break;
	case EC_SYSREG:
		if (sysreg_access(v, (uint32_t)esr) == DONE) {
			v->exits[EXIT_SYSREG]++;
			skip(esr);
		} else {
			undefined(v);
		}
		break;
	default:
		undefined(v);
		break;
	}
	return finish(v);
}

struct vcpu *trap_serror(struct vcpu *v)
{
	/* An access of its own that the bus answered late: it comes back as the guest's SError. */
	__atomic_fetch_add(&v->vm->faults, 1, __ATOMIC_RELAXED);
	v->exits[EXIT_FAULT]++;
	write_hcr_el2(read_hcr_el2() | HCR_VSE);
	return finish(v);
}

void trap_bug(uint64_t vector)
{
	hv_panic("exception %lu at EL2: ESR 0x%lx ELR 0x%lx FAR 0x%lx, core %u",
		 (unsigned long)vector, (unsigned long)read_esr_el2(),
		 (unsigned long)read_elr_el2(), (unsigned long)read_far_el2(),
		 arch_this_cpu()->id);
}

/* ---- Interrupts ---- */

/* An interrupt of ours, or of nobody; its priority is dropped. */
static enum exit_class own_irq(uint32_t iar, uint32_t intid)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	enum exit_class class = EXIT_KICK;

	gic_dir(iar);
	if (intid == m->htimer_intid) {
		write_cnthp_ctl_el2(0);		/* the line is a level */
		hv_timer();
	} else if (intid == m->uart_intid) {
		hv_uart_irq();
	} else if (intid == m->maint_intid) {
		class = EXIT_MAINT;
	} else if (intid >= GIC_SGIS) {
		gic_enable(arch_this_cpu()->id, intid, false);	/* nobody's: it shall not come back */
	}
	return class;
}

static bool is_guests(struct vcpu *v, uint32_t intid)
{
	return (vgic_bank_of(v, intid)->hw & BIT(intid % 32)) != 0 &&
	       intid < v->vm->cfg->irq_lines;
}

struct vcpu *trap_irq(struct vcpu *v)
{
	uint32_t iar = gic_ack();
	uint32_t intid = iar & 0x3ff;

	if (UNLIKELY(intid >= GIC_SPURIOUS)) {
		v->exits[EXIT_KICK]++;
		return finish(v);
	}
	gic_eoi(iar);
	if (LIKELY(is_guests(v, intid))) {
		v->exits[EXIT_IRQ]++;
		vgic_hw_irq(v, intid);
	} else {
		enum exit_class class = own_irq(iar, intid);

		v->exits[class]++;
		if (class == EXIT_MAINT) {
			vgic_sync(v);
		}
	}
	return finish(v);
}

void trap_irq_el2(struct percpu *cpu)
{
	uint32_t iar = gic_ack();
	uint32_t intid = iar & 0x3ff;

	(void)cpu;
	if (intid < GIC_SPURIOUS) {
		gic_eoi(iar);
		(void)own_irq(iar, intid);
	}
}
