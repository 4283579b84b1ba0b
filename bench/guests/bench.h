/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measuring guest. Times are ticks of the virtual counter: instructions, the
 * hypervisor's included, where one instruction takes one tick (QEMU -icount shift=0, 1 GHz).
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sysreg.h"

#pragma GCC visibility push(hidden)

#define ROUNDS		1000u
#define GIC_ISENABLER	0x100u	/* of the distributor, and of a redistributor's SGI frame */
#define GICD_SGIR	0xf00u
#define KINDS		8u	/* of samples at a time */

/* What the device tree says, and the command line. */
struct platform {
	const char *args;
	uint64_t frequency;
	uintptr_t gicd, gicc, gicr;	/* gicc: GICv2; gicr: the first redistributor, GICv3 */
	uintptr_t uart_send, uart_state;
	uint32_t uart_full;		/* in uart_state: no room to send */
	uint32_t timer;			/* INTID of the virtual timer */
	bool smc;			/* PSCI's conduit */
	bool xen;			/* "xen=1": makes Xen's calls */
};

/* The last interrupt that a CPU took. */
struct note {
	uint64_t entered;	/* second instruction of the vector */
	uint64_t acknowledge, end, deactivate;	/* with two stamps around */
	uint32_t intid;
};

extern struct platform platform;
extern struct note note[2];			/* by CPU */
extern volatile uint32_t fired[2];		/* by CPU: an interrupt was taken */
extern uint64_t sample[KINDS][ROUNDS];
extern uint64_t refused;			/* instructions that were undefined */
extern uint64_t overhead;			/* of two stamps */
extern char second_entry[];

/* platform.c */
void platform_init(const void *fdt);

/* report.c: sorts the samples and prints a line; `less` is taken off each. */
void report(const char *name, uint64_t *samples, uint64_t less);
void say(const char *name, uint64_t value);

/* ic.c: the interrupt controller, for two CPUs. */
void ic_init(void);
void ic_cpu_init(void);
void ic_mode(bool split);			/* EOI only drops the priority, DIR deactivates */
void ic_take(struct note *n);			/* acknowledges, quietens the timer, ends */
void ic_priority(uint32_t intid, uint8_t priority);	/* of an SGI or PPI of this CPU */
uintptr_t ic_local(void);			/* the frame with this CPU's SGIs and PPIs */
uint64_t ic_sgi(uint32_t intid, uint32_t cpu);	/* what sends an SGI to CPU 0 or 1 */
uint64_t ic_other(void);			/* CPU 1's affinity, for PSCI */
bool ic_is_v3(void);

/* Interrupts of the two CPUs that are no SGI of a storm. */
#define SGI_SELF	1u
#define SGI_PING	2u
#define SGI_PONG	3u

/* The measurements. */
void bench_calls(void);				/* calls.c */
void bench_accesses(void);
void bench_console(void);
void bench_sgi(void);				/* irqs.c */
void bench_timer(void);
void bench_sleep(const char *name);
void bench_storm(void);
void bench_irq(uint64_t entered);
void bench_pair(void);				/* pair.c */
void second_main(uint64_t context, uint64_t entered);
void bench_yield(void);				/* shared.c */
void bench_fp(void);
void disturb_traps(void);
void disturb_chat(void);
void bench_main(const void *fdt, uint64_t physical, uint64_t virtual);	/* main.c */

#define PSCI_VERSION		0x84000000u
#define PSCI_CPU_OFF		0x84000002u
#define PSCI_SYSTEM_OFF		0x84000008u
#define PSCI_CPU_ON		0xc4000003u
#define PSCI_AFFINITY_INFO	0xc4000004u

int64_t psci(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3);

/* The counter, behind all that was before. */
static inline uint64_t stamp(void)
{
	uint64_t value;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value)::"memory");
	return value;
}

static inline uint32_t read32(uintptr_t address)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void write32(uintptr_t address, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

/*
 * What a trap costs may depend on the register that the instruction names: x0 to x17 are saved
 * anyway. So that the compiler's choice is not measured, it is x1 where nothing else is said.
 */
static inline void write32_x1(uintptr_t address, uint32_t value)
{
	register uint32_t x1 __asm__("x1") = value;

	__asm__ volatile("str %w0, [%1]" ::"r"(x1), "r"(address) : "memory");
}

/* Sends an SGI: ICC_SGI1R_EL1 or GICD_SGIR. */
static inline void ic_send(uint64_t value)
{
	if (ic_is_v3()) {
		register uint64_t x1 __asm__("x1") = value;

		__asm__ volatile("msr s3_0_c12_c11_5, %0" ::"r"(x1) : "memory");
	} else {
		write32_x1(platform.gicd + GICD_SGIR, (uint32_t)value);
	}
}

static inline void irq_on(void)
{
	cpu_irq_enable();
	cpu_isb();
}

static inline void irq_off(void)
{
	cpu_irq_disable();
	cpu_isb();
}

/* Interrupts masked: sleeps until this CPU has taken one. */
static inline void wait_fired(volatile uint32_t *flag)
{
	while (*flag == 0) {
		/* Orders what was written before for the other CPU. */
		cpu_dsb();
		cpu_wfi();
		irq_on();
		irq_off();
	}
}

#pragma GCC visibility pop

#endif
