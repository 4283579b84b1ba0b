/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC that a guest sees: distributor and redistributors of version 2 or 3,
 * whichever the machine has. The virtual CPU interface is the hardware's; its
 * list registers are a cache of what is pending here.
 *
 * Rule of the cache: of all that could be delivered to a vCPU, the interrupt of
 * the highest priority is in a list register. What does not fit waits here, and
 * the hardware tells us (NPIE) when no list register is pending any more.
 */
#ifndef VGIC_H
#define VGIC_H

#include <kizami/blob.h>
#include "exit.h"
#include "spinlock.h"
#include "types.h"

#define VGIC_BANKS	32u		/* of 32 INTIDs; bank 0 is private to each vCPU */
#define VGIC_LRS	4u		/* GIC_LRS_MAX */
#define VGIC_NOBODY	0xffu		/* no vCPU is the target */

struct vm;
struct vcpu;

/* 32 INTIDs, one bit each. */
struct vgic_bank {
	_Alignas(8) uint32_t enabled;	/* as the guest set it; aligned: cleared by words */
	uint32_t hw;		/* has a physical twin of the same number */
	uint32_t group1;
	uint32_t live;		/* enabled, and its group is enabled in GICD_CTLR */
	uint32_t active;	/* active, and not in a list register */
	uint32_t inlr;		/* in a list register of the vCPU that it went to */
	uint32_t held;		/* the twin is active: acknowledged by us, not ended by the guest */
	uint32_t latch;		/* pending by an edge, by software, or by held */
	uint32_t edge;		/* configuration: else level-sensitive */
	uint32_t line;		/* level of an emulated device's line */
	/* Orders to the vCPU in whose list register it is. */
	uint32_t drop_pending, drop_active, make_active;
	/* What other vCPUs know of inlr: answered, the answer: active, else pending; asked. */
	uint32_t fresh, snap, asked;
	uint8_t prio[32];
	uint8_t lr[32];		/* for inlr: which list register; for active: vCPU that ends it */
	uint8_t cpu[32];	/* target vCPU; of a private one: its own */
	uint32_t route[32];	/* SPI: GICD_ITARGETSR byte, or GICD_IROUTER's Aff2..0 and IRM */
};

/* Of one vCPU. All but hcr is under vgic.lock. */
struct vgic_cpu {
	/*
	 * What list register again_lr gets when the virtual timer fires again; 0: that has to be
	 * looked at. Its core sets it, vgic_forget_again clears it, both under vgic.lock; its core
	 * reads it without. While it is set vgic_quick_again would write the same.
	 */
	uint64_t again;
	uint32_t again_lr, again_bit;	/* again_bit: of its INTID */
	union {				/* MISRA D5 */
		struct {
			uint32_t hcr;		/* GIC_HCR_ bits in force */
			/* list registers that hold something, as far as we know */
			uint32_t lr_used;
		};
		uint64_t in_use;	/* GIC_HCR_EN: none is, and nothing waits */
	};
	union {				/* MISRA D5 */
		struct {
			/* its private twins that fire if their line is high: enabled & hw */
			uint32_t twins_on;
			/*
			 * 0: list registers are empty, and vmcr is all that counts
			 * (vgic_switch.h); so while the vCPU is loaded.
			 */
			uint32_t not_plain;
		};
		uint64_t away;		/* equal, of two that are plain: the core's stay */
	};
	uint64_t vmcr;		/* the core's registers have it while the vCPU is loaded */
	uint32_t lr_eoi;	/* of these: its EOI wants us */
	uint32_t lr_hw;		/* of these: with the HW bit */
	/* of these: pending for a line that is high, and nothing else */
	uint32_t lr_level GUARDED_BY(irq_class);
	bool due;		/* more changed than an SGI that was latched */
	uint16_t lr_intid[VGIC_LRS] GUARDED_BY(irq_class);
	uint8_t lr_source[VGIC_LRS] GUARDED_BY(irq_class);	/* GICv2 SGI */
	/* GICv2: who has an SGI pending here, a bit each */
	uint8_t sgi_source[16] GUARDED_BY(irq_class);
	struct vgic_bank bank;	/* INTIDs 0..31 */
	/* Each, as its interrupt is pending in it, without a source; private ones' are kept up. */
	uint64_t lr_word[VGIC_LRS];
	/* What the core's registers have while the vCPU is loaded. */
	uint64_t lr[VGIC_LRS];	/* of lr_used */
	uint64_t apr[2], hcr_now;
	uint32_t away_empty;	/* list registers that were empty */
	uint64_t ppis;		/* the physical frame that has the bits of its private twins */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "twins_on: the low half of away");

