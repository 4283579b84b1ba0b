/* SPDX-License-Identifier: Apache-2.0 */
/* Which vCPUs are on which core, and what they are promised there. */
#ifndef KZC_CORES_H
#define KZC_CORES_H

#include "sys.h"

#define PPM 1000000u

/* A vCPU of a core. */
struct core_vcpu {
	const struct vm *vm;
	unsigned vcpu;
};

/* cores_read - place what has no cores of its own, check the rest, set the cores' reserves. */
void cores_read(struct sys *s);

/* cores_join - the same for a VM that comes while others run, with the reserves that they have. */
void cores_join(struct sys *s);

/* core_vcpus - who is on a core, in the order of the VMs; returns how many. */
unsigned core_vcpus(const struct sys *s, unsigned core, struct core_vcpu list[KZ_VMS_MAX]);

/* core_is_hard - is it a hard real-time VM's? */
bool core_is_hard(const struct sys *s, unsigned core);

/* vm_has_server - has the configuration one for it? */
bool vm_has_server(const struct vm *vm);

/* vm_is_delayed - may it, while it wants to run, be kept waiting: by others, or by its budget? */
bool vm_is_delayed(const struct sys *s, const struct vm *vm);

/* ppm_of - part / whole in millionths, rounded up; part <= whole < 2^43. */
uint64_t ppm_of(uint64_t part, uint64_t whole);

/* share_text - millionths as "12.5 %". */
const char *share_text(struct mem *mem, uint64_t ppm);

/* time_text - ns as "2.5ms". */
const char *time_text(struct mem *mem, uint64_t ns);

/* server_text - "2ms/10ms (20 %)"; with a deadline of its own "2ms/10ms, deadline 5ms (20 %)". */
const char *server_text(struct mem *mem, const struct kz_cfg_server *server);

#endif
