/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for a VM of a system that runs: best fit, where best is what breaks up fewest of the free
 * blocks of 2 MiB, then the smallest piece.
 */
#include "live_ram.h"

#include "blob.h"

static void piece_put(struct live_ram *r, unsigned at, uint64_t base, uint64_t end)
{
	if ((base >= end) || (r->count == LIVE_FREE_MAX)) {
		return;
	}
	for (unsigned i = r->count; i > at; i--) {
		r->free[i] = r->free[i - 1];
	}
	r->free[at] = (struct kz_cfg_ram){ base, end - base };
	r->count++;
}

static void cut(struct live_ram *r, uint64_t base, uint64_t size)
{
	uint64_t end = base + size;

	for (unsigned i = r->count; i-- > 0;) {
		struct kz_cfg_ram old = r->free[i];

		if ((base >= old.pa + old.size) || (end <= old.pa)) {
			continue;
		}
		r->count--;
		for (unsigned k = i; k < r->count; k++) {
			r->free[k] = r->free[k + 1];
		}
		piece_put(r, i, end, old.pa + old.size);
		piece_put(r, i, old.pa, base);
	}
}

/* What is below the image is left to boot loaders, as when the image was made. */
void live_ram_read(struct live_ram *r, const struct live *now)
{
	const struct kz_cfg *cfg = now->cfg;
	const struct kz_cfg_machine *m = &cfg->machine;

	r->count = 0;
	for (unsigned i = 0; i < m->ram_count; i++) {
		unsigned at = r->count;

		while ((at > 0) && (r->free[at - 1].pa > m->ram[i].pa)) {
			at--;
		}
		piece_put(r, at, m->ram[i].pa, m->ram[i].pa + m->ram[i].size);
	}
	cut(r, 0, cfg->image_pa + cfg->image_size);
	cut(r, m->trace_pa, blob_trace_size(m));
	for (unsigned v = 0; v < KZ_VMS_MAX; v++) {
		const struct kz_cfg_vm *vm = now->vm[v];

		for (unsigned i = 0; (vm != NULL) && (i < vm->region_count); i++) {
			if (vm->region[i].type != KZ_REGION_DEVICE) {
				cut(r, vm->region[i].pa, vm->region[i].size);
			}
		}
	}
}

/* Whole blocks of 2 MiB in [base, end). */
static uint64_t blocks(uint64_t base, uint64_t end)
{
	uint64_t first = ALIGN_UP(base, MIB2) / MIB2;

	return (end / MIB2 > first) ? end / MIB2 - first : 0;
}

/* The lowest address from base on, or the highest that leaves size before end, that is like. */
static uint64_t fit_low(uint64_t base, uint64_t align, uint64_t like)
{
	uint64_t at = base / align * align + like % align;

	return (at < base) ? at + align : at;
}

static uint64_t fit_high(uint64_t last, uint64_t align, uint64_t like)
{
	uint64_t at = last / align * align + like % align;

	return ((at > last) && (at >= align)) ? at - align : at;
}

bool live_ram_take(struct live_ram *r, uint64_t size, uint64_t align, uint64_t like, uint64_t *pa)
{
	const struct kz_cfg_ram *best = NULL;
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < r->count; i++) {
		const struct kz_cfg_ram *p = &r->free[i];
		uint64_t end = p->pa + p->size;

		if (p->size < size) {
			continue;
		}
		for (unsigned k = 0; k < 2; k++) {
			uint64_t at = (k == 0) ? fit_low(p->pa, align, like)
					       : fit_high(end - size, align, like);
			uint64_t lost;

			if ((at < p->pa) || (at > end - size)) {
				continue;
			}
			lost = blocks(p->pa, end) - blocks(p->pa, at) - blocks(at + size, end);
			if ((best == NULL) || (lost < least) ||
			    ((lost == least) && (p->size < best->size))) {
				best = p;
				least = lost;
				*pa = at;
			}
		}
	}
	if (best != NULL) {
		cut(r, *pa, size);
	}
	return best != NULL;
}

bool live_ram_take_part(struct live_ram *r, uint64_t *pa, uint64_t *size)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < r->count; i++) {
		uint64_t end = r->free[i].pa + r->free[i].size;
		uint64_t n = blocks(r->free[i].pa, end);

		if (n > most) {
			most = n;
			*pa = ALIGN_UP(r->free[i].pa, MIB2);
		}
	}
	*size = most * MIB2;
	cut(r, *pa, *size);
	return most != 0;
}

uint64_t live_ram_sum(const struct live_ram *r, uint64_t *largest)
{
	uint64_t sum = 0;

	*largest = 0;
	for (unsigned i = 0; i < r->count; i++) {
		sum += r->free[i].size;
		*largest = (r->free[i].size > *largest) ? r->free[i].size : *largest;
	}
	return sum;
}

unsigned live_free(const struct live *now, struct kz_cfg_ram out[LIVE_FREE_MAX])
{
	struct live_ram r;

	live_ram_read(&r, now);
	for (unsigned i = 0; i < r.count; i++) {
		out[i] = r.free[i];
	}
	return r.count;
}
