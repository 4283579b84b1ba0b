/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt model and the oracle in lockstep: guests, devices and the other
 * cores' delays by dice.
 */
#ifndef VGIC_DICE_H
#define VGIC_DICE_H

#include "vgic_bed.h"

/* How guests end interrupts; what list registers cannot tell apart is left out (caveats). */
enum style {
	NEST,		/* as deep as priorities allow; EOI ends */
	SOFT,		/* software sets and clears active */
	SPLIT,		/* EOI drops, DIR ends, in any order */
};

struct vgic_run {
	bool v3;
	uint32_t vms;		/* more than one share the cores */
	uint32_t cpus;
	uint8_t lrs;
	enum style style;
	uint32_t early;		/* percent of acknowledges that do not wait for other cores */
	bool groups;		/* both are used */
	bool steady;		/* few registers are written */
	bool quiet;		/* and few interrupts come: guests mostly wait */
};
extern struct vgic_run run;

/* What was reached, so that the dice are known to roll. */
struct vgic_seen {
	uint64_t acks, early, nested, sources, checks, fires, again;
	uint64_t waits, quick, half, slow, fired, late, waited;
};
extern struct vgic_seen seen;

/* A machine as `run` says goes for so many steps, comes to rest and is compared. */
void dice_run(uint32_t seed, uint32_t ops);

#endif
