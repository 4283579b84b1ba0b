/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What the ABI headers need, in the kernel, in user space and freestanding. */
#ifndef KIZAMI_TYPES_H
#define KIZAMI_TYPES_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* Errors of the hypervisor's interfaces: 0 is success. */
enum kz_err {
	KZ_OK = 0,
	KZ_EINVAL = -1,		/* a parameter is out of its range */
	KZ_EPERM = -2,		/* the caller may not do this */
	KZ_ENOENT = -3,		/* no such VM, vCPU or resource */
	KZ_EBUSY = -4,		/* not in this state */
	KZ_ENOMEM = -5,		/* a fixed pool is used up */
	KZ_ELOAD = -6,		/* the core cannot honour it beside what it has promised */
};

#endif
