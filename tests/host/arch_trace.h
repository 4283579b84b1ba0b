/* SPDX-License-Identifier: Apache-2.0 */
/* The twin of arch/arm64/arch_trace.h. Without a ring nothing is written. */
#ifndef ARCH_TRACE_H
#define ARCH_TRACE_H

#include <stdint.h>

uint64_t host_count(void);

static inline uint64_t arch_count(void)
{
	return host_count();
}

static inline uint64_t arch_trace_put(uint64_t at, uint64_t time, uint64_t word)
{
	uint64_t *to = (uint64_t *)at;

	if (at == 0) {
		return 0;
	}
	to[0] = time;
	to[1] = word;
	return at + 16;
}

#endif
