/* SPDX-License-Identifier: Apache-2.0 */
/* kztrace report: count what the replay tells. */
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "commands.h"

#define MISSES_DEFAULT 20u
#define MISSES_MAX     100000u

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return (a > b) ? a : b;
}

/* ---- Cores, exits, interrupts ---- */

/* The VM that has a physical interrupt, or TO_GUEST. */
static unsigned owner(const struct trace *t, unsigned intid)
{
	for (unsigned m = 0; m < t->cfg->vm_count; m++) {
		const struct kz_cfg_vm *vm = blob_vm(t->cfg, m);

		for (unsigned i = 0; i < vm->irq_count; i++) {
			if (vm->irq[i].intid == intid) {
				return TO_VM + m;
			}
		}
	}
	return TO_GUEST;
}

static unsigned irq_to(const struct trace *t, const struct replay_span *s)
{
	if ((s->class == KZ_TRACE_KICK) || (s->class == KZ_TRACE_MAINT)) {
		return TO_HYP;
	}
	if (s->arg >= 32) {
		unsigned to = owner(t, s->arg);

		return ((to == TO_GUEST) && (s->arg == t->cfg->machine.uart_intid)) ? TO_HYP : to;
	}
	if (s->class == KZ_TRACE_IRQ) {
		return (s->vcpu == KZ_TRACE_NOBODY) ? TO_GUEST : TRACE_SLOT(s->vcpu);
	}
	return (s->arg == t->cfg->machine.vtimer_intid) ? TO_GUEST : TO_HYP;
}

static void count_exit(struct report *r, const struct replay_span *s)
{
	struct report_class *c = &r->class[s->class];
	struct report_call *call = &r->call[s->arg];
	uint64_t cost = s->to - s->from;

	c->quick += s->quick ? 1 : 0;
	if (!s->whole) {
		c->cut++;
	} else {
		stat_add(&c->cost, cost);
	}
	if ((s->class == KZ_TRACE_HCALL) && s->whole) {
		call->min = ((call->count == 0) || (cost < call->min)) ? cost : call->min;
		call->max = max_u64(call->max, cost);
		call->sum += cost;
		call->count++;
	}
	if ((s->class == KZ_TRACE_IRQ) || (s->class == KZ_TRACE_KICK) ||
	    (s->class == KZ_TRACE_MAINT) || (s->class == REPLAY_WAKE)) {
		r->irq[(s->arg < REPORT_LINES) ? s->arg : REPORT_LINES - 1][irq_to(r->t, s)]++;
	}
}

static void on_span(void *ctx, const struct replay_span *s)
{
	struct report *r = ctx;
	struct report_core *c = &r->core[s->core];

	c->in[s->what] += s->to - s->from;
	r->end = max_u64(r->end, s->to);
	if (s->what == REPLAY_HYP) {
		count_exit(r, s);
	} else if (s->what == REPLAY_GUEST) {
		c->switches += ((c->guest != KZ_TRACE_NOBODY) && (c->guest != s->vcpu)) ? 1 : 0;
		c->guest = s->vcpu;
	} else if (s->what == REPLAY_UNKNOWN) {
		c->guest = KZ_TRACE_NOBODY;
	}
}

/* ---- vCPUs and jobs ---- */

static void on_state(void *ctx, const struct replay_vspan *s)
{
	struct report *r = ctx;
	unsigned vm = TRACE_VM(s->vcpu);

	r->v[TRACE_SLOT(s->vcpu)].in[s->state] += s->to - s->from;
	if ((s->state == REPLAY_V_RUNNING) && (TRACE_SLOT(s->vcpu) % KZ_VCPUS_MAX == 0) &&
	    (r->restarting[vm] != 0)) {
		r->ran[r->restarting[vm] - 1] = s->from - r->stopped[vm];
		r->restarting[vm] = 0;
	}
}

static void on_latency(void *ctx, const struct replay_latency *l)
{
	struct report *r = ctx;

	stat_add(&r->v[TRACE_SLOT(l->vcpu)].latency, l->to - l->from);
}

/* Keep the earliest misses, in their order. */
static void keep_miss(struct report *r, const struct replay_job *j)
{
	unsigned at = r->miss_count;

	r->misses++;
	if (r->miss_max == 0) {
		return;
	}
	if (at == r->miss_max) {
		if (r->miss[at - 1].missed_at <= j->missed_at) {
			return;
		}
		at--;
	} else {
		r->miss_count++;
	}
	for (; (at > 0) && (r->miss[at - 1].missed_at > j->missed_at); at--) {
		r->miss[at] = r->miss[at - 1];
	}
	r->miss[at] = *j;
}

