/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of what is emulated: consoles, watchdogs; of the PMU; and how many there are. */
#include <string.h>

#include "sys.h"

#define SPI_MIN       32u
#define CONSOLE_INTID 33u
#define LINES_MIN     64u

static bool irq_is_own(const struct vm *vm, uint32_t intid)
{
	for (unsigned i = 0; i < vm->cfg.irq_count; i++) {
		if (vm->cfg.irq[i].intid == intid) {
			return true;
		}
	}
	return false;
}

/* An SPI that no device of the board has: above those first, then between them. */
static uint32_t spi_free(struct sys *s, const uint8_t *taken)
{
	const struct kz_cfg_machine *m = &s->board.m;
	uint32_t end = (m->gic_lines < KZ_INTID_MAX) ? m->gic_lines : KZ_INTID_MAX;
	uint32_t top = end;

	while ((top > SPI_MIN) && (taken[top - 1] == 0)) {
		top--;
	}
	for (uint32_t i = 0; i < end - SPI_MIN; i++) {
		uint32_t intid = (top + i < end) ? top + i : top - 1 - (i - (end - top));

		if (taken[intid] == 0) {
			return intid;
		}
	}
	return 0;
}

/* The watchdogs' interrupts, once the consoles have theirs. */
static void watchdogs_place(struct sys *s, uint8_t *taken)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];
		uint32_t intid =
			(vm->cfg.console_intid != 0) ? vm->cfg.console_intid + 1 : CONSOLE_INTID;

		if (vm->running || (vm->cfg.wdt_ipa == 0)) {
			continue;
		}
		if (vm->cfg.level == KZ_HRT) {
			intid = spi_free(s, taken);
			taken[intid] = 1;
			if (intid == 0) {
				diag_error(&s->diag, vm->conf->watchdog.line,
					   "there is no free interrupt for the watchdog of vm '%s'",
					   vm->conf->name.s);
			}
		}
		while ((vm->cfg.level != KZ_HRT) && irq_is_own(vm, intid)) {
			intid++;
		}
		vm->cfg.wdt_intid = intid;
	}
}

/*
 * The consoles' interrupts. A hard real-time VM takes its interrupts from the machine's
 * distributor, so its console needs an SPI there that nothing else drives.
 */
static void consoles_place(struct sys *s, uint8_t *taken)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];
		uint32_t intid = CONSOLE_INTID;

		if (vm->running || (vm->cfg.console != KZ_CONSOLE_PL011)) {
			continue;
		}
		if (vm->cfg.level == KZ_HRT) {
			intid = spi_free(s, taken);
			taken[intid] = 1;
			if (intid == 0) {
				diag_error(&s->diag, vm->conf->name.line,
					   "there is no free interrupt "
					   "for the console of vm '%s': console = ring needs none",
					   vm->conf->name.s);
			}
		}
		while ((vm->cfg.level != KZ_HRT) && irq_is_own(vm, intid)) {
			intid++;
		}
		vm->cfg.console_intid = intid;
	}
}

/* A PMU whose interrupts are SPIs: that of a core goes with the core, to a VM that owns it. */
static void pmu_place(struct sys *s, struct vm *vm)
{
	for (unsigned i = 0; (vm->cfg.level == KZ_HRT) && (i < vm->cfg.vcpu_count); i++) {
		uint32_t intid = s->board.pmu_intid[vm->cfg.cpu[i]];

		if ((intid == 0) || irq_is_own(vm, intid)) {
			continue;
		}
		if (vm->cfg.irq_count == KZ_IRQS_MAX) {
			diag_error(&s->diag, vm->conf->devices.line,
				   "vm '%s' has more than %u "
				   "interrupts, with its PMU's",
				   vm->conf->name.s, KZ_IRQS_MAX);
			return;
		}
		vm->cfg.irq[vm->cfg.irq_count].intid = intid;
		vm->cfg.irq_count++;
	}
}

static void lines_place(struct vm *vm)
{
	uint32_t top = vm->cfg.console_intid;

	top = (vm->cfg.wdt_intid > top) ? vm->cfg.wdt_intid : top;
	for (unsigned i = 0; i < vm->cfg.irq_count; i++) {
		top = (vm->cfg.irq[i].intid > top) ? vm->cfg.irq[i].intid : top;
	}
	vm->cfg.irq_lines = (top / 32 + 1) * 32;
	if (vm->cfg.irq_lines < LINES_MIN) {
		vm->cfg.irq_lines = LINES_MIN;
	}
}

/* What is no VM's to have: devices', the console's, and those of VMs that run already. */
static void taken_note(const struct sys *s, uint8_t *taken)
{
	memcpy(taken, s->board.spi_used, sizeof(s->board.spi_used));
	taken[s->board.m.uart_intid] = 1;
	for (unsigned v = 0; v < s->vm_count; v++) {
		const struct kz_cfg_vm *c = &s->vm[v].cfg;

		for (unsigned i = 0; s->vm[v].running && (i < c->irq_count); i++) {
			taken[c->irq[i].intid] = 1;
		}
		if (s->vm[v].running && (c->level == KZ_HRT)) {
			taken[c->console_intid] = 1;
			taken[c->wdt_intid] = 1;
		}
	}
}

void intids_place(struct sys *s)
{
	uint8_t taken[KZ_INTID_MAX + 4];

	taken_note(s, taken);
	consoles_place(s, taken);
	watchdogs_place(s, taken);
	for (unsigned v = 0; v < s->vm_count; v++) {
		if (!s->vm[v].running) {
			pmu_place(s, &s->vm[v]);
			lines_place(&s->vm[v]);
		}
	}
}
