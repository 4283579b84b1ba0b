/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of xl.cfg: KEY = VALUE, a string, a number or a list of them; # begins a comment. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xl.h"

#define LIST_MAX 64u

struct parser {
	struct diag *d;
	const char *at;
	int line;
};

bool xl_is(const char *text)
{
	char quote = '\0';

	for (const char *c = text; *c != '\0'; c++) {
		if (quote != '\0') {
			if ((*c == '\\') && (c[1] != '\0')) {
				c++;
			} else if ((*c == quote) || (*c == '\n')) {
				quote = '\0';
			}
		} else if ((*c == '"') || (*c == '\'')) {
			quote = *c;
		} else if ((*c == '#') || ((*c == '/') && (c[1] == '/'))) {
			c += strcspn(c, "\n");
			if (*c == '\0') {
				break;
			}
		} else if ((*c == '/') && (c[1] == '*')) {
			const char *end = strstr(c + 2, "*/");

			if (end == NULL) {
				break;
			}
			c = end + 1;
		} else if ((*c == '{') || (*c == '}')) {
			return false;
		}
	}
	return true;
}

/* Blanks and comments; and the ends of lines, inside of lists. */
static void blanks_skip(struct parser *p, bool lines)
{
	for (;;) {
		if (*p->at == '#') {
			p->at += strcspn(p->at, "\n");
		} else if ((*p->at == '\n') && lines) {
			p->line++;
			p->at++;
		} else if ((*p->at == ' ') || (*p->at == '\t') || (*p->at == '\r')) {
			p->at++;
		} else {
			return;
		}
	}
}

/* After a mistake: to the end of the line, where the next setting may begin. */
static void line_skip(struct parser *p)
{
	p->at += strcspn(p->at, "\n");
}

static const char *found_text(const struct parser *p)
{
	if ((*p->at == '\0') || (*p->at == '\n')) {
		return "the end of the line";
	}
	return mem_printf(p->d->mem, "'%.*s'", (int)strcspn(p->at, " \t\r\n,]"), p->at);
}

/* One escape; *c is at the backslash and is left at the last byte of it. */
static char escape(const char **c)
{
	++*c;
	switch (**c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return **c; /* a quote, a backslash */
	}
}

static bool string_parse(struct parser *p, struct xl_value *out)
{
	char quote = *p->at, *text = mem_zalloc(p->d->mem, strlen(p->at) + 1);
	size_t len = 0;
	const char *c = p->at + 1;

	for (; (*c != quote) && (*c != '\n') && (*c != '\0'); c++) {
		if ((*c == '\\') && (c[1] != '\0') && (c[1] != '\n')) {
			text[len++] = escape(&c);
		} else {
			text[len++] = *c;
		}
	}
	if (*c != quote) {
		diag_error(p->d, p->line, "the string %c%.20s... does not end in its line", quote,
			   text);
		return false;
	}
	p->at = c + 1;
	*out = (struct xl_value){ .kind = XL_STRING, .line = p->line, .s = text };
	return true;
}

static bool number_parse(struct parser *p, struct xl_value *out)
{
	size_t len =
		strspn(p->at, "0123456789abcdefABCDEFxX_-+.ghijklmnopqrstuvwyzGHIJKLMNOPQRSTUVWYZ");
	const char *text = mem_strndup(p->d->mem, p->at, len);
	char *end;

	errno = 0;
	*out = (struct xl_value){ .kind = XL_NUMBER, .line = p->line, .s = text };
	/* Decimal, 0x, or octal, as in C. */
	out->n = strtoull(text, &end, 0);
	if ((*end != '\0') || (errno != 0)) {
		diag_error(p->d, p->line, "%s is no number: a word is put in quotes", text);
		return false;
	}
	p->at += len;
	return true;
}

static bool scalar_parse(struct parser *p, struct xl_value *out)
{
	if ((*p->at == '"') || (*p->at == '\'')) {
		return string_parse(p, out);
	}
	if (isdigit((unsigned char)*p->at)) {
		return number_parse(p, out);
	}
	if (isalpha((unsigned char)*p->at) || (*p->at == '_') || (*p->at == '/')) {
		diag_error(p->d, p->line, "%s: a word is put in quotes", found_text(p));
	} else {
		diag_error(p->d, p->line,
			   "%s where a value is expected: a string in quotes, a "
			   "number, or a list in [ ]",
			   found_text(p));
	}
	return false;
}

