/* SPDX-License-Identifier: Apache-2.0 */
/* The report as text: sections of tables, each with a line that says what it counts. */
#include <inttypes.h>
#include <string.h>

#include "blob.h"
#include "report.h"

const char *report_percent(uint64_t part, uint64_t whole)
{
	static char text[8][16];
	static unsigned turn;
	char *s = text[turn++ % 8];

	snprintf(s, sizeof(text[0]), "%.2f %%",
		 (whole == 0) ? 0.0 : 100.0 * (double)part / (double)whole);
	return s;
}

/* A duration in ticks as text. */
static const char *ticks(const struct report *r, uint64_t n)
{
	return trace_time(trace_ns(r->t, n));
}

/* A point in time, from the first record on. */
static const char *when(const struct report *r, uint64_t at)
{
	return ticks(r, (at > r->begin) ? at - r->begin : 0);
}

static uint8_t id_of(unsigned slot)
{
	return (uint8_t)KZ_TRACE_VCPU(slot / KZ_VCPUS_MAX, slot % KZ_VCPUS_MAX);
}

/* The vCPUs that there are, one slot after the other: for (s = first; s < TRACE_SLOTS; s = next) */
static unsigned slot_from(const struct report *r, unsigned slot)
{
	while ((slot < TRACE_SLOTS) && !trace_has_vcpu(r->t, id_of(slot))) {
		slot++;
	}
	return slot;
}

static void head(FILE *out, const char *title, const char *says)
{
	fprintf(out, "\n%s\n  %s\n", title, says);
}

/* ---- Cores and vCPUs ---- */

static void print_summary(const struct report *r, FILE *out)
{
	const struct trace *t = r->t;
	uint64_t hz = t->hz;

	fprintf(out, "%s: board %s, %" PRIu32 " cores, %" PRIu32 " VMs\n", t->path,
		t->cfg->machine.board, t->core_count, t->cfg->vm_count);
	fprintf(out, "%" PRIu64 " records in %s; counter %" PRIu64 ".%03" PRIu64
		" MHz; times are from the first record on\n",
		t->records, ticks(r, r->end - r->begin), hz / 1000000, hz / 1000 % 1000);
}

static void print_cores(const struct report *r, FILE *out)
{
	uint64_t all = r->end - r->begin;

	head(out, "Cores", "Of the trace's time. Unknown: no record says what the core did.");
	fprintf(out, "  %-8s %10s %10s %10s %10s %9s %12s %10s %12s\n", "core", "guests",
		"hypervisor", "asleep", "unknown", "switches", "records", "lost", "overwritten");
	for (unsigned i = 0; i < r->t->core_count; i++) {
		const struct report_core *c = &r->core[i];
		const struct trace_core *tc = &r->t->core[i];

		fprintf(out, "  %-8u %10s %10s %10s %10s %9" PRIu64 " %12" PRIu64 " %10" PRIu64
			" %12" PRIu64 "\n", i, report_percent(c->in[REPLAY_GUEST], all),
			report_percent(c->in[REPLAY_HYP], all),
			report_percent(c->in[REPLAY_SLEEP], all),
			report_percent(c->in[REPLAY_UNKNOWN], all), c->switches, tc->records,
			tc->lost, tc->first_index);
	}
}

/* All records of a core were overwritten, or it stopped: its ring's last record is a chunk's. */
static void print_stopped(const struct report *r, FILE *out)
{
	for (unsigned i = 0; i < r->t->core_count; i++) {
		const struct trace_core *c = &r->t->core[i];

		if (c->records == 0) {
			fprintf(out, "  core %u: no record\n", i);
		} else if (trace_may_stop(c) && (r->t->truncated == 0)) {
			fprintf(out, "  core %u: its ring may have stopped at %s, at a chunk's "
				"end: unknown from there on\n", i, when(r, c->last_time));
		}
	}
}

static void print_gaps(const struct report *r, FILE *out)
{
	for (unsigned i = 0; (i < r->gaps) && (i < REPORT_EVENTS); i++) {
		const struct replay_event *e = &r->gap[i];

		fprintf(out, "  core %" PRIu32 ": %" PRIu64 " records lost between %s and %s\n",
			e->core, e->lost, when(r, e->from), when(r, e->time));
	}
	if (r->gaps > REPORT_EVENTS) {
		fprintf(out, "  and %" PRIu64 " more gaps\n", r->gaps - REPORT_EVENTS);
	}
}

