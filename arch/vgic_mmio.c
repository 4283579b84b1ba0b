/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register files of the modelled GIC: IHI 0048 4.3 (version 2), IHI 0069 12.9 and 12.11
 * (version 3).
 */
#include "arch.h"
#include "gic.h"
#include "vgic.h"
#include "vgic_bank.h"

#define IIDR		0x4b5a043bu	/* ours; implementer field as Arm's, what drivers expect */
#define PIDR2_V2	0x20u		/* ArchRev in bits 7:4 */
#define PIDR2_V3	0x30u
#define CTLR_ARE	BIT(4)
#define CTLR_DS		BIT(6)
#define ROUTER_IRM	BIT(31)
#define PRIORITY_MASK	0xf8u		/* five bits: what every list register holds */

static uint32_t all_vcpus(const struct vm *vm)
{
	return vm->arch.vgic.vcpus;
}

/* GICD_TYPER and who we are; 0: reserved, RAZ/WI. */
static uint32_t id_register(const struct vcpu *v, uint32_t offset)
{
	if (offset == GICD_TYPER) {
		return v->vm->arch.vgic.typer;
	}
	if (offset == GICD_IIDR) {
		return IIDR;
	}
	return offset == (gic.v3 ? 0xffe8u : 0xfe8u) ? (gic.v3 ? PIDR2_V3 : PIDR2_V2) : 0;
}

static uint64_t gicr_typer(const struct vcpu *v)
{
	uint64_t aff = vgic_affinity(v);
	uint64_t last = v->id + 1 == v->vm->cfg->vcpu_count ? BIT64(4) : 0;

	return (aff & 0xffffff) << 32 | (aff >> 32) << 56 | (uint64_t)v->id << 8 | last;
}

/* ---- One bit an interrupt ---- */

/* An SPI's twin: on if the guest has it on, and its target has a budget (vgic_mask). */
static void spi_enable(const struct vm *vm, const struct vgic_bank *b, uint32_t intid)
{
	uint32_t n = intid % 32;
	bool masked = b->cpu[n] < vm->cfg->vcpu_count && vm->vcpu[b->cpu[n]].sched.masked;

	gic_enable(0, intid, (b->enabled & BIT(n)) != 0 && !masked);
}

/* Physical enables follow what the guest asks of its twins. */
static void twin_enable(struct vcpu *v, const struct vgic_bank *b, uint32_t first, uint32_t set)
{
	if (first == 0 && !vgic_is_loaded(v)) {
		return;			/* vgic_load does it */
	}
	for (; set != 0; set &= set - 1) {
		uint32_t n = (uint32_t)__builtin_ctz(set);

		if (first == 0) {
			gic_enable(v->cpu->id, n, (b->enabled & BIT(n)) != 0);
		} else {
			spi_enable(v->vm, b, first + n);
		}
	}
}

/* The guest unpended or deactivated them: their twins shall fire again. */
static void twin_release(struct vcpu *v, struct vgic_bank *b, uint32_t first, uint32_t set)
{
	set &= b->held;
	b->held &= ~set;
	if (first == 0 && !vgic_is_loaded(v)) {
		return;			/* it is not active while v is away */
	}
	for (; set != 0; set &= set - 1) {
		gic_deactivate(v->cpu->id, first + (uint32_t)__builtin_ctz(set));
	}
}

/* vCPUs that a change of `set` concerns: the bank's owner, or all of an SPI's VM. */
static uint32_t concerned(const struct vcpu *owner, uint32_t first)
{
	return first == 0 ? BIT(owner->id) : all_vcpus(owner->vm);
}

/*
 * What other vCPUs have in list registers. They are asked for its state; until
 * the answer comes it counts as pending and active, so that who polls for the
 * end of either sees it.
 */
static uint32_t elsewhere(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			  uint32_t first) REQUIRES(irq_class)
{
	uint32_t other = b->inlr & ~vgic_in_lr_locked(me, b, 0);

	if (other != 0) {
		vgic_notify_locked(me->vm, concerned(owner, first) & ~BIT(me->id));
	}
	return other;
}

