/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include <confuse.h>
#include <string.h>

#include "scan.h"

#define LIST_MAX 256u /* items of one list that are read */
#define OPTS_MAX 32u

struct key {
	const char *name;
	size_t offset;
	bool list;
};

#define KEY_AS(name, type, field)                         \
	{                                                 \
		name, offsetof(struct type, field), false \
	}
#define KEY(type, field) KEY_AS(#field, type, field)
#define KEY_LIST(type, field)                              \
	{                                                  \
#field, offsetof(struct type, field), true \
	}

static const struct key root_keys[] = {
	KEY(conf, board),	KEY(conf, cores), KEY(conf, ram),
	KEY(conf, nrt_reserve), { NULL, 0, false },
};

static const struct key core_keys[] = {
	KEY(conf_core, reserve),
	{ NULL, 0, false },
};

static const struct key trace_keys[] = {
	KEY(conf_trace, size),
	KEY(conf_trace, when_full),
	KEY(conf_trace, on_crash),
	{ NULL, 0, false },
};

static const struct key realtime_keys[] = {
	KEY(conf_realtime, budget),     KEY(conf_realtime, period),
	KEY(conf_realtime, deadline),   KEY(conf_realtime, on_miss),
	KEY(conf_realtime, on_overrun), KEY(conf_realtime, policy),
	KEY_LIST(conf_realtime, tasks), { NULL, 0, false },
};

static const struct key watchdog_keys[] = {
	KEY(conf_watchdog, timeout),
	KEY(conf_watchdog, armed),
	KEY(conf_watchdog, device),
	{ NULL, 0, false },
};

static const struct key vm_keys[] = {
	KEY(conf_vm, level),       KEY_LIST(conf_vm, cpus), KEY(conf_vm, memory),
	KEY(conf_vm, memory_at),   KEY(conf_vm, image),     KEY(conf_vm, ramdisk),
	KEY(conf_vm, cmdline),     KEY(conf_vm, dtb),       KEY_LIST(conf_vm, devices),
	KEY_LIST(conf_vm, clocks), KEY(conf_vm, dma),       KEY(conf_vm, console),
	KEY(conf_vm, on_fault),    KEY(conf_vm, sgi),       KEY(conf_vm, gicd_at),
	KEY(conf_vm, gicc_at),     KEY(conf_vm, gicr_at),   KEY(conf_vm, console_at),
	KEY(conf_vm, weight),      KEY(conf_vm, restart),   KEY(conf_vm, backoff),
	KEY(conf_vm, backoff_max), KEY(conf_vm, trace_at),  KEY(conf_vm, watchdog_at),
	KEY_LIST(conf_vm, control), { NULL, 0, false },
};

static const struct key board_keys[] = {
	KEY(conf_board, dtb),       KEY(conf_board, qemu),    KEY(conf_board, ram),
	KEY(conf_board, gic_lines), KEY(conf_board, console), KEY_LIST(conf_board, clocks),
	KEY(conf_board, block),     KEY_AS("switch", conf_board, switch_cost),
	KEY_AS("interrupt", conf_board, interrupt_cost), { NULL, 0, false },
};

static const char *const later_root[][2] = {
	{ "channel", "there are no channels between VMs yet" },
	{ NULL, NULL },
};

static const char *const later_vm[][2] = {
	{ "channels", "there are no channels between VMs yet" },
	{ NULL, NULL },
};

/* Whose values may be words with a name: restart(servo). */
static const char *const vm_calls[] = { "control", NULL };

/* A section inside of a VM as libConfuse reads it, before it is known whose it is. */
struct found {
	const cfg_t *sec;
	struct conf_realtime realtime;
	struct conf_watchdog watchdog;
};

#define FOUND_MAX (2 * CONF_VMS_MAX)

/* libConfuse's callbacks have no argument of ours: what the parse under way fills. */
static struct {
	struct diag *d;
	struct conf *conf; /* NULL for a board */
	struct conf_board *board;
	struct found found[FOUND_MAX];
	unsigned found_count;
} parse;

/* The names of the keys, and of the sections beside them (a list, or NULL). */
static const char *const *key_names(struct mem *mem, const struct key *key,
				    const struct scan_section *const *subs)
{
	const char **names = mem_zalloc(mem, (2 * OPTS_MAX + 1) * sizeof(*names));
	unsigned n = 0;

	for (; key->name != NULL; key++) {
		names[n++] = key->name;
	}
	for (; (subs != NULL) && (*subs != NULL); subs++) {
		names[n++] = (*subs)->name;
	}
	return names;
}

static const struct key *key_find(const struct key *key, const char *name)
{
	while ((key->name != NULL) && (strcmp(key->name, name) != 0)) {
		key++;
	}
	return key;
}

