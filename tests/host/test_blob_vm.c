/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* A VM that comes while others run: what is asked of it, beside what is asked at boot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob_spoils.h"

#define STORE_PA 0x60000000ull
#define TABLES   8u

/* The running system: a blob that is right, and the places of its VMs. */
struct bed {
	struct kz_cfg *cfg;
	const struct kz_cfg_vm *others[KZ_VMS_MAX];
	struct kz_cfg_vm *vm; /* who comes, into place id */
	uint32_t id;
};

/* The VM of that place leaves, and wants to come back with a store. */
static void bed_make(struct bed *b, uint32_t gic_version, uint32_t id)
{
	struct kz_cfg_vm *all;

	memset(b, 0, sizeof(*b));
	b->cfg = malloc(BLOB_MAKE_SIZE);
	b->vm = malloc(sizeof(*b->vm)); /* alone: a byte too far is seen by the sanitizer */
	assert_true((b->cfg != NULL) && (b->vm != NULL));
	blob_make(b->cfg, gic_version);
	all = (struct kz_cfg_vm *)(void *)(b->cfg + 1);
	for (uint32_t i = 0; i < BLOB_MAKE_VMS; i++) {
		b->others[i] = &all[i];
	}
	b->others[id] = NULL;
	b->id = id;
	*b->vm = all[id];
	b->vm->region[2] = (struct kz_cfg_region){ 0, STORE_PA, 0x20000, KZ_REGION_STORE, 0 };
	b->vm->region_count = 3;
	b->vm->store_tables = TABLES;
	b->vm->load[0].offset = 0;
	b->vm->load[1].offset = 0x5000;
}

static void bed_free(struct bed *b)
{
	free(b->cfg);
	free(b->vm);
}

static void expect(const struct bed *b, enum blob_err err, uint32_t index)
{
	struct blob_where where = { 99, 99 };
	enum blob_err got = blob_check_vm(b->cfg, b->others, b->id, b->vm, &where);

	if (got != err) {
		print_error("%s instead of %s (%u)\n", blob_strerror(got), blob_strerror(err),
			    where.index);
	}
	assert_int_equal(got, err);
	assert_int_equal(where.vm, b->id);
	if (err != BLOB_OK) {
		assert_int_equal(where.index, index);
	}
}

static void test_right(void **state)
{
	(void)state;
	for (uint32_t version = 2; version <= 3; version++) {
		for (uint32_t id = 0; id < BLOB_MAKE_VMS; id++) {
			struct bed b;

			bed_make(&b, version, id);
			expect(&b, BLOB_OK, 0);
			bed_free(&b);
		}
	}
}

/* Whatever is wrong at boot is wrong later, too, and at the same place. */
static void test_as_at_boot(void **state)
{
	uint32_t count = 0;

	(void)state;
	for (const struct spoil *s = vm_spoils;
	     s < vm_spoils + sizeof(vm_spoils) / sizeof(vm_spoils[0]); s++) {
		size_t vms = sizeof(struct kz_cfg) + s->vm * sizeof(struct kz_cfg_vm);
		struct bed b;

		/* The console's core comes first; loads and stores are told apart below. */
		if ((s->err == BLOB_STORE) || (s->err == BLOB_LOAD)) {
			continue;
		}
		bed_make(&b, 2, s->vm);
		memcpy((uint8_t *)b.vm + (s->at - vms), &s->value, s->width);
		print_message("  at %zu: 0x%llx\n", s->at - vms, (unsigned long long)s->value);
		/* The guest's frames are counted behind its regions, which are one more. */
		expect(&b, s->err, s->index + (((s->err == BLOB_IPA) && (s->index >= 2)) ? 1 : 0));
		bed_free(&b);
		count++;
	}
	assert_true(count > 90);
}

static void test_store(void **state)
{
	struct bed b;
	struct kz_cfg_region *r;

	(void)state;
	bed_make(&b, 2, 0);
	r = &b.vm->region[2];
	r->ipa = 0x1000;
	expect(&b, BLOB_STORE, 2);
	r->ipa = 0;
	b.vm->region_count = 2;
	expect(&b, BLOB_STORE, 0);
	b.vm->region_count = 4;
	b.vm->region[3] = *r;
	b.vm->region[3].pa += 0x100000;
	expect(&b, BLOB_STORE, 3);
	b.vm->region_count = 3;
	/* It is RAM, and nobody else's: the guest's own neither. */
	r->pa = 0x7fff0000;
	expect(&b, BLOB_REGION_RAM, 2);
	r->pa = 0xa100000;
	expect(&b, BLOB_REGION_RAM, 2);
	r->pa = 0x50010000;
	expect(&b, BLOB_REGION_TWICE, 2);
	r->pa = 0x501f0000;
	expect(&b, BLOB_REGION_TWICE, 2);
	r->pa = 0x50200000;
	expect(&b, BLOB_REGION_TWICE, 2);
	r->pa = 0x4fe10000;
	expect(&b, BLOB_REGION_OWN, 2);
	r->pa = 0x40200000;
	expect(&b, BLOB_REGION_OWN, 2);
	r->pa = STORE_PA;
	/* The guest does not address it. */
	b.vm->console_ipa = 0;
	expect(&b, BLOB_OK, 0);
	b.vm->load[0].ipa = STORE_PA;
	expect(&b, BLOB_LOAD, 0);
	bed_free(&b);
}

