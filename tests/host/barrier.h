/* SPDX-License-Identifier: Apache-2.0 */
/* The twin of arch/arm64/barrier.h: one thread has nothing to order. */
#ifndef BARRIER_H
#define BARRIER_H

static inline void isb(void)
{
}

static inline void dsb_sy(void)
{
}

static inline void dsb_ish(void)
{
}

static inline void dsb_ishst(void)
{
}

static inline void wfi(void)
{
}

static inline void barrier_publish(void)
{
}

#endif
