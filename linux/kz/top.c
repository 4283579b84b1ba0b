/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kz top: what happened between two looks. The picture is redrawn by three escape sequences that
 * every terminal knows: a library would want a terminfo database, which an initramfs lacks.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "latency.h"
#include "show.h"
#include "stop.h"
#include "term.h"

#define HOME        "\033[H"
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"

struct look {
	struct kz_machine_info machine;
	struct vmi vm[KZ_VMS_MAX];
	int count;
};

struct top {
	struct kz *kz;
	struct latency *latency;
	struct look look[2];
	const struct look *old, *now;
	uint64_t interval; /* between them, ns; at least 1 */
	bool batch;
	unsigned row, rows; /* of the terminal; 0: no end */
};

/* ---- What there is between two looks ---- */

static int look_take(struct kz *kz, struct look *l)
{
	int err = call_machine(kz, &l->machine);

	if (err != KZ_OK) {
		return call_failed(kz, err, "looking at the machine", NULL);
	}
	l->count = vmi_read_all(kz, l->vm);
	return (l->count < 0) ? EXIT_FAILED : EXIT_OK;
}

/* The same VM before, or NULL: it has come since. */
static const struct vmi *vm_before(const struct top *t, const struct vmi *vm)
{
	for (int i = 0; i < t->old->count; i++) {
		const struct vmi *old = &t->old->vm[i];

		if ((old->id == vm->id) && (strcmp(old->info.name, vm->info.name) == 0) &&
		    (old->cfg.vcpu_count == vm->cfg.vcpu_count)) {
			return old;
		}
	}
	return NULL;
}

/* What a vCPU's counters were before; those of a VM that has come since were 0. */
static const struct kz_vcpu_info *vcpu_before(const struct top *t, const struct vmi *vm, unsigned v)
{
	static const struct kz_vcpu_info none;
	const struct vmi *old = vm_before(t, vm);

	return (old == NULL) ? &none : &old->vcpu[v];
}

/* A counter's growth; one that went back began anew. */
static uint64_t grown(uint64_t old, uint64_t now)
{
	return (now >= old) ? now - old : now;
}

static double percent(const struct top *t, uint64_t ns)
{
	return 100.0 * (double)ns / (double)t->interval;
}

static double a_second(const struct top *t, uint64_t count)
{
	return (double)count * 1e9 / (double)t->interval;
}

/* Executed by all on a core, in ns. */
static uint64_t core_executed(const struct top *t, unsigned core)
{
	uint64_t ns = 0;

	for (int i = 0; i < t->now->count; i++) {
		const struct vmi *vm = &t->now->vm[i];

		for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
			if (vm->vcpu[v].core == core) {
				ns += grown(vcpu_before(t, vm, v)->executed, vm->vcpu[v].executed);
			}
		}
	}
	return ns;
}

/* ---- As text ---- */

/* The end of a line; false: there is no room for another one. */
static bool line_end(struct top *t)
{
	fputs(t->batch ? "\n" : CLEAR_LINE "\r\n", stdout);
	t->row++;
	return t->batch || (t->rows == 0) || (t->row + 1 < t->rows);
}

/* What the latencies are made of. */
static void trace_print(const struct top *t)
{
	const char *missing = latency_missing(t->latency);
	uint64_t read = 0, lost = 0, skipped = 0;

	if (missing != NULL) {
		printf("No latencies: %s", missing);
		return;
	}
	for (unsigned c = 0; c < t->now->machine.cfg.machine.cpu_count; c++) {
		const struct latency_core *is = latency_core_of(t->latency, c);

		read += is->read;
		lost += is->lost;
		skipped += is->skipped;
	}
	printf("Trace:  %" PRIu64 " records read, %" PRIu64 " lost, %" PRIu64 " skipped", read,
	       lost, skipped);
}

