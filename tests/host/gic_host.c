/* SPDX-License-Identifier: Apache-2.0 */
#include "gic_host.h"

#include <assert.h>
#include <string.h>

#include "arch.h"

struct gic gic;
struct gic_host gic_host;

static uint32_t here(void)
{
	return arch_this_cpu()->id;
}

static struct host_vif *vif(void)
{
	return &gic_host.vif[here()];
}

static struct host_bank *bank(uint32_t cpu, uint32_t intid)
{
	assert(intid < KZ_INTID_MAX);
	return intid < GIC_PRIVATE ? &gic_host.own[cpu] : &gic_host.spi[intid / 32];
}

void gic_host_reset(bool v3, uint8_t lr_count)
{
	memset(&gic_host, 0, sizeof(gic_host));
	gic = (struct gic){
		.v3 = v3,
		.lr_count = lr_count,
		.gicd = GIC_HOST_GICD,
		.gich = GIC_HOST_GICH,
	};
	for (uint32_t i = 0; i < KZ_CPUS_MAX; i++) {
		gic.gicr[i] = GIC_HOST_GICR + i * KZ_GICR_SIZE;
		gic.affinity[i] = i;
		gic.gicc_id[i] = (uint8_t)BIT(i);
		gic.sgi_value[i] = i + 1;
	}
}

/* ---- Physical interrupts ---- */

void gic_host_line(uint32_t cpu, uint32_t intid, bool high)
{
	struct host_bank *b = bank(cpu, intid);
	uint32_t bit = BIT(intid % 32);

	if (high && (b->line & bit) == 0 && (b->edge & bit) != 0) {
		b->latch |= bit;
	}
	b->line = high ? b->line | bit : b->line & ~bit;
}

bool gic_host_is_active(uint32_t cpu, uint32_t intid)
{
	return (bank(cpu, intid)->active & BIT(intid % 32)) != 0;
}

bool gic_host_is_enabled(uint32_t cpu, uint32_t intid)
{
	return (bank(cpu, intid)->enabled & BIT(intid % 32)) != 0;
}

static bool is_ready(uint32_t cpu, uint32_t intid)
{
	const struct host_bank *b = bank(cpu, intid);
	uint32_t pending = b->latch | (b->line & ~b->edge);

	return (pending & b->enabled & ~b->active & BIT(intid % 32)) != 0 &&
	       (intid < GIC_PRIVATE || gic_host.route[intid] == cpu);
}

uint32_t gic_ack(void)
{
	for (uint32_t i = 0; i < KZ_INTID_MAX; i++) {
		if (is_ready(here(), i)) {
			bank(here(), i)->active |= BIT(i % 32);
			bank(here(), i)->latch &= ~BIT(i % 32);
			return i;
		}
	}
	return GIC_HOST_NONE;
}

void gic_eoi(uint32_t iar)
{
	assert(gic_host_is_active(here(), iar & 0x3ff));
}

void gic_dir(uint32_t iar)
{
	gic_deactivate(here(), iar & 0x3ff);
}

void gic_sgi(uint32_t cpu, uint32_t intid)
{
	assert(cpu < KZ_CPUS_MAX && intid == GIC_SGI_KICK);
	gic_host.kicks++;
}

void gic_enable(uint32_t cpu, uint32_t intid, bool on)
{
	struct host_bank *b = bank(cpu, intid);
	uint32_t bit = BIT(intid % 32);

	assert(intid >= GIC_PRIVATE || gic.v3 || cpu == here());
	b->enabled = on ? b->enabled | bit : b->enabled & ~bit;
}

void gic_set_pending(uint32_t intid)
{
	bank(0, intid)->latch |= BIT(intid % 32);
}

void gic_deactivate(uint32_t cpu, uint32_t intid)
{
	assert(intid >= GIC_PRIVATE || gic.v3 || cpu == here());
	bank(cpu, intid)->active &= ~BIT(intid % 32);
}

void gic_reset_irq(uint32_t cpu, uint32_t intid)
{
	struct host_bank *b = bank(cpu, intid);
	uint32_t bit = BIT(intid % 32);

	assert(intid >= GIC_PRIVATE || gic.v3 || cpu == here());
	b->enabled &= ~bit;
	b->latch &= ~bit;
	b->active &= ~bit;
}

void gic_set_edge(uint32_t intid, bool edge)
{
	struct host_bank *b = bank(0, intid);

	b->edge = edge ? b->edge | BIT(intid % 32) : b->edge & ~BIT(intid % 32);
}

