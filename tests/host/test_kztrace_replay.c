/* SPDX-License-Identifier: Apache-2.0 */
/* link: tests/host/kztrace_bed.c hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* link: tools/kztrace/file.c tools/kztrace/names.c tools/kztrace/replay.c */
/* link: tools/kztrace/replay_job.c */
/* What kztrace takes records for, where a model that plays dice (tests/kztrace) does not go. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kztrace_bed.h"

/* All that was told of one core and its vCPUs, a line each. */
struct told {
	const struct trace *t;
	uint32_t core;
	char text[4096];
	size_t size;
};

static void say(struct told *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct told *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	l->size += (size_t)vsnprintf(l->text + l->size, sizeof(l->text) - l->size, format, args);
	va_end(args);
	assert_true(l->size < sizeof(l->text));
}

static void on_span(void *ctx, const struct replay_span *s)
{
	static const char *const what[] = { "unknown", "guest", "hyp", "sleep" };
	struct told *l = ctx;

	if (s->core != l->core) {
		return;
	}
	say(l, "%" PRIu64 "-%" PRIu64 " %s", s->from, s->to, what[s->what]);
	if (s->what == REPLAY_GUEST) {
		say(l, " %s", trace_vcpu_name(l->t, s->vcpu));
	} else if (s->what == REPLAY_HYP) {
		say(l, " %s %u of %s%s%s", replay_class_name(s->class), s->arg,
		    trace_vcpu_name(l->t, s->vcpu), s->whole ? "" : " cut",
		    s->quick ? " quick" : "");
	}
	say(l, "\n");
}

static bool is_here(const struct told *l, uint8_t id)
{
	return trace_vcpu_core(l->t, id) == l->core;
}

static void on_state(void *ctx, const struct replay_vspan *s)
{
	struct told *l = ctx;

	if (is_here(l, s->vcpu)) {
		say(l, "%s %" PRIu64 "-%" PRIu64 " %s\n", trace_vcpu_name(l->t, s->vcpu), s->from,
		    s->to, replay_state_name(s->state));
	}
}

static void on_job(void *ctx, const struct replay_job *j)
{
	static const char *const how[] = { "done", "block", "release", "off", "lost", "trace" };
	struct told *l = ctx;

	if (!is_here(l, j->vcpu)) {
		return;
	}
	say(l, "%s %s %" PRIu64 " %" PRIu64 "-%" PRIu64 " %s", trace_vcpu_name(l->t, j->vcpu),
	    j->released ? "job" : "turn", j->number, j->release, j->end, how[j->how]);
	if (j->has_due) {
		say(l, " due %" PRIu64, j->due);
	}
	if (j->has_start) {
		say(l, " start %" PRIu64, j->start);
	}
	if (j->missed) {
		say(l, " missed %" PRIu64 " left %" PRIu64, j->missed_at, j->left);
	}
	say(l, "; own %" PRIu64 " ready %" PRIu64 " throttled %" PRIu64 "\n",
	    j->who.guest[TRACE_VM(j->vcpu)], j->ready, j->throttled);
}

static void on_latency(void *ctx, const struct replay_latency *x)
{
	struct told *l = ctx;

	if (is_here(l, x->vcpu)) {
		say(l, "%s irq %" PRIu64 "-%" PRIu64 " %s", trace_vcpu_name(l->t, x->vcpu), x->from,
		    x->to, x->woken ? "woken" : "own");
		say(l, x->has_intid ? " %u\n" : "\n", x->intid);
	}
}

static void on_event(void *ctx, const struct replay_event *e)
{
	struct told *l = ctx;

	if ((e->type == REPLAY_LOST) && (e->core == l->core)) {
		say(l, "lost %" PRIu64 " %" PRIu64 "-%" PRIu64 "\n", e->lost, e->from, e->time);
	}
}

/* Replay the first `size` bytes; what must be said of a core, and the exit code. */
static void check_cut(struct bed *b, size_t size, uint32_t core, int code, const char *expected)
{
	static const struct replay_ops ops = { on_span, on_state, on_job, on_latency, on_event };
	struct bed_check c;
	struct told l = { .core = core };
	struct trace t;
	bool good;
	int got;

	bed_quiet();
	assert_true(trace_open(&t, bed_path(b, size)));
	l.t = &t;
	good = replay(&t, &ops, &l);
	t.bad = 0; /* counted by the first replay */
	good = bed_replay(&t, &c) && good;
	got = trace_close(&t);
	bed_loud();
	assert_true(good);
	assert_int_equal(got, code);
	assert_string_equal(l.text, expected);
	bed_free(b);
}

