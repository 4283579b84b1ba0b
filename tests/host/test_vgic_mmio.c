/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/vgic.c arch/vgic_lr.c arch/vgic_mmio.c arch/vgic_reset.c arch/vgic_hrt.c */
/* link: hv/trace.c tests/host/arch_host.c tests/host/gic_host.c tests/host/gic_naive.c */
/* link: arch/vgic_switch.c tests/host/vgic_bed.c tests/host/vgic_both.c tests/host/vgic_share.c */
/* The frames of the modelled GIC: which registers there are, in which sizes, and what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vgic_bed.h"

static bool v3;

static void start(uint32_t cpus)
{
	bed_start(v3, cpus, 4);
	both_ctlr(0, 3);
}

static enum verdict read_at(bool gicr, uint32_t at, uint8_t size, uint64_t *value)
{
	struct access a = { .addr = at, .size = size, .value = 0x5555 };
	enum verdict verdict = bed_access(0, gicr, &a);

	*value = a.value;
	return verdict;
}

static enum verdict write_at(bool gicr, uint32_t at, uint8_t size, uint64_t value)
{
	struct access a = { .addr = at, .size = size, .value = value, .write = true };

	return bed_access(0, gicr, &a);
}

/* ---- Sizes and reserved registers ---- */

/* What the manuals have at `at`: sizes that it takes, as their sum; RESERVED, SPECIAL: any. */
enum { RESERVED = 0, SPECIAL = 16, EITHER = 32 };

static uint32_t distributor(uint32_t at)
{
	if (at >= 0x80 && at < 0x400) {
		return 4;
	}
	if (at >= 0x400 && at < 0xc00) {
		return 1 + 4;
	}
	return at >= 0xc00 && at < 0xd00 ? 4 : RESERVED;
}

/* The first interrupt behind it. */
static uint32_t first_intid(uint32_t at)
{
	return at < 0x400 ? at % 0x80 * 8 : at < 0xc00 ? at % 0x400 : at % 0x100 * 4;
}

static uint32_t gicd_sizes(uint32_t at)
{
	uint32_t pidr2 = v3 ? 0xffe8 : 0xfe8;

	if (at < 0x0c || (at & ~3u) == pidr2 || (!v3 && at >= 0xf00 && at < 0xf04)) {
		return SPECIAL;
	}
	if (!v3 && at >= 0xf10 && at < 0xf30) {
		return 1 + 4;
	}
	if (v3 && at >= 0x6100 && at < 0x6000 + 8 * NAIVE_LINES) {
		return 4 + 8;
	}
	/* Version 3 has bank 0 in the redistributors: wrong sizes of nothing may be answered. */
	return distributor(at) | (v3 && first_intid(at) < 32 ? EITHER : 0);
}

static uint32_t gicr_sizes(uint32_t at)
{
	at %= 0x20000;
	if (at < 0x10 || at == 0xffe8) {
		return SPECIAL;
	}
	return at >= 0x10000 ? distributor(at - 0x10000) : RESERVED;
}

/* Is there an interrupt of the VM's behind it? */
static bool has_interrupt(bool gicr, uint32_t at)
{
	uint32_t intid;

	at = gicr ? at % 0x20000 - 0x10000 : at;
	if (at >= 0x6100 || (!v3 && at >= 0xf10)) {
		return true;
	}
	intid = first_intid(at);
	if (v3 && at >= 0x800 && at < 0xc00) {
		return false;		/* ITARGETSR: RES0 with affinity routing */
	}
	return gicr ? intid < 32 : intid < NAIVE_LINES && (!v3 || intid >= 32);
}

static struct arch_vm model;
static struct arch_lines model_lines;
static struct vgic_cpu model_cpu[NAIVE_CPUS];

static void remember(void)
{
	memcpy(&model, &bed.vm->arch, sizeof(model));
	memcpy(&model_lines, &bed.vm->lines, sizeof(model_lines));
	for (uint32_t i = 0; i < naive->cpus; i++) {
		memcpy(&model_cpu[i], &bed.vm->vcpu[i].arch.vgic, sizeof(model_cpu[i]));
	}
}

static bool is_unchanged(void)
{
	bool same = true;

	model.vgic.lock = bed.vm->arch.vgic.lock;
	for (uint32_t i = 0; i < naive->cpus; i++) {
		same &= memcmp(&model_cpu[i], &bed.vm->vcpu[i].arch.vgic,
			       sizeof(model_cpu[i])) == 0;
	}
	return same && memcmp(&model, &bed.vm->arch, sizeof(model)) == 0 &&
	       memcmp(&model_lines, &bed.vm->lines, sizeof(model_lines)) == 0;
}

