/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of four cores with four VMs, one of which may do all to the others, and room for VMs
 * that come while it runs. The clock stands until the test moves it; guests execute for ever.
 */
#ifndef LIFE_BED_H
#define LIFE_BED_H

#include <kizami/hcall.h>
#include "arch.h"
#include "blob.h"
#include "console.h"
#include "control.h"

#define LIFE_CORES 4u
#define LIFE_VMS   4u		/* of the image */
#define LIFE_SLOTS 8u		/* places in RAM for VMs that are created */
#define LIFE_RAM   0x8000u	/* bytes of one, and of its store */
/*
 * linux: NRT, cores 0 and 1, all rights. island: SRT, core 1, may see and reset servo. servo: HRT,
 * core 3. raw: SRT, core 1, a rival of linux that may not create, read or reset. Core 2 is free.
 */
enum { LINUX, ISLAND, SERVO, RAW };

/* linux: two regions that are neighbours for the guest, and far apart. */
#define LINUX_AT    0x80000000ull
#define LINUX_SIZE  0x20000ull
#define LINUX_NEXT  (LINUX_AT + LINUX_SIZE)
#define OTHERS_AT   0x80000000ull
#define OTHERS_SIZE 0x4000ull

struct life {
	struct kz_cfg cfg;
	struct kz_cfg_vm vm[LIFE_VMS];
	_Alignas(64) uint8_t image[4096];
	int where[LIFE_CORES];		/* HOST_ENTERED, HOST_ASLEEP, HOST_FROZEN */
	uint32_t seen[LIFE_CORES];	/* kicks */
	bool left[LIFE_CORES];		/* its guest has left: it looks at its hazards */
	uint32_t offs;			/* how often the machine went off */
};
extern struct life life;

/* The machine as after the boot, all VMs stopped. */
void life_setup(void);
/* The VMs of the image start. */
void life_start(void);
/* Every VM stops, those that were created go. */
void life_end(void);

/* The core goes on, if something wakes it. */
void life_step(uint32_t core);
/* Each core goes on that something wakes, until none does. */
void life_settle(void);
/* The clock moves on to `ticks`, and timers fire. */
void life_until(uint64_t ticks);
/* Until no VM stops, is cleared or loaded; some thousand ticks. */
void life_quiet(void);

/* A call of the VM's vCPU 0, on its core; x has what it returns. Nothing else moves. */
int64_t life_call(uint32_t vm, uint64_t *x);
/* A call that its core turns after: it executes that vCPU. True: it says that another may go on. */
bool life_turn(uint32_t vm, uint64_t *x);
/* The same as life_call, with results that nobody wants. */
int64_t life_call4(uint32_t vm, uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
int64_t life_verb(uint32_t vm, uint32_t id, enum kz_verb verb);

/* A configuration that is right in that slot of RAM. */
void life_config(struct kz_cfg_vm *cfg, uint32_t slot, enum kz_level level);
/* linux registers it, by way of its memory at LINUX_AT; x1, x2 as the call says. */
int64_t life_register(const struct kz_cfg_vm *cfg, uint64_t *x);

/* What must hold at any time. */
void life_check(void);

/* Memory of linux. */
void *life_memory(uint64_t at);

#endif
