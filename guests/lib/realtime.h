/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest asks and tells the hypervisor about its time: the calls of
 * <kizami/hcall.h>, by HVC. All of them return enum kz_err; times are in ns,
 * points in time are ns of the virtual counter.
 */
#ifndef GUEST_REALTIME_H
#define GUEST_REALTIME_H

#include <stdint.h>

#include <kizami/hcall.h>

#include "fdt.h"

/* x1 to x3 of an answer. They are the arguments still, if the call says nothing of them. */
struct realtime {
	uint64_t x1, x2, x3;
};

/* Any of the calls: SMCCC, so that x4 and up are kept. */
static inline int64_t realtime_call(uint32_t function, struct realtime *r)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = r->x1;
	register uint64_t x2 __asm__("x2") = r->x2;
	register uint64_t x3 __asm__("x3") = r->x3;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	*r = (struct realtime){ x1, x2, x3 };
	return (int64_t)x0;
}

/* From the next release on: `execution` in each `period`, within `deadline` of its beginning. */
static inline int64_t realtime_set_info(uint64_t deadline, uint64_t period, uint64_t execution)
{
	struct realtime r = { deadline, period, execution };

	return realtime_call(KZ_HVC_SET_REALTIME_INFO, &r);
}

/*
 * This period's job is done: comes back at the next release, with its time and
 * with how many deadlines have been missed so far. Without a server it yields,
 * and the two are not touched.
 */
static inline int64_t realtime_job_done(uint64_t *release, uint64_t *missed)
{
	struct realtime r = { *release, *missed, 0 };
	const int64_t error = realtime_call(KZ_HVC_JOB_DONE, &r);

	*release = r.x1;
	*missed = r.x2;
	return error;
}

/* Wants the event interrupt for these KZ_NOTIFY_ bits, and for no others. */
static inline int64_t realtime_notify(uint64_t events)
{
	struct realtime r = { events, 0, 0 };

	return realtime_call(KZ_HVC_NOTIFY, &r);
}

/* What this vCPU may know of itself: enum kz_info_page says what x1 to x3 are. */
static inline int64_t realtime_info(enum kz_info_page page, struct realtime *r)
{
	*r = (struct realtime){ page, 0, 0 };
	return realtime_call(KZ_HVC_INFO, r);
}

/* This vCPU's stolen time (DEN0057); null without one. */
static inline const volatile struct kz_stolen_time *realtime_stolen(void)
{
	struct realtime r = { KZ_HVC_PV_TIME_ST, 0, 0 };

	if (realtime_call(KZ_HVC_PV_TIME_FEATURES, &r) == 0) {
		const int64_t address = realtime_call(KZ_HVC_PV_TIME_ST, &r);

		if (address >= 0) {
			return (const volatile struct kz_stolen_time *)address;
		}
	}
	return (const volatile struct kz_stolen_time *)0;
}

/* The event interrupt's INTID: what the device tree says, or the ABI's. */
static inline uint32_t realtime_intid(const void *fdt)
{
	struct fdt_node node;
	uint32_t intid = 0;

	if (fdt_find(fdt, "kizami,hypervisor-1", &node)) {
		intid = fdt_intid(&node, 0);
	}
	return intid != 0 ? intid : KZ_EVENT_INTID;
}

#endif
