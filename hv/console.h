/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical console, shared by all VMs and the hypervisor: output line by
 * line with the VM's name before it, input to the VM that has the focus, and an
 * escape key. Writers fill a ring of their own and never wait.
 */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <stdarg.h>
#include <kizami/blob.h>
#include "guard.h"
#include "types.h"

#define CONSOLE_RING   1024u      /* bytes a channel; a power of two */
#define CONSOLE_LINE   160u       /* bytes of a line; a longer one is broken */
#define CONSOLE_HV     KZ_VMS_MAX /* the hypervisor's own channel; a VM's is its id */
#define CONSOLE_NONE   0xffu      /* no channel */
#define CONSOLE_ESCAPE 0x1d       /* Ctrl-] */
#define CONSOLE_TYPE   64u        /* bytes of console_type */
#define CONSOLE_READ   512u       /* bytes of console_read */
#define LOG_READ       512u       /* bytes of log_read: others wait for the lock */
#define LOG_RING       8192u      /* bytes of the log that are kept; a power of two */

/* Boot core, once, after `machine` is set up: focus, console rings. hv_log works before it. */
void console_init(void);

/*
 * Console core, once, when it is up and before its first guest: the timer that
 * serves console rings. Nothing is armed when no VM has one.
 */
void console_start(void);

/*
 * The UART has asked: some bytes typed, or output; asks again if there is more (sched_console).
 * Console core, no lock held.
 */
void console_uart(void) NO_LOCK;

/* Serve the console rings; returns when to do so again. Console core, no lock held. */
uint64_t console_poll(uint64_t now) NO_LOCK;

/*
 * Room for `bytes` in the channel's ring? After a "no" to a PL011's VM,
 * pl011_room follows when half of the ring is free. One writer at a time (the
 * caller's lock).
 */
MUST_USE bool console_has_room(uint32_t channel, uint32_t bytes);

/*
 * Append `len` bytes to the channel's ring, all or none: then a drop is counted. One writer at a
 * time.
 */
void console_write(uint32_t channel, const char *bytes, uint32_t len);

/*
 * Bring what the rings hold to the physical console, as far as it takes it, 32
 * bytes at most, each counted from ring to line, from there to the screen's, and
 * from there to the UART; console_uart brings the rest. Any core, no lock held;
 * beside a running call on another core it lets that one do the work.
 */
void console_pump(uint32_t channel) NO_LOCK;

/* Leave all of it to console_uart. Any core. */
void console_announce(uint32_t channel);

/* ---- For VMs that may see others (control.h); any core, no lock held ---- */

/*
 * The VM `vm` reads the channel of another VM, which is not printed from now on; and no more.
 * KZ_EBUSY: another VM reads it; this one does not.
 */
MUST_USE enum kz_err console_attach(uint32_t channel, uint32_t vm);
enum kz_err console_detach(uint32_t channel, uint32_t vm);
/* Who reads it, plus 1; 0: nobody. */
uint32_t console_reader(uint32_t channel);
/* What was written, if `vm` reads it; returns the bytes. */
uint32_t console_read(uint32_t channel, uint32_t vm, uint8_t *to, uint32_t size);
/* As if typed; returns how much found room: CONSOLE_TYPE at most. */
uint32_t console_type(uint32_t channel, const uint8_t *from, uint32_t size);

/* A VM is gone: what it reads is printed again, and what it wrote is forgotten. */
void console_forget(uint32_t vm);
/* Its console ring is where its configuration says now; nowhere, before its memory goes. */
void console_ring_at(uint32_t vm, const struct kz_cfg_vm *cfg);

/*
 * The hypervisor's words from *position on, counted in bytes since power-on, or from the oldest
 * that are kept: then *position says which. Returns the bytes.
 */
uint32_t log_read(uint64_t *position, uint8_t *to, uint32_t size);

/* Pump until all is out, 200 ms at most: before the machine stops. Any core. */
void console_flush(void) NO_LOCK;

/* The VM starts afresh: its console ring is empty. Any core, after its memory was scrubbed. */
void console_ring_reset(uint32_t vm);

/* Bytes typed for the VM, bytes (hypervisor: lines) written by it, that found no room. Any core. */
uint32_t console_in_dropped(uint32_t vm);
uint32_t console_out_dropped(uint32_t channel);

/* ---- What the keys do to the output; console core ---- */

/* The channel whose unfinished line is shown, or CONSOLE_NONE. Atomic; console core writes. */
extern uint32_t console_focus;
/* Print the status page from its start. */
void console_status(void);
/* Go on where a pump stopped. */
void console_resume(void);

/* ---- The hypervisor's own words ---- */

/* Write a line as the hypervisor, without its newline: "[kizami] ...". Any core, no lock held. */
void hv_log(const char *fmt, ...) PRINTF(1, 2) NO_LOCK;

/* Text that grows from `at`, and is cut off at `end`, which is the place of its NUL at most. */
struct text {
	char *at, *end;
};

/*
 * Append, and end it by a NUL. %s %u %x, the numbers also with l; with a width
 * numbers stand right in their field and strings left, so that it is %8u, %08x
 * and %-8s, as in C.
 */
void text_add_v(struct text *t, const char *fmt, va_list ap);
void text_add(struct text *t, const char *fmt, ...) PRINTF(2, 3);

/* Blanks, until there are `width` bytes from `from` on. */
void text_pad(struct text *t, const char *from, uint32_t width);

/* Line `n` of the status page; false behind its last one. Any core. */
MUST_USE bool status_line(uint32_t n, struct text *t);

#endif
