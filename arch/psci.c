/* SPDX-License-Identifier: Apache-2.0 */
#include "psci.h"

#include <kizami/hcall.h>
#include "arch.h"
#include "policy.h"
#include "vgic.h"

#define PSCI_0			0x84000000u
#define SMC64			0x40000000u	/* the same call with 64-bit arguments */

#define PSCI_VERSION		0x00
#define PSCI_CPU_SUSPEND	0x01
#define PSCI_CPU_OFF		0x02
#define PSCI_CPU_ON		0x03
#define PSCI_AFFINITY_INFO	0x04
#define PSCI_MIGRATE_INFO_TYPE	0x06
#define PSCI_OFF		0x08
#define PSCI_RESET		0x09
#define PSCI_FEATURES		0x0a

#define PSCI_NO_TRUSTED_OS	2
#define PSCI_INVALID_PARAMETERS	(-2)
#define PSCI_ALREADY_ON		(-4)
#define PSCI_ON_PENDING		(-5)
#define PSCI_INVALID_ADDRESS	(-9)

#define SMCCC_VERSION		0x80000000u
#define SMCCC_ARCH_FEATURES	0x80000001u
#define SMCCC_VERSION_1_2	0x10002
#define SMCCC_VENDOR_UID	0x8600ff01u

/* 9d2a5b1c-7e4f-4c38-a1d6-4b697a616d69, as DEN0028 6.2 lays a UUID out in w0 to w3. */
static const uint32_t vendor_uid[4] = { 0x1c5b2a9du, 0x384c4f7eu, 0x694bd6a1u, 0x696d617au };

static int64_t cpu_on(struct vcpu *v, uint64_t mpidr, uint64_t entry, uint64_t context)
{
	struct vcpu *target = vgic_vcpu_of(v->vm, mpidr);

	if (target == NULL) {
		return PSCI_INVALID_PARAMETERS;
	}
	if (vm_ram(v->vm->cfg, entry, 4) == NULL || (entry & 3) != 0) {
		return PSCI_INVALID_ADDRESS;
	}
	if (vcpu_on(target, entry, context) != KZ_OK) {
		return __atomic_load_n(&target->state, __ATOMIC_RELAXED) == VCPU_READY ?
		       PSCI_ON_PENDING : PSCI_ALREADY_ON;
	}
	return PSCI_SUCCESS;
}

static int64_t affinity_info(struct vcpu *v, uint64_t mpidr, uint64_t level)
{
	struct vcpu *target = vgic_vcpu_of(v->vm, mpidr);

	if (target == NULL || level != 0) {
		return PSCI_INVALID_PARAMETERS;
	}
	switch (__atomic_load_n(&target->state, __ATOMIC_RELAXED)) {
	case VCPU_OFF:
		return 1;
	case VCPU_READY:
		return 2;
	default:
		return 0;
	}
}

/* Calls that there are, a bit each by number; the second set has 64-bit forms. */
#define PSCI_CALLS	(BIT(PSCI_VERSION) | BIT(PSCI_CPU_SUSPEND) | BIT(PSCI_CPU_OFF) | \
			 BIT(PSCI_CPU_ON) | BIT(PSCI_AFFINITY_INFO) | \
			 BIT(PSCI_MIGRATE_INFO_TYPE) | BIT(PSCI_OFF) | BIT(PSCI_RESET) | \
			 BIT(PSCI_FEATURES))
#define PSCI_CALLS_64	(BIT(PSCI_CPU_SUSPEND) | BIT(PSCI_CPU_ON) | BIT(PSCI_AFFINITY_INFO))

static int64_t psci_features(uint32_t fn)
{
	uint32_t n = fn & ~(PSCI_0 | SMC64);
	uint32_t set = (fn & SMC64) != 0 ? PSCI_CALLS_64 : PSCI_CALLS;

	if (fn == SMCCC_VERSION ||
	    ((fn & PSCI_0) == PSCI_0 && n <= PSCI_FEATURES && (set >> n & 1) != 0)) {
		return PSCI_SUCCESS;
	}
	return PSCI_NOT_SUPPORTED;
}

static int64_t psci_call(struct vcpu *v, uint32_t n, bool wide)
{
	const uint64_t *x = v->arch.x;
	uint64_t mask = wide ? ~0ull : ~0u;

	switch (n) {
	case PSCI_CPU_ON:
		return cpu_on(v, x[1] & mask, x[2] & mask, x[3] & mask);
	case PSCI_AFFINITY_INFO:
		return affinity_info(v, x[1] & mask, x[2] & mask);
	default:
		break;
	}
	if (wide) {
		return PSCI_NOT_SUPPORTED;
	}
	switch (n) {
	case PSCI_CPU_OFF:
		vcpu_hazard(v, HAZARD_OFF);
		return PSCI_SUCCESS;
	case PSCI_MIGRATE_INFO_TYPE:
		return PSCI_NO_TRUSTED_OS;
	case PSCI_OFF:
		vm_fail(v->vm, KZ_REASON_OFF);
		return PSCI_SUCCESS;
	case PSCI_RESET:
		vm_halt(v->vm, KZ_REASON_RESET, THEN_START);
		return PSCI_SUCCESS;
	case PSCI_FEATURES:
		return psci_features((uint32_t)x[1]);
	default:
		return PSCI_NOT_SUPPORTED;
	}
}

static bool standby(struct vcpu *v)
{
	if (v->cpu->sched.shared) {
		return vcpu_wait(v);
	}
	vcpu_standby(v);
	return false;
}

bool smccc_call(struct vcpu *v)
{
	uint64_t *x = v->arch.x;
	uint32_t fn = (uint32_t)x[0];

	if ((fn & ~SMC64) == PSCI_0 + PSCI_CPU_SUSPEND) {
		/* any state is entered as a standby, and left by an interrupt */
		x[0] = PSCI_SUCCESS;
		return standby(v);
	}
	if (fn - KZ_HVC_SET_REALTIME_INFO < 0x1000 || fn - KZ_HVC_PV_TIME_FEATURES < 2) {
		return policy_call(v, x);
	}
	if ((fn & ~SMC64) - PSCI_0 <= PSCI_FEATURES) {
		x[0] = (uint64_t)psci_call(v, fn & 0x1f, (fn & SMC64) != 0);
	} else if (fn == SMCCC_VERSION) {
		x[0] = SMCCC_VERSION_1_2;
	} else if (fn == SMCCC_ARCH_FEATURES) {
		uint32_t of = (uint32_t)x[1];

		x[0] = of == SMCCC_VERSION || of == SMCCC_ARCH_FEATURES ||
		       (of == KZ_HVC_PV_TIME_FEATURES && v->vm->cfg->stolen_ipa != 0) ?
		       PSCI_SUCCESS : (uint64_t)PSCI_NOT_SUPPORTED;
	} else if (fn == SMCCC_VENDOR_UID) {
		for (uint32_t i = 0; i < 4; i++) {
			x[i] = vendor_uid[i];
		}
	} else {
		x[0] = (uint64_t)PSCI_NOT_SUPPORTED;
	}
	return false;
}