/* The word itself, for the model that writes through. */
void gic_config(uint32_t intid, uint32_t mask, uint32_t value)
{
	uint64_t at = gic.gicd + GICD_ICFGR + intid / 16 * 4;

	mmio_write32(at, (mmio_read32(at) & ~mask) | (value & mask));
}

void gic_route(uint32_t intid, uint32_t cpu)
{
	assert(intid >= GIC_PRIVATE && cpu < KZ_CPUS_MAX);
	gic_host.route[intid] = (uint8_t)cpu;
}

void gic_host_init_cpu(void)
{
	struct host_bank *b = &gic_host.own[here()];

	b->enabled = b->latch = b->active = 0;
	gic_virtual_reset();
	gic_hcr_write(0);
}

/* What gicd and gicr point at is up to the test. */
uint64_t gic_frame(uint32_t cpu, uint32_t intid)
{
	return gic.v3 && intid < GIC_PRIVATE ? gic.gicr[cpu] + GICR_SGI : gic.gicd;
}

/* ---- List registers ---- */

/* What the architecture leaves unpredictable does not happen. */
static void lr_check(uint32_t i, const struct lr *lr)
{
	assert(i < gic.lr_count && lr->intid < KZ_INTID_MAX && lr->state <= 3);
	assert((lr->prio & 7) == 0);		/* five bits are all that version 2 has */
	if (lr->hw) {
		/* IHI 0048 5.2.1, IHI 0069 6.1: active and pending is for software's only. */
		assert(lr->state == LR_PENDING && !lr->eoi && lr->intid >= GIC_SGIS);
		assert(gic_host.coming || gic_host_is_active(here(), lr->intid));
	}
	assert(gic.v3 || lr->source == 0 || lr->intid < GIC_SGIS);
	for (uint32_t k = 0; k < gic.lr_count; k++) {
		const struct lr *o = &vif()->lr[k];

		assert(k == i || o->state == LR_INVALID || lr->state == LR_INVALID ||
		       o->intid != lr->intid);
	}
}

void gic_lr_write(uint32_t i, const struct lr *lr)
{
	lr_check(i, lr);
	vif()->lr[i] = *lr;
	if (gic.v3) {
		vif()->lr[i].source = 0;	/* it has no such field */
	}
	gic_host.lr_writes++;
}

void gic_lr_clear(uint32_t i)
{
	assert(i < gic.lr_count);
	vif()->lr[i] = (struct lr){ 0 };
	gic_host.lr_writes++;
}

uint32_t gic_lr_state(uint32_t i)
{
	assert(i < gic.lr_count);
	return vif()->lr[i].state;
}

/* A list register whose maintenance interrupt is due is not empty yet (GICH_ELRSR). */
uint32_t gic_lr_empty(void)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < gic.lr_count; i++) {
		const struct lr *lr = &vif()->lr[i];

		set |= lr->state == LR_INVALID && (lr->hw || !lr->eoi) ? BIT(i) : 0;
	}
	return set;
}

void gic_hcr_write(uint32_t bits)
{
	assert((bits & ~(GIC_HCR_EN | GIC_HCR_LRENPIE | GIC_HCR_NPIE | GIC_HCR_TC)) == 0);
	vif()->hcr = bits;
	vif()->eoicount = 0;
}

uint32_t gic_eoicount_take(uint32_t hcr_bits)
{
	uint32_t n = vif()->eoicount;

	assert(vif()->hcr == hcr_bits);
	vif()->eoicount = 0;
	return n;
}

void gic_virtual_reset(void)
{
	*vif() = (struct host_vif){ .hcr = vif()->hcr };
}

/* ---- The guest's side ---- */

/* The priority that runs, as a level 0..31, or 32. */
static uint32_t running(const struct host_vif *f)
{
	uint32_t active = f->apr[0] | f->apr[1];

	return active == 0 ? 32 : (uint32_t)__builtin_ctz(active);
}

/* The list register that is signalled, or NULL. */
static struct lr *best(struct host_vif *f)
{
	struct lr *top = NULL;

	for (uint32_t i = 0; i < gic.lr_count; i++) {
		struct lr *lr = &f->lr[i];

		if (lr->state == LR_PENDING && f->group[lr->group1] &&
		    (top == NULL || lr->prio < top->prio)) {
			top = lr;
		}
	}
	if (top == NULL || (f->hcr & GIC_HCR_EN) == 0 || top->prio >= f->pmr ||
	    top->prio / 8u >= running(f)) {
		return NULL;
	}
	return top;
}

bool vif_signals(uint32_t cpu)
{
	return best(&gic_host.vif[cpu]) != NULL;
}

