/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: hv/trace.c tests/host/arch_host.c tests/host/gic_host.c tests/host/gic_naive.c */
/* link: arch/vgic_switch.c tests/host/vgic_bed.c tests/host/vgic_both.c tests/host/vgic_share.c */
/*
 * The interrupt model, case by case, for both versions of the GIC; each step is
 * also done by the oracle. test_vgic_random.c has them in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vgic_bed.h"

#define PRIO	0x80u

/* Every test runs with version 2 and 3. */
static bool v3;

static void start(uint32_t cpus, uint8_t lrs)
{
	bed_start(v3, cpus, lrs);
	both_ctlr(0, 3);
}

/* Enabled, at `prio`, to vCPU `cpu`. */
static void open_irq(uint32_t cpu, uint32_t intid, uint8_t prio)
{
	both_bits(cpu, GICD_ISENABLER, intid / 32, BIT(intid % 32));
	both_priority(cpu, intid, prio);
	if (intid >= GIC_PRIVATE && naive->cpus > 1) {
		both_target(cpu, intid, cpu);
	}
}

/* One acknowledge and its EOI. */
static uint32_t take(uint32_t cpu)
{
	uint32_t intid = both_ack(cpu);

	if (intid != GIC_HOST_NONE) {
		both_eoi(cpu, naive->cpu[cpu].run_count - 1);
	}
	return intid;
}

static bool reads(uint32_t cpu, uint32_t reg, uint32_t intid)
{
	return (bed_bits(cpu, reg, intid / 32) & BIT(intid % 32)) != 0;
}

static void write_bit(uint32_t cpu, uint32_t reg, uint32_t intid)
{
	both_bits(cpu, reg, intid / 32, BIT(intid % 32));
}

/* ---- Priorities ---- */

/* Sixteen lines at once, four list registers: they come in the order of their priorities. */
static void test_storm(void **state)
{
	uint32_t last = 0;

	(void)state;
	start(1, 4);
	for (uint32_t i = 0; i < 16; i++) {
		open_irq(0, 64 + i, (uint8_t)((i * 7 % 16) * 8));
	}
	for (uint32_t i = 0; i < 16; i++) {
		both_line(0, 64 + i, true);
	}
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t intid = both_ack(0);

		assert_in_range(intid, 64, 79);
		assert_int_equal(naive->spi[intid].prio, i * 8);
		assert_true(i == 0 || naive->spi[intid].prio > last);
		last = naive->spi[intid].prio;
		both_line(0, intid, false);
		both_eoi(0, 0);
	}
	assert_int_equal(take(0), GIC_HOST_NONE);
}

/* Each preempts the one before: all are active, more than there are list registers. */
static void test_nest(void **state)
{
	(void)state;
	start(1, 4);
	for (uint32_t i = 0; i < 16; i++) {
		open_irq(0, 64 + i, (uint8_t)(0xf0 - i * 8));
	}
	for (uint32_t i = 0; i < 16; i++) {
		write_bit(0, GICD_ISPENDR, 64 + i);
		assert_int_equal(both_ack(0), 64 + i);
	}
	both_check();
	for (uint32_t i = 16; i > 0; i--) {
		assert_true(reads(0, GICD_ISACTIVER, 63 + i));
		both_eoi(0, i - 1);
		bed_settle_all();
		assert_false(reads(0, GICD_ISACTIVER, 63 + i));
	}
	both_check();
}

/* A higher priority takes the list register of a lower one that is still pending. */
static void test_overtake(void **state)
{
	(void)state;
	start(1, 1);
	open_irq(0, 64, 0x80);
	open_irq(0, 65, 0x40);
	write_bit(0, GICD_ISPENDR, 64);
	write_bit(0, GICD_ISPENDR, 65);
	assert_int_equal(both_ack(0), 65);
	assert_int_equal(both_ack(0), GIC_HOST_NONE);
	both_eoi(0, 0);
	assert_int_equal(take(0), 64);
	assert_int_equal(take(0), GIC_HOST_NONE);
}

/*
 * An EOI makes 67 deliverable that was pending again behind its own active
 * state: the one that waits without a list register is of higher priority.
 */
static void test_overtake_again(void **state)
{
	(void)state;
	start(1, 2);
	open_irq(0, 67, 0x80);
	open_irq(0, 64, 0x20);
	open_irq(0, 65, 0x30);
	write_bit(0, GICD_ISPENDR, 67);
	assert_int_equal(both_ack(0), 67);
	write_bit(0, GICD_ISPENDR, 67);
	write_bit(0, GICD_ISPENDR, 64);
	write_bit(0, GICD_ISPENDR, 65);
	bed_settle_all();
	both_eoi(0, 0);
	assert_int_equal(take(0), 64);
	assert_int_equal(take(0), 65);
	assert_int_equal(take(0), 67);
	assert_int_equal(take(0), GIC_HOST_NONE);
}

