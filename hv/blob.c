/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include "span.h"

#define AFFINITY_MASK 0xff00ffffffull /* MPIDR_EL1.Aff3, Aff2, Aff1, Aff0: Arm ARM D17.2.101 */
#define SPI_MIN       32u
#define LINES_MIN     64u
#define LINES_MAX     1024u
#define IPA_END       (1ull << KZ_IPA_BITS)
#define OWN_MAX       7u /* the image, the trace, four GIC frames, the console */
#define TAKEN_MAX     (OWN_MAX + KZ_VMS_MAX * KZ_REGIONS_MAX)

/* What has been seen so far. */
struct check {
	const struct kz_cfg *cfg;
	struct blob_where where;
	uint32_t cpus_used, cpus_hard;       /* a bit for each core: has a vCPU, an HRT one */
	uint32_t intid_used[LINES_MAX / 32]; /* a bit for each interrupt of the machine */
	uint32_t own_count, taken_count;
	struct span taken[TAKEN_MAX]; /* pages: the hypervisor's, then the VMs' */
	uint32_t ram_count;
	struct span ram[KZ_REGIONS_MAX]; /* as the VM at hand addresses it */
};

/* A field of one or four bytes, and what it may be. */
struct rule {
	uint16_t at;
	uint8_t width;
	uint8_t err;
	uint16_t min, max;
};

#define RULE(type, field, lo, hi, code)                                                       \
	{                                                                                     \
		offsetof(struct type, field), sizeof(((struct type *)0)->field), code, lo, hi \
	}

static const struct rule header_rules[] = {
	RULE(kz_cfg, version, KZ_BLOB_VERSION, KZ_BLOB_VERSION, BLOB_VERSION),
	RULE(kz_cfg, vm_count, 1, KZ_VMS_MAX, BLOB_VM_COUNT),
};

static const struct rule machine_rules[] = {
	RULE(kz_cfg_machine, cpu_count, 1, KZ_CPUS_MAX, BLOB_CPU_COUNT),
	RULE(kz_cfg_machine, ram_count, 1, KZ_RAMS_MAX, BLOB_RAM),
	RULE(kz_cfg_machine, conduit, KZ_CONDUIT_SMC, KZ_CONDUIT_SMC, BLOB_CONDUIT),
	RULE(kz_cfg_machine, gic_version, 2, 3, BLOB_GIC),
	RULE(kz_cfg_machine, gic_lines, LINES_MIN, LINES_MAX, BLOB_GIC),
	RULE(kz_cfg_machine, vtimer_intid, 16, 31, BLOB_PPI),
	RULE(kz_cfg_machine, uart, 0, KZ_UARTS - 1, BLOB_UART),
	RULE(kz_cfg_machine, trace_chunks, KZ_TRACE_CHUNKS_MIN, KZ_TRACE_CHUNKS_MAX, BLOB_TRACE),
	RULE(kz_cfg_machine, trace_mode, 0, KZ_TRACE_MODES - 1, BLOB_TRACE),
	RULE(kz_cfg_machine, trace_on_crash, 0, 1, BLOB_TRACE),
};

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
	RULE(kz_cfg_vm, reserved, 0, 0, BLOB_RESERVED),
	RULE(kz_cfg_vm, reserved2, 0, 0, BLOB_RESERVED),
	RULE(kz_cfg_vm, server.weight, 0, KZ_WEIGHT_MAX, BLOB_SERVER),
	RULE(kz_cfg_vm, server.on_miss, 0, KZ_EVENTS - 1, BLOB_SERVER),
	RULE(kz_cfg_vm, server.on_overrun, 0, KZ_EVENTS - 1, BLOB_SERVER),
};

_Static_assert((KZ_VM_FLAGS & (KZ_VM_FLAGS + 1)) == 0, "flags: a range is a mask");

/* As many rounds as there are rules. */
static enum blob_err rules_check(const void *base, const struct rule *rule, uint32_t count)
{
	for (; count > 0; count--, rule++) {
		const uint8_t *field = (const uint8_t *)base + rule->at;
		uint32_t value =
			(rule->width == 4) ? *(const uint32_t *)(const void *)field : *field;

		if ((value < rule->min) || (value > rule->max)) {
			return (enum blob_err)rule->err;
		}
	}
	return BLOB_OK;
}

