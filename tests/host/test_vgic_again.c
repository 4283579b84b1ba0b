/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: hv/trace.c tests/host/arch_host.c tests/host/gic_host.c tests/host/gic_naive.c */
/* link: arch/vgic_switch.c tests/host/vgic_bed.c tests/host/vgic_both.c tests/host/vgic_share.c */
/*
 * What a core knows of its virtual timer's next time (vgic_cpu.again): armed, then all
 * that may change it happens, by the vCPU itself and by another, at every moment; the
 * timer fires again, and the oracle says what the guest has to get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vgic_bed.h"
#include "vgic_switch.h"

#define PRIO	0x80u
#define TIMER	BIT(BED_VTIMER)

/* Every test runs with version 2 and 3. */
static bool v3;

static struct vgic_cpu *timer_of(uint32_t cpu)
{
	return &bed_vcpu(cpu)->arch.vgic;
}

static bool is_armed(void)
{
	return timer_of(0)->again != 0;
}

/* ---- What the guest of vCPU 0 does ---- */

static void end_last(void)
{
	both_eoi(0, naive->cpu[0].run_count - 1);
}

/* Acknowledged, that is, with its line low: the guest has set it anew. */
static void take_timer(void)
{
	assert_int_equal(both_ack(0), BED_VTIMER);
	bed_twin(0, BED_VTIMER, false);
}

static void tick(void)
{
	bed_twin(0, BED_VTIMER, true);
	take_timer();
	end_last();
}

static void arm(void)
{
	uint64_t before = bed.again;

	tick();
	tick();
	assert_true(is_armed());
	tick();
	assert_true(bed.again > before && is_armed());
}

static void open_vm(void)
{
	both_ctlr(0, 3);
	for (uint32_t c = 0; c < naive->cpus; c++) {
		both_bits(c, GICD_ISENABLER, 0, TIMER | BIT(BED_PTIMER) | 0xff);
		both_priority(c, BED_VTIMER, PRIO);
		both_priority(c, BED_PTIMER, PRIO - 8);
		for (uint32_t i = 0; i < 8; i++) {
			both_priority(c, i, (uint8_t)(PRIO + 32 - 8 * i));
		}
	}
}

static void start(uint32_t cpus, uint8_t lrs)
{
	bed_start(v3, cpus, lrs);
	open_vm();
	arm();
}

/* ---- Registers of vCPU 0's own interrupts, written by any vCPU (version 3: GICR) ---- */

static void by_bits(uint32_t by, uint32_t reg)
{
	struct access a = {
		.addr = GICR_SGI + reg, .value = TIMER, .size = 4, .write = true,
	};

	if (by == 0) {
		both_bits(0, reg, 0, TIMER);
		return;
	}
	naive_irq(0, BED_VTIMER)->racing = true;
	naive_bit(0, reg, BED_VTIMER);
	assert_int_equal(bed_access(by, true, &a), DONE);
}

static void by_priority(uint32_t by, uint8_t prio)
{
	struct access a = {
		.addr = GICR_SGI + GICD_IPRIORITYR + BED_VTIMER,
		.value = prio, .size = 1, .write = true,
	};

	if (by == 0) {
		both_priority(0, BED_VTIMER, prio);
		return;
	}
	naive_irq(0, BED_VTIMER)->racing = true;
	naive_irq(0, BED_VTIMER)->prio = prio;
	assert_int_equal(bed_access(by, true, &a), DONE);
}

static void by_group(uint32_t by, uint32_t set)
{
	struct access a = {
		.addr = GICR_SGI + GICD_IGROUPR, .value = set, .size = 4, .write = true,
	};

	naive_irq(0, BED_VTIMER)->racing = by != 0;
	naive_irq(0, BED_VTIMER)->group1 = (set & TIMER) != 0;
	if (v3) {
		assert_int_equal(bed_access(by, true, &a), DONE);
	} else {
		bed_bits_write(0, GICD_IGROUPR, 0, set);
	}
}

/* ---- Changes ---- */

