/* SPDX-License-Identifier: Apache-2.0 */
/* The real model and the oracle do the same, and are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vgic_bed.h"

/* Who acts on an interrupt that another vCPU may just be handling: then either may be first. */
static void race(uint32_t cpu, uint32_t owner, uint32_t intid)
{
	if (intid >= GIC_PRIVATE || owner != cpu) {
		naive_irq(owner, intid)->racing = true;
	}
}

void both_bits(uint32_t cpu, uint32_t reg, uint32_t bank, uint32_t value)
{
	bed_come(cpu);
	for (uint32_t s = value; s != 0; s &= s - 1) {
		uint32_t intid = bank * 32 + (uint32_t)__builtin_ctz(s);

		race(cpu, cpu, intid);
		naive_bit(cpu, reg, intid);
	}
	bed_bits_write(cpu, reg, bank, value);
}

void both_priority(uint32_t cpu, uint32_t intid, uint8_t prio)
{
	race(cpu, cpu, intid);
	naive_irq(cpu, intid)->prio = prio & 0xf8;
	bed_byte_write(cpu, GICD_IPRIORITYR, intid, prio);
}

void both_target(uint32_t cpu, uint32_t intid, uint32_t target)
{
	struct naive_irq *q = naive_irq(cpu, intid);
	struct access a = {
		.addr = GICD_IROUTER + 8 * intid,
		.value = target,
		.size = 8,
		.write = true,
	};

	race(cpu, cpu, intid);
	q->cpu = (uint8_t)target;
	if (gic.v3) {
		q->route = target;
		assert_int_equal(bed_access(cpu, false, &a), DONE);
	} else {
		q->route = BIT(target);
		bed_byte_write(cpu, GICD_ITARGETSR, intid, (uint8_t)BIT(target));
	}
}

void both_ctlr(uint32_t cpu, uint32_t value)
{
	naive->ctlr = value;
	bed_write(cpu, GICD_CTLR, value);
}

void both_sgi(uint32_t cpu, uint32_t intid, uint32_t targets)
{
	bool group1 = naive_irq(cpu, intid)->group1;

	for (uint32_t t = 0; t < naive->cpus; t++) {
		if ((targets & BIT(t)) != 0 &&
		    (!gic.v3 || naive_irq(t, intid)->group1 == group1)) {
			race(cpu, t, intid);
			naive_sgi(cpu, t, intid);
		}
	}
	bed_sgi(cpu, intid, targets);
}

void both_line(uint32_t cpu, uint32_t intid, bool high)
{
	struct naive_irq *q = naive_irq(0, intid);

	race(cpu, cpu, intid);
	q->latch |= high && !q->line && q->edge;
	q->line = high;
	host_become(cpu);
	vgic_line(&bed.vm->vcpu[0], intid, high);
}

/* ---- The guest's CPU interface ---- */

void both_pmr(uint32_t cpu, uint32_t pmr)
{
	bed_come(cpu);
	naive->cpu[cpu].pmr = pmr;
	gic_host.vif[cpu].pmr = (uint8_t)pmr;
}

void both_apr(uint32_t cpu, uint32_t prio)
{
	struct naive_cpu *c = &naive->cpu[cpu];

	bed_come(cpu);
	assert_true(prio < naive_running(cpu) && c->run_count < NAIVE_NEST);
	c->run[c->run_count++] = (struct naive_run){ .iar = NAIVE_BARE, .prio = prio };
	gic_host.vif[cpu].apr[gic.v3] |= BIT(prio / 8);
}

