/* SPDX-License-Identifier: Apache-2.0 */
/* Included before all else: more VMs, and so more vCPUs on a core, than a machine may have yet. */
#ifndef SIM_MANY_H
#define SIM_MANY_H

#include <kizami/blob.h>

#undef KZ_VMS_MAX
#define KZ_VMS_MAX 16u

#endif
