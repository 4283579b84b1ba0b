/* SPDX-License-Identifier: Apache-2.0 */
#include "sched.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "console.h"
#include "policy.h"
#include "sched_pick.h"
#include "trace.h"

#define NS_PER_S	1000000000ull

enum { READY_IRQ, READY_BUDGET, READY_START };	/* KZ_TRACE_READY */

/* ---- Sets and events ---- */

static void set_event(struct vcpu *v, uint64_t at)
{
	struct sched_core *c = &v->cpu->sched;

	v->sched.event = at;
	c->next = min_u64(c->next, at);
	c->timed = at != NEVER ? c->timed | v->sched.bit : c->timed & ~v->sched.bit;
}

static void take_out(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;

	c->edf &= ~v->sched.bit;
	c->fair &= ~v->sched.bit;
	if (c->current == v) {
		c->current = NULL;
	}
}

/* Lines of v fire, or wait until it has a budget again. */
static void mask(struct vcpu *v, bool masked)
{
	if (v->sched.masked != masked) {
		v->sched.masked = masked;
		arch_vcpu_mask(v, masked);
	}
}

static void make_ready(struct vcpu *v, uint32_t why)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;

	trace_of(v, KZ_TRACE_READY | TRACE_ARG(why));
	s->state = SCHED_READY;
	if (has_server(v)) {
		c->edf |= s->bit;
		set_event(v, job_event(&s->server));
	} else {
		c->fair |= s->bit;
		set_event(v, NEVER);
	}
}

/* Its budget is used up: nothing until the period ends, but its deadline is still watched. */
static COLD void make_throttled(struct vcpu *v)
{
	trace_of(v, KZ_TRACE_THROTTLE);
	take_out(v);
	v->sched.state = SCHED_THROTTLED;
	set_event(v, job_event(&v->sched.server));
	mask(v, true);
}

/* A period has begun for v, which wants to run. */
static void begin_job(struct vcpu *v)
{
	v->sched.jobs++;
	trace_of(v, trace_release(v));
	if (v->sched.server.left > 0) {
		mask(v, false);
		make_ready(v, READY_BUDGET);
	} else {
		make_throttled(v);
	}
}

/* ---- Charging ---- */

/* The budget of v is used up. */
static COLD void spent(struct vcpu *v, uint64_t now)
{
	struct sched *s = &v->sched;

	if (s->state == SCHED_READY) {
		make_throttled(v);
		s->wanted = now;
		s->overruns++;
		s->last_overrun = now;
		policy_event(v, KZ_NOTIFY_OVERRUN);
	}
	mask(v, true);
	if (s->state == SCHED_BLOCKED) {	/* at the period's end its lines fire again */
		set_event(v, min_u64(s->event, s->server.release + s->server.period));
	}
}

/* Whose time it was, up to now; what follows from that, if its budget is used up, charge does. */
static ALWAYS_INLINE struct vcpu *charge_only(struct sched_core *c, uint64_t now)
{
	struct vcpu *v = c->guilty != NULL ? c->guilty : c->current;
	uint64_t ran = now - c->since;

	c->since = now;
	return v == NULL || spend(v, ran) ? NULL : v;
}

static ALWAYS_INLINE void charge(struct sched_core *c, uint64_t now)
{
	struct vcpu *v = charge_only(c, now);

	if (v != NULL) {
		spent(v, now);
	}
}

/* The same where instructions are not counted. */
static COLD void charge_now(struct sched_core *c)
{
	charge(c, arch_ticks());
}

void sched_blame(struct vcpu *v, uint64_t since)
{
	struct sched_core *c = &v->cpu->sched;

	charge(c, since);
	c->guilty = v;
}

/* ---- What vCPUs do ---- */

void sched_wake(struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;
	uint64_t release = s->server.release;

	if (s->state != SCHED_BLOCKED) {
		return;
	}
	/* What it wanted before the next charge is not stolen. Locks may be held: no more here. */
	(void)charge_only(c, arch_ticks());
	s->wanted = c->since;
	if (!has_server(v)) {
		trace_of(v, KZ_TRACE_READY);
		(void)wake_fair(c, v, c->since);
		end_turn(c);
	} else if (!too_late(v, c->since) && server_wake(&s->server, c->since)) {
		if (s->server.release != release) {
			s->jobs++;
			trace_of(v, trace_release(v));
		}
		mask(v, false);
		make_ready(v, READY_IRQ);
	} else {
		s->server.told |= too_late(v, c->since);	/* it waited: not unfinished */
		make_throttled(v);
	}
}

void sched_block(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	struct server *server = &v->sched.server;

	charge(c, arch_ticks());
	trace_of(v, KZ_TRACE_BLOCK);
	take_out(v);
	v->sched.state = SCHED_BLOCKED;
	if (c->strict && server->left > 0) {
		server->left = 0;
	}
	/* its timers are the hardware's as long as it is loaded: core_load */
	set_event(v, v->sched.masked ? server->release + server->period : NEVER);
}

