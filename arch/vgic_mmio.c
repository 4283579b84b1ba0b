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

static uint32_t all_vcpus(const struct vm *vm)
{
	return vm->arch.vgic.vcpus;
}

bool vgic_id_register(struct vcpu *v, uint32_t offset, uint64_t *value)
{
	uint32_t pidr2 = gic.v3 ? 0xffe8u : 0xfe8u;

	if (offset == GICD_TYPER) {
		*value = v->vm->arch.vgic.typer;
	} else if (offset == GICD_IIDR) {
		*value = IIDR;
	} else if (offset == pidr2) {
		*value = gic.v3 ? PIDR2_V3 : PIDR2_V2;
	} else {
		return false;
	}
	return true;
}

uint64_t vgic_gicr_typer(const struct vcpu *v)
{
	/* NRT and SRT guests count their vCPUs in Aff0; HRT guests see their cores. */
	uint64_t aff = v->vm->cfg->level == KZ_HRT ? gic.affinity[v->cpu->id] : v->id;
	uint64_t last = v->id + 1 == v->vm->cfg->vcpu_count ? BIT64(4) : 0;

	return (aff & 0xffffff) << 32 | (aff >> 32) << 56 | (uint64_t)v->id << 8 | last;
}

/* ---- One bit an interrupt ---- */

/* Physical enables follow what the guest asks of its twins. */
static void twin_enable(struct vcpu *v, uint32_t first, uint32_t set, bool on)
{
	for (; set != 0; set &= set - 1) {
		gic_enable(v->cpu->id, first + (uint32_t)__builtin_ctz(set), on);
	}
}

/* The guest unpended or deactivated them: their twins shall fire again. */
static void twin_release(struct vcpu *v, struct vgic_bank *b, uint32_t first, uint32_t set)
{
	set &= b->held;
	b->held &= ~set;
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
			  uint32_t first)
{
	uint32_t other = b->inlr & ~vgic_in_lr_locked(me, b, 0);

	if (other != 0) {
		vgic_notify_locked(me, concerned(owner, first) & ~BIT(me->id), false);
	}
	return other;
}

static uint32_t read_pending(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			     uint32_t first)
{
	uint32_t other = elsewhere(me, owner, b, first);
	uint32_t set = b->latch | (b->line & ~b->edge) | vgic_in_lr_locked(me, b, LR_PENDING) |
		       (other & ~(b->snap & b->fresh));

	b->fresh &= ~other;
	return set;
}

static uint32_t read_active(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			    uint32_t first)
{
	uint32_t other = elsewhere(me, owner, b, first);
	uint32_t set = b->active | vgic_in_lr_locked(me, b, LR_ACTIVE) |
		       (other & (b->snap | ~b->fresh));

	b->fresh &= ~other;
	return set;
}

static uint32_t bits_read(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			  uint32_t reg, uint32_t first)
{
	switch (reg) {
	case GICD_IGROUPR:
		return b->group1;
	case GICD_ISENABLER:
	case GICD_ICENABLER:
		return b->enabled;
	case GICD_ISPENDR:
	case GICD_ICPENDR:
		return read_pending(me, owner, b, first);
	default:
		return read_active(me, owner, b, first);
	}
}

static void write_group(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b, uint32_t first,
			uint32_t set)
{
	if (set != b->group1) {
		b->group1 = set;
		vgic_live_locked(me->vm, b);
		vgic_notify_locked(me, concerned(owner, first), true);
	}
}

static void write_enable(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b, uint32_t first,
			 uint32_t set)
{
	set &= ~b->enabled;
	if (set != 0) {
		b->enabled |= set;
		vgic_live_locked(me->vm, b);
		twin_enable(owner, first, set & b->hw, true);
		if (((b->latch | b->line) & set) != 0) {
			vgic_notify_locked(me, concerned(owner, first), false);
		}
	}
}

static void write_disable(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b, uint32_t first,
			  uint32_t set)
{
	if (first == 0 && !gic.v3) {
		set &= ~(BIT(GIC_SGIS) - 1);	/* SGIs are always enabled (IHI 0048 4.3.5) */
	}
	set &= b->enabled;
	if (set != 0) {
		b->enabled &= ~set;
		vgic_live_locked(me->vm, b);
		twin_enable(owner, first, set & b->hw, false);
		if ((b->inlr & set) != 0) {
			vgic_notify_locked(me, concerned(owner, first), true);
		}
	}
}

