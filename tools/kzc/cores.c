/* SPDX-License-Identifier: Apache-2.0 */
#include "cores.h"

#include <string.h>

#define RESERVE_DEFAULT 50000u

/* What is known of a core while VMs are placed. All shares are in millionths. */
struct core {
	bool hard;
	bool given;       /* its reserve is given by a section of its own */
	uint64_t reserve; /* what servers may not have, */
	uint64_t density; /* what they have: budget / deadline, */
	uint64_t used;    /* and budget / period */
	uint64_t weight;  /* of those without a server, together */
	uint32_t vms;     /* a bit each */
};

/* ---- Who is where ---- */

unsigned core_vcpus(const struct sys *s, unsigned core, struct core_vcpu list[KZ_VMS_MAX])
{
	unsigned n = 0;

	for (unsigned v = 0; v < s->vm_count; v++) {
		for (unsigned i = 0; i < s->vm[v].cfg.vcpu_count; i++) {
			if (s->vm[v].cfg.cpu[i] == core) {
				list[n++] = (struct core_vcpu){ &s->vm[v], i };
				break;
			}
		}
	}
	return n;
}

bool core_is_hard(const struct sys *s, unsigned core)
{
	struct core_vcpu list[KZ_VMS_MAX];

	return (core_vcpus(s, core, list) > 0) && (list[0].vm->cfg.level == KZ_HRT);
}

bool vm_has_server(const struct vm *vm)
{
	return vm->cfg.server.budget_ns != 0;
}

bool vm_is_delayed(const struct sys *s, const struct vm *vm)
{
	struct core_vcpu list[KZ_VMS_MAX];
	bool delayed = vm_has_server(vm);

	for (unsigned i = 0; i < vm->cfg.vcpu_count; i++) {
		delayed = delayed || (core_vcpus(s, vm->cfg.cpu[i], list) > 1);
	}
	return delayed && (vm->cfg.level != KZ_HRT);
}

/* ---- As text ---- */

uint64_t ppm_of(uint64_t part, uint64_t whole)
{
	return (part * PPM + whole - 1) / whole;
}

/* n / 1000 with as many decimals as it has. */
static const char *thousandths(struct mem *mem, uint64_t n, const char *unit)
{
	const char *text = mem_printf(mem, "%llu.%03llu", (unsigned long long)(n / 1000),
				      (unsigned long long)(n % 1000));
	size_t len = strlen(text);

	for (; text[len - 1] == '0'; len--) {
	}
	len -= (text[len - 1] == '.') ? 1 : 0;
	return mem_printf(mem, "%s%s", mem_strndup(mem, text, len), unit);
}

const char *share_text(struct mem *mem, uint64_t ppm)
{
	return thousandths(mem, (ppm + 5) / 10, " %");
}

const char *time_text(struct mem *mem, uint64_t ns)
{
	static const char *const units[] = { "us", "ms", "s" };
	uint64_t scale = 1;
	unsigned i = 0;

	if (ns < 1000) {
		return mem_printf(mem, "%lluns", (unsigned long long)ns);
	}
	/* The largest unit that leaves at most three decimals. */
	while ((i < 2) && (ns >= scale * 1000000) && ((ns % (scale * 1000)) == 0)) {
		scale *= 1000;
		i++;
	}
	return thousandths(mem, ns / scale, units[i]);
}

const char *server_text(struct mem *mem, const struct kz_cfg_server *server)
{
	const char *deadline =
		(server->deadline_ns == server->period_ns)
			? ""
			: mem_printf(mem, ", deadline %s", time_text(mem, server->deadline_ns));

	return mem_printf(mem, "%s/%s%s (%s)", time_text(mem, server->budget_ns),
			  time_text(mem, server->period_ns), deadline,
			  share_text(mem, ppm_of(server->budget_ns, server->period_ns)));
}

/* ---- Placing ---- */

