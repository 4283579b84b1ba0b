/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c */
/*
 * What a core promises, against a naive account in exact fractions: all deadlines divide DENOM, so
 * that sums of them are integers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "dice.h"
#include "policy.h"

#define DENOM 720720		/* 1 to 16 divide it */
#define PPM   1000000
#define STEPS 300000u

__extension__ typedef __int128 wide;

struct params {
	uint64_t budget, period, deadline;	/* budget 0: none */
};

static struct account {
	bool in;
	struct params promised, has, next;
	wide density;			/* its claim, in 1 / DENOM */
	uint64_t deadline;
} account[SCHED_SLOTS];

static struct kz_cfg cfg;
static struct kz_cfg_vm vm_cfg[SCHED_SLOTS];
static uint64_t block;
static uint32_t reserve;

static struct sched_core *core(void)
{
	return &host.cpu[0].sched;
}

static struct vcpu *vcpu(uint32_t i)
{
	return &machine.vm[i].vcpu[0];
}

static struct params draw(uint64_t most)
{
	uint64_t deadline, budget;

	do {
		deadline = 20 + dice(dice(2) == 0 ? 200 : 20000);
	} while (DENOM % deadline != 0);
	budget = 1 + dice((uint32_t)(deadline * most / 100) + 1);
	budget = min_u64(budget, deadline);
	return (struct params){ budget, deadline + (dice(2) == 0 ? 0 : dice(1000)), deadline };
}

/* ---- The account ---- */

static void claim_more(struct account *a, const struct params *p)
{
	if (p->budget != 0) {
		wide density = (wide)p->budget * (DENOM / (wide)p->deadline);

		a->density = density > a->density ? density : a->density;
		a->deadline = min_u64(a->deadline, p->deadline);
	}
}

static void claim_again(struct account *a)
{
	a->density = 0;
	a->deadline = NEVER;
	claim_more(a, &a->promised);
	claim_more(a, &a->has);
	claim_more(a, &a->next);
}

/* By how much the promises exceed what the core has, in 1 / (DENOM * PPM); at most 0: they fit. */
static wide excess(uint32_t *servers, uint64_t *shortest)
{
	wide sum = 0;

	*servers = 0;
	*shortest = NEVER;
	for (uint32_t i = 0; i < SCHED_SLOTS; i++) {
		if (account[i].in && account[i].density != 0) {
			sum += account[i].density;
			*shortest = min_u64(*shortest, account[i].deadline);
			++*servers;
		}
	}
	if (*servers != 0) {
		sum += (wide)block * (*servers + 1) * (DENOM / (wide)*shortest);
	}
	return sum * PPM - (wide)(PPM - reserve) * DENOM;
}

#define ULP ((wide)DENOM * PPM >> 32)	/* of the core's fractions, in these units */

/* The answer is right, but for roundings: at most one a server, all to the safe side, and two. */
static void judge(bool accepted, const uint32_t *ppm)
{
	uint32_t servers;
	uint64_t shortest;
	wide over = excess(&servers, &shortest);

	if (servers != 0 && block * (servers + 1) >= shortest) {
		assert_false(accepted);
	} else if (accepted) {
		assert_true(over <= 2 * (ULP + 1));
	} else {
		assert_true(over >= -(wide)(servers + 1) * (ULP + 1));
		if (ppm != NULL) {
			wide diff = (wide)*ppm - over / DENOM;

			if (diff < -1 || diff > 1) {
				fail_msg("%u ppm, not %ld", *ppm, (long)(over / DENOM));
			}
		}
	}
}

static void compare(void)
{
	uint32_t members = 0;

	for (uint32_t i = 0; i < SCHED_SLOTS; i++) {
		const struct claim *c = &vcpu(i)->sched.claim;
		const struct account *a = &account[i];

		members |= a->in ? BIT(i) : 0;
		if (a->in) {
			assert_int_equal(c->density, a->density == 0 ? 0 :
					 (uint64_t)((a->density << 32) / DENOM) + 1);
			assert_int_equal(c->deadline, a->deadline);
		}
	}
	assert_int_equal(core()->members, members);
}

/* Who wakes so near to its deadline waits: never less than the blocking that may come. */
static void compare_guard(void)
{
	uint32_t servers;
	uint64_t shortest;
	wide rest = DENOM, stretch;

	(void)excess(&servers, &shortest);
	for (uint32_t i = 0; i < SCHED_SLOTS; i++) {
		rest -= account[i].in ? account[i].density : 0;
	}
	if (servers == 0 || rest * 20 < DENOM) {
		assert_true(servers != 0 || core()->guard == 0);
		return;
	}
	stretch = (wide)block * (servers + 1);
	assert_true((wide)core()->guard * rest >= stretch * DENOM);
	assert_true((wide)(core()->guard - 2) * rest * 100 <= stretch * DENOM * 101 ||
		    core()->guard < 2);
}

/* ---- What happens ---- */

