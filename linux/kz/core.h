/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF64 core file for AArch64, as Linux writes them: gdb opens it with registers and memory.
 * A vCPU is a thread, a region of RAM a segment; addresses are the guest's physical ones.
 */
#ifndef KZ_CORE_H
#define KZ_CORE_H

#include <stdio.h>

#include "vmi.h"

/*
 * core_header - all before the memory: headers and notes. *offset[r] is where the bytes of region r
 * belong (regions that are no RAM: 0). False, and errno, when it cannot be written.
 */
bool core_header(FILE *out, const struct vmi *vm, const struct kz_vcpu_registers *registers,
		 uint64_t offset[KZ_REGIONS_MAX]);

#endif