uint32_t vif_active(uint32_t cpu)
{
	return gic_host.vif[cpu].apr[0] | gic_host.vif[cpu].apr[1];
}

uint32_t vif_ack(void)
{
	struct lr *lr = best(vif());

	if (lr == NULL) {
		return GIC_HOST_NONE;
	}
	lr->state = LR_ACTIVE;
	vif()->apr[gic.v3 && lr->group1] |= BIT(lr->prio / 8u);
	return lr->intid | (uint32_t)lr->source << 10;
}

static void deactivate(uint32_t iar)
{
	for (uint32_t i = 0; i < gic.lr_count; i++) {
		struct lr *lr = &vif()->lr[i];

		if ((lr->state & LR_ACTIVE) != 0 &&
		    (lr->intid | (uint32_t)lr->source << 10) == iar) {
			lr->state &= LR_PENDING;
			if (lr->hw) {
				assert(gic_host_is_active(here(), lr->intid));
				gic_deactivate(here(), lr->intid);
			}
			return;
		}
	}
	vif()->eoicount = (vif()->eoicount + 1) & 31;
}

void vif_eoi(uint32_t iar)
{
	struct host_vif *f = vif();
	uint32_t bit = BIT(running(f) % 32);

	if (running(f) == 32) {
		return;
	}
	f->apr[0] &= ~bit;
	f->apr[1] &= ~bit;
	if (!f->eoimode) {
		deactivate(iar);
	}
}

void vif_dir(uint32_t iar)
{
	assert(vif()->eoimode);
	deactivate(iar);
}

bool vif_wants_us(uint32_t cpu)
{
	const struct host_vif *f = &gic_host.vif[cpu];
	bool eoi = false, pending = false;

	for (uint32_t i = 0; i < gic.lr_count; i++) {
		eoi |= f->lr[i].eoi && f->lr[i].state == LR_INVALID;
		pending |= f->lr[i].state == LR_PENDING;
	}
	return (f->hcr & GIC_HCR_EN) != 0 &&
	       (eoi || ((f->hcr & GIC_HCR_NPIE) != 0 && !pending) ||
		((f->hcr & GIC_HCR_LRENPIE) != 0 && f->eoicount != 0));
}

/* ---- Registers (IHI 0048 5.3, IHI 0069 12.4; SYSREG(ich_...) of version 3) ---- */

/* Fields of list registers; EOI is a bit of the physical INTID, which is that of lr.intid. */
static uint64_t lr_pack(const struct lr *lr)
{
	uint64_t state = lr->state;

	if (gic.v3) {
		return lr->intid | (uint64_t)lr->prio << 48 | (uint64_t)lr->group1 << 60 |
		       (uint64_t)lr->hw << 61 | state << 62 |
		       (lr->hw ? (uint64_t)lr->intid << 32 : (uint64_t)lr->eoi << 41);
	}
	return lr->intid | (uint64_t)(lr->prio / 8u) << 23 | state << 28 |
	       (uint64_t)lr->group1 << 30 | (uint64_t)lr->hw << 31 |
	       (lr->hw ? lr->intid << 10 : (uint32_t)lr->source << 10 | (uint32_t)lr->eoi << 19);
}

static void lr_unpack(struct lr *lr, uint64_t v)
{
	*lr = (struct lr){
		.intid = (uint32_t)v & (gic.v3 ? ~0u : 0x3ff),
		.prio = (uint8_t)(gic.v3 ? v >> 48 : (v >> 23 & 31) * 8),
		.state = (uint8_t)(gic.v3 ? v >> 62 : v >> 28 & 3),
		.group1 = (v >> (gic.v3 ? 60 : 30) & 1) != 0,
		.hw = (v >> (gic.v3 ? 61 : 31) & 1) != 0,
	};
	lr->eoi = !lr->hw && (v >> (gic.v3 ? 41 : 19) & 1) != 0;
	lr->source = (uint8_t)(gic.v3 || lr->hw ? 0 : v >> 10 & 7);
	assert(lr_pack(lr) == v);		/* nothing else is set, and HW is of its twin */
}

uint64_t gic_lr_word(const struct lr *lr)
{
	return lr_pack(lr);
}

void gic_host_lr_write(uint32_t i, uint64_t word, uint32_t source)
{
	struct lr lr;

	lr_unpack(&lr, word);
	assert(lr.state == LR_PENDING && lr.source == 0 && !lr.eoi);
	lr.source = (uint8_t)source;
	gic_lr_write(i, &lr);
}

