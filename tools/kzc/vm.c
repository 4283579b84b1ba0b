/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's keys, one by one, and what they mean to the others. */
#include <string.h>

#include "sys.h"

static const char *const level_words[] = { "hrt", "srt", "nrt", NULL };
static const char *const console_words[] = { "none", "pl011", "ring", NULL };
static const char *const fault_words[] = { "inject", "stop", "restart", NULL };
static const char *const sgi_words[] = { "trapped", "direct", NULL };
static const char *const dma_words[] = { "confined", "unconfined", NULL };

_Static_assert((KZ_HRT == 0) && (KZ_SRT == 1) && (KZ_NRT == 2), "level_words");
_Static_assert((KZ_CONSOLE_NONE == 0) && (KZ_CONSOLE_PL011 == 1) && (KZ_CONSOLE_RING == 2),
	       "console_words");
_Static_assert((KZ_FAULT_INJECT == 0) && (KZ_FAULT_STOP == 1) && (KZ_FAULT_RESTART == 2),
	       "fault_words");

const char *level_name(const struct vm *vm)
{
	return level_words[vm->cfg.level];
}

const char *fault_name(const struct vm *vm)
{
	return fault_words[vm->cfg.on_fault];
}

uint8_t word_read(struct sys *s, const char *key, struct conf_text text, const char *const *words,
		  uint8_t dflt)
{
	if (text.s == NULL) {
		return dflt;
	}
	for (uint8_t i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], text.s) == 0) {
			return i;
		}
	}
	diag_unknown(&s->diag, text.line, key, text.s, words);
	return dflt;
}

uint64_t address_read(struct sys *s, const char *key, struct conf_text text, uint64_t dflt)
{
	uint64_t value;

	if (text.s == NULL) {
		return dflt;
	}
	if (!conf_size(text.s, &value)) {
		diag_error(&s->diag, text.line, "%s is '%s': it is an address, such as 0x%llx", key,
			   text.s, (unsigned long long)dflt);
		return dflt;
	}
	if ((value % KZ_PAGE_SIZE) != 0) {
		diag_error(&s->diag, text.line,
			   "%s is 0x%llx: it is a multiple of 0x1000, such as "
			   "0x%llx",
			   key, (unsigned long long)value,
			   (unsigned long long)(value & ~(KZ_PAGE_SIZE - 1ull)));
		return dflt;
	}
	if (value >= (1ull << KZ_IPA_BITS)) {
		diag_error(&s->diag, text.line, "%s is 0x%llx: guests have addresses below 0x%llx",
			   key, (unsigned long long)value, 1ull << KZ_IPA_BITS);
		return dflt;
	}
	return value;
}

