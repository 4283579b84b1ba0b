/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kizami/hcall.h>
#include "policy.h"
#include "sched_quick.h"

#define FAR_AWAY	(1ull << 40)
#define START		1000u

static struct {
	struct kz_cfg cfg;
	struct kz_cfg_vm vm[SIM_MAX];
} blob;

static const struct sim_set *current_set;

void sim_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (current_set != NULL) {
		sim_print(current_set);
	}
	exit(1);
}

static struct vcpu *vcpu_of(uint32_t i)
{
	return &machine.vm[i].vcpu[0];
}

static uint32_t index_of(const struct vcpu *v)
{
	return v == NULL ? SIM_NOBODY : v->vm->id;
}

/* ---- A machine with one core, and a VM for each vCPU of the set ---- */

static void configure(const struct sim_set *set)
{
	memset(&blob.cfg, 0, sizeof(blob.cfg));
	blob.cfg.machine.cpu_count = 1;
	blob.cfg.machine.reserve_ppm[0] = set->reserve_ppm;
	blob.cfg.machine.proven = set->proven;
	blob.cfg.machine.block_ns = (uint32_t)(set->block * SIM_TICK_NS);
	blob.cfg.vm_count = set->count;
	machine.cfg = &blob.cfg;
	machine.vm_count = set->count;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct sim_spec *s = &set->spec[i];
		struct kz_cfg_vm *vm = &blob.vm[i];

		vm->level = s->budget != 0 ? KZ_SRT : KZ_NRT;
		vm->vcpu_count = 1;
		vm->server.budget_ns = s->budget * SIM_TICK_NS;
		vm->server.period_ns = s->period * SIM_TICK_NS;
		vm->server.deadline_ns = s->deadline * SIM_TICK_NS;
		vm->server.weight = s->weight;
		vm->server.on_miss = KZ_EVENT_NOTIFY;
		vm->server.on_overrun = i % 2 != 0 ? KZ_EVENT_NOTIFY : KZ_EVENT_COUNT;
	}
}

/* What the core says of the set. */
static bool boot(struct sim_set *set)
{
	bool good;

	host_freeze(START);
	memset(&host.cpu[0].sched, 0, sizeof(host.cpu[0].sched));
	host.cpu[0].vcpu = NULL;
	configure(set);
	for (uint32_t i = 0; i < set->count; i++) {
		struct vm *vm = &machine.vm[i];
		struct vcpu *v = &vm->vcpu[0];

		memset(&v->sched, 0, sizeof(v->sched));
		v->hazard = 0;
		v->state = VCPU_OFF;
		memset(&v->arch, 0, offsetof(struct arch_vcpu, vgic));
		v->away = (struct arch_away){.alarm = NEVER};
		vm->alive = 0;
		vm->arch.inits = 0;
		SIM_CHECK(vm_init(vm, i, &blob.vm[i]) == KZ_OK, "vm_init");
	}
	good = sched_init(&host.cpu[0]);
	SIM_CHECK(set->close || host.cpu[0].sched.strict == set->strict, "the core is%s strict",
		  set->strict ? " not" : "");
	set->strict = host.cpu[0].sched.strict;
	return good;
}

/* ---- Guests ---- */

/* What the guest does next, and when. */
static void draw(struct sim *sim, uint32_t i)
{
	static const uint8_t chances[SIM_KINDS] = {
		[SIM_GOOD] = BIT(SIM_DONE), [SIM_JOBS] = BIT(SIM_DONE),
		[SIM_SLEEPER] = BIT(SIM_SLEEP), [SIM_WAITER] = BIT(SIM_WAIT),
		[SIM_CLOCKWORK] = BIT(SIM_SLEEP), [SIM_LATECOMER] = BIT(SIM_SLEEP),
		[SIM_YIELDER] = BIT(SIM_DONE),
	};
	const struct sim_spec *s = &sim->set->spec[i];
	struct sim_guest *g = &sim->guest[i];
	uint64_t budget = s->budget != 0 ? s->budget : 20;

	if (s->kind == SIM_HOG || (s->kind == SIM_LATECOMER && host.ticks != START)) {
		g->segment = FAR_AWAY;
		return;
	}
	if (s->kind == SIM_MIXED) {
		g->act = (enum sim_act)sim_range(&g->rng, 0, SIM_ACTS - 1);
	} else {
		g->act = (enum sim_act)__builtin_ctz(chances[s->kind]);
	}
	if (s->kind >= SIM_RANDOM_KINDS) {
		g->segment = s->run;
	} else if (s->kind == SIM_GOOD || sim_range(&g->rng, 0, 2) == 0) {
		g->segment = sim_range(&g->rng, 0, 3) == 0 ? budget :
			     sim_range(&g->rng, 1, budget);
	} else {
		g->segment = sim_range(&g->rng, 1, 2 * budget + 1);
	}
}

