/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the interrupt model share: VMs, each with a vCPU on each core,
 * the real model over the host's GIC, and the oracle in step with it. vCPU i lives
 * on core i. All is of one VM, until bed_use: who acts is loaded first, by one of
 * the two ways.
 */
#ifndef VGIC_BED_H
#define VGIC_BED_H

#include <kizami/blob.h>
#include "arch.h"
#include "gic.h"
#include "gic_host.h"
#include "gic_naive.h"

#define BED_VTIMER	27u
#define BED_PTIMER	30u
#define BED_EDGE	41u		/* SPIs with a twin: 40..47, the odd ones are edges */
#define BED_LEVEL	40u

struct bed_vm {
	struct kz_cfg_vm cfg;
	bool running[NAIVE_CPUS];	/* the vCPU is not off */
	uint32_t ppi[NAIVE_CPUS];	/* levels of its timers' lines, a bit each */
};

struct bed {
	struct kz_cfg cfg;
	uint32_t vms;
	struct vm *vm;			/* in use */
	struct bed_vm of[NAIVE_VMS], *now;
	uint64_t quick, half, slow;	/* switches: by vgic_switch; where it declines; without */
	uint64_t again;			/* timers whose word was known */
	uint64_t fired, late;		/* due timers: delivered at the switch, or by the line */
	uint64_t waited;		/* leaves of vCPUs that wait for an interrupt */
};
extern struct bed bed;

/* Everything as after reset, guests run with their interfaces open; VM 0 is in use. */
void bed_start(bool v3, uint32_t cpus, uint8_t lr_count);
/* The same with that many VMs, which share each core. */
void bed_share(bool v3, uint32_t vms, uint32_t cpus, uint8_t lr_count);
void bed_use(uint32_t vm);

/* Does INTID have a physical twin in this VM? The SPIs of BED_TWINS are of one VM each. */
bool bed_is_hw(uint32_t intid);
/* The line of a twin: of the vCPU's own timer, or of a device. */
void bed_twin(uint32_t cpu, uint32_t intid, bool high);

static inline struct vcpu *bed_vcpu(uint32_t cpu)
{
	return &bed.vm->vcpu[cpu];
}

/* The core has the vCPU's registers from here, as if the scheduler had chosen it. */
void bed_come(uint32_t cpu);
/* The lines of its timers are the core's. */
void bed_drive(uint32_t cpu);
/* Whoever has the core goes, the long way. */
void bed_leave(uint32_t cpu);
/* The vCPU has the core and its guest waits for an interrupt; true: there was none. */
bool bed_wait(uint32_t cpu);
/* Its budget is used up: its devices are masked, until it comes. */
void bed_spend(uint32_t cpu);
/* What is known of the VM's timers is what would be found out. */
void bed_again_check(void);
/* What the interface has of the guest's own. */
void bed_vif_check(uint32_t cpu);

/* ---- The real model; a guest's access ends with its hazards, as an exit does ---- */

uint32_t bed_read(uint32_t cpu, uint32_t offset);
void bed_write(uint32_t cpu, uint32_t offset, uint32_t value);
/* Any size and frame; offset in the frame (GICR: of vCPU 0). */
enum verdict bed_access(uint32_t cpu, bool gicr, struct access *a);
/* A register of the distributor, or of the redistributor where bank 0 lives there. */
uint32_t bed_bits(uint32_t cpu, uint32_t reg, uint32_t bank);
void bed_bits_write(uint32_t cpu, uint32_t reg, uint32_t bank, uint32_t value);
void bed_byte_write(uint32_t cpu, uint32_t reg, uint32_t intid, uint8_t value);
/* SGI from a vCPU to those in targets, a bit each. */
void bed_sgi(uint32_t cpu, uint32_t intid, uint32_t targets);

/* Let core cpu do all that waits for it: hazards, physical interrupts, maintenance. */
void bed_settle(uint32_t cpu);
/* All cores, until nothing waits. */
void bed_settle_all(void);

/* Switch the vCPU off and on, as PSCI does; its guest ends nothing of what it had. */
void bed_off(uint32_t cpu);
void bed_on(uint32_t cpu);

/* ---- Real model and oracle together ---- */

void both_bits(uint32_t cpu, uint32_t reg, uint32_t bank, uint32_t value);
void both_priority(uint32_t cpu, uint32_t intid, uint8_t prio);
void both_target(uint32_t cpu, uint32_t intid, uint32_t target);
void both_ctlr(uint32_t cpu, uint32_t value);
void both_sgi(uint32_t cpu, uint32_t intid, uint32_t targets);
/* The line of an emulated device. */
void both_line(uint32_t cpu, uint32_t intid, bool high);
/* The guest's interface. Returns the INTID, or GIC_HOST_NONE. */
uint32_t both_ack(uint32_t cpu);
/* The same with whatever the core knows by now; others' changes may be on their way. */
uint32_t both_ack_early(uint32_t cpu);
void both_pmr(uint32_t cpu, uint32_t pmr);
/* An active priority, better than all, that comes from no interrupt (ICC_AP1R0_EL1). */
void both_apr(uint32_t cpu, uint32_t prio);
/* The entry of naive->cpu[cpu].run. */
void both_eoi(uint32_t cpu, uint32_t i);
void both_dir(uint32_t cpu, uint32_t i);
/* Acknowledge and end all that comes, of all vCPUs; returns how many. */
uint32_t both_drain(void);

/* Settle, and compare all that can be seen; fails the test where they differ. */
void both_check(void);

#endif
