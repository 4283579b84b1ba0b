/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to look at a VM, and to speak with it. */
#include <kizami/hcall.h>

#include "control.h"

#define TIMES		50u
#define FEW		6u
#define CONSOLE_BYTES	64u
#define LOG_BYTES	512u
#define SETTLE		3000000u	/* ticks: it sleeps, or has printed */
#define KICK_NS		1000000000u

static void of_it(void)
{
	for (uint32_t i = 0; i < TIMES; i++) {
		(void)inspect(MACHINE, KZ_INSPECT_MACHINE, 0);
		(void)inspect(CONFIG, KZ_INSPECT_CONFIG, target);
		(void)inspect(VM, KZ_INSPECT_VM, target);
		(void)inspect(VCPU, KZ_INSPECT_VCPU, target);
		(void)inspect(TRACE, KZ_INSPECT_TRACE, 0);
		(void)call(READ, KZ_HVC_READ, target, TARGET_IPA, (uintptr_t)buffer,
			   KZ_CONTROL_BYTES);
	}
}

/* In the end: it is long enough by then. */
static void log_of_all(void)
{
	for (uint32_t i = 0; i < TIMES; i++) {
		(void)call(LOG, KZ_HVC_LOG, 0, (uintptr_t)buffer, LOG_BYTES, 0);
	}
	say("log_bytes", call_answer);
}

/* A part of what is kept, or as much as there is for a call; in the end nothing is left. */
static void console_once(bool most)
{
	(void)call(most ? CONSOLE_READ_MOST : CONSOLE_READ, KZ_HVC_CONSOLE_READ, target,
		   (uintptr_t)buffer, most ? KZ_CONTROL_BYTES : CONSOLE_BYTES, 0);
	while (call_answer != 0) {
		(void)call(NOT_COUNTED, KZ_HVC_CONSOLE_READ, target, (uintptr_t)buffer,
			   KZ_CONTROL_BYTES, 0);
	}
	(void)call(most ? CONSOLE_WRITE_MOST : CONSOLE_WRITE, KZ_HVC_CONSOLE_WRITE, target,
		   (uintptr_t)buffer, most ? KZ_CONTROL_BYTES : 1, 0);
}

/*
 * Of who prints as much as is kept for it, and takes nothing. It sleeps when it is looked at: it
 * must not have our lock while it is not its core's turn.
 */
static void console(void)
{
	uint64_t first = 0;

	(void)verb(NOT_COUNTED, KZ_VERB_ATTACH);
	(void)verb(NOT_COUNTED, KZ_VERB_START);
	for (uint32_t i = 0; i < FEW; i++) {
		first = target_wait(first);
		rest(SETTLE);
		console_once(i % 2 != 0);
		(void)verb(NOT_COUNTED, KZ_VERB_RESET);
	}
	(void)verb(NOT_COUNTED, KZ_VERB_DETACH);
}

void bench_own(void)
{
	for (uint32_t i = 0; i < TIMES; i++) {
		(void)call(WATCHDOG, KZ_HVC_WATCHDOG, KICK_NS, 0, 0, 0);
		(void)call(EVENTS, KZ_HVC_EVENTS, 0, 0, 0, 0);
	}
	(void)call(NOT_COUNTED, KZ_HVC_WATCHDOG, 0, 0, 0, 0);
}

void bench_looks(void)
{
	static const struct plan sleeps = { SMALL, PAGE, 0, SLEEPS };
	static const struct plan prints = { SMALL, PAGE, 0, PRINTS };

	if (target_create(&sleeps) && verb(NOT_COUNTED, KZ_VERB_START) == KZ_OK &&
	    target_wait(0) != 0) {
		rest(SETTLE);
		of_it();
		for (uint32_t i = 0; i < TIMES; i++) {
			(void)verb(ATTACH, KZ_VERB_ATTACH);
			(void)verb(DETACH, KZ_VERB_DETACH);
		}
		(void)target_destroy();
	}
	if (target_create(&prints)) {
		console();
		(void)target_destroy();
	}
	log_of_all();
}
