/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that makes calls at random, half of them sensible: every function that the hypervisor
 * has, with arguments that are right, at a boundary, or anything; VMs that it registers from
 * plans in its ramdisk, as they are or spoiled. On "g" it begins. With a second vCPU that calls,
 * too, and writes into the buffers meanwhile. Says what came of it:
 *
 *   fuzz: calls N
 *   fuzz: ok N einval N eperm N enoent N ebusy N enomem N eload N other N
 *   fuzz done: REGISTER N FILL N ...		calls of control.h that succeeded
 *   fuzz verbs: START N ...
 *   fuzz: used PA SIZE				memory outside of the pool that VMs were given
 *   fuzz: wrong N
 *   fuzz: end
 *
 * Command line: seed=1 calls=10000 spare=0 (places of VMs that it lets run, a bit each), pair.
 */
#include "fuzzer.h"

#include "console.h"
#include "fdt.h"
#include "fuzzer_call.h"
#include "gic.h"
#include "guest.h"
#include "line.h"
#include "mmu.h"
#include "options.h"
#include "psci.h"
#include "second.h"
#include "timer.h"


extern const uint8_t _bss_end[] __attribute__((visibility("hidden")));

static uint8_t memory[MARGIN + ARENA + KZ_CONTROL_BYTES + MARGIN] __attribute__((aligned(4096)));
static struct fuzzer one, two;
static bool stop, stopped;		/* of the second one; atomic */
static uint64_t target;			/* what the second one writes to; atomic */
static const void *tree;
static uint32_t timer;

void guest_irq(uint64_t now)
{
	(void)now;			/* they stay masked */
}

/* ---- Registering and destroying: what a VM got is looked at before it may go ---- */

/* The memory that a VM got, as far as it is not the pool's. */
static void used_note(struct fuzzer *f, uint64_t place)
{
	struct call c = { { KZ_HVC_INSPECT, KZ_INSPECT_CONFIG, place, (uintptr_t)&f->config } };
	const uint64_t pool = arena.plans->pool, size = arena.plans->pieces * PIECE;
	const struct call asked = c;

	issue(&c, 2);
	if (c.x[0] != KZ_OK) {
		wrong(f, "what was registered is not there", &asked, &c);
		return;
	}
	for (uint32_t i = 0; i < f->config.region_count; i++) {
		const struct kz_cfg_region *r = &f->config.region[i];

		if (r->pa - pool < size && r->size <= size - (r->pa - pool)) {
			continue;
		}
		used_add(r->pa, r->size);
	}
}

static int64_t try(struct fuzzer *f, struct call *c)
{
	static struct guard guard;	/* where there is one vCPU only */
	const uint32_t fn = (uint32_t)c->x[0], how = dice(f, 16);
	const struct call asked = *c;
	int32_t side = fn == KZ_HVC_REGISTER ? 1 : 0;

	if (is_spared(c)) {
		return NOT_SUPPORTED;
	}
	if (fn == KZ_HVC_CONTROL && c->x[2] == KZ_VERB_DESTROY) {
		side = -1;
	}
	if ((fn & ~SMC64) == PSCI + 1) {	/* CPU_SUSPEND */
		timer_arm(read_cntvct_el0() + read_cntfrq_el0() / 100000);
	}
	if (side != 0) {
		gate_enter(side);
	}
	guard_begin(&guard, c);
	issue(c, how);
	if ((fn & ~SMC64) == PSCI + 1) {
		gic_end(gic_acknowledge());
	}
	if (how != 1 && !guard_holds(&guard, c)) {
		wrong(f, "memory around a buffer changed", &asked, c);
	}
	if (side > 0 && c->x[0] == KZ_OK && how != 1 && arena.plans != 0) {
		used_note(f, c->x[1]);
	}
	if (side != 0) {
		gate_leave(side);
	}
	note(f, &asked, c, how);
	return (int64_t)c->x[0];
}

/* ---- VMs ---- */

