/* SPDX-License-Identifier: Apache-2.0 */
#include "mmu.h"

#include "arch.h"
#include "barrier.h"
#include "blob.h"
#include "layout.h"
#include "pt.h"
#include "span.h"
#include "sysreg.h"
#include "trace.h"
#include "vectors.h"

_Static_assert(TRACE_VA + 2ull * KZ_CPUS_MAX * KZ_TRACE_CHUNKS_MAX * KZ_TRACE_CHUNK <=
	       HV_VA + 0x40000000, "layout.h");

extern char _text[], _rodata[], _data[], _percpu[], _percpu_end[];

uint64_t image_to_ptr;

static uint64_t page_up(uint64_t v)
{
	return (v + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
}

/* Map [from, to) of the image; both are addresses of the image as it lies now, at pa. */
static bool map_part(const struct pt *t, uint64_t image, const char *from, const char *to,
		     uint64_t attrs)
{
	uint64_t at = (uint64_t)from;

	return pt_map(t, HV_VA + (at - image), at, (uint64_t)to - at, attrs) == KZ_OK;
}

/*
 * Runs at the physical address, MMU off: nothing here may use an absolute
 * pointer. The image: W^X, a hole below each stack; behind boot_size come the blob
 * and the guest images, read-only. The boot page is mapped where it is, too.
 */
uint64_t boot_map(uint64_t image)
{
	struct pt t = { .root = pt_alloc(NULL), .to_ptr = 0 };
	uint64_t size = *(const uint64_t *)(image + IMAGE_SIZE_FIELD);
	const char *end = (const char *)image + page_up(size);
	const char *own_end = (const char *)image + boot_size;
	bool ok = map_part(&t, image, _text, _rodata, S1_TEXT);

	ok &= map_part(&t, image, _rodata, _data, S1_RODATA);
	ok &= map_part(&t, image, _data, _percpu, S1_DATA);
	ok &= map_part(&t, image, _percpu_end, own_end, S1_DATA);
	ok &= pt_map(&t, image, image, PAGE_SIZE, S1_TEXT) == KZ_OK;
	/* MISRA D6 */
	for (const char *core = _percpu; core < _percpu_end; core += PERCPU_SIZE) {
		ok &= map_part(&t, image, core + PERCPU_GUARD, core + PERCPU_SIZE, S1_DATA);
	}
	if (end > own_end) {
		ok &= map_part(&t, image, own_end, end, S1_RODATA);
	}
	boot_root = (uint64_t)t.root;
	/*
	 * The tables were written past the caches: what a loader left there of
	 * these lines must not come back over them (DDI 0487 D7.4.11).
	 */
	for (const char *p = (const char *)pt_pool; p < pt_pool_end(); p += 64) {
		dc_ivac((uint64_t)p);
	}
	dsb_sy();	/* the invalidations before the walks that mmu_on starts */
	if (!ok) {
		for (;;) {	/* no console yet; pt.h's pool is sized so that this can't be */
			wfi();
		}
	}
	return boot_root;
}

static enum kz_err map_direct(uint64_t at, uint64_t size, uint64_t attrs)
{
	const struct pt t = {
		.root = (uint64_t *)(boot_root + image_to_ptr),
		.to_ptr = image_to_ptr,
	};

	return pt_map(&t, at, at, size, attrs);
}

enum kz_err mmu_map_console(uint64_t uart_pa)
{
	return map_direct(uart_pa, PAGE_SIZE, S1_DEVICE);
}

static enum kz_err map_gic(const struct kz_cfg_machine *m)
{
	bool v2 = m->gic_version == 2;
	enum kz_err err = map_direct(m->gicd_pa, v2 ? KZ_GICD2_SIZE : KZ_GICD3_SIZE, S1_DEVICE);

	if (err == KZ_OK && v2) {
		err = map_direct(m->gicc_pa, KZ_GICC_SIZE, S1_DEVICE);
		if (err == KZ_OK) {
			err = map_direct(m->gich_pa, PAGE_SIZE, S1_DEVICE);
		}
	} else if (err == KZ_OK) {
		err = map_direct(m->gicr_pa, m->gicr_size, S1_DEVICE);
	}
	return err;
}

/* Behind the page with struct kz_trace_mem, a ring for each core. */
static enum kz_err map_trace(const struct kz_cfg_machine *m)
{
	const struct pt t = {
		.root = (uint64_t *)(boot_root + image_to_ptr),
		.to_ptr = image_to_ptr,
	};
	enum kz_err err = map_direct(m->trace_pa, PAGE_SIZE, S1_DATA);
	uint64_t from = m->trace_pa + PAGE_SIZE;
	uint64_t to = TRACE_VA;

	for (uint32_t i = 0; i < m->cpu_count * m->trace_chunks && err == KZ_OK; i++) {
		if (i % m->trace_chunks == 0) {
			arch_cpu(i / m->trace_chunks)->trace.base = to;
		}
		err = pt_map(&t, to, from, KZ_TRACE_CHUNK, S1_DATA);
		from += KZ_TRACE_CHUNK;
		to += 2 * KZ_TRACE_CHUNK;
	}
	return err;
}

/* [from, to) of a bank, less the holes that lie in it, which are in order. */
static enum kz_err map_around(uint64_t from, uint64_t to, const struct span *hole, uint32_t holes)
{
	enum kz_err err = KZ_OK;

	for (; holes != 0 && err == KZ_OK; holes--, hole++) {
		uint64_t end = page_up(hole->base + hole->size);

		if (hole->base >= from && end <= to) {
			if (hole->base != from) {
				err = map_direct(from, hole->base - from, S1_DATA);
			}
			from = end;
		}
	}
	return err == KZ_OK && from != to ? map_direct(from, to - from, S1_DATA) : err;
}

/* All RAM but the hypervisor's own: VMs may come that nobody knows of yet. */
static enum kz_err map_ram(const struct kz_cfg *cfg)
{
	const struct kz_cfg_machine *m = &cfg->machine;
	struct span image = { cfg->image_pa, cfg->image_size };
	struct span trace = { m->trace_pa, blob_trace_size(m) };
	bool before = image.base < trace.base;
	struct span hole[2];
	enum kz_err err = KZ_OK;

	hole[0] = before ? image : trace;
	hole[1] = before ? trace : image;
	for (uint32_t i = 0; i < m->ram_count && err == KZ_OK; i++) {
		const struct kz_cfg_ram *r = &m->ram[i];

		err = map_around(r->pa, r->pa + r->size, hole, ARRAY_SIZE(hole));
	}
	return err;
}

static enum kz_err map_vms(const struct kz_cfg *cfg)
{
	enum kz_err err = KZ_OK;

	for (uint32_t i = 0; i < cfg->vm_count; i++) {
		const struct kz_cfg_vm *vm = blob_vm(cfg, i);

		for (uint32_t r = 0; r < vm->region_count && err == KZ_OK; r++) {
			if (vm->region[r].type == KZ_REGION_RAM) {
				err = map_direct(vm->region[r].pa, vm->region[r].size, S1_DATA);
			}
		}
	}
	return err;
}

enum kz_err mmu_map_machine(const struct kz_cfg *cfg)
{
	enum kz_err err = map_gic(&cfg->machine);

	if (err == KZ_OK) {
		err = map_trace(&cfg->machine);
	}
	if (err == KZ_OK) {
		err = blob_may_create(cfg) ? map_ram(cfg) : map_vms(cfg);
	}
	dsb_ishst();	/* the tables before the first access that needs them */
	isb();
	return err;
}

void *arch_ptr(pa_t at)
{
	return (void *)at.v;	/* mapped where it is; MISRA D1 */
}

static inline void zero_line(uint64_t p)
{
	dc_zva(p);
	dc_civac(p);
}

/* DCZID_EL0.BS is 4 (64 bytes) on every core that we know; others take the slow way. */
void arch_mem_zero(void *to, uint64_t size)
{
	uint64_t p = (uint64_t)to;		/* MISRA D1 */
	uint64_t end = p + size;

	if ((read_dczid_el0() & 0x1f) == 4) {
		for (; end - p >= 512; p += 512) {
			zero_line(p);
			zero_line(p + 64);
			zero_line(p + 128);
			zero_line(p + 192);
			zero_line(p + 256);
			zero_line(p + 320);
			zero_line(p + 384);
			zero_line(p + 448);
		}
		for (; p < end; p += 64) {
			zero_line(p);
		}
	} else {
		__builtin_memset(to, 0, size);
		for (; p < end; p += 64) {
			dc_civac(p);
		}
	}
	dsb_sy();	/* zeros at the point of coherency before a guest reads uncached */
}

void arch_mem_copy(void *to, const void *from, uint64_t size)
{
	uint64_t *d = to;
	const uint64_t *s = from;

	uint64_t i;

	for (i = 0; i + 8 <= size / 8; i += 8) {
		uint64_t a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];

		d[i] = a;
		d[i + 1] = b;
		d[i + 2] = c;
		d[i + 3] = e;
		a = s[i + 4], b = s[i + 5], c = s[i + 6], e = s[i + 7];
		d[i + 4] = a;
		d[i + 5] = b;
		d[i + 6] = c;
		d[i + 7] = e;
		dc_civac((uint64_t)(d + i));
	}
	if (i * 8 != size) {
		__builtin_memcpy(d + i, s + i, size - i * 8);
		dc_civac((uint64_t)(d + i));
	}
	dc_civac((uint64_t)to + size - 1);	/* where `to` begins within a line */
	dsb_sy();	/* the copy at the point of coherency before a guest runs it uncached */
	ic_ialluis();
	dsb_ish();	/* no stale instruction before the guest's first fetch */
}
