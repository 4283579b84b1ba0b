/* SPDX-License-Identifier: Apache-2.0 */
/* The generic watchdog of the SBSA (Arm DEN0029, "Generic Watchdog") that a guest sees. */
#ifndef HV_WDT_H
#define HV_WDT_H

#include "exit.h"
#include "types.h"

struct vm;
struct vcpu;

struct wdt {			/* under vm.lock */
	uint32_t wcs;		/* WDT_EN, WDT_WS0 */
	uint64_t wor;		/* ticks */
	uint64_t wcv;		/* of the system counter */
};

/* As after reset; the VM does not run. */
void wdt_reset(struct vm *vm);

/* An access to its frames; a->addr is the offset from the control frame's. */
enum verdict wdt_access(struct vcpu *v, struct access *a);

/* The VM goes on after a pause: in how many ticks it is due; 0: it is off. vm.lock is held. */
uint64_t wdt_resume(struct vm *vm);

/* vm.due has come. False: that is a failure; true: the guest has been told first. */
MUST_USE bool wdt_due(struct vm *vm, uint64_t now);

#endif
