/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that manages others, by lines that are typed, numbers in hexadecimal:
 *   c FN X1 X2 X3 X4   a call: "= ERROR X1 X2", the error in decimal
 *   r ADDRESS COUNT    words of 64 bits from its memory: ": W W W W", four a line, then "."
 *   w ADDRESS W ...    and to it: "."
 *   z ADDRESS COUNT    that many zero bytes
 *   e                  sleeps until the event interrupt comes: "! BITS"
 *   n BITS             KZ_HVC_NOTIFY
 *   t COUNT FN ...     the call so often: "~ TICKS"
 *   y ...              VMs come and go: struct cycle (cycle.h)
 *
 * Command line: nap: it sleeps between two looks at its keyboard. work=ADDRESS, in decimal: of a
 * struct cycle: an instance that is not the first takes over from the one before: VMs that it finds
 * go, and then others come and go as said there.
 */
#include <kizami/control.h>

#include "cycle.h"

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "options.h"
#include "realtime.h"
#include "sysreg.h"
#include "timer.h"

#define WORDS		24u
#define EVENT_PRIORITY	0x80u
#define TIMER_PRIORITY	0xa0u
#define NAP		500000u	/* ns between two looks at the keyboard */

struct call {
	uint64_t x[5];
};

static volatile uint32_t events;
static uint32_t timer;
static bool naps;

void guest_irq(uint64_t now)
{
	const uint32_t id = gic_acknowledge();

	(void)now;
	if (id == KZ_EVENT_INTID) {
		events++;
	} else if (id == timer) {
		write_cntv_ctl_el0(0);
	}
	gic_end(id);
}

static int64_t call(struct call *c)
{
	register uint64_t x0 __asm__("x0") = c->x[0];
	register uint64_t x1 __asm__("x1") = c->x[1];
	register uint64_t x2 __asm__("x2") = c->x[2];
	register uint64_t x3 __asm__("x3") = c->x[3];
	register uint64_t x4 __asm__("x4") = c->x[4];

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4)::"memory");
	c->x[0] = x0;
	c->x[1] = x1;
	c->x[2] = x2;
	return (int64_t)x0;
}

static void say_signed(struct line *line, int64_t value)
{
	line_text(line, value < 0 ? "-" : "");
	line_decimal(line, (uint64_t)(value < 0 ? -value : value));
}

static void answer(const struct call *c, int64_t error)
{
	struct line line;

	line_begin(&line);
	line_text(&line, "= ");
	say_signed(&line, error);
	line_text(&line, " ");
	line_hex(&line, c->x[1]);
	line_text(&line, " ");
	line_hex(&line, c->x[2]);
	line_print(&line);
}

static void say(const char *text)
{
	struct line line;

	line_begin(&line);
	line_text(&line, text);
	line_print(&line);
}

static void say_value(const char *text, uint64_t value)
{
	struct line line;

	line_begin(&line);
	line_text(&line, text);
	line_hex(&line, value);
	line_print(&line);
}

static void dump(const uint64_t *at, uint64_t count)
{
	struct line line;

	for (uint64_t i = 0; i < count; i += 4) {
		line_begin(&line);
		line_text(&line, ":");
		for (uint64_t k = i; k < i + 4 && k < count; k++) {
			line_text(&line, " ");
			line_hex(&line, at[k]);
		}
		line_print(&line);
	}
	say(".");
}

static void wait_event(void)
{
	struct call c = { { KZ_HVC_EVENTS } };

	cpu_irq_disable();
	while (events == 0) {
		gic_wait();
	}
	events = 0;
	cpu_irq_enable();
	(void)call(&c);
	say_value("! ", c.x[1]);
}

static void repeat(uint64_t count, const uint64_t *x)
{
	const uint64_t begun = read_cntvct_el0();

	for (uint64_t i = 0; i < count; i++) {
		struct call c = { { x[0], x[1], x[2], x[3], x[4] } };

		(void)call(&c);
	}
	say_value("~ ", read_cntvct_el0() - begun);
}

static void act(char key, uint64_t *word, uint32_t count)
{
	struct call c = { { word[0], word[1], word[2], word[3], word[4] } };
	volatile uint64_t *to = (volatile uint64_t *)word[0];

	switch (key) {
	case 'c':
		answer(&c, call(&c));
		break;
	case 'r':
		dump((const uint64_t *)word[0], word[1]);
		break;
	case 'w':
		for (uint32_t i = 1; i < count; i++) {
			*to++ = word[i];
		}
		say(".");
		break;
	case 'z':
		for (uint64_t i = 0; i < word[1]; i += 8) {
			*to++ = 0;
		}
		say(".");
		break;
	case 'e':
		wait_event();
		break;
	case 'n':
		say_value("= ", (uint64_t)realtime_notify(word[0]));
		break;
	case 't':
		repeat(word[0], &word[1]);
		break;
	case 'y':
		cycle((const struct cycle *)word);
		break;
	default:
		say("?");
		break;
	}
}

/* Others have the core, or nobody. */
static void nap(void)
{
	cpu_irq_disable();
	timer_arm(read_cntvct_el0() + timer_ticks(NAP, read_cntfrq_el0()));
	gic_wait();
	cpu_irq_enable();
}

/* A line that ends in a carriage return: a key, then numbers. */
static void serve(void)
{
	static uint64_t word[WORDS];
	uint32_t count = 0;
	char key = 0;
	bool in = false;

	for (;;) {
		const int c = console_read();

		if (c < 0 && naps) {
			nap();
		} else if (c < 0) {
			__asm__ volatile("yield");
		} else if (c == '\r') {
			act(key, word, count);
			for (uint32_t i = 0; i < WORDS; i++) {
				word[i] = 0;
			}
			key = 0;
			count = 0;
			in = false;
		} else if (key == 0) {
			key = (char)c;
		} else if (c == ' ') {
			in = false;
		} else if (count < WORDS || in) {
			count += in ? 0 : 1;
			in = true;
			word[count - 1] = word[count - 1] << 4 |
					  (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
		}
	}
}

/* How often this VM has started again. */
static uint64_t restarts(void)
{
	static struct kz_machine_info whole;
	static struct kz_vm_info own;
	struct call c = { { KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 0, (uintptr_t)&whole } };

	if (call(&c) == KZ_OK) {
		c = (struct call){ { KZ_HVC_INSPECT, KZ_INSPECT_VM, whole.caller,
				     (uintptr_t)&own } };
		(void)call(&c);
	}
	return own.restarts;
}

/* Each instance does other things, but the same in each run. */
static void go_on(uint64_t at)
{
	static struct cycle work;

	work = *(const struct cycle *)at;
	work.seed += 2 * restarts();
	(void)cycle_take_over(&work);
	cycle(&work);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t work = option_value(args, "work", 0);

	naps = option_has(args, "nap");
	console_init(fdt);
	if (!gic_init(fdt)) {
		say("warden: no GIC");
		return;
	}
	timer = timer_intid(fdt);
	gic_enable(KZ_EVENT_INTID, EVENT_PRIORITY);
	gic_enable(timer, TIMER_PRIORITY);
	cpu_irq_enable();
	say("warden: up");
	if (work != 0 && restarts() != 0) {
		go_on(work);
	}
	serve();
}
