/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs cost who says them; the target's part is its own core's. */
#include "control.h"

#define TIMES		50u
#define FEW		5u
#define SETTLE		50000u		/* ticks: it sleeps */
#define LAST		(KZ_REGIONS_MAX - 1)
#define TABLES_MOST	48u		/* pages, enough for regions of a page each */
#define PERIOD		1000000000u

static const struct plan plan = { SMALL, PAGE, 0, SLEEPS };

static struct kz_cfg_vm most;

static bool round(void)
{
	uint64_t first;

	if (verb(START, KZ_VERB_START) != KZ_OK) {
		return false;
	}
	first = target_wait(0);
	rest(SETTLE);
	(void)verb(SHUTDOWN, KZ_VERB_SHUTDOWN);
	rest(SETTLE);
	(void)verb(PAUSE, KZ_VERB_PAUSE);
	rest(SETTLE);
	(void)verb(RESUME, KZ_VERB_RESUME);
	rest(SETTLE);
	(void)verb(RESET, KZ_VERB_RESET);
	(void)target_wait(first);
	rest(SETTLE);
	return verb(STOP, KZ_VERB_STOP) == KZ_OK && target_state(KZ_VM_STOPPED);
}

void bench_verbs(void)
{
	if (target_create(&plan)) {
		for (uint32_t i = 0; i < TIMES && round(); i++) {
		}
		(void)target_destroy();
	}
	for (uint32_t i = 0; i < TIMES && target_create(&plan); i++) {
		(void)verb(NOT_COUNTED, KZ_VERB_START);
		(void)target_wait(0);
		rest(SETTLE);
		(void)verb(DESTROY, KZ_VERB_DESTROY);
		if (!target_state(KZ_VM_NONE)) {
			break;
		}
	}
	if (target_create(&plan) && verb(NOT_COUNTED, KZ_VERB_START) == KZ_OK) {
		(void)target_wait(0);
		(void)verb(NOT_COUNTED, KZ_VERB_PAUSE);
		rest(SETTLE);
		for (uint32_t i = 0; i < TIMES; i++) {
			(void)inspect(REGISTERS, KZ_INSPECT_REGISTERS, target);
		}
		(void)target_destroy();
	}
}

/*
 * The n-th VM that has the most of everything: vCPUs on all cores with servers, regions and loads,
 * the last in memory first, and these of the interrupts. Its memory: regions of a page.
 */
static void most_make(uint32_t n, uint32_t cores, uint32_t first, uint32_t irqs)
{
	const uint64_t base = pool + n * (uint64_t)MIB;

	most = template;
	most.name[0] = (char)('a' + n);
	most.vcpu_count = (uint8_t)cores;
	for (uint32_t i = 0; i < cores; i++) {
		most.cpu[i] = (uint8_t)(cores - 1 - i);
	}
	most.irq_lines = 32 * (KZ_INTID_MAX / 32);
	most.irq_count = (uint8_t)irqs;
	for (uint32_t i = 0; i < irqs; i++) {
		most.irq[i].intid = first + irqs - 1 - i;
	}
	for (uint32_t i = 0; i < LAST; i++) {
		const uint64_t at = 2 * PAGE * (LAST - i);

		most.region[i] = (struct kz_cfg_region){
			TARGET_IPA + at, base + at, PAGE, KZ_REGION_RAM, 0
		};
		most.load[i] = (struct kz_cfg_load){ TARGET_IPA + at, 64ull * i, 64 };
	}
	most.region[LAST] = (struct kz_cfg_region){
		0, base + 512 * KIB, (TABLES_MOST + 1) * PAGE, KZ_REGION_STORE, 0
	};
	most.load[LAST] = most.load[LAST - 1];
	most.region_count = KZ_REGIONS_MAX;
	most.load_count = KZ_LOADS_MAX;
	most.store_tables = TABLES_MOST;
	most.entry = most.region[LAST - 1].ipa;
	most.arg = most.entry;
	most.stolen_ipa = 0;
	most.server.budget_ns = PERIOD / 100;
	most.server.deadline_ns = PERIOD;
	most.server.period_ns = PERIOD;
}

void bench_most(void)
{
	const struct kz_machine_info *info = (const struct kz_machine_info *)buffer;
	uint32_t cores, lines, first, count = 0;

	(void)inspect(NOT_COUNTED, KZ_INSPECT_MACHINE, 0);
	cores = info->cfg.machine.cpu_count;
	lines = info->cfg.machine.gic_lines;
	first = info->cfg.machine.uart_intid + 1;
	for (; count < KZ_VMS_MAX - 2; count++) {
		/* The last one needs its own. */
		const uint32_t left = lines - KZ_IRQS_MAX - first;
		const uint32_t irqs = left < KZ_IRQS_MAX ? left : KZ_IRQS_MAX;

		most_make(count, cores, first, irqs);
		if (call(NOT_COUNTED, KZ_HVC_REGISTER, (uintptr_t)&most, 0, 0, 0) != KZ_OK) {
			break;
		}
		first += irqs;
	}
	say("most_vms", count + 2);
	say("most_irqs", first + KZ_IRQS_MAX - info->cfg.machine.uart_intid - 1);
	most_make(count, cores, lines - KZ_IRQS_MAX, KZ_IRQS_MAX);
	for (uint32_t i = 0; i < FEW; i++) {
		if (call(REGISTER_MOST, KZ_HVC_REGISTER, (uintptr_t)&most, 0, 0, 0) != KZ_OK) {
			say("most_refused", call_answer);
			break;
		}
		target = call_answer;
		(void)target_destroy();
	}
}
