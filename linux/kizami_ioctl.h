/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * /dev/kizami, as kizami.ko offers it to user space. Who may open it may do what the VM may do;
 * it is root's. A file is for one thread at a time.
 *
 * - ioctl: one call of the hypervisor's (kizami/control.h, kizami/hcall.h) with one buffer.
 * - poll: POLLIN when KZ_NOTIFY_CONTROL came since the last read.
 * - read: 8 bytes, how many times it came since the file was opened; waits unless O_NONBLOCK.
 * - mmap, read-only: the machine's trace, struct kz_trace_mem at offset 0; ENXIO: the VM has none.
 */
#ifndef KIZAMI_IOCTL_H
#define KIZAMI_IOCTL_H

#ifdef __KERNEL__
#include <linux/ioctl.h>
#include <linux/types.h>
#else
#include <sys/ioctl.h>
#include <stdint.h>
#endif

#define KZ_IOC_NO_BUFFER	0xffu

/*
 * x[i] goes to register x(i + 1) and comes back from there. With a buffer, its first `size`
 * bytes (KZ_CONTROL_BYTES at most) are handed over, and `size` bytes come back into it when the
 * call said KZ_OK; x[buffer_at] is replaced by the address that the hypervisor takes.
 */
struct kz_ioc_call {
	uint32_t function;	/* KZ_HVC_REGISTER to KZ_HVC_LOG; else ENOTTY */
	int32_t error;		/* enum kz_err: what the hypervisor said */
	uint64_t x[4];
	uint64_t buffer;	/* user address */
	uint32_t size;
	uint32_t buffer_at;	/* index into x, or KZ_IOC_NO_BUFFER */
};

/* 0: the hypervisor has answered; EINVAL, EFAULT: of the struct; ENOTTY: of the function. */
#define KZ_IOC_CALL	_IOWR('K', 0, struct kz_ioc_call)

#endif
