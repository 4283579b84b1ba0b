/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kztrace json: Trace Event Format, for the Perfetto UI and its like. A process "cores" with
 * a thread for each core, and one for each VM, with three threads for each vCPU: what it did,
 * its jobs, and what happened to it. Slices are complete events (X); those of a thread come in
 * order and don't overlap, so nothing is kept but where each thread is.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "out.h"
#include "range.h"
#include "why.h"

#define CORES_PID   1u
#define VM_PID(vm)  (CORES_PID + 1u + (vm))
#define CORE_TID(c) (2 * (c) + 1)

enum thread { DOES, JOBS, HAPPENS, THREADS };

struct json {
	struct trace trace;
	FILE *out;
	uint64_t from, to; /* ticks */
	bool first;
	uint64_t core_end[KZ_TRACE_CORES][2]; /* what a core did; what happened to it */
	uint64_t vcpu_end[TRACE_SLOTS][THREADS];
	uint64_t misses[KZ_VMS_MAX];
};

/* ---- Events ---- */

/* tid 0: of the process as a whole. Perfetto wants no tid in two processes. */
static void begin(struct json *j, const char *phase, unsigned pid, unsigned tid)
{
	fprintf(j->out, "%s{\"ph\":\"%s\",\"pid\":%u", j->first ? "\n" : ",\n", phase, pid);
	if (tid != 0) {
		fprintf(j->out, ",\"tid\":%u", 100 * pid + tid);
	}
	j->first = false;
}

/* In us; the trace's begin is 0. */
static void put_us(struct json *j, const char *key, uint64_t ns)
{
	fprintf(j->out, ",\"%s\":%" PRIu64 ".%03" PRIu64, key, ns / 1000, ns % 1000);
}

static uint64_t since_begin(const struct json *j, uint64_t ticks)
{
	return trace_ns(&j->trace, ticks - j->trace.begin);
}

/*
 * A slice of a thread whose last one ended at *end, as far as it is behind that and in the
 * range. False: nothing is left of it. The caller goes on with its name and closes it.
 */
static bool slice(struct json *j, uint64_t *end, unsigned pid, unsigned tid, uint64_t from,
		  uint64_t to)
{
	uint64_t ns;

	from = (from < *end) ? *end : from;
	from = (from < j->from) ? j->from : from;
	to = (to > j->to) ? j->to : to;
	if (from >= to) {
		return false;
	}
	*end = to;
	ns = since_begin(j, from);
	begin(j, "X", pid, tid);
	put_us(j, "ts", ns);
	put_us(j, "dur", since_begin(j, to) - ns);
	return true;
}

/* A point in time. */
static bool instant(struct json *j, uint64_t *end, unsigned pid, unsigned tid, uint64_t at)
{
	if ((at < j->from) || (at > j->to)) {
		return false;
	}
	at = (at < *end) ? *end : at;
	*end = at;
	begin(j, "i", pid, tid);
	put_us(j, "ts", since_begin(j, at));
	fputs(",\"s\":\"t\"", j->out);
	return true;
}

static unsigned vcpu_tid(uint8_t id, enum thread thread)
{
	return THREADS * TRACE_CPU(id) + thread + 1;
}

static bool vcpu_slice(struct json *j, uint8_t id, enum thread thread, uint64_t from, uint64_t to)
{
	return slice(j, &j->vcpu_end[TRACE_SLOT(id)][thread], VM_PID(TRACE_VM(id)),
		     vcpu_tid(id, thread), from, to);
}

/* ---- What it tells ---- */

/* The arguments of an exit, as its class has them. */
static void put_arg(struct json *j, unsigned class, uint16_t arg)
{
	switch (class) {
	case KZ_TRACE_HCALL:
		fprintf(j->out, ",\"call\":\"%s\"", replay_call_name(arg));
		break;
	case KZ_TRACE_MMIO:
		fprintf(j->out, ",\"address_17_2\":\"0x%x\"", (unsigned)arg << 2);
		break;
	case KZ_TRACE_SYSREG:
		fprintf(j->out, ",\"register\":\"S%u_%u_C%u_C%u_%u\"", arg >> 14, arg >> 11 & 7u,
			arg >> 7 & 15u, arg >> 3 & 15u, arg & 7u);
		break;
	case KZ_TRACE_IRQ:
	case KZ_TRACE_MAINT:
	case KZ_TRACE_KICK:
	case REPLAY_WAKE:
		fprintf(j->out, ",\"intid\":%u", arg);
		break;
	case KZ_TRACE_SGI:
		fprintf(j->out, ",\"sgi\":%u,\"vcpus\":\"0x%x\"", arg & 15u, arg >> 4 & 255u);
		break;
	default:
		break;
	}
}

