/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's text, taken apart: each value as it was written, with its line. */
#ifndef KZC_CONF_H
#define KZC_CONF_H

#include "diag.h"

/* How many are read, so that "too many" can be said of them. */
#define CONF_VMS_MAX   64u
#define CONF_CORES_MAX 32u

struct conf_text {
	const char *s; /* NULL: not given */
	int line;
};

struct conf_list {
	struct conf_text *item;
	unsigned count;
	int line; /* 0: not given */
};

/* The keys are explained in docs/config.md. */
struct conf_core {
	struct conf_text name; /* its number, as it was written */
	struct conf_text reserve;
};

struct conf_realtime {
	struct conf_text budget, period, deadline, on_miss, on_overrun, policy;
	struct conf_list tasks;
	int line; /* 0: there is no such section */
};

struct conf_watchdog {
	struct conf_text timeout, armed, device;
	int line; /* 0: there is no such section */
};

struct conf_vm {
	struct conf_text name;
	struct conf_text level, memory, memory_at, image, ramdisk, cmdline, dtb;
	struct conf_text dma, console, on_fault, sgi;
	struct conf_text gicd_at, gicc_at, gicr_at, console_at;
	struct conf_text trace_at, watchdog_at;
	struct conf_text weight, restart, backoff, backoff_max;
	struct conf_list cpus, devices, clocks, control;
	struct conf_realtime realtime;
	struct conf_watchdog watchdog;
};

/* The trace's rings. */
struct conf_trace {
	struct conf_text size, when_full, on_crash;
	int line; /* 0: there is no such section */
};

struct conf {
	struct conf_text board, cores, ram, nrt_reserve;
	struct conf_core core[CONF_CORES_MAX];
	unsigned core_count;
	struct conf_trace trace;
	struct conf_vm vm[CONF_VMS_MAX];
	unsigned vm_count;
};

/* A board file (boards/NAME.conf). */
struct conf_board {
	struct conf_text dtb, qemu, ram, gic_lines, console;
	struct conf_text block, switch_cost, interrupt_cost;
	struct conf_list clocks;
};

/*
 * conf_parse, conf_parse_board - parse text (NUL-ended, size bytes; it is changed). What is
 * wrong goes to d; false when the text could not be read to its end.
 */
bool conf_parse(struct diag *d, char *text, size_t size, struct conf *out);
bool conf_parse_board(struct diag *d, char *text, size_t size, struct conf_board *out);

/* conf_number - "123", "0x7b". False when it is not one. */
bool conf_number(const char *text, uint64_t *out);

/* conf_size - a number of bytes; K, M and G are powers of 1024. */
bool conf_size(const char *text, uint64_t *out);

/* conf_rate - a frequency in Hz; K, M and G are powers of 1000, "Hz" may follow. */
bool conf_rate(const char *text, uint64_t *out);

/* conf_time - a time in ns: "2.5ms"; the units are ns, us, ms and s, and one must be given. */
bool conf_time(const char *text, uint64_t *out);

/* conf_share - a part of a whole in millionths: "12.5%", 0 to 100 %. */
bool conf_share(const char *text, uint32_t *out);

/*
 * conf_clock - "NODE = RATE" or "NODE WHICH = RATE", taken apart; which is "" when it is not
 * there. False when it is neither, or when the rate is 0 or beyond 32 bits.
 */
bool conf_clock(struct mem *mem, const char *text, const char **node, const char **which,
		uint64_t *rate);

#endif
