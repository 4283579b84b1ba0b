/* SPDX-License-Identifier: Apache-2.0 */
/* A blob that is right, for those who want to spoil it. */
#ifndef BLOB_MAKE_H
#define BLOB_MAKE_H

#include <string.h>

#include "blob.h"

#define BLOB_MAKE_VMS   3u
#define BLOB_MAKE_SIZE  (sizeof(struct kz_cfg) + BLOB_MAKE_VMS * sizeof(struct kz_cfg_vm))
#define BLOB_MAKE_IMAGE 0x40200000ull

static inline void blob_make_machine(struct kz_cfg_machine *m, uint32_t gic_version)
{
	memcpy(m->board, "board", 6);
	m->cpu_count = 4;
	m->ram_count = 2;
	for (uint32_t i = 0; i < 4; i++) {
		m->mpidr[i] = i;
	}
	m->ram[0] = (struct kz_cfg_ram){ 0x40000000, 0x40000000 };
	m->ram[1] = (struct kz_cfg_ram){ 0x800000000, 0x40000000 };
	m->gic_version = gic_version;
	m->gic_lines = 192;
	m->gicd_pa = 0x8000000;
	if (gic_version == 2) {
		m->gicc_pa = 0x8010000;
		m->gich_pa = 0x8030000;
		m->gicv_pa = 0x8040000;
	} else {
		m->gicr_pa = 0x80a0000;
		m->gicr_size = 4 * KZ_GICR_SIZE;
	}
	m->vtimer_intid = 27;
	m->ptimer_intid = 30;
	m->htimer_intid = 26;
	m->maint_intid = 25;
	m->pmu_intid = 23;
	m->uart = KZ_UART_PL011;
	m->uart_intid = 33;
	m->uart_pa = 0x9000000;
	m->reserve_ppm[0] = 50000;
	m->block_ns = 10000;
	m->trace_chunks = 2;
	m->trace_pa = 0x4fe00000;
}

static inline void blob_make_vm(struct kz_cfg_vm *vm, uint32_t index)
{
	static const char names[BLOB_MAKE_VMS][6] = { "linux", "hello", "servo" };

	memcpy(vm->name, names[index], 6);
	vm->level = (index == 2) ? KZ_HRT : KZ_NRT;
	vm->console = (index == 1) ? KZ_CONSOLE_RING : KZ_CONSOLE_PL011;
	vm->vcpu_count = (index == 0) ? 2 : 1;
	vm->cpu[0] = (uint8_t)((index == 0) ? 0 : index + 1);
	vm->cpu[1] = (index == 0) ? 1 : 0;
	vm->server.weight = (index == 2) ? 0 : KZ_WEIGHT_DEFAULT;
	vm->irq_lines = 96;
	vm->console_intid = (index == 1) ? 0 : (index == 2) ? 90 : 33;
	vm->entry = 0x40000000;
	vm->arg = 0x401ff000;
	vm->gicd_ipa = 0x8000000;
	vm->gicc_ipa = 0x80a0000;
	vm->console_ipa = (index == 1) ? 0x401fe000 : 0x9000000;
	vm->region_count = 2;
	vm->region[0] = (struct kz_cfg_region){ 0x40000000, 0x50000000 + index * 0x200000ull,
						0x200000, KZ_REGION_RAM, 0 };
	vm->region[1] = (struct kz_cfg_region){ 0xa000000 + index * 0x1000ull,
						0xa000000 + index * 0x1000ull, 0x1000,
						KZ_REGION_DEVICE, 0 };
	vm->load_count = 2;
	vm->load[0] = (struct kz_cfg_load){ 0x40000000, 0x2000, 0x5000 };
	vm->load[1] = (struct kz_cfg_load){ 0x401ff000, 0x8000 + index * 0x1000ull, 0x1000 };
	vm->irq_count = 1;
	vm->irq[0] = (struct kz_cfg_irq){ 48 + index, (index == 1) ? KZ_IRQ_EDGE : 0 };
}

/* blob_make - fill BLOB_MAKE_SIZE zeroed bytes with three VMs on four cores. */
static inline void blob_make(struct kz_cfg *cfg, uint32_t gic_version)
{
	struct kz_cfg_vm *vm = (struct kz_cfg_vm *)(void *)(cfg + 1);

	memset(cfg, 0, BLOB_MAKE_SIZE);
	cfg->magic = KZ_BLOB_MAGIC;
	cfg->version = KZ_BLOB_VERSION;
	cfg->size = BLOB_MAKE_SIZE;
	cfg->vm_count = BLOB_MAKE_VMS;
	cfg->image_pa = BLOB_MAKE_IMAGE;
	cfg->image_size = 0x20000;
	cfg->blob_offset = 0x10000;
	blob_make_machine(&cfg->machine, gic_version);
	for (uint32_t i = 0; i < BLOB_MAKE_VMS; i++) {
		blob_make_vm(&vm[i], i);
	}
}

#endif
