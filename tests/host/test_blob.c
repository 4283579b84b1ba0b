/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_text.c */
/* Each reason to refuse a blob, one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob_make.h"

#define NO_VM BLOB_NO_VM
#define MAX64 0xffffffffffffffffull

/* One field set to one value, and what must be said of it. */
struct spoil {
	size_t at;
	size_t width;
	uint64_t value;
	enum blob_err err;
	uint32_t vm, index;
};

#define CFG(field, value, err, index)                                                            \
	{                                                                                        \
		offsetof(struct kz_cfg, field), sizeof(((struct kz_cfg *)0)->field), value, err, \
			NO_VM, index                                                             \
	}
#define VM(vm, field, value, err, index)                                              \
	{                                                                             \
		sizeof(struct kz_cfg) + (vm) * sizeof(struct kz_cfg_vm) +             \
			offsetof(struct kz_cfg_vm, field),                            \
			sizeof(((struct kz_cfg_vm *)0)->field), value, err, vm, index \
	}

static const struct spoil header_spoils[] = {
	CFG(magic, 0x424d5a4a, BLOB_MAGIC, 0),
	CFG(version, 1, BLOB_VERSION, 0),
	CFG(version, KZ_BLOB_VERSION + 1, BLOB_VERSION, 0),
	CFG(version, 0, BLOB_VERSION, 0),
	CFG(vm_count, 0, BLOB_VM_COUNT, 0),
	CFG(vm_count, KZ_VMS_MAX + 1, BLOB_VM_COUNT, 0),
	CFG(vm_count, 0xffffffff, BLOB_VM_COUNT, 0),
	CFG(vm_count, 2, BLOB_SIZE, 0),
	CFG(size, BLOB_MAKE_SIZE - 1, BLOB_SIZE, 0),
	CFG(reserved, 1, BLOB_RESERVED, 0),
	CFG(image_pa, 0x40200800, BLOB_IMAGE, 0),
	CFG(image_pa, KZ_PA_LIMIT, BLOB_IMAGE, 0),
	CFG(image_pa, MAX64 - 0xfff, BLOB_IMAGE, 0),
	CFG(image_size, 0, BLOB_IMAGE, 0),
	CFG(image_size, MAX64 - 0xfff, BLOB_IMAGE, 0),
	CFG(image_size, 0x11000, BLOB_IMAGE, 0),
	CFG(blob_offset, 0x10800, BLOB_IMAGE, 0),
	CFG(blob_offset, 0x1f000, BLOB_IMAGE, 0),
	CFG(blob_offset, MAX64 - 0xfff, BLOB_IMAGE, 0),
	CFG(image_pa, 0x3ffff000, BLOB_IMAGE_RAM, 1),
	CFG(image_pa, 0x7fff0000, BLOB_IMAGE_RAM, 1),
};