static void write_set_pending(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			      uint32_t first, uint32_t set)
{
	if (first == 0 && !gic.v3) {
		set &= ~(BIT(GIC_SGIS) - 1);	/* read-only for SGIs: GICD_SPENDSGIR does it */
	}
	b->latch |= set;
	vgic_notify_locked(me, concerned(owner, first), false);
}

static void write_clear_pending(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
				uint32_t first, uint32_t set)
{
	if (first == 0 && !gic.v3) {
		set &= ~(BIT(GIC_SGIS) - 1);
	}
	b->latch &= ~set;
	b->drop_pending |= set & b->inlr;
	twin_release(owner, b, first, set & ~b->inlr & ~b->active);
	if ((set & b->inlr) != 0) {
		vgic_notify_locked(me, concerned(owner, first), false);
	}
}

static void write_set_active(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			     uint32_t first, uint32_t set)
{
	for (uint32_t s = set & ~b->inlr & ~b->active; s != 0; s &= s - 1) {
		b->lr[__builtin_ctz(s)] = VGIC_NOBODY;
	}
	b->active |= set & ~b->inlr;
	b->make_active |= set & b->inlr;
	b->drop_active &= ~set;
	vgic_notify_locked(me, concerned(owner, first), true);
}

static void write_clear_active(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			       uint32_t first, uint32_t set)
{
	set &= b->active | b->inlr;
	if (set != 0) {
		b->active &= ~set;
		b->drop_active |= set & b->inlr;
		b->make_active &= ~set;
		twin_release(owner, b, first, set & ~b->inlr & ~b->latch);
		vgic_notify_locked(me, concerned(owner, first), false);
	}
}

static void bits_write(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b, uint32_t reg,
		       uint32_t first, uint32_t set)
{
	typedef void (*bits_fn)(struct vcpu *, struct vcpu *, struct vgic_bank *, uint32_t,
				uint32_t);
	static const bits_fn table[] = {
		write_group, write_enable, write_disable, write_set_pending, write_clear_pending,
		write_set_active, write_clear_active,
	};

	table[(reg - GICD_IGROUPR) / 0x80](me, owner, b, first, set);
}

/* ---- Bytes and pairs ---- */

static uint32_t priority_mask(void)
{
	return 0xf8;		/* five bits: what every list register holds */
}

static uint64_t bytes_read(const uint8_t *from, uint32_t n, uint32_t size)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++) {
		value |= (uint64_t)from[n + i] << i * 8;
	}
	return value;
}

static void priority_access(struct vcpu *me, struct vcpu *owner, struct vgic_bank *b,
			    uint32_t intid, struct access *a)
{
	uint32_t n = intid % 32;

	if (!a->write) {
		a->value = bytes_read(b->prio, n, a->size);
		return;
	}
	for (uint32_t i = 0; i < a->size; i++) {
		b->prio[n + i] = (uint8_t)(a->value >> i * 8 & priority_mask());
	}
	if (b->inlr != 0 || b->latch != 0) {
		vgic_notify_locked(me, concerned(owner, intid & ~31u), true);
	}
}

/* ICFGR: bit 1 of each pair; SGIs are edges, PPIs are what the wires are. */
static void config_access(struct vgic_bank *b, uint32_t intid, struct access *a)
{
	uint32_t n = intid % 32;
	uint64_t value = 0;

	for (uint32_t i = 0; i < 16; i++) {
		uint32_t bit = BIT(n + i);

		value |= (b->edge & bit) != 0 ? 2ull << i * 2 : 0;
		if (a->write && intid >= GIC_PRIVATE && ((b->hw | b->inlr) & bit) == 0) {
			b->edge = (a->value & 2ull << i * 2) != 0 ? b->edge | bit : b->edge & ~bit;
		}
		if (a->write && intid >= GIC_PRIVATE && (b->hw & bit) != 0) {
			bool edge = (a->value & 2ull << i * 2) != 0;

			if (edge != ((b->edge & bit) != 0)) {
				b->edge ^= bit;
				gic_set_edge(intid + i, edge);
			}
		}
	}
	if (!a->write) {
		a->value = value;
	}
}

/* An SPI goes to vCPU `cpu` from now on. */
static void retarget(struct vcpu *me, struct vgic_bank *b, uint32_t intid, uint32_t cpu)
{
	uint32_t n = intid % 32;

	if (b->cpu[n] == cpu) {
		return;
	}
	b->cpu[n] = (uint8_t)cpu;
	if ((b->hw & BIT(n)) != 0 && cpu != VGIC_NOBODY) {
		gic_route(intid, me->vm->vcpu[cpu].cpu->id);
	}
	vgic_notify_locked(me, all_vcpus(me->vm), true);
}