/* ISPENDR and ICPENDR (LR_PENDING), or ISACTIVER and ICACTIVER (LR_ACTIVE). */
static uint32_t state_read(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			   uint32_t first, uint32_t state) REQUIRES(irq_class)
{
	uint32_t other = elsewhere(me, owner, b, first);
	uint32_t set = vgic_in_lr_locked(me, b, state);

	if (state == LR_PENDING) {
		set |= vgic_bank_pending(b) | (other & ~(b->snap & b->fresh));
	} else {
		set |= b->active | (other & (b->snap | ~b->fresh));
	}
	b->fresh &= ~other;
	b->asked |= other;
	return set;
}

static uint32_t bits_read(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			  uint32_t reg, uint32_t first) REQUIRES(irq_class)
{
	if (reg < GICD_ISENABLER) {
		return b->group1;
	}
	if (reg < GICD_ISPENDR) {
		return b->enabled;
	}
	return state_read(me, owner, b, first, reg < GICD_ISACTIVER ? LR_PENDING : LR_ACTIVE);
}

/* These change what `set` says; they return for which interrupts a vCPU shall look. */

static uint32_t write_group(struct vcpu *owner, struct vgic_bank *b, uint32_t set)
	REQUIRES(irq_class)
{
	uint32_t changed = set ^ b->group1;

	b->group1 = set;
	for (uint32_t s = b == &owner->arch.vgic.bank ? changed : 0; s != 0; s &= s - 1) {
		vgic_word_locked(owner, (uint32_t)__builtin_ctz(s));
	}
	return changed;
}

static uint32_t write_enable(struct vcpu *owner, struct vgic_bank *b, uint32_t first, uint32_t set,
			     bool on)
{
	set &= on ? ~b->enabled : b->enabled;
	b->enabled ^= set;
	if (first == 0) {
		owner->arch.vgic.twins_on = b->enabled & b->hw;
	}
	twin_enable(owner, b, first, set & b->hw);
	return set & (on ? b->latch | b->line : b->inlr);
}

static uint32_t write_clear_pending(struct vcpu *owner, struct vgic_bank *b, uint32_t first,
				    uint32_t set)
{
	b->latch &= ~set;
	b->drop_pending |= set & b->inlr;
	twin_release(owner, b, first, set & ~b->inlr & ~b->active);
	return set & b->inlr;
}

static uint32_t write_set_active(struct vgic_bank *b, uint32_t set)
{
	for (uint32_t s = set & ~b->inlr & ~b->active; s != 0; s &= s - 1) {
		b->lr[__builtin_ctz(s)] = VGIC_NOBODY;
	}
	b->active |= set & ~b->inlr;
	b->make_active |= set & b->inlr;
	b->drop_active &= ~set;
	return set;
}

static uint32_t write_clear_active(struct vcpu *owner, struct vgic_bank *b, uint32_t first,
				   uint32_t set)
{
	set &= b->active | b->inlr;
	b->active &= ~set;
	b->drop_active |= set & b->inlr;
	b->make_active &= ~set;
	twin_release(owner, b, first, set & ~b->inlr & ~b->latch);
	return set;
}

static void bits_write(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b, uint32_t reg,
		       uint32_t first, uint32_t set) REQUIRES(irq_class)
{
	if (first == 0 && !gic.v3 && reg >= GICD_ISENABLER && reg < GICD_ISACTIVER) {
		/* SGIs are always enabled (IHI 0048 4.3.5); GICD_SPENDSGIR has their state. */
		set &= ~(BIT(GIC_SGIS) - 1);
	}
	switch (reg) {
	case GICD_IGROUPR:
		set = write_group(owner, b, set);
		break;
	case GICD_ISENABLER:
	case GICD_ICENABLER:
		set = write_enable(owner, b, first, set, reg == GICD_ISENABLER);
		break;
	case GICD_ISPENDR:
		b->latch |= set;
		break;
	case GICD_ICPENDR:
		set = write_clear_pending(owner, b, first, set);
		break;
	case GICD_ISACTIVER:
		set = write_set_active(b, set);
		break;
	default:
		set = write_clear_active(owner, b, first, set);
		break;
	}
	vgic_live_locked(me->vm, b);
	if (first == 0) {
		vgic_forget_again(&owner->arch.vgic);
	}
	if (set != 0) {
		vgic_notify_locked(me->vm, concerned(owner, first));
	}
}

/* ---- Bytes and pairs ---- */

