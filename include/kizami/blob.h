/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The configuration blob: what kzc tells the hypervisor about the machine and
 * its VMs. Little-endian, fixed layout, no pointers: an array whose count is
 * below its maximum is zero behind the count.
 *
 * IMAGE, as kzc writes it (docs/abi.md):
 *
 *   0            the hypervisor, zeros of its .bss included
 *   _end (4 KiB) struct kz_cfg, then vm_count times struct kz_cfg_vm
 *   ...          guest images, each at a 4 KiB boundary
 *
 * Addresses are in bytes. "pa" is a physical address, "ipa" is what the guest
 * takes for one. INTIDs are those of the GIC architecture (IHI 0048, IHI 0069):
 * SGI 0..15, PPI 16..31, SPI 32..1019.
 */
#ifndef KIZAMI_BLOB_H
#define KIZAMI_BLOB_H

#include <kizami/types.h>

#define KZ_BLOB_MAGIC	0x424d5a4bu	/* "KZMB" */
#define KZ_BLOB_VERSION	4u

#define KZ_NAME_MAX	16u	/* bytes, the final NUL included */
#define KZ_CPUS_MAX	8u
#define KZ_VMS_MAX	8u
#define KZ_VCPUS_MAX	8u	/* a VM */
#define KZ_REGIONS_MAX	16u	/* a VM */
#define KZ_LOADS_MAX	16u	/* a VM */
#define KZ_IRQS_MAX	64u	/* a VM */
#define KZ_RAMS_MAX	8u
#define KZ_INTID_MAX	1020u	/* INTIDs are below it */
#define KZ_PT_PAGES	128u	/* 4 KiB translation tables for all stage-2 maps together */

#define KZ_PAGE_SIZE	4096u
#define KZ_IPA_BITS	39u	/* guests see addresses below 2^39 */
#define KZ_PA_LIMIT	0x7fc0000000ull	/* what the hypervisor can reach lies below */
#define KZ_TEXT_OFFSET	0x200000u	/* where the image is loaded, from the base of RAM */

/* Guest frame sizes, in bytes. */
#define KZ_GICD2_SIZE	0x1000u		/* GICv2 distributor */
#define KZ_GICD3_SIZE	0x10000u	/* GICv3 distributor */
#define KZ_GICC_SIZE	0x2000u		/* GICv2 CPU interface */
#define KZ_GICR_SIZE	0x20000u	/* GICv3 redistributor: RD and SGI frame of one vCPU */
#define KZ_CONSOLE_SIZE	0x1000u		/* PL011 frame, or console ring */
#define KZ_STOLEN_SIZE	0x1000u		/* stolen time of all vCPUs */
#define KZ_WDT_SIZE	0x2000u		/* watchdog: control frame, refresh frame */

/* Servers and watchdogs, in ns; weights; back-off. */
#define KZ_WATCHDOG_MIN	10000ull
#define KZ_WATCHDOG_MAX	3600000000000ull
#define KZ_PERIOD_MIN	10000ull
#define KZ_PERIOD_MAX	3600000000000ull
#define KZ_BUDGET_MIN	1000ull
#define KZ_WEIGHT_DEFAULT 100u
#define KZ_WEIGHT_MAX	10000u
#define KZ_BACKOFF_MAX	3600000u	/* ms */

enum kz_level { KZ_HRT, KZ_SRT, KZ_NRT, KZ_LEVELS };
enum kz_on_fault { KZ_FAULT_INJECT, KZ_FAULT_STOP, KZ_FAULT_RESTART, KZ_FAULTS };
enum kz_console { KZ_CONSOLE_NONE, KZ_CONSOLE_PL011, KZ_CONSOLE_RING, KZ_CONSOLES };
enum kz_uart { KZ_UART_NONE, KZ_UART_PL011, KZ_UART_CADENCE, KZ_UARTS };
enum kz_conduit { KZ_CONDUIT_SMC, KZ_CONDUIT_HVC, KZ_CONDUITS };
/* What happens at a deadline that is missed, and when a budget is used up. */
enum kz_on_event { KZ_EVENT_COUNT, KZ_EVENT_NOTIFY, KZ_EVENT_RESTART, KZ_EVENT_STOP, KZ_EVENTS };
/*
 * TRACE: the machine's trace, to be read. STORE: RAM that the hypervisor keeps for a VM which is
 * created at run time (control.h); its guest does not see it, its ipa is 0.
 */
