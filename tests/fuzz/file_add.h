/* SPDX-License-Identifier: Apache-2.0 */
/* A file that a configuration names and that is only in memory. */
#ifndef FILE_ADD_H
#define FILE_ADD_H

#include <string.h>

#include "sys.h"

/* file_add - what sys_file() finds at that path. */
static inline void file_add(struct sys *s, const char *path, const void *data, size_t size)
{
	struct file *f = mem_zalloc(&s->mem, sizeof(*f));

	f->path = path;
	f->bytes.data = mem_zalloc(&s->mem, size + 1);
	f->bytes.size = size;
	memcpy(f->bytes.data, data, size);
	f->next = s->files;
	s->files = f;
}

#endif
