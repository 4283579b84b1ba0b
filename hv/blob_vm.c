/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_check.h"

#define IPA_END    (1ull << KZ_IPA_BITS)
#define FRAMES     4u /* that are emulated: distributor, CPU interface, console, watchdog */
#define RIGHT_ALL  0xffu

static const struct rule vm_rules[] = {
	RULE(kz_cfg_vm, level, 0, KZ_LEVELS - 1, BLOB_VM_TYPE),
	RULE(kz_cfg_vm, on_fault, 0, KZ_FAULTS - 1, BLOB_VM_TYPE),
	RULE(kz_cfg_vm, console, 0, KZ_CONSOLES - 1, BLOB_VM_TYPE),
	RULE(kz_cfg_vm, vcpu_count, 1, KZ_VCPUS_MAX, BLOB_VM_COUNTS),
	RULE(kz_cfg_vm, region_count, 1, KZ_REGIONS_MAX, BLOB_VM_COUNTS),
	RULE(kz_cfg_vm, load_count, 0, KZ_LOADS_MAX, BLOB_VM_COUNTS),
	RULE(kz_cfg_vm, irq_count, 0, KZ_IRQS_MAX, BLOB_VM_COUNTS),
	RULE(kz_cfg_vm, flags, 0, KZ_VM_FLAGS, BLOB_VM_FLAGS),
	RULE(kz_cfg_vm, irq_lines, LINES_MIN, LINES_MAX, BLOB_IRQ_LINES),
	RULE(kz_cfg_vm, restart, 0, KZ_RESTARTS - 1, BLOB_RESTART),
	RULE(kz_cfg_vm, reserved2, 0, 0, BLOB_RESERVED),
	RULE(kz_cfg_vm, server.weight, 0, KZ_WEIGHT_MAX, BLOB_SERVER),
	RULE(kz_cfg_vm, server.on_miss, 0, KZ_EVENTS - 1, BLOB_SERVER),
	RULE(kz_cfg_vm, server.on_overrun, 0, KZ_EVENTS - 1, BLOB_SERVER),
};

_Static_assert((KZ_VM_FLAGS & (KZ_VM_FLAGS + 1)) == 0, "flags: a range is a mask");

static bool name_is_same(const char *a, const char *b)
{
	for (uint32_t i = 0; i < KZ_NAME_MAX; i++) { /* KZ_NAME_MAX rounds */
		if (a[i] != b[i]) {
			return false;
		}
	}
	return true;
}

/* ---- Alone ---- */

/* No server, or one that a core can have; a hard real-time VM shares nothing. */
static bool server_is_valid(const struct kz_cfg_server *s, bool hard)
{
	if ((hard != (s->weight == 0)) || (s->reserved != 0)) {
		return false;
	}
	if ((s->budget_ns | s->period_ns | s->deadline_ns) == 0) {
		return true;
	}
	return !hard && (s->budget_ns >= KZ_BUDGET_MIN) && (s->budget_ns <= s->deadline_ns) &&
	       (s->deadline_ns <= s->period_ns) && (s->period_ns >= KZ_PERIOD_MIN) &&
	       (s->period_ns <= KZ_PERIOD_MAX);
}

/* Rights name VMs of the blob, or all; who comes later has none. */
static bool rights_are_valid(const struct check *c, const struct kz_cfg_vm *vm)
{
	for (uint32_t i = 0; i < KZ_RIGHTS; i++) { /* KZ_RIGHTS rounds */
		uint32_t vms = vm->rights[i];
		bool named = !c->live && (i <= KZ_RIGHT_CREATE) &&
			     ((vms == RIGHT_ALL) || ((vms >> c->cfg->vm_count) == 0));

		if ((vms != 0) && !named) {
			return false;
		}
	}
	return true;
}

/* What follows a failure, and what finds one. */
static enum blob_err check_health(const struct kz_cfg_vm *vm)
{
	uint64_t ns = vm->watchdog_ns;
	bool wdt = (vm->wdt_ipa != 0);

