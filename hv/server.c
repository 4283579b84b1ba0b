/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "time.h"

void server_set(struct server *s, uint64_t budget, uint64_t period, uint64_t deadline)
{
	s->next.budget = budget;
	s->next.period = period;
	s->next.deadline = deadline;
}

void server_release(struct server *s, uint64_t at)
{
	if (s->next.period != 0) {
		s->budget = s->next.budget;
		s->period = s->next.period;
		s->deadline = s->next.deadline;
		s->density = ticks_fraction(s->budget, s->deadline);
		s->next.period = 0;
	}
	s->release = at;
	s->due = at + s->deadline;
	s->left = (int64_t)s->budget + (s->left < 0 ? s->left : 0);
	s->told = false;
}

void server_next(struct server *s, uint64_t now)
{
	uint64_t at = s->release + s->period;

	server_release(s, now - at < s->period ? at : now);
}

bool server_wake(struct server *s, uint64_t now)
{
	uint64_t laxity = s->due - now;
	int64_t fair;

	if (now - s->release >= s->period) {
		server_release(s, now);
		return s->left > 0;
	}
	if (s->left <= 0 || now - s->release >= s->deadline) {
		return false;
	}
	fair = (int64_t)ticks_scale(laxity, s->density);
	if (s->left > fair) {
		if (s->deadline == s->period) {
			server_release(s, now);
		} else {
			s->left = fair;
		}
	}
	return s->left > 0;
}
