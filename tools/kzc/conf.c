/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include <confuse.h>
#include <ctype.h>
#include <string.h>

#include "scan.h"

#define LIST_MAX 256u /* items of one list that are read */
#define OPTS_MAX 32u

struct key {
	const char *name;
	size_t offset;
	bool list;
};

#define KEY(type, field)                                    \
	{                                                   \
#field, offsetof(struct type, field), false \
	}
#define KEY_LIST(type, field)                              \
	{                                                  \
#field, offsetof(struct type, field), true \
	}

static const struct key root_keys[] = {
	KEY(conf, board),
	KEY(conf, cores),
	KEY(conf, ram),
	{ NULL, 0, false },
};

static const struct key vm_keys[] = {
	KEY(conf_vm, level),       KEY_LIST(conf_vm, cpus), KEY(conf_vm, memory),
	KEY(conf_vm, memory_at),   KEY(conf_vm, image),     KEY(conf_vm, ramdisk),
	KEY(conf_vm, cmdline),     KEY(conf_vm, dtb),       KEY_LIST(conf_vm, devices),
	KEY_LIST(conf_vm, clocks), KEY(conf_vm, dma),       KEY(conf_vm, console),
	KEY(conf_vm, on_fault),    KEY(conf_vm, sgi),       KEY(conf_vm, gicd_at),
	KEY(conf_vm, gicc_at),     KEY(conf_vm, gicr_at),   KEY(conf_vm, console_at),
	{ NULL, 0, false },
};

static const struct key board_keys[] = {
	KEY(conf_board, dtb),       KEY(conf_board, qemu),    KEY(conf_board, ram),
	KEY(conf_board, gic_lines), KEY(conf_board, console), KEY_LIST(conf_board, clocks),
	{ NULL, 0, false },
};

static const char *const later_root[][2] = {
	{ "channel", "there are no channels between VMs yet" },
	{ NULL, NULL },
};

static const char *const later_vm[][2] = {
	{ "realtime", "cores are not shared yet, each vCPU has one for itself" },
	{ "weight", "cores are not shared yet, each vCPU has one for itself" },
	{ "control", "VMs cannot be managed at run time yet" },
	{ "channels", "there are no channels between VMs yet" },
	{ NULL, NULL },
};

/* libConfuse's callbacks have no argument of ours: what the parse under way fills. */
static struct {
	struct diag *d;
	struct conf *conf; /* NULL for a board */
	struct conf_board *board;
} parse;

static const char *const *key_names(struct mem *mem, const struct key *key, const char *extra)
{
	const char **names = mem_zalloc(mem, OPTS_MAX * sizeof(*names));
	unsigned n = 0;

	for (; key->name != NULL; key++) {
		names[n++] = key->name;
	}
	names[n] = extra;
	return names;
}

static const struct key *key_find(const struct key *key, const char *name)
{
	while ((key->name != NULL) && (strcmp(key->name, name) != 0)) {
		key++;
	}
	return key;
}

/* The VM of that name, made when there is none yet; NULL when there are too many. */
static struct conf_vm *vm_get(struct conf *c, const char *name, int line)
{
	struct conf_vm *vm = c->vm;

	for (unsigned i = 0; i < c->vm_count; i++) {
		if (strcmp(c->vm[i].name.s, name) == 0) {
			return &c->vm[i];
		}
	}
	if (c->vm_count == CONF_VMS_MAX) {
		return NULL;
	}
	vm += c->vm_count;
	c->vm_count++;
	vm->name.s = mem_strndup(parse.d->mem, name, strlen(name));
	vm->name.line = line;
	return vm;
}

/* A VM's section begins (called by the scan). */
static void section_take(const char *title, int line)
{
	(void)vm_get(parse.conf, title, line);
}

static void list_add(struct conf_list *list, struct conf_text item)
{
	if (list->item == NULL) {
		list->item = mem_zalloc(parse.d->mem, LIST_MAX * sizeof(item));
		list->line = item.line;
	}
	if (list->count < LIST_MAX) {
		list->item[list->count] = item;
		list->count++;
	}
}

/* A value was read (called by libConfuse). */
static int value_take(cfg_t *sec, cfg_opt_t *opt, const char *value, void *result)
{
	struct conf_text text = { mem_strndup(parse.d->mem, value, strlen(value)), sec->line };
	const struct key *keys = board_keys;
	void *base = parse.board;
	const struct key *key;

	if (parse.conf != NULL) {
		bool in_vm = (strcmp(cfg_name(sec), "vm") == 0);

		keys = in_vm ? vm_keys : root_keys;
		base = in_vm ? (void *)vm_get(parse.conf, cfg_title(sec), sec->line)
			     : (void *)parse.conf;
	}
	key = key_find(keys, opt->name);
	if ((base != NULL) && (key->name != NULL)) {
		void *field = (char *)base + key->offset;

		if (key->list) {
			list_add(field, text);
		} else {
			*(struct conf_text *)field = text;
		}
	}
	*(const char **)result = value;
	return 0;
}

static void error_take(cfg_t *sec, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	diag_error(parse.d, sec->line, "%s%s", text,
		   (strncmp(text, "unexpected token", 16) == 0)
			   ? ": is a value, a quote or a } missing before it?"
			   : "");
}

