/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "mode=" of the command line says what is done: "pair": with a second CPU; "sleep": the timer
 * out of WFI, and nothing else; "yield" and "fp": two VMs that give each other their core;
 * "hog", "traps" and "chat": this VM disturbs. Without a mode: all that one CPU can do.
 */
#include "bench.h"

#include "options.h"

uint64_t sample[KINDS][ROUNDS];
uint64_t refused;
uint64_t overhead;

static void measure_overhead(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t t0 = stamp();

		sample[0][i] = stamp() - t0;
	}
	overhead = sample[0][ROUNDS / 2];
	report("stamps", sample[0], 0);
}

static void measure(void)
{
	ic_init();
	measure_overhead();
	if (option_has(platform.args, "mode=pair")) {
		bench_pair();
	} else if (option_has(platform.args, "mode=sleep")) {
		bench_sleep("timer_wfi");
	} else {
		bench_calls();
		bench_accesses();
		bench_sgi();
		bench_timer();
		bench_storm();
		bench_console();
	}
	say("done", 0);
	psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void bench_main(const void *fdt, uint64_t physical, uint64_t virtual)
{
	platform_init(fdt);
	if (option_has(platform.args, "mode=hog")) {
		for (;;) {
		}
	} else if (option_has(platform.args, "mode=traps")) {
		disturb_traps();
	} else if (option_has(platform.args, "mode=chat")) {
		disturb_chat();
	}
	say("boot", physical);
	say("boot_virtual", virtual);
	say("frequency", platform.frequency);
	if (option_has(platform.args, "mode=yield")) {
		measure_overhead();
		bench_yield();
	} else if (option_has(platform.args, "mode=fp")) {
		measure_overhead();
		bench_fp();
	}
	measure();
}