/* A plan with memory of the pool, some name and some core. */
static void config_make(struct fuzzer *f, struct kz_cfg_vm *cfg, uint32_t plan)
{
	const struct plans *p = arena.plans;
	const uint32_t piece = dice(f, (uint32_t)p->pieces);
	uint64_t at = p->pool + (uint64_t)piece * PIECE + dice(f, 16) * 4096u;

	*cfg = *(const struct kz_cfg_vm *)((uintptr_t)p + p->plan[plan].cfg);
	cfg->name[0] = (char)('a' + piece % 26);
	for (uint32_t i = 0; i < cfg->region_count; i++) {
		if (cfg->region[i].type != KZ_REGION_DEVICE) {
			cfg->region[i].pa = at;
			at += cfg->region[i].size;
		}
	}
	if (cfg->vcpu_count == 1) {
		cfg->cpu[0] = (uint8_t)dice(f, 4);
	}
	if (cfg->server.period_ns != 0) {
		cfg->server.budget_ns = 50000 + dice(f, 9 * MS);
	}
}

/* Some words are others: the first ones rather, which say something. */
static void config_spoil(struct fuzzer *f, struct kz_cfg_vm *cfg)
{
	uint64_t *word = (uint64_t *)cfg;
	const uint32_t words = sizeof(*cfg) / 8, head = (168 + 4 * 32) / 8;

	if (dice(f, 2) == 0) {		/* memory that is not free, and nothing else is wrong */
		cfg->region[dice(f, cfg->region_count)].pa = arena.plans->image +
							     (dice(f, 1u << 22) & ~4095u);
		return;
	}
	for (uint32_t n = 1 + dice(f, 3); n != 0; n--) {
		uint64_t *at = &word[dice(f, dice(f, 4) != 0 ? head : words)];

		switch (dice(f, 5)) {
		case 0:
			*at = odd_number(f);
			break;
		case 1:
			*at ^= 1ull << dice(f, 64);
			break;
		case 2:
			*at += dice(f, 2) != 0 ? 4096 : -4096ull;
			break;
		case 3:
			*at = word[dice(f, words)];
			break;
		default:
			((uint8_t *)at)[dice(f, 8)] = (uint8_t)dice(f, 256);
			break;
		}
	}
}

static void fill(struct fuzzer *f, uint64_t place, uint32_t plan)
{
	const struct plans *p = arena.plans;
	const uint64_t size = p->plan[plan].size;

	for (uint64_t at = 0; at < size; at += KZ_CONTROL_BYTES) {
		const uint64_t rest = size - at;
		struct call c = { {
			KZ_HVC_FILL, place, at, (uintptr_t)p + p->plan[plan].store + at,
			rest < KZ_CONTROL_BYTES ? rest : KZ_CONTROL_BYTES
		} };

		(void)try(f, &c);
	}
}

/* Beyond the store's end, and before its begin. */
static void fill_odd(struct fuzzer *f, uint64_t place)
{
	struct call c = { { KZ_HVC_FILL, place, (uint64_t)dice(f, 1u << 19) * 64,
			    (uintptr_t)arena.at + MARGIN, 64 + dice(f, 64) * 64 } };

	if (dice(f, 2) == 0) {
		c.x[2] = (1ull << (6 + dice(f, 58))) - dice(f, 2) * 64;
	}
	(void)try(f, &c);
}

static void try_register(struct fuzzer *f)
{
	const uint64_t any = (uintptr_t)arena.at + MARGIN + (dice(f, ARENA / 2) & ~7u);
	struct kz_cfg_vm *cfg = (struct kz_cfg_vm *)any;
	uint32_t plan = 0;
	struct call c = { { KZ_HVC_REGISTER, any, dice64(f), dice64(f) } };

	if (arena.plans != 0) {
		plan = dice(f, (uint32_t)arena.plans->count);
		config_make(f, &f->config, plan);	/* where the other one does not write */
		if (dice(f, 2) != 0) {
			config_spoil(f, &f->config);
		}
		*cfg = f->config;
	}
	if (dice(f, 8) == 0) {
		c.x[1] = address(f, &arena);
	}
	__atomic_store_n(&target, c.x[1], __ATOMIC_RELAXED);
	if (try(f, &c) == KZ_OK && arena.plans != 0 && c.x[1] < KZ_VMS_MAX && dice(f, 4) != 0) {
		const uint64_t place = c.x[1];

		fill(f, place, plan);
		fill_odd(f, place);
		fill_odd(f, place);
		c = (struct call){ { KZ_HVC_CONTROL, place, KZ_VERB_START } };
		(void)try(f, &c);
	}
}

/* ---- All the others ---- */

static uint64_t size_of(struct fuzzer *f)
{
	return dice(f, 4) == 0 ? odd_number(f) : 1 + dice(f, KZ_CONTROL_BYTES);
}