static void core_add(struct core *core, const struct sys *s, const struct vm *vm)
{
	const struct kz_cfg_server *server = &vm->cfg.server;

	core->hard = core->hard || (vm->cfg.level == KZ_HRT);
	core->vms |= 1u << (vm - s->vm);
	if (vm_has_server(vm)) {
		core->density += ppm_of(server->budget_ns, server->deadline_ns);
		core->used += ppm_of(server->budget_ns, server->period_ns);
	} else {
		core->weight += server->weight;
	}
}

/* What servers may not have of it: its own reserve, else the system's for who has no server. */
static uint64_t core_kept(const struct core *core, uint64_t reserve)
{
	return core->given ? core->reserve : (core->weight != 0) ? reserve : 0;
}

/* What servers could still have of it; below 0 it has too many. */
static int64_t core_room(const struct core *core, uint64_t reserve)
{
	return (int64_t)PPM - (int64_t)core_kept(core, reserve) - (int64_t)core->density;
}

/* What a VM without a server would get if all want to run. */
static int64_t core_share(const struct core *core, const struct vm *vm)
{
	uint64_t left = (core->used < PPM) ? PPM - core->used : 0;

	return (int64_t)(left * vm->cfg.server.weight / (core->weight + vm->cfg.server.weight));
}

/* The best core for one more vCPU of the VM: of the best ones, the first. */
static unsigned core_best(const struct sys *s, const struct core *core, const struct vm *vm,
			  uint64_t reserve)
{
	unsigned best = KZ_CPUS_MAX;
	int64_t most = INT64_MIN;

	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		int64_t n =
			vm_has_server(vm) ? core_room(&core[i], reserve) : core_share(&core[i], vm);

		if (!core[i].hard && ((core[i].vms & (1u << (vm - s->vm))) == 0) && (n > most)) {
			most = n;
			best = i;
		}
	}
	return best;
}

static void vm_put(struct sys *s, struct core *core, struct vm *vm, uint64_t reserve)
{
	unsigned open = 0;

	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		open += core[i].hard ? 0 : 1;
	}
	if (vm->any > open) {
		diag_error(&s->diag, vm->conf->cpus.line,
			   "vm '%s' wants %u core%s of any kind, but %u of board %s %s no hard "
			   "real-time VM's",
			   vm->conf->name.s, vm->any, (vm->any == 1) ? "" : "s", open,
			   s->board.name, (open == 1) ? "is" : "are");
		return;
	}
	for (unsigned i = 0; i < vm->any; i++) {
		unsigned best = core_best(s, core, vm, reserve);
		uint64_t share = vm_has_server(vm) ? core[best].density
						   : (uint64_t)core_share(&core[best], vm);

		diag_note(&s->diag, vm->conf->cpus.line,
			  vm_has_server(vm) ? "vm '%s': vCPU %u is on core %u, which has most room "
					      "for its server: others have %s"
					    : "vm '%s': vCPU %u is on core %u, where its share is "
					      "largest: %s",
			  vm->conf->name.s, i, best, share_text(&s->mem, share));
		vm->cfg.cpu[i] = (uint8_t)best;
		vm->cfg.vcpu_count++;
		core_add(&core[best], s, vm);
	}
}

/* Which of the VMs that are left is placed next: servers first, the densest one first of all. */
static struct vm *vm_next(struct sys *s, uint32_t done)
{
	struct vm *next = NULL;
	uint64_t most = 0;

	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];
		const struct kz_cfg_server *server = &vm->cfg.server;
		uint64_t density = 0;

		if ((vm->any == 0) || ((done & (1u << v)) != 0)) {
			continue;
		}
		if (vm_has_server(vm)) {
			density = ppm_of(server->budget_ns, server->deadline_ns);
		}
		if ((next == NULL) || (density > most)) {
			next = vm;
			most = density;
		}
	}
	return next;
}

