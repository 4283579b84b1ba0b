/* SPDX-License-Identifier: Apache-2.0 */
/* link: linux/kz/xl_parse.c linux/kz/xl_conf.c linux/kz/xl_other.c */
/* link: tools/kzc/conf.c tools/kzc/conf_value.c tools/kzc/scan.c */
/* link: tools/kzc/diag.c tools/kzc/mem.c */
/* flags: -Ilinux/kz */
/*
 * An xl.cfg as kz takes it. What is made of one without a mistake is text that kzc's own parser
 * takes, with one vm section, and each value is in the line where the xl.cfg has it.
 */
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "xl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static int line_of(const struct xl_setting *s, const char *name)
{
	while ((s != NULL) && (strcmp(s->name, name) != 0)) {
		s = s->next;
	}
	return (s == NULL) ? 0 : s->line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem mem = { NULL };
	struct diag d = { .mem = &mem, .file = "fuzz" }, after = { .mem = &mem, .file = "fuzz" };
	char *text = mem_strndup(&mem, (const char *)data, size), *ours;
	struct conf *conf = mem_zalloc(&mem, sizeof(*conf));
	const struct xl_setting *s;

	(void)xl_is(text);
	s = xl_parse(&d, text);
	ours = xl_convert(&d, s);
	if (d.errors == 0) {
		require(!xl_is(ours));
		require(conf_parse(&after, ours, strlen(ours), conf) && (after.errors == 0));
		require(conf->vm_count == 1);
		require((conf->vm[0].memory.line == line_of(s, "memory")) ||
			(conf->vm[0].memory.line == line_of(s, "maxmem")));
		require(conf->vm[0].image.line == line_of(s, "kernel"));
	}
	mem_free(&mem);
	return 0;
}
