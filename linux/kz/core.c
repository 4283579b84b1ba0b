/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

/* Linux, arch/arm64 uapi and include/linux/elfcore.h. */
struct prstatus {
	int32_t signo, code, err;
	int16_t cursig;
	uint16_t pad;
	uint64_t sigpend, sighold;
	int32_t pid, ppid, pgrp, sid;
	uint64_t time[8];
	uint64_t x[31], sp, pc, pstate;
	int32_t fpvalid;
	uint32_t pad2;
};

struct fpregs {
	uint64_t v[64];
	uint32_t fpsr, fpcr;
	uint32_t reserved[2];
};

_Static_assert(sizeof(struct prstatus) == 392, "struct elf_prstatus");
_Static_assert(offsetof(struct prstatus, x) == 112, "struct elf_prstatus");
_Static_assert(sizeof(struct fpregs) == 528, "struct user_fpsimd_state");

/* A note's header and its name, which has up to 8 bytes; all that follows is a multiple of 4. */
struct note {
	Elf64_Nhdr head;
	char name[8];
};

#define NT_KIZAMI 1u /* of name "KIZAMI": struct kz_vcpu_registers, for other tools */

#define NOTES_SIZE                                                                   \
	(4 * sizeof(struct note) + sizeof(struct prstatus) + sizeof(struct fpregs) + \
	 sizeof(uint64_t) + sizeof(struct kz_vcpu_registers))

static bool note_write(FILE *out, const char *name, uint32_t type, const void *bytes, size_t size)
{
	struct note n = { .head = { .n_namesz = (Elf64_Word)strlen(name) + 1,
				    .n_descsz = (Elf64_Word)size,
				    .n_type = type } };

	memcpy(n.name, name, strlen(name));
	return (fwrite(&n, sizeof(n), 1, out) == 1) && (fwrite(bytes, size, 1, out) == 1);
}

/* The stack pointer that the vCPU uses: PSTATE.SPSel at EL1, else SP_EL0. */
static uint64_t sp_of(const struct kz_vcpu_registers *r)
{
	return ((r->pstate & 0xd) == 0x5) ? r->sp_el1 : r->sp_el0;
}

/* Of a vCPU, NOTES_SIZE bytes. */
static bool notes_write(FILE *out, const struct kz_vcpu_registers *r, unsigned vcpu)
{
	struct prstatus status = { .pid = (int32_t)vcpu + 1, /* gdb takes 0 for no thread */
				   .pgrp = 1,
				   .sp = sp_of(r),
				   .pc = r->pc,
				   .pstate = r->pstate,
				   .fpvalid = 1 };
	struct fpregs fp = { .fpsr = (uint32_t)r->fpsr, .fpcr = (uint32_t)r->fpcr };

	memcpy(status.x, r->x, sizeof(status.x));
	memcpy(fp.v, r->v, sizeof(fp.v));
	return note_write(out, "CORE", NT_PRSTATUS, &status, sizeof(status)) &&
	       note_write(out, "CORE", NT_FPREGSET, &fp, sizeof(fp)) &&
	       note_write(out, "LINUX", NT_ARM_TLS, &r->tpidr_el0, sizeof(r->tpidr_el0)) &&
	       note_write(out, "KIZAMI", NT_KIZAMI, r, sizeof(*r));
}

static Elf64_Ehdr header_of(unsigned segments)
{
	Elf64_Ehdr e = { .e_type = ET_CORE,
			 .e_machine = EM_AARCH64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = (Elf64_Half)segments };

	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_ident[EI_DATA] = ELFDATA2LSB;
	e.e_ident[EI_VERSION] = EV_CURRENT;
	return e;
}

bool core_header(FILE *out, const struct vmi *vm, const struct kz_vcpu_registers *registers,
		 uint64_t offset[KZ_REGIONS_MAX])
{
	Elf64_Phdr segment[KZ_REGIONS_MAX + 1] = { 0 };
	unsigned count = 1;
	uint64_t at, notes_at;
	Elf64_Ehdr head;

	for (unsigned r = 0; r < vm->cfg.region_count; r++) {
		count += (vm->cfg.region[r].type == KZ_REGION_RAM) ? 1 : 0;
	}
	head = header_of(count);
	notes_at = sizeof(head) + count * sizeof(segment[0]);
	segment[0] = (Elf64_Phdr){ .p_type = PT_NOTE,
				   .p_offset = notes_at,
				   .p_filesz = vm->cfg.vcpu_count * NOTES_SIZE,
				   .p_align = 4 };
	at = (notes_at + segment[0].p_filesz + KZ_PAGE_SIZE - 1) & ~(KZ_PAGE_SIZE - 1ull);
	count = 1;
	for (unsigned r = 0; r < vm->cfg.region_count; r++) {
		const struct kz_cfg_region *region = &vm->cfg.region[r];

		offset[r] = 0;
		if (region->type == KZ_REGION_RAM) {
			segment[count++] = (Elf64_Phdr){ .p_type = PT_LOAD,
							 .p_flags = PF_R | PF_W | PF_X,
							 .p_offset = at,
							 .p_vaddr = region->ipa,
							 .p_paddr = region->ipa,
							 .p_filesz = region->size,
							 .p_memsz = region->size,
							 .p_align = KZ_PAGE_SIZE };
			offset[r] = at;
			at += region->size;
		}
	}
	if ((fwrite(&head, sizeof(head), 1, out) != 1) ||
	    (fwrite(segment, sizeof(segment[0]), count, out) != count)) {
		return false;
	}
	for (unsigned v = 0; v < vm->cfg.vcpu_count; v++) {
		if (!notes_write(out, &registers[v], v)) {
			return false;
		}
	}
	return true;
}
