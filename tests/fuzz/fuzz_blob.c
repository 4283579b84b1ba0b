/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_text.c */
/*
 * blob_check on spoilt blobs. The input is a list of patches to a blob that is right: an offset,
 * a width and a value; an odd first byte makes it the blob itself. What is accepted must keep
 * the promises of blob.h, which are checked again here by other means.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../host/blob_make.h"

#define CLAIMS_MAX 200u
#define FULL       100u
#define PATCH_SIZE 11u /* two bytes of offset, one of width, eight of value */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* [base, end) with room for sums. */
struct claim {
	unsigned __int128 base, end;
};

struct claims {
	struct claim claim[CLAIMS_MAX];
	unsigned count;
};

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

/* Claim pages that nobody has claimed, below the end. */
static void claim(struct claims *c, uint64_t base, uint64_t size, uint64_t end)
{
	struct claim n = { base, (unsigned __int128)base + size };

	require((size > 0) && (base % 4096 == 0) && (size % 4096 == 0) && (n.end <= end));
	for (unsigned i = 0; i < c->count; i++) {
		require((n.end <= c->claim[i].base) || (n.base >= c->claim[i].end));
	}
	require(c->count < CLAIMS_MAX);
	c->claim[c->count++] = n;
}

static bool is_in(uint64_t base, uint64_t size, uint64_t in, uint64_t in_size)
{
	return (base >= in) && ((unsigned __int128)base + size <= (unsigned __int128)in + in_size);
}

static unsigned ram_count(const struct kz_cfg_machine *m, uint64_t pa, uint64_t size)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->ram_count; i++) {
		n += is_in(pa, size, m->ram[i].pa, m->ram[i].size) ? 1 : 0;
	}
	return n;
}

static bool vm_ram(const struct kz_cfg_vm *vm, uint64_t ipa, uint64_t size)
{
	bool found = false;

	for (unsigned i = 0; i < vm->region_count; i++) {
		found = found || ((vm->region[i].type == KZ_REGION_RAM) &&
				  is_in(ipa, size, vm->region[i].ipa, vm->region[i].size));
	}
	return found;
}

static void oracle_frames(const struct kz_cfg *cfg, struct claims *pa)
{
	const struct kz_cfg_machine *m = &cfg->machine;

	claim(pa, cfg->image_pa, cfg->image_size, KZ_PA_LIMIT);
	require(ram_count(m, cfg->image_pa, cfg->image_size) == 1);
	require((m->trace_chunks >= 2) && (m->trace_chunks <= 64));
	require((m->trace_mode <= 1) && (m->trace_on_crash <= 1));
	claim(pa, m->trace_pa, 4096 + m->cpu_count * m->trace_chunks * 32768ull, KZ_PA_LIMIT);
	require(ram_count(m, m->trace_pa, 4096 + m->cpu_count * m->trace_chunks * 32768ull) == 1);
	if (m->gic_version == 2) {
		claim(pa, m->gicd_pa, 0x1000, KZ_PA_LIMIT);
		claim(pa, m->gicc_pa, 0x2000, KZ_PA_LIMIT);
		claim(pa, m->gich_pa, 0x2000, KZ_PA_LIMIT);
		claim(pa, m->gicv_pa, 0x2000, KZ_PA_LIMIT);
	} else {
		require(m->gic_version == 3);
		claim(pa, m->gicd_pa, 0x10000, KZ_PA_LIMIT);
		claim(pa, m->gicr_pa, m->gicr_size, KZ_PA_LIMIT);
		require(m->gicr_size >= 0x20000ull * m->cpu_count);
	}
	if (m->uart != KZ_UART_NONE) {
		claim(pa, m->uart_pa, 0x1000, KZ_PA_LIMIT);
	}
}