/* The oracle's opinion of an acknowledge when no core is behind. */
static void check_ack(uint32_t cpu, uint32_t iar, uint32_t best)
{
	uint32_t intid = iar & 0x3ff;
	const struct naive_irq *q;

	if (best == NAIVE_IDLE) {
		if (iar != GIC_HOST_NONE) {
			fail_msg("vCPU %u got %u, and nothing was to be had", cpu, iar);
		}
		return;
	}
	if (iar == GIC_HOST_NONE) {
		fail_msg("vCPU %u got nothing, and priority 0x%x waits", cpu, best);
	}
	q = naive_irq(cpu, intid);
	if (!naive_takes(cpu, intid) || q->prio != best) {
		fail_msg("vCPU %u got %u of priority 0x%x, the best is 0x%x", cpu, intid, q->prio,
			 best);
	}
	if (!gic.v3 && intid < GIC_SGIS && (q->sources & BIT(iar >> 10)) == 0) {
		fail_msg("vCPU %u got SGI %u from %u, who has sent none", cpu, intid, iar >> 10);
	}
}

uint32_t both_ack(uint32_t cpu)
{
	uint32_t best, iar;

	bed_settle_all();
	best = naive_best(cpu);
	host_become(cpu);
	iar = vif_ack();
	check_ack(cpu, iar, best);
	if (iar != GIC_HOST_NONE) {
		naive_ack(cpu, iar);
	}
	return iar & 0x3ff;
}

uint32_t both_ack_early(uint32_t cpu)
{
	struct naive_irq *q;
	uint32_t iar;

	bed_come(cpu);
	iar = vif_ack();
	if (iar == GIC_HOST_NONE) {
		return iar;
	}
	q = naive_irq(cpu, iar & 0x3ff);
	if (!q->racing && (!naive_pending(q) || !q->enabled || q->active || q->cpu != cpu)) {
		fail_msg("vCPU %u got %u, which was not to be had", cpu, iar);
	}
	q->adopt |= q->racing;
	naive_ack(cpu, iar);
	/* The priority may have been changed on its way. */
	naive->cpu[cpu].run[naive->cpu[cpu].run_count - 1].prio =
		(uint32_t)__builtin_ctz(vif_active(cpu)) * 8;
	return iar & 0x3ff;
}

static struct naive_irq *of_run(uint32_t cpu, uint32_t i)
{
	return naive_irq(cpu, naive->cpu[cpu].run[i].iar & 0x3ff);
}

void both_eoi(uint32_t cpu, uint32_t i)
{
	const struct naive_run run = naive->cpu[cpu].run[i];

	bed_come(cpu);
	if (run.iar == NAIVE_BARE) {
		gic_host.vif[cpu].apr[gic.v3] &= ~BIT(run.prio / 8);
	} else {
		of_run(cpu, i)->adopt |= of_run(cpu, i)->racing;
		vif_eoi(run.iar);
	}
	naive_eoi(cpu, i);
}

void both_dir(uint32_t cpu, uint32_t i)
{
	uint32_t iar = naive->cpu[cpu].run[i].iar;
	struct naive_irq *q = of_run(cpu, i);

	q->adopt |= q->racing;
	bed_come(cpu);
	naive_dir(cpu, i);
	vif_dir(iar);
}

static void end_all(uint32_t cpu)
{
	struct naive_cpu *c = &naive->cpu[cpu];

	/* EOI, the last first; then DIR in that order. */
	for (uint32_t i = c->run_count; i-- > 0;) {
		if (!c->run[i].dropped) {
			both_eoi(cpu, i);
		}
	}
	while (c->run_count != 0) {
		both_dir(cpu, c->run_count - 1);
	}
}

uint32_t both_drain(void)
{
	uint32_t n = 0;
	bool more = true;

	for (uint32_t cpu = 0; cpu < naive->cpus; cpu++) {
		end_all(cpu);
	}
	while (more) {
		more = false;
		for (uint32_t cpu = 0; cpu < naive->cpus; cpu++) {
			if (both_ack(cpu) != GIC_HOST_NONE) {
				assert_true(n++ < 10000);
				end_all(cpu);
				more = true;
			}
		}
	}
	return n;
}

/* ---- Comparison ---- */