static void check_place(bool gicr, uint32_t at)
{
	uint32_t sizes = gicr ? gicr_sizes(at) : gicd_sizes(at);

	if (sizes == SPECIAL) {
		return;
	}
	for (uint8_t size = 1; size <= 8; size *= 2) {
		bool fits = at % size == 0 && (sizes == RESERVED || (sizes & size) != 0);
		bool idle = sizes == RESERVED || !has_interrupt(gicr, at);
		enum verdict want = fits ? DONE : UNKNOWN;
		enum verdict verdict;
		uint64_t value;

		remember();
		verdict = read_at(gicr, at, size, &value);
		if ((sizes & EITHER) != 0 && at % size == 0 && !fits) {
			want = verdict;
		}
		if (verdict != want) {
			fail_msg("read of %u at 0x%x", size, at);
		}
		assert_true(is_unchanged());
		if (fits && idle) {
			assert_int_equal(value, 0);
		}
		if (fits && !idle) {
			continue;
		}
		if (write_at(gicr, at, size, 0xa5a5a5a5a5a5a5a5) != want || !is_unchanged()) {
			fail_msg("write of %u at 0x%x", size, at);
		}
	}
}

/* Every offset in every size: wrong sizes are answered as a bus does, reserved is RAZ/WI. */
static void test_every_place(void **state)
{
	(void)state;
	start(2);
	for (uint32_t at = 0; at < (v3 ? 0x10000u : 0x1000u); at++) {
		check_place(false, at);
	}
	for (uint32_t at = 0; v3 && at < 0x40000; at++) {
		check_place(true, at);
	}
	remember();
	assert_int_equal(write_at(false, 0x100, 0, 0), UNKNOWN);	/* the size is not known */
	assert_true(is_unchanged());
}

/* ---- Identification ---- */

static void test_identification(void **state)
{
	uint64_t value;

	(void)state;
	for (uint32_t cpus = 1; cpus <= NAIVE_CPUS; cpus++) {
		start(cpus);
		value = bed_read(0, 0x004);
		assert_int_equal(value & 0x1f, NAIVE_LINES / 32 - 1);
		if (v3) {
			assert_int_equal(value >> 19 & 0x1f, 9);	/* INTIDs have ten bits */
			assert_int_equal(value & BIT(17), 0);		/* no LPIs */
		} else {
			assert_int_equal(value >> 5 & 7, cpus - 1);
			assert_int_equal(value & BIT(10), 0);		/* no security */
		}
		assert_int_equal(bed_read(0, 0x008) & 0xfff, 0x43b);
		assert_int_equal(bed_read(0, v3 ? 0xffe8 : 0xfe8) >> 4 & 0xf, v3 ? 3 : 2);
		for (uint32_t i = 0; v3 && i < cpus; i++) {
			assert_int_equal(read_at(true, i * 0x20000 + 8, 8, &value), DONE);
			assert_int_equal(value >> 32, i);		/* affinity */
			assert_int_equal(value >> 8 & 0xffff, i);
			assert_int_equal(value >> 4 & 1, i + 1 == cpus);
			assert_int_equal(read_at(true, i * 0x20000 + 12, 4, &value), DONE);
			assert_int_equal(value & 0xffffffff, i);
			assert_int_equal(read_at(true, i * 0x20000 + 0x14, 4, &value), DONE);
			assert_int_equal(value & 6, 0);			/* awake */
		}
	}
	assert_int_equal(bed_read(0, 0) & 3, 3);
	assert_int_equal(bed_read(0, 0) & 0x50, v3 ? 0x50 : 0);	/* ARE, DS */
}

/* ---- What can be written ---- */

