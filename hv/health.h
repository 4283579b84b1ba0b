/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One time for each VM, vm.due: its watchdog's, or the end of its back-off. A core looks at it:
 * its own, or, where no timer of ours may run, the console's. Who moves it on tells nobody: the
 * core finds that when it looks.
 */
#ifndef HV_HEALTH_H
#define HV_HEALTH_H

#include "vm.h"

/* vm is due at that time; NEVER. Any core; the VM's lock may be held. */
void health_set(struct vm *vm, uint64_t at);

/* What is due on this core happens; returns the next time. Own core, no lock held. */
uint64_t health_look(const struct percpu *cpu, uint64_t now) NO_LOCK;

/* Its guest begins, or goes on: its watchdog runs, if it did so. */
void health_start(struct vm *vm);
void health_resume(struct vm *vm);

/* It restarts when its back-off is over. */
void health_back_off(struct vm *vm);

/* KZ_HVC_WATCHDOG of vm's guest. */
MUST_USE enum kz_err health_kick(struct vm *vm, uint64_t ns);

#endif
