/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hard real-time guest: a servo loop of 1 kHz off the virtual timer, asleep in
 * WFI between its ticks. It measures how late each tick's handler is entered, and
 * says so once a second. The report is put together in the slack after a tick
 * and printed a few bytes a tick, so that it does not disturb what it measures.
 *
 * After start-up it touches the CPU interface of the GIC, the virtual timer and
 * the console ring only: as an HRT VM it never leaves its core's hands.
 * A typed 'h' prints the histogram since the start; 'k' makes it fail, as a pointer that
 * went astray does.
 */
#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "stats.h"
#include "timer.h"

#define NOWHERE		0x70000000u	/* behind the memory of so small a VM */
#define LOOP_HZ		1000u
#define TIMER_PRIORITY	0x80u
#define SEND_MAX	16u	/* bytes a tick */

struct window {
	struct stats latency;	/* ticks */
	uint32_t missed;	/* ticks that began a whole period late, or not at all */
};

/* A motor's position is held at its target by a PI controller, in 1/256 units. */
struct servo {
	int32_t position, speed, integral, target;
};

static struct window windows[2];
static struct window *recording;	/* the interrupt's */
static struct window *volatile finished;	/* handed from the interrupt to the report */
static uint64_t total[STATS_BUCKETS];
static uint64_t frequency, period, deadline;
static uint32_t intid;
static struct servo servo = { .target = 1000 * 256 };

static void window_clear(struct window *window)
{
	stats_clear(&window->latency);
	window->missed = 0;
}

static void servo_step(struct servo *s)
{
	const int32_t error = s->target - s->position;
	int32_t force;

	s->integral += error / 64;
	force = error / 8 + s->integral / 16 - s->speed;
	s->speed += force / 4;
	s->position += s->speed / 16;
	if (error > -256 && error < 256) {
		s->target = -s->target;
		s->integral = 0;
	}
}

static void loop_run(uint64_t now)
{
	stats_record(&recording->latency, now - deadline);
	deadline += period;
	if (now >= deadline) {
		const uint64_t late = (now - deadline) / period + 1;

		recording->missed += (uint32_t)late;
		deadline += late * period;
	}
	timer_arm(deadline);
	servo_step(&servo);
	if (recording->latency.count >= LOOP_HZ && finished == NULL) {
		finished = recording;
		recording = recording == &windows[0] ? &windows[1] : &windows[0];
	}
}

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge();

	if (taken == intid) {
		loop_run(now);
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
}

static void report_ns(struct line *line, const char *name, uint64_t ticks)
{
	line_value(line, name, timer_ns(ticks, frequency));
}

/* Writes the report of a finished window, and gives the window back empty. */
static void report_begin(struct line *line, struct window *window)
{
	const struct stats *latency = &window->latency;

	line_begin(line);
	line_value(line, "servo: ", latency->count);
	line_text(line, " loops  latency ns");
	report_ns(line, " min ", latency->min);
	report_ns(line, " avg ", stats_mean(latency));
	report_ns(line, " p99 ", stats_p99(latency));
	report_ns(line, " max ", latency->max);
	line_value(line, "  missed ", window->missed);
	line_text(line, "\n");
	for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
		total[i] += latency->bucket[i];
	}
	window_clear(window);
	finished = NULL;
}

/* Writes the histogram's next line: a latency of few ticks, or an octave; false at its end. */
static bool histogram_line(struct line *line, uint32_t *next)
{
	const uint32_t step = *next < STATS_EXACT ? 1 : STATS_OCTAVE;
	uint64_t count = 0;

	if (*next >= STATS_BUCKETS) {
		return false;
	}
	for (uint32_t i = 0; i < step; i++) {
		count += total[*next + i];
	}
	*next += step;
	line_begin(line);
	if (count > 0) {
		line_value(line, "servo: within ", stats_top(*next - 1));
		line_text(line, " ticks,");
		report_ns(line, " ", stats_top(*next - 1));
		line_value(line, " ns: ", count);
		line_text(line, "\n");
	}
	return true;
}

/* Once a tick, in the slack behind it: one small piece of what there is to print. */
static void key(int typed, uint32_t *histogram)
{
	if (typed == 'h') {
		*histogram = 0;
	} else if (typed == 'k') {
		(void)*(volatile uint32_t *)NOWHERE;
	}
}

static void report_step(struct line *line, uint32_t *histogram)
{
	if (line->sent < line->length) {
		line_send(line, SEND_MAX);
	} else if (finished != NULL) {
		report_begin(line, finished);
	} else if (!histogram_line(line, histogram)) {
		key(console_read(), histogram);
	}
}

void guest_main(const void *fdt)
{
	static struct line line;
	uint32_t histogram = STATS_BUCKETS;

	mmu_enable(fdt);
	console_init(fdt);
	recording = &windows[0];
	window_clear(&windows[0]);
	window_clear(&windows[1]);
	frequency = read_cntfrq_el0();
	period = frequency / LOOP_HZ;
	intid = timer_intid(fdt);
	if (!gic_init(fdt)) {
		console_print("servo: the device tree has no interrupt controller\n");
		return;
	}
	line_value(&line, "servo: 1 kHz loop, counter ", frequency);
	line_text(&line, " Hz; h: histogram\n");
	gic_enable(intid, TIMER_PRIORITY);
	deadline = read_cntvct_el0() + period;
	timer_arm(deadline);
	cpu_irq_enable();
	for (;;) {
		cpu_wfi();
		report_step(&line, &histogram);
	}
}
