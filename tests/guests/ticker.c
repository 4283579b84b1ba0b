/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that counts periods aloud, and in between keeps patterns in registers: x19 to x28 have
 * their own number in each byte, d8 to d15 theirs. Says so if one is not as it was.
 *
 * Command line: period=20ms, sleep: it sleeps for the rest of each, first: only the first one is
 * said, which is at what the counter says.
 */
#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "timer.h"

#define PRIORITY	0x80u
#define CPACR_FPEN	(3u << 20)

SYSREG_WRITE(cpacr_el1, "cpacr_el1")

static uint32_t intid;

void guest_irq(uint64_t now)
{
	const uint32_t id = gic_acknowledge();

	(void)now;
	if (id == intid) {
		write_cntv_ctl_el0(0);
	}
	gic_end(id);
}

/* Until then with patterns in the registers; how many were damaged. `sleep`: by WFI. */
static uint64_t hold(uint64_t until, uint64_t sleep)
{
	register uint64_t x0 __asm__("x0") = until;
	register uint64_t x1 __asm__("x1") = sleep;

	__asm__ volatile(
		".arch_extension fp\n"
		"	ldr	x2, =0x0101010101010101\n"
		".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28\n"
		"	mov	x3, #\\n\n"
		"	mul	x\\n, x3, x2\n"
		".endr\n"
		".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
		"	mov	x3, #\\n\n"
		"	mul	x3, x3, x2\n"
		"	fmov	d\\n, x3\n"
		".endr\n"
		"1:	msr	daifset, #2\n"
		"	isb\n"
		"	mrs	x3, cntvct_el0\n"
		"	cmp	x3, x0\n"
		"	b.hs	2f\n"
		"	cbz	x1, 3f\n"
		"	wfi\n"		/* what is pending ends it: it is masked */
		"3:	msr	daifclr, #2\n"
		"	isb\n"
		"	b	1b\n"
		"2:	msr	daifclr, #2\n"
		"	mov	x0, #0\n"
		".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28\n"
		"	mov	x3, #\\n\n"
		"	mul	x3, x3, x2\n"
		"	cmp	x3, x\\n\n"
		"	cinc	x0, x0, ne\n"
		".endr\n"
		".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
		"	mov	x3, #\\n\n"
		"	mul	x3, x3, x2\n"
		"	fmov	x4, d\\n\n"
		"	cmp	x3, x4\n"
		"	cinc	x0, x0, ne\n"
		".endr\n"
		: "+r"(x0), "+r"(x1)
		:
		: "x2", "x3", "x4", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
		  "x28", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "cc", "memory");
	return x0;
}

static void say(const char *text, uint64_t value)
{
	struct line line;

	line_begin(&line);
	line_value(&line, text, value);
	line_print(&line);
}

void guest_main(const void *fdt)
{
	const uint64_t begun = read_cntvct_el0();
	const char *args = fdt_bootargs(fdt);
	const uint64_t frequency = read_cntfrq_el0();
	const uint64_t period = timer_ticks(option_value(args, "period", 20000000), frequency);
	const bool sleep = option_has(args, "sleep");
	uint64_t next = begun, damaged;

	write_cpacr_el1(CPACR_FPEN);
	cpu_isb();
	mmu_enable(fdt);
	console_init(fdt);
	intid = timer_intid(fdt);
	if (!gic_init(fdt)) {
		return;
	}
	gic_enable(intid, PRIORITY);
	cpu_irq_enable();
	say("ticker: first ", timer_ns(begun, frequency));
	for (uint64_t n = 1;; n++) {
		next += period;
		if (sleep) {
			timer_arm(next);
		}
		damaged = hold(next, sleep);
		if (damaged != 0) {
			say("ticker: damaged ", damaged);
		}
		if (!option_has(args, "first")) {
			say("ticker: ", n);
		}
	}
}