/* ---- SGIs ---- */

/* Version 2: three senders, three times, each with its number. Version 3: once. */
static void test_sgi_senders(void **state)
{
	(void)state;
	start(4, 4);
	open_irq(3, 5, PRIO);
	for (uint32_t round = 0; round < 3; round++) {
		uint32_t seen = 0, times = 0;

		for (uint32_t sender = 0; sender < 3; sender++) {
			both_sgi(sender, 5, BIT(3));
			both_sgi(sender, 5, BIT(3));	/* already pending: the same one */
		}
		while (both_ack(3) == 5) {
			seen |= BIT(naive->cpu[3].run[0].iar >> 10);
			both_eoi(3, 0);
			times++;
		}
		assert_int_equal(times, v3 ? 1 : 3);
		assert_int_equal(seen, v3 ? 1 : 7);
	}
}

/* The same sender again: while it is pending nothing, while it is active once more. */
static void test_sgi_again(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 5, PRIO);
	both_sgi(0, 5, BIT(1));
	bed_settle_all();
	both_sgi(0, 5, BIT(1));
	assert_int_equal(both_ack(1), 5);
	assert_int_equal(both_ack(1), GIC_HOST_NONE);
	both_sgi(0, 5, BIT(1));
	assert_int_equal(both_ack(1), GIC_HOST_NONE);
	both_eoi(1, 0);
	assert_int_equal(take(1), 5);
	assert_int_equal(take(1), GIC_HOST_NONE);
}

/* ---- Lines ---- */

static void test_level(void **state)
{
	(void)state;
	start(1, 4);
	open_irq(0, 33, PRIO);
	both_line(0, 33, true);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(take(0), 33);
	}
	assert_int_equal(both_ack(0), 33);
	both_line(0, 33, false);
	both_eoi(0, 0);
	assert_int_equal(take(0), GIC_HOST_NONE);
	/* Up and down before the guest looks: it was never there. */
	both_line(0, 33, true);
	both_line(0, 33, false);
	assert_int_equal(take(0), GIC_HOST_NONE);
	/* What software has set pending outlives the line. */
	both_line(0, 33, true);
	write_bit(0, GICD_ISPENDR, 33);
	both_line(0, 33, false);
	assert_int_equal(take(0), 33);
	assert_int_equal(take(0), GIC_HOST_NONE);
	/* The line rises while the one that software made is active. */
	write_bit(0, GICD_ISPENDR, 33);
	assert_int_equal(both_ack(0), 33);
	both_line(0, 33, true);
	both_eoi(0, 0);
	assert_int_equal(take(0), 33);
}

/* A twin: its EOI needs nobody, and a line that stays high fires again. */
static void test_twin(void **state)
{
	uint32_t writes;

	(void)state;
	start(2, 4);
	open_irq(1, BED_LEVEL, PRIO);
	bed_twin(0, BED_LEVEL, true);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(both_ack(1), BED_LEVEL);
		assert_true(gic_host_is_active(1, BED_LEVEL));
		writes = gic_host.lr_writes;
		both_eoi(1, 0);
		assert_false(gic_host_is_active(1, BED_LEVEL));
		assert_false(vif_wants_us(1));
		assert_int_equal(gic_host.lr_writes, writes);
	}
	bed_twin(0, BED_LEVEL, false);
	assert_int_equal(both_ack(1), GIC_HOST_NONE);
	/* Unpended by the guest: it shall fire again. */
	bed_twin(0, BED_EDGE, true);
	open_irq(1, BED_EDGE, PRIO);
	bed_settle_all();
	assert_true(gic_host_is_active(1, BED_EDGE));
	write_bit(0, GICD_ICPENDR, BED_EDGE);
	assert_int_equal(take(1), GIC_HOST_NONE);
	assert_false(gic_host_is_active(1, BED_EDGE));
	bed_twin(0, BED_EDGE, false);
	bed_twin(0, BED_EDGE, true);
	assert_int_equal(take(1), BED_EDGE);
	both_check();
}

/* ---- Registers that change what is on its way ---- */

