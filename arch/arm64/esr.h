/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of ESR_EL2 and of the interrupt acknowledge registers, for those who decode an exit. */
#ifndef ESR_H
#define ESR_H

#include "types.h"

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
#define HVC_IMM		0xffffu

/* ICC_IAR1_EL1, GICC_IAR: without LPIs, ten bits of INTID. */
#define INTID		0x3ffu

#endif
