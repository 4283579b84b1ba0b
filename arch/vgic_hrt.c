/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distributor that an HRT guest sees: the physical one, as far as it is the
 * guest's. What it owns it reads and writes in the hardware; the rest reads as
 * zero and takes no write. The CPU interface is its own, and no exit is needed
 * to take an interrupt. INTIDs, priorities and affinities are the machine's.
 */
#include "arch.h"
#include "gic.h"
#include "vgic.h"

/* Bits of `bank` (INTIDs / 32) that are the guest's on vCPU `owner`. */
static uint32_t owned(const struct vcpu *owner, uint32_t bank)
{
	if (bank == 0) {
		return owner->arch.vgic.bank.hw | (BIT(GIC_SGIS) - 1);
	}
	return bank < owner->vm->cfg->irq_lines / 32 ? owner->vm->lines.spi[bank - 1].hw : 0;
}

static void bits_access(const struct vcpu *owner, uint32_t offset, uint32_t intid,
			struct access *a)
{
	uint32_t mask = owned(owner, intid / 32);
	uint64_t at = gic_frame(owner->cpu->id, intid) + offset;

	if (!a->write) {
		a->value = mmio_read32(at) & mask;
	} else if (offset >= GICD_ISENABLER) {		/* ones act, zeros do nothing */
		mmio_write32(at, (uint32_t)a->value & mask);
	}
	/* Groups stay ours: all in the one that signals IRQ. */
}

static void config_access(const struct vcpu *owner, uint32_t offset, uint32_t intid,
			  struct access *a)
{
	uint32_t own = owned(owner, intid / 32) >> intid % 32 & 0xffff;
	uint32_t mask = 0;

	for (uint32_t i = 0; i < 16; i++) {
		mask |= (own & BIT(i)) != 0 ? 3u << i * 2 : 0;
	}
	if (!a->write) {
		a->value = mmio_read32(gic_frame(owner->cpu->id, intid) + offset) & mask;
	} else if (intid >= GIC_PRIVATE) {
		gic_config(intid, mask, (uint32_t)a->value);
	}
}

void vgic_hrt_word(const struct vcpu *owner, uint32_t offset, uint32_t intid, struct access *a)
{
	if (offset < GICD_IPRIORITYR) {
		bits_access(owner, offset, intid, a);
	} else {
		config_access(owner, offset, intid, a);
	}
}

uint32_t vgic_hrt_byte(const struct vcpu *owner, uint32_t offset, bool write, uint32_t value)
{
	uint32_t intid = offset & 0x3ff;
	volatile uint8_t *at =
		(volatile uint8_t *)(gic_frame(owner->cpu->id, intid) + offset);
	bool targets = offset >= GICD_ITARGETSR;

	if (targets && intid < GIC_PRIVATE) {
		return *at;		/* which core this is */
	}
	if ((owned(owner, intid / 32) & BIT(intid % 32)) == 0) {
		return 0;
	}
	if (write) {
		*at = (uint8_t)(targets ? value & owner->vm->arch.vgic.cores : value);
	}
	return *at;
}

void vgic_hrt_router(struct vcpu *v, uint32_t offset, struct access *a)
{
	uint32_t intid = (offset - GICD_IROUTER) / 8;
	uint64_t at = gic.gicd + (offset & ~7u);

	if ((owned(v, intid / 32) & BIT(intid % 32)) == 0 || (offset & 4) != 0) {
		a->value = 0;
	} else if (!a->write) {
		a->value = *(volatile const uint64_t *)at & (a->size == 8 ? ~0ull : ~0u);
	} else {
		/* To one of its own cores; to the first one if it names another. */
		const struct vcpu *to = vgic_vcpu_of(v->vm, a->value);

		gic_route(intid, (to != NULL ? to : v->vm->vcpu)->cpu->id);
	}
}

enum verdict vgic_hrt_dir(struct vcpu *v, struct access *a)
{
	uint32_t intid = (uint32_t)a->value & 0x3ff;

	if (a->size != 4 || (a->addr & 3) != 0) {
		return UNKNOWN;
	}
	if (a->write && a->addr == 0 && (intid < GIC_SGIS || vgic_has_twin(v, intid))) {
		gic_dir((uint32_t)a->value);
	}
	a->value = 0;
	return DONE;
}
