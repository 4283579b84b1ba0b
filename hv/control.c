/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "blob.h"
#include "console.h"
#include "policy.h"

static struct spinlock places;			/* who registers a VM: one at a time */
static struct kz_cfg_vm configs[KZ_VMS_MAX];	/* of VMs that were created */
static struct kz_cfg_vm incoming;		/* under `places` */

void control_tell(struct vm *vm)
{
	uint32_t count = __atomic_load_n(&machine.vm_count, __ATOMIC_ACQUIRE);

	__atomic_fetch_add(&machine.changes, 1, __ATOMIC_RELAXED);
	/* Bound: the vCPUs of the VMs. */
	for (struct vm *to = machine.vm; to != &machine.vm[count]; to++) {
		if (!control_may(to, KZ_RIGHT_LIST, vm->id)) {
			continue;
		}
		for (uint32_t i = 0; i < to->cfg->vcpu_count; i++) {
			(void)policy_notify(&to->vcpu[i], KZ_NOTIFY_CONTROL);
		}
	}
}

/* ---- A VM comes ---- */

/* The others, as blob_check_vm wants them; returns a place that is nobody's, or KZ_VMS_MAX. */
static uint32_t others_list(const struct kz_cfg_vm **others)
{
	uint32_t place = KZ_VMS_MAX;

	for (uint32_t i = KZ_VMS_MAX; i-- > 0;) {
		const struct vm *vm = &machine.vm[i];
		bool free = __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == KZ_VM_NONE;

		others[i] = free ? NULL : vm->cfg;
		place = free ? i : place;
	}
	return place;
}

/* All vCPUs join their cores, or none. */
static enum kz_err join_all(struct vm *vm, const struct kz_cfg_vm *cfg, uint64_t *x)
{
	enum kz_err err = KZ_OK;
	uint32_t short_ppm = 0;

	for (uint32_t i = 0; i < cfg->vcpu_count && err == KZ_OK; i++) {
		struct vcpu *v = &vm->vcpu[i];

		v->vm = vm;
		v->cpu = arch_cpu(cfg->cpu[i]);
		err = sched_join(v, &short_ppm);
		if (err != KZ_OK) {
			x[1] = cfg->cpu[i];
			x[2] = short_ppm;
			while (i-- > 0) {
				sched_leave(&vm->vcpu[i]);
			}
			break;
		}
	}
	return err;
}

/* A configuration without a vCPU. */
static void nobodys(struct vm *vm)
{
	static const char name[] = "nobody";
	struct kz_cfg_vm *cfg = &configs[vm->id];

	*cfg = (struct kz_cfg_vm){ 0 };
	for (uint32_t i = 0; i < sizeof(name); i++) {
		cfg->name[i] = name[i];
	}
	vm->cfg = cfg;
}

/* As nobody has left it: what was there of the last VM's life, from `reason` to `watchdog`. */
static void place_reset(struct vm *vm)
{
	__builtin_memset((char *)vm + offsetof(struct vm, reason), 0,
			 offsetof(struct vm, wdt) - offsetof(struct vm, reason));
	vm->created = true;
	for (uint32_t i = 0; i < KZ_VCPUS_MAX; i++) {
		__builtin_memset(vm->vcpu[i].exits, 0, sizeof(vm->vcpu[i].exits));
	}
}

static const struct kz_cfg_region *store_of(const struct kz_cfg_vm *cfg)
{
	const struct kz_cfg_region *r = cfg->region;

	while (r->type != KZ_REGION_STORE) {	/* Bound: blob_check_vm has found one */
		r++;
	}
	return r;
}

static enum kz_err enter_locked(uint32_t place, uint64_t *x)
{
	struct vm *vm = &machine.vm[place];
	struct kz_cfg_vm *cfg = &configs[place];
	const struct kz_cfg_region *store = store_of(&incoming);
	enum kz_err err;