#define RULES_CHECK(base, rules) rules_check(base, rules, sizeof(rules) / sizeof((rules)[0]))

/* [a-z0-9_-]+, then NULs to the end. At most KZ_NAME_MAX rounds. */
static bool name_is_valid(const char *name)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < KZ_NAME_MAX; i++) {
		char c = name[i];
		bool word = ((c >= 'a') && (c <= 'z')) || ((c >= '0') && (c <= '9')) ||
			    (c == '_') || (c == '-');

		if (word && (len == i)) {
			len++;
		} else if (c != '\0') {
			return false;
		}
	}
	return (len > 0) && (len < KZ_NAME_MAX);
}

static bool name_is_same(const char *a, const char *b)
{
	for (uint32_t i = 0; i < KZ_NAME_MAX; i++) { /* KZ_NAME_MAX rounds */
		if (a[i] != b[i]) {
			return false;
		}
	}
	return true;
}

static bool spi_is_valid(uint32_t intid, uint32_t lines)
{
	return (intid >= SPI_MIN) && (intid < lines) && (intid < KZ_INTID_MAX);
}

/* ---- The machine ---- */

/* The banks, as spans: struct kz_cfg_ram has the same two fields. */
static const struct span *ram_spans(const struct kz_cfg_machine *m)
{
	_Static_assert(sizeof(struct span) == sizeof(struct kz_cfg_ram), "the same");
	return (const struct span *)(const void *)m->ram;
}

static enum blob_err check_header(struct check *c, size_t avail)
{
	const struct kz_cfg *cfg = c->cfg;
	enum blob_err err;

	if (avail < sizeof(*cfg)) {
		return BLOB_TRUNCATED;
	}
	if (cfg->magic != KZ_BLOB_MAGIC) {
		return BLOB_MAGIC;
	}
	err = RULES_CHECK(cfg, header_rules);
	if (err != BLOB_OK) {
		return err;
	}
	if (cfg->size != sizeof(*cfg) + cfg->vm_count * sizeof(struct kz_cfg_vm)) {
		return BLOB_SIZE;
	}
	if (cfg->size > avail) {
		return BLOB_TRUNCATED;
	}
	c->taken[0] = (struct span){ cfg->image_pa, cfg->image_size };
	if (!pages_are_valid(c->taken[0], KZ_PA_LIMIT) ||
	    ((cfg->blob_offset % KZ_PAGE_SIZE) != 0) ||
	    !span_fits(cfg->blob_offset, cfg->size, cfg->image_size)) {
		return BLOB_IMAGE;
	}
	return (cfg->reserved == 0) ? BLOB_OK : BLOB_RESERVED;
}

static enum blob_err check_machine_fields(const struct kz_cfg_machine *m)
{
	enum blob_err err = RULES_CHECK(m, machine_rules);

	if (err != BLOB_OK) {
		return err;
	}
	if (!name_is_valid(m->board)) {
		return BLOB_NAME;
	}
	return ((m->gic_lines % 32) == 0) ? BLOB_OK : BLOB_GIC;
}

static enum blob_err check_cores(struct check *c, const struct kz_cfg_machine *m)
{
	for (uint32_t i = 0; i < m->cpu_count; i++) { /* KZ_CPUS_MAX squared */
		c->where.index = i;
		if (m->reserve_ppm[i] > 1000000) {
			return BLOB_SERVER;
		}
		if ((m->mpidr[i] & ~AFFINITY_MASK) != 0) {
			return BLOB_MPIDR;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (m->mpidr[i] == m->mpidr[j]) {
				return BLOB_MPIDR;
			}
		}
	}
	if ((m->proven >> m->cpu_count) != 0) {
		return BLOB_SERVER;
	}
	return (m->console_cpu < m->cpu_count) ? BLOB_OK : BLOB_CONSOLE_CPU;
}

static enum blob_err check_ram(struct check *c, const struct kz_cfg_machine *m)
{
	for (uint32_t i = 0; i < m->ram_count; i++) { /* KZ_RAMS_MAX squared */
		c->where.index = i;
		if (!pages_are_valid(ram_spans(m)[i], KZ_PA_LIMIT) ||
		    spans_hit(ram_spans(m), i, ram_spans(m)[i])) {
			return BLOB_RAM;
		}
	}
	return spans_have(ram_spans(m), m->ram_count, c->taken[0]) ? BLOB_OK : BLOB_IMAGE_RAM;
}

