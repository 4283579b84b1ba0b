/* SPDX-License-Identifier: Apache-2.0 */
/* What the keys of xl.cfg mean here. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kizami/blob.h>

#include "xl.h"

#define XEN_WEIGHT 256u /* what Xen's credit schedulers give who says nothing */
#define CORES_MAX  64u

struct convert {
	struct diag *d;
	const struct xl_setting *all;
	char **line; /* of our own text, from 1 on */
	int lines;
};

/* Add to a line of our text. */
static void put(struct convert *c, int line, const char *text)
{
	char *old = c->line[line];

	c->line[line] = (old == NULL) ? mem_strndup(c->d->mem, text, strlen(text))
				      : mem_printf(c->d->mem, "%s %s", old, text);
}

/* A value in quotes, as libConfuse has them: ${NAME} is a variable within "", not within ''. */
static const char *quoted(struct convert *c, int line, const char *s)
{
	char *out = mem_zalloc(c->d->mem, 2 * strlen(s) + 3), *at = out;
	char quote = (strchr(s, '\'') == NULL) ? '\'' : '"';

	if (strpbrk(s, "\n\r") != NULL) {
		diag_error(c->d, line, "a line break in a string");
	}
	if ((quote == '"') && (strchr(s, '$') != NULL)) {
		diag_error(c->d, line, "a string with both ' and $ in it");
	}
	*at++ = quote;
	for (; *s != '\0'; s++) {
		if ((*s == '\\') || (*s == quote)) {
			*at++ = '\\';
		}
		*at++ = *s;
	}
	*at = quote;
	return out;
}

static void put_text(struct convert *c, int line, const char *key, const char *value)
{
	put(c, line, mem_printf(c->d->mem, "%s = %s", key, quoted(c, line, value)));
}

static const struct xl_setting *find(const struct convert *c, const char *name)
{
	const struct xl_setting *s = c->all;

	while ((s != NULL) && (strcmp(s->name, name) != 0)) {
		s = s->next;
	}
	return s;
}

/* A key's string; NULL: not given, or an error was told. */
static const char *string_of(struct convert *c, const char *name)
{
	const struct xl_setting *s = find(c, name);

	if ((s == NULL) || (s->value.kind == XL_BROKEN)) {
		return NULL;
	}
	if (s->value.kind != XL_STRING) {
		diag_error(c->d, s->line, "%s is a string in quotes", name);
		return NULL;
	}
	return s->value.s;
}

/* A key's number: "4" in quotes is one, too. dflt: not given, or an error was told. */
static uint64_t number_of(struct convert *c, const char *name, uint64_t dflt)
{
	const struct xl_setting *s = find(c, name);
	uint64_t n;
	char *end;

	if ((s == NULL) || (s->value.kind == XL_BROKEN)) {
		return dflt;
	}
	n = strtoull(s->value.s, &end, 0);
	if ((s->value.kind == XL_LIST) || !isdigit((unsigned char)s->value.s[0]) ||
	    (*end != '\0') || (n == 0)) {
		diag_error(c->d, s->line, "%s is a number from 1 on, not '%s'", name, s->value.s);
		return dflt;
	}
	return n;
}

static int line_of(const struct convert *c, const char *name)
{
	const struct xl_setting *s = find(c, name);

	return (s == NULL) ? 0 : s->line;
}

/* ---- Keys that mean something ---- */

static const char *name_convert(struct convert *c)
{
	const char *name = string_of(c, "name");
	size_t len = (name == NULL) ? 0 : strlen(name);

	if (find(c, "name") == NULL) {
		diag_error(c->d, 0, "there is no name = \"NAME\"");
	} else if ((name != NULL) &&
		   ((len == 0) || (len >= KZ_NAME_MAX) ||
		    (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len))) {
		diag_error(c->d, line_of(c, "name"),
			   "name is '%s': a name is 1 to %u of a-z, 0-9, _ and -", name,
			   KZ_NAME_MAX - 1);
		name = NULL;
	}
	return (name == NULL) ? "unnamed" : name;
}