static void print_vcpu(const struct report *r, FILE *out, const char *name, const char *core,
		       const uint64_t *in, uint64_t all)
{
	uint64_t waited = in[REPLAY_V_READY];
	uint64_t throttled = in[REPLAY_V_THROTTLED];

	fprintf(out, "  %-16s %4s %12s %9s %12s %12s %12s %12s %12s %9s\n", name, core,
		ticks(r, in[REPLAY_V_RUNNING]), report_percent(in[REPLAY_V_RUNNING], all),
		ticks(r, in[REPLAY_V_EXIT]), ticks(r, waited), ticks(r, throttled),
		report_percent(waited + throttled, all),
		ticks(r, in[REPLAY_V_BLOCKED] + in[REPLAY_V_DONE]),
		report_percent(in[REPLAY_V_UNKNOWN], all));
}

static void print_vcpus(const struct report *r, FILE *out)
{
	uint64_t all = r->end - r->begin;

	head(out, "vCPUs",
	     "Ran: its guest executed; share: of the trace's time. Exits: the hypervisor worked\n"
	     "  in its exits. Waited: ready, for the core. Throttled: it wanted to run and had no\n"
	     "  budget. Stolen: waited and throttled. Idle: for an interrupt, or a release.");
	fprintf(out, "  %-16s %4s %12s %9s %12s %12s %12s %12s %12s %9s\n", "vCPU", "core", "ran",
		"share", "exits", "waited", "throttled", "stolen", "idle", "unknown");
	for (unsigned m = 0; m < r->t->cfg->vm_count; m++) {
		const struct kz_cfg_vm *vm = blob_vm(r->t->cfg, m);
		uint64_t sum[REPLAY_STATES] = { 0 };
		char core[8];

		for (unsigned i = 0; i < vm->vcpu_count; i++) {
			const uint64_t *in = r->v[m * KZ_VCPUS_MAX + i].in;

			for (unsigned s = 0; s < REPLAY_STATES; s++) {
				sum[s] += in[s];
			}
			snprintf(core, sizeof(core), "%u", vm->cpu[i]);
			print_vcpu(r, out, trace_vcpu_name(r->t, (uint8_t)KZ_TRACE_VCPU(m, i)),
				   core, in, all);
		}
		if (vm->vcpu_count > 1) {
			print_vcpu(r, out, vm->name, "all", sum, all * vm->vcpu_count);
		}
	}
}

/* ---- Jobs ---- */

static void print_stat(const struct report *r, FILE *out, const char *name, const char *of,
		       const struct stat_of *s)
{
	if (s->count == 0) {
		return;
	}
	fprintf(out, "  %-16s %-9s %9" PRIu64 " %12s", name, of, s->count, ticks(r, s->min));
	fprintf(out, " %12s %12s", ticks(r, stat_avg(s)), ticks(r, stat_quantile(s, 1, 2)));
	fprintf(out, " %12s %12s", ticks(r, stat_quantile(s, 99, 100)),
		ticks(r, stat_quantile(s, 999, 1000)));
	fprintf(out, " %12s\n", ticks(r, s->max));
}

static void stat_head(FILE *out, const char *what)
{
	fprintf(out, "  %-16s %-9s %9s %12s %12s %12s %12s %12s %12s\n", what, "", "count", "min",
		"avg", "p50", "p99", "p99.9", "max");
}

