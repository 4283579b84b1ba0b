/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated devices by address: the frames of a VM, the busiest first. */
#include "arch.h"

enum verdict mmio_access(struct vcpu *v, struct access *a)
{
	const struct kz_cfg_vm *cfg = v->vm->cfg;
	bool v3 = machine.cfg->machine.gic_version == 3;
	uint64_t at = a->addr;
	enum verdict verdict = UNKNOWN;

	if (at - cfg->gicd_ipa < (v3 ? KZ_GICD3_SIZE : KZ_GICD2_SIZE)) {
		a->addr = at - cfg->gicd_ipa;
		verdict = arch_gicd_access(v, a);
	} else if (v3 && at - cfg->gicc_ipa < (uint64_t)KZ_GICR_SIZE * cfg->vcpu_count) {
		a->addr = at - cfg->gicc_ipa;
		verdict = arch_gicr_access(v, a);
	} else if (cfg->console == KZ_CONSOLE_PL011 && at - cfg->console_ipa < KZ_CONSOLE_SIZE) {
		a->addr = at - cfg->console_ipa;
		verdict = pl011_access(v, a);
	}
	a->addr = at;
	return verdict;
}
