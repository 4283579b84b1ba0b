/* SPDX-License-Identifier: Apache-2.0 */
#include "rings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "call.h"
#include "dev.h"
#include "live.h"

#define HEAD_TRIES 8

/* Note what is wrong, and say it if somebody wants to hear. */
static int fail(struct rings *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct rings *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return r->quiet ? EXIT_FAILED : kz_fail(r->kz, "%s", r->why);
}

/* ---- The configuration, for names ---- */

/* Free RAM and a core that may be shared: what a VM that is gone may have had. */
static bool page_find(const struct live *now, unsigned core, uint64_t *pa)
{
	static struct kz_cfg_ram free_ram[LIVE_FREE_MAX];

	if ((live_free(now, free_ram) == 0) || (free_ram[0].size < (core + 1) * KZ_PAGE_SIZE)) {
		return false;
	}
	*pa = free_ram[0].pa + (uint64_t)core * KZ_PAGE_SIZE;
	return true;
}

/*
 * A VM for a place that is nobody's, below one that is somebody's: records name places, and a
 * configuration has no holes.
 */
static bool hole_fill(struct rings *r, const struct live *now, unsigned id)
{
	struct kz_cfg_vm *vm = &r->vm[id];
	uint32_t hard = 0, core = 0;

	for (unsigned i = 0; i < KZ_VMS_MAX; i++) {
		for (unsigned v = 0;
		     r->known[i] && (r->vm[i].level == KZ_HRT) && (v < r->vm[i].vcpu_count); v++) {
			hard |= 1u << r->vm[i].cpu[v];
		}
	}
	while ((hard >> core & 1u) != 0) {
		core++;
	}
	memset(vm, 0, sizeof(*vm));
	snprintf(vm->name, sizeof(vm->name), "gone-%u", id);
	vm->level = KZ_NRT;
	vm->vcpu_count = 1;
	vm->cpu[0] = (uint8_t)core;
	vm->server.weight = KZ_WEIGHT_DEFAULT;
	vm->irq_lines = 64;
	vm->region_count = 1;
	vm->region[0] = (struct kz_cfg_region){ .ipa = GIB1, .size = KZ_PAGE_SIZE };
	vm->entry = vm->region[0].ipa;
	vm->arg = vm->region[0].ipa;
	vm->gicd_ipa = 0x08000000;
	vm->gicc_ipa = (r->machine.cfg.machine.gic_version == 2) ? 0x08010000 : 0x080a0000;
	return (core < r->cores) && page_find(now, id, &vm->region[0].pa);
}

/* What the file says of a VM: a file needs no bytes to load, and nobody's rights. */
static void vm_shorten(struct kz_cfg_vm *vm)
{
	unsigned kept = 0;

	memset(vm->load, 0, sizeof(vm->load));
	vm->load_count = 0;
	memset(vm->rights, 0, sizeof(vm->rights));
	vm->store_tables = 0;
	for (unsigned i = 0; i < KZ_REGIONS_MAX; i++) {
		struct kz_cfg_region region = vm->region[i];

		memset(&vm->region[i], 0, sizeof(region));
		if ((i < vm->region_count) &&
		    ((region.type == KZ_REGION_RAM) || (region.type == KZ_REGION_DEVICE))) {
			vm->region[kept++] = region;
		}
	}
	vm->region_count = (uint8_t)kept;
}

struct kz_cfg *rings_config(struct rings *r)
{
	struct kz_cfg *cfg = calloc(1, sizeof(*cfg) + sizeof(r->vm));
	struct live now = { .cfg = &r->machine.cfg };
	struct blob_where where;
	uint32_t count = 0;
	enum blob_err err;

	for (unsigned i = 0; i < KZ_VMS_MAX; i++) {
		now.vm[i] = r->known[i] ? &r->vm[i] : NULL;
		count = r->known[i] ? i + 1 : count;
	}
	for (unsigned i = 0; (cfg != NULL) && (i < count); i++) {
		if (!r->known[i] && !hole_fill(r, &now, i)) {
			count = i; /* the records of later ones have no names */
		}
	}
	if ((cfg == NULL) || (count == 0)) {
		fail(r, "there is no VM to trace");
		free(cfg);
		return NULL;
	}
	*cfg = r->machine.cfg;
	cfg->vm_count = count;
	cfg->size = (uint32_t)(sizeof(*cfg) + count * sizeof(r->vm[0]));
	for (unsigned i = 0; i < count; i++) {
		vm_shorten(&r->vm[i]);
	}
	memcpy(cfg + 1, r->vm, count * sizeof(r->vm[0]));
	err = blob_check(cfg, cfg->size, &where);
	if (err != BLOB_OK) {
		fail(r, "the hypervisor's configuration (vm %u): %s", where.vm, blob_strerror(err));
		free(cfg);
		return NULL;
	}
	return cfg;
}

/* ---- The rings ---- */

static int heads_failed(struct rings *r, int err)
{
	if (!r->quiet) {
		return call_failed(r->kz, err, "reading the trace", NULL);
	}
	return fail(r, (err == KZ_EPERM) ? "this VM has not the right to list all VMs"
					 : "the hypervisor does not give it");
}

int rings_heads(struct rings *r)
{
	for (unsigned try = 0; try < HEAD_TRIES; try++) {
		int err = call_heads(r->kz, r->head, r->cores);
		bool ok = true;

		if (err != KZ_OK) {
			return heads_failed(r, err);
		}
		for (uint32_t i = 0; i < r->cores; i++) {
			uint64_t count;

			ok = ring_count(&r->ring[i], &count) && ok;
		}
		if (ok) {
			return EXIT_OK;
		}
	}
	return fail(r, "the head of a ring of the trace is damaged");
}

int rings_open(struct rings *r)
{
	const struct kz_cfg_machine *m = &r->machine.cfg.machine;
	size_t ring_size = (size_t)m->trace_chunks * KZ_TRACE_CHUNK;

	r->cores = m->cpu_count;
	r->mem = dev_trace_map(r->kz->dev, blob_trace_size(m));
	if (r->mem == NULL) {
		return fail(r,
			    "%s: %s: the trace is not in this VM's memory map: the right "
			    "to list all VMs brings it",
			    r->kz->path, strerror(errno));
	}
	if ((r->mem->magic != KZ_TRACE_MAGIC) || (r->mem->version != KZ_TRACE_VERSION) ||
	    (r->mem->core_count != r->cores) || (r->mem->chunks != m->trace_chunks)) {
		return fail(r,
			    "the trace has version %u, %u cores and %u chunks; %u, %u and "
			    "%u were expected",
			    r->mem->version, r->mem->core_count, r->mem->chunks, KZ_TRACE_VERSION,
			    r->cores, m->trace_chunks);
	}
	for (uint32_t i = 0; i < r->cores; i++) {
		ring_init(&r->ring[i], &r->head[i],
			  (const void *)((const uint8_t *)r->mem + KZ_PAGE_SIZE + i * ring_size),
			  m->trace_chunks);
	}
	return rings_heads(r);
}
