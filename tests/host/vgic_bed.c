/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "vgic_quick.h"

struct bed bed;

static struct vcpu *vcpu_of(uint32_t cpu)
{
	return &bed.vm->vcpu[cpu];
}

/* Nobody shares a core here. */
void sched_wake(struct vcpu *v)
{
	(void)v;
}

void vgic_own(const struct vm *owner, uint32_t intid)
{
	(void)owner;
	(void)intid;
}

void vcpu_hazard(struct vcpu *v, uint32_t bits)
{
	v->hazard |= bits;
	gic_host.kicks += v->cpu != arch_this_cpu();
}

bool bed_is_hw(uint32_t intid)
{
	return intid == BED_VTIMER || intid == BED_PTIMER || (intid >= 40 && intid < 48);
}

static void configure(bool v3, uint32_t cpus)
{
	struct kz_cfg_machine *m = &bed.cfg.machine;
	struct kz_cfg_vm *c = &bed.vm_cfg;

	bed = (struct bed){ .vm = &machine.vm[0] };
	m->gic_version = v3 ? 3 : 2;
	m->cpu_count = cpus;
	m->vtimer_intid = BED_VTIMER;
	m->ptimer_intid = BED_PTIMER;
	c->level = KZ_NRT;
	c->vcpu_count = (uint8_t)cpus;
	c->irq_lines = NAIVE_LINES;
	for (uint32_t i = 40; i < 48; i++) {
		c->irq[c->irq_count++] = (struct kz_cfg_irq){
			.intid = i,
			.flags = i % 2 != 0 ? KZ_IRQ_EDGE : 0,
		};
	}
	machine.cfg = &bed.cfg;
	bed.vm->cfg = c;
}

/* A guest's first act: its CPU interface takes everything. */
static void open_interface(uint32_t cpu)
{
	gic_host.vif[cpu].pmr = 0xf8;
	gic_host.vif[cpu].group[0] = true;
	gic_host.vif[cpu].group[1] = true;
	bed.running[cpu] = true;
}

void bed_start(bool v3, uint32_t cpus, uint8_t lr_count)
{
	host_reset();
	gic_host_reset(v3, lr_count);
	configure(v3, cpus);
	for (uint32_t i = 0; i < cpus; i++) {
		struct vcpu *v = vcpu_of(i);

		v->vm = bed.vm;
		v->cpu = &host.cpu[i];
		v->id = i;
		v->state = VCPU_RUNNING;
		host.cpu[i].vcpu = v;
	}
	vgic_init(bed.vm);
	vgic_reset(bed.vm);
	naive_reset(v3, cpus);
	for (uint32_t i = 0; i < cpus; i++) {
		host_become(i);
		vgic_reset_cpu(vcpu_of(i));
		open_interface(i);
	}
	for (uint32_t i = 40; i < 48; i++) {
		naive.spi[i].hw = true;
		naive.spi[i].edge = i % 2 != 0;
	}
}

/* ---- The real model ---- */

/* The end of every exit. */
static void finish(uint32_t cpu)
{
	struct vcpu *v = vcpu_of(cpu);

	if (v->hazard != 0) {
		v->hazard = 0;
		vgic_attend(v);
	}
}

/* As the handler of the SGI that says so. */
static void take_kick(uint32_t cpu)
{
	struct vcpu *v = vcpu_of(cpu);

	if (v->hazard != 0) {
		v->hazard = 0;
		if (!vgic_quick_attend(v, gic.v3)) {
			vgic_attend(v);
		}
	}
}

enum verdict bed_access(uint32_t cpu, bool gicr, struct access *a)
{
	struct vcpu *v = vcpu_of(cpu);
	enum verdict verdict;

	host_become(cpu);
	verdict = gicr ? vgic_gicr(v, a) : vgic_gicd(v, a);
	finish(cpu);
	return verdict;
}