static uint64_t some_vm(struct fuzzer *f)
{
	return dice(f, KZ_VMS_MAX + (dice(f, 8) == 0 ? 2 : 0));
}

static void make_inspect(struct fuzzer *f, struct call *c)
{
	c->x[1] = dice(f, KZ_INSPECTS + (dice(f, 8) == 0 ? 2 : 0));
	c->x[2] = c->x[1] == KZ_INSPECT_MACHINE || c->x[1] == KZ_INSPECT_TRACE ? 0 : some_vm(f);
	if (c->x[1] == KZ_INSPECT_VCPU || c->x[1] == KZ_INSPECT_REGISTERS) {
		c->x[2] |= dice(f, 4) == 0 ? (uint64_t)dice(f, 16) << 8 : 0;
	}
	c->x[3] = address(f, &arena);
}

static void make_verb(struct fuzzer *f, struct call *c)
{
	static const uint8_t verbs[] = {
		KZ_VERB_START, KZ_VERB_PAUSE, KZ_VERB_PAUSE, KZ_VERB_RESUME, KZ_VERB_RESUME,
		KZ_VERB_SHUTDOWN, KZ_VERB_STOP, KZ_VERB_RESET, KZ_VERB_DESTROY,
		KZ_VERB_DESTROY, KZ_VERB_DESTROY, KZ_VERB_ATTACH, KZ_VERB_DETACH, KZ_VERBS,
	};

	c->x[1] = some_vm(f);
	c->x[2] = verbs[dice(f, sizeof(verbs))];
}

static void make_moving(struct fuzzer *f, struct call *c)
{
	c->x[1] = some_vm(f);
	switch ((uint32_t)c->x[0]) {
	case KZ_HVC_FILL:
		c->x[2] = dice(f, 4) == 0 ? odd_number(f) : dice(f, 0x400) * 64;
		c->x[3] = address(f, &arena);
		c->x[4] = dice(f, 4) == 0 ? odd_number(f) : dice(f, 66) * 64;
		break;
	case KZ_HVC_READ:
		c->x[2] = dice(f, 4) == 0 ? address(f, &arena) : arena.ram + dice(f, 0x40000);
		c->x[3] = address(f, &arena);
		c->x[4] = size_of(f);
		break;
	case KZ_HVC_LOG:
		c->x[1] = dice(f, 2) == 0 ? odd_number(f) : dice(f, 0x4000);
		/* fall through */
	default:
		c->x[2] = address(f, &arena);
		c->x[3] = size_of(f);
		break;
	}
}

static void make_own(struct fuzzer *f, struct call *c)
{
	c->x[0] = dice(f, 4) == 0 ? KZ_HVC_PV_TIME_FEATURES + dice(f, 3) :
		  KZ_HVC_SET_REALTIME_INFO - 1 + dice(f, 8);
	c->x[1] = dice(f, 4) == 0 ? odd_number(f) : dice(f, 20);
	if (c->x[0] == KZ_HVC_SET_REALTIME_INFO && dice(f, 2) == 0) {
		c->x[2] = KZ_PERIOD_MIN - 5 + dice(f, MS);
		c->x[1] = c->x[2] - dice(f, 100);
		c->x[3] = c->x[1] / 2 + dice(f, MS / 2);
	} else if (c->x[0] == KZ_HVC_WATCHDOG && dice(f, 2) == 0) {
		c->x[1] = KZ_WATCHDOG_MAX - dice(f, 2);
	}
}

static void make_psci(struct fuzzer *f, struct call *c)
{
	c->x[0] = PSCI + dice(f, 12) + (dice(f, 2) != 0 ? SMC64 : 0);
	c->x[1] = dice(f, 4) == 0 ? odd_number(f) : dice(f, 3);
	if (dice(f, 4) == 0) {
		c->x[1] = PSCI + dice(f, 12);
	}
	c->x[2] = address(f, &arena);
}

/* Any owner, fast or not, 32 or 64 bits (DEN0028, 2.5). */
static void make_any(struct fuzzer *f, struct call *c)
{
	static const uint32_t known[] = {
		0x80000000, 0x80000001, 0x8600ff01, 0x8600ff03, 0xc6000018, 0xc6000fff, 0xc600000f,
	};

	c->x[0] = dice(f, 2) == 0 ? known[dice(f, sizeof(known) / sizeof(known[0]))] :
		  (uint64_t)dice(f, 256) << 24 | dice(f, dice(f, 2) == 0 ? 64 : 1u << 24);
	c->x[1] = dice(f, 2) == 0 ? odd_number(f) : 0x80000000u + dice(f, 2);
}

