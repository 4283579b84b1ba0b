/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status page: what runs where, and why it left. Words between blanks, a
 * heading over each table, 100 columns with the console's tag. It is a function
 * from the line's number to its text, so it needs no room and prints while
 * everything goes on.
 */
#include "arch.h"
#include "console.h"

static const char level_name[KZ_LEVELS][4] = { "hrt", "srt", "nrt" };
static const char vm_state_name[KZ_VM_STATES][9] = {
	"nobody's", "created", "stopped", "running", "paused", "stopping", "waiting", "clearing",
};
static const char vcpu_state_name[][8] = { "running", "ready", "off" };

/* The headings. Under the last one: enum exit_class in its order. */
#define HEAD_CORES "core  owner             level  state"
#define HEAD_VMS                                                             \
	"vm name            lvl  state    cores            memory restarts " \
	" faults in-drop out-drop"
#define HEAD_EXITS                                                           \
	"exits               hcall    mmio  sysreg   fault   undef     wfx " \
	"    irq   maint    kick"
_Static_assert(EXIT_CLASSES == 9, "HEAD_EXITS");
#define HEAD_TIME                                                            \
	"time, us          core  ran %   budget   period deadline" \
	" misses   late   over     stolen"

static void machine_line(struct text *t)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	uint64_t ms = arch_ticks() / (arch_ticks_hz() / 1000);

	text_add(t,
		 "status: board %s, GICv%u, %u cores, %u VMs, console on core %u, "
		 "up %lu.%03lu s",
		 m->board, m->gic_version, m->cpu_count, machine.vm_count, m->console_cpu,
		 (unsigned long)(ms / 1000), (unsigned long)(ms % 1000));
}

/* "name:0", with blanks up to `width`. */
static void vcpu_name(struct text *t, const struct vcpu *v, uint32_t width)
{
	const char *from = t->at;

	text_add(t, "%s:%u", v->vm->cfg->name, v->id);
	text_pad(t, from, width);
}

static void core_line(struct text *t, uint32_t core)
{
	const struct sched_core *c = &arch_cpu(core)->sched;
	uint32_t set = __atomic_load_n(&c->members, __ATOMIC_ACQUIRE);
	const struct vcpu *v = set != 0 && (set & (set - 1)) == 0 ? c->slot[__builtin_ctz(set)] :
			       __atomic_load_n(&c->current, __ATOMIC_RELAXED);

	text_add(t, "%4u  ", core);
	if (v == NULL) {
		text_add(t, "%-18s%-7s%s", "-", "-", set == 0 ? "-" : "idle");
		return;
	}
	vcpu_name(t, v, 18);
	text_add(t, "%-7s%s", level_name[v->vm->cfg->level],
		 vcpu_state_name[__atomic_load_n(&v->state, __ATOMIC_RELAXED)]);
}

/* Bound: the vCPUs and the regions of a VM. */
static void vm_line(struct text *t, uint32_t id)
{
	const struct vm *vm = &machine.vm[id];
	const struct kz_cfg_vm *cfg = vm->cfg;
	char cores[2 * KZ_VCPUS_MAX + 1];
	uint64_t kib = 0;

	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		_Static_assert(KZ_CPUS_MAX <= 10, "one digit");
		cores[2 * i] = (char)('0' + cfg->cpu[i]);
		cores[2 * i + 1] = ',';
	}
	if (cfg->vcpu_count == 0) {
		cores[0] = '-';
	}
	cores[cfg->vcpu_count != 0 ? 2 * cfg->vcpu_count - 1 : 1] = '\0';
	for (uint32_t i = 0; i < cfg->region_count; i++) {
		kib += cfg->region[i].type == KZ_REGION_RAM ? cfg->region[i].size / 1024 : 0;
	}
	text_add(t, "%2u %-16s%-5s%-9s%-16s", id + 1, cfg->name, level_name[cfg->level],
		 vm_state_name[__atomic_load_n(&vm->state, __ATOMIC_RELAXED)], cores);
	text_add(t, kib % 1024 == 0 ? "%6luM %8u %7lu %7u %8u" : "%6luK %8u %7lu %7u %8u",
		 (unsigned long)(kib % 1024 == 0 ? kib / 1024 : kib), vm->restarts,
		 (unsigned long)__atomic_load_n(&vm->faults, __ATOMIC_RELAXED),
		 console_in_dropped(id), console_out_dropped(id));
}

/*
 * The n-th vCPU of all, or of those whose time is shared; NULL if there is none: then *n is less
 * than it was by as many as there are. Bound: the VMs.
 */
static const struct vcpu *vcpu_at(uint32_t *n, bool shared)
{
	for (const struct vm *vm = machine.vm; vm != &machine.vm[machine.vm_count]; vm++) {
		for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
			const struct vcpu *v = &vm->vcpu[i];

			/* MISRA D3 */
			if ((!shared || v->cpu->sched.shared) && (*n)-- == 0) {
				return v;
			}
		}
	}
	return NULL;
}

static void exits_line(struct text *t, const struct vcpu *v)
{
	vcpu_name(t, v, 17);
	for (uint32_t i = 0; i < EXIT_CLASSES; i++) {
		text_add(t, " %7lu",
			 (unsigned long)__atomic_load_n(&v->exits[i], __ATOMIC_RELAXED));
	}
}

/* As its core has them at this moment: each number is true, not all of the same instant. */
static void time_line(struct text *t, const struct vcpu *v)
{
	const struct sched *s = &v->sched;
	uint64_t up = arch_ticks() - v->vm->epoch;
	uint64_t ran = up < 1000 ? 0 : s->executed / (up / 1000);	/* per mille */
	const uint64_t us[] = { s->server.budget, s->server.period, s->server.deadline };

	vcpu_name(t, v, 18);
	text_add(t, "%4u %4lu.%lu", v->cpu->id, (unsigned long)(ran / 10),
		 (unsigned long)(ran % 10));
	for (uint32_t i = 0; i < 3; i++) {
		text_add(t, " %8lu", (unsigned long)(ns_of_ticks(us[i]) / 1000));
	}
	text_add(t, " %6lu %6lu %6lu %10lu", (unsigned long)s->misses, (unsigned long)s->late,
		 (unsigned long)s->overruns, (unsigned long)(ns_of_ticks(s->stolen) / 1000));
}

NOINLINE bool status_line(uint32_t n, struct text *t)
{
	uint32_t cores = machine.cfg->machine.cpu_count;
	uint32_t vms = machine.vm_count;
	const struct vcpu *v;
	bool heading;

	if (n == 0) {
		machine_line(t);
	} else if (n == 1) {
		text_add(t, HEAD_CORES);
	} else if (n < 2 + cores) {
		core_line(t, n - 2);
	} else if (n == 2 + cores) {
		text_add(t, HEAD_VMS);
	} else if (n < 3 + cores + vms) {
		vm_line(t, n - 3 - cores);
	} else if (n == 3 + cores + vms) {
		text_add(t, HEAD_EXITS);
	} else {
		n -= 4 + cores + vms;
		v = vcpu_at(&n, false);
		if (v != NULL) {
			exits_line(t, v);
			return true;
		}
		heading = n == 0;
		n -= !heading;
		v = vcpu_at(&n, true);
		if (v == NULL) {
			return false;
		}
		if (heading) {
			text_add(t, "%s", HEAD_TIME);
		} else {
			time_line(t, v);
		}
	}
	return true;
}