/* A word, by the way that the trap handler takes. */
static uint32_t word(uint32_t cpu, bool gicr, bool write, uint32_t offset, uint32_t value)
{
	struct access a = { .addr = offset, .value = value, .size = 4, .write = write };
	struct vcpu *v = vcpu_of(cpu);

	host_become(cpu);
	if (write) {
		if (gicr ? vgic_quick_write_r(v, offset, value, false) :
			   vgic_quick_write(v, offset, value)) {
			finish(cpu);
			return 0;
		}
	} else if (!gicr && vgic_quick_read(v, offset) != VGIC_LONG) {
		return (uint32_t)vgic_quick_read(v, offset);
	}
	assert_int_equal(bed_access(cpu, gicr, &a), DONE);
	return (uint32_t)a.value;
}

uint32_t bed_read(uint32_t cpu, uint32_t offset)
{
	return word(cpu, false, false, offset, 0);
}

void bed_write(uint32_t cpu, uint32_t offset, uint32_t value)
{
	(void)word(cpu, false, true, offset, value);
}

/* Where cpu finds a register of interrupt `first`. */
static uint32_t place(uint32_t cpu, uint32_t reg, uint32_t first, bool *gicr)
{
	*gicr = gic.v3 && first < GIC_PRIVATE;
	return *gicr ? cpu * KZ_GICR_SIZE + GICR_SGI + reg : reg;
}

uint32_t bed_bits(uint32_t cpu, uint32_t reg, uint32_t bank)
{
	bool gicr;
	uint32_t at = place(cpu, reg, bank * 32, &gicr);

	return word(cpu, gicr, false, at + bank * 4, 0);
}

void bed_bits_write(uint32_t cpu, uint32_t reg, uint32_t bank, uint32_t value)
{
	bool gicr;
	uint32_t at = place(cpu, reg, bank * 32, &gicr);

	(void)word(cpu, gicr, true, at + bank * 4, value);
}

void bed_byte_write(uint32_t cpu, uint32_t reg, uint32_t intid, uint8_t value)
{
	bool gicr;
	uint32_t at = place(cpu, reg, intid, &gicr);
	struct access a = { .addr = at + intid, .value = value, .size = 1, .write = true };

	assert_int_equal(bed_access(cpu, gicr, &a), DONE);
}

void bed_sgi(uint32_t cpu, uint32_t intid, uint32_t targets)
{
	struct vcpu *v = vcpu_of(cpu);
	uint64_t value = (uint64_t)intid << 24 | targets;
	bool group1 = naive_irq(cpu, intid)->group1;

	host_become(cpu);
	if (!gic.v3) {
		bed_write(cpu, GICD_SGIR, targets << 16 | intid);
	} else if (!group1 || !vgic_quick_sgi1r(v, value)) {
		vgic_sgi_register(v, value, group1);
	}
	finish(cpu);
}

/* ---- What a core does ---- */

/* As the handler of physical interrupts. False when there is none. */
static bool take_irq(uint32_t cpu)
{
	uint32_t intid = gic_ack() & 0x3ff;
	struct naive_irq *q;

	if (intid >= GIC_SPURIOUS) {
		return false;
	}
	assert_true(bed_is_hw(intid));
	gic_eoi(intid);
	q = naive_irq(cpu, intid);
	if (q->hw_pending || q->hw_active) {
		fail_msg("the twin of %u was deactivated before the guest ended it", intid);
	}
	q->latch = true;
	q->hw_pending = true;
	if (intid >= GIC_PRIVATE || !vgic_quick_again(vcpu_of(cpu), intid, gic.v3, true, 0)) {
		vgic_hw_irq(vcpu_of(cpu), intid);
	}
	finish(cpu);
	return true;
}

void bed_settle(uint32_t cpu)
{
	host_become(cpu);
	if (!bed.running[cpu]) {
		return;
	}
	take_kick(cpu);
	/* Each interrupt fires once until the guest acts. */
	for (uint32_t turns = 0; take_irq(cpu); turns++) {
		assert_true(turns < 64);
	}
	if (vif_wants_us(cpu)) {
		vgic_sync(vcpu_of(cpu));
		finish(cpu);
		if (vif_wants_us(cpu)) {
			fail_msg("maintenance without end");
		}
		while (take_irq(cpu)) {
		}
	}
}

