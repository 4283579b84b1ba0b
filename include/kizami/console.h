/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The console ring: a console without exits. It is one page of the VM's own
 * memory (device tree: /hypervisor/console-ring, compatible
 * "kizami,console-ring"). The guest writes out[] and reads in[]; the hypervisor
 * does the opposite from another core, every few milliseconds. Nobody is
 * interrupted. Indices run freely; the byte at index i is at i modulo the size.
 *
 * Each side writes its own indices only, with release semantics, and reads the
 * other's with acquire semantics. The hypervisor takes the guest's indices for
 * hostile: what is out of range empties the ring, and harms nobody else.
 */
#ifndef KIZAMI_CONSOLE_H
#define KIZAMI_CONSOLE_H

#include <kizami/types.h>

#define KZ_CONSOLE_OUT	2048u
#define KZ_CONSOLE_IN	256u

struct kz_console_ring {
	uint32_t out_head;		/* written by the guest */
	uint32_t in_tail;		/* written by the guest */
	uint32_t pad1[14];
	uint32_t out_tail;		/* written by the hypervisor */
	uint32_t in_head;		/* written by the hypervisor */
	uint32_t pad2[14];
	uint8_t out[KZ_CONSOLE_OUT];
	uint8_t in[KZ_CONSOLE_IN];
};

_Static_assert(sizeof(struct kz_console_ring) == 128 + KZ_CONSOLE_OUT + KZ_CONSOLE_IN, "ABI");

#endif
