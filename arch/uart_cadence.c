/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

/* Word offsets, UG1087 "UART Module". */
enum {
	CR = 0x00 / 4,
	IER = 0x08 / 4,
	IDR = 0x0c / 4,
	ISR = 0x14 / 4,
	RXWM = 0x20 / 4,
	SR = 0x2c / 4,
	FIFO = 0x30 / 4
};

#define CR_RX_EN BIT(2)
#define CR_TX_EN BIT(4)
/* Interrupts, and the same bits of SR. An ISR bit stays until 1 is written to it. */
#define RTRIG   BIT(0)
#define REMPTY  BIT(1)
#define TEMPTY  BIT(3)
#define TFUL    BIT(4)
#define INT_ALL 0x3fffu

void uart_cadence_init(volatile uint32_t *base)
{
	base[IDR] = INT_ALL;
	base[RXWM] = 1; /* RTRIG from the first byte */
	base[CR] = CR_RX_EN | CR_TX_EN;
	base[ISR] = INT_ALL;
	base[IER] = RTRIG;
}

bool uart_cadence_put(volatile uint32_t *base, uint8_t c)
{
	if ((base[SR] & TFUL) != 0) {
		return false;
	}
	base[FIFO] = c;
	return true;
}

int uart_cadence_get(volatile uint32_t *base)
{
	if ((base[SR] & REMPTY) != 0) {
		/* Clear first, look again: a byte that came between would not interrupt. */
		base[ISR] = RTRIG;
		base[IDR] = TEMPTY;
		if ((base[SR] & REMPTY) != 0) {
			return -1;
		}
	}
	return (int)(base[FIFO] & 0xff);
}

/*
 * A full FIFO empties later than the next instruction: an old TEMPTY may be
 * cleared. In any other state it stays, at the price of one early interrupt.
 */
void uart_cadence_notify(volatile uint32_t *base)
{
	if ((base[SR] & TFUL) != 0) {
		base[ISR] = TEMPTY;
	}
	base[IER] = TEMPTY;
}
