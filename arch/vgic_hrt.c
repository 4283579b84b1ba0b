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

#define ROUTER_LINES	(GICD_IROUTER + 8 * KZ_INTID_MAX)
#define CTLR_V3		0x50u		/* ARE, DS */

/* Bits of `bank` (INTIDs / 32) that are the guest's on vCPU `owner`. */
static uint32_t owned(const struct vcpu *owner, uint32_t bank)
{
	if (bank == 0) {
		return owner->arch.vgic.bank.hw | (BIT(GIC_SGIS) - 1);
	}
	return bank < owner->vm->cfg->irq_lines / 32 ? owner->vm->arch.vgic.spi[bank - 1].hw : 0;
}

static void bits_access(const struct vcpu *owner, uint32_t offset, struct access *a)
{
	uint32_t bank = (offset & 0x7f) / 4;
	uint32_t mask = owned(owner, bank);
	uint64_t at = gic_frame(owner->cpu->id, bank * 32) + offset;

	if (!a->write) {
		a->value = mmio_read32(at) & mask;
	} else if (offset >= GICD_ISENABLER) {		/* ones act, zeros do nothing */
		mmio_write32(at, (uint32_t)a->value & mask);
	}
	/* Groups stay ours: all in the one that signals IRQ. */
}

static void bytes_access(const struct vcpu *owner, uint32_t offset, struct access *a)
{
	bool targets = offset >= GICD_ITARGETSR;
	uint32_t cores = owner->vm->arch.vgic.cores;
	uint64_t value = 0;

	for (uint32_t i = 0; i < a->size; i++) {
		uint32_t intid = (offset & 0x3ff) + i;
		uint64_t at = gic_frame(owner->cpu->id, intid) + offset + i;
		uint8_t byte = (uint8_t)(a->value >> i * 8);

		if ((owned(owner, intid / 32) & BIT(intid % 32)) == 0 &&
		    !(targets && intid < GIC_PRIVATE)) {
			continue;
		}
		if (!a->write) {
			value |= (uint64_t)*(volatile const uint8_t *)at << i * 8;
		} else if (!targets) {
			*(volatile uint8_t *)at = byte;
		} else if (intid >= GIC_PRIVATE) {
			*(volatile uint8_t *)at = (uint8_t)(byte & cores);
		}
	}
	if (!a->write) {
		a->value = value;
	}
}

static void config_access(const struct vcpu *owner, uint32_t offset, struct access *a)
{
	uint32_t intid = (offset & 0xff) * 4;
	uint32_t own = owned(owner, intid / 32) >> intid % 32 & 0xffff;
	uint64_t at = gic_frame(owner->cpu->id, intid) + offset;
	uint32_t mask = 0;

	for (uint32_t i = 0; i < 16; i++) {
		mask |= (own & BIT(i)) != 0 ? 3u << i * 2 : 0;
	}
	if (!a->write) {
		a->value = mmio_read32(at) & mask;
	} else if (intid >= GIC_PRIVATE) {
		gic_config(intid, mask, (uint32_t)a->value);
	}
}

static void router_access(struct vcpu *v, uint32_t offset, struct access *a)
{
	uint32_t intid = (offset - GICD_IROUTER) / 8;
	uint64_t at = gic.gicd + (offset & ~7u);

	if ((owned(v, intid / 32) & BIT(intid % 32)) == 0 || (offset & 4) != 0) {
		a->value = 0;
	} else if (!a->write) {
		a->value = *(volatile const uint64_t *)at & (a->size == 8 ? ~0ull : ~0u);
	} else {
		/* To one of its own cores; to the first one if it names another. */
		uint32_t cpu = v->vm->vcpu[0].cpu->id;

		for (uint32_t i = 0; i < v->vm->cfg->vcpu_count; i++) {
			if (gic.affinity[v->vm->vcpu[i].cpu->id] == a->value) {
				cpu = v->vm->vcpu[i].cpu->id;
			}
		}
		gic_route(intid, cpu);
	}
}

