/* SPDX-License-Identifier: Apache-2.0 */
/* kztrace hist: response times and start latencies as pictures. */
#include "hist.h"

#include <getopt.h>
#include <stdlib.h>

#include "commands.h"
#include "out.h"

static void on_job(void *ctx, const struct replay_job *j)
{
	struct hist *h = ctx;
	struct hist_vcpu *v = &h->v[TRACE_SLOT(j->vcpu)];

	if (j->has_start) {
		stat_add(&v->start[j->released], j->start - j->release);
	}
	if ((j->how == REPLAY_END_DONE) || (j->how == REPLAY_END_BLOCK)) {
		stat_add(&v->response[j->released], j->end - j->release);
	}
	v->misses += j->missed ? 1 : 0;
}

bool hist_has(const struct hist *h, unsigned slot)
{
	const struct hist_vcpu *v = &h->v[slot];

	return ((h->vm < 0) || ((unsigned)h->vm == slot / KZ_VCPUS_MAX)) &&
	       (v->response[0].count + v->response[1].count + v->start[0].count +
			v->start[1].count > 0);
}

/* Something to draw; else a message. */
static bool is_empty(const struct hist *h)
{
	for (unsigned s = 0; s < TRACE_SLOTS; s++) {
		if (hist_has(h, s)) {
			return false;
		}
	}
	fprintf(stderr, "kztrace: %s: no job of %s begins in it; nothing is drawn\n", h->t->path,
		(h->vm < 0) ? "any VM" : trace_vm_name(h->t, (unsigned)h->vm));
	return true;
}

static bool find_vm(struct hist *h, const char *name)
{
	h->vm = (name == NULL) ? -1 : trace_vm_find(h->t, name);
	if ((name == NULL) || (h->vm >= 0)) {
		return true;
	}
	fprintf(stderr, "kztrace: %s: there is no VM %s; there is:", h->t->path, name);
	for (unsigned m = 0; m < h->t->cfg->vm_count; m++) {
		fprintf(stderr, " %s", trace_vm_name(h->t, m));
	}
	fputc('\n', stderr);
	return false;
}

static bool draw(struct hist *h, const char *output)
{
	static const struct replay_ops ops = { .job = on_job };
	struct out out;

	if (!replay(h->t, &ops, h) || is_empty(h) || (out_open(&out, output) != 0)) {
		return false;
	}
	hist_draw(h, out.file);
	return out_close(&out, true) == 0;
}

static int run(const char *path, const char *output, const char *vm)
{
	struct hist *h = calloc(1, sizeof(*h));
	struct trace t;
	bool ok;
	int code;

	if (h == NULL) {
		fputs("kztrace: out of memory\n", stderr);
		return EXIT_WRONG;
	}
	if (!trace_open(&t, path)) {
		free(h);
		return EXIT_WRONG;
	}
	h->t = &t;
	ok = find_vm(h, vm) && draw(h, output);
	for (unsigned s = 0; s < TRACE_SLOTS; s++) {
		for (unsigned i = 0; i < 2; i++) {
			stat_free(&h->v[s].response[i]);
			stat_free(&h->v[s].start[i]);
		}
	}
	free(h);
	code = trace_close(&t);
	return ok ? code : EXIT_WRONG;
}

int hist_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "vm", required_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *output = NULL, *vm = NULL;

	for (int opt; (opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
		switch (opt) {
		case 'o':
			output = optarg;
			break;
		case 'v':
			vm = optarg;
			break;
		case 'h':
			return command_help(argv[0]);
		default:
			return command_usage(argv[0]);
		}
	}
	if ((argc != optind + 1) || (output == NULL)) {
		return command_usage(argv[0]);
	}
	return run(argv[optind], output, vm);
}
