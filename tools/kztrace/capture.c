/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kztrace capture: the rings of trace.h, read from outside. The machine's RAM is a file, which
 * is mapped; nothing in it is ever written. The machine may be running.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <kizami/trace.h>

#include "blob.h"
#include "capture_process.h"
#include "capture_ring.h"
#include "commands.h"
#include "file.h"

#define HEADER_SIZE   64u /* of an arm64 Image */
#define MAGIC_AT      56u
#define IMAGE_SIZE_AT 16u

/* Rings are looked at so often: while they fill up quickly, normally, and when nothing happens. */
#define POLL_FAST_US 50
#define POLL_US      200
#define POLL_IDLE_US 500
/* Records are taken when there are so many, or after so many polls. */
#define TAKE_MIN   256u
#define TAKE_POLLS 50u
/* How often it is seen whether the process is there, in polls. */
#define ALIVE_POLLS 20u

struct args {
	const char *ram, *image, *output;
	uint64_t base;
	bool has_base;
	long follow;    /* a process, or 0 */
	double seconds; /* or 0 */
};

/* A file as a whole: read, or mapped. */
struct whole {
	const uint8_t *data;
	size_t size;
};

struct core {
	struct ring ring;
	uint64_t seen;   /* so many records were there at the last poll */
	unsigned waited; /* polls since something was read */
};

struct capture {
	struct args args;
	struct whole ram, image;
	const struct kz_cfg *cfg; /* in the image */
	uint64_t ram_base;        /* physical address of the file's first byte */
	const struct kz_trace_mem *mem;
	struct core core[KZ_TRACE_CORES];
	uint32_t cores;
	uint64_t process; /* when the followed one was started; 0: it was not there */
	bool reset;       /* a ring has begun anew */
	FILE *out;
	struct kz_trace_record part[KZ_TRACE_CHUNK_RECORDS];
};

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	(void)number;
	told_to_end = 1;
}

