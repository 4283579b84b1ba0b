// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * In the place of linux/kizami/call.c: a hypervisor of eight places in this kernel's own memory,
 * for tests of the module where there is none. Verbs change states as control.h has them, at once;
 * an event is the device's interrupt, made pending in the interrupt controller.
 */
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/interrupt.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "kizami.h"

#define SECRET	2	/* the place of a VM that the caller may not list */

struct vm {
	struct kz_vm_info info;
	struct kz_cfg_vm cfg;
	char typed[64];		/* its console echoes */
	u32 typed_count;
};

static DEFINE_RAW_SPINLOCK(lock);
static struct vm vms[KZ_VMS_MAX];
static u32 changes;
static u64 events;
static u64 wanted[NR_CPUS];	/* what each CPU listens to */
static int irq;

static void vm_add(u32 vm, const char *name, enum kz_level level, u32 core)
{
	struct vm *v = &vms[vm];

	memset(v, 0, sizeof(*v));
	strscpy(v->cfg.name, name, KZ_NAME_MAX);
	v->cfg.level = level;
	v->cfg.vcpu_count = 1;
	v->cfg.cpu[0] = core;
	v->cfg.region_count = 1;
	v->cfg.region[0].ipa = 0x40000000;
	v->cfg.region[0].pa = 0x50000000 + vm * 0x1000000;
	v->cfg.region[0].size = 0x200000;
	v->cfg.irq_count = 1;
	v->cfg.irq[0].intid = 33;
	strscpy(v->info.name, name, KZ_NAME_MAX);
	v->info.state = KZ_VM_RUNNING;
	v->info.restarts = 3;
	v->info.faults = 1;
	v->info.fault_address = 0xdead000;
}

bool kizami_is_there(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "kizami,hypervisor-1");

	irq = irq_of_parse_and_map(node, 0);
	of_node_put(node);
	vm_add(0, "linux", KZ_NRT, 0);
	vms[0].cfg.vcpu_count = 2;
	vms[0].cfg.cpu[1] = 1;
	vms[0].cfg.rights[KZ_RIGHT_LIST] = 0xff;
	vm_add(1, "servo", KZ_HRT, 3);
	vms[1].cfg.server.budget_ns = 1000000;
	vms[1].cfg.server.period_ns = 10000000;
	vms[1].cfg.server.deadline_ns = 9000000;
	vm_add(SECRET, "secret", KZ_SRT, 2);
	return true;
}

static void raise(void *unused)
{
	irq_set_irqchip_state(irq, IRQCHIP_STATE_PENDING, true);
}

static int verb_do(u32 vm, u64 verb, u64 *state)
{
	static const struct {
		u32 from, to;
		u32 reason;
	} verbs[KZ_VERBS] = {
		[KZ_VERB_START] = { BIT(KZ_VM_CREATED) | BIT(KZ_VM_STOPPED), KZ_VM_RUNNING, 0 },
		[KZ_VERB_PAUSE] = { BIT(KZ_VM_RUNNING), KZ_VM_PAUSED, 0 },
		[KZ_VERB_RESUME] = { BIT(KZ_VM_PAUSED), KZ_VM_RUNNING, 0 },
		[KZ_VERB_SHUTDOWN] = { BIT(KZ_VM_RUNNING), KZ_VM_RUNNING, 0 },
		[KZ_VERB_STOP] = { BIT(KZ_VM_RUNNING), KZ_VM_STOPPED, KZ_REASON_STOP },
		[KZ_VERB_RESET] = { BIT(KZ_VM_RUNNING), KZ_VM_RUNNING, KZ_REASON_RESTART },
		[KZ_VERB_DESTROY] = { 0xff, KZ_VM_NONE, 0 },
		[KZ_VERB_ATTACH] = { 0xff, KZ_VM_STATES, 0 },
		[KZ_VERB_DETACH] = { 0xff, KZ_VM_STATES, 0 },
	};
	struct vm *v = &vms[vm];

	if (verb >= KZ_VERBS) {
		return KZ_EINVAL;
	}
	if (!(verbs[verb].from & BIT(v->info.state))) {
		return KZ_EBUSY;
	}
	if (verb == KZ_VERB_SHUTDOWN) {
		events |= vm == 0 ? KZ_NOTIFY_SHUTDOWN : 0;
		return vm == 0 ? KZ_OK : KZ_ENOENT;
	}
	if (verbs[verb].to != KZ_VM_STATES) {
		v->info.state = verbs[verb].to;
		v->info.reason = verbs[verb].reason ? verbs[verb].reason : v->info.reason;
		v->info.restarts += verb == KZ_VERB_RESET;
		changes++;
		events |= KZ_NOTIFY_CONTROL;
	}
	*state = v->info.state;
	return KZ_OK;
}

static int vm_register(const struct kz_cfg_vm *cfg, u64 x[4])
{
	u32 vm;

	if (cfg->vcpu_count == 0) {
		x[0] = 7;
		x[1] = 1;
		return KZ_EINVAL;
	}
	for (vm = 0; vm < KZ_VMS_MAX; vm++) {
		if (vms[vm].info.state == KZ_VM_NONE) {
			vm_add(vm, cfg->name, cfg->level, cfg->cpu[0]);
			vms[vm].info.state = KZ_VM_CREATED;
			vms[vm].info.restarts = 0;
			x[0] = vm;
			changes++;
			events |= KZ_NOTIFY_CONTROL;
			return KZ_OK;
		}
	}
	return KZ_ENOMEM;
}

