/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: arch/vgic_switch.c hv/trace.c tests/host/arch_host.c tests/host/gic_host.c */
/*
 * An HRT guest at the physical distributor, which is plain memory here: each
 * access is done over two opposite patterns, so that every bit that it wrote or
 * showed stands out, and held against who owns the interrupt behind the bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "gic_host.h"
#include "vgic_quick.h"

#define LINES		96u
#define CORE		2u		/* of vCPU 0; vCPU 1 has the next one */
#define GICD_SIZE	0x10000u
#define GICR_SIZE	0x20000u

/* The machine's registers, twice: over a pattern and over its complement. */
static struct {
	_Alignas(8) uint8_t gicd[GICD_SIZE];
	_Alignas(8) uint8_t gicr[4][GICR_SIZE];
} hw[2], before;

static bool v3;
static struct kz_cfg_vm cfg;
static struct kz_cfg machine_cfg;
static uint64_t writes, shown;

/* Nobody shares a core here. */
void sched_wake(struct vcpu *v)
{
	(void)v;
}

void vcpu_hazard(struct vcpu *v, uint32_t bits)
{
	(void)v;
	fail_msg("an HRT vCPU was asked for 0x%x", bits);
}

static struct vm *vm(void)
{
	return &machine.vm[0];
}

/* The blob's rows; the model has its own idea of it. */
static bool owns(uint32_t intid)
{
	return intid < 16 || intid == 23 || intid == 27 || intid == 30 || intid == 40 ||
	       intid == 41 || intid == 70;
}

static void start(void)
{
	static const uint8_t spi[] = { 40, 41, 70 };

	host_reset();
	gic_host_reset(v3, 4);
	memset(&cfg, 0, sizeof(cfg));
	memset(&machine_cfg, 0, sizeof(machine_cfg));
	machine_cfg.machine.gic_version = v3 ? 3 : 2;
	machine_cfg.machine.vtimer_intid = 27;
	machine_cfg.machine.ptimer_intid = 30;
	machine_cfg.machine.pmu_intid = 23;
	machine.cfg = &machine_cfg;
	cfg.level = KZ_HRT;
	cfg.vcpu_count = 2;
	cfg.irq_lines = LINES;
	for (uint32_t i = 0; i < ARRAY_SIZE(spi); i++) {
		cfg.irq[cfg.irq_count++].intid = spi[i];
	}
	vm()->cfg = &cfg;
	for (uint32_t i = 0; i < 2; i++) {
		struct vcpu *v = &vm()->vcpu[i];

		v->vm = vm();
		v->cpu = &host.cpu[CORE + i];
		v->id = i;
		v->state = VCPU_RUNNING;
		host.cpu[CORE + i].vcpu = v;
	}
	vgic_init(vm());
	vgic_reset(vm());
	vm()->arch.vgic.cores = BIT(CORE) | BIT(CORE + 1);	/* both have started */
}

static void point_at(uint32_t side)
{
	gic.gicd = (uint64_t)hw[side].gicd;
	for (uint32_t i = 0; i < 4; i++) {
		gic.gicr[i] = (uint64_t)hw[side].gicr[i];
	}
}

/* ---- One access ---- */

struct try {
	uint32_t vcpu;
	bool gicr;
	bool quick;			/* the trap handler's shorter way, if it has one */
	struct access a;
};

static enum verdict access_once(struct try *t)
{
	struct vcpu *v = &vm()->vcpu[t->vcpu];
	uint32_t at = (uint32_t)t->a.addr, value = (uint32_t)t->a.value;

	host_become(CORE + t->vcpu);
	if (t->quick && t->a.size == 4 && t->a.write && t->a.addr % 4 == 0 &&
	    (t->gicr ? vgic_quick_write_r(v, at, value, true) :
		       vgic_quick_write_hrt(v, at, value))) {
		return DONE;
	}
	return t->gicr ? vgic_gicr(v, &t->a) : vgic_gicd(v, &t->a);
}

static uint32_t word_at(const uint8_t *from, uint32_t at)
{
	uint32_t word;

	memcpy(&word, from + at, sizeof(word));
	return word;
}

/* Interrupts `first` and up, `bits` wide each: the bits of the word that are not the VM's. */
static uint32_t foreign(uint32_t first, uint32_t bits, uint32_t mask)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < 32 / bits; i++) {
		set |= owns(first + i) && first + i < LINES ? 0 : mask << i * bits;
	}
	return set;
}

/*
 * A word that the access wrote: x over the pattern, y over its complement. The
 * offset is that of the distributor, or of the SGI frame.
 */
