/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kz create: a VM from a file. What it takes is found by kzc's own code (tools/kzc/live.h); the
 * hypervisor checks it again. Until the VM has been started, whatever ends us destroys it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "call.h"
#include "console.h"
#include "life.h"
#include "live.h"
#include "show.h"
#include "stop.h"
#include "system.h"
#include "term.h"
#include "xl.h"

#define SHARE        "/usr/share/kizami/boards"
#define BUSY_TRIES   20
#define BUSY_WAIT_MS 50

struct create {
	struct kz *kz;
	const char *path;
	bool console, paused, dry;
	struct sys *sys;
	struct kz_system system; /* what the VMs that are there have is not free */
	struct live_vm made;
};

/* ---- The file ---- */

/* Our own language, or xl's in it; NULL: what is wrong is in the sys. */
static char *text_read(struct sys *s, const char *path, size_t *size)
{
	const char *slash = strrchr(path, '/');
	struct bytes text;

	s->dir = (slash == NULL) ? "." : mem_strndup(&s->mem, path, (size_t)(slash - path) + 1);
	if (!mem_file(&s->mem, path, &text)) {
		diag_error(&s->diag, 0, "%s", strerror(errno));
		return NULL;
	}
	*size = text.size;
	if (memchr(text.data, '\0', text.size) != NULL) {
		diag_error(&s->diag, 0, "this is no text");
		return NULL;
	}
	if (xl_is((char *)text.data)) {
		char *ours = xl_convert(&s->diag, xl_parse(&s->diag, (char *)text.data));

		s->dir = "."; /* as xl has it */
		*size = strlen(ours);
		return (s->diag.errors == 0) ? ours : NULL;
	}
	return (char *)text.data;
}

/* What is to be made, in c->made. All that is wrong with the file is printed at once. */
static int file_read(struct create *c)
{
	struct sys *s = c->sys;
	bool ok = false;
	size_t size = 0;
	char *text;

	s->diag.mem = &s->mem;
	s->diag.file = c->path;
	s->paths.program = SHARE;
	s->paths.boards = (c->kz->boards == NULL) ? SHARE : c->kz->boards;
	s->paths.dtbs = (c->kz->dtbs == NULL) ? SHARE : c->kz->dtbs;
	text = text_read(s, c->path, &size);
	if (text != NULL) {
		ok = live_parse(s, text, size, &c->system.now, &c->made);
	}
	diag_print(&s->diag, stderr);
	diag_print(&s->board.diag, stderr);
	if (!ok && (s->diag.errors + s->board.diag.errors == 0)) {
		return kz_fail(c->kz, "%s: it cannot be made here", c->path);
	}
	return ok ? EXIT_OK : EXIT_FAILED;
}

/* ---- The VM ---- */

static int refused(const struct create *c, int err, const struct refusal *why)
{
	const char *name = c->made.cfg.name;

	if ((err == KZ_EINVAL) && (why->x1 != 0)) {
		return kz_fail(c->kz,
			       "vm %s: the hypervisor refuses it: %s (number %" PRIu64
			       "): has another VM been created meanwhile?",
			       name, blob_strerror((enum blob_err)why->x1), why->x2);
	}
	if (err == KZ_ELOAD) {
		return kz_fail(c->kz,
			       "vm %s: core %" PRIu64 " cannot keep its promises beside it: "
			       "it lacks %" PRIu64 ".%04" PRIu64 " %% of its time",
			       name, why->x1, why->x2 / 10000, why->x2 % 10000);
	}
	return call_failed(c->kz, err, "creating it", name);
}

/* A place for it. Another one that is being registered is over in microseconds. */
static int place_take(struct create *c, unsigned *id)
{
	struct refusal why;
	int err = KZ_EBUSY;

	for (unsigned i = 0; (err == KZ_EBUSY) && (i < BUSY_TRIES); i++) {
		if (i > 0) {
			(void)wait_for(NULL, -1, BUSY_WAIT_MS);
		}
		if (stop_asked()) {
			return EXIT_STOPPED;
		}
		err = call_register(c->kz, &c->made.cfg, id, &why);
	}
	return (err == KZ_OK) ? EXIT_OK : refused(c, err, &why);
}

static int store_fill(struct create *c, unsigned id)
{
	const struct bytes *store = &c->made.store;

	for (size_t at = 0; at < store->size; at += KZ_CONTROL_BYTES) {
		size_t left = store->size - at;
		size_t size = (left < KZ_CONTROL_BYTES) ? left : KZ_CONTROL_BYTES;
		int err;

		if (stop_asked()) {
			return EXIT_STOPPED;
		}
		err = call_fill(c->kz, id, at, store->data + at, size);
		if (err != KZ_OK) {
			return call_failed(c->kz, err, "filling its store", c->made.cfg.name);
		}
		progress("images", at + size, store->size);
	}
	return EXIT_OK;
}