	if ((vm->backoff_ms > vm->backoff_max_ms) || (vm->backoff_max_ms > KZ_BACKOFF_MAX)) {
		return BLOB_RESTART;
	}
	if (((ns != 0) && ((ns < KZ_WATCHDOG_MIN) || (ns > KZ_WATCHDOG_MAX))) ||
	    (wdt ? !spi_is_valid(vm->wdt_intid, vm->irq_lines) : (vm->wdt_intid != 0)) ||
	    (wdt && (vm->wdt_intid == vm->console_intid))) {
		return BLOB_WATCHDOG;
	}
	return BLOB_OK;
}

/* The fields that stand alone. */
static enum blob_err check_fields(const struct check *c, const struct kz_cfg_vm *vm)
{
	enum blob_err err = RULES_CHECK(vm, vm_rules);

	if (err != BLOB_OK) {
		return err;
	}
	if (!name_is_valid(vm->name)) {
		return BLOB_NAME;
	}
	if (((vm->flags & KZ_VM_SGI_DIRECT) != 0) &&
	    ((vm->level != KZ_HRT) || (c->cfg->machine.gic_version != 3))) {
		return BLOB_VM_FLAGS;
	}
	if (!server_is_valid(&vm->server, vm->level == KZ_HRT)) {
		return BLOB_SERVER;
	}
	if (!rights_are_valid(c, vm)) {
		return BLOB_RIGHTS;
	}
	return ((vm->irq_lines % 32) == 0) ? check_health(vm) : BLOB_IRQ_LINES;
}

/* A VM has one vCPU of a core. The core of the console cannot become an HRT VM's any more. */
static enum blob_err check_cpus(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	c->cpus = 0;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) { /* KZ_VCPUS_MAX rounds */
		uint32_t bit = 1u << (vm->cpu[i] % 32);

		c->where.index = i;
		if (vm->cpu[i] >= m->cpu_count) {
			return BLOB_VCPU;
		}
		if ((c->cpus & bit) != 0) {
			return BLOB_CPU_TWICE;
		}
		if (c->live && (vm->level == KZ_HRT) && (vm->cpu[i] == m->console_cpu)) {
			return BLOB_CONSOLE_CPU;
		}
		c->cpus |= bit;
	}
	return BLOB_OK;
}

static bool intid_is_taken(const struct check *c, uint32_t intid)
{
	return (c->intids[intid / 32] >> (intid % 32) & 1) != 0;
}

/* Take an interrupt of the machine; false if it is taken. */
static bool intid_take(struct check *c, uint32_t intid)
{
	bool free = !intid_is_taken(c, intid);

	c->intids[intid / 32] |= 1u << (intid % 32);
	return free;
}

/* Interrupts that are passed through, and of what is emulated: an HRT VM's are the machine's. */
static enum blob_err check_irqs(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	for (uint32_t i = 0; i < LINES_MAX / 32; i++) { /* 32 rounds */
		c->intids[i] = 0;
	}
	(void)intid_take(c, m->uart_intid);
	for (uint32_t i = 0; i < vm->irq_count; i++) { /* KZ_IRQS_MAX rounds */
		const struct kz_cfg_irq *irq = &vm->irq[i];

		c->where.index = i;
		if (!spi_is_valid(irq->intid, m->gic_lines) || (irq->intid >= vm->irq_lines) ||
		    ((irq->flags & ~KZ_IRQ_FLAGS) != 0)) {
			return BLOB_IRQ;
		}
		if ((irq->intid == vm->console_intid) || (irq->intid == vm->wdt_intid) ||
		    !intid_take(c, irq->intid)) {
			return BLOB_IRQ_TWICE;
		}
	}
	c->where.index = 0;
	if (vm->level == KZ_HRT) {
		if ((vm->console_intid >= m->gic_lines) || (vm->wdt_intid >= m->gic_lines)) {
			return (vm->wdt_intid < m->gic_lines) ? BLOB_CONSOLE : BLOB_WATCHDOG;
		}
		if (((vm->console_intid != 0) && !intid_take(c, vm->console_intid)) ||
		    ((vm->wdt_intid != 0) && !intid_take(c, vm->wdt_intid))) {
			return BLOB_IRQ_TWICE;
		}
	}
	return BLOB_OK;
}

/* Only who sees all VMs may see the trace, which is the hypervisor's. */
static enum blob_err check_region_trace(const struct check *c, const struct kz_cfg_vm *vm,
					struct span pa)
{
	const struct span *trace = &c->own[1];
	bool twice = false;

