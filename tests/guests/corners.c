/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest may do and hardly any does: exceptions in odd states, loads of odd
 * kinds from emulated devices, debug registers. Each is answered as a processor that
 * is its own would. Command line:
 *   shared  another VM has the same core: the debug registers are not there
 *   hrt     the distributor has nothing for it but its own interrupts
 *   two     it has a second vCPU, which stays off
 *   keys    at its end it waits for a key, by interrupt
 *   off     it switches itself off at its end
 */
#include "probe.h"

#include "console.h"
#include "fdt.h"
#include "gic.h"
#include "guest.h"
#include "options.h"
#include "psci.h"
#include "say.h"
#include "timer.h"

SYSREG_READ(id_aa64mmfr0_el1, "id_aa64mmfr0_el1")
SYSREG_READ(id_aa64mmfr1_el1, "id_aa64mmfr1_el1")
SYSREG_READ(mdscr_el1, "mdscr_el1")
SYSREG_WRITE(mdscr_el1, "mdscr_el1")
SYSREG_READ(oslsr_el1, "oslsr_el1")
SYSREG_READ(dbgbvr0_el1, "dbgbvr0_el1")
SYSREG_WRITE(dbgbvr0_el1, "dbgbvr0_el1")
SYSREG_READ(icc_ctlr_el1, "s3_0_c12_c12_4")
SYSREG_WRITE(icc_ctlr_el1, "s3_0_c12_c12_4")
SYSREG_WRITE(icc_sgi1r_el1, "s3_0_c12_c11_5")
SYSREG_WRITE(icc_dir_el1, "s3_0_c12_c11_1")

#define SPSR_USER32	0x1d0ull	/* AArch32 User, A32, A I F masked */
#define FROM_EL1T	0u
#define FROM_EL1H	4u
#define TDCC		(1ull << 12)	/* of MDSCR_EL1 */
#define PRIORITY	0x400u		/* GICD_IPRIORITYR */
#define SPI		40u
#define GICR_SGI	0x10000u	/* SGI and PPI frame of the first redistributor */
#define GICR_OTHER	0x30000u	/* SGI and PPI frame of the second redistributor */
#define SGI		5u
#define CPU_SUSPEND	0xc4000001u
#define SMCCC_VERSION	0x80000000u
#define ARCH_FEATURES	0x80000001u
#define VENDOR_UID	0x8600ff01u
#define PV_TIME_FEATURES	0xc5000020u
#define PV_TIME_ST	0xc5000021u
#define MS		1000000u

static uint64_t gicd, gicc;	/* gicc: 0 on GICv3 */
static uint64_t gicr;		/* 0 on GICv2 */
static uintptr_t nowhere;	/* behind its memory */
static uint32_t timer;

void guest_irq(uint64_t now)
{
	(void)now;
}

/* An external abort by a read of that address, from there. */
static bool is_abort(uint64_t slot, uint32_t ec, uintptr_t far, uint64_t esr)
{
	return probe.slot == slot && ESR_EC(esr) == ec && (esr & ESR_DFSC) == DFSC_EXTERNAL &&
	       probe.far == far;
}

/* On the stack of EL0, at EL1: the exception comes by the first quarter of the table. */
static void fault_el1t(uintptr_t at)
{
	__asm__ volatile("mov x9, sp\n"
			 "msr sp_el0, x9\n"
			 "msr spsel, #0\n"
			 "ldr x9, [%0]\n"
			 "msr spsel, #1\n" ::"r"(at)
			 : "x9", "memory");
}

