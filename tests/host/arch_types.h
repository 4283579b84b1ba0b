/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's port: a small machine that does what hv/arch.h says and nothing
 * else, checks that it is used as hv/arch.h says, and whose state a test reads.
 */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <setjmp.h>
#include <kizami/blob.h>
#include <vgic.h>
#include "types.h"

struct percpu;
struct vcpu;

struct arch_vm {
	uint32_t inits, resets, maps;	/* calls of arch_vm_init, _reset, _map */
	bool mapped;			/* its tables are complete */
	bool revoked;			/* by arch_vm_revoke */
	uint32_t revokes;
	uint64_t line[(KZ_INTID_MAX + 63) / 64];	/* level of each interrupt line */
	uint32_t edges;			/* changes of them */
	/* Where a test links the model. */
	bool hrt;
	struct vgic_frame gicd, gicr;
	struct vgic vgic;
};

struct arch_vcpu {
	bool parked;			/* by arch_vcpu_park, until arch_vcpu_reset */
	uint32_t resets, parks, syncs;	/* calls */
	bool masked;			/* by arch_vcpu_mask */
	bool frozen;			/* by arch_vcpu_freeze, an HRT one: until it is thawed */
	uint32_t freezes, shares;	/* calls */
	uint64_t ppi;			/* levels of its private lines, a bit each */
	uint32_t ppi_rises;
	uint64_t result[2];		/* of arch_vcpu_result */
	uint64_t pc, x0;
	uint32_t aborts;		/* external aborts that were injected */
	uint64_t abort_addr;		/* of the last one */
	struct vgic_cpu vgic;
	uint64_t trace;			/* the second word of KZ_TRACE_RUN */
	uint64_t kick;			/* the model's: gic.sgi_value of its core */
};

/* Of a vCPU while another has the core. */
struct arch_away {
	uint64_t alarm;			/* what arch_vcpu_save says */
};

struct arch_percpu {
	uint32_t kicks;			/* calls of arch_cpu_kick for this core; atomic */
	uint32_t woken;			/* of these: arch_cpu_wait has seen them */
	uint32_t waits;			/* calls of arch_cpu_wait */
	struct vcpu *loaded;		/* whose registers these are; one at a time */
	bool started;			/* by arch_cpu_start */
	uint32_t ppis;			/* as arch/arm64's */
};

#define HOST_OUT_MAX	(1u << 20)
#define HOST_IN_MAX	4096u
#define HOST_HZ		1000000u
#define HOST_RAM_PA	0x40000000ull
#define HOST_RAM_SIZE	(1u << 20)

struct host {
	uint64_t ticks;			/* what arch_ticks says; each call adds 1, */
	bool frozen;			/* unless only the test moves it */
	uint64_t hz;
	uint64_t timer[KZ_CPUS_MAX];	/* tick at which it is due, as it was armed */
	/* The UART. */
	uint8_t out[HOST_OUT_MAX];	/* all that was ever put */
	uint32_t out_len;
	uint32_t room;			/* bytes that its FIFO takes, atomic */
	bool notify;			/* arch_uart_notify's interrupt is on, atomic */
	bool slow;			/* other threads run behind each put and notify */
	void (*rises)(struct vcpu *v);	/* a line of v's has risen; NULL: no matter */
	uint8_t in[HOST_IN_MAX];
	uint32_t in_head, in_len;
	uint8_t *ram;			/* HOST_RAM_SIZE bytes at HOST_RAM_PA */
	struct percpu *cpu;		/* KZ_CPUS_MAX of them */
	uint8_t owner[KZ_INTID_MAX];	/* of each SPI: the VM's place plus 1, by arch_vm_init */
	bool no_tables;			/* arch_vm_map finds its pool empty */
	jmp_buf *leave;			/* where calls end that do not return */
	struct vcpu *entered;		/* by the last arch_vcpu_enter */
};
extern struct host host;

/* What setjmp(*host.leave) returns when: the machine goes off, the core sleeps and nothing is
 * there to wake it, it is in a guest, it panics, its HRT guest is paused. */
enum { HOST_RETURNED, HOST_OFF, HOST_ASLEEP, HOST_ENTERED, HOST_PANIC, HOST_FROZEN };

/* A machine as after power-on, without a VM, and a UART that takes everything. */
void host_reset(void);
/* The clock stands at `ticks` until the test moves it; no guest is loaded, no timer armed. */
void host_freeze(uint64_t ticks);
/* The calling thread is this core from here. */
void host_become(uint32_t cpu);
/* The HRT guest of this core, which was paused, goes on or stops: vcpu_run follows. */
bool host_thaw(uint32_t cpu);
/* A byte arrives at the UART; its interrupt is up to the test. */
void host_type(uint8_t c);

#endif
