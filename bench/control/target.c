/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, and the VM that they are about: created of the configuration of one in the image. */
#include "control.h"

#define TEMPLATE	1u		/* its place */
#define TABLES		8u		/* pages, enough for 2 regions */
#define TREE		PAGE		/* bytes of a second load, as a device tree */
#define NOTE		0x1000u		/* where the target notes its first instruction's time */
#define STEP		20000u		/* ticks between two looks */
#define LOOKS		500u
#define BACK_END	0x10000u	/* of its memory: where the second load is */

SYSREG_READ(cntpct_el0, "cntpct_el0")

uint64_t target;
uint64_t call_answer;
uint64_t buffer[KZ_CONTROL_BYTES / 8] __attribute__((aligned(64)));
struct kz_cfg_vm template;
uint64_t pool;

static struct kz_cfg_vm next;

uint64_t now(void)
{
	cpu_isb();
	return read_cntpct_el0();
}

int64_t call(enum row row, uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t x[5] = { fn, a, b, c, d };

	control_call(x, row, row >= RESET_SPINS && row <= PAUSE_SLEEPS);
	call_answer = x[1];
	if (row != NOT_COUNTED && (int64_t)x[0] != KZ_OK) {
		refused = row;
	}
	return (int64_t)x[0];
}

int64_t verb(enum row row, enum kz_verb what)
{
	return call(row, KZ_HVC_CONTROL, target, what, 0, 0);
}

int64_t inspect(enum row row, enum kz_inspect what, uint64_t which)
{
	return call(row, KZ_HVC_INSPECT, what, which, (uintptr_t)buffer, 0);
}

/* Asleep: what the target does meanwhile is not counted as ours. */
void rest(uint64_t ticks)
{
	fired[0] = 0;
	write_cntv_cval_el0(stamp() + ticks);
	write_cntv_ctl_el0(1);
	wait_fired(&fired[0]);
}

bool target_state(enum kz_vm_state state)
{
	for (uint32_t i = 0; i < LOOKS; i++) {
		const int64_t error = inspect(NOT_COUNTED, KZ_INSPECT_VM, target);
		const struct kz_vm_info *info = (const struct kz_vm_info *)buffer;

		if (error == KZ_ENOENT ? state == KZ_VM_NONE : info->state == state) {
			return true;
		}
		rest(STEP);
	}
	return false;
}

uint64_t target_wait(uint64_t before)
{
	for (uint32_t i = 0; i < LOOKS; i++) {
		const int64_t error = call(NOT_COUNTED, KZ_HVC_READ, target, TARGET_IPA + NOTE,
					   (uintptr_t)buffer, 64);

		if (error == KZ_OK && buffer[0] != 0 && buffer[0] != before) {
			return buffer[0];
		}
		rest(STEP);
	}
	return 0;
}

bool target_destroy(void)
{
	return verb(NOT_COUNTED, KZ_VERB_DESTROY) == KZ_OK && target_state(KZ_VM_NONE);
}

bool target_prepare(void)
{
	target = TEMPLATE;
	if (inspect(NOT_COUNTED, KZ_INSPECT_CONFIG, TEMPLATE) != KZ_OK) {
		return false;
	}
	template = *(const struct kz_cfg_vm *)buffer;
	for (uint32_t i = 0; i < template.region_count; i++) {
		if (template.region[i].type == KZ_REGION_RAM) {
			pool = template.region[i].pa;
		}
	}
	return pool != 0 && target_destroy();
}

/* The struct that is registered: the template with other memory. */
static void next_make(const struct plan *p)
{
	const uint64_t end = TARGET_IPA + p->ram - BACK_END;
	uint32_t n = template.region_count;

	next = template;
	for (uint32_t i = 0; i < n; i++) {
		if (next.region[i].type == KZ_REGION_RAM) {
			next.region[i] = (struct kz_cfg_region){
				TARGET_IPA, pool, p->ram, KZ_REGION_RAM, 0
			};
		}
	}
	next.region[n] = (struct kz_cfg_region){
		0, pool + p->ram, TABLES * PAGE + p->image + TREE, KZ_REGION_STORE, 0
	};
	next.region_count++;
	next.store_tables = TABLES;
	next.load[0] = (struct kz_cfg_load){ TARGET_IPA, 0, p->image };
	next.load[1] = (struct kz_cfg_load){ end, p->image, TREE };
	next.load_count = 2;
	next.entry = TARGET_IPA;
	next.arg = end;
	next.stolen_ipa = next.stolen_ipa == 0 ? 0 : end - PAGE;
	next.watchdog_ns = p->watchdog_ns;
	next.restart = KZ_RESTART_ON_FAILURE;
	next.backoff_ms = 0;
	next.backoff_max_ms = 0;
}

/* What the store gets behind the tables: the target's code, and zeros. */
static bool fill(const struct plan *p)
{
	const uint64_t code = (uint64_t)(target_end - target_begin) / 8;
	const uint64_t mode = (uint64_t)(target_mode - target_begin);

	for (uint64_t at = 0; at < p->image + TREE; at += KZ_CONTROL_BYTES) {
		for (uint64_t i = 0; i < KZ_CONTROL_BYTES / 8; i++) {
			buffer[i] = at == 0 && i < code ? ((const uint64_t *)target_begin)[i] : 0;
		}
		if (at == 0) {
			*(uint32_t *)((char *)buffer + mode) = p->mode;
		}
		if (call(FILL, KZ_HVC_FILL, target, at, (uintptr_t)buffer, KZ_CONTROL_BYTES) !=
		    KZ_OK) {
			return false;
		}
	}
	return true;
}

bool target_create(const struct plan *p)
{
	next_make(p);
	if (call(REGISTER, KZ_HVC_REGISTER, (uintptr_t)&next, 0, 0, 0) != KZ_OK) {
		return false;
	}
	target = call_answer;
	return fill(p);
}
