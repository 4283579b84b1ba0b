/* SPDX-License-Identifier: Apache-2.0 */
/* Is a configuration blob fit to be used? One answer for hypervisor, kzc, tests and fuzzer. */
#ifndef HV_BLOB_H
#define HV_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kizami/blob.h>
#include <kizami/trace.h>

/* Why a blob is refused. blob_strerror() has the words, in this order. */
enum blob_err {
	BLOB_OK,
	BLOB_TRUNCATED,
	BLOB_MAGIC,
	BLOB_VERSION,
	BLOB_SIZE,
	BLOB_VM_COUNT,
	BLOB_RESERVED,
	BLOB_IMAGE,
	BLOB_NAME,
	BLOB_NAME_TWICE,
	BLOB_CPU_COUNT,
	BLOB_MPIDR,
	BLOB_CONSOLE_CPU,
	BLOB_CONDUIT,
	BLOB_RAM,
	BLOB_IMAGE_RAM,
	BLOB_GIC,
	BLOB_GIC_FRAME,
	BLOB_PPI,
	BLOB_UART,
	BLOB_VM_TYPE,
	BLOB_VM_COUNTS,
	BLOB_VM_FLAGS,
	BLOB_VCPU,
	BLOB_CPU_TWICE,
	BLOB_IRQ_LINES,
	BLOB_IRQ,
	BLOB_IRQ_TWICE,
	BLOB_REGION,
	BLOB_REGION_RAM,
	BLOB_REGION_DEVICE,
	BLOB_REGION_OWN,
	BLOB_REGION_TWICE,
	BLOB_IPA,
	BLOB_LOAD,
	BLOB_ENTRY,
	BLOB_CONSOLE,
	BLOB_SERVER,
	BLOB_TRACE,
	BLOB_RESTART,
	BLOB_WATCHDOG,
	BLOB_RIGHTS,
	BLOB_REGION_TRACE,
	BLOB_STORE,
	BLOB_ERRS
};

#define BLOB_NO_VM KZ_VMS_MAX

/* What an error is about: a VM (or BLOB_NO_VM) and an index into the array that the error names. */
struct blob_where {
	uint32_t vm;
	uint32_t index;
};

/*
 * blob_vm - the VM with that index; index < vm_count of a blob that was checked, or that is
 * being made.
 */
static inline const struct kz_cfg_vm *blob_vm(const struct kz_cfg *cfg, uint32_t index)
{
	return (const struct kz_cfg_vm *)(const void *)(cfg + 1) + index;
}

/* blob_may_create - has a VM of a blob that was checked the right to create others? */
static inline bool blob_may_create(const struct kz_cfg *cfg)
{
	bool may = false;

	for (uint32_t i = 0; i < cfg->vm_count; i++) {
		may |= blob_vm(cfg, i)->rights[KZ_RIGHT_CREATE] == 0xff;
	}
	return may;
}

/* blob_trace_size - bytes from trace_pa on that the trace takes; below 2^25 once checked. */
static inline uint64_t blob_trace_size(const struct kz_cfg_machine *m)
{
	return KZ_PAGE_SIZE + (uint64_t)m->cpu_count * m->trace_chunks * KZ_TRACE_CHUNK;
}

/*
 * blob_check - check all that a blob says against itself.
 *
 * cfg is 8-byte aligned; no byte at or beyond avail is read. Trusts nothing, changes nothing,
 * takes no lock. Returns BLOB_OK, or the first thing found wrong, and then *where is filled.
 * Once it is BLOB_OK: sums of an address and its size do not wrap, each frame and region is
 * owned once, and each index is in range.
 */
enum blob_err blob_check(const struct kz_cfg *cfg, size_t avail, struct blob_where *where)
	__attribute__((warn_unused_result));

/*
 * blob_check_vm - check a VM that is to come into place id of a running system: all that
 * blob_check says of a VM, and what control.h says of one that is registered (a store; no rights;
 * no core of the console's for an HRT VM).
 *
 * cfg has the header and the machine of a blob that was checked. others[KZ_VMS_MAX] are the VMs
 * that are there, each known to be good; NULL where none is, and for id. vm is 8-byte aligned and
 * does not change meanwhile. Otherwise as blob_check. No loop is longer than the VM's own entries
 * times the log of the others' (docs/abi.md has counts).
 */
enum blob_err blob_check_vm(const struct kz_cfg *cfg, const struct kz_cfg_vm *const *others,
			    uint32_t id, const struct kz_cfg_vm *vm, struct blob_where *where)
	__attribute__((warn_unused_result));

/*
 * blob_tables - translation tables of 4 KiB that are enough for a VM's second stage, the root
 * included: as many as pt_map (arch/arm64/pt.c) takes, or a few more. The regions are pages whose
 * ends do not wrap; the result is below 2^24.
 */
uint32_t blob_tables(const struct kz_cfg_vm *vm);

/* blob_strerror - a few words for an error; never NULL. */
const char *blob_strerror(enum blob_err err);

#endif
