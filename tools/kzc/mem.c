/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mem_block {
	struct mem_block *next;
	max_align_t data[];
};

void *mem_zalloc(struct mem *mem, size_t size)
{
	struct mem_block *b = calloc(1, sizeof(*b) + ((size == 0) ? 1 : size));

	if (b == NULL) {
		fputs("kzc: out of memory\n", stderr);
		exit(1);
	}
	b->next = mem->first;
	mem->first = b;
	return b->data;
}

char *mem_printf(struct mem *mem, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	text = mem_zalloc(mem, (size_t)((len < 0) ? 0 : len) + 1);
	va_start(ap, fmt);
	vsnprintf(text, (size_t)((len < 0) ? 0 : len) + 1, fmt, ap);
	va_end(ap);
	return text;
}

char *mem_strndup(struct mem *mem, const char *text, size_t len)
{
	char *copy = mem_zalloc(mem, len + 1);

	memcpy(copy, text, len);
	return copy;
}

bool mem_file(struct mem *mem, const char *path, struct bytes *out)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	bool ok = false;

	if (f == NULL) {
		return false;
	}
	if (fstat(fileno(f), &st) == 0) {
		if (S_ISREG(st.st_mode)) {
			out->size = (size_t)st.st_size;
			out->data = mem_zalloc(mem, out->size + 1);
			ok = (fread(out->data, 1, out->size, f) == out->size);
		} else {
			errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		}
	}
	fclose(f);
	return ok;
}

void mem_free(struct mem *mem)
{
	while (mem->first != NULL) {
		struct mem_block *next = mem->first->next;

		free(mem->first);
		mem->first = next;
	}
}