	place_reset(vm);
	*cfg = incoming;
	vm->cfg = cfg;
	vm->id = place;
	err = join_all(vm, cfg, x);
	if (err != KZ_OK) {
		nobodys(vm);
		return err;
	}
	vm->images = (const char *)arch_ptr(pa(store->pa)) + cfg->store_tables * KZ_PAGE_SIZE;
	err = vm_init(vm, place, cfg);
	console_ring_at(place, cfg);
	vm_lock(vm);
	vm->changes++;
	__atomic_store_n(&vm->state, KZ_VM_CREATED, __ATOMIC_RELEASE);
	if (place >= machine.vm_count) {
		__atomic_store_n(&machine.vm_count, place + 1, __ATOMIC_RELEASE);
	}
	control_tell(vm);
	vm_unlock(vm);
	x[1] = place;
	return err;
}

static enum kz_err vm_register(const struct vcpu *v, uint64_t *x)
{
	const struct kz_cfg_vm *from = vm_ram(v->vm->cfg, x[1], sizeof(*from));
	const struct kz_cfg_vm *others[KZ_VMS_MAX];
	struct blob_where where;
	enum kz_err err;
	uint32_t place;

	if (from == NULL || x[1] % 8 != 0) {
		x[1] = 0;
		return KZ_EINVAL;
	}
	if (v->vm->rights[KZ_RIGHT_CREATE] != 0xff) {
		return KZ_EPERM;
	}
	spin_lock(&places);
	incoming = *from;
	place = others_list(others);
	x[1] = place == KZ_VMS_MAX ? 0 :
	       blob_check_vm(machine.cfg, others, place, &incoming, &where);
	if (place == KZ_VMS_MAX) {
		err = KZ_ENOMEM;
	} else if (x[1] != BLOB_OK) {
		x[2] = where.index;
		err = KZ_EINVAL;
	} else {
		err = enter_locked(place, x);
	}
	spin_unlock(&places);
	return err;
}

static enum kz_err vm_fill(struct vm *vm, const uint64_t *x, const void *from)
{
	uint64_t offset = x[2], size = x[4];
	enum kz_err err = KZ_EBUSY;

	vm_lock(vm);
	if (vm->state == KZ_VM_CREATED) {
		uint64_t room = store_of(vm->cfg)->size - vm->cfg->store_tables * KZ_PAGE_SIZE;

		err = offset <= room && size <= room - offset ? KZ_OK : KZ_EINVAL;
		if (err == KZ_OK) {
			arch_mem_copy((void *)(uintptr_t)(vm->images + offset), from, size);
		}
	}
	vm_unlock(vm);
	return err;
}

/* ---- And goes ---- */

void control_forget_locked(struct vm *vm)
{
	uint32_t count = __atomic_load_n(&machine.vm_count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		sched_leave(&vm->vcpu[i]);
	}
	for (struct vm *other = machine.vm; other != &machine.vm[count]; other++) {
		for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
			if (other->rights[i] != 0xff) {
				__atomic_fetch_and(&other->rights[i], (uint8_t)~BIT(vm->id),
						   __ATOMIC_RELAXED);
			}
		}
	}
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		vm->rights[i] = 0;
	}
	/* Who registers a VM sees its interrupts free when they are. */
	spin_lock(&places);
	nobodys(vm);
	if (arch_vm_init(vm) != KZ_OK) {	/* it needs no table */
		hv_panic("place %u", vm->id);
	}
	spin_unlock(&places);
}

/* ---- Verbs ---- */

static enum kz_err ask_shutdown(struct vm *vm)
{
	bool told = false;

	for (uint32_t i = 0; i < vm->cfg->vcpu_count && !told; i++) {
		told = policy_notify(&vm->vcpu[i], KZ_NOTIFY_SHUTDOWN);
	}
	return told ? KZ_OK : KZ_ENOENT;
}

/* Under its lock: it does not go meanwhile, and leave its console to the next one. */
static enum kz_err attach(const struct vcpu *v, struct vm *vm)
{
	enum kz_err err = KZ_ENOENT;

	vm_lock(vm);
	if (vm->state != KZ_VM_NONE) {
		err = console_attach(vm->id, v->vm->id);
	}
	vm_unlock(vm);
	return err;
}

