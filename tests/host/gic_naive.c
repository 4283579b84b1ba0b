/* SPDX-License-Identifier: Apache-2.0 */
#include "gic_naive.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gic.h"

static struct naive all[NAIVE_VMS];
struct naive *naive = all;

void naive_use(uint32_t vm)
{
	assert(vm < NAIVE_VMS);
	naive = &all[vm];
}

void naive_reset(bool v3, uint32_t cpus)
{
	memset(naive, 0, sizeof(*naive));
	naive->v3 = v3;
	naive->cpus = cpus;
	for (uint32_t c = 0; c < cpus; c++) {
		naive->cpu[c].pmr = 0xf8;
		for (uint32_t i = 0; i < 16; i++) {
			naive->cpu[c].own[i].edge = true;
			naive->cpu[c].own[i].enabled = !v3;
		}
		for (uint32_t i = 0; i < 32; i++) {
			naive->cpu[c].own[i].cpu = (uint8_t)c;
		}
	}
	for (uint32_t i = 32; i < NAIVE_LINES; i++) {
		naive->spi[i].cpu = v3 || cpus == 1 ? 0 : NAIVE_NOBODY;
	}
}

struct naive_irq *naive_irq(uint32_t cpu, uint32_t intid)
{
	assert(intid < NAIVE_LINES && cpu < naive->cpus);
	return intid < 32 ? &naive->cpu[cpu].own[intid] : &naive->spi[intid];
}

bool naive_pending(const struct naive_irq *q)
{
	return q->latch || q->sources != 0 || (q->line && !q->edge);
}

uint32_t naive_running(uint32_t cpu)
{
	const struct naive_cpu *c = &naive->cpu[cpu];
	uint32_t lowest = NAIVE_IDLE;

	for (uint32_t i = 0; i < c->run_count; i++) {
		if (!c->run[i].dropped && c->run[i].prio < lowest) {
			lowest = c->run[i].prio;
		}
	}
	return lowest;
}

static bool group_is_on(const struct naive_irq *q)
{
	return (naive->ctlr & (q->group1 ? 2u : 1u)) != 0;
}

bool naive_takes(uint32_t cpu, uint32_t intid)
{
	const struct naive_irq *q = naive_irq(cpu, intid);

	return naive_pending(q) && q->enabled && group_is_on(q) && !q->active && q->cpu == cpu &&
	       q->prio < naive->cpu[cpu].pmr && q->prio < naive_running(cpu);
}

uint32_t naive_best(uint32_t cpu)
{
	uint32_t best = NAIVE_IDLE;

	for (uint32_t i = 0; i < NAIVE_LINES; i++) {
		if (naive_takes(cpu, i) && naive_irq(cpu, i)->prio < best) {
			best = naive_irq(cpu, i)->prio;
		}
	}
	return best;
}

uint32_t naive_active_count(uint32_t cpu)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < NAIVE_LINES; i++) {
		n += naive_irq(cpu, i)->active;
	}
	return n;
}

/* ---- The CPU interface ---- */

void naive_ack(uint32_t cpu, uint32_t iar)
{
	struct naive_cpu *c = &naive->cpu[cpu];
	struct naive_irq *q = naive_irq(cpu, iar & 0x3ff);

	assert(c->run_count < NAIVE_NEST);
	c->run[c->run_count++] = (struct naive_run){ .iar = iar, .prio = q->prio };
	q->active = true;
	q->latch = false;
	q->sources &= (uint8_t)~(1u << (iar >> 10));
	q->hw_active |= q->hw_pending;
	q->hw_pending = false;
}

static void end(struct naive_irq *q)
{
	q->active = false;
	q->hw_active = false;
}

static void forget(struct naive_cpu *c, uint32_t i)
{
	c->run_count--;
	memmove(&c->run[i], &c->run[i + 1], (c->run_count - i) * sizeof(c->run[0]));
}

void naive_eoi(uint32_t cpu, uint32_t i)
{
	struct naive_cpu *c = &naive->cpu[cpu];

	assert(i < c->run_count && !c->run[i].dropped);
	if (c->run[i].iar == NAIVE_BARE) {
		forget(c, i);
	} else if (c->eoimode) {
		c->run[i].dropped = true;
	} else {
		end(naive_irq(cpu, c->run[i].iar & 0x3ff));
		forget(c, i);
	}
}

void naive_dir(uint32_t cpu, uint32_t i)
{
	struct naive_cpu *c = &naive->cpu[cpu];

	assert(i < c->run_count && c->run[i].dropped && c->eoimode);
	end(naive_irq(cpu, c->run[i].iar & 0x3ff));
	forget(c, i);
}

/* ---- The distributor ---- */

void naive_sgi(uint32_t from, uint32_t to, uint32_t intid)
{
	if (naive->v3) {
		naive_irq(to, intid)->latch = true;
	} else {
		naive_irq(to, intid)->sources |= (uint8_t)(1u << from);
	}
}

void naive_bit(uint32_t cpu, uint32_t reg, uint32_t intid)
{
	struct naive_irq *q = naive_irq(cpu, intid);
	bool fixed = !naive->v3 && intid < 16;	/* SGIs of version 2: IHI 0048 4.3.5, 4.3.7 */

	switch (reg) {
	case GICD_ISENABLER:
		q->enabled = true;
		break;
	case GICD_ICENABLER:
		q->enabled = fixed && q->enabled;
		break;
	case GICD_ISPENDR:
		q->latch |= !fixed;
		break;
	case GICD_ICPENDR:
		q->latch = false;
		q->hw_pending = false;
		break;
	case GICD_ISACTIVER:
		q->active = true;
		break;
	case GICD_ICACTIVER:
		end(q);
		break;
	default:
		abort();	/* not a register of bits */
	}
}

static bool bit(const struct naive_irq *q, uint32_t reg)
{
	switch (reg) {
	case GICD_IGROUPR:
		return q->group1;
	case GICD_ISENABLER:
	case GICD_ICENABLER:
		return q->enabled;
	case GICD_ISPENDR:
	case GICD_ICPENDR:
		return naive_pending(q);
	default:
		return q->active;
	}
}

uint32_t naive_bits(uint32_t cpu, uint32_t reg, uint32_t bank)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < 32; i++) {
		set |= (uint32_t)bit(naive_irq(cpu, bank * 32 + i), reg) << i;
	}
	return set;
}

uint32_t naive_word(uint32_t cpu, uint32_t reg, uint32_t intid)
{
	uint32_t word = 0;

	for (uint32_t i = 0; i < 4; i++) {
		const struct naive_irq *q = naive_irq(cpu, intid + i);
		uint32_t targets = intid < 32 ? 1u << cpu : q->route;

		targets = naive->cpus == 1 ? 0 : targets;
		word |= (reg == GICD_IPRIORITYR ? q->prio : targets) << i * 8;
	}
	return word;
}
