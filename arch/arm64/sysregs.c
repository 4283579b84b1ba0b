/* SPDX-License-Identifier: Apache-2.0 */
/* Trapped system registers: what a guest's processor says it has, and SGIs. */
#include "arch.h"
#include "gic.h"
#include "sysreg.h"
#include "trap.h"
#include "vgic.h"

/* ESR_EL2.ISS of a trapped MRS or MSR, without Rt and direction (DDI 0487 D19.2.37). */
#define ISS_READ	BIT(0)
#define ISS_REG		0x3ffc1eu
#define REG(op0, op1, crn, crm, op2) \
	((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (crm) << 1)
#define REG_CRM(reg)	((reg) >> 1 & 0xf)
#define REG_OP2(reg)	((reg) >> 17 & 7)

#define REG_CLASS	REG(3u, 7u, 15u, 0u, 0u)	/* op0, op1, CRn */
#define ID_CLASS	REG(3u, 0u, 0u, 0u, 0u)
#define ICC_CLASS	REG(3u, 0u, 12u, 0u, 0u)
#define INDEX(crm, op2)	((crm) * 8u + (op2))		/* in a class */

#define ACTLR_EL1	REG(3u, 0u, 1u, 0u, 1u)
#define MDRAR_EL1	REG(2u, 0u, 1u, 0u, 0u)
#define ICC_PMR		REG(3u, 0u, 4u, 6u, 0u)
/* Of ICC_CLASS. */
#define ICC_IAR0	INDEX(8, 0)
#define ICC_EOIR0	INDEX(8, 1)
#define ICC_HPPIR0	INDEX(8, 2)
#define ICC_BPR0	INDEX(8, 3)
#define ICC_AP0R0	INDEX(8, 4)
#define ICC_DIR		INDEX(11, 1)
#define ICC_RPR		INDEX(11, 3)
#define ICC_SGI1R	INDEX(11, 5)
#define ICC_ASGI1R	INDEX(11, 6)
#define ICC_SGI0R	INDEX(11, 7)
#define ICC_CTLR	INDEX(12, 4)
#define ICC_IGRPEN0	INDEX(12, 6)

#define CTLR_WRITABLE	3u			/* CBPR, EOImode */

/*
 * What guests see of an identification register, by CRm and op2: a bit for each
 * of its 16 fields of four bits, by name in DDI 0487 D19.2. Not shown: EL2, EL3,
 * RAS, SVE, SME, MTE, MPAM, AMU, pointer authentication, trace, statistical
 * profiling, LORegions, nested virtualization and what else needs a hypervisor's
 * help. What is not named reads as zero: not implemented.
 */
static const uint16_t id_shown[64] = {
	[INDEX(1, 0)] = 0x0007,		/* ID_PFR0 */
	[INDEX(1, 1)] = 0x0015,		/* ID_PFR1: no Security, Virtualization */
	[INDEX(1, 2)] = 0x0047,		/* ID_DFR0: no trace; PerfMon below */
	/* ID_MMFR0 to 3; ID_ISAR and ID_MMFR4; MVFR */
	[INDEX(1, 4)] = 0xffff, 0xffff, 0xffff, 0xffff,
	[INDEX(2, 0)] = 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
	[INDEX(3, 0)] = 0xffff, 0xffff, 0xffff,
	[INDEX(4, 0)] = 0xd073,		/* PFR0 */
	[INDEX(4, 1)] = 0x0003,		/* PFR1: BT, SSBS */
	[INDEX(5, 0)] = 0x00ad,		/* DFR0: debug; PMUVer below */
	[INDEX(6, 0)] = 0xffbf,		/* ISAR0: no TME */
	[INDEX(6, 1)] = 0x3f39,		/* ISAR1: no PAuth, LS64 */
	[INDEX(7, 0)] = 0x00f7,		/* MMFR0 */
	[INDEX(7, 1)] = 0x0229,		/* MMFR1: HAFDBS, HPDS, PAN, ETS */
	[INDEX(7, 2)] = 0xb1b7,		/* MMFR2: no IESB, NV, FWB, EVT */
};

#define DFR0_PMUVER	0xf00ull
#define ID_DFR0_PERFMON	0xf000000ull
#define PFR0_EL1	0xf0ull
#define PFR0_EL1_A64	0x10ull
#define MMFR0_PARANGE	0xfull
#define PARANGE_40	2u		/* the first that holds KZ_IPA_BITS */

static uint64_t id_read(uint32_t index)
{
	switch (index) {
	case INDEX(1, 0): return read_id_pfr0_el1();
	case INDEX(1, 1): return read_id_pfr1_el1();
	case INDEX(1, 2): return read_id_dfr0_el1();
	case INDEX(1, 4): return read_id_mmfr0_el1();
	case INDEX(1, 5): return read_id_mmfr1_el1();
	case INDEX(1, 6): return read_id_mmfr2_el1();
	case INDEX(1, 7): return read_id_mmfr3_el1();
	case INDEX(2, 0): return read_id_isar0_el1();
	case INDEX(2, 1): return read_id_isar1_el1();
	case INDEX(2, 2): return read_id_isar2_el1();
	case INDEX(2, 3): return read_id_isar3_el1();
	case INDEX(2, 4): return read_id_isar4_el1();
	case INDEX(2, 5): return read_id_isar5_el1();
	case INDEX(2, 6): return read_id_mmfr4_el1();
	case INDEX(2, 7): return read_id_isar6_el1();
	case INDEX(3, 0): return read_mvfr0_el1();
	case INDEX(3, 1): return read_mvfr1_el1();
	case INDEX(3, 2): return read_mvfr2_el1();
	case INDEX(4, 0): return read_id_aa64pfr0_el1();
	case INDEX(4, 1): return read_id_aa64pfr1_el1();
	case INDEX(5, 0): return read_id_aa64dfr0_el1();
	case INDEX(6, 0): return read_id_aa64isar0_el1();
	case INDEX(6, 1): return read_id_aa64isar1_el1();
	case INDEX(7, 0): return read_id_aa64mmfr0_el1();
	case INDEX(7, 1): return read_id_aa64mmfr1_el1();
	default: return read_id_aa64mmfr2_el1();
	}
}

static uint64_t id_value(const struct vcpu *v, uint32_t index)
{
	bool pmu = v->vm->cfg->level == KZ_HRT;
	uint64_t raw = id_read(index);
	uint64_t value = 0;

	for (uint32_t i = 0; i < 16; i++) {
		value |= (id_shown[index] >> i & 1) != 0 ? raw & 0xfull << i * 4 : 0;
	}
	switch (index) {
	case INDEX(1, 2):
		return pmu ? value : value & ~ID_DFR0_PERFMON;
	case INDEX(4, 0):
		return (value & ~PFR0_EL1) | PFR0_EL1_A64;
	case INDEX(5, 0):
		return pmu ? value : value & ~DFR0_PMUVER;
	case INDEX(7, 0):
		return (value & MMFR0_PARANGE) <= PARANGE_40 ? value :
		       (value & ~MMFR0_PARANGE) | PARANGE_40;
	default:
		return value;
	}
}

/* An HRT guest's SGI, trapped because it could reach foreign cores: its own cores get it. */
static void hrt_sgi(const struct vcpu *v, uint64_t value)
{
	uint64_t aff = (value >> 16 & 0xff00000000) | (value >> 16 & 0xff0000) |
		       (value >> 8 & 0xff00);
	uint32_t range = (uint32_t)(value >> 44 & 0xf) * 16;

	for (uint32_t i = 0; i < v->vm->cfg->vcpu_count; i++) {
		const struct vcpu *t = &v->vm->vcpu[i];
		uint64_t own = gic.affinity[t->cpu->id];
		uint32_t bit = (uint32_t)(own & 0xff) - range;
		bool hit = (value & BIT64(40)) != 0 ? t != v :
			   (own & ~0xffull) == aff && bit < 16 && (value & BIT64(bit)) != 0;

		if (hit) {
			gic_sgi(t->cpu->id, (uint32_t)(value >> 24) & 0xf);
		}
	}
}

/* Ends an interrupt of the guest's, and no other: SPIs are active for the whole machine. */
static void hrt_dir(struct vcpu *v, uint64_t value)
{
	uint32_t intid = (uint32_t)value & 0xffffff;

	if (intid < GIC_SGIS || vgic_has_twin(v, intid)) {
		write_icc_dir_el1(intid);
	}
}

/* Group 0, by ICH_HCR_EL2.TALL0: there, and never has an interrupt. */
static enum verdict hrt_group0(uint32_t reg, bool read, uint64_t *value)
{
	switch (reg) {
	case ICC_IAR0:
	case ICC_HPPIR0:
		*value = 1023;
		return read ? DONE : UNKNOWN;
	case ICC_EOIR0:
		return read ? UNKNOWN : DONE;
	case ICC_BPR0:
	case ICC_AP0R0:
	case ICC_IGRPEN0:
		*value = 0;
		return DONE;
	default:
		return UNKNOWN;
	}
}

/* What ICH_HCR_EL2.TC traps of an HRT guest's own CPU interface. */
static enum verdict hrt_icc(struct vcpu *v, uint32_t reg, bool read, uint64_t *value)
{
	switch (reg) {
	case ICC_SGI1R:
		hrt_sgi(v, *value);
		return read ? UNKNOWN : DONE;
	case ICC_ASGI1R:
	case ICC_SGI0R:
		return read ? UNKNOWN : DONE;	/* groups that this machine does not deliver */
	case ICC_CTLR:
		if (read) {
			*value = read_icc_ctlr_el1();
		} else {
			write_icc_ctlr_el1(*value & CTLR_WRITABLE);
		}
		return DONE;
	case ICC_RPR:
		*value = read_icc_rpr_el1();
		return read ? DONE : UNKNOWN;
	case ICC_DIR:
		if (!read) {
			hrt_dir(v, *value);
		}
		return read ? UNKNOWN : DONE;
	default:
		return hrt_group0(reg, read, value);
	}
}

static enum verdict icc_access(struct vcpu *v, uint32_t index, bool read, uint64_t *value)
{
	if (v->vm->arch.hrt) {
		return hrt_icc(v, index, read, value);
	}
	if (read || index < ICC_SGI1R || index > ICC_SGI0R) {
		return UNKNOWN;
	}
	vgic_sgi_register(v, *value, index == ICC_SGI1R);
	return DONE;
}

static enum verdict reg_access(struct vcpu *v, uint32_t reg, bool read, uint64_t *value)
{
	uint32_t class = reg & REG_CLASS;
	uint32_t index = INDEX(REG_CRM(reg), REG_OP2(reg));

	if (class == ID_CLASS && index >= INDEX(1, 0) && index <= INDEX(7, 7)) {
		*value = id_value(v, index);
		return read ? DONE : UNKNOWN;
	}
	if (reg == ACTLR_EL1 || reg == MDRAR_EL1) {
		*value = 0;			/* nothing to configure, no debug ROM */
		return DONE;
	}
	if (gic.v3 && class == ICC_CLASS) {
		return icc_access(v, index, read, value);
	}
	if (!gic.v3 || !v->vm->arch.hrt || reg != ICC_PMR) {
		return UNKNOWN;
	}
	if (read) {
		*value = read_icc_pmr_el1();
	} else {
		write_icc_pmr_el1(*value);
	}
	return DONE;
}

enum verdict sysreg_access(struct vcpu *v, uint32_t iss)
{
	uint32_t rt = iss >> 5 & 31;
	bool read = (iss & ISS_READ) != 0;
	uint64_t value = read ? 0 : v->arch.x[rt];
	enum verdict verdict = reg_access(v, iss & ISS_REG, read, &value);

	if (verdict == DONE && read && rt != 31) {
		v->arch.x[rt] = value;
	}
	return verdict;
}