static bool is_in(const struct vm *vm, uint32_t states)
{
	return (states >> __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) & 1) != 0;
}

static const struct {
	uint8_t right;
	uint8_t states;		/* a bit each: where it may come */
} verbs[KZ_VERBS] = {
	[KZ_VERB_START] = { KZ_RIGHT_RUN,
			    BIT(KZ_VM_CREATED) | BIT(KZ_VM_STOPPED) | BIT(KZ_VM_WAITING) },
	[KZ_VERB_PAUSE] = { KZ_RIGHT_RUN, BIT(KZ_VM_RUNNING) },
	[KZ_VERB_RESUME] = { KZ_RIGHT_RUN, BIT(KZ_VM_PAUSED) },
	[KZ_VERB_SHUTDOWN] = { KZ_RIGHT_RUN, BIT(KZ_VM_RUNNING) },
	[KZ_VERB_STOP] = { KZ_RIGHT_RUN,
			   BIT(KZ_VM_RUNNING) | BIT(KZ_VM_PAUSED) | BIT(KZ_VM_WAITING) },
	[KZ_VERB_RESET] = { KZ_RIGHT_RESTART, BIT(KZ_VM_RUNNING) | BIT(KZ_VM_PAUSED) },
	[KZ_VERB_DESTROY] = { KZ_RIGHT_CREATE, 0xff },
	[KZ_VERB_ATTACH] = { KZ_RIGHT_CONSOLE, 0xff },
	[KZ_VERB_DETACH] = { KZ_RIGHT_CONSOLE, 0xff },
};

static enum kz_err verb_do(const struct vcpu *v, struct vm *vm, enum kz_verb verb)
{
	switch (verb) {
	case KZ_VERB_START:
		vm_start(vm);
		return KZ_OK;
	case KZ_VERB_PAUSE:
		return vm_pause(vm);
	case KZ_VERB_RESUME:
		return vm_resume(vm);
	case KZ_VERB_SHUTDOWN:
		return ask_shutdown(vm);
	case KZ_VERB_STOP:
		vm_halt(vm, KZ_REASON_STOP, THEN_STOP);
		return KZ_OK;
	case KZ_VERB_RESET:
		vm_halt(vm, KZ_REASON_RESTART, THEN_START);
		return KZ_OK;
	case KZ_VERB_DESTROY:
		return vm_destroy(vm);
	case KZ_VERB_ATTACH:
		return attach(v, vm);
	default:
		return console_detach(vm->id, v->vm->id);
	}
}

/* ---- Calls ---- */

/* The right that each call takes over the VM that x1 names. */
static const uint8_t call_right[] = {
	[KZ_HVC_FILL - KZ_HVC_REGISTER] = KZ_RIGHT_CREATE,
	[KZ_HVC_CONTROL - KZ_HVC_REGISTER] = KZ_RIGHTS,		/* by verb */
	[KZ_HVC_INSPECT - KZ_HVC_REGISTER] = KZ_RIGHTS,		/* by what */
	[KZ_HVC_CONSOLE_READ - KZ_HVC_REGISTER] = KZ_RIGHT_CONSOLE,
	[KZ_HVC_CONSOLE_WRITE - KZ_HVC_REGISTER] = KZ_RIGHT_CONSOLE,
	[KZ_HVC_READ - KZ_HVC_REGISTER] = KZ_RIGHT_READ,
};

static enum kz_err allowed(const struct vcpu *v, enum kz_right right, uint64_t id)
{
	if (id >= KZ_VMS_MAX) {
		return KZ_EINVAL;
	}
	if (!control_may(v->vm, right, (uint32_t)id)) {
		return KZ_EPERM;
	}
	return is_in(&machine.vm[id], BIT(KZ_VM_NONE)) ? KZ_ENOENT : KZ_OK;
}

static enum kz_err vm_control(const struct vcpu *v, uint64_t *x)
{
	enum kz_verb verb = (enum kz_verb)x[2];
	enum kz_err err = x[2] >= KZ_VERBS ? KZ_EINVAL : allowed(v, verbs[x[2]].right, x[1]);

