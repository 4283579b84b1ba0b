/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status page: what runs where, and why it left. Words between blanks, a
 * heading over each table, 100 columns with the console's tag. It is a function
 * from the line's number to its text, so it needs no room and prints while
 * everything goes on.
 */
#include "arch.h"
#include "console.h"

#define VCPU_NAME (KZ_NAME_MAX + 2u) /* "name:0" */

static const char level_name[KZ_LEVELS][4] = {"hrt", "srt", "nrt"};
static const char vm_state_name[][8] = {"stopped", "running", "halting"};
static const char vcpu_state_name[][8] = {"off", "ready", "running"};

/* The headings. Under the last one: enum exit_class in its order. */
#define HEAD_CORES "core  owner             level  state"
#define HEAD_VMS                                                             \
	"vm name            lvl  state    cores            memory restarts " \
	" faults in-drop out-drop"
#define HEAD_EXITS                                                           \
	"exits               hcall    mmio  sysreg   fault   undef     wfx " \
	"    irq   maint    kick"
_Static_assert(EXIT_CLASSES == 9, "HEAD_EXITS");

/* A line that grows. */
struct row {
	char *buf;
	size_t size;
};

/* Go on behind what format() wrote. */
static COLD void row_skip(struct row *r, size_t len)
{
	len = min_u64(len, r->size - 1);
	r->buf += len;
	r->size -= len;
}

static COLD void machine_line(struct row *r)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	uint64_t hz = arch_ticks_hz();
	uint64_t now = arch_ticks();

	(void)format(r->buf, r->size,
	             "status: board %s, GICv%u, %u cores, %u VMs, console on core %u, "
	             "up %lu.%03lu s",
	             m->board, m->gic_version, m->cpu_count, machine.vm_count, m->console_cpu,
	             (unsigned long)(now / hz), (unsigned long)(now % hz / (hz / 1000)));
}

/* The vCPU that lives on the core, or NULL. Bound: all vCPUs. */
static COLD const struct vcpu *core_owner(uint32_t core)
{
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		const struct vm *vm = &machine.vm[i];

		for (uint32_t j = 0; j < vm->cfg->vcpu_count; j++) {
			if (vm->cfg->cpu[j] == core) {
				return &vm->vcpu[j];
			}
		}
	}
	return NULL;
}

static COLD void vcpu_name(char name[VCPU_NAME], const struct vcpu *v)
{
	(void)format(name, VCPU_NAME, "%s:%u", v->vm->cfg->name, v->id);
}

static COLD void core_line(struct row *r, uint32_t core)
{
	const struct vcpu *v = core_owner(core);
	const char *level = "-";
	const char *state = "-";
	char owner[VCPU_NAME] = "-";

	if (v != NULL) {
		vcpu_name(owner, v);
		level = level_name[v->vm->cfg->level];
		state = vcpu_state_name[__atomic_load_n(&v->state, __ATOMIC_RELAXED)];
	}
	(void)format(r->buf, r->size, "%4u  %-18s%-7s%s", core, owner, level, state);
}

/* Bytes of RAM. Bound: the regions of a VM. */
static COLD uint64_t vm_memory(const struct kz_cfg_vm *cfg)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < cfg->region_count; i++) {
		sum += cfg->region[i].type == KZ_REGION_RAM ? cfg->region[i].size : 0;
	}
	return sum;
}

/* Bound: the vCPUs of a VM. */
static COLD void vm_line(struct row *r, uint32_t id)
{
	const struct vm *vm = &machine.vm[id];
	const struct kz_cfg_vm *cfg = vm->cfg;
	uint64_t kib = vm_memory(cfg) / 1024;
	char cores[2 * KZ_VCPUS_MAX + 1] = "";

	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		(void)format(&cores[2 * i], 3, "%u,", cfg->cpu[i]);
	}
	cores[2 * cfg->vcpu_count - 1] = '\0';
	row_skip(r, format(r->buf, r->size, "%2u %-16s%-5s%-9s%-16s", id + 1, cfg->name,
	                   level_name[cfg->level],
	                   vm_state_name[__atomic_load_n(&vm->state, __ATOMIC_RELAXED)], cores));
	row_skip(r, format(r->buf, r->size, "%6lu%c %8u %7lu",
	                   (unsigned long)(kib % 1024 != 0 ? kib : kib / 1024),
	                   kib % 1024 != 0 ? 'K' : 'M', vm->restarts,
	                   (unsigned long)__atomic_load_n(&vm->faults, __ATOMIC_RELAXED)));
	(void)format(r->buf, r->size, " %7u %8u", console_in_dropped(id), console_out_dropped(id));
}

/* Bound: EXIT_CLASSES. */
static COLD void exits_line(struct row *r, const struct vcpu *v)
{
	char name[VCPU_NAME];

	vcpu_name(name, v);
	row_skip(r, format(r->buf, r->size, "%-17s", name));
	for (uint32_t i = 0; i < EXIT_CLASSES; i++) {
		uint64_t count = __atomic_load_n(&v->exits[i], __ATOMIC_RELAXED);

		row_skip(r, format(r->buf, r->size, " %7lu", (unsigned long)count));
	}
}

/* The n-th vCPU of all, or NULL. Bound: the VMs. */
static COLD const struct vcpu *vcpu_nth(uint32_t n)
{
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		uint32_t count = machine.vm[i].cfg->vcpu_count;

		if (n < count) {
			return &machine.vm[i].vcpu[n];
		}
		n -= count;
	}
	return NULL;
}

COLD bool status_line(uint32_t n, char *buf, size_t size)
{
	struct row r = {buf, size};
	uint32_t cores = machine.cfg->machine.cpu_count;
	uint32_t vms = machine.vm_count;
	const struct vcpu *v;

	if (n == 0) {
		machine_line(&r);
	} else if (n == 1) {
		(void)format(buf, size, HEAD_CORES);
	} else if (n < 2 + cores) {
		core_line(&r, n - 2);
	} else if (n == 2 + cores) {
		(void)format(buf, size, HEAD_VMS);
	} else if (n < 3 + cores + vms) {
		vm_line(&r, n - 3 - cores);
	} else if (n == 3 + cores + vms) {
		(void)format(buf, size, HEAD_EXITS);
	} else {
		v = vcpu_nth(n - 4 - cores - vms);
		if (v == NULL) {
			return false;
		}
		exits_line(&r, v);
	}
	return true;
}
