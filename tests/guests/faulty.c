/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that accesses what is not there, when told to by a key:
 *   i  once in each way, and looks at the exceptions that it gets
 *   m  100000 times
 *   f  once
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "guest.h"
#include "line.h"

#define MANY	100000u

static uintptr_t nowhere;	/* behind its memory */

void guest_irq(uint64_t now)
{
	(void)now;
}

static void say(const char *text, uint64_t number)
{
	struct line line;

	line_begin(&line);
	line_value(&line, text, number);
	line_print(&line);
}

static void check(const char *name, bool ok)
{
	struct line line;

	line_begin(&line);
	line_text(&line, ok ? "ok " : "not ok ");
	line_text(&line, name);
	if (!ok) {
		line_text(&line, ": esr ");
		line_hex(&line, probe.esr);
		line_text(&line, " far ");
		line_hex(&line, probe.far);
	}
	line_print(&line);
}

/* A data abort from that level, external, at that address, by a write or a read. */
static bool is_abort(uint32_t ec, uintptr_t far, bool write)
{
	return ESR_EC(probe.esr) == ec && (probe.esr & ESR_DFSC) == DFSC_EXTERNAL &&
	       probe.far == far && ((probe.esr >> 6 & 1) != 0) == write &&
	       (probe.esr >> 25 & 1) == 1;
}

static void fault_pair(uintptr_t at)
{
	__asm__ volatile("ldp x9, x10, [%0]" ::"r"(at) : "x9", "x10", "memory");
}

/* At EL0: a load from there, then SVC, which the vectors answer with a return to EL1. */
static void fault_user(uintptr_t at)
{
	__asm__ volatile("adr x9, 1f\n"
			 "msr elr_el1, x9\n"
			 "msr spsr_el1, %1\n"
			 "mov x10, %0\n"
			 "mov x11, sp\n"
			 "msr sp_el0, x11\n"
			 "isb\n"
			 "eret\n"
			 "1: ldr x9, [x10]\n"
			 "svc #0\n" ::"r"(at), "r"(SPSR_DAIF)
			 : "x9", "x10", "x11", "memory");
}

static void each(void)
{
	uint32_t value;

	check("read", !probe_read32(nowhere + 8, &value) && is_abort(EC_DATA, nowhere + 8, false));
	check("write", !probe_write32(nowhere + 4, 1) && is_abort(EC_DATA, nowhere + 4, true));
	fault_pair(nowhere + 64);
	check("pair", is_abort(EC_DATA, nowhere + 64, false));
	check("fetch", !probe_call(nowhere + 32) && ESR_EC(probe.esr) == EC_FETCH &&
	      (probe.esr & ESR_DFSC) == DFSC_EXTERNAL && probe.far == nowhere + 32 &&
	      probe.pc == nowhere + 32);
	fault_user(nowhere + 16);
	check("read at EL0", ESR_EC(probe.user_esr) == EC_DATA_EL0 &&
	      (probe.user_esr & ESR_DFSC) == DFSC_EXTERNAL && probe.far == nowhere + 16);
	say("ok faults: ", probe.faults);
}

static void many(void)
{
	const uint64_t before = probe.faults;
	uint32_t value;

	for (uint32_t i = 0; i < MANY; i++) {
		(void)probe_read32(nowhere + 4096ul * i % 0x100000, &value);
	}
	say("ok many: ", probe.faults - before);
}

void guest_main(const void *fdt)
{
	struct fdt_node node;
	uint64_t base = 0, size = 0;
	uint32_t value;

	console_init(fdt);
	probe_init();
	if (fdt_find(fdt, "memory", &node) && fdt_reg(&node, 0, &base, &size)) {
		nowhere = base + size + 0x1000000;
	}
	console_print("faulty: up\n");
	for (;;) {
		switch (console_read()) {
		case 'i':
			each();
			break;
		case 'm':
			many();
			break;
		case 'f':
			(void)probe_read32(nowhere, &value);
			console_print("faulty: goes on\n");
			break;
		default:
			break;
		}
	}
}