/* At EL0 in AArch32 state: one instruction, with r1 = value; then SVC, and EL1 goes on. */
#define USER32(word, value)						\
	__asm__ volatile("adr x9, 1f\n"					\
			 "msr elr_el1, x9\n"				\
			 "msr spsr_el1, %1\n"				\
			 "mov x1, %0\n"					\
			 "isb\n"					\
			 "eret\n"					\
			 "1: .inst " word "\n"				\
			 ".inst 0xef000000\n" ::"r"(value), "r"(SPSR_USER32)	\
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", \
			   "x11", "x12", "x13", "x14", "cc", "memory")

static void exceptions(void)
{
	uint64_t before;

	fault_el1t(nowhere + 8);
	say_check("abort with the stack of EL0",
		  is_abort(FROM_EL1T, EC_DATA, nowhere + 8, probe.esr));
	if ((read_id_aa64pfr0_el1() & 0xf) != 2) {
		say_check("no AArch32 state", true);
		return;
	}
	before = probe.faults;
	USER32("0xe5910000", nowhere + 16);		/* ldr r0, [r1] */
	say_check("it comes back from AArch32 state", probe.faults == before + 2);
	say_check("abort in AArch32 state",
		  ESR_EC(probe.user_esr) == EC_DATA_EL0 && probe.far == nowhere + 16 &&
		  (probe.user_esr & ESR_DFSC) == DFSC_EXTERNAL);
	before = probe.faults;
	USER32("0xee110e10", 0ul);			/* mrc p14, 0, r0, c1, c0, 0: DBGDRAR */
	say_check("no debug ROM in AArch32 state", ESR_EC(probe.user_esr) == EC_UNKNOWN &&
		  probe.faults == before + 2);
}

/* The timer fires in AArch32 state: it waits, as interrupts are masked, and its state is kept. */
static void interrupt_user32(void)
{
	const uint64_t before = probe.faults;
	uint32_t intid;

	if ((read_id_aa64pfr0_el1() & 0xf) != 2) {
		return;
	}
	timer_arm(read_cntvct_el0() + read_cntfrq_el0() / 1000);
	USER32("0xe2511001, 0x1afffffd", 20000000ul);	/* 1: subs r1, r1, #1; bne 1b */
	say_equal("20 million rounds in AArch32 state", (int64_t)(probe.faults - before), 1);
	cpu_wfi();			/* the counter may be ahead of the interrupt */
	intid = gic_acknowledge();
	say_equal("the timer fired meanwhile", intid, timer);
	write_cntv_ctl_el0(0);
	cpu_isb();
	if (intid < GIC_SPURIOUS) {
		gic_end(intid);
	}
}

/* What it would find that it may not use. */
static void identification(void)
{
	say_check("40 bits of address at most", (read_id_aa64mmfr0_el1() & 0xf) <= 2);
	say_check("no EL2, EL3, RAS, SVE", (read_id_aa64pfr0_el1() & 0xff0000ff00) == 0);
}

/* An exception sets PSTATE.PAN unless SCTLR_EL1.SPAN does not let it; ours do too. */
static void pan(void)
{
	const uint64_t sctlr = read_sctlr_el1();

	if ((read_id_aa64mmfr1_el1() >> 20 & 0xf) == 0) {
		return;
	}
	probe.reads_pan = true;
	write_pan(0);
	fault_el1t(nowhere + 8);
	say_check("PAN as it was", probe.pan == 0);
	write_sctlr_el1(sctlr & ~(1ull << 23));
	cpu_isb();
	fault_el1t(nowhere + 8);
	say_check("PAN set", probe.pan != 0);
	say_check("PAN as before", read_pan() == 0);
	write_sctlr_el1(sctlr);
	cpu_isb();
	probe.reads_pan = false;
}

#define LOAD(type, name, insn)						\
static type load_##name(uintptr_t at)					\
{									\
	uint64_t v;							\
									\
	__asm__ volatile(insn ", [%1]" : "=r"(v) : "r"(at) : "memory");	\
	return (type)v;							\
}
LOAD(uint64_t, b, "ldrb %w0")
LOAD(uint64_t, sb, "ldrsb %w0")
LOAD(uint64_t, sbx, "ldrsb %x0")
LOAD(uint64_t, sw, "ldrsw %x0")

/* What the distributor's registers say depends on the instruction that asks. */
static void loads(void)
{
	const uintptr_t at = gicd + PRIORITY + SPI;
	const uint64_t before = probe.faults;

	__asm__ volatile("str %w0, [%1]" ::"r"(0xf8000008), "r"(at) : "memory");
	say_equal("a byte", (int64_t)load_b(at + 3), 0xf8);
	say_equal("a signed byte, 32 bits", (int64_t)load_sb(at + 3), 0xfffffff8);
	say_equal("a signed byte, 64 bits", (int64_t)load_sbx(at + 3), -8);
	say_equal("a positive one", (int64_t)load_sbx(at), 8);
	say_equal("a signed word", (int64_t)load_sw(at), (int32_t)0xf8000008);
	__asm__ volatile("ldr wzr, [%0]\n"
			 "ldrb wzr, [%0]\n"
			 "ldrsb xzr, [%0]\n"
			 "strb wzr, [%0]\n" ::"r"(at) : "memory");
	say_equal("a byte of zero", (int64_t)load_b(at), 0);
	say_equal("the bytes beside it", (int64_t)load_sw(at), (int32_t)0xf8000000);
	say_equal("no fault by all that", (int64_t)(probe.faults - before), 0);
}

static void debug(bool shared)
{
	write_mdscr_el1(TDCC);
	say_check("MDSCR_EL1 keeps what is written", read_mdscr_el1() == TDCC);
	__asm__ volatile("msr mdscr_el1, xzr\n"
			 "mrs xzr, mdscr_el1" ::: "memory");
	say_check("and zero", read_mdscr_el1() == 0);
	say_check("the OS lock is there", (read_oslsr_el1() & 9) == 8);
	write_dbgbvr0_el1(0x1000);
	say_equal("a breakpoint", (int64_t)read_dbgbvr0_el1(), shared ? 0 : 0x1000);
	write_dbgbvr0_el1(0);
}

static volatile uint32_t *gicc_at(uint64_t offset)
{
	return (volatile uint32_t *)(uintptr_t)(gicc + offset);
}

static void priority_drop(uint32_t intid)
{
	if (gicc != 0) {
		*gicc_at(0x10) = intid;			/* GICC_EOIR */
	} else {
		write_icc_eoir1_el1(intid);
	}
	cpu_isb();
}

static void deactivate(uint32_t intid)
{
	if (gicc != 0) {
		*gicc_at(0x1000) = intid;		/* GICC_DIR */
	} else {
		write_icc_dir_el1(intid);
	}
	cpu_dsb();
	cpu_isb();
}

static void split_eoi(bool on)
{
	if (gicc != 0) {
		*gicc_at(0) = on ? 1u | 1u << 9 : 1;	/* GICC_CTLR.EOImodeNS */
	} else {
		write_icc_ctlr_el1(on ? read_icc_ctlr_el1() | 2 : read_icc_ctlr_el1() & ~2ull);
	}
	cpu_isb();
}

static void interface(bool on)
{
	if (gicc != 0) {
		*gicc_at(0) = on;
	} else {
		write_icc_igrpen1_el1(on);
	}
	cpu_isb();
}

/*
 * CPU_SUSPEND to standby ends with an interrupt, as WFI does; of an HRT guest with
 * the interface closed, too.
 */
static void standby(bool closed)
{
	const uint64_t frequency = read_cntfrq_el0();
	uint64_t start = read_cntvct_el0();
	uint32_t intid;

	timer_arm(start + timer_ticks(5 * MS, frequency));
	interface(!closed);
	while (read_cntvct_el0() < start + timer_ticks(5 * MS, frequency)) {
		if (hvc_call(CPU_SUSPEND, 0, 0, 0) != 0) {
			break;
		}
	}
	interface(true);
	say_check("standby lasts until the timer",
		  timer_ns(read_cntvct_el0() - start, frequency) >= 5 * MS);
	cpu_wfi();			/* the counter may be ahead of the interrupt */
	intid = gic_acknowledge();
	say_equal("which is pending then", intid, timer);
	write_cntv_ctl_el0(0);
	if (intid < GIC_SPURIOUS) {
		gic_end(intid);
	}
}

/* Priority drop and deactivation apart: in between it does not come again. */
static void two_ends(void)
{
	uint32_t intid;

	split_eoi(true);
	timer_arm(0);
	cpu_isb();
	cpu_wfi();
	intid = gic_acknowledge();
	say_equal("the timer fires", intid, timer);
	priority_drop(intid);
	deactivate(SPI);				/* not its own, or not active */
	say_check("it is active until its end", gic_acknowledge() >= GIC_SPURIOUS);
	deactivate(intid);
	write_cntv_ctl_el0(0);				/* QEMU's GICv2 wants an edge here */
	cpu_isb();
	timer_arm(0);
	cpu_isb();
	cpu_wfi();
	intid = gic_acknowledge();
	say_equal("behind its end it fires again", intid, timer);
	priority_drop(intid);
	write_cntv_ctl_el0(0);
	cpu_isb();
	deactivate(intid);
	split_eoi(false);
}

/* The end of an interrupt that is not active takes another one's priority away; that is all. */
static void wrong_end(void)
{
	const uint64_t at = gicc != 0 ? gicd : gicr + GICR_SGI;
	uint64_t until = read_cntvct_el0() + read_cntfrq_el0() / 50;
	uint32_t intid;

	timer_arm(0);
	cpu_isb();
	cpu_wfi();
	intid = gic_acknowledge();
	priority_drop(SPI);
	write_cntv_ctl_el0(0);
	while (read_cntvct_el0() < until) {		/* others run meanwhile: all is saved */
	}
	say_check("an end that is not due ends nothing", intid == timer &&
		  (*(volatile uint32_t *)(uintptr_t)(at + 0x300) & 1u << timer) != 0);
	*(volatile uint32_t *)(uintptr_t)(at + 0x380) = 1u << timer;	/* ICACTIVER0 */
	timer_arm(0);
	cpu_isb();
	cpu_wfi();
	say_equal("and takes nothing away", gic_acknowledge(), timer);
	write_cntv_ctl_el0(0);
	gic_end(timer);
}

/* Interrupts to itself: the first one and those that find all as it was. */
static void self_sgi(void)
{
	uint32_t count = 0;

	gic_enable(SGI, 0x80);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t intid;

		if (gicc != 0) {			/* GICD_SGIR, to itself */
			*(volatile uint32_t *)(uintptr_t)(gicd + 0xf00) = 2u << 24 | SGI;
		} else {
			write_icc_sgi1r_el1((uint64_t)SGI << 24 | 1u << (read_mpidr_el1() & 15));
		}
		cpu_isb();
		cpu_wfi();
		intid = gic_acknowledge();
		count += (intid & 0x3ff) == SGI;	/* GICv2: and who sent it */
		if ((intid & 0x3ff) < GIC_SPURIOUS) {
			gic_end(intid);
		}
	}
	say_equal("SGIs to itself", count, 4);
}