static bool is_settled(uint32_t cpu)
{
	return !bed.running[cpu] || (vcpu_of(cpu)->hazard == 0 && !vif_wants_us(cpu));
}

static uint32_t lr_with(uint32_t intid, uint32_t *cpu)
{
	for (uint32_t c = 0; c < naive.cpus; c++) {
		for (uint32_t i = 0; i < gic.lr_count; i++) {
			const struct lr *lr = &gic_host.vif[c].lr[i];

			if (lr->state != LR_INVALID && lr->intid == intid &&
			    (intid >= GIC_PRIVATE || c == *cpu)) {
				*cpu = c;
				return i;
			}
		}
	}
	return GIC_LRS_MAX;
}

/* Two orders of events were right; the model took one, and the oracle follows. */
static void follow(uint32_t cpu, uint32_t intid)
{
	struct naive_irq *q = naive_irq(cpu, intid);
	const struct vgic_bank *b = vgic_bank_of(vcpu_of(cpu), intid);
	uint32_t bit = BIT(intid % 32), holder = cpu;
	uint32_t i = lr_with(intid, &holder);
	const struct lr *lr = &gic_host.vif[holder].lr[i % GIC_LRS_MAX];
	uint32_t state = i < GIC_LRS_MAX ? lr->state : LR_INVALID;

	q->active = (b->active & bit) != 0 || (state & LR_ACTIVE) != 0;
	q->latch = (b->latch & bit) != 0 ||
		   ((state & LR_PENDING) != 0 &&
		    (vcpu_of(holder)->arch.vgic.lr_level & BIT(i)) == 0);
	if (!gic.v3 && intid < GIC_SGIS) {
		q->latch = false;
		q->sources = vcpu_of(cpu)->arch.vgic.sgi_source[intid];
		if ((state & LR_PENDING) != 0) {
			q->sources |= (uint8_t)BIT(lr->source);
		}
	}
	q->hw_pending = q->hw_active = false;
	q->adopt = false;
}

void bed_off(uint32_t cpu)
{
	struct vcpu *v = vcpu_of(cpu);

	host_become(cpu);
	vgic_park(v);
	gic_host_init_cpu();
	v->state = VCPU_OFF;
	v->hazard = 0;
	bed.running[cpu] = false;
	naive.cpu[cpu].run_count = 0;
	for (uint32_t i = 0; i < GIC_PRIVATE; i++) {
		struct naive_irq *q = naive_irq(cpu, i);

		q->hw_pending = q->hw_active = false;
	}
}

void bed_on(uint32_t cpu)
{
	struct vcpu *v = vcpu_of(cpu);

	host_become(cpu);
	vgic_reset_cpu(v);
	v->state = VCPU_RUNNING;
	vgic_sync(v);
	/* Whether a twin's interrupt was still pending is its line's business. */
	follow(cpu, BED_VTIMER);
	follow(cpu, BED_PTIMER);
	open_interface(cpu);
	gic_host.vif[cpu].eoimode = naive.cpu[cpu].eoimode;
	naive.cpu[cpu].pmr = 0xf8;
}

void bed_settle_all(void)
{
	bool again = true;

	for (uint32_t turns = 0; again; turns++) {
		assert_true(turns < 16);
		again = false;
		for (uint32_t c = 0; c < naive.cpus; c++) {
			bed_settle(c);
		}
		for (uint32_t c = 0; c < naive.cpus; c++) {
			again |= !is_settled(c);
		}
	}
	for (uint32_t c = 0; c < naive.cpus; c++) {
		for (uint32_t i = 0; i < NAIVE_LINES; i++) {
			if (naive_irq(c, i)->adopt) {
				follow(c, i);
			}
			naive_irq(c, i)->racing = false;
		}
	}
}
