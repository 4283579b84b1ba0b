/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does each thing that makes a guest exit, ROUNDS times, for bench/paths to look at.
 * Where one instruction exits, the ticks around it are printed: instructions under QEMU
 * -icount shift=0 with a counter of 1 GHz.
 * "mode=alone": two vCPUs, each with a core. "mode=pair": one of two VMs on a core.
 * "mode=spin": never waits, and says when 20 ms are over. Names of what is timed are
 * those of bench/paths.
 */
#include <stdbool.h>

#include "../../tests/guests/second.h"
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmio.h"
#include "options.h"
#include "psci.h"
#include "realtime.h"
#include "timer.h"

#define ROUNDS		64u
/* By these bench/paths tells them apart; number 0 is sent to nobody. */
#define SGI_SELF	1u
#define SGI_OTHER	2u
#define GICD_TYPER	0x004u
#define GICD_ISENABLER0	0x100u
#define GICD_ISENABLER1	0x104u
#define GICD_IPRIORITY	0x420u		/* of SPIs 0 to 3 */
#define GICD_ICFGR2	0xc08u
#define GICD_SGIR	0xf00u
#define SGIR_SELF	(2u << 24)
#define SGI1R_ONE	(1u << 24)	/* INTID 1 */
#define GICR_ISENABLER0	0x10100u
#define PSCI_CPU_OFF	0x84000002u
#define SPACING		20000u		/* ticks until a timer fires */
#define SPIN_TICKS	20000000u

SYSREG_WRITE(icc_sgi1r_el1, "s3_0_c12_c11_5")
SYSREG_READ(cpacr_el1, "cpacr_el1")
SYSREG_WRITE(cpacr_el1, "cpacr_el1")
SYSREG_READ(vbar_el1, "vbar_el1")
SYSREG_WRITE(vbar_el1, "vbar_el1")

static struct line line;
static volatile uint64_t entered;
static volatile bool second_ready;
static uint64_t gicd, gicr;
static uint64_t vbar;		/* of both vCPUs */
static bool v3;

void guest_irq(uint64_t now)
{
	const uint32_t intid = gic_acknowledge();

	if ((intid & 0x3ff) < GIC_SPURIOUS) {
		if ((intid & 0x3ff) >= 16) {
			write_cntv_ctl_el0(0);
		}
		gic_end(intid);
		entered = now;
	}
}

/* ---- What is one instruction ---- */

/* Ticks from before the instruction to behind it; a and b are its x0 and x1. */
#define TIMED(name, op)                                                                            \
	static uint64_t name(uint64_t a, uint64_t b)                                               \
	{                                                                                          \
		register uint64_t x0 __asm__("x0") = a;                                            \
		register uint64_t x1 __asm__("x1") = b;                                            \
		uint64_t begin, end;                                                               \
		__asm__ volatile("mrs %0, cntvct_el0\n\t" op "\n\tmrs %1, cntvct_el0"              \
				 : "=&r"(begin), "=&r"(end), "+r"(x0), "+r"(x1)                    \
				 :                                                                 \
				 : "x2", "x3", "memory");                                          \
		return end - begin;                                                                \
	}

TIMED(timed_hvc, "hvc #0")
TIMED(timed_smc, "smc #0")
TIMED(timed_load, "ldr w0, [x1]")
TIMED(timed_store, "str w0, [x1]")
TIMED(timed_id, "mrs x0, id_aa64mmfr0_el1")
TIMED(timed_sgi1r, "msr s3_0_c12_c11_5, x0")

static void timed(const char *name, uint64_t (*op)(uint64_t a, uint64_t b), uint64_t a, uint64_t b)
{
	uint64_t min = ~0ull, max = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t ticks = op(a, b);

		min = ticks < min ? ticks : min;
		max = ticks > max ? ticks : max;
	}
	line_begin(&line);
	line_text(&line, "PATH ");
	line_text(&line, name);
	line_value(&line, ": ticks ", min);
	line_value(&line, " to ", max);
	line_print(&line);
}

static void calls_and_accesses(void)
{
	timed("HVC PSCI_VERSION", timed_hvc, 0x84000000u, 0);
	timed("SMC PSCI_VERSION", timed_smc, 0x84000000u, 0);
	timed("HVC unknown", timed_hvc, 0x8400003fu, 0);
	timed("HVC KZ_INFO", timed_hvc, KZ_HVC_INFO, KZ_INFO_TIME);
	timed("read ID_AA64MMFR0_EL1", timed_id, 0, 0);
	timed("read GICD_TYPER", timed_load, 0, gicd + GICD_TYPER);
	timed("read GICD_ISENABLER1", timed_load, 0, gicd + GICD_ISENABLER1);
	timed("write GICD_ISENABLER1", timed_store, 0, gicd + GICD_ISENABLER1);
	timed("write GICD_IPRIORITYR8", timed_store, 0, gicd + GICD_IPRIORITY);
	timed("write GICD_ICFGR2", timed_store, 0, gicd + GICD_ICFGR2);
	if (v3) {
		timed("write GICR_ISENABLER0", timed_store, 0, gicr + GICR_ISENABLER0);
		timed("write ICC_SGI1R_EL1, to nobody", timed_sgi1r, 0, 0);
	} else {
		timed("write GICD_ISENABLER0", timed_store, 0, gicd + GICD_ISENABLER0);
		timed("write GICD_SGIR, to nobody", timed_store, 0, gicd + GICD_SGIR);
	}
}