static void targets_access(struct vcpu *me, struct vgic_bank *b, uint32_t intid, struct access *a)
{
	bool uniprocessor = me->vm->cfg->vcpu_count == 1;
	uint64_t value = 0;

	for (uint32_t i = 0; i < a->size; i++) {
		uint32_t n = (intid + i) % 32;
		uint32_t mask = (uint32_t)(a->value >> i * 8) & all_vcpus(me->vm);

		if (intid < GIC_PRIVATE) {
			value |= uniprocessor ? 0 : (uint64_t)BIT(me->id) << i * 8;
		} else if (uniprocessor) {
			value |= 0;		/* RAZ/WI (IHI 0048 4.3.12) */
		} else if (a->write) {
			b->route[n] = mask;
			retarget(me, b, intid + i,
				 mask != 0 ? (uint32_t)__builtin_ctz(mask) : VGIC_NOBODY);
		} else {
			value |= (uint64_t)b->route[n] << i * 8;
		}
	}
	if (!a->write) {
		a->value = value;
	}
}

static void router_access(struct vcpu *me, struct access *a)
{
	uint32_t intid = (uint32_t)(a->addr - GICD_IROUTER) / 8;
	struct vgic_bank *b = vgic_bank_of(me, intid);
	uint32_t n = intid % 32;
	uint32_t cpu;

	if ((a->addr & 4) != 0) {		/* the upper half: Aff3, which nobody has */
		a->value = 0;
		return;
	}
	if (!a->write) {
		a->value = b->route[n];
		return;
	}
	b->route[n] = (uint32_t)a->value & (0xffffff | ROUTER_IRM);
	cpu = (b->route[n] & ROUTER_IRM) != 0 ? 0 : b->route[n];
	if (a->size == 8 && (a->value >> 32) != 0) {
		cpu = VGIC_NOBODY;
	}
	retarget(me, b, intid, cpu < me->vm->cfg->vcpu_count ? cpu : VGIC_NOBODY);
}

/* ---- SGIs ---- */

static void sgir_write(struct vcpu *v, uint32_t value)
{
	uint32_t self = BIT(v->id);
	uint32_t targets = value >> 16 & 0xff;

	switch (value >> 24 & 3) {
	case 1:
		targets = all_vcpus(v->vm) & ~self;
		break;
	case 2:
		targets = self;
		break;
	case 3:
		return;
	default:
		break;
	}
	vgic_sgi(v, value & 0xf, targets, false);
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

/* Who has this SGI pending on v; one of them may be in a list register. */
static uint8_t sgi_senders(struct vcpu *v, uint32_t intid)
{
	const struct vgic_cpu *g = &v->arch.vgic;
	uint32_t in_lr = vgic_in_lr_locked(v, &g->bank, LR_PENDING) & BIT(intid);

	return (uint8_t)(g->sgi_source[intid] |
			 (in_lr != 0 ? BIT(g->lr_source[g->bank.lr[intid]]) : 0));
}

/* GICD_CPENDSGIRn, GICD_SPENDSGIRn: a byte of senders for each SGI of this vCPU. */
static void sgi_pending_access(struct vcpu *v, uint32_t offset, struct access *a)
{
	struct vgic_cpu *g = &v->arch.vgic;
	bool set = offset >= GICD_SPENDSGIR;
	uint32_t first = offset & 0xf;

	if (!a->write) {
		a->value = 0;
		for (uint32_t i = 0; i < a->size; i++) {
			a->value |= (uint64_t)sgi_senders(v, first + i) << i * 8;
		}
		return;
	}
	for (uint32_t i = 0; i < a->size; i++) {
		uint32_t intid = first + i;
		uint8_t mask = (uint8_t)(a->value >> i * 8 & all_vcpus(v->vm));
		uint8_t now = g->sgi_source[intid];

		now = set ? (uint8_t)(now | mask) : (uint8_t)(now & ~mask);
		g->sgi_source[intid] = now;
		g->bank.latch = now != 0 ? g->bank.latch | BIT(intid) : g->bank.latch & ~BIT(intid);
		if (!set && (g->bank.inlr & BIT(intid)) != 0 &&
		    (mask & BIT(g->lr_source[g->bank.lr[intid]])) != 0) {
			g->bank.drop_pending |= BIT(intid);
		}
	}
	vgic_notify_locked(v, BIT(v->id), false);
}

/* ---- Frames ---- */

/* Offsets 0x080 to 0xcff, which distributor and SGI frame share. */
static enum verdict interrupt_access(struct vcpu *me, struct vcpu *owner, uint32_t offset,
				     uint32_t lines, struct access *a)
{
	uint32_t intid;
	struct vgic_bank *b;

	if (offset < GICD_IPRIORITYR) {
		intid = (offset & 0x7f) * 8;
		if (a->size != 4) {
			return UNKNOWN;
		}
	} else if (offset < GICD_ICFGR) {
		intid = offset & 0x3ff;
		if (a->size != 1 && a->size != 4) {
			return UNKNOWN;
		}
	} else {
		intid = (offset & 0xff) * 4;
		if (a->size != 4) {
			return UNKNOWN;
		}
	}
	if (intid >= lines) {
		a->value = 0;				/* not implemented: RAZ/WI */
		return DONE;
	}
	b = vgic_bank_of(owner, intid);
	if (offset >= GICD_ICFGR) {
		config_access(b, intid, a);
	} else if (offset >= GICD_ITARGETSR) {
		if (gic.v3) {
			a->value = 0;			/* RES0 with affinity routing */
		} else {
			targets_access(me, b, intid, a);
		}
	} else if (offset >= GICD_IPRIORITYR) {
		priority_access(me, owner, b, intid, a);
	} else if (a->write) {
		bits_write(me, owner, b, offset & ~0x7fu, intid, (uint32_t)a->value);
	} else {
		a->value = bits_read(me, owner, b, offset & ~0x7fu, intid);
	}
	return DONE;
}

static void ctlr_access(struct vcpu *v, struct access *a)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	if (!a->write) {
		a->value = vgic->ctlr | (gic.v3 ? CTLR_ARE | CTLR_DS : 0);
		return;
	}
	if (vgic->ctlr == (a->value & 3)) {
		return;
	}
	vgic->ctlr = (uint32_t)a->value & 3;
	for (uint32_t i = 0; i < v->vm->cfg->vcpu_count; i++) {
		vgic_live_locked(v->vm, &v->vm->vcpu[i].arch.vgic.bank);
	}
	for (uint32_t i = 1; i < v->vm->cfg->irq_lines / 32; i++) {
		vgic_live_locked(v->vm, &vgic->spi[i - 1]);
	}
	vgic_notify_locked(v, all_vcpus(v->vm), true);
}

