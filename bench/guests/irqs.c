/* SPDX-License-Identifier: Apache-2.0 */
/* How late a handler begins: SGIs to oneself, the timer in each kind of wait, a storm. */
#include "bench.h"

#define SPACING		50000u	/* ticks to the next deadline, and a bit, which is varied */
#define STRIDE		7919u	/* primes: how, so that each phase of a loop is met alike */
#define SPAN		8191u
#define STORM		16u	/* lines: all SGIs */
#define STORM_SPIN	100000u
#define SPURIOUS	1020u

SYSREG_READ(tpidr_el1, "tpidr_el1")

struct note note[2];
volatile uint32_t fired[2];

static struct {
	bool on;
	volatile uint32_t count;
	uint32_t intid[STORM];
	uint64_t entered[STORM];
} storm;

void bench_irq(uint64_t entered)
{
	const uint64_t cpu = read_tpidr_el1();
	struct note *n = &note[cpu];

	n->entered = entered;
	ic_take(n);
	if (n->intid >= SPURIOUS) {
		return;
	}
	if (storm.on && storm.count < STORM) {
		storm.intid[storm.count] = n->intid;
		storm.entered[storm.count] = entered;
		storm.count = storm.count + 1;
	}
	fired[cpu] = 1;
}

/* Sends the SGI from the given register, spins until its handler has run. */
#define SEND_AND_SPIN(send, name)                                                                  \
	static void name(uint64_t value, uint64_t *t0, uint64_t *t1)                               \
	{                                                                                          \
		register uint64_t low __asm__("x1") = value;                                       \
		register uint64_t high __asm__("x19") = value;                                     \
		const uintptr_t sgir = platform.gicd + GICD_SGIR;                                  \
		uint32_t flag;                                                                     \
                                                                                                   \
		__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\t" send "\n"                         \
				 "1:\tldr %w2, [%5]\n\tcbz %w2, 1b\n\tisb\n\tmrs %1, cntvct_el0" \
				 : "=&r"(*t0), "=&r"(*t1), "=&r"(flag)                             \
				 : "r"(low), "r"(high), "r"(&fired[0]), "r"(sgir)                  \
				 : "memory");                                                      \
	}

SEND_AND_SPIN("msr s3_0_c12_c11_5, %3", spin_v3)
SEND_AND_SPIN("msr s3_0_c12_c11_5, %4", spin_v3_x19)
SEND_AND_SPIN("str %w3, [%6]", spin_v2)
SEND_AND_SPIN("str %w4, [%6]", spin_v2_x19)

static void sgi_round(uint32_t i, uint64_t value, bool x19)
{
	uint64_t t0, t1;

	fired[0] = 0;
	if (ic_is_v3()) {
		(x19 ? spin_v3_x19 : spin_v3)(value, &t0, &t1);
	} else {
		(x19 ? spin_v2_x19 : spin_v2)(value, &t0, &t1);
	}
	sample[0][i] = note[0].entered - t0;
	sample[1][i] = t1 - t0;
	sample[2][i] = note[0].acknowledge;
	sample[3][i] = note[0].end;
	sample[4][i] = note[0].deactivate;
}

static void sgi_rounds(bool split, bool x19)
{
	const uint64_t value = ic_sgi(SGI_SELF, 0);

	ic_mode(split);
	irq_on();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		sgi_round(i, value, x19);
	}
	irq_off();
	ic_mode(false);
}

void bench_sgi(void)
{
	sgi_rounds(false, false);
	report("sgi_self", sample[0], 0);
	report("sgi_resume", sample[1], 0);
	report("irq_acknowledge", sample[2], overhead);
	report("irq_end", sample[3], overhead);
	sgi_rounds(true, false);
	report("irq_deactivate", sample[4], overhead);
	sgi_rounds(false, true);
	report("sgi_self_x19", sample[0], 0);
}

enum wait { SPIN, SLEEP, CALL, ACCESS };

/*
 * A deadline, waited for in the given way. In the loops the deadlines are swept over the length
 * of a trap: the longest is how long the hypervisor keeps an interrupt waiting.
 */
static void timer_round(uint32_t i, enum wait how)
{
	const uintptr_t spis = platform.gicd + GIC_ISENABLER + 4;
	uint64_t deadline;

	fired[0] = 0;
	deadline = stamp() + SPACING + (how == CALL || how == ACCESS ? i * STRIDE % SPAN : i % 101);
	write_cntv_cval_el0(deadline);
	write_cntv_ctl_el0(1);
	cpu_isb();
	switch (how) {
	case SPIN:
		while (fired[0] == 0) {
		}
		break;
	case SLEEP:
		wait_fired(&fired[0]);
		break;
	case CALL:
		while (fired[0] == 0) {
			psci(PSCI_VERSION, 0, 0, 0);
		}
		break;
	case ACCESS:
		while (fired[0] == 0) {
			write32_x1(spis, 2);
		}
		break;
	}
	sample[0][i] = note[0].entered - deadline;
}

static void timer_rounds(enum wait how, const char *name)
{
	if (how != SLEEP) {
		irq_on();
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		timer_round(i, how);
	}
	irq_off();
	report(name, sample[0], 0);
}

void bench_sleep(const char *name)
{
	timer_rounds(SLEEP, name);
}

void bench_timer(void)
{
	timer_rounds(SPIN, "timer_spin");
	timer_rounds(SLEEP, "timer_wfi");
	timer_rounds(CALL, "timer_calls");
	timer_rounds(ACCESS, "timer_isenabler");
}

/* All lines become pending while interrupts are masked, the least urgent first. */
static void storm_round(uint32_t i)
{
	uint32_t disorder = 0;
	uint64_t t0;

	storm.count = 0;
	for (uint32_t intid = STORM; intid > 0; intid--) {
		ic_send(ic_sgi(intid - 1, 0));
	}
	t0 = stamp();
	irq_on();
	for (uint32_t spin = 0; spin < STORM_SPIN && storm.count < STORM; spin++) {
	}
	irq_off();
	for (uint32_t k = 0; k < STORM; k++) {
		disorder += k >= storm.count || storm.intid[k] != k;
	}
	sample[0][i] = storm.entered[0] - t0;
	sample[1][i] = storm.entered[STORM - 1] - t0;
	sample[2][i] = disorder;
}

void bench_storm(void)
{
	for (uint32_t intid = 0; intid < STORM; intid++) {
		ic_priority(intid, (uint8_t)(0x10 + 8 * intid));
	}
	storm.on = true;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		storm_round(i);
	}
	storm.on = false;
	report("storm_first", sample[0], 0);
	report("storm_last", sample[1], 0);
	report("storm_disorder", sample[2], 0);
}
