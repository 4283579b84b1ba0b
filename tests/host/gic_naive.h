/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle: a GIC as a guest sees it, each interrupt on its own, without list
 * registers or caches. It shares no code with the model that it judges.
 */
#ifndef GIC_NAIVE_H
#define GIC_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#define NAIVE_VMS	3u
#define NAIVE_CPUS	4u
#define NAIVE_LINES	96u		/* INTIDs */
#define NAIVE_NEST	64u
#define NAIVE_NOBODY	0xffu
#define NAIVE_BARE	1023u		/* naive_run.iar: the guest wrote the priority itself */
#define NAIVE_IDLE	0x100u		/* a priority below all */

struct naive_irq {
	bool enabled, group1, edge, latch, line, active;
	bool hw;			/* has a physical twin */
	bool hw_pending, hw_active;	/* the twin's event is what is pending, active */
	bool racing;			/* changed by another vCPU since all were in step */
	bool adopt;			/* and the guest acted meanwhile: either order is right */
	uint8_t prio;
	uint8_t sources;		/* version 2: who has this SGI pending */
	uint8_t cpu;			/* SPI: target */
	uint32_t route;			/* SPI: ITARGETSR byte or IROUTER */
};

/* An interrupt that a guest has acknowledged and not ended, or a priority alone. */
struct naive_run {
	uint32_t iar;
	uint32_t prio;
	bool dropped;			/* EOImode 1: EOI is written, DIR is not */
};

struct naive_cpu {
	struct naive_irq own[32];
	struct naive_run run[NAIVE_NEST];
	uint32_t run_count;
	uint32_t pmr;
	bool eoimode;
};

struct naive {
	bool v3;
	uint32_t cpus;
	uint32_t ctlr;
	struct naive_cpu cpu[NAIVE_CPUS];
	struct naive_irq spi[NAIVE_LINES];	/* from entry 32 */
};
extern struct naive *naive;		/* the VM of which all below is */

void naive_use(uint32_t vm);

/* This VM is as after reset; which SPIs have twins, and are edges, is then up to the test. */
void naive_reset(bool v3, uint32_t cpus);

struct naive_irq *naive_irq(uint32_t cpu, uint32_t intid);
bool naive_pending(const struct naive_irq *q);

/* The priority that runs on cpu, or NAIVE_IDLE. */
uint32_t naive_running(uint32_t cpu);
/* Would cpu take it now? */
bool naive_takes(uint32_t cpu, uint32_t intid);
/* The best priority of what cpu would take, or NAIVE_IDLE. */
uint32_t naive_best(uint32_t cpu);
/* How many interrupts are active that concern cpu, on its stack or not. */
uint32_t naive_active_count(uint32_t cpu);

/* cpu acknowledges iar. */
void naive_ack(uint32_t cpu, uint32_t iar);
/* cpu drops the priority of its entry `i`, or ends it, or both. */
void naive_eoi(uint32_t cpu, uint32_t i);
void naive_dir(uint32_t cpu, uint32_t i);

/* Raise an SGI. */
void naive_sgi(uint32_t from, uint32_t to, uint32_t intid);
/* Write one bit of the register at GICD_ offset `reg`. */
void naive_bit(uint32_t cpu, uint32_t reg, uint32_t intid);
/* What cpu reads from the word of INTIDs 32 * bank and up at GICD_ offset `reg`. */
uint32_t naive_bits(uint32_t cpu, uint32_t reg, uint32_t bank);
/* Priority bytes and targets, as a word. */
uint32_t naive_word(uint32_t cpu, uint32_t reg, uint32_t intid);

#endif