/* ICFGR: bit 1 of each pair; SGIs are edges, PPIs are what the wires are. */
static void config_access(struct vgic_bank *b, uint32_t intid, struct access *a)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < 16; i++) {
		uint32_t bit = BIT(intid % 32 + i);
		bool edge = (b->edge & bit) != 0;

		if (a->write && intid >= GIC_PRIVATE && edge != (a->value >> (i * 2 + 1) & 1) &&
		    ((b->hw | ~b->inlr | ~b->enabled) & bit) != 0) {
			b->edge ^= bit;
			if ((b->hw & bit) != 0) {
				gic_set_edge(intid + i, !edge);
			}
		}
		value |= edge ? 2u << i * 2 : 0;
	}
	a->value = value;
}

/* An SPI goes to vCPU `cpu` from now on. */
static void retarget(struct vcpu *me, struct vgic_bank *b, uint32_t intid, uint32_t cpu)
	REQUIRES(irq_class)
{
	uint32_t n = intid % 32;

	if (b->cpu[n] == cpu) {
		return;
	}
	b->cpu[n] = (uint8_t)cpu;
	if ((b->hw & BIT(n)) != 0 && cpu != VGIC_NOBODY) {
		gic_route(intid, me->vm->vcpu[cpu].cpu->id);
		spi_enable(me->vm, b, intid);
	}
	vgic_notify_locked(me->vm, all_vcpus(me->vm));
}

static uint32_t target_byte(struct vcpu *me, struct vgic_bank *b, uint32_t intid, bool write,
			    uint32_t value) REQUIRES(irq_class)
{
	uint32_t *route = &b->route[intid % 32];
	uint32_t mask = value & all_vcpus(me->vm);

	if (me->vm->cfg->vcpu_count == 1) {
		return 0;			/* RAZ/WI (IHI 0048 4.3.12) */
	}
	if (intid < GIC_PRIVATE) {
		return BIT(me->id);
	}
	if (write) {
		*route = mask;
		retarget(me, b, intid, mask != 0 ? (uint32_t)__builtin_ctz(mask) : VGIC_NOBODY);
	}
	return *route;
}

static uint32_t priority_byte(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			      uint32_t intid, bool write, uint32_t value) REQUIRES(irq_class)
{
	uint8_t *prio = &b->prio[intid % 32];

	if (write) {
		if ((me->arch.vgic.hcr & GIC_HCR_LRENPIE) != 0) {
			vgic_sync_locked(me);	/* which of them an EOI ended, old priorities say */
		}
		*prio = (uint8_t)(value & PRIORITY_MASK);
		if (intid < GIC_PRIVATE) {
			vgic_word_locked(owner, intid);
		}
		if (((b->inlr | b->latch | b->line) & BIT(intid % 32)) != 0) {
			vgic_notify_locked(me->vm, concerned(owner, intid & ~31u));
		}
	}
	return *prio;
}

static void router_access(struct vcpu *me, struct access *a) REQUIRES(irq_class)
{
	uint32_t intid = (uint32_t)(a->addr - GICD_IROUTER) / 8;
	struct vgic_bank *b = vgic_bank_of(me, intid);
	uint32_t *route = &b->route[intid % 32];
	uint32_t cpu;

	if ((a->addr & 4) != 0) {		/* the upper half: Aff3, which nobody has */
		a->value = 0;
		return;
	}
	if (!a->write) {
		a->value = *route;
		return;
	}
	*route = (uint32_t)a->value & (0xffffff | ROUTER_IRM);
	cpu = (*route & ROUTER_IRM) != 0 ? 0 : *route;
	if (cpu >= me->vm->cfg->vcpu_count || (a->size == 8 && (a->value >> 32) != 0)) {
		cpu = VGIC_NOBODY;
	}
	retarget(me, b, intid, cpu);
}

/* ---- SGIs ---- */

/* GICD_SGIR (IHI 0048 4.3.15): an SGI reaches `all` of this VM, and nobody else. */
static void sgir_write(struct vcpu *v, uint32_t value)
{
	bool hrt = v->vm->arch.hrt;
	uint32_t self = hrt ? gic.gicc_id[v->cpu->id] : BIT(v->id);
	uint32_t all = hrt ? v->vm->arch.vgic.cores : all_vcpus(v->vm);
	uint32_t filter = value >> 24 & 3;
	uint32_t targets = filter == 0 ? value >> 16 & all :
			   filter == 1 ? all & ~self : filter == 2 ? self & all : 0;

	if (!hrt) {
		vgic_sgi(v, value & 0xf, targets, false);
	} else if (targets != 0) {
		mmio_write32(gic.gicd + GICD_SGIR, targets << 16 | (value & 0xf));
	}
}