static void turn(struct fuzzer *f)
{
	static const uint8_t moving[] = {
		KZ_HVC_FILL & 15, KZ_HVC_CONSOLE_READ & 15, KZ_HVC_CONSOLE_WRITE & 15,
		KZ_HVC_READ & 15, KZ_HVC_LOG & 15,
	};
	const uint32_t what = dice(f, 100);
	struct call c;

	for (uint32_t i = 0; i < 8; i++) {
		c.x[i] = dice64(f);
	}
	if (what < 15) {
		try_register(f);
		return;
	}
	if (what < 40) {
		c.x[0] = KZ_HVC_INSPECT;
		make_inspect(f, &c);
	} else if (what < 60) {
		c.x[0] = KZ_HVC_CONTROL;
		make_verb(f, &c);
	} else if (what < 85) {
		c.x[0] = (KZ_HVC_REGISTER & ~15u) | moving[dice(f, sizeof(moving))];
		make_moving(f, &c);
	} else if (what < 92) {
		make_own(f, &c);
	} else if (what < 96) {
		make_psci(f, &c);
	} else {
		make_any(f, &c);
	}
	if (dice(f, 8) == 0) {
		c.x[1 + dice(f, 4)] = odd_number(f);
	}
	c.x[0] |= dice(f, 16) == 0 ? dice64(f) << 32 : 0;	/* w0 is the function */
	__atomic_store_n(&target, c.x[3], __ATOMIC_RELAXED);
	(void)try(f, &c);
}

/* A millisecond. */
static void sleep(void)
{
	timer_arm(read_cntvct_el0() + read_cntfrq_el0() / 1000);
	cpu_wfi();
	gic_end(gic_acknowledge());
}

/* ---- The second one ---- */

/* Words of what the other one has just named, and of anything. */
static void scribble(struct fuzzer *f)
{
	for (uint32_t n = dice(f, 64); n != 0; n--) {
		const uint64_t first = (uintptr_t)arena.at + MARGIN;
		uint64_t at = __atomic_load_n(&target, __ATOMIC_RELAXED) +
			      (dice(f, sizeof(struct kz_cfg_vm)) & ~7u);

		if (dice(f, 4) == 0 || at - first >= ARENA - 8) {
			at = first + dice(f, ARENA - 8);
		}
		*(volatile uint64_t *)(at & ~7ull) = dice(f, 2) == 0 ? odd_number(f) :
						     *(volatile uint64_t *)(at & ~7ull) ^
						     1ull << dice(f, 64);
	}
}

void second_main(uint64_t context)
{
	(void)context;
	mmu_enable(tree);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		scribble(&two);
		if (dice(&two, 4) == 0) {
			turn(&two);
		}
	}
	__atomic_store_n(&stopped, true, __ATOMIC_RELEASE);
	for (;;) {
		cpu_wfi();
	}
}

/* ---- The first one ---- */

static void say(const char *text)
{
	struct line line;

	line_begin(&line);
	line_text(&line, text);
	line_print(&line);
}

/* A number behind each word of the names. */
static void say_list(const char *names, const uint64_t *a, const uint64_t *b)
{
	struct line line;

	line_begin(&line);
	while (*names != '\0' && *names != ':') {
		const char word[] = { *names++, '\0' };

		line_text(&line, word);
	}
	for (uint32_t i = 0; *names != '\0'; names++) {
		const char word[] = { *names, '\0' };

		line_text(&line, word);
		if (names[1] == '\0' || (names[0] != ':' && names[1] == ' ')) {
			line_value(&line, " ", a[i] + b[i]);
			i++;
		}
	}
	line_print(&line);
}

static void say_call(const char *title, const struct call *c)
{
	struct line line;

	line_begin(&line);
	line_text(&line, title);
	for (uint32_t i = 0; i < 5; i++) {
		line_text(&line, " ");
		line_hex(&line, c->x[i]);
	}
	line_print(&line);
}

