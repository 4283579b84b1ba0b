/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_COLUMNS 24

void show_add(json_t *object, const char *key, json_t *value)
{
	int err = (key == NULL) ? json_array_append_new(object, value)
				: json_object_set_new(object, key, value);

	if (err != 0) {
		fputs("kz: out of memory\n", stderr);
		exit(EXIT_FAILED);
	}
}

/* JSON's integers are signed here; what is above is nothing that a machine counts to. */
void show_add_number(json_t *object, const char *key, uint64_t value)
{
	show_add(object, key, json_integer((value > INT64_MAX) ? INT64_MAX : (json_int_t)value));
}

static void add_text(json_t *object, const char *key, const char *text)
{
	show_add(object, key, json_string(text));
}

/* A fixed field of bytes, which may have anything in it. */
static void add_name(json_t *object, const char *key, const char name[KZ_NAME_MAX])
{
	json_t *text = json_stringn(name, strnlen(name, KZ_NAME_MAX));

	show_add(object, key, (text != NULL) ? text : json_string("?"));
}

static json_t *show_vcpu(const struct vmi *vm, unsigned v)
{
	const struct kz_vcpu_info *c = &vm->vcpu[v];
	json_t *o = json_object();
	json_t *exits = json_object();

	show_add_number(o, "vcpu", v);
	show_add_number(o, "core", c->core);
	add_text(o, "state", vcpu_state_word(c->state));
	add_text(o, "sched", sched_word(c->sched));
	show_add_number(o, "executed_ns", c->executed);
	show_add_number(o, "stolen_ns", c->stolen);
	show_add_number(o, "budget_ns", c->budget);
	show_add_number(o, "period_ns", c->period);
	show_add_number(o, "deadline_ns", c->deadline);
	show_add_number(o, "jobs", c->jobs);
	show_add_number(o, "misses", c->misses);
	show_add_number(o, "late", c->late);
	show_add_number(o, "overruns", c->overruns);
	for (unsigned i = 0; i < KZ_EXIT_CLASSES; i++) {
		show_add_number(exits, class_word(i), c->exits[i]);
	}
	show_add(o, "exits", exits);
	return o;
}

json_t *show_vm_brief(const struct vmi *vm)
{
	json_t *o = json_object();

	show_add_number(o, "id", vm->id);
	add_name(o, "name", vm->info.name);
	add_text(o, "state", state_word(vm->info.state));
	return o;
}

static void add_regions(json_t *o, const struct vmi *vm)
{
	static const char *const types[] = { "ram", "device", "trace", "store" };
	json_t *list = json_array();

	for (unsigned i = 0; (i < vm->cfg.region_count) && (i < KZ_REGIONS_MAX); i++) {
		const struct kz_cfg_region *r = &vm->cfg.region[i];
		json_t *region = json_object();

		add_text(region, "type", (r->type < KZ_REGION_TYPES) ? types[r->type] : "?");
		show_add_number(region, "guest_address", r->ipa);
		show_add_number(region, "address", r->pa);
		show_add_number(region, "size_bytes", r->size);
		show_add(list, NULL, region);
	}
	show_add(o, "regions", list);
}

static void add_rights(json_t *o, const struct vmi *vm)
{
	json_t *rights = json_object();

	for (unsigned r = 0; right_word(r) != NULL; r++) {
		json_t *places = json_array();

		if (vm->cfg.rights[r] == 0) {
			json_decref(places);
			continue;
		}
		for (unsigned p = 0; p < KZ_VMS_MAX; p++) {
			if ((vm->cfg.rights[r] >> p & 1u) != 0) {
				show_add_number(places, NULL, p);
			}
		}
		show_add(rights, right_word(r), places);
	}
	show_add(o, "rights", rights);
}

/* What is being counted, and when it happened. */
static void add_health(json_t *o, const struct kz_vm_info *i)
{
	add_text(o, "reason", reason_word(i->reason));
	show_add_number(o, "restarts", i->restarts);
	show_add_number(o, "failures", i->failures);
	show_add_number(o, "changes", i->changes);
	show_add_number(o, "started_ns", i->started);
	show_add_number(o, "stopped_ns", i->stopped);
	show_add_number(o, "restart_time_ns", i->restart_time);
	show_add_number(o, "watchdog_due_ns", i->watchdog);
	show_add_number(o, "resumes_ns", i->resumes);
	show_add_number(o, "faults", i->faults);
	show_add_number(o, "fault_address", i->fault_address);
	show_add_number(o, "fault_pc", i->fault_pc);
	show_add_number(o, "console_in_dropped", i->in_dropped);
	show_add_number(o, "console_out_dropped", i->out_dropped);
	show_add(o, "console_attached_to",
		 (i->attached == 0) ? json_null() : json_integer(i->attached - 1));
}