static void print_times(const struct report *r, FILE *out)
{
	unsigned s;

	head(out, "Response times",
	     "From the release (woken: from when it was ready) until the job was done.\n"
	     "  Percentiles, here and below, are rounded up by less than 0.8 %.");
	stat_head(out, "vCPU");
	for (s = slot_from(r, 0); s < TRACE_SLOTS; s = slot_from(r, s + 1)) {
		const char *name = trace_vcpu_name(r->t, id_of(s));

		print_stat(r, out, name, "released", &r->v[s].response);
		print_stat(r, out, name, "woken", &r->v[s].woken);
	}
	head(out, "Start latencies",
	     "From the release (woken: from when it was ready) until its guest executed.");
	stat_head(out, "vCPU");
	for (s = slot_from(r, 0); s < TRACE_SLOTS; s = slot_from(r, s + 1)) {
		const char *name = trace_vcpu_name(r->t, id_of(s));

		print_stat(r, out, name, "released", &r->v[s].start);
		print_stat(r, out, name, "woken", &r->v[s].woken_start);
	}
	head(out, "Interrupt latencies",
	     "From the exit, or the end of sleep, by an interrupt until its guest executed.");
	stat_head(out, "vCPU");
	for (s = slot_from(r, 0); s < TRACE_SLOTS; s = slot_from(r, s + 1)) {
		print_stat(r, out, trace_vcpu_name(r->t, id_of(s)), "", &r->v[s].latency);
	}
}

static void print_jobs(const struct report *r, FILE *out)
{
	head(out, "Jobs",
	     "Released by servers. Done: the guest said so, or waited. Late: not done when the\n"
	     "  next one was released. Cut: the trace, or the vCPU, ended before.");
	fprintf(out, "  %-16s %9s %9s %9s %9s %9s %9s\n", "vCPU", "released", "done", "late",
		"cut", "missed", "throttled");
	for (unsigned s = slot_from(r, 0); s < TRACE_SLOTS; s = slot_from(r, s + 1)) {
		const struct report_vcpu *v = &r->v[s];
		uint64_t done = v->ended[REPLAY_END_DONE] + v->ended[REPLAY_END_BLOCK];
		uint64_t late = v->ended[REPLAY_END_RELEASE];
		uint64_t cut = v->ended[REPLAY_END_OFF] + v->ended[REPLAY_END_LOST] +
			       v->ended[REPLAY_END_TRACE];

		if (done + late + cut + v->misses + v->throttles > 0) {
			fprintf(out, "  %-16s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
				" %9" PRIu64 " %9" PRIu64 "\n", trace_vcpu_name(r->t, id_of(s)),
				done + late + cut, done, late, cut, v->misses, v->throttles);
		}
	}
}

/* ---- Exits and interrupts ---- */

static void print_exits(const struct report *r, FILE *out)
{
	uint64_t all = (r->end - r->begin) * r->t->core_count;

	head(out, "Exits",
	     "Cost: until a guest executed or the core slept. Wake: after a sleep. Quick: in one\n"
	     "  record. Cut: begin or end is not in the trace. Share: of all cores' time.");
	fprintf(out, "  %-8s %10s %10s %8s %12s %12s %12s %12s %12s %9s\n", "class", "count",
		"quick", "cut", "min", "avg", "p99", "max", "sum", "share");
	for (unsigned i = 0; i < REPLAY_CLASSES; i++) {
		const struct report_class *c = &r->class[i];
		const struct stat_of *s = &c->cost;

		if (s->count + c->cut == 0) {
			continue;
		}
		fprintf(out, "  %-8s %10" PRIu64 " %10" PRIu64 " %8" PRIu64, replay_class_name(i),
			s->count + c->cut, c->quick, c->cut);
		if (s->count > 0) {
			fprintf(out, " %12s %12s", ticks(r, s->min), ticks(r, stat_avg(s)));
			fprintf(out, " %12s %12s", ticks(r, stat_quantile(s, 99, 100)),
				ticks(r, s->max));
			fprintf(out, " %12s %9s", ticks(r, (uint64_t)s->sum),
				report_percent((uint64_t)s->sum, all));
		}
		fputc('\n', out);
	}
}

static void print_calls(const struct report *r, FILE *out)
{
	bool any = false;

	for (unsigned i = 0; i < 0x10000; i++) {
		const struct report_call *c = &r->call[i];

		if (c->count == 0) {
			continue;
		}
		if (!any) {
			head(out, "Calls", "Exits of class hcall, by function.");
			fprintf(out, "  %-28s %10s %12s %12s %12s %12s\n", "function", "count",
				"min", "avg", "max", "sum");
			any = true;
		}
		fprintf(out, "  %-28s %10" PRIu64 " %12s", replay_call_name((uint16_t)i), c->count,
			ticks(r, c->min));
		fprintf(out, " %12s %12s", ticks(r, (uint64_t)(c->sum / c->count)),
			ticks(r, c->max));
		fprintf(out, " %12s\n", ticks(r, (uint64_t)c->sum));
	}
}

