/* SPDX-License-Identifier: Apache-2.0 */
#include "vgic_dice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct vgic_run run;
struct vgic_seen seen;

/* SGIs, twins (27, 30, 40..47), a PPI that only software raises, emulated devices. */
static const uint8_t hot[] = {
	0, 1, 2, 3, 15, 20, 27, 30, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
	64, 65, 66, 67, 94, 95,
};

static uint32_t dice(uint32_t sides)
{
	return (uint32_t)random() % sides;
}

static uint32_t hot_intid(void)
{
	return hot[dice(ARRAY_SIZE(hot))];
}

static uint32_t device(void)
{
	static const uint8_t lines[] = { 32, 33, 34, 35, 36, 37, 38, 39, 64, 65, 66, 67, 94, 95 };

	return lines[dice(ARRAY_SIZE(lines))];
}

static uint32_t twin(void)
{
	static const uint8_t lines[] = { 27, 30, 40, 41, 42, 43, 44, 45, 46, 47 };

	return lines[dice(ARRAY_SIZE(lines))];
}

/* A few hot INTIDs of a bank. */
static uint32_t mask_of(uint32_t *bank)
{
	uint32_t first = hot_intid();
	uint32_t mask = BIT(first % 32);

	*bank = first / 32;
	while (dice(2) == 0) {
		uint32_t i = hot_intid();

		mask |= i / 32 == *bank ? BIT(i % 32) : 0;
	}
	return mask;
}

/* ---- What happens ---- */

/*
 * The stack of the guest may grow: the list registers hold all that is active,
 * or an EOI alone says what ends.
 */
static bool may_activate(uint32_t cpu)
{
	return run.style == NEST ? naive->cpu[cpu].run_count < 30 :
				   naive_active_count(cpu) + 1 < run.lrs;
}

static void op_guest_ack(uint32_t cpu)
{
	uint32_t intid;

	if (!may_activate(cpu)) {
		return;
	}
	if (dice(100) < run.early) {
		intid = both_ack_early(cpu);
		seen.early += intid != GIC_HOST_NONE;
	} else {
		intid = both_ack(cpu);
	}
	if (intid != GIC_HOST_NONE) {
		seen.acks++;
		seen.nested += naive->cpu[cpu].run_count > run.lrs;
		seen.sources += naive_irq(cpu, intid)->sources != 0;
	}
}

static void op_guest_end(uint32_t cpu)
{
	struct naive_cpu *c = &naive->cpu[cpu];
	uint32_t i;

	if (c->run_count == 0) {
		return;
	}
	if (!c->eoimode) {
		both_eoi(cpu, c->run_count - 1);
		return;
	}
	i = dice(c->run_count);
	if (c->run[i].dropped) {
		both_dir(cpu, i);
		return;
	}
	/* The last that is not dropped. */
	for (i = c->run_count - 1; c->run[i].dropped; i--) {
	}
	both_eoi(cpu, i);
}

static void op_pmr(uint32_t cpu)
{
	uint32_t pmr = dice(3) != 0 ? 0xf8 : dice(32) * 8;

	both_pmr(cpu, pmr);
}

static void op_enable(uint32_t cpu)
{
	uint32_t bank;
	uint32_t mask = mask_of(&bank);

	both_bits(cpu, dice(3) == 0 ? GICD_ICENABLER : GICD_ISENABLER, bank, mask);
}

static void op_pending(uint32_t cpu)
{
	uint32_t bank;
	uint32_t mask = mask_of(&bank);

	both_bits(cpu, dice(2) == 0 ? GICD_ICPENDR : GICD_ISPENDR, bank, mask);
}

static bool is_on_stack(uint32_t intid)
{
	for (uint32_t c = 0; c < naive->cpus; c++) {
		for (uint32_t i = 0; i < naive->cpu[c].run_count; i++) {
			if ((naive->cpu[c].run[i].iar & 0x3ff) == intid) {
				return true;
			}
		}
	}
	return false;
}

static void op_active(uint32_t cpu)
{
	uint32_t intid = hot_intid();

	if (run.style != SOFT || is_on_stack(intid)) {
		return;
	}
	if (dice(2) == 0) {
		both_bits(cpu, GICD_ICACTIVER, intid / 32, BIT(intid % 32));
		bed_settle_all();	/* else it may end what was acknowledged meanwhile */
	} else if (may_activate(cpu)) {
		both_bits(cpu, GICD_ISACTIVER, intid / 32, BIT(intid % 32));
	}
}

