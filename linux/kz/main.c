/* SPDX-License-Identifier: Apache-2.0 */
/* kz: manages the VMs of a Kizami machine from one of them. docs/kz.md explains it. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev.h"
#include "kz.h"

#define DEVICE "/dev/kizami"

struct verb {
	const char *name;
	const char *usage; /* its words */
	const char *help;  /* in a line */
	verb_fn *run;
	const char *more; /* its options, and what else there is to say; or NULL */
};

static const struct verb verbs[] = {
	{ "list", "[-l] [VM...]", "the VMs, and how they are", verb_list,
	  "  -l, --long           all that is known of each\n" },
	{ "create", "FILE [-c] [-p] [-n]", "make a VM and start it", verb_create,
	  "  -c, --console        attach to its console\n"
	  "  -p, --paused         do not start it: kz start does\n"
	  "  -n, --dry-run        say what would be made, make nothing\n"
	  "FILE is a configuration with one vm section, or an xl.cfg.\n" },
	{ "start", "VM...", "start a VM that was created or has stopped", verb_start, NULL },
	{ "pause", "VM...", "let a VM stand still", verb_pause, NULL },
	{ "unpause", "VM...", "let it go on", verb_unpause, NULL },
	{ "shutdown", "[-w] [-f] VM...", "ask a VM to switch itself off", verb_shutdown,
	  "  -w, --wait           until it has\n"
	  "  -f, --force          do not ask: stop it, and wait for that\n" },
	{ "reboot", "VM...", "reset a VM: it starts again from its images", verb_reboot, NULL },
	{ "destroy", "VM...", "stop a VM and give back all that it has", verb_destroy, NULL },
	{ "console", "[-t SECONDS] VM", "be the terminal of a VM", verb_console,
	  "  -t, --time SECONDS   leave after that time\n"
	  "Ctrl-] leaves.\n" },
	{ "info", "[VM...]", "the machine, or all that is known of a VM", verb_info, NULL },
	{ "top", "[-b] [-d SECONDS] [-n COUNT]", "what the cores are doing, live", verb_top,
	  "  -b, --batch          print one picture after the other\n"
	  "  -d, --delay SECONDS  between pictures (1)\n"
	  "  -n, --count COUNT    leave after so many pictures\n"
	  "q leaves.\n"
	  "Lat p50, Lat max: us from an interrupt to its guest, between two pictures, from the\n"
	  "trace; '-': none, '>': there may be a greater one, as records were lost or skipped\n"
	  "(it reads 4096 of a core and picture, 8192 a second, at most).\n" },
	{ "trace", "[-t SECONDS] FILE", "record what every core does, for kztrace", verb_trace,
	  "  -t, --time SECONDS   stop after that time; else Ctrl-C does\n" },
	{ "dump", "VM FILE", "write a VM's memory and registers as a core file for gdb", verb_dump,
	  NULL },
	{ "dmesg", "[-w]", "the hypervisor's log", verb_dmesg,
	  "  -w, --watch          and what comes, until Ctrl-C\n" },
	{ "uptime", "[VM...]", "for how long the machine and the VMs have been running",
	  verb_uptime, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

/* Verbs that wait for the end of what they began. */
static const char *const waiting[] = { "start",  "pause",   "unpause", "shutdown",
				       "reboot", "destroy", NULL };

static const struct verb *verb_find(const char *name)
{
	const struct verb *v = verbs;

	while ((v->name != NULL) && (strcmp(v->name, name) != 0)) {
		v++;
	}
	return (v->name == NULL) ? NULL : v;
}

static bool is_waiting(const char *name)
{
	const char *const *w = waiting;

	while ((*w != NULL) && (strcmp(*w, name) != 0)) {
		w++;
	}
	return *w != NULL;
}

int kz_fail(const struct kz *kz, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "kz%s%s: ", (kz->verb == NULL) ? "" : " ",
		(kz->verb == NULL) ? "" : kz->verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int kz_usage(const struct kz *kz, const char *fmt, ...)
{
	const struct verb *v = (kz->verb == NULL) ? NULL : verb_find(kz->verb);
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)kz_fail(kz, "%s", text);
	if (v != NULL) {
		fprintf(stderr, "usage: kz %s %s; kz help %s tells more\n", v->name, v->usage,
			v->name);
	} else {
		fputs("kz help tells what there is\n", stderr);
	}
	return EXIT_USAGE;
}

int kz_option_wrong(const struct kz *kz, int opt, char **argv)
{
	const char *word = argv[optind - 1];

	if (opt == ':') {
		return kz_usage(kz, "a value is missing for %s", word);
	}
	if ((optopt != 0) && (word[1] != '-')) {
		return kz_usage(kz, "unknown option -%c", optopt);
	}
	return kz_usage(kz, "unknown option %s", word);
}

bool kz_seconds(const char *text, int64_t *ms)
{
	char *end;
	double s = strtod(text, &end);

	if ((end == text) || (*end != '\0') || !(s >= 0.001) || (s > 1e9)) {
		return false;
	}
	*ms = (int64_t)(s * 1000);
	return true;
}

int kz_time_option(const struct kz *kz, int argc, char **argv, int64_t *ms)
{
	static const struct option options[] = {
		{ "time", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, ":t:", options, NULL)) != -1) {
		if (opt != 't') {
			return kz_option_wrong(kz, opt, argv);
		}
		if (!kz_seconds(optarg, ms)) {
			return kz_usage(kz, "--time is a time in seconds, not '%s'", optarg);
		}
	}
	return EXIT_OK;
}

static int help_all(void)
{
	puts("usage: kz [--json] [--device PATH] VERB ...\n");
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		printf("  %-8s %-28s %s\n", v->name, v->usage, v->help);
	}
	puts("  help     [VERB]                       this, or more of a verb\n\n"
	     "  --json               print JSON (docs/kz.md has the keys)\n"
	     "  --device PATH        instead of " DEVICE "\n\n"
	     "VM is a name, or the number in the list. Exit code: 0, 1 it failed, 2 wrong use,\n"
	     "3 it takes longer than --timeout, 4 there is no such VM, 130 Ctrl-C.");
	return EXIT_OK;
}

