/* SPDX-License-Identifier: Apache-2.0 */
/* Part of fuzzer.c: a call, what is known of its answer, and what is not called. */
#ifndef FUZZER_CALL_H
#define FUZZER_CALL_H

#include "fuzzer.h"

#define PSCI		0x84000000u
#define SMC64		0x40000000u
#define MS		1000000u
#define SECOND		1000000000ull
#define NOT_SUPPORTED	(-1)
#define USED_MAX	64u

static struct arena arena;

static inline void issue(struct call *c, uint32_t how)
{
	register uint64_t x0 __asm__("x0") = c->x[0];
	register uint64_t x1 __asm__("x1") = c->x[1];
	register uint64_t x2 __asm__("x2") = c->x[2];
	register uint64_t x3 __asm__("x3") = c->x[3];
	register uint64_t x4 __asm__("x4") = c->x[4];
	register uint64_t x5 __asm__("x5") = c->x[5];
	register uint64_t x6 __asm__("x6") = c->x[6];
	register uint64_t x7 __asm__("x7") = c->x[7];

#define ISSUE(code)                                                                       \
	__asm__ volatile("	" code                                                    \
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5),    \
			   "+r"(x6), "+r"(x7)::"memory")
	if (how == 0) {
		ISSUE("smc #0");
	} else if (how == 1) {
		ISSUE("hvc #0x4b5a");
	} else {
		ISSUE("hvc #0");
	}
#undef ISSUE
	*c = (struct call){ { x0, x1, x2, x3, x4, x5, x6, x7 } };
}

static inline void wrong(struct fuzzer *f, const char *why, const struct call *c,
		  const struct call *answer)
{
	if (f->wrong == 0) {
		f->why = why;
		f->bad = *c;
		f->answer = *answer;
	}
	f->wrong++;
}

static inline bool is_control(const struct call *c)
{
	return (uint32_t)c->x[0] - KZ_HVC_REGISTER < CALLS;
}

/* The right that a call takes over the VM that it names; KZ_RIGHTS: none, or another rule. */
static inline uint32_t right_of(const struct call *c)
{
	static const uint8_t by_call[CALLS] = {
		KZ_RIGHTS, KZ_RIGHT_CREATE, KZ_RIGHTS, KZ_RIGHT_LIST, KZ_RIGHT_CONSOLE,
		KZ_RIGHT_CONSOLE, KZ_RIGHT_READ, KZ_RIGHTS,
	};
	static const uint8_t by_verb[KZ_VERBS] = {
		KZ_RIGHT_RUN, KZ_RIGHT_RUN, KZ_RIGHT_RUN, KZ_RIGHT_RUN, KZ_RIGHT_RUN,
		KZ_RIGHT_RESTART, KZ_RIGHT_CREATE, KZ_RIGHT_CONSOLE, KZ_RIGHT_CONSOLE,
	};
	const uint32_t fn = (uint32_t)c->x[0];

	if (fn == KZ_HVC_CONTROL) {
		return c->x[2] < KZ_VERBS ? by_verb[c->x[2]] : KZ_RIGHTS;
	}
	if (fn == KZ_HVC_INSPECT && c->x[1] == KZ_INSPECT_REGISTERS) {
		return KZ_RIGHT_READ;
	}
	return by_call[fn - KZ_HVC_REGISTER];
}

/* Did a call succeed that must not? What VM it was about. */
static inline bool is_forbidden(const struct call *c)
{
	const uint32_t fn = (uint32_t)c->x[0], right = right_of(c);
	const uint8_t all = arena.rights[KZ_RIGHT_CREATE], list = arena.rights[KZ_RIGHT_LIST];
	const bool inspect = fn == KZ_HVC_INSPECT;
	const uint64_t vm = inspect ? c->x[2] & 0xff : c->x[1];

	if (fn == KZ_HVC_REGISTER) {
		return all != 0xff;
	}
	if (fn == KZ_HVC_LOG || (inspect && c->x[1] == KZ_INSPECT_MACHINE)) {
		return list == 0;
	}
	if (inspect && c->x[1] == KZ_INSPECT_TRACE) {
		return list != 0xff;
	}
	if (fn == KZ_HVC_READ && vm == arena.self && (c->x[2] < arena.ram || c->x[2] >= arena.end ||
	    c->x[4] > arena.end - c->x[2])) {
		return true;		/* it is not in our memory */
	}
	return right == KZ_RIGHTS || vm >= KZ_VMS_MAX || (arena.rights[right] >> vm & 1) == 0;
}

