/* SPDX-License-Identifier: Apache-2.0 */
/* System registers and single instructions, as functions (DDI 0487, D13 and C6). */
#ifndef GUEST_SYSREG_H
#define GUEST_SYSREG_H

#include <stdint.h>

#define SYSREG_READ(name, reg)                                                                     \
	static inline uint64_t read_##name(void)                                                   \
	{                                                                                          \
		uint64_t value;                                                                    \
		__asm__ volatile("mrs %0, " reg : "=r"(value)::"memory");                          \
		return value;                                                                      \
	}

#define SYSREG_WRITE(name, reg)                                                                    \
	static inline void write_##name(uint64_t value)                                            \
	{                                                                                          \
		__asm__ volatile("msr " reg ", %0" ::"r"(value) : "memory");                       \
	}

SYSREG_READ(cntfrq_el0, "cntfrq_el0")
SYSREG_READ(cntvct_el0, "cntvct_el0")
SYSREG_WRITE(cntv_cval_el0, "cntv_cval_el0")
SYSREG_WRITE(cntv_ctl_el0, "cntv_ctl_el0")
SYSREG_READ(ctr_el0, "ctr_el0")
SYSREG_READ(mpidr_el1, "mpidr_el1")
SYSREG_WRITE(mair_el1, "mair_el1")
SYSREG_WRITE(tcr_el1, "tcr_el1")
SYSREG_WRITE(ttbr0_el1, "ttbr0_el1")
SYSREG_READ(sctlr_el1, "sctlr_el1")
SYSREG_WRITE(sctlr_el1, "sctlr_el1")
/* The GICv3 CPU interface (IHI 0069, 12.2). */
SYSREG_READ(icc_sre_el1, "s3_0_c12_c12_5")
SYSREG_WRITE(icc_sre_el1, "s3_0_c12_c12_5")
SYSREG_WRITE(icc_pmr_el1, "s3_0_c4_c6_0")
SYSREG_WRITE(icc_igrpen1_el1, "s3_0_c12_c12_7")
SYSREG_READ(icc_iar1_el1, "s3_0_c12_c12_0")
SYSREG_WRITE(icc_eoir1_el1, "s3_0_c12_c12_1")

static inline void cpu_isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

static inline void cpu_dsb(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

static inline void cpu_wfi(void)
{
	__asm__ volatile("wfi" ::: "memory");
}

static inline void cpu_irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2" ::: "memory");
}

static inline void cpu_irq_disable(void)
{
	__asm__ volatile("msr daifset, #2" ::: "memory");
}

static inline void cpu_dc_ivac(uintptr_t address)
{
	__asm__ volatile("dc ivac, %0" ::"r"(address) : "memory");
}

static inline void cpu_ic_iallu(void)
{
	__asm__ volatile("ic iallu" ::: "memory");
}

static inline void cpu_tlbi_vmalle1(void)
{
	__asm__ volatile("tlbi vmalle1" ::: "memory");
}

#endif