static void report_wrong(const struct fuzzer *f)
{
	struct line line;

	if (f->wrong != 0) {
		line_begin(&line);
		line_text(&line, "not ok ");
		line_text(&line, f->why);
		line_print(&line);
		say_call("fuzz: asked", &f->bad);
		say_call("fuzz: answer", &f->answer);
	}
}

static void report(void)
{
	struct line line;

	line_begin(&line);
	line_value(&line, "fuzz: calls ", one.calls + two.calls);
	line_print(&line);
	say_list("fuzz: ok einval eperm enoent ebusy enomem eload other", one.codes, two.codes);
	say_list("fuzz done: REGISTER FILL CONTROL INSPECT CONSOLE_READ CONSOLE_WRITE READ LOG",
		 one.done, two.done);
	say_list("fuzz verbs: START PAUSE RESUME SHUTDOWN STOP RESET DESTROY ATTACH DETACH",
		 one.verbs, two.verbs);
	for (uint32_t i = 0; i < used_count; i++) {
		line_begin(&line);
		line_text(&line, "fuzz: used ");
		line_hex(&line, used[i].pa);
		line_text(&line, " ");
		line_hex(&line, used[i].size);
		line_print(&line);
	}
	report_wrong(&one);
	report_wrong(&two);
	line_begin(&line);
	line_value(&line, "fuzz: wrong ", one.wrong + two.wrong + used_lost);
	line_print(&line);
	say("fuzz: end");
}

static void arena_make(const void *fdt, const char *args)
{
	struct fdt_node node;
	uint64_t size = 0;

	arena.at = memory;
	if (fdt_find(fdt, "memory", &node) && fdt_reg(&node, 0, &arena.ram, &size)) {
		arena.end = arena.ram + size;
	}
	for (uint64_t at = (uintptr_t)_bss_end; at + EDGE < arena.end && arena.plans == 0;
	     at += 4096) {
		if (*(const uint64_t *)at == PLANS_MAGIC) {
			arena.plans = (const struct plans *)at;
		}
	}
	arena.spare = option_value(args, "spare", 0);
	arena.pair = option_has(args, "pair");
	one.dice = option_value(args, "seed", 1) * 0x9e3779b97f4a7c15ull | 1;
	two.dice = ~one.dice;
}

/* Who it is, and what it may: without LIST over itself it has no rights over anybody. */
static void rights_find(const char *args)
{
	static struct kz_machine_info machine;
	struct call c = { { KZ_HVC_INSPECT, KZ_INSPECT_MACHINE, 0, (uintptr_t)&machine } };

	issue(&c, 2);
	arena.self = c.x[0] == KZ_OK ? machine.caller : 0;
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) {
		const char name[] = { 'r', (char)('0' + i), '\0' };

		arena.rights[i] = (uint8_t)option_value(args, name, 0);
	}
}

/* Its console is its own again, no watchdog runs, and whoever it may stop is stopped: some spin. */
static void settle(void)
{
	struct call c = { { KZ_HVC_WATCHDOG, 0 } };

	issue(&c, 2);
	for (uint64_t vm = 0; vm < KZ_VMS_MAX; vm++) {
		c = (struct call){ { KZ_HVC_CONTROL, vm, KZ_VERB_DETACH } };
		issue(&c, 2);
		if (vm != arena.self && (arena.spare >> vm & 1) == 0) {
			c = (struct call){ { KZ_HVC_CONTROL, vm, KZ_VERB_STOP } };
			issue(&c, 2);
		}
	}
}

void guest_main(const void *fdt)
{
	const char *args = fdt_bootargs(fdt);
	const uint64_t calls = option_value(args, "calls", 10000);

	tree = fdt;
	mmu_enable(fdt);
	console_init(fdt);
	arena_make(fdt, args);
	rights_find(args);
	timer = timer_intid(fdt);
	gic_init(fdt);
	gic_enable(timer, 0x80);
	say("fuzz: ready");
	while (console_read() != 'g') {
		sleep();
	}
	if (arena.pair && psci_cpu_on(1, (uintptr_t)second_entry, 0) != 0) {
		say("not ok second vCPU");
	}
	while (one.calls < calls) {
		turn(&one);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	while (arena.pair && !__atomic_load_n(&stopped, __ATOMIC_ACQUIRE)) {
		__asm__ volatile("yield");
	}
	settle();
	report();
	if (!arena.pair) {	/* time is instructions, and what is pending still ends each WFI */
		gic_close();
	}
}
