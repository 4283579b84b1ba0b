/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the real-time calls answer. Command line, one word:
 *   srt   its server is 2 ms in 10 ms, and the core has a second one of 5 ms in 10 ms
 *   bare  SRT, but without a server so far
 *   none  no SRT: it may have no server
 */
#include <kizami/blob.h>

#include "console.h"
#include "fdt.h"
#include "guest.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "say.h"
#include "timer.h"

#define MS		1000000u
#define NOT_SUPPORTED	(-1)
#define ROUNDS		10u
#define MARK		0x6b697a61ull

void guest_irq(uint64_t now)
{
	(void)now;
}

static void check_server(const char *name, uint64_t deadline, uint64_t period, uint64_t budget)
{
	struct realtime r;

	say_check(name, realtime_info(KZ_INFO_SERVER, &r) == KZ_OK && r.x1 == deadline &&
		  r.x2 == period && r.x3 == budget);
}

static void check_set(const char *name, uint64_t deadline, uint64_t period, uint64_t execution,
		      int64_t error)
{
	say_equal(name, realtime_set_info(deadline, period, execution), error);
}

/* An answer that says nothing of x1 to x3 keeps them. */
static void check_kept(const char *name, uint32_t function, uint64_t x1)
{
	struct realtime r = { x1, MARK, MARK + 1 };

	(void)realtime_call(function, &r);
	say_check(name, r.x1 == x1 && r.x2 == MARK && r.x3 == MARK + 1);
}

static void everybody(void)
{
	struct realtime r = { 0 };

	say_equal("no such page", realtime_info(KZ_INFO_PAGES, &r), KZ_ENOENT);
	say_equal("no such page at all", realtime_info((enum kz_info_page)-1, &r), KZ_ENOENT);
	check_kept("an error keeps registers", KZ_HVC_INFO, KZ_INFO_PAGES);
	say_equal("notify of nothing that is", realtime_notify(1u << 4), KZ_EINVAL);
	say_equal("notify of a high bit", realtime_notify(1ull << 32), KZ_EINVAL);
	say_equal("notify of both", realtime_notify(KZ_NOTIFY_MISS | KZ_NOTIFY_OVERRUN), KZ_OK);
	say_equal("notify of none", realtime_notify(0), KZ_OK);
	check_kept("notify keeps registers", KZ_HVC_NOTIFY, 0);
	say_equal("function 0", realtime_call(0xc6000000u, &r), NOT_SUPPORTED);
	say_equal("function 7", realtime_call(0xc6000007u, &r), NOT_SUPPORTED);
	say_equal("a 32-bit one", realtime_call(0x86000001u, &r), NOT_SUPPORTED);
}

static void refusals(void)
{
	check_set("nothing at all", 0, 0, 0, KZ_EINVAL);
	check_set("no execution", 10 * MS, 10 * MS, 0, KZ_EINVAL);
	check_set("execution behind the deadline", 1 * MS, 10 * MS, 2 * MS, KZ_EINVAL);
	check_set("deadline behind the period", 11 * MS, 10 * MS, 2 * MS, KZ_EINVAL);
	check_set("period too short", KZ_PERIOD_MIN - 1, KZ_PERIOD_MIN - 1, 2000, KZ_EINVAL);
	check_set("period too long", 10 * MS, KZ_PERIOD_MAX + 1, 2 * MS, KZ_EINVAL);
	check_set("execution too short", 10 * MS, 10 * MS, KZ_BUDGET_MIN - 1, KZ_EINVAL);
	check_set("all bits", UINT64_MAX, UINT64_MAX, UINT64_MAX, KZ_EINVAL);
	check_set("execution of 2^63", 10 * MS, 10 * MS, 1ull << 63, KZ_EINVAL);
}

/* Releases come a period apart, to the ns that a tick allows. */
static void releases(void)
{
	const uint64_t tick = 1000000000u / read_cntfrq_el0();
	uint64_t release = 0, next, missed = 0, since = 0;
	struct realtime before, after, last;
	bool ok = true;

	say_equal("job_done", realtime_job_done(&release, &since), KZ_OK);
	next = release;
	(void)realtime_info(KZ_INFO_COUNTS, &before);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint64_t now;

		(void)realtime_job_done(&next, &missed);
		now = timer_ns(read_cntvct_el0(), read_cntfrq_el0());
		ok = ok && next - (release + (uint64_t)i * 10 * MS) + tick <= 2 * tick;
		ok = ok && now + 1 >= next && now - next < 10 * MS;
	}
	say_check("releases are a period apart", ok);
	say_equal("nothing is missed", (int64_t)(missed - since), 0);
	(void)realtime_info(KZ_INFO_COUNTS, &after);
	say_equal("jobs are counted", (int64_t)(after.x1 - before.x1), ROUNDS);
	(void)realtime_info(KZ_INFO_LAST, &last);
	say_check("the last release is known", last.x3 == next);
}

static void srt(void)
{
	uint64_t release = 0, missed = 0;

	check_server("the configuration's server", 10 * MS, 10 * MS, 2 * MS);
	refusals();
	check_server("it is the same after refusals", 10 * MS, 10 * MS, 2 * MS);
	check_set("more than the core has", 10 * MS, 10 * MS, 9 * MS, KZ_ELOAD);
	check_set("more than the core has, by density", 2500000, 10 * MS, 2 * MS, KZ_ELOAD);
	check_server("it is the same after that", 10 * MS, 10 * MS, 2 * MS);
	releases();
	check_set("less", 8 * MS, 10 * MS, 1 * MS, KZ_OK);
	(void)realtime_job_done(&release, &missed);
	check_server("less is what it has", 8 * MS, 10 * MS, 1 * MS);
	check_set("twice as much", 10 * MS, 10 * MS, 4 * MS, KZ_OK);
	(void)realtime_job_done(&release, &missed);
	check_server("twice as much is what it has", 10 * MS, 10 * MS, 4 * MS);
	check_set("still more than the core has", 10 * MS, 10 * MS, 6 * MS, KZ_ELOAD);
	check_set("as in the beginning", 10 * MS, 10 * MS, 2 * MS, KZ_OK);
	(void)realtime_job_done(&release, &missed);
	check_server("as in the beginning is what it has", 10 * MS, 10 * MS, 2 * MS);
	releases();
}

static void bare(void)
{
	check_server("no server", 0, 0, 0);
	check_kept("job_done without a server keeps registers", KZ_HVC_JOB_DONE, MARK);
	refusals();
	check_set("more than the core has", 10 * MS, 10 * MS, 9 * MS, KZ_ELOAD);
	check_server("still no server", 0, 0, 0);
	check_set("a server", 10 * MS, 10 * MS, 2 * MS, KZ_OK);
	check_server("it is there at once", 10 * MS, 10 * MS, 2 * MS);
	releases();
}

static void none(void)
{
	check_server("no server", 0, 0, 0);
	check_set("a server is not for it", 10 * MS, 10 * MS, 1 * MS, KZ_EPERM);
	check_server("still no server", 0, 0, 0);
	check_kept("job_done without a server keeps registers", KZ_HVC_JOB_DONE, MARK);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);

	mmu_enable(fdt);
	console_init(fdt);
	everybody();
	if (option_has(args, "srt")) {
		srt();
	} else if (option_has(args, "bare")) {
		bare();
	} else if (option_has(args, "none")) {
		none();
	}
	console_print("calls: done\n");
}
