/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers are promised of a core. Each vCPU of it has a claim, the most that it may come to
 * take; who adds one, or makes one greater, does so under the core's lock, by the sufficient test.
 * A claim becomes smaller when its own core looks at it again.
 */
#include "arch.h"
#include "policy.h"

#define SLICES_PER_S	1000u

/* budget / deadline, rounded up: what a server takes of a core in the sufficient test. */
static uint64_t density_of(uint64_t budget, uint64_t deadline)
{
	return deadline == 0 ? 0 : ticks_fraction(budget, deadline) + 1;
}

static void claim_add(struct claim *c, uint64_t budget, uint64_t deadline)
{
	uint64_t density = density_of(budget, deadline);

	c->density = density > c->density ? density : c->density;
	c->deadline = density != 0 ? min_u64(c->deadline, deadline) : c->deadline;
}

/* What v was promised, has, and shall have next. Its own core, or before it runs. */
static struct claim claim_of(const struct vcpu *v)
{
	const struct sched *s = &v->sched;
	struct claim c = { 0, NEVER };

	claim_add(&c, s->promised.budget, s->promised.deadline);
	claim_add(&c, s->server.budget, s->server.deadline);
	claim_add(&c, s->server.next.budget, s->server.next.deadline);
	return c;
}

/* What the servers of a core take of it. */
struct load {
	uint64_t sum;		/* of densities, in 2^-32 */
	uint64_t shortest;	/* deadline; NEVER: there is no server */
	uint64_t block;		/* masked stretches in a deadline: one, and one a server */
};

/* With that claim of v, which may be NULL. Bound: SCHED_SLOTS. */
static struct load load_of(const struct sched_core *c, const struct vcpu *v, struct claim claim)
{
	struct load l = { .shortest = NEVER, .block = c->block };

	for (uint32_t set = c->members; set != 0; set &= set - 1) {
		const struct vcpu *m = c->slot[__builtin_ctz(set)];
		struct claim of = m == v ? claim : m->sched.claim;

		l.sum += of.density;
		l.shortest = min_u64(l.shortest, of.deadline);
		l.block += of.density != 0 ? c->block : 0;
	}
	return l;
}

/* Of the core, in 2^-32, with the masked stretches. */
static uint64_t taken(const struct load *l)
{
	return l->shortest == NEVER ? 0 :
	       l->block >= l->shortest ? BIT64(33) :
	       l->sum + ticks_fraction(l->block, l->shortest);
}

/*
 * Who wakes so shortly before its deadline could miss it by masked stretches alone:
 * block / (1 - sum), which is below the shortest deadline of a load that fits.
 */
static uint64_t guard_of(const struct load *l)
{
	uint64_t rest = l->sum < BIT64(32) ? (BIT64(32) - l->sum) >> 16 : 0;

	return l->shortest == NEVER || rest == 0 ? 0 : (l->block << 16) / rest + 1;
}

static void promise(struct vcpu *v)
{
	const struct kz_cfg_server *cfg = &v->vm->cfg->server;
	struct sched *s = &v->sched;

	*s = (struct sched){
		.bit = BIT(v->vm->id),
		.event = NEVER,
		.rate = ticks_fraction(KZ_WEIGHT_DEFAULT, cfg->weight != 0 ? cfg->weight : 1),
		.promised = {
			.budget = ticks_of_ns(cfg->budget_ns),
			.period = ticks_of_ns(cfg->period_ns),
			.deadline = ticks_of_ns(cfg->deadline_ns),
		},
	};
	s->claim = claim_of(v);
}

static void join(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;

	c->slot[v->vm->id] = v;
	__atomic_fetch_or(&c->members, v->sched.bit, __ATOMIC_RELEASE);
}

void sched_add(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;

	promise(v);
	join(v);
	c->shared |= !sched_is_alone(c) || server_is(&v->sched.promised);
}

bool sched_init(struct percpu *cpu)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	struct sched_core *c = &cpu->sched;
	struct load l;

	c->slice = arch_ticks_hz() / SLICES_PER_S;
	c->limit = BIT64(32) - ticks_fraction(m->reserve_ppm[cpu->id], 1000000);
	c->block = ticks_of_ns(m->block_ns);
	c->poll = NEVER;
	c->turn = NEVER;
	c->watch = NEVER;
	c->rings = NEVER;
	c->asked = NEVER;
	l = load_of(c, NULL, (struct claim){ 0 });
	c->guard = guard_of(&l);
	c->strict = taken(&l) > c->limit;
	return !c->strict || (m->proven >> cpu->id & 1) != 0;
}

enum kz_err sched_join(struct vcpu *v, uint32_t *short_ppm)
{
	struct sched_core *c = &v->cpu->sched;
	struct load l;
	uint64_t takes;

	promise(v);
	spin_lock(&c->lock);
	join(v);
	l = load_of(c, NULL, (struct claim){ 0 });
	takes = v->sched.claim.density == 0 ? 0 : taken(&l);
	if (takes > c->limit) {
		__atomic_fetch_and(&c->members, ~v->sched.bit, __ATOMIC_RELAXED);
		*short_ppm = (uint32_t)((takes - c->limit) * 1000000 >> 32);
	} else if (v->sched.claim.density != 0) {
		__atomic_store_n(&c->guard, guard_of(&l), __ATOMIC_RELAXED);
	}
	spin_unlock(&c->lock);
	return takes > c->limit ? KZ_ELOAD : KZ_OK;
}

void sched_leave(struct vcpu *v)
{
	struct sched_core *c = &v->cpu->sched;
	struct load l;

	spin_lock(&c->lock);
	__atomic_fetch_and(&c->members, ~v->sched.bit, __ATOMIC_RELAXED);
	l = load_of(c, NULL, (struct claim){ 0 });
	__atomic_store_n(&c->guard, guard_of(&l), __ATOMIC_RELAXED);
	spin_unlock(&c->lock);
}

enum kz_err sched_serve(struct vcpu *v, uint64_t budget, uint64_t period, uint64_t deadline)
{
	struct sched_core *c = &v->cpu->sched;
	struct sched *s = &v->sched;
	const struct server *p = &s->promised;
	bool less = budget <= p->budget && period >= p->period && deadline >= p->deadline;
	struct claim claim = { 0, NEVER };
	struct load l;

	claim_add(&claim, p->budget, p->deadline);
	claim_add(&claim, s->server.budget, s->server.deadline);
	claim_add(&claim, budget, deadline);
	spin_lock(&c->lock);
	for (uint32_t set = c->members; set != 0; set &= set - 1) {
		struct vcpu *m = c->slot[__builtin_ctz(set)];

		m->sched.claim = claim_of(m);
	}
	l = load_of(c, v, claim);
	if (less || taken(&l) <= c->limit) {
		s->claim = claim;
		c->guard = guard_of(&l);
		server_set(&s->server, budget, period, deadline);
		less = true;
	}
	spin_unlock(&c->lock);
	if (less && s->server.period == 0) {
		sched_serve_first(v);
	}
	return less ? KZ_OK : KZ_ELOAD;
}