void sched_job_done(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	struct sched *s = &v->sched;

	charge(c, arch_ticks());
	if (has_server(v)) {
		trace_of(v, KZ_TRACE_DONE);
		take_out(v);
		s->state = SCHED_DONE;
		set_event(v, s->server.release + s->server.period);
		return;
	}
	if ((c->fair & ~s->bit) != 0) {
		(void)give_way(c, v, c->fair & ~s->bit);
	}
	end_turn(c);			/* without the advantage of the one that runs */
}

bool sched_account(struct vcpu *v)
{
	charge_now(&v->cpu->sched);
	return v->sched.state == SCHED_READY;
}

COLD void sched_serve_first(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;

	charge_now(c);
	take_out(v);
	v->sched.wanted = c->since;
	server_release(&v->sched.server, c->since);
	begin_job(v);
	c->shared = true;			/* from here on its WFI is ours */
}

/* ---- What the clock does ---- */

static COLD void miss(struct vcpu *v)
{
	struct sched *s = &v->sched;

	trace_of(v, KZ_TRACE_MISS | TRACE_VALUE(trace_ticks(s->server.left > 0 ?
							    (uint64_t)s->server.left : 0)));
	s->server.told = true;
	s->misses++;
	s->late += s->server.left > 0;
	s->last_miss = s->server.due;
	policy_event(v, KZ_NOTIFY_MISS);
}

/* An event of v is due. */
static COLD void expire(struct vcpu *v, uint64_t now)
{
	struct sched *s = &v->sched;
	struct server *server = &s->server;

	if (s->state == SCHED_BLOCKED) {
		sched_wake(v);
		return;
	}
	if (s->state != SCHED_DONE && !server->told && now - server->release >= server->deadline) {
		miss(v);
	}
	if (now - server->release < server->period) {
		set_event(v, job_event(server));
		return;
	}
	server_next(server, now);
	if (s->state == SCHED_DONE) {
		s->wanted = server->release;
		policy_released(v);
	}
	begin_job(v);
}

static void expire_all(struct sched_core *c, uint64_t now)
{
	if (now >= c->poll) {
		c->poll = NEVER;
		c->console = true;
	}
	for (uint32_t set = c->timed; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (now >= v->sched.event) {
			expire(v, now);
		}
	}
}

/* ---- The console ---- */

/* Its next turn: not at once, or who prints a lot takes the core from those without a server. */
static void console_next(struct sched_core *c)
{
	uint64_t at = min_u64(c->rings, c->asked);
	uint64_t least = c->served + c->slice / 2;

	if (at != NEVER && !c->console) {
		c->poll = at > least ? at : least;
		c->next = min_u64(c->next, c->poll);
	}
}

void sched_console(struct percpu *cpu)
{
	struct sched_core *c = &cpu->sched;

	c->asked = min_u64(c->asked, arch_ticks());
	console_next(c);
}

/*
 * Its turn, one masked stretch: the rings, or the UART, whichever was due first. A server that
 * becomes ready meanwhile waits for that one only, as it was proven.
 */
static COLD void console_turn(struct sched_core *c)
{
	uint64_t begun = c->since;

	c->console = false;
	c->served = begun;
	if (c->asked < c->rings) {
		c->asked = NEVER;
		console_uart();
	} else {
		c->rings = console_poll(begun);
	}
	console_next(c);
	c->since = arch_ticks();		/* nobody's time: stolen from who goes on */
	if (c->current != NULL) {
		c->current->sched.stolen += c->since - begun;
	}
}

/* ---- The core ---- */

/* v's registers are the core's; if it never ran, they are reset. */
static void core_load(struct percpu *cpu, struct vcpu *v)
{
	struct vcpu *old = cpu->vcpu;

	if (old == v) {
		return;
	}
	if (old != NULL) {
		uint64_t alarm = arch_vcpu_save(old);

		if (old->sched.state == SCHED_BLOCKED) {
			set_event(old, min_u64(old->sched.event, alarm));
		}
	}
	cpu->vcpu = v;
	if (v->state == VCPU_READY) {
		vcpu_reset(v);
	} else {
		arch_vcpu_load(v);
	}
}

/* Its VM stops, or it switches itself off. */
static COLD void retire(struct percpu *cpu, struct vcpu *v)
{
	struct sched *s = &v->sched;

	take_out(v);
	s->state = SCHED_OFF;
	set_event(v, NEVER);
	mask(v, false);
	s->server = (struct server){ 0 };
	s->notify = 0;
	s->page = NULL;
	if (cpu->sched.guilty == v) {
		cpu->sched.guilty = NULL;
	}
	if (v->state == VCPU_RUNNING) {
		core_load(cpu, v);
		cpu->vcpu = NULL;
	}
	vcpu_off(v);
}

