/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: for events of the device, for input, for Ctrl-C; nothing is left half-made. */
#ifndef KZ_STOP_H
#define KZ_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct dev;

#define WAIT_FOREVER (-1)

/* What wait_for returns: a mask; 0 is that the time is up. */
#define WAIT_EVENT  (1u << 0)
#define WAIT_INPUT  (1u << 1)
#define WAIT_STOP   (1u << 2)
#define WAIT_RESIZE (1u << 3)
#define WAIT_ERROR  (1u << 4)

/*
 * stop_begin - from here on SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end the process: it asks
 * for them. Writes to what nobody reads fail instead of ending it.
 */
void stop_begin(void);

/* stop_asked - did one of them come, ever since stop_begin? */
bool stop_asked(void);

/* stop_forget - it is known: from here on only another one counts. */
void stop_forget(void);

/* now_ms - of a clock that only goes forward. */
int64_t now_ms(void);

/*
 * wait_for - until an event of the device (dev may be NULL), input on fd (-1: none), a signal, or
 * until that many ms have passed.
 */
unsigned wait_for(struct dev *dev, int fd, int64_t ms);

#endif
