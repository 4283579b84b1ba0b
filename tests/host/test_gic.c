/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/gic.c hv/trace.c tests/host/arch_host.c */
/*
 * What the driver of the GIC writes, bit by bit against the manuals: frames are
 * memory, system registers are variables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sysreg.h>
#include "../../arch/gic_quick.h"	/* the real one, not the twin */
#include "arch.h"

static struct {
	_Alignas(8) uint8_t gicd[0x10000];
	_Alignas(8) uint8_t gich[0x1000];
	_Alignas(8) uint8_t gicr[2][0x20000];
} frame;

static uint64_t *const ich_lr[] = {
	&sysreg_ich_lr0_el2, &sysreg_ich_lr1_el2, &sysreg_ich_lr2_el2, &sysreg_ich_lr3_el2,
};

_Static_assert(ARRAY_SIZE(ich_lr) == GIC_LRS_MAX, "all list registers");

static void start(bool v3)
{
	host_reset();
	memset(&frame, 0x11, sizeof(frame));
	gic = (struct gic){ .v3 = v3, .lr_count = GIC_LRS_MAX };
	gic.gicd = (uint64_t)frame.gicd;
	gic.gich = (uint64_t)frame.gich;
	for (uint32_t i = 0; i < 2; i++) {
		gic.gicr[i] = (uint64_t)frame.gicr[i];
		gic.affinity[i] = 0x1200003400 + i;
		gic.gicc_id[i] = (uint8_t)(4u << i);
	}
	for (uint32_t i = 0; i < GIC_LRS_MAX; i++) {
		*ich_lr[i] = 0x1111111111111111;
	}
}

