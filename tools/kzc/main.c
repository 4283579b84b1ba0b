/* SPDX-License-Identifier: Apache-2.0 */
/* kzc: from a configuration to a bootable image. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

#define EXIT_WRONG 1 /* what was read is wrong */
#define EXIT_USAGE 2 /* how kzc was called is wrong */

struct args {
	struct paths paths;
	const char *output;
	char **word; /* without options */
	int count;
};

struct command {
	const char *name;
	const char *usage; /* its words */
	const char *help;
	int words;
	bool has_output;
	int (*run)(struct sys *s, const struct args *args);
};

/* The messages, and the exit code that they mean. */
static int report(const struct sys *s)
{
	diag_print(&s->diag, stderr);
	diag_print(&s->board.diag, stderr);
	return ((s->diag.errors + s->board.diag.errors) == 0) ? EXIT_SUCCESS : EXIT_WRONG;
}

static int load(struct sys *s, const char *path)
{
	return sys_load(s, path) ? EXIT_SUCCESS : EXIT_WRONG;
}

/* Write a file as a whole or not at all. "-" is the standard output. */
static bool file_write(struct sys *s, const char *path, const void *data, size_t size)
{
	const char *part = mem_printf(&s->mem, "%s.%ld.part", path, (long)getpid());
	FILE *f = fopen(part, "wb");
	bool ok = (f != NULL) && (fwrite(data, 1, size, f) == size);

	ok = (f != NULL) && (fclose(f) == 0) && ok;
	if (ok && (rename(part, path) == 0)) {
		return true;
	}
	fprintf(stderr, "kzc: %s: %s\n", path, strerror(errno));
	if (f != NULL) {
		unlink(part);
	}
	return false;
}

static int run_check(struct sys *s, const struct args *args)
{
	load(s, args->word[0]);
	return report(s);
}

static int run_build(struct sys *s, const struct args *args)
{
	struct bytes image = {NULL, 0};
	int code;

	if (args->output == NULL) {
		fputs("kzc: build needs -o IMAGE\n", stderr);
		return EXIT_USAGE;
	}
	if (hv_load(s) && sys_load(s, args->word[0])) {
		image = image_make(s);
	} else if (s->hv.data == NULL) {
		load(s, args->word[0]);
	}
	code = report(s);
	if ((code == EXIT_SUCCESS) && !file_write(s, args->output, image.data, image.size)) {
		code = EXIT_WRONG;
	}
	return code;
}

/* The VM of that name, or NULL and an error. */
static struct vm *vm_find(struct sys *s, const char *name)
{
	const char *names[KZ_VMS_MAX + 1] = {NULL};

	for (unsigned v = 0; v < s->vm_count; v++) {
		names[v] = s->vm[v].conf->name.s;
		if (strcmp(names[v], name) == 0) {
			return &s->vm[v];
		}
	}
	diag_unknown(&s->diag, 0, "vm", name, names);
	return NULL;
}

static int run_dts(struct sys *s, const struct args *args)
{
	struct vm *vm = NULL;
	bool ok = sys_load(s, args->word[0]);
	int code;
	FILE *dtc;

	if (ok) {
		vm = vm_find(s, args->word[1]);
	}
	code = report(s);
	if ((code != EXIT_SUCCESS) || (vm == NULL)) {
		return code;
	}
	dtc = popen("dtc -q -I dtb -O dts -", "w");
	if (dtc == NULL) {
		fprintf(stderr, "kzc: dtc: %s\n", strerror(errno));
		return EXIT_WRONG;
	}
	fwrite(vm->piece[vm->tree].data, 1, vm->piece[vm->tree].size, dtc);
	return (pclose(dtc) == 0) ? EXIT_SUCCESS : EXIT_WRONG;
}

