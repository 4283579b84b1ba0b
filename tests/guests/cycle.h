/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of warden.c: VMs that come and go at random, thousands of times. What the hypervisor
 * answers is compared with what is known here of each VM. Who finds VMs of an earlier instance of
 * itself, destroys them first.
 */
#ifndef CYCLE_H
#define CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include <kizami/control.h>

#include "console.h"
#include "line.h"

#define CYCLE_PLANS	3u		/* NRT, SRT, HRT */
#define CYCLE_PIECE	0x400000u	/* of memory: RAM and store of one VM */
#define CYCLE_CORES	4u
#define CYCLE_IRQS	64u
#define CYCLE_END	'q'		/* typed: no more */

/* In this order they are the words of the command. */
struct cycle {
	uint64_t seed, count;
	uint64_t pool, pieces;		/* free memory */
	uint64_t first;			/* places from there on are free */
	uint64_t soft, hard;		/* cores that may be shared; that an HRT VM may have */
	uint64_t irq;			/* INTIDs from there on are free: CYCLE_IRQS */
	struct {
		uint64_t cfg, store, size;
	} plan[CYCLE_PLANS];
};

/* A VM of ours. */
struct cycle_vm {
	bool there, going;
	uint32_t cores;			/* a bit each */
	uint64_t irqs;			/* a bit each */
	uint32_t piece, plan;
};

static struct cycle_vm cycle_vm[KZ_VMS_MAX];
static struct kz_cfg_vm cycle_cfg;
static struct kz_vm_info cycle_info;
static uint64_t cycle_gone;		/* in whose place another came before it was looked at */
static uint64_t cycle_state;
static uint64_t cycle_tried, cycle_refused;	/* registrations */

static inline int64_t cycle_call(uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
				 uint64_t *x1)
{
	register uint64_t x0 __asm__("x0") = fn;
	register uint64_t r1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;
	register uint64_t x4 __asm__("x4") = d;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(r1), "+r"(x2), "+r"(x3), "+r"(x4)::"memory");
	*x1 = r1;
	return (int64_t)x0;
}

/* xorshift64* (Vigna 2016). */
static inline uint32_t cycle_dice(uint32_t sides)
{
	cycle_state ^= cycle_state >> 12;
	cycle_state ^= cycle_state << 25;
	cycle_state ^= cycle_state >> 27;
	return (uint32_t)((cycle_state * 0x2545f4914f6cdd1dull >> 33) % sides);
}

static inline void cycle_say(const char *what, uint64_t a, int64_t b)
{
	struct line line;

	line_begin(&line);
	line_value(&line, what, a);
	line_text(&line, b < 0 ? " -" : " ");
	line_decimal(&line, (uint64_t)(b < 0 ? -b : b));
	line_print(&line);
}

/* The state of a place; KZ_VM_NONE: it is nobody's. */
static inline uint32_t cycle_look(uint32_t place)
{
	uint64_t x1;
	const int64_t error = cycle_call(KZ_HVC_INSPECT, KZ_INSPECT_VM, place,
					 (uintptr_t)&cycle_info, 0, &x1);

	return error == KZ_OK ? cycle_info.state : (uint32_t)KZ_VM_NONE;
}

/* May this one be there beside ours? `all`: beside those too that may be gone by now. */
static inline bool cycle_fits(const struct cycle *c, const struct cycle_vm *new, bool all)
{
	const bool hard = new->plan == 2;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		const struct cycle_vm *v = &cycle_vm[i];

		if (v->there && (all || !v->going) &&
		    (v->piece == new->piece || (v->irqs & new->irqs) != 0 ||
		     ((hard || v->plan == 2) && (v->cores & new->cores) != 0))) {
			return false;
		}
	}
	return (new->cores & ~(hard ? c->hard : c->soft)) == 0;
}

/* One core, or two. */
static inline uint32_t cycle_cores(void)
{
	cycle_cfg.vcpu_count = cycle_dice(4) == 0 ? 2 : 1;
	cycle_cfg.cpu[0] = (uint8_t)cycle_dice(CYCLE_CORES);
	cycle_cfg.cpu[1] = cycle_cfg.vcpu_count == 1 ? 0 :
			   (uint8_t)((cycle_cfg.cpu[0] + 1 + cycle_dice(CYCLE_CORES - 1)) %
				     CYCLE_CORES);
	return 1u << cycle_cfg.cpu[0] |
	       (cycle_cfg.vcpu_count == 2 ? 1u << cycle_cfg.cpu[1] : 0);
}

