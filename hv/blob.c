/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include <stdbool.h>

#define AFFINITY_MASK	0xff00ffffffull	/* MPIDR_EL1.Aff3, Aff2, Aff1, Aff0: Arm ARM D17.2.101 */
#define SPI_MIN		32u
#define LINES_MAX	1024u
#define IPA_END		(1ull << KZ_IPA_BITS)

struct span {
	uint64_t base, size;
};

/* What of the machine is the hypervisor's: GIC frames and the console. */
struct frames {
	struct span span[5];
	uint32_t count;
};

struct check {
	const struct kz_cfg *cfg;
	struct blob_where *where;
	struct frames own;
};

/* Does [base, base + size) lie in [0, end), without wrapping? */
static bool span_fits(uint64_t base, uint64_t size, uint64_t end)
{
	return (size <= end) && (base <= end - size);
}

/* Both spans are known not to wrap. */
static bool span_overlaps(struct span a, struct span b)
{
	return (a.base < b.base + b.size) && (b.base < a.base + a.size);
}

static bool span_is_in(struct span a, struct span b)
{
	return (a.base >= b.base) && span_fits(a.base - b.base, a.size, b.size);
}

static bool pages_are_valid(struct span s, uint64_t end)
{
	return (((s.base | s.size) % KZ_PAGE_SIZE) == 0) && (s.size != 0) &&
	       span_fits(s.base, s.size, end);
}

static struct span ram_span(const struct kz_cfg_machine *m, uint32_t i)
{
	return (struct span){ m->ram[i].pa, m->ram[i].size };
}

static struct span image_span(const struct kz_cfg *cfg)
{
	return (struct span){ cfg->image_pa, cfg->image_size };
}

static struct span region_pa(const struct kz_cfg_region *r)
{
	return (struct span){ r->pa, r->size };
}