static const struct command commands[] = {
	{"check", "FILE", "say what is wrong with a configuration", 1, false, run_check},
	{"build", "FILE -o IMAGE", "make a bootable image (a Linux arm64 Image)", 1, true,
         run_build},
	{"dts", "FILE VM", "print the device tree that a VM gets", 2, false, run_dts},
	{NULL, NULL, NULL, 0, false, NULL},
};

static void help(FILE *out)
{
	fputs("usage: kzc COMMAND ...\n\n", out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		fprintf(out, "  kzc %-6s %-22s %s\n", c->name, c->usage, c->help);
	}
	fputs("\n  -o, --output FILE      where to write\n"
	      "  --hypervisor FILE      Kizami's ELF file; else ../arm64/kizami.elf beside kzc\n"
	      "  --board-dir DIR        where NAME.conf of board = NAME is; else ../../boards\n"
	      "  --dtb-dir DIR          where the boards' device trees are; else ../boards\n"
	      "  -h, --help             this\n\n"
	      "Exit code: 0, 1 for mistakes in what was read, 2 for wrong use. The language is\n"
	      "explained in docs/config.md.\n",
	      out);
}

/* The directory of the program. */
static const char *program_dir(struct mem *mem)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len <= 0) {
		return ".";
	}
	path[len] = '\0';
	slash = strrchr(path, '/');
	return (slash == NULL) ? "." : mem_strndup(mem, path, (size_t)(slash - path));
}

/* Options and words in any order; 0 to go on, else the exit code plus one. */
static int args_read(struct mem *mem, int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"hypervisor", required_argument, NULL, 'H'},
		{"board-dir", required_argument, NULL, 'B'},
		{"dtb-dir", required_argument, NULL, 'D'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *dir = program_dir(mem);
	int opt;

	a->paths.program = dir;
	a->paths.hypervisor = mem_printf(mem, "%s/../arm64/kizami.elf", dir);
	a->paths.boards = mem_printf(mem, "%s/../../boards", dir);
	a->paths.dtbs = mem_printf(mem, "%s/../boards", dir);
	for (opt = getopt_long(argc, argv, "o:h", options, NULL); opt != -1;
	     opt = getopt_long(argc, argv, "o:h", options, NULL)) {
		switch (opt) {
		case 'o': a->output = optarg; break;
		case 'H': a->paths.hypervisor = optarg; break;
		case 'B': a->paths.boards = optarg; break;
		case 'D': a->paths.dtbs = optarg; break;
		case 'h': help(stdout); return EXIT_SUCCESS + 1;
		default: fputs("kzc --help tells more\n", stderr); return EXIT_USAGE + 1;
		}
	}
	a->word = argv + optind;
	a->count = argc - optind;
	return 0;
}

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "kzc: %s%s; kzc --help tells more\n", what, word);
	return EXIT_USAGE;
}

static int run(struct sys *s, struct args *a)
{
	const struct command *c = commands;

	if (a->count == 0) {
		return usage_error("there is no command", "");
	}
	while ((c->name != NULL) && (strcmp(c->name, a->word[0]) != 0)) {
		c++;
	}
	if (c->name == NULL) {
		return usage_error("unknown command ", a->word[0]);
	}
	a->word++;
	a->count--;
	if (a->count != c->words) {
		return usage_error("usage: kzc ", mem_printf(&s->mem, "%s %s", c->name, c->usage));
	}
	if ((a->output != NULL) && !c->has_output) {
		return usage_error("-o has no meaning for ", c->name);
	}
	return c->run(s, a);
}

int main(int argc, char **argv)
{
	struct sys *s = calloc(1, sizeof(*s));
	struct args args = {.output = NULL};
	int code;

	if (s == NULL) {
		return EXIT_WRONG;
	}
	code = args_read(&s->mem, argc, argv, &args) - 1;
	if (code < 0) {
		s->paths = args.paths;
		s->diag.mem = &s->mem;
		code = run(s, &args);
	}
	mem_free(&s->mem);
	free(s);
	return code;
}