enum kz_region_type {
	KZ_REGION_RAM, KZ_REGION_DEVICE, KZ_REGION_TRACE, KZ_REGION_STORE, KZ_REGION_TYPES
};
/* After a stop that nobody asked for: a fault, a watchdog, on_miss; ALWAYS: or its own PSCI OFF. */
enum kz_restart { KZ_RESTART_NEVER, KZ_RESTART_ON_FAILURE, KZ_RESTART_ALWAYS, KZ_RESTARTS };

/*
 * What a VM may do to others (control.h): kz_cfg_vm.rights has a mask of VMs for each, a bit for
 * each place in the blob; all bits: those to come, too.
 */
enum kz_right {
	KZ_RIGHT_LIST,		/* see it: KZ_HVC_INSPECT; of any VM: the machine, the log */
	KZ_RIGHT_CONSOLE,	/* read and write its console */
	KZ_RIGHT_READ,		/* read its memory and registers */
	KZ_RIGHT_RUN,		/* start, pause, resume, stop, ask to shut down */
	KZ_RIGHT_RESTART,	/* reset */
	KZ_RIGHT_CREATE,	/* destroy; of all VMs: register others */
	KZ_RIGHTS = 8		/* the rest is 0 */
};

/* kz_cfg_vm.flags */
/* GICv3 HRT: ICC_SGI1R_EL1 is not trapped (docs/caveats.md) */
#define KZ_VM_SGI_DIRECT	(1u << 0)
#define KZ_VM_FLAGS		(KZ_VM_SGI_DIRECT)
/* kz_cfg_irq.flags */
#define KZ_IRQ_EDGE		(1u << 0)	/* else level-sensitive */
#define KZ_IRQ_FLAGS		(KZ_IRQ_EDGE)

struct kz_cfg_ram {
	uint64_t pa;
	uint64_t size;
};

struct kz_cfg_machine {
	char board[KZ_NAME_MAX];
	uint32_t cpu_count;
	uint32_t console_cpu;		/* index into mpidr; serves the physical console */
	uint32_t ram_count;
	uint32_t conduit;		/* enum kz_conduit: how to reach the firmware's PSCI */
	uint64_t mpidr[KZ_CPUS_MAX];	/* MPIDR_EL1 affinity fields; entry 0 is the boot core */
	struct kz_cfg_ram ram[KZ_RAMS_MAX];
	/* GIC: version 2 has gicc, gich, gicv (8 KiB contiguous views); version 3 has gicr. */
	uint32_t gic_version;
	uint32_t gic_lines;		/* INTIDs that the distributor has, a multiple of 32 */
	uint64_t gicd_pa, gicc_pa, gich_pa, gicv_pa;
	uint64_t gicr_pa, gicr_size;
	/* PPIs as INTIDs, 0 for none. */
	uint32_t vtimer_intid, ptimer_intid, htimer_intid, maint_intid, pmu_intid;
	/* The physical console. */
	uint32_t uart;			/* enum kz_uart */
	uint32_t uart_intid;
	uint32_t proven;		/* a bit a core: its servers passed kzc's exact test */
	uint64_t uart_pa;
	/* Real time: what servers may not have of each core, and what the hypervisor takes. */
	uint32_t reserve_ppm[KZ_CPUS_MAX];
	uint32_t block_ns;		/* longest stretch with interrupts masked */
	/* The trace (trace.h): struct kz_trace_mem and the rings, in RAM, no VM's. */
	uint32_t trace_chunks;		/* of a core: KZ_TRACE_CHUNKS_MIN to _MAX */
	uint64_t trace_pa;		/* page; the size follows from trace_chunks and cpu_count */
	uint32_t trace_mode;		/* enum kz_trace_mode */
	uint32_t trace_on_crash;	/* 1: a VM that crashes stops it */
};

