/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

#include <string.h>

#include "blob.h"
#include "cores.h"

/* From the column where a core's VMs are. */
#define NEXT_LINE "\n                      "

static void span_add(struct map_span *span, unsigned *count, uint64_t base, uint64_t end, int owner)
{
	if (base < end) {
		span[*count] = (struct map_span){ base, end - base, owner };
		*count += 1;
	}
}

/* Keep the lower one in out, of those that are in [base, end). */
static bool owner_keep(struct map_span s, uint64_t base, uint64_t end, bool found,
		       struct map_span *out)
{
	if ((s.base < base) || (s.base >= end) || (found && (s.base > out->base))) {
		return found;
	}
	*out = s;
	return true;
}

/* The lowest memory from base on of a VM, the image or the trace; false: none below end. */
static bool next_owner(const struct sys *s, uint64_t base, uint64_t end, struct map_span *out)
{
	const struct map_span image = { s->board.image_pa, s->image_size, MAP_KIZAMI };
	const struct map_span trace = { s->board.m.trace_pa, blob_trace_size(&s->board.m),
					MAP_TRACE };
	bool found = owner_keep(image, base, end, false, out);

	found = owner_keep(trace, base, end, found, out);
	for (unsigned v = 0; v < s->vm_count; v++) {
		const struct map_span vm = { s->vm[v].pa, s->vm[v].size, (int)v };

		found = owner_keep(vm, base, end, found, out);
	}
	return found;
}

/* What the board's tree reserves goes between the banks. */
static void kept_add(const struct board *b, struct map_span *span, unsigned *n)
{
	for (unsigned i = 0; i < b->kept_count; i++) {
		unsigned at = *n;

		for (; (at > 0) && (span[at - 1].base > b->kept[i].pa); at--) {
			span[at] = span[at - 1];
		}
		span[at] = (struct map_span){ b->kept[i].pa, b->kept[i].size, MAP_KEPT };
		(*n)++;
	}
}

unsigned map_memory(const struct sys *s, struct map_span span[MAP_SPANS_MAX])
{
	uint64_t vms = ALIGN_UP(s->board.image_pa + s->image_size, MIB2);
	uint64_t trace = s->board.m.trace_pa;
	unsigned n = 0;

	for (unsigned i = 0; i < s->board.m.ram_count; i++) {
		uint64_t at = s->board.m.ram[i].pa;
		uint64_t end = at + s->board.m.ram[i].size;
		struct map_span next = { 0, 0, 0 };

		while (next_owner(s, at, end, &next)) {
			span_add(span, &n, at, next.base, (at < vms) ? MAP_LOADER : MAP_FREE);
			at = next.base + next.size;
			/* The last 2 MiB of the image, up to the trace if it is there. */
			if (next.owner == MAP_KIZAMI) {
				at = (vms < end) ? vms : end;
				at = ((trace > next.base) && (trace < at)) ? trace : at;
			}
			span_add(span, &n, next.base, at, next.owner);
		}
		span_add(span, &n, at, end, MAP_FREE);
	}
	kept_add(&s->board, span, &n);
	return n;
}

const char *map_owner(const struct sys *s, int owner)
{
	switch (owner) {
	case MAP_FREE:
		return "free";
	case MAP_KIZAMI:
		return "Kizami";
	case MAP_TRACE:
		return "trace";
	case MAP_LOADER:
		return "boot loader";
	case MAP_KEPT:
		return "reserved";
	default:
		return s->vm[owner].conf->name.s;
	}
}

/* What an address of the trace is: the page at its beginning, or which ring. */
static void whatis_trace(const struct sys *s, uint64_t at, FILE *out)
{
	uint64_t ring = (uint64_t)s->board.m.trace_chunks * KZ_TRACE_CHUNK;

	if (at < KZ_PAGE_SIZE) {
		fputs(": where its rings are (struct kz_trace_mem)\n", out);
		return;
	}
	at -= KZ_PAGE_SIZE;
	fprintf(out, ": the ring of core %llu + 0x%llx\n", (unsigned long long)(at / ring),
		(unsigned long long)(at % ring));
}