static struct span region_ipa(const struct kz_cfg_region *r)
{
	return (struct span){ r->ipa, r->size };
}

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
	for (uint32_t i = 0; i < KZ_NAME_MAX; i++) {	/* KZ_NAME_MAX rounds */
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

static bool lines_are_valid(uint32_t lines)
{
	return ((lines % 32) == 0) && (lines >= 64) && (lines <= LINES_MAX);
}

static enum blob_err check_header(const struct kz_cfg *cfg, size_t avail)
{
	if (avail < sizeof(*cfg)) {
		return BLOB_TRUNCATED;
	}
	if (cfg->magic != KZ_BLOB_MAGIC) {
		return BLOB_MAGIC;
	}
	if (cfg->version != KZ_BLOB_VERSION) {
		return BLOB_VERSION;
	}
	if ((cfg->vm_count == 0) || (cfg->vm_count > KZ_VMS_MAX)) {
		return BLOB_VM_COUNT;
	}
	if (cfg->size != sizeof(*cfg) + cfg->vm_count * sizeof(struct kz_cfg_vm)) {
		return BLOB_SIZE;
	}
	if (cfg->size > avail) {
		return BLOB_TRUNCATED;
	}
	if ((cfg->reserved != 0) || (cfg->machine.reserved != 0)) {
		return BLOB_RESERVED;
	}
	if (!pages_are_valid(image_span(cfg), KZ_PA_LIMIT) ||
	    ((cfg->blob_offset % KZ_PAGE_SIZE) != 0) ||
	    !span_fits(cfg->blob_offset, cfg->size, cfg->image_size)) {
		return BLOB_IMAGE;
	}
	return BLOB_OK;
}

static enum blob_err check_cores(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	if (!name_is_valid(m->board)) {
		return BLOB_NAME;
	}
	if ((m->cpu_count == 0) || (m->cpu_count > KZ_CPUS_MAX)) {
		return BLOB_CPU_COUNT;
	}
	if (m->console_cpu >= m->cpu_count) {
		return BLOB_CONSOLE_CPU;
	}
	if (m->conduit >= KZ_CONDUITS) {
		return BLOB_CONDUIT;
	}
	for (uint32_t i = 0; i < m->cpu_count; i++) {	/* KZ_CPUS_MAX squared */
		c->where->index = i;
		if ((m->mpidr[i] & ~AFFINITY_MASK) != 0) {
			return BLOB_MPIDR;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (m->mpidr[i] == m->mpidr[j]) {
				return BLOB_MPIDR;
			}
		}
	}
	return BLOB_OK;
}

static enum blob_err check_ram(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	bool has_image = false;

	if ((m->ram_count == 0) || (m->ram_count > KZ_RAMS_MAX)) {
		return BLOB_RAM;
	}
	for (uint32_t i = 0; i < m->ram_count; i++) {	/* KZ_RAMS_MAX squared */
		c->where->index = i;
		if (!pages_are_valid(ram_span(m, i), KZ_PA_LIMIT)) {
			return BLOB_RAM;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (span_overlaps(ram_span(m, i), ram_span(m, j))) {
				return BLOB_RAM;
			}
		}
		has_image = has_image || span_is_in(image_span(c->cfg), ram_span(m, i));
	}
	return has_image ? BLOB_OK : BLOB_IMAGE_RAM;
}

static bool ram_is_hit(const struct kz_cfg_machine *m, struct span s)
{
	for (uint32_t i = 0; i < m->ram_count; i++) {	/* KZ_RAMS_MAX rounds */
		if (span_overlaps(ram_span(m, i), s)) {
			return true;
		}
	}
	return false;
}

/* Is s one of the hypervisor's frames, in part? */
static bool frame_is_hit(const struct frames *own, struct span s)
{
	for (uint32_t i = 0; i < own->count; i++) {	/* 5 rounds */
		if (span_overlaps(own->span[i], s)) {
			return true;
		}
	}
	return false;
}

/* Add a frame of the hypervisor's own, if it can be one. */
static bool frame_add(struct check *c, uint64_t base, uint64_t size)
{
	struct span s = { base, size };

	if ((base == 0) || !pages_are_valid(s, KZ_PA_LIMIT) || ram_is_hit(&c->cfg->machine, s) ||
	    frame_is_hit(&c->own, s)) {
		return false;
	}
	c->own.span[c->own.count] = s;
	c->own.count++;
	return true;
}

static enum blob_err check_gic(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	bool ok;

	if (!lines_are_valid(m->gic_lines)) {
		return BLOB_GIC;
	}
	if (m->gic_version == 2) {
		ok = frame_add(c, m->gicd_pa, KZ_GICD2_SIZE) &&
		     frame_add(c, m->gicc_pa, KZ_GICC_SIZE) &&
		     frame_add(c, m->gich_pa, KZ_GICC_SIZE) &&
		     frame_add(c, m->gicv_pa, KZ_GICC_SIZE);
	} else if (m->gic_version == 3) {
		ok = (m->gicr_size >= m->cpu_count * (uint64_t)KZ_GICR_SIZE) &&
		     frame_add(c, m->gicd_pa, KZ_GICD3_SIZE) &&
		     frame_add(c, m->gicr_pa, m->gicr_size);
	} else {
		return BLOB_GIC;
	}
	return ok ? BLOB_OK : BLOB_GIC_FRAME;
}

static enum blob_err check_ppis(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	const uint32_t ppi[] = { m->vtimer_intid, m->ptimer_intid, m->htimer_intid,
				 m->maint_intid, m->pmu_intid };
	uint32_t seen = 0;

	for (uint32_t i = 0; i < 5; i++) {		/* 5 rounds */
		c->where->index = i;
		if (ppi[i] == 0) {
			continue;
		}
		if ((ppi[i] < 16) || (ppi[i] >= SPI_MIN) || ((seen & (1u << ppi[i])) != 0)) {
			return BLOB_PPI;
		}
		seen |= 1u << ppi[i];
	}
	return (m->vtimer_intid == 0) ? BLOB_PPI : BLOB_OK;
}

static enum blob_err check_uart(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	if (m->uart >= KZ_UARTS) {
		return BLOB_UART;
	}
	if (m->uart == KZ_UART_NONE) {
		return ((m->uart_intid | m->uart_pa) == 0) ? BLOB_OK : BLOB_UART;
	}
	if ((m->uart_intid != 0) && !spi_is_valid(m->uart_intid, m->gic_lines)) {
		return BLOB_UART;
	}
	return frame_add(c, m->uart_pa, KZ_CONSOLE_SIZE) ? BLOB_OK : BLOB_UART;
}

static enum blob_err check_machine(struct check *c)
{
	enum blob_err (*const step[])(struct check *) = {
		check_cores, check_ram, check_gic, check_ppis, check_uart,
	};
	enum blob_err err = BLOB_OK;

	for (uint32_t i = 0; (i < 5) && (err == BLOB_OK); i++) {	/* 5 rounds */
		c->where->index = 0;
		err = step[i](c);
	}
	return err;
}

/* The fields that stand alone. */
static enum blob_err check_vm_fields(struct check *c, const struct kz_cfg_vm *vm)
{
	if (!name_is_valid(vm->name)) {
		return BLOB_NAME;
	}
	if ((vm->level >= KZ_LEVELS) || (vm->on_fault >= KZ_FAULTS) ||
	    (vm->console >= KZ_CONSOLES)) {
		return BLOB_VM_TYPE;
	}
	if ((vm->vcpu_count == 0) || (vm->vcpu_count > KZ_VCPUS_MAX) ||
	    (vm->region_count == 0) || (vm->region_count > KZ_REGIONS_MAX) ||
	    (vm->load_count > KZ_LOADS_MAX) || (vm->irq_count > KZ_IRQS_MAX)) {
		return BLOB_VM_COUNTS;
	}
	if ((vm->reserved != 0) || (vm->reserved2 != 0)) {
		return BLOB_RESERVED;
	}
	if (((vm->flags & ~KZ_VM_FLAGS) != 0) ||
	    (((vm->flags & KZ_VM_SGI_DIRECT) != 0) &&
	     ((vm->level != KZ_HRT) || (c->cfg->machine.gic_version != 3)))) {
		return BLOB_VM_FLAGS;
	}
	return lines_are_valid(vm->irq_lines) ? BLOB_OK : BLOB_IRQ_LINES;
}

static enum blob_err check_vm_irqs(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;

	for (uint32_t i = 0; i < vm->irq_count; i++) {	/* KZ_IRQS_MAX rounds */
		const struct kz_cfg_irq *irq = &vm->irq[i];

		c->where->index = i;
		if (!spi_is_valid(irq->intid, m->gic_lines) || (irq->intid >= vm->irq_lines) ||
		    ((irq->flags & ~KZ_IRQ_FLAGS) != 0)) {
			return BLOB_IRQ;
		}
		if ((irq->intid == m->uart_intid) || (irq->intid == vm->console_intid)) {
			return BLOB_IRQ_TWICE;
		}
	}
	return BLOB_OK;
}

/* Where may a region of this type be? */
static enum blob_err check_region_place(const struct check *c, const struct kz_cfg_region *r)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span pa = region_pa(r);

	if (r->type == KZ_REGION_DEVICE) {
		return (ram_is_hit(m, pa) || frame_is_hit(&c->own, pa)) ? BLOB_REGION_DEVICE :
									   BLOB_OK;
	}
	if (span_overlaps(pa, image_span(c->cfg))) {
		return BLOB_REGION_RAM;
	}
	for (uint32_t i = 0; i < m->ram_count; i++) {	/* KZ_RAMS_MAX rounds */
		if (span_is_in(pa, ram_span(m, i))) {
			return BLOB_OK;
		}
	}
	return BLOB_REGION_RAM;
}