/* It tells other parameters, within what is promised: they are always granted. */
static void guest_serves(struct sim *sim, uint32_t i)
{
	const struct sim_spec *s = &sim->set->spec[i];
	uint64_t *rng = &sim->guest[i].rng;
	uint64_t period = s->period + sim_range(rng, 0, s->period);
	uint64_t deadline = sim_range(rng, s->deadline, period);
	uint64_t budget = sim_range(rng, 1, s->budget);

	if (sim_range(rng, 0, 1) == 0) {
		budget = s->budget;
		period = s->period;
		deadline = s->deadline;
	}
	SIM_CHECK(sched_serve(vcpu_of(i), budget, period, deadline) == KZ_OK, "%u is not served",
		  i);
	oracle_serve(&sim->oracle, i, budget, period, deadline);
}

static struct vcpu *quick_v;	/* who runs next, after a quick job_done */

static bool called;		/* an interrupt came: sched_next is asked, not the quick way */

static bool is_quick(void)
{
	const struct percpu *cpu = &host.cpu[0];

	return !called && cpu->vcpu != NULL && cpu->sched.current == cpu->vcpu;
}

static void guest_acts(struct sim *sim, uint32_t i)
{
	struct sim_guest *g = &sim->guest[i];
	uint64_t period = sim->set->spec[i].period;
	uint64_t wait = sim_range(&g->rng, 1, period != 0 ? period + period / 2 : 60);
	enum sim_act act = g->act;

	draw(sim, i);
	if (sim->set->spec[i].kind == SIM_MIXED && period != 0 && !sim->set->forced &&
	    sim_range(&g->rng, 0, 3) == 0) {
		guest_serves(sim, i);
	}
	if (act == SIM_DONE) {
		if (is_quick()) {
			quick_v = sched_quick_job_done(vcpu_of(i), host.ticks);
		} else {
			sched_job_done(vcpu_of(i));
		}
		oracle_done(&sim->oracle, i);
		return;
	}
	if (sim->set->spec[i].pause != 0) {
		wait = sim->set->spec[i].pause;
	}
	if (g->pending) {
		g->pending = false;		/* WFI falls through */
		return;
	}
	vcpu_of(i)->away.alarm = act == SIM_SLEEP ? host.ticks + wait : NEVER;
	if (act == SIM_WAIT) {
		g->irq_at = host.ticks + wait;
	}
	sched_block(vcpu_of(i));
	oracle_block(&sim->oracle, i, vcpu_of(i)->away.alarm);
}

/* ---- Interrupts ---- */

/* Of even guests they come by a line of theirs, of odd ones from another core. */
static bool irq_is_masked(uint32_t i)
{
	return i % 2 == 0 && vcpu_of(i)->arch.masked;
}

/* An interrupt has come: it wakes the guest, or its next WFI falls through. */
static void wakes(struct sim *sim, uint32_t i)
{
	called = true;
	sim->guest[i].pending = sim->oracle.ref[i].state != REF_WAIT;
	if (!sim->guest[i].pending) {
		vcpu_of(i)->away.alarm = NEVER;
	}
	oracle_wake(&sim->oracle, i);
}

