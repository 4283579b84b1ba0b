/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "mode=" of the command line: "idle" sleeps, "own" makes calls of itself; "nrt", "srt", "hrt":
 * what is measured, by the level of the other VM. Prints which number is which row's.
 */
#include "control.h"

#include "options.h"

#define NAME_MAX	24u

uint64_t sample[KINDS][ROUNDS];		/* of what this guest has in common with bench.bin */
uint64_t refused;			/* the row of a call that was; what it cost is no figure */
uint64_t overhead;

/* No pointers: nobody relocates them. */
static const char names[ROWS][NAME_MAX] = {
	[MACHINE] = "inspect_machine", [CONFIG] = "inspect_config", [VM] = "inspect_vm",
	[VCPU] = "inspect_vcpu", [REGISTERS] = "inspect_registers", [TRACE] = "inspect_trace",
	[LOG] = "log_read", [READ] = "memory_read", [CONSOLE_READ] = "console_read",
	[CONSOLE_READ_MOST] = "console_read_most", [CONSOLE_WRITE] = "console_type",
	[CONSOLE_WRITE_MOST] = "console_type_most", [REGISTER] = "register",
	[REGISTER_MOST] = "register_most", [FILL] = "fill", [START] = "verb_start",
	[PAUSE] = "verb_pause", [RESUME] = "verb_resume", [SHUTDOWN] = "verb_shutdown",
	[RESET] = "verb_reset", [STOP] = "verb_stop", [DESTROY] = "verb_destroy",
	[ATTACH] = "verb_attach", [DETACH] = "verb_detach", [WATCHDOG] = "watchdog",
	[EVENTS] = "events", [RESET_SPINS] = "revoke_reset", [STOP_SPINS] = "revoke_stop",
	[PAUSE_SPINS] = "revoke_pause", [RESET_SLEEPS] = "asleep_reset",
	[STOP_SLEEPS] = "asleep_stop", [PAUSE_SLEEPS] = "asleep_pause",
	[START_FIRST] = "first_start", [START_AGAIN] = "next_start", [RESET_TO] = "restart",
	[BACK] = "back", [BACK_ZERO] = "back_16", [BACK_LOAD] = "back_load",
};

void bench_main(const void *fdt, uint64_t physical, uint64_t virtual)
{
	(void)physical;
	(void)virtual;
	platform_init(fdt);
	if (option_has(platform.args, "mode=idle")) {
		for (;;) {
			cpu_wfi();
		}
	}
	say("frequency", platform.frequency);
	for (uint32_t i = 1; i < ROWS; i++) {
		say(names[i], i);
	}
	ic_init();
	if (option_has(platform.args, "mode=own")) {
		bench_own();
	} else if (target_prepare()) {
		bench_verbs();
		bench_starts();
		if (option_has(platform.args, "mode=nrt")) {
			bench_looks();
		} else if (option_has(platform.args, "mode=srt")) {
			bench_most();
		} else {
			bench_revoke();
		}
	}
	say("refused", refused);
	say("done", 0);
}