/*
 * A server: execution for budget_ns in each period_ns, within deadline_ns of its
 * beginning, for every vCPU of the VM. budget <= deadline <= period; all 0: none.
 */
struct kz_cfg_server {
	uint64_t budget_ns, period_ns, deadline_ns;
	uint32_t weight;		/* without a server: share of what is left, 1 to 10000 */
	uint8_t on_miss, on_overrun;	/* enum kz_on_event */
	uint16_t reserved;
};

struct kz_cfg_region {
	uint64_t ipa, pa, size;		/* pages; type RAM lies in machine.ram */
	uint32_t type;			/* enum kz_region_type */
	uint32_t reserved;
};

/* Bytes that a (re)start copies into the VM's memory. */
struct kz_cfg_load {
	uint64_t ipa;
	/* from the start of struct kz_cfg, or behind the store's tables; 64-byte aligned */
	uint64_t offset;
	uint64_t size;
};

/* A physical interrupt that belongs to the VM; it has the same number there. */
struct kz_cfg_irq {
	uint32_t intid;			/* SPI */
	uint32_t flags;
};

struct kz_cfg_vm {
	char name[KZ_NAME_MAX];		/* [a-z0-9_-]+, NUL padded */
	uint8_t level;			/* enum kz_level */
	uint8_t on_fault;		/* enum kz_on_fault */
	uint8_t console;		/* enum kz_console */
	uint8_t vcpu_count;
	uint8_t region_count;
	uint8_t load_count;
	uint8_t irq_count;
	uint8_t restart;		/* enum kz_restart */
	uint8_t cpu[KZ_VCPUS_MAX];	/* vCPU -> index into machine.mpidr */
	uint32_t flags;
	uint32_t irq_lines;		/* INTIDs of the guest's distributor, a multiple of 32 */
	uint32_t console_intid;		/* PL011: an SPI; 0 for a console without interrupt */
	uint32_t reserved2;
	uint64_t entry;			/* ipa of the first instruction */
	uint64_t arg;			/* x0 of vCPU 0: ipa of the device tree */
	uint64_t gicd_ipa;
	uint64_t gicc_ipa;		/* GICv2: CPU interface. GICv3: redistributor of vCPU 0 */
	uint64_t console_ipa;		/* PL011: trapped frame. ring: a page of the VM's RAM */
	uint64_t stolen_ipa;		/* a page of RAM, 64 bytes a vCPU: DEN0057; 0: none */
	uint64_t watchdog_ns;		/* runs from each start on, 0: when the guest says so */
	uint64_t wdt_ipa;		/* SBSA generic watchdog: control frame, refresh frame; 0 */
	uint32_t wdt_intid;		/* its first signal, an SPI */
	/* Before a restart: at first, and at most; twice as long each time, until it ran longer. */
	uint32_t backoff_ms, backoff_max_ms;
	uint32_t store_tables;		/* the store's first pages: translation tables */
	uint8_t rights[KZ_RIGHTS];	/* enum kz_right */
	struct kz_cfg_server server;	/* SRT and NRT */
	struct kz_cfg_region region[KZ_REGIONS_MAX];
	struct kz_cfg_load load[KZ_LOADS_MAX];
	struct kz_cfg_irq irq[KZ_IRQS_MAX];
};

struct kz_cfg {
	uint32_t magic;
	uint32_t version;
	uint32_t size;			/* this struct and the VMs behind it, in bytes */
	uint32_t vm_count;
	uint64_t image_pa;		/* where the image expects to be loaded */
	uint64_t image_size;		/* all of it: hypervisor, blob, guest images */
	uint64_t blob_offset;		/* of this struct, from image_pa */
	uint64_t reserved;
	struct kz_cfg_machine machine;
	/* struct kz_cfg_vm vm[vm_count] follows. */
};

_Static_assert(sizeof(struct kz_cfg_vm) == 168 + 32 * KZ_REGIONS_MAX + 24 * KZ_LOADS_MAX +
	       8 * KZ_IRQS_MAX, "ABI");
_Static_assert(sizeof(struct kz_cfg) == 48 + 376, "ABI");

#endif