/* Each kind of titled section begins with its name. */
_Static_assert((offsetof(struct conf_vm, name) == 0) && (offsetof(struct conf_core, name) == 0),
	       "title_get");

/*
 * The section of that name in an array of *count of them, made when there is none yet; NULL when
 * there are too many.
 */
static void *title_get(void *array, size_t size, unsigned max, unsigned *count, const char *name,
		       int line)
{
	char *at = array;

	for (unsigned i = 0; i < *count; i++, at += size) {
		if (strcmp(((const struct conf_text *)(void *)at)->s, name) == 0) {
			return at;
		}
	}
	if (*count == max) {
		return NULL;
	}
	*(struct conf_text *)(void *)at =
		(struct conf_text){ mem_strndup(parse.d->mem, name, strlen(name)), line };
	++*count;
	return at;
}

static struct conf_vm *vm_get(const char *name, int line)
{
	struct conf *c = parse.conf;

	return title_get(c->vm, sizeof(c->vm[0]), CONF_VMS_MAX, &c->vm_count, name, line);
}

static struct conf_core *core_get(const char *name, int line)
{
	struct conf *c = parse.conf;

	return title_get(c->core, sizeof(c->core[0]), CONF_CORES_MAX, &c->core_count, name, line);
}

/* What was read of a section inside of a VM, made when nothing was; NULL: there are too many. */
static struct found *found_get(const cfg_t *sec)
{
	for (unsigned i = 0; i < parse.found_count; i++) {
		if (parse.found[i].sec == sec) {
			return &parse.found[i];
		}
	}
	if (parse.found_count == FOUND_MAX) {
		return NULL;
	}
	parse.found[parse.found_count] = (struct found){ .sec = sec };
	parse.found_count++;
	return &parse.found[parse.found_count - 1];
}

/* Sections begin (called by the scan). */
static void vm_begin(const char *title, int line)
{
	(void)vm_get(title, line);
}

static void core_begin(const char *title, int line)
{
	(void)core_get(title, line);
}

static void trace_begin(const char *title, int line)
{
	(void)title;
	parse.conf->trace.line = line;
}

static void realtime_begin(const char *title, int line)
{
	struct conf_vm *vm = vm_get(title, line);

	if (vm != NULL) {
		vm->realtime.line = line;
	}
}

