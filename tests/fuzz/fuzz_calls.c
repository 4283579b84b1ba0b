/* SPDX-License-Identifier: Apache-2.0 */
/* flags: -lcmocka */
/* link: hv/vm.c hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c hv/trace.c hv/policy.c hv/server.c */
/* link: hv/sched.c hv/sched_poll.c hv/console.c hv/console_in.c hv/print.c hv/status.c */
/* link: hv/pl011.c tests/host/arch_host.c tests/host/life_bed.c */
/*
 * Calls of control.h in any order. The input is a list of them, and of what happens in between:
 * cores that go on, the clock. Behind each, the scheduler's and the VMs' rules hold
 * (tests/host/life_bed.h), an error has changed nothing, and memory has changed only where the
 * caller's is, or that of a VM that was there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../host/life_bed.h"

#define PAGES	  (HOST_RAM_SIZE / KZ_PAGE_SIZE)
#define OWN_PAGES (0x10000u / KZ_PAGE_SIZE)	/* the hypervisor's */
#define FILLED	  0xa5u				/* what memory holds that nobody ever had */
#define CALLS_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input; behind its end are zeros. */
static struct {
	const uint8_t *at, *end;
} in;

static struct {
	struct machine machine;
	struct percpu cpu[LIFE_CORES];
	uint8_t owner[KZ_INTID_MAX];
	uint8_t pages[PAGES];		/* who had them: VM's place, plus 1 */
	uint8_t ram[HOST_RAM_SIZE];	/* brought up to date by check_ram */
} before;

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static uint8_t byte(void)
{
	return in.at < in.end ? *in.at++ : 0;
}

static uint64_t word(void)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < 8; i++) {
		value |= (uint64_t)byte() << (8 * i);
	}
	return value;
}

/* ---- Memory ---- */

static void owners(uint8_t *of)
{
	memset(of, 0, PAGES);
	for (uint32_t v = 0; v < KZ_VMS_MAX; v++) {
		const struct vm *vm = &machine.vm[v];

		for (uint32_t i = 0; vm->state != KZ_VM_NONE && i < vm->cfg->region_count; i++) {
			const struct kz_cfg_region *r = &vm->cfg->region[i];

			if (r->type == KZ_REGION_DEVICE) {
				continue;
			}
			require(r->pa >= HOST_RAM_PA && r->size <= HOST_RAM_SIZE &&
				r->pa - HOST_RAM_PA <= HOST_RAM_SIZE - r->size);
			for (uint64_t at = 0; at < r->size; at += KZ_PAGE_SIZE) {
				uint8_t *page = &of[(r->pa - HOST_RAM_PA + at) / KZ_PAGE_SIZE];

				require(*page == 0);
				*page = (uint8_t)(v + 1);
			}
		}
	}
}

static void look(void)
{
	memcpy(&before.machine, &machine, sizeof(machine));
	memcpy(before.cpu, host.cpu, sizeof(before.cpu));
	memcpy(before.owner, host.owner, sizeof(before.owner));
	owners(before.pages);
}

/* Only pages of these VMs have changed, a bit each; and nobody's never. */
static void check_ram(uint32_t vms)
{
	uint8_t now[PAGES];

	owners(now);
	for (uint32_t i = 0; i < PAGES; i++) {
		uint32_t who = before.pages[i] != 0 ? before.pages[i] : now[i];
		uint8_t *was = &before.ram[i * KZ_PAGE_SIZE], *is = &host.ram[i * KZ_PAGE_SIZE];

		if (memcmp(was, is, KZ_PAGE_SIZE) != 0) {
			require(i >= OWN_PAGES && who != 0 && (vms >> (who - 1) & 1) != 0);
			memcpy(was, is, KZ_PAGE_SIZE);
		}
	}
}

/* But for locks, of which each turn is counted. */
static void check_same(void)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		before.machine.vm[i].lock = machine.vm[i].lock;
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		before.cpu[i].sched.lock = host.cpu[i].sched.lock;
	}
	require(memcmp(&before.machine, &machine, sizeof(machine)) == 0);
	require(memcmp(before.cpu, host.cpu, sizeof(before.cpu)) == 0);
	require(memcmp(before.owner, host.owner, sizeof(before.owner)) == 0);
	check_ram(0);
}

/* ---- Calls ---- */

/* Does its vCPU 0 execute, or has not seen yet that it shall not? */
static bool can_call(uint32_t vm)
{
	const struct vcpu *v = &machine.vm[vm].vcpu[0];

	return machine.vm[vm].state != KZ_VM_NONE && v->state == VCPU_RUNNING &&
	       v->sched.state != SCHED_PAUSED && v->sched.state != SCHED_OFF;
}

/* Where a call may have written to. */
static uint32_t writes_to(uint32_t vm, const uint64_t *asked)
{
	uint32_t fn = (uint32_t)asked[0];
	uint32_t other = asked[1] < KZ_VMS_MAX ? 1u << asked[1] : 0;

	return 1u << vm | (fn == KZ_HVC_FILL || fn == KZ_HVC_CONSOLE_WRITE ? other : 0);
}

