/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c tests/host/vm_bed.c */
/*
 * The life of VMs: start, memory, stop, restart and power of several vCPUs,
 * faults and what on_fault does with them, and all of it in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <kizami/console.h>
#include "vm_bed.h"

/* ---- One thing at a time ---- */

static void test_start(void **state)
{
	(void)state;
	start_all();
	for (uint32_t i = 0; i < CORES; i++) {
		assert_int_equal(in_guest[i], i % 2 == 0);
	}
	for (uint32_t i = 0; i < VMS; i++) {
		assert_int_equal(machine.vm[i].state, KZ_VM_RUNNING);
		assert_int_equal(machine.vm[i].vcpu[0].arch.pc, 0x80000000 + 0x100 * i);
		assert_int_equal(machine.vm[i].vcpu[0].arch.x0, 0x90000000 + i);
		assert_int_equal(machine.vm[i].arch.resets, 1);
	}
	vm_start(&machine.vm[0]);
	assert_int_equal(machine.vm[0].alive, 1);
}

/* Memory: what was there is gone, the images are in place, also after a restart. */
static void test_memory(void **state)
{
	struct kz_cfg_vm *cfg = &blob.vm[0];
	uint32_t offset = (uint32_t)(blob.image - (uint8_t *)&blob);

	(void)state;
	cfg->region_count = 3;
	cfg->region[1] = (struct kz_cfg_region){ 0x40000000, HOST_RAM_PA + 0x40000, 0x2000,
						 KZ_REGION_RAM, 0 };
	cfg->region[2] =
		(struct kz_cfg_region){ 0x9000000, 0x9000000, 0x1000, KZ_REGION_DEVICE, 0 };
	cfg->load_count = 3;
	cfg->load[0] = (struct kz_cfg_load){.ipa = 0x80003000, .offset = offset, .size = 200};
	cfg->load[1] = (struct kz_cfg_load){.ipa = 0x40000000, .offset = offset, .size = 64};
	cfg->load[2] = (struct kz_cfg_load){.ipa = 0x80001000, .offset = offset, .size = 4096};
	start_all();
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 0x8000; i++) {
			bool image = (i >= 0x1000 && i < 0x2000) ||
				     (i >= 0x3000 && i < 0x3000 + 200);

			assert_int_equal(host.ram[i], image ? 'I' : 0);
		}
		for (uint32_t i = 0; i < 0x2000; i++) {
			assert_int_equal(host.ram[0x40000 + i], i < 64 ? 'I' : 0);
		}
		assert_int_equal(host.ram[0x8000], 0xa5);
		assert_int_equal(host.ram[0x42000], 0xa5);
		memset(host.ram, 0x5a, 0x8000);
		memset(host.ram + 0x40000, 0x5a, 0x2000);
		host_become(4);
		vm_again(&machine.vm[0]);
		settle();
	}
}

static void test_cpu_on_off(void **state)
{
	struct vcpu *v = &machine.vm[0].vcpu[1];

	(void)state;
	start_all();
	host_become(0);
	assert_int_equal(vcpu_on(v, 0x1234, 5), KZ_OK);
	assert_int_equal(vcpu_on(v, 0x1234, 5), KZ_EBUSY);
	assert_int_equal(vcpu_on(&machine.vm[0].vcpu[0], 0, 0), KZ_EBUSY);
	settle();
	assert_true(in_guest[1]);
	assert_int_equal(v->arch.pc, 0x1234);
	assert_int_equal(v->arch.x0, 5);
	assert_int_equal(machine.vm[0].alive, 2);
	assert_int_equal(machine.vm[0].arch.resets, 1);
	host_become(1);
	vcpu_hazard(v, HAZARD_OFF);
	assert_int_equal(core_exit(1), HOST_ASLEEP);
	assert_int_equal(v->state, VCPU_OFF);
	host_become(0);
	assert_int_equal(vcpu_on(v, 0x5678, 6), KZ_OK);
	settle();
	assert_int_equal(v->arch.pc, 0x5678);
	/* The last one that switches itself off stops the VM. */
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(machine.vm[0].state, KZ_VM_RUNNING);
		host_become(i);
		vcpu_hazard(vcpu_of(i), HAZARD_OFF);
		assert_int_equal(core_exit(i), HOST_ASLEEP);
	}
	assert_int_equal(machine.vm[0].state, KZ_VM_STOPPED);
	assert_int_equal(vcpu_on(v, 0, 0), KZ_EBUSY);
	assert_true(said("[kizami] linux: stopped\r\n"));
}