/* Where a call may write to: its size is what it writes at most. */
static inline uint64_t room_of(const struct call *c, uint64_t *size)
{
	static const uint16_t inspects[KZ_INSPECTS] = {
		sizeof(struct kz_machine_info), sizeof(struct kz_cfg_vm),
		sizeof(struct kz_vm_info), sizeof(struct kz_vcpu_info),
		sizeof(struct kz_vcpu_registers), CORES * sizeof(struct kz_trace_head),
	};

	switch ((uint32_t)c->x[0]) {
	case KZ_HVC_INSPECT:
		*size = c->x[1] < KZ_INSPECTS ? inspects[c->x[1]] : 0;
		return c->x[3];
	case KZ_HVC_READ:
		*size = c->x[4];
		return c->x[3];
	case KZ_HVC_CONSOLE_READ:
	case KZ_HVC_LOG:
		*size = c->x[3];
		return c->x[2];
	default:
		*size = 0;
		return c->x[2];
	}
}

/* Before, in and behind a buffer in the arena; only where nobody else writes. */
struct guard {
	const uint8_t *at[3];		/* NULL: not looked at */
	uint8_t was[3][MARGIN];
};

static inline void guard_begin(struct guard *g, const struct call *c)
{
	const uint64_t first = (uintptr_t)arena.at + MARGIN;
	uint64_t size;
	const uint64_t at = room_of(c, &size);
	const bool here = !arena.pair && at - first < ARENA && size <= KZ_CONTROL_BYTES;

	for (uint32_t k = 0; k < 3; k++) {
		g->at[k] = here ? (const uint8_t *)at - MARGIN + (k != 0 ? MARGIN : 0) +
			   (k == 2 ? size : 0) : 0;
		for (uint32_t i = 0; i < MARGIN && here; i++) {
			g->was[k][i] = g->at[k][i];
		}
	}
}

static inline bool guard_holds(const struct guard *g, const struct call *answer)
{
	bool same = true;

	for (uint32_t k = 0; k < 3; k++) {
		const bool mine = k == 1 && answer->x[0] == KZ_OK;

		for (uint32_t i = 0; i < MARGIN && g->at[k] != 0 && !mine; i++) {
			same = same && g->was[k][i] == g->at[k][i];
		}
	}
	return same;
}

static inline void note(struct fuzzer *f, const struct call *c, const struct call *answer,
			uint32_t how)
{
	const uint64_t code = -answer->x[0];

	f->calls++;
	for (uint32_t i = 4; i < 8; i++) {
		if (answer->x[i] != c->x[i]) {
			wrong(f, "a register is not kept", c, answer);
		}
	}
	if (how == 1 && answer->x[0] != (uint64_t)NOT_SUPPORTED) {
		wrong(f, "an immediate that is nobody's", c, answer);
	}
	if (how == 1 || !is_control(c)) {
		f->codes[code == 0 ? 0 : CODES - 1]++;
		return;
	}
	f->codes[code < CODES - 1 ? code : CODES - 1]++;
	if (code >= CODES - 1) {
		wrong(f, "no such code", c, answer);
	}
	if (code == 0) {
		uint64_t size;

		(void)room_of(c, &size);
		if (size > KZ_CONTROL_BYTES) {
			wrong(f, "more than a call moves", c, answer);
		}
		f->done[(uint32_t)c->x[0] - KZ_HVC_REGISTER]++;
		if (is_forbidden(c)) {
			wrong(f, "without a right", c, answer);
		}
		if ((uint32_t)c->x[0] == KZ_HVC_CONTROL) {
			f->verbs[c->x[2]]++;
		}
	}
}