bool map_whatis(const struct sys *s, uint64_t address, FILE *out)
{
	struct map_span span[MAP_SPANS_MAX];
	unsigned n = map_memory(s, span);
	const struct map_span *m = span;

	while ((n > 0) && ((address < m->base) || (address - m->base >= m->size))) {
		n--, m++;
	}
	if ((n == 0) || (m->owner == MAP_FREE) || (m->owner <= MAP_LOADER)) {
		return false;
	}
	fprintf(out, "%s%s + 0x%llx", (m->owner >= 0) ? "vm " : "", map_owner(s, m->owner),
		(unsigned long long)(address - m->base));
	if (m->owner == MAP_TRACE) {
		whatis_trace(s, address - m->base, out);
	} else if (m->owner == MAP_KIZAMI) {
		fputs(": the hypervisor, its configuration and the guests' images\n", out);
	} else {
		fprintf(out, ": guest address 0x%llx\n",
			(unsigned long long)(s->vm[m->owner].base + (address - m->base)));
	}
	fprintf(out, "  memory      0x%llx to 0x%llx\n", (unsigned long long)m->base,
		(unsigned long long)(m->base + m->size - 1));
	for (unsigned v = 0; (m->owner == MAP_TRACE) && (v < s->vm_count); v++) {
		const struct vm *vm = &s->vm[v];

		if (vm->trace != 0) {
			fprintf(out, "  seen by     vm %s, at guest address 0x%llx\n",
				vm->conf->name.s,
				(unsigned long long)(vm->cfg.region[vm->trace].ipa +
						     (address - m->base)));
		}
	}
	return true;
}

const struct vm *map_device_vm(const struct sys *s, uint64_t address)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		const struct vm *vm = &s->vm[v];

		for (unsigned i = 0; i < vm->device_count; i++) {
			const struct device *dev = &vm->device[i];

			for (unsigned k = 0; k < dev->reg_count; k++) {
				if ((address >= dev->reg[k].base) &&
				    (address - dev->reg[k].base < dev->reg[k].size)) {
					return vm;
				}
			}
		}
	}
	return NULL;
}

const char *map_size(struct mem *mem, uint64_t size)
{
	if ((size % GIB1) == 0) {
		return mem_printf(mem, "%lluG", (unsigned long long)(size / GIB1));
	}
	if ((size % (1u << 20)) == 0) {
		return mem_printf(mem, "%lluM", (unsigned long long)(size >> 20));
	}
	if ((size >> 20) >= 10) {
		return mem_printf(mem, "%.1fM", (double)size / (1u << 20));
	}
	if ((size % 1024) == 0) {
		return mem_printf(mem, "%lluK", (unsigned long long)(size >> 10));
	}
	return mem_printf(mem, "%llu bytes", (unsigned long long)size);
}

bool map_has_console(const struct sys *s, unsigned core)
{
	return (s->board.m.console_cpu == core) && !core_is_hard(s, core);
}

const char *map_kind(const struct vm *vm)
{
	static const char *const names[] = { "raw binary", "Linux Image", "ELF" };

	return names[vm->kind];
}

uint64_t map_image_size(const struct vm *vm)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < vm->image_count; i++) {
		size += vm->piece[i].size;
	}
	return size;
}

const char *map_irqs(struct mem *mem, const struct device *dev)
{
	const char *text = "INTID";

	for (unsigned i = 0; i < dev->irq_count; i++) {
		text = mem_printf(mem, "%s %u", text, dev->irq[i]);
	}
	return (dev->irq_count == 0) ? "no interrupt" : text;
}

