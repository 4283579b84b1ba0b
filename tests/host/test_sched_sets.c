/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: hv/console.c hv/console_in.c hv/print.c */
/* link: hv/status.c hv/pl011.c */
/* link: hv/trace.c tests/host/arch_host.c */
/* link: tests/host/sim.c tests/host/sim_sets.c tests/host/sim_oracle.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* flags: -O2 -fno-sanitize=all -include tests/host/sim_many.h */
/*
 * A million random sets of servers and guests, on a core with sim_many.h's room
 * for them, one after another, on two processes. Arguments: how many, the first
 * seed. One set again: 1 SEED.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

_Static_assert(SIM_MAX == 16, "sim_many.h comes first");

#define SETS		1000000ull
#define FIRST_SEED	1ull
#define WORKERS		2u

/* Ends the process at the first thing that is wrong. */
static void work(uint64_t seed, uint64_t end, struct sim_totals *t)
{
	host_reset();
	for (; seed < end; seed++) {
		sim_check_seed(seed, t);
	}
}

int main(int argc, char **argv)
{
	uint64_t sets = argc > 1 ? strtoull(argv[1], NULL, 0) : SETS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : FIRST_SEED;
	struct sim_totals *part = mmap(NULL, sizeof(*part) * WORKERS, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sim_totals all = { 0 };
	int failed = 0;

	if (part == MAP_FAILED) {
		return 1;
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		if (fork() == 0) {
			work(first + sets * i / WORKERS, first + sets * (i + 1) / WORKERS,
			     &part[i]);
			return 0;
		}
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		int status = 1;

		wait(&status);
		failed |= status;
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		sim_total(&all, &part[i]);
	}
	sim_totals_print(&all, first);
	failed |= all.sets != sets;
	puts(failed != 0 ? "not ok 1 - sets" : "ok 1 - sets");	/* as cmocka says it, in TAP */
	return failed != 0;
}
