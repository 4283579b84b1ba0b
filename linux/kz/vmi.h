/* SPDX-License-Identifier: Apache-2.0 */
/* VMs as the user names them, and all that can be known of one. */
#ifndef KZ_VMI_H
#define KZ_VMI_H

#include <kizami/control.h>

#include "kz.h"

struct vmi {
	unsigned id; /* its place */
	struct kz_vm_info info;
	struct kz_cfg_vm cfg;
	struct kz_vcpu_info vcpu[KZ_VCPUS_MAX]; /* cfg.vcpu_count of them */
};

/* vmi_read - all of one VM. KZ_OK, or what the hypervisor said. */
int vmi_read(struct kz *kz, unsigned id, struct vmi *vm);

/* vmi_read_all - those that this VM may see. Returns how many, or -1: a message was printed. */
int vmi_read_all(struct kz *kz, struct vmi vm[KZ_VMS_MAX]);

/*
 * vmi_find - the VM of that name, or with that number. EXIT_OK, or what to exit with: a message
 * was printed.
 */
int vmi_find(struct kz *kz, const char *word, struct vmi *vm);

/* vmi_memory - bytes of RAM that its guest has. */
uint64_t vmi_memory(const struct vmi *vm);

/* vmi_executed - by all of its vCPUs, in ns. */
uint64_t vmi_executed(const struct vmi *vm);

/* vmi_is_still - a paused VM: has each of its vCPUs left its core? vm->vcpu is what is known. */
bool vmi_is_still(const struct vmi *vm);

/* vmi_cores - "0,2". A static buffer. */
const char *vmi_cores(const struct vmi *vm);

/* ---- Words; "?" for what is not known ---- */

const char *state_word(unsigned state);
const char *reason_word(unsigned reason);
const char *level_word(unsigned level);
const char *restart_word(unsigned restart);
const char *sched_word(unsigned sched);
const char *vcpu_state_word(unsigned state);
const char *console_word(unsigned console);
const char *class_word(unsigned class);
const char *right_word(unsigned right); /* NULL: there is no such right */

/* ns_text - ns as "812 ns", "13.250 us", "3 min 5 s". A static buffer of eight in turn. */
const char *ns_text(uint64_t ns);

/* bytes_text - bytes as "64 MiB", "300 bytes". Likewise. */
const char *bytes_text(uint64_t bytes);

#endif