json_t *show_vm(const struct vmi *vm)
{
	json_t *o = show_vm_brief(vm);
	json_t *cores = json_array(), *irqs = json_array(), *vcpus = json_array();

	add_text(o, "level", level_word(vm->cfg.level));
	show_add_number(o, "memory_bytes", vmi_memory(vm));
	show_add_number(o, "vcpus", vm->cfg.vcpu_count);
	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		show_add_number(cores, NULL, vm->cfg.cpu[v]);
		show_add(vcpus, NULL, show_vcpu(vm, v));
	}
	show_add(o, "cores", cores);
	show_add_number(o, "executed_ns", vmi_executed(vm));
	add_text(o, "restart", restart_word(vm->cfg.restart));
	show_add_number(o, "backoff_ms", vm->cfg.backoff_ms);
	show_add_number(o, "backoff_max_ms", vm->cfg.backoff_max_ms);
	show_add_number(o, "watchdog_ns", vm->cfg.watchdog_ns);
	add_text(o, "console", console_word(vm->cfg.console));
	show_add_number(o, "weight", vm->cfg.server.weight);
	add_health(o, &vm->info);
	for (unsigned i = 0; (i < vm->cfg.irq_count) && (i < KZ_IRQS_MAX); i++) {
		show_add_number(irqs, NULL, vm->cfg.irq[i].intid);
	}
	show_add(o, "interrupts", irqs);
	add_regions(o, vm);
	add_rights(o, vm);
	show_add(o, "vcpu", vcpus);
	return o;
}

json_t *show_machine(const struct kz_system *s)
{
	const struct kz_machine_info *m = &s->machine;
	const struct kz_cfg_machine *c = &m->cfg.machine;
	json_t *o = json_object();
	json_t *ram = json_array();
	uint64_t total = 0, largest, free = kz_system_free(s, &largest);

	add_name(o, "board", c->board);
	show_add_number(o, "cores", c->cpu_count);
	for (unsigned i = 0; (i < c->ram_count) && (i < KZ_RAMS_MAX); i++) {
		json_t *piece = json_object();

		show_add_number(piece, "address", c->ram[i].pa);
		show_add_number(piece, "size_bytes", c->ram[i].size);
		show_add(ram, NULL, piece);
		total += c->ram[i].size;
	}
	show_add_number(o, "memory_bytes", total);
	show_add(o, "memory_free_bytes", s->whole ? json_integer((json_int_t)free) : json_null());
	show_add(o, "memory_free_largest_bytes",
		 s->whole ? json_integer((json_int_t)largest) : json_null());
	show_add(o, "ram", ram);
	show_add_number(o, "gic_version", c->gic_version);
	show_add_number(o, "counter_hz", m->hz);
	show_add_number(o, "uptime_ns", m->now);
	show_add_number(o, "vms_of_image", m->cfg.vm_count);
	show_add_number(o, "places", KZ_VMS_MAX);
	show_add_number(o, "caller", m->caller);
	show_add_number(o, "changes", m->changes);
	show_add_number(o, "hypervisor_bytes", m->image_size);
	show_add_number(o, "abi_version", m->cfg.version);
	return o;
}

static int json_print(const struct kz *kz, json_t *json, size_t flags)
{
	int err = json_dumpf(json, stdout, flags);

	json_decref(json);
	putchar('\n');
	return (err != 0) ? kz_fail(kz, "stdout: it could not be written") : show_flush(kz);
}

int show_json(const struct kz *kz, json_t *json)
{
	return json_print(kz, json, JSON_INDENT(2));
}

int show_json_line(const struct kz *kz, json_t *json)
{
	return json_print(kz, json, JSON_COMPACT);
}

int show_flush(const struct kz *kz)
{
	if ((fflush(stdout) != 0) || ferror(stdout)) {
		return kz_fail(kz, "stdout: %s",
			       (errno == 0) ? "it could not be written" : strerror(errno));
	}
	return EXIT_OK;
}

/* ---- Text ---- */

static bool ends_with(const char *key, const char *end)
{
	size_t a = strlen(key), b = strlen(end);

	return (a >= b) && (strcmp(key + a - b, end) == 0);
}

static void number_print(const char *key, uint64_t n)
{
	if (ends_with(key, "_ns")) {
		fputs((n == 0) ? "-" : ns_text(n), stdout);
	} else if (ends_with(key, "_bytes")) {
		fputs(bytes_text(n), stdout);
	} else if (ends_with(key, "address") || ends_with(key, "pc")) {
		printf("0x%" PRIx64, n);
	} else {
		printf("%" PRIu64, n);
	}
}

/* An object in an array, or a short array, in one line. */
static void line_print(const char *name, const json_t *value)
{
	const char *key = NULL, *space = "";
	json_t *item = NULL;
	size_t i = 0;

	if (json_is_integer(value)) {
		number_print(name, (uint64_t)json_integer_value(value));
	} else if (json_is_string(value)) {
		fputs(json_string_value(value), stdout);
	} else if (json_is_array(value)) {
		fputs((json_array_size(value) == 0) ? "-" : "", stdout);
		json_array_foreach(value, i, item)
		{
			fputs(space, stdout);
			line_print(name, item);
			space = " ";
		}
	} else if (json_is_object(value)) {
		fputs((json_object_size(value) == 0) ? "-" : "", stdout);
		json_object_foreach((json_t *)(uintptr_t)value, key, item)
		{
			printf("%s%s ", space, key);
			line_print(key, item);
			space = ", ";
		}
	} else {
		fputs("-", stdout);
	}
}

/* The key without its unit, which is with the value. */
static void key_print(const char *key)
{
	size_t len = strlen(key);

	len -= ends_with(key, "_ns") ? 3 : 0;
	len -= ends_with(key, "_bytes") ? 6 : 0;
	printf("%-*.*s: ", KEY_COLUMNS, (int)len, key);
}

void show_text(const json_t *object)
{
	const char *key = NULL;
	json_t *value = NULL, *item = NULL;
	size_t i = 0;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
			json_array_foreach(value, i, item)
			{
				key_print(key);
				line_print(key, item);
				putchar('\n');
			}
			continue;
		}
		key_print(key);
		line_print(key, value);
		putchar('\n');
	}
}
