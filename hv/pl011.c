/* SPDX-License-Identifier: Apache-2.0 */
#include "pl011.h"

#include "arch.h"
#include "console.h"

/* Offsets, DDI 0183 3.2. */
#define DR    0x000u
#define FR    0x018u
#define TABLE 0x020u /* here begin the registers of the table below */
#define LCR_H 0x02cu
#define CR    0x030u
#define IFLS  0x034u
#define IMSC  0x038u
#define RIS   0x03cu
#define MIS   0x040u
#define ICR   0x044u
#define ID    0xfe0u

#define FR_CTS    BIT(0)
#define FR_DSR    BIT(1)
#define FR_DCD    BIT(2)
#define FR_RXFE   BIT(4)
#define FR_TXFF   BIT(5)
#define FR_RXFF   BIT(6)
#define FR_TXFE   BIT(7)
#define LCR_H_FEN BIT(4)
#define CR_LBE    BIT(7)
#define INT_RX    BIT(4)
#define INT_TX    BIT(5)
#define INT_RT    BIT(6)

#define REG(u, offset) ((u)->reg[((offset)-TABLE) / 4])

/* Bits that are what was written last. The others of RIS and MIS are kept by irq_update_unlock. */
static const uint16_t writable[PL011_REGS] = {
	0x00ff, 0xffff, 0x003f, 0x00ff, /* ILPR, IBRD, FBRD, LCR_H */
	0xff87, 0x003f, 0x07ff, 0x0000, /* CR, IFLS, IMSC, RIS */
	0x0000, 0x0000, 0x0007,         /* MIS, ICR, DMACR */
};

