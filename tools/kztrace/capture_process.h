/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the machine that capture runs on. */
#ifndef KZTRACE_CAPTURE_PROCESS_H
#define KZTRACE_CAPTURE_PROCESS_H

#include <stdint.h>

/*
 * process_start - when it was started, in the kernel's ticks since boot; 0: it is not there, or
 * has ended, even if nobody has waited for it.
 */
uint64_t process_start(long pid);

/*
 * process_hurry - from here on this process, which sleeps most of the time, goes before others
 * when it wakes up, as far as the user may ask for that.
 */
void process_hurry(void);

#endif
