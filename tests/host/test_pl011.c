/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/pl011.c hv/mmio.c hv/wdt.c hv/trace.c tests/host/arch_host.c */
/*
 * The PL011 model against a naive one, over random accesses, input and a console
 * that fills and drains; what Linux's driver relies on; the frames of a VM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch.h"
#include "console.h"
#include "health.h"

#define INTID    33u
#define SINK_MAX 64u

/* ---- A console that is a box of SINK_MAX bytes ---- */

static struct {
	uint32_t used;
	bool waiting;
	uint32_t pumps;
	uint8_t last;
	uint32_t lost;
} sink;

bool console_has_room(uint32_t channel, uint32_t bytes)
{
	assert_int_equal(channel, 2);
	if (sink.used + bytes <= SINK_MAX) {
		return true;
	}
	sink.waiting = true;
	return false;
}

void console_write(uint32_t channel, const char *bytes, uint32_t len)
{
	assert_int_equal(channel, 2);
	assert_int_equal(len, 1);
	sink.last = (uint8_t)bytes[0];
	if (sink.used == SINK_MAX) {
		sink.lost++;
	} else {
		sink.used++;
	}
}

void console_pump(uint32_t channel)
{
	assert_int_equal(channel, 2);
	assert_int_equal(machine.vm[2].uart.lock.word & 0xffff, machine.vm[2].uart.lock.word >> 16);
	sink.pumps++;
}

/* ---- And a core that looks at watchdogs ---- */

static uint64_t watched = NEVER;

void health_set(struct vm *vm, uint64_t at)
{
	assert_ptr_equal(vm, &machine.vm[2]);
	watched = at;
}

static void sink_drain(uint32_t n)
{
	sink.used -= n < sink.used ? n : sink.used;
	if (sink.waiting && sink.used <= SINK_MAX / 2) {
		sink.waiting = false;
		pl011_room(&machine.vm[2]);
	}
}

/* ---- The VM ---- */

static struct kz_cfg cfg;
static struct kz_cfg_vm cfg_vm2;

static int setup(void **state)
{
	(void)state;
	host_reset();
	memset(&sink, 0, sizeof(sink));
	memset(&cfg_vm2, 0, sizeof(cfg_vm2));
	machine.cfg = &cfg;
	machine.vm_count = 3;
	cfg_vm2.vcpu_count = 2;
	cfg_vm2.console = KZ_CONSOLE_PL011;
	cfg_vm2.console_intid = INTID;
	cfg_vm2.console_ipa = 0x9000000;
	machine.vm[2].id = 2;
	machine.vm[2].cfg = &cfg_vm2;
	machine.vm[2].vcpu[0].vm = &machine.vm[2];
	pl011_reset(&machine.vm[2]);
	return 0;
}

static enum verdict access_any(bool write, uint64_t offset, uint8_t size, uint64_t *value)
{
	struct access a = { .addr = offset, .value = *value, .size = size, .write = write };
	enum verdict verdict = pl011_access(&machine.vm[2].vcpu[0], &a);

	assert_int_equal(a.addr, offset);
	*value = a.value;
	return verdict;
}

static uint32_t reg_in(uint32_t offset)
{
	uint64_t v = 0xdeadbeef;

	assert_int_equal(access_any(false, offset, 4, &v), DONE);
	return (uint32_t)v;
}

static void reg_out(uint32_t offset, uint32_t value)
{
	uint64_t v = value;

	assert_int_equal(access_any(true, offset, 4, &v), DONE);
}

static bool line(void)
{
	return (machine.vm[2].arch.line[INTID / 64] >> INTID % 64 & 1) != 0;
}

/* ---- The naive model: DDI 0183, with the reading order of a data sheet ---- */

static struct {
	uint8_t rx[PL011_RX];
	uint32_t count;
	bool tx;        /* transmit interrupt */
	uint32_t other; /* raw interrupts that nothing sets */
	uint32_t ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, dmacr;
} m;