static void machine_fill(struct kz_machine_info *i)
{
	memset(i, 0, sizeof(*i));
	i->now = ktime_get_ns();
	i->hz = 62500000;
	i->vm_count = KZ_VMS_MAX;
	i->changes = changes;
	i->image_size = 30000;
	i->cfg.version = KZ_BLOB_VERSION;
	strscpy(i->cfg.machine.board, "fake", KZ_NAME_MAX);
	i->cfg.machine.cpu_count = 4;
	i->cfg.machine.ram_count = 1;
	i->cfg.machine.ram[0].pa = 0x40000000;
	i->cfg.machine.ram[0].size = 0x80000000;
}

static int inspect(u64 x[4], void *to)
{
	u32 vm = x[1] & 0xff;
	struct kz_vcpu_info *vcpu = to;

	if (x[0] == KZ_INSPECT_MACHINE) {
		machine_fill(to);
		return KZ_OK;
	}
	switch (x[0]) {
	case KZ_INSPECT_CONFIG:
		memcpy(to, &vms[vm].cfg, sizeof(vms[vm].cfg));
		return KZ_OK;
	case KZ_INSPECT_VM:
		memcpy(to, &vms[vm].info, sizeof(vms[vm].info));
		return KZ_OK;
	case KZ_INSPECT_VCPU:
		memset(vcpu, 0, sizeof(*vcpu));
		vcpu->core = vms[vm].cfg.cpu[x[1] >> 8 & 7];
		vcpu->executed = 1234567890;
		vcpu->period = vms[vm].cfg.server.period_ns;
		vcpu->misses = 4;
		vcpu->exits[5] = 55;
		return KZ_OK;
	default:
		return KZ_EINVAL;
	}
}

/* Whether the call's VM is there, and the caller's to see. */
static int vm_check(u32 function, const u64 x[4])
{
	u64 vm = function == KZ_HVC_INSPECT ? x[1] & 0xff : x[0];

	if (function == KZ_HVC_REGISTER || function == KZ_HVC_LOG || function < KZ_HVC_REGISTER ||
	    (function == KZ_HVC_INSPECT && x[0] == KZ_INSPECT_MACHINE)) {
		return KZ_OK;
	}
	if (vm >= KZ_VMS_MAX) {
		return KZ_EINVAL;
	}
	return vm == SECRET ? KZ_EPERM : vms[vm].info.state == KZ_VM_NONE ? KZ_ENOENT : KZ_OK;
}

static int console(u32 function, u64 x[4], void *buffer)
{
	struct vm *v = &vms[x[0]];
	u32 count;

	if (function == KZ_HVC_CONSOLE_WRITE) {
		count = min_t(u64, x[2], sizeof(v->typed) - v->typed_count);
		memcpy(v->typed + v->typed_count, buffer, count);
		v->typed_count += count;
		events |= KZ_NOTIFY_CONTROL;
	} else {
		count = min_t(u64, x[2], v->typed_count);
		memcpy(buffer, v->typed, count);
		memmove(v->typed, v->typed + count, v->typed_count - count);
		v->typed_count -= count;
	}
	x[0] = count;
	return KZ_OK;
}

static int answer(u32 function, u64 x[4], void *buffer)
{
	int error = vm_check(function, x);

	if (error != KZ_OK) {
		return error;
	}
	switch (function) {
	case KZ_HVC_NOTIFY:
		wanted[smp_processor_id()] = x[0];
		return KZ_OK;
	case KZ_HVC_EVENTS:
		x[0] = events;
		events = 0;
		return KZ_OK;
	case KZ_HVC_REGISTER:
		return vm_register(buffer, x);
	case KZ_HVC_CONTROL:
		return verb_do(x[0], x[1], &x[0]);
	case KZ_HVC_INSPECT:
		return inspect(x, buffer);
	case KZ_HVC_CONSOLE_READ:
	case KZ_HVC_CONSOLE_WRITE:
		return console(function, x, buffer);
	default:
		return KZ_EINVAL;
	}
}

static int call(u32 function, u64 x[4], void *buffer)
{
	unsigned long flags;
	u64 before, news;
	int error, cpu;

	raw_spin_lock_irqsave(&lock, flags);
	before = events;
	error = answer(function, x, buffer);
	news = events & ~before;
	raw_spin_unlock_irqrestore(&lock, flags);
	for (cpu = 0; cpu < NR_CPUS; cpu++) {
		if (news & wanted[cpu]) {
			smp_call_function_single(cpu, raise, NULL, 1);
		}
	}
	return error;
}

int kizami_call(u32 function, u64 x[4])
{
	return call(function, x, NULL);
}

int kizami_call_buffer(u32 function, u64 x[4], unsigned int at, void *buffer)
{
	x[at] = virt_to_phys(buffer);
	return call(function, x, buffer);
}