static enum blob_err check_vm_regions(struct check *c, const struct kz_cfg_vm *vm)
{
	for (uint32_t i = 0; i < vm->region_count; i++) {	/* KZ_REGIONS_MAX squared */
		const struct kz_cfg_region *r = &vm->region[i];
		enum blob_err err;

		c->where->index = i;
		if ((r->type >= KZ_REGION_TYPES) || (r->reserved != 0) ||
		    !pages_are_valid(region_pa(r), KZ_PA_LIMIT) ||
		    !pages_are_valid(region_ipa(r), IPA_END)) {
			return BLOB_REGION;
		}
		err = check_region_place(c, r);
		if (err != BLOB_OK) {
			return err;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (span_overlaps(region_ipa(r), region_ipa(&vm->region[j]))) {
				return BLOB_IPA;
			}
		}
	}
	return BLOB_OK;
}

/* Is the guest's [ipa, ipa + size) inside one of its RAM regions? */
static bool vm_has_ram(const struct kz_cfg_vm *vm, uint64_t ipa, uint64_t size)
{
	for (uint32_t i = 0; i < vm->region_count; i++) {	/* KZ_REGIONS_MAX rounds */
		const struct kz_cfg_region *r = &vm->region[i];

		if ((r->type == KZ_REGION_RAM) &&
		    span_is_in((struct span){ ipa, size }, region_ipa(r))) {
			return true;
		}
	}
	return false;
}