/* Its first output is not to be lost: the console is attached before it starts. */
static int vm_start(struct create *c, unsigned id)
{
	int err = KZ_OK;

	if (c->console) {
		err = call_control(c->kz, id, KZ_VERB_ATTACH, NULL);
		if (err != KZ_OK) {
			return call_failed(c->kz, err, "attaching to the console",
					   c->made.cfg.name);
		}
	}
	if (c->paused) {
		return EXIT_OK;
	}
	if (stop_asked()) {
		return EXIT_STOPPED;
	}
	err = call_control(c->kz, id, KZ_VERB_START, NULL);
	return (err == KZ_OK) ? EXIT_OK : call_failed(c->kz, err, "starting", c->made.cfg.name);
}

static int created_show(struct create *c, const struct vmi *vm)
{
	if (c->kz->json) {
		return show_json(c->kz, show_vm(vm));
	}
	printf("vm %s has number %u, %s of memory, core %s, and is %s\n", vm->info.name, vm->id,
	       bytes_text(vmi_memory(vm)), vmi_cores(vm), state_word(vm->info.state));
	return show_flush(c->kz);
}

static int vm_make(struct create *c)
{
	struct vmi vm;
	unsigned id = 0;
	int code, err;

	stop_begin();
	code = place_take(c, &id);
	if (code != EXIT_OK) {
		return code;
	}
	code = store_fill(c, id);
	if (code == EXIT_OK) {
		code = vm_start(c, id);
	}
	if (code != EXIT_OK) {
		fprintf(stderr, "kz create: vm %s is destroyed again\n", c->made.cfg.name);
		stop_forget();
		(void)life_destroy(c->kz, id);
		return code;
	}
	err = vmi_read(c->kz, id, &vm);
	if (err != KZ_OK) {
		return call_failed(c->kz, err, "looking at it", c->made.cfg.name);
	}
	return c->console ? console_run(c->kz, &vm, WAIT_FOREVER) : created_show(c, &vm);
}

/* What would be made. */
static int dry_show(struct create *c)
{
	struct vmi vm = { .cfg = c->made.cfg };
	json_t *o;
	int code = EXIT_OK;

	memcpy(vm.info.name, c->made.cfg.name, sizeof(vm.info.name));
	for (unsigned v = 0; v < vm.cfg.vcpu_count; v++) {
		vm.vcpu[v] = (struct kz_vcpu_info){ .state = 2,
						    .core = vm.cfg.cpu[v],
						    .budget = vm.cfg.server.budget_ns,
						    .period = vm.cfg.server.period_ns,
						    .deadline = vm.cfg.server.deadline_ns };
	}
	o = show_vm(&vm);
	(void)json_object_del(o, "id");
	show_add_number(o, "store_bytes", c->made.store.size);
	if (c->kz->json) {
		return show_json(c->kz, o);
	}
	show_text(o);
	json_decref(o);
	code = show_flush(c->kz);
	return code;
}

static int create_run(struct create *c)
{
	int code = kz_system_read(c->kz, &c->system);

	code = (code == EXIT_OK) ? file_read(c) : code;
	if (code != EXIT_OK) {
		return code;
	}
	return c->dry ? dry_show(c) : vm_make(c);
}

/* ---- The command line ---- */

static int args_read(struct create *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "console", no_argument, NULL, 'c' },
		{ "paused", no_argument, NULL, 'p' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, ":cpn", options, NULL)) != -1) {
		if ((opt == '?') || (opt == ':')) {
			return kz_option_wrong(c->kz, opt, argv);
		}
		c->console = c->console || (opt == 'c');
		c->paused = c->paused || (opt == 'p');
		c->dry = c->dry || (opt == 'n');
	}
	if (argc - optind != 1) {
		return kz_usage(c->kz, "one file");
	}
	if (c->console && c->kz->json) {
		return kz_usage(c->kz, "a console is no JSON");
	}
	c->path = argv[optind];
	return EXIT_OK;
}

int verb_create(struct kz *kz, int argc, char **argv)
{
	struct create *c = calloc(1, sizeof(*c));
	int code;

	if ((c == NULL) || ((c->sys = calloc(1, sizeof(*c->sys))) == NULL)) {
		free(c);
		return kz_fail(kz, "out of memory");
	}
	c->kz = kz;
	code = args_read(c, argc, argv);
	code = (code == EXIT_OK) ? create_run(c) : code;
	mem_free(&c->sys->mem);
	free(c->sys);
	free(c);
	return code;
}
