/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the trace, and its time, as cheaply as the processor can (hv/trace.h). */
#ifndef ARCH_TRACE_H
#define ARCH_TRACE_H

#include "barrier.h"
#include "sysreg.h"

/* The counter; unlike arch_ticks, a few instructions early or late. */
static inline uint64_t arch_count(void)
{
	return read_cntpct_el0();
}

/* Write both words; returns the place behind them. */
static inline uint64_t arch_trace_put(uint64_t at, uint64_t time, uint64_t word)
{
	return store_pair(at, time, word);
}

#endif
