/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What a guest may ask of the hypervisor: SMCCC calls of the vendor-specific
 * hypervisor range (DEN0028 6.2), 64-bit, by HVC or SMC. x0 is the function,
 * x1 to x3 are arguments; x0 returns enum kz_err, x1 to x3 what is said below and
 * are kept otherwise. The calling vCPU speaks of itself. Times are in ns; points
 * in time are ns of its virtual counter (CNTVCT_EL0).
 */
#ifndef KIZAMI_HCALL_H
#define KIZAMI_HCALL_H

#include <kizami/types.h>

/*
 * (deadline, period, execution): from its next release on, this vCPU runs for
 * `execution` in each `period`, within `deadline` of the period's beginning. If it
 * had no server, it has one from now on. KZ_EINVAL: not execution <= deadline <=
 * period, or out of KZ_PERIOD_MIN.., KZ_BUDGET_MIN. KZ_EPERM: the VM is not SRT.
 * KZ_ELOAD: the core cannot honour it. Errors change nothing.
 */
#define KZ_HVC_SET_REALTIME_INFO	0xc6000001u

/*
 * (): this period's job is done: returns at the next release, whatever interrupts
 * come meanwhile. x1 = when the job that begins was released, x2 = deadlines
 * missed so far. Without a server: gives the rest of its turn to others.
 */
#define KZ_HVC_JOB_DONE			0xc6000002u

/*
 * (events): interrupt KZ_EVENT_INTID for these KZ_NOTIFY_ bits from now on, none
 * for 0. KZ_EINVAL: another bit.
 */
#define KZ_HVC_NOTIFY			0xc6000003u

/* (page): x1 to x3 as enum kz_info_page says. KZ_ENOENT: no such page. */
#define KZ_HVC_INFO			0xc6000004u

/*
 * (ns): the VM's watchdog: who does not call again within that time has failed, and restarts or
 * stops, as its `restart` says. 0: it does not run. KZ_EINVAL: out of KZ_WATCHDOG_MIN.. .
 */
#define KZ_HVC_WATCHDOG			0xc6000005u

/* (): x1 = KZ_NOTIFY_ bits that came for this vCPU since the last call. */
#define KZ_HVC_EVENTS			0xc6000006u

#define KZ_NOTIFY_MISS		(1u << 0)
#define KZ_NOTIFY_OVERRUN	(1u << 1)
#define KZ_NOTIFY_SHUTDOWN	(1u << 2)	/* somebody asks the VM to switch itself off */
/* A VM that the caller may list changed its state, or a console attached has output (control.h) */
#define KZ_NOTIFY_CONTROL	(1u << 3)
#define KZ_EVENT_INTID		20u	/* PPI, edge-triggered */

enum kz_info_page {
	KZ_INFO_SERVER,		/* deadline, period, budget; all 0: it has none */
	KZ_INFO_COUNTS,		/* jobs released, deadlines missed, budgets overrun */
	KZ_INFO_TIME,		/* executed; stolen: wanted, not got; left of the budget */
	/*
	 * when: last deadline missed, last overrun, release of this job; signed: the first job is
	 * released before the VM's memory is loaded, and its clock begins after that
	 */
	KZ_INFO_LAST,
	KZ_INFO_PAGES
};

/* Paravirtualized time, DEN0057: PV_TIME_FEATURES (function), PV_TIME_ST (). */
#define KZ_HVC_PV_TIME_FEATURES		0xc5000020u
#define KZ_HVC_PV_TIME_ST		0xc5000021u

/* What PV_TIME_ST returns the guest address of. */
struct kz_stolen_time {
	uint32_t revision;	/* 0 */
	uint32_t attributes;	/* 0 */
	uint64_t stolen_ns;
	uint8_t padding[48];
};

_Static_assert(sizeof(struct kz_stolen_time) == 64, "DEN0057");

#endif