static void interrupt(struct sim *sim, uint32_t i)
{
	struct sim_guest *g = &sim->guest[i];

	g->irq_at = sim_range(&g->rng, 0, 3) == 0 ? host.ticks + sim_range(&g->rng, 0, 100) : NEVER;
	wakes(sim, i);
	if (i % 2 == 0) {
		sched_wake(vcpu_of(i));
	} else {
		vcpu_hazard(vcpu_of(i), HAZARD_IRQ);
	}
}

/* The guest's own timer, which is the hardware's while its registers are loaded. */
static void alarm_fires(struct sim *sim, uint32_t i)
{
	wakes(sim, i);
	sched_wake(vcpu_of(i));
}

/* A line of i fires while another executes: what that costs is i's. */
static void storm(struct sim *sim, uint32_t i)
{
	struct sim_guest *g = &sim->guest[i];
	uint64_t since = host.ticks;

	sim->storms++;
	g->lines--;
	g->line_at = g->lines != 0 ? since + sim->set->cost + sim_range(&g->rng, 0, 3) : NEVER;
	wakes(sim, i);
	sched_blame(vcpu_of(i), since);
	sched_wake(vcpu_of(i));
	host.ticks += sim->set->cost;
	sim->oracle.loaded = index_of(host.cpu[0].vcpu);
	oracle_blame(&sim->oracle, i, host.ticks);
}

/* It runs: it acknowledges them, and they may fire as soon as it does not. */
static void lines_again(struct sim *sim, uint32_t i)
{
	struct sim_guest *g = &sim->guest[i];

	g->lines = sim->set->spec[i].lines;
	g->line_at = g->lines != 0 ? host.ticks + sim_range(&g->rng, 0, 3) : NEVER;
}

/* ---- The event loop ---- */

enum source { TIMER, ACTION, IRQ, ALARM, LINE, SOURCES };

/* When the source has something for i; NEVER. */
static uint64_t source_at(const struct sim *sim, enum source source, uint32_t i)
{
	const struct sim_guest *g = &sim->guest[i];

	switch (source) {
	case ACTION:
		return sim->oracle.runner == i ? host.ticks + g->segment : NEVER;
	case IRQ:
		return irq_is_masked(i) ? NEVER : g->irq_at;
	case ALARM:
		return host.cpu[0].vcpu == vcpu_of(i) && sim->oracle.ref[i].state == REF_WAIT ?
		       vcpu_of(i)->away.alarm : NEVER;
	case LINE:
		return sim->oracle.runner == i || vcpu_of(i)->arch.masked ? NEVER : g->line_at;
	default:
		return NEVER;
	}
}

#define SETTLED	(NEVER / 2)	/* so many ties that nobody else comes first then */

struct event {
	uint64_t at;
	enum source source;
	uint32_t i;
};

/* The first event; of several at once, a good guest's own act, else any. */
static struct event first_event(const struct sim *sim, uint64_t *rng)
{
	struct event first = {host.timer[0], TIMER, SIM_NOBODY};
	uint64_t ties = 1;

	if (first.at < host.ticks) {
		first.at = host.ticks;
	}
	for (uint32_t i = 0; i < sim->set->count; i++) {
		for (uint32_t s = ACTION; s < SOURCES; s++) {
			uint64_t at = source_at(sim, (enum source)s, i);
			bool good = s == ACTION && sim->set->spec[i].kind == SIM_GOOD;

			if (at == NEVER || (at = at < host.ticks ? host.ticks : at) > first.at) {
				continue;
			}
			ties = good ? SETTLED : at < first.at ? 1 : ties + 1;
			if (good || at < first.at || sim_random(rng) % ties == 0) {
				first = (struct event){at, (enum source)s, i};
			}
		}
	}
	return first;
}

static void handle(struct sim *sim, struct event e)
{
	uint32_t runner = sim->oracle.runner;

	if (runner != SIM_NOBODY && sim->guest[runner].segment < FAR_AWAY) {
		sim->guest[runner].segment -= e.at - host.ticks;
	}
	host.ticks = e.at;
	oracle_pass(&sim->oracle, e.at);
	switch (e.source) {
	case ACTION:
		guest_acts(sim, e.i);
		break;
	case IRQ:
		interrupt(sim, e.i);
		break;
	case ALARM:
		alarm_fires(sim, e.i);
		break;
	case LINE:
		storm(sim, e.i);
		break;
	default:
		break;
	}
}

