/* SPDX-License-Identifier: Apache-2.0 */
/* flags: -Dmain=kztrace_main -Wno-missing-prototypes -lm */
/* link: tests/host/kztrace_bed.c hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* link: tools/kztrace/capture.c tools/kztrace/capture_process.c */
/* link: tools/kztrace/capture_ring.c tools/kztrace/ctf.c tools/kztrace/ctf_meta.c */
/* link: tools/kztrace/file.c tools/kztrace/hist.c tools/kztrace/hist_svg.c */
/* link: tools/kztrace/json.c tools/kztrace/main.c tools/kztrace/names.c */
/* link: tools/kztrace/out.c tools/kztrace/pieces.c tools/kztrace/range.c */
/* link: tools/kztrace/replay.c tools/kztrace/replay_job.c tools/kztrace/report.c */
/* link: tools/kztrace/report_miss.c tools/kztrace/report_print.c tools/kztrace/stat.c */
/* link: tools/kztrace/svg.c tools/kztrace/timeline.c tools/kztrace/timeline_draw.c */
/* link: tools/kztrace/timeline_marks.c tools/kztrace/timeline_zoom.c tools/kztrace/when.c */
/* link: tools/kztrace/why.c */
/*
 * kztrace on files that are spoilt: a whole file; or behind a right header, parts byte by byte,
 * or records that are small numbers, which the state machine takes seriously. What is told of
 * them must be possible (tests/host/kztrace_bed.h), and no command dies of them.
 */
#include <getopt.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/kztrace_bed.h"

#define STEP	 6u	/* bytes of the input for a record */
#define COMMANDS 0xc0u	/* from this first byte on, the commands too: they take ten times as long */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int kztrace_main(int argc, char **argv);

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__sanitizer_set_report_fd((void *)(intptr_t)dup(STDERR_FILENO));
	require(freopen("/dev/null", "w", stdout) != NULL);
	return 0;
}

static void command(const char *name, const char *path, bool output)
{
	char *argv[] = { strdup("kztrace"), strdup(name), strdup(path), strdup("-o"),
			 strdup("/dev/null"), NULL };

	optind = 0; /* all of getopt's state */
	(void)kztrace_main(output ? 5 : 3, argv);
	for (unsigned i = 0; i < 5; i++) {
		free(argv[i]);
	}
}

/* Times go on by small steps; types and vCPUs are most often those that there are. */
static void make_records(struct bed *b, const uint8_t *data, size_t size)
{
	static const uint8_t who[] = { BED_LINUX0, BED_HELLO, BED_LINUX1, BED_SERVO,
				       KZ_TRACE_NOBODY, 0x21 };
	uint64_t now[4] = { 1000, 1000, 1000, 1000 };

	for (; size >= STEP; size -= STEP, data += STEP) {
		uint32_t core = data[0] & 3u;
		unsigned type = data[1] & 0x7fu;

		b->next[core] += (data[0] >> 2 == 1) ? 3 : 0;
		now[core] += data[2];
		bed_one(b, core, now[core] - (((data[0] & 0x80) != 0) ? 7 : 0), type,
			who[data[3] % sizeof(who)], data[4],
			(type >= KZ_TRACE_QUICK) ? (uint32_t)now[core] + data[5] : data[5]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bed_check c;
	struct trace t;
	struct bed b;
	const char *path;

	if (size == 0) {
		return 0;
	}
	bed_init(&b);
	if (data[0] % 3 == 0) {
		b.size = 0;
		bed_add(&b, data + 1, size - 1);
	} else if (data[0] % 3 == 1) {
		bed_add(&b, data + 1, size - 1);
	} else {
		make_records(&b, data + 1, size - 1);
	}
	path = bed_path(&b, b.size);
	bed_quiet();
	if (trace_open(&t, path)) {
		require(bed_replay(&t, &c));
		(void)trace_close(&t);
		if (data[0] >= COMMANDS) {
			command("report", path, false);
			command("hist", path, true);
			command("timeline", path, true);
			command("json", path, true);
		}
	}
	bed_loud();
	bed_free(&b);
	return 0;
}