static void test_pending_registers(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	assert_true(reads(1, GICD_ISPENDR, 64) && !reads(1, GICD_ISACTIVER, 64));
	write_bit(0, GICD_ICPENDR, 64);
	assert_int_equal(take(1), GIC_HOST_NONE);
	assert_false(reads(1, GICD_ISPENDR, 64));
	/* Cleared and set before the other core looks; set and cleared. */
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	write_bit(0, GICD_ICPENDR, 64);
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(take(1), 64);
	write_bit(0, GICD_ISPENDR, 64);
	write_bit(0, GICD_ICPENDR, 64);
	assert_int_equal(take(1), GIC_HOST_NONE);
	/* An order that comes too late does not hit the next one. */
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	write_bit(0, GICD_ICPENDR, 64);
	assert_int_equal(both_ack_early(1), 64);
	both_eoi(1, 0);
	bed_settle_all();
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(take(1), 64);
	both_check();
}

/* In vCPU 1's list register, changed by vCPU 0: what was written last holds. */
static void test_active_registers(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	for (uint32_t last = 0; last < 2; last++) {
		write_bit(0, GICD_ISPENDR, 64);
		bed_settle_all();
		write_bit(0, last == 0 ? GICD_ISACTIVER : GICD_ICACTIVER, 64);
		write_bit(0, last == 0 ? GICD_ICACTIVER : GICD_ISACTIVER, 64);
		both_check();
		assert_int_equal(take(1), last == 0 ? 64 : GIC_HOST_NONE);
	}
	/* Active and pending: delivered once it is active no more. */
	write_bit(0, GICD_ICACTIVER, 64);
	assert_int_equal(take(1), 64);
	write_bit(0, GICD_ISACTIVER, 64);
	write_bit(0, GICD_ISPENDR, 64);
	both_check();
	assert_int_equal(take(1), GIC_HOST_NONE);
	write_bit(0, GICD_ICACTIVER, 64);
	assert_int_equal(take(1), 64);
	/* Ended by ICACTIVER instead of an EOI: it reads so at once, and can come again. */
	write_bit(1, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(1), 64);
	write_bit(1, GICD_ICACTIVER, 64);
	assert_false(reads(1, GICD_ISACTIVER, 64));
	both_check();
}

/* Who waits for the end of a handler on another core sees it. */
static void test_poll_active(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(1), 64);
	assert_true(reads(0, GICD_ISACTIVER, 64));
	bed_settle_all();
	assert_true(reads(0, GICD_ISACTIVER, 64));
	both_eoi(1, 0);
	(void)reads(0, GICD_ISACTIVER, 64);	/* asks vCPU 1 */
	bed_settle_all();
	assert_false(reads(0, GICD_ISACTIVER, 64));
	/* On its own core, without an exit in between. */
	write_bit(1, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(1), 64);
	assert_true(reads(1, GICD_ISACTIVER, 64));
	both_eoi(1, 0);
	assert_false(reads(1, GICD_ISACTIVER, 64));
}

static void test_retarget(void **state)
{
	(void)state;
	start(4, 4);
	open_irq(0, 64, PRIO);
	/* Pending, in vCPU 0's list register. */
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	both_target(3, 64, 2);
	assert_int_equal(both_ack(0), GIC_HOST_NONE);
	assert_int_equal(take(2), 64);
	/* Active on 2 and pending again, then moved: on to 1 after the EOI. */
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(2), 64);
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	both_target(0, 64, 1);
	assert_int_equal(both_ack(1), GIC_HOST_NONE);
	both_eoi(2, 0);
	assert_int_equal(both_ack(2), GIC_HOST_NONE);
	assert_int_equal(take(1), 64);
	/* The twin moves while it is being handled. */
	open_irq(0, BED_LEVEL, PRIO);
	bed_twin(0, BED_LEVEL, true);
	assert_int_equal(both_ack(0), BED_LEVEL);
	both_target(1, BED_LEVEL, 3);
	both_eoi(0, 0);
	assert_int_equal(take(3), BED_LEVEL);
	both_check();
}

/* Disabled while on its way, or active and pending: not before it is enabled again. */
static void test_disable(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	write_bit(0, GICD_ICENABLER, 64);
	assert_int_equal(take(1), GIC_HOST_NONE);
	write_bit(0, GICD_ISENABLER, 64);
	assert_int_equal(both_ack(1), 64);
	write_bit(0, GICD_ISPENDR, 64);
	bed_settle_all();
	write_bit(0, GICD_ICENABLER, 64);
	bed_settle_all();
	both_eoi(1, 0);
	assert_int_equal(take(1), GIC_HOST_NONE);
	write_bit(0, GICD_ISENABLER, 64);
	assert_int_equal(take(1), 64);
	assert_int_equal(take(1), GIC_HOST_NONE);
}