	for (uint32_t i = 0; i < c->where.index; i++) { /* KZ_REGIONS_MAX rounds */
		twice = twice || (vm->region[i].type == KZ_REGION_TRACE);
	}
	return (!twice && (vm->rights[KZ_RIGHT_LIST] == RIGHT_ALL) && (pa.base == trace->base) &&
		(pa.size == trace->size))
		       ? BLOB_OK
		       : BLOB_REGION_TRACE;
}

/* Who comes later has one store; nobody in a blob does. */
static bool store_note(struct check *c, const struct kz_cfg_region *r)
{
	bool ok = c->live && (c->store_size == 0) && (r->ipa == 0);

	c->store_size = r->size;
	return ok;
}

/* May a region of this type be there? Then its pages are noted, but the trace's. */
static enum blob_err check_region(struct check *c, const struct kz_cfg_vm *vm,
				  const struct kz_cfg_region *r)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span pa = { r->pa, r->size };

	if ((r->type >= KZ_REGION_TYPES) || (r->reserved != 0) ||
	    !pages_are_valid(pa, KZ_PA_LIMIT)) {
		return BLOB_REGION;
	}
	if (r->type == KZ_REGION_TRACE) {
		return check_region_trace(c, vm, pa);
	}
	if (r->type == KZ_REGION_DEVICE) {
		if (spans_hit(ram_spans(m), m->ram_count, pa)) {
			return BLOB_REGION_DEVICE;
		}
	} else if (!spans_have(ram_spans(m), m->ram_count, pa)) {
		return BLOB_REGION_RAM;
	}
	if ((r->type == KZ_REGION_STORE) && !store_note(c, r)) {
		return BLOB_STORE;
	}
	if (spans_hit(c->own, OWN_MAX, pa)) {
		return BLOB_REGION_OWN;
	}
	return spans_insert(c->page, &c->page_count, pa) ? BLOB_OK : BLOB_REGION_TWICE;
}

/* The machine's side of memory and devices, then what the guest addresses. */
static enum blob_err check_regions(struct check *c, const struct kz_cfg_vm *vm)
{
	c->page_count = 0;
	c->ram_count = 0;
	c->store_size = 0;
	for (uint32_t i = 0; i < vm->region_count; i++) { /* KZ_REGIONS_MAX rounds */
		const struct kz_cfg_region *r = &vm->region[i];
		enum blob_err err;

		c->where.index = i;
		err = check_region(c, vm, r);
		if (err != BLOB_OK) {
			return err;
		}
		if (r->type == KZ_REGION_RAM) {
			c->ram[c->ram_count] = (struct span){ r->ipa, r->size };
			c->ram_count++;
		}
	}
	c->where.index = 0;
	if (!c->live) {
		return (vm->store_tables == 0) ? BLOB_OK : BLOB_STORE;
	}
	return ((c->store_size != 0) && (vm->store_tables <= c->store_size / KZ_PAGE_SIZE))
		       ? BLOB_OK
		       : BLOB_STORE;
}

/* All that the guest can address: regions, then the frames that are emulated. */
static enum blob_err check_space(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span ipa[KZ_REGIONS_MAX + FRAMES];
	uint32_t n = 0;
	const struct span frames[FRAMES] = {
		{ vm->gicd_ipa, gicd_size(m) },
		{ vm->gicc_ipa,
		  (m->gic_version == 2) ? KZ_GICC_SIZE : vm->vcpu_count * KZ_GICR_SIZE },
		{ vm->console_ipa, (vm->console == KZ_CONSOLE_PL011) ? KZ_CONSOLE_SIZE : 0u },
		{ vm->wdt_ipa, (vm->wdt_ipa != 0) ? KZ_WDT_SIZE : 0u },
	};

	for (uint32_t i = 0; i < vm->region_count + FRAMES; i++) { /* 16 + FRAMES rounds */
		bool frame = (i >= vm->region_count);
		struct span s;

		c->where.index = i;
		if (frame) {
			s = frames[i - vm->region_count];
		} else {
			s = (struct span){ vm->region[i].ipa, vm->region[i].size };
		}
		if ((frame && (s.size == 0)) ||
		    (!frame && (vm->region[i].type == KZ_REGION_STORE))) {
			continue;
		}
		if (!pages_are_valid(s, IPA_END) || !spans_insert(ipa, &n, s)) {
			return BLOB_IPA;
		}
	}
	c->where.index = 0;
	return (c->live && (vm->store_tables < blob_tables(vm))) ? BLOB_STORE : BLOB_OK;
}

