/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cores that run guests as the scheduler says, one step at a time: linux on cores 0 and 1,
 * servo (HRT) on 2 and 3, raw on 4; nobody on 5.
 */
#ifndef VM_BED_H
#define VM_BED_H

#include "arch.h"
#include "console.h"
#include "policy.h"

#define VMS   3u
#define CORES 6u

struct vm_bed {
	struct kz_cfg cfg;
	struct kz_cfg_vm vm[VMS];
	_Alignas(64) uint8_t image[4096];
};
extern struct vm_bed blob;
extern bool in_guest[CORES];

/* What somebody else decides. */
void vm_stop(struct vm *vm);
void vm_again(struct vm *vm);

struct vcpu *vcpu_of(uint32_t core);

/* The core looks for something to run. Says where it ends: HOST_ENTERED, _ASLEEP or _OFF. */
int core_run(uint32_t core);

/* The core's guest left it, and its hazards are carried out. */
int core_exit(uint32_t core);

/* Let every core go on that something wakes. Bound: each VM stops and starts once. */
void settle(void);

int setup(void **state);
void start_all(void);

/* Leave no VM running: the count of them has no way back. */
int teardown(void **state);

bool said(const char *text);

#endif
