/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical console, shared by all VMs and the hypervisor: output line by
 * line with the VM's name before it, input to the VM that has the focus, and an
 * escape key. Writers fill a ring of their own and never wait.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <stdarg.h>
#include "types.h"

#define CONSOLE_RING	1024u		/* bytes a VM; a power of two */
#define CONSOLE_HV	KZ_VMS_MAX	/* the hypervisor's own channel */
#define CONSOLE_ESCAPE	0x1d		/* Ctrl-] */

/* Boot core, once, after `machine` is set up. */
void console_init(void);

/* Room in the channel's ring; one writer at a time (the caller's lock). */
MUST_USE bool console_has_room(uint32_t channel);
void console_put(uint32_t channel, uint8_t c);

/*
 * Bring what the rings hold to the physical console, as far as it takes it.
 * Any core, no lock held; a call beside a running one makes that one go on.
 */
void console_pump(void);

/* Write a line as the hypervisor ("kizami: ..."). Any core. %s %c %u %x %d, l for 64 bits. */
void hv_log(const char *fmt, ...) PRINTF(1, 2);

/* Format into buf, always NUL-terminated; returns the length that it needs. */
size_t format_v(char *buf, size_t size, const char *fmt, va_list ap);

/* Print the status page into the hypervisor's channel. Console core. */
void status_print(void);

#endif
