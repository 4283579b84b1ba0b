/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's console on our terminal. */
#ifndef KZ_CONSOLE_H
#define KZ_CONSOLE_H

#include "vmi.h"

/*
 * console_run - attach, carry both ways until Ctrl-], the end of stdin, or ms have passed
 * (WAIT_FOREVER), detach. Returns enum kz_exit.
 */
int console_run(struct kz *kz, const struct vmi *vm, int64_t ms);

#endif
