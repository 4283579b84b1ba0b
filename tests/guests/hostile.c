/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile guest: it tries everything at EL1 that could reach something that
 * is not its own, with vectors that go on behind each exception, and says for
 * each phase how much it tried and how much faulted. In the end it sleeps with
 * its interrupts masked. What it did to others is for others to see.
 */
#include "hostile.h"

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "psci.h"
#include "timer.h"

#define PAGE		4096ull
#define GIB		(1ull << 30)
#define BOARD_END	(4 * GIB)	/* every page below it is tried */
#define SPACE_END	(1ull << 40)	/* and some below that */
#define SPACE_STEP	(64ull << 20)
#define FETCH_STEP	16u		/* of how many pages one is tried as code, too */
#define OWN_MAX		8u
#define CODE_WORDS	1024u
#define RET		0xd65f03c0u
#define BUSY		20000u		/* turns of a loop between two looks at the keyboard */

SYSREG_WRITE(mdscr_el1, "mdscr_el1")
SYSREG_WRITE(oslar_el1, "oslar_el1")
SYSREG_WRITE(dbgbvr0_el1, "dbgbvr0_el1")
SYSREG_WRITE(dbgbcr0_el1, "dbgbcr0_el1")
SYSREG_WRITE(dbgwvr0_el1, "dbgwvr0_el1")
SYSREG_WRITE(dbgwcr0_el1, "dbgwcr0_el1")
SYSREG_WRITE(daif, "daif")
SYSREG_WRITE(icc_sgi1r_el1, "s3_0_c12_c11_5")
SYSREG_WRITE(icc_asgi1r_el1, "s3_0_c12_c11_6")
SYSREG_WRITE(icc_sgi0r_el1, "s3_0_c12_c11_7")

struct span {
	uint64_t base, size;
};

static uint64_t level0[512] __attribute__((aligned(4096)));
static uint64_t level1[1024] __attribute__((aligned(4096)));
static uint32_t code[CODE_WORDS] __attribute__((aligned(4096)));
static uint8_t scratch[4096] __attribute__((aligned(4096)));
static struct span own[OWN_MAX];	/* [0] is memory, the rest are emulated devices */
static uint32_t own_count, gic_first;
static bool v3;
static uint64_t tried, before;

/* ---- What it says ---- */

static void phase_begin(void)
{
	tried = 0;
	before = probe.faults;
}

static uint64_t faulted(void)
{
	return *(volatile uint64_t *)&probe.faults - before;
}

/* all: whether every try must have faulted. */
static void phase_end(const char *name, bool all)
{
	struct line line;

	line_begin(&line);
	line_text(&line, all && faulted() != tried ? "not ok " : "ok ");
	line_text(&line, name);
	line_value(&line, ": ", tried);
	line_value(&line, " tried, ", faulted());
	line_text(&line, " faulted");
	line_print(&line);
}

/* ---- Memory ---- */

/* All 40 bits of address, as Normal memory: so every kind of access gets past stage 1. */
static void mmu_all(void)
{
	for (uint64_t i = 0; i < 1024; i++) {
		level1[i] = i << 30 | 1 | 3 << 8 | 1 << 10;	/* a block, shareable, accessed */
	}
	level0[0] = (uintptr_t)level1 | 3;
	level0[1] = (uintptr_t)(level1 + 512) | 3;
	write_mair_el1(0xff);
	/* T0SZ 24, walks write-back and inner-shareable, EPD1, IPS 40 bits (DDI 0487 D17.2.131). */
	write_tcr_el1(24ull | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 23 | 2ull << 32);
	write_ttbr0_el1((uintptr_t)level0);
	cpu_dsb();
	cpu_tlbi_vmalle1();
	cpu_ic_iallu();
	cpu_dsb();
	cpu_isb();
	write_sctlr_el1(read_sctlr_el1() | 1 | 1 << 2 | 1 << 12);
	cpu_isb();
}

static void own_add(uint64_t base, uint64_t size)
{
	if (own_count < OWN_MAX) {
		own[own_count] = (struct span){ base, size };
		own_count++;
	}
}

static void own_find(const void *fdt)
{
	struct fdt_node node;
	uint64_t base, size;

	if (fdt_find(fdt, "memory", &node) && fdt_reg(&node, 0, &base, &size)) {
		own_add(base, size);
	}
	gic_first = own_count;
	v3 = fdt_find(fdt, "arm,gic-v3", &node);
	if (v3 || fdt_find(fdt, "arm,gic-400", &node)) {
		for (uint32_t i = 0; i < 2 && fdt_reg(&node, i, &base, &size); i++) {
			own_add(base, size);
		}
	}
	if (fdt_find(fdt, "arm,pl011", &node) && fdt_reg(&node, 0, &base, &size)) {
		own_add(base, size);
	}
}