static void oracle_space(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, struct claims *pa)
{
	struct claims ipa = { .count = 0 };
	bool v2 = (cfg->machine.gic_version == 2);

	require((vm->region_count >= 1) && (vm->region_count <= KZ_REGIONS_MAX));
	for (unsigned i = 0; i < vm->region_count; i++) {
		const struct kz_cfg_region *r = &vm->region[i];

		claim(&ipa, r->ipa, r->size, 1ull << KZ_IPA_BITS);
		claim(pa, r->pa, r->size, KZ_PA_LIMIT);
		if (r->type == KZ_REGION_RAM) {
			require(ram_count(&cfg->machine, r->pa, r->size) == 1);
			continue;
		}
		for (unsigned k = 0; k < cfg->machine.ram_count; k++) {
			const struct kz_cfg_ram *ram = &cfg->machine.ram[k];

			require((r->pa + r->size <= ram->pa) || (r->pa >= ram->pa + ram->size));
		}
	}
	claim(&ipa, vm->gicd_ipa, v2 ? 0x1000 : 0x10000, 1ull << KZ_IPA_BITS);
	claim(&ipa, vm->gicc_ipa, v2 ? 0x2000 : 0x20000ull * vm->vcpu_count, 1ull << KZ_IPA_BITS);
	if (vm->console == KZ_CONSOLE_PL011) {
		claim(&ipa, vm->console_ipa, 0x1000, 1ull << KZ_IPA_BITS);
	} else if (vm->console == KZ_CONSOLE_RING) {
		require(vm_ram(vm, vm->console_ipa, 0x1000) && (vm->console_ipa % 4096 == 0));
	}
}

static void oracle_server(const struct kz_cfg_vm *vm)
{
	const struct kz_cfg_server *s = &vm->server;
	uint64_t none[3] = { 0, 0, 0 };

	require((s->on_miss < KZ_EVENTS) && (s->on_overrun < KZ_EVENTS) && (s->reserved == 0));
	if (vm->level == KZ_HRT) {
		require((s->weight == 0) && (vm->stolen_ipa == 0));
	} else {
		require((s->weight >= 1) && (s->weight <= 10000));
	}
	if (memcmp(s, none, sizeof(none)) != 0) {
		require((vm->level != KZ_HRT) && (s->period_ns >= 10000) &&
			(s->period_ns <= 3600ull * 1000000000));
		require((s->budget_ns >= 1000) && (s->budget_ns <= s->deadline_ns) &&
			(s->deadline_ns <= s->period_ns));
	}
	if (vm->stolen_ipa != 0) {
		require(vm_ram(vm, vm->stolen_ipa, 0x1000) && (vm->stolen_ipa % 4096 == 0));
		require((vm->console != KZ_CONSOLE_RING) || (vm->console_ipa != vm->stolen_ipa));
	}
}

static void intid_claim(uint8_t *owned, uint32_t intid, uint32_t lines)
{
	require((intid >= 32) && (intid < 1020) && (intid < lines) && (owned[intid] == 0));
	owned[intid] = 1;
}

/* How often each core is given away: 1 for a vCPU that may share it, FULL by one that may not. */
static void cores_claim(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, uint8_t *cores)
{
	uint8_t own[KZ_CPUS_MAX] = { 0 };

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		uint8_t core = vm->cpu[i];

		require((core < cfg->machine.cpu_count) && (own[core] == 0));
		own[core] = 1;
		require(cores[core] + ((vm->level == KZ_HRT) ? FULL : 1u) <= FULL);
		cores[core] = (uint8_t)(cores[core] + ((vm->level == KZ_HRT) ? FULL : 1u));
	}
}

