/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that manages another, and has its calls counted from outside (tools/plugins/calls.c).
 * The other one, the target, comes and goes in the memory of the image's second VM.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include <kizami/control.h>

#include "bench.h"

#pragma GCC visibility push(hidden)

#define TARGET_IPA	0x60000000ull	/* where nothing else is in this guest's addresses */
#define KIB		1024u
#define MIB		(1024u * KIB)
#define PAGE		KZ_PAGE_SIZE
#define SMALL		(256u * KIB)	/* memory of a target where it is not measured */

/* What is counted; main.c has the names of the rows. */
enum row {
	NOT_COUNTED,
	MACHINE, CONFIG, VM, VCPU, REGISTERS, TRACE, LOG, READ, CONSOLE_READ, CONSOLE_READ_MOST,
	CONSOLE_WRITE, CONSOLE_WRITE_MOST,
	REGISTER, REGISTER_MOST, FILL, START, PAUSE, RESUME, SHUTDOWN, RESET, STOP, DESTROY,
	ATTACH, DETACH, WATCHDOG, EVENTS,
	RESET_SPINS, STOP_SPINS, PAUSE_SPINS, RESET_SLEEPS, STOP_SLEEPS, PAUSE_SLEEPS,
	START_FIRST, START_AGAIN, RESET_TO, BACK, BACK_ZERO, BACK_LOAD,
	ROWS
};

/* What the target does. */
enum mode { SLEEPS, SPINS, PRINTS };

/* One that is to be registered. */
struct plan {
	uint64_t ram, image;	/* bytes */
	uint64_t watchdog_ns;
	enum mode mode;
};

/* calls.S */
void control_call(uint64_t x[5], uint64_t row, uint64_t watched);
void control_settled(void);
void control_value(uint64_t row, uint64_t value);
extern const char target_begin[], target_mode[], target_end[];

/* target.c: calls; the target of a plan comes and goes. `row`: whose call it is, or 0. */
int64_t call(enum row row, uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
int64_t verb(enum row row, enum kz_verb what);
int64_t inspect(enum row row, enum kz_inspect what, uint64_t which);
void rest(uint64_t ticks);
uint64_t now(void);				/* since power-on */
bool target_prepare(void);			/* the image's VM goes, its memory is ours */
bool target_create(const struct plan *plan);	/* registered and filled */
uint64_t target_wait(uint64_t before);		/* its first instruction's time; not `before` */
bool target_state(enum kz_vm_state state);	/* waits for it */
bool target_destroy(void);
extern uint64_t target;				/* its place */
extern uint64_t call_answer;			/* x1 of the last call */
extern uint64_t buffer[];			/* what calls read and write: 4 KiB */
extern struct kz_cfg_vm template;		/* of the image's VM */
extern uint64_t pool;				/* its memory */

/* The measurements. */
void bench_own(void);				/* looks.c */
void bench_looks(void);
void bench_verbs(void);				/* verbs.c */
void bench_most(void);
void bench_revoke(void);			/* times.c */
void bench_starts(void);

#pragma GCC visibility pop

#endif
