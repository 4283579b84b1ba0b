/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns what, as text and as a picture. */
#ifndef KZC_MAP_H
#define KZC_MAP_H

#include <stdio.h>

#include "sys.h"

#define MAP_SPANS_MAX (3 * KZ_RAMS_MAX + 2 * KZ_VMS_MAX + 6)

/* Owners of RAM that are no VM. */
#define MAP_FREE   (-1)
#define MAP_KIZAMI (-2)
#define MAP_TRACE  (-3)
#define MAP_LOADER (-4)
#define MAP_KEPT   (-5)

struct map_span {
	uint64_t base, size;
	int owner; /* a VM's index, or one of the above */
};

/* map_memory - all RAM from the bottom to the top, each byte once; returns how many spans. */
unsigned map_memory(const struct sys *s, struct map_span span[MAP_SPANS_MAX]);

/*
 * map_whatis - who has the RAM at that address, and what it is there; false, and nothing is
 * written, when it is no owner's RAM.
 */
bool map_whatis(const struct sys *s, uint64_t address, FILE *out);

/* map_device_vm - the VM that has a device at that address, or NULL. */
const struct vm *map_device_vm(const struct sys *s, uint64_t address);

/* map_owner - the name of an owner. */
const char *map_owner(const struct sys *s, int owner);

/* map_size - "512M", "2052K", "12 bytes". */
const char *map_size(struct mem *mem, uint64_t size);

/* map_has_console - does that core serve the console? A hard real-time VM's never does. */
bool map_has_console(const struct sys *s, unsigned core);

/* map_kind - what its image is, in words. */
const char *map_kind(const struct vm *vm);

/* map_image_size - the bytes of its image, without ramdisk and tree. */
uint64_t map_image_size(const struct vm *vm);

/* map_irqs - a device's interrupts: "INTID 68 69 70", or "no interrupt". */
const char *map_irqs(struct mem *mem, const struct device *dev);

/* map_rights - who may do what to others, a line each; nothing when nobody may. */
void map_rights(struct sys *s, FILE *out);

/* map_text, map_svg - write it. The system was loaded without an error. */
void map_text(struct sys *s, FILE *out);
void map_svg(struct sys *s, FILE *out);

#endif
