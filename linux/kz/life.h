/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs do to a VM on the way to something else. */
#ifndef KZ_LIFE_H
#define KZ_LIFE_H

#include "vmi.h"

/* life_destroy - destroy the VM in that place and wait for the end. Returns enum kz_exit. */
int life_destroy(struct kz *kz, unsigned id);

/* life_pause - pause it and wait until it stands still; *vm is up to date. Returns enum kz_exit. */
int life_pause(struct kz *kz, struct vmi *vm);

/* life_unpause - let it go on if it is paused, also after Ctrl-C. Returns enum kz_exit. */
int life_unpause(struct kz *kz, struct vmi *vm);

#endif
