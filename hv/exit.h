/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a guest left, told without the processor's words: the port decodes its
 * syndrome once, and nobody behind it sees a register of the machine.
 */
#ifndef HV_EXIT_H
#define HV_EXIT_H

#include "types.h"

enum exit_class {
	EXIT_HCALL,		/* HVC or SMC */
	EXIT_MMIO,		/* access to an emulated device */
	EXIT_SYSREG,		/* trapped system register */
	EXIT_FAULT,		/* access to nothing, or one that cannot be emulated */
	EXIT_UNDEF,		/* something that this VM does not have */
	EXIT_WFX,		/* WFI or WFE, where trapped */
	EXIT_IRQ,		/* an interrupt for the guest */
	EXIT_MAINT,		/* list registers want a refill */
	EXIT_KICK,		/* another core, or the console, wanted this core */
	EXIT_CLASSES,
};

/* What an emulator says of an access. */
enum verdict {
	DONE,			/* emulated; go on behind the instruction */
	UNKNOWN,		/* there is nothing here: answered as a bus does */
	FORBIDDEN,		/* there is, and not for this VM: the same, and reported as such */
};

/* One load or store of a guest. */
struct access {
	uint64_t addr;		/* ipa; an emulator gets the offset in its frame */
	uint64_t value;		/* what is written, or what was read */
	uint8_t size;		/* bytes: 1, 2, 4, 8; 0 when the syndrome does not say */
	bool write;
	bool fetch;		/* it was an instruction fetch */
};

#endif
