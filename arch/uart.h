/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical console: two drivers of four functions each, and the choice
 * between them behind arch_uart_put, _get and _notify. The baud rate stays what
 * the firmware made it. `base` is the device's frame, mapped as device memory.
 *
 * put     false when the FIFO is full
 * get     -1 when the FIFO is empty; its interrupt, and that of notify, end then
 * notify  interrupt when the FIFO takes more
 */
#ifndef ARCH_UART_H
#define ARCH_UART_H

#include "types.h"

struct kz_cfg_machine;

/* Choose and set up the UART; nothing is put or got before it. Boot core, once. */
void uart_init(const struct kz_cfg_machine *m);

/*
 * Its interrupt, which has come, is off until arch_uart_get: it may be a while until somebody has
 * time for it. Console core.
 */
void uart_quiet(uint32_t intid);

/* Arm DDI 0183. */
void uart_pl011_init(volatile uint32_t *base);
MUST_USE bool uart_pl011_put(volatile uint32_t *base, uint8_t c);
int uart_pl011_get(volatile uint32_t *base);
void uart_pl011_notify(volatile uint32_t *base);

/* Xilinx UG1085 chapter 21, registers in UG1087. */
void uart_cadence_init(volatile uint32_t *base);
MUST_USE bool uart_cadence_put(volatile uint32_t *base, uint8_t c);
int uart_cadence_get(volatile uint32_t *base);
void uart_cadence_notify(volatile uint32_t *base);

#endif