/* What a vCPU has of its core, as far as it is not alone there. */
static const char *text_share(struct sys *s, const struct vm *vm, bool shared)
{
	if (vm_has_server(vm)) {
		return mem_printf(&s->mem, ", server %s", server_text(&s->mem, &vm->cfg.server));
	}
	return shared ? mem_printf(&s->mem, ", weight %u", vm->cfg.server.weight) : "";
}

/* What else there is to say of a core: in its line, or in one of its own. */
static void text_core_facts(struct sys *s, unsigned core, bool shared, FILE *out)
{
	uint32_t reserve = shared ? s->board.m.reserve_ppm[core] : 0;
	const char *sep = shared ? NEXT_LINE : ", ";

	if (map_has_console(s, core)) {
		fprintf(out, "%sserves the console", sep);
		sep = ", ";
	}
	if (reserve != 0) {
		fprintf(out, "%s%s is kept from servers", sep, share_text(&s->mem, reserve));
	}
	fputs("\n", out);
}

static void text_cores(struct sys *s, FILE *out)
{
	fputs("cores\n", out);
	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		struct core_vcpu list[KZ_VMS_MAX];
		unsigned count = core_vcpus(s, i, list);

		fprintf(out, "  %u   MPIDR %-8llx  %s", i, (unsigned long long)s->board.m.mpidr[i],
			(count == 0) ? "free" : "");
		for (unsigned k = 0; k < count; k++) {
			fprintf(out, "%s%s, %s, vCPU %u%s", (k == 0) ? "" : NEXT_LINE,
				list[k].vm->conf->name.s, level_name(list[k].vm), list[k].vcpu,
				text_share(s, list[k].vm, count > 1));
		}
		text_core_facts(s, i, count > 1, out);
	}
}

static void text_memory(struct sys *s, FILE *out)
{
	struct map_span span[MAP_SPANS_MAX];
	unsigned n = map_memory(s, span);

	fputs("\nmemory (physical)\n", out);
	for (unsigned i = 0; i < n; i++) {
		fprintf(out, "  0x%010llx  0x%010llx  %8s  %s\n", (unsigned long long)span[i].base,
			(unsigned long long)(span[i].base + span[i].size - 1),
			map_size(&s->mem, span[i].size), map_owner(s, span[i].owner));
	}
}

/* What is left for VMs that are created at run time, if somebody may create any. */
static void text_free(struct sys *s, FILE *out)
{
	struct map_span span[MAP_SPANS_MAX];
	unsigned n = map_memory(s, span);
	uint64_t sum = 0;
	uint64_t most = 0;
	bool may = false;

	for (unsigned v = 0; v < s->vm_count; v++) {
		may = may || (s->vm[v].cfg.rights[KZ_RIGHT_CREATE] == 0xff);
	}
	for (unsigned i = 0; i < n; i++) {
		if (span[i].owner == MAP_FREE) {
			sum += span[i].size;
			most = (span[i].size > most) ? span[i].size : most;
		}
	}
	if (may) {
		fprintf(out, "  for VMs at run time: %s, the largest piece %s\n",
			map_size(&s->mem, sum), map_size(&s->mem, most));
	}
}

static void text_range(FILE *out, uint64_t base, uint64_t size, const char *what)
{
	fprintf(out, "    0x%010llx  0x%010llx  %s\n", (unsigned long long)base,
		(unsigned long long)(base + size - 1), what);
}

static void text_device(struct sys *s, const struct device *dev, FILE *out)
{
	for (unsigned i = 0; i < dev->reg_count; i++) {
		text_range(
			out, dev->reg[i].base, dev->reg[i].size,
			(i > 0) ? dev->name
				: mem_printf(&s->mem, "%s, %s", dev->name, map_irqs(&s->mem, dev)));
	}
}