static void memory_convert(struct convert *c)
{
	const char *key = (find(c, "memory") != NULL) ? "memory" : "maxmem";
	uint64_t memory = number_of(c, key, 0), most = number_of(c, "maxmem", memory);

	if (find(c, key) == NULL) {
		diag_error(c->d, 0, "there is no memory = MEBIBYTES");
	} else if (memory > (1ull << KZ_IPA_BITS) >> 20) {
		diag_error(c->d, line_of(c, key), "%s is in MiB, and %llu are too many", key,
			   (unsigned long long)memory);
	} else if (memory != 0) {
		put(c, line_of(c, key),
		    mem_printf(c->d->mem, "memory = %lluM", (unsigned long long)memory));
	}
	if (most < memory) {
		diag_error(c->d, line_of(c, "maxmem"), "maxmem is less than memory");
	} else if (most > memory) {
		diag_note(c->d, line_of(c, "maxmem"),
			  "ignored: maxmem: a VM's memory is what it begins with");
	}
}

/* "0-1,3,^1": sets or clears cores in a mask. False: it is none of that. */
static bool cores_add(const char *text, uint64_t *mask)
{
	while (*text != '\0') {
		bool without = (*text == '^');
		unsigned long from, to;
		char *end;

		text += without ? 1 : 0;
		if (!isdigit((unsigned char)*text)) {
			return false;
		}
		from = strtoul(text, &end, 10);
		to = from;
		if ((*end == '-') && isdigit((unsigned char)end[1])) {
			to = strtoul(end + 1, &end, 10);
		}
		if ((to >= CORES_MAX) || (from > to)) {
			return false;
		}
		for (; from <= to; from++) {
			*mask = without ? *mask & ~(1ull << from) : *mask | 1ull << from;
		}
		end += strspn(end, " \t");
		if ((*end != ',') && (*end != '\0')) {
			return false;
		}
		text = end + ((*end == ',') ? 1 : 0);
		text += strspn(text, " \t");
	}
	return true;
}

/* A core for each vCPU: of a list its items, of a string the cores that it names, in order. */
static unsigned cores_read(struct convert *c, const struct xl_setting *s, unsigned core[CORES_MAX])
{
	const struct xl_value *v = &s->value;
	const char *parts[CORES_MAX] = { v->s };
	unsigned n = (v->kind == XL_LIST) ? v->count : 1, found = 0;
	uint64_t all = 0;

	for (unsigned i = 0; i < n; i++) {
		const char *text = (v->kind == XL_LIST) ? v->item[i].s : parts[0];
		uint64_t mask = 0;

		if ((text[0] == '\0') || !cores_add(text, &mask) || (mask == 0)) {
			diag_error(c->d, (v->kind == XL_LIST) ? v->item[i].line : s->line,
				   "cpus is '%s': it is \"all\", or cores such as \"0-1,3\"", text);
			return 0;
		}
		for (unsigned k = 0; k < CORES_MAX; k++) {
			if ((mask >> k & 1u) == 0) {
				continue;
			}
			if ((all >> k & 1u) == 0) {
				core[found++] = k;
				all |= 1ull << k;
				if (v->kind == XL_LIST) {
					break; /* the first of those that this vCPU may use */
				}
			}
		}
	}
	return found;
}

static void cpus_convert(struct convert *c)
{
	const struct xl_setting *s = find(c, "cpus");
	uint64_t vcpus = number_of(c, "vcpus", 1), most = number_of(c, "maxvcpus", vcpus);
	unsigned core[CORES_MAX], count;
	bool ok = (vcpus <= KZ_VCPUS_MAX);
	char *text;

	if (most != vcpus) {
		diag_note(c->d, line_of(c, "maxvcpus"),
			  "ignored: maxvcpus: a VM has the vCPUs that it begins with");
	}
	if (!ok) {
		diag_error(c->d, line_of(c, "vcpus"), "vcpus is %llu: a VM has %u at most",
			   (unsigned long long)vcpus, KZ_VCPUS_MAX);
	}
	if ((s != NULL) && (s->value.kind == XL_BROKEN)) {
		return;
	}
	if ((s == NULL) || (strcmp(s->value.s, "all") == 0)) {
		put(c,
		    (s != NULL)                  ? s->line
		    : (find(c, "vcpus") != NULL) ? line_of(c, "vcpus")
						 : 1,
		    mem_printf(c->d->mem, "cpus = \"any %u\"", (unsigned)vcpus));
		return;
	}
	count = cores_read(c, s, core);
	if ((count == 0) || !ok) {
		return;
	}
	if (count < vcpus) {
		diag_error(c->d, s->line,
			   "cpus names %u cores for %u vCPUs: a VM has one vCPU of a "
			   "core at most",
			   count, (unsigned)vcpus);
		return;
	}
	if (count > vcpus) {
		diag_note(c->d, s->line,
			  "ignored: cpus beyond the first %u: a vCPU stays on its "
			  "core",
			  (unsigned)vcpus);
	}
	text = mem_printf(c->d->mem, "cpus = {%u", core[0]);
	for (unsigned i = 1; i < vcpus; i++) {
		text = mem_printf(c->d->mem, "%s, %u", text, core[i]);
	}
	put(c, s->line, mem_printf(c->d->mem, "%s}", text));
}