static void up(uint32_t by)		{ by_priority(by, 0x20); }
static void down(uint32_t by)		{ by_priority(by, 0xe8); }
static void group(uint32_t by)		{ by_group(by, TIMER); }
static void group_off(uint32_t by)	{ by_group(by, TIMER); both_ctlr(by, 1); }
static void disable(uint32_t by)	{ by_bits(by, GICD_ICENABLER); }
static void pend(uint32_t by)		{ by_bits(by, GICD_ISPENDR); }
static void unpend(uint32_t by)		{ by_bits(by, GICD_ICPENDR); }
static void activate(uint32_t by)	{ by_bits(by, GICD_ISACTIVER); }
static void deactivate(uint32_t by)	{ by_bits(by, GICD_ICACTIVER); }
static void all_off(uint32_t by)	{ both_ctlr(by, 0); }
static void other_group(uint32_t by)	{ both_ctlr(by, 2); }

static void off_and_on(uint32_t by)
{
	by_bits(by, GICD_ICENABLER);
	by_bits(by, GICD_ISENABLER);
}

/* Interrupts of lower and higher priority take list registers. */
static void sgis(uint32_t by)
{
	for (uint32_t i = 0; i < 8; i++) {
		both_sgi(by, i, 1);
	}
}

static void one_sgi(uint32_t by)
{
	both_sgi(by, 7, 1);
}

static void others(uint32_t by)
{
	for (uint32_t i = 64; i < 70; i++) {
		both_bits(by, GICD_ISENABLER, 2, BIT(i % 32));
		both_priority(by, i, (uint8_t)(PRIO + 16 - (i - 64) * 8));
		if (naive->cpus > 1) {
			both_target(by, i, 0);
		}
		both_bits(by, GICD_ISPENDR, 2, BIT(i % 32));
	}
}

/* Active and nowhere in a list register. */
static void active_outside(uint32_t by)
{
	both_bits(by, GICD_ISACTIVER, 2, BIT(20));
}

/* Another polls whether it is active: it is answered, and that holds until it fires. */
static void polled(uint32_t by)
{
	struct access a = { .addr = GICR_SGI + GICD_ISACTIVER, .size = 4 };

	if (by != 0) {
		assert_int_equal(bed_access(by, true, &a), DONE);
	} else {
		(void)bed_bits(0, GICD_ISACTIVER, 0);
	}
}

static void physical(uint32_t by)
{
	(void)by;
	bed_twin(0, BED_PTIMER, true);
	bed_settle(0);
	bed_twin(0, BED_PTIMER, false);
}

static void power(uint32_t by)
{
	(void)by;
	bed_settle_all();
	bed_off(0);
	assert_false(is_armed());
	bed_on(0);
}

static const struct change {
	const char *name;
	void (*make)(uint32_t by);
	bool own;			/* version 2, too, has it for others */
	bool quiet;			/* the timer may be known afterwards */
} changes[] = {
	{ "priority up", up, true, false }, { "priority down", down, true, false },
	{ "group", group, true, false }, { "group off", group_off, true, false },
	{ "disable", disable, true, false }, { "off and on", off_and_on, true, false },
	{ "pend", pend, true, false }, { "unpend", unpend, true, false },
	{ "activate", activate, true, false }, { "deactivate", deactivate, true, false },
	{ "all off", all_off, false, false }, { "other group", other_group, false, false },
	{ "SGIs", sgis, false, true }, { "one SGI", one_sgi, false, true },
	{ "others", others, false, true }, { "active outside", active_outside, false, true },
	{ "polled", polled, true, true }, { "physical timer", physical, true, true },
	{ "power", power, true, false },
};

/* Bound: the moments below. */
enum when { ENDED, PENDING, ACTIVE, DROPPED, MOMENTS };

static void bring(enum when when)
{
	bool split = when == DROPPED;

	gic_host.vif[0].eoimode = split;
	naive->cpu[0].eoimode = split;
	if (when == ENDED) {
		return;
	}
	bed_twin(0, BED_VTIMER, true);
	bed_settle(0);
	if (when == PENDING) {
		return;
	}
	take_timer();
	if (when == DROPPED) {
		both_eoi(0, 0);
	}
}

