/* SPDX-License-Identifier: Apache-2.0 */
/* IMAGE: the hypervisor, the blob, the guests' bytes (include/kizami/blob.h has the picture). */
#include "blob.h"
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

#define HV_MAX          0x1000000u /* no hypervisor is that large */
#define HEADER_SIZE_AT  16u        /* Image header: image_size */
#define HEADER_MAGIC_AT 56u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "IMAGE is little-endian, so is kzc");

/* Copy one segment to its place; false when the file is malformed. */
static bool segment_copy(const struct bytes *f, const Elf64_Phdr *ph, uint8_t *flat, size_t *end)
{
	if ((ph->p_type != PT_LOAD) || (ph->p_memsz == 0)) {
		return true;
	}
	if ((ph->p_offset > f->size) || (ph->p_filesz > f->size - ph->p_offset) ||
	    (ph->p_filesz > ph->p_memsz) || (ph->p_paddr > HV_MAX) ||
	    (ph->p_memsz > HV_MAX - ph->p_paddr)) {
		return false;
	}
	memcpy(flat + ph->p_paddr, f->data + ph->p_offset, ph->p_filesz);
	if (ph->p_paddr + ph->p_memsz > *end) {
		*end = ph->p_paddr + ph->p_memsz;
	}
	return true;
}

static bool hv_flatten(struct mem *mem, const struct bytes *f, struct bytes *out)
{
	Elf64_Ehdr eh;
	size_t end = 0;

	if ((f->size < sizeof(eh)) || (memcmp(f->data, ELFMAG "\x02\x01", SELFMAG + 2) != 0)) {
		return false;
	}
	memcpy(&eh, f->data, sizeof(eh));
	if ((eh.e_machine != EM_AARCH64) || (eh.e_phentsize != sizeof(Elf64_Phdr)) ||
	    (eh.e_phoff > f->size) || (eh.e_phnum > (f->size - eh.e_phoff) / sizeof(Elf64_Phdr))) {
		return false;
	}
	out->data = mem_zalloc(mem, HV_MAX);
	for (size_t i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, f->data + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (!segment_copy(f, &ph, out->data, &end)) {
			return false;
		}
	}
	out->size = ALIGN_UP(end, KZ_PAGE_SIZE);
	return (out->size >= KZ_PAGE_SIZE) &&
	       (memcmp(out->data + HEADER_MAGIC_AT, "ARM\x64", 4) == 0);
}

bool hv_load(struct sys *s, bool must)
{
	struct bytes file;

	s->hv.size = HV_SIZE_ASSUMED;
	if (!must && (access(s->paths.hypervisor, F_OK) != 0)) {
		return true;
	}
	if (!mem_file(&s->mem, s->paths.hypervisor, &file)) {
		diag_error(&s->diag, 0,
			   "hypervisor %s: %s (make builds it; --hypervisor says where "
			   "it is)",
			   s->paths.hypervisor, strerror(errno));
		return false;
	}
	if (!hv_flatten(&s->mem, &file, &s->hv)) {
		diag_error(&s->diag, 0, "%s is not Kizami's ELF file for arm64",
			   s->paths.hypervisor);
		return false;
	}
	return true;
}

static uint64_t blob_size(const struct sys *s)
{
	return sizeof(struct kz_cfg) + s->vm_count * sizeof(struct kz_cfg_vm);
}

/* A piece with the same bytes that has its place already, or NULL. */
static const struct piece *piece_twin(const struct sys *s, unsigned v, unsigned i)
{
	const struct piece *p = &s->vm[v].piece[i];

	for (unsigned w = 0; w <= v; w++) {
		unsigned count = (w == v) ? i : s->vm[w].piece_count;

		for (unsigned k = 0; k < count; k++) {
			const struct piece *q = &s->vm[w].piece[k];

			if ((q->data == p->data) && (q->slot == p->slot)) {
				return q;
			}
		}
	}
	return NULL;
}

void image_layout(struct sys *s)
{
	uint64_t at = s->hv.size + ALIGN_UP(blob_size(s), KZ_PAGE_SIZE);

	for (unsigned v = 0; v < s->vm_count; v++) {
		for (unsigned i = 0; i < s->vm[v].piece_count; i++) {
			struct piece *p = &s->vm[v].piece[i];
			const struct piece *twin = piece_twin(s, v, i);

			p->offset = (twin != NULL) ? twin->offset : at;
			at += (twin != NULL) ? 0 : ALIGN_UP(p->slot, KZ_PAGE_SIZE);
		}
	}
	s->image_size = at;
}

static void blob_put(struct sys *s, uint8_t *image)
{
	struct kz_cfg *cfg = (struct kz_cfg *)(void *)(image + s->hv.size);
	struct kz_cfg_vm *vm = (struct kz_cfg_vm *)(cfg + 1);

	cfg->magic = KZ_BLOB_MAGIC;
	cfg->version = KZ_BLOB_VERSION;
	cfg->size = (uint32_t)blob_size(s);
	cfg->vm_count = s->vm_count;
	cfg->image_pa = s->board.image_pa;
	cfg->image_size = s->image_size;
	cfg->blob_offset = s->hv.size;
	cfg->machine = s->board.m;
	for (unsigned v = 0; v < s->vm_count; v++) {
		unsigned n = 0;

		vm[v] = s->vm[v].cfg;
		for (unsigned i = 0; i < s->vm[v].piece_count; i++) {
			const struct piece *p = &s->vm[v].piece[i];

			if (p->size != 0) {
				vm[v].load[n].offset = p->offset - s->hv.size;
				memcpy(image + p->offset, p->data, p->size);
				n++;
			}
		}
	}
}

struct bytes image_make(struct sys *s)
{
	struct bytes image = { mem_zalloc(&s->mem, s->image_size), s->image_size };
	struct blob_where where;
	enum blob_err err;

	memcpy(image.data, s->hv.data, s->hv.size);
	memcpy(image.data + HEADER_SIZE_AT, &s->image_size, sizeof(s->image_size));
	blob_put(s, image.data);
	err = blob_check((const struct kz_cfg *)(const void *)(image.data + s->hv.size),
			 s->image_size - s->hv.size, &where);
	if (err != BLOB_OK) {
		diag_error(&s->diag, 0,
			   "the hypervisor would refuse this (vm %u, %u: %s): this is a "
			   "mistake of kzc",
			   where.vm, where.index, blob_strerror(err));
		image.data = NULL;
	}
	return image;
}