/* cmdline, or root and extra, as xl puts them together. */
static void cmdline_convert(struct convert *c)
{
	const char *all = string_of(c, "cmdline");
	const char *root = string_of(c, "root"), *extra = string_of(c, "extra");

	if (all != NULL) {
		put_text(c, line_of(c, "cmdline"), "cmdline", all);
		if (root != NULL) {
			diag_note(c->d, line_of(c, "root"), "ignored: root: cmdline is given");
		}
		if (extra != NULL) {
			diag_note(c->d, line_of(c, "extra"), "ignored: extra: cmdline is given");
		}
	} else if (root != NULL) {
		put_text(c, line_of(c, "root"), "cmdline",
			 mem_printf(c->d->mem, "root=%s%s%s", root, (extra == NULL) ? "" : " ",
				    (extra == NULL) ? "" : extra));
	} else if (extra != NULL) {
		put_text(c, line_of(c, "extra"), "cmdline", extra);
	}
}

/* A file that is read later: whether it can be is said with all other mistakes. */
static void image_convert(struct convert *c, const char *key, const char *ours)
{
	const char *path = string_of(c, key);

	if (path == NULL) {
		return;
	}
	if (access(path, R_OK) != 0) {
		diag_error(c->d, line_of(c, key), "%s %s: %s", key, path, strerror(errno));
	}
	put_text(c, line_of(c, key), ours, path);
}

static void images_convert(struct convert *c)
{
	if (find(c, "kernel") == NULL) {
		diag_error(c->d, 0, "there is no kernel = \"FILE\"");
	}
	image_convert(c, "kernel", "image");
	image_convert(c, "ramdisk", "ramdisk");
}

static void weight_convert(struct convert *c)
{
	uint64_t weight = number_of(c, "cpu_weight", 0);

	if (weight > 65535) {
		diag_error(c->d, line_of(c, "cpu_weight"), "cpu_weight is 1 to 65535");
	} else if (weight != 0) {
		weight = weight * KZ_WEIGHT_DEFAULT / XEN_WEIGHT;
		weight = (weight == 0) ? 1 : weight;
		weight = (weight > KZ_WEIGHT_MAX) ? KZ_WEIGHT_MAX : weight;
		put(c, line_of(c, "cpu_weight"),
		    mem_printf(c->d->mem, "weight = %u", (unsigned)weight));
	}
}

/* An action on an event: 1 it restarts, 0 it does not, -1 not given, or an error was told. */
static int action_of(struct convert *c, const char *name)
{
	static const char *const actions[] = { "destroy",          "restart",
					       "rename-restart",   "preserve",
					       "coredump-destroy", "coredump-restart",
					       "soft-reset",       NULL };
	const char *word = string_of(c, name);
	const char *const *a = actions;

	if (word == NULL) {
		return -1;
	}
	while ((*a != NULL) && (strcmp(*a, word) != 0)) {
		a++;
	}
	if (*a == NULL) {
		diag_unknown(c->d, line_of(c, name), name, word, actions);
		return -1;
	}
	if ((strcmp(word, "restart") == 0) || (strcmp(word, "preserve") == 0)) {
		return word[0] == 'r';
	}
	if (strcmp(word, "destroy") == 0) {
		diag_note(c->d, line_of(c, name),
			  "%s = destroy: the VM stays, stopped, until kz "
			  "destroy",
			  name);
		return 0;
	}
	if (strcmp(word, "soft-reset") == 0) {
		diag_error(c->d, line_of(c, name), "%s = soft-reset: there is no such thing", name);
		return -1;
	}
	diag_note(c->d, line_of(c, name), "ignored: in %s = %s all but the %s", name, word,
		  (strstr(word, "restart") != NULL) ? "restart" : "end");
	return strstr(word, "restart") != NULL;
}

