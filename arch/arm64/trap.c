/* SPDX-License-Identifier: Apache-2.0 */
#include "trap.h"

#include "arch.h"
#include "barrier.h"
#include "console.h"
#include "esr.h"
#include "gic.h"
#include "psci.h"
#include "sysreg.h"
#include "trace.h"
#include "uart.h"
#include "vectors.h"
#include "vgic.h"
#include "vgic_quick.h"

#define FSC_PERMISSION	0x0cu		/* bits 5:2 of the fault status code */
#define PAR_FAILED	BIT64(0)
#define ADDR_PAGE	0xfffffffff000ull
#define HCR_VSE		BIT64(8)
#define HCR_TWI		BIT64(13)
#define EC_WFX		0x01u
#define EC_FP		0x07u
/* ISS of EC 0x18 without direction and Rt: op0 21:20, op2 19:17, op1 16:14, CRn 13:10, CRm 4:1 */
#define ISS_MDSCR	(2u << 20 | 2u << 17 | 2u << 1)
/* CNTP_TVAL_EL0, CNTP_CTL_EL0, CNTP_CVAL_EL0: 3, 3, 14, 2, 0 to 2; op2, Rt and direction aside */
#define ISS_CNTP	(3u << 20 | 3u << 14 | 14u << 10 | 2u << 1)
#define ISS_CNTP_MASK	(0x1ffffffu & ~(7u << 17 | 31u << 5 | 1u))
#define ISS_OSLSR	(2u << 20 | 4u << 17 | 1u << 10 | 1u << 1)

void trap_init_cpu(void)
{
	write_vbar_el2((uint64_t)vectors);
	isb();
}

struct vcpu *trap_finish(struct vcpu *v)
{
	if (v->hazard != 0) {
		v = vcpu_work(v);
	}
	trace_run(v);
	return v;
}

/* What the record of an exit says; of arg, bits 15:0. */
static ALWAYS_INLINE uint32_t exit_word(uint32_t class, uint32_t arg)
{
	return (KZ_TRACE_EXIT + class) + (arg << 16);
}

/* The exit of v, which executes here, begins, or began at `now`. */
static ALWAYS_INLINE void leave_at(struct vcpu *v, uint64_t now, uint32_t class, uint32_t arg)
{
	trace_at(v->cpu, now, exit_word(class, arg));
}

static ALWAYS_INLINE void leave(struct vcpu *v, uint32_t class, uint32_t arg)
{
	trace_now(v->cpu, exit_word(class, arg));
}

/* Behind the instruction that was emulated. */
static void skip(uint64_t esr)
{
	write_elr_el2(read_elr_el2() + ((esr & ESR_IL) != 0 ? 4 : 2));
}

struct vcpu *turn_next(struct vcpu *v)
{
	return sched_next(v->cpu);
}

struct vcpu *trap_call_long(struct vcpu *v, uint64_t esr)
{
	leave(v, KZ_TRACE_HCALL, KZ_TRACE_CALL(v->arch.x[0]));
	if ((esr & HVC_IMM) != 0) {
		v->arch.x[0] = (uint64_t)PSCI_NOT_SUPPORTED;
	} else if (smccc_call(v)) {
		if (v->arch.kick != 0 && v->cpu->sched.shared) {	/* since this call */
			v->arch.kick = 0;
			vcpu_share(v);
		}
		return trap_next(v);
	}
	return trap_finish(v);
}

bool vcpu_wait(struct vcpu *v)
{
	if (v->hazard != 0 || vgic_has_work(v)) {
		return false;
	}
	sched_block(v);
	return true;
}

/* WFI. An HRT guest's: from here on it sleeps by itself, if it can be woken. */
static struct vcpu *wait(struct vcpu *v, uint64_t esr)
{
	v->exits[EXIT_WFX]++;
	if (!v->vm->arch.hrt) {
		skip(esr);
		if (vcpu_wait(v)) {
			v = sched_next(v->cpu);
			trace_run(v);
			return v;
		}
		return trap_finish(v);
	}
	if (gic_doze_lent(v->cpu->id)) {
		skip(esr);
	} else {
		write_hcr_el2(read_hcr_el2() & ~HCR_TWI);
	}
	return trap_finish(v);
}

