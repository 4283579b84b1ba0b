/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "dev.h"
#include "stop.h"
#include "term.h"

/* What the guest had no room for is offered again after so long, twice as long each time. */
#define RETRY_MIN_MS 5
#define RETRY_MAX_MS 200

struct console {
	struct kz *kz;
	unsigned vm;
	char name[KZ_NAME_MAX];
	char input[256]; /* typed, and not yet taken */
	size_t pending;
	int64_t retry; /* ms, while there is something pending */
	bool ended;    /* stdin has */
	bool in_line;  /* the output's last line has not ended */
	bool leave;
};

/* All that its console has put out. EXIT_OK, or what to exit with. */
static int output_take(struct console *c)
{
	static char text[KZ_CONTROL_BYTES];
	size_t size;

	do {
		int err = call_console_read(c->kz, c->vm, text, sizeof(text), &size);

		if (err == KZ_ENOENT) {
			fprintf(stderr, "\r\nkz console: vm %s is gone\r\n", c->name);
			c->in_line = false;
			c->leave = true;
			return EXIT_OK;
		}
		if (err == KZ_EBUSY) {
			term_restore();
			return kz_fail(c->kz, "the console of vm %s is not attached any more",
				       c->name);
		}
		if (err != KZ_OK) {
			term_restore();
			return call_failed(c->kz, err, "reading the console", c->name);
		}
		if (size > 0) {
			c->in_line = (text[size - 1] != '\n');
		}
		if (!term_write(text, size)) {
			term_restore();
			return kz_fail(c->kz, "stdout: %s", strerror(errno));
		}
	} while (size > 0);
	return EXIT_OK;
}

/* As much as the guest takes. EXIT_OK, or what to exit with. */
static int input_give(struct console *c)
{
	size_t taken;
	int err;

	if (c->pending == 0) {
		return EXIT_OK;
	}
	err = call_console_write(c->kz, c->vm, c->input, c->pending, &taken);
	if ((err != KZ_OK) && (err != KZ_ENOENT)) {
		term_restore();
		return call_failed(c->kz, err, "typing", c->name);
	}
	memmove(c->input, c->input + taken, c->pending - taken);
	c->pending -= taken;
	c->retry = (taken > 0) ? RETRY_MIN_MS : 2 * c->retry;
	c->retry = (c->retry > RETRY_MAX_MS) ? RETRY_MAX_MS : c->retry;
	return EXIT_OK;
}

/* What was typed, up to Ctrl-]. */
static void input_take(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->input, sizeof(c->input));
	const char *key;

	if (n <= 0) {
		c->ended = true;
		return;
	}
	key = memchr(c->input, TERM_KEY_LEAVE, (size_t)n);
	c->leave = (key != NULL);
	c->pending = (key != NULL) ? (size_t)(key - c->input) : (size_t)n;
	c->retry = RETRY_MIN_MS;
}

/* Until the end; the console is attached. */
static int carry(struct console *c, int64_t ms)
{
	int64_t end = (ms == WAIT_FOREVER) ? INT64_MAX : now_ms() + ms;
	int code = EXIT_OK;

	while (code == EXIT_OK) {
		int64_t left = end - now_ms(), wait = WAIT_FOREVER;
		bool listens = !c->ended && !c->leave && (c->pending == 0);
		unsigned found;

		if (!dev_event_clear(c->kz->dev)) {
			term_restore();
			return kz_fail(c->kz, "%s: %s", c->kz->path, strerror(errno));
		}
		code = output_take(c);
		if ((code != EXIT_OK) || (left <= 0) ||
		    ((c->pending == 0) && (c->leave || (c->ended && (ms == WAIT_FOREVER))))) {
			break;
		}
		if (c->pending > 0) {
			wait = c->retry;
		}
		if ((end != INT64_MAX) && ((wait == WAIT_FOREVER) || (wait > left))) {
			wait = left;
		}
		found = wait_for(c->kz->dev, listens ? STDIN_FILENO : -1, wait);
		if ((found & (WAIT_STOP | WAIT_ERROR)) != 0) {
			return ((found & WAIT_STOP) != 0) ? EXIT_STOPPED : EXIT_FAILED;
		}
		if ((found & WAIT_INPUT) != 0) {
			input_take(c);
		}
		code = input_give(c);
	}
	return code;
}

int console_run(struct kz *kz, const struct vmi *vm, int64_t ms)
{
	struct console c = { .kz = kz, .vm = vm->id };
	int code, err;

	memcpy(c.name, vm->info.name, sizeof(c.name));
	stop_begin();
	err = call_control(kz, vm->id, KZ_VERB_ATTACH, NULL);
	if (err == KZ_EBUSY) {
		return kz_fail(kz, "the console of vm %s is attached to another VM (number %u)",
			       c.name, vm->info.attached - 1);
	}
	if (err != KZ_OK) {
		return call_failed(kz, err, "attaching to the console", c.name);
	}
	if (isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"kz: the console of vm %s; Ctrl-] leaves (Ctrl-] Ctrl-] on the "
			"machine's own console)\n",
			c.name);
	}
	term_raw(false);
	code = carry(&c, ms);
	term_restore();
	/* What follows is not the VM's. */
	if (c.in_line && isatty(STDOUT_FILENO)) {
		(void)term_write("\n", 1);
	}
	(void)call_control(kz, vm->id, KZ_VERB_DETACH, NULL);
	return code;
}

int verb_console(struct kz *kz, int argc, char **argv)
{
	int64_t ms = WAIT_FOREVER;
	struct vmi vm;
	int code;

	code = kz_time_option(kz, argc, argv, &ms);
	if (code != EXIT_OK) {
		return code;
	}
	if (kz->json) {
		return kz_usage(kz, "a console is no JSON");
	}
	if (argc - optind != 1) {
		return kz_usage(kz, "the console of one VM");
	}
	code = vmi_find(kz, argv[optind], &vm);
	return (code == EXIT_OK) ? console_run(kz, &vm, ms) : code;
}