/* The end of what is the guest's own at the page, or 0. */
static uint64_t own_end(uint64_t page)
{
	for (uint32_t i = 0; i < own_count; i++) {
		if (page - own[i].base < own[i].size) {
			return own[i].base + own[i].size;
		}
	}
	return 0;
}

static void page_try(uint64_t page, uint32_t kind)
{
	/* Somewhere in the page, where an access of any size stays in it. */
	const uint64_t at = page + (kind % 63) * 64;

	access_read(at, kind);
	access_write(at, kind / 2);
	tried += 2;
	if (kind % FETCH_STEP == 0) {
		probe_call(page + (kind % 1024) * 4);
		tried++;
	}
}

static void memory_board(void)
{
	uint32_t kind = 0;

	phase_begin();
	for (uint64_t page = 0; page < BOARD_END; page += PAGE) {
		const uint64_t end = own_end(page);

		if (end != 0) {
			page = end - PAGE;
			continue;
		}
		page_try(page, kind);
		kind++;
	}
	phase_end("memory of the board", true);
}

static void memory_space(void)
{
	phase_begin();
	for (uint64_t page = BOARD_END; page < SPACE_END; page += SPACE_STEP) {
		page_try(page + (probe_random() % SPACE_STEP & ~(PAGE - 1)),
			 (uint32_t)probe_random() & 0xfff0);
	}
	phase_end("memory of the whole space", true);
}

/* Its own emulated devices hold no instructions. */
static void memory_fetch(void)
{
	phase_begin();
	for (uint32_t i = gic_first; i < own_count; i++) {
		for (uint64_t at = own[i].base; at < own[i].base + own[i].size; at += PAGE) {
			probe_call(at);
			tried++;
		}
	}
	phase_end("fetches from devices", true);
}

static void memory_cache(void)
{
	phase_begin();
	for (uint64_t page = 0; page < BOARD_END; page += 64 * PAGE) {
		for (uint32_t kind = 0; kind < CACHE_KINDS && own_end(page) == 0; kind++) {
			access_cache(page, kind);
			tried++;
		}
	}
	phase_end("cache maintenance", false);
}

/* ---- Interrupt controller ---- */

static void gic_words(void)
{
	static const uint8_t sizes[] = { 4, 1, 2, 8 };

	phase_begin();
	for (uint32_t f = gic_first; f < gic_first + 2 && f < own_count; f++) {
		for (uint64_t at = own[f].base; at < own[f].base + own[f].size; at += 4) {
			for (uint32_t s = 0; s < sizeof(sizes); s++) {
				access_sized(at, sizes[s], true, ~0ull);
				access_sized(at, sizes[s], true, probe_random());
				access_sized(at, sizes[s], false, 0);
				tried += 3;
			}
		}
	}
	phase_end("registers of the interrupt controller", false);
}

/* GICv2: each filter, each set of targets, every INTID by turns. */
static void sgi_distributor(void)
{
	for (uint32_t n = 0; n < 4 * 256 * 16; n++) {
		const uint32_t value = (n >> 12 & 3) << 24 | (n >> 4 & 0xff) << 16 | (n & 15) |
				       (uint32_t)(probe_random() & 0x8000);

		access_sized(own[gic_first].base + 0xf00, 4, true, value);
		tried++;
	}
}

/* GICv3: all but self, and lists of near and far cores, by each of the three registers. */
static void sgi_registers(void)
{
	for (uint32_t n = 0; n < 4096; n++) {
		const uint64_t r = probe_random();
		uint64_t value = (uint64_t)(n & 15) << 24;

		if ((n & 0x10) != 0) {
			value |= 1ull << 40;
		}
		if ((n & 0x20) != 0) {
			value |= r & 0x00fff0ff00ff0000ull;	/* Aff3, RS, Aff2, Aff1 */
		}
		value |= (n & 0x40) != 0 ? 0xffff : r & 0xffff;
		write_icc_sgi1r_el1(value);
		write_icc_asgi1r_el1(value);
		write_icc_sgi0r_el1(value);
		tried += 3;
	}
}

static void sgi_all(void)
{
	phase_begin();
	sgi_distributor();
	if ((read_id_aa64pfr0_el1() >> 24 & 15) != 0) {
		sgi_registers();
	}
	phase_end("SGIs", false);
}

/* ---- Calls ---- */