static void put_hyp(struct json *j, const struct replay_span *s, const char *prefix)
{
	const char *class = replay_class_name(s->class);

	fprintf(j->out,
		",\"name\":\"%s%s\",\"cat\":\"exit\",\"args\":{\"class\":\"%s\",\"vcpu\":\"%s\"",
		prefix, class, class, trace_vcpu_name(&j->trace, s->vcpu));
	fprintf(j->out, ",\"quick\":%s", s->quick ? "true" : "false");
	put_arg(j, s->class, s->arg);
	fputs("}}", j->out);
}

static void on_span(void *ctx, const struct replay_span *s)
{
	struct json *j = ctx;
	bool shown = (s->what != REPLAY_SLEEP) && slice(j, &j->core_end[s->core][0], CORES_PID,
							CORE_TID(s->core), s->from, s->to);

	if (shown && (s->what == REPLAY_GUEST)) {
		fprintf(j->out, ",\"name\":\"%s\",\"cat\":\"guest\"}",
			trace_vcpu_name(&j->trace, s->vcpu));
	} else if (shown && (s->what == REPLAY_HYP)) {
		put_hyp(j, s, "hypervisor: ");
	} else if (shown) {
		fputs(",\"name\":\"unknown\",\"cat\":\"unknown\"}", j->out);
	}
	if ((s->what == REPLAY_GUEST) && vcpu_slice(j, s->vcpu, DOES, s->from, s->to)) {
		fputs(",\"name\":\"running\",\"cat\":\"state\"}", j->out);
	} else if ((s->what == REPLAY_HYP) && (s->vcpu != KZ_TRACE_NOBODY) &&
		   vcpu_slice(j, s->vcpu, DOES, s->from, s->to)) {
		put_hyp(j, s, "exit: ");
	}
}

/* That it waits; what it does when it has the core is told by the core's spans. */
static void on_state(void *ctx, const struct replay_vspan *s)
{
	struct json *j = ctx;

	if (((s->state == REPLAY_V_READY) || (s->state == REPLAY_V_THROTTLED)) &&
	    vcpu_slice(j, s->vcpu, DOES, s->from, s->to)) {
		fprintf(j->out, ",\"name\":\"%s\",\"cat\":\"state\"}", replay_state_name(s->state));
	}
}

/* Who had the core, from the release to the deadline or to the end. */
static void put_shares(struct json *j, const struct replay_shares *who)
{
	uint64_t hyp = who->hyp[KZ_VMS_MAX];
	const char *comma = "";

	fputs(",\"executed_us\":{", j->out);
	for (unsigned v = 0; v < j->trace.cfg->vm_count; v++) {
		uint64_t ns = trace_ns(&j->trace, who->guest[v]);

		hyp += who->hyp[v];
		if (ns != 0) {
			fprintf(j->out, "%s\"%s\":%" PRIu64 ".%03" PRIu64, comma,
				trace_vm_name(&j->trace, v), ns / 1000, ns % 1000);
			comma = ",";
		}
	}
	fputs("}", j->out);
	put_us(j, "hypervisor_us", trace_ns(&j->trace, hyp));
	put_us(j, "slept_us", trace_ns(&j->trace, who->sleep));
	put_us(j, "unknown_us", trace_ns(&j->trace, who->unknown));
}