void vgic_sgi_register(struct vcpu *v, uint64_t value, bool group1)
{
	uint32_t targets;

	if ((value & BIT64(40)) != 0) {			/* IRM: all but self */
		targets = all_vcpus(v->vm) & ~BIT(v->id);
	} else if ((value & 0x00fff0ff00ff0000ull) != 0) {
		return;					/* Aff3, RS, Aff2 or Aff1 that nobody has */
	} else {
		targets = (uint32_t)value & 0xffff;
	}
	vgic_sgi(v, (uint32_t)(value >> 24) & 0xf, targets, group1);
}

/* GICD_CPENDSGIRn, GICD_SPENDSGIRn: who has the SGI pending; one may be in a list register. */
static uint32_t sgi_pending_byte(struct vcpu *v, uint32_t offset, bool write, uint32_t value)
	REQUIRES(irq_class)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t intid = offset & 0xf;
	uint32_t lr = g->bank.lr[intid];
	uint32_t in_lr = (g->bank.inlr & BIT(intid)) != 0 ? BIT(g->lr_source[lr]) : 0;
	uint32_t now = g->sgi_source[intid];

	if (!write) {
		return (vgic_in_lr_locked(v, &g->bank, LR_PENDING) & BIT(intid)) != 0 ?
		       now | in_lr : now;
	}
	value &= all_vcpus(v->vm);
	if (offset >= GICD_SPENDSGIR) {
		now |= value;
	} else {
		now &= ~value;
		g->bank.drop_pending |= (value & in_lr) != 0 ? BIT(intid) : 0;
	}
	g->sgi_source[intid] = (uint8_t)now;
	g->bank.latch = now != 0 ? g->bank.latch | BIT(intid) : g->bank.latch & ~BIT(intid);
	vgic_notify_locked(v->vm, BIT(v->id));
	return 0;
}

/* ---- Frames ---- */

/* Registers with a byte for each interrupt. */
static void bytes_access(struct vcpu *me, struct vcpu *owner, uint32_t offset, struct access *a)
	REQUIRES(irq_class)
{
	uint64_t value = 0;

	/* Bound: four. */
	for (uint32_t i = 0; i < a->size * 8u; i += 8, offset++) {
		uint32_t intid = offset & 0x3ff;
		struct vgic_bank *b = vgic_bank_of(owner, intid);
		uint32_t byte = (uint32_t)(a->value >> i) & 0xff;

		if (offset >= GICD_CPENDSGIR) {
			byte = sgi_pending_byte(me, offset, a->write, byte);
		} else if (me->vm->arch.hrt) {
			byte = vgic_hrt_byte(owner, offset, a->write, byte);
		} else if (offset >= GICD_ITARGETSR) {
			byte = target_byte(me, b, intid, a->write, byte);
		} else {
			byte = priority_byte(me, owner, b, intid, a->write, byte);
		}
		value |= (uint64_t)byte << i;
	}
	a->value = value;
}

/*
 * Offsets 0x080 to 0xcff, which distributor and SGI frame share; this frame has
 * those of the INTIDs from `first` to `end`. An HRT guest's are the hardware's.
 */
static enum verdict interrupt_access(struct vcpu *me, struct vcpu *owner, uint32_t offset,
				     uint32_t first, uint32_t end, struct access *a)
	REQUIRES(irq_class)
{
	bool bytes = offset >= GICD_IPRIORITYR && offset < GICD_ICFGR;
	bool hrt = me->vm->arch.hrt;
	uint32_t intid = bytes ? offset & 0x3ff :
			 offset < GICD_ICFGR ? (offset & 0x7f) * 8 : (offset & 0xff) * 4;
	struct vgic_bank *b = vgic_bank_of(owner, intid);

	if (intid >= first && a->size != 4 && (a->size != 1 || !bytes)) {
		return UNKNOWN;
	}
	if (intid < first || intid >= end || (gic.v3 && bytes && offset >= GICD_ITARGETSR)) {
		a->value = 0;		/* not implemented, or with affinity routing: RAZ/WI */
	} else if (bytes) {
		bytes_access(me, owner, offset, a);
	} else if (hrt) {
		vgic_hrt_word(owner, offset, intid, a);
	} else if (offset >= GICD_ICFGR) {
		config_access(b, intid, a);
	} else if (a->write) {
		bits_write(me, owner, b, offset & ~0x7fu, intid, (uint32_t)a->value);
	} else {
		a->value = bits_read(me, owner, b, offset & ~0x7fu, intid);
	}
	return DONE;
}