static void test_fixed_bits(void **state)
{
	(void)state;
	start(2);
	if (!v3) {
		/* SGIs are enabled, and pending only by SPENDSGIR. */
		bed_write(0, 0x180, ~0u);
		assert_int_equal(bed_read(0, 0x100) & 0xffff, 0xffff);
		bed_write(0, 0x200, 0xffff);
		assert_int_equal(bed_read(0, 0x200) & 0xffff, 0);
		/* Targets of private interrupts are the reader. */
		bed_write(1, 0x800, 0);
		assert_int_equal(bed_read(1, 0x800), 0x02020202);
		assert_int_equal(bed_read(0, 0x81c), 0x01010101);
		/* Only vCPUs that there are. */
		bed_write(0, 0x820, 0xff02fc01);
		assert_int_equal(bed_read(1, 0x820), 0x03020001);
	}
	/* Configuration: SGIs are edges, PPIs as the wires are; the event interrupt is an edge. */
	bed_bits_write(0, 0xc00, 0, 0);
	bed_bits_write(0, 0xc04, 0, ~0u);
	assert_int_equal(bed_bits(0, 0xc00, 0), 0xaaaaaaaa);
	assert_int_equal(bed_bits(0, 0xc04, 0), 2u << (20 - 16) * 2);
	bed_write(0, 0xc08, 0xffffffff);
	assert_int_equal(bed_read(0, 0xc08), 0xaaaaaaaa);
	bed_write(0, 0xc08, 0x80000002);
	assert_int_equal(bed_read(0, 0xc08) & 0xff00ffff, 0x80000002);
	/* Priorities have five bits; bytes and words are the same thing. */
	bed_write(0, 0x440, 0x12345678);
	assert_int_equal(bed_read(0, 0x440), 0x10305078);
	bed_byte_write(0, 0x400, 65, 0xff);
	assert_int_equal(bed_read(0, 0x440), 0x1030f878);
}

static void test_uniprocessor(void **state)
{
	(void)state;
	start(1);
	if (!v3) {
		bed_write(0, 0x820, 0x01010101);
		assert_int_equal(bed_read(0, 0x820), 0);
		assert_int_equal(bed_read(0, 0x800), 0);
	}
	both_bits(0, GICD_ISENABLER, 2, 1);
	both_bits(0, GICD_ISPENDR, 2, 1);
	assert_int_equal(both_ack(0), 64);
}

/* Where an SPI goes: the vCPU that IROUTER names, vCPU 0 for any, nobody if there is none. */
static void test_router(void **state)
{
	static const struct {
		uint64_t value;
		uint32_t read;
		uint32_t goes;
	} row[] = {
		{ 2, 2, 2 }, { 0, 0, 0 }, { 3, 3, 3 }, { 4, 4, NAIVE_NOBODY },
		{ 0x100, 0x100, NAIVE_NOBODY }, { 0x10001, 0x10001, NAIVE_NOBODY },
		{ 0x80000002, 0x80000002, 0 }, { 0x7f000001, 1, 1 },
		{ 0x100000001, 1, NAIVE_NOBODY },
	};
	uint64_t value;

	(void)state;
	if (!v3) {
		return;
	}
	start(4);
	both_bits(0, GICD_ISENABLER, 2, 1);
	for (uint32_t i = 0; i < ARRAY_SIZE(row); i++) {
		assert_int_equal(write_at(false, 0x6000 + 8 * 64, 8, row[i].value), DONE);
		assert_int_equal(read_at(false, 0x6000 + 8 * 64, 8, &value), DONE);
		assert_int_equal(value, row[i].read);
		naive->spi[64].route = row[i].read;
		naive->spi[64].cpu = (uint8_t)row[i].goes;
		both_bits(0, GICD_ISPENDR, 2, 1);
		both_check();
		for (uint32_t c = 0; c < 4; c++) {
			assert_int_equal(both_ack(c), c == row[i].goes ? 64 : GIC_HOST_NONE);
		}
		(void)both_drain();
	}
	assert_int_equal(write_at(false, 0x6000 + 8 * 64, 4, 1), DONE);
	assert_int_equal(write_at(false, 0x6004 + 8 * 64, 4, 5), DONE);
	assert_int_equal(read_at(false, 0x6000 + 8 * 64, 8, &value), DONE);
	assert_int_equal(value, 1);
}

/* ---- SGIs ---- */

/* vCPUs on which SGI 4 is pending; they forget it. */
static uint32_t arrived(void)
{
	uint32_t set = 0;

	bed_settle_all();
	for (uint32_t c = 0; c < naive->cpus; c++) {
		set |= (bed_bits(c, GICD_ISPENDR, 0) & BIT(4)) != 0 ? BIT(c) : 0;
		if (v3) {
			bed_bits_write(c, GICD_ICPENDR, 0, BIT(4));
		} else {
			bed_write(c, 0xf14, 0xff);
		}
	}
	return set;
}

