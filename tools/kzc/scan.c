/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <ctype.h>
#include <string.h>

#define WORD_ENDS " \t\r\n\f\v\"'{}=,()+"
#define SEEN_MAX  128u /* keys and titles that are remembered in one section */

enum token { TOK_END, TOK_WORD, TOK_SIGN };

struct scan {
	struct diag *d;
	char *at;    /* behind the token */
	char *start; /* of the token */
	int line;    /* of the token's end */
	enum token tok;
	char sign;         /* of TOK_SIGN; '+' is "+=" */
	const char *word;  /* of TOK_WORD */
	const char *title; /* of the section under way, */
	int title_line;    /* and where it began */
	bool nested;       /* another one was found inside of it */
	const struct scan_section *root;
};

struct seen {
	const char *word[SEEN_MAX];
	int line[SEEN_MAX];
	unsigned count;
};

static void blank(char *from, const char *to)
{
	for (; from < to; from++) {
		*from = (*from == '\n') ? '\n' : ' ';
	}
}

/* The end of a comment that begins here; NULL when none does. */
static char *comment_end(char *at)
{
	char *end;

	if ((*at == '#') || ((at[0] == '/') && (at[1] == '/'))) {
		return at + strcspn(at, "\n");
	}
	if ((at[0] != '/') || (at[1] != '*')) {
		return NULL;
	}
	end = strstr(at + 2, "*/");
	return (end == NULL) ? NULL : end + 2;
}

/* The end of a quoted string: on its last quote, or on the NUL. */
static char *string_end(char *at)
{
	char quote = *at;

	for (at++; (*at != '\0') && (*at != quote); at++) {
		at += ((at[0] == '\\') && (at[1] != '\0')) ? 1 : 0;
	}
	return at;
}

/* Comments become blanks: libConfuse 3.3 does not know them inside of lists. */
static void blank_comments(char *text)
{
	bool in_word = false;

	for (char *at = text; *at != '\0'; at++) {
		char *end = in_word ? NULL : comment_end(at);

		if (end != NULL) {
			blank(at, end);
		} else if ((*at == '"') || (*at == '\'')) {
			at = string_end(at);
			in_word = false;
			if (*at == '\0') {
				return;
			}
		} else {
			in_word = (strchr(WORD_ENDS, *at) == NULL);
		}
	}
}

/* WORD(NAME), open at its parenthesis, becomes one word and blanks; anything else stays. */
static void call_join(const char *text, char *open)
{
	char *to = open;
	const char *name = open + 1 + strspn(open + 1, " \t");
	size_t len = strcspn(name, WORD_ENDS);
	const char *close = name + len + strspn(name + len, " \t");

	while ((to > text) && ((to[-1] == ' ') || (to[-1] == '\t'))) {
		to--;
	}
	if ((to == text) || (strchr(WORD_ENDS, to[-1]) != NULL) || (*close != ')')) {
		return;
	}
	*to++ = SCAN_CALL;
	memmove(to, name, len);
	blank(to + len, close + 1);
}

/* The same for all of the value of the key that at is behind: a list, or what is in its line. */
static void calls_join(char *at)
{
	char *text = at;
	bool list;

	at += strspn(at, " \t\r\n\f\v+=");
	list = (*at == '{');
	for (; (*at != '\0') && (*at != '}') && (list || (*at != '\n')); at++) {
		if ((*at == '"') || (*at == '\'')) {
			at = string_end(at);
			if (*at == '\0') {
				return;
			}
		} else if (*at == '(') {
			call_join(text, at);
		}
	}
}

static void scan_space(struct scan *s)
{
	for (; isspace((unsigned char)*s->at); s->at++) {
		s->line += (*s->at == '\n') ? 1 : 0;
	}
}

/* A string in quotes, s->at on the first one. */
static void scan_string(struct scan *s)
{
	char *from = s->at + 1;
	const char *end = string_end(s->at);
	int first = s->line;
	bool open = (*end == '\0');

	for (; s->at < end; s->at++) {
		open = open || ((s->at[0] == '\n') && (s->at[-1] != '\\'));
		s->line += (*s->at == '\n') ? 1 : 0;
	}
	if (open) {
		diag_error(s->d, first, "a quote begins here and does not end in this line");
	}
	s->tok = (*s->at == '\0') ? TOK_END : TOK_WORD;
	s->word = mem_strndup(s->d->mem, from, (size_t)(s->at - from));
	s->at += (*s->at == '\0') ? 0 : 1;
}

static void scan_next(struct scan *s)
{
	scan_space(s);
	s->start = s->at;
	s->sign = '\0';
	s->word = "";
	if (*s->at == '\0') {
		s->tok = TOK_END;
	} else if ((*s->at == '"') || (*s->at == '\'')) {
		scan_string(s);
	} else if (strchr("{}=,()+", *s->at) != NULL) {
		s->tok = TOK_SIGN;
		s->sign = *s->at;
		s->at += ((s->at[0] == '+') && (s->at[1] == '=')) ? 2 : 1;
	} else {
		size_t len = strcspn(s->at, WORD_ENDS);

		s->tok = TOK_WORD;
		s->word = mem_strndup(s->d->mem, s->at, len);
		s->at += len;
	}
}

/* From behind a '{' to behind its '}'. */
static bool scan_braces(struct scan *s)
{
	unsigned depth = 1;

	while (depth > 0) {
		scan_next(s);
		if (s->tok == TOK_END) {
			return false;
		}
		depth += (s->sign == '{') ? 1 : 0;
		depth -= (s->sign == '}') ? 1 : 0;
	}
	return true;
}

