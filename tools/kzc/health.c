/* SPDX-License-Identifier: Apache-2.0 */
/* What finds a VM that failed, and what follows: watchdog, restart, back-off. */
#include "cores.h"

#define MS               1000000ull
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS  10000u
#define WATCHDOG_AT      0x09050000u

static const char *const restart_words[] = { "never", "on-failure", "always", NULL };
static const char *const bool_words[] = { "false", "true", NULL };

_Static_assert((KZ_RESTART_NEVER == 0) && (KZ_RESTART_ON_FAILURE == 1) && (KZ_RESTART_ALWAYS == 2),
	       "restart_words");

const char *restart_name(const struct vm *vm)
{
	return restart_words[vm->cfg.restart];
}

/* A time of whole ms; dflt when the key is not given or wrong. "0" needs no unit. */
static uint32_t backoff_read(struct sys *s, const char *key, struct conf_text text, uint32_t dflt)
{
	uint64_t ns = 0;

	if ((text.s == NULL) || (conf_number(text.s, &ns) && (ns == 0))) {
		return (text.s == NULL) ? dflt : 0;
	}
	if (!conf_time(text.s, &ns) || ((ns % MS) != 0) || (ns / MS > KZ_BACKOFF_MAX)) {
		diag_error(&s->diag, text.line,
			   "%s is '%s': it is a time of whole milliseconds up to %us, such as "
			   "100ms",
			   key, text.s, KZ_BACKOFF_MAX / 1000);
		return dflt;
	}
	return (uint32_t)(ns / MS);
}

static void restart_read(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;
	uint8_t dflt = (c->watchdog.line != 0) ? KZ_RESTART_ON_FAILURE : KZ_RESTART_NEVER;
	const struct conf_text *given = (c->backoff.s != NULL) ? &c->backoff : &c->backoff_max;
	/* A hard one that fails again and again takes time of its own cores only. */
	uint32_t first = backoff_read(s, "backoff", c->backoff,
				      (vm->cfg.level == KZ_HRT) ? 0 : BACKOFF_FIRST_MS);
	uint32_t most = (first > BACKOFF_MOST_MS) ? first : BACKOFF_MOST_MS;

	most = backoff_read(s, "backoff_max", c->backoff_max, most);
	vm->cfg.restart = word_read(s, "restart", c->restart, restart_words, dflt);
	if (vm->cfg.restart == KZ_RESTART_NEVER) {
		if (given->s != NULL) {
			diag_error(&s->diag, given->line,
				   "%s is for restart = on-failure or always: vm '%s' never "
				   "restarts",
				   (c->backoff.s != NULL) ? "backoff" : "backoff_max", c->name.s);
		}
		return;
	}
	/* Who gives only a maximum may mean one below the default. */
	if ((c->backoff.s == NULL) && (first > most)) {
		first = most;
	}
	if (first > most) {
		diag_error(&s->diag, given->line, "backoff is %s, longer than the backoff_max of "
			   "%s",
			   c->backoff.s, c->backoff_max.s);
		return;
	}
	vm->cfg.backoff_ms = first;
	vm->cfg.backoff_max_ms = most;
}

/* The watchdog's time; 0 when it is not given or wrong. */
static uint64_t timeout_read(struct sys *s, struct conf_text text)
{
	uint64_t ns = 0;

	if (text.s == NULL) {
		return 0;
	}
	if (!conf_time(text.s, &ns)) {
		diag_error(&s->diag, text.line,
			   "timeout is '%s': it is a time in ns, us, ms or s, such as 10ms",
			   text.s);
		return 0;
	}
	if ((ns < KZ_WATCHDOG_MIN) || (ns > KZ_WATCHDOG_MAX)) {
		diag_error(&s->diag, text.line, "timeout is %s: it is %s to %s", text.s,
			   time_text(&s->mem, KZ_WATCHDOG_MIN),
			   time_text(&s->mem, KZ_WATCHDOG_MAX));
		return 0;
	}
	return ns;
}

static void watchdog_read(struct sys *s, struct vm *vm)
{
	const struct conf_watchdog *c = &vm->conf->watchdog;
	bool device = (word_read(s, "device", c->device, bool_words, 0) == 1);
	bool armed = (word_read(s, "armed", c->armed, bool_words, (c->timeout.s != NULL)) == 1);

	vm->timeout_ns = timeout_read(s, c->timeout);
	if (armed && (c->timeout.s == NULL)) {
		diag_error(&s->diag, c->armed.line, "armed is for a timeout = TIME, such as 10ms");
	}
	vm->cfg.watchdog_ns = armed ? vm->timeout_ns : 0;
	if (device) {
		vm->cfg.wdt_ipa =
			address_read(s, "watchdog_at", vm->conf->watchdog_at, WATCHDOG_AT);
	}
	if (device && (vm->cfg.wdt_ipa == 0)) {
		diag_error(&s->diag, vm->conf->watchdog_at.line,
			   "watchdog_at is 0: the device cannot be there");
	}
	if (!device && (vm->conf->watchdog_at.s != NULL)) {
		diag_error(&s->diag, vm->conf->watchdog_at.line,
			   "watchdog_at is for watchdog { device = true }");
	}
}

void health_read(struct sys *s, struct vm *vm)
{
	restart_read(s, vm);
	watchdog_read(s, vm);
}

void health_check(struct sys *s)
{
	bool all_hard = true;

	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		all_hard = all_hard && core_is_hard(s, i);
	}
	for (unsigned v = 0; all_hard && (v < s->vm_count); v++) {
		const struct conf_vm *c = s->vm[v].conf;

		if (c->watchdog.line != 0) {
			diag_error(&s->diag, c->watchdog.line,
				   "every core is a hard real-time VM's: nobody would look at the "
				   "watchdog of vm '%s'; leave a core to others",
				   c->name.s);
		}
	}
}
