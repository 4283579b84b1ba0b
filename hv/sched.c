/* SPDX-License-Identifier: Apache-2.0 */
#include "sched.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "console.h"
#include "policy.h"

#define NS_PER_S	1000000000ull

/* ---- Sets and events ---- */

/* The first of the set, which is not empty. */
static inline struct vcpu *slot_of(const struct sched_core *c, uint32_t set)
{
	return c->slot[(uint32_t)__builtin_ctz(set)];
}

static inline bool has_server(const struct vcpu *v)
{
	return server_is(&v->sched.server);
}

static void set_event(struct vcpu *v, uint64_t at)
{
	struct sched_core *c = &v->cpu->sched;

	v->sched.event = at;
	c->next = min_u64(c->next, at);
	c->timed = at != NEVER ? c->timed | v->sched.bit : c->timed & ~v->sched.bit;
}

/* While a job is not done: its deadline, then its period's end. */
static inline uint64_t job_event(const struct server *s)
{
	return s->told ? s->release + s->period : s->due;
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

static void make_ready(struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;

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
static void make_throttled(struct vcpu *v)
{
	take_out(v);
	v->sched.state = SCHED_THROTTLED;
	set_event(v, job_event(&v->sched.server));
	mask(v, true);
}

/* A period has begun for v, which wants to run. */
static void begin_job(struct vcpu *v)
{
	v->sched.jobs++;
	if (v->sched.server.left > 0) {
		mask(v, false);
		make_ready(v);
	} else {
		make_throttled(v);
	}
}

/* ---- Charging ---- */

/* vtime counts in 2^-8 ticks: with a large weight, a short turn is not for nothing. */
#define VTIME_SHIFT	8

static inline int64_t vslice(const struct sched_core *c)
{
	return (int64_t)(c->slice << VTIME_SHIFT);
}

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

static ALWAYS_INLINE void spend(struct vcpu *v, uint64_t ticks, uint64_t now)
{
	struct sched *s = &v->sched;

	s->executed += ticks;
	if (!has_server(v)) {
		s->vtime += ticks_scale(ticks << VTIME_SHIFT, s->rate);
		return;
	}
	s->server.left -= (int64_t)ticks;
	if (UNLIKELY(s->server.left <= 0)) {
		spent(v, now);
	}
}

static ALWAYS_INLINE void charge(struct sched_core *c, uint64_t now)
{
	struct vcpu *v = c->guilty != NULL ? c->guilty : c->current;
	uint64_t ran = now - c->since;

	c->since = now;
	if (v != NULL) {
		spend(v, ran, now);
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

/* Nobody who is ready is behind it. Bound: SCHED_SLOTS. */
static inline void raise_vmin(struct sched_core *c)
{
	uint64_t least = c->vmin;
	bool first = true;

	for (uint32_t set = c->fair; set != 0; set &= set - 1) {
		uint64_t vtime = slot_of(c, set)->sched.vtime;

		if (first || (int64_t)(vtime - least) < 0) {
			least = vtime;
			first = false;
		}
	}
	if ((int64_t)(least - c->vmin) > 0) {
		c->vmin = least;
	}
}

/*
 * A sleeper is at most two slices ahead of the others, and eight behind. A hog that
 * was alone was not looked at for as long as it was; the caller has charged it.
 */
static inline void place(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	int64_t ahead;

	raise_vmin(c);
	ahead = (int64_t)(v->sched.vtime - c->vmin);

	if (ahead < -2 * vslice(c)) {
		v->sched.vtime = c->vmin - 2 * (uint64_t)vslice(c);
	} else if (ahead > 8 * vslice(c)) {
		v->sched.vtime = c->vmin + 8 * (uint64_t)vslice(c);
	}
}

/* Who executes without a server goes on only if nobody is behind it. */
static inline void end_turn(struct sched_core *c)
{
	struct vcpu *v = c->current;

	if (v != NULL && (c->fair & v->sched.bit) != 0) {
		v->sched.wanted = c->since;
		c->current = NULL;
	}
}

/* Its period is not over, but its deadline is too near to be kept. */
static inline bool too_late(const struct vcpu *v, uint64_t now)
{
	const struct server *s = &v->sched.server;

	if (now - s->release >= s->period || now + v->cpu->sched.guard < s->due) {
		return false;
	}
	/* with deadline = period, what is too much for the rest begins a new period */
	return s->deadline < s->period || now >= s->due ||
	       s->left <= (int64_t)ticks_scale(s->due - now, s->density);
}

/* v, which has no server, waits no more. */
static ALWAYS_INLINE void wake_fair(struct sched_core *c, struct vcpu *v)
{
	v->sched.wanted = c->since;
	place(v);
	v->sched.state = SCHED_READY;
	v->sched.event = NEVER;
	c->timed &= ~v->sched.bit;
	c->fair |= v->sched.bit;
	end_turn(c);
}

void sched_wake(struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct sched_core *c = &v->cpu->sched;
	uint64_t release = s->server.release;

	if (s->state != SCHED_BLOCKED) {
		return;
	}
	charge(c, arch_ticks());	/* what it wanted before the next charge is not stolen */
	s->wanted = c->since;
	if (!has_server(v)) {
		wake_fair(c, v);
	} else if (!too_late(v, c->since) && server_wake(&s->server, c->since)) {
		s->jobs += s->server.release != release;
		mask(v, false);
		make_ready(v);
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
	take_out(v);
	v->sched.state = SCHED_BLOCKED;
	if (c->strict && server->left > 0) {
		server->left = 0;
	}
	/* its timers are the hardware's as long as it is loaded: core_load */
	set_event(v, v->sched.masked ? server->release + server->period : NEVER);
}

/* v is behind all `others`, of which there are some. Returns the first of them. */
static ALWAYS_INLINE struct vcpu *give_way(struct sched_core *c, struct vcpu *v, uint32_t others)
{
	struct vcpu *best = slot_of(c, others);
	uint64_t last = best->sched.vtime;

	while (UNLIKELY((others &= others - 1) != 0)) {
		struct vcpu *o = slot_of(c, others);

		if ((int64_t)(o->sched.vtime - best->sched.vtime) < 0) {
			best = o;
		} else if ((int64_t)(o->sched.vtime - last) > 0) {
			last = o->sched.vtime;
		}
	}
	if ((int64_t)(v->sched.vtime - last) <= 0) {
		v->sched.vtime = last + 1;
	}
	return best;
}

void sched_job_done(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	struct sched *s = &v->sched;

	charge(c, arch_ticks());
	if (has_server(v)) {
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
		c->poll = console_poll(now);
		c->since = arch_ticks();		/* nobody's time */
	}
	for (uint32_t set = c->timed; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (now >= v->sched.event) {
			expire(v, now);
		}
	}
}

/* ---- Choosing ---- */

static ALWAYS_INLINE struct vcpu *pick_edf(const struct sched_core *c)
{
	struct vcpu *best = c->current;

	if (best == NULL || (c->edf & best->sched.bit) == 0) {
		best = slot_of(c, c->edf);
	}
	for (uint32_t set = c->edf; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (v->sched.server.due < best->sched.server.due) {
			best = v;
		}
	}
	return best;
}

/* Who is furthest behind; the current one goes on until another is a slice behind it. */
static ALWAYS_INLINE struct vcpu *pick_fair(struct sched_core *c)
{
	struct vcpu *best = slot_of(c, c->fair);

	for (uint32_t set = c->fair; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if ((int64_t)(v->sched.vtime - best->sched.vtime) < 0) {
			best = v;
		}
	}
	if ((int64_t)(best->sched.vtime - c->vmin) > 0) {
		c->vmin = best->sched.vtime;
	}
	if (c->current != NULL && (c->fair & c->current->sched.bit) != 0 &&
	    (int64_t)(c->current->sched.vtime - best->sched.vtime) < vslice(c)) {
		best = c->current;
	}
	return best;
}

/* When to look again: at the first event, or at `at`. */
static ALWAYS_INLINE void look_again(struct sched_core *c, uint64_t at)
{
	at = min_u64(at, c->poll);
	for (uint32_t set = c->timed; UNLIKELY(set != 0); set &= set - 1) {
		at = min_u64(at, slot_of(c, set)->sched.event);
	}
	c->next = at;
}

/* When the budget or the turn of `v` is over. */
static ALWAYS_INLINE uint64_t turn_end(const struct sched_core *c, const struct vcpu *v)
{
	return has_server(v) ? c->since + (uint64_t)v->sched.server.left :
	       (c->fair & ~v->sched.bit) != 0 ? c->since + c->slice : NEVER;
}

/* v executes from now on: what it waited is stolen. */
static ALWAYS_INLINE void dispatch(struct sched_core *c, struct vcpu *v)
{
	struct sched *s = &v->sched;

	s->stolen += c->since - s->wanted;
	if (s->page != NULL) {
		__atomic_store_n(s->page, ticks_scale(s->stolen, s->tick_ns), __ATOMIC_RELAXED);
	}
	c->current = v;
}

static ALWAYS_INLINE struct vcpu *choose(struct sched_core *c)
{
	struct vcpu *old = c->current;
	struct vcpu *v = c->edf != 0 ? pick_edf(c) : c->fair != 0 ? pick_fair(c) : NULL;

	if (v != old) {
		if (old != NULL) {
			old->sched.wanted = c->since;
		}
		c->current = NULL;
		if (v != NULL) {
			dispatch(c, v);
		}
	}
	return v;
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
		place(v);
		make_ready(v);
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

/* ---- The quick ways: nothing is called, no loop has more than SCHED_SLOTS turns ---- */

/* v executes next: can it at once? */
static ALWAYS_INLINE bool is_clear(const struct vcpu *v)
{
	return LIKELY(v->state == VCPU_RUNNING) && LIKELY(v->hazard == 0);
}

/* v, which waits, wakes up; false: that is not done here. */
static ALWAYS_INLINE bool quick_wake(struct sched_core *c, struct vcpu *v)
{
	struct sched *s = &v->sched;
	struct server *server = &s->server;
	uint64_t release = server->release;

	if (!has_server(v)) {
		wake_fair(c, v);
		return true;
	}
	/* With nothing overdrawn a new period has a budget: false means that nothing began. */
	if (UNLIKELY(s->masked || server->left < 0 || server->next.period != 0 ||
		     too_late(v, c->since) || !server_wake(server, c->since))) {
		return false;
	}
	s->jobs += server->release != release;
	s->wanted = c->since;
	s->state = SCHED_READY;
	s->event = job_event(server);
	c->edf |= s->bit;
	return true;
}

/* Whose timer is due wakes up. False: something else is due. */
static ALWAYS_INLINE bool quick_expire(struct sched_core *c, uint64_t now)
{
	for (uint32_t set = c->timed; set != 0; set &= set - 1) {
		struct vcpu *v = slot_of(c, set);

		if (now >= v->sched.event &&
		    (v->sched.state != SCHED_BLOCKED || !quick_wake(c, v))) {
			return false;
		}
	}
	return true;
}

static NOINLINE struct vcpu *slow_job_done(struct vcpu *v)
{
	sched_job_done(v);
	return NULL;
}

struct vcpu *sched_quick(struct vcpu *v, uint64_t now)
{
	struct sched_core *c = &v->cpu->sched;
	struct sched *s = &v->sched;
	uint64_t ran = now - c->since;

	if (UNLIKELY(c->current != v || c->guilty != NULL || c->inbox != 0 || now >= c->poll ||
		     (has_server(v) && s->server.left <= (int64_t)ran))) {
		return NULL;
	}
	spend(v, ran, now);
	c->since = now;
	if (now >= c->next && !quick_expire(c, now)) {
		return NULL;
	}
	v = choose(c);
	if (UNLIKELY(v == NULL || !is_clear(v))) {
		return NULL;
	}
	look_again(c, turn_end(c, v));
	return v;
}

struct vcpu *sched_quick_job_done(struct vcpu *v, uint64_t now)
{
	struct sched_core *c = &v->cpu->sched;
	uint32_t others = c->fair & ~v->sched.bit;
	uint64_t ran = now - c->since;

	if (UNLIKELY(has_server(v) || others == 0 || c->inbox != 0 || now >= c->next)) {
		return slow_job_done(v);
	}
	spend(v, ran, now);
	c->since = now;
	v->sched.wanted = now;
	v = give_way(c, v, others);
	dispatch(c, v);
	look_again(c, now + c->slice);
	return is_clear(v) ? v : NULL;
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
