/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM with rights does to others: the calls of include/kizami/control.h. */
#ifndef HV_CONTROL_H
#define HV_CONTROL_H

#include "vm.h"

/* One of these calls: x[0] is the function, x[1] to x[4] arguments, and results. Own core of v. */
MUST_USE enum kz_err control_call(struct vcpu *v, uint64_t *x) NO_LOCK;

/* vm's state changed, or its console has output: tell who may see it. Its lock may be held. */
void control_tell(struct vm *vm) EXCLUDES(irq_class);

/* Its memory is scrubbed: nothing is its own any more. */
void control_forget_locked(struct vm *vm) REQUIRES(vm_class);

/* Has `vm` this right over that one? */
static inline bool control_may(const struct vm *vm, enum kz_right right, uint32_t id)
{
	return (__atomic_load_n(&vm->rights[right], __ATOMIC_RELAXED) >> id & 1) != 0;
}

/* inspect.c: KZ_HVC_INSPECT, of a VM that is somebody's; *size: of what it wrote. */
MUST_USE enum kz_err inspect(struct vcpu *v, const uint64_t *x, uint32_t *size);

#endif
