/* SPDX-License-Identifier: Apache-2.0 */
/* Misses: each with who had the core between release and deadline. */
#include <inttypes.h>

#include "report.h"

#define WHO_MAX (2 * KZ_VMS_MAX + 4)

struct who {
	char name[64];
	uint64_t ticks;
};

static const char *ticks(const struct report *r, uint64_t n)
{
	return trace_time(trace_ns(r->t, n));
}

/* In the order of their parts, which there are at most WHO_MAX of; who had nothing is left out. */
static void who_add(struct who *list, unsigned *count, struct who w)
{
	unsigned at = *count;

	if (w.ticks == 0) {
		return;
	}
	for (; (at > 0) && (list[at - 1].ticks < w.ticks); at--) {
		list[at] = list[at - 1];
	}
	list[at] = w;
	++*count;
}

static struct who who_make(const char *before, const char *name, const char *behind, uint64_t n)
{
	struct who w = { .ticks = n };

	snprintf(w.name, sizeof(w.name), "%s%s%s", before, name, behind);
	return w;
}

static unsigned who_list(const struct report *r, const struct replay_job *j, struct who *list)
{
	const struct replay_shares *s = &j->who;
	unsigned count = 0;

	for (unsigned m = 0; m < r->t->cfg->vm_count; m++) {
		const char *name = trace_vm_name(r->t, m);

		who_add(list, &count,
			who_make("", name, (m == TRACE_VM(j->vcpu)) ? " itself" : "", s->guest[m]));
		who_add(list, &count, who_make("hypervisor in exits of ", name, "", s->hyp[m]));
	}
	who_add(list, &count, who_make("hypervisor", "", "", s->hyp[KZ_VMS_MAX]));
	who_add(list, &count, who_make("asleep", "", "", s->sleep));
	who_add(list, &count, who_make("unknown", "", "", s->unknown));
	return count;
}

/* What took most of the time: its budget's end, others, the hypervisor, or it itself. */
static const char *verdict(const struct report *r, const struct replay_job *j, uint64_t all)
{
	uint64_t own = j->who.guest[TRACE_VM(j->vcpu)];
	uint64_t others = 0, hyp = j->who.hyp[KZ_VMS_MAX];
	static char text[96];

	for (unsigned m = 0; m < KZ_VMS_MAX; m++) {
		others += (m == TRACE_VM(j->vcpu)) ? 0 : j->who.guest[m];
		hyp += j->who.hyp[m];
	}
	if ((j->throttled >= own) && (2 * j->throttled >= all)) {
		snprintf(text, sizeof(text), "it had no budget for %s (%s)", ticks(r, j->throttled),
			 report_percent(j->throttled, all));
	} else if ((own >= others) && (own >= hyp)) {
		snprintf(text, sizeof(text), "it had the core for %s (%s), and needs more",
			 ticks(r, own), report_percent(own, all));
	} else {
		snprintf(text, sizeof(text), "%s had the core for %s (%s)",
			 (hyp > others) ? "the hypervisor" : "others",
			 ticks(r, (hyp > others) ? hyp : others),
			 report_percent((hyp > others) ? hyp : others, all));
	}
	return text;
}

/* How late, if it is known. */
static void print_late(const struct report *r, const struct replay_job *j, FILE *out)
{
	uint64_t late = (j->end > j->due) ? j->end - j->due : 0;

	switch (j->how) {
	case REPLAY_END_DONE:
	case REPLAY_END_BLOCK:
		if (j->has_due) {
			fprintf(out, "done %s late", ticks(r, late));
		} else {
			fputs("done late", out);
		}
		break;
	case REPLAY_END_RELEASE:
		fputs("not done when the next one was released", out);
		if (j->has_due && (late > 0)) {
			fprintf(out, ", %s late", ticks(r, late));
		}
		break;
	case REPLAY_END_OFF:
		fputs("not done when its vCPU was switched off", out);
		break;
	default:
		fputs("when it was done is not in the trace", out);
		break;
	}
}

static void print_miss(const struct report *r, const struct replay_job *j, FILE *out)
{
	uint64_t until = (j->has_due && (j->due < j->end)) ? j->due : j->end;
	uint64_t all = (until > j->release) ? until - j->release : 0;
	struct who list[WHO_MAX];
	unsigned count = who_list(r, j, list);

	fprintf(out, "  %12s  %s: job %" PRIu64 ", ", ticks(r, j->missed_at - r->begin),
		trace_vcpu_name(r->t, j->vcpu), j->number);
	fprintf(out, "%s at %s, ", j->released ? "released" : "ready",
		ticks(r, j->release - r->begin));
	if (j->has_due) {
		fprintf(out, "due at %s; ", ticks(r, j->due - r->begin));
	}
	print_late(r, j, out);
	fprintf(out, "; budget left %s\n", ticks(r, j->left));
	fprintf(out, "                because %s; until then the core had:", verdict(r, j, all));
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "%s %s %s", (i == 0) ? "" : ",", list[i].name,
			report_percent(list[i].ticks, all));
	}
	fputc('\n', out);
}

void report_misses(const struct report *r, FILE *out)
{
	uint64_t told = 0;

	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		told += r->v[i].misses;
	}
	if (told == 0) {
		fputs("\nNo deadline was missed.\n", out);
		return;
	}
	fprintf(out, "\nMisses: %" PRIu64 "\n  When the hypervisor saw it; then who had the core "
		"from the release to the deadline.\n", told);
	for (unsigned i = 0; i < r->miss_count; i++) {
		print_miss(r, &r->miss[i], out);
	}
	if (r->misses > r->miss_count) {
		fprintf(out, "  and %" PRIu64 " more (--misses N lists more)\n",
			r->misses - r->miss_count);
	}
	if (told > r->misses) {
		fprintf(out, "  %" PRIu64 " of jobs whose release is not in the trace\n",
			told - r->misses);
	}
}
