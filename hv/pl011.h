/* SPDX-License-Identifier: Apache-2.0 */
/* The PL011 that a guest sees (Arm DDI 0183). Its other side is console.h. */
#ifndef HV_PL011_H
#define HV_PL011_H

#include "exit.h"
#include "spinlock.h"
#include "types.h"

struct vm;
struct vcpu;

#define PL011_FIFO 16u   /* bytes of the receive FIFO that the guest sees */
#define PL011_RX   2048u /* bytes that wait behind it: pasted text outruns a guest */
#define PL011_REGS 11u   /* registers from offset 0x20 to 0x48 */

struct pl011 {
	struct spinlock lock; /* all below; taken before the lock of the interrupt model */
	uint16_t rx_head GUARDED_BY(uart_class);
	uint16_t rx_count GUARDED_BY(uart_class);
	bool line GUARDED_BY(uart_class); /* interrupt line, as last driven */
	uint16_t reg[PL011_REGS] GUARDED_BY(uart_class);
};

static inline void pl011_lock(struct pl011 *u) ACQUIRE(uart_class) UNGUARDED
{
	spin_lock(&u->lock);
}

static inline void pl011_unlock(struct pl011 *u) RELEASE(uart_class) UNGUARDED
{
	spin_unlock(&u->lock);
}

/* As after reset, input dropped, line low. Any core; the VM does not run. */
void pl011_reset(struct vm *vm);

/*
 * mmio emulator: a->addr is the offset in the 4 KiB frame. UNKNOWN for what is
 * not an aligned access of 8, 16 or 32 bits; reserved registers read as zero.
 * Pumps the console: no lock held.
 */
enum verdict pl011_access(struct vcpu *v, struct access *a) NO_LOCK;

/* A byte typed for this VM; false when there is no room. Console core. */
MUST_USE bool pl011_input(struct vm *vm, uint8_t c) NO_LOCK;

/* The console has room again after it was full. Any core. */
void pl011_room(struct vm *vm) NO_LOCK;

#endif