static COLD void start(struct vcpu *v)
{
	struct sched *s = &v->sched;
	const struct server *p = &s->promised;

	charge(&v->cpu->sched, arch_ticks());
	s->wanted = v->cpu->sched.since;
	s->tick_ns = ticks_fraction(NS_PER_S, arch_ticks_hz());
	if (server_is(p)) {
		server_set(&s->server, p->budget, p->period, p->deadline);
		server_release(&s->server, s->wanted);
		begin_job(v);
	} else {
		(void)place(&v->cpu->sched, v);
		make_ready(v, READY_START);
	}
}

/* What others left for v. */
static COLD void attend(struct percpu *cpu, struct vcpu *v)
{
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);
	enum vcpu_state state = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);

	if (state == VCPU_OFF) {
		return;
	}
	if ((hazard & (HAZARD_STOP | HAZARD_OFF)) != 0) {
		retire(cpu, v);
	} else if (v->sched.state == SCHED_OFF) {
		start(v);
	} else if ((hazard & HAZARD_IRQ) != 0) {
		sched_wake(v);
	}
}

/* Bound: SCHED_SLOTS, and a turn more for each VM that starts again here. */
static void attend_all(struct percpu *cpu)
{
	struct sched_core *c = &cpu->sched;
	uint32_t set;

	while (__atomic_load_n(&c->inbox, __ATOMIC_RELAXED) != 0) {
		set = __atomic_exchange_n(&c->inbox, 0, __ATOMIC_ACQUIRE);
		for (; set != 0; set &= set - 1) {
			attend(cpu, slot_of(c, set));
		}
	}
}

/* One turn: who runs, or NULL if there is something to be done first. */
static struct vcpu *turn(struct percpu *cpu)
{
	struct sched_core *c = &cpu->sched;
	struct vcpu *v;

	charge(c, arch_ticks());
	if (c->since >= c->next) {
		expire_all(c, c->since);
	}
	attend_all(cpu);
	if (UNLIKELY(c->console) && c->edf == 0) {
		console_turn(c);
		(void)arch_cpu_poll();
		return NULL;		/* who has got input, what is due by now */
	}
	v = choose(c);
	if (v != NULL && (v->state == VCPU_RUNNING || !v->vm->fresh)) {
		core_load(cpu, v);
	}
	if (c->guilty != NULL) {
		charge(c, arch_ticks());
		c->guilty = NULL;
		if (c->current != v) {
			return NULL;		/* it was v itself that had no more */
		}
	}
	look_again(c, v != NULL ? turn_end(c, v) : NEVER);
	arch_timer_arm(c->next);
	if (v == NULL) {
		trace_now(cpu, KZ_TRACE_IDLE);
		arch_cpu_wait();
	} else if (v->state == VCPU_READY) {
		vm_load(v->vm);
		v = NULL;
	}
	return v;
}

struct vcpu *sched_next(struct percpu *cpu)
{
	struct vcpu *v;
	uint32_t hazard;

	/* Bound: none; without work the core sleeps in it. */
	do {
		v = turn(cpu);
		hazard = v == NULL || v->hazard == 0 ? 0 :
			 __atomic_exchange_n(&v->hazard, 0, __ATOMIC_ACQUIRE);
		if ((hazard & (HAZARD_STOP | HAZARD_OFF)) != 0) {
			retire(cpu, v);
			v = NULL;
		}
	} while (v == NULL);
	if ((hazard & HAZARD_IRQ) != 0) {
		arch_vcpu_sync(v);
	}
	return v;
}

void sched_post(struct vcpu *v)
{
	__atomic_fetch_or(&v->cpu->sched.inbox, v->sched.bit, __ATOMIC_RELEASE);
	if (v->cpu != arch_this_cpu()) {
		arch_cpu_kick(v->cpu->id);
	} else if (v->cpu->vcpu != NULL) {
		__atomic_fetch_or(&v->cpu->vcpu->hazard, HAZARD_SCHED, __ATOMIC_RELAXED);
	}
}

bool sched_check(const struct percpu *cpu)
{
	const struct sched_core *c = &cpu->sched;
	bool good = (c->edf & c->fair) == 0 && (c->edf | c->fair | c->timed) >> c->count == 0;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct sched *s = &c->slot[i]->sched;
		bool server = server_is(&s->server);
		bool ready = s->state == SCHED_READY;

		good &= s->bit == BIT(i);
		good &= ((c->edf & s->bit) != 0) == (ready && server);
		good &= ((c->fair & s->bit) != 0) == (ready && !server);
		good &= ((c->timed & s->bit) != 0) == (s->event != NEVER);
		good &= !ready || !server || s->server.left > 0;
		good &= s->state != SCHED_THROTTLED || s->event != NEVER;
		good &= !server || (s->server.left <= (int64_t)s->server.budget &&
				    s->server.due == s->server.release + s->server.deadline);
	}
	return good && (c->current == NULL || c->current->sched.state == SCHED_READY);
}
