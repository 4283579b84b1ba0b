/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* Each reason to refuse a blob, one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob_spoils.h"

static uint8_t reached[BLOB_ERRS];

/* The blob ends where the allocation ends: a byte too far is seen by the sanitizer. */
static struct kz_cfg *blob_new(uint32_t gic_version)
{
	struct kz_cfg *cfg = malloc(BLOB_MAKE_SIZE);

	assert_non_null(cfg);
	blob_make(cfg, gic_version);
	return cfg;
}

static struct kz_cfg_vm *vm_of(struct kz_cfg *cfg, uint32_t index)
{
	return (struct kz_cfg_vm *)(void *)(cfg + 1) + index;
}

static void expect(const struct kz_cfg *cfg, enum blob_err err, uint32_t vm, uint32_t index)
{
	struct blob_where where;
	enum blob_err got = blob_check(cfg, BLOB_MAKE_SIZE, &where);

	if (got != err) {
		print_error("%s instead of %s (vm %u, %u)\n", blob_strerror(got),
			    blob_strerror(err), where.vm, where.index);
	}
	assert_int_equal(got, err);
	if (err != BLOB_OK) {
		assert_int_equal(where.vm, vm);
		assert_int_equal(where.index, index);
	}
	reached[got] = 1;
}

static void spoil_all(const struct spoil *s, size_t count)
{
	for (; count > 0; count--, s++) {
		struct kz_cfg *cfg = blob_new(2);

		memcpy((uint8_t *)cfg + s->at, &s->value, s->width);
		print_message("  at %zu: 0x%llx\n", s->at, (unsigned long long)s->value);
		expect(cfg, s->err, s->vm, s->index);
		free(cfg);
	}
}

static void test_right(void **state)
{
	(void)state;
	for (uint32_t version = 2; version <= 3; version++) {
		struct kz_cfg *cfg = blob_new(version);

		expect(cfg, BLOB_OK, 0, 0);
		free(cfg);
	}
}

static void test_header(void **state)
{
	(void)state;
	spoil_all(header_spoils, sizeof(header_spoils) / sizeof(header_spoils[0]));
}

static void test_machine(void **state)
{
	(void)state;
	spoil_all(machine_spoils, sizeof(machine_spoils) / sizeof(machine_spoils[0]));
}

static void test_vm(void **state)
{
	(void)state;
	spoil_all(vm_spoils, sizeof(vm_spoils) / sizeof(vm_spoils[0]));
}

/* Less than the blob is refused, and what is not there is not read. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t avail = 0; avail < BLOB_MAKE_SIZE; avail += (avail < 512) ? 1 : 61) {
		struct kz_cfg *full = blob_new(3);
		struct kz_cfg *part = malloc((avail == 0) ? 1 : avail);
		struct blob_where where;

		assert_non_null(part);
		memcpy(part, full, avail);
		assert_int_equal(blob_check(part, avail, &where), BLOB_TRUNCATED);
		assert_int_equal(where.vm, NO_VM);
		free(part);
		free(full);
	}
	reached[BLOB_TRUNCATED] = 1;
}

static void test_names(void **state)
{
	struct kz_cfg *cfg = blob_new(3);

	(void)state;
	memcpy(vm_of(cfg, 2)->name, vm_of(cfg, 0)->name, KZ_NAME_MAX);
	expect(cfg, BLOB_NAME_TWICE, 2, 0);
	memcpy(vm_of(cfg, 2)->name, "linux2", 7);
	expect(cfg, BLOB_OK, 0, 0);
	memset(vm_of(cfg, 2)->name, 'a', KZ_NAME_MAX);
	expect(cfg, BLOB_NAME, 2, 0);
	vm_of(cfg, 2)->name[KZ_NAME_MAX - 1] = '\0';
	expect(cfg, BLOB_OK, 0, 0);
	memcpy(vm_of(cfg, 2)->name, "az09_-", 7);
	memset(vm_of(cfg, 2)->name + 7, 0, KZ_NAME_MAX - 7);
	expect(cfg, BLOB_OK, 0, 0);
	memset(vm_of(cfg, 2)->name, 0, KZ_NAME_MAX);
	expect(cfg, BLOB_NAME, 2, 0);
	free(cfg);
}

/* A GICv3's own fields, and what only it allows. */
static void test_gicv3(void **state)
{
	struct kz_cfg *cfg = blob_new(3);

	(void)state;
	cfg->machine.gicr_size -= 0x1000;
	expect(cfg, BLOB_GIC_FRAME, NO_VM, 0);
	cfg->machine.gicr_size = MAX64 - 0xfff;
	expect(cfg, BLOB_GIC_FRAME, NO_VM, 0);
	blob_make(cfg, 3);
	cfg->machine.gicr_pa = cfg->machine.gicd_pa + 0xf000;
	expect(cfg, BLOB_GIC_FRAME, NO_VM, 0);
	blob_make(cfg, 3);
	vm_of(cfg, 2)->flags = KZ_VM_SGI_DIRECT;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 0)->flags = KZ_VM_SGI_DIRECT;
	expect(cfg, BLOB_VM_FLAGS, 0, 0);
	/* Two redistributors reach further than one. */
	blob_make(cfg, 3);
	vm_of(cfg, 0)->region[1].ipa = 0x80c0000;
	expect(cfg, BLOB_IPA, 0, 3);
	vm_of(cfg, 0)->region[1].ipa = 0x80e0000;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* The console goes with a core that no HRT VM owns; when all are owned, with any. */
