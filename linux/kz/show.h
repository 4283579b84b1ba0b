/* SPDX-License-Identifier: Apache-2.0 */
/* What is known, as JSON (docs/kz.md has the keys), and as text for people. */
#ifndef KZ_SHOW_H
#define KZ_SHOW_H

#include <jansson.h>

#include "system.h"
#include "vmi.h"

/* show_vm - all of a VM; show_vm_brief - what each verb says of the VM that it was for. */
json_t *show_vm(const struct vmi *vm);
json_t *show_vm_brief(const struct vmi *vm);

/* show_machine - of the machine. */
json_t *show_machine(const struct kz_system *s);

/*
 * show_add - object[key] = value, where value is a new reference. The process ends when there is
 * no memory: there is nothing to go back to.
 */
void show_add(json_t *object, const char *key, json_t *value);
void show_add_number(json_t *object, const char *key, uint64_t value);

/* show_json - to stdout, and it is gone. Returns EXIT_OK, or EXIT_FAILED and a message. */
int show_json(const struct kz *kz, json_t *json);
/* The same in one line. */
int show_json_line(const struct kz *kz, json_t *json);

/* show_text - an object as lines "key : value"; units are those of the keys' ends: _ns, ... */
void show_text(const json_t *object);

/* show_flush - the end of what a verb prints: EXIT_OK, or EXIT_FAILED and a message. */
int show_flush(const struct kz *kz);

#endif
