/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "line.h"

static struct line line;

/* By gaps, each half of the one before: 1000 samples in some 10 000 comparisons. */
static void sort(uint64_t *a)
{
	for (uint32_t gap = ROUNDS / 2; gap > 0; gap /= 2) {
		for (uint32_t i = gap; i < ROUNDS; i++) {
			const uint64_t value = a[i];
			uint32_t k = i;

			for (; k >= gap && a[k - gap] > value; k -= gap) {
				a[k] = a[k - gap];
			}
			a[k] = value;
		}
	}
}

static void begin(const char *name)
{
	line_begin(&line);
	line_text(&line, "BENCH ");
	line_text(&line, name);
}

void report(const char *name, uint64_t *samples, uint64_t less)
{
	begin(name);
	if (refused != 0) {
		line_text(&line, " refused");
		refused = 0;
	} else {
		sort(samples);
		line_value(&line, " n=", ROUNDS);
		line_value(&line, " min=", samples[0] - less);
		line_value(&line, " p50=", samples[ROUNDS / 2] - less);
		line_value(&line, " p99=", samples[ROUNDS * 99 / 100] - less);
		line_value(&line, " max=", samples[ROUNDS - 1] - less);
	}
	line_text(&line, " .");
	line_print(&line);
}

void say(const char *name, uint64_t value)
{
	begin(name);
	line_value(&line, " value=", value);
	line_text(&line, " .");
	line_print(&line);
}
