/* SPDX-License-Identifier: Apache-2.0 */
/* The ABI's numbers as words, and units. The words are in docs/kz.md: scripts rely on them. */
#include <inttypes.h>
#include <stdio.h>

#include "vmi.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *word(const char *const *words, unsigned count, unsigned i)
{
	return (i < count) ? words[i] : "?";
}

const char *state_word(unsigned state)
{
	static const char *const names[] = { "none",   "created",  "stopped", "running",
					     "paused", "stopping", "waiting", "clearing" };

	_Static_assert(COUNT(names) == KZ_VM_STATES, "enum kz_vm_state");
	return word(names, COUNT(names), state);
}

const char *reason_word(unsigned reason)
{
	static const char *const names[] = { "-",       "off",      "reset", "fault",   "miss",
					     "overrun", "watchdog", "stop",  "restart", "destroy" };

	_Static_assert(COUNT(names) == KZ_REASONS, "enum kz_reason");
	return word(names, COUNT(names), reason);
}

const char *level_word(unsigned level)
{
	static const char *const names[] = { "hrt", "srt", "nrt" };

	_Static_assert(COUNT(names) == KZ_LEVELS, "enum kz_level");
	return word(names, COUNT(names), level);
}

const char *restart_word(unsigned restart)
{
	static const char *const names[] = { "never", "on-failure", "always" };

	_Static_assert(COUNT(names) == KZ_RESTARTS, "enum kz_restart");
	return word(names, COUNT(names), restart);
}

const char *console_word(unsigned console)
{
	static const char *const names[] = { "none", "pl011", "ring" };

	_Static_assert(COUNT(names) == KZ_CONSOLES, "enum kz_console");
	return word(names, COUNT(names), console);
}

/* struct kz_vcpu_info.sched */
const char *sched_word(unsigned sched)
{
	static const char *const names[] = {
		"off", "ready", "waits", "throttled", "done", "paused"
	};

	return word(names, COUNT(names), sched);
}

/* struct kz_vcpu_info.state */
const char *vcpu_state_word(unsigned state)
{
	static const char *const names[] = { "running", "starting", "off" };

	return word(names, COUNT(names), state);
}

/* hv/exit.h, enum exit_class */
const char *class_word(unsigned class)
{
	static const char *const names[] = { "hcall", "mmio", "sysreg", "fault", "undef",
					     "wfx",   "irq",  "maint",  "kick" };

	_Static_assert(COUNT(names) == KZ_EXIT_CLASSES, "enum exit_class");
	return word(names, COUNT(names), class);
}

const char *right_word(unsigned right)
{
	static const char *const names[] = {
		"list", "console", "read", "run", "restart", "create"
	};

	return (right < COUNT(names)) ? names[right] : NULL;
}

/* Texts live until eight more were made. */
static char *text_next(void)
{
	static char text[8][32];
	static unsigned turn;

	return text[turn++ % COUNT(text)];
}

const char *ns_text(uint64_t ns)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } };
	char *s = text_next();
	uint64_t seconds = ns / 1000000000;

	if (seconds >= 60) {
		if (seconds >= 86400) {
			snprintf(s, 32, "%" PRIu64 " d %" PRIu64 " h %" PRIu64 " min",
				 seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
		} else if (seconds >= 3600) {
			snprintf(s, 32, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
				 seconds / 60 % 60);
		} else {
			snprintf(s, 32, "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
				 seconds % 60);
		}
		return s;
	}
	for (unsigned i = 0; i < COUNT(units); i++) {
		if (ns >= units[i].unit) {
			snprintf(s, 32, "%" PRIu64 ".%03" PRIu64 " %s", ns / units[i].unit,
				 ns % units[i].unit / (units[i].unit / 1000), units[i].name);
			return s;
		}
	}
	snprintf(s, 32, "%" PRIu64 " ns", ns);
	return s;
}

const char *bytes_text(uint64_t bytes)
{
	static const char *const names[] = { "bytes", "KiB", "MiB", "GiB" };
	char *s = text_next();
	unsigned unit = 0;

	while ((bytes >= 1024) && (bytes % 1024 == 0) && (unit + 1 < COUNT(names))) {
		bytes /= 1024;
		unit++;
	}
	snprintf(s, 32, "%" PRIu64 " %s", bytes, names[unit]);
	return s;
}
