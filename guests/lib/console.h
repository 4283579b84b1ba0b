/* SPDX-License-Identifier: Apache-2.0 */
/* The console: the ring of <kizami/console.h> when the device tree has one, else a PL011. */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdint.h>

/* Finds the console. Without one, output is dropped. */
void console_init(const void *fdt);

/* Writes what fits at once, of size bytes; returns how many were taken. The ring: no exit. */
uint32_t console_write(const char *bytes, uint32_t size);

/* Writes a string, waiting for room. */
void console_print(const char *text);

/* The next byte typed, or -1. */
int console_read(void);

#endif
