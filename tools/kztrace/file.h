/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace's file, read in bounded memory: the records of all cores in the order of
 * their times. Memory: 16 bytes for each TRACE_BLOCK of the file (64 KiB for 1 GiB)
 * and TRACE_WINDOW bytes for each core.
 */
#ifndef KZTRACE_FILE_H
#define KZTRACE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kizami/blob.h>
#include <kizami/trace.h>

#define EXIT_WRONG 1 /* what was read is wrong, or could not be written */
#define EXIT_USAGE 2 /* how kztrace was called is wrong */

#define TRACE_BLOCK  0x40000u
#define TRACE_WINDOW 0x9000u

/* One record, and where it comes from. */
struct trace_item {
	struct kz_trace_record rec;
	uint32_t core;
	uint64_t index;	 /* in its core's ring, since power-on */
	uint64_t offset; /* in the file, in bytes */
	uint64_t lost;	 /* records of this core missing directly before it */
};

/* Of a core: what the index pass found, and where the merge is. */
struct trace_core {
	uint64_t records;     /* in the file, complete */
	uint64_t first_index; /* older ones were overwritten before they were read */
	uint64_t next_index;  /* behind the last one in the file */
	uint64_t first_time, last_time;
	uint64_t lost; /* in the middle */
	uint64_t first_at, last_at; /* the offsets of these two */
	/* the merge */
	struct trace_item item; /* the core's next one, if it has one */
	bool has_item;
	uint64_t next;	       /* the index that follows without a gap */
	uint64_t part_index;   /* of the next record in its part */
	uint32_t left;	       /* records of the part */
	uint64_t at;	       /* the next record's, or the next part's offset */
	size_t block;	       /* being looked at */
	uint64_t window_at;    /* what of the file is in the window */
	size_t window_size;
	uint8_t *window;
};

struct trace {
	const char *path;
	uint64_t hz; /* ticks a second */
	uint32_t core_count;
	const struct kz_cfg *cfg;  /* checked by blob_check */
	uint64_t records;	   /* of all cores */
	uint64_t begin, end;	   /* the first records' and the last ones' times, of all cores */
	uint64_t size;		   /* of the file, when it was opened */
	uint64_t truncated;	   /* 0, or the offset behind the last complete record */
	uint64_t bad, bad_offset;  /* records that make no sense, the first one's offset */
	const char *bad_reason;
	bool failed; /* a message was printed */
	struct trace_core core[KZ_TRACE_CORES];
	/* private */
	uint64_t parts; /* the first one's offset */
	int fd;
	struct trace_block *block;
	size_t block_count;
	uint64_t done; /* records given so far */
	int percent;   /* shown last; -1: nothing is shown */
};

/*
 * trace_open - open a file and look at all of its parts' headers. False: what is
 * wrong was printed, with the offset, and nothing is open. A file whose end is
 * missing opens: trace_close tells.
 */
bool trace_open(struct trace *t, const char *path) __attribute__((warn_unused_result));

/*
 * trace_next - the next record of all cores: by time, of the same time by core. The
 * order within a core is the file's, even where time goes back there. False: that
 * was all, or the file could not be read (a message was printed; trace_close tells).
 */
bool trace_next(struct trace *t, struct trace_item *item);

/* trace_rewind - begin again with the first record. */
void trace_rewind(struct trace *t);

/* trace_bad - note that a record makes no sense; trace_close prints the first one and how many. */
void trace_bad(struct trace *t, const struct trace_item *item, const char *reason);

/*
 * trace_close - close it; print what was wrong: truncated, records without sense.
 * Returns EXIT_SUCCESS or EXIT_WRONG: the exit code of a command whose output is complete.
 */
int trace_close(struct trace *t);

/*
 * trace_may_stop - may the core's ring have stopped behind its last record in the file? One
 * that is stopped is so at the end of a chunk: its last place is written again and again.
 */
static inline bool trace_may_stop(const struct trace_core *c)
{
	return ((c->next_index + 1) % KZ_TRACE_CHUNK_RECORDS) <= 1;
}

/* ---- vCPUs, as KZ_TRACE_VCPU(vm, vcpu) ---- */

#define TRACE_VM(id)   ((unsigned)(id) >> 4)
#define TRACE_CPU(id)  ((unsigned)(id)&15u)
#define TRACE_SLOTS    (KZ_VMS_MAX * KZ_VCPUS_MAX)
#define TRACE_SLOT(id) (TRACE_VM(id) * KZ_VCPUS_MAX + TRACE_CPU(id)) /* of an array */

/* trace_has_vcpu - is there such a vCPU in the configuration? */
bool trace_has_vcpu(const struct trace *t, uint8_t id);

/* trace_vcpu_core - the core of a vCPU that there is. */
uint32_t trace_vcpu_core(const struct trace *t, uint8_t id);

/* trace_vm_name - the name of a VM that there is. */
const char *trace_vm_name(const struct trace *t, unsigned vm);

/* trace_vcpu_name - "vision", or "linux/1" where the VM has several vCPUs; "-" for NOBODY. */
const char *trace_vcpu_name(const struct trace *t, uint8_t id);

/* trace_vm_find - the index of the VM of that name, or -1. */
int trace_vm_find(const struct trace *t, const char *name);

/* ---- Units ---- */

/* trace_ns - ticks in ns, rounded down; saturates. */
uint64_t trace_ns(const struct trace *t, uint64_t ticks);

/* trace_time - a time that is long enough for what it says: "812 ns", "13.250 us". A static buffer
 * of eight in turn. */
const char *trace_time(uint64_t ns);

#endif