/* A register of the second vCPU's redistributor. */
static volatile uint32_t *other_at(uint64_t offset)
{
	return (volatile uint32_t *)(uintptr_t)(gicr + GICR_OTHER + offset);
}

/* What is written there is kept for it, though it never ran. */
static void other_gicr(bool hrt)
{
	const uint32_t bit = 1u << timer;

	*other_at(0x80) = ~0u;				/* GICR_IGROUPR0 */
	*other_at(0x100) = bit;				/* GICR_ISENABLER0 */
	say_check("its timer is enabled", (*other_at(0x100) & bit) != 0);
	*other_at(0x180) = bit;
	say_check("and disabled", (*other_at(0x100) & bit) == 0);
	*other_at(0x380) = bit;				/* GICR_ICACTIVER0 */
	say_check("it is not active", (*other_at(0x300) & bit) == 0);
	if (hrt) {
		return;					/* it takes SGIs itself, once it is on */
	}
	write_icc_sgi1r_el1((uint64_t)SGI << 24 | 1u << 1);
	cpu_isb();
	say_check("an SGI waits for it", (*other_at(0x200) & 1u << SGI) != 0);
}

/* Two blocks of a GiB: devices as if they were memory, and memory. */
static uint64_t table[512] __attribute__((aligned(4096)));