/* What the vectors do: the quick way, else sched_next. */
static struct vcpu *leave_guest(void)
{
	struct percpu *cpu = &host.cpu[0];
	struct vcpu *old = cpu->vcpu, *v = quick_v;
	bool same = false;

	quick_v = NULL;
	if (v == NULL && is_quick()) {
		v = sched_quick(old, host.ticks, &same);
	}
	called = false;
	if (v == NULL) {
		return sched_next(cpu);
	}
	SIM_CHECK(same == (v == old), "%u goes on", index_of(v));
	if (!same) {
		(void)arch_vcpu_save(old);
		cpu->vcpu = v;
		arch_vcpu_load(v);
	}
	arch_timer_arm(cpu->sched.next);
	return v;
}

/* sched_next, out of which it may sleep: NULL. */
static struct vcpu *next(void)
{
	jmp_buf here;
	int why;

	host.leave = &here;
	why = setjmp(here);
	if (why == HOST_RETURNED) {
		return leave_guest();
	}
	SIM_CHECK(why == HOST_ASLEEP, "at %llu sched_next ends with %d", (ull)host.ticks, why);
	return NULL;
}

static void step(struct sim *sim)
{
	uint32_t before = sim->oracle.runner;
	struct vcpu *v;

	sim->oracle.loaded = index_of(host.cpu[0].vcpu);
	v = next();
	SIM_CHECK(sched_check(&host.cpu[0]), "at %llu sched_check", (ull)host.ticks);
	SIM_CHECK(v == NULL || host.cpu[0].arch.loaded == v, "%u runs with another's registers",
		  index_of(v));
	oracle_settle(&sim->oracle);
	for (uint32_t i = 0; i < sim->set->count; i++) {
		oracle_compare(&sim->oracle, i, vcpu_of(i));
	}
	oracle_chosen(&sim->oracle, index_of(v));
	if (index_of(v) != before) {
		sim->switches++;
		if (before != SIM_NOBODY) {
			lines_again(sim, before);
		}
	}
}

static void start(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->set->count; i++) {
		struct sim_guest *g = &sim->guest[i];

		g->rng = sim->set->seed * SIM_MAX + i;
		g->irq_at = NEVER;
		g->line_at = NEVER;		/* until it has run: then it has switched them on */
		draw(sim, i);
		vm_start(&machine.vm[i]);
		vcpu_of(i)->sched.notify = KZ_NOTIFY_MISS | KZ_NOTIFY_OVERRUN;
		oracle_start(&sim->oracle, i);
	}
	step(sim);
}

bool sim_accepted(struct sim_set *set)
{
	current_set = set;
	return boot(set);
}

void sim_run(struct sim *sim, struct sim_set *set)
{
	uint64_t rng = ~set->seed, idle = 0;

	current_set = set;
	memset(sim, 0, sizeof(*sim));
	sim->set = set;
	SIM_CHECK(boot(set), "a set that was proven is refused");
	oracle_init(&sim->oracle, set);
	sim->oracle.guard = host.cpu[0].sched.guard;
	SIM_CHECK(set->strict || (double)sim->oracle.guard * (1.0 - sim_density(set)) >
		  (double)set->blocking - 0.1, "the guard is %llu ticks only",
		  (ull)sim->oracle.guard);
	start(sim);
	for (;;) {
		struct event e = first_event(sim, &rng);

		if (e.at - START > set->horizon || sim->oracle.first_late != NEVER) {
			break;
		}
		idle = e.at == host.ticks ? idle + 1 : 0;
		SIM_CHECK(idle < 100, "at %llu time stands still", (ull)e.at);
		handle(sim, e);
		step(sim);
	}
	for (uint32_t i = 0; i < set->count; i++) {
		sim->jobs += sim->oracle.ref[i].jobs;
		sim->misses += sim->oracle.ref[i].misses;
		oracle_end(&sim->oracle, i, vcpu_of(i));
	}
}