/* Up to three neighbours. */
static inline uint64_t cycle_irqs(const struct cycle *c)
{
	const uint32_t first = cycle_dice(CYCLE_IRQS - 3);
	uint64_t irqs = 0;

	cycle_cfg.irq_count = (uint8_t)cycle_dice(4);
	for (uint32_t i = 0; i < cycle_cfg.irq_count; i++) {
		cycle_cfg.irq[i].intid = (uint32_t)c->irq + first + i;
		cycle_cfg.irq[i].flags = cycle_dice(2) * KZ_IRQ_EDGE;
		irqs |= 1ull << (first + i);
	}
	return irqs;
}

static inline void cycle_server(uint32_t plan)
{
	struct kz_cfg_server *s = &cycle_cfg.server;

	if (plan != 2) {
		s->weight = 1 + cycle_dice(2 * KZ_WEIGHT_DEFAULT);	/* we are in a hurry */
	}
	if (plan == 1) {
		s->period_ns = 5000000 + cycle_dice(20000000);
		s->deadline_ns = s->period_ns;
		s->budget_ns = 100000 + cycle_dice(4000000);
	}
}

/* Nobody serves it: who has a watchdog fails, and comes again or not. */
static inline void cycle_health(void)
{
	cycle_cfg.restart = (uint8_t)cycle_dice(KZ_RESTARTS);
	cycle_cfg.backoff_ms = cycle_dice(3);
	cycle_cfg.backoff_max_ms = 4 * cycle_cfg.backoff_ms;
	cycle_cfg.watchdog_ns = cycle_dice(4) != 0 ? 0 : 100000 + cycle_dice(10000000);
}

/* A configuration at random, of a template: its memory, cores, interrupts, share. */
static inline struct cycle_vm cycle_make(const struct cycle *c)
{
	const uint32_t plan = cycle_dice(CYCLE_PLANS), piece = cycle_dice((uint32_t)c->pieces);
	struct cycle_vm new = { .there = true, .piece = piece, .plan = plan };
	uint64_t at = c->pool + (uint64_t)piece * CYCLE_PIECE + cycle_dice(64) * 4096u;

	cycle_cfg = *(const struct kz_cfg_vm *)c->plan[plan].cfg;
	cycle_cfg.name[0] = (char)('a' + piece % 26);	/* no two with the same */
	for (uint32_t i = 0; i < cycle_cfg.region_count; i++) {
		struct kz_cfg_region *r = &cycle_cfg.region[i];

		if (r->type == KZ_REGION_RAM || r->type == KZ_REGION_STORE) {
			r->pa = at;
			at += r->size;
		}
	}
	new.cores = cycle_cores();
	new.irqs = cycle_irqs(c);
	cycle_server(plan);
	cycle_health();
	return new;
}

static inline bool cycle_fill(const struct cycle *c, uint32_t place, uint32_t plan)
{
	const uint64_t size = c->plan[plan].size;
	uint64_t x1;

	for (uint64_t at = 0; at < size; at += KZ_CONTROL_BYTES) {
		const uint64_t rest = size - at;

		if (cycle_call(KZ_HVC_FILL, place, at, c->plan[plan].store + at,
			       rest < KZ_CONTROL_BYTES ? rest : KZ_CONTROL_BYTES, &x1) != KZ_OK) {
			cycle_say("cycle: fill ", place, (int64_t)at);
			return false;
		}
	}
	return true;
}

static inline bool cycle_create(const struct cycle *c)
{
	const struct cycle_vm new = cycle_make(c);
	const bool surely = cycle_fits(c, &new, true), perhaps = cycle_fits(c, &new, false);
	uint64_t x1;
	const int64_t error = cycle_call(KZ_HVC_REGISTER, (uintptr_t)&cycle_cfg, 0, 0, 0, &x1);

	cycle_tried++;
	if (error == KZ_ENOMEM || (error == KZ_ELOAD && new.plan == 1) ||
	    (error == KZ_EINVAL && !surely)) {
		cycle_refused++;
		return true;
	}
	if (error != KZ_OK || !perhaps || x1 >= KZ_VMS_MAX ||
	    (cycle_vm[x1].there && !cycle_vm[x1].going)) {
		cycle_say("cycle: register ", x1, error);
		return false;
	}
	cycle_gone += cycle_vm[x1].there;
	cycle_vm[x1] = new;
	if (cycle_dice(16) == 0) {
		return true;			/* its store is as it was */
	}
	if (!cycle_fill(c, (uint32_t)x1, new.plan)) {
		return false;
	}
	return cycle_dice(8) == 0 ||
	       cycle_call(KZ_HVC_CONTROL, x1, KZ_VERB_START, 0, 0, &x1) == KZ_OK;
}

