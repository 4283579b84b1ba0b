/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real time as the guest and the configuration see it: what is promised, what a
 * miss leads to, and the calls of include/kizami/hcall.h.
 */
#ifndef HV_POLICY_H
#define HV_POLICY_H

#include "vm.h"

/* A vCPU of the configuration gets its slot on its core. Boot core, once. */
void sched_add(struct vcpu *v);

/*
 * All vCPUs are added: what the core may promise. False: its servers are too much
 * for the sufficient test, and kzc has not proven them. Boot core, once.
 */
MUST_USE bool sched_init(struct percpu *cpu);

/*
 * The same at run time, before the vCPU runs; other members may execute. KZ_ELOAD: the core
 * cannot keep its promises beside it, by *short_ppm millionths; then it has not joined. Any core.
 */
MUST_USE enum kz_err sched_join(struct vcpu *v, uint32_t *short_ppm);
/* And out again: v is off. Any core. */
void sched_leave(struct vcpu *v);

/*
 * Tell v's guest of these KZ_NOTIFY_ bits. False: it has not asked for them. Any core; a VM's
 * lock may be held.
 */
bool policy_notify(struct vcpu *v, uint32_t what) EXCLUDES(irq_class);

/* A deadline was missed, or a budget used up (KZ_NOTIFY_ bit). Own core. */
void policy_event(struct vcpu *v, uint32_t what);

/* The period that job_done waited for has begun: its results. Own core. */
void policy_released(struct vcpu *v);

/*
 * A call of the vendor-specific hypervisor range or of paravirtualized time: x[0]
 * is the function, x[1] to x[3] arguments, and results. True: sched_next follows.
 * Own core of v, the caller.
 */
MUST_USE bool policy_call(struct vcpu *v, uint64_t *x);

#endif
