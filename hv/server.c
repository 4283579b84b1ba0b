/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "time.h"

void server_set(struct server *s, uint64_t budget, uint64_t period, uint64_t deadline)
{
	s->next.budget = budget;
	s->next.period = period;
	s->next.deadline = deadline;
}

void server_renew(struct server *s)
{
	s->budget = s->next.budget;
	s->period = s->next.period;
	s->deadline = s->next.deadline;
	s->density = ticks_fraction(s->budget, s->deadline);
	s->next.period = 0;
}

void server_next(struct server *s, uint64_t now)
{
	uint64_t at = s->release + s->period;

	server_release(s, now - at < s->period ? at : now);
}