static void op_priority(uint32_t cpu)
{
	uint32_t intid = hot_intid();

	if (!naive_irq(cpu, intid)->active) {
		both_priority(cpu, intid, (uint8_t)(dice(24) * 8 + dice(8)));
	}
}

static void op_target(uint32_t cpu)
{
	uint32_t intid = hot_intid();

	if (intid >= GIC_PRIVATE && run.cpus > 1) {
		both_target(cpu, intid, dice(run.cpus));
	}
}

static void op_sgi(uint32_t cpu)
{
	both_sgi(cpu, dice(4), dice(1u << run.cpus));
}

/* GICD_CPENDSGIR, GICD_SPENDSGIR: senders of an SGI of this vCPU. */
static void op_sgi_sources(uint32_t cpu)
{
	uint32_t intid = dice(4);
	uint8_t mask = (uint8_t)dice(1u << run.cpus);
	struct naive_irq *q = naive_irq(cpu, intid);

	if (run.v3) {
		return;
	}
	if (dice(2) == 0) {
		q->sources |= mask;
		bed_byte_write(cpu, GICD_SPENDSGIR, intid, mask);
	} else {
		q->sources &= (uint8_t)~mask;
		bed_byte_write(cpu, GICD_CPENDSGIR, intid, mask);
	}
}

/* GICD_ICFGR of a device's interrupt that is at rest. */
static void op_config(uint32_t cpu)
{
	uint32_t intid = device();
	struct naive_irq *q = naive_irq(cpu, intid);
	uint32_t at = GICD_ICFGR + intid / 16 * 4;

	bed_settle_all();
	if (!q->enabled && !q->active && !naive_pending(q) && !q->line) {
		q->edge = !q->edge;
		bed_write(cpu, at, bed_read(cpu, at) ^ 2u << intid % 16 * 2);
	}
}

static void op_group(uint32_t cpu)
{
	uint32_t intid = hot_intid();
	struct naive_irq *q = naive_irq(cpu, intid);

	if (run.groups) {
		bed_settle_all();
		q->group1 = !q->group1;
		bed_bits_write(cpu, GICD_IGROUPR, intid / 32,
			       naive_bits(cpu, GICD_IGROUPR, intid / 32));
		bed_settle_all();
	}
}

static void op_ctlr(uint32_t cpu)
{
	bed_settle_all();
	both_ctlr(cpu, dice(3) == 0 ? dice(4) : 3);
	bed_settle_all();
}

static void op_line(uint32_t cpu)
{
	both_line(cpu, device(), dice(2) == 0);
}

static void op_twin(uint32_t cpu)
{
	bool high = dice(2) == 0;
	uint32_t intid = twin();

	if (bed_is_hw(intid)) {
		bed_twin(cpu, intid, high);
		seen.fires++;
	}
}

/* Off, a while passes, on again; then it clears what it left active. */
static void op_power(uint32_t cpu)
{
	bed_settle_all();
	bed_off(cpu);
	if (run.cpus > 1) {
		uint32_t other = (cpu + 1) % run.cpus;

		op_sgi(other);
		op_pending(other);
		op_line(other);
	}
	bed_on(cpu);
	bed_settle_all();
	for (uint32_t i = 0; i < NAIVE_LINES; i++) {
		if (naive_irq(cpu, i)->active && !is_on_stack(i)) {
			both_bits(cpu, GICD_ICACTIVER, i / 32, BIT(i % 32));
		}
	}
	bed_settle_all();
}

static void op_settle(uint32_t cpu)
{
	bed_settle(cpu);
}

static void op_check(uint32_t cpu)
{
	(void)cpu;
	if (dice(16) == 0) {
		both_check();
		seen.checks++;
	}
}

/* All that is pending can be taken, and devices want nothing more. */
static void lower_lines(void)
{
	for (uint32_t i = GIC_PRIVATE; i < NAIVE_LINES; i++) {
		if (bed_is_hw(i)) {
			bed_twin(0, i, false);
		} else {
			both_line(0, i, false);
		}
	}
	bed_settle_all();
	for (uint32_t c = 0; c < run.cpus; c++) {
		both_pmr(c, 0xf8);
		bed_twin(c, BED_VTIMER, false);
		bed_twin(c, BED_PTIMER, false);
	}
}

