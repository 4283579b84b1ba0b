/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the scheduler: sched_core.poll and what is behind it. Own core. */
#ifndef HV_SCHED_POLL_H
#define HV_SCHED_POLL_H

#include "vm.h"

/* sched_core.poll has come. No lock held. */
void poll_due(struct percpu *cpu, uint64_t now) NO_LOCK;

/*
 * The console's turn, one masked stretch: the rings, or the UART, whichever was due first. A
 * server that becomes ready meanwhile waits for that one only, as it was proven. No lock held.
 */
void poll_console(struct sched_core *c) NO_LOCK;

#endif