static void check(struct bed *b, uint32_t core, const char *expected)
{
	check_cut(b, b->size, core, EXIT_SUCCESS, expected);
}

/* linux/0 executes from 100 on; nothing is known of hello. */
static void begin(struct bed *b)
{
	bed_init(b);
	bed_one(b, 0, 100, KZ_TRACE_STATE, KZ_TRACE_NOBODY, 1, 0);
	bed_one(b, 0, 110, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
}

/* Records are missing: what was done meanwhile is not known, nor is who wants the core. */
static void test_lost(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 150, KZ_TRACE_QUICK + KZ_TRACE_MMIO, 0, 7, 160);
	b.next[0] += 5;
	bed_one(&b, 0, 500, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(&b, 0, 510, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	bed_one(&b, 0, 520, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-150 guest linux/0\n"
	      "linux/0 110-150 running\n"
	      "150-160 hyp mmio 7 of linux/0 quick\n"
	      "linux/0 150-160 exit\n"
	      "lost 5 160-500\n" /* the guest did execute at 160, but until when? */
	      "160-500 unknown\n"
	      "500-510 hyp wfx 0 of -\n"
	      "hello 100-510 unknown\n"
	      "510-520 guest hello\n"
	      "hello 510-520 running\n"
	      "520-520 hyp kick 26 of hello cut\n"
	      "linux/0 160-520 unknown\n");
}

/* The same with a job open, and an interrupt under way: no deadline, no latency goes across. */
static void test_lost_job(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 200, KZ_TRACE_EXIT + KZ_TRACE_IRQ, 0, 27, 0);
	bed_one(&b, 0, 210, KZ_TRACE_RELEASE, BED_HELLO, 0, 10);
	bed_one(&b, 0, 212, KZ_TRACE_READY, BED_HELLO, 1, 0);
	bed_one(&b, 0, 220, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	b.next[0] += 1;
	bed_one(&b, 0, 300, KZ_TRACE_STATE, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 350, KZ_TRACE_READY, BED_HELLO, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-200 guest linux/0\n"
	      "linux/0 110-200 running\n"
	      "hello 100-212 unknown\n"
	      "200-220 hyp irq 27 of linux/0\n"
	      "linux/0 200-220 exit\n"
	      "hello 212-220 ready\n"
	      "lost 1 220-300\n"
	      "hello job 0 210-220 lost due 850 start 220; own 0 ready 8 throttled 0\n"
	      "220-300 unknown\n"
	      "linux/0 220-300 unknown\n"
	      "hello 220-350 unknown\n"
	      "300-350 guest linux/0\nlinux/0 300-350 running\n"
	      "hello turn 1 350-350 trace; own 0 ready 0 throttled 0\n");
}

/* Who goes on behind a QUICK that begins a file nobody knows; its own cost is known. */
static void test_quick_first(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	bed_one(&b, 1, 0x1fffffff0, KZ_TRACE_QUICK + KZ_TRACE_HCALL, 0, 0x8400, 0x10);
	bed_one(&b, 1, 0x200000020, KZ_TRACE_IDLE, 0, 0, 0);
	check(&b, 1,
	      "8589934576-8589934608 hyp hcall 33792 of - quick\n"
	      "8589934608-8589934624 unknown\n"
	      "linux/1 8589934576-8589934624 unknown\n");
}

/* An implied READY begins with the exit, but not before its vCPU waited. */
static void test_implied(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 200, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(&b, 0, 205, KZ_TRACE_BLOCK, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 230, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 300, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(&b, 0, 305, KZ_TRACE_BLOCK, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 310, KZ_TRACE_IDLE, 0, 0, 0);
	bed_one(&b, 0, 400, KZ_TRACE_WAKE, 0, 27, 0);
	bed_one(&b, 0, 420, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-200 guest linux/0\n"
	      "linux/0 110-200 running\n"
	      "linux/0 200-205 exit\n"
	      "200-230 hyp wfx 0 of linux/0\n"
	      "linux/0 205-230 ready\n"
	      "linux/0 irq 205-230 woken\n"
	      "230-300 guest linux/0\n"
	      "linux/0 230-300 running\n"
	      "linux/0 turn 0 205-305 block start 230; own 70 ready 25 throttled 0\n"
	      "linux/0 300-305 exit\n"
	      "300-310 hyp wfx 0 of linux/0\n"
	      "310-400 sleep\n"
	      "linux/0 305-400 blocked\n"
	      "400-420 hyp wake 27 of -\n"
	      "linux/0 400-420 ready\n"
	      "linux/0 irq 400-420 woken 27\n"
	      "linux/0 turn 1 400-420 trace start 420; own 0 ready 20 throttled 0\n"
	      "hello 100-420 unknown\n");
}

/*
 * A budget that ends: the job goes on, throttled, misses its deadline and is overtaken by the
 * next. The account ends with the deadline, 64 * 2 behind the release.
 */
static void test_miss(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 200, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 200, KZ_TRACE_RELEASE, BED_HELLO, 0, 2);
	bed_one(&b, 0, 210, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	bed_one(&b, 0, 250, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 260, KZ_TRACE_THROTTLE, BED_HELLO, 0, 0);
	bed_one(&b, 0, 270, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 400, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 402, KZ_TRACE_MISS, BED_HELLO, 0, 3);
	bed_one(&b, 0, 404, KZ_TRACE_RELEASE, BED_HELLO, 0, 100);
	bed_one(&b, 0, 406, KZ_TRACE_READY, BED_HELLO, 1, 0);
	bed_one(&b, 0, 410, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	bed_one(&b, 0, 450, KZ_TRACE_EXIT + KZ_TRACE_HCALL, 0, 0xc602, 0);
	bed_one(&b, 0, 455, KZ_TRACE_DONE, BED_HELLO, 0, 0);
	bed_one(&b, 0, 460, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-200 guest linux/0\n"
	      "linux/0 110-200 running\n"
	      "200-210 hyp kick 26 of linux/0\n"
	      "linux/0 200-210 exit\n"
	      "hello 100-210 unknown\n"
	      "210-250 guest hello\n"
	      "hello 210-250 running\n"
	      "hello 250-260 exit\n"
	      "250-270 hyp kick 26 of hello\n"
	      "linux/0 210-270 ready\n"
	      "270-400 guest linux/0\n"
	      "linux/0 270-400 running\n"
	      "hello job 0 200-404 release due 328 start 210 missed 402 left 192; "
	      "own 40 ready 0 throttled 68\n"
	      "hello 260-406 throttled\n"
	      "400-410 hyp kick 26 of linux/0\n"
	      "linux/0 400-410 exit\n"
	      "hello 406-410 ready\n"
	      "410-450 guest hello\n"
	      "hello 410-450 running\n"
	      "hello job 1 404-455 done due 6804 start 410; own 40 ready 4 throttled 2\n"
	      "hello 450-455 exit\n"
	      "450-460 hyp hcall 50690 of hello\n"
	      "linux/0 410-460 ready\n"
	      "hello 455-460 done\n");
}

/* A deadline that passes within an exit in which its vCPU changes its state: the account ends. */
static void test_due_in_exit(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 300, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 301, KZ_TRACE_RELEASE, BED_HELLO, 0, 1);
	bed_one(&b, 0, 310, KZ_TRACE_READY, BED_HELLO, 1, 0);
	bed_one(&b, 0, 370, KZ_TRACE_THROTTLE, BED_HELLO, 0, 0);
	bed_one(&b, 0, 380, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-300 guest linux/0\n"
	      "linux/0 110-300 running\n"
	      "hello 100-310 unknown\n"
	      "hello 310-370 ready\n"
	      "300-380 hyp kick 26 of linux/0\n"
	      "linux/0 300-380 exit\n"
	      "hello job 0 301-380 trace due 365; own 0 ready 55 throttled 0\n"
	      "hello 370-380 throttled\n");
}

/* Who is ready again before the deadline keeps it; behind it there is none. */
static void test_due_over(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	bed_one(&b, 0, 300, KZ_TRACE_WAKE, 0, 26, 0);
	bed_one(&b, 0, 301, KZ_TRACE_RELEASE, BED_HELLO, 0, 1);
	bed_one(&b, 0, 302, KZ_TRACE_BLOCK, BED_HELLO, 0, 0);
	bed_one(&b, 0, 303, KZ_TRACE_READY, BED_HELLO, 0, 0);
	bed_one(&b, 0, 304, KZ_TRACE_BLOCK, BED_HELLO, 0, 0);
	bed_one(&b, 0, 366, KZ_TRACE_READY, BED_HELLO, 0, 0);
	bed_one(&b, 0, 370, KZ_TRACE_IDLE, 0, 0, 0);
	check(&b, 0,
	      "hello job 0 301-302 block due 365; own 0 ready 0 throttled 0\n"
	      "hello 300-302 unknown\n"
	      "hello 302-303 blocked\n"
	      "hello turn 1 303-304 block due 365; own 0 ready 1 throttled 0\n"
	      "hello 303-304 ready\n"
	      "hello 304-366 blocked\n"
	      "300-370 hyp wake 26 of -\n"
	      "hello turn 2 366-370 trace; own 0 ready 4 throttled 0\n"
	      "hello 366-370 ready\n"
	      "linux/0 300-370 unknown\n");
}

/* Ready and then released in one exit is one job; what waits since an earlier exit is another. */
static void test_ready_then_released(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 300, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 305, KZ_TRACE_READY, BED_HELLO, 0, 0);
	bed_one(&b, 0, 307, KZ_TRACE_RELEASE, BED_HELLO, 0, 1);
	bed_one(&b, 0, 310, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 400, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 402, KZ_TRACE_BLOCK, BED_HELLO, 0, 0);
	bed_one(&b, 0, 405, KZ_TRACE_READY, BED_HELLO, 0, 0);
	bed_one(&b, 0, 410, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 500, KZ_TRACE_EXIT + KZ_TRACE_KICK, 0, 26, 0);
	bed_one(&b, 0, 505, KZ_TRACE_RELEASE, BED_HELLO, 0, 1);
	bed_one(&b, 0, 510, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-300 guest linux/0\n"
	      "linux/0 110-300 running\n"
	      "hello 100-305 unknown\n"
	      "300-310 hyp kick 26 of linux/0\n"
	      "linux/0 300-310 exit\n"
	      "310-400 guest linux/0\n"
	      "linux/0 310-400 running\n"
	      "hello job 0 307-402 block due 371; own 0 ready 64 throttled 0\n"
	      "hello 305-402 ready\n"
	      "hello 402-405 blocked\n"
	      "400-410 hyp kick 26 of linux/0\n"
	      "linux/0 400-410 exit\n"
	      "410-500 guest linux/0\n"
	      "linux/0 410-500 running\n"
	      "hello turn 1 405-505 release; own 0 ready 100 throttled 0\n"
	      "500-510 hyp kick 26 of linux/0\nlinux/0 500-510 exit\n"
	      "hello 405-510 ready\n"
	      "hello irq 300-510 woken 26\n"
	      "hello job 2 505-510 trace due 569 start 510; own 0 ready 5 throttled 0\n");
}

/* The state between the last record and the trace's end: known where the ring took records. */
static void make_tail(struct bed *b, uint64_t index)
{
	bed_init(b);
	b->next[3] = index;
	bed_one(b, 3, 100, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_one(b, 1, 900, KZ_TRACE_IDLE, 0, 0, 0);
}

static void test_tail(void **state)
{
	struct bed b;

	(void)state;
	make_tail(&b, 7);
	check(&b, 3, "100-900 guest servo\nservo 100-900 running\n");
	/* the last of a chunk: the ring may have been stopped */
	make_tail(&b, KZ_TRACE_CHUNK_RECORDS - 1);
	check(&b, 3, "100-900 unknown\nservo 100-900 unknown\n");
	make_tail(&b, KZ_TRACE_CHUNK_RECORDS - 2);
	check(&b, 3, "100-900 unknown\nservo 100-900 unknown\n");
	make_tail(&b, KZ_TRACE_CHUNK_RECORDS - 3);
	check(&b, 3, "100-900 guest servo\nservo 100-900 running\n");
	/* what the file has lost can have been of this core */
	make_tail(&b, 7);
	bed_part(&b, 1, 2);
	bed_record(&b, 950, KZ_TRACE_WAKE, 0, 27, 0);
	check_cut(&b, b.size, 3, EXIT_WRONG, "100-950 unknown\nservo 100-950 unknown\n");
	/* a core that has stopped for good */
	make_tail(&b, 7);
	bed_one(&b, 3, 200, KZ_TRACE_PANIC, 0, 0, 0);
	check(&b, 3,
	      "100-200 guest servo\nservo 100-200 running\n"
	      "200-900 unknown\nservo 200-900 unknown\n");
}

/* Time that goes back a little counts as no time; by much, it is not believed. */
static void test_back(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	bed_one(&b, 3, 2000000000, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_one(&b, 3, 2000000100, KZ_TRACE_EXIT + KZ_TRACE_SGI, 0, 1, 0);
	bed_one(&b, 3, 2000000090, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_one(&b, 3, 999999999, KZ_TRACE_IDLE, 0, 0, 0);
	bed_one(&b, 3, 2000000200, KZ_TRACE_EXIT + KZ_TRACE_SGI, 0, 1, 0);
	check_cut(&b, b.size, 3, EXIT_WRONG,
		  "2000000000-2000000100 guest servo\n"
		  "servo 2000000000-2000000100 running\n"
		  "2000000100-2000000100 hyp sgi 1 of servo\n"
		  "2000000100-2000000200 guest servo\n"
		  "servo 2000000100-2000000200 running\n"
		  "2000000200-2000000200 hyp sgi 1 of servo cut\n");
}

/* Records that make no sense are left out, each. */
static void test_senseless(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 120, KZ_TRACE_RUN, BED_SERVO, 0, 0); /* of another core */
	bed_one(&b, 0, 121, KZ_TRACE_RUN, 0x55, 0, 0);
	bed_one(&b, 0, 122, KZ_TRACE_BLOCK, KZ_TRACE_NOBODY, 0, 0);
	bed_one(&b, 0, 123, KZ_TRACE_EXIT + KZ_TRACE_CLASSES, 0, 0, 0);
	bed_one(&b, 0, 124, KZ_TRACE_NONE, 0, 0, 0);
	bed_one(&b, 0, 125, KZ_TRACE_STATE, BED_LINUX0, 3, 0);
	bed_one(&b, 0, 126, KZ_TRACE_QUICK + KZ_TRACE_FP, 0, 0, 125);
	bed_one(&b, 0, 200, KZ_TRACE_EXIT + KZ_TRACE_FP, 0, 0, 0);
	bed_one(&b, 0, 230, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	check_cut(&b, b.size, 0, EXIT_WRONG,
		  "100-110 hyp other 0 of - cut\n"
		  "linux/0 100-110 unknown\n"
		  "110-200 guest linux/0\n"
		  "linux/0 110-200 running\n"
		  "200-230 hyp fp 0 of linux/0\n"
		  "linux/0 200-230 exit\n"
		  "hello 100-230 unknown\n");
}

/* Off and on again: a server that the guest itself asked for ends with it. */
static void test_off(void **state)
{
	struct bed b;

	(void)state;
	begin(&b);
	bed_one(&b, 0, 200, KZ_TRACE_EXIT + KZ_TRACE_HCALL, 0, 0x8402, 0);
	bed_one(&b, 0, 201, KZ_TRACE_RELEASE, BED_LINUX0, 0, 10);
	bed_one(&b, 0, 205, KZ_TRACE_OFF, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 210, KZ_TRACE_IDLE, 0, 0, 0);
	bed_one(&b, 0, 300, KZ_TRACE_WAKE, 0, 2, 0);
	bed_one(&b, 0, 305, KZ_TRACE_START, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 306, KZ_TRACE_READY, BED_LINUX0, 2, 0);
	bed_one(&b, 0, 310, KZ_TRACE_RUN, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 320, KZ_TRACE_EXIT + KZ_TRACE_HCALL, 0, 0xc602, 0);
	bed_one(&b, 0, 325, KZ_TRACE_DONE, BED_LINUX0, 0, 0);
	bed_one(&b, 0, 330, KZ_TRACE_RUN, BED_HELLO, 0, 0);
	bed_one(&b, 0, 340, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	check(&b, 0,
	      "100-110 hyp other 0 of - cut\n"
	      "linux/0 100-110 unknown\n"
	      "110-200 guest linux/0\n"
	      "linux/0 110-200 running\n"
	      "linux/0 job 0 201-205 off due 841; own 0 ready 0 throttled 0\n"
	      "linux/0 200-205 exit\n"
	      "200-210 hyp hcall 33794 of linux/0\n"
	      "210-300 sleep\n"
	      "linux/0 205-305 off\n"
	      "300-310 hyp wake 2 of -\n"
	      "linux/0 305-310 ready\n"
	      "310-320 guest linux/0\n"
	      "linux/0 310-320 running\n"
	      "linux/0 turn 1 305-325 done start 310; own 10 ready 5 throttled 0\n"
	      "linux/0 320-325 exit\n"
	      "320-330 hyp hcall 50690 of linux/0\n"
	      "hello 100-330 unknown\n"
	      "330-340 guest hello\nhello 330-340 running\n"
	      "340-340 hyp wfx 0 of hello cut\n"
	      "linux/0 turn 2 325-340 trace; own 0 ready 15 throttled 0\n"
	      "linux/0 325-340 ready\n");
}

/* A vCPU that has its core for itself sleeps on it without more ado; it goes on without a WAKE. */
static void test_standby(void **state)
{
	struct bed b;

	(void)state;
	bed_init(&b);
	bed_one(&b, 3, 100, KZ_TRACE_STATE, KZ_TRACE_NOBODY, 1, 0);
	bed_one(&b, 3, 105, KZ_TRACE_READY, BED_SERVO, 2, 0);
	bed_one(&b, 3, 110, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_one(&b, 3, 200, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(&b, 3, 210, KZ_TRACE_IDLE, 0, 0, 0);
	bed_one(&b, 3, 300, KZ_TRACE_RUN, BED_SERVO, 0, 0);
	bed_one(&b, 3, 301, KZ_TRACE_EXIT + KZ_TRACE_WFX, 0, 0, 0);
	bed_one(&b, 3, 310, KZ_TRACE_IDLE, 0, 0, 0);
	check(&b, 3,
	      "servo 100-105 unknown\n"
	      "100-110 hyp other 0 of - cut\n"
	      "servo 105-110 ready\n"
	      "110-200 guest servo\n"
	      "servo 110-200 running\n"
	      "200-210 hyp wfx 0 of servo\n"
	      "servo turn 0 105-210 block start 110; own 90 ready 5 throttled 0\n"
	      "servo 200-210 exit\n"
	      "servo 210-300 blocked\n"
	      "210-300 sleep\n"
	      "300-301 guest servo\n"
	      "servo 300-301 running\n"
	      "301-310 hyp wfx 0 of servo\n"
	      "servo turn 1 300-310 block start 300; own 1 ready 0 throttled 0\n"
	      "servo 301-310 exit\n");
}

/* Names of calls that no machine of dice makes. */
static void test_names(void **state)
{
	(void)state;
	assert_string_equal(replay_call_name(0x8409), "PSCI_SYSTEM_RESET");
	assert_string_equal(replay_call_name(0xc404), "PSCI_AFFINITY_INFO");
	assert_string_equal(replay_call_name(0x8601), "VENDOR_HYP_UID");
	assert_string_equal(replay_call_name(0xc520), "PV_TIME_FEATURES");
	assert_string_equal(replay_call_name(0x8442), "0x84000042");
	assert_string_equal(trace_time(999), "999 ns");
	assert_string_equal(trace_time(1000), "1.000 us");
	assert_string_equal(trace_time(59999999), "59.999 ms");
	assert_string_equal(trace_time(61000000000), "61.000 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost), cmocka_unit_test(test_lost_job),
		cmocka_unit_test(test_quick_first), cmocka_unit_test(test_implied),
		cmocka_unit_test(test_miss), cmocka_unit_test(test_due_in_exit),
		cmocka_unit_test(test_due_over), cmocka_unit_test(test_ready_then_released),
		cmocka_unit_test(test_tail), cmocka_unit_test(test_back),
		cmocka_unit_test(test_senseless), cmocka_unit_test(test_off),
		cmocka_unit_test(test_standby), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("kztrace_replay", tests, NULL, NULL);
}
