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

static const struct key vm_keys[] = {
	KEY(conf_vm, level),       KEY_LIST(conf_vm, cpus), KEY(conf_vm, memory),
	KEY(conf_vm, memory_at),   KEY(conf_vm, image),     KEY(conf_vm, ramdisk),
	KEY(conf_vm, cmdline),     KEY(conf_vm, dtb),       KEY_LIST(conf_vm, devices),
	KEY_LIST(conf_vm, clocks), KEY(conf_vm, dma),       KEY(conf_vm, console),
	KEY(conf_vm, on_fault),    KEY(conf_vm, sgi),       KEY(conf_vm, gicd_at),
	KEY(conf_vm, gicc_at),     KEY(conf_vm, gicr_at),   KEY(conf_vm, console_at),
	KEY(conf_vm, weight),      { NULL, 0, false },
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
	{ "control", "VMs cannot be managed at run time yet" },
	{ "channels", "there are no channels between VMs yet" },
	{ NULL, NULL },
};

/* A realtime section as libConfuse reads it, before it is known whose it is. */
struct found {
	const cfg_t *sec;
	struct conf_realtime realtime;
};

/* libConfuse's callbacks have no argument of ours: what the parse under way fills. */
static struct {
	struct diag *d;
	struct conf *conf; /* NULL for a board */
	struct conf_board *board;
	struct found found[CONF_VMS_MAX];
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

/* What was read of a realtime section, made when nothing was; NULL when there are too many. */
static struct conf_realtime *realtime_get(const cfg_t *sec)
{
	for (unsigned i = 0; i < parse.found_count; i++) {
		if (parse.found[i].sec == sec) {
			return &parse.found[i].realtime;
		}
	}
	if (parse.found_count == CONF_VMS_MAX) {
		return NULL;
	}
	parse.found[parse.found_count] = (struct found){ .sec = sec };
	parse.found_count++;
	return &parse.found[parse.found_count - 1].realtime;
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
	if (strcmp(name, "realtime") == 0) {
		*keys = realtime_keys;
		return realtime_get(sec);
	}
	*keys = root_keys;
	return parse.conf;
}

/* A value was read (called by libConfuse). */
static int value_take(cfg_t *sec, cfg_opt_t *opt, const char *value, void *result)
{
	struct conf_text text = { mem_strndup(parse.d->mem, value, strlen(value)), sec->line };
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

/* Now that the VMs are known: each gets what was in its realtime section. */
static void realtime_give(cfg_t *cfg)
{
	for (unsigned i = 0; i < cfg_size(cfg, "vm"); i++) {
		cfg_t *sec = cfg_getnsec(cfg, "vm", i);
		struct conf_vm *vm = vm_get(cfg_title(sec), 0);
		struct conf_realtime *found;

		if ((vm == NULL) || (vm->realtime.line == 0) || (cfg_size(sec, "realtime") == 0)) {
			continue;
		}
		found = realtime_get(cfg_getsec(sec, "realtime"));
		if (found != NULL) {
			found->line = vm->realtime.line;
			vm->realtime = *found;
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
		realtime_give(cfg);
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
	const struct scan_section *const vm_subs[] = { &realtime, NULL };
	const struct scan_section vm = {
		.name = "vm",
		.titled = true,
		.keys = key_names(d->mem, vm_keys, vm_subs),
		.later = later_vm,
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
	opts_make(core_keys, core_opts);
	opts_make(trace_keys, trace_opts);
	more = opts_make(vm_keys, vm_opts);
	more[0] = (cfg_opt_t)CFG_SEC("realtime", realtime_opts, CFGF_NODEFAULT);
	more[1] = (cfg_opt_t)CFG_END();
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

/* A decimal number with an optional fraction, as mantissa / scale; *text is left behind it. */
static bool decimal_take(const char **text, uint64_t *mantissa, uint64_t *scale)
{
	const char *at = *text;
	bool point = false;

	*mantissa = 0;
	*scale = 1;
	for (; isdigit((unsigned char)*at) || ((*at == '.') && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		if ((*mantissa > UINT64_MAX / 100) || (*scale > UINT32_MAX)) {
			return false;
		}
		*mantissa = *mantissa * 10 + (uint64_t)(*at - '0');
		*scale *= point ? 10 : 1;
	}
	if (!isdigit((unsigned char)**text) || (at[-1] == '.')) {
		return false;
	}
	*text = at;
	return true;
}

/* mantissa / scale of a unit; false when that is no whole number, or too large. */
static bool decimal_of(uint64_t mantissa, uint64_t scale, uint64_t unit, uint64_t *out)
{
	unsigned __int128 n = (unsigned __int128)mantissa * unit;

	*out = (uint64_t)(n / scale);
	return ((n % scale) == 0) && (n / scale <= UINT64_MAX);
}

bool conf_time(const char *text, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	uint64_t mantissa;
	uint64_t scale;

	if (!decimal_take(&text, &mantissa, &scale)) {
		return false;
	}
	for (unsigned i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		if (strcmp(text, unit[i].name) == 0) {
			return decimal_of(mantissa, scale, unit[i].ns, out);
		}
	}
	return false;
}

bool conf_share(const char *text, uint32_t *out)
{
	uint64_t mantissa;
	uint64_t scale;
	uint64_t ppm;

	if (!decimal_take(&text, &mantissa, &scale) || (strcmp(text, "%") != 0) ||
	    !decimal_of(mantissa, scale, 10000, &ppm) || (ppm > 1000000)) {
		return false;
	}
	*out = (uint32_t)ppm;
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
