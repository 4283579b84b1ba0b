/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "vgic_quick.h"

struct bed bed;

/* Whom to run is the test's business. */
void sched_wake(struct vcpu *v)
{
	(void)v;
}

void vcpu_hazard(struct vcpu *v, uint32_t bits)
{
	v->hazard |= bits;
	gic_host.kicks += v->cpu != arch_this_cpu();
}

void bed_use(uint32_t vm)
{
	bed.vm = &machine.vm[vm];
	bed.now = &bed.of[vm];
	naive_use(vm);
}

/* The VM that has the device of SPI intid, 40 to 47; levels and edges. */
static uint32_t vm_of(uint32_t intid)
{
	return intid / 2 % bed.vms;
}

bool bed_is_hw(uint32_t intid)
{
	return intid == BED_VTIMER || intid == BED_PTIMER ||
	       (intid >= 40 && intid < 48 && vm_of(intid) == bed.vm->id);
}

/* Of the machine, and of the VM in use. */
static void configure(uint32_t cpus)
{
	struct kz_cfg_machine *m = &bed.cfg.machine;
	struct kz_cfg_vm *c = &bed.now->cfg;

	m->gic_version = gic.v3 ? 3 : 2;
	m->cpu_count = cpus;
	m->vtimer_intid = BED_VTIMER;
	gic.vtimer = BED_VTIMER;
	m->ptimer_intid = BED_PTIMER;
	c->level = KZ_NRT;
	c->vcpu_count = (uint8_t)cpus;
	c->irq_lines = NAIVE_LINES;
	for (uint32_t i = 40; i < 48; i++) {
		if (bed_is_hw(i)) {
			c->irq[c->irq_count++] = (struct kz_cfg_irq){
				.intid = i,
				.flags = i % 2 != 0 ? KZ_IRQ_EDGE : 0,
			};
		}
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
	bed.now->running[cpu] = true;
}

/* The registers of a core go to a vCPU as after reset. */
static void reset_cpu(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	host_become(cpu);
	bed_leave(cpu);
	host.cpu[cpu].vcpu = v;
	v->state = VCPU_RUNNING;
	v->sched.state = SCHED_READY;
	vgic_reset_cpu(v);
}

static void start(uint32_t vm, uint32_t cpus)
{
	bed_use(vm);
	bed.vm->id = vm;
	configure(cpus);
	for (uint32_t i = 0; i < cpus; i++) {
		struct vcpu *v = bed_vcpu(i);

		v->vm = bed.vm;
		v->cpu = &host.cpu[i];
		v->id = i;
		v->state = VCPU_RUNNING;
	}
	vgic_init(bed.vm);
	vgic_reset(bed.vm);
	naive_reset(gic.v3, cpus);
	for (uint32_t i = 0; i < cpus; i++) {
		reset_cpu(i);
		open_interface(i);
	}
	for (uint32_t i = 40; i < 48; i++) {
		naive->spi[i].hw = bed_is_hw(i);
		naive->spi[i].edge = bed_is_hw(i) && i % 2 != 0;
	}
}

void bed_share(bool v3, uint32_t vms, uint32_t cpus, uint8_t lr_count)
{
	host_reset();
	gic_host_reset(v3, lr_count);
	bed = (struct bed){ .vms = vms };
	for (uint32_t i = 0; i < cpus; i++) {
		host.cpu[i].sched.shared = vms > 1;
	}
	for (uint32_t vm = vms; vm-- > 0;) {
		start(vm, cpus);
	}
}

void bed_start(bool v3, uint32_t cpus, uint8_t lr_count)
{
	bed_share(v3, 1, cpus, lr_count);
}

/* ---- The real model ---- */

/* One lock, so no other core is in the middle of something. */
void bed_again_check(void)
{
	for (uint32_t c = 0; c < naive->cpus; c++) {
		const struct vgic_cpu *g = &bed_vcpu(c)->arch.vgic;
		const struct vgic_bank *b = &g->bank;
		uint32_t bit = BIT(BED_VTIMER);
		uint32_t i = g->again_lr;

		assert_int_equal(b->inlr & b->active, 0);	/* the quick ways rely on it */
		if (g->again == 0) {
			continue;
		}
		if ((b->live & b->inlr & ~b->active & ~b->fresh & bit) == 0 ||
		    g->hcr != GIC_HCR_EN || i != b->lr[BED_VTIMER] ||
		    (g->lr_used & g->lr_hw & BIT(i)) == 0 || g->lr_intid[i] != BED_VTIMER ||
		    g->again != g->lr_word[i]) {
			fail_msg("vCPU %u knows of its timer what is not so", c);
		}
	}
}

/* The end of every exit. */
static void finish(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	bed_again_check();
	if (v->hazard != 0) {
		v->hazard = 0;
		vgic_attend(v);
		bed_again_check();
	}
}

/* As the handler of the SGI that says so. */
static void take_kick(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	if (v->hazard != 0) {
		v->hazard = 0;
		if (!vgic_quick_attend(v, gic.v3)) {
			vgic_attend(v);
		}
	}
}

enum verdict bed_access(uint32_t cpu, bool gicr, struct access *a)
{
	struct vcpu *v = bed_vcpu(cpu);
	enum verdict verdict;

	bed_come(cpu);
	verdict = gicr ? vgic_gicr(v, a) : vgic_gicd(v, a);
	finish(cpu);
	return verdict;
}

/* A word, by the way that the trap handler takes. */
static uint32_t word(uint32_t cpu, bool gicr, bool write, uint32_t offset, uint32_t value)
{
	struct access a = { .addr = offset, .value = value, .size = 4, .write = write };
	struct vcpu *v = bed_vcpu(cpu);

	bed_come(cpu);
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
	struct vcpu *v = bed_vcpu(cpu);
	uint64_t value = (uint64_t)intid << 24 | targets;
	bool group1 = naive_irq(cpu, intid)->group1;

	bed_come(cpu);
	if (!gic.v3) {
		bed_write(cpu, GICD_SGIR, targets << 16 | intid);
	} else if (!group1 || !vgic_quick_sgi1r(v, value)) {
		vgic_sgi_register(v, value, group1);
	}
	finish(cpu);
}

/* ---- What a core does ---- */

/* The event of a twin is the guest's from here. */
static void take_twin(uint32_t cpu, uint32_t intid)
{
	struct naive_irq *q = naive_irq(cpu, intid);

	assert_true(bed_is_hw(intid));
	if (q->hw_pending || q->hw_active) {
		fail_msg("the twin of %u was deactivated before the guest ended it", intid);
	}
	q->latch = true;
	q->hw_pending = true;
}

/* A device of a VM whose vCPU is not the one that is here. */
static void take_others(uint32_t cpu, uint32_t intid)
{
	uint32_t now = bed.vm->id;
	struct vcpu *t = vgic_target(intid);

	bed_use(vm_of(intid));
	assert_true(t != NULL && t->vm == bed.vm);
	take_twin(cpu, intid);
	vgic_hw_irq(t, intid);
	bed_use(now);
}

/* As the handler of physical interrupts. False when there is none. */
static bool take_irq(uint32_t cpu)
{
	uint32_t intid = gic_ack() & 0x3ff;
	struct vcpu *v = bed_vcpu(cpu);

	if (intid >= GIC_SPURIOUS) {
		return false;
	}
	gic_eoi(intid);
	if (!vgic_has_twin(v, intid)) {
		take_others(cpu, intid);
		return true;
	}
	take_twin(cpu, intid);
	if (intid == gic.vtimer && vgic_quick_timer(v, gic.v3)) {
		bed.again++;
	} else if (intid >= GIC_PRIVATE || !vgic_quick_again(v, intid, gic.v3, true, 0)) {
		vgic_hw_irq(v, intid);
	}
	finish(cpu);
	return true;
}

void bed_settle(uint32_t cpu)
{
	bed_come(cpu);
	if (!bed.now->running[cpu]) {
		return;
	}
	take_kick(cpu);
	/* Each interrupt fires once until the guest acts. */
	for (uint32_t turns = 0; take_irq(cpu); turns++) {
		assert_true(turns < 64);
	}
	if (vif_wants_us(cpu)) {
		vgic_sync(bed_vcpu(cpu));
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
	return !bed.now->running[cpu] || (bed_vcpu(cpu)->hazard == 0 && !vif_wants_us(cpu));
}

static uint32_t lr_with(uint32_t intid, uint32_t *cpu)
{
	for (uint32_t c = 0; c < naive->cpus; c++) {
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
	const struct vgic_bank *b = vgic_bank_of(bed_vcpu(cpu), intid);
	uint32_t bit = BIT(intid % 32), holder = cpu;
	uint32_t i = lr_with(intid, &holder);
	const struct lr *lr = &gic_host.vif[holder].lr[i % GIC_LRS_MAX];
	uint32_t state = i < GIC_LRS_MAX ? lr->state : LR_INVALID;

	q->active = (b->active & bit) != 0 || (state & LR_ACTIVE) != 0;
	q->latch = (b->latch & bit) != 0 ||
		   ((state & LR_PENDING) != 0 &&
		    (bed_vcpu(holder)->arch.vgic.lr_level & BIT(i)) == 0);
	if (!gic.v3 && intid < GIC_SGIS) {
		q->latch = false;
		q->sources = bed_vcpu(cpu)->arch.vgic.sgi_source[intid];
		if ((state & LR_PENDING) != 0) {
			q->sources |= (uint8_t)BIT(lr->source);
		}
	}
	q->hw_pending = q->hw_active = false;
	q->adopt = false;
}

void bed_off(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	bed_come(cpu);
	vgic_park(v);
	gic_host_init_cpu();
	host.cpu[cpu].arch.ppis = 0;
	host.cpu[cpu].vcpu = NULL;
	v->state = VCPU_OFF;
	bed_again_check();
	v->hazard = 0;
	bed.now->running[cpu] = false;
	naive->cpu[cpu].run_count = 0;
	for (uint32_t i = 0; i < GIC_PRIVATE; i++) {
		struct naive_irq *q = naive_irq(cpu, i);

		q->hw_pending = q->hw_active = false;
	}
}

void bed_on(uint32_t cpu)
{
	reset_cpu(cpu);
	bed_drive(cpu);
	vgic_sync(bed_vcpu(cpu));
	/* Whether a twin's interrupt was still pending is its line's business. */
	follow(cpu, BED_VTIMER);
	follow(cpu, BED_PTIMER);
	open_interface(cpu);
	gic_host.vif[cpu].eoimode = naive->cpu[cpu].eoimode;
	naive->cpu[cpu].pmr = 0xf8;
}

void bed_settle_all(void)
{
	bool again = true;

	for (uint32_t turns = 0; again; turns++) {
		assert_true(turns < 16);
		again = false;
		for (uint32_t c = 0; c < naive->cpus; c++) {
			bed_settle(c);
		}
		for (uint32_t c = 0; c < naive->cpus; c++) {
			again |= !is_settled(c);
		}
	}
	for (uint32_t c = 0; c < naive->cpus; c++) {
		for (uint32_t i = 0; i < NAIVE_LINES; i++) {
			if (naive_irq(c, i)->adopt) {
				follow(c, i);
			}
			naive_irq(c, i)->racing = false;
		}
	}
}