static void check_bits(uint32_t cpu, uint32_t reg, uint32_t bank)
{
	uint32_t want, got;

	(void)bed_bits(cpu, reg, bank);		/* may have to ask the others first */
	bed_settle_all();
	got = bed_bits(cpu, reg, bank);
	want = naive_bits(cpu, reg, bank);
	if (got != want) {
		fail_msg("vCPU %u reads 0x%x at 0x%x of bank %u, not 0x%x", cpu, got, reg, bank,
			 want);
	}
	bed_settle_all();
}

static void check_words(uint32_t cpu, uint32_t intid)
{
	uint32_t want = naive_word(cpu, GICD_IPRIORITYR, intid);
	uint32_t got = bed_bits(cpu, GICD_IPRIORITYR + intid - intid / 32 * 4, intid / 32);

	if (got != want) {
		fail_msg("vCPU %u reads priorities 0x%x of %u, not 0x%x", cpu, got, intid, want);
	}
	if (gic.v3) {
		assert_true(intid < GIC_PRIVATE || bed_read(cpu, GICD_IROUTER + intid * 8) ==
							   naive_irq(cpu, intid)->route);
	} else {
		assert_int_equal(bed_read(cpu, GICD_ITARGETSR + intid),
				 naive_word(cpu, GICD_ITARGETSR, intid));
	}
}

static void check_senders(uint32_t cpu, uint32_t intid)
{
	uint32_t want = 0;

	for (uint32_t i = 0; i < 4; i++) {
		want |= (uint32_t)naive_irq(cpu, intid + i)->sources << i * 8;
	}
	assert_int_equal(bed_read(cpu, GICD_SPENDSGIR + intid), want);
	assert_int_equal(bed_read(cpu, GICD_CPENDSGIR + intid), want);
}

/* A twin is active while, and only while, its event is the guest's. */
static void check_twin(uint32_t cpu, uint32_t intid)
{
	const struct naive_irq *q = naive_irq(cpu, intid);
	bool active = gic_host_is_active(cpu, intid);

	if (gic_host_is_enabled(cpu, intid) != q->enabled) {
		fail_msg("the twin of %u is %senabled", intid, q->enabled ? "not " : "");
	}
	if ((q->hw_pending || q->hw_active) && !active) {
		fail_msg("the twin of %u is not active, and the guest has not ended it", intid);
	}
	if (active && !naive_pending(q) && !q->active) {
		fail_msg("the twin of %u stays active, and the guest has nothing to end", intid);
	}
}

void both_check(void)
{
	static const uint32_t reg[] = {
		GICD_IGROUPR, GICD_ISENABLER, GICD_ICENABLER, GICD_ISPENDR,
		GICD_ICPENDR, GICD_ISACTIVER, GICD_ICACTIVER,
	};

	bed_settle_all();
	for (uint32_t cpu = 0; cpu < naive->cpus; cpu++) {
		if (vif_signals(cpu) != (naive_best(cpu) != NAIVE_IDLE)) {
			fail_msg("vCPU %u: signalled %d, best 0x%x", cpu, vif_signals(cpu),
				 naive_best(cpu));
		}
		for (uint32_t i = 0; i < NAIVE_LINES; i++) {
			if (bed_is_hw(i)) {
				check_twin(cpu, i);
			}
		}
		for (uint32_t i = 0; i < GIC_SGIS && !gic.v3; i += 4) {
			check_senders(cpu, i);
		}
		for (uint32_t bank = 0; bank < NAIVE_LINES / 32; bank++) {
			for (uint32_t r = 0; r < ARRAY_SIZE(reg); r++) {
				check_bits(cpu, reg[r], bank);
			}
		}
		for (uint32_t i = 0; i < NAIVE_LINES; i += 4) {
			check_words(cpu, i);
		}
	}
	assert_int_equal(bed.vm->arch.vgic.lock.word >> 16, bed.vm->arch.vgic.lock.word & 0xffff);
}