/* ---- Of cores that VMs share ---- */

/* It executes for a while, and does nothing. */
static void op_come(uint32_t cpu)
{
	bed_come(cpu);
}

/* The guests of a core end all that they have, and the model knows it. */
static void op_rest(uint32_t cpu)
{
	for (uint32_t i = 0; i < run.vms; i++) {
		bed_use(i);
		lower_lines();
		(void)both_drain();
		both_bits(cpu, GICD_ISPENDR, 0, BIT(20));
		both_bits(cpu, GICD_ICPENDR, 0, BIT(20));
	}
}

/* WFI. What others do at this moment is on its way, and wakes it up. */
static void op_wait(uint32_t cpu)
{
	if (dice(2) == 0) {
		bed_settle_all();
	}
	if (!bed_wait(cpu)) {
		return;
	}
	for (uint32_t i = 0; i < NAIVE_LINES; i++) {
		const struct naive_irq *q = naive_irq(cpu, i);

		if (naive_takes(cpu, i) && !q->racing && !q->adopt) {
			fail_msg("vCPU %u waits, and could take %u", cpu, i);
		}
	}
}

/* The vCPU's timer fires, is handled, and fires again while another has the core. */
static void op_tick(uint32_t cpu)
{
	uint32_t vm = bed.vm->id;

	bed_twin(cpu, BED_VTIMER, true);
	if (may_activate(cpu) && both_ack(cpu) == BED_VTIMER) {
		bed_twin(cpu, BED_VTIMER, false);
		both_eoi(cpu, naive->cpu[cpu].run_count - 1);
		if (naive->cpu[cpu].eoimode) {
			both_dir(cpu, naive->cpu[cpu].run_count - 1);
		}
	}
	bed_use((vm + 1) % run.vms);
	bed_come(cpu);
	bed_use(vm);
	bed_twin(cpu, BED_VTIMER, true);
	bed_come(cpu);
}

/* It fires, is handled, and fires: what its core knows of it is used. */
static void op_ticks(uint32_t cpu)
{
	for (uint32_t i = 0; i < 4; i++) {
		bed_twin(cpu, BED_VTIMER, true);
		if (!may_activate(cpu) || both_ack(cpu) != BED_VTIMER) {
			return;
		}
		bed_twin(cpu, BED_VTIMER, false);
		both_eoi(cpu, naive->cpu[cpu].run_count - 1);
		if (naive->cpu[cpu].eoimode) {
			both_dir(cpu, naive->cpu[cpu].run_count - 1);
		}
	}
}

/* The guest writes an active priority itself, as when it restores its interface. */
static void op_apr(uint32_t cpu)
{
	uint32_t levels = naive_running(cpu) / 8;

	if (levels != 0 && naive->cpu[cpu].run_count < 30) {
		both_apr(cpu, dice(levels) * 8);
	}
}

/* Others may change meanwhile what its devices do. */
static void op_spend(uint32_t cpu)
{
	uint32_t other = dice(run.cpus);

	bed_spend(cpu);
	if (other != cpu && dice(2) == 0) {
		op_target(other);
		op_enable(other);
	}
}

struct op {
	uint32_t weight;
	void (*op)(uint32_t cpu);
};

static void step(void)
{
	static const struct op busy[] = {
		{ 210, op_guest_ack }, { 160, op_guest_end }, { 15, op_pmr }, { 60, op_enable },
		{ 60, op_pending }, { 40, op_active }, { 40, op_priority }, { 40, op_target },
		{ 60, op_sgi }, { 10, op_sgi_sources }, { 10, op_config }, { 5, op_group },
		{ 3, op_ctlr }, { 90, op_line }, { 90, op_twin }, { 85, op_settle },
		{ 17, op_check }, { 5, op_power },
	};
	/* The distributor is set up; only interrupts come. */
	static const struct op steady[] = {
		{ 300, op_guest_ack }, { 270, op_guest_end }, { 160, op_sgi }, { 90, op_twin },
		{ 60, op_line }, { 50, op_settle }, { 20, op_check }, { 50, op_ticks },
	};
	static const struct op shared[] = {
		{ 400, op_come }, { 300, op_wait }, { 100, op_apr }, { 100, op_spend },
		{ 100, op_tick },
	};
	static const struct op quiet[] = {
		{ 500, op_come }, { 200, op_wait }, { 70, op_guest_ack }, { 100, op_guest_end },
		{ 10, op_sgi }, { 20, op_twin }, { 5, op_line }, { 50, op_settle },
		{ 20, op_check }, { 5, op_pmr }, { 10, op_rest }, { 10, op_tick },
	};
	const struct op *table = run.quiet ? quiet : run.steady ? steady : busy;
	uint32_t at, i = 0;

	if (run.vms > 1) {
		bed_use(dice(3) == 0 ? dice(run.vms) : bed.vm->id);
		table = dice(run.quiet ? 30 : 6) == 0 ? shared : table;
	}
	at = dice(1000);
	while (at >= table[i].weight) {
		at -= table[i++].weight;
	}
	table[i].op(dice(run.cpus));
}