static bool cores_print(struct top *t)
{
	printf("kz top: %d VMs, up %s", t->now->count, ns_text(t->now->machine.now));
	if (!line_end(t)) {
		return false;
	}
	fputs("Cores:", stdout);
	for (unsigned c = 0; c < t->now->machine.cfg.machine.cpu_count; c++) {
		printf("  %u: %5.1f %%", c, percent(t, core_executed(t, c)));
	}
	if (!line_end(t)) {
		return false;
	}
	trace_print(t);
	if (!line_end(t)) {
		return false;
	}
	return line_end(t); /* a line between */
}

/* ns in us, to three figures or more. A static buffer. */
static const char *us_text(uint64_t ns)
{
	static char text[32];

	snprintf(text, sizeof(text), "%.*f", (ns < 10000) ? 3 : 1, (double)ns / 1e3);
	return text;
}

/* Latencies in us; a greatest one of a part of all has '>'. */
static void latency_print(const struct top *t, const struct vmi *vm, unsigned v)
{
	const struct stat_of *of = latency_of(t->latency, vm->id, v);
	char max[40];

	if (of->count == 0) {
		printf(" %8s %10s", "-", "-");
		return;
	}
	snprintf(max, sizeof(max), "%s%s", latency_is_part(t->latency, vm->vcpu[v].core) ? ">" : "",
		 us_text(of->max));
	printf(" %8s %10s", us_text(stat_quantile(of, 1, 2)), max);
}

/* Exits of all classes. */
static uint64_t exits_all(const struct kz_vcpu_info *old, const struct kz_vcpu_info *now)
{
	uint64_t count = 0;

	for (unsigned e = 0; e < KZ_EXIT_CLASSES; e++) {
		count += grown(old->exits[e], now->exits[e]);
	}
	return count;
}

static bool vm_print(struct top *t, const struct vmi *vm)
{
	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		const struct kz_vcpu_info *c = &vm->vcpu[v], *old = vcpu_before(t, vm, v);
		char name[KZ_NAME_MAX + 8], server[72] = "-";

		snprintf(name, sizeof(name), "%s/%u", vm->info.name, v);
		if (c->period != 0) {
			snprintf(server, sizeof(server), "%s/%s", ns_text(c->budget),
				 ns_text(c->period));
		}
		printf("%-17s %-4s %4u  %-9s %5.1f  %-21s %6" PRIu64 " %6" PRIu64 " %6" PRIu64
		       "  %6.1f %9.0f",
		       name, level_word(vm->cfg.level), c->core,
		       (vm->info.state == KZ_VM_RUNNING) ? sched_word(c->sched)
							 : state_word(vm->info.state),
		       percent(t, grown(old->executed, c->executed)), server, c->misses, c->late,
		       c->overruns, percent(t, grown(old->stolen, c->stolen)),
		       a_second(t, exits_all(old, c)));
		latency_print(t, vm, v);
		if (!line_end(t)) {
			return false;
		}
	}
	return true;
}

/* Exits a second, of each class: those of all vCPUs of a VM. */
static bool exits_print(struct top *t, const struct vmi *vm)
{
	printf("%-15s %8u %8u", vm->info.name, vm->info.restarts, vm->info.failures);
	for (unsigned e = 0; e < KZ_EXIT_CLASSES; e++) {
		uint64_t count = 0;

		for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
			count += grown(vcpu_before(t, vm, v)->exits[e], vm->vcpu[v].exits[e]);
		}
		printf(" %7.0f", a_second(t, count));
	}
	return line_end(t);
}

static void picture_print(struct top *t)
{
	bool room;

	t->row = 0;
	t->rows = t->batch ? 0 : term_lines();
	fputs(t->batch ? "" : HOME, stdout);
	room = cores_print(t);
	if (room) {
		fputs("vCPU              Level Core Doing         %  Budget/period        Misses   "
		      "Late  Overr  Stolen   Exits/s  Lat p50    Lat max",
		      stdout);
		room = line_end(t);
	}
	for (int i = 0; room && (i < t->now->count); i++) {
		room = vm_print(t, &t->now->vm[i]);
	}
	if (room && line_end(t)) {
		fputs("VM              Restarts Failures", stdout);
		for (unsigned e = 0; e < KZ_EXIT_CLASSES; e++) {
			printf(" %7s", class_word(e));
		}
		fputs("  exits/s", stdout);
		room = line_end(t);
	}
	for (int i = 0; room && (i < t->now->count); i++) {
		room = exits_print(t, &t->now->vm[i]);
	}
	fputs(t->batch ? "\n" : CLEAR_BELOW, stdout);
}