/* Those that end the guest, or sleep until an interrupt comes. */
static bool call_ends(uint64_t fn)
{
	const uint64_t psci = fn & ~(1ull << 30);

	return psci == 0x84000001 || psci == 0x84000002 || psci == 0x84000008 ||
	       psci == 0x84000009;
}

static void calls(void)
{
	uint64_t known = 0;

	phase_begin();
	for (uint64_t class = 0; class < 256; class++) {	/* fast, 64 bits, owner */
		for (uint32_t n = 0; n < 48; n++) {
			const uint64_t fn = class << 24 | (n < 32 ? n : probe_random() & 0xffffff);

			if (!call_ends(fn)) {
				known += call_random(fn, false) != ~0ull ? 1 : 0;
				known += call_random(fn, true) != ~0ull ? 1 : 0;
				tried += 2;
			}
		}
	}
	phase_end(known > 0 ? "calls" : "calls, of which none is known", false);
}

static void call_suspend(const void *fdt)
{
	const uint32_t intid = timer_intid(fdt);

	phase_begin();
	gic_init(fdt);
	gic_enable(intid, 0x80);
	for (uint32_t n = 0; n < 64; n++) {
		timer_arm(read_cntvct_el0() + read_cntfrq_el0() / 100000);
		hvc_call(n % 2 != 0 ? 0xc4000001 : 0x84000001, probe_random(), probe_random(),
			 probe_random());
		gic_end(gic_acknowledge());
		tried++;
	}
	timer_arm(~0ull >> 1);
	phase_end("CPU_SUSPEND", false);
}

/* ---- Instructions, made at run time ---- */

static void code_publish(uint32_t words)
{
	code[words] = RET;
	for (uintptr_t p = (uintptr_t)code; p < (uintptr_t)(code + words + 1); p += 64) {
		__asm__ volatile("dc cvau, %0" ::"r"(p) : "memory");
	}
	cpu_dsb();
	cpu_ic_iallu();
	cpu_dsb();
	cpu_isb();
}

/* Its own controls, which it needs to go on: not written. */
static bool is_own_control(uint32_t word)
{
	switch (word >> 5 & 0xffff) {
	case 0xc080:		/* SCTLR_EL1 */
	case 0xc100:		/* TTBR0_EL1 */
	case 0xc102:		/* TCR_EL1 */
	case 0xc210:		/* SPSel */
	case 0xc510:		/* MAIR_EL1 */
	case 0xc600:		/* VBAR_EL1 */
		return true;
	default:
		return false;
	}
}

/* All encodings of MRS, MSR, SYS and SYSL with that op0 and direction, each with each value. */
static void code_system(uint32_t op0, bool read, const uint64_t *value, uint32_t values)
{
	for (uint32_t block = 0; block < 0x4000; block += 512) {	/* op1, CRn, CRm, op2 */
		uint32_t words = 0;

		for (uint32_t n = block; n < block + 512; n++) {
			const uint32_t word = 0xd5000000u | (read ? 1u << 21 : 0) | op0 << 19 |
					      n << 5 | 9;

			if (read || op0 != 3 || !is_own_control(word)) {
				code[words] = word;
				words++;
			}
		}
		code_publish(words);
		for (uint32_t i = 0; i < values; i++) {
			code_run((uintptr_t)code, value[i]);
			tried += words;
		}
	}
}

static void registers_read(void)
{
	static const uint64_t zero;

	phase_begin();
	code_system(2, true, &zero, 1);
	code_system(3, true, &zero, 1);
	phase_end("system register reads", false);
}

static void registers_write(void)
{
	const uint64_t value[] = { 0, ~0ull, probe_random() };

	phase_begin();
	code_system(2, false, value, 3);
	code_system(3, false, value, 3);
	phase_end("system register writes", false);
}

static void instructions_system(void)
{
	const uint64_t value[] = { (uintptr_t)scratch, ~0ull, own[0].base + own[0].size };

	phase_begin();
	code_system(1, false, value, 3);
	code_system(1, true, value, 1);
	phase_end("system instructions", false);
}

/* MSR (immediate) but SPSel, and hints but WFE and WFI. */
static void instructions_state(void)
{
	uint32_t words = 0;

	phase_begin();
	for (uint32_t n = 0; n < 1024; n++) {	/* op1, CRm, op2 */
		const uint32_t op1 = n >> 7, op2 = n & 7;

		if (!(op1 == 0 && op2 == 5)) {
			code[words % 512] = 0xd500401fu | op1 << 16 | (n & 0x7f) << 5;
			words++;
		}
		if (words % 512 == 0 || n == 1023) {
			code_publish(words % 512 == 0 ? 512 : words % 512);
			code_run((uintptr_t)code, 0);
		}
	}
	tried = words;
	words = 0;
	for (uint32_t n = 0; n < 128; n++) {
		if (n != 2 && n != 3) {
			code[words] = 0xd503201fu | n << 5;
			words++;
		}
	}
	code_publish(words);
	code_run((uintptr_t)code, 0);
	tried += words;
	phase_end("state and hints", false);
}

