/* SPDX-License-Identifier: Apache-2.0 */
/* The machine and what its VMs have, as kzc's code wants them (tools/kzc/live.h). */
#ifndef KZ_SYSTEM_H
#define KZ_SYSTEM_H

#include <kizami/control.h>

#include "kz.h"
#include "live.h"

struct kz_system {
	struct kz_machine_info machine;
	struct kz_cfg_vm vm[KZ_VMS_MAX];
	struct live now; /* points to both */
	bool whole;      /* there is no VM that this one may not see */
};

/* kz_system_read - as it is now. EXIT_OK, or what to exit with: a message was printed. */
int kz_system_read(struct kz *kz, struct kz_system *s);

/* kz_system_free - bytes of RAM that nobody has, and the largest piece of it. */
uint64_t kz_system_free(const struct kz_system *s, uint64_t *largest);

#endif
