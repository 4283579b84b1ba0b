/* SPDX-License-Identifier: Apache-2.0 */
/* Which VMs a VM may see and change: the key control. */
#include <string.h>

#include "blob.h"

#include "sys.h"

#define ALL      0xffu
#define TRACE_AT 0x0b000000u

/* In the order of enum kz_right, then what is no right but a region. */
static const char *const right_words[] = { "list",    "console", "read",  "run",
					   "restart", "create",  "trace", NULL };
static const char *const bool_words[] = { "false", "true", NULL };

#define WORD_TRACE (KZ_RIGHT_CREATE + 1u)

_Static_assert((KZ_RIGHT_LIST == 0) && (KZ_RIGHT_CONSOLE == 1) && (KZ_RIGHT_READ == 2) &&
		       (KZ_RIGHT_RUN == 3) && (KZ_RIGHT_RESTART == 4) && (KZ_RIGHT_CREATE == 5),
	       "right_words");

/* The VM that a right is over, as a mask; 0 and an error when there is none. */
static uint8_t target_read(struct sys *s, const char *name, int line)
{
	const char *names[KZ_VMS_MAX + 1] = { NULL };

	for (unsigned v = 0; v < s->vm_count; v++) {
		names[v] = s->vm[v].conf->name.s;
		if (strcmp(names[v], name) == 0) {
			return (uint8_t)(1u << v);
		}
	}
	diag_unknown(&s->diag, line, "vm", name, names);
	return 0;
}

/* "list", "restart(servo)", "trace". */
static void right_read(struct sys *s, struct vm *vm, const struct conf_text *item)
{
	size_t len = strcspn(item->s, "(");
	const char *word = mem_strndup(&s->mem, item->s, len);
	size_t end = strlen(item->s);
	uint8_t right = word_read(s, "right", (struct conf_text){ word, item->line }, right_words,
				  KZ_RIGHTS);

	if (right == KZ_RIGHTS) {
		return;
	}
	if (item->s[len] == '\0') {
		if (right == WORD_TRACE) {
			vm->has_trace = true;
		} else {
			vm->cfg.rights[right] = ALL;
		}
	} else if ((item->s[end - 1] != ')') || (end == len + 2)) {
		diag_error(&s->diag, item->line, "control has '%s': a right over one VM is "
			   "%s(NAME)",
			   item->s, word);
	} else if (right == WORD_TRACE) {
		diag_error(&s->diag, item->line, "trace is of the whole machine: it takes no name");
	} else {
		vm->cfg.rights[right] |= target_read(
			s, mem_strndup(&s->mem, item->s + len + 1, end - len - 2), item->line);
	}
}

/* control = true, control = false; returns whether it was one of these. */
static bool control_all(struct sys *s, struct vm *vm)
{
	const struct conf_list *list = &vm->conf->control;
	bool all = (list->count == 1) && (strcmp(list->item[0].s, bool_words[1]) == 0);

	if (!all) {
		return (list->count == 1) && (strcmp(list->item[0].s, bool_words[0]) == 0);
	}
	if (vm->cfg.level == KZ_HRT) {
		diag_error(&s->diag, list->line,
			   "control = true is for level = srt or nrt: vm '%s' is hrt; name the "
			   "rights that it needs",
			   vm->conf->name.s);
	}
	memset(vm->cfg.rights, ALL, KZ_RIGHT_CREATE + 1);
	vm->has_trace = true;
	return true;
}

/* The region is made when it is known where the trace is. */
static void trace_room(struct sys *s, struct vm *vm)
{
	const struct conf_vm *c = vm->conf;

	if (!vm->has_trace) {
		if (c->trace_at.s != NULL) {
			diag_error(&s->diag, c->trace_at.line,
				   "trace_at is for a VM that has the trace: control = {list, "
				   "trace}");
		}
		return;
	}
	if (vm->cfg.rights[KZ_RIGHT_LIST] != ALL) {
		diag_error(&s->diag, c->control.line,
			   "the trace shows all VMs: vm '%s' needs the right to list them all, "
			   "control = {list, trace}",
			   c->name.s);
	}
	if (vm->cfg.region_count == KZ_REGIONS_MAX) {
		diag_error(&s->diag, c->control.line,
			   "vm '%s' has %u register areas: with the trace it can have %u",
			   c->name.s, KZ_REGIONS_MAX - 1, KZ_REGIONS_MAX - 2);
		return;
	}
	vm->cfg.region[vm->cfg.region_count] = (struct kz_cfg_region){
		.ipa = address_read(s, "trace_at", c->trace_at, TRACE_AT),
		.size = blob_trace_size(&s->board.m),
		.type = KZ_REGION_TRACE,
	};
	vm->trace = vm->cfg.region_count;
	vm->cfg.region_count++;
}

void control_read(struct sys *s, struct vm *vm)
{
	const struct conf_list *list = &vm->conf->control;

	if (!control_all(s, vm)) {
		for (unsigned i = 0; i < list->count; i++) {
			right_read(s, vm, &list->item[i]);
		}
	}
	trace_room(s, vm);
}

bool control_is_any(const struct vm *vm)
{
	bool any = false;

	for (unsigned i = 0; i < KZ_RIGHTS; i++) {
		any = any || (vm->cfg.rights[i] != 0);
	}
	return any;
}

const char *control_text(struct sys *s, const struct vm *vm)
{
	const char *text = "";
	const char *sep = "";

	for (unsigned i = 0; i <= KZ_RIGHT_CREATE; i++) {
		uint8_t vms = vm->cfg.rights[i];

		for (unsigned v = 0; (vms != ALL) && (v < s->vm_count); v++) {
			if ((vms >> v & 1) != 0) {
				text = mem_printf(&s->mem, "%s%s%s(%s)", text, sep, right_words[i],
						  s->vm[v].conf->name.s);
				sep = ", ";
			}
		}
		if (vms == ALL) {
			text = mem_printf(&s->mem, "%s%s%s", text, sep, right_words[i]);
			sep = ", ";
		}
	}
	return vm->has_trace ? mem_printf(&s->mem, "%s%strace", text, sep) : text;
}