/* The frames that are emulated must lie beside each other and beside all regions. */
static enum blob_err check_vm_frames(struct check *c, const struct kz_cfg_vm *vm)
{
	bool v2 = (c->cfg->machine.gic_version == 2);
	const struct span frame[] = {
		{ vm->gicd_ipa, v2 ? KZ_GICD2_SIZE : KZ_GICD3_SIZE },
		{ vm->gicc_ipa, v2 ? KZ_GICC_SIZE : vm->vcpu_count * (uint64_t)KZ_GICR_SIZE },
		{ vm->console_ipa, KZ_CONSOLE_SIZE },
	};
	uint32_t count = (vm->console == KZ_CONSOLE_PL011) ? 3 : 2;

	for (uint32_t i = 0; i < count; i++) {		/* 3 times KZ_REGIONS_MAX + 3 rounds */
		c->where->index = i;
		if (!pages_are_valid(frame[i], IPA_END)) {
			return BLOB_IPA;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (span_overlaps(frame[i], frame[j])) {
				return BLOB_IPA;
			}
		}
		for (uint32_t j = 0; j < vm->region_count; j++) {
			if (span_overlaps(frame[i], region_ipa(&vm->region[j]))) {
				return BLOB_IPA;
			}
		}
	}
	return BLOB_OK;
}

static enum blob_err check_vm_console(struct check *c, const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	uint32_t lines = vm->irq_lines;

	if (vm->console == KZ_CONSOLE_NONE) {
		return ((vm->console_ipa | vm->console_intid) == 0) ? BLOB_OK : BLOB_CONSOLE;
	}
	if (vm->console == KZ_CONSOLE_RING) {
		return ((vm->console_intid == 0) && ((vm->console_ipa % KZ_PAGE_SIZE) == 0) &&
			vm_has_ram(vm, vm->console_ipa, KZ_CONSOLE_SIZE)) ? BLOB_OK : BLOB_CONSOLE;
	}
	if (vm->console_intid == 0) {
		return BLOB_OK;
	}
	/* An HRT VM gets its console's interrupt from the distributor of the machine. */
	if (vm->level == KZ_HRT) {
		if (vm->console_intid == m->uart_intid) {
			return BLOB_IRQ_TWICE;
		}
		lines = (m->gic_lines < lines) ? m->gic_lines : lines;
	}
	return spi_is_valid(vm->console_intid, lines) ? BLOB_OK : BLOB_CONSOLE;
}

