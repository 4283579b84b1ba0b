/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include "blob_check.h"

#define AFFINITY_MASK 0xff00ffffffull /* MPIDR_EL1.Aff3, Aff2, Aff1, Aff0: Arm ARM D17.2.101 */

/* What is in struct check.own. */
enum { OWN_IMAGE, OWN_TRACE, OWN_GICD, OWN_UART = OWN_MAX - 1 };

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

enum blob_err rules_check(const void *base, const struct rule *rule, uint32_t count)
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

bool name_is_valid(const char *name)
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
	if (!pages_are_valid((struct span){ cfg->image_pa, cfg->image_size }, KZ_PA_LIMIT) ||
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
	return spans_have(ram_spans(m), m->ram_count, c->own[OWN_IMAGE]) ? BLOB_OK : BLOB_IMAGE_RAM;
}

/* What the hypervisor has for itself. */
static void own_note(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	struct span *own = c->own;
	bool v2 = (m->gic_version == 2);

	own[OWN_IMAGE] = (struct span){ c->cfg->image_pa, c->cfg->image_size };
	/* The page with struct kz_trace_mem, and the rings behind it. */
	own[OWN_TRACE] = (struct span){ m->trace_pa, blob_trace_size(m) };
	own[OWN_GICD] = (struct span){ m->gicd_pa, gicd_size(m) };
	own[3] = v2 ? (struct span){ m->gicc_pa, KZ_GICC_SIZE }
		    : (struct span){ m->gicr_pa, m->gicr_size };
	own[4] = v2 ? (struct span){ m->gich_pa, KZ_GICC_SIZE } : (struct span){ 0, 0 };
	own[5] = v2 ? (struct span){ m->gicv_pa, KZ_GICC_SIZE } : (struct span){ 0, 0 };
	own[OWN_UART] = (m->uart != KZ_UART_NONE) ? (struct span){ m->uart_pa, KZ_CONSOLE_SIZE }
						  : (struct span){ 0, 0 };
}

/* In one bank, and not the image's. */
static enum blob_err check_trace(const struct check *c, const struct kz_cfg_machine *m)
{
	struct span s = c->own[OWN_TRACE];

	return (pages_are_valid(s, KZ_PA_LIMIT) && !spans_hit(c->own, OWN_TRACE, s) &&
		spans_have(ram_spans(m), m->ram_count, s))
		       ? BLOB_OK
		       : BLOB_TRACE;
}

/* Frames of devices that the hypervisor drives: outside RAM, none twice. */
static enum blob_err check_frames(const struct check *c, const struct kz_cfg_machine *m)
{
	if ((m->gic_version == 3) && (m->gicr_size < m->cpu_count * (uint64_t)KZ_GICR_SIZE)) {
		return BLOB_GIC_FRAME;
	}
	for (uint32_t i = OWN_GICD; i < OWN_MAX; i++) { /* OWN_MAX squared */
		struct span s = c->own[i];

		if ((s.size != 0) &&
		    ((s.base == 0) || !pages_are_valid(s, KZ_PA_LIMIT) ||
		     spans_hit(ram_spans(m), m->ram_count, s) || spans_hit(c->own, i, s))) {
			return (i == OWN_UART) ? BLOB_UART : BLOB_GIC_FRAME;
		}
	}
	return BLOB_OK;
}

static enum blob_err check_uart(const struct kz_cfg_machine *m)
{
	bool ok = (m->uart == KZ_UART_NONE)
			  ? ((m->uart_intid | m->uart_pa) == 0)
			  : ((m->uart_intid == 0) || spi_is_valid(m->uart_intid, m->gic_lines));

	return ok ? BLOB_OK : BLOB_UART;
}

/* The five PPIs are successive fields. */
static enum blob_err check_ppis(struct check *c, const struct kz_cfg_machine *m)
{
	const uint32_t *ppi = &m->vtimer_intid;
	uint32_t taken = 0;

	_Static_assert(offsetof(struct kz_cfg_machine, pmu_intid) -
				       offsetof(struct kz_cfg_machine, vtimer_intid) ==
			       16,
		       "five fields");
	for (uint32_t i = 0; i < 5; i++) { /* 5 rounds */
		uint32_t bit = 1u << (ppi[i] % 32);

		c->where.index = i;
		if ((ppi[i] != 0) &&
		    ((ppi[i] < 16) || (ppi[i] >= SPI_MIN) || ((taken & bit) != 0))) {
			return BLOB_PPI;
		}
		taken |= (ppi[i] != 0) ? bit : 0;
	}
	return BLOB_OK;
}

static enum blob_err check_machine(struct check *c)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	enum blob_err err = check_machine_fields(m);

	err = (err != BLOB_OK) ? err : check_cores(c, m);
	if (err == BLOB_OK) {
		own_note(c);
		err = check_ram(c, m);
	}
	c->where.index = (err != BLOB_OK) ? c->where.index : 0;
	err = (err != BLOB_OK) ? err : check_trace(c, m);
	err = (err != BLOB_OK) ? err : check_uart(m);
	err = (err != BLOB_OK) ? err : check_frames(c, m);
	err = (err != BLOB_OK) ? err : check_ppis(c, m);
	return err;
}

/* The console is served by a core that has the time for it, if there is one. */
static enum blob_err check_console_cpu(struct check *c, uint32_t hard)
{
	const struct kz_cfg_machine *m = &c->cfg->machine;
	uint32_t all = (1u << m->cpu_count) - 1;

	c->where = (struct blob_where){ BLOB_NO_VM, m->console_cpu };
	if ((hard != all) && ((hard >> m->console_cpu & 1) != 0)) {
		return BLOB_CONSOLE_CPU;
	}
	return BLOB_OK;
}

enum blob_err blob_check(const struct kz_cfg *cfg, size_t avail, struct blob_where *where)
{
	struct check c = { .cfg = cfg };
	enum blob_err err;
	uint32_t hard = 0;

	c.where = (struct blob_where){ BLOB_NO_VM, 0 };
	c.live = false;
	c.cpus = 0;
	err = check_header(&c, avail);
	err = (err != BLOB_OK) ? err : check_machine(&c);
	for (uint32_t v = 0; (err == BLOB_OK) && (v < cfg->vm_count); v++) { /* KZ_VMS_MAX */
		c.where = (struct blob_where){ v, 0 };
		err = vm_check(&c, blob_vm(cfg, v));
		for (uint32_t w = 0; (err == BLOB_OK) && (w < v); w++) { /* KZ_VMS_MAX */
			err = vm_check_beside(&c, blob_vm(cfg, v), blob_vm(cfg, w));
		}
		hard |= (blob_vm(cfg, v)->level == KZ_HRT) ? c.cpus : 0;
	}
	err = (err != BLOB_OK) ? err : check_console_cpu(&c, hard);
	*where = c.where;
	return err;
}

enum blob_err blob_check_vm(const struct kz_cfg *cfg, const struct kz_cfg_vm *const *others,
			    uint32_t id, const struct kz_cfg_vm *vm, struct blob_where *where)
{
	struct check c;
	enum blob_err err;

	c.cfg = cfg;
	c.where = (struct blob_where){ id, 0 };
	c.live = true;
	own_note(&c);
	err = vm_check(&c, vm);
	for (uint32_t v = 0; (err == BLOB_OK) && (v < KZ_VMS_MAX); v++) { /* KZ_VMS_MAX */
		err = (others[v] != NULL) ? vm_check_beside(&c, vm, others[v]) : BLOB_OK;
	}
	*where = c.where;
	return err;
}
