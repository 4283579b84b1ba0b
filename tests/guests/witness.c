/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that would notice: it keeps a checksum of each page of its memory and
 * looks at one page a millisecond, measures how late its timer's handler is
 * entered, and counts interrupts that are not its own. It says so twice a
 * second, or after ticks=N milliseconds, and sleeps in between. At HRT it does
 * all this without an exit.
 */
#include <stdbool.h>

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "timer.h"

#define PAGE		4096u
#define PAGES_MAX	512u
#define LATENCY_MAX	4096u
#define SEND_MAX	16u	/* bytes a tick */

extern const uint8_t _bss_start[] __attribute__((visibility("hidden")));
extern const uint8_t _bss_end[] __attribute__((visibility("hidden")));

static uint64_t sums[PAGES_MAX];
static uint32_t pages, next;	/* all of them, and the one to look at */
static uint64_t checked, changed;
static uintptr_t ram, ring;
static uint64_t period, deadline;
static uint32_t intid;
/* Of the current report; the interrupt writes it. */
static uint32_t histogram[LATENCY_MAX];
static uint32_t count;
static uint64_t least, most;
static volatile uint32_t strays;

/* Pages that the witness writes itself: .data (one page), .bss, the console ring. */
static bool page_is_busy(uintptr_t page)
{
	return (page + PAGE >= (uintptr_t)_bss_start && page < (uintptr_t)_bss_end) ||
	       page == ring;
}

static uint64_t page_sum(uintptr_t page)
{
	const uint64_t *word = (const uint64_t *)page;
	uint64_t sum = page;

	for (uint32_t i = 0; i < PAGE / 8; i++) {
		sum = (sum << 7 | sum >> 57) ^ *(const volatile uint64_t *)(word + i);
	}
	return sum;
}

/* Memory that nothing uses gets words that tell where they are. */
static void memory_init(uintptr_t fdt)
{
	const uintptr_t used = (uintptr_t)_bss_end;

	for (uint32_t i = 0; i < pages; i++) {
		const uintptr_t page = ram + (uintptr_t)i * PAGE;
		const bool in_fdt = page + PAGE > fdt && page < fdt + 0x10000;

		if (page >= used && !page_is_busy(page) && !in_fdt) {
			for (uint32_t n = 0; n < PAGE; n += 8) {
				*(volatile uint64_t *)(page + n) = ~(page + n);
			}
		}
		sums[i] = page_sum(page);
	}
}

static void page_check(void)
{
	const uintptr_t page = ram + (uintptr_t)next * PAGE;

	if (!page_is_busy(page)) {
		checked++;
		changed += page_sum(page) != sums[next] ? 1 : 0;
	}
	next = next + 1 < pages ? next + 1 : 0;
}

static void tick(uint64_t now)
{
	const uint64_t late = now - deadline;

	histogram[late < LATENCY_MAX ? late : LATENCY_MAX - 1]++;
	least = late < least ? late : least;
	most = late > most ? late : most;
	count++;
	deadline += (late / period + 1) * period;
	timer_arm(deadline);
}

void guest_irq(uint64_t now)
{
	const uint32_t taken = gic_acknowledge() & 0x3ff;

	if (taken == intid) {
		/*
		 * The line falls before the interrupt ends: QEMU's GICv2 forgets a line that
		 * is high when a guest ends its interrupt.
		 */
		write_cntv_ctl_el0(0);
	} else if (taken < GIC_SPURIOUS) {
		strays++;
	}
	if (taken < GIC_SPURIOUS) {
		gic_end(taken);
	}
	if (taken == intid) {
		tick(now);
	}
}

static uint64_t median(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < LATENCY_MAX; i++) {
		sum += histogram[i];
		if (sum * 2 >= count) {
			return i;
		}
	}
	return LATENCY_MAX;
}

static void report(struct line *line)
{
	line_begin(line);
	line_value(line, "witness: min ", least);
	line_value(line, " median ", median());
	line_value(line, " max ", most);
	line_value(line, " checked ", checked);
	line_value(line, " changed ", changed);
	line_value(line, " strays ", strays);
	line_text(line, "\n");
	for (uint32_t i = 0; i < LATENCY_MAX; i++) {
		histogram[i] = 0;
	}
	count = 0;
	least = UINT64_MAX;
	most = 0;
}

void guest_main(const void *fdt)
{
	static struct line line;
	struct fdt_node node;
	uint64_t address, size, ticks;

	mmu_enable(fdt);
	console_init(fdt);
	if (!fdt_find(fdt, "memory", &node) || !fdt_reg(&node, 0, &address, &size) ||
	    !gic_init(fdt)) {
		console_print("witness: the device tree lacks memory or interrupt controller\n");
		return;
	}
	ram = address;
	pages = size / PAGE < PAGES_MAX ? (uint32_t)(size / PAGE) : PAGES_MAX;
	if (fdt_find(fdt, "kizami,console-ring", &node) && fdt_reg(&node, 0, &address, &size)) {
		ring = address;
	}
	ticks = option_value(fdt_bootargs(fdt), "ticks", 500);
	memory_init((uintptr_t)fdt);
	period = read_cntfrq_el0() / 1000;
	least = UINT64_MAX;
	intid = timer_intid(fdt);
	for (uint32_t i = 0; i < 32; i++) {
		if (i < 16 || i == intid) {
			gic_enable(i, i == intid ? 0x80 : 0xa0);
		}
	}
	deadline = read_cntvct_el0() + period;
	timer_arm(deadline);
	cpu_irq_enable();
	for (;;) {
		cpu_wfi();
		page_check();
		if (line.sent < line.length) {
			line_send(&line, SEND_MAX);
		} else if (count >= ticks) {
			report(&line);
		}
	}
}