/* Words of one class, their other bits by chance. */
static void words_run(uint32_t fixed, uint32_t random_bits)
{
	for (uint32_t n = 0; n < 512; n++) {
		code[n] = fixed | ((uint32_t)probe_random() & random_bits);
	}
	code_publish(512);
	code_run((uintptr_t)code, ~0ull);
	tried += 512;
}

static void instructions_words(void)
{
	phase_begin();
	words_run(0xd4000001, 0xffff << 5);	/* SVC */
	words_run(0xd4000022, 0xfffe << 5);	/* HVC with an immediate */
	words_run(0xd4000023, 0xfffe << 5);	/* SMC with an immediate */
	words_run(0xd4200000, 0xffff << 5);	/* BRK */
	words_run(0xd4400000, 0xffff << 5);	/* HLT */
	words_run(0xd4a00000, 0xffff << 5 | 3);	/* DCPS1 to DCPS3 */
	words_run(0x00000000, 0x61ffffff);	/* reserved, UDF among them */
	words_run(0x02000000, 0xe1ffffff);	/* unallocated */
	words_run(0x06000000, 0xe1ffffff);	/* unallocated */
	words_run(0x04000000, 0xe1ffffff);	/* SVE */
	phase_end("privileged and undefined words", false);
}

/* Returns to exception levels that it has no business in. */
static void instructions_eret(void)
{
	phase_begin();
	for (uint64_t mode = 0; mode < 32; mode++) {
		/* Not to EL0, EL1 with either stack, or 32-bit EL0, which would be legal. */
		if (mode == 0 || mode == 4 || mode == 5 || mode == 0x10) {
			continue;
		}
		__asm__ volatile("adr x9, 1f\n"
				 "msr elr_el1, x9\n"
				 "msr spsr_el1, %0\n"
				 "isb\n"
				 "eret\n"
				 "1: nop\n" ::"r"(SPSR_DAIF | mode) : "x9", "memory");
		tried++;
	}
	phase_end("illegal returns", true);
}

/* ---- Debug ---- */

static __attribute__((noinline)) void debug_target(void)
{
	__asm__ volatile("nop" ::: "memory");
}

/* Its own breakpoint and watchpoint work, in EL1. */
static void debug(void)
{
	phase_begin();
	write_oslar_el1(0);
	write_mdscr_el1(1u << 15 | 1u << 13);	/* MDE, KDE */
	write_dbgbvr0_el1((uintptr_t)debug_target);
	write_dbgbcr0_el1(0x1e3);		/* an address, EL1 */
	write_dbgwvr0_el1((uintptr_t)scratch);
	write_dbgwcr0_el1(0x1ffb);		/* eight bytes, loads and stores, EL1 */
	write_daif(SPSR_DAIF & ~0x200ull);
	cpu_isb();
	debug_target();
	tried++;
	write_daif(SPSR_DAIF & ~0x200ull);
	cpu_isb();
	*(volatile uint64_t *)scratch = 1;
	tried++;
	write_daif(SPSR_DAIF);
	write_dbgbcr0_el1(0);
	write_dbgwcr0_el1(0);
	write_mdscr_el1(0);
	cpu_isb();
	phase_end("debug exceptions", true);
}

/* The library's vectors are not in use. */
void guest_irq(uint64_t now)
{
	(void)now;
}

void guest_main(const void *fdt)
{
	mmu_all();
	console_init(fdt);
	own_find(fdt);
	probe_init();
	/* Time for the others to say how they are when all is quiet, but for one busy core. */
	while (console_read() != 'g') {
		for (uint32_t i = 0; i < BUSY; i++) {
			__asm__ volatile("");
		}
	}
	call_suspend(fdt);
	memory_board();
	memory_space();
	memory_fetch();
	memory_cache();
	calls();
	sgi_all();
	debug();
	instructions_eret();
	instructions_words();
	instructions_state();
	instructions_system();
	registers_read();
	registers_write();
	gic_words();
	sgi_all();
	console_print("hostile: all done\n");
	for (;;) {
		__asm__ volatile("msr daifset, #15\nwfi" ::: "memory");
	}
}
