/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory: one contiguous piece for each VM, first fit above the image; and the trace,
 * where it is least in the way.
 */
#include "blob.h"

#include "sys.h"

#define SPANS_MAX (KZ_RAMS_MAX + 2 * (KZ_VMS_MAX + 2))

struct space {
	struct kz_cfg_ram span[SPANS_MAX]; /* free, in the order of the banks */
	unsigned count;
	struct kz_cfg_ram gap; /* behind the image, to where VMs begin */
};

static void space_add(struct space *sp, unsigned at, uint64_t base, uint64_t end)
{
	if ((base >= end) || (sp->count == SPANS_MAX)) {
		return;
	}
	for (unsigned i = sp->count; i > at; i--) {
		sp->span[i] = sp->span[i - 1];
	}
	sp->span[at] = (struct kz_cfg_ram){ base, end - base };
	sp->count++;
}

/* Take [base, end) out of the span at that index, which contains it. */
static void space_take(struct space *sp, unsigned at, uint64_t base, uint64_t end)
{
	struct kz_cfg_ram old = sp->span[at];

	sp->count--;
	for (unsigned i = at; i < sp->count; i++) {
		sp->span[i] = sp->span[i + 1];
	}
	space_add(sp, at, end, old.pa + old.size);
	space_add(sp, at, old.pa, base);
}

/* The first fit for a size whose address is equal to like, modulo align. */
static bool space_find(const struct space *sp, uint64_t size, uint64_t align, uint64_t like,
		       unsigned *at, uint64_t *pa)
{
	uint64_t phase = like % align;

	for (unsigned i = 0; i < sp->count; i++) {
		const struct kz_cfg_ram *r = &sp->span[i];
		uint64_t base = r->pa / align * align + phase;

		base += (base < r->pa) ? align : 0;
		if ((base - r->pa <= r->size) && (size <= r->size - (base - r->pa))) {
			*at = i;
			*pa = base;
			return true;
		}
	}
	return false;
}

static uint64_t space_largest(const struct space *sp)
{
	uint64_t largest = 0;

	for (unsigned i = 0; i < sp->count; i++) {
		largest = (sp->span[i].size > largest) ? sp->span[i].size : largest;
	}
	return largest;
}

/* "512M", "260K". */
static const char *size_text(struct sys *s, uint64_t size)
{
	bool megs = ((size % (1u << 20)) == 0);

	return mem_printf(&s->mem, "%llu%c", (unsigned long long)(size >> (megs ? 20 : 10)),
			  megs ? 'M' : 'K');
}

/* What is free: RAM from the image's 2 MiB on (what is below it is left to boot loaders). */
static bool space_init(struct sys *s, struct space *sp)
{
	uint64_t used_end = s->board.image_pa + s->image_size;
	uint64_t image_end = ALIGN_UP(used_end, MIB2);
	bool fits = false;

	sp->count = 0;
	for (unsigned i = 0; i < s->board.m.ram_count; i++) {
		const struct kz_cfg_ram *r = &s->board.m.ram[i];
		uint64_t end = r->pa + r->size;

		if ((s->board.image_pa >= r->pa) && (used_end <= end)) {
			uint64_t gap_end = (end < image_end) ? end : image_end;

			sp->gap = (struct kz_cfg_ram){ used_end, gap_end - used_end };
			fits = true;
		}
		space_add(sp, sp->count, (r->pa < image_end) ? image_end : r->pa, end);
	}
	if (!fits) {
		diag_error(&s->diag, 0,
			   "IMAGE is %lluK and is loaded at 0x%llx: that is not in the "
			   "board's RAM",
			   (unsigned long long)(s->image_size >> 10),
			   (unsigned long long)s->board.image_pa);
	}
	return fits;
}

static bool vm_place(struct sys *s, struct space *sp, struct vm *vm)
{
	static const uint64_t blocks[] = { GIB1, MIB2, KZ_PAGE_SIZE };

	for (unsigned i = 0; i < 3; i++) {
		uint64_t like = vm->physical ? 0 : vm->base;
		unsigned at;

		if ((vm->size >= blocks[i]) &&
		    space_find(sp, vm->size, blocks[i], like, &at, &vm->pa)) {
			space_take(sp, at, vm->pa, vm->pa + vm->size);
			return true;
		}
	}
	diag_error(&s->diag, vm->conf->memory.line,
		   "there is no room for %s of memory: the "
		   "largest free piece of RAM has %s",
		   vm->conf->memory.s, size_text(s, space_largest(sp)));
	return false;
}

/*
 * The trace fills no large block that a VM could have: it goes behind the image, where VMs
 * don't begin; else to the end of the smallest piece that has room.
 */
static bool trace_place(struct sys *s, const struct space *sp)
{
	const struct conf_trace *c = &s->conf.trace;
	uint64_t size = blob_trace_size(&s->board.m);
	const struct kz_cfg_ram *best = (sp->gap.size >= size) ? &sp->gap : NULL;

	for (unsigned i = 0; (i < sp->count) && (best != &sp->gap); i++) {
		const struct kz_cfg_ram *r = &sp->span[i];

		if ((r->size >= size) && ((best == NULL) || (r->size < best->size))) {
			best = r;
		}
	}
	if (best == NULL) {
		diag_error(&s->diag, (c->size.s != NULL) ? c->size.line : c->line,
			   "there is no room for the trace, %s: no free piece of RAM is as large; "
			   "give a VM less memory",
			   size_text(s, size));
		return false;
	}
	s->board.m.trace_pa = best->pa + best->size - size;
	return true;
}

bool ram_place(struct sys *s)
{
	struct space sp;
	bool ok = true;

	if (!space_init(s, &sp)) {
		return false;
	}
	for (unsigned v = 0; v < s->vm_count; v++) {
		struct vm *vm = &s->vm[v];

		if (vm->size != 0) {
			ok = vm_place(s, &sp, vm) && ok;
		}
	}
	return ok && trace_place(s, &sp);
}