/* Enables that change something: an SGI of its own, off and on. */
static void enables(void)
{
	const uintptr_t set = v3 ? gicr + GICR_ISENABLER0 : gicd + GICD_ISENABLER0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		mmio_write32(set + 0x80, 1u << SGI_SELF);	/* ICENABLER0 */
		mmio_write32(set, 1u << SGI_SELF);
	}
}

/* ---- Interrupts ---- */

/* Waits with a timer armed: the other core gets its turn of QEMU's thread meanwhile. */
static void nap(uint64_t ticks)
{
	entered = 0;
	timer_arm(read_cntvct_el0() + ticks);
	while (entered == 0) {
		cpu_dsb();
		gic_wait();
	}
}

static void timers(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		nap(SPACING + i % 101);
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		entered = 0;
		timer_arm(read_cntvct_el0() + SPACING / 10 + i % 101);
		cpu_irq_enable();
		while (entered == 0) {
		}
		cpu_irq_disable();
	}
}

/* SGIs to itself, taken at once. */
static void self_sgis(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		entered = 0;
		cpu_irq_enable();
		if (v3) {
			write_icc_sgi1r_el1(SGI_SELF * SGI1R_ONE | 1);
		} else {
			mmio_write32(gicd + GICD_SGIR, SGIR_SELF | SGI_SELF);
		}
		while (entered == 0) {
		}
		cpu_irq_disable();
	}
}

/* SGIs to the second vCPU, which waits for them. */
static void ipis(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (v3) {
			write_icc_sgi1r_el1(SGI_OTHER * SGI1R_ONE | 2);
		} else {
			mmio_write32(gicd + GICD_SGIR, 2u << 16 | SGI_OTHER);
		}
		nap(SPACING);
	}
}

/* ---- The second vCPU: with a device tree it takes SGIs, without one it goes at once ---- */

void second_main(uint64_t context)
{
	const void *fdt = (const void *)context;

	if (fdt != (const void *)0) {
		write_vbar_el1(vbar);
		cpu_isb();
		gic_init(fdt);
		gic_enable(SGI_OTHER, 0x80);
		second_ready = true;
		for (uint32_t i = 0; i < ROUNDS; i++) {
			cpu_dsb();
			gic_wait();
		}
	}
	hvc_call(PSCI_CPU_OFF, 0, 0, 0);
}

static void frames_find(const void *fdt)
{
	struct fdt_node node;
	uint64_t size;

	v3 = fdt_find(fdt, "arm,gic-v3", &node);
	if (!v3 && !fdt_find(fdt, "arm,cortex-a15-gic", &node)) {
		(void)fdt_find(fdt, "arm,gic-400", &node);
	}
	(void)fdt_reg(&node, 0, &gicd, &size);
	(void)fdt_reg(&node, 1, &gicr, &size);
}

static void mode_alone(const void *fdt)
{
	const uint64_t other = (read_mpidr_el1() & 0xff00ffffffull) ^ 1;

	frames_find(fdt);
	vbar = read_vbar_el1();
	gic_init(fdt);
	gic_enable(timer_intid(fdt), 0x80);
	(void)psci_cpu_on(other, (uintptr_t)second_entry, (uint64_t)fdt);
	while (!second_ready) {
		nap(SPACING);
	}
	gic_init(fdt);			/* the other one found its own frames */
	gic_enable(SGI_SELF, 0x80);
	calls_and_accesses();
	enables();
	timers();
	self_sgis();
	ipis();
	nap(10 * SPACING);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		(void)psci_cpu_on(other, (uintptr_t)second_entry, 0);
		nap(10 * SPACING);
	}
	console_print("PATHS done\n");
}

/* KZ_HVC_JOB_DONE, of which a VM without a server learns nothing. */
static void yield(void)
{
	register uint64_t x0 __asm__("x0") = KZ_HVC_JOB_DONE;

	__asm__ volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

static void mode_pair(void)
{
	for (uint32_t i = 0; i < 8 * ROUNDS; i++) {
		yield();
	}
	write_cpacr_el1(read_cpacr_el1() | 3u << 20);	/* FPEN */
	cpu_isb();
	for (uint32_t i = 0; i < 8 * ROUNDS; i++) {
		__asm__ volatile(".arch_extension fp\n\tfmov d0, xzr" ::: "memory");
		yield();
	}
	console_print("PATHS done\n");
	for (;;) {
		yield();
	}
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t end = read_cntvct_el0() + SPIN_TICKS;

	console_init(fdt);
	if (option_has(args, "mode=alone")) {
		mode_alone(fdt);
	} else if (option_has(args, "mode=pair")) {
		mode_pair();
	}
	while (read_cntvct_el0() < end) {
	}
	console_print("PATHS done\n");
	for (;;) {
	}
}