/* The events of xl as our restart = never | on-failure | always. */
static void events_convert(struct convert *c)
{
	int crash = action_of(c, "on_crash"), off = action_of(c, "on_poweroff");
	int reboot = action_of(c, "on_reboot"), watchdog = action_of(c, "on_watchdog");

	if (off == 1) {
		put(c, line_of(c, "on_poweroff"), "restart = always");
		if ((crash == 0) || (watchdog == 0)) {
			diag_error(
				c->d, line_of(c, (crash == 0) ? "on_crash" : "on_watchdog"),
				"what restarts after it has switched itself off restarts after a "
				"failure, too");
		}
	} else if ((crash == 1) || (watchdog == 1)) {
		put(c, line_of(c, (crash == 1) ? "on_crash" : "on_watchdog"),
		    "restart = on-failure");
		if ((crash == 0) || (watchdog == 0)) {
			diag_error(c->d, line_of(c, (crash == 0) ? "on_crash" : "on_watchdog"),
				   "on_crash and on_watchdog are the same here: a failure");
		}
	}
	if (reboot == 0) {
		diag_note(c->d, line_of(c, "on_reboot"),
			  "ignored: on_reboot: a VM that resets itself always starts again");
	}
}

/* dtdev names nodes of the machine's tree: our devices. */
static void devices_convert(struct convert *c)
{
	const struct xl_setting *s = find(c, "dtdev");
	static const char *const given[] = { "iomem", "irqs", NULL };

	if ((s != NULL) && (s->value.kind == XL_BROKEN)) {
		return;
	}
	if ((s != NULL) && (s->value.kind != XL_LIST)) {
		diag_error(c->d, s->line, "dtdev is a list of paths in [ ]");
	} else if ((s != NULL) && (s->value.count > 0)) {
		put(c, s->line, "devices = {");
		for (unsigned i = 0; i < s->value.count; i++) {
			const struct xl_value *v = &s->value.item[i];

			put(c, v->line,
			    mem_printf(c->d->mem, "%s%s", quoted(c, v->line, v->s),
				       (i + 1 < s->value.count) ? "," : "}"));
		}
	}
	for (unsigned i = 0; given[i] != NULL; i++) {
		const struct xl_setting *g = find(c, given[i]);

		if ((g == NULL) || (g->value.kind == XL_BROKEN) ||
		    ((g->value.kind == XL_LIST) && (g->value.count == 0))) {
			continue;
		}
		if (s != NULL) {
			diag_note(c->d, g->line, "ignored: %s: a device of dtdev brings its own",
				  g->name);
		} else {
			diag_error(c->d, g->line,
				   "%s: name the device, in dtdev: it brings its "
				   "registers and interrupts",
				   g->name);
		}
	}
}

static void type_convert(struct convert *c)
{
	const char *type = string_of(c, "type"), *builder = string_of(c, "builder");

	if ((type != NULL) && (strcmp(type, "pvh") != 0) && (strcmp(type, "pv") != 0)) {
		diag_error(c->d, line_of(c, "type"), "type is '%s': on Arm it is pvh", type);
	}
	if ((builder != NULL) && (strcmp(builder, "generic") != 0) &&
	    (strcmp(builder, "linux") != 0)) {
		diag_error(c->d, line_of(c, "builder"), "builder is '%s': on Arm it is generic",
			   builder);
	}
}

/* ---- All ---- */

/* The lines as one text, and the brace that ends the section. */
static char *lines_join(const struct convert *c)
{
	size_t size = 3;
	char *text, *at;

	for (int i = 1; i <= c->lines; i++) {
		size += ((c->line[i] == NULL) ? 0 : strlen(c->line[i])) + 1;
	}
	text = mem_zalloc(c->d->mem, size);
	at = text;
	for (int i = 1; i <= c->lines; i++) {
		at = stpcpy(at, (c->line[i] == NULL) ? "" : c->line[i]);
		*at++ = '\n';
	}
	(void)stpcpy(at, "}\n");
	return text;
}

char *xl_convert(struct diag *d, const struct xl_setting *settings)
{
	struct convert c = { .d = d, .all = settings, .lines = 1 };
	const char *name;

	for (const struct xl_setting *s = settings; s != NULL; s = s->next) {
		c.lines = (s->line > c.lines) ? s->line : c.lines;
		for (unsigned i = 0; i < s->value.count; i++) {
			int line = s->value.item[i].line;

			c.lines = (line > c.lines) ? line : c.lines;
		}
	}
	c.line = mem_zalloc(d->mem, ((size_t)c.lines + 1) * sizeof(c.line[0]));
	name = name_convert(&c);
	put(&c, 1, mem_printf(d->mem, "vm %s { level = nrt", name));
	memory_convert(&c);
	cpus_convert(&c);
	images_convert(&c);
	cmdline_convert(&c);
	weight_convert(&c);
	events_convert(&c);
	devices_convert(&c);
	type_convert(&c);
	xl_others(d, settings);
	return lines_join(&c);
}