static const struct spoil machine_spoils[] = {
	CFG(machine.board[0], 0, BLOB_NAME, 0),
	CFG(machine.board[0], 'B', BLOB_NAME, 0),
	CFG(machine.board[6], 'x', BLOB_NAME, 0),
	CFG(machine.cpu_count, 0, BLOB_CPU_COUNT, 0),
	CFG(machine.cpu_count, KZ_CPUS_MAX + 1, BLOB_CPU_COUNT, 0),
	CFG(machine.cpu_count, 0x10004, BLOB_CPU_COUNT, 0),
	CFG(machine.console_cpu, 4, BLOB_CONSOLE_CPU, 3),
	CFG(machine.console_cpu, 3, BLOB_CONSOLE_CPU, 3),
	CFG(machine.ram_count, 0, BLOB_RAM, 0),
	CFG(machine.ram_count, KZ_RAMS_MAX + 1, BLOB_RAM, 0),
	CFG(machine.ram_count, 3, BLOB_RAM, 2),
	CFG(machine.conduit, KZ_CONDUITS, BLOB_CONDUIT, 0),
	CFG(machine.conduit, KZ_CONDUIT_HVC, BLOB_CONDUIT, 0),
	CFG(machine.mpidr[2], 1, BLOB_MPIDR, 2),
	CFG(machine.mpidr[2], 0x80000002, BLOB_MPIDR, 2),
	CFG(machine.ram[1].pa, 0x7ffff000, BLOB_RAM, 1),
	CFG(machine.ram[1].pa, 0x800000800, BLOB_RAM, 1),
	CFG(machine.ram[1].size, 0, BLOB_RAM, 1),
	CFG(machine.ram[1].size, KZ_PA_LIMIT, BLOB_RAM, 1),
	CFG(machine.ram[1].size, MAX64 - 0xfff, BLOB_RAM, 1),
	CFG(machine.gic_version, 1, BLOB_GIC, 0),
	CFG(machine.gic_version, 4, BLOB_GIC, 0),
	CFG(machine.gic_lines, 32, BLOB_GIC, 0),
	CFG(machine.gic_lines, 100, BLOB_GIC, 0),
	CFG(machine.gic_lines, 1056, BLOB_GIC, 0),
	CFG(machine.gicd_pa, 0, BLOB_GIC_FRAME, 0),
	CFG(machine.gicd_pa, 0x8000001, BLOB_GIC_FRAME, 0),
	CFG(machine.gicd_pa, 0x40000000, BLOB_GIC_FRAME, 0),
	CFG(machine.gicd_pa, MAX64 - 0xfff, BLOB_GIC_FRAME, 0),
	CFG(machine.vtimer_intid, 0, BLOB_PPI, 0),
	CFG(machine.vtimer_intid, 30, BLOB_PPI, 1),
	CFG(machine.ptimer_intid, 15, BLOB_PPI, 1),
	CFG(machine.maint_intid, 32, BLOB_PPI, 3),
	CFG(machine.pmu_intid, 0xffffffff, BLOB_PPI, 4),
	CFG(machine.uart, KZ_UARTS, BLOB_UART, 0),
	CFG(machine.uart, KZ_UART_NONE, BLOB_UART, 0),
	CFG(machine.uart_intid, 31, BLOB_UART, 0),
	CFG(machine.uart_intid, 192, BLOB_UART, 0),
	CFG(machine.uart_pa, 0x9000004, BLOB_UART, 0),
	CFG(machine.uart_pa, 0x8000000, BLOB_UART, 0),
	CFG(machine.uart_pa, 0, BLOB_UART, 0),
	CFG(machine.proven, 0x10, BLOB_SERVER, 3),
	CFG(machine.proven, 0x80000001, BLOB_SERVER, 3),
	CFG(machine.reserve_ppm[0], 1000001, BLOB_SERVER, 0),
	CFG(machine.reserve_ppm[3], 0xffffffff, BLOB_SERVER, 3),
	CFG(machine.trace_chunks, 1, BLOB_TRACE, 0),
	CFG(machine.trace_chunks, 65, BLOB_TRACE, 0),
	CFG(machine.trace_chunks, 0x10002, BLOB_TRACE, 0),
	CFG(machine.trace_mode, KZ_TRACE_MODES, BLOB_TRACE, 0),
	CFG(machine.trace_on_crash, 2, BLOB_TRACE, 0),
	CFG(machine.trace_pa, 0x4fe00800, BLOB_TRACE, 0),
	CFG(machine.trace_pa, 0x3ffff000, BLOB_TRACE, 0),
	CFG(machine.trace_pa, KZ_PA_LIMIT, BLOB_TRACE, 0),
	CFG(machine.trace_pa, MAX64 - 0xfff, BLOB_TRACE, 0),
	CFG(machine.trace_pa, 0x401c0000, BLOB_TRACE, 0),
	CFG(machine.trace_pa, 0x4021f000, BLOB_TRACE, 0),
};

