/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's own address space, and the stage-2 maps of VMs. */
#ifndef MMU_H
#define MMU_H

#include <kizami/blob.h>
#include "types.h"

struct vm;

/*
 * Map what the blob names: RAM of the VMs (never executable), frames of the GIC
 * and of the console. Boot core, once, before vm_init. KZ_ENOMEM: out of tables.
 */
MUST_USE enum kz_err mmu_map_machine(const struct kz_cfg *cfg);

/* Map the console's frame alone, so that a refused blob can be reported. */
MUST_USE enum kz_err mmu_map_console(uint64_t uart_pa);

/* Where the image lies: to_ptr of struct pt. */
extern uint64_t image_to_ptr;

/* Build the VM's stage 2: its regions, and its GIC CPU interface where the GIC is version 2. */
MUST_USE enum kz_err s2_build(struct vm *vm);

/* Take, and give back, the VM's whole memory at once (DESIGN, revocation). */
void s2_revoke(struct vm *vm);
void s2_grant(struct vm *vm);

#endif