/* ---- As JSON ---- */

static json_t *latency_json(const struct top *t, const struct vmi *vm, unsigned v)
{
	const struct stat_of *of = latency_of(t->latency, vm->id, v);
	json_t *o;

	if (latency_missing(t->latency) != NULL) {
		return json_null();
	}
	o = json_object();
	show_add_number(o, "count", of->count);
	if (of->count == 0) {
		show_add(o, "p50_ns", json_null());
		show_add(o, "max_ns", json_null());
	} else {
		show_add_number(o, "p50_ns", stat_quantile(of, 1, 2));
		show_add_number(o, "max_ns", of->max);
	}
	show_add(o, "part", json_boolean(latency_is_part(t->latency, vm->vcpu[v].core)));
	return o;
}

static json_t *trace_json(const struct top *t, unsigned core)
{
	const struct latency_core *is = latency_core_of(t->latency, core);
	json_t *o;

	if (latency_missing(t->latency) != NULL) {
		return json_null();
	}
	o = json_object();
	show_add_number(o, "read", is->read);
	show_add_number(o, "lost", is->lost);
	show_add_number(o, "skipped", is->skipped);
	show_add_number(o, "left_out", is->left_out);
	return o;
}

static json_t *vcpu_json(const struct top *t, const struct vmi *vm, unsigned v)
{
	const struct kz_vcpu_info *c = &vm->vcpu[v], *old = vcpu_before(t, vm, v);
	json_t *o = json_object(), *exits = json_object();

	show_add_number(o, "vcpu", v);
	show_add_number(o, "core", c->core);
	show_add(o, "sched", json_string(sched_word(c->sched)));
	show_add(o, "percent", json_real(percent(t, grown(old->executed, c->executed))));
	show_add(o, "stolen_percent", json_real(percent(t, grown(old->stolen, c->stolen))));
	show_add_number(o, "budget_ns", c->budget);
	show_add_number(o, "period_ns", c->period);
	show_add_number(o, "jobs", c->jobs);
	show_add_number(o, "misses", c->misses);
	show_add_number(o, "late", c->late);
	show_add_number(o, "overruns", c->overruns);
	for (unsigned e = 0; e < KZ_EXIT_CLASSES; e++) {
		show_add(exits, class_word(e),
			 json_real(a_second(t, grown(old->exits[e], c->exits[e]))));
	}
	show_add(o, "exits_per_second", exits);
	show_add(o, "latency", latency_json(t, vm, v));
	return o;
}

static int picture_json(const struct top *t)
{
	json_t *o = json_object(), *cores = json_array(), *vms = json_array();
	const char *missing = latency_missing(t->latency);

	show_add_number(o, "now_ns", t->now->machine.now);
	show_add_number(o, "interval_ns", t->interval);
	show_add(o, "trace_missing", (missing == NULL) ? json_null() : json_string(missing));
	for (unsigned c = 0; c < t->now->machine.cfg.machine.cpu_count; c++) {
		json_t *core = json_object();

		show_add_number(core, "core", c);
		show_add(core, "percent", json_real(percent(t, core_executed(t, c))));
		show_add(core, "trace", trace_json(t, c));
		show_add(cores, NULL, core);
	}
	show_add(o, "cores", cores);
	for (int i = 0; i < t->now->count; i++) {
		const struct vmi *vm = &t->now->vm[i];
		json_t *one = show_vm_brief(vm), *vcpus = json_array();

		show_add(one, "level", json_string(level_word(vm->cfg.level)));
		show_add_number(one, "restarts", vm->info.restarts);
		show_add_number(one, "failures", vm->info.failures);
		for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
			show_add(vcpus, NULL, vcpu_json(t, vm, v));
		}
		show_add(one, "vcpu", vcpus);
		show_add(vms, NULL, one);
	}
	show_add(o, "vms", vms);
	return show_json_line(t->kz, o);
}

