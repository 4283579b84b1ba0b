/* SPDX-License-Identifier: Apache-2.0 */
/* kz start, pause, unpause, shutdown, reboot, destroy: from one state to another. */
#include "life.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "dev.h"
#include "show.h"
#include "stop.h"

#define TIMEOUT_MS 60000
/* Between two looks at what no event tells of: how long a core takes to leave a vCPU. */
#define LOOK_MS 1

struct args {
	int64_t timeout;
	bool wait, force;
};

/* How far a VM is on its way, compared with how it was before. */
enum progress { GOING, ARRIVED, ASTRAY, GONE };

typedef enum progress progress_fn(const struct vmi *before, const struct kz_vm_info *now);

static enum progress to_running(const struct vmi *before, const struct kz_vm_info *now)
{
	(void)before;
	if (now->state == KZ_VM_RUNNING) {
		return ARRIVED;
	}
	return ((now->state == KZ_VM_STOPPED) && (now->changes != before->info.changes)) ? ASTRAY
											 : GOING;
}

static enum progress to_paused(const struct vmi *before, const struct kz_vm_info *now)
{
	(void)before;
	if (now->state == KZ_VM_PAUSED) {
		return ARRIVED;
	}
	return (now->state == KZ_VM_RUNNING) ? GOING : ASTRAY;
}

static enum progress to_stopped(const struct vmi *before, const struct kz_vm_info *now)
{
	/* One that is told to restart always does, when it switches itself off. */
	if ((now->state == KZ_VM_STOPPED) || (now->state == KZ_VM_WAITING) ||
	    (now->stopped > before->info.stopped)) {
		return ARRIVED;
	}
	return (now->state == KZ_VM_CLEARING) ? ASTRAY : GOING;
}

/* It is on its way from its images again: what follows, until it executes, has no event. */
static enum progress to_restarted(const struct vmi *before, const struct kz_vm_info *now)
{
	if ((now->state == KZ_VM_RUNNING) && (now->restarts != before->info.restarts)) {
		return ARRIVED;
	}
	return ((now->state == KZ_VM_STOPPED) || (now->state == KZ_VM_WAITING) ||
		(now->state == KZ_VM_CLEARING))
		       ? ASTRAY
		       : GOING;
}

static enum progress to_none(const struct vmi *before, const struct kz_vm_info *now)
{
	/* The place may be another's by now. */
	return ((strcmp(now->name, before->info.name) != 0) ||
		((now->state == KZ_VM_CREATED) && (before->info.state != KZ_VM_CREATED)))
		       ? ARRIVED
		       : GOING;
}

static int wait_failed(const struct kz *kz, const struct vmi *vm, enum progress p)
{
	if (p == GONE) {
		kz_fail(kz, "vm %s was destroyed meanwhile", vm->info.name);
		return EXIT_NO_VM;
	}
	return kz_fail(kz, "vm %s is %s now (%s): kz info %s tells more", vm->info.name,
		       state_word(vm->info.state), reason_word(vm->info.reason), vm->info.name);
}

/* Wait by the device's events until the VM is where it goes; vm->info is brought up to date. */
static int wait_until(struct kz *kz, struct vmi *vm, progress_fn *progress, int64_t timeout)
{
	const struct vmi before = *vm;
	int64_t end = now_ms() + timeout;

	for (;;) {
		enum progress p = GONE;
		unsigned found;
		int err;

		if (!dev_event_clear(kz->dev)) {
			return kz_fail(kz, "%s: %s", kz->path, strerror(errno));
		}
		err = call_vm(kz, vm->id, &vm->info);
		if (err == KZ_OK) {
			p = progress(&before, &vm->info);
		} else if ((err != KZ_ENOENT) && (err != KZ_EPERM)) {
			/* KZ_EPERM: a right over this VM only went with it. */
			return call_failed(kz, err, "looking at it", before.info.name);
		}
		if (p == ARRIVED) {
			return EXIT_OK;
		}
		if ((p == GONE) && (progress == to_none)) {
			vm->info.state = KZ_VM_NONE;
			return EXIT_OK;
		}
		if (p != GOING) {
			return wait_failed(kz, (p == GONE) ? &before : vm, p);
		}
		found = wait_for(kz->dev, -1, (end > now_ms()) ? end - now_ms() : 0);
		if ((found & WAIT_STOP) != 0) {
			return EXIT_STOPPED;
		}
		if ((found & WAIT_ERROR) != 0) {
			return kz_fail(kz, "%s: it is gone", kz->path);
		}
		if (found == 0) {
			kz_fail(kz, "vm %s is still %s: that takes longer than --timeout",
				vm->info.name, state_word(vm->info.state));
			return EXIT_TIMEOUT;
		}
	}
}