static void test_console_cpu(void **state)
{
	struct kz_cfg *cfg = blob_new(2);

	(void)state;
	vm_of(cfg, 0)->level = KZ_HRT;
	vm_of(cfg, 0)->server.weight = 0;
	vm_of(cfg, 0)->console_intid = 91;
	expect(cfg, BLOB_CONSOLE_CPU, NO_VM, 0);
	cfg->machine.console_cpu = 2;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 1)->level = KZ_HRT;
	vm_of(cfg, 1)->server.weight = 0;
	expect(cfg, BLOB_OK, 0, 0);
	cfg->machine.console_cpu = 3;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* The image is no VM's. */
static void test_image(void **state)
{
	struct kz_cfg *cfg = blob_new(2);

	(void)state;
	cfg->image_pa = 0x4fff0000;
	expect(cfg, BLOB_REGION_OWN, 0, 0);
	cfg->image_pa = 0x4ffe0000;
	expect(cfg, BLOB_OK, 0, 0);
	cfg->image_pa = 0x50600000;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* The trace: a page and every core's ring, in one bank, beside the image and the VMs. */
static void test_trace(void **state)
{
	struct kz_cfg *cfg = blob_new(2);
	struct kz_cfg_machine *m = &cfg->machine;

	(void)state;
	m->trace_pa = 0x7ffbf000; /* four rings of 64 KiB, to the last byte of the bank */
	expect(cfg, BLOB_OK, 0, 0);
	m->trace_chunks = 3;
	expect(cfg, BLOB_TRACE, NO_VM, 0);
	m->trace_pa = 0x83fdff000; /* of the other one */
	m->trace_chunks = KZ_TRACE_CHUNKS_MAX;
	m->trace_mode = KZ_TRACE_STOP;
	m->trace_on_crash = 1;
	expect(cfg, BLOB_OK, 0, 0);
	m->trace_pa += 0x1000;
	expect(cfg, BLOB_TRACE, NO_VM, 0);
	m->trace_pa = 0x4fe00000; /* a page of it is the first VM's */
	expect(cfg, BLOB_REGION_OWN, 0, 0);
	free(cfg);
}

/* What is just allowed, and the first that is not. */
static void test_limits(void **state)
{
	struct kz_cfg *cfg = blob_new(2);
	struct kz_cfg_vm *vm = vm_of(cfg, 0);

	(void)state;
	vm->irq[0].intid = 32;
	expect(cfg, BLOB_OK, 0, 0);
	cfg->machine.gic_lines = 1024;
	vm->irq_lines = 1024;
	vm->irq[0].intid = 1019;
	expect(cfg, BLOB_OK, 0, 0);
	vm->irq[0].intid = 1020;
	expect(cfg, BLOB_IRQ, 0, 0);
	/* A hard VM's console has an interrupt of the machine. */
	blob_make(cfg, 2);
	cfg->machine.gic_lines = 96;
	vm_of(cfg, 2)->irq_lines = 128;
	vm_of(cfg, 2)->console_intid = 95;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 2)->console_intid = 96;
	expect(cfg, BLOB_CONSOLE, 2, 0);
	blob_make(cfg, 2);
	cfg->machine.pmu_intid = 16;
	expect(cfg, BLOB_OK, 0, 0);
	vm->load[0].offset = 0x1440;
	expect(cfg, BLOB_OK, 0, 0);
	vm->load[0].offset = 0x1400;
	expect(cfg, BLOB_LOAD, 0, 0);
	blob_make(cfg, 2);
	vm->load[0].size = 0x200000;
	vm->load[0].offset = 0x2000;
	cfg->image_size = 0x10000 + 0x2000 + 0x200000;
	expect(cfg, BLOB_OK, 0, 0);
	cfg->image_size -= 0x1000;
	expect(cfg, BLOB_LOAD, 0, 0);
	free(cfg);
}

