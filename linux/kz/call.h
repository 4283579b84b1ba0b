/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of kizami/control.h, one function each. Unless it says otherwise, each returns what
 * the hypervisor said, or KZ_DEVICE. */
#ifndef KZ_CALL_H
#define KZ_CALL_H

#include <stddef.h>

#include <kizami/control.h>

#include "kz.h"

/* The device itself failed: a message was printed. No enum kz_err has this value. */
#define KZ_DEVICE (-100)

/* What is behind an error of KZ_HVC_REGISTER. */
struct refusal {
	uint64_t x1, x2;
};

int call_machine(struct kz *kz, struct kz_machine_info *out);
int call_config(struct kz *kz, unsigned vm, struct kz_cfg_vm *out);
int call_vm(struct kz *kz, unsigned vm, struct kz_vm_info *out);
int call_vcpu(struct kz *kz, unsigned vm, unsigned vcpu, struct kz_vcpu_info *out);
int call_registers(struct kz *kz, unsigned vm, unsigned vcpu, struct kz_vcpu_registers *out);
int call_heads(struct kz *kz, struct kz_trace_head out[KZ_TRACE_CORES], unsigned cores);

/* call_control - *state (may be NULL) is the VM's after it. */
int call_control(struct kz *kz, unsigned vm, enum kz_verb verb, unsigned *state);

int call_register(struct kz *kz, const struct kz_cfg_vm *cfg, unsigned *vm, struct refusal *why);
int call_fill(struct kz *kz, unsigned vm, uint64_t offset, const void *data, size_t size);

/* Up to KZ_CONTROL_BYTES; *done is how many there were, or fitted. */
int call_console_read(struct kz *kz, unsigned vm, void *to, size_t size, size_t *done);
int call_console_write(struct kz *kz, unsigned vm, const void *from, size_t size, size_t *done);

int call_read(struct kz *kz, unsigned vm, uint64_t address, void *to, size_t size);

/* *position: in: from where on; out: of the first byte. */
int call_log(struct kz *kz, uint64_t *position, void *to, size_t size, size_t *done);

/*
 * call_failed - say that what was to be done with the VM (NULL: none) failed, why, and what to do
 * about it. Returns enum kz_exit.
 */
int call_failed(const struct kz *kz, int err, const char *what, const char *vm);

#endif
