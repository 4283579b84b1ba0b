/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a command line: "period=10ms work=1.5ms count=3". */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The value of the word "NAME=": a number, or a time with ns, us, ms or s behind
 * it, in ns then; a fraction is cut to the ns. `otherwise` if there is none, or
 * if it is not one.
 */
uint64_t option_value(const char *args, const char *name, uint64_t otherwise);

/* Whether the word is there, as it stands. */
bool option_has(const char *args, const char *word);

#endif