/* The last good value, and the first bad one, of what a restart needs. */
static void test_restart(void **state)
{
	struct kz_cfg *cfg = blob_new(2);
	struct kz_cfg_vm *vm = vm_of(cfg, 1);

	(void)state;
	vm->restart = KZ_RESTARTS - 1;
	vm->backoff_ms = KZ_BACKOFF_MAX;
	expect(cfg, BLOB_RESTART, 1, 0);
	vm->backoff_max_ms = KZ_BACKOFF_MAX;
	expect(cfg, BLOB_OK, 0, 0);
	vm->watchdog_ns = KZ_WATCHDOG_MIN;
	expect(cfg, BLOB_OK, 0, 0);
	vm->watchdog_ns = KZ_WATCHDOG_MAX;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* The watchdog's two pages are nobody else's, and its interrupt; a hard VM's is the machine's. */
static void test_watchdog(void **state)
{
	struct kz_cfg *cfg = blob_new(2);
	struct kz_cfg_vm *vm = vm_of(cfg, 0);

	(void)state;
	vm->wdt_ipa = 0x9001000;
	vm->wdt_intid = 95;
	expect(cfg, BLOB_OK, 0, 0);
	vm->wdt_intid = 96;
	expect(cfg, BLOB_WATCHDOG, 0, 0);
	vm->wdt_intid = 31;
	expect(cfg, BLOB_WATCHDOG, 0, 0);
	vm->wdt_intid = vm->console_intid;
	expect(cfg, BLOB_WATCHDOG, 0, 0);
	vm->wdt_intid = vm->irq[0].intid;
	expect(cfg, BLOB_IRQ_TWICE, 0, 0);
	vm->wdt_intid = 49; /* what another one has is nothing to a guest's own distributor */
	expect(cfg, BLOB_OK, 0, 0);
	vm->wdt_ipa = 0x8fff000; /* the console is behind its first page */
	expect(cfg, BLOB_IPA, 0, 5);
	vm->wdt_ipa = 0x9000800;
	expect(cfg, BLOB_IPA, 0, 5);
	vm->wdt_ipa = 0x9fff000;
	expect(cfg, BLOB_IPA, 0, 5);
	vm = vm_of(cfg, 2);
	blob_make(cfg, 2);
	vm->wdt_ipa = 0x9001000;
	vm->wdt_intid = 91;
	expect(cfg, BLOB_OK, 0, 0);
	vm->wdt_intid = 33;
	expect(cfg, BLOB_IRQ_TWICE, 2, 0);
	vm->wdt_intid = 49;
	expect(cfg, BLOB_IRQ_TWICE, 2, 0);
	vm->wdt_intid = vm->console_intid;
	expect(cfg, BLOB_WATCHDOG, 2, 0);
	vm->irq_lines = 224;
	vm->wdt_intid = 191;
	expect(cfg, BLOB_OK, 0, 0);
	vm->wdt_intid = 192;
	expect(cfg, BLOB_WATCHDOG, 2, 0);
	/* It may come first in the blob. */
	vm->wdt_intid = 91;
	vm_of(cfg, 0)->level = KZ_HRT;
	vm_of(cfg, 0)->server.weight = 0;
	vm_of(cfg, 0)->console_intid = 92;
	vm_of(cfg, 0)->wdt_ipa = 0x9001000;
	vm_of(cfg, 0)->wdt_intid = 91;
	expect(cfg, BLOB_IRQ_TWICE, 2, 0);
	vm_of(cfg, 0)->wdt_intid = 93;
	cfg->machine.console_cpu = 2;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* Rights over each VM of the blob, or over all; the trace for who sees all. */
static void test_rights(void **state)
{
	struct kz_cfg *cfg = blob_new(2);
	struct kz_cfg_vm *vm = vm_of(cfg, 0);
	struct kz_cfg_region *r = &vm->region[2];
	uint64_t size = 0x1000 + 4 * 2 * 0x8000;

	(void)state;
	memset(vm->rights, 7, KZ_RIGHT_CREATE + 1);
	expect(cfg, BLOB_OK, 0, 0);
	memset(vm->rights, 0xff, KZ_RIGHT_CREATE + 1);
	expect(cfg, BLOB_OK, 0, 0);
	*r = (struct kz_cfg_region){ 0xb000000, 0x4fe00000, size, KZ_REGION_TRACE, 0 };
	vm->region_count = 3;
	vm_of(cfg, 1)->region[2] = *r;
	vm_of(cfg, 1)->region_count = 3;
	vm_of(cfg, 1)->rights[KZ_RIGHT_LIST] = 0xff;
	expect(cfg, BLOB_OK, 0, 0); /* two have it */
	vm_of(cfg, 1)->rights[KZ_RIGHT_LIST] = 7;
	expect(cfg, BLOB_REGION_TRACE, 1, 2);
	vm_of(cfg, 1)->region_count = 2;
	r->size += 0x1000;
	expect(cfg, BLOB_REGION_TRACE, 0, 2);
	r->size = size;
	r->pa += 0x1000;
	expect(cfg, BLOB_REGION_TRACE, 0, 2);
	r->pa -= 0x1000;
	r->ipa = 0x40000000;
	expect(cfg, BLOB_IPA, 0, 2);
	r->ipa = 0xb000000;
	vm->entry = 0xb000000; /* it is not RAM */
	expect(cfg, BLOB_ENTRY, 0, 0);
	vm->entry = 0x40000000;
	vm->region[3] = *r;
	vm->region[3].ipa = 0xc000000;
	vm->region_count = 4;
	expect(cfg, BLOB_REGION_TRACE, 0, 3);
	free(cfg);
}

/* Who may share a core with whom. */
static void test_shared(void **state)
{
	struct kz_cfg *cfg = blob_new(2);

	(void)state;
	vm_of(cfg, 1)->cpu[0] = 1;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 1)->level = KZ_SRT;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 1)->vcpu_count = 2;
	vm_of(cfg, 1)->cpu[1] = 1;
	expect(cfg, BLOB_CPU_TWICE, 1, 1);
	vm_of(cfg, 1)->cpu[1] = 0;
	expect(cfg, BLOB_OK, 0, 0);
	vm_of(cfg, 1)->cpu[1] = 3;
	vm_of(cfg, 2)->cpu[0] = 2;
	expect(cfg, BLOB_OK, 0, 0);
	/* A hard real-time VM owns its core, whichever comes first. */
	vm_of(cfg, 2)->cpu[0] = 3;
	expect(cfg, BLOB_CPU_TWICE, 2, 0);
	blob_make(cfg, 2);
	vm_of(cfg, 0)->level = KZ_HRT;
	vm_of(cfg, 0)->server.weight = 0;
	vm_of(cfg, 0)->console_intid = 91;
	vm_of(cfg, 1)->cpu[0] = 1;
	expect(cfg, BLOB_CPU_TWICE, 1, 0);
	free(cfg);
}