static enum blob_err check_vm_loads(struct check *c, const struct kz_cfg_vm *vm)
{
	uint64_t room = c->cfg->image_size - c->cfg->blob_offset;

	for (uint32_t i = 0; i < vm->load_count; i++) {	/* KZ_LOADS_MAX rounds */
		const struct kz_cfg_load *l = &vm->load[i];

		c->where->index = i;
		if ((l->size == 0) || ((l->offset % 64) != 0) || (l->offset < c->cfg->size) ||
		    !span_fits(l->offset, l->size, room) || !vm_has_ram(vm, l->ipa, l->size)) {
			return BLOB_LOAD;
		}
	}
	if (((vm->entry % 4) != 0) || !vm_has_ram(vm, vm->entry, 4) ||
	    !vm_has_ram(vm, vm->arg, 8) || ((vm->arg % 8) != 0)) {
		return BLOB_ENTRY;
	}
	return BLOB_OK;
}

static enum blob_err check_vm(struct check *c, const struct kz_cfg_vm *vm)
{
	enum blob_err (*const step[])(struct check *, const struct kz_cfg_vm *) = {
		check_vm_fields, check_vm_irqs, check_vm_regions,
		check_vm_frames, check_vm_console, check_vm_loads,
	};
	enum blob_err err = BLOB_OK;

	for (uint32_t i = 0; (i < 6) && (err == BLOB_OK); i++) {	/* 6 rounds */
		c->where->index = 0;
		err = step[i](c, vm);
	}
	return err;
}

/* No page of the machine twice: in one VM, or in this one and an earlier one. */
static enum blob_err check_pages_once(struct check *c, uint32_t a, uint32_t b)
{
	const struct kz_cfg_vm *va = blob_vm(c->cfg, a);
	const struct kz_cfg_vm *vb = blob_vm(c->cfg, b);

	for (uint32_t i = 0; i < va->region_count; i++) {	/* KZ_REGIONS_MAX squared */
		uint32_t end = (a == b) ? i : vb->region_count;

		c->where->index = i;
		for (uint32_t j = 0; j < end; j++) {
			if (span_overlaps(region_pa(&va->region[i]), region_pa(&vb->region[j]))) {
				return BLOB_REGION_TWICE;
			}
		}
	}
	return BLOB_OK;
}

/* Take an interrupt of the machine; false if it is taken. */
static bool intid_take(uint32_t *taken, uint32_t intid)
{
	uint32_t bit = 1u << (intid % 32);
	uint32_t *word = &taken[intid / 32];

	if ((*word & bit) != 0) {
		return false;
	}
	*word |= bit;
	return true;
}

static enum blob_err check_irqs_once(struct check *c)
{
	uint32_t taken[LINES_MAX / 32];

	for (uint32_t i = 0; i < LINES_MAX / 32; i++) {		/* 32 rounds */
		taken[i] = 0;
	}
	for (uint32_t v = 0; v < c->cfg->vm_count; v++) {	/* KZ_VMS_MAX * KZ_IRQS_MAX */
		const struct kz_cfg_vm *vm = blob_vm(c->cfg, v);

		c->where->vm = v;
		for (uint32_t i = 0; i < vm->irq_count; i++) {
			c->where->index = i;
			if (!intid_take(taken, vm->irq[i].intid)) {
				return BLOB_IRQ_TWICE;
			}
		}
		if ((vm->level == KZ_HRT) && (vm->console_intid != 0) &&
		    !intid_take(taken, vm->console_intid)) {
			return BLOB_IRQ_TWICE;
		}
	}
	return BLOB_OK;
}

