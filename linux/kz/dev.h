/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kizami (linux/kizami_ioctl.h), or something that stands in for it: when the path is a UNIX
 * socket (SOCK_SEQPACKET), each connection says by its first message what it is for:
 *
 *   "c"  calls: a struct kz_ioc_call and its buffer there, the same back (the buffer if the call
 *        said KZ_OK); or an int, errno of the ioctl
 *   "e"  events: 8 bytes each time, as read() gives them
 *   "t"  the trace: one byte back, with the descriptor to map; or an int, errno
 */
#ifndef KZ_DEV_H
#define KZ_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kizami_ioctl.h"

struct dev;

/* dev_open - NULL, and errno, when it cannot be. */
struct dev *dev_open(const char *path);
void dev_close(struct dev *d);

/* dev_call - one call. 0: the hypervisor has answered; else errno of the ioctl. */
int dev_call(struct dev *d, struct kz_ioc_call *call);

/* dev_event_fd - what poll() is asked for POLLIN: an event came since the last dev_event_clear. */
int dev_event_fd(const struct dev *d);

/*
 * dev_event_clear - what came until now is known. Call it before looking at what may have
 * changed. False, and errno: the device is gone.
 */
bool dev_event_clear(struct dev *d);

/* dev_trace_map - the machine's trace, struct kz_trace_mem first; NULL and errno: there is none. */
const void *dev_trace_map(struct dev *d, size_t size);

#endif