/* What a server may be: budget <= deadline <= period, each in its range. */
static void test_server(void **state)
{
	static const struct {
		uint64_t budget, deadline, period;
		enum blob_err err;
	} server[] = {
		{ 2000000, 5000000, 10000000, BLOB_OK },
		{ 10000, 10000, 10000, BLOB_OK },
		{ KZ_BUDGET_MIN, KZ_BUDGET_MIN, KZ_PERIOD_MIN, BLOB_OK },
		{ KZ_PERIOD_MAX, KZ_PERIOD_MAX, KZ_PERIOD_MAX, BLOB_OK },
		{ KZ_BUDGET_MIN - 1, 10000, 10000, BLOB_SERVER },
		{ 0, 10000, 10000, BLOB_SERVER },
		{ 5000001, 5000000, 10000000, BLOB_SERVER },
		{ 2000000, 10000001, 10000000, BLOB_SERVER },
		{ 2000000, 0, 10000000, BLOB_SERVER },
		{ 2000, 3000, KZ_PERIOD_MIN - 1, BLOB_SERVER },
		{ 2000, 3000, KZ_PERIOD_MAX + 1, BLOB_SERVER },
		{ 2000, 3000, MAX64, BLOB_SERVER },
	};
	struct kz_cfg *cfg = blob_new(2);

	(void)state;
	for (unsigned i = 0; i < sizeof(server) / sizeof(server[0]); i++) {
		struct kz_cfg_server *s = &vm_of(cfg, 1)->server;

		s->budget_ns = server[i].budget;
		s->deadline_ns = server[i].deadline;
		s->period_ns = server[i].period;
		s->on_miss = KZ_EVENT_RESTART;
		s->on_overrun = KZ_EVENT_STOP;
		s->weight = KZ_WEIGHT_MAX;
		expect(cfg, server[i].err, 1, 0);
	}
	blob_make(cfg, 2);
	vm_of(cfg, 2)->server.budget_ns = 2000000;
	vm_of(cfg, 2)->server.deadline_ns = 10000000;
	vm_of(cfg, 2)->server.period_ns = 10000000;
	expect(cfg, BLOB_SERVER, 2, 0);
	vm_of(cfg, 2)->level = KZ_NRT;
	vm_of(cfg, 2)->server.weight = 1;
	expect(cfg, BLOB_OK, 0, 0);
	/* The machine's side of it, and the page for stolen time. */
	cfg->machine.proven = 0xf;
	cfg->machine.reserve_ppm[3] = 1000000;
	vm_of(cfg, 2)->stolen_ipa = 0x401f0000;
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* Optional things may be missing. */
static void test_less(void **state)
{
	struct kz_cfg *cfg = blob_new(2);

	(void)state;
	cfg->machine.uart = KZ_UART_NONE;
	cfg->machine.uart_intid = 0;
	cfg->machine.uart_pa = 0;
	cfg->machine.pmu_intid = 0;
	cfg->machine.maint_intid = 0;
	for (uint32_t i = 0; i < BLOB_MAKE_VMS; i++) {
		struct kz_cfg_vm *vm = vm_of(cfg, i);

		vm->console = KZ_CONSOLE_NONE;
		vm->console_ipa = 0;
		vm->console_intid = 0;
		vm->irq_count = 0;
		vm->load_count = 0;
		vm->region_count = 1;
	}
	expect(cfg, BLOB_OK, 0, 0);
	free(cfg);
}

/* Every error has words of its own, and this file has met every one. */
static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BLOB_ERRS; i++) {
		assert_true(blob_strerror((enum blob_err)i)[0] != '\0');
		for (unsigned k = 0; k < i; k++) {
			assert_string_not_equal(blob_strerror((enum blob_err)i),
						blob_strerror((enum blob_err)k));
		}
		if (reached[i] == 0) {
			print_error("not met: %s\n", blob_strerror((enum blob_err)i));
		}
		assert_int_equal(reached[i], 1);
	}
	assert_string_equal(blob_strerror(BLOB_OK), "ok");
	assert_string_equal(blob_strerror((enum blob_err)(BLOB_ERRS - 1)), "store");
	assert_string_equal(blob_strerror(BLOB_ERRS), "unknown error");
	assert_string_equal(blob_strerror((enum blob_err)1000), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),     cmocka_unit_test(test_header),
		cmocka_unit_test(test_machine),   cmocka_unit_test(test_vm),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_names),
		cmocka_unit_test(test_gicv3),     cmocka_unit_test(test_console_cpu),
		cmocka_unit_test(test_less),      cmocka_unit_test(test_image),
		cmocka_unit_test(test_limits),    cmocka_unit_test(test_shared),
		cmocka_unit_test(test_server),    cmocka_unit_test(test_trace),
		cmocka_unit_test(test_restart),   cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_rights),    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
