/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs: to start the other one, and to interrupt it while it sleeps, there and back. */
#include "bench.h"

#define SPACING		50000u	/* ticks: the other one has done its part by then */
#define SETTLE		20000u	/* ticks: it sleeps again */

enum context { GO_OFF, STAY };

static struct {
	volatile uint64_t entered;	/* its first instruction */
	volatile uint64_t answered;	/* when it sent its SGI */
	volatile uint32_t up;
} second;

void second_main(uint64_t context, uint64_t entered)
{
	uint64_t pong;

	second.entered = entered;
	if (context == GO_OFF) {
		psci(PSCI_CPU_OFF, 0, 0, 0);
	}
	ic_cpu_init();
	pong = ic_sgi(SGI_PONG, 0);
	second.up = 1;
	for (;;) {
		fired[1] = 0;
		wait_fired(&fired[1]);
		second.answered = stamp();
		ic_send(pong);
	}
}

/* This CPU sleeps: cores that take turns are not waited for in a loop. */
static void pass(void)
{
	fired[0] = 0;
	write_cntv_cval_el0(stamp() + SPACING);
	write_cntv_ctl_el0(1);
	wait_fired(&fired[0]);
}

static bool on(enum context context, uint64_t *t0)
{
	int64_t error;

	*t0 = stamp();
	error = psci(PSCI_CPU_ON, ic_other(), (uintptr_t)second_entry, context);
	pass();
	return error == 0;
}

static void bench_on(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t t0;

		if (!on(GO_OFF, &t0)) {
			say("cpu_on_refused", i);
			return;
		}
		sample[0][i] = second.entered - t0;
		while (psci(PSCI_AFFINITY_INFO, ic_other(), 0, 0) != 1) {
			pass();
		}
	}
	report("cpu_on", sample[0], 0);
}

static void bench_ipi(void)
{
	const uint64_t ping = ic_sgi(SGI_PING, 1);

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t t0 = stamp();

		while (stamp() - t0 < SETTLE) {
		}
		fired[0] = 0;
		t0 = stamp();
		ic_send(ping);
		wait_fired(&fired[0]);
		sample[0][i] = note[1].entered - t0;
		sample[1][i] = note[0].entered - second.answered;
		sample[2][i] = note[0].entered - t0;
	}
	report("ipi", sample[0], 0);
	report("ipi_back", sample[1], 0);
	report("ipi_round", sample[2], 0);
}

void bench_pair(void)
{
	uint64_t t0;

	bench_on();
	if (!on(STAY, &t0)) {
		return;
	}
	while (second.up == 0) {
		pass();
	}
	bench_ipi();
}