static void oracle_vm(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, uint8_t *cores,
		      uint8_t *owned)
{
	const struct kz_cfg_machine *m = &cfg->machine;

	require(memchr(vm->name, '\0', KZ_NAME_MAX) != NULL);
	require((vm->vcpu_count >= 1) && (vm->vcpu_count <= KZ_VCPUS_MAX));
	require((vm->level < KZ_LEVELS) && (vm->on_fault < KZ_FAULTS) &&
		(vm->console < KZ_CONSOLES));
	cores_claim(cfg, vm, cores);
	oracle_server(vm);
	require((vm->irq_lines >= 64) && (vm->irq_lines <= 1024) && (vm->irq_lines % 32 == 0));
	for (unsigned i = 0; i < vm->irq_count; i++) {
		require((i < KZ_IRQS_MAX) && (vm->irq[i].intid < vm->irq_lines));
		require(vm->irq[i].intid != vm->console_intid);
		intid_claim(owned, vm->irq[i].intid, m->gic_lines);
	}
	if (vm->console_intid != 0) {
		require((vm->console == KZ_CONSOLE_PL011) && (vm->console_intid >= 32) &&
			(vm->console_intid < vm->irq_lines));
		if (vm->level == KZ_HRT) {
			intid_claim(owned, vm->console_intid, m->gic_lines);
		}
	}
	for (unsigned i = 0; i < vm->load_count; i++) {
		const struct kz_cfg_load *l = &vm->load[i];

		require((i < KZ_LOADS_MAX) && vm_ram(vm, l->ipa, l->size));
		require(is_in(cfg->blob_offset + l->offset, l->size, cfg->blob_offset + cfg->size,
			      cfg->image_size - cfg->blob_offset - cfg->size));
	}
	require(vm_ram(vm, vm->entry, 4) && vm_ram(vm, vm->arg, 8));
}

static void oracle(const struct kz_cfg *cfg, size_t avail)
{
	struct claims pa = { .count = 0 };
	uint8_t cores[KZ_CPUS_MAX] = { 0 };
	uint8_t owned[1024] = { 0 };
	bool soft = false;

	require((cfg->vm_count >= 1) && (cfg->vm_count <= KZ_VMS_MAX) && (cfg->size <= avail));
	require((cfg->machine.cpu_count >= 1) && (cfg->machine.cpu_count <= KZ_CPUS_MAX));
	require((cfg->machine.ram_count >= 1) && (cfg->machine.ram_count <= KZ_RAMS_MAX));
	require(cfg->machine.console_cpu < cfg->machine.cpu_count);
	owned[cfg->machine.uart_intid] = 1;
	oracle_frames(cfg, &pa);
	for (unsigned v = 0; v < cfg->vm_count; v++) {
		oracle_space(cfg, blob_vm(cfg, v), &pa);
		oracle_vm(cfg, blob_vm(cfg, v), cores, owned);
		for (unsigned w = 0; w < v; w++) {
			require(strcmp(blob_vm(cfg, v)->name, blob_vm(cfg, w)->name) != 0);
		}
	}
	for (unsigned i = 0; i < cfg->machine.cpu_count; i++) {
		soft = soft || (cores[i] != FULL);
		require(cfg->machine.reserve_ppm[i] <= 1000000);
	}
	require(!soft || (cores[cfg->machine.console_cpu] != FULL));
	require(cfg->machine.proven < (1u << cfg->machine.cpu_count));
}

static void patch(uint8_t *blob, const uint8_t *data, size_t size)
{
	for (; size >= PATCH_SIZE; size -= PATCH_SIZE, data += PATCH_SIZE) {
		size_t at = ((size_t)data[0] | ((size_t)data[1] << 8)) % BLOB_MAKE_SIZE;
		size_t width = (size_t)1 << (data[2] % 4);

		at -= at % width;
		if (at + width <= BLOB_MAKE_SIZE) {
			memcpy(blob + at, data + 3, width);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool raw = (size > 0) && ((data[0] & 1) != 0);
	size_t avail = raw ? size - 1 : BLOB_MAKE_SIZE;
	struct blob_where where = { 1000, 0 };
	struct kz_cfg *cfg;
	enum blob_err err;

	if (size == 0) {
		return 0;
	}
	/* As large as it says: a byte too far is seen by the sanitizer. */
	cfg = malloc((avail == 0) ? 1 : avail);
	require(cfg != NULL);
	if (raw) {
		memcpy(cfg, data + 1, avail);
	} else {
		blob_make(cfg, ((data[0] & 2) != 0) ? 3 : 2);
		patch((uint8_t *)cfg, data + 1, size - 1);
	}
	err = blob_check(cfg, avail, &where);
	require((err < BLOB_ERRS) && (where.vm <= BLOB_NO_VM));
	require(strcmp(blob_strerror(err), "unknown error") != 0);
	if (err == BLOB_OK) {
		oracle(cfg, avail);
	}
	free(cfg);
	return 0;
}