static void test_sgir(void **state)
{
	(void)state;
	if (v3) {
		return;
	}
	start(3);
	bed_write(1, 0xf00, 5u << 16 | 4);		/* the list */
	assert_int_equal(arrived(), 5);
	bed_write(1, 0xf00, 0xffu << 16 | 4);		/* those that there are */
	assert_int_equal(arrived(), 7);
	bed_write(1, 0xf00, 1u << 24 | 4);		/* all but self */
	assert_int_equal(arrived(), 5);
	bed_write(1, 0xf00, 2u << 24 | 0xffu << 16 | 4);	/* self */
	assert_int_equal(arrived(), 2);
	bed_write(1, 0xf00, 3u << 24 | 0xffu << 16 | 4);	/* reserved */
	assert_int_equal(arrived(), 0);
	assert_int_equal(bed_read(1, 0xf00), 0);
}

static void sgi1r(uint32_t cpu, uint64_t value, bool group1)
{
	host_become(cpu);
	vgic_sgi_register(&bed.vm->vcpu[cpu], value, group1);
}

static void test_sgi_register(void **state)
{
	(void)state;
	if (!v3) {
		return;
	}
	start(3);
	for (uint32_t g = 0; g < 2; g++) {
		for (uint32_t c = 0; c < 3; c++) {
			bed_bits_write(c, GICD_IGROUPR, 0, g != 0 ? ~0u : 0);
		}
		sgi1r(1, 4ull << 24 | 5, g != 0);
		assert_int_equal(arrived(), 5);
		sgi1r(1, 4ull << 24 | 0xffff, g != 0);
		assert_int_equal(arrived(), 7);
		sgi1r(1, BIT64(40) | 4ull << 24, g != 0);	/* IRM: all but self */
		assert_int_equal(arrived(), 5);
		sgi1r(1, 4ull << 24 | 7, g == 0);		/* the other group's */
		assert_int_equal(arrived(), 0);
		/* Clusters that nobody is in: Aff1, Aff2, Aff3, and a range. */
		sgi1r(1, BIT64(16) | 4ull << 24 | 7, g != 0);
		sgi1r(1, BIT64(32) | 4ull << 24 | 7, g != 0);
		sgi1r(1, BIT64(48) | 4ull << 24 | 7, g != 0);
		sgi1r(1, BIT64(44) | 4ull << 24 | 7, g != 0);
		assert_int_equal(arrived(), 0);
	}
}

/* ---- Whatever a guest does ---- */

/* No access is an error of ours, and none leaves the lock or maintenance behind. */
static void test_anything(void **state)
{
	(void)state;
	start(4);
	srandom(7);
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t cpu = (uint32_t)random() % 4;
		bool gicr = v3 && random() % 4 == 0;
		uint32_t frame = gicr ? 0x80000 : v3 ? 0x10000 : 0x1000;
		uint32_t near = v3 && random() % 3 == 0 ? 0x400 : 0x1000;
		struct access a = {
			.addr = (uint32_t)random() % (random() % 4 != 0 ? near : frame),
			.size = (uint8_t)(1u << random() % 4),
			.write = random() % 3 != 0,
			.value = (uint64_t)random() << 33 ^ (uint64_t)random(),
		};

		if (gicr && random() % 2 == 0) {
			a.addr = a.addr % 0x1000 + 0x10000 + (uint32_t)random() % 4 * 0x20000;
		}
		a.addr &= random() % 8 != 0 ? ~(uint64_t)(a.size - 1u) : ~0ull;
		(void)bed_access(cpu, gicr, &a);
		if (random() % 4 == 0) {
			uint32_t iar;

			bed_settle(cpu);
			iar = vif_ack();
			if (iar != GIC_HOST_NONE) {
				vif_eoi(iar);
			}
		}
		assert_int_equal(bed.vm->arch.vgic.lock.word >> 16,
				 bed.vm->arch.vgic.lock.word & 0xffff);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_place), cmocka_unit_test(test_identification),
		cmocka_unit_test(test_fixed_bits), cmocka_unit_test(test_uniprocessor),
		cmocka_unit_test(test_router), cmocka_unit_test(test_sgir),
		cmocka_unit_test(test_sgi_register), cmocka_unit_test(test_anything),
	};
	int failed = cmocka_run_group_tests_name("vgic's frames, GICv2", tests, NULL, NULL);

	v3 = true;
	return failed + cmocka_run_group_tests_name("vgic's frames, GICv3", tests, NULL, NULL);
}