/* Words of the distributor that are none. */
static void unaligned(void)
{
	const uintptr_t at = gicd + PRIORITY + 2;
	uint32_t value;

	table[0] = 0x401;				/* AF, block, attributes 0 */
	table[1] = 0x40000401;
	write_mair_el1(0x44);				/* Normal, non-cacheable */
	write_tcr_el1(1ull << 23 | 25);			/* EPD1, T0SZ: 39 bits */
	write_ttbr0_el1((uintptr_t)table);
	cpu_dsb();
	cpu_isb();
	write_sctlr_el1(read_sctlr_el1() | 1);
	cpu_isb();
	say_check("an unaligned load", !probe_read32(at, &value) &&
		  is_abort(FROM_EL1H, EC_DATA, at, probe.esr));
	say_check("an unaligned store", !probe_write32(at, 0) &&
		  is_abort(FROM_EL1H, EC_DATA, at, probe.esr));
	say_check("an aligned one", probe_read32(at - 2, &value));
}

static void keys(const void *fdt)
{
	struct fdt_node node;
	uint64_t uart = 0, size = 0;
	uint32_t intid = 0;

	if (!fdt_find(fdt, "arm,pl011", &node) || !fdt_reg(&node, 0, &uart, &size)) {
		console_print("not ok UART\n");
		return;
	}
	gic_enable(fdt_intid(&node, 0), 0x80);
	*(volatile uint32_t *)(uintptr_t)(uart + 0x38) = 0x50;	/* UARTIMSC: RX, RX timeout */
	console_print("corners: press a key\n");
	while ((intid = gic_acknowledge()) >= GIC_SPURIOUS) {
		cpu_wfi();
	}
	say_equal("a key is an interrupt", intid, fdt_intid(&node, 0));
	say_equal("and its letter", console_read(), 'k');
	gic_end(intid);
}

