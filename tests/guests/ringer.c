/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that fills the trace with what is told apart: `calls` calls of functions
 * that nobody has, numbered from 0 (the low byte tells), then the end, as its
 * command line says:
 *   (nothing)  says so, and switches itself off
 *   fault      reads from where nothing is, at 512 MiB
 *   fp         goes on for good, with FP, and yields
 *   poke       tries to write to and read from `at0` and its fellows, and everything else
 *              that might be written down as somebody else's
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "guest.h"
#include "line.h"
#include "mmio.h"
#include "options.h"
#include "psci.h"
#include "realtime.h"

#define NUMBERED	0x86000000u
#define NOWHERE		0x20000000u
#define MARK		0x6b7a7472u
#define GICD_SGIR	0x0f00u
#define POKES		4u

SYSREG_WRITE(sgi1r, "s3_0_c12_c11_5")

static volatile uint32_t marks[64];

void guest_irq(uint64_t now)
{
	(void)now;
}

static void numbered(uint64_t calls)
{
	for (uint64_t i = 0; i < calls; i++) {
		(void)hvc_call(NUMBERED | (i & 0xff), 0, 0, 0);
	}
}

static void yield(void)
{
	uint64_t release = 0, missed = 0;

	(void)realtime_job_done(&release, &missed);
}

static void fp_forever(void)
{
	write_cpacr_el1(3ull << 20);
	cpu_isb();
	for (;;) {
		__asm__ volatile(".arch_extension fp\nfmov d0, x0\n" ::: "v0");
		yield();
	}
}

/* All calls of three ranges but those that end the VM or this vCPU, with wild arguments. */
static void call_all(void)
{
	static const uint32_t range[] = { 0x84000000u, 0xc4000000u, 0xc6000000u };

	for (uint32_t i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		for (uint32_t n = 0; n < 48; n++) {
			if (range[i] >> 24 == 0xc6 || (n != 1 && n != 2 && n != 8 && n != 9)) {
				(void)hvc_call(range[i] + n, n * 7, probe_random(), probe_random());
			}
		}
	}
}

static void sgi_all(const void *fdt)
{
	struct fdt_node node;
	uint64_t base, size;

	if (fdt_find(fdt, "arm,gic-v3", &node)) {
		for (uint64_t affinity = 0; affinity < 8; affinity++) {
			write_sgi1r(affinity << 16 | 0xffffu);
		}
		write_sgi1r(1ull << 40 | 3u << 24);	/* all but itself */
	} else if (fdt_find(fdt, "arm,cortex-a15-gic", &node) &&
		   fdt_reg(&node, 0, &base, &size)) {
		mmio_write32(base + GICD_SGIR, 0xffu << 16 | 1);
		mmio_write32(base + GICD_SGIR, 1u << 24 | 2);
	}
}

static void poke(const void *fdt, const char *args)
{
	static const char name[POKES][4] = { "at0", "at1", "at2", "at3" };
	struct line line;
	uint32_t value;

	probe_init();
	for (uint32_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		marks[i] = MARK;
	}
	for (uint32_t i = 0; i < POKES; i++) {
		const uint64_t at = option_value(args, name[i], 0);
		const bool written = probe_write32(at, MARK);

		line_begin(&line);
		line_value(&line, "ringer: ", i);
		line_text(&line, written ? " written" : " not written");
		line_text(&line, probe_read32(at, &value) ? " read" : " not read");
		line_print(&line);
	}
	call_all();
	sgi_all(fdt);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);

	console_init(fdt);
	numbered(option_value(args, "calls", 100));
	if (option_has(args, "fault")) {
		(void)mmio_read32(NOWHERE);
	} else if (option_has(args, "fp")) {
		fp_forever();
	} else if (option_has(args, "poke")) {
		poke(fdt, args);
	}
	console_print("ringer: done\n");
	psci_system_off();
}
