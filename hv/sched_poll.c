/* SPDX-License-Identifier: Apache-2.0 */
/* What a core does that is no vCPU's: the console's turns, and a look at VMs' health. */
#include "sched_poll.h"

#include "arch.h"
#include "console.h"
#include "health.h"

/* Its next turn: not at once, or who prints a lot takes the core from those without a server. */
static void console_next(struct sched_core *c)
{
	uint64_t at = min_u64(c->rings, c->asked);
	uint64_t least = c->served + c->slice / 2;

	if (at != NEVER && !c->console) {
		c->turn = at > least ? at : least;
		c->poll = min_u64(c->turn, c->watch);
		c->next = min_u64(c->next, c->poll);
	}
}

void sched_console(struct percpu *cpu)
{
	struct sched_core *c = &cpu->sched;

	c->asked = min_u64(c->asked, arch_ticks());
	console_next(c);
}

COLD void poll_console(struct sched_core *c)
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

COLD void poll_due(struct percpu *cpu, uint64_t now)
{
	struct sched_core *c = &cpu->sched;

	if (now >= c->turn) {
		c->turn = NEVER;
		c->console = true;
	}
	if (now >= c->watch) {
		/* Who sets an earlier time from here on sees NEVER, and posts SCHED_LOOK. */
		__atomic_store_n(&c->watch, NEVER, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->watch, health_look(cpu, now), __ATOMIC_SEQ_CST);
	}
	c->poll = min_u64(c->turn, c->watch);
}