/* What an INTID is on this machine. */
static const char *line_name(const struct report *r, unsigned intid)
{
	const struct kz_cfg_machine *m = &r->t->cfg->machine;
	const struct {
		uint32_t intid;
		const char *name;
	} known[] = {
		{ m->vtimer_intid, "virtual timer" },	     { m->ptimer_intid, "physical timer" },
		{ m->htimer_intid, "hypervisor's timer" },   { m->maint_intid, "GIC maintenance" },
		{ m->pmu_intid, "PMU" },		     { m->uart_intid, "console's UART" },
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if ((known[i].intid == intid) && (intid != 0)) {
			return known[i].name;
		}
	}
	if (intid == REPORT_LINES - 1) {
		return "none, or beyond";
	}
	return (intid < 16) ? "SGI" : (intid < 32) ? "PPI" : "SPI";
}

static const char *to_name(const struct report *r, unsigned to)
{
	if (to < TO_VM) {
		return trace_vcpu_name(r->t, id_of(to));
	}
	if (to < TO_HYP) {
		return trace_vm_name(r->t, to - TO_VM);
	}
	return (to == TO_HYP) ? "hypervisor" : "a guest";
}

static void print_lines(const struct report *r, FILE *out)
{
	head(out, "Interrupts",
	     "By line. Taken: exits and ends of sleep by it. Injected: raised by no device.");
	fprintf(out, "  %5s  %-19s %-16s %10s %10s\n", "INTID", "line", "to", "taken", "injected");
	for (unsigned i = 0; i < REPORT_LINES; i++) {
		for (unsigned to = 0; to < TO_COUNT; to++) {
			uint64_t injected = (to < TRACE_SLOTS) ? r->injected[i][to] : 0;

			if (r->irq[i][to] + injected > 0) {
				fprintf(out, "  %5u  %-19s %-16s %10" PRIu64 " %10" PRIu64 "\n", i,
					line_name(r, i), to_name(r, to), r->irq[i][to], injected);
			}
		}
	}
}

static void print_events(const struct report *r, FILE *out)
{
	if (r->events > 0) {
		head(out, "Events", "What happened to VMs, and to the hypervisor.");
	}
	for (unsigned i = 0; (i < r->events) && (i < REPORT_EVENTS); i++) {
		const struct replay_event *e = &r->event[i];

		fprintf(out, "  %12s  ", when(r, e->time));
		switch (e->type) {
		case KZ_TRACE_VM_START:
			fprintf(out, "%s starts; restarts so far: %u",
				trace_vm_name(r->t, TRACE_VM(e->vcpu)), e->arg);
			fprintf(out, (r->ran[i] == 0) ? "\n" : "; executes %s after the stop\n",
				ticks(r, r->ran[i]));
			break;
		case KZ_TRACE_VM_STOP:
			fprintf(out, "%s stops (%s)%s\n", trace_vm_name(r->t, TRACE_VM(e->vcpu)),
				replay_reason_name(e->value),
				(e->arg == 0) ? "" : ", to be started again");
			break;
		case KZ_TRACE_VM_FAULT:
			fprintf(out, "%s: access to %s near ipa %#" PRIx64 "\n",
				trace_vcpu_name(r->t, e->vcpu),
				(e->arg == 0) ? "nothing" : "what is forbidden",
				(uint64_t)e->value << 8);
			break;
		default:
			fprintf(out, "core %" PRIu32 ": the hypervisor panics\n", e->core);
			break;
		}
	}
	if (r->events > REPORT_EVENTS) {
		fprintf(out, "  and %" PRIu64 " more\n", r->events - REPORT_EVENTS);
	}
}

void report_print(const struct report *r, FILE *out)
{
	print_summary(r, out);
	print_cores(r, out);
	print_stopped(r, out);
	print_gaps(r, out);
	print_vcpus(r, out);
	print_jobs(r, out);
	report_misses(r, out);
	print_times(r, out);
	print_exits(r, out);
	print_calls(r, out);
	print_lines(r, out);
	print_events(r, out);
}