/* ---- What would end the test ---- */

static inline bool verb_is_spared(const struct call *c)
{
	return c->x[1] < KZ_VMS_MAX && c->x[2] <= KZ_VERB_ATTACH &&
	       c->x[2] != KZ_VERB_SHUTDOWN && ((arena.spare >> c->x[1] & 1) != 0 ||
	       c->x[1] == arena.self);
}

/* Is it a server with which we would never come to an end? */
static inline bool server_is_slow(const struct call *c)
{
	const uint64_t deadline = c->x[1], period = c->x[2], execution = c->x[3];

	return execution <= deadline && deadline <= period && period <= KZ_PERIOD_MAX &&
	       (period > 2 * MS || execution < period / 4);
}

static inline bool psci_is_spared(const struct call *c)
{
	const uint32_t fn = (uint32_t)c->x[0];
	const uint64_t entry = (fn & SMC64) != 0 ? c->x[2] : (uint32_t)c->x[2];

	switch (fn) {
	case PSCI + 2:			/* CPU_OFF, SYSTEM_OFF, SYSTEM_RESET */
	case PSCI + 8:
	case PSCI + 9:
		return true;
	case PSCI + 3:
	case PSCI + SMC64 + 3:		/* CPU_ON: there is one that is off */
		return entry - arena.ram < arena.end - arena.ram;
	default:
		return false;
	}
}

static inline bool is_spared(const struct call *c)
{
	switch ((uint32_t)c->x[0]) {
	case KZ_HVC_CONTROL:
		return verb_is_spared(c);
	case KZ_HVC_SET_REALTIME_INFO:
		return server_is_slow(c);
	case KZ_HVC_WATCHDOG:
		return c->x[1] != 0 && c->x[1] < 3600 * SECOND;
	case KZ_HVC_INSPECT:
	case KZ_HVC_READ:
		return !address_is_safe(&arena, c->x[3]);
	case KZ_HVC_CONSOLE_READ:
	case KZ_HVC_LOG:
		return !address_is_safe(&arena, c->x[2]);
	default:
		return psci_is_spared(c);
	}
}

/* ---- Who registers, and who destroys; what memory VMs were given ---- */

static struct {
	uint64_t pa, size;
} used[USED_MAX];
static uint32_t used_count;
static bool used_busy;			/* atomic: its lock */
static bool used_lost;			/* there are more */
static int32_t gate;			/* who registers: above 0; who destroys: below */

static inline void gate_enter(int32_t side)
{
	int32_t seen = 0;

	do {
		if (seen * side < 0) {
			seen = 0;
		}
	} while (!__atomic_compare_exchange_n(&gate, &seen, seen + side, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
}

static inline void gate_leave(int32_t side)
{
	__atomic_fetch_sub(&gate, side, __ATOMIC_RELEASE);
}

/* That span, and what it touches, are one. */
static inline void used_add(uint64_t pa, uint64_t size)
{
	uint32_t i = 0;

	while (__atomic_exchange_n(&used_busy, true, __ATOMIC_ACQUIRE)) {
	}
	while (i < used_count && (pa > used[i].pa + used[i].size || used[i].pa > pa + size)) {
		i++;
	}
	if (i == used_count && i < USED_MAX) {
		used[i].pa = pa;
		used[i].size = size;
		used_count++;
	} else if (i < used_count) {
		const uint64_t end = used[i].pa + used[i].size;

		used[i].pa = pa < used[i].pa ? pa : used[i].pa;
		used[i].size = (pa + size > end ? pa + size : end) - used[i].pa;
	} else {
		used_lost = true;
	}
	__atomic_store_n(&used_busy, false, __ATOMIC_RELEASE);
}

#endif