/* The page with struct kz_trace_mem, and the rings behind it, in one bank. */
static enum blob_err check_trace(struct check *c, const struct kz_cfg_machine *m)
{
	struct span s = { m->trace_pa, blob_trace_size(m) };

	c->where.index = 0;
	return (pages_take(c->taken, &c->own_count, s, KZ_PA_LIMIT) &&
		spans_have(ram_spans(m), m->ram_count, s))
		       ? BLOB_OK
		       : BLOB_TRACE;
}

/* Take a frame of the hypervisor's own, if it can be one. */
static bool frame_take(struct check *c, uint64_t base, uint64_t size)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span s = { base, size };

	return (base != 0) && !spans_hit(ram_spans(m), m->ram_count, s) &&
	       pages_take(c->taken, &c->own_count, s, KZ_PA_LIMIT);
}

static uint64_t gicd_size(const struct kz_cfg_machine *m)
{
	return (m->gic_version == 2) ? KZ_GICD2_SIZE : KZ_GICD3_SIZE;
}

static enum blob_err check_gic(struct check *c, const struct kz_cfg_machine *m)
{
	bool ok = frame_take(c, m->gicd_pa, gicd_size(m));

	c->where.index = 0;
	if (m->gic_version == 2) {
		ok = ok && frame_take(c, m->gicc_pa, KZ_GICC_SIZE) &&
		     frame_take(c, m->gich_pa, KZ_GICC_SIZE) &&
		     frame_take(c, m->gicv_pa, KZ_GICC_SIZE);
	} else {
		ok = ok && (m->gicr_size >= m->cpu_count * (uint64_t)KZ_GICR_SIZE) &&
		     frame_take(c, m->gicr_pa, m->gicr_size);
	}
	return ok ? BLOB_OK : BLOB_GIC_FRAME;
}

/* Take an interrupt of the machine; false if it is taken. */
static bool intid_take(struct check *c, uint32_t intid)
{
	uint32_t bit = 1u << (intid % 32);
	uint32_t *word = &c->intid_used[intid / 32];
	bool free = (*word & bit) == 0;

	*word |= bit;
	return free;
}

/* The five PPIs are successive fields. */
static enum blob_err check_ppis(struct check *c, const struct kz_cfg_machine *m)
{
	const uint32_t *ppi = &m->vtimer_intid;

	_Static_assert(offsetof(struct kz_cfg_machine, pmu_intid) -
				       offsetof(struct kz_cfg_machine, vtimer_intid) ==
			       16,
		       "five fields");
	for (uint32_t i = 0; i < 5; i++) { /* 5 rounds */
		c->where.index = i;
		if ((ppi[i] != 0) &&
		    ((ppi[i] < 16) || (ppi[i] >= SPI_MIN) || !intid_take(c, ppi[i]))) {
			return BLOB_PPI;
		}
	}
	return BLOB_OK;
}

static enum blob_err check_uart(struct check *c, const struct kz_cfg_machine *m)
{
	bool ok = (m->uart_intid == 0) ||
		  (spi_is_valid(m->uart_intid, m->gic_lines) && intid_take(c, m->uart_intid));

	if (m->uart == KZ_UART_NONE) {
		ok = (m->uart_intid | m->uart_pa) == 0;
	} else {
		ok = ok && frame_take(c, m->uart_pa, KZ_CONSOLE_SIZE);
	}
	return ok ? BLOB_OK : BLOB_UART;
}

static enum blob_err check_machine(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	enum blob_err err = check_machine_fields(m);

	err = (err != BLOB_OK) ? err : check_cores(c, m);
	err = (err != BLOB_OK) ? err : check_ram(c, m);
	err = (err != BLOB_OK) ? err : check_trace(c, m);
	err = (err != BLOB_OK) ? err : check_gic(c, m);
	err = (err != BLOB_OK) ? err : check_uart(c, m);
	err = (err != BLOB_OK) ? err : check_ppis(c, m);
	return err;
}

/* ---- A VM ---- */

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

