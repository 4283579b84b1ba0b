// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* What numbers of the hypervisor's are called; a later version's are "?". */
#include <linux/math64.h>
#include <linux/seq_file.h>

#include "kizami.h"

#define WORD(names, i)	((i) < ARRAY_SIZE(names) ? (names)[i] : "?")

const char *kizami_state(u32 state)
{
	static const char *const names[KZ_VM_STATES] = {
		"none", "created", "stopped", "running", "paused", "stopping", "waiting",
		"clearing",
	};

	return WORD(names, state);
}

const char *kizami_reason(u32 reason)
{
	static const char *const names[KZ_REASONS] = {
		"none", "off", "reset", "fault", "miss", "overrun", "watchdog", "stop", "restart",
		"destroy",
	};

	return WORD(names, reason);
}

const char *kizami_level(u32 level)
{
	static const char *const names[KZ_LEVELS] = { "hrt", "srt", "nrt" };

	return WORD(names, level);
}

const char *kizami_vcpu_state(u32 state)
{
	static const char *const names[] = { "running", "ready", "off" };

	return WORD(names, state);
}

const char *kizami_sched_state(u32 state)
{
	static const char *const names[] = {
		"off", "ready", "waits", "throttled", "done", "paused",
	};

	return WORD(names, state);
}

const char *kizami_exit_class(u32 class)
{
	static const char *const names[KZ_EXIT_CLASSES] = {
		"hcall", "mmio", "sysreg", "fault", "undef", "wfx", "irq", "maint", "kick",
	};

	return WORD(names, class);
}

const char *kizami_on_fault(u32 value)
{
	static const char *const names[KZ_FAULTS] = { "inject", "stop", "restart" };

	return WORD(names, value);
}

const char *kizami_on_event(u32 value)
{
	static const char *const names[KZ_EVENTS] = { "count", "notify", "restart", "stop" };

	return WORD(names, value);
}

const char *kizami_restart(u32 value)
{
	static const char *const names[KZ_RESTARTS] = { "never", "on-failure", "always" };

	return WORD(names, value);
}

const char *kizami_console(u32 value)
{
	static const char *const names[KZ_CONSOLES] = { "none", "pl011", "ring" };

	return WORD(names, value);
}

const char *kizami_region(u32 type)
{
	static const char *const names[KZ_REGION_TYPES] = { "ram", "device", "trace", "store" };

	return WORD(names, type);
}

const char *kizami_right(u32 right)
{
	static const char *const names[] = {
		"list", "console", "read", "run", "restart", "create",
	};

	return WORD(names, right);
}

const char *kizami_uart(u32 uart)
{
	static const char *const names[KZ_UARTS] = { "none", "pl011", "cadence" };

	return WORD(names, uart);
}

void kizami_show_time(struct seq_file *m, const char *key, u64 ns)
{
	u32 rest;
	u64 s = div_u64_rem(ns, NSEC_PER_SEC, &rest);

	seq_printf(m, "%-16s %llu.%09u s\n", key, s, rest);
}

void kizami_show_when(struct seq_file *m, const char *key, u64 ns)
{
	if (ns != 0) {
		kizami_show_time(m, key, ns);
	} else {
		seq_printf(m, "%-16s never\n", key);
	}
}
