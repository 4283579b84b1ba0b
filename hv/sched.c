/* SPDX-License-Identifier: Apache-2.0 */
#include "sched.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "policy.h"
#include "sched_pick.h"
#include "sched_poll.h"
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
		place(c, v);
		wake_fair(c, v);
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

/*
 * v, which is in no set, wants to run from now on: what it missed until now nobody owes it. Within
 * its period it has what is left of its budget: who was off or paused has not slept.
 */
static COLD void go(struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;
	bool same = c->since - s->server.release < s->server.period;

	s->wanted = c->since;
	if (!has_server(v)) {
		mask(v, false);
		place(c, v);
		make_ready(v, READY_START);
	} else if (same && s->was_done) {
		mask(v, false);
		s->state = SCHED_DONE;
		set_event(v, s->server.release + s->server.period);
	} else if (same) {
		s->state = SCHED_BLOCKED;
		sched_wake(v);
	} else {
		server_release(&s->server, s->wanted);
		if (s->was_done) {
			policy_released(v);
		}
		begin_job(v);
	}
	s->was_done = false;
}

/* Its server begins, as server_set said; the last one may have spent of its budget already. */
static COLD void serve(struct vcpu *v)
{
	struct server *s = &v->sched.server;
	uint64_t now = v->cpu->sched.since, last = v->sched.spent.release;

	server_renew(s);
	s->release = now - last < v->sched.spent.period ? last : now - s->period;
	s->due = s->release + s->deadline;
	s->left = v->sched.spent.left;
	if (s->left > (int64_t)s->budget) {
		s->left = (int64_t)s->budget;
	}
	go(v);
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
	serve(v);
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

static void expire_all(struct percpu *cpu, uint64_t now)
{
	struct sched_core *c = &cpu->sched;

	if (now >= c->poll) {
		poll_due(cpu, now);
	}
	for (uint32_t set = c->timed; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (now >= v->sched.event) {
			expire(v, now);
		}
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
	if (has_server(v)) {
		s->spent.release = s->server.release;
		s->spent.period = s->server.period;
		s->spent.left = s->server.left;
	}
	s->server = (struct server){ 0 };
	s->was_done = false;
	s->notify = 0;
	s->page = NULL;
	if (cpu->sched.guilty == v) {
		cpu->sched.guilty = NULL;
	}
	if (v->state == VCPU_RUNNING) {
		core_load(cpu, v);
		arch_vcpu_freeze(v);
		cpu->vcpu = NULL;
	}
	vcpu_off(v);
	(void)arch_cpu_poll();		/* it was long: more may go, or another start */
}

/* Its core was another vCPU's alone until now. */
static COLD void share(struct percpu *cpu)
{
	cpu->sched.shared = true;
	for (uint32_t set = cpu->sched.members; set != 0; set &= set - 1) {
		arch_vcpu_share(slot_of(&cpu->sched, set));
	}
}

static COLD void start(struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;
	const struct server *p = &s->promised;

	if (!c->shared && (!sched_is_alone(c) || server_is(p))) {
		share(v->cpu);
	}
	charge_now(c);
	s->tick_ns = ticks_fraction(NS_PER_S, arch_ticks_hz());
	if (server_is(p)) {
		server_set(&s->server, p->budget, p->period, p->deadline);
		serve(v);
	} else {
		go(v);
	}
}

/* Out of its core's sets, with its registers where they are; an HRT core waits here. */
static COLD void pause(struct vcpu *v)
{
	if (v->sched.state == SCHED_PAUSED || v->sched.state == SCHED_OFF) {
		return;			/* it starts when its VM goes on */
	}
	charge_now(&v->cpu->sched);
	trace_of(v, KZ_TRACE_BLOCK);
	if (v->state == VCPU_RUNNING) {
		arch_vcpu_freeze(v);
		if (v->vm->cfg->level == KZ_HRT) {
			return;		/* it stays there: nobody else wants its core */
		}
	}
	take_out(v);
	v->sched.was_done = v->sched.state == SCHED_DONE;
	v->sched.state = SCHED_PAUSED;
	set_event(v, NEVER);
	mask(v, true);
}

/* What others left for v. */
static COLD void attend(struct percpu *cpu, struct vcpu *v)
{
	uint32_t hazard = __atomic_load_n(&v->hazard, __ATOMIC_ACQUIRE);
	enum vcpu_state state = __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);

	if (state == VCPU_OFF || v->cpu != cpu) {
		return;			/* or another VM is in its place, elsewhere */
	}
	if ((hazard & (HAZARD_STOP | HAZARD_OFF)) != 0) {
		retire(cpu, v);
	} else if ((hazard & HAZARD_PAUSE) != 0) {
		pause(v);
	} else if (v->sched.state == SCHED_PAUSED) {
		charge_now(&cpu->sched);
		go(v);
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
		if (UNLIKELY((set & SCHED_LOOK) != 0)) {
			set &= ~SCHED_LOOK;
			c->watch = 0;		/* it is due */
			poll_due(cpu, c->since);
			c->next = min_u64(c->next, c->poll);
		}
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
		expire_all(cpu, c->since);
	}
	attend_all(cpu);
	if (UNLIKELY(c->console) && c->edf == 0) {
		poll_console(c);
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
		if (c->current != v || c->inbox != 0) {
			return NULL;		/* v itself had no more; or somebody is told that */
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
		if (UNLIKELY((hazard & (HAZARD_STOP | HAZARD_OFF)) != 0)) {
			retire(cpu, v);
			v = NULL;
		} else if (UNLIKELY((hazard & HAZARD_PAUSE) != 0)) {
			__atomic_fetch_or(&v->hazard, hazard, __ATOMIC_RELAXED);
			pause(v);
			v = NULL;
		} else if (UNLIKELY((hazard & HAZARD_SCHED) != 0 && cpu->sched.inbox != 0)) {
			/* its own start wants the core's attention: its watchdog runs */
			__atomic_fetch_or(&v->hazard, hazard & ~HAZARD_SCHED, __ATOMIC_RELAXED);
			v = NULL;
		}
	} while (v == NULL);
	if ((hazard & HAZARD_IRQ) != 0) {
		arch_vcpu_sync(v);
	}
	return v;
}

static void post(struct percpu *cpu, uint32_t bit)
{
	__atomic_fetch_or(&cpu->sched.inbox, bit, __ATOMIC_RELEASE);
	if (cpu != arch_this_cpu()) {
		arch_cpu_kick(cpu->id);
	} else if (cpu->vcpu != NULL) {
		__atomic_fetch_or(&cpu->vcpu->hazard, HAZARD_SCHED, __ATOMIC_RELAXED);
	}
}

void sched_post(struct vcpu *v)
{
	post(v->cpu, v->sched.bit);
}

void sched_look(struct percpu *cpu)
{
	post(cpu, SCHED_LOOK);
}

bool sched_check(const struct percpu *cpu)
{
	const struct sched_core *c = &cpu->sched;
	bool good = (c->edf & c->fair) == 0 && ((c->edf | c->fair | c->timed) & ~c->members) == 0;

	for (uint32_t set = c->members; set != 0; set &= set - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(set);
		const struct sched *s = &c->slot[i]->sched;
		bool server = server_is(&s->server);
		bool ready = s->state == SCHED_READY;

		good &= s->bit == BIT(i);
		good &= ((c->edf & s->bit) != 0) == (ready && server);
		good &= ((c->fair & s->bit) != 0) == (ready && !server);
		good &= (c->timed & s->bit) == 0 || s->event != NEVER;
		good &= (c->timed & s->bit) == 0 || !(ready && !server);
		good &= !ready || !server || s->server.left > 0;
		good &= s->state != SCHED_THROTTLED || (c->timed & s->bit) != 0;
		good &= !server || (s->server.left <= (int64_t)s->server.budget &&
				    s->server.due == s->server.release + s->server.deadline);
	}
	return good && (c->current == NULL || c->current->sched.state == SCHED_READY);
}