static const struct spoil vm_spoils[] = {
	VM(1, name[0], 0, BLOB_NAME, 0),
	VM(1, name[2], ' ', BLOB_NAME, 0),
	VM(1, name[15], 'x', BLOB_NAME, 0),
	VM(0, level, KZ_LEVELS, BLOB_VM_TYPE, 0),
	VM(0, on_fault, KZ_FAULTS, BLOB_VM_TYPE, 0),
	VM(0, console, KZ_CONSOLES, BLOB_VM_TYPE, 0),
	VM(0, vcpu_count, 0, BLOB_VM_COUNTS, 0),
	VM(0, vcpu_count, KZ_VCPUS_MAX + 1, BLOB_VM_COUNTS, 0),
	VM(0, region_count, 0, BLOB_VM_COUNTS, 0),
	VM(0, region_count, KZ_REGIONS_MAX + 1, BLOB_VM_COUNTS, 0),
	VM(0, load_count, KZ_LOADS_MAX + 1, BLOB_VM_COUNTS, 0),
	VM(0, irq_count, KZ_IRQS_MAX + 1, BLOB_VM_COUNTS, 0),
	VM(0, reserved, 1, BLOB_RESERVED, 0),
	VM(0, reserved2, 1, BLOB_RESERVED, 0),
	VM(0, flags, KZ_VM_FLAGS + 1, BLOB_VM_FLAGS, 0),
	VM(0, flags, KZ_VM_SGI_DIRECT, BLOB_VM_FLAGS, 0),
	VM(0, cpu[1], 4, BLOB_VCPU, 1),
	VM(0, cpu[1], 32, BLOB_VCPU, 1),
	VM(0, cpu[1], 0, BLOB_CPU_TWICE, 1),
	VM(2, cpu[0], 1, BLOB_CPU_TWICE, 0),
	VM(0, server.weight, 0, BLOB_SERVER, 0),
	VM(0, server.weight, KZ_WEIGHT_MAX + 1, BLOB_SERVER, 0),
	VM(2, server.weight, 1, BLOB_SERVER, 0),
	VM(0, server.on_miss, KZ_EVENTS, BLOB_SERVER, 0),
	VM(0, server.on_overrun, KZ_EVENTS, BLOB_SERVER, 0),
	VM(2, server.on_overrun, 0xff, BLOB_SERVER, 0),
	VM(0, server.reserved, 1, BLOB_SERVER, 0),
	VM(0, server.reserved, 0x8000, BLOB_SERVER, 0),
	VM(0, server.budget_ns, 1000, BLOB_SERVER, 0),
	VM(0, server.period_ns, KZ_PERIOD_MAX, BLOB_SERVER, 0),
	VM(0, server.deadline_ns, 1000000, BLOB_SERVER, 0),
	VM(0, irq_lines, 32, BLOB_IRQ_LINES, 0),
	VM(0, irq_lines, 100, BLOB_IRQ_LINES, 0),
	VM(0, irq_lines, 1056, BLOB_IRQ_LINES, 0),
	VM(0, irq[0].intid, 31, BLOB_IRQ, 0),
	VM(0, irq[0].intid, 96, BLOB_IRQ, 0),
	VM(0, irq[0].flags, 2, BLOB_IRQ, 0),
	VM(0, irq[0].intid, 33, BLOB_IRQ_TWICE, 0),
	VM(1, irq[0].intid, 33, BLOB_IRQ_TWICE, 0),
	VM(2, irq[0].intid, 48, BLOB_IRQ_TWICE, 0),
	VM(0, irq_count, 2, BLOB_IRQ, 1),
	VM(0, region[0].type, KZ_REGION_TYPES, BLOB_REGION, 0),
	VM(0, region[0].reserved, 1, BLOB_REGION, 0),
	VM(0, region[0].pa, 0x50000800, BLOB_REGION, 0),
	VM(0, region[0].pa, KZ_PA_LIMIT, BLOB_REGION, 0),
	VM(0, region[1].size, 0, BLOB_REGION, 1),
	VM(0, region[1].size, MAX64 - 0xfff, BLOB_REGION, 1),
	VM(0, region[0].pa, 0x3ff00000, BLOB_REGION_RAM, 0),
	VM(0, region[0].pa, 0x7ff00000, BLOB_REGION_RAM, 0),
	VM(0, region[1].pa, 0x60000000, BLOB_REGION_DEVICE, 1),
	VM(0, region[0].pa, 0x40210000, BLOB_REGION_OWN, 0),
	VM(0, region[0].pa, 0x40001000, BLOB_REGION_OWN, 0),
	VM(0, region[0].pa, 0x4fe40000, BLOB_REGION_OWN, 0),
	VM(0, region[0].pa, 0x4fc01000, BLOB_REGION_OWN, 0),
	VM(0, region[1].pa, 0x9000000, BLOB_REGION_OWN, 1),
	VM(0, region[1].pa, 0x8000000, BLOB_REGION_OWN, 1),
	VM(1, region[0].pa, 0x501ff000, BLOB_REGION_TWICE, 0),
	VM(2, region[1].pa, 0xa000000, BLOB_REGION_TWICE, 1),
	VM(0, region[0].ipa, 1ull << KZ_IPA_BITS, BLOB_IPA, 0),
	VM(0, region[0].ipa, MAX64 - 0xfff, BLOB_IPA, 0),
	VM(0, region[1].ipa, 0x40001000, BLOB_IPA, 1),
	VM(0, region[1].ipa, 0x801, BLOB_IPA, 1),
	VM(0, gicd_ipa, 0x40000000, BLOB_IPA, 2),
	VM(0, gicd_ipa, 0x8000800, BLOB_IPA, 2),
	VM(0, gicc_ipa, 0x8000000, BLOB_IPA, 3),
	VM(0, console_ipa, 0x8000000, BLOB_IPA, 4),
	VM(0, console_ipa, 0xa000000, BLOB_IPA, 4),
	VM(0, console_intid, 96, BLOB_CONSOLE, 0),
	VM(0, console_intid, 31, BLOB_CONSOLE, 0),
	VM(0, console, KZ_CONSOLE_NONE, BLOB_CONSOLE, 0),
	VM(0, console, KZ_CONSOLE_RING, BLOB_CONSOLE, 0),
	VM(1, console_intid, 33, BLOB_CONSOLE, 0),
	VM(1, console_ipa, 0x401fe800, BLOB_CONSOLE, 0),
	VM(1, console_ipa, 0x40200000, BLOB_CONSOLE, 0),
	VM(0, stolen_ipa, 0x401f0800, BLOB_CONSOLE, 0),
	VM(0, stolen_ipa, 0x40200000, BLOB_CONSOLE, 0),
	VM(0, stolen_ipa, 0xa000000, BLOB_CONSOLE, 0),
	VM(0, stolen_ipa, MAX64 - 0xfff, BLOB_CONSOLE, 0),
	VM(1, stolen_ipa, 0x401fe000, BLOB_CONSOLE, 0),
	VM(2, stolen_ipa, 0x401f0000, BLOB_CONSOLE, 0),
	VM(2, console_intid, 33, BLOB_IRQ_TWICE, 0),
	VM(2, console_intid, 48, BLOB_IRQ_TWICE, 0),
	VM(0, load[0].size, 0, BLOB_LOAD, 0),
	VM(0, load[0].offset, 0x2020, BLOB_LOAD, 0),
	VM(0, load[0].offset, 0x1000, BLOB_LOAD, 0),
	VM(0, load[0].offset, 0xb040, BLOB_LOAD, 0),
	VM(0, load[0].offset, MAX64 - 0x3f, BLOB_LOAD, 0),
	VM(0, load[0].size, MAX64, BLOB_LOAD, 0),
	VM(0, load[1].ipa, 0x401ff001, BLOB_LOAD, 1),
	VM(0, load[1].ipa, 0x3fffffff, BLOB_LOAD, 1),
	VM(0, load[1].ipa, MAX64, BLOB_LOAD, 1),
	VM(0, entry, 0x40000002, BLOB_ENTRY, 0),
	VM(0, entry, 0x40200000, BLOB_ENTRY, 0),
	VM(0, entry, 0xa000000, BLOB_ENTRY, 0),
	VM(0, arg, 0, BLOB_ENTRY, 0),
	VM(0, arg, 0x401ffffc, BLOB_ENTRY, 0),
};

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
	vm->load[0].offset = 0x13c0;
	expect(cfg, BLOB_OK, 0, 0);
	vm->load[0].offset = 0x1380;
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
	assert_string_equal(blob_strerror((enum blob_err)(BLOB_ERRS - 1)), "trace memory or mode");
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
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
