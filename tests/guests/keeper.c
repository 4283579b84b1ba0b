/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that keeps patterns in every register that it can: FP and SIMD, EL1
 * system registers, timers, debug registers. It lets others run, by a yield or by
 * spinning until it was preempted, and looks whether all is as it left it. Two of
 * them on a core, with different seeds, would see each other's.
 *
 * Command line: seed=1 rounds=1000 spins=100 (of the rounds), and nofp.
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "realtime.h"
#include "timer.h"

#define VECTORS		32u
#define STEP		5000u		/* ns: a longer one of the counter is somebody else's */
#define SPIN_MAX	1000000000u	/* ns: it does not wait longer for that */

/*
 * NAME(its name, bits that are ours to write). Breakpoints and watchpoints are
 * on, at addresses that are not used, with MDSCR_EL1.MDE; nothing runs with KDE.
 */
#define REGISTERS(NAME)                                                                            \
	NAME(tpidr_el0, ~0ull)                                                                     \
	NAME(tpidrro_el0, ~0ull)                                                                   \
	NAME(tpidr_el1, ~0ull)                                                                     \
	NAME(contextidr_el1, 0xffffffffull)                                                        \
	NAME(ttbr1_el1, 0xffff0000fffff000ull)                                                     \
	NAME(amair_el1, ~0ull)                                                                     \
	NAME(afsr0_el1, 0xffffffffull)                                                             \
	NAME(afsr1_el1, 0xffffffffull)                                                             \
	NAME(esr_el1, 0xffffffffull)                                                               \
	NAME(far_el1, ~0ull)                                                                       \
	NAME(elr_el1, ~0ull)                                                                       \
	NAME(spsr_el1, 0xf00003c0ull)                                                              \
	NAME(sp_el0, ~0ull)                                                                        \
	NAME(par_el1, 0xfffff000ull)                                                               \
	NAME(csselr_el1, 0x3ull)                                                                   \
	NAME(cntkctl_el1, 0xf3ull)                                                                 \
	NAME(cntv_cval_el0, ~0ull)                                                                 \
	NAME(cntp_cval_el0, ~0ull)                                                                 \
	NAME(dbgbvr0_el1, 0xfffff000ull)                                                           \
	NAME(dbgbvr1_el1, 0xfffff000ull)                                                           \
	NAME(dbgbvr2_el1, 0xfffff000ull)                                                           \
	NAME(dbgbvr3_el1, 0xfffff000ull)                                                           \
	NAME(dbgbvr4_el1, 0xfffff000ull)                                                           \
	NAME(dbgbvr5_el1, 0xfffff000ull)                                                           \
	NAME(dbgbcr0_el1, 0x1e7ull)                                                                \
	NAME(dbgbcr1_el1, 0x1e7ull)                                                                \
	NAME(dbgbcr4_el1, 0x1e7ull)                                                                \
	NAME(dbgbcr5_el1, 0x1e7ull)                                                                \
	NAME(dbgwvr0_el1, 0xfffff000ull)                                                           \
	NAME(dbgwvr1_el1, 0xfffff000ull)                                                           \
	NAME(dbgwvr2_el1, 0xfffff000ull)                                                           \
	NAME(dbgwvr3_el1, 0xfffff000ull)                                                           \
	NAME(dbgwcr0_el1, 0x1fffull)                                                               \
	NAME(dbgwcr3_el1, 0x1fffull)                                                               \
	NAME(mdccint_el1, 0x60000000ull)