/* What the states are from which a verb goes, and what to do in the others. */
static int busy(const struct kz *kz, const struct vmi *vm, const char *when)
{
	unsigned state = vm->info.state;
	const char *hint = "";

	if (state == KZ_VM_PAUSED) {
		hint = "; kz unpause lets it go on";
	} else if ((state == KZ_VM_CREATED) || (state == KZ_VM_STOPPED)) {
		hint = "; kz start starts it";
	} else if ((state == KZ_VM_STOPPING) || (state == KZ_VM_CLEARING)) {
		hint = "; that will end";
	}
	return kz_fail(kz, "vm %s is %s: this is for a VM that is %s%s", vm->info.name,
		       state_word(state), when, hint);
}

/* ---- Each verb for one VM ---- */

typedef int step_fn(struct kz *kz, struct vmi *vm, const struct args *args);

static int control(struct kz *kz, struct vmi *vm, enum kz_verb verb, const char *when)
{
	int err = call_control(kz, vm->id, verb, NULL);

	if (err == KZ_EBUSY) {
		(void)call_vm(kz, vm->id, &vm->info);
		return busy(kz, vm, when);
	}
	return (err == KZ_OK) ? EXIT_OK : call_failed(kz, err, kz->verb, vm->info.name);
}

static int step_start(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int code = control(kz, vm, KZ_VERB_START, "created, stopped or waiting");

	return (code == EXIT_OK) ? wait_until(kz, vm, to_running, args->timeout) : code;
}

/* It is paused from the call on, and stands still when its cores have seen that. */
static int wait_still(struct kz *kz, struct vmi *vm, int64_t timeout)
{
	int64_t end = now_ms() + timeout;

	for (;;) {
		int err = vmi_read(kz, vm->id, vm);

		if (err != KZ_OK) {
			return call_failed(kz, err, "looking at it", vm->info.name);
		}
		/* Somebody else may have let it go on. */
		if ((vm->info.state != KZ_VM_PAUSED) || vmi_is_still(vm)) {
			return EXIT_OK;
		}
		if (now_ms() >= end) {
			kz_fail(kz,
				"vm %s does not stand still yet: that takes longer than "
				"--timeout",
				vm->info.name);
			return EXIT_TIMEOUT;
		}
		if ((wait_for(NULL, -1, LOOK_MS) & WAIT_STOP) != 0) {
			return EXIT_STOPPED;
		}
	}
}

/* What kz itself runs in would not come back: nobody is left to see to that. */
static int not_own(struct kz *kz, const struct vmi *vm)
{
	struct kz_machine_info machine;

	if ((call_machine(kz, &machine) != KZ_OK) || (machine.caller != vm->id)) {
		return EXIT_OK;
	}
	return kz_fail(kz, "vm %s is the one that kz runs in: it would not come back",
		       vm->info.name);
}

static int step_pause(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int code = not_own(kz, vm);

	code = (code == EXIT_OK) ? control(kz, vm, KZ_VERB_PAUSE, "running") : code;
	code = (code == EXIT_OK) ? wait_until(kz, vm, to_paused, args->timeout) : code;
	return (code == EXIT_OK) ? wait_still(kz, vm, args->timeout) : code;
}

/* Until it stands still it cannot go on: KZ_EBUSY. stop: Ctrl-C ends it. */
static int resume(struct kz *kz, struct vmi *vm, int64_t timeout, bool stop)
{
	int64_t end = now_ms() + timeout;

	for (;;) {
		int err = call_control(kz, vm->id, KZ_VERB_RESUME, NULL);

		if ((err != KZ_EBUSY) || (call_vm(kz, vm->id, &vm->info) != KZ_OK) ||
		    (vm->info.state != KZ_VM_PAUSED) || (now_ms() >= end)) {
			return err;
		}
		if (((wait_for(NULL, -1, LOOK_MS) & WAIT_STOP) != 0) && stop) {
			return err;
		}
	}
}

static int step_unpause(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int err = resume(kz, vm, args->timeout, true);

	if (err == KZ_OK) {
		return wait_until(kz, vm, to_running, args->timeout);
	}
	if (err != KZ_EBUSY) {
		return call_failed(kz, err, kz->verb, vm->info.name);
	}
	if (vm->info.state != KZ_VM_PAUSED) {
		return busy(kz, vm, "paused");
	}
	if (stop_asked()) {
		return EXIT_STOPPED;
	}
	kz_fail(kz, "vm %s is still on its way to stand still: that takes longer than --timeout",
		vm->info.name);
	return EXIT_TIMEOUT;
}

