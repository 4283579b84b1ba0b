/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System registers and maintenance instructions, one instruction a function
 * (DDI 0487 D19; IHI 0069 12 for ICC_ and ICH_). The host tests have a twin of
 * this file in which the same names are variables.
 */
#ifndef SYSREG_H
#define SYSREG_H

#include <stdint.h>

#define SYSREG_READ(name, reg)						\
static inline uint64_t read_##name(void)				\
{									\
	uint64_t v;							\
									\
	__asm__ volatile("mrs %0, " reg : "=r"(v) : : "memory");	\
	return v;							\
}

#define SYSREG_WRITE(name, reg)						\
static inline void write_##name(uint64_t v)				\
{									\
	__asm__ volatile("msr " reg ", %x0" : : "rZ"(v) : "memory");	\
}

#define SYSREG(name, reg) SYSREG_READ(name, reg) SYSREG_WRITE(name, reg)

#include "sysreg_list.h"

#undef SYSREG
#undef SYSREG_WRITE
#undef SYSREG_READ

#define SYSOP(name, op)							\
static inline void name(uint64_t v)					\
{									\
	__asm__ volatile(op ", %0" : : "r"(v) : "memory");		\
}

#define SYSOP0(name, op)						\
static inline void name(void)						\
{									\
	__asm__ volatile(op : : : "memory");				\
}

SYSOP(dc_zva, "dc zva")
SYSOP(dc_civac, "dc civac")
SYSOP(dc_ivac, "dc ivac")
SYSOP(at_s1e1r, "at s1e1r")
SYSOP0(tlbi_vmalls12e1is, "tlbi vmalls12e1is")
SYSOP0(tlbi_vmalls12e1, "tlbi vmalls12e1")
SYSOP0(tlbi_alle2is, "tlbi alle2is")
SYSOP0(ic_ialluis, "ic ialluis")

#undef SYSOP
#undef SYSOP0

#endif
