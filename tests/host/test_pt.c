/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/arm64/pt.c */
/*
 * Translation tables against an array that has an entry for each page. The pool
 * of tables cannot be given back, so each round runs in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <kizami/blob.h>
#include "arch.h"
#include "arm64/pt.h"

#define PAGE	4096ull
#define WINDOW	(4ull << 30)		/* what the array covers */
#define PAGES	(WINDOW / PAGE)
#define TO_PTR	0x10000000ull
#define NOTHING	0u

/* A call of pt_map that succeeded; va is an offset into the window. */
struct map {
	uint64_t va, to, size, attrs;
};

static struct map maps[4096];
static uint32_t map_count;
static struct map broken;		/* the call that ran out of tables */
/* Index into maps plus 1. */
static uint16_t pages[PAGES];
static uint64_t base;			/* of the window */
static struct pt pt;
static uint32_t pool_size;

/* What a round found wrong; it ends the process. */
#define CHECK(x)							\
	do {								\
		if (!(x)) {						\
			fprintf(stderr, "test_pt.c:%d: %s\n", __LINE__, #x); \
			_exit(1);					\
		}							\
	} while (0)

/* Twin of the port's. */
void arch_mem_zero(void *to, uint64_t size)
{
	memset(to, 0, size);
}

static uint64_t dice(uint64_t sides)
{
	return ((uint64_t)random() << 31 | (uint64_t)random()) % sides;
}

/* ---- The walk, as DDI 0487 D8.3 draws it ---- */

struct walk {
	bool mapped;
	uint64_t to, attrs;
	uint32_t level;
};

static struct walk walk(uint64_t va)
{
	const uint64_t *table = pt.root;

	for (uint32_t level = 1;; level++) {
		uint32_t shift = 39 - 9 * level;
		uint64_t d = table[va >> shift & 511];
		uint64_t within = (1ull << shift) - 1;
		uint64_t out = d & 0xfffffffff000ull;

		if ((d & 1) == 0) {
			CHECK(d == 0);
			return (struct walk){ .mapped = false };
		}
		if (level == 3 || (d & 2) == 0) {
			CHECK(level != 3 || (d & 2) != 0);
			CHECK((out & within & ~0xfffull) == 0);
			return (struct walk){
				.mapped = true,
				.to = out | (va & within),
				.attrs = d & ~0xfffffffff003ull,
				.level = level,
			};
		}
		/* no attribute of a table narrows its leaves */
		CHECK((d & ~0xfffffffff003ull) == 0);
		table = (const uint64_t *)(out + TO_PTR);
	}
}

static uint32_t table_count(const uint64_t *table, uint32_t level)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < 512 && level < 3; i++) {
		if ((table[i] & 3) == 3) {
			uint64_t below = (table[i] & 0xfffffffff000ull) + TO_PTR;

			n += table_count((const uint64_t *)below, level + 1);
		}
	}
	return n;
}

/* The level of the largest block that the map allows at the window's offset `at`. */
static uint32_t largest(const struct map *m, uint64_t at)
{
	for (uint32_t level = 1; level < 3; level++) {
		uint64_t size = 1ull << (39 - 9 * level);
		uint64_t start = at & ~(size - 1);

		if (start >= m->va && start + size <= m->va + m->size &&
		    (m->va - m->to) % size == 0) {
			return level;
		}
	}
	return 3;
}

static void check_page(uint64_t at)
{
	struct walk w = walk(base + at);
	const struct map *m;

	if (w.mapped && at - broken.va < broken.size) {
		CHECK(w.to == broken.to + (at - broken.va) && w.attrs == broken.attrs);
		return;
	}
	CHECK(w.mapped == (pages[at / PAGE] != NOTHING));
	if (w.mapped) {
		m = &maps[pages[at / PAGE] - 1];
		CHECK(w.to == m->to + (at - m->va));
		CHECK(w.attrs == m->attrs);
		CHECK(w.level == largest(m, at));
	}
}