static int help_verb(const struct verb *v)
{
	printf("usage: kz %s %s\n\n%s.\n", v->name, v->usage, v->help);
	if ((v->more != NULL) || is_waiting(v->name)) {
		printf("\n%s", (v->more == NULL) ? "" : v->more);
	}
	if (is_waiting(v->name)) {
		puts("  --timeout SECONDS    wait so long for the end of it (60)");
	}
	return EXIT_OK;
}

static int verb_help(const struct kz *kz, int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		return help_all();
	}
	v = verb_find(argv[1]);
	if (v == NULL) {
		return kz_usage(kz, "there is no verb '%s'", argv[1]);
	}
	return help_verb(v);
}

static int open_failed(const struct kz *kz)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return kz_fail(kz,
			       "not in a Kizami control VM: %s is missing. A VM with 'control' "
			       "in its configuration has it, once kizami.ko is loaded",
			       kz->path);
	case EACCES:
	case EPERM:
		return kz_fail(kz, "%s: %s: it is root's", kz->path, strerror(errno));
	case ECONNREFUSED:
		return kz_fail(kz, "%s: nobody listens there", kz->path);
	default:
		return kz_fail(kz, "%s: %s", kz->path, strerror(errno));
	}
}

/* --help anywhere before "--" is about the verb. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 1; (i < argc) && (strcmp(argv[i], "--") != 0); i++) {
		if ((strcmp(argv[i], "--help") == 0) || (strcmp(argv[i], "-h") == 0)) {
			return true;
		}
	}
	return false;
}

/* --json may be behind the verb, too: takes it out of the words. */
static int json_take(struct kz *kz, int argc, char **argv)
{
	int kept = 0;
	bool words = false;

	for (int i = 0; i < argc; i++) {
		words = words || (strcmp(argv[i], "--") == 0);
		if (!words && (strcmp(argv[i], "--json") == 0)) {
			kz->json = true;
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	return kept;
}

static int verb_run(struct kz *kz, int argc, char **argv)
{
	const struct verb *v = verb_find(argv[0]);
	int code;

	if (strcmp(argv[0], "help") == 0) {
		return verb_help(kz, argc, argv);
	}
	if (v == NULL) {
		return kz_usage(kz, "there is no verb '%s'", argv[0]);
	}
	kz->verb = v->name;
	if (wants_help(argc, argv)) {
		return help_verb(v);
	}
	argc = json_take(kz, argc, argv);
	kz->dev = dev_open(kz->path);
	if (kz->dev == NULL) {
		return open_failed(kz);
	}
	code = v->run(kz, argc, argv);
	dev_close(kz->dev);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "device", required_argument, NULL, 'D' },
		{ "board-dir", required_argument, NULL, 'B' },
		{ "dtb-dir", required_argument, NULL, 'T' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct kz kz = { .path = DEVICE };
	int opt;

	/* "+": the first word is the verb, and what follows are the verb's options. */
	while ((opt = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			kz.json = true;
			break;
		case 'D':
			kz.path = optarg;
			break;
		case 'B':
			kz.boards = optarg;
			break;
		case 'T':
			kz.dtbs = optarg;
			break;
		case 'h':
			return help_all();
		default:
			return kz_option_wrong(&kz, opt, argv);
		}
	}
	if (optind == argc) {
		return kz_usage(&kz, "there is no verb");
	}
	return verb_run(&kz, argc - optind, argv + optind);
}