static uint32_t word(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static struct lr some_lr(bool v3)
{
	struct lr lr = {
		.intid = (uint32_t)random() % 1020,
		.prio = (uint8_t)(random() % 32 * 8),
		.state = (uint8_t)(random() % 3 + 1),
		.group1 = random() % 2 != 0,
		.hw = random() % 2 != 0,
	};

	if (lr.hw) {
		lr.state = LR_PENDING;
	} else {
		lr.eoi = random() % 2 != 0;
		lr.source = (uint8_t)(!v3 && lr.intid < 16 ? random() % 8 : 0);
	}
	return lr;
}

/* ICH_LR<n>_EL2, IHI 0069 12.4.14. */
static void check_v3(uint64_t v, const struct lr *lr)
{
	assert_int_equal(v >> 62, lr->state);
	assert_int_equal(v >> 61 & 1, lr->hw);
	assert_int_equal(v >> 60 & 1, lr->group1);
	assert_int_equal(v >> 56 & 0xf, 0);
	assert_int_equal(v >> 48 & 0xff, lr->prio);
	assert_int_equal(v >> 45 & 7, 0);
	assert_int_equal(v >> 32 & 0x1fff, lr->hw ? lr->intid : lr->eoi ? 0x200 : 0);
	assert_int_equal(v & 0xffffffff, lr->intid);
}

/* GICH_LRn, IHI 0048 5.3.10. */
static void check_v2(uint32_t v, const struct lr *lr)
{
	assert_int_equal(v >> 31, lr->hw);
	assert_int_equal(v >> 30 & 1, lr->group1);
	assert_int_equal(v >> 28 & 3, lr->state);
	assert_int_equal((v >> 23 & 0x1f) * 8, lr->prio);
	assert_int_equal(v >> 20 & 7, 0);
	assert_int_equal(v >> 10 & 0x3ff, lr->hw ? lr->intid : (lr->eoi ? 0x200 : 0) | lr->source);
	assert_int_equal(v & 0x3ff, lr->intid);
}

static uint64_t raw(uint32_t i)
{
	return gic.v3 ? *ich_lr[i] : word(&frame.gich[0x100 + i * 4]);
}

static void check_lrs(bool v3)
{
	start(v3);
	for (uint32_t n = 0; n < 20000; n++) {
		struct lr lr = some_lr(v3), word;
		uint32_t i = (uint32_t)random() % GIC_LRS_MAX;
		uint64_t old[GIC_LRS_MAX];

		for (uint32_t k = 0; k < GIC_LRS_MAX; k++) {
			old[k] = raw(k);
		}
		if (random() % 2 == 0) {
			gic_lr_write(i, &lr);
		} else {
			lr.state = LR_PENDING;
			lr.eoi = false;
			word = lr;
			word.source = 0;
			gic_quick_lr(v3, i, gic_lr_word(&word), lr.hw ? 0 : lr.source);
		}
		if (v3) {
			check_v3(raw(i), &lr);
		} else {
			check_v2((uint32_t)raw(i), &lr);
		}
		assert_int_equal(gic_lr_state(i), lr.state);
		for (uint32_t k = 0; k < GIC_LRS_MAX; k++) {
			assert_true(k == i || raw(k) == old[k]);
		}
		if (random() % 4 == 0) {
			gic_lr_clear(i);
			assert_int_equal(raw(i), 0);
			assert_int_equal(gic_lr_state(i), LR_INVALID);
		}
	}
}

static void test_list_registers(void **state)
{
	(void)state;
	check_lrs(false);
	check_lrs(true);
}

/* EOIcount is bits 31:27 of GICH_HCR and ICH_HCR_EL2; taking it clears it and keeps the rest. */
static void test_eoicount(void **state)
{
	(void)state;
	for (uint32_t v3 = 0; v3 < 2; v3++) {
		start(v3 != 0);
		for (uint32_t n = 0; n < 32; n++) {
			uint32_t hcr = n << 27 | 0x5, now;

			sysreg_ich_hcr_el2 = hcr;
			memcpy(frame.gich, &hcr, 4);
			assert_int_equal(gic_eoicount_take(0x5), n);
			now = v3 != 0 ? (uint32_t)sysreg_ich_hcr_el2 : word(frame.gich);
			assert_int_equal(now, 0x5);
		}
	}
}

/* The frame of a private interrupt is the core's own redistributor, or the distributor. */
static const uint8_t *place(uint32_t cpu, uint32_t intid, uint32_t reg)
{
	return gic.v3 && intid < 32 ? &frame.gicr[cpu][0x10000 + reg] : &frame.gicd[reg];
}

static void test_one_interrupt(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 2040; n++) {
		uint32_t intid = n / 2, cpu = n % 2, reg = intid / 32 * 4, bit = BIT(intid % 32);

		start(n % 3 != 0);
		gic_enable(cpu, intid, true);
		assert_int_equal(word(place(cpu, intid, 0x100 + reg)), bit);
		gic_reset_irq(cpu, intid);
		assert_int_equal(word(place(cpu, intid, 0x180 + reg)), bit);
		assert_int_equal(word(place(cpu, intid, 0x280 + reg)), bit);
		assert_int_equal(word(place(cpu, intid, 0x380 + reg)), bit);
		assert_int_equal(*place(cpu, intid, 0x400 + intid), GIC_PRIORITY);
		if (intid < GIC_PRIVATE) {
			continue;
		}
		gic_set_pending(intid);
		assert_int_equal(word(place(cpu, intid, 0x200 + reg)), bit);
		/* Two bits an interrupt; the neighbours keep theirs. */
		gic_set_edge(intid, true);
		assert_int_equal(word(place(cpu, intid, 0xc00 + intid / 16 * 4)),
				 0x11111111u | 2u << intid % 16 * 2);
		gic_set_edge(intid, false);
		assert_int_equal(word(place(cpu, intid, 0xc00 + intid / 16 * 4)), 0x11111111);
		gic_route(intid, cpu);
		if (gic.v3) {
			assert_int_equal(word(place(cpu, intid, 0x6000 + intid * 8)), 0x3400 + cpu);
			assert_int_equal(word(place(cpu, intid, 0x6004 + intid * 8)), 0x12);
		} else {
			assert_int_equal(*place(cpu, intid, 0x800 + intid), 4u << cpu);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_registers),
		cmocka_unit_test(test_eoicount),
		cmocka_unit_test(test_one_interrupt),
	};

	return cmocka_run_group_tests_name("gic", tests, NULL, NULL);
}