/*
 * Breakpoints and watchpoints, on a shared core: there are none (docs/caveats.md); single step and
 * the like are the guest's, switched with it. False: not such a register.
 */
static bool debug_access(struct vcpu *v, uint32_t iss)
{
	uint32_t reg = iss & 0x3ffc1e & ~(31u << 5);
	uint32_t rt = iss >> 5 & 31;
	uint64_t value = 0;

	if (iss >> 20 != 2 || !v->cpu->sched.shared) {
		return false;
	}
	if ((iss & 1) == 0) {
		if (reg == ISS_MDSCR) {
			write_mdscr_el1(v->arch.x[rt]);
			v->cpu->arch.odd |= v->arch.x[rt] != 0 ? ODD_REGISTERS : 0;
		}
		return true;
	}
	if (reg == ISS_MDSCR) {
		value = read_mdscr_el1();
	} else if (reg == ISS_OSLSR) {
		value = 8;			/* implemented, unlocked */
	}
	if (rt != 31) {
		v->arch.x[rt] = value;
	}
	return true;
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
	/* Else its memory is gone because it shall stop, or pause: then the next fetch aborts. */
	if ((__atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE) & (HAZARD_STOP | HAZARD_PAUSE)) == 0) {
		v->exits[EXIT_FAULT]++;
		vcpu_fault(v, a, why);
	}
	return trap_finish(v);
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

	/* HPFAR_EL2.FIPA is the page of a translation fault; stage 2 raises no other here. */
	a.addr = (read_hpfar_el2() & ~0xfull) << 8 | (read_far_el2() & 0xfff);
	leave(v, KZ_TRACE_MMIO, (uint32_t)(a.addr >> 2));
	if (UNLIKELY((iss & (ISS_ISV | ISS_S1PTW)) != ISS_ISV)) {
		return odd_abort(v, esr);
	}
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

static void leave_sync(struct vcpu *v, uint64_t esr)
{
	uint32_t iss = (uint32_t)esr;

	switch (ESR_EC(esr)) {
	case EC_SYSREG:			/* op0, op1, CRn, CRm, op2, as instructions have them */
		leave(v, KZ_TRACE_SYSREG, (iss >> 20 & 3) << 14 | (iss >> 14 & 7) << 11 |
		      (iss >> 10 & 15) << 7 | (iss >> 1 & 15) << 3 | (iss >> 17 & 7));
		break;
	case EC_WFX:
		leave(v, KZ_TRACE_WFX, 0);
		break;
	case EC_FP:
		leave(v, KZ_TRACE_FP, 0);
		break;
	case EC_IABT:
		leave(v, KZ_TRACE_FAULT, 0);
		break;
	default:
		leave(v, KZ_TRACE_UNDEF, 0);
		break;
	}
}

/* Everything that is not an access to data. */
static struct vcpu *other_sync(struct vcpu *v, uint64_t esr)
{
	struct access a = { .size = 4, .fetch = true };

