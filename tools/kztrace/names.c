/* SPDX-License-Identifier: Apache-2.0 */
/* Names and units, as all commands print them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kizami/control.h>
#include <kizami/hcall.h>

#include "blob.h"
#include "replay.h"

#define SMC64 0x4000u /* in KZ_TRACE_CALL */

bool trace_has_vcpu(const struct trace *t, uint8_t id)
{
	return (TRACE_VM(id) < t->cfg->vm_count) &&
	       (TRACE_CPU(id) < blob_vm(t->cfg, TRACE_VM(id))->vcpu_count);
}

uint32_t trace_vcpu_core(const struct trace *t, uint8_t id)
{
	return blob_vm(t->cfg, TRACE_VM(id))->cpu[TRACE_CPU(id)];
}

const char *trace_vm_name(const struct trace *t, unsigned vm)
{
	return blob_vm(t->cfg, vm)->name;
}

const char *trace_vcpu_name(const struct trace *t, uint8_t id)
{
	static char name[4][KZ_NAME_MAX + 8];
	static unsigned turn;
	char *n = name[turn++ % 4];

	if (!trace_has_vcpu(t, id)) {
		return "-";
	}
	if (blob_vm(t->cfg, TRACE_VM(id))->vcpu_count == 1) {
		return trace_vm_name(t, TRACE_VM(id));
	}
	snprintf(n, sizeof(name[0]), "%s/%u", trace_vm_name(t, TRACE_VM(id)), TRACE_CPU(id));
	return n;
}

int trace_vm_find(const struct trace *t, const char *name)
{
	for (unsigned v = 0; v < t->cfg->vm_count; v++) {
		if (strcmp(trace_vm_name(t, v), name) == 0) {
			return (int)v;
		}
	}
	return -1;
}

uint64_t trace_ns(const struct trace *t, uint64_t ticks)
{
	unsigned __int128 ns = (unsigned __int128)ticks * 1000000000u / t->hz;

	return (ns > UINT64_MAX) ? UINT64_MAX : (uint64_t)ns;
}

const char *trace_time(uint64_t ns)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } };
	static char text[8][32];
	static unsigned turn;
	char *s = text[turn++ % 8];

	for (unsigned i = 0; i < 3; i++) {
		if (ns >= units[i].unit) {
			snprintf(s, sizeof(text[0]), "%" PRIu64 ".%03" PRIu64 " %s",
				 ns / units[i].unit, ns % units[i].unit / (units[i].unit / 1000),
				 units[i].name);
			return s;
		}
	}
	snprintf(s, sizeof(text[0]), "%" PRIu64 " ns", ns);
	return s;
}

const char *replay_class_name(unsigned class)
{
	static const char *const names[REPLAY_CLASSES] = {
		"hcall", "mmio", "sysreg", "fault", "undef", "wfx", "irq",
		"maint", "kick", "sgi",	   "fp",    "wake",  "other",
	};

	return (class < REPLAY_CLASSES) ? names[class] : "?";
}

const char *replay_state_name(enum replay_state state)
{
	static const char *const names[REPLAY_STATES] = {
		"unknown", "off",     "running",   "exit",
		"ready",   "blocked", "throttled", "done",
	};

	return names[state];
}

const char *replay_reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[KZ_REASON_NONE] = "no reason",  [KZ_REASON_OFF] = "off",
		[KZ_REASON_RESET] = "reset",	 [KZ_REASON_FAULT] = "fault",
		[KZ_REASON_MISS] = "miss",	 [KZ_REASON_OVERRUN] = "overrun",
		[KZ_REASON_WATCHDOG] = "watchdog", [KZ_REASON_STOP] = "stop",
		[KZ_REASON_RESTART] = "restart", [KZ_REASON_DESTROY] = "destroy",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == KZ_REASONS, "enum kz_reason");
	return (reason < KZ_REASONS) ? names[reason] : "?";
}

static const struct {
	uint16_t call;
	const char *name;
} calls[] = {
	{ KZ_TRACE_CALL(KZ_HVC_SET_REALTIME_INFO), "KZ_HVC_SET_REALTIME_INFO" },
	{ KZ_TRACE_CALL(KZ_HVC_JOB_DONE), "KZ_HVC_JOB_DONE" },
	{ KZ_TRACE_CALL(KZ_HVC_NOTIFY), "KZ_HVC_NOTIFY" },
	{ KZ_TRACE_CALL(KZ_HVC_INFO), "KZ_HVC_INFO" },
	{ KZ_TRACE_CALL(KZ_HVC_WATCHDOG), "KZ_HVC_WATCHDOG" },
	{ KZ_TRACE_CALL(KZ_HVC_EVENTS), "KZ_HVC_EVENTS" },
	{ KZ_TRACE_CALL(KZ_HVC_REGISTER), "KZ_HVC_REGISTER" },
	{ KZ_TRACE_CALL(KZ_HVC_FILL), "KZ_HVC_FILL" },
	{ KZ_TRACE_CALL(KZ_HVC_CONTROL), "KZ_HVC_CONTROL" },
	{ KZ_TRACE_CALL(KZ_HVC_INSPECT), "KZ_HVC_INSPECT" },
	{ KZ_TRACE_CALL(KZ_HVC_CONSOLE_READ), "KZ_HVC_CONSOLE_READ" },
	{ KZ_TRACE_CALL(KZ_HVC_CONSOLE_WRITE), "KZ_HVC_CONSOLE_WRITE" },
	{ KZ_TRACE_CALL(KZ_HVC_READ), "KZ_HVC_READ" },
	{ KZ_TRACE_CALL(KZ_HVC_LOG), "KZ_HVC_LOG" },
	{ KZ_TRACE_CALL(KZ_HVC_PV_TIME_FEATURES), "PV_TIME_FEATURES" },
	{ KZ_TRACE_CALL(KZ_HVC_PV_TIME_ST), "PV_TIME_ST" },
	/* DEN0028 */
	{ 0x8000, "SMCCC_VERSION" },
	{ 0x8001, "SMCCC_ARCH_FEATURES" },
	{ 0x8600, "VENDOR_HYP_CALL_COUNT" },
	{ 0x8601, "VENDOR_HYP_UID" },
	{ 0x8603, "VENDOR_HYP_REVISION" },
};

/* DEN0022, by number */
static const char *const psci[] = {
	"VERSION",	 "CPU_SUSPEND",	     "CPU_OFF",		"CPU_ON",
	"AFFINITY_INFO", "MIGRATE",	     "MIGRATE_INFO_TYPE", "MIGRATE_INFO_UP_CPU",
	"SYSTEM_OFF",	 "SYSTEM_RESET",     "FEATURES",	"CPU_FREEZE",
	"CPU_DEFAULT_SUSPEND", "NODE_HW_STATE", "SYSTEM_SUSPEND", "SET_SUSPEND_MODE",
	"STAT_RESIDENCY", "STAT_COUNT",	     "SYSTEM_RESET2",	"MEM_PROTECT",
	"MEM_PROTECT_CHECK_RANGE",
};

const char *replay_call_name(uint16_t call)
{
	static char text[32];
	unsigned n = call & 0xffu;

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].call == call) {
			return calls[i].name;
		}
	}
	if (((call & 0xff00u & ~SMC64) == 0x8400u) && (n < sizeof(psci) / sizeof(psci[0]))) {
		snprintf(text, sizeof(text), "PSCI_%s", psci[n]);
		return text;
	}
	snprintf(text, sizeof(text), "%#x0000%02x", call >> 8, n);
	return text;
}