/* The fields that stand alone, and the name beside the earlier VMs'. */
static enum blob_err check_vm_fields(struct check *c, const struct kz_cfg_vm *vm)
{
	enum blob_err err = RULES_CHECK(vm, vm_rules);

	if (err != BLOB_OK) {
		return err;
	}
	if (!name_is_valid(vm->name)) {
		return BLOB_NAME;
	}
	for (uint32_t v = 0; v < c->where.vm; v++) { /* KZ_VMS_MAX rounds */
		if (name_is_same(blob_vm(c->cfg, v)->name, vm->name)) {
			return BLOB_NAME_TWICE;
		}
	}
	if (((vm->flags & KZ_VM_SGI_DIRECT) != 0) &&
	    ((vm->level != KZ_HRT) || (c->cfg->machine.gic_version != 3))) {
		return BLOB_VM_FLAGS;
	}
	if (!server_is_valid(&vm->server, vm->level == KZ_HRT)) {
		return BLOB_SERVER;
	}
	return ((vm->irq_lines % 32) == 0) ? BLOB_OK : BLOB_IRQ_LINES;
}

/* A VM has one vCPU of a core, a hard real-time VM the core. */
static enum blob_err check_vm_cpus(struct check *c, const struct kz_cfg_vm *vm)
{
	bool hard = (vm->level == KZ_HRT);
	uint32_t taken = hard ? c->cpus_used : c->cpus_hard;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) { /* KZ_VCPUS_MAX rounds */
		uint32_t bit = 1u << (vm->cpu[i] % 32);

		c->where.index = i;
		if (vm->cpu[i] >= c->cfg->machine.cpu_count) {
			return BLOB_VCPU;
		}
		if ((taken & bit) != 0) {
			return BLOB_CPU_TWICE;
		}
		taken |= bit;
		c->cpus_used |= bit;
		c->cpus_hard |= hard ? bit : 0;
	}
	return BLOB_OK;
}

static enum blob_err check_vm_irqs(struct check *c, const struct kz_cfg_vm *vm)
{
	for (uint32_t i = 0; i < vm->irq_count; i++) { /* KZ_IRQS_MAX rounds */
		const struct kz_cfg_irq *irq = &vm->irq[i];

		c->where.index = i;
		if (!spi_is_valid(irq->intid, c->cfg->machine.gic_lines) ||
		    (irq->intid >= vm->irq_lines) || ((irq->flags & ~KZ_IRQ_FLAGS) != 0)) {
			return BLOB_IRQ;
		}
		if ((irq->intid == vm->console_intid) || !intid_take(c, irq->intid)) {
			return BLOB_IRQ_TWICE;
		}
	}
	return BLOB_OK;
}

/* May a region of this type be there? Then its pages are taken. */
static enum blob_err check_region(struct check *c, const struct kz_cfg_region *r)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span pa = { r->pa, r->size };

	if ((r->type >= KZ_REGION_TYPES) || (r->reserved != 0) ||
	    !pages_are_valid(pa, KZ_PA_LIMIT)) {
		return BLOB_REGION;
	}
	if ((r->type == KZ_REGION_RAM) && !spans_have(ram_spans(m), m->ram_count, pa)) {
		return BLOB_REGION_RAM;
	}
	if ((r->type == KZ_REGION_DEVICE) && spans_hit(ram_spans(m), m->ram_count, pa)) {
		return BLOB_REGION_DEVICE;
	}
	if (spans_hit(c->taken, c->taken_count, pa)) {
		return spans_hit(c->taken, c->own_count, pa) ? BLOB_REGION_OWN : BLOB_REGION_TWICE;
	}
	c->taken[c->taken_count] = pa;
	c->taken_count++;
	return BLOB_OK;
}