/* It may come back in any state; whether its twin is active shows when all of it is back. */
static void lr_load(uint32_t i, uint64_t v)
{
	struct lr lr;

	assert(i < gic.lr_count);
	lr_unpack(&lr, v);
	for (uint32_t k = 0; k < gic.lr_count; k++) {
		const struct lr *o = &vif()->lr[k];

		assert(k == i || o->state == LR_INVALID || lr.state == LR_INVALID ||
		       o->intid != lr.intid);
	}
	vif()->lr[i] = lr;
	gic_host.lr_writes++;
}

static uint32_t vmcr(const struct host_vif *f)
{
	uint32_t pmr = gic.v3 ? (uint32_t)f->pmr << 24 : f->pmr / 8u << 27;

	return pmr | (uint32_t)f->eoimode << 9 | (uint32_t)f->group[1] << 1 | f->group[0];
}

static void vmcr_write(struct host_vif *f, uint32_t v)
{
	f->pmr = (uint8_t)(gic.v3 ? v >> 24 : (v >> 27) * 8);
	f->eoimode = (v & BIT(9)) != 0;
	f->group[0] = (v & 1) != 0;
	f->group[1] = (v & 2) != 0;
	assert(vmcr(f) == v);
}

uint64_t gic_host_ich_read(uint32_t offset)
{
	const struct host_vif *f = vif();

	switch (offset) {
	case GIC_HOST_HCR:
		return f->hcr | f->eoicount << 27;
	case GIC_HOST_VMCR:
		return vmcr(f);
	case GIC_HOST_ELRSR:
		return gic_lr_empty();
	case GIC_HOST_APR:
		return f->apr[0];
	case GIC_HOST_APR1:
		assert(gic.v3);
		return f->apr[1];
	default:
		offset -= GIC_HOST_LR;
		assert(offset % 4 == 0 && offset / 4 < GIC_LRS_MAX);
		return offset / 4 < gic.lr_count ? lr_pack(&f->lr[offset / 4]) : 0;
	}
}

void gic_host_ich_write(uint32_t offset, uint64_t value)
{
	struct host_vif *f = vif();

	switch (offset) {
	case GIC_HOST_HCR:
		gic_hcr_write((uint32_t)value & ~(31u << 27));
		f->eoicount = (uint32_t)value >> 27;
		break;
	case GIC_HOST_VMCR:
		vmcr_write(f, (uint32_t)value);
		break;
	case GIC_HOST_APR:
		f->apr[0] = (uint32_t)value;
		break;
	case GIC_HOST_APR1:
		assert(gic.v3);
		f->apr[1] = (uint32_t)value;
		break;
	default:
		assert(offset % 4 == 0 && offset >= GIC_HOST_LR);
		lr_load((offset - GIC_HOST_LR) / 4, value);
	}
}

/* Is it in the frame at `from`? Then `at` is the offset. */
static bool is_frame(uint64_t *at, uint64_t from, uint64_t size)
{
	bool is = *at - from < size;

	*at -= is ? from : 0;
	return is;
}

uint32_t gic_host_read32(uint64_t at)
{
	if (is_frame(&at, GIC_HOST_GICH, 0x1000)) {
		assert(!gic.v3);
		return (uint32_t)gic_host_ich_read((uint32_t)at);
	}
	return mmio_read32(at);
}

/* The bits of `set` in a register of private interrupts of core `cpu`. */
static void private_write(uint32_t cpu, uint64_t reg, uint32_t set)
{
	struct host_bank *b = &gic_host.own[cpu];

	switch (reg) {
	case GICD_ISENABLER:
		b->enabled |= set;
		break;
	case GICD_ICENABLER:
		b->enabled &= ~set;
		break;
	case GICD_ISACTIVER:
		b->active |= set;
		break;
	default:
		assert(reg == GICD_ICACTIVER);
		b->active &= ~set;
	}
}

void gic_host_write32(uint64_t at, uint32_t value)
{
	if (is_frame(&at, GIC_HOST_GICH, 0x1000)) {
		assert(!gic.v3);
		gic_host_ich_write((uint32_t)at, value);
	} else if (is_frame(&at, GIC_HOST_GICD, 0x1000)) {
		assert(!gic.v3);
		private_write(here(), at, value);
	} else if (is_frame(&at, GIC_HOST_GICR, KZ_CPUS_MAX * (uint64_t)KZ_GICR_SIZE)) {
		assert(gic.v3);
		private_write((uint32_t)(at / KZ_GICR_SIZE), at % KZ_GICR_SIZE - GICR_SGI, value);
	} else {
		mmio_write32(at, value);
	}
}
