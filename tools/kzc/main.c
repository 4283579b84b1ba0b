/* SPDX-License-Identifier: Apache-2.0 */
/* kzc: from a configuration to a bootable image. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admit.h"
#include "blob.h"
#include "live.h"
#include "map.h"
#include "whatis.h"

#define EXIT_WRONG 1 /* what was read is wrong */
#define EXIT_USAGE 2 /* how kzc was called is wrong */

struct args {
	struct paths paths;
	const char *output;
	bool help;
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

/* Without IMAGE the hypervisor need not be there. */
static bool load(struct sys *s, const char *path)
{
	return hv_load(s, false) && sys_load(s, path);
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
	if (load(s, args->word[0])) {
		admit_print(s, stdout);
		map_rights(s, stdout);
	}
	return report(s);
}

static int run_build(struct sys *s, const struct args *args)
{
	struct bytes image = { NULL, 0 };
	int code;

	if (args->output == NULL) {
		fputs("kzc: build needs -o IMAGE\n", stderr);
		return EXIT_USAGE;
	}
	if (hv_load(s, true) && sys_load(s, args->word[0])) {
		image = image_make(s);
	} else if (s->hv.data == NULL) {
		(void)sys_load(s, args->word[0]);
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
	const char *names[KZ_VMS_MAX + 1] = { NULL };

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
	bool ok = load(s, args->word[0]);
	int code;
	FILE *dtc;

	if (ok) {
		vm = vm_find(s, args->word[1]);
	}
	code = report(s);
	if ((code != EXIT_SUCCESS) || (vm == NULL)) {
		return code;
	}
	/* A command without a variable: NOLINTNEXTLINE(cert-env33-c) */
	dtc = popen("dtc -q -I dtb -O dts -", "w");
	if (dtc == NULL) {
		fprintf(stderr, "kzc: dtc: %s\n", strerror(errno));
		return EXIT_WRONG;
	}
	fwrite(vm->piece[vm->tree].data, 1, vm->piece[vm->tree].size, dtc);
	return (pclose(dtc) == 0) ? EXIT_SUCCESS : EXIT_WRONG;
}

static int run_map(struct sys *s, const struct args *args)
{
	bool ok = load(s, args->word[0]);
	int code = report(s);
	char *svg = NULL;
	size_t size = 0;
	FILE *f;

	if (!ok || (code != EXIT_SUCCESS)) {
		return code;
	}
	map_text(s, stdout);
	if (args->output == NULL) {
		return code;
	}
	f = open_memstream(&svg, &size);
	if (f == NULL) {
		return EXIT_WRONG;
	}
	map_svg(s, f);
	fclose(f);
	code = file_write(s, args->output, svg, size) ? EXIT_SUCCESS : EXIT_WRONG;
	free(svg);
	return code;
}

/* A board by the name or path of the command line. */
static bool board_open(struct sys *s, const char *name)
{
	s->diag.file = "kzc";
	return board_load(&s->diag, &s->paths, (struct conf_text){ name, 0 }, ".", &s->board);
}

/* Is it the file of a system, rather than of a board? Only the former names a board. */
static bool is_system(struct sys *s, const char *path)
{
	struct conf *conf = mem_zalloc(&s->mem, sizeof(*conf));
	struct diag unseen = { .mem = &s->mem, .file = path };
	struct bytes text;

	if (mem_file(&s->mem, path, &text)) {
		(void)conf_parse(&unseen, (char *)text.data, text.size, conf);
	}
	return conf->board.s != NULL;
}

/* The address in a system: its owner's, or a thing of the board that a VM may have. */
static void whatis_system(struct sys *s, uint64_t address)
{
	const struct vm *vm = map_device_vm(s, address);

	if (!map_whatis(s, address, stdout)) {
		whatis_print(&s->mem, &s->board, address, stdout);
	}
	if (vm != NULL) {
		printf("  owner       vm %s\n", vm->conf->name.s);
	}
}

static int run_whatis(struct sys *s, const struct args *args)
{
	bool system = is_system(s, args->word[0]);
	const char *word = args->word[1];
	uint64_t address;

	if (!conf_size(word, &address)) {
		fprintf(stderr, "kzc: '%s' is not an address, such as 0x9000000\n", word);
		return EXIT_USAGE;
	}
	if (system ? load(s, args->word[0]) : board_open(s, args->word[0])) {
		if ((address > 9) && (strspn(word, "0123456789") == strlen(word))) {
			diag_note(&s->diag, 0, "%s is decimal: 0x%llx", word,
				  (unsigned long long)address);
		}
		if (system) {
			whatis_system(s, address);
		} else {
			whatis_print(&s->mem, &s->board, address, stdout);
		}
	}
	return report(s);
}

static int run_qemu(struct sys *s, const struct args *args)
{
	if (board_open(s, args->word[0])) {
		if (s->board.qemu == NULL) {
			diag_error(&s->diag, 0, "board %s has no qemu = \"ARGUMENTS\"",
				   s->board.name);
		} else {
			puts(s->board.qemu);
		}
	}
	return report(s);
}

/* The blob of an image that kzc made, as a system that runs; false and an error: there is none. */
static bool live_read(struct sys *s, const char *path, struct live *now)
{
	struct blob_where where;
	struct bytes image;

	if (!mem_file(&s->mem, path, &image)) {
		diag_error(&s->diag, 0, "%s: %s", path, strerror(errno));
		return false;
	}
	for (size_t at = KZ_PAGE_SIZE; at < image.size; at += KZ_PAGE_SIZE) {
		const struct kz_cfg *cfg = (const struct kz_cfg *)(const void *)(image.data + at);

		if (blob_check(cfg, image.size - at, &where) == BLOB_OK) {
			now->cfg = cfg;
			for (unsigned v = 0; v < cfg->vm_count; v++) {
				now->vm[v] = blob_vm(cfg, v);
			}
			return true;
		}
	}
	diag_error(&s->diag, 0, "%s is not an image of this version", path);
	return false;
}

/* What a VM that is created at run time would be. */
static void live_print(struct sys *s, const struct live_vm *vm)
{
	static const char *const types[] = { "memory", "device", "trace", "store" };
	const struct kz_cfg_vm *c = &vm->cfg;

	printf("vm %s: cores", c->name);
	for (unsigned i = 0; i < c->vcpu_count; i++) {
		printf(" %u", c->cpu[i]);
	}
	printf("; %s to copy, %u translation tables\n", map_size(&s->mem, vm->store.size),
	       c->store_tables);
	for (unsigned i = 0; i < c->region_count; i++) {
		printf("  0x%010llx  0x%010llx  %8s  %s\n", (unsigned long long)c->region[i].pa,
		       (unsigned long long)(c->region[i].pa + c->region[i].size - 1),
		       map_size(&s->mem, c->region[i].size), types[c->region[i].type]);
	}
}

/* For REGISTER and FILL: the struct, then the store. */
static bool live_write(struct sys *s, const char *path, const struct live_vm *vm)
{
	size_t size = sizeof(vm->cfg) + vm->store.size;
	uint8_t *all = mem_zalloc(&s->mem, size);

	memcpy(all, &vm->cfg, sizeof(vm->cfg));
	memcpy(all + sizeof(vm->cfg), vm->store.data, vm->store.size);
	return file_write(s, path, all, size);
}

static int run_live(struct sys *s, const struct args *args)
{
	struct live now = { .cfg = NULL };
	struct live_vm vm;
	bool ok = live_read(s, args->word[0], &now) && live_load(s, args->word[1], &now, &vm);
	int code = report(s);

	if (!ok || (code != EXIT_SUCCESS)) {
		return EXIT_WRONG;
	}
	live_print(s, &vm);
	if ((args->output != NULL) && !live_write(s, args->output, &vm)) {
		return EXIT_WRONG;
	}
	return EXIT_SUCCESS;
}

static const struct command commands[] = {
	{ "check", "FILE", "say what is wrong with a configuration", 1, false, run_check },
	{ "build", "FILE -o IMAGE", "make a bootable image (a Linux arm64 Image)", 1, true,
	  run_build },
	{ "dts", "FILE VM", "print the device tree that a VM gets", 2, false, run_dts },
	{ "map", "FILE [-o MAP.svg]", "say who owns what, as text and as a picture", 1, true,
	  run_map },
	{ "live", "IMAGE FILE [-o VM]", "check a VM to be created beside those of an image", 2,
	  true, run_live },
	{ "whatis", "BOARD|FILE ADDRESS", "say what is at a physical address", 2, false,
	  run_whatis },
	{ "qemu", "BOARD", "print the arguments of qemu-system-aarch64 for it", 1, false,
	  run_qemu },
	{ NULL, NULL, NULL, 0, false, NULL },
};

/* What there is, or one command of it. */
static void help(const struct command *only)
{
	puts("usage: kzc COMMAND ...\n");
	for (const struct command *c = commands; c->name != NULL; c++) {
		if ((only == NULL) || (only == c)) {
			printf("  kzc %-6s %-22s %s\n", c->name, c->usage, c->help);
		}
	}
	fputs("\n  -o, --output FILE      where to write\n"
	      "  --hypervisor FILE      Kizami's ELF file; else ../arm64/kizami.elf beside kzc\n"
	      "  --board-dir DIR        where NAME.conf of board = NAME is; else ../../boards\n"
	      "  --dtb-dir DIR          where the boards' device trees are; else ../boards\n"
	      "  -h, --help             this\n\n"
	      "Exit code: 0, 1 for mistakes in what was read, 2 for wrong use. The language is\n"
	      "explained in docs/config.md.\n",
	      stdout);
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

/* Options and words in any order; false when they are wrong. */
static bool args_read(struct mem *mem, int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "hypervisor", required_argument, NULL, 'H' },
		{ "board-dir", required_argument, NULL, 'B' },
		{ "dtb-dir", required_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
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
		case 'o':
			a->output = optarg;
			break;
		case 'H':
			a->paths.hypervisor = optarg;
			break;
		case 'B':
			a->paths.boards = optarg;
			break;
		case 'D':
			a->paths.dtbs = optarg;
			break;
		case 'h':
			a->help = true;
			break;
		default:
			fputs("kzc --help tells more\n", stderr);
			return false;
		}
	}
	a->word = argv + optind;
	a->count = argc - optind;
	return true;
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
		if (a->help) {
			help(NULL);
			return EXIT_SUCCESS;
		}
		return usage_error("there is no command", "");
	}
	while ((c->name != NULL) && (strcmp(c->name, a->word[0]) != 0)) {
		c++;
	}
	if ((c->name != NULL) && a->help) {
		help(c);
		return EXIT_SUCCESS;
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
	struct args args = { .output = NULL };
	int code = EXIT_USAGE;

	if (s == NULL) {
		return EXIT_WRONG;
	}
	if (args_read(&s->mem, argc, argv, &args)) {
		s->paths = args.paths;
		s->diag.mem = &s->mem;
		s->diag.file = "kzc";
		code = run(s, &args);
	}
	mem_free(&s->mem);
	free(s);
	return code;
}
