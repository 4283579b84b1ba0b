/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as one run, and files read into it. */
#ifndef KZC_MEM_H
#define KZC_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem_block;

struct mem {
	struct mem_block *first;
};

struct bytes {
	uint8_t *data; /* NULL: none */
	size_t size;
};

/* mem_zalloc - size zeroed bytes, aligned for anything; never fails (the process ends instead). */
void *mem_zalloc(struct mem *mem, size_t size);

/* mem_printf - a formatted string. */
char *mem_printf(struct mem *mem, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* mem_strndup - a NUL-ended copy of the first len bytes of text. */
char *mem_strndup(struct mem *mem, const char *text, size_t len);

/* mem_file - all of a file with a NUL behind it. False, and errno, when it cannot be read. */
bool mem_file(struct mem *mem, const char *path, struct bytes *out);

/* mem_free - give everything back. */
void mem_free(struct mem *mem);

#endif