static void on_job(void *ctx, const struct replay_job *j)
{
	struct report *r = ctx;
	struct report_vcpu *v = &r->v[TRACE_SLOT(j->vcpu)];

	if (j->released) {
		v->ended[j->how]++;
	}
	if (j->has_start) {
		stat_add(j->released ? &v->start : &v->woken_start, j->start - j->release);
	}
	if ((j->how == REPLAY_END_DONE) || (j->how == REPLAY_END_BLOCK)) {
		stat_add(j->released ? &v->response : &v->woken, j->end - j->release);
	}
	if (j->missed) {
		v->missed_jobs++;
		keep_miss(r, j);
	}
}

/* ---- Points in time ---- */

static void list(struct replay_event *events, uint64_t *count, const struct replay_event *e)
{
	if (*count < REPORT_EVENTS) {
		events[*count] = *e;
	}
	++*count;
}

/* From a stop that a start follows to its guest's first instruction, by on_state. */
static void note_restart(struct report *r, const struct replay_event *e)
{
	unsigned vm = TRACE_VM(e->vcpu);

	if (e->type == KZ_TRACE_VM_STOP) {
		r->stopped[vm] = (e->arg == 1) ? e->time : 0;
		r->restarting[vm] = 0;
	} else if ((r->stopped[vm] != 0) && (r->events < REPORT_EVENTS)) {
		r->restarting[vm] = (unsigned)r->events + 1;
	}
}

static void on_event(void *ctx, const struct replay_event *e)
{
	struct report *r = ctx;
	struct report_vcpu *v = &r->v[(e->vcpu == KZ_TRACE_NOBODY) ? 0 : TRACE_SLOT(e->vcpu)];

	switch (e->type) {
	case REPLAY_LOST:
		r->core[e->core].gaps++;
		list(r->gap, &r->gaps, e);
		break;
	case KZ_TRACE_MISS:
		v->misses++;
		break;
	case KZ_TRACE_THROTTLE:
		v->throttles++;
		break;
	case KZ_TRACE_INJECT:
		r->injected[(e->arg < REPORT_LINES) ? e->arg : REPORT_LINES - 1]
			   [TRACE_SLOT(e->vcpu)]++;
		break;
	case KZ_TRACE_START:
		v->starts++;
		break;
	case KZ_TRACE_VM_START:
	case KZ_TRACE_VM_STOP:
		note_restart(r, e);
		list(r->event, &r->events, e);
		break;
	case KZ_TRACE_VM_FAULT:
	case KZ_TRACE_PANIC:
		list(r->event, &r->events, e);
		break;
	default:
		break;
	}
}

/* ---- The command ---- */

/* A number from 0 to max. */
static bool number(const char *text, unsigned max, unsigned *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	*value = (unsigned)n;
	return (*text >= '0') && (*text <= '9') && (*end == '\0') && (errno == 0) && (n <= max);
}

static struct report *report_make(struct trace *t, unsigned misses)
{
	struct report *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		return NULL;
	}
	r->t = t;
	r->begin = r->end = t->begin;
	r->miss_max = misses;
	r->miss = calloc((misses == 0) ? 1 : misses, sizeof(*r->miss));
	for (unsigned i = 0; i < KZ_TRACE_CORES; i++) {
		r->core[i].guest = KZ_TRACE_NOBODY;
	}
	if (r->miss == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

static void report_free(struct report *r)
{
	for (unsigned i = 0; i < TRACE_SLOTS; i++) {
		stat_free(&r->v[i].response);
		stat_free(&r->v[i].start);
		stat_free(&r->v[i].woken);
		stat_free(&r->v[i].woken_start);
		stat_free(&r->v[i].latency);
	}
	for (unsigned i = 0; i < REPLAY_CLASSES; i++) {
		stat_free(&r->class[i].cost);
	}
	free(r->miss);
	free(r);
}

static int run(const char *path, unsigned misses)
{
	static const struct replay_ops ops = { on_span, on_state, on_job, on_latency, on_event };
	struct report *r;
	struct trace t;

	if (!trace_open(&t, path)) {
		return EXIT_WRONG;
	}
	r = report_make(&t, misses);
	if (r == NULL) {
		fputs("kztrace: out of memory\n", stderr);
		(void)trace_close(&t);
		return EXIT_WRONG;
	}
	if (replay(&t, &ops, r)) {
		report_print(r, stdout);
		fflush(stdout);
	}
	report_free(r);
	return trace_close(&t);
}

int report_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "misses", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned misses = MISSES_DEFAULT;

	for (int opt; (opt = getopt_long(argc, argv, "m:h", options, NULL)) != -1;) {
		if (opt == 'h') {
			return command_help(argv[0]);
		}
		if (opt != 'm') {
			return command_usage(argv[0]);
		}
		if (!number(optarg, MISSES_MAX, &misses)) {
			fprintf(stderr, "kztrace: --misses %s is not a number from 0 to %u\n",
				optarg, MISSES_MAX);
			return EXIT_USAGE;
		}
	}
	return (argc == optind + 1) ? run(argv[optind], misses) : command_usage(argv[0]);
}