/* From behind a key to behind its value or section. */
static bool scan_value(struct scan *s)
{
	scan_next(s);
	if (s->tok == TOK_WORD) {
		scan_next(s);
		return (s->sign == '{') && scan_braces(s);
	}
	if (s->sign == '{') {
		return scan_braces(s);
	}
	if ((s->sign != '=') && (s->sign != '+')) {
		return false;
	}
	scan_next(s);
	return (s->tok == TOK_WORD) || ((s->sign == '{') && scan_braces(s));
}

/* Was the word met before in this section? Returns that line, else 0 and remembers it. */
static int seen_before(struct seen *seen, const char *word, int line)
{
	for (unsigned i = 0; i < seen->count; i++) {
		if (strcmp(seen->word[i], word) == 0) {
			return seen->line[i];
		}
	}
	if (seen->count < SEEN_MAX) {
		seen->word[seen->count] = word;
		seen->line[seen->count] = line;
		seen->count++;
	}
	return 0;
}

static bool list_has(const char *const *list, const char *word)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, word) == 0) {
			return true;
		}
	}
	return false;
}

/* What an error calls a section: "vm 'a'", "realtime of vm 'a'", "trace". */
static const char *section_words(struct scan *s, const struct scan_section *sec, const char *title)
{
	if (sec->titled) {
		return mem_printf(s->d->mem, "%s '%s'", sec->name, title);
	}
	return (title[0] == '\0') ? sec->name
				  : mem_printf(s->d->mem, "%s of vm '%s'", sec->name, title);
}

static const struct scan_section *sub_find(const struct scan_section *sec, const char *word)
{
	const struct scan_section *const *sub = sec->sub;

	while ((sub != NULL) && (*sub != NULL) && (strcmp((*sub)->name, word) != 0)) {
		sub++;
	}
	return (sub == NULL) ? NULL : *sub;
}

/* Say what is wrong with a key; false if nothing is. */
static bool key_is_bad(struct scan *s, const struct scan_section *sec, const char *key,
		       struct seen *seen)
{
	int before;

	for (const char *const(*l)[2] = sec->later; (l != NULL) && ((*l)[0] != NULL); l++) {
		if (strcmp((*l)[0], key) == 0) {
			diag_error(s->d, s->line, "'%s' is for a later version: %s", key, (*l)[1]);
			return true;
		}
	}
	if ((sec->name != NULL) && (sub_find(s->root, key) != NULL)) {
		diag_error(s->d, s->line, "%s inside of %s, which began in line %d: a } is missing",
			   key, section_words(s, sec, s->title), s->title_line);
		s->nested = true;
		return true;
	}
	if (!list_has(sec->keys, key)) {
		diag_unknown(s->d, s->line, "key", key, sec->keys);
		return true;
	}
	before = seen_before(seen, key, s->line);
	if (before != 0) {
		diag_error(s->d, s->line, "'%s' is given twice, first in line %d", key, before);
		return true;
	}
	return false;
}

static bool scan_section(struct scan *s, const struct scan_section *sec);

/* s is behind the name of the section: its title, if it has one, and its body. */
static bool scan_sub(struct scan *s, const struct scan_section *sub, struct seen *titles)
{
	const char *outer = s->title;
	const char *title = outer;
	char *from = s->start;
	int line = s->line;
	int outer_line = s->title_line;
	int before;
	bool ok;

	scan_next(s);
	if (sub->titled) {
		if (s->tok != TOK_WORD) {
			return false;
		}
		title = s->word;
		line = s->line;
		scan_next(s);
	}
	if (s->sign != '{') {
		return false;
	}
	before = seen_before(titles, mem_printf(s->d->mem, "%s %s", sub->name, title), line);
	if (before == 0) {
		sub->begin(title, line);
		s->title = title;
		s->title_line = line;
		ok = scan_section(s, sub);
		s->title = outer;
		s->title_line = outer_line;
		return ok;
	}
	diag_error(s->d, line, "%s is given twice, first in line %d", section_words(s, sub, title),
		   before);
	if (!scan_braces(s)) {
		return false;
	}
	blank(from, s->at);
	return true;
}

/* The end of the text inside of a section: libConfuse would take it for the section's. */
static bool section_is_open(struct scan *s, const struct scan_section *sec)
{
	if ((sec->name != NULL) && !s->nested) {
		diag_error(s->d, s->title_line, "%s does not end: a } is missing",
			   section_words(s, sec, s->title));
	}
	return sec->name != NULL;
}

/* A section's body, to behind its '}'; the file's to its end. False: the syntax is wrong. */
static bool scan_section(struct scan *s, const struct scan_section *sec)
{
	struct seen seen = { .count = 0 };
	struct seen titles = { .count = 0 };

	for (;;) {
		const struct scan_section *sub;
		char *from;

		scan_next(s);
		if (s->tok != TOK_WORD) {
			return (s->tok == TOK_END) ? !section_is_open(s, sec) : (s->sign == '}');
		}
		from = s->start;
		sub = sub_find(sec, s->word);
		if ((sec->calls != NULL) && list_has(sec->calls, s->word)) {
			calls_join(s->at);
		}
		if (sub != NULL) {
			if (!scan_sub(s, sub, &titles)) {
				return false;
			}
		} else if (key_is_bad(s, sec, s->word, &seen)) {
			if (!scan_value(s)) {
				return false;
			}
			blank(from, s->at);
		} else if (!scan_value(s)) {
			return false;
		}
	}
}

void scan_keys(struct diag *d, char *text, const struct scan_section *root)
{
	struct scan s = { .d = d, .at = text, .line = 1, .title = "", .root = root };

	blank_comments(text);
	(void)scan_section(&s, root);
}
