/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs of several VMs on one core: they come and go as arch/arm64/turn.c lets
 * them, the quick way or the long one, and what the hardware has then is compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vgic_bed.h"
#include "vgic_switch.h"

static const uint8_t timers[] = { BED_VTIMER, BED_PTIMER };

void bed_drive(uint32_t cpu)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(timers); i++) {
		gic_host_line(cpu, timers[i], (bed.now->ppi[cpu] & BIT(timers[i])) != 0);
	}
}

void bed_twin(uint32_t cpu, uint32_t intid, bool high)
{
	if (intid >= GIC_PRIVATE) {
		gic_host_line(cpu, intid, high);
		return;
	}
	bed.now->ppi[cpu] &= ~BIT(intid);
	bed.now->ppi[cpu] |= high ? BIT(intid) : 0;
	if (host.cpu[cpu].vcpu == bed_vcpu(cpu)) {
		bed_drive(cpu);
	}
}

/* A timer of v that is due as it comes: delivered, or its line does it later. */
static void load_timer(struct vcpu *v, uint32_t intid)
{
	struct naive_irq *q = naive_irq(v->id, intid);
	bool active = gic_host_is_active(v->id, intid);

	if ((bed.now->ppi[v->id] & BIT(intid)) == 0) {
		return;
	}
	gic_host.coming = true;
	if (intid != BED_VTIMER || !vgic_load_timer(v, gic.v3)) {
		vgic_load_irq(v, intid);
	}
	gic_host.coming = false;
	if (active || !gic_host_is_active(v->id, intid)) {
		bed.late += !active;
		return;
	}
	if (!q->enabled || q->hw_pending || q->hw_active) {
		fail_msg("vCPU %u got its timer's %u twice", v->id, intid);
	}
	q->latch = true;
	q->hw_pending = true;
	bed.fired++;
}

/* vcpu_switch: nobody is between them. */
static void come_quick(struct vcpu *v, struct vcpu *old)
{
	if (vgic_switch(old, v, gic.v3)) {
		bed.quick++;
		for (uint32_t i = 0; i < ARRAY_SIZE(timers); i++) {
			load_timer(v, timers[i]);
		}
		return;
	}
	vgic_save(old);
	vgic_load(v);
	bed.half++;
}

void bed_leave(uint32_t cpu)
{
	struct percpu *p = &host.cpu[cpu];

	if (p->vcpu != NULL) {
		vgic_save(p->vcpu);
		bed.waited += p->vcpu->sched.state == SCHED_BLOCKED;
	}
	p->vcpu = NULL;
}

/* Back with a budget, or because it was woken. */
static void resume(struct vcpu *v)
{
	v->sched.state = SCHED_READY;
	if (v->sched.masked) {
		v->sched.masked = false;
		vgic_mask(v, false);
	}
}

void bed_come(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);
	struct percpu *p = &host.cpu[cpu];

	host_become(cpu);
	if (!bed.now->running[cpu]) {
		return;
	}
	resume(v);
	if (p->vcpu == v) {
		return;
	}
	if (p->vcpu != NULL && v->hazard == 0 && random() % 4 != 0) {
		come_quick(v, p->vcpu);
		p->vcpu = v;
	} else {
		bed_leave(cpu);
		p->vcpu = v;
		vgic_load(v);
		bed.slow++;
	}
	bed_drive(cpu);
	bed_vif_check(cpu);
	if (v->hazard != 0) {
		v->hazard = 0;
		vgic_attend(v);
	}
}

bool bed_wait(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	bed_come(cpu);
	if (v->hazard != 0 || vgic_has_work(v)) {
		return false;
	}
	v->sched.state = SCHED_BLOCKED;
	return true;
}

void bed_spend(uint32_t cpu)
{
	struct vcpu *v = bed_vcpu(cpu);

	host_become(cpu);
	if (!v->sched.masked) {
		v->sched.masked = true;
		vgic_mask(v, true);
	}
}

/* ---- What no other vCPU may have changed ---- */

static void check_lr(uint32_t cpu, const struct lr *lr)
{
	if (lr->state != LR_INVALID && lr->hw && !gic_host_is_active(cpu, lr->intid)) {
		fail_msg("%u is in a list register of core %u, and its twin is not active",
			 lr->intid, cpu);
	}
}

void bed_vif_check(uint32_t cpu)
{
	const struct host_vif *f = &gic_host.vif[cpu];
	const struct naive_cpu *c = &naive->cpu[cpu];
	uint32_t active = 0;

	for (uint32_t i = 0; i < c->run_count; i++) {
		active |= c->run[i].dropped ? 0 : BIT(c->run[i].prio / 8);
	}
	if (vif_active(cpu) != active) {
		fail_msg("vCPU %u has active priorities 0x%x, not 0x%x", cpu, vif_active(cpu),
			 active);
	}
	if (f->pmr != c->pmr || f->eoimode != c->eoimode || !f->group[0] || !f->group[1]) {
		fail_msg("vCPU %u has another's mask 0x%x or mode %u", cpu, f->pmr, f->eoimode);
	}
	for (uint32_t i = 0; i < gic.lr_count; i++) {
		check_lr(cpu, &f->lr[i]);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(timers); i++) {
		if (gic_host_is_enabled(cpu, timers[i]) != naive_irq(cpu, timers[i])->enabled) {
			fail_msg("vCPU %u: the line of %u is another's", cpu, timers[i]);
		}
	}
}