/* A verb: what states it may come in is control.h's. */
static inline bool cycle_verb(struct cycle_vm *v, uint32_t place)
{
	static const uint8_t verbs[] = {
		KZ_VERB_START, KZ_VERB_PAUSE, KZ_VERB_RESUME, KZ_VERB_STOP, KZ_VERB_RESET,
		KZ_VERB_DESTROY, KZ_VERB_DESTROY, KZ_VERB_DESTROY,
	};
	const uint32_t verb = verbs[cycle_dice(sizeof(verbs))];
	uint64_t x1;
	const int64_t error = cycle_call(KZ_HVC_CONTROL, place, verb, 0, 0, &x1);

	if (error != KZ_OK && error != KZ_EBUSY && !(v->going && error == KZ_ENOENT)) {
		cycle_say("cycle: verb ", verb, error);
		return false;
	}
	v->going |= verb == KZ_VERB_DESTROY && error == KZ_OK;
	return true;
}

/* Who was to go is gone: how many. */
static inline uint32_t cycle_collect(void)
{
	uint32_t gone = 0;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		if (cycle_vm[i].going && cycle_look(i) == KZ_VM_NONE) {
			cycle_vm[i] = (struct cycle_vm){ 0 };
			gone++;
		}
	}
	return gone;
}

/* All of ours go. */
static inline bool cycle_end(uint64_t *gone, uint64_t *left)
{
	uint64_t x1;
	bool good = true;

	for (uint32_t i = 0; good && i < KZ_VMS_MAX; i++) {
		if (cycle_vm[i].there && !cycle_vm[i].going) {
			good = cycle_call(KZ_HVC_CONTROL, i, KZ_VERB_DESTROY, 0, 0, &x1) == KZ_OK;
			cycle_vm[i].going = true;
		}
	}
	do {
		*gone += cycle_collect();
		*left = 0;
		for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
			*left += cycle_vm[i].there;
		}
	} while (good && *left != 0);
	return good;
}

/* What an earlier instance has left goes. Returns the states that were seen, a bit each. */
static inline uint32_t cycle_take_over(const struct cycle *c)
{
	uint32_t seen = 0, count = 0;
	uint64_t x1;

	for (uint32_t i = (uint32_t)c->first; i < KZ_VMS_MAX; i++) {
		const uint32_t state = cycle_look(i);

		if (state == KZ_VM_NONE) {
			continue;
		}
		seen |= 1u << state;
		count++;
		/* Bound: what is cleared is gone some time. */
		while (cycle_call(KZ_HVC_CONTROL, i, KZ_VERB_DESTROY, 0, 0, &x1) == KZ_EBUSY) {
		}
		while (cycle_look(i) != KZ_VM_NONE) {
		}
	}
	cycle_say("cycle: took over ", count, seen);
	return seen;
}

static inline void cycle(const struct cycle *c)
{
	uint64_t gone = 0, left = 0;
	bool good = true;

	cycle_state = c->seed | 1;
	for (uint32_t i = 0; good && gone + cycle_gone < c->count; i++) {
		const uint32_t place = cycle_dice(KZ_VMS_MAX);

		good = cycle_dice(3) == 0 || !cycle_vm[place].there ? cycle_create(c) :
		       cycle_verb(&cycle_vm[place], place);
		gone += cycle_collect();
		if (i % 64 == 0 && console_read() == CYCLE_END) {
			break;
		}
	}
	good = good && cycle_end(&gone, &left);
	cycle_say("cycle: tried ", cycle_tried, (int64_t)cycle_refused);
	cycle_say(good ? "cycle: gone " : "cycle: bad ", gone + cycle_gone, (int64_t)left);
	cycle_gone = 0;
}

#endif