static void join(uint32_t i)
{
	struct kz_cfg_server *s = &vm_cfg[i].server;
	struct account *a = &account[i], old = *a;
	struct params p = dice(4) == 0 ? (struct params){ 0, 0, 0 } : draw(50);
	uint32_t ppm = UINT32_MAX;
	enum kz_err err;

	*s = (struct kz_cfg_server){
		p.budget * 1000, p.period * 1000, p.deadline * 1000, 100, 0, 0, 0
	};
	vm_cfg[i].level = p.budget != 0 ? KZ_SRT : KZ_NRT;
	host_become(1);
	err = sched_join(vcpu(i), &ppm);
	host_become(0);
	*a = (struct account){ .in = true, .promised = p };
	claim_again(a);
	if (p.budget == 0) {
		assert_int_equal(err, KZ_OK);
	} else {
		judge(err == KZ_OK, err == KZ_OK ? NULL : &ppm);
	}
	if (err != KZ_OK) {
		assert_int_equal(err, KZ_ELOAD);
		*a = old;
	} else if (p.budget != 0 && dice(2) == 0) {
		struct server *n = &vcpu(i)->sched.server;	/* it starts */

		server_set(n, p.budget, p.period, p.deadline);
		server_release(n, host.ticks);
		a->has = a->next = p;
	}
}

static void leave(uint32_t i)
{
	core()->edf = core()->fair = core()->timed = 0;		/* as if it had stopped */
	core()->current = NULL;
	host_become(1);
	sched_leave(vcpu(i));
	host_become(0);
	account[i] = (struct account){ .in = false };
	compare_guard();
}

static void serve(uint32_t i)
{
	struct account *a = &account[i], old;
	struct params p = draw(80);
	const struct params *q = &a->promised;
	bool less, accepted;

	if (q->budget != 0 && dice(2) == 0) {		/* within what it was promised */
		p = *q;
		p.budget -= dice((uint32_t)p.budget);
	}
	less = q->budget != 0 && p.budget <= q->budget && p.period >= q->period &&
	       p.deadline >= q->deadline;
	accepted = sched_serve(vcpu(i), p.budget, p.period, p.deadline) == KZ_OK;
	for (uint32_t k = 0; k < SCHED_SLOTS; k++) {
		claim_again(&account[k]);
	}
	old = *a;
	a->next = p;
	claim_again(a);
	if (less) {
		assert_true(accepted);
	} else {
		judge(accepted, NULL);
	}
	if (!accepted) {
		*a = old;
	} else if (a->has.budget == 0) {
		a->has = p;			/* its first: it begins now */
	}
}

/* A period ends: what was said of the next one holds. */
static void release(uint32_t i)
{
	struct server *s = &vcpu(i)->sched.server;

	if (s->period != 0) {
		server_release(s, host.ticks);
		account[i].has = account[i].next;
	}
}

static void machine_make(void)
{
	host_reset();
	host_freeze(1000);
	memset(account, 0, sizeof(account));
	memset(&cfg, 0, sizeof(cfg));
	cfg.machine.cpu_count = 2;
	cfg.vm_count = SCHED_SLOTS;
	block = dice(8);
	reserve = dice(3) * 50000 + dice(3);
	cfg.machine.block_ns = (uint32_t)block * 1000;
	cfg.machine.reserve_ppm[0] = reserve;
	machine.cfg = &cfg;
	machine.vm_count = SCHED_SLOTS;
	for (uint32_t i = 0; i < SCHED_SLOTS; i++) {
		machine.vm[i].id = i;
		machine.vm[i].cfg = &vm_cfg[i];
		vm_cfg[i].vcpu_count = 1;
		vcpu(i)->vm = &machine.vm[i];
		vcpu(i)->cpu = &host.cpu[0];
	}
	assert_true(sched_init(&host.cpu[0]));
}

static void test_random(void **state)
{
	uint32_t joined = 0, refused = 0;

	(void)state;
	for (uint32_t n = 0; n < STEPS; n++) {
		uint32_t i = dice(SCHED_SLOTS), what = dice(8);

		if (n % 1000 == 0) {
			machine_make();
		}
		if (!account[i].in) {
			join(i);
			joined += account[i].in;
			refused += !account[i].in;
		} else if (what == 0) {
			leave(i);
		} else if (what < 4) {
			serve(i);
		} else {
			release(i);
		}
		compare();
	}
	print_message("%u joined, %u were refused\n", joined, refused);
	assert_true(joined > 1000 && refused > 1000);
}

/* More than the test accepts, but proven before: it may be asked for, and nothing else. */
static void test_proven(void **state)
{
	(void)state;
	machine_make();
	cfg.machine.block_ns = 0;
	cfg.machine.reserve_ppm[0] = 0;
	cfg.machine.proven = 1;
	for (uint32_t i = 0; i < 2; i++) {
		vm_cfg[i].server = (struct kz_cfg_server){ 60000, 200000, 100000, 100, 0, 0, 0 };
		vm_cfg[i].level = KZ_SRT;
		sched_add(vcpu(i));
		server_set(&vcpu(i)->sched.server, 60, 200, 100);
		server_release(&vcpu(i)->sched.server, host.ticks);
	}
	assert_true(sched_init(&host.cpu[0]));
	assert_int_equal(sched_serve(vcpu(0), 60, 200, 100), KZ_OK);
	assert_int_equal(sched_serve(vcpu(0), 30, 220, 110), KZ_OK);
	assert_int_equal(vcpu(0)->sched.server.next.budget, 30);
	assert_int_equal(sched_serve(vcpu(0), 61, 200, 100), KZ_ELOAD);
	assert_int_equal(sched_serve(vcpu(0), 60, 200, 99), KZ_ELOAD);
	assert_int_equal(sched_serve(vcpu(0), 60, 199, 100), KZ_ELOAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_proven),
	};

	return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
