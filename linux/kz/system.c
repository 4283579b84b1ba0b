/* SPDX-License-Identifier: Apache-2.0 */
#include "system.h"

#include "call.h"

int kz_system_read(struct kz *kz, struct kz_system *s)
{
	int err = call_machine(kz, &s->machine);

	s->now = (struct live){ .cfg = &s->machine.cfg };
	s->whole = true;
	for (unsigned i = 0; (err == KZ_OK) && (i < KZ_VMS_MAX); i++) {
		err = call_config(kz, i, &s->vm[i]);
		s->now.vm[i] = (err == KZ_OK) ? &s->vm[i] : NULL;
		s->whole = s->whole && (err != KZ_EPERM);
		err = ((err == KZ_ENOENT) || (err == KZ_EPERM)) ? KZ_OK : err;
	}
	return (err == KZ_OK) ? EXIT_OK : call_failed(kz, err, "looking at the machine", NULL);
}

uint64_t kz_system_free(const struct kz_system *s, uint64_t *largest)
{
	struct kz_cfg_ram piece[LIVE_FREE_MAX];
	unsigned count = live_free(&s->now, piece);
	uint64_t sum = 0;

	*largest = 0;
	for (unsigned i = 0; i < count; i++) {
		sum += piece[i].size;
		*largest = (piece[i].size > *largest) ? piece[i].size : *largest;
	}
	return sum;
}
