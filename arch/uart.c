/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

#include "arch.h"
#include "gic.h"

static uint32_t type = KZ_UART_NONE; /* enum kz_uart */
static volatile uint32_t *base;
static uint32_t quiet; /* INTID that is off, or 0; console core only */

void uart_init(const struct kz_cfg_machine *m)
{
	type = m->uart;
	if (type == KZ_UART_NONE) {
		return;
	}
	base = arch_ptr(pa(m->uart_pa));
	if (type == KZ_UART_PL011) {
		uart_pl011_init(base);
	} else {
		uart_cadence_init(base);
	}
}

bool arch_uart_put(uint8_t c)
{
	if (type == KZ_UART_PL011) {
		return uart_pl011_put(base, c);
	}
	return type == KZ_UART_NONE || uart_cadence_put(base, c);
}

void uart_quiet(uint32_t intid)
{
	quiet = intid;
	gic_enable(0, intid, false);
}

int arch_uart_get(void)
{
	if (quiet != 0) {
		gic_enable(0, quiet, true);
		quiet = 0;
	}
	if (type == KZ_UART_PL011) {
		return uart_pl011_get(base);
	}
	return type == KZ_UART_NONE ? -1 : uart_cadence_get(base);
}

void arch_uart_notify(void)
{
	if (type == KZ_UART_PL011) {
		uart_pl011_notify(base);
	} else if (type == KZ_UART_CADENCE) {
		uart_cadence_notify(base);
	}
}
