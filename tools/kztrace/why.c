/* SPDX-License-Identifier: Apache-2.0 */
#include "why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "when.h"

/* Appends to a text of a size, as far as it fits. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
							 const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(&text[used], size - used, format, args);
	va_end(args);
}

/* From the trace's begin. */
static const char *at(const struct trace *t, uint64_t ticks)
{
	static char text[4][WHEN_MAX];
	static unsigned turn;

	turn = (turn + 1) % 4;
	return when_exact(text[turn], trace_ns(t, ticks - t->begin));
}

static void append_time(const struct trace *t, char *text, size_t size, const char *who,
			uint64_t ticks)
{
	char time[WHEN_MAX];

	if (ticks != 0) {
		append(text, size, "%s %s, ", who, when_exact(time, trace_ns(t, ticks)));
	}
}

static const char *end_words(enum replay_end how)
{
	switch (how) {
	case REPLAY_END_DONE:
	case REPLAY_END_BLOCK:
		return "was done";
	case REPLAY_END_RELEASE:
		return "was not done when the next one was released";
	case REPLAY_END_OFF:
		return "was not done when its vCPU was switched off";
	case REPLAY_END_LOST:
		return "is lost sight of, since records are missing,";
	case REPLAY_END_TRACE:
		break;
	}
	return "was not done when the trace ended";
}

const char *why_missed(const struct trace *t, const struct replay_job *job)
{
	static char text[1024];
	const struct replay_shares *who = &job->who;
	unsigned own = TRACE_VM(job->vcpu);
	uint64_t hyp = 0;
	size_t end;

	text[0] = '\0';
	append(text, sizeof(text), "%s missed its deadline", trace_vcpu_name(t, job->vcpu));
	if (job->has_due) {
		append(text, sizeof(text), " at %s", at(t, job->due));
	}
	append(text, sizeof(text), ". Its job was released at %s and %s at %s. Until the deadline ",
	       at(t, job->release), end_words(job->how), at(t, job->end));
	append_time(t, text, sizeof(text), "it executed", who->guest[own]);
	if (who->guest[own] == 0) {
		append(text, sizeof(text), "it did not execute, ");
	}
	append_time(t, text, sizeof(text), "it was without budget", job->throttled);
	for (unsigned v = 0; v < t->cfg->vm_count; v++) {
		hyp += who->hyp[v];
		if (v != own) {
			append_time(t, text, sizeof(text), trace_vm_name(t, v), who->guest[v]);
		}
	}
	append_time(t, text, sizeof(text), "the hypervisor", hyp + who->hyp[KZ_VMS_MAX]);
	append_time(t, text, sizeof(text), "the core slept", who->sleep);
	append_time(t, text, sizeof(text), "unknown", who->unknown);
	end = strlen(text) - 2; /* of the last comma */
	snprintf(&text[end], sizeof(text) - end, ".");
	return text;
}
