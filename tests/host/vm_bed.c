/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct vm_bed blob;

/* Where each core is. */
bool in_guest[CORES];
static uint32_t kicks_seen[CORES];

void vm_stop(struct vm *vm)
{
	vm_halt(vm, KZ_REASON_STOP, THEN_STOP);
}

void vm_again(struct vm *vm)
{
	vm_halt(vm, KZ_REASON_RESTART, THEN_START);
}

/* ---- Cores ---- */

struct vcpu *vcpu_of(uint32_t core)
{
	return core < 6 && core != 5 ? host.cpu[core].sched.slot[core / 2] : NULL;
}

int core_run(uint32_t core)
{
	jmp_buf here;
	int why;

	host_become(core);
	host.leave = &here;
	why = setjmp(here);
	if (why == HOST_RETURNED) {
		vcpu_run(&host.cpu[core]);
	}
	host.leave = NULL;
	in_guest[core] = why == HOST_ENTERED;
	kicks_seen[core] = host.cpu[core].arch.kicks;
	return why;
}

int core_exit(uint32_t core)
{
	jmp_buf here;
	int why;

	assert_true(in_guest[core]);
	host_become(core);
	kicks_seen[core] = host.cpu[core].arch.kicks;
	host.leave = &here;
	why = setjmp(here);
	if (why == HOST_RETURNED) {
		assert_ptr_equal(vcpu_work(vcpu_of(core)), vcpu_of(core));
	}
	host.leave = NULL;
	in_guest[core] = why == HOST_RETURNED || why == HOST_ENTERED;
	return why;
}

void settle(void)
{
	bool moved = true;

	for (uint32_t turns = 0; moved; turns++) {
		assert_true(turns < 20);
		moved = false;
		for (uint32_t i = 0; i < CORES; i++) {
			const struct vcpu *v = vcpu_of(i);
			bool kicked = host.cpu[i].arch.kicks != kicks_seen[i];

			/* An HRT guest takes no interrupt of ours: its memory must go. */
			if (in_guest[i] && v->vm->cfg->level == KZ_HRT) {
				kicked = v->vm->arch.revoked;
			}
			if (kicked) {
				(void)(in_guest[i] ? core_exit(i) : core_run(i));
				moved = true;
			}
		}
	}
}

/* ---- Machine: linux on cores 0 and 1, servo (HRT) on 2 and 3, raw on 4; nobody on 5 ---- */

int setup(void **state)
{
	static const char *const names[VMS] = {"linux", "servo", "raw"};
	static const uint8_t levels[VMS] = {KZ_NRT, KZ_HRT, KZ_SRT};

	(void)state;
	host_reset();
	memset(&blob, 0, sizeof(blob));
	memset(in_guest, 0, sizeof(in_guest));
	memset(kicks_seen, 0, sizeof(kicks_seen));
	memset(blob.image, 'I', sizeof(blob.image));
	machine.cfg = &blob.cfg;
	machine.vm_count = VMS;
	strcpy(blob.cfg.machine.board, "virt");
	blob.cfg.vm_count = VMS;
	blob.cfg.machine.cpu_count = CORES;
	for (uint32_t i = 0; i < VMS; i++) {
		struct kz_cfg_vm *cfg = &blob.vm[i];

		strcpy(cfg->name, names[i]);
		cfg->level = levels[i];
		cfg->vcpu_count = i == 2 ? 1 : 2;
		cfg->cpu[0] = (uint8_t)(2 * i);
		cfg->cpu[1] = (uint8_t)(2 * i + 1);
		cfg->entry = 0x80000000 + 0x100 * i;
		cfg->arg = 0x90000000 + i;
		cfg->region_count = 1;
		cfg->region[0] = (struct kz_cfg_region){ 0x80000000, HOST_RAM_PA + 0x10000 * i,
							 0x8000, KZ_REGION_RAM, 0 };
		assert_int_equal(vm_init(&machine.vm[i], i, cfg), KZ_OK);
	}
	for (uint32_t i = 0; i < CORES; i++) {
		assert_true(sched_init(&host.cpu[i]));
	}
	console_init();
	return 0;
}

void start_all(void)
{
	host_become(0);
	for (uint32_t i = 0; i < VMS; i++) {
		vm_start(&machine.vm[i]);
	}
	for (uint32_t i = 0; i < CORES; i++) {
		(void)core_run(i);
	}
}

int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VMS; i++) {
		host_become(5);
		vm_stop(&machine.vm[i]);
		settle();
		assert_int_equal(machine.vm[i].state, KZ_VM_STOPPED);
	}
	return 0;
}

bool said(const char *text)
{
	for (; host.notify; console_uart()) {
	}
	host.out[host.out_len] = '\0';
	return strstr((const char *)host.out, text) != NULL;
}
