/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers for the frames of the GIC: the model, or for an HRT VM the hardware behind it. */
#include "arch.h"
#include "vgic.h"

enum verdict arch_gicd_access(struct vcpu *v, struct access *a)
{
	return v->vm->cfg->level == KZ_HRT ? vgic_hrt_gicd(v, a) : vgic_gicd(v, a);
}

enum verdict arch_gicr_access(struct vcpu *v, struct access *a)
{
	return v->vm->cfg->level == KZ_HRT ? vgic_hrt_gicr(v, a) : vgic_gicr(v, a);
}