static uint32_t model_ris(void)
{
	uint32_t ris = m.tx ? 0x20 : 0;
	uint32_t level = 1;

	if ((m.lcr_h & 0x10) != 0) {
		switch (m.ifls >> 3 & 7) {
		case 0:
			level = 16 / 8;
			break;
		case 1:
			level = 16 / 4;
			break;
		case 2:
			level = 16 / 2;
			break;
		case 3:
			level = 16 * 3 / 4;
			break;
		default:
			level = 16 * 7 / 8;
			break;
		}
	}
	ris |= m.count >= level ? 0x10 : 0;
	return ris | (m.count > 0 ? 0x40 : 0);
}

static uint32_t model_read(uint32_t offset)
{
	uint32_t depth = (m.lcr_h & 0x10) != 0 ? 16 : 1;
	uint32_t v = 0;

	switch (offset) {
	case 0x00:
		if (m.count > 0) {
			v = m.rx[0];
			m.count--;
			memmove(m.rx, m.rx + 1, m.count);
		}
		return v;
	case 0x18:
		return 0x07u | (m.count == 0 ? 0x10u : 0) | (m.count >= depth ? 0x40u : 0) |
		       (sink.used == SINK_MAX ? 0x20u : 0x80u);
	case 0x20:
		return m.ilpr;
	case 0x24:
		return m.ibrd;
	case 0x28:
		return m.fbrd;
	case 0x2c:
		return m.lcr_h;
	case 0x30:
		return m.cr;
	case 0x34:
		return m.ifls;
	case 0x38:
		return m.imsc;
	case 0x3c:
		return model_ris();
	case 0x40:
		return model_ris() & m.imsc;
	case 0x48:
		return m.dmacr;
	default:
		break;
	}
	if (offset >= 0xfe0 && offset <= 0xffc) {
		return (uint32_t)(0xb105f00d00141011ull >> (offset - 0xfe0) / 4 * 8) & 0xff;
	}
	return 0;
}

static void model_write(uint32_t offset, uint32_t v)
{
	switch (offset) {
	case 0x00:
		if ((m.cr & 0x80) != 0) {
			if (m.count < PL011_RX) {
				m.rx[m.count++] = (uint8_t)v;
			}
			m.tx = true;
		} else {
			m.tx = sink.used + 16 <= SINK_MAX;
		}
		break;
	case 0x20:
		m.ilpr = v & 0xff;
		break;
	case 0x24:
		m.ibrd = v & 0xffff;
		break;
	case 0x28:
		m.fbrd = v & 0x3f;
		break;
	case 0x2c:
		if (((m.lcr_h ^ v) & 0x10) != 0) {
			m.count = 0;
		}
		m.lcr_h = v & 0xff;
		break;
	case 0x30:
		m.cr = v & 0xff87;
		break;
	case 0x34:
		m.ifls = v & 0x3f;
		break;
	case 0x38:
		m.imsc = v & 0x7ff;
		break;
	case 0x44:
		m.tx = m.tx && (v & 0x20) == 0;
		break;
	case 0x48:
		m.dmacr = v & 7;
		break;
	default:
		break;
	}
}

static void model_reset(void)
{
	memset(&m, 0, sizeof(m));
	m.cr = 0x300;
	m.ifls = 0x12;
}

static uint32_t random_offset(void)
{
	static const uint16_t busy[] = { 0x00, 0x00, 0x00, 0x18, 0x2c, 0x30,
					 0x34, 0x38, 0x3c, 0x40, 0x44 };

	return random() % 4 != 0 ? busy[(size_t)random() % ARRAY_SIZE(busy)]
				 : (uint32_t)random() % 0x400 * 4;
}

