/* SPDX-License-Identifier: Apache-2.0 */
/* What several plugins do with QEMU's interface, and with the files that they are given. */
#ifndef TOOLS_PLUGINS_COMMON_H
#define TOOLS_PLUGINS_COMMON_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin.h"

/* The core whose data page is at that TPIDR_EL2: pages of PERCPU_SIZE, by core. */
#define CORE_OF(tpidr) ((tpidr) >> 14 & 7)

/* A register of the core that executes; false: it cannot be read, or has no 64 bits. */
static inline bool register_read(struct qemu_plugin_register *r, uint64_t *value)
{
	static _Thread_local struct array *bytes;

	if (bytes == NULL) {
		bytes = g_byte_array_new();
	}
	g_byte_array_set_size(bytes, 0);
	if (r == NULL || qemu_plugin_read_register(r, bytes) != sizeof(*value)) {
		return false;
	}
	memcpy(value, bytes->data, sizeof(*value));
	return true;
}

/* The register of that name, of those of qemu_plugin_get_registers(); NULL: there is none. */
static inline struct qemu_plugin_register *register_find(const struct array *all, const char *name)
{
	struct qemu_plugin_register *found = NULL;

	for (unsigned int i = 0; i < all->len; i++) {
		const struct reg_descriptor *d = (const struct reg_descriptor *)all->data + i;

		found = strcmp(d->name, name) == 0 ? d->handle : found;
	}
	return found;
}

/* Guests may use the hypervisor's addresses: is it the hypervisor's word that is there? */
static inline bool insn_is(const struct qemu_plugin_insn *insn, uint32_t expected)
{
	uint32_t word = 0;

	return qemu_plugin_insn_data(insn, &word, sizeof(word)) == sizeof(word) && word == expected;
}

/* A line of so many hexadecimal numbers; false: it is another. */
static inline bool numbers_read(const char *line, unsigned long *v, unsigned int numbers)
{
	for (unsigned int i = 0; i < numbers; i++) {
		char *end;

		v[i] = strtoul(line, &end, 16);
		if (end == line) {
			return false;
		}
		line = end;
	}
	return *line == '\n' || *line == '\0';
}

/* A new file of that size, mapped: it is there however QEMU ends. NULL: it cannot be. */
static inline void *output_map(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
	void *at = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (fd >= 0) {
		close(fd);
	}
	return at != MAP_FAILED ? at : NULL;
}

#endif