/* An interrupt for a vCPU elsewhere kicks its core once, and is delivered there. */
static void test_hazard(void **state)
{
	struct vcpu *v = &machine.vm[2].vcpu[0];
	uint32_t syncs, kicks;

	(void)state;
	start_all();
	syncs = v->arch.syncs;
	kicks = host.cpu[4].arch.kicks;
	host_become(0);
	vcpu_hazard(v, HAZARD_IRQ);
	vcpu_hazard(v, HAZARD_IRQ);
	assert_int_equal(host.cpu[4].arch.kicks, kicks + 1);
	settle();
	assert_int_equal(v->arch.syncs, syncs + 1);
	assert_int_equal(v->hazard, 0);
	host_become(4);
	vcpu_hazard(v, HAZARD_IRQ);
	assert_int_equal(host.cpu[4].arch.kicks, kicks + 1);
}

/* Each VM with all its vCPUs running, stopped or restarted by one of its own or another core. */
static void test_halt(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VMS * 2 * 3; i++) {
		struct vm *vm = &machine.vm[i % VMS];
		bool restart = i / VMS % 2 != 0;
		static const uint32_t by[3][VMS] = {{0, 2, 4}, {1, 3, 0}, {5, 5, 5}};
		uint32_t core = by[i / VMS / 2][i % VMS];
		uint32_t restarts = vm->restarts;

		if (vm->state == KZ_VM_STOPPED) {
			start_all();
		}
		if (vm->cfg->vcpu_count == 2 && vm->vcpu[1].state == VCPU_OFF) {
			host_become(vm->cfg->cpu[0]);
			assert_int_equal(vcpu_on(&vm->vcpu[1], 1, 2), KZ_OK);
			settle();
		}
		host_become(core);
		restart ? vm_again(vm) : vm_stop(vm);
		if (in_guest[core]) {
			(void)core_exit(core);
		}
		settle();
		assert_int_equal(vm->state, restart ? KZ_VM_RUNNING : KZ_VM_STOPPED);
		assert_int_equal(vm->restarts, restarts + restart);
		assert_int_equal(vm->alive, restart);
		assert_false(vm->arch.revoked);
		assert_int_equal(in_guest[vm->cfg->cpu[0]], restart);
		assert_int_equal(vm->vcpu[1].state, VCPU_OFF);
		assert_int_equal(vm->vcpu[0].hazard | vm->vcpu[1].hazard, 0);
		if (restart) {
			assert_int_equal(vm->vcpu[0].arch.pc, vm->cfg->entry);
		}
	}
	assert_true(machine.vm[1].arch.revokes > 0);
	assert_int_equal(machine.vm[0].arch.revokes + machine.vm[2].arch.revokes, 0);
}

/* A restart is over when the VM runs again: CPU_OFF of the last vCPU then stops it. */
static void test_off_after_restart(void **state)
{
	(void)state;
	start_all();
	host_become(0);
	vm_again(&machine.vm[0]);
	assert_int_equal(core_exit(0), HOST_ENTERED);
	host_become(0);
	vcpu_hazard(vcpu_of(0), HAZARD_OFF);
	assert_int_equal(core_exit(0), HOST_ASLEEP);
	assert_int_equal(machine.vm[0].state, KZ_VM_STOPPED);
	assert_int_equal(machine.vm[0].restarts, 1);
}

/* An HRT VM of one vCPU that stops itself is at hand: its tables are left alone. */
static void test_halt_itself(void **state)
{
	(void)state;
	start_all();
	host_become(2);
	vm_again(&machine.vm[1]);
	assert_int_equal(core_exit(2), HOST_ENTERED);
	assert_int_equal(machine.vm[1].arch.revokes, 0);
}

