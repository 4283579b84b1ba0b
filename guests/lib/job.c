/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include "console.h"
#include "fdt.h"
#include "options.h"
#include "timer.h"

#define MS		1000000ull
#define SECOND		1000000000ull
#define TRIES		32u	/* of the calibration: one of them is not interrupted */
#define TRY_TURNS	10000u

/* Two instructions a turn, whatever the compiler thinks. Being preempted does not shorten it. */
static void turns_run(uint64_t turns)
{
	if (turns != 0) {
		__asm__ volatile("1: subs %0, %0, #1\n"
				 "   b.ne 1b"
				 : "+r"(turns)::"cc");
	}
}

/* How many ticks TRY_TURNS take when nobody comes in between. */
static uint64_t turns_ticks(void)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < TRIES; i++) {
		const uint64_t start = read_cntvct_el0();
		uint64_t ticks;

		turns_run(TRY_TURNS);
		ticks = read_cntvct_el0() - start;
		least = ticks < least ? ticks : least;
	}
	return least != 0 ? least : 1;
}

static void figures_clear(struct job *job)
{
	stats_clear(&job->begin);
	stats_clear(&job->response);
	job->missed = 0;
}

void job_init(struct job *job, const char *name, const void *fdt)
{
	const char *args = fdt_bootargs(fdt);

	*job = (struct job){ .name = name, .frequency = read_cntfrq_el0() };
	job->period = option_value(args, "period", 10 * MS);
	job->deadline = option_value(args, "deadline", job->period);
	job->execution = option_value(args, "execution", 2 * MS);
	job->work = option_value(args, "work", job->execution / 4 * 3);
	job->settle = option_value(args, "settle", 0);
	job->report = option_value(args, "report", SECOND);
	job->hold = option_value(args, "hold", 0);
	job->turns = timer_ticks(job->work, job->frequency) * TRY_TURNS / turns_ticks();
	figures_clear(job);
}

uint64_t job_now(const struct job *job)
{
	return timer_ns(read_cntvct_el0(), job->frequency);
}

uint64_t job_run(struct job *job, uint64_t release)
{
	uint64_t begin = job_now(job);
	uint64_t end;

	turns_run(job->turns);
	end = job_now(job);
	/* The hypervisor rounds its ns on its own: a release may be one ahead of our clock. */
	if (begin < release && release - begin <= 1) {
		begin = release;
	}
	stats_record(&job->begin, begin - release);
	stats_record(&job->response, end - release);
	job->jobs++;
	return end;
}

static void report_begin(struct job *job, uint64_t release)
{
	struct line *line = &job->line;

	line_begin(line);
	line_text(line, job->name);
	line_value(line, ": ", job->response.count);
	line_value(line, " jobs  begin ns min ", job->begin.min);
	line_value(line, " avg ", stats_mean(&job->begin));
	line_value(line, " max ", job->begin.max);
	line_value(line, "  end ns min ", job->response.min);
	line_value(line, " avg ", stats_mean(&job->response));
	line_value(line, " p99 ", stats_p99(&job->response));
	line_value(line, " max ", job->response.max);
	line_value(line, "  missed ", job->missed);
	line_value(line, "  of ", job->jobs);
	line_value(line, " at ", release);
	line_text(line, "\n");
	job->shown = release + job->hold;
	figures_clear(job);
}

bool job_report(struct job *job, uint64_t release)
{
	const uint64_t measured = job->response.count * job->period;

	if (job->settle != 0) {
		if (measured >= job->settle) {
			job->settle = 0;
			figures_clear(job);
		}
	} else if (job->line.sent < job->line.length) {
		if (release >= job->shown) {
			line_send(&job->line, LINE_MAX);
		}
	} else if (measured >= job->report) {
		report_begin(job, release);
		return true;
	}
	return false;
}

void job_hello(struct job *job, const char *how)
{
	struct line *line = &job->line;

	line_begin(line);
	line_text(line, job->name);
	line_value(line, ": works ", job->work);
	line_value(line, " ns of ", job->execution);
	line_value(line, " in each ", job->period);
	line_value(line, ", within ", job->deadline);
	line_text(line, how);
	line_print(line);
}
