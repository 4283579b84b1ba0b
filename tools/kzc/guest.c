/* SPDX-License-Identifier: Apache-2.0 */
/* Guest images: raw binary, Linux Image or ELF, told apart by what is in them. */
#include <elf.h>
#include <string.h>

#include "sys.h"

#define IMAGE_MAGIC 0x644d5241u /* "ARM\x64" at 56: Documentation/arm64/booting.rst */

#define OLD_TEXT_OFFSET 0x80000u /* of kernels that do not know their size */

/* A little-endian number at an offset that lies within the file. */
static uint64_t get_le(const struct bytes *f, size_t at, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = size; i-- > 0;) {
		value = (value << 8) | f->data[at + i];
	}
	return value;
}

static bool has_at(const struct bytes *f, size_t at, const char *magic, size_t len)
{
	return (f->size >= at + len) && (memcmp(f->data + at, magic, len) == 0);
}

/* What cannot be started, but is easily mistaken for what can. */
static const char *kind_refused(const struct bytes *f)
{
	if (f->size == 0) {
		return "is empty";
	}
	if (has_at(f, 0, "\x1f\x8b", 2)) {
		return "is compressed (gzip): unpack it first, with gunzip";
	}
	if (has_at(f, 0, "MZ", 2) && has_at(f, 4, "zimg", 4)) {
		return "is a compressed EFI image (zboot): take the kernel's arch/arm64/boot/Image";
	}
	if (has_at(f, 0, "\x27\x05\x19\x56", 4)) {
		return "is a U-Boot uImage: take the file that it was made from";
	}
	if (has_at(f, 0x24, "\x18\x28\x6f\x01", 4)) {
		return "is a 32-bit Arm zImage: guests are 64-bit";
	}
	if (has_at(f, 0, ELFMAG, SELFMAG) &&
	    (!has_at(f, EI_CLASS, "\x02\x01", 2) || (f->size < sizeof(Elf64_Ehdr)) ||
	     (get_le(f, offsetof(Elf64_Ehdr, e_machine), 2) != EM_AARCH64))) {
		return "is an ELF file, but not for 64-bit little-endian Arm (AArch64)";
	}
	return NULL;
}

static struct piece *piece_add(struct vm *vm, const char *what, const uint8_t *data, uint64_t size)
{
	struct piece *p = &vm->piece[vm->piece_count];

	vm->piece_count++;
	p->what = what;
	p->data = data;
	p->size = size;
	p->slot = size;
	p->run_size = size;
	return p;
}

/* Places are relative to the VM's memory, but those of ELF files are absolute. */
static void linux_read(struct vm *vm, const struct bytes *f)
{
	uint64_t run = get_le(f, 16, 8);
	struct piece *p = piece_add(vm, "image", f->data, f->size);

	vm->kind = GUEST_LINUX;
	p->at = (run == 0) ? OLD_TEXT_OFFSET : get_le(f, 8, 8);
	p->run_size = (run > f->size) ? run : f->size;
	vm->entry_at = p->at;
}

/* A program header's segment; false when it is malformed. */
static bool segment_read(struct sys *s, struct vm *vm, const struct bytes *f, size_t at)
{
	uint64_t offset = get_le(f, at + offsetof(Elf64_Phdr, p_offset), 8);
	uint64_t filesz = get_le(f, at + offsetof(Elf64_Phdr, p_filesz), 8);
	uint64_t memsz = get_le(f, at + offsetof(Elf64_Phdr, p_memsz), 8);
	struct piece *p;

	if ((get_le(f, at, 4) != PT_LOAD) || (memsz == 0)) {
		return true;
	}
	if ((offset > f->size) || (filesz > f->size - offset) || (filesz > memsz)) {
		return false;
	}
	if (vm->piece_count > KZ_LOADS_MAX - 3) {
		diag_error(&s->diag, vm->conf->image.line,
			   "image %s has more than %u segments: "
			   "link it with fewer, or make it a raw binary",
			   vm->conf->image.s, KZ_LOADS_MAX - 2);
		return true;
	}
	p = piece_add(vm, "image", f->data + offset, filesz);
	p->run_size = memsz;
	p->at = get_le(f, at + offsetof(Elf64_Phdr, p_paddr), 8);
	return true;
}

static void elf_read(struct sys *s, struct vm *vm, const struct bytes *f)
{
	uint64_t phoff = get_le(f, offsetof(Elf64_Ehdr, e_phoff), 8);
	uint64_t phnum = get_le(f, offsetof(Elf64_Ehdr, e_phnum), 2);
	uint64_t step = get_le(f, offsetof(Elf64_Ehdr, e_phentsize), 2);
	bool ok = (step >= sizeof(Elf64_Phdr)) && (phoff <= f->size) &&
		  (phnum * step <= f->size - phoff);

	vm->kind = GUEST_ELF;
	vm->entry_at = get_le(f, offsetof(Elf64_Ehdr, e_entry), 8);
	for (uint64_t i = 0; ok && (i < phnum); i++) {
		ok = segment_read(s, vm, f, (size_t)(phoff + i * step));
	}
	if (!ok || (vm->piece_count == 0)) {
		diag_error(&s->diag, vm->conf->image.line, "image %s is an ELF file %s",
			   vm->conf->image.s, ok ? "with nothing to load" : "that is cut off");
	}
}

void guest_read(struct sys *s, struct vm *vm)
{
	const struct bytes *f;
	const char *why;

	vm->ramdisk = -1;
	vm->tree = -1;
	if (vm->conf->image.s == NULL) {
		diag_error(&s->diag, vm->conf->name.line, "vm '%s' has no image = \"FILE\"",
			   vm->conf->name.s);
		return;
	}
	f = sys_file(s, "image", vm->conf->image);
	why = (f == NULL) ? NULL : kind_refused(f);
	if (why != NULL) {
		diag_error(&s->diag, vm->conf->image.line, "image %s %s", vm->conf->image.s, why);
	} else if (f == NULL) {
		/* sys_file() has said so */
	} else if (has_at(f, 0, ELFMAG, SELFMAG)) {
		elf_read(s, vm, f);
	} else if ((f->size >= 64) && (get_le(f, 56, 4) == IMAGE_MAGIC)) {
		linux_read(vm, f);
	} else {
		vm->kind = GUEST_RAW;
		piece_add(vm, "image", f->data, f->size);
	}
	vm->image_count = vm->piece_count;
	if (vm->conf->ramdisk.s != NULL) {
		f = sys_file(s, "ramdisk", vm->conf->ramdisk);
		if ((f != NULL) && (f->size == 0)) {
			diag_error(&s->diag, vm->conf->ramdisk.line, "ramdisk %s is empty",
				   vm->conf->ramdisk.s);
		} else if (f != NULL) {
			vm->ramdisk = (int)vm->piece_count;
			piece_add(vm, "ramdisk", f->data, f->size);
		}
	}
}
