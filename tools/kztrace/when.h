/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write and read them. */
#ifndef KZTRACE_WHEN_H
#define KZTRACE_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Long enough for what the functions below write. */
#define WHEN_MAX 48

/*
 * when_parse - a time like 2.5ms, 100us, 1s or 0.25 (seconds), exactly, to ns. Returns whether
 * it is one and fits.
 */
bool when_parse(const char *text, uint64_t *ns) __attribute__((warn_unused_result));

/* when_ticks - ns as ticks of a counter of hz, rounded down; saturates. */
uint64_t when_ticks(uint64_t ns, uint64_t hz);

/* when_exact - ns without loss, in the unit that it needs: "1.00025 s", "3.5 ms", "7 ns". */
const char *when_exact(char text[WHEN_MAX], uint64_t ns);

/* when_unit - the name of the unit that so many ns make: "s", "ms", "µs" or "ns". */
const char *when_unit(uint64_t unit_ns);

/*
 * when_number - ns in a unit, with as many digits behind the point as a multiple of step_ns
 * needs.
 */
const char *when_number(char text[WHEN_MAX], uint64_t ns, uint64_t unit_ns, uint64_t step_ns);

#endif