	if (err == KZ_OK && !is_in(&machine.vm[x[1]], verbs[verb].states)) {
		err = KZ_EBUSY;
	}
	if (err == KZ_OK) {
		struct vm *vm = &machine.vm[x[1]];

		err = verb_do(v, vm, verb);
		x[1] = __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
	}
	return err;
}

/* Under its lock: it does not go meanwhile. */
static enum kz_err vm_read(struct vm *vm, const uint64_t *x, void *to)
{
	enum kz_err err = KZ_OK;
	const void *from;

	vm_lock(vm);
	from = vm_ram(vm->cfg, x[2], x[4]);
	if (from == NULL) {
		err = KZ_EINVAL;
	} else if (is_in(vm, BIT(KZ_VM_CREATED) | BIT(KZ_VM_CLEARING)) || vm->fresh) {
		err = KZ_EBUSY;		/* it is not its own yet, or not any more */
	} else {
		__builtin_memcpy(to, from, x[4]);
	}
	vm_unlock(vm);
	return err;
}

/* The buffer of a call that moves bytes; NULL: that, or how much, or where to is wrong. */
static void *buffer_of(const struct vcpu *v, const uint64_t *x)
{
	bool fill = x[0] == KZ_HVC_FILL, all = fill || x[0] == KZ_HVC_READ;
	const uint64_t *at = all ? &x[3] : &x[2];
	bool bad = at[1] == 0 || at[1] > KZ_CONTROL_BYTES || (fill && (x[2] | x[4]) % 64 != 0);

	/* Byte by byte, more than that takes long. */
	bad |= all && at[1] > KZ_CONTROL_UNALIGNED && (x[2] | at[0]) % 8 != 0;
	return bad ? NULL : vm_ram(v->vm->cfg, at[0], at[1]);
}

static enum kz_err log_call(const struct vcpu *v, uint64_t *x, void *to)
{
	uint32_t size = (uint32_t)x[3];

	if (v->vm->rights[KZ_RIGHT_LIST] == 0) {
		return KZ_EPERM;
	}
	x[2] = x[1];
	x[1] = log_read(&x[2], to, size);
	return KZ_OK;
}

static enum kz_err console_call(const struct vcpu *v, uint64_t *x, void *at)
{
	uint32_t id = (uint32_t)x[1], size = (uint32_t)x[3];

	if (x[0] == KZ_HVC_CONSOLE_WRITE) {
		x[1] = console_type(id, at, size);
	} else if (console_reader(id) == v->vm->id + 1) {
		x[1] = console_read(id, v->vm->id, at, size);
	} else {
		return KZ_EBUSY;
	}
	return KZ_OK;
}

enum kz_err control_call(struct vcpu *v, uint64_t *x)
{
	uint32_t fn = (uint32_t)x[0];
	uint32_t size = 0;
	enum kz_err err;
	void *buffer;

	x[0] = fn;
	if (fn == KZ_HVC_REGISTER) {
		return vm_register(v, x);
	}
	if (fn == KZ_HVC_CONTROL) {
		return vm_control(v, x);
	}
	if (fn == KZ_HVC_INSPECT) {
		err = inspect(v, x, &size);
		x[1] = err == KZ_OK ? size : x[1];
		return err;
	}
	buffer = buffer_of(v, x);
	if (buffer == NULL) {
		return KZ_EINVAL;
	}
	if (fn == KZ_HVC_LOG) {
		return log_call(v, x, buffer);
	}
	err = allowed(v, (enum kz_right)call_right[fn - KZ_HVC_REGISTER], x[1]);
	if (err != KZ_OK) {
		return err;
	}
	if (fn == KZ_HVC_FILL) {
		return vm_fill(&machine.vm[x[1]], x, buffer);
	}
	return fn == KZ_HVC_READ ? vm_read(&machine.vm[x[1]], x, buffer) :
	       console_call(v, x, buffer);
}
