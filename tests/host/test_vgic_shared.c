/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: hv/trace.c tests/host/arch_host.c tests/host/gic_host.c tests/host/gic_naive.c */
/* link: arch/vgic_switch.c tests/host/vgic_bed.c tests/host/vgic_both.c tests/host/vgic_share.c */
/* link: tests/host/vgic_dice.c */
/*
 * The same with two or three VMs on each core: their vCPUs come and go the quick way
 * and the long one, each with an oracle of its own, and interrupts come for all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vgic_dice.h"

#define OPS	8000u			/* a machine */

static void test_shared(void **state)
{
	static const uint8_t lrs[] = { 4, 3, 2, 1 };

	(void)state;
	for (uint32_t i = 0; i < 24; i++) {
		run.v3 = i % 4 != 0;
		run.vms = 2 + i / 3 % 2;
		run.cpus = i / 2 % 3 + 1;
		run.style = (enum style)(i % 3);
		run.lrs = run.style == NEST ? lrs[i / 3 % 4] : 4;
		run.early = i % 2 == 0 ? 50 : 0;
		run.groups = i % 5 == 4;
		run.steady = i % 3 != 1 && i / 3 % 2 == 0;
		run.quiet = i / 3 % 2 != 0 && i / 2 % 2 == 0;
		dice_run(9000 + i, OPS);
	}
}

static void test_seen(void **state)
{
	(void)state;
	print_message("%lu switches by the quick way, %lu by half of it, %lu by the long one, %lu "
		      "from a vCPU that waits, %lu timers as it comes, %lu later\n", seen.quick,
		      seen.half, seen.slow, seen.waited, seen.fired, seen.late);
	assert_true(seen.quick > 2000 && seen.half > 2000 && seen.slow > 2000);
	assert_true(seen.waited > 500 && seen.fired > 100 && seen.late > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_seen),
	};

	return cmocka_run_group_tests_name("vgic, shared cores, by dice", tests, NULL, NULL);
}