static void check_word(uint32_t at, uint32_t x, uint32_t y, uint32_t pattern)
{
	uint32_t same = ~(x ^ y);		/* bits whose old value is gone */
	uint32_t cores = BIT(CORE) | BIT(CORE + 1);
	uint32_t bad;

	if (at >= 0x100 && at < 0x400) {
		assert_int_equal(same, ~0u);
		bad = x & foreign(at % 0x80 * 8, 1, 1);
	} else if (at >= 0x400 && at < 0xc00) {
		bad = same & foreign(at % 0x400, 8, 0xff);
		if (at >= 0x800) {
			bad |= v3 || at < 0x820 ? same : x & same & ~(cores * 0x01010101u);
		}
	} else if (at >= 0xc08 && at < 0xd00) {
		bad = same & foreign(at % 0x100 * 4, 2, 3);
	} else if (!v3 && at == 0xf00) {
		assert_int_equal(same, ~0u);
		bad = x & ~(cores << 16 | 0xf);
	} else {
		bad = same;
	}
	bad |= (x ^ pattern) & ~same;		/* what was kept is as it was */
	if (bad != 0) {
		fail_msg("0x%x was written to 0x%x: bits 0x%x are not the guest's", x, at, bad);
	}
	writes++;
}

static void check_frame(const uint8_t *old, const uint8_t *x, const uint8_t *y, uint32_t size,
			uint32_t base, bool mine)
{
	for (uint32_t at = 0; at < size; at += 4) {
		uint32_t p = word_at(old, at);

		if (word_at(x, at) != p || word_at(y, at) != ~p) {
			assert_true(mine && at >= base);
			check_word(at - base, word_at(x, at), word_at(y, at), p);
		}
	}
}

/* What a read showed, over the pattern and over its complement. */
static void check_shown(const struct try *t, uint64_t x, uint64_t y)
{
	uint32_t at = (uint32_t)t->a.addr;
	uint64_t mask = t->a.size == 8 ? ~0ull : BIT64(t->a.size * 8) - 1;
	uint64_t leak = x ^ y;
	uint32_t other = ~0u;

	at = t->gicr ? at % GICR_SIZE - 0x10000 : at;
	if (at >= 0x80 && at < 0x400) {
		other = foreign(at % 0x80 * 8, 1, 1);
	} else if (at >= 0x400 && at < 0xc00) {
		other = foreign(at & 0x3ff, 8, 0xff);
		if (!v3 && at >= 0x800 && at < 0x820) {
			other = 0;		/* which core this is */
		}
	} else if (at >= 0xc00 && at < 0xd00) {
		other = foreign(at % 0x100 * 4, 2, 3);
	} else if (v3 && at >= 0x6100 && at < 0x6000 + 8 * LINES) {
		other = owns((at - 0x6000) / 8) ? 0 : ~0u;
		mask = other != 0 ? mask : 0;
	}
	if ((leak & other & mask) != 0 || (t->a.size == 8 && mask != 0 && leak >> 32 != 0)) {
		fail_msg("0x%lx shows what is not the guest's: 0x%lx", (unsigned long)t->a.addr,
			 (unsigned long)leak);
	}
	shown += (leak & mask) != 0;
}

static void check_routes(const uint8_t *old)
{
	for (uint32_t i = 32; i < KZ_INTID_MAX; i++) {
		if (gic_host.route[i] != old[i]) {
			assert_true(owns(i));
			assert_in_range(gic_host.route[i], CORE, CORE + 1);
			writes++;
		}
	}
}

static enum verdict try_access(struct try *t)
{
	uint8_t route[KZ_INTID_MAX];
	uint64_t value = t->a.value, x;
	enum verdict verdict;

	for (uint32_t i = 0; i < (v3 ? sizeof(before) : 0x1000) / 4; i++) {
		((uint32_t *)&before)[i] = 0x9e3779b9u * (i + (uint32_t)value + 1);
		((uint32_t *)&hw[1])[i] = ~((uint32_t *)&before)[i];
	}
	memcpy(&hw[0], &before, v3 ? sizeof(before) : 0x1000);
	memcpy(route, gic_host.route, sizeof(route));
	point_at(0);
	verdict = access_once(t);
	x = t->a.value;
	t->a.value = value;
	point_at(1);
	assert_int_equal(access_once(t), verdict);
	check_frame(before.gicd, hw[0].gicd, hw[1].gicd, v3 ? GICD_SIZE : 0x1000, 0, true);
	for (uint32_t i = 0; v3 && i < 4; i++) {
		check_frame(before.gicr[i], hw[0].gicr[i], hw[1].gicr[i], GICR_SIZE, 0x10000,
			    i >= CORE && i < CORE + 2);
	}
	check_routes(route);
	if (!t->a.write && verdict == DONE) {
		check_shown(t, x, t->a.value);
	}
	return verdict;
}

