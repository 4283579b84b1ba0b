/* SPDX-License-Identifier: Apache-2.0 */
/* link: arch/uart.c arch/uart_pl011.c arch/uart_cadence.c */
/*
 * The drivers of the physical UARTs on a frame that is plain memory: which
 * register gets which value, in each state that the device can show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "gic.h"
#include "uart.h"

#define UART_PA 0xff000000ull

static uint32_t frame[0x1000 / 4];
static uint32_t off; /* the INTID that gic_enable switched off */

void *arch_ptr(pa_t at)
{
	assert_int_equal(at.v, UART_PA);
	return frame;
}

void gic_enable(uint32_t cpu, uint32_t intid, bool on)
{
	assert_int_equal(cpu, 0);
	assert_int_equal(off, on ? intid : 0);
	off = on ? 0 : intid;
}

static void init(uint32_t type)
{
	struct kz_cfg_machine m = {.uart = type, .uart_pa = UART_PA};

	uart_init(&m);
}

static int setup(void **state)
{
	(void)state;
	memset(frame, 0, sizeof(frame));
	off = 0;
	return 0;
}

static uint32_t *reg(uint32_t offset)
{
	return &frame[offset / 4];
}

/* DDI 0183: the baud rate and what else the firmware chose stay, 8 bits, FIFOs, RX interrupts. */
static void test_pl011_init(void **state)
{
	(void)state;
	*reg(0x24) = 13;
	*reg(0x28) = 1;
	*reg(0x30) = 0xc00;
	init(KZ_UART_PL011);
	assert_int_equal(*reg(0x24), 13);
	assert_int_equal(*reg(0x28), 1);
	assert_int_equal(*reg(0x30), 0xc00 | 0x301);
	assert_int_equal(*reg(0x2c), 0x70);
	assert_int_equal(*reg(0x38), 0x50);
	assert_int_equal(*reg(0x44), 0x7ff);
}

/* Its interrupt is off until somebody looks for input, and is switched on once only. */
static void test_quiet(void **state)
{
	(void)state;
	init(KZ_UART_PL011);
	*reg(0x18) = 1u << 4;
	uart_quiet(33);
	assert_int_equal(off, 33);
	assert_int_equal(arch_uart_get(), -1);
	assert_int_equal(off, 0);
	assert_int_equal(arch_uart_get(), -1);
}

/* A transmitter that is busy for ever does not keep us. */
static void test_pl011_stuck(void **state)
{
	(void)state;
	*reg(0x18) = 0x08;
	init(KZ_UART_PL011);
	assert_int_equal(*reg(0x38), 0x50);
}

static void test_pl011_io(void **state)
{
	(void)state;
	init(KZ_UART_PL011);
	assert_true(arch_uart_put('a'));
	assert_int_equal(*reg(0x00), 'a');
	*reg(0x18) = 0x20;
	assert_false(arch_uart_put('b'));
	assert_int_equal(*reg(0x00), 'a');
	arch_uart_notify();
	assert_int_equal(*reg(0x38), 0x70);
	*reg(0x00) = 0xf00 | 'c';
	assert_int_equal(arch_uart_get(), 'c');
	assert_int_equal(*reg(0x38), 0x70);
	*reg(0x18) = 0x10;
	assert_int_equal(arch_uart_get(), -1);
	assert_int_equal(*reg(0x38), 0x50);
}

/* UG1087: everything masked and cleared, a byte is enough to interrupt, both directions on. */
static void test_cadence_init(void **state)
{
	(void)state;
	*reg(0x18) = 0x28b;
	init(KZ_UART_CADENCE);
	assert_int_equal(*reg(0x18), 0x28b);
	assert_int_equal(*reg(0x00), 0x14);
	assert_int_equal(*reg(0x0c), 0x3fff);
	assert_int_equal(*reg(0x14), 0x3fff);
	assert_int_equal(*reg(0x20), 1);
	assert_int_equal(*reg(0x08), 1);
}

static void test_cadence_io(void **state)
{
	(void)state;
	init(KZ_UART_CADENCE);
	assert_true(arch_uart_put('a'));
	assert_int_equal(*reg(0x30), 'a');
	*reg(0x2c) = 0x10;
	assert_false(arch_uart_put('b'));
	*reg(0x30) = 'c';
	*reg(0x14) = 0;
	*reg(0x0c) = 0;
	assert_int_equal(arch_uart_get(), 'c');
	assert_int_equal(*reg(0x14) | *reg(0x0c), 0);
	*reg(0x2c) = 0x02;
	assert_int_equal(arch_uart_get(), -1);
	assert_int_equal(*reg(0x14), 1);
	assert_int_equal(*reg(0x0c), 8);
}

/* Only a full FIFO lets an old "empty" be cleared: else the interrupt might never come. */
static void test_cadence_notify(void **state)
{
	(void)state;
	init(KZ_UART_CADENCE);
	*reg(0x14) = 0;
	arch_uart_notify();
	assert_int_equal(*reg(0x14), 0);
	assert_int_equal(*reg(0x08), 8);
	*reg(0x2c) = 0x10;
	arch_uart_notify();
	assert_int_equal(*reg(0x14), 8);
}

/* A machine without a console takes everything, and says nothing. */
static void test_none(void **state)
{
	static const uint32_t zeros[ARRAY_SIZE(frame)];

	(void)state;
	init(KZ_UART_NONE);
	assert_true(arch_uart_put('a'));
	assert_int_equal(arch_uart_get(), -1);
	arch_uart_notify();
	assert_memory_equal(frame, zeros, sizeof(frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pl011_init, setup),
		cmocka_unit_test_setup(test_quiet, setup),
		cmocka_unit_test_setup(test_pl011_stuck, setup),
		cmocka_unit_test_setup(test_pl011_io, setup),
		cmocka_unit_test_setup(test_cadence_init, setup),
		cmocka_unit_test_setup(test_cadence_io, setup),
		cmocka_unit_test_setup(test_cadence_notify, setup),
		cmocka_unit_test_setup(test_none, setup),
	};

	return cmocka_run_group_tests_name("uart", tests, NULL, NULL);
}