static void opts_make(const struct key *keys, cfg_opt_t *opts)
{
	unsigned n = 0;

	for (; keys->name != NULL; keys++) {
		cfg_opt_t text = CFG_STR_CB(keys->name, NULL, CFGF_NODEFAULT, value_take);
		cfg_opt_t list = CFG_STR_LIST_CB(keys->name, NULL, CFGF_NODEFAULT, value_take);

		opts[n++] = keys->list ? list : text;
	}
	opts[n] = (cfg_opt_t)CFG_END();
}

static bool parse_text(cfg_opt_t *opts, const char *text)
{
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	bool ok;

	if (cfg == NULL) {
		return false;
	}
	cfg_set_error_function(cfg, error_take);
	ok = (cfg_parse_buf(cfg, text) == CFG_SUCCESS);
	cfg_free(cfg);
	if (!ok && (parse.d->errors == 0)) {
		diag_error(parse.d, 0, "this is not a configuration");
	}
	return ok;
}

bool conf_parse(struct diag *d, char *text, size_t size, struct conf *out)
{
	struct scan_section vm = {
		.name = "vm",
		.keys = key_names(d->mem, vm_keys, NULL),
		.later = later_vm,
	};
	struct scan_section root = {
		.keys = key_names(d->mem, root_keys, "vm"),
		.later = later_root,
		.sub = &vm,
		.begin = section_take,
	};
	cfg_opt_t vm_opts[OPTS_MAX];
	cfg_opt_t opts[OPTS_MAX];
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	if (strlen(text) != size) {
		diag_error(d, 0, "this is not text: it has a NUL byte");
		return false;
	}
	parse.d = d;
	parse.conf = out;
	scan_keys(d, text, &root);
	opts_make(vm_keys, vm_opts);
	opts_make(root_keys, opts);
	while (opts[n].name != NULL) {
		n++;
	}
	opts[n] = (cfg_opt_t)CFG_SEC("vm", vm_opts, CFGF_MULTI | CFGF_TITLE);
	opts[n + 1] = (cfg_opt_t)CFG_END();
	return parse_text(opts, text);
}

bool conf_parse_board(struct diag *d, char *text, size_t size, struct conf_board *out)
{
	struct scan_section root = { .keys = key_names(d->mem, board_keys, NULL) };
	cfg_opt_t opts[OPTS_MAX];

	memset(out, 0, sizeof(*out));
	if (strlen(text) != size) {
		diag_error(d, 0, "this is not text: it has a NUL byte");
		return false;
	}
	parse.d = d;
	parse.conf = NULL;
	parse.board = out;
	scan_keys(d, text, &root);
	opts_make(board_keys, opts);
	return parse_text(opts, text);
}

/* Digits with an optional 0x, from *text on; *text is left behind them. */
static bool number_take(const char **text, uint64_t *out)
{
	const char *at = *text;
	unsigned base = 10;
	uint64_t n = 0;

	if ((at[0] == '0') && ((at[1] == 'x') || (at[1] == 'X'))) {
		base = 16;
		at += 2;
	}
	*text = at;
	for (; isxdigit((unsigned char)*at); at++) {
		unsigned digit = isdigit((unsigned char)*at)
					 ? (unsigned)(*at - '0')
					 : (unsigned)(tolower((unsigned char)*at) - 'a') + 10;

		if (digit >= base) {
			break;
		}
		if (n > (UINT64_MAX - digit) / base) {
			return false;
		}
		n = n * base + digit;
	}
	if (at == *text) {
		return false;
	}
	*text = at;
	*out = n;
	return true;
}

/* The factor of a suffix K, M or G; *text is left behind it. */
static uint64_t suffix_take(const char **text, uint64_t unit)
{
	static const char suffix[] = "kmg";
	const char *at = strchr(suffix, tolower((unsigned char)**text));
	uint64_t factor = 1;

	if ((at == NULL) || (*at == '\0')) {
		return 1;
	}
	*text += 1;
	for (const char *s = suffix; s <= at; s++) {
		factor *= unit;
	}
	return factor;
}

bool conf_number(const char *text, uint64_t *out)
{
	return number_take(&text, out) && (*text == '\0');
}

bool conf_size(const char *text, uint64_t *out)
{
	uint64_t factor;

	if (!number_take(&text, out)) {
		return false;
	}
	factor = suffix_take(&text, 1024);
	if ((*text != '\0') || (*out > UINT64_MAX / factor)) {
		return false;
	}
	*out *= factor;
	return true;
}

bool conf_rate(const char *text, uint64_t *out)
{
	uint64_t factor;

	if (!number_take(&text, out)) {
		return false;
	}
	factor = suffix_take(&text, 1000);
	if ((strcmp(text, "") != 0) && (strcmp(text, "Hz") != 0)) {
		return false;
	}
	if (*out > UINT64_MAX / factor) {
		return false;
	}
	*out *= factor;
	return true;
}

bool conf_clock(struct mem *mem, const char *text, const char **node, const char **which,
		uint64_t *rate)
{
	const char *eq = strrchr(text, '=');
	const char *value;
	size_t len;

	if (eq == NULL) {
		return false;
	}
	value = eq + 1 + strspn(eq + 1, " \t");
	if (!conf_rate(mem_strndup(mem, value, strcspn(value, " \t")), rate) || (*rate == 0) ||
	    (*rate > UINT32_MAX)) {
		return false;
	}
	text += strspn(text, " \t");
	len = strcspn(text, " \t=");
	*node = mem_strndup(mem, text, len);
	text += len + strspn(text + len, " \t");
	len = strcspn(text, " \t=");
	*which = mem_strndup(mem, text, len);
	text += len + strspn(text + len, " \t");
	return (text == eq) && ((*node)[0] != '\0');
}