static void test_tables(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, 2, 0);
	/* A root; RAM: a table of level 2; a device and the GIC's frame: two each. */
	assert_int_equal(blob_tables(b.vm), 6);
	b.vm->store_tables = 6;
	expect(&b, BLOB_OK, 0);
	b.vm->store_tables = 5;
	expect(&b, BLOB_STORE, 0);
	b.vm->store_tables = 0x20;
	b.vm->load_count = 0;
	expect(&b, BLOB_OK, 0);
	b.vm->store_tables = 0x21;
	expect(&b, BLOB_STORE, 0);
	b.vm->store_tables = 0xffffffff;
	expect(&b, BLOB_STORE, 0);
	bed_free(&b);
}

/* Loads are behind the tables, and end in the store. */
static void test_loads(void **state)
{
	struct bed b;
	struct kz_cfg_load *l;

	(void)state;
	bed_make(&b, 2, 1);
	l = &b.vm->load[0];
	l->offset = 0x13000;
	expect(&b, BLOB_OK, 0);
	l->offset = 0x13040;
	expect(&b, BLOB_LOAD, 0);
	l->offset = 0x20;
	expect(&b, BLOB_LOAD, 0);
	l->offset = MAX64 - 0x3f;
	expect(&b, BLOB_LOAD, 0);
	l->offset = 0;
	l->size = 0;
	expect(&b, BLOB_LOAD, 0);
	l->size = MAX64;
	expect(&b, BLOB_LOAD, 0);
	bed_free(&b);
}

/* No rights, so no trace; no core of the console's for a hard one. */
static void test_rights(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, 2, 0);
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		b.vm->rights[i] = 1;
		expect(&b, BLOB_RIGHTS, 0);
		b.vm->rights[i] = 0xff;
		expect(&b, BLOB_RIGHTS, 0);
		b.vm->rights[i] = 0;
	}
	b.vm->region[3] = (struct kz_cfg_region){ 0xb000000, 0x4fe00000, 0x41000,
						  KZ_REGION_TRACE, 0 };
	b.vm->region_count = 4;
	expect(&b, BLOB_REGION_TRACE, 3);
	bed_free(&b);
	bed_make(&b, 2, 2);
	b.cfg->machine.console_cpu = 3;
	expect(&b, BLOB_CONSOLE_CPU, 0);
	b.cfg->machine.console_cpu = 2;
	expect(&b, BLOB_OK, 0);
	bed_free(&b);
}

/* Beside each of the others; and beside nobody. */
static void test_beside(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, 2, 1);
	memcpy(b.vm->name, "servo", 6);
	expect(&b, BLOB_NAME_TWICE, 0);
	b.others[2] = NULL;
	expect(&b, BLOB_OK, 0);
	b.vm->cpu[0] = 3;
	b.vm->irq[0].intid = 50;
	b.vm->region[0].pa = 0x50400000;
	expect(&b, BLOB_OK, 0);
	bed_free(&b);
	/* Each thing that a hard VM has, the other way round. */
	bed_make(&b, 2, 0);
	b.vm->cpu[1] = 3;
	expect(&b, BLOB_CPU_TWICE, 1);
	b.vm->cpu[1] = 2; /* with one that shares */
	expect(&b, BLOB_OK, 0);
	b.vm->level = KZ_HRT;
	b.vm->server.weight = 0;
	b.cfg->machine.console_cpu = 3;
	b.vm->console_intid = 80;
	expect(&b, BLOB_CPU_TWICE, 1);
	b.vm->cpu[1] = 1;
	expect(&b, BLOB_OK, 0);
	b.vm->console_intid = 90;
	expect(&b, BLOB_IRQ_TWICE, 0);
	b.vm->console_intid = 80;
	b.vm->irq[1] = (struct kz_cfg_irq){ 49, 0 };
	b.vm->irq_count = 2;
	expect(&b, BLOB_IRQ_TWICE, 1);
	b.vm->irq[1].intid = 90;
	expect(&b, BLOB_IRQ_TWICE, 1);
	b.vm->irq[1].intid = 91;
	expect(&b, BLOB_OK, 0);
	bed_free(&b);
}

/* Regions in any order, and touching each other. */
static void test_order(void **state)
{
	struct bed b;
	struct kz_cfg_region *r;

	(void)state;
	bed_make(&b, 3, 0);
	r = b.vm->region;
	for (uint32_t i = 3; i < KZ_REGIONS_MAX; i++) {
		uint64_t k = (i * 5) % 16;

		r[i] = (struct kz_cfg_region){ 0x70000000 + k * 0x1000, 0x70000000 - k * 0x1000,
					       0x1000, KZ_REGION_RAM, 0 };
	}
	b.vm->region_count = KZ_REGIONS_MAX;
	b.vm->store_tables = 0x20;
	b.vm->load_count = 0;
	expect(&b, BLOB_OK, 0);
	for (uint32_t i = 3; i < KZ_REGIONS_MAX; i++) {
		uint64_t pa = r[i].pa;

		r[i].pa = 0x50200000 + 0x1ff000; /* the last page of another VM */
		expect(&b, BLOB_REGION_TWICE, i);
		r[i].pa = 0x501ff000; /* of its own */
		expect(&b, BLOB_REGION_TWICE, i);
		r[i].pa = pa;
		pa = r[i].ipa;
		r[i].ipa = r[(i == 3) ? 4 : i - 1].ipa;
		expect(&b, BLOB_IPA, (i == 3) ? 4 : i);
		r[i].ipa = pa;
	}
	expect(&b, BLOB_OK, 0);
	bed_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),  cmocka_unit_test(test_as_at_boot),
		cmocka_unit_test(test_store),  cmocka_unit_test(test_tables),
		cmocka_unit_test(test_loads),  cmocka_unit_test(test_rights),
		cmocka_unit_test(test_beside), cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests_name("blob_vm", tests, NULL, NULL);
}