static void test_ctlr(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	open_irq(1, BED_LEVEL, PRIO);
	both_ctlr(0, 0);
	bed_settle_all();
	write_bit(0, GICD_ISPENDR, 64);
	bed_twin(0, BED_LEVEL, true);
	assert_int_equal(take(1), GIC_HOST_NONE);
	both_check();
	bed_twin(0, BED_LEVEL, false);
	both_ctlr(0, 3);
	assert_int_equal(take(1), BED_LEVEL);
	assert_int_equal(take(1), 64);
	both_check();
}

/* An EOI without a list register ended what was the highest then. */
static void test_counted(void **state)
{
	(void)state;
	start(1, 1);
	open_irq(0, BED_PTIMER, 0x40);
	open_irq(0, 64, 0x20);
	open_irq(0, 65, 0x80);
	bed_twin(0, BED_PTIMER, true);
	assert_int_equal(both_ack(0), BED_PTIMER);
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(0), 64);
	write_bit(0, GICD_ISPENDR, 65);		/* has the list register now */
	both_eoi(0, 1);
	both_priority(0, 64, 0xa0);
	both_check();
}

/* The list register of an interrupt that is ended and off is not in the way of GICD_ICFGR. */
static void test_config(void **state)
{
	uint32_t at = GICD_ICFGR + 64 / 16 * 4;

	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	write_bit(0, GICD_ISPENDR, 64);
	assert_int_equal(both_ack(1), 64);
	write_bit(0, GICD_ICENABLER, 64);
	bed_settle_all();
	both_eoi(1, 0);
	assert_int_equal(bed_read(0, at) & 3, 0);
	bed_write(0, at, 2);
	assert_int_equal(bed_read(0, at) & 3, 2);
}

/* ---- vCPUs off and on ---- */

static void test_power(void **state)
{
	(void)state;
	start(2, 4);
	open_irq(1, 64, PRIO);
	open_irq(1, 65, PRIO);
	open_irq(1, BED_VTIMER, PRIO);
	bed_twin(1, BED_VTIMER, true);
	write_bit(0, GICD_ISPENDR, 64);
	write_bit(0, GICD_ISPENDR, 65);
	bed_settle_all();
	/* What vCPU 0 took back just before holds, what it did not, comes later. */
	write_bit(0, GICD_ICPENDR, 64);
	bed_off(1);
	both_target(0, 65, 0);
	assert_int_equal(take(0), 65);
	bed_twin(1, BED_VTIMER, false);
	bed_on(1);
	assert_int_equal(take(1), GIC_HOST_NONE);
	/* The timer that was pending is no more, and that was enabled still is. */
	assert_false(reads(1, GICD_ISPENDR, BED_VTIMER));
	assert_true(reads(1, GICD_ISENABLER, BED_VTIMER));
	bed_twin(1, BED_VTIMER, true);
	assert_int_equal(take(1), BED_VTIMER);
	bed_twin(1, BED_VTIMER, false);
	both_check();
}

/* Could an interrupt be taken now? What WFI asks. */
static void test_is_pending(void **state)
{
	struct vcpu *v;

	(void)state;
	start(1, 4);
	v = &bed.vm->vcpu[0];
	open_irq(0, 64, PRIO);
	assert_false(vgic_is_pending(v));
	write_bit(0, GICD_ISPENDR, 64);
	assert_true(vgic_is_pending(v));
	assert_int_equal(both_ack(0), 64);
	assert_false(vgic_is_pending(v));
	both_eoi(0, 0);
	assert_false(vgic_is_pending(v));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm), cmocka_unit_test(test_nest),
		cmocka_unit_test(test_overtake), cmocka_unit_test(test_overtake_again),
		cmocka_unit_test(test_sgi_senders),
		cmocka_unit_test(test_sgi_again), cmocka_unit_test(test_level),
		cmocka_unit_test(test_twin), cmocka_unit_test(test_pending_registers),
		cmocka_unit_test(test_active_registers), cmocka_unit_test(test_poll_active),
		cmocka_unit_test(test_retarget), cmocka_unit_test(test_disable),
		cmocka_unit_test(test_ctlr), cmocka_unit_test(test_power),
		cmocka_unit_test(test_counted), cmocka_unit_test(test_config),
		cmocka_unit_test(test_is_pending),
	};
	int failed = cmocka_run_group_tests_name("vgic, GICv2", tests, NULL, NULL);

	v3 = true;
	return failed + cmocka_run_group_tests_name("vgic, GICv3", tests, NULL, NULL);
}