static void watchdog_begin(const char *title, int line)
{
	struct conf_vm *vm = vm_get(title, line);

	if (vm != NULL) {
		vm->watchdog.line = line;
	}
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

/* What a section's values are put into, or NULL; *keys are its keys. */
static void *section_of(cfg_t *sec, const struct key **keys)
{
	const char *name = cfg_name(sec);

	if (parse.conf == NULL) {
		*keys = board_keys;
		return parse.board;
	}
	if (strcmp(name, "vm") == 0) {
		*keys = vm_keys;
		return vm_get(cfg_title(sec), sec->line);
	}
	if (strcmp(name, "core") == 0) {
		*keys = core_keys;
		return core_get(cfg_title(sec), sec->line);
	}
	if (strcmp(name, "trace") == 0) {
		*keys = trace_keys;
		return &parse.conf->trace;
	}
	if ((strcmp(name, "realtime") == 0) || (strcmp(name, "watchdog") == 0)) {
		bool realtime = (name[0] == 'r');
		struct found *found = found_get(sec);

		*keys = realtime ? realtime_keys : watchdog_keys;
		return (found == NULL) ? NULL
		       : realtime      ? (void *)&found->realtime
				       : (void *)&found->watchdog;
	}
	*keys = root_keys;
	return parse.conf;
}

/* A value was read (called by libConfuse). */
static int value_take(cfg_t *sec, cfg_opt_t *opt, const char *value, void *result)
{
	const char *call = strchr(value, SCAN_CALL);
	const char *words = (call == NULL)
				    ? mem_strndup(parse.d->mem, value, strlen(value))
				    : mem_printf(parse.d->mem, "%.*s(%s)", (int)(call - value),
						 value, call + 1);
	struct conf_text text = { words, sec->line };
	const struct key *keys;
	void *base = section_of(sec, &keys);
	const struct key *key;

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

/* The options of these keys; returns where more can be put, behind them. */
static cfg_opt_t *opts_make(const struct key *keys, cfg_opt_t *opts)
{
	for (; keys->name != NULL; keys++) {
		cfg_opt_t text = CFG_STR_CB(keys->name, NULL, CFGF_NODEFAULT, value_take);
		cfg_opt_t list = CFG_STR_LIST_CB(keys->name, NULL, CFGF_NODEFAULT, value_take);

		*opts++ = keys->list ? list : text;
	}
	*opts = (cfg_opt_t)CFG_END();
	return opts;
}

/* What was read of the VM's section of that name, or NULL. */
static struct found *found_of(cfg_t *sec, const char *name)
{
	return (cfg_size(sec, name) == 0) ? NULL : found_get(cfg_getsec(sec, name));
}

/* Now that the VMs are known: each gets what was in its sections. */
static void sections_give(cfg_t *cfg)
{
	for (unsigned i = 0; i < cfg_size(cfg, "vm"); i++) {
		cfg_t *sec = cfg_getnsec(cfg, "vm", i);
		struct conf_vm *vm = vm_get(cfg_title(sec), 0);
		struct found *realtime = found_of(sec, "realtime");
		struct found *watchdog = found_of(sec, "watchdog");

		if ((vm != NULL) && (vm->realtime.line != 0) && (realtime != NULL)) {
			realtime->realtime.line = vm->realtime.line;
			vm->realtime = realtime->realtime;
		}
		if ((vm != NULL) && (vm->watchdog.line != 0) && (watchdog != NULL)) {
			watchdog->watchdog.line = vm->watchdog.line;
			vm->watchdog = watchdog->watchdog;
		}
	}
}

static bool parse_text(cfg_opt_t *opts, const char *text)
{
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	bool ok;

	if (cfg == NULL) {
		return false;
	}
	parse.found_count = 0;
	cfg_set_error_function(cfg, error_take);
	ok = (cfg_parse_buf(cfg, text) == CFG_SUCCESS);
	if (parse.conf != NULL) {
		sections_give(cfg);
	}
	cfg_free(cfg);
	if (!ok && (parse.d->errors == 0)) {
		diag_error(parse.d, 0, "this is not a configuration");
	}
	return ok;
}

static void scan_conf(struct diag *d, char *text)
{
	const struct scan_section realtime = {
		.name = "realtime",
		.keys = key_names(d->mem, realtime_keys, NULL),
		.begin = realtime_begin,
	};
	const struct scan_section watchdog = {
		.name = "watchdog",
		.keys = key_names(d->mem, watchdog_keys, NULL),
		.begin = watchdog_begin,
	};
	const struct scan_section *const vm_subs[] = { &realtime, &watchdog, NULL };
	const struct scan_section vm = {
		.name = "vm",
		.titled = true,
		.keys = key_names(d->mem, vm_keys, vm_subs),
		.later = later_vm,
		.calls = vm_calls,
		.sub = vm_subs,
		.begin = vm_begin,
	};
	const struct scan_section core = {
		.name = "core",
		.titled = true,
		.keys = key_names(d->mem, core_keys, NULL),
		.begin = core_begin,
	};
	const struct scan_section trace = {
		.name = "trace",
		.keys = key_names(d->mem, trace_keys, NULL),
		.begin = trace_begin,
	};
	const struct scan_section *const root_subs[] = { &vm, &core, &trace, NULL };
	const struct scan_section root = {
		.keys = key_names(d->mem, root_keys, root_subs),
		.later = later_root,
		.sub = root_subs,
	};

	scan_keys(d, text, &root);
}

bool conf_parse(struct diag *d, char *text, size_t size, struct conf *out)
{
	cfg_opt_t realtime_opts[OPTS_MAX];
	cfg_opt_t watchdog_opts[OPTS_MAX];
	cfg_opt_t core_opts[OPTS_MAX];
	cfg_opt_t trace_opts[OPTS_MAX];
	cfg_opt_t vm_opts[OPTS_MAX];
	cfg_opt_t opts[OPTS_MAX];
	cfg_opt_t *more;

	memset(out, 0, sizeof(*out));
	if (strlen(text) != size) {
		diag_error(d, 0, "this is not text: it has a NUL byte");
		return false;
	}
	parse.d = d;
	parse.conf = out;
	scan_conf(d, text);
	opts_make(realtime_keys, realtime_opts);
	opts_make(watchdog_keys, watchdog_opts);
	opts_make(core_keys, core_opts);
	opts_make(trace_keys, trace_opts);
	more = opts_make(vm_keys, vm_opts);
	more[0] = (cfg_opt_t)CFG_SEC("realtime", realtime_opts, CFGF_NODEFAULT);
	more[1] = (cfg_opt_t)CFG_SEC("watchdog", watchdog_opts, CFGF_NODEFAULT);
	more[2] = (cfg_opt_t)CFG_END();
	more = opts_make(root_keys, opts);
	more[0] = (cfg_opt_t)CFG_SEC("vm", vm_opts, CFGF_MULTI | CFGF_TITLE);
	more[1] = (cfg_opt_t)CFG_SEC("core", core_opts, CFGF_MULTI | CFGF_TITLE);
	more[2] = (cfg_opt_t)CFG_SEC("trace", trace_opts, CFGF_NODEFAULT);
	more[3] = (cfg_opt_t)CFG_END();
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