static void call(uint32_t vm, uint64_t *x)
{
	uint64_t asked[5];
	int64_t err;

	if (!can_call(vm)) {
		return;
	}
	memcpy(asked, x, sizeof(asked));
	look();
	err = life_call(vm, x);
	require(err <= KZ_OK && err >= KZ_ELOAD);
	require(x[3] == asked[3] && x[4] == asked[4]);
	/* A place is looked through, and cleaned up, before a core says that it has no room. */
	if (err == KZ_ELOAD) {
		check_ram(0);
	} else if (err != KZ_OK) {
		check_same();
	} else {
		check_ram(writes_to(vm, asked));
	}
	life_check();
}

/* An argument: small, an address of the caller's memory or near its end, or anything. */
static uint64_t argument(void)
{
	uint8_t kind = byte();
	uint64_t low = byte();

	if (kind < 0x80) {
		return kind < 0x40 ? low : low * 64;
	}
	low |= (uint64_t)byte() << 8;
	switch (kind & 7) {
	case 0:
	case 1:
	case 2:
		return LINUX_AT + low;
	case 3:
		return LINUX_NEXT - low;
	case 4:
		return LINUX_NEXT + 0x1000 - low;
	case 5:
		return OTHERS_AT + OTHERS_SIZE - low;
	case 6:
		return 1ull << (low & 63);
	default:
		return word();
	}
}

static void any_call(void)
{
	static const uint32_t others[] = {
		KZ_HVC_NOTIFY, KZ_HVC_EVENTS, KZ_HVC_WATCHDOG, KZ_HVC_PV_TIME_FEATURES,
	};
	uint32_t vm = byte() % KZ_VMS_MAX, fn = byte();
	uint64_t x[5];

	x[0] = KZ_HVC_REGISTER + fn % 8;
	for (uint32_t i = 1; i < 5; i++) {
		x[i] = argument();
	}
	if (fn >= 0xf0) {		/* the caller's own, which always change something */
		x[0] = others[fn % 3];
		if (can_call(vm)) {
			look();
			(void)life_call(vm, x);
			check_ram(0);
			life_check();
		}
		return;
	}
	call(vm, x);
}

/* Linux has a configuration in its memory, right but for some bytes of it. */
static void make_vm(void)
{
	uint8_t what = byte();
	struct kz_cfg_vm cfg;
	uint64_t x[5] = { KZ_HVC_REGISTER, LINUX_AT };

	life_config(&cfg, what % LIFE_SLOTS, (enum kz_level)(what / LIFE_SLOTS % KZ_LEVELS));
	if (what >= 0x80) {		/* elsewhere */
		uint8_t region = byte() & 1;

		cfg.region[region].pa = HOST_RAM_PA + (uint64_t)byte() * KZ_PAGE_SIZE;
	}
	for (uint8_t patches = byte() % 4; patches != 0; patches--) {
		uint64_t at = (byte() | (uint64_t)byte() << 8) % sizeof(cfg);
		uint8_t width = byte() % 4;
		uint64_t value = width == 0 ? byte() : width == 3 ? ~0ull << (byte() & 63) :
				 width == 1 ? HOST_RAM_PA + (uint64_t)byte() * KZ_PAGE_SIZE :
				 word();
		uint64_t n = width == 0 ? 1 : 8;

		n = n <= sizeof(cfg) - at ? n : sizeof(cfg) - at;
		memcpy((uint8_t *)&cfg + at, &value, n);
	}
	if (can_call(LINUX)) {
		look();
		memcpy(life_memory(LINUX_AT), &cfg, sizeof(cfg));
		check_ram(1u << LINUX);
		call(LINUX, x);
	}
}

/* Bytes for its store, or near it. */
static void fill(void)
{
	uint8_t vm = byte() % KZ_VMS_MAX, kind = byte();
	uint64_t x[5] = { KZ_HVC_FILL, vm, (uint64_t)kind * 512, LINUX_AT + 0x1000 };

	x[2] = kind < 0x80 ? x[2] : argument();
	x[4] = byte() * 64u;
	call(LINUX, x);
}

static void verb(void)
{
	uint8_t what = byte();
	uint64_t x[5] = { KZ_HVC_CONTROL, what % KZ_VMS_MAX, what / KZ_VMS_MAX % KZ_VERBS };

	call(byte() % KZ_VMS_MAX, x);
}

/* ---- Time ---- */

static void cores(void)
{
	uint8_t what = byte();

	look();
	if (what < 0x80) {
		life_step(what % LIFE_CORES);
	} else {
		life_until(host.ticks + (what - 0x80u) * 40u);
	}
	check_ram(~0u);
	life_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in.at = data;
	in.end = data + size;
	life_setup();
	life_start();
	memcpy(before.ram, host.ram, HOST_RAM_SIZE);
	for (uint32_t i = 0; i < CALLS_MAX && in.at < in.end; i++) {
		switch (byte() % 6) {
		case 0:
			make_vm();
			break;
		case 1:
			any_call();
			break;
		case 2:
			fill();
			break;
		case 3:
		case 4:
			verb();
			break;
		default:
			cores();
			break;
		}
	}
	life_quiet();		/* who stops to restart would do so later */
	life_end();
	for (uint32_t i = 0; i < OWN_PAGES * KZ_PAGE_SIZE; i++) {
		require(host.ram[i] == FILLED);
	}
	return 0;
}