/* GICv2: an SGI reaches cores of this VM, and no others. */
static void sgir_write(const struct vcpu *v, uint32_t value)
{
	uint32_t self = gic.gicc_id[v->cpu->id];
	uint32_t targets = value >> 16 & 0xff;

	switch (value >> 24 & 3) {
	case 1:
		targets = v->vm->arch.vgic.cores & ~self;
		break;
	case 2:
		targets = self;
		break;
	case 3:
		return;
	default:
		break;
	}
	targets &= v->vm->arch.vgic.cores;
	if (targets != 0) {
		mmio_write32(gic.gicd + GICD_SGIR, targets << 16 | (value & 0xf));
	}
}

/* Offsets 0x080 to 0xcff, distributor or SGI frame. */
static enum verdict interrupt_access(const struct vcpu *owner, uint32_t offset, uint32_t lines,
				     struct access *a)
{
	uint32_t intid = offset < GICD_IPRIORITYR ? (offset & 0x7f) * 8 :
			 offset < GICD_ICFGR ? offset & 0x3ff : (offset & 0xff) * 4;

	if (a->size != 4 && (a->size != 1 || offset < GICD_IPRIORITYR || offset >= GICD_ICFGR)) {
		return UNKNOWN;
	}
	if (intid >= lines) {
		a->value = 0;
	} else if (offset < GICD_IPRIORITYR) {
		bits_access(owner, offset, a);
	} else if (offset >= GICD_ICFGR) {
		config_access(owner, offset, a);
	} else if (offset >= GICD_ITARGETSR && gic.v3) {
		a->value = 0;
	} else {
		bytes_access(owner, offset, a);
	}
	return DONE;
}

enum verdict vgic_hrt_gicd(struct vcpu *v, struct access *a)
{
	uint32_t offset = (uint32_t)a->addr;
	struct vgic *vgic = &v->vm->arch.vgic;

	if (UNLIKELY(a->size == 0 || (a->addr & (a->size - 1u)) != 0)) {
		return UNKNOWN;
	}
	if (offset >= GICD_IGROUPR && offset < GICD_ICFGR + 0x100) {
		return interrupt_access(v, offset, v->vm->cfg->irq_lines, a);
	}
	if (gic.v3 && offset >= GICD_IROUTER + 8 * GIC_PRIVATE && offset < ROUTER_LINES) {
		if (a->size < 4) {
			return UNKNOWN;
		}
		router_access(v, offset, a);
	} else if (!gic.v3 && offset == GICD_SGIR && a->write && a->size == 4) {
		sgir_write(v, (uint32_t)a->value);
	} else if (offset == GICD_CTLR) {
		if (a->write) {
			vgic->ctlr = (uint32_t)a->value & 3;
		}
		a->value = vgic->ctlr | (gic.v3 ? CTLR_V3 : 0);
	} else if (!vgic_id_register(v, offset, &a->value)) {
		a->value = 0;
	}
	return DONE;
}

enum verdict vgic_hrt_dir(struct vcpu *v, struct access *a)
{
	uint32_t intid = (uint32_t)a->value & 0x3ff;

	if (a->size != 4 || (a->addr & 3) != 0) {
		return UNKNOWN;
	}
	if (a->write && a->addr == 0 && (owned(v, intid / 32) & BIT(intid % 32)) != 0) {
		gic_dir((uint32_t)a->value);
	}
	a->value = 0;
	return DONE;
}

enum verdict vgic_hrt_gicr(struct vcpu *v, struct access *a)
{
	struct vcpu *owner = &v->vm->vcpu[a->addr / KZ_GICR_SIZE];
	uint32_t offset = (uint32_t)(a->addr % KZ_GICR_SIZE);

	if (offset >= GICR_SGI + GICD_IGROUPR && offset < GICR_SGI + GICD_ICFGR + 0x100 &&
	    a->size != 0 && (a->addr & (a->size - 1u)) == 0) {
		return interrupt_access(owner, offset - GICR_SGI, GIC_PRIVATE, a);
	}
	return vgic_gicr(v, a);
}