static void check_all(void)
{
	for (uint64_t at = 0; at < WINDOW; at += PAGE) {
		check_page(at);
	}
	for (uint64_t i = 0; i < 512; i++) {
		CHECK(i - (base >> 30) < WINDOW >> 30 || pt.root[i] == 0);
	}
}

/* ---- Random maps ---- */

static bool is_free(uint64_t va, uint64_t size)
{
	for (uint64_t at = va; at < va + size; at += PAGE) {
		if (pages[at / PAGE] != NOTHING) {
			return false;
		}
	}
	return true;
}

/* Map if nothing is there. False when the pool is used up, which must be true. */
static bool map(uint64_t va, uint64_t to, uint64_t size)
{
	static const uint64_t attrs[] = { S2_RAM, S2_DEVICE, S1_TEXT, S1_DATA };
	struct map m = { .va = va, .to = to, .size = size, .attrs = attrs[dice(4)] };

	if (va + size > WINDOW || !is_free(va, size)) {
		return true;
	}
	CHECK(map_count < sizeof(maps) / sizeof(maps[0]));
	if (pt_map(&pt, base + va, to, size, m.attrs) != KZ_OK) {
		CHECK(table_count(pt.root, 1) == pool_size && pt_alloc(NULL) == NULL);
		broken = m;
		return false;
	}
	maps[map_count++] = m;
	for (uint64_t at = va; at < va + size; at += PAGE) {
		pages[at / PAGE] = (uint16_t)map_count;
	}
	return true;
}

static void round_begin(uint32_t seed)
{
	srandom(seed);
	base = dice(512 - (WINDOW >> 30)) << 30;
	pt = (struct pt){ .root = pt_alloc(NULL), .to_ptr = TO_PTR };
	CHECK(pt.root != NULL);
}

/* Sizes and offsets that the blocks like, or nearly. */
static void round_mixed(uint32_t seed)
{
	static const uint64_t unit[] = { PAGE, 2ull << 20, 1ull << 30 };

	round_begin(seed);
	for (uint32_t i = 0; i < 24; i++) {
		uint64_t u = unit[dice(3)], v = unit[dice(3)];
		uint64_t va = dice(WINDOW / u) * u, to = dice((1ull << 40) / v) * v;
		uint64_t size = dice(3) * (1ull << 30) + dice(4) * (2ull << 20) + dice(4) * PAGE;

		if (dice(2) == 0) {
			to = va + dice(8) * u;		/* as aligned as va is */
		}
		if (u == PAGE || v == PAGE) {
			size %= 64ull << 20;		/* it takes a table for each 2 MiB */
		}
		if (size != 0 && !map(va, to, size)) {
			break;
		}
	}
	check_all();
}

/* Page after page until no table is left: what was mapped stays, nothing else comes. */
static void round_full(uint32_t seed)
{
	uint64_t va;

	round_begin(seed);
	do {
		va = dice(PAGES) * PAGE;
	} while (map(va, dice(1 << 20) * PAGE, PAGE));
	CHECK(map_count > 64);
	check_all();
}

static void in_process(void (*round)(uint32_t), uint32_t seed)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		round(seed);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0) {
		fail_msg("seed %u", seed);
	}
}

static void count_pool(uint32_t seed)
{
	uint64_t *t;
	uint32_t n = 0;

	(void)seed;
	for (t = pt_alloc(NULL); t != NULL; t = pt_alloc(NULL)) {
		CHECK((uintptr_t)t % PAGE == 0);
		for (uint32_t i = 0; i < 512; i++) {
			CHECK(t[i] == 0);
		}
		t[0] = t[511] = 1;
		n++;
	}
	CHECK(n == pool_size);
}

static void test_pool(void **state)
{
	(void)state;
	/* What the blob check promises to VMs, and the hypervisor's own beside it. */
	assert_true(pool_size > KZ_PT_PAGES);
	in_process(count_pool, 0);
}

static void test_mixed(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		in_process(round_mixed, seed);
	}
}

static void test_full(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 20; seed++) {
		in_process(round_full, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_full),
	};

	pool_size = KZ_PT_PAGES + 28;
	return cmocka_run_group_tests_name("pt", tests, NULL, NULL);
}
