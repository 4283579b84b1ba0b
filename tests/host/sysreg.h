/* SPDX-License-Identifier: Apache-2.0 */
/* The twin of arch/arm64/sysreg.h: each register is a variable, sysreg_<name>. */
#ifndef SYSREG_H
#define SYSREG_H

#include <stdint.h>

#define SYSREG_READ(name, reg)						\
__attribute__((weak)) uint64_t sysreg_##name;				\
static inline uint64_t read_##name(void)				\
{									\
	return sysreg_##name;						\
}

#define SYSREG_WRITE(name, reg)						\
__attribute__((weak)) uint64_t sysreg_##name;				\
static inline void write_##name(uint64_t v)				\
{									\
	sysreg_##name = v;						\
}

#define SYSREG(name, reg) SYSREG_READ(name, reg) SYSREG_WRITE(name, reg)

#include "arm64/sysreg_list.h"

#undef SYSREG
#undef SYSREG_WRITE
#undef SYSREG_READ

#endif
