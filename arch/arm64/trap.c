/* SPDX-License-Identifier: Apache-2.0 */
#include "trap.h"

#include "arch.h"
#include "barrier.h"
#include "console.h"
#include "esr.h"
#include "gic.h"
#include "psci.h"
#include "sysreg.h"
#include "vectors.h"
#include "vgic.h"

#define FSC_PERMISSION	0x0cu		/* bits 5:2 of the fault status code */
#define PAR_FAILED	BIT64(0)
#define ADDR_PAGE	0xfffffffff000ull
#define HCR_VSE		BIT64(8)
#define HCR_TWI		BIT64(13)
#define EC_WFX		0x01u

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

struct vcpu *trap_call_long(struct vcpu *v, uint64_t esr)
{
	if ((esr & HVC_IMM) == 0) {
		smccc_call(v);
	} else {
		v->arch.x[0] = (uint64_t)PSCI_NOT_SUPPORTED;
	}
	return trap_finish(v);
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

/* Who answers: the GIC's frames, or a device that is no business of the port. */
static inline enum verdict answer(struct vcpu *v, struct access *a)
{
	const struct arch_vm *vm = &v->vm->arch;
	uint64_t at = a->addr;
	enum verdict verdict;

	if (at - vm->gicd.base < vm->gicd.size) {
		a->addr = at - vm->gicd.base;
		verdict = vgic_gicd(v, a);
	} else if (at - vm->gicr.base < vm->gicr.size) {
		a->addr = at - vm->gicr.base;
		verdict = gic.v3 ? vgic_gicr(v, a) : vgic_hrt_dir(v, a);
	} else {
		return mmio_access(v, a);
	}
	a->addr = at;
	return verdict;
}

/* Nobody answered, or the hardware does not say what the instruction wanted. */
static NOINLINE struct vcpu *bad_access(struct vcpu *v, struct access *a, enum verdict why)
{
	if ((__atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE) & HAZARD_STOP) == 0) {
		v->exits[EXIT_FAULT]++;
		vcpu_fault(v, a, why);
	}				/* else its memory is gone because it shall stop */
	return vcpu_work(v);
}

static struct vcpu *odd_abort(struct vcpu *v, uint64_t esr)
{
	struct access a = {
		.addr = fault_ipa(esr, read_far_el2()),
		.write = (esr & ISS_WNR) != 0,
	};

	return bad_access(v, &a, UNKNOWN);
}

/* The value of a signed load (DDI 0487 D19.2.37, SSE and SF). */
static uint64_t sign_extend(uint32_t iss, uint64_t value, uint32_t size)
{
	uint32_t unused = 64 - 8 * size;

	value = (uint64_t)((int64_t)(value << unused) >> unused);
	return (iss & ISS_SF) != 0 ? value : (uint32_t)value;
}

static struct vcpu *data_abort(struct vcpu *v, uint64_t esr)
{
	uint32_t iss = (uint32_t)esr;
	uint32_t rt = iss >> 16 & 31;
	uint32_t size = 1u << (iss >> 22 & 3);
	uint64_t mask = ~0ull >> (64 - 8 * size);
	struct access a;
	enum verdict verdict;

	if (UNLIKELY((iss & (ISS_ISV | ISS_S1PTW)) != ISS_ISV)) {
		return odd_abort(v, esr);
	}
	/* HPFAR_EL2.FIPA is the page of a translation fault; stage 2 raises no other here. */
	a.addr = (read_hpfar_el2() & ~0xfull) << 8 | (read_far_el2() & 0xfff);
	a.size = (uint8_t)size;
	a.write = (iss & ISS_WNR) != 0;
	a.fetch = false;
	a.value = v->arch.x[rt] & mask;
	verdict = answer(v, &a);
	if (UNLIKELY(verdict != DONE)) {
		return bad_access(v, &a, verdict);
	}
	v->exits[EXIT_MMIO]++;
	skip(esr);
	if (!a.write && rt != 31) {
		uint64_t value = a.value & mask;

		v->arch.x[rt] = (iss & ISS_SSE) != 0 ? sign_extend(iss, value, size) : value;
	}
	return trap_finish(v);
}

/* Everything that is not an access to data. */
static struct vcpu *other_sync(struct vcpu *v, uint64_t esr)
{
	struct access a = { .size = 4, .fetch = true };

	switch (ESR_EC(esr)) {
	case EC_IABT:
		a.addr = fault_ipa(esr, read_far_el2());
		return bad_access(v, &a, UNKNOWN);
	case EC_SYSREG:
		if (sysreg_access(v, (uint32_t)esr) == DONE) {
			v->exits[EXIT_SYSREG]++;
			skip(esr);
			break;
		}
		v->exits[EXIT_UNDEF]++;
		inject_undef();
		break;
	/* an HRT guest's; from here on it sleeps by itself, if it can be woken */
	case EC_WFX:
		v->exits[EXIT_WFX]++;
		if (gic_doze_lent(v->cpu->id)) {
			skip(esr);
		} else {
			write_hcr_el2(read_hcr_el2() & ~HCR_TWI);
		}
		break;
	default:		/* something that this VM's processor does not have */
		v->exits[EXIT_UNDEF]++;
		inject_undef();
		break;
	}
	return trap_finish(v);
}

struct vcpu *trap_sync_long(struct vcpu *v, uint64_t esr)
{
	return ESR_EC(esr) == EC_DABT ? data_abort(v, esr) : other_sync(v, esr);
}

struct vcpu *trap_serror(struct vcpu *v)
{
	/* An access of its own that the bus answered late: it comes back as the guest's SError. */
	__atomic_fetch_add(&v->vm->faults, 1, __ATOMIC_RELAXED);
	v->exits[EXIT_FAULT]++;
	write_hcr_el2(read_hcr_el2() | HCR_VSE);
	return trap_finish(v);
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
		/* nobody's: it shall not come back */
		gic_enable(arch_this_cpu()->id, intid, false);
	}
	return class;
}

/* Not the guest's, or nothing at all. */
static struct vcpu *other_irq(struct vcpu *v, uint32_t iar)
{
	enum exit_class class = EXIT_KICK;

	if ((iar & INTID) < GIC_SPURIOUS) {
		class = own_irq(iar, iar & INTID);
	}
	v->exits[class]++;
	if (class == EXIT_MAINT) {
		vgic_sync(v);
	}
	return trap_finish(v);
}

/* An interrupt whose priority is dropped, and for which there is no quick way. */
struct vcpu *trap_irq_long(struct vcpu *v, uint32_t iar)
{
	uint32_t intid = iar & INTID;

	if (!vgic_has_twin(v, intid)) {
		return other_irq(v, iar);
	}
	v->exits[EXIT_IRQ]++;
	vgic_hw_irq(v, intid);
	return trap_finish(v);
}

struct vcpu *trap_kick_long(struct vcpu *v)
{
	vgic_attend(v);
	return trap_finish(v);
}

void trap_irq_el2(struct percpu *cpu)
{
	uint32_t iar = gic_ack();
	uint32_t intid = iar & INTID;

	if (intid >= GIC_SPURIOUS) {
		return;
	}
	gic_eoi(iar);
	if (cpu->vcpu != NULL && vgic_has_twin(cpu->vcpu, intid)) {
		vgic_hw_irq(cpu->vcpu, intid);
	} else {
		(void)own_irq(iar, intid);
	}
}
