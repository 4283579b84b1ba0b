/* SPDX-License-Identifier: Apache-2.0 */
#include "console_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct bed bed;
struct terminal term;

/* ---- The terminal ---- */

static void term_newline(void)
{
	assert_true(term.rows_len + term.len + 1 < sizeof(term.rows));
	memcpy(term.rows + term.rows_len, term.row, term.len);
	term.rows_len += term.len;
	term.rows[term.rows_len++] = '\n';
	term.rows[term.rows_len] = '\0';
	term.len = 0;
}

void term_read(void)
{
	for (; term.seen < host.out_len; term.seen++) {
		const uint8_t *p = &host.out[term.seen];

		if (*p == '\r') {
			term.at = 0;
		} else if (*p == '\n') {
			term_newline();
		} else if (*p == 0x1b) {
			assert_true(host.out_len - term.seen >= 3);
			assert_memory_equal(p, "\x1b[K", 3);
			term.len = term.at;
			term.seen += 2;
		} else {
			assert_true(term.at < sizeof(term.row) - 1);
			term.row[term.at++] = (char)*p;
			term.len = term.at > term.len ? term.at : term.len;
		}
	}
	term.row[term.len] = '\0';
}

const char *term_rows(void)
{
	const char *rows = term.rows + term.told;

	term_read();
	term.told = term.rows_len;
	return rows;
}

uint32_t term_of(const char *name, char *text)
{
	char tag[40], more[40];
	uint32_t len = 0;

	snprintf(tag, sizeof(tag), "[%s] ", name);
	snprintf(more, sizeof(more), "[%s+] ", name);
	for (const char *p = term.rows, *end; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		if (strncmp(p, more, strlen(more)) == 0) {
			assert_true(len > 0 && text[len - 1] == '\n');
			len--;
			p += strlen(more);
		} else if (strncmp(p, tag, strlen(tag)) == 0) {
			p += strlen(tag);
		} else {
			continue;
		}
		memcpy(text + len, p, (size_t)(end - p) + 1);
		len += (uint32_t)(end - p) + 1;
	}
	return len;
}

/* ---- The machine ---- */

static const char *const names[VMS] = { "linux", "servo", "vision", "mute" };
static const uint8_t levels[VMS] = { KZ_NRT, KZ_HRT, KZ_SRT, KZ_NRT };
static const uint8_t consoles[VMS] = { KZ_CONSOLE_PL011, KZ_CONSOLE_RING, KZ_CONSOLE_PL011,
				       KZ_CONSOLE_NONE };

void everything_in(void)
{
	for (uint32_t i = 0; host.in_len != 0; i++) {
		assert_true(i < 10000);
		console_uart();
	}
}

void everything_out(void)
{
	host.room = UINT32_MAX;
	everything_in();
	console_uart();
	for (uint32_t i = 0; host.notify; i++) {
		assert_true(i < 10000);
		console_uart();
	}
}

struct kz_console_ring *servo_ring(void)
{
	return (struct kz_console_ring *)(void *)(host.ram + 0x3000);
}

int bed_setup(void **state)
{
	(void)state;
	host_become(0);
	/* The console has no way to be switched off: end what the last test left in it. */
	if (machine.cfg != NULL) {
		for (uint32_t i = 0; i < VMS; i++) {
			ring_put(i, '\n');
			console_pump(i);
			everything_out();
		}
	}
	host_reset();
	memset(&bed, 0, sizeof(bed));
	memset(&term, 0, sizeof(term));
	machine.cfg = &bed.cfg;
	machine.vm_count = VMS;
	strcpy(bed.cfg.machine.board, "zcu102");
	bed.cfg.machine.cpu_count = 4;
	bed.cfg.machine.gic_version = 2;
	for (uint32_t i = 0; i < VMS; i++) {
		struct kz_cfg_vm *cfg = &bed.vm[i];
		struct vm *vm = &machine.vm[i];

		strcpy(cfg->name, names[i]);
		cfg->level = levels[i];
		cfg->console = consoles[i];
		cfg->vcpu_count = 1;
		cfg->cpu[0] = (uint8_t)i;
		cfg->console_intid = 33;
		cfg->region_count = 1;
		cfg->region[0] = (struct kz_cfg_region){ .ipa = 0x80000000,
							 .pa = HOST_RAM_PA + 0x2000 * i,
							 .size = 0x2000,
							 .type = KZ_REGION_RAM };
		cfg->console_ipa = 0x80001000;
		vm->cfg = cfg;
		vm->id = i;
		for (uint32_t j = 0; j < KZ_VCPUS_MAX; j++) {
			vm->vcpu[j].vm = vm;
			vm->vcpu[j].id = j;
			vm->vcpu[j].cpu = &host.cpu[i];
		}
		pl011_reset(vm);
		console_ring_reset(i);
	}
	memset(servo_ring(), 0, sizeof(struct kz_console_ring));
	console_init();
	return 0;
}

void ring_put(uint32_t channel, char c)
{
	console_write(channel, &c, 1);
}

void put(uint32_t vm, const char *s)
{
	for (; *s != '\0'; s++) {
		ring_put(vm, *s);
		console_pump(vm);
	}
}

void type(const char *s)
{
	for (; *s != '\0'; s++) {
		host_type((uint8_t)*s);
	}
	everything_out();
}

int typed(uint32_t vm)
{
	struct access a = { .addr = 0x18, .size = 4 };

	assert_int_equal(pl011_access(&machine.vm[vm].vcpu[0], &a), DONE);
	if ((a.value & 0x10) != 0) {
		return -1;
	}
	a.addr = 0;
	assert_int_equal(pl011_access(&machine.vm[vm].vcpu[0], &a), DONE);
	return (int)a.value;
}