	leave_sync(v, esr);
	switch (ESR_EC(esr)) {
	case EC_IABT:
		if ((__atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE) & HAZARD_PAUSE) != 0 &&
		    v->vm->arch.hrt) {
			arch_vcpu_freeze(v);	/* all registers are in struct vcpu */
			return trap_finish(v);
		}
		a.addr = fault_ipa(esr, read_far_el2());
		return bad_access(v, &a, UNKNOWN);
	case EC_SYSREG:
		if ((esr & ISS_CNTP_MASK) == ISS_CNTP) {
			v->exits[EXIT_SYSREG]++;
			vcpu_use_ptimer(v);
			break;		/* again, and for good */
		}
		if (debug_access(v, (uint32_t)esr & 0x1ffffff) ||
		    sysreg_access(v, (uint32_t)esr) == DONE) {
			v->exits[EXIT_SYSREG]++;
			skip(esr);
			break;
		}
		v->exits[EXIT_UNDEF]++;
		inject_undef();
		break;
	case EC_WFX:
		return wait(v, esr);
	case EC_FP:			/* another vCPU's registers are there */
		fp_take(v);
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
	leave(v, KZ_TRACE_FAULT, 0);
	__atomic_fetch_add(&v->vm->faults, 1, __ATOMIC_RELAXED);
	v->exits[EXIT_FAULT]++;
	write_hcr_el2(read_hcr_el2() | HCR_VSE);
	v->cpu->arch.odd |= ODD_REGISTERS;
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
		write_cnthp_ctl_el2(0);		/* the line is a level; arch_timer_arm follows */
	} else if (intid == m->uart_intid) {
		uart_quiet(intid);
		sched_console(arch_this_cpu());
	} else if (intid == m->maint_intid) {
		class = EXIT_MAINT;
	} else if (intid >= GIC_SGIS) {
		/* nobody's: it shall not come back */
		gic_enable(arch_this_cpu()->id, intid, false);
	}
	return class;
}

/* Not the guest's, or nothing at all. */
static struct vcpu *other_irq(struct vcpu *v, uint32_t iar, uint64_t now)
{
	enum exit_class class = EXIT_KICK;
	uint32_t maint = machine.cfg->machine.maint_intid;

	leave_at(v, now, (iar & INTID) == maint ? KZ_TRACE_MAINT : KZ_TRACE_KICK, iar & INTID);
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
struct vcpu *trap_irq_long(struct vcpu *v, uint32_t iar, uint64_t now)
{
	uint32_t intid = iar & INTID;
	struct vcpu *t;

	if (vgic_has_twin(v, intid)) {
		leave_at(v, now, KZ_TRACE_IRQ, intid);
		v->exits[EXIT_IRQ]++;
		vgic_hw_irq(v, intid);
		return trap_finish(v);
	}
	t = vgic_target(intid);
	if (t != NULL && (t->cpu == v->cpu || !t->vm->arch.hrt)) {
		leave_at(v, now, KZ_TRACE_IRQ, intid);
		if (t->cpu == v->cpu) {		/* else it was retargeted meanwhile */
			t->exits[EXIT_IRQ]++;
			sched_blame(t, now);
		}
		vgic_hw_irq(t, intid);
		return trap_next(v);
	}
	if (intid == GIC_SGI_SCHED || intid == machine.cfg->machine.uart_intid) {
		leave_at(v, now, KZ_TRACE_KICK, intid);
		v->exits[EXIT_KICK]++;
		(void)own_irq(iar, intid);
		/* The SGI is for the inbox; of the console the quick way knows. */
		return intid == GIC_SGI_SCHED ? trap_next(v) : trap_sched(v, arch_count());
	}
	return other_irq(v, iar, now);
}

struct vcpu *trap_kick_long(struct vcpu *v, uint64_t now)
{
	leave_at(v, now, KZ_TRACE_KICK, GIC_SGI_KICK);
	vgic_attend(v);
	return trap_finish(v);
}

void trap_irq_el2(struct percpu *cpu)
{
	uint32_t iar = gic_ack();
	uint32_t intid = iar & INTID;
	struct vcpu *v;

	trace_now(cpu, KZ_TRACE_WAKE | TRACE_ARG(intid));
	if (intid >= GIC_SPURIOUS) {
		return;
	}
	gic_eoi(iar);
	v = intid < GIC_PRIVATE ? cpu->vcpu : vgic_target(intid);
	if (v != NULL && (v->cpu == cpu || !v->vm->arch.hrt) && vgic_has_twin(v, intid)) {
		bool loaded = v->cpu == cpu && vgic_is_loaded(v);

		if (!loaded || intid >= GIC_PRIVATE ||
		    !vgic_quick_again(v, intid, gic.v3, true, 0)) {
			vgic_hw_irq(v, intid);
		}
		if (loaded) {
			sched_wake(v);
		}
	} else {
		(void)own_irq(iar, intid);
	}
}