static void on_job(void *ctx, const struct replay_job *job)
{
	static const char *const ends[] = { "done", "block", "release", "off", "lost", "trace" };
	struct json *j = ctx;

	if (!vcpu_slice(j, job->vcpu, JOBS, job->release, job->end)) {
		return;
	}
	fprintf(j->out,
		",\"name\":\"%s\",\"cat\":\"job\",\"args\":{\"number\":%" PRIu64
		",\"ended_by\":\"%s\",\"missed\":%s",
		job->missed ? "job, deadline missed" : "job", job->number, ends[job->how],
		job->missed ? "true" : "false");
	if (job->has_due) {
		put_us(j, "deadline_us", since_begin(j, job->due));
	}
	if (job->has_start) {
		put_us(j, "started_us", since_begin(j, job->start));
	}
	put_us(j, "ready_us", trace_ns(&j->trace, job->ready));
	put_us(j, "throttled_us", trace_ns(&j->trace, job->throttled));
	put_shares(j, &job->who);
	if (job->missed) {
		fprintf(j->out, ",\"why\":\"%s\"", why_missed(&j->trace, job));
	}
	fputs("}}", j->out);
}

static void put_core_event(struct json *j, const struct replay_event *e)
{
	if (!instant(j, &j->core_end[e->core][1], CORES_PID, CORE_TID(e->core) + 1, e->time)) {
		return;
	}
	if (e->type == REPLAY_LOST) {
		fprintf(j->out,
			",\"name\":\"lost\",\"cat\":\"lost\",\"args\":{\"records\":%" PRIu64 "}}",
			e->lost);
	} else {
		fputs(",\"name\":\"panic\",\"cat\":\"panic\"}", j->out);
	}
}

static const char *event_name(uint8_t type)
{
	static const char *const names[] = {
		[KZ_TRACE_READY] = "ready",       [KZ_TRACE_BLOCK] = "block",
		[KZ_TRACE_RELEASE] = "release",   [KZ_TRACE_DONE] = "done",
		[KZ_TRACE_THROTTLE] = "throttle", [KZ_TRACE_MISS] = "miss",
		[KZ_TRACE_INJECT] = "inject",     [KZ_TRACE_START] = "start",
		[KZ_TRACE_OFF] = "off",           [KZ_TRACE_VM_START] = "vm_start",
		[KZ_TRACE_VM_STOP] = "vm_stop",   [KZ_TRACE_VM_FAULT] = "vm_fault",
	};

	return names[type];
}

static void put_counter(struct json *j, const struct replay_event *e)
{
	unsigned vm = TRACE_VM(e->vcpu);

	begin(j, "C", VM_PID(vm), 0);
	put_us(j, "ts", since_begin(j, e->time));
	fprintf(j->out, ",\"name\":\"deadlines missed\",\"args\":{\"missed\":%" PRIu64 "}}",
		++j->misses[vm]);
}

static void on_event(void *ctx, const struct replay_event *e)
{
	struct json *j = ctx;

	if ((e->type == REPLAY_LOST) || (e->type == KZ_TRACE_PANIC)) {
		put_core_event(j, e);
		return;
	}
	if ((e->type == KZ_TRACE_READY) || (e->type == KZ_TRACE_BLOCK) ||
	    !instant(j, &j->vcpu_end[TRACE_SLOT(e->vcpu)][HAPPENS], VM_PID(TRACE_VM(e->vcpu)),
		     vcpu_tid(e->vcpu, HAPPENS), e->time)) {
		return;
	}
	fprintf(j->out, ",\"name\":\"%s\",\"cat\":\"event\",\"args\":{\"core\":%" PRIu32,
		event_name(e->type), e->core);
	switch (e->type) {
	case KZ_TRACE_RELEASE:
		put_us(j, "deadline_us", since_begin(j, e->due));
		break;
	case KZ_TRACE_MISS:
		put_us(j, "budget_us", trace_ns(&j->trace, (uint64_t)e->value * 64));
		break;
	case KZ_TRACE_INJECT:
		fprintf(j->out, ",\"intid\":%u", e->arg);
		break;
	case KZ_TRACE_VM_STOP:
		fprintf(j->out, ",\"arg\":%u,\"reason\":\"%s\"", e->arg,
			replay_reason_name(e->value));
		break;
	case KZ_TRACE_VM_FAULT:
		fprintf(j->out, ",\"ipa\":\"0x%" PRIx64 "\"", (uint64_t)e->value * 256);
		break;
	default:
		fprintf(j->out, ",\"arg\":%u", e->arg);
		break;
	}
	fputs("}}", j->out);
	if (e->type == KZ_TRACE_MISS) {
		put_counter(j, e);
	}
}

/* ---- Names ---- */