/* All that the guest can address: regions, then the frames that are emulated. */
static enum blob_err check_vm_space(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span ipa[KZ_REGIONS_MAX + 3];
	const struct span frames[3] = {
		{ vm->gicd_ipa, gicd_size(m) },
		{ vm->gicc_ipa,
		  (m->gic_version == 2) ? KZ_GICC_SIZE : vm->vcpu_count * KZ_GICR_SIZE },
		{ vm->console_ipa, KZ_CONSOLE_SIZE },
	};
	uint32_t count = vm->region_count + ((vm->console == KZ_CONSOLE_PL011) ? 3u : 2u);
	uint32_t n = 0;

	c->ram_count = 0;
	while (n < count) { /* KZ_REGIONS_MAX + 3 rounds, squared */
		struct span s;

		c->where.index = n;
		if (n < vm->region_count) {
			enum blob_err err = check_region(c, &vm->region[n]);

			if (err != BLOB_OK) {
				return err;
			}
			s = (struct span){ vm->region[n].ipa, vm->region[n].size };
			if (vm->region[n].type == KZ_REGION_RAM) {
				c->ram[c->ram_count++] = s;
			}
		} else {
			s = frames[n - vm->region_count];
		}
		if (!pages_take(ipa, &n, s, IPA_END)) {
			return BLOB_IPA;
		}
	}
	return BLOB_OK;
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
static enum blob_err check_vm_console(struct check *c, const struct kz_cfg_vm *vm)
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
	/* An HRT VM gets its console's interrupt from the distributor of the machine. */
	if (ok && (intid != 0) && (vm->level == KZ_HRT)) {
		ok = intid < c->cfg->machine.gic_lines;
		if (ok && !intid_take(c, intid)) {
			return BLOB_IRQ_TWICE;
		}
	}
	return ok ? BLOB_OK : BLOB_CONSOLE;
}

static enum blob_err check_vm_loads(struct check *c, const struct kz_cfg_vm *vm)
{
	uint64_t room = c->cfg->image_size - c->cfg->blob_offset;

	if ((((vm->entry % 4) | (vm->arg % 8)) != 0) || !ram_has(c, vm->entry, 4) ||
	    !ram_has(c, vm->arg, 8)) {
		return BLOB_ENTRY;
	}
	for (uint32_t i = 0; i < vm->load_count; i++) { /* KZ_LOADS_MAX rounds */
		const struct kz_cfg_load *l = &vm->load[i];

		c->where.index = i;
		if ((l->size == 0) || ((l->offset % 64) != 0) || (l->offset < c->cfg->size) ||
		    !span_fits(l->offset, l->size, room) || !ram_has(c, l->ipa, l->size)) {
			return BLOB_LOAD;
		}
	}
	return BLOB_OK;
}

static enum blob_err check_vm(struct check *c, const struct kz_cfg_vm *vm)
{
	enum blob_err err = check_vm_fields(c, vm);

	err = (err != BLOB_OK) ? err : check_vm_cpus(c, vm);
	err = (err != BLOB_OK) ? err : check_vm_irqs(c, vm);
	err = (err != BLOB_OK) ? err : check_vm_space(c, vm);
	if (err == BLOB_OK) {
		c->where.index = 0;
		err = check_vm_console(c, vm);
	}
	return (err != BLOB_OK) ? err : check_vm_loads(c, vm);
}

/* The console is served by a core that has the time for it, if there is one. */
static enum blob_err check_console_cpu(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	uint32_t all = (1u << m->cpu_count) - 1;

	c->where = (struct blob_where){ BLOB_NO_VM, m->console_cpu };
	if ((c->cpus_hard != all) && ((c->cpus_hard >> m->console_cpu & 1) != 0)) {
		return BLOB_CONSOLE_CPU;
	}
	return BLOB_OK;
}

enum blob_err blob_check(const struct kz_cfg *cfg, size_t avail, struct blob_where *where)
{
	struct check c;
	enum blob_err err;

	c.cfg = cfg;
	c.where = (struct blob_where){ BLOB_NO_VM, 0 };
	c.cpus_used = 0;
	c.cpus_hard = 0;
	for (uint32_t i = 0; i < LINES_MAX / 32; i++) { /* 32 rounds */
		c.intid_used[i] = 0;
	}
	c.own_count = 1;
	err = check_header(&c, avail);
	err = (err != BLOB_OK) ? err : check_machine(&c);
	c.taken_count = c.own_count;
	for (uint32_t v = 0; (err == BLOB_OK) && (v < cfg->vm_count); v++) { /* KZ_VMS_MAX */
		c.where = (struct blob_where){ v, 0 };
		err = check_vm(&c, blob_vm(cfg, v));
	}
	err = (err != BLOB_OK) ? err : check_console_cpu(&c);
	*where = c.where;
	return err;
}
