/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c arch/arm64/pt.c */
/*
 * The memory map of a VM that is created at run time: built piece by piece, from a pool of as many
 * tables as blob_tables says, it translates as the one that is built in one go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "arm64/pt.h"
#include "blob.h"
#include "dice.h"

#define PAGE 4096ull
#define MIB2 0x200000ull
#define GIB1 0x40000000ull
#define MOST 256u

static uint8_t whole_pool[MOST * PAGE] __attribute__((aligned(PAGE)));
static uint8_t piece_pool[(MOST + 1) * PAGE] __attribute__((aligned(PAGE)));

/* Twin of the port's. */
void arch_mem_zero(void *to, uint64_t size)
{
	memset(to, 0, size);
}

/* What is there: the leaf, with the offset of the page in it; 0: nothing. */
static uint64_t walk(const struct pt *t, uint64_t va)
{
	const uint64_t *table = t->root;

	for (uint32_t level = 1;; level++) {
		uint32_t shift = 12 + 9 * (3 - level);
		uint64_t desc = table[va >> shift & 511];

		if ((desc & 1) == 0) {
			return 0;
		}
		if (level == 3 || (desc & 2) == 0) {
			return (desc & ~2ull) + (va & ((1ull << shift) - 1));
		}
		table = (const uint64_t *)(desc & 0xfffffffff000ull);
	}
}

static bool is_free(const struct kz_cfg_vm *vm, uint64_t ipa, uint64_t size)
{
	bool is = ipa + size <= vm->gicc_ipa || ipa >= vm->gicc_ipa + KZ_GICC_SIZE;

	for (uint32_t i = 0; i < vm->region_count; i++) {
		is = is && (ipa + size <= vm->region[i].ipa ||
			    ipa >= vm->region[i].ipa + vm->region[i].size);
	}
	return is;
}

static void vm_make(struct kz_cfg_vm *vm)
{
	static const uint64_t unit[] = { PAGE, MIB2, GIB1 };

	memset(vm, 0, sizeof(*vm));
	vm->gicc_ipa = 0x8010000;
	for (uint32_t n = 1 + dice(KZ_REGIONS_MAX); n > 0; n--) {
		uint64_t u = unit[dice(3)];
		uint64_t ipa = dice((uint32_t)(8 * GIB1 / u)) * u;
		uint64_t pa = dice(64) * GIB1 + (dice(2) == 0 ? ipa % GIB1 : dice(512) * PAGE);
		uint64_t size = dice(2) * GIB1 + dice(4) * MIB2 + dice(4) * PAGE;

		if ((pa - ipa) % MIB2 != 0) {
			size %= 8 * MIB2;	/* it takes a table for each 2 MiB */
		}
		if (size != 0 && is_free(vm, ipa, size)) {
			vm->region[vm->region_count++] = (struct kz_cfg_region){
				ipa, pa, size, dice(4) == 0 ? KZ_REGION_DEVICE : KZ_REGION_RAM, 0
			};
		}
	}
}

static uint64_t attrs_of(const struct kz_cfg_region *r)
{
	return r->type == KZ_REGION_DEVICE ? S2_DEVICE : S2_RAM;
}

/* Pieces: a call does as much as is in one table. */
static uint32_t build(const struct kz_cfg_vm *vm, const struct pt *t)
{
	uint32_t calls = 0;

	for (uint32_t i = 0; i < vm->region_count; i++) {
		const struct kz_cfg_region *r = &vm->region[i];

		for (uint64_t at = 0; at != r->size; calls++) {
			uint64_t done = pt_map_some(t, r->ipa + at, r->pa + at, r->size - at,
						    attrs_of(r));

			assert_in_range(done, PAGE, 512 * GIB1);
			assert_true(done <= r->size - at && done % PAGE == 0);
			at += done;
		}
	}
	return calls;
}

static void compare(const struct kz_cfg_vm *vm, const struct pt *a, const struct pt *b)
{
	for (uint32_t i = 0; i < vm->region_count; i++) {
		const struct kz_cfg_region *r = &vm->region[i];
		uint64_t last = r->size - PAGE;

		for (uint32_t n = 0; n < 64; n++) {
			uint64_t at = n == 0 ? 0 : n == 1 ? last :
				      dice((uint32_t)(r->size / PAGE)) * PAGE;
			uint64_t is = walk(a, r->ipa + at);

			assert_int_equal(is, (r->pa + at) | attrs_of(r) | 1);
			assert_int_equal(walk(b, r->ipa + at), is);
		}
		assert_int_equal(walk(a, r->ipa + r->size), walk(b, r->ipa + r->size));
	}
	for (uint32_t n = 0; n < 64; n++) {
		uint64_t at = dice((uint32_t)(9 * GIB1 / PAGE)) * PAGE;

		assert_int_equal(walk(a, at), walk(b, at));
	}
}

static void test_pieces(void **state)
{
	uint32_t pieces = 0, count = 0;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		struct pt_pool whole = { (uint64_t)whole_pool,
					 (uint64_t)(whole_pool + MOST * PAGE) };
		struct pt_pool piece = { (uint64_t)piece_pool, 0 };
		struct pt a = { .pool = &whole }, b = { .pool = &piece };
		struct kz_cfg_vm vm;
		uint32_t tables;

		vm_make(&vm);
		tables = blob_tables(&vm);
		if (tables > MOST) {
			continue;
		}
		piece.end = piece.next + tables * PAGE;
		memset(piece_pool, 0xa5, sizeof(piece_pool));	/* pages that were others' */
		a.root = pt_alloc(&whole);
		b.root = pt_alloc(&piece);
		assert_int_equal(pt_map(&a, vm.gicc_ipa, 0xf9060000, KZ_GICC_SIZE, S2_DEVICE), 0);
		assert_int_equal(pt_map(&b, vm.gicc_ipa, 0xf9060000, KZ_GICC_SIZE, S2_DEVICE), 0);
		for (uint32_t k = 0; k < vm.region_count; k++) {
			const struct kz_cfg_region *r = &vm.region[k];

			assert_int_equal(pt_map(&a, r->ipa, r->pa, r->size, attrs_of(r)), KZ_OK);
		}
		pieces += build(&vm, &b);
		compare(&vm, &a, &b);
		assert_int_equal(whole.next - (uint64_t)whole_pool,
				 piece.next - (uint64_t)piece_pool);
		for (uint64_t at = tables * PAGE; at < sizeof(piece_pool); at++) {
			assert_int_equal(piece_pool[at], 0xa5);
		}
		count++;
	}
	print_message("%u maps, %u pieces\n", count, pieces);
	assert_true(count > 1000 && pieces > 4 * count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests_name("pt pieces", tests, NULL, NULL);
}