/* The devices are as new after a restart: the PL011's mask and input, the ring's indices. */
static void test_devices(void **state)
{
	struct kz_console_ring *ring = (void *)(host.ram + 0x20000);
	struct access a = {.addr = 0x38, .value = 0x7ff, .size = 4, .write = true};

	(void)state;
	blob.vm[0].console = KZ_CONSOLE_PL011;
	blob.vm[0].console_intid = 40;
	blob.vm[2].console = KZ_CONSOLE_RING;
	blob.vm[2].console_ipa = 0x80000000;
	console_init();
	start_all();
	assert_int_equal(pl011_access(vcpu_of(0), &a), DONE);
	assert_true(pl011_input(&machine.vm[0], 'x'));
	assert_int_equal(machine.vm[0].arch.line[0] >> 40 & 1, 1);
	ring->out[0] = '\n';
	ring->out_head = 1;
	(void)console_poll(0);
	assert_true(said("[raw] \r\n"));
	host_become(5);
	vm_again(&machine.vm[0]);
	vm_again(&machine.vm[2]);
	settle();
	assert_int_equal(machine.vm[0].arch.line[0], 0);
	a = (struct access){.addr = 0x18, .size = 4};
	assert_int_equal(pl011_access(vcpu_of(0), &a), DONE);
	assert_int_equal(a.value & 0x10, 0x10);
	memcpy(ring->out, "new\n", 4);
	ring->out_head = 4;
	(void)console_poll(0);
	assert_true(said("[raw] new\r\n"));
}

/* A vCPU that is on its way when the VM stops does not reach its guest. */
static void test_halt_while_ready(void **state)
{
	(void)state;
	start_all();
	for (uint32_t i = 0; i < 2; i++) {
		struct vm *vm = &machine.vm[i];

		host_become(vm->cfg->cpu[0]);
		assert_int_equal(vcpu_on(&vm->vcpu[1], 1, 2), KZ_OK);
		vm_stop(vm);
		assert_int_equal(core_run(vm->cfg->cpu[1]), HOST_ASLEEP);
		assert_int_equal(vm->state, KZ_VM_STOPPING);
		assert_int_equal(core_exit(vm->cfg->cpu[0]), HOST_ASLEEP);
		assert_int_equal(vm->state, KZ_VM_STOPPED);
	}
}

/* Nothing is left to run: the machine goes off, and says so before. */
static void test_last_one_out(void **state)
{
	int why = HOST_RETURNED;

	(void)state;
	start_all();
	for (uint32_t i = 0; i < VMS; i++) {
		assert_int_not_equal(why, HOST_OFF);
		host_become(2 * i);
		vm_stop(&machine.vm[i]);
		why = core_exit(2 * i);
	}
	assert_int_equal(why, HOST_OFF);
	assert_true(said("[kizami] no VM is left: switching off\r\n"));
}

/* ---- Faults ---- */

static void fault(uint32_t core, enum verdict why)
{
	struct access a = {.addr = 0x12345678, .size = 4, .write = true};

	host_become(core);
	vcpu_fault(vcpu_of(core), &a, why);
	(void)core_exit(core);
	settle();
}

static void test_fault_inject(void **state)
{
	struct vcpu *v = &machine.vm[0].vcpu[0];
	uint32_t len;

	(void)state;
	start_all();
	v->arch.pc = 0xabc0;
	fault(0, UNKNOWN);
	assert_int_equal(v->arch.aborts, 1);
	assert_int_equal(v->arch.abort_addr, 0x12345678);
	assert_true(said("[kizami] linux: vCPU 0 at pc 0xabc0: write of 4 bytes at 0x12345678"));
	assert_true(said("kzc whatis virt 0x12345678"));
	/* Counted and injected ever after, and never a word more. */
	len = host.out_len;
	for (uint32_t i = 0; i < 1000; i++) {
		fault(0, i % 2 == 0 ? UNKNOWN : FORBIDDEN);
	}
	assert_int_equal(host.out_len, len);
	assert_int_equal(machine.vm[0].faults, 1001);
	assert_int_equal(v->arch.aborts, 1001);
	assert_true(in_guest[0]);
	/* Another VM's first is news. */
	fault(4, FORBIDDEN);
	assert_true(said("[kizami] raw: vCPU 0 at pc 0x80000200: write of 4 bytes"));
	assert_int_equal(machine.vm[2].faults, 1);
}

static void test_fault_stop(void **state)
{
	(void)state;
	blob.vm[0].on_fault = KZ_FAULT_STOP;
	start_all();
	host_become(0);
	assert_int_equal(vcpu_on(&machine.vm[0].vcpu[1], 1, 2), KZ_OK);
	settle();
	fault(1, UNKNOWN);
	assert_int_equal(machine.vm[0].state, KZ_VM_STOPPED);
	assert_false(in_guest[0] || in_guest[1]);
	assert_int_equal(machine.vm[0].vcpu[1].arch.aborts, 0);
	assert_true(said("[kizami] linux: stopped\r\n"));
	assert_int_equal(machine.vm[2].state, KZ_VM_RUNNING);
}