static void random_read(uint32_t offset, uint8_t size)
{
	uint32_t mask = size == 4 ? ~0u : (1u << 8 * size) - 1;
	uint32_t want = model_read(offset) & mask;
	uint64_t got = 0xfedcba9876543210u;

	assert_int_equal(access_any(false, offset, size, &got), DONE);
	if (got != want) {
		fail_msg("offset 0x%x: 0x%lx, not 0x%x", offset, (unsigned long)got, want);
	}
}

static void random_write(uint32_t offset, uint8_t size)
{
	uint32_t mask = size == 4 ? ~0u : (1u << 8 * size) - 1;
	uint64_t value = (uint64_t)random();
	uint32_t done = sink.pumps;

	assert_int_equal(access_any(true, offset, size, &value), DONE);
	assert_int_equal(sink.pumps, done + (offset == 0 && (m.cr & 0x80) == 0));
	if (offset == 0 && (m.cr & 0x80) == 0) {
		assert_int_equal(sink.last, value & 0xff);
	}
	model_write(offset, (uint32_t)value & mask);
}

static void test_random(void **state)
{
	static const uint8_t sizes[] = { 1, 2, 4 };
	uint32_t highs = 0, fulls = 0;

	(void)state;
	model_reset();
	for (uint32_t i = 0; i < 1000000; i++) {
		uint8_t size = sizes[random() % 3];
		uint32_t kind = (uint32_t)random() % 16;
		bool waits = sink.waiting;

		if (kind < 6) {
			random_read(random_offset(), size);
		} else if (kind < 12) {
			random_write(random_offset(), size);
		} else if (kind < 14) {
			uint8_t c = (uint8_t)random();

			assert_int_equal(pl011_input(&machine.vm[2], c), m.count < PL011_RX);
			if (m.count < PL011_RX) {
				m.rx[m.count++] = c;
			}
		} else if (i / 4096 % 2 != 0) {
			sink_drain((uint32_t)random() % 8);
			m.tx |= waits && !sink.waiting;
		}
		highs += line();
		fulls += sink.used == SINK_MAX;
		assert_int_equal(line(), (model_ris() & m.imsc) != 0);
		if (random() % 100000 == 0) {
			pl011_reset(&machine.vm[2]);
			model_reset();
			assert_false(line());
		}
	}
	/* The dice reached what they were to reach. */
	assert_true(highs > 10000 && fulls > 1000 && machine.vm[2].arch.edges > 10000);
}

/* Half a FIFO after each transmit interrupt, without a look at FR, loses nothing. */
static void test_linux_transmits(void **state)
{
	uint32_t left = 5000;

	(void)state;
	reg_out(0x30, 0x301);
	reg_out(0x2c, 0x70);
	while (left > 0 && (reg_in(0x18) & 0x20) == 0) {
		reg_out(0x00, 'x');
		left--;
	}
	reg_out(0x38, 0x20);
	while (left > 0) {
		for (uint32_t i = 0; i < 100 && !line(); i++) {
			sink_drain(1);
		}
		assert_true(line());
		reg_out(0x44, 0x20);
		for (uint32_t i = 0; i < 8 && left > 0; i++, left--) {
			reg_out(0x00, 'x');
		}
	}
	assert_int_equal(sink.lost, 0);
}

/* One byte interrupts at once, and does so again until it is read. */
static void test_one_byte_interrupts(void **state)
{
	(void)state;
	reg_out(0x2c, 0x70);
	reg_out(0x38, 0x50);
	assert_false(line());
	assert_true(pl011_input(&machine.vm[2], 'a'));
	assert_true(line());
	assert_int_equal(reg_in(0x40), 0x40);
	reg_out(0x44, 0x7ff);
	assert_true(line());
	assert_int_equal(reg_in(0x00), 'a');
	assert_false(line());
	assert_int_equal(reg_in(0x18) & 0x10, 0x10);
}