/* Is the guest's [ipa, ipa + size) inside one of its RAM regions? */
static bool ram_has(const struct check *c, uint64_t ipa, uint64_t size)
{
	return spans_have(c->ram, c->ram_count, (struct span){ ipa, size });
}

static bool ram_has_page(const struct check *c, uint64_t ipa)
{
	return ((ipa % KZ_PAGE_SIZE) == 0) && ram_has(c, ipa, KZ_PAGE_SIZE);
}

_Static_assert(KZ_CONSOLE_SIZE == KZ_PAGE_SIZE, "a page");
_Static_assert(KZ_STOLEN_SIZE == KZ_PAGE_SIZE, "a page");

/* The console, and the page of stolen time. */
static enum blob_err check_console(const struct check *c, const struct kz_cfg_vm *vm)
{
	uint32_t intid = vm->console_intid;
	bool ok;

	if (vm->console == KZ_CONSOLE_NONE) {
		ok = (vm->console_ipa | intid) == 0;
	} else if (vm->console == KZ_CONSOLE_RING) {
		ok = (intid == 0) && ram_has_page(c, vm->console_ipa);
	} else {
		ok = (intid == 0) || spi_is_valid(intid, vm->irq_lines);
	}
	if (vm->stolen_ipa != 0) {
		ok = ok && (vm->level != KZ_HRT) && ram_has_page(c, vm->stolen_ipa) &&
		     (vm->stolen_ipa != vm->console_ipa);
	}
	return ok ? BLOB_OK : BLOB_CONSOLE;
}

/* What is copied lies behind the blob, or in the store behind the tables. */
static enum blob_err check_loads(struct check *c, const struct kz_cfg_vm *vm)
{
	uint64_t first = c->live ? 0 : c->cfg->size;
	uint64_t room = c->live ? (c->store_size - vm->store_tables * (uint64_t)KZ_PAGE_SIZE)
				: (c->cfg->image_size - c->cfg->blob_offset);

	if ((((vm->entry % 4) | (vm->arg % 8)) != 0) || !ram_has(c, vm->entry, 4) ||
	    !ram_has(c, vm->arg, 8)) {
		return BLOB_ENTRY;
	}
	for (uint32_t i = 0; i < vm->load_count; i++) { /* KZ_LOADS_MAX rounds */
		const struct kz_cfg_load *l = &vm->load[i];

		c->where.index = i;
		if ((l->size == 0) || ((l->offset % 64) != 0) || (l->offset < first) ||
		    !span_fits(l->offset, l->size, room) || !ram_has(c, l->ipa, l->size)) {
			return BLOB_LOAD;
		}
	}
	return BLOB_OK;
}

enum blob_err vm_check(struct check *c, const struct kz_cfg_vm *vm)
{
	enum blob_err err = check_fields(c, vm);

	err = (err != BLOB_OK) ? err : check_cpus(c, vm);
	err = (err != BLOB_OK) ? err : check_irqs(c, vm);
	err = (err != BLOB_OK) ? err : check_regions(c, vm);
	err = (err != BLOB_OK) ? err : check_space(c, vm);
	err = (err != BLOB_OK) ? err : check_console(c, vm);
	return (err != BLOB_OK) ? err : check_loads(c, vm);
}

/* ---- Beside another one ---- */

/* A hard real-time VM has its cores for itself. */
static enum blob_err beside_cpus(struct check *c, const struct kz_cfg_vm *vm,
				 const struct kz_cfg_vm *other)
{
	uint32_t cpus = 0;

	if ((vm->level != KZ_HRT) && (other->level != KZ_HRT)) {
		return BLOB_OK;
	}
	for (uint32_t i = 0; i < other->vcpu_count; i++) { /* KZ_VCPUS_MAX rounds */
		cpus |= 1u << other->cpu[i];
	}
	for (uint32_t i = 0; i < vm->vcpu_count; i++) { /* KZ_VCPUS_MAX rounds */
		c->where.index = i;
		if ((cpus >> vm->cpu[i] & 1) != 0) {
			return BLOB_CPU_TWICE;
		}
	}
	return BLOB_OK;
}