static bool wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Say what is wrong; false, for those who return that. */
static bool wrong(const char *fmt, ...)
{
	va_list ap;

	fputs("kztrace: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

/* ---- Files ---- */

static bool whole_map(const char *path, struct whole *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = MAP_FAILED;
	struct stat st;

	if ((fd < 0) || (fstat(fd, &st) != 0)) {
		wrong("%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || (st.st_size == 0)) {
		wrong("%s: not a file with something in it", path);
	} else {
		out->size = (size_t)st.st_size;
		at = mmap(NULL, out->size, PROT_READ, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED) {
			wrong("%s: %s", path, strerror(errno));
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	out->data = (at == MAP_FAILED) ? NULL : at;
	return out->data != NULL;
}

/* The configuration in an image: on a page, and it says itself where it is. */
static const struct kz_cfg *cfg_find(const struct whole *image)
{
	for (size_t at = 0; at + sizeof(struct kz_cfg) <= image->size; at += KZ_PAGE_SIZE) {
		const struct kz_cfg *cfg = (const void *)(image->data + at);

		if ((cfg->magic == KZ_BLOB_MAGIC) && (cfg->blob_offset == at)) {
			return cfg;
		}
	}
	return NULL;
}

/* The image, and the configuration in it; NULL if there is none that is right. */
static const struct kz_cfg *image_open(struct capture *c)
{
	const char *path = c->args.image;
	const struct kz_cfg *cfg;
	struct blob_where where;
	uint64_t size;
	size_t avail;
	enum blob_err err;

	if (!whole_map(path, &c->image)) {
		return NULL;
	}
	if ((c->image.size < HEADER_SIZE) ||
	    (memcmp(c->image.data + MAGIC_AT, "ARM\x64", 4) != 0)) {
		wrong("%s: not a boot image (a Linux arm64 Image)", path);
		return NULL;
	}
	memcpy(&size, c->image.data + IMAGE_SIZE_AT, sizeof(size));
	if (c->image.size < size) {
		wrong("%s: it has %zu bytes of %" PRIu64 ": it is truncated", path, c->image.size,
		      size);
		return NULL;
	}
	cfg = cfg_find(&c->image);
	if (cfg == NULL) {
		wrong("%s: there is no configuration in it: kzc build makes images that have one",
		      path);
		return NULL;
	}
	avail = c->image.size - (size_t)cfg->blob_offset;
	err = blob_check(cfg, avail, &where);
	if (err != BLOB_OK) {
		wrong("%s: its configuration: %s", path, blob_strerror(err));
		return NULL;
	}
	return cfg;
}

/* What is at a physical address, if all of size bytes are in the file; else NULL. */
static const void *ram_at(const struct capture *c, uint64_t pa, uint64_t size)
{
	uint64_t at = pa - c->ram_base;

	if ((pa < c->ram_base) || (at > c->ram.size) || (size > c->ram.size - at)) {
		return NULL;
	}
	return c->ram.data + at;
}

static bool ram_open(struct capture *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	if (!whole_map(c->args.ram, &c->ram)) {
		return false;
	}
	c->ram_base = c->args.has_base ? c->args.base : c->cfg->image_pa - KZ_TEXT_OFFSET;
	c->mem = ram_at(c, m->trace_pa, blob_trace_size(m));
	if ((c->mem == NULL) || ((c->ram_base % KZ_PAGE_SIZE) != 0)) {
		return wrong("%s: it has RAM from 0x%" PRIx64 " to 0x%" PRIx64
			     ", but the trace of %s is at 0x%" PRIx64,
			     c->args.ram, c->ram_base, c->ram_base + c->ram.size - 1, c->args.image,
			     m->trace_pa);
	}
	return true;
}

/* ---- Rings ---- */

/* Has the hypervisor begun its trace? */
static bool trace_has_begun(const struct capture *c)
{
	return __atomic_load_n(&c->mem->magic, __ATOMIC_ACQUIRE) == KZ_TRACE_MAGIC;
}

/* The trace is there: is it the one that the image says? Then the rings. */
static bool rings_open(struct capture *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	const struct kz_trace_mem *mem = c->mem;
	uint64_t ring_size = (uint64_t)m->trace_chunks * KZ_TRACE_CHUNK;

	if (mem->version != KZ_TRACE_VERSION) {
		return wrong("%s: the trace has version %u, this kztrace knows %u", c->args.ram,
			     mem->version, KZ_TRACE_VERSION);
	}
	if ((mem->core_count != m->cpu_count) || (mem->chunks != m->trace_chunks) ||
	    (mem->mode != m->trace_mode) || (mem->hz == 0)) {
		return wrong("%s: the trace is not that of %s: %u cores, %u chunks, not %u and %u",
			     c->args.ram, c->args.image, mem->core_count, mem->chunks, m->cpu_count,
			     m->trace_chunks);
	}
	c->cores = m->cpu_count;
	for (uint32_t i = 0; i < c->cores; i++) {
		const struct kz_trace_head *head = ram_at(c, mem->head_pa[i], sizeof(*head));

		if ((head == NULL) || ((mem->head_pa[i] % 8) != 0)) {
			return wrong("%s: the head of core %u's ring is at 0x%" PRIx64
				     ", not in this RAM",
				     c->args.ram, i, mem->head_pa[i]);
		}
		ring_init(&c->core[i].ring, head,
			  (const void *)((const uint8_t *)mem + KZ_PAGE_SIZE + i * ring_size),
			  m->trace_chunks);
	}
	return true;
}

static bool part_write(struct capture *c, uint32_t core, uint64_t index, uint64_t count)
{
	struct kz_trace_part part = { .core = core, .count = (uint32_t)count, .index = index };

	if ((fwrite(&part, sizeof(part), 1, c->out) != 1) ||
	    (fwrite(c->part, sizeof(c->part[0]), count, c->out) != count)) {
		return wrong("%s: %s", c->args.output, strerror(errno));
	}
	return true;
}

/* Take what a core's ring has, of count. False: the file cannot be written. */
static bool core_take(struct capture *c, struct core *core, uint64_t count)
{
	while (core->ring.pos < count) {
		uint64_t index;
		uint64_t n = ring_read(&core->ring, count, c->part, &index);

		if ((n > 0) && !part_write(c, (uint32_t)(core - c->core), index, n)) {
			return false;
		}
	}
	core->waited = 0;
	return true;
}

/* ---- The machine ---- */

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Is there more to come, after that many polls? */
static bool goes_on(const struct capture *c, unsigned polls, double end)
{
	if (told_to_end || ((c->args.follow == 0) && (now_s() >= end))) {
		return false;
	}
	if ((c->args.follow == 0) || ((polls % ALIVE_POLLS) != 0)) {
		return true;
	}
	return (c->process != 0) && (process_start(c->args.follow) == c->process);
}

static bool header_write(struct capture *c)
{
	static const uint8_t zeros[8];
	uint32_t pad = (8 - c->cfg->size % 8) % 8;
	struct kz_trace_file header = { .version = KZ_TRACE_VERSION,
					.blob_size = c->cfg->size + pad,
					.hz = c->mem->hz,
					.core_count = c->cores };

	memcpy(header.magic, "KZTRACE\n", sizeof(header.magic));
	if ((fwrite(&header, sizeof(header), 1, c->out) != 1) ||
	    (fwrite(c->cfg, c->cfg->size, 1, c->out) != 1) ||
	    (fwrite(zeros, 1, pad, c->out) != pad)) {
		return wrong("%s: %s", c->args.output, strerror(errno));
	}
	return true;
}

/* One look at all rings. *fresh is how many records the busiest has had since the last one. */
static bool rings_poll(struct capture *c, bool last, uint64_t *fresh)
{
	*fresh = 0;
	for (uint32_t i = 0; i < c->cores; i++) {
		struct core *core = &c->core[i];
		uint64_t count, have;

		if (!ring_count(&core->ring, &count)) {
			continue;
		}
		/* A ring that has stopped goes back by one, again and again. */
		c->reset = c->reset || (count + 1 < core->seen);
		have = (count > core->ring.pos) ? count - core->ring.pos : 0;
		*fresh = (count > core->seen + *fresh) ? count - core->seen : *fresh;
		core->seen = count;
		core->waited += (have > 0) ? 1 : 0;
		if ((have > 0) && (last || (have >= TAKE_MIN) || (core->waited >= TAKE_POLLS)) &&
		    !core_take(c, core, count)) {
			return false;
		}
	}
	return true;
}

/* The trace is there: begin with what the rings still have. */
static bool rings_begin(struct capture *c)
{
	if (!rings_open(c) || !header_write(c)) {
		return false;
	}
	for (uint32_t i = 0; i < c->cores; i++) {
		ring_begin(&c->core[i].ring);
	}
	return true;
}

static useconds_t pause_us(const struct capture *c, uint64_t fresh)
{
	if (fresh > c->core[0].ring.capacity / 16) {
		return POLL_FAST_US;
	}
	return (fresh > 0) ? POLL_US : POLL_IDLE_US;
}

/* All records until the machine ends; or what there is, if nothing is to be waited for. */
static bool rings_follow(struct capture *c)
{
	bool wait = (c->args.follow != 0) || (c->args.seconds > 0);
	double end = now_s() + c->args.seconds;
	bool begun = false;

	for (unsigned polls = 0;; polls++) {
		bool last = !wait || c->reset || !goes_on(c, polls, end);
		uint64_t fresh = 0;

		if (!begun && trace_has_begun(c)) {
			if (!rings_begin(c)) {
				return false;
			}
			begun = true;
		}
		if (begun && !rings_poll(c, last, &fresh)) {
			return false;
		}
		if (last) {
			break;
		}
		usleep(pause_us(c, fresh));
	}
	return begun ||
	       wrong("%s: there is no trace at 0x%" PRIx64 ": the system of %s has not started "
		     "in this RAM",
		     c->args.ram, c->cfg->machine.trace_pa, c->args.image);
}

/* What was taken and what was not. False if that means that something is wrong. */
static bool summary(struct capture *c)
{
	uint64_t taken = 0, lost = 0, older = 0, dropped = 0;
	bool ok = true;

	for (uint32_t i = 0; i < c->cores; i++) {
		struct ring *r = &c->core[i].ring;
		uint64_t index;

		/* A stopped ring's newest record is in its last place, in place of all since. */
		if (ring_read_newest(r, c->part, &index) && !part_write(c, i, index, 1)) {
			return false;
		}
		taken += r->read;
		lost += r->lost;
		older += r->older;
		dropped += r->dropped;
		if (r->damaged) {
			ok = wrong("%s: the head of core %u's ring is damaged", c->args.ram, i);
		}
	}
	printf("%s: %" PRIu64 " records of %u cores, ", c->args.output, taken, c->cores);
	printf((lost == 0) ? "none lost" : "%" PRIu64 " lost", lost);
	if (older != 0) {
		printf("; %" PRIu64 " older ones were overwritten before", older);
	}
	if (dropped != 0) {
		printf("; the trace had stopped: %" PRIu64 " later ones were not kept", dropped);
	}
	fputs(c->reset ? "; the machine was reset\n" : "\n", stdout);
	if (lost != 0) {
		puts("The rings came round before they could be read: trace { size = 512K } in the "
		     "configuration\nmakes them larger.");
	}
	return ok;
}

/* ---- The command ---- */

/* False, for those who return that. */
static bool usage(const char *what, const char *word)
{
	wrong("%s%s", what, word);
	(void)command_usage("capture");
	return false;
}

static bool number_read(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return (text[0] >= '0') && (text[0] <= '9') && (*end == '\0') && (errno == 0);
}

/* One option; NULL, or what is wrong with it. */
static const char *option_take(struct args *a, int opt)
{
	uint64_t pid = 0;
	char *end;

	switch (opt) {
	case 'i':
		a->image = optarg;
		return NULL;
	case 'o':
		a->output = optarg;
		return NULL;
	case 'b':
		a->has_base = true;
		return number_read(optarg, &a->base) ? NULL : "--base is an address, not ";
	case 'f':
		if (!number_read(optarg, &pid) || (pid == 0) || (pid > INT32_MAX)) {
			return "--follow is a process, not ";
		}
		a->follow = (long)pid;
		return NULL;
	default:
		a->seconds = strtod(optarg, &end);
		return ((end != optarg) && (*end == '\0') && (a->seconds > 0) && (a->seconds < 1e9))
			       ? NULL
			       : "--seconds is a time, not ";
	}
}

/* Whether to go on; if not, the code to exit with. */
static bool args_read(struct args *a, int argc, char **argv, int *code)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },
		{ "output", required_argument, NULL, 'o' },
		{ "base", required_argument, NULL, 'b' },
		{ "follow", required_argument, NULL, 'f' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*code = EXIT_USAGE;
	optind = 0; /* somebody may have used it before */
	while ((opt = getopt_long(argc, argv, ":i:o:h", options, NULL)) != -1) {
		const char *error = NULL;

		if (opt == 'h') {
			*code = command_help("capture");
			return false;
		}
		if ((opt == '?') || (opt == ':')) {
			return usage((opt == '?') ? "unknown option " : "a value is missing for ",
				     argv[optind - 1]);
		}
		error = option_take(a, opt);
		if (error != NULL) {
			return usage(error, optarg);
		}
	}
	if (argc - optind != 1) {
		return usage("there is one file of RAM", "");
	}
	a->ram = argv[optind];
	if (a->image == NULL) {
		return usage("-i IMAGE is missing", "");
	}
	if (a->output == NULL) {
		return usage("-o FILE is missing", "");
	}
	if ((a->follow != 0) && (a->seconds > 0)) {
		return usage("--follow and --seconds are for one time each", "");
	}
	return true;
}

static bool is_file(const char *path)
{
	struct stat st;

	return (lstat(path, &st) == 0) && S_ISREG(st.st_mode);
}

static bool capture_run(struct capture *c)
{
	struct sigaction action = { .sa_handler = on_signal };
	bool ok;

	c->cfg = image_open(c);
	if ((c->cfg == NULL) || !ram_open(c)) {
		return false;
	}
	c->out = fopen(c->args.output, "wb");
	if (c->out == NULL) {
		return wrong("%s: %s", c->args.output, strerror(errno));
	}
	setvbuf(c->out, NULL, _IOFBF, 1u << 20);
	told_to_end = 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	process_hurry();
	c->process = (c->args.follow == 0) ? 0 : process_start(c->args.follow);
	ok = rings_follow(c);
	if (ok) {
		ok = summary(c);
	} else if ((ftello(c->out) == 0) && is_file(c->args.output)) {
		unlink(c->args.output); /* nothing is in it */
	}
	if (fclose(c->out) != 0) {
		ok = wrong("%s: %s", c->args.output, strerror(errno));
	}
	return ok;
}

int capture_main(int argc, char **argv)
{
	struct capture *c = calloc(1, sizeof(*c));
	int code;

	if (c == NULL) {
		wrong("out of memory");
		return EXIT_WRONG;
	}
	if (args_read(&c->args, argc, argv, &code)) {
		code = capture_run(c) ? EXIT_SUCCESS : EXIT_WRONG;
	}
	if (c->ram.data != NULL) {
		munmap((void *)(uintptr_t)c->ram.data, c->ram.size);
	}
	if (c->image.data != NULL) {
		munmap((void *)(uintptr_t)c->image.data, c->image.size);
	}
	free(c);
	return code;
}
