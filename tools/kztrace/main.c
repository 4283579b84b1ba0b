/* SPDX-License-Identifier: Apache-2.0 */
/* kztrace: what a trace says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "file.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* its words */
	const char *help;
};

static const struct command commands[] = {
	{ "capture", capture_main,
	  "RAM -i IMAGE -o FILE [--base ADDRESS] [--follow PID | --seconds N]",
	  "read the rings of a machine whose RAM is a file: now, or until QEMU ends" },
	{ "report", report_main, "FILE [--misses N]",
	  "who had the cores, jobs, misses and who ran instead, exits, interrupts" },
	{ "timeline", timeline_main, "FILE -o x.svg [--from T] [--to T] [--width PIXELS]",
	  "draw who had each core, and when; T is from the trace's begin: 2.5ms, 100us, 1s" },
	{ "hist", hist_main, "FILE -o x.svg [--vm NAME]",
	  "draw how long jobs took, and how soon they began" },
	{ "json", json_main, "FILE [-o x.json] [--from T] [--to T]",
	  "write it in the Trace Event Format, for the Perfetto UI" },
	{ "ctf", ctf_main, "FILE DIR",
	  "write it in the Common Trace Format 1.8, for babeltrace2; DIR is new or empty" },
	{ NULL, NULL, NULL, NULL },
};

static const struct command *find(const char *name)
{
	const struct command *c = commands;

	while ((c->name != NULL) && (strcmp(c->name, name) != 0)) {
		c++;
	}
	return (c->name != NULL) ? c : NULL;
}

static void help(const struct command *only)
{
	puts("usage: kztrace COMMAND ...\n");
	for (const struct command *c = commands; c->name != NULL; c++) {
		if ((only == NULL) || (only == c)) {
			printf("  kztrace %s %s\n      %s\n", c->name, c->usage, c->help);
		}
	}
	puts("\nExit code: 0, 1 for what is wrong with what was read or written, 2 for wrong use.\n"
	     "What the words of a report mean is explained in docs/trace.md.");
}

int command_usage(const char *name)
{
	const struct command *c = find(name);

	fprintf(stderr, "usage: kztrace %s %s\n", name, (c != NULL) ? c->usage : "");
	return EXIT_USAGE;
}

int command_help(const char *name)
{
	help(find(name));
	return EXIT_SUCCESS;
}

static int help_main(int argc, char **argv)
{
	if ((argc > 1) && (find(argv[1]) == NULL)) {
		fprintf(stderr, "kztrace: unknown command %s; kztrace help tells more\n", argv[1]);
		return EXIT_USAGE;
	}
	help((argc > 1) ? find(argv[1]) : NULL);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct command *c;
	int code;

	if (argc < 2) {
		fputs("kztrace: there is no command; kztrace help tells more\n", stderr);
		return EXIT_USAGE;
	}
	if ((strcmp(argv[1], "help") == 0) || (strcmp(argv[1], "--help") == 0) ||
	    (strcmp(argv[1], "-h") == 0)) {
		return help_main(argc - 1, argv + 1);
	}
	c = find(argv[1]);
	if (c == NULL) {
		fprintf(stderr, "kztrace: unknown command %s; kztrace help tells more\n", argv[1]);
		return EXIT_USAGE;
	}
	code = c->run(argc - 1, argv + 1);
	if ((fflush(stdout) != 0) || (ferror(stdout) != 0)) {
		perror("kztrace: standard output");
		return EXIT_WRONG;
	}
	return code;
}