/* ---- The command ---- */

/* Wait for the next picture; false: leave. */
static bool top_wait(const struct top *t, int64_t ms)
{
	int64_t end = now_ms() + ms, left = ms;
	bool keys = !t->batch && (isatty(STDIN_FILENO) == 1);

	while (left > 0) {
		unsigned found = wait_for(NULL, keys ? STDIN_FILENO : -1, left);
		char key = 'q';

		if ((found & (WAIT_STOP | WAIT_ERROR)) != 0) {
			return false;
		}
		if (((found & WAIT_INPUT) != 0) &&
		    ((read(STDIN_FILENO, &key, 1) != 1) || (key == 'q') || (key == 'Q'))) {
			return false;
		}
		left = (found == 0) ? 0 : end - now_ms();
	}
	return true;
}

/* All counters, and then what was recorded until then. */
static int top_look(struct top *t, unsigned i)
{
	struct look *l = &t->look[i % 2];
	int code = look_take(t->kz, l);

	if (code != EXIT_OK) {
		return code;
	}
	t->now = l;
	t->old = &t->look[(i + 1) % 2];
	t->interval = (i == 0) ? UINT64_MAX : grown(t->old->machine.now, l->machine.now);
	t->interval = (t->interval == 0) ? 1 : t->interval;
	latency_look(t->latency, &l->machine, l->vm, l->count, t->interval);
	return EXIT_OK;
}

static int top_run(struct top *t, int64_t ms, uint64_t count)
{
	int code = top_look(t, 0);

	stop_begin();
	if (!t->batch) {
		term_raw(true);
		fputs(HOME CLEAR_BELOW, stdout);
	}
	for (unsigned i = 1; (code == EXIT_OK) && top_wait(t, ms); i++) {
		code = top_look(t, i);
		if (code != EXIT_OK) {
			break;
		}
		if (t->kz->json) {
			code = picture_json(t);
		} else {
			picture_print(t);
			code = show_flush(t->kz);
		}
		if (i == count) {
			break;
		}
	}
	term_restore();
	return code;
}

int verb_top(struct kz *kz, int argc, char **argv)
{
	static const struct option options[] = {
		{ "batch", no_argument, NULL, 'b' },
		{ "delay", required_argument, NULL, 'd' },
		{ "count", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	struct top *t = calloc(1, sizeof(*t));
	struct latency *latency = latency_new(kz);
	int64_t ms = 1000, count = 0;
	char *end;
	int opt, code = EXIT_OK;

	if ((t == NULL) || (latency == NULL)) {
		free(t);
		latency_free(latency);
		return kz_fail(kz, "out of memory");
	}
	t->kz = kz;
	t->latency = latency;
	t->batch = kz->json || (isatty(STDOUT_FILENO) == 0);
	optind = 0;
	while ((code == EXIT_OK) &&
	       ((opt = getopt_long(argc, argv, ":bd:n:", options, NULL)) != -1)) {
		if (opt == 'b') {
			t->batch = true;
		} else if ((opt == '?') || (opt == ':')) {
			code = kz_option_wrong(kz, opt, argv);
		} else if ((opt == 'd') && !kz_seconds(optarg, &ms)) {
			code = kz_usage(kz, "--delay is a time in seconds, not '%s'", optarg);
		} else if (opt == 'n') {
			count = strtol(optarg, &end, 10);
			if ((count <= 0) || (*end != '\0')) {
				code = kz_usage(kz, "--count is a number, not '%s'", optarg);
			}
		}
	}
	if ((code == EXIT_OK) && (optind < argc)) {
		code = kz_usage(kz, "'%s': it takes no words", argv[optind]);
	}
	code = (code == EXIT_OK) ? top_run(t, ms, (uint64_t)count) : code;
	latency_free(latency);
	free(t);
	return code;
}