static void name_check(struct sys *s, const struct conf_vm *c)
{
	size_t len = strlen(c->name.s);

	if ((len == 0) || (len >= KZ_NAME_MAX) ||
	    (strspn(c->name.s, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)) {
		diag_error(&s->diag, c->name.line,
			   "vm '%s': a name is 1 to %u of a-z, 0-9, _ and -", c->name.s,
			   KZ_NAME_MAX - 1);
	}
}

/* "any" or "any 2". */
static bool cpus_read_any(struct sys *s, struct vm *vm)
{
	const struct conf_list *list = &vm->conf->cpus;
	const char *text = (list->count == 1) ? list->item[0].s : "";
	uint64_t n = 1;

	if ((strncmp(text, "any", 3) != 0) || (strchr(" \t", text[3]) == NULL)) {
		return false;
	}
	text += 3;
	text += strspn(text, " \t");
	if ((*text != '\0') && (!conf_number(text, &n) || (n == 0))) {
		return false;
	}
	if (vm->cfg.level == KZ_HRT) {
		diag_error(&s->diag, list->line,
			   "cpus = any is for VMs that share cores: a hard real-time VM owns its "
			   "cores, name them");
	} else if (n > s->board.m.cpu_count) {
		diag_error(&s->diag, list->line, "cpus is '%s': board %s has %u cores",
			   list->item[0].s, s->board.name, s->board.m.cpu_count);
	} else {
		vm->any = (unsigned)n;
	}
	return true;
}

static void cpus_read(struct sys *s, struct vm *vm)
{
	const struct conf_list *list = &vm->conf->cpus;
	uint32_t have = s->board.m.cpu_count;

	if (cpus_read_any(s, vm)) {
		return;
	}
	if (list->count == 0) {
		diag_error(&s->diag, (list->line != 0) ? list->line : vm->conf->name.line,
			   "vm '%s' has no cores: cpus = {0} to {%u} are there", vm->conf->name.s,
			   have - 1);
	}
	for (unsigned i = 0; i < list->count; i++) {
		const struct conf_text *item = &list->item[i];
		uint64_t n;

		if (!conf_number(item->s, &n) || (n >= have)) {
			diag_error(&s->diag, item->line,
				   "there is no core '%s': board %s has 0 to "
				   "%u",
				   item->s, s->board.name, have - 1);
		} else if (memchr(vm->cfg.cpu, (int)n, vm->cfg.vcpu_count) != NULL) {
			diag_error(&s->diag, item->line, "core %u is in the list twice",
				   (unsigned)n);
		} else if (vm->cfg.vcpu_count == KZ_VCPUS_MAX) {
			diag_error(&s->diag, item->line, "vm '%s' has more than %u cores",
				   vm->conf->name.s, KZ_VCPUS_MAX);
			return;
		} else {
			vm->cfg.cpu[vm->cfg.vcpu_count] = (uint8_t)n;
			vm->cfg.vcpu_count++;
		}
	}
}

static void memory_read(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;

	if (c->memory.s == NULL) {
		diag_error(&s->diag, c->name.line, "vm '%s' has no memory = SIZE, such as 64M",
			   c->name.s);
	} else if (!conf_size(c->memory.s, &vm->size) || (vm->size == 0)) {
		diag_error(&s->diag, c->memory.line, "memory is '%s': it is a size, such as 64M",
			   c->memory.s);
		vm->size = 0;
	} else if ((vm->size % KZ_PAGE_SIZE) != 0) {
		diag_error(&s->diag, c->memory.line,
			   "memory is %llu bytes: it is a multiple of 4K, "
			   "such as %lluK",
			   (unsigned long long)vm->size,
			   (unsigned long long)(ALIGN_UP(vm->size, KZ_PAGE_SIZE) >> 10));
		vm->size = 0;
	} else if (vm->size > (1ull << KZ_IPA_BITS)) {
		diag_error(&s->diag, c->memory.line,
			   "memory is %s: guests have addresses below "
			   "0x%llx",
			   c->memory.s, 1ull << KZ_IPA_BITS);
		vm->size = 0;
	}
	vm->physical = (c->memory_at.s != NULL) && (strcmp(c->memory_at.s, "physical") == 0);
	vm->base = GIB1;
	if (!vm->physical) {
		vm->base = address_read(s, "memory_at", c->memory_at, GIB1);
	}
}

static void sgi_read(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;

	if (word_read(s, "sgi", c->sgi, sgi_words, 0) == 0) {
		return;
	}
	if (vm->cfg.level != KZ_HRT) {
		diag_error(&s->diag, c->sgi.line, "sgi = direct is for level = hrt");
	} else if (s->board.m.gic_version != 3) {
		diag_error(&s->diag, c->sgi.line,
			   "sgi = direct is for a GICv3; board %s has a "
			   "GICv2, whose distributor is always trapped",
			   s->board.name);
	} else {
		vm->cfg.flags |= KZ_VM_SGI_DIRECT;
		diag_note(&s->diag, c->sgi.line,
			  "vm '%s' sends its SGIs itself: it can interrupt "
			  "any core of the machine",
			  c->name.s);
	}
}

static void frames_read(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;
	bool v3 = (s->board.m.gic_version == 3);
	const struct conf_text *other = v3 ? &c->gicc_at : &c->gicr_at;

	vm->cfg.gicd_ipa = address_read(s, "gicd_at", c->gicd_at, 0x08000000);
	vm->cfg.gicc_ipa = v3 ? address_read(s, "gicr_at", c->gicr_at, 0x080a0000)
			      : address_read(s, "gicc_at", c->gicc_at, 0x08010000);
	if (v3 && (((vm->cfg.gicd_ipa | vm->cfg.gicc_ipa) % 0x10000) != 0)) {
		diag_error(&s->diag,
			   ((vm->cfg.gicd_ipa % 0x10000) != 0) ? c->gicd_at.line : c->gicr_at.line,
			   "the frames of a GICv3 are at multiples of 0x10000");
	}
	if (other->s != NULL) {
		diag_error(&s->diag, other->line, "board %s has a GICv%c: this is %s_at",
			   s->board.name, v3 ? '3' : '2', v3 ? "gicr" : "gicc");
	}
	vm->cfg.console = word_read(s, "console", c->console, console_words, KZ_CONSOLE_PL011);
	if (vm->cfg.console == KZ_CONSOLE_PL011) {
		vm->cfg.console_ipa = address_read(s, "console_at", c->console_at, 0x09000000);
	} else if (c->console_at.s != NULL) {
		diag_error(&s->diag, c->console_at.line, "console_at is for console = pl011");
	}
}

void vm_read(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;

	name_check(s, c);
	snprintf(vm->cfg.name, sizeof(vm->cfg.name), "%s", c->name.s);
	if (c->level.s == NULL) {
		diag_error(&s->diag, c->name.line, "vm '%s' has no level: it is hrt, srt or nrt",
			   c->name.s);
	}
	vm->cfg.level = word_read(s, "level", c->level, level_words, KZ_NRT);
	vm->cfg.on_fault = word_read(s, "on_fault", c->on_fault, fault_words, KZ_FAULT_INJECT);
	vm->unconfined = (word_read(s, "dma", c->dma, dma_words, 0) == 1);
	realtime_read(s, vm);
	health_read(s, vm);
	cpus_read(s, vm);
	memory_read(s, vm);
	sgi_read(s, vm);
	frames_read(s, vm);
	if ((c->dtb.s != NULL) && (c->cmdline.s != NULL)) {
		diag_error(&s->diag, c->cmdline.line,
			   "cmdline goes into the generated device tree, "
			   "but dtb gives another one: put it into that one's /chosen");
	}
}

void vm_check_all(struct sys *s)
{
	if (s->conf.vm_count == 0) {
		diag_error(&s->diag, 0, "there is no VM: vm NAME { level = ... }");
	}
	if (s->conf.vm_count > KZ_VMS_MAX) {
		diag_error(&s->diag, s->conf.vm[KZ_VMS_MAX].name.line,
			   "vm '%s' is one too many: "
			   "there can be %u",
			   s->conf.vm[KZ_VMS_MAX].name.s, KZ_VMS_MAX);
	}
}
