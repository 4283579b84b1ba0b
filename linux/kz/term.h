/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal: keys as they are typed, and its size. */
#ifndef KZ_TERM_H
#define KZ_TERM_H

#include <stdbool.h>
#include <stddef.h>

#define TERM_KEY_LEAVE 0x1d /* Ctrl-] */

/*
 * term_raw - each key as it is typed; signals: Ctrl-C is still one. Nothing happens when stdin is
 * no terminal. What there was comes back by term_restore, or at exit.
 */
void term_raw(bool signals);
void term_restore(void);

/* term_lines - of stdout's terminal; 0 when it is none. */
unsigned term_lines(void);

/* term_write - all of it to stdout; false, and errno. */
bool term_write(const void *from, size_t size);

/* progress - "what: 42 %" in one line on stderr, if that is a terminal; done == all ends it. */
void progress(const char *what, size_t done, size_t all);

#endif