struct vgic {
	struct spinlock lock;
	uint32_t ctlr GUARDED_BY(irq_class);		/* EnableGrp0, EnableGrp1 */
	uint32_t vcpus;		/* a bit for each vCPU that the VM has */
	uint32_t cores;		/* GICv2: its cores, as GICD_ITARGETSR names them */
	uint32_t typer;		/* GICD_TYPER */
	struct vcpu *peer[KZ_VCPUS_MAX];	/* the VM's vCPUs: quicker than an index */
};

/* The SPIs of a VM, which are large: what lies behind them takes more instructions to reach. */
struct arch_lines {
	struct vgic_bank spi[VGIC_BANKS - 1];
};

static inline void vgic_lock(struct vgic *vgic) ACQUIRE(irq_class) UNGUARDED
{
	spin_lock(&vgic->lock);
}

static inline void vgic_unlock(struct vgic *vgic) RELEASE(irq_class) UNGUARDED
{
	spin_unlock(&vgic->lock);
}

/* The same where instructions are counted. */
static ALWAYS_INLINE uint16_t vgic_lock_inline(struct vgic *vgic) ACQUIRE(irq_class) UNGUARDED
{
	return spin_lock_inline(&vgic->lock);
}

static ALWAYS_INLINE void vgic_unlock_inline(struct vgic *vgic, uint16_t ticket)
	RELEASE(irq_class) UNGUARDED
{
	spin_unlock_inline(&vgic->lock, ticket);
}

/* A frame of the GIC in a VM's address space. */
struct vgic_frame {
	uint64_t base, size;
};

/* Which physical interrupts are the VM's. Boot core, once. */
void vgic_init(struct vm *vm);
/* As after reset; every vCPU is parked. Any core. */
void vgic_reset(struct vm *vm);
/* List registers and virtual CPU interface as after reset. Own core. */
void vgic_reset_cpu(struct vcpu *v);

/* The vCPU is off: what its list registers hold goes back. Own core. */
void vgic_park(struct vcpu *v);
/* Could an interrupt be taken now, if the guest lets it? Own core. */
bool vgic_is_pending(struct vcpu *v);

/* As the guest sees it in MPIDR_EL1: by vCPU; HRT guests see their cores. */
uint64_t vgic_affinity(const struct vcpu *v);
/* The vCPU of that affinity, or NULL. */
struct vcpu *vgic_vcpu_of(struct vm *vm, uint64_t affinity);
/* Has this INTID of v's, any number, a physical twin? */
bool vgic_has_twin(struct vcpu *v, uint32_t intid);
/*
 * The physical twin of `intid` fired here and its priority is dropped. While v is off, or
 * not loaded here, it waits for v, or goes to another target. v's own core; an SPI: any.
 */
void vgic_hw_irq(struct vcpu *v, uint32_t intid);
/* Bring the list registers up to date: maintenance, and before the first entry. Own core. */
void vgic_sync(struct vcpu *v);
/* HAZARD_IRQ: as vgic_sync, or less if only SGIs came. Own core. */
void vgic_attend(struct vcpu *v);
/* A line of an emulated device; a private one is v's. Any core. */
void vgic_line(struct vcpu *v, uint32_t intid, bool high);
/* Raise an SGI on the vCPUs in `targets`, a bit each. Own core of v, the sender. */
void vgic_sgi(struct vcpu *v, uint32_t intid, uint32_t targets, bool group1);