static void cores_place(struct sys *s, struct core *core, uint64_t reserve)
{
	uint32_t done = 0;
	struct vm *vm;

	for (unsigned v = 0; v < s->vm_count; v++) {
		for (unsigned i = 0; i < s->vm[v].cfg.vcpu_count; i++) {
			core_add(&core[s->vm[v].cfg.cpu[i]], s, &s->vm[v]);
		}
	}
	for (vm = vm_next(s, 0); vm != NULL; vm = vm_next(s, done)) {
		vm_put(s, core, vm, reserve);
		done |= 1u << (vm - s->vm);
	}
}

/* ---- What is wrong, and what is kept ---- */

static bool vm_has_core(const struct vm *vm, unsigned core)
{
	return memchr(vm->cfg.cpu, (int)core, vm->cfg.vcpu_count) != NULL;
}

/* ", in line 7,": where its cores are; nothing of one that runs. */
static const char *line_text(struct sys *s, const struct vm *vm)
{
	return vm->running ? "" : mem_printf(&s->mem, ", in line %d,", vm->conf->cpus.line);
}

/* A core of a hard real-time VM is that VM's alone. */
static void hard_check(struct sys *s)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		const struct vm *vm = &s->vm[v];

		for (unsigned w = 0; w < v; w++) {
			const struct vm *first = &s->vm[w];

			if ((vm->cfg.level != KZ_HRT) && (first->cfg.level != KZ_HRT)) {
				continue;
			}
			for (unsigned i = 0; i < vm->cfg.vcpu_count; i++) {
				if (vm_has_core(first, vm->cfg.cpu[i])) {
					diag_error(&s->diag, vm->conf->cpus.line,
						   "core %u is given to vm '%s' and%s to vm '%s': "
						   "a hard real-time VM owns its cores",
						   vm->cfg.cpu[i], vm->conf->name.s,
						   line_text(s, first), first->conf->name.s);
				}
			}
		}
	}
}

/* A share of a core; dflt when the key is not given or wrong. */
static uint32_t reserve_read(struct sys *s, const char *key, struct conf_text text, uint32_t dflt)
{
	uint32_t ppm = dflt;

	if ((text.s != NULL) && !conf_share(text.s, &ppm)) {
		diag_error(&s->diag, text.line, "%s is '%s': it is a share, 0%% to 100%%", key,
			   text.s);
		return dflt;
	}
	return ppm;
}

/* The sections core N { ... }. */
static void sections_read(struct sys *s, struct core *core)
{
	for (unsigned i = 0; i < s->conf.core_count; i++) {
		const struct conf_core *c = &s->conf.core[i];
		uint64_t n;

		if (!conf_number(c->name.s, &n) || (n >= s->board.m.cpu_count)) {
			diag_error(&s->diag, c->name.line,
				   "there is no core '%s': board %s has 0 to %u", c->name.s,
				   s->board.name, s->board.m.cpu_count - 1);
			continue;
		}
		if (core_is_hard(s, (unsigned)n)) {
			diag_error(&s->diag, c->name.line,
				   "core %s is a hard real-time VM's: it is not shared", c->name.s);
		}
		if (core[n].given) {
			diag_error(&s->diag, c->name.line, "core %s is given twice", c->name.s);
		}
		core[n].given = (c->reserve.s != NULL);
		core[n].reserve = reserve_read(s, "reserve", c->reserve, 0);
	}
}

void cores_read(struct sys *s)
{
	uint32_t reserve = reserve_read(s, "nrt_reserve", s->conf.nrt_reserve, RESERVE_DEFAULT);
	struct core core[KZ_CPUS_MAX] = { { .hard = false } };

	sections_read(s, core);
	cores_place(s, core, reserve);
	hard_check(s);
	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		s->board.m.reserve_ppm[i] = (uint32_t)core_kept(&core[i], reserve);
	}
}

void cores_join(struct sys *s)
{
	struct core core[KZ_CPUS_MAX] = { { .hard = false } };

	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		core[i].given = true;
		core[i].reserve = s->board.m.reserve_ppm[i];
	}
	cores_place(s, core, 0);
	hard_check(s);
}
