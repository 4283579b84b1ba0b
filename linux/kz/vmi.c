/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

int vmi_read(struct kz *kz, unsigned id, struct vmi *vm)
{
	int err = call_vm(kz, id, &vm->info);

	vm->id = id;
	if (err == KZ_OK) {
		err = call_config(kz, id, &vm->cfg);
	}
	if ((err == KZ_OK) && (vm->cfg.vcpu_count > KZ_VCPUS_MAX)) {
		vm->cfg.vcpu_count = KZ_VCPUS_MAX;
	}
	for (unsigned v = 0; (err == KZ_OK) && (v < vm->cfg.vcpu_count); v++) {
		err = call_vcpu(kz, id, v, &vm->vcpu[v]);
	}
	return err;
}

int vmi_read_all(struct kz *kz, struct vmi vm[KZ_VMS_MAX])
{
	int count = 0;

	for (unsigned id = 0; id < KZ_VMS_MAX; id++) {
		int err = vmi_read(kz, id, &vm[count]);

		if (err == KZ_OK) {
			count++;
		} else if ((err != KZ_ENOENT) && (err != KZ_EPERM)) {
			(void)call_failed(kz, err, "looking at the VMs", NULL);
			return -1;
		}
	}
	return count;
}

/* What there is, for who asked for something else. */
static void names_print(const struct vmi *vm, int count)
{
	fputs((count == 0) ? "; this VM may see none" : "; there is", stderr);
	for (int i = 0; i < count; i++) {
		fprintf(stderr, "%s %s (%u)", (i == 0) ? "" : ",", vm[i].info.name, vm[i].id);
	}
	fputc('\n', stderr);
}

int vmi_find(struct kz *kz, const char *word, struct vmi *vm)
{
	struct vmi all[KZ_VMS_MAX];
	int count = vmi_read_all(kz, all);
	char *end;
	unsigned long id = strtoul(word, &end, 10);
	bool number = (word[0] >= '0') && (word[0] <= '9') && (*end == '\0');

	if (count < 0) {
		return EXIT_FAILED;
	}
	/* A name first: "7" may be one. */
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < count; i++) {
			if ((pass == 0) ? (strcmp(all[i].info.name, word) == 0)
					: (number && (all[i].id == id))) {
				*vm = all[i];
				return EXIT_OK;
			}
		}
	}
	fprintf(stderr, "kz %s: there is no vm '%s'", kz->verb, word);
	names_print(all, count);
	return EXIT_NO_VM;
}

uint64_t vmi_memory(const struct vmi *vm)
{
	uint64_t size = 0;

	for (unsigned r = 0; (r < vm->cfg.region_count) && (r < KZ_REGIONS_MAX); r++) {
		if (vm->cfg.region[r].type == KZ_REGION_RAM) {
			size += vm->cfg.region[r].size;
		}
	}
	return size;
}

uint64_t vmi_executed(const struct vmi *vm)
{
	uint64_t ns = 0;

	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		ns += vm->vcpu[v].executed;
	}
	return ns;
}

bool vmi_is_still(const struct vmi *vm)
{
	enum { VCPU_OFF = 2, SCHED_OFF = 0, SCHED_PAUSED = 5 }; /* struct kz_vcpu_info */
	bool still = true;

	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		const struct kz_vcpu_info *c = &vm->vcpu[v];

		still = still && ((c->state == VCPU_OFF) || (c->sched == SCHED_OFF) ||
				  (c->sched == SCHED_PAUSED));
	}
	return still;
}

const char *vmi_cores(const struct vmi *vm)
{
	static char text[4 * KZ_VCPUS_MAX];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", (v == 0) ? "" : ",",
				       vm->cfg.cpu[v]);
	}
	return text;
}