static enum blob_err intid_twice(struct check *c, const struct kz_cfg_vm *vm, uint32_t intid)
{
	c->where.index = 0;
	for (uint32_t i = 0; i < vm->irq_count; i++) { /* KZ_IRQS_MAX rounds */
		if (vm->irq[i].intid == intid) {
			c->where.index = i;
		}
	}
	return BLOB_IRQ_TWICE;
}

static enum blob_err beside_irqs(struct check *c, const struct kz_cfg_vm *vm,
				 const struct kz_cfg_vm *other)
{
	const struct kz_cfg_irq *irq = other->irq;
	const struct kz_cfg_irq *end = irq + other->irq_count;

	while ((irq < end) && !intid_is_taken(c, irq->intid)) { /* KZ_IRQS_MAX rounds */
		irq++;
	}
	if (irq < end) {
		return intid_twice(c, vm, irq->intid);
	}
	for (uint32_t i = 0; (i < 2) && (other->level == KZ_HRT); i++) { /* 2 rounds */
		uint32_t intid = (i == 0) ? other->console_intid : other->wdt_intid;

		if ((intid != 0) && intid_is_taken(c, intid)) {
			return intid_twice(c, vm, intid);
		}
	}
	return BLOB_OK;
}

/* The trace's pages are no VM's: c->page has none of them, so that another's view of it fits. */
static enum blob_err beside_regions(struct check *c, const struct kz_cfg_vm *vm,
				    const struct kz_cfg_vm *other)
{
	for (uint32_t k = 0; k < other->region_count; k++) { /* KZ_REGIONS_MAX rounds */
		struct span s = { other->region[k].pa, other->region[k].size };
		uint32_t n = spans_before(c->page, c->page_count, s);

		if ((n > 0) && span_ends_in(c->page[n - 1], s)) {
			uint32_t i = 0;

			while (vm->region[i].pa != c->page[n - 1].base) { /* KZ_REGIONS_MAX */
				i++;
			}
			c->where.index = i;
			return BLOB_REGION_TWICE;
		}
	}
	return BLOB_OK;
}

enum blob_err vm_check_beside(struct check *c, const struct kz_cfg_vm *vm,
			      const struct kz_cfg_vm *other)
{
	enum blob_err err = BLOB_OK;

	c->where.index = 0;
	if (name_is_same(vm->name, other->name)) {
		err = BLOB_NAME_TWICE;
	}
	err = (err != BLOB_OK) ? err : beside_cpus(c, vm, other);
	err = (err != BLOB_OK) ? err : beside_irqs(c, vm, other);
	return (err != BLOB_OK) ? err : beside_regions(c, vm, other);
}

/* ---- How many tables ---- */

/*
 * Blocks of 1 << shift bytes at ipa that an entry of that size does not cover: each has
 * a table. They are the ends of what is congruent, else all.
 */
static uint32_t tables_of(const struct kz_cfg_region *r, uint32_t shift)
{
	uint64_t mask = (1ull << shift) - 1;
	uint64_t end = r->ipa + r->size;
	uint32_t all = (uint32_t)(((end - 1) >> shift) - (r->ipa >> shift)) + 1;
	uint32_t ends = (((r->ipa & mask) != 0) ? 1u : 0u) + (((end & mask) != 0) ? 1u : 0u);

	return ((((r->ipa ^ r->pa) & mask) != 0) || (ends > all)) ? all : ends;
}

uint32_t blob_tables(const struct kz_cfg_vm *vm)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i <= vm->region_count; i++) { /* KZ_REGIONS_MAX + 1 rounds */
		struct kz_cfg_region r = { vm->gicc_ipa, ~vm->gicc_ipa, KZ_GICC_SIZE, 0, 0 };

		if (i < vm->region_count) {
			r = vm->region[i];
		}
		if (r.type != KZ_REGION_STORE) {
			n += tables_of(&r, 30) + tables_of(&r, 21);
		}
	}
	return n;
}