/* Behind '['. A list may go over several lines, and its last comma is optional. */
static bool list_parse(struct parser *p, struct xl_value *out)
{
	int begin = p->line;

	*out = (struct xl_value){ .kind = XL_LIST, .line = begin, .s = "" };
	out->item = mem_zalloc(p->d->mem, LIST_MAX * sizeof(*out->item));
	for (;;) {
		blanks_skip(p, true);
		if (*p->at == ']') {
			p->at++;
			return true;
		}
		if (*p->at == '\0') {
			diag_error(p->d, begin, "the list that begins here has no ]");
			return false;
		}
		if (*p->at == '[') {
			diag_error(p->d, p->line, "a list in a list");
			return false;
		}
		if (out->count == LIST_MAX) {
			diag_error(p->d, p->line, "more than %u values in a list", LIST_MAX);
			return false;
		}
		if (!scalar_parse(p, &out->item[out->count])) {
			return false;
		}
		out->count++;
		blanks_skip(p, true);
		if (*p->at == ',') {
			p->at++;
		} else if ((*p->at != ']') && (*p->at != '\0')) {
			diag_error(p->d, p->line, "%s where a comma or a ] is expected",
				   found_text(p));
			return false;
		}
	}
}

/* A list that is broken: its other lines are no settings. */
static void list_skip(struct parser *p)
{
	for (; (*p->at != ']') && (*p->at != '\0'); p->at++) {
		const char *next = p->at + 1;

		p->line += (*p->at == '\n') ? 1 : 0;
		/* The list was never closed: the next setting begins. */
		if (*p->at == '\n') {
			size_t name = strspn(next, "abcdefghijklmnopqrstuvwxyz_0123456789");
			size_t blanks = strspn(next + name, " \t");

			if ((name > 0) && (next[name + blanks] == '=')) {
				p->line--; /* whoever goes on counts it */
				return;
			}
		}
	}
	p->at += (*p->at == ']') ? 1 : 0;
}

/* A key's value is more of what it has, or the first. */
static void value_append(struct parser *p, struct xl_setting *to, const struct xl_value *more)
{
	struct xl_value *v = &to->value;

	if ((v->kind == XL_BROKEN) || (more->kind == XL_BROKEN)) {
		v->kind = XL_BROKEN;
	} else if ((v->kind == XL_STRING) && (more->kind == XL_STRING)) {
		v->s = mem_printf(p->d->mem, "%s%s", v->s, more->s);
	} else if ((v->kind == XL_LIST) && (more->kind == XL_LIST) &&
		   (v->count + more->count <= LIST_MAX)) {
		memcpy(&v->item[v->count], more->item, more->count * sizeof(*more->item));
		v->count += more->count;
	} else {
		diag_error(p->d, more->line,
			   "+= is for strings and for lists; %s has another kind "
			   "of value since line %d",
			   to->name, to->line);
	}
}

static struct xl_setting *setting_find(struct xl_setting *s, const char *name)
{
	while ((s != NULL) && (strcmp(s->name, name) != 0)) {
		s = s->next;
	}
	return s;
}

static bool value_parse(struct parser *p, struct xl_value *out)
{
	blanks_skip(p, false);
	if (*p->at != '[') {
		return scalar_parse(p, out);
	}
	p->at++;
	if (list_parse(p, out)) {
		return true;
	}
	list_skip(p);
	return false;
}

/* One setting; false after a mistake, which is told. */
static bool setting_parse(struct parser *p, struct xl_setting **first, struct xl_setting ***last)
{
	size_t len =
		strspn(p->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	struct xl_setting *s = mem_zalloc(p->d->mem, sizeof(*s)), *old;
	bool more, ok;

	if (len == 0) {
		diag_error(p->d, p->line, "%s where KEY = VALUE is expected", found_text(p));
		return false;
	}
	s->name = mem_strndup(p->d->mem, p->at, len);
	s->line = p->line;
	p->at += len;
	blanks_skip(p, false);
	more = (p->at[0] == '+') && (p->at[1] == '=');
	if (!more && (*p->at != '=')) {
		diag_error(p->d, p->line, "%s behind %s where = is expected", found_text(p),
			   s->name);
		return false;
	}
	p->at += more ? 2 : 1;
	ok = value_parse(p, &s->value);
	if (!ok) {
		s->value = (struct xl_value){ .kind = XL_BROKEN, .line = s->line, .s = "" };
	}
	old = setting_find(*first, s->name);
	if ((old != NULL) && more) {
		value_append(p, old, &s->value);
	} else if (old != NULL) {
		diag_error(p->d, s->line, "%s was given in line %d already", s->name, old->line);
	} else {
		**last = s;
		*last = &s->next;
	}
	return ok;
}

struct xl_setting *xl_parse(struct diag *d, const char *text)
{
	struct parser p = { .d = d, .at = text, .line = 1 };
	struct xl_setting *first = NULL, **last = &first;

	for (blanks_skip(&p, true); *p.at != '\0'; blanks_skip(&p, true)) {
		if (*p.at == ';') {
			p.at++;
			continue;
		}
		if (!setting_parse(&p, &first, &last)) {
			line_skip(&p);
			continue;
		}
		blanks_skip(&p, false);
		if ((*p.at != '\n') && (*p.at != ';') && (*p.at != '\0')) {
			diag_error(d, p.line, "%s behind the value", found_text(&p));
			line_skip(&p);
		}
	}
	return first;
}