__attribute__((format(printf, 5, 6))) static void
put_name(struct json *j, const char *what, unsigned pid, unsigned tid, const char *format, ...)
{
	va_list args;

	begin(j, "M", pid, tid);
	fprintf(j->out, ",\"name\":\"%s_name\",\"args\":{\"name\":\"", what);
	va_start(args, format);
	vfprintf(j->out, format, args);
	va_end(args);
	fputs("\"}}", j->out);
	begin(j, "M", pid, tid);
	fprintf(j->out, ",\"name\":\"%s_sort_index\",\"args\":{\"sort_index\":%u}}", what,
		(tid == 0) ? pid : tid);
}

static void put_names(struct json *j)
{
	const struct trace *t = &j->trace;

	put_name(j, "process", CORES_PID, 0, "cores");
	for (unsigned c = 0; c < t->core_count; c++) {
		put_name(j, "thread", CORES_PID, CORE_TID(c), "core %u", c);
		put_name(j, "thread", CORES_PID, CORE_TID(c) + 1, "core %u events", c);
	}
	for (unsigned v = 0; v < t->cfg->vm_count; v++) {
		put_name(j, "process", VM_PID(v), 0, "%s", trace_vm_name(t, v));
		for (unsigned c = 0; trace_has_vcpu(t, (uint8_t)KZ_TRACE_VCPU(v, c)); c++) {
			uint8_t id = (uint8_t)KZ_TRACE_VCPU(v, c);
			const char *name = trace_vcpu_name(t, id);

			put_name(j, "thread", VM_PID(v), vcpu_tid(id, DOES), "%s (core %u)", name,
				 (unsigned)trace_vcpu_core(t, id));
			put_name(j, "thread", VM_PID(v), vcpu_tid(id, JOBS), "%s jobs", name);
			put_name(j, "thread", VM_PID(v), vcpu_tid(id, HAPPENS), "%s events", name);
		}
	}
}

static bool put_all(struct json *j)
{
	static const struct replay_ops ops = {
		.span = on_span,
		.state = on_state,
		.job = on_job,
		.event = on_event,
	};
	bool ok;

	fprintf(j->out,
		"{\"displayTimeUnit\":\"ns\",\"otherData\":{\"board\":\"%s\",\"hz\":%" PRIu64
		",\"begin_ticks\":\"%" PRIu64 "\"},\n\"traceEvents\":[",
		j->trace.cfg->machine.board, j->trace.hz, j->trace.begin);
	j->first = true;
	put_names(j);
	ok = replay(&j->trace, &ops, j);
	fputs("\n]}\n", j->out);
	return ok;
}

/* ---- The command ---- */

struct options {
	const char *file, *output;
	struct range range;
};

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .output = "-", .range = RANGE_ALL };
	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
		if (c == 'o') {
			o->output = optarg;
		} else if (c == 'h') {
			exit(command_help("json"));
		} else if (c == '?') {
			return command_usage("json");
		} else if (!range_option(&o->range, "json", c, optarg)) {
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		return command_usage("json");
	}
	o->file = argv[optind];
	return EXIT_SUCCESS;
}

int json_main(int argc, char **argv)
{
	static struct json json;
	struct options o;
	struct out out;
	int err = parse(argc, argv, &o);
	int closed;

	if (err != EXIT_SUCCESS) {
		return err;
	}
	memset(&json, 0, sizeof(json)); /* a caller may write more than one */
	if (!trace_open(&json.trace, o.file)) {
		return EXIT_WRONG;
	}
	err = range_ticks(&o.range, "json", &json.trace, &json.from, &json.to);
	if (o.range.to_ns == UINT64_MAX) {
		json.to = UINT64_MAX; /* the last record may tell what ends behind it */
	}
	if ((err == EXIT_SUCCESS) && (out_open(&out, o.output) != 0)) {
		err = EXIT_WRONG;
	} else if (err == EXIT_SUCCESS) {
		bool ok;

		json.out = out.file;
		ok = put_all(&json);
		ok = (out_close(&out, ok) == 0) && ok;
		err = ok ? EXIT_SUCCESS : EXIT_WRONG;
	}
	closed = trace_close(&json.trace);
	return (err == EXIT_SUCCESS) ? closed : err;
}
