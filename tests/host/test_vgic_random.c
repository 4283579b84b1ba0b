/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: hv/trace.c tests/host/arch_host.c tests/host/gic_host.c tests/host/gic_naive.c */
/* link: arch/vgic_switch.c tests/host/vgic_bed.c tests/host/vgic_both.c tests/host/vgic_share.c */
/* link: tests/host/vgic_dice.c */
/*
 * The interrupt model and the oracle in lockstep, for each number of list registers
 * and vCPUs, each of which has its core for itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vgic_dice.h"

#define OPS	30000u			/* a machine */

static void test_style(enum style style)
{
	static const uint8_t lrs[] = { 1, 2, 3, 4 };

	for (uint32_t i = 0; i < 16; i++) {
		run.v3 = i % 2 != 0;
		run.vms = 1;
		run.cpus = i / 2 % 4 + 1;
		run.lrs = style == NEST ? lrs[i / 4] : 4;
		run.style = style;
		run.early = i % 3 == 2 ? 50 : 0;
		run.groups = i % 5 == 4;
		run.steady = i % 4 == style;
		run.quiet = false;
		dice_run(1000 * (uint32_t)style + i, OPS);
	}
}

static void test_nest(void **state)
{
	(void)state;
	test_style(NEST);
	assert_true(seen.nested > 500);
}

static void test_soft(void **state)
{
	(void)state;
	test_style(SOFT);
}

static void test_split(void **state)
{
	(void)state;
	test_style(SPLIT);
}

static void test_seen(void **state)
{
	(void)state;
	print_message("%lu acknowledges, %lu early, %lu deeper than the list registers, %lu with "
		      "more senders, %lu comparisons, %lu timers known\n", seen.acks, seen.early,
		      seen.nested, seen.sources, seen.checks, seen.again);
	assert_true(seen.acks > 50000 && seen.early > 5000 && seen.sources > 500);
	assert_true(seen.checks > 500 && seen.fires > 50000 && seen.again > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nest),
		cmocka_unit_test(test_soft),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_seen),
	};

	return cmocka_run_group_tests_name("vgic, by dice", tests, NULL, NULL);
}