static int step_shutdown(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int code, err;

	if (args->force) {
		code = control(kz, vm, KZ_VERB_STOP, "running, paused or waiting");
		return (code == EXIT_OK) ? wait_until(kz, vm, to_stopped, args->timeout) : code;
	}
	err = call_control(kz, vm->id, KZ_VERB_SHUTDOWN, NULL);
	if ((err == KZ_ENOENT) && (call_vm(kz, vm->id, &vm->info) == KZ_OK)) {
		return kz_fail(kz,
			       "vm %s does not listen for it: it is not up yet, or has no "
			       "kizami.ko; kz shutdown --force stops it",
			       vm->info.name);
	}
	if (err == KZ_EBUSY) {
		(void)call_vm(kz, vm->id, &vm->info);
		return busy(kz, vm, "running");
	}
	if (err != KZ_OK) {
		return call_failed(kz, err, "shutdown", vm->info.name);
	}
	return args->wait ? wait_until(kz, vm, to_stopped, args->timeout) : EXIT_OK;
}

static int step_reboot(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int code = control(kz, vm, KZ_VERB_RESET, "running or paused");

	return (code == EXIT_OK) ? wait_until(kz, vm, to_restarted, args->timeout) : code;
}

static int step_destroy(struct kz *kz, struct vmi *vm, const struct args *args)
{
	int code = not_own(kz, vm);

	code = (code == EXIT_OK) ? control(kz, vm, KZ_VERB_DESTROY, "not being cleared") : code;
	return (code == EXIT_OK) ? wait_until(kz, vm, to_none, args->timeout) : code;
}

int life_destroy(struct kz *kz, unsigned id)
{
	struct vmi vm = { .id = id };
	const struct args args = { .timeout = TIMEOUT_MS };
	int err = call_vm(kz, id, &vm.info);

	return (err == KZ_OK) ? step_destroy(kz, &vm, &args)
			      : call_failed(kz, err, "destroying what was made", NULL);
}

int life_pause(struct kz *kz, struct vmi *vm)
{
	const struct args args = { .timeout = TIMEOUT_MS };

	return step_pause(kz, vm, &args);
}

int life_unpause(struct kz *kz, struct vmi *vm)
{
	int err = resume(kz, vm, TIMEOUT_MS, false);

	/* Somebody else has let it go on, or stopped it. */
	if ((err == KZ_OK) || (err == KZ_ENOENT) ||
	    ((err == KZ_EBUSY) && (vm->info.state != KZ_VM_PAUSED))) {
		return EXIT_OK;
	}
	return call_failed(kz, err, "letting it go on", vm->info.name);
}

/* ---- The command line ---- */

/* False: *code is what to exit with. */
static bool args_read(struct kz *kz, int argc, char **argv, struct args *a, int *code)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 'T' },
		{ "wait", no_argument, NULL, 'w' },
		{ "force", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	bool shutdown = (strcmp(kz->verb, "shutdown") == 0);
	int opt;

	*a = (struct args){ .timeout = TIMEOUT_MS };
	*code = EXIT_USAGE;
	optind = 0;
	while ((opt = getopt_long(argc, argv, ":wf", options, NULL)) != -1) {
		if ((opt == '?') || (opt == ':')) {
			(void)kz_option_wrong(kz, opt, argv);
			return false;
		}
		if ((opt == 'T') && !kz_seconds(optarg, &a->timeout)) {
			(void)kz_usage(kz, "--timeout is a time in seconds, not '%s'", optarg);
			return false;
		}
		if ((opt != 'T') && !shutdown) {
			(void)kz_usage(kz, "it has no -%c", opt);
			return false;
		}
		a->wait = a->wait || (opt == 'w');
		a->force = a->force || (opt == 'f');
	}
	if (optind == argc) {
		(void)kz_usage(kz, "which VM? kz list shows those that are there");
		return false;
	}
	return true;
}

/* One VM after the other; the first error is the exit code. */
static int each(struct kz *kz, int argc, char **argv, step_fn *step)
{
	json_t *list = json_array();
	struct args args;
	int code, all = EXIT_OK;

	if (!args_read(kz, argc, argv, &args, &code)) {
		json_decref(list);
		return code;
	}
	stop_begin();
	for (int i = optind; (i < argc) && (all != EXIT_STOPPED); i++) {
		struct vmi vm;

		code = vmi_find(kz, argv[i], &vm);
		if (code == EXIT_OK) {
			char name[KZ_NAME_MAX];

			memcpy(name, vm.info.name, sizeof(name));
			code = step(kz, &vm, &args);
			memcpy(vm.info.name, name, sizeof(name));
			show_add(list, NULL, show_vm_brief(&vm));
		}
		all = (all == EXIT_OK) ? code : all;
	}
	if (!kz->json) {
		json_decref(list);
		return all;
	}
	code = show_json(kz, list);
	return (all == EXIT_OK) ? code : all;
}

int verb_start(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_start);
}

int verb_pause(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_pause);
}

int verb_unpause(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_unpause);
}

int verb_shutdown(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_shutdown);
}

int verb_reboot(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_reboot);
}

int verb_destroy(struct kz *kz, int argc, char **argv)
{
	return each(kz, argc, argv, step_destroy);
}