/* Time is stolen of who shares a core. */
static void calls(bool shared)
{
	say_check("SMCCC is 1.1 or later", hvc_call(SMCCC_VERSION, 0, 0, 0) >= 0x10001);
	say_equal("it knows SMCCC_VERSION", hvc_call(ARCH_FEATURES, SMCCC_VERSION, 0, 0), 0);
	say_equal("it knows itself", hvc_call(ARCH_FEATURES, ARCH_FEATURES, 0, 0), 0);
	say_equal("it knows no workaround", hvc_call(ARCH_FEATURES, 0x80008000u, 0, 0), -1);
	say_check("somebody is there", hvc_call(VENDOR_UID, 0, 0, 0) != -1);
	say_equal("stolen time", hvc_call(PV_TIME_FEATURES, PV_TIME_ST, 0, 0), shared ? 0 : -1);
	say_check("and a page of it", (hvc_call(PV_TIME_ST, 0, 0, 0) != -1) == shared);
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	bool shared = option_has(args, "shared"), v3;
	struct fdt_node node;
	uint64_t base = 0, size = 0;

	console_init(fdt);
	timer = timer_intid(fdt);
	if (!gic_init(fdt) || !fdt_find(fdt, "memory", &node) ||
	    !fdt_reg(&node, 0, &base, &size)) {
		console_print("not ok device tree\n");
		return;
	}
	v3 = fdt_find(fdt, "arm,gic-v3", &node);
	if ((!v3 && !fdt_find(fdt, "arm,cortex-a15-gic", &node) &&
	     !fdt_find(fdt, "arm,gic-400", &node)) ||
	    !fdt_reg(&node, 0, &gicd, &size) || !fdt_reg(&node, 1, v3 ? &gicr : &gicc, &size)) {
		console_print("not ok interrupt controller\n");
		return;
	}
	nowhere = base + 0x1200000;
	gic_enable(timer, 0x80);
	probe_init();
	identification();
	exceptions();
	pan();
	interrupt_user32();
	if (!option_has(args, "hrt")) {
		loads();
	}
	debug(shared);
	standby(false);
	if (option_has(args, "hrt")) {
		standby(true);
	}
	two_ends();
	if (!option_has(args, "hrt")) {
		wrong_end();
	}
	calls(shared);
	self_sgi();
	if (option_has(args, "two") && gicr != 0) {
		other_gicr(option_has(args, "hrt"));
	}
	unaligned();
	if (option_has(args, "keys")) {
		keys(fdt);
	}
	console_print("corners: done\n");
	if (option_has(args, "off")) {
		psci_system_off();
	}
}