/* One vCPU a core, and the console on a core that has the time for it. */
static enum blob_err check_cpus_once(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	uint32_t all = (1u << m->cpu_count) - 1;
	uint32_t used = 0;
	uint32_t hard = 0;

	for (uint32_t v = 0; v < c->cfg->vm_count; v++) {	/* KZ_VMS_MAX * KZ_VCPUS_MAX */
		const struct kz_cfg_vm *vm = blob_vm(c->cfg, v);

		c->where->vm = v;
		for (uint32_t i = 0; i < vm->vcpu_count; i++) {
			uint32_t bit;

			c->where->index = i;
			if (vm->cpu[i] >= m->cpu_count) {
				return BLOB_VCPU;
			}
			bit = 1u << vm->cpu[i];
			if ((used & bit) != 0) {
				return BLOB_CPU_TWICE;
			}
			used |= bit;
			hard |= (vm->level == KZ_HRT) ? bit : 0;
		}
	}
	c->where->vm = BLOB_NO_VM;
	return ((hard != all) && ((hard & (1u << m->console_cpu)) != 0)) ? BLOB_CONSOLE_CPU :
									  BLOB_OK;
}

static enum blob_err check_between(struct check *c)
{
	enum blob_err err = BLOB_OK;

	for (uint32_t a = 0; a < c->cfg->vm_count; a++) {	/* KZ_VMS_MAX squared */
		c->where->vm = a;
		for (uint32_t b = 0; b <= a; b++) {
			if ((a != b) &&
			    name_is_same(blob_vm(c->cfg, a)->name, blob_vm(c->cfg, b)->name)) {
				return BLOB_NAME_TWICE;
			}
			err = check_pages_once(c, a, b);
			if (err != BLOB_OK) {
				return err;
			}
		}
	}
	err = check_irqs_once(c);
	return (err == BLOB_OK) ? check_cpus_once(c) : err;
}

enum blob_err blob_check(const struct kz_cfg *cfg, size_t avail, struct blob_where *where)
{
	struct check c;
	enum blob_err err;

	c.cfg = cfg;
	c.where = where;
	c.own.count = 0;
	where->vm = BLOB_NO_VM;
	where->index = 0;
	err = check_header(cfg, avail);
	if (err == BLOB_OK) {
		err = check_machine(&c);
	}
	for (uint32_t v = 0; (err == BLOB_OK) && (v < cfg->vm_count); v++) {	/* KZ_VMS_MAX */
		where->vm = v;
		err = check_vm(&c, blob_vm(cfg, v));
	}
	return (err == BLOB_OK) ? check_between(&c) : err;
}

/* In the order of enum blob_err, BLOB_ERRS included, each ended by a NUL. */
static const char messages[] =
	"ok\0"
	"truncated\0"
	"no configuration (magic)\0"
	"version differs\0"
	"size\0"
	"number of VMs\0"
	"reserved field set\0"
	"image bounds\0"
	"name\0"
	"name given twice\0"
	"number of cores\0"
	"MPIDR\0"
	"console core\0"
	"PSCI conduit\0"
	"RAM bank\0"
	"image outside RAM\0"
	"GIC version or lines\0"
	"GIC frame\0"
	"PPI\0"
	"console UART\0"
	"level, on_fault or console\0"
	"count above maximum\0"
	"flags\0"
	"no such core\0"
	"core given twice\0"
	"irq_lines\0"
	"interrupt\0"
	"interrupt given twice\0"
	"region bounds\0"
	"region outside free RAM\0"
	"device region not free\0"
	"page given twice\0"
	"guest addresses overlap\0"
	"load outside VM or image\0"
	"entry or argument outside RAM\0"
	"guest console\0"
	"unknown error\0";

const char *blob_strerror(enum blob_err err)
{
	const char *text = messages;
	uint32_t skip = ((uint32_t)err < BLOB_ERRS) ? (uint32_t)err : (uint32_t)BLOB_ERRS;

	while (skip > 0) {	/* the length of messages */
		skip -= (*text == '\0') ? 1 : 0;
		text++;
	}
	return text;
}