static const uint8_t ids[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static uint8_t rx[KZ_VMS_MAX][PL011_RX] GUARDED_BY(uart_class); /* typed, not read */

/* ---- All with u->lock held ---- */

static uint32_t fifo_depth(const struct pl011 *u) REQUIRES(uart_class)
{
	return (REG(u, LCR_H) & LCR_H_FEN) != 0 ? PL011_FIFO : 1;
}

/* Bytes that raise the receive interrupt, IFLS.RXIFLSEL (DDI 0183 3.3.9). */
static uint32_t rx_trigger(const struct pl011 *u) REQUIRES(uart_class)
{
	static const uint8_t level[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };

	return fifo_depth(u) == 1 ? 1 : level[REG(u, IFLS) >> 3 & 7];
}

/*
 * After anything changed: bring the interrupt up to date. The receive interrupts
 * follow the FIFO, and ICR does not clear them while bytes wait: the timeout of
 * 32 bit times is over at once.
 */
static NOINLINE void irq_update_unlock(struct vm *vm) RELEASE(uart_class)
{
	struct pl011 *u = &vm->uart;
	uint32_t ris = REG(u, RIS) & ~(INT_RX | INT_RT);
	bool line;

	if (u->rx_count != 0) {
		ris |= u->rx_count >= rx_trigger(u) ? INT_RX | INT_RT : INT_RT;
	}
	REG(u, RIS) = (uint16_t)ris;
	REG(u, MIS) = (uint16_t)(ris & REG(u, IMSC));
	line = REG(u, MIS) != 0;
	if (u->line != line) {
		u->line = line;
		if (vm->cfg->console_intid != 0) {
			arch_irq_line(&vm->vcpu[0], vm->cfg->console_intid, line);
		}
	}
	pl011_unlock(u);
}

static bool rx_push(struct vm *vm, uint8_t c) REQUIRES(uart_class)
{
	struct pl011 *u = &vm->uart;

	if (u->rx_count == PL011_RX) {
		return false;
	}
	rx[vm->id][(u->rx_head + u->rx_count++) % PL011_RX] = c;
	return true;
}

static uint32_t rx_pop(struct vm *vm) REQUIRES(uart_class)
{
	struct pl011 *u = &vm->uart;
	uint32_t c = rx[vm->id][u->rx_head];

	if (u->rx_count == 0) {
		return 0;
	}
	u->rx_head = (uint16_t)((u->rx_head + 1u) % PL011_RX);
	u->rx_count--;
	return c;
}

static uint32_t fr_read(const struct vm *vm) REQUIRES(uart_class)
{
	const struct pl011 *u = &vm->uart;
	uint32_t fr = FR_CTS | FR_DSR | FR_DCD;

	if (u->rx_count == 0) {
		fr |= FR_RXFE;
	} else if (u->rx_count >= fifo_depth(u)) {
		fr |= FR_RXFF;
	}
	return fr | (console_has_room(vm->id, 1) ? FR_TXFE : FR_TXFF);
}

static uint32_t reg_read(struct vm *vm, uint32_t offset) REQUIRES(uart_class)
{
	if (offset == DR) {
		return rx_pop(vm);
	}
	if (offset == FR) {
		return fr_read(vm);
	}
	if (offset >= ID) {
		return ids[(offset - ID) / 4];
	}
	return offset - TABLE < PL011_REGS * 4 ? REG(&vm->uart, offset) : 0;
}

/*
 * The transmit interrupt promises a whole FIFO: drivers send half of it without
 * another look at FR. True when the console has to be pumped.
 */
static bool dr_write(struct vm *vm, uint32_t value) REQUIRES(uart_class)
{
	struct pl011 *u = &vm->uart;
	bool loop = (REG(u, CR) & CR_LBE) != 0;
	char c = (char)value;

	if (loop) {
		(void)rx_push(vm, (uint8_t)value);
	} else {
		console_write(vm->id, &c, 1);
	}
	REG(u, RIS) &= (uint16_t)~INT_TX;
	if (loop || console_has_room(vm->id, PL011_FIFO)) {
		REG(u, RIS) |= INT_TX;
	}
	return !loop;
}

static void reg_write(struct pl011 *u, uint32_t offset, uint32_t value) REQUIRES(uart_class)
{
	uint32_t i = (offset - TABLE) / 4;
	uint32_t flips;

	if (offset == ICR) {
		REG(u, RIS) &= (uint16_t)~value;
	} else if (offset - TABLE < PL011_REGS * 4) {
		flips = (u->reg[i] ^ value) & writable[i];
		u->reg[i] ^= (uint16_t)flips;
		if (offset == LCR_H && (flips & LCR_H_FEN) != 0) {
			u->rx_count = 0;
		}
	}
}

/* ---- Public ---- */

/* Bound: PL011_REGS. */
void pl011_reset(struct vm *vm)
{
	struct pl011 *u = &vm->uart;

	pl011_lock(u);
	for (uint32_t i = 0; i < PL011_REGS; i++) {
		u->reg[i] = 0;
	}
	REG(u, CR) = 0x300;
	REG(u, IFLS) = 0x12;
	u->rx_count = 0;
	irq_update_unlock(vm);
}

enum verdict pl011_access(struct vcpu *v, struct access *a)
{
	struct vm *vm = v->vm;
	uint32_t offset = (uint32_t)a->addr;
	uint32_t mask = ~0u >> ((32 - 8 * a->size) & 31);
	bool pump = false;

	if (a->fetch || a->size - 1u > 3 || (offset & 3) != 0) {
		return UNKNOWN;
	}
	pl011_lock(&vm->uart);
	if (!a->write) {
		a->value = reg_read(vm, offset) & mask;
	} else if (offset == DR) {
		pump = dr_write(vm, (uint32_t)a->value);
	} else {
		reg_write(&vm->uart, offset, (uint32_t)a->value & mask);
	}
	irq_update_unlock(vm);
	if (pump) {
		console_pump(vm->id);
	}
	return DONE;
}

bool pl011_input(struct vm *vm, uint8_t c)
{
	bool taken;

	pl011_lock(&vm->uart);
	taken = rx_push(vm, c);
	irq_update_unlock(vm);
	return taken;
}

void pl011_room(struct vm *vm)
{
	pl011_lock(&vm->uart);
	REG(&vm->uart, RIS) |= INT_TX;
	irq_update_unlock(vm);
}