static void test_bad_accesses(void **state)
{
	uint64_t v = 0;

	(void)state;
	for (uint32_t offset = 0; offset < 0x1000; offset++) {
		for (uint8_t size = 0; size <= 8; size = (uint8_t)(size == 0 ? 1 : 2 * size)) {
			bool good = offset % 4 == 0 && size >= 1 && size <= 4;
			enum verdict verdict = access_any(false, offset, size, &v);

			assert_int_equal(verdict, good ? DONE : UNKNOWN);
		}
	}
	v = 'x';
	assert_int_equal(access_any(true, 0, 8, &v), UNKNOWN);
	assert_int_equal(access_any(true, 2, 2, &v), UNKNOWN);
	assert_int_equal(sink.used, 0);
}

/* A console without an interrupt never drives a line. */
static void test_no_interrupt(void **state)
{
	(void)state;
	cfg_vm2.console_intid = 0;
	reg_out(0x38, 0x7ff);
	reg_out(0x00, 'x');
	assert_true(pl011_input(&machine.vm[2], 'a'));
	assert_int_equal(reg_in(0x40), 0x70);
	assert_int_equal(machine.vm[2].arch.edges, 0);
}

static enum verdict at_ipa(uint64_t ipa_v, uint64_t *value)
{
	struct access a = { .addr = ipa_v, .size = 4 };
	enum verdict verdict = mmio_access(&machine.vm[2].vcpu[0], &a);

	assert_int_equal(a.addr, ipa_v);
	*value = a.value;
	return verdict;
}

static void test_frames(void **state)
{
	static const struct {
		uint64_t at;
		enum verdict verdict;
		uint32_t value;
	} rows[] = {
		{ 0x9000fe0, DONE, 0x11 }, { 0x9000ffc, DONE, 0xb1 },
		{ 0x9001000, UNKNOWN, 0 }, { 0x8fffffc, UNKNOWN, 0 },
		{ 0, UNKNOWN, 0 },         { UINT64_MAX - 3, UNKNOWN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value;

		assert_int_equal(at_ipa(rows[i].at, &value), rows[i].verdict);
		assert_int_equal(value, rows[i].value);
	}
	cfg_vm2.console = KZ_CONSOLE_RING;
	assert_int_equal(at_ipa(0x9000fe0, &(uint64_t){ 0 }), UNKNOWN);
}

/* The watchdog's two frames, and nothing beside them. */
static void test_watchdog_frames(void **state)
{
	static const uint64_t at = 0x2a440000;
	struct access a = { .addr = at, .size = 4, .write = true, .value = 1 };
	uint64_t value, ticks = arch_ticks();

	(void)state;
	assert_int_equal(at_ipa(at + 0xfcc, &value), UNKNOWN);
	cfg_vm2.wdt_ipa = at;
	cfg_vm2.wdt_intid = 34;
	assert_int_equal(at_ipa(at + 0xfcc, &value), DONE);
	assert_int_equal(value, 1u << 16);
	assert_int_equal(at_ipa(at + 0x1fcc, &value), DONE);
	assert_int_equal(value, 1u << 16);
	assert_int_equal(at_ipa(at - 4, &value), UNKNOWN);
	assert_int_equal(at_ipa(at + 0x2000, &value), UNKNOWN);
	assert_int_equal(mmio_access(&machine.vm[2].vcpu[0], &a), DONE);
	assert_int_equal(a.addr, at);
	assert_in_range(watched, ticks, arch_ticks());
	assert_int_equal(at_ipa(at, &value), DONE);
	assert_int_equal(value, 1);
	cfg_vm2.wdt_ipa = 0;
	assert_int_equal(at_ipa(at, &value), UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_linux_transmits, setup),
		cmocka_unit_test_setup(test_one_byte_interrupts, setup),
		cmocka_unit_test_setup(test_bad_accesses, setup),
		cmocka_unit_test_setup(test_no_interrupt, setup),
		cmocka_unit_test_setup(test_frames, setup),
		cmocka_unit_test_setup(test_watchdog_frames, setup),
	};

	return cmocka_run_group_tests_name("pl011", tests, NULL, NULL);
}
