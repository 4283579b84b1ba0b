/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's trace as a control VM has it: the rings are mapped by the device, their heads,
 * which are the hypervisor's, come by a call, as copies (kizami/trace.h).
 */
#ifndef KZ_RINGS_H
#define KZ_RINGS_H

#include <kizami/control.h>

#include "capture_ring.h"
#include "kz.h"

struct rings {
	struct kz *kz;
	bool quiet; /* no messages: `why` has them */
	struct kz_machine_info machine;
	struct kz_cfg_vm vm[KZ_VMS_MAX];
	bool known[KZ_VMS_MAX];
	const struct kz_trace_mem *mem;
	uint32_t cores;
	struct kz_trace_head head[KZ_TRACE_CORES];
	struct ring ring[KZ_TRACE_CORES];
	char why[256]; /* what went wrong last */
};

/* rings_open - map the trace of r->machine, and all heads. EXIT_OK, or what to exit with. */
int rings_open(struct rings *r);

/*
 * rings_heads - all heads anew; each is whole enough for ring_count. What ring_read copied before
 * may have been overwritten: it saw the heads of before. EXIT_OK, or what to exit with.
 */
int rings_heads(struct rings *r);

/*
 * rings_config - the blob that records are read with: r->machine and those of r->vm that are known.
 * For who frees it. NULL: it cannot be.
 */
struct kz_cfg *rings_config(struct rings *r);

#endif