/* Back to normal: the timer is armed as before, whatever was done to it. */
static void recover(void)
{
	bed_settle_all();
	gic_host.vif[0].eoimode = false;
	naive->cpu[0].eoimode = false;
	both_bits(0, GICD_ICACTIVER, 0, TIMER);
	both_bits(0, GICD_ICACTIVER, 2, ~0u);
	by_group(0, 0);
	both_ctlr(0, 3);
	both_bits(0, GICD_ISENABLER, 0, TIMER);
	both_priority(0, BED_VTIMER, PRIO);
	bed_twin(0, BED_VTIMER, false);
	bed_twin(0, BED_PTIMER, false);
	(void)both_drain();
	both_check();
	arm();
}

/* The timer again, and what it made of that. */
static void fire_once_more(void)
{
	bed_twin(0, BED_VTIMER, true);
	both_check();
	(void)both_ack(0);
	both_check();
	recover();
}

static void changed(const struct change *c, enum when when, uint32_t by)
{
	bring(when);
	c->make(by);
	both_check();
	if (when != ACTIVE && when != DROPPED) {
		bed_twin(0, BED_VTIMER, true);
		both_check();
	}
	if (both_ack(0) == BED_VTIMER) {
		bed_twin(0, BED_VTIMER, false);
	}
	both_check();
	/* Its handler is over; it fires once more, beside all that still waits. */
	for (uint32_t i = naive->cpu[0].run_count; i-- > 0;) {
		if (!naive->cpu[0].run[i].dropped) {
			both_eoi(0, i);
		}
	}
	while (naive->cpu[0].run_count != 0) {
		both_dir(0, naive->cpu[0].run_count - 1);
	}
	fire_once_more();
}

static void test_changes(void **state)
{
	(void)state;
	for (uint32_t lrs = 1; lrs <= 4; lrs++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(changes) * MOMENTS * 2; i++) {
			const struct change *c = &changes[i / 2 / MOMENTS];
			uint32_t by = i % 2;

			if (by == 0 || v3 || !c->own) {
				start(2, (uint8_t)lrs);
				changed(c, (enum when)(i / 2 % MOMENTS), by);
			}
		}
	}
}

/* ---- Another vCPU in the middle of it ---- */

static const struct change *interferes;

static void interfere(void)
{
	interferes->make(1);
	host_become(0);
}

/* The core has the timer's interrupt; it has seen nothing of what others ask it for. */
static void fire(const struct change *before, const struct change *amid)
{
	struct vcpu *v = bed_vcpu(0);
	struct naive_irq *q = naive_irq(0, BED_VTIMER);

	bed_twin(0, BED_VTIMER, true);
	host_become(0);
	assert_int_equal(gic_ack() & 0x3ff, BED_VTIMER);
	gic_eoi(BED_VTIMER);
	q->latch = true;
	q->hw_pending = true;
	if (before != NULL) {
		interferes = before;
		interfere();
		bed_again_check();
		if (!before->quiet) {
			assert_false(is_armed());
		}
	}
	interferes = amid;
	gic_host.before_lr = amid != NULL ? interfere : NULL;
	if (!vgic_quick_timer(v, gic.v3) && !vgic_quick_again(v, BED_VTIMER, gic.v3, true, 0)) {
		vgic_hw_irq(v, BED_VTIMER);
	}
	gic_host.before_lr = NULL;
	bed_again_check();
}

static bool is_usable(const struct change *c)
{
	return c->make != power && c->make != physical && (v3 || !c->own);
}

/* The write was there before the timer was: a guest that takes it at once gets what it says. */
static void test_before(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];

		for (uint32_t early = 0; is_usable(c) && early < 2; early++) {
			uint32_t prio, got;

			start(2, 4);
			fire(c, NULL);
			prio = naive_irq(0, BED_VTIMER)->prio;
			got = early != 0 && !c->quiet ? both_ack_early(0) : GIC_HOST_NONE;
			if (got != GIC_HOST_NONE) {
				assert_int_equal(got, BED_VTIMER);
				assert_int_equal(naive->cpu[0].run[0].prio, prio);
				assert_true(naive_irq(0, BED_VTIMER)->enabled);
				assert_true((naive->ctlr >>
					     naive_irq(0, BED_VTIMER)->group1 & 1) != 0);
				bed_twin(0, BED_VTIMER, false);
			}
			both_check();
			recover();
		}
	}
}