/* ---- Tests ---- */

/* A register of an interrupt or of its neighbours, or any place at all. */
static uint32_t some_place(const struct try *t)
{
	static const uint8_t near[] = { 3, 20, 23, 27, 30, 38, 40, 41, 42, 70, 71, 95 };
	uint32_t intid = near[(uint32_t)random() % ARRAY_SIZE(near)];
	uint32_t size = t->a.size;

	switch (random() % 8) {
	case 0:
	case 1:
		return 0x80 + (uint32_t)random() % 7 * 0x80 + intid / 32 * 4;
	case 2:
		return 0x400 + intid / size * size;
	case 3:
		return 0x800 + intid / size * size;
	case 4:
		return 0xc00 + intid / 16 * 4;
	case 5:
		return v3 ? 0x6000 + intid * 8 : 0xf00;
	default:
		return (uint32_t)random() % (v3 ? 0x8000 : 0x1000);
	}
}

/* Any access: nothing of a foreign interrupt is written or shown. */
static void test_foreign(void **state)
{
	(void)state;
	start();
	srandom(11);
	writes = shown = 0;
	for (uint32_t i = 0; i < (v3 ? 3000 : 20000); i++) {
		struct try t = {
			.vcpu = (uint32_t)random() % 2,
			.gicr = v3 && random() % 3 == 0,
			.quick = random() % 2 == 0,
		};

		t.a.size = (uint8_t)(1u << random() % 4);
		t.a.size = random() % 2 == 0 ? 4 : t.a.size;
		t.a.write = random() % 3 != 0;
		t.a.value = (uint64_t)random() << 33 ^ (uint64_t)random() << 1;
		t.a.addr = some_place(&t);
		t.a.addr += t.gicr ? 0x10000 + (uint32_t)random() % 2 * GICR_SIZE : 0;
		t.a.value = random() % 4 == 0 ? CORE + (uint32_t)random() % 3 : t.a.value;
		(void)try_access(&t);
	}
	print_message("%lu words written, %lu reads that showed something\n", writes, shown);
	assert_true(writes > 100 && shown > 80);
}

static uint64_t write_word(uint32_t vcpu, bool gicr, uint32_t at, uint32_t value, bool quick)
{
	struct try t = {
		.vcpu = vcpu, .gicr = gicr, .quick = quick,
		.a = { .addr = at, .size = 4, .write = true, .value = value },
	};

	assert_int_equal(try_access(&t), DONE);
	return word_at(gicr ? hw[0].gicr[CORE + at / GICR_SIZE] : hw[0].gicd, at % GICR_SIZE);
}

/* What is the guest's arrives, by the long way and by the quick one. */
static void test_own(void **state)
{
	(void)state;
	start();
	for (uint32_t quick = 0; quick < 2; quick++) {
		uint32_t own = 0xffffu | BIT(23) | BIT(27) | BIT(30);

		assert_int_equal(write_word(0, false, 0x104, ~0u, quick), BIT(8) | BIT(9));
		assert_int_equal(write_word(0, false, 0x188, ~0u, quick), BIT(6));
		assert_int_equal(write_word(1, v3, v3 ? 0x30100 : 0x100, ~0u, quick), own);
		assert_int_equal(write_word(1, v3, v3 ? 0x10180 : 0x180, ~0u, quick), own);
		assert_int_equal(write_word(0, false, 0x428, 0x11223344, quick) & 0xffff, 0x3344);
		if (!v3) {
			assert_int_equal(write_word(0, false, 0xf00, 0xff0005, quick), 0xc0005);
			assert_int_equal(write_word(0, false, 0xf00, 0x1000005, quick), 0x80005);
			assert_int_equal(write_word(1, false, 0xf00, 0x2000005, quick), 0x80005);
			assert_int_equal(write_word(0, false, 0x828, 0xffffffff, quick) & 0xffff,
					 0x0c0c);
		}
	}
	if (v3) {
		/* To its own cores; another one's name means the first of its own. */
		struct try t = {
			.a = { .addr = 0x6000 + 8 * 41, .size = 8, .write = true, .value = 3 },
		};

		assert_int_equal(try_access(&t), DONE);
		assert_int_equal(gic_host.route[41], 3);
		t.a.value = 1;
		assert_int_equal(try_access(&t), DONE);
		assert_int_equal(gic_host.route[41], CORE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_own),
	};
	int failed = cmocka_run_group_tests_name("vgic of HRT, GICv2", tests, NULL, NULL);

	v3 = true;
	return failed + cmocka_run_group_tests_name("vgic of HRT, GICv3", tests, NULL, NULL);
}