/*
 * Emulators of the frames; a->addr is the offset. The redistributor frames of
 * all vCPUs lie one behind the other. HRT VMs configure the physical distributor
 * through theirs, as far as it is theirs.
 */
enum verdict vgic_gicd(struct vcpu *v, struct access *a);
enum verdict vgic_gicr(struct vcpu *v, struct access *a);
/* The second page of an HRT guest's GICv2 CPU interface, which has GICC_DIR alone. */
enum verdict vgic_hrt_dir(struct vcpu *v, struct access *a);

/* ICC_SGI1R_EL1, ICC_ASGI1R_EL1 (group1) or ICC_SGI0R_EL1 was written. Own core. */
void vgic_sgi_register(struct vcpu *v, uint64_t value, bool group1);

/* ---- On a core that several share ---- */

/* v's interface and private twins go to memory, and come back. Own core. */
void vgic_save(struct vcpu *v);
void vgic_load(struct vcpu *v);
/* As vgic_is_pending, in the cheapest way that will do. Own core. */
bool vgic_has_work(struct vcpu *v);
/* The physical SPI is the VM's. Boot core, once. */
void vgic_own(const struct vm *vm, uint32_t intid);
/* All its interrupts are nobody's again, and off. */
void vgic_disown(struct vm *vm);
/* Who shall have a physical SPI, or NULL: nobody. */
struct vcpu *vgic_target(uint32_t intid);
/* The physical SPIs of which v is the target: off, or as the guest has them. Own core. */
void vgic_mask(struct vcpu *v, bool masked);

/* ---- Between the parts of the model; vgic.lock is held where it says so ---- */

/* After enabled, group1 or ctlr changed. */
void vgic_live_locked(struct vm *vm, struct vgic_bank *b) REQUIRES(irq_class);
/* The vCPUs of mask shall look: that of this core does so now, others are asked to. */
void vgic_notify_locked(struct vm *vm, uint32_t mask) REQUIRES(irq_class);
/* The bank's interrupts in v's list registers, in a LR_ state of `state`; 0: in any. Own core. */
uint32_t vgic_in_lr_locked(struct vcpu *v, const struct vgic_bank *b, uint32_t state)
	REQUIRES(irq_class);
void vgic_sync_locked(struct vcpu *v) REQUIRES(irq_class);
/*
 * intid, whose target is v, became pending: into a list register if nothing else waits for
 * one, and there is one; else as vgic_sync_locked. Own core.
 */
void vgic_deliver_locked(struct vcpu *v, struct vgic_bank *b, uint32_t intid) REQUIRES(irq_class);
/* The core of t, another vCPU, shall look; one that is off does so when it starts. */
void vgic_ask_locked(struct vcpu *t) REQUIRES(irq_class);
/* The priority or group of v's private intid changed. Any core. */
void vgic_word_locked(struct vcpu *v, uint32_t intid) REQUIRES(irq_class);
/* The twin fired again: the guest has ended it, in whichever list register with HW it was. */
void vgic_forget_locked(struct vcpu *v, const struct vgic_bank *b, uint32_t intid)
	REQUIRES(irq_class);

/*
 * What an HRT guest's access reaches of the hardware's registers of `owner`: the word at
 * `offset` that begins with intid; a byte of IPRIORITYR or ITARGETSR, returned; IROUTER.
 */
void vgic_hrt_word(const struct vcpu *owner, uint32_t offset, uint32_t intid, struct access *a);
uint32_t vgic_hrt_byte(const struct vcpu *owner, uint32_t offset, bool write, uint32_t value);
void vgic_hrt_router(struct vcpu *v, uint32_t offset, struct access *a);

#endif