/* The write comes after the core has read what it knew: as if the timer had been first. */
static void test_amid(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];

		for (uint32_t early = 0; is_usable(c) && early < 2; early++) {
			start(2, 4);
			fire(NULL, c);
			if (early != 0 && both_ack_early(0) == BED_VTIMER) {
				bed_twin(0, BED_VTIMER, false);
			}
			both_check();
			/* Once is all: what fires now is as the write says. */
			for (uint32_t n = naive->cpu[0].run_count; n-- > 0;) {
				bed_twin(0, BED_VTIMER, false);
				both_eoi(0, n);
			}
			bed_settle_all();
			fire_once_more();
		}
	}
}

/* ---- The rest of the way ---- */

/* Only the virtual timer's is known, and only while it is in its list register. */
static void test_others_timer(void **state)
{
	(void)state;
	start(1, 4);
	for (uint32_t i = 0; i < 3; i++) {
		bed_twin(0, BED_PTIMER, true);
		assert_int_equal(both_ack(0), BED_PTIMER);
		bed_twin(0, BED_PTIMER, false);
		end_last();
		tick();
		both_check();
	}
	assert_int_equal(timer_of(0)->lr_intid[timer_of(0)->again_lr], BED_VTIMER);
	/* Others leave it alone while there are list registers. */
	for (uint32_t i = 0; i < 8; i++) {
		both_sgi(0, i % 2, 1);
		assert_int_equal(both_ack(0), i % 2);
		end_last();
		assert_true(is_armed());
	}
}

/* vgic_hw_irq for a vCPU that the core does not have: it gets it once, when it is back. */
static void test_away(void **state)
{
	struct naive_irq *q;
	struct vcpu *v;

	(void)state;
	start(1, 4);
	v = bed_vcpu(0);
	q = naive_irq(0, BED_VTIMER);
	bed_settle_all();
	v->state = VCPU_READY;		/* trap_irq_el2 while it is not RUNNING */
	bed_twin(0, BED_VTIMER, true);
	assert_int_equal(gic_ack() & 0x3ff, BED_VTIMER);
	gic_eoi(BED_VTIMER);
	q->latch = true;
	q->hw_pending = true;
	vgic_hw_irq(v, BED_VTIMER);
	assert_false(is_armed());
	vgic_load_irq(v, BED_VTIMER);
	assert_false(vif_signals(0));
	v->state = VCPU_RUNNING;
	vgic_sync(v);
	take_timer();
	end_last();
	assert_int_equal(both_ack(0), GIC_HOST_NONE);
	both_check();
	arm();
}

/* Two VMs share the core: one's timer is due, or changed, while the other has it. */
static void test_share(void **state)
{
	(void)state;
	srandom(1);
	bed_share(v3, 2, 2, 4);
	for (uint32_t vm = 0; vm < 2; vm++) {
		bed_use(vm);
		open_vm();
		arm();
	}
	for (uint32_t i = 0; i < 64 * ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i % ARRAY_SIZE(changes)];

		bed_use(i & 1);
		bed_come(0);
		if (i % 7 == 0) {		/* it goes with an interrupt pending */
			bed_twin(0, BED_VTIMER, true);
			bed_settle(0);
		}
		bed_use(~i & 1);
		if (i % 3 == 0 && is_usable(c)) {
			c->make(1);
		}
		bed_twin(0, BED_VTIMER, i % 5 != 0);
		bed_twin(0, BED_PTIMER, i % 4 == 0);
		bed_come(0);
		both_check();
		(void)both_ack(0);
		both_check();
		recover();
	}
	assert_true(bed.fired > 100 && bed.quick > 100 && bed.half > 0 && bed.slow > 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes), cmocka_unit_test(test_before),
		cmocka_unit_test(test_amid), cmocka_unit_test(test_others_timer),
		cmocka_unit_test(test_away), cmocka_unit_test(test_share),
	};
	int failed = cmocka_run_group_tests_name("vgic again, GICv2", tests, NULL, NULL);

	v3 = true;
	return failed + cmocka_run_group_tests_name("vgic again, GICv3", tests, NULL, NULL);
}