/* A guest that faults at once, for ever: restarted each time, and the console stays readable. */
static void test_fault_restart(void **state)
{
	uint32_t lines = 0;

	(void)state;
	blob.vm[1].on_fault = KZ_FAULT_RESTART;
	start_all();
	for (uint32_t i = 0; i < 1000; i++) {
		fault(2, UNKNOWN);
		assert_true(in_guest[2]);
	}
	assert_true(said("restarts (1)"));
	assert_int_equal(machine.vm[1].state, KZ_VM_RUNNING);
	assert_int_equal(machine.vm[1].restarts, 1000);
	assert_int_equal(machine.vm[1].faults, 1000);
	assert_int_equal(machine.vm[1].vcpu[0].arch.aborts, 0);
	assert_int_equal(machine.vm[1].arch.resets, 1001);
	for (uint32_t i = 0; i < host.out_len; i++) {
		lines += host.out[i] == '\n';
	}
	assert_in_range(lines, 3, 20);
}

/* ---- In any order ---- */

/* What is true whenever no core is in the middle of something. */
static void check(void)
{
	for (uint32_t i = 0; i < VMS; i++) {
		const struct vm *vm = &machine.vm[i];
		uint32_t alive = 0;

		for (uint32_t j = 0; j < vm->cfg->vcpu_count; j++) {
			const struct vcpu *v = &vm->vcpu[j];

			alive += v->state != VCPU_OFF;
			assert_int_equal(v->state == VCPU_RUNNING, in_guest[vm->cfg->cpu[j]]);
			assert_int_equal(v->state == VCPU_RUNNING,
			                 v->arch.resets == v->arch.parks + 1);
			if (v->state != VCPU_OFF && vm->state == KZ_VM_STOPPING) {
				assert_true((v->hazard & HAZARD_STOP) != 0);
			}
		}
		assert_int_equal(vm->alive, alive);
		assert_int_equal(vm->state == KZ_VM_STOPPED, alive == 0);
		assert_true(vm->state == KZ_VM_STOPPING || !vm->arch.revoked);
		assert_int_equal(vm->lock.word >> 16, vm->lock.word & 0xffff);
	}
}

/* A core acts: on its own VM when it is in a guest, as the hypervisor when it is not. */
static int act(uint32_t core)
{
	struct vm *vm = &machine.vm[random() % VMS];
	struct vcpu *v = vcpu_of(core);

	host_become(core);
	if (!in_guest[core]) {
		if (random() % 2 == 0) {
			vm_start(vm);
		} else {
			random() % 2 == 0 ? vm_again(vm) : vm_stop(vm);
		}
		return core_run(core);
	}
	switch (random() % 5) {
	case 0: (void)!vcpu_on(&v->vm->vcpu[random() % v->vm->cfg->vcpu_count], 0x77, 0); break;
	case 1: vcpu_hazard(v, HAZARD_OFF); break;
	case 2: random() % 2 == 0 ? vm_again(v->vm) : vm_stop(v->vm); break;
	case 3: vcpu_hazard(&v->vm->vcpu[random() % v->vm->cfg->vcpu_count], HAZARD_IRQ); break;
	default: break;
	}
	return core_exit(core);
}

static void test_any_order(void **state)
{
	uint32_t offs = 0, all = 0;

	(void)state;
	start_all();
	for (uint32_t i = 0; i < 50000; i++) {
		int why = act((uint32_t)random() % CORES);

		offs += why == HOST_OFF;
		all += in_guest[0] && in_guest[1] && in_guest[2] && in_guest[3] && in_guest[4];
		check();
		if (random() % 4 == 0) {
			settle();
			check();
			for (uint32_t j = 0; j < VMS; j++) {
				assert_int_not_equal(machine.vm[j].state, KZ_VM_STOPPING);
			}
		}
		host.out_len = 0;
	}
	/* The dice reached the corners. */
	assert_true(offs > 10 && all > 10 && machine.vm[1].arch.revokes > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_on_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hazard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off_after_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_while_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_one_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_inject, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fault_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
