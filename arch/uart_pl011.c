/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

/* Word offsets, DDI 0183 3.2. */
enum {
	DR = 0x00 / 4,
	FR = 0x18 / 4,
	LCR_H = 0x2c / 4,
	CR = 0x30 / 4,
	IFLS = 0x34 / 4,
	IMSC = 0x38 / 4,
	ICR = 0x44 / 4
};

#define FR_BUSY      BIT(3)
#define FR_RXFE      BIT(4)
#define FR_TXFF      BIT(5)
#define LCR_H_FEN    BIT(4)
#define LCR_H_WLEN_8 (3u << 5)
#define CR_UARTEN    BIT(0)
#define CR_TXE       BIT(8)
#define CR_RXE       BIT(9)
#define INT_RX       BIT(4)
#define INT_TX       BIT(5)
#define INT_RT       BIT(6)
#define INT_ALL      0x7ffu

#define PRIME      8u       /* bytes, more than the transmit trigger level */
#define BUSY_SPINS 1000000u /* a full FIFO at 9600 baud takes 33 ms */

void uart_pl011_init(volatile uint32_t *base)
{
	uint32_t cr = base[CR];

	/* What the firmware said last goes out before LCR_H changes (3.3.8). Bound: BUSY_SPINS. */
	for (uint32_t i = 0; i < BUSY_SPINS && (base[FR] & FR_BUSY) != 0; i++) {
	}
	base[CR] = cr & ~CR_UARTEN;
	base[IMSC] = 0;
	base[ICR] = INT_ALL;
	base[LCR_H] = LCR_H_WLEN_8 | LCR_H_FEN;
	base[IFLS] = 0; /* both interrupts at 1/8 of the FIFO */
	base[CR] = cr | CR_UARTEN | CR_TXE | CR_RXE;
	base[IMSC] = INT_RX | INT_RT;
	/*
	 * The transmit interrupt of notify rises when the FIFO drains through its
	 * level: it has to have been above it once. A terminal takes no notice.
	 */
	for (uint32_t i = 0; i < PRIME; i++) {
		base[DR] = '\r';
	}
}

bool uart_pl011_put(volatile uint32_t *base, uint8_t c)
{
	if ((base[FR] & FR_TXFF) != 0) {
		return false;
	}
	base[DR] = c;
	return true;
}

/* The receive interrupts end with the last byte; that of notify is masked (3.3.10). */
int uart_pl011_get(volatile uint32_t *base)
{
	if ((base[FR] & FR_RXFE) != 0) {
		base[IMSC] = INT_RX | INT_RT;
		return -1;
	}
	return (int)(base[DR] & 0xff);
}

/*
 * The raw status rises when the FIFO drains through its trigger level, and stays
 * (2.7.2): unmasking is enough, also when that has happened meanwhile.
 */
void uart_pl011_notify(volatile uint32_t *base)
{
	base[IMSC] = INT_RX | INT_RT | INT_TX;
}
