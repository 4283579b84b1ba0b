/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the hypervisor lives in its own address space; read by C, assembly and the linker
 * script.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

/*
 * EL2 stage 1, 39 bits:
 *   0 .. KZ_PA_LIMIT       RAM of VMs and device frames at their physical address, as far as needed
 *   HV_VA ..               the image: hypervisor, blob, guest images
 *   TRACE_VA ..            the trace: each chunk of KZ_TRACE_CHUNK bytes, and a hole as large
 */
#define HV_VA		0x7fc0000000
#define TRACE_VA	0x7ffe000000

#define IMAGE_SIZE_FIELD	16	/* of the Image header in head.S; kzc fills it in */

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096

/* One core's part of .percpu: a guard page that is never mapped, the stack, the data. */
#define PERCPU_SIZE	0x4000
#define PERCPU_GUARD	0x1000
#define PERCPU_DATA	0x3000		/* offset of the data page; the stack grows down from it */
#define PERCPU_COUNT	8
#define PANIC_STACK	0x1000		/* offset of the end of the data page from its start */
#define PANIC_ROOM	1024		/* bytes that it has at least */

#endif