static enum verdict gicd_locked(struct vcpu *v, uint32_t offset, struct access *a)
{
	uint32_t lines = v->vm->cfg->irq_lines;

	if (offset >= GICD_IGROUPR && offset < GICD_ICFGR + 0x100) {
		/* Version 3: bank 0 is the redistributors'. */
		bool absent = gic.v3 && (offset < GICD_IPRIORITYR ? (offset & 0x7f) < 4 :
					 offset < GICD_ICFGR ? (offset & 0x3ff) < 32 :
							       (offset & 0xff) < 8);

		if (absent) {
			a->value = 0;
			return DONE;
		}
		return interrupt_access(v, v, offset, lines, a);
	}
	if (gic.v3 && offset >= GICD_IROUTER + 8 * GIC_PRIVATE &&
	    offset < GICD_IROUTER + 8 * lines) {
		if (a->size < 4) {
			return UNKNOWN;
		}
		router_access(v, a);
		return DONE;
	}
	if (!gic.v3 && offset >= GICD_CPENDSGIR && offset < GICD_SPENDSGIR + 0x10) {
		if (a->size != 1 && a->size != 4) {
			return UNKNOWN;
		}
		sgi_pending_access(v, offset, a);
		return DONE;
	}
	if (offset == GICD_CTLR) {
		ctlr_access(v, a);
	} else if (!vgic_id_register(v, offset, &a->value)) {
		a->value = 0;		/* reserved: RAZ/WI */
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
	spin_lock(&vgic->lock);
	verdict = gicd_locked(v, (uint32_t)a->addr, a);
	spin_unlock(&vgic->lock);
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
		spin_lock(&vgic->lock);
		verdict = interrupt_access(v, owner, offset - GICR_SGI, GIC_PRIVATE, a);
		spin_unlock(&vgic->lock);
	} else if ((offset & ~7u) == GICR_TYPER) {
		a->value = vgic_gicr_typer(owner) >> ((offset & 4) != 0 ? 32 : 0);
	} else if (offset == GICR_IIDR) {
		a->value = IIDR;
	} else if (offset == 0xffe8) {
		a->value = PIDR2_V3;
	} else {
		a->value = 0;		/* CTLR, WAKER (awake), no LPIs; reserved: RAZ/WI */
	}
	return verdict;
}