static void ctlr_access(struct vcpu *v, struct access *a) REQUIRES(irq_class)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	uint32_t old = vgic->ctlr;

	if (a->write) {
		vgic->ctlr = (uint32_t)a->value & 3;
	}
	a->value = old | (gic.v3 ? CTLR_ARE | CTLR_DS : 0);
	if (vgic->ctlr == old || v->vm->arch.hrt) {
		return;
	}
	for (uint32_t i = 0; i < v->vm->cfg->vcpu_count; i++) {
		struct vgic_cpu *g = &v->vm->vcpu[i].arch.vgic;

		vgic_live_locked(v->vm, &g->bank);
		vgic_forget_again(g);
	}
	for (uint32_t i = 1; i < v->vm->cfg->irq_lines / 32; i++) {
		vgic_live_locked(v->vm, &v->vm->lines.spi[i - 1]);
	}
	vgic_notify_locked(v->vm, all_vcpus(v->vm));
}

static enum verdict gicd_locked(struct vcpu *v, uint32_t offset, struct access *a)
	REQUIRES(irq_class)
{
	uint32_t lines = v->vm->cfg->irq_lines;
	bool hrt = v->vm->arch.hrt;

	if (offset >= GICD_IGROUPR && offset < GICD_ICFGR + 0x100) {
		/* Version 3: bank 0 is the redistributors'. */
		return interrupt_access(v, v, offset, gic.v3 ? GIC_PRIVATE : 0, lines, a);
	}
	if (gic.v3 && offset >= GICD_IROUTER + 8 * GIC_PRIVATE &&
	    offset < GICD_IROUTER + 8 * lines) {
		if (a->size < 4) {
			return UNKNOWN;
		}
		if (hrt) {
			vgic_hrt_router(v, offset, a);
		} else {
			router_access(v, a);
		}
	} else if (!gic.v3 && !hrt && offset >= GICD_CPENDSGIR && offset < GICD_SPENDSGIR + 0x10) {
		if (a->size != 1 && a->size != 4) {
			return UNKNOWN;
		}
		bytes_access(v, v, offset, a);
	} else if (offset == GICD_CTLR) {
		ctlr_access(v, a);
	} else {
		a->value = id_register(v, offset);
	}
	return DONE;
}

enum verdict vgic_gicd(struct vcpu *v, struct access *a)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	enum verdict verdict;

	if (a->size == 0 || (a->addr & (a->size - 1u)) != 0) {
		return UNKNOWN;
	}
	if (!gic.v3 && a->addr == GICD_SGIR && a->write && a->size == 4) {
		sgir_write(v, (uint32_t)a->value);
		return DONE;
	}
	vgic_lock(vgic);
	verdict = gicd_locked(v, (uint32_t)a->addr, a);
	vgic_unlock(vgic);
	return verdict;
}

enum verdict vgic_gicr(struct vcpu *v, struct access *a)
{
	struct vgic *vgic = &v->vm->arch.vgic;
	struct vcpu *owner = &v->vm->vcpu[a->addr / KZ_GICR_SIZE];
	uint32_t offset = (uint32_t)(a->addr % KZ_GICR_SIZE);
	enum verdict verdict = DONE;

	if (a->size == 0 || (a->addr & (a->size - 1u)) != 0) {
		return UNKNOWN;
	}
	if (offset >= GICR_SGI + GICD_IGROUPR && offset < GICR_SGI + GICD_ICFGR + 0x100) {
		vgic_lock(vgic);
		verdict = interrupt_access(v, owner, offset - GICR_SGI, 0, GIC_PRIVATE, a);
		vgic_unlock(vgic);
	} else if ((offset & ~7u) == GICR_TYPER) {
		a->value = gicr_typer(owner) >> ((offset & 4) != 0 ? 32 : 0);
	} else if (offset == GICR_IIDR) {
		a->value = IIDR;
	} else if (offset == 0xffe8) {
		a->value = PIDR2_V3;
	} else {
		a->value = 0;		/* CTLR, WAKER (awake), no LPIs; reserved: RAZ/WI */
	}
	return verdict;
}