/* What it may do to others, and what is done when it fails. */
static void text_care(struct sys *s, const struct vm *vm, FILE *out)
{
	const struct kz_cfg_vm *c = &vm->cfg;

	if (control_is_any(vm)) {
		fprintf(out, "  control: %s\n", control_text(s, vm));
	}
	if (c->watchdog_ns != 0) {
		fprintf(out, "  watchdog: %s from each start on\n",
			time_text(&s->mem, c->watchdog_ns));
	}
	if (c->restart != KZ_RESTART_NEVER) {
		fprintf(out, "  restart = %s, %s\n", restart_name(vm),
			(c->backoff_ms == 0)
				? "at once"
				: mem_printf(&s->mem, "after %s, later after %s at most",
					     time_text(&s->mem, c->backoff_ms * 1000000ull),
					     time_text(&s->mem, c->backoff_max_ms * 1000000ull)));
	}
}

static void text_vm(struct sys *s, const struct vm *vm, FILE *out)
{
	bool v3 = (s->board.m.gic_version == 3);

	fprintf(out, "\nvm %s, %s: %s of %s, on_fault = %s%s\n", vm->conf->name.s, level_name(vm),
		map_kind(vm), map_size(&s->mem, map_image_size(vm)), fault_name(vm),
		((vm->cfg.flags & KZ_VM_SGI_DIRECT) != 0) ? ", sgi = direct" : "");
	text_care(s, vm, out);
	fprintf(out, "  guest addresses; entry 0x%llx, device tree 0x%llx\n",
		(unsigned long long)vm->cfg.entry, (unsigned long long)vm->cfg.arg);
	text_range(out, vm->base, vm->size, "memory");
	text_range(out, vm->cfg.gicd_ipa, v3 ? KZ_GICD3_SIZE : KZ_GICD2_SIZE, "distributor");
	text_range(out, vm->cfg.gicc_ipa,
		   v3 ? vm->cfg.vcpu_count * (uint64_t)KZ_GICR_SIZE : KZ_GICC_SIZE,
		   v3 ? "redistributors" : "CPU interface");
	if (vm->cfg.console == KZ_CONSOLE_PL011) {
		text_range(out, vm->cfg.console_ipa, KZ_CONSOLE_SIZE,
			   mem_printf(&s->mem, "console, INTID %u", vm->cfg.console_intid));
	} else if (vm->cfg.console == KZ_CONSOLE_RING) {
		text_range(out, vm->cfg.console_ipa, KZ_CONSOLE_SIZE, "console ring");
	}
	if (vm->cfg.stolen_ipa != 0) {
		text_range(out, vm->cfg.stolen_ipa, KZ_STOLEN_SIZE, "stolen time");
	}
	if (vm->cfg.wdt_ipa != 0) {
		text_range(out, vm->cfg.wdt_ipa, KZ_WDT_SIZE,
			   mem_printf(&s->mem, "watchdog, INTID %u", vm->cfg.wdt_intid));
	}
	if (vm->trace != 0) {
		text_range(out, vm->cfg.region[vm->trace].ipa, vm->cfg.region[vm->trace].size,
			   "trace");
	}
	for (unsigned i = 0; i < vm->device_count; i++) {
		text_device(s, &vm->device[i], out);
	}
}

void map_rights(struct sys *s, FILE *out)
{
	for (unsigned v = 0; v < s->vm_count; v++) {
		if (control_is_any(&s->vm[v])) {
			fprintf(out, "vm %s has control: %s\n", s->vm[v].conf->name.s,
				control_text(s, &s->vm[v]));
		}
	}
}

void map_text(struct sys *s, FILE *out)
{
	fprintf(out, "%s on board %s: GICv%u, image of %s at 0x%llx\n\n", s->diag.file,
		s->board.name, s->board.m.gic_version, map_size(&s->mem, s->image_size),
		(unsigned long long)s->board.image_pa);
	text_cores(s, out);
	text_memory(s, out);
	text_free(s, out);
	for (unsigned v = 0; v < s->vm_count; v++) {
		text_vm(s, &s->vm[v], out);
	}
}
