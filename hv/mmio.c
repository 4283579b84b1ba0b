/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated devices by address; the interrupt controller is the port's. */
#include "arch.h"

enum verdict mmio_access(struct vcpu *v, struct access *a)
{
	const struct kz_cfg_vm *cfg = v->vm->cfg;
	uint64_t at = a->addr;
	enum verdict verdict = UNKNOWN;

	if (cfg->console == KZ_CONSOLE_PL011 && at - cfg->console_ipa < KZ_CONSOLE_SIZE) {
		a->addr = at - cfg->console_ipa;
		verdict = pl011_access(v, a);
	} else if (cfg->wdt_ipa != 0 && at - cfg->wdt_ipa < KZ_WDT_SIZE) {
		a->addr = at - cfg->wdt_ipa;
		verdict = wdt_access(v, a);
	}
	a->addr = at;
	return verdict;
}