/* All lines fall, all is open: what is pending comes out, and nothing stays behind. */
static void finish(void)
{
	lower_lines();
	both_ctlr(0, 3);
	for (uint32_t c = 0; c < run.cpus; c++) {
		both_bits(c, GICD_ISENABLER, 0, ~0u);
	}
	both_bits(0, GICD_ISENABLER, 1, ~0u);
	both_bits(0, GICD_ISENABLER, 2, ~0u);
	for (uint32_t i = GIC_PRIVATE; i < NAIVE_LINES; i++) {
		if (naive->spi[i].cpu == NAIVE_NOBODY) {
			both_target(0, i, 0);
		}
	}
	bed_settle_all();
	(void)both_drain();
	both_check();
	for (uint32_t c = 0; c < run.cpus; c++) {
		for (uint32_t i = 0; i < NAIVE_LINES; i++) {
			const struct naive_irq *q = naive_irq(c, i);

			assert_true(!naive_pending(q) || q->active || q->prio >= 0xf8);
			assert_true(!bed_is_hw(i) || q->active || !gic_host_is_active(c, i));
		}
	}
}

/* As guests do with version 3. */
static void all_group1(uint32_t cpu)
{
	for (uint32_t i = 0; i < NAIVE_LINES; i++) {
		naive_irq(cpu, i)->group1 = true;
	}
	for (uint32_t bank = 0; bank < NAIVE_LINES / 32; bank++) {
		bed_bits_write(cpu, GICD_IGROUPR, bank, ~0u);
	}
}

/* The guests of the VM in use, as they begin. */
static void setup(void)
{
	both_ctlr(0, 3);
	for (uint32_t c = 0; c < run.cpus; c++) {
		bool split = run.style == SPLIT;

		bed_come(c);
		naive->cpu[c].eoimode = split;
		gic_host.vif[c].eoimode = split;
		if (run.v3) {
			all_group1(c);
		}
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(hot); i++) {
		for (uint32_t c = 0; c < run.cpus; c++) {
			both_bits(c, GICD_ISENABLER, hot[i] / 32, BIT(hot[i] % 32));
			both_priority(c, hot[i], (uint8_t)(dice(24) * 8));
		}
		if (hot[i] >= GIC_PRIVATE && run.cpus > 1) {
			both_target(0, hot[i], dice(run.cpus));
		}
	}
}

static void trace(void)
{
	if (getenv("VGIC_TRACE") != NULL) {
		printf("v%u, %u VMs, %u vCPUs, %u LRs, style %u, early %u, groups %u, steady %u, "
		       "quiet %u\n", run.v3 ? 3 : 2, run.vms, run.cpus, run.lrs, run.style,
		       run.early, run.groups, run.steady, run.quiet);
		fflush(stdout);
	}
}

void dice_run(uint32_t seed, uint32_t ops)
{
	trace();
	srandom(seed);
	bed_share(run.v3, run.vms, run.cpus, run.lrs);
	for (uint32_t i = 0; i < run.vms; i++) {
		bed_use(i);
		setup();
	}
	for (uint32_t i = 0; i < ops; i++) {
		step();
	}
	for (uint32_t i = 0; i < run.vms; i++) {
		bed_use(i);
		finish();
	}
	seen.again += bed.again;
	seen.quick += bed.quick;
	seen.half += bed.half;
	seen.slow += bed.slow;
	seen.fired += bed.fired;
	seen.late += bed.late;
	seen.waited += bed.waited;
}
