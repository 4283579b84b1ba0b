/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c arch/arm64/pt.c */
/* blob_tables against pt_map: as many tables as it says are always enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "arm64/pt.h"
#include "blob.h"
#include "dice.h"

#define PAGE  4096ull
#define MIB2  0x200000ull
#define GIB1  0x40000000ull
#define MOST  1024u /* tables that are tried */

static uint8_t tables[MOST * PAGE] __attribute__((aligned(PAGE)));

/* Twin of the port's. */
void arch_mem_zero(void *to, uint64_t size)
{
	memset(to, 0, size);
}

/* How many tables pt_map takes for a VM, of so many; more than these: it fails. */
static uint32_t taken(const struct kz_cfg_vm *vm, uint32_t most)
{
	struct pt_pool pool = { (uint64_t)tables, (uint64_t)tables + most * PAGE };
	struct pt pt = { .root = pt_alloc(&pool), .to_ptr = 0, .pool = &pool };
	uint64_t gicv = 0xf9060000; /* as on the ZCU102 */
	bool ok = pt_map(&pt, vm->gicc_ipa, gicv, KZ_GICC_SIZE, S2_DEVICE) == KZ_OK;

	for (uint32_t i = 0; i < vm->region_count && ok; i++) {
		const struct kz_cfg_region *r = &vm->region[i];

		if (r->type != KZ_REGION_STORE) {
			ok = pt_map(&pt, r->ipa, r->pa, r->size, S2_RAM) == KZ_OK;
		}
	}
	return ok ? (uint32_t)((pool.next - (uint64_t)tables) / PAGE) : most + 1;
}

static bool is_free(const struct kz_cfg_vm *vm, uint64_t ipa, uint64_t size)
{
	bool free = ipa + size <= vm->gicc_ipa || ipa >= vm->gicc_ipa + KZ_GICC_SIZE;

	for (uint32_t i = 0; i < vm->region_count; i++) {
		free = free && (ipa + size <= vm->region[i].ipa ||
				ipa >= vm->region[i].ipa + vm->region[i].size);
	}
	return free;
}

static uint64_t some(uint64_t most, uint64_t unit)
{
	return dice((uint32_t)(most / unit)) * unit;
}

/* Regions that are aligned, nearly aligned, congruent or not; in any order. */
static void vm_make(struct kz_cfg_vm *vm)
{
	static const uint64_t unit[] = { PAGE, MIB2, GIB1 };

	memset(vm, 0, sizeof(*vm));
	vm->gicc_ipa = (dice(2) == 0) ? 0x8010000 : some(8 * GIB1, PAGE);
	for (uint32_t n = 1 + dice(KZ_REGIONS_MAX); n > 0; n--) {
		uint64_t like = unit[dice(3)];
		uint64_t ipa = some(8 * GIB1, unit[dice(3)]);
		uint64_t pa = some(64 * GIB1, GIB1) + ipa % GIB1;
		uint64_t size = dice(3) * GIB1 + dice(4) * MIB2 + dice(4) * PAGE;

		if (dice(3) == 0) {
			pa = some(64 * GIB1, like);
		}
		if ((pa - ipa) % MIB2 != 0) {
			size %= 16 * MIB2; /* it takes a table for each 2 MiB */
		}
		if (size != 0 && is_free(vm, ipa, size)) {
			vm->region[vm->region_count++] = (struct kz_cfg_region){
				ipa, pa, size, (dice(8) == 0) ? KZ_REGION_STORE : KZ_REGION_RAM, 0
			};
		}
	}
}

static void test_random(void **state)
{
	uint32_t exact = 0, counted = 0, spare = 0;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		struct kz_cfg_vm vm;
		uint32_t n, real;

		vm_make(&vm);
		n = blob_tables(&vm);
		if (n > MOST) {
			continue;
		}
		real = taken(&vm, n);
		if (n < real) {
			fail_msg("set %u: %u tables are said to do, and do not", i, n);
		}
		exact += (n == real) ? 1 : 0;
		spare += n - real;
		counted++;
	}
	print_message("%u sets, %u exact, %u tables too many\n", counted, exact, spare);
	assert_true(counted > 2500);
	assert_true(exact > counted / 8);
}

/* What is common is exact, or nearly so. */
static void test_common(void **state)
{
	struct kz_cfg_vm vm = { .gicc_ipa = 0x8010000, .region_count = 1 };

	(void)state;
	vm.region[0] = (struct kz_cfg_region){ GIB1, 0x60000000, 0x20000000, KZ_REGION_RAM, 0 };
	assert_int_equal(blob_tables(&vm), 4);
	assert_int_equal(taken(&vm, MOST), 4);
	vm.region[0] = (struct kz_cfg_region){ GIB1, GIB1, GIB1, KZ_REGION_RAM, 0 };
	assert_int_equal(blob_tables(&vm), 3);
	assert_int_equal(taken(&vm, MOST), 3);
	/* 4 MiB that are not where blocks are: one for each 2 MiB begun. */
	vm.region[0] = (struct kz_cfg_region){ GIB1, GIB1 + PAGE, 2 * MIB2, KZ_REGION_RAM, 0 };
	assert_int_equal(blob_tables(&vm), 6);
	assert_int_equal(taken(&vm, MOST), 6);
	vm.region_count = 2;
	vm.region[1] = (struct kz_cfg_region){ 0, 2 * GIB1, 64 * MIB2, KZ_REGION_STORE, 0 };
	assert_int_equal(blob_tables(&vm), 6);
	vm.region_count = 1;
	vm.region[0] = (struct kz_cfg_region){ GIB1 + PAGE, GIB1 + PAGE, PAGE, KZ_REGION_RAM, 0 };
	assert_int_equal(blob_tables(&vm), 5);
	assert_int_equal(taken(&vm, MOST), 5);
	/* All that a guest can address, page by page. */
	vm.region[0] = (struct kz_cfg_region){ 0, PAGE, 1ull << KZ_IPA_BITS, KZ_REGION_RAM, 0 };
	assert_int_equal(blob_tables(&vm), 1 + 512 + 512 * 512 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_common),
	};

	return cmocka_run_group_tests_name("blob_tables", tests, NULL, NULL);
}