#define ACCESS(name, mask)                                                                         \
	SYSREG_READ(kept_##name, #name)                                                            \
	SYSREG_WRITE(kept_##name, #name)
REGISTERS(ACCESS)
SYSREG_WRITE(mdscr_el1, "mdscr_el1")
SYSREG_WRITE(oslar_el1, "oslar_el1")

enum {
#define INDEX(name, mask) R_##name,
	REGISTERS(INDEX)
	REGISTER_COUNT
};

static uint64_t expected[REGISTER_COUNT], found[REGISTER_COUNT];
static uint64_t vectors[2 * VECTORS + 2], vectors_found[2 * VECTORS + 2];	/* and FPCR, FPSR */
static uint64_t frequency, changed, changed_fp, preempted;

void guest_irq(uint64_t now)
{
	(void)now;
}

static void registers_read(uint64_t *into)
{
#define READ(name, mask) into[R_##name] = read_kept_##name() & (mask);
	REGISTERS(READ)
}

/* What sticks is what is expected: some registers have fewer bits. */
static void registers_write(void)
{
#define WRITE(name, mask) write_kept_##name(probe_random() & (mask));
	REGISTERS(WRITE)
	cpu_isb();
	registers_read(expected);
}

/* `act` on each vector in turn, at x9 and on. */
#define FP_EACH(act)                                                                               \
	".arch_extension fp\n.arch_extension simd\n"                                               \
	".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,"    \
	" 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n" act " q\\n, [x9], #16\n.endr\n"

static void fp_write(void)
{
	for (uint32_t i = 0; i < 2 * VECTORS; i++) {
		vectors[i] = probe_random();
	}
	vectors[2 * VECTORS] = probe_random() & 0x07c00000u;
	vectors[2 * VECTORS + 1] = probe_random() & 0x0800001fu;
	__asm__ volatile("mov x9, %0\n"
			 FP_EACH("ldr")
			 "ldp x10, x11, [x9]\n"
			 "msr fpcr, x10\n"
			 "msr fpsr, x11\n" ::"r"(vectors)
			 : "x9", "x10", "x11", "memory");
}

static void fp_read(void)
{
	__asm__ volatile("mov x9, %0\n"
			 FP_EACH("str")
			 "mrs x10, fpcr\n"
			 "mrs x11, fpsr\n"
			 "stp x10, x11, [x9]\n" ::"r"(vectors_found)
			 : "x9", "x10", "x11", "memory");
}

/* Until a step of the counter shows that somebody else ran; false if nobody did for long. */
static bool spin(void)
{
	const uint64_t step = timer_ticks(STEP, frequency);
	const uint64_t most = timer_ticks(SPIN_MAX, frequency);
	const uint64_t start = read_cntvct_el0();
	uint64_t last = start, now = start;

	while (now - last < step) {
		if (now - start > most) {
			return false;
		}
		last = now;
		now = read_cntvct_el0();
	}
	return true;
}

static void round_run(bool by_spin, bool fp)
{
	uint64_t x1 = 0, x2 = 0;
	bool same = true;

	registers_write();
	if (fp) {
		fp_write();
	}
	if (by_spin) {
		preempted += spin() ? 1 : 0;
	} else {
		(void)realtime_job_done(&x1, &x2);
	}
	if (fp) {
		fp_read();
		for (uint32_t i = 0; i < 2 * VECTORS + 2; i++) {
			same = same && vectors[i] == vectors_found[i];
		}
		changed_fp += same ? 0 : 1;
	}
	same = true;
	registers_read(found);
	for (uint32_t i = 0; i < REGISTER_COUNT; i++) {
		same = same && expected[i] == found[i];
	}
	changed += same ? 0 : 1;
}

static void report(uint64_t rounds, uint64_t ticks)
{
	struct line line;

	line_begin(&line);
	line_value(&line, "keeper: rounds ", rounds);
	line_value(&line, " preempted ", preempted);
	line_value(&line, " changed ", changed);
	line_value(&line, " fp ", changed_fp);
	line_value(&line, " faults ", probe.faults);
	line_value(&line, " ns ", timer_ns(ticks, frequency));
	line_print(&line);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t rounds = option_value(args, "rounds", 1000);
	const uint64_t spins = option_value(args, "spins", 100);
	const bool fp = !option_has(args, "nofp");
	uint64_t start;

	mmu_enable(fdt);
	console_init(fdt);
	probe_init();
	frequency = read_cntfrq_el0();
	probe_seed *= 2 * option_value(args, "seed", 1) + 1;
	write_oslar_el1(0);
	write_mdscr_el1(1u << 15);
	cpu_isb();
	start = read_cntvct_el0();
	/* It goes on after its report: the others need somebody to switch to. */
	for (uint64_t i = 0;; i++) {
		if (i == rounds) {
			report(rounds, read_cntvct_el0() - start);
		}
		round_run(i < spins, fp);
	}
}
