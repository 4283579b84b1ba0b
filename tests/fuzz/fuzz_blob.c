/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * blob_check on spoilt blobs. The input is a list of patches to a blob that is right: an offset,
 * a width and a value; an odd first byte makes it the blob itself. What is accepted must keep
 * the promises of blob.h, which are checked again here by other means. Then each VM of it leaves
 * and comes back with a store: blob_check_vm must let it in. With bit 2 of the first byte, the
 * patches are to a VM that comes beside the others: what blob_check_vm lets
 * in keeps the same promises.
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

static uint64_t trace_size(const struct kz_cfg_machine *m)
{
	return 4096 + m->cpu_count * m->trace_chunks * 32768ull;
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
	claim(pa, m->trace_pa, trace_size(m), KZ_PA_LIMIT);
	require(ram_count(m, m->trace_pa, trace_size(m)) == 1);
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

/* A region of a VM: whose pages they are. */
static void oracle_region(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm,
			  const struct kz_cfg_region *r, struct claims *ipa, struct claims *pa)
{
	const struct kz_cfg_machine *m = &cfg->machine;

	require(r->type <= KZ_REGION_STORE);
	if (r->type != KZ_REGION_STORE) {
		claim(ipa, r->ipa, r->size, 1ull << KZ_IPA_BITS);
	}
	if (r->type == KZ_REGION_TRACE) {
		require((r->pa == m->trace_pa) && (r->size == trace_size(m)));
		require(vm->rights[KZ_RIGHT_LIST] == 0xff);
		return;
	}
	claim(pa, r->pa, r->size, KZ_PA_LIMIT);
	if (r->type != KZ_REGION_DEVICE) {
		require(ram_count(m, r->pa, r->size) == 1);
		return;
	}
	for (unsigned k = 0; k < m->ram_count; k++) {
		const struct kz_cfg_ram *ram = &m->ram[k];

		require((r->pa + r->size <= ram->pa) || (r->pa >= ram->pa + ram->size));
	}
}

/* Of each type; who came later has a store. */
static void oracle_types(const struct kz_cfg_vm *vm, bool live)
{
	unsigned count[KZ_REGION_TYPES] = { 0 };

	for (unsigned i = 0; i < vm->region_count; i++) {
		count[vm->region[i].type]++;
		require((vm->region[i].type != KZ_REGION_STORE) || (vm->region[i].ipa == 0));
	}
	require((count[KZ_REGION_TRACE] <= 1) && (count[KZ_REGION_STORE] == (live ? 1 : 0)));
	require(live || (vm->store_tables == 0));
}

static void oracle_space(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, struct claims *pa)
{
	struct claims ipa = { .count = 0 };
	bool v2 = (cfg->machine.gic_version == 2);

	require((vm->region_count >= 1) && (vm->region_count <= KZ_REGIONS_MAX));
	for (unsigned i = 0; i < vm->region_count; i++) {
		oracle_region(cfg, vm, &vm->region[i], &ipa, pa);
	}
	claim(&ipa, vm->gicd_ipa, v2 ? 0x1000 : 0x10000, 1ull << KZ_IPA_BITS);
	claim(&ipa, vm->gicc_ipa, v2 ? 0x2000 : 0x20000ull * vm->vcpu_count, 1ull << KZ_IPA_BITS);
	if (vm->console == KZ_CONSOLE_PL011) {
		claim(&ipa, vm->console_ipa, 0x1000, 1ull << KZ_IPA_BITS);
	} else if (vm->console == KZ_CONSOLE_RING) {
		require(vm_ram(vm, vm->console_ipa, 0x1000) && (vm->console_ipa % 4096 == 0));
	}
	if (vm->wdt_ipa != 0) {
		claim(&ipa, vm->wdt_ipa, 0x2000, 1ull << KZ_IPA_BITS);
	}
}

static void oracle_health(const struct kz_cfg_vm *vm)
{
	require(vm->restart <= 2);
	require((vm->backoff_ms <= vm->backoff_max_ms) && (vm->backoff_max_ms <= 3600 * 1000));
	require((vm->watchdog_ns == 0) || ((vm->watchdog_ns >= 10000) &&
					   (vm->watchdog_ns <= 3600ull * 1000000000)));
}

static void oracle_rights(const struct kz_cfg_vm *vm, uint32_t vm_count, bool live)
{
	for (unsigned i = 0; i < KZ_RIGHTS; i++) {
		require((i < 6) || (vm->rights[i] == 0));
		require(!live || (vm->rights[i] == 0));
		require((vm->rights[i] == 0xff) || (vm->rights[i] < (1u << vm_count)));
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

/* Of the console and the watchdog: a hard VM's are the machine's. */
static void oracle_intid(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, uint32_t intid,
			 uint8_t *owned)
{
	require((intid >= 32) && (intid < vm->irq_lines));
	if (vm->level == KZ_HRT) {
		intid_claim(owned, intid, cfg->machine.gic_lines);
	}
}

static void oracle_loads(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm, bool live)
{
	uint64_t store = 0;

	for (unsigned i = 0; i < vm->region_count; i++) {
		store += (vm->region[i].type == KZ_REGION_STORE) ? vm->region[i].size : 0;
	}
	for (unsigned i = 0; i < vm->load_count; i++) {
		const struct kz_cfg_load *l = &vm->load[i];

		require((i < KZ_LOADS_MAX) && vm_ram(vm, l->ipa, l->size));
		if (live) {
			require(vm->store_tables <= store / 4096);
			require(is_in(l->offset, l->size, 0, store - vm->store_tables * 4096ull));
		} else {
			require(is_in(cfg->blob_offset + l->offset, l->size,
				      cfg->blob_offset + cfg->size,
				      cfg->image_size - cfg->blob_offset - cfg->size));
		}
	}
	require(vm_ram(vm, vm->entry, 4) && vm_ram(vm, vm->arg, 8));
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
	oracle_health(vm);
	for (unsigned i = 0; i < vm->irq_count; i++) {
		require((i < KZ_IRQS_MAX) && (vm->irq[i].intid < vm->irq_lines));
		require((vm->irq[i].intid != vm->console_intid) &&
			(vm->irq[i].intid != vm->wdt_intid));
		intid_claim(owned, vm->irq[i].intid, m->gic_lines);
	}
	require((vm->console_intid == 0) || (vm->console == KZ_CONSOLE_PL011));
	require((vm->wdt_ipa != 0) == (vm->wdt_intid != 0));
	if (vm->console_intid != 0) {
		oracle_intid(cfg, vm, vm->console_intid, owned);
		require(vm->console_intid != vm->wdt_intid);
	}
	if (vm->wdt_intid != 0) {
		oracle_intid(cfg, vm, vm->wdt_intid, owned);
	}
}

/* All VMs of a system: vm[i] is in place i; live: it came later. */
static void oracle_vms(const struct kz_cfg *cfg, const struct kz_cfg_vm *const *vm, uint32_t live)
{
	struct claims pa = { .count = 0 };
	uint8_t cores[KZ_CPUS_MAX] = { 0 };
	uint8_t owned[1024] = { 0 };
	bool soft = false;

	owned[cfg->machine.uart_intid] = 1;
	oracle_frames(cfg, &pa);
	for (unsigned v = 0; v < KZ_VMS_MAX; v++) {
		if (vm[v] == NULL) {
			continue;
		}
		oracle_space(cfg, vm[v], &pa);
		oracle_vm(cfg, vm[v], cores, owned);
		oracle_types(vm[v], (live >> v & 1) != 0);
		oracle_loads(cfg, vm[v], (live >> v & 1) != 0);
		oracle_rights(vm[v], cfg->vm_count, (live >> v & 1) != 0);
		for (unsigned w = 0; w < v; w++) {
			require((vm[w] == NULL) || (strcmp(vm[v]->name, vm[w]->name) != 0));
		}
	}
	for (unsigned i = 0; i < cfg->machine.cpu_count; i++) {
		soft = soft || (cores[i] != FULL);
		require(cfg->machine.reserve_ppm[i] <= 1000000);
	}
	require(!soft || (cores[cfg->machine.console_cpu] != FULL));
}

static void oracle(const struct kz_cfg *cfg, size_t avail)
{
	const struct kz_cfg_vm *vm[KZ_VMS_MAX] = { NULL };

	require((cfg->vm_count >= 1) && (cfg->vm_count <= KZ_VMS_MAX) && (cfg->size <= avail));
	require((cfg->machine.cpu_count >= 1) && (cfg->machine.cpu_count <= KZ_CPUS_MAX));
	require((cfg->machine.ram_count >= 1) && (cfg->machine.ram_count <= KZ_RAMS_MAX));
	require(cfg->machine.console_cpu < cfg->machine.cpu_count);
	require(cfg->machine.proven < (1u << cfg->machine.cpu_count));
	for (unsigned v = 0; v < cfg->vm_count; v++) {
		vm[v] = blob_vm(cfg, v);
	}
	oracle_vms(cfg, vm, 0);
}

static void patch(uint8_t *base, size_t most, const uint8_t *data, size_t size)
{
	for (; size >= PATCH_SIZE; size -= PATCH_SIZE, data += PATCH_SIZE) {
		size_t at = ((size_t)data[0] | ((size_t)data[1] << 8)) % most;
		size_t width = (size_t)1 << (data[2] % 4);

		at -= at % width;
		if (at + width <= most) {
			memcpy(base + at, data + 3, width);
		}
	}
}

/* ---- VMs that come later ---- */

/* Is the page in nobody's region, nor the hypervisor's? */
static bool page_is_free(const struct kz_cfg *cfg, uint64_t pa)
{
	bool free = !is_in(pa, 4096, cfg->image_pa, cfg->image_size) &&
		    !is_in(pa, 4096, cfg->machine.trace_pa, trace_size(&cfg->machine));

	for (unsigned v = 0; v < cfg->vm_count; v++) {
		const struct kz_cfg_vm *vm = blob_vm(cfg, v);

		for (unsigned i = 0; i < vm->region_count; i++) {
			free = free && !is_in(pa, 4096, vm->region[i].pa, vm->region[i].size);
		}
	}
	return free;
}

/* Pages in a row behind some region, or 0. */
static uint64_t pages_find(const struct kz_cfg *cfg, unsigned count)
{
	for (unsigned v = 0; v < cfg->vm_count; v++) {
		const struct kz_cfg_region *r = blob_vm(cfg, v)->region;
		uint64_t pa = r->pa + r->size;
		unsigned n = 0;

		while ((n < count) && page_is_free(cfg, pa + n * 4096ull)) {
			n++;
		}
		if ((n == count) && (ram_count(&cfg->machine, pa, count * 4096ull) == 1)) {
			return pa;
		}
	}
	return 0;
}

/* The same VM as one that comes later: with a store, without rights. False: it cannot be. */
static bool live_make(const struct kz_cfg *cfg, uint32_t id, struct kz_cfg_vm *vm)
{
	uint32_t n = 0;
	uint64_t pa;

	*vm = *blob_vm(cfg, id);
	memset(vm->rights, 0, sizeof(vm->rights));
	for (uint32_t i = 0; i < vm->region_count; i++) {
		if (vm->region[i].type != KZ_REGION_TRACE) {
			vm->region[n++] = vm->region[i];
		}
	}
	vm->region_count = (uint8_t)n;
	vm->store_tables = blob_tables(vm);
	vm->load_count = (vm->load_count < 1) ? vm->load_count : 1;
	vm->load[0].offset = 0;
	vm->load[0].size = (vm->load[0].size < 4096) ? vm->load[0].size : 4096;
	if ((n == KZ_REGIONS_MAX) || (vm->store_tables > 64)) {
		return false;
	}
	pa = pages_find(cfg, vm->store_tables + 1);
	vm->region[n] = (struct kz_cfg_region){ 0, pa, (vm->store_tables + 1) * 4096ull,
						KZ_REGION_STORE, 0 };
	vm->region_count++;
	return pa != 0;
}

static void others_list(const struct kz_cfg *cfg, uint32_t id, const struct kz_cfg_vm **others)
{
	for (unsigned v = 0; v < KZ_VMS_MAX; v++) {
		others[v] = ((v < cfg->vm_count) && (v != id)) ? blob_vm(cfg, v) : NULL;
	}
}

static bool console_is_its(const struct kz_cfg *cfg, const struct kz_cfg_vm *vm)
{
	return (vm->level == KZ_HRT) &&
	       (memchr(vm->cpu, (int)cfg->machine.console_cpu, vm->vcpu_count) != NULL);
}

/* Each VM of a blob that was accepted leaves and comes back. */
static void live_again(const struct kz_cfg *cfg)
{
	for (uint32_t id = 0; id < cfg->vm_count; id++) {
		const struct kz_cfg_vm *others[KZ_VMS_MAX];
		struct blob_where where;
		struct kz_cfg_vm vm;
		enum blob_err err;

		if (!live_make(cfg, id, &vm)) {
			continue;
		}
		others_list(cfg, id, others);
		err = blob_check_vm(cfg, others, id, &vm, &where);
		require(err == (console_is_its(cfg, &vm) ? BLOB_CONSOLE_CPU : BLOB_OK));
		if (err == BLOB_OK) {
			others[id] = &vm;
			oracle_vms(cfg, others, 1u << id);
			vm.store_tables = blob_tables(&vm) - 1;
			others[id] = NULL;
			require(blob_check_vm(cfg, others, id, &vm, &where) == BLOB_STORE);
		}
	}
}

/* One that comes is patched. */
static void live_patched(struct kz_cfg *cfg, uint32_t id, const uint8_t *data, size_t size)
{
	const struct kz_cfg_vm *others[KZ_VMS_MAX];
	struct blob_where where = { 1000, 0 };
	struct kz_cfg_vm *vm = malloc(sizeof(*vm));
	enum blob_err err;

	require((vm != NULL) && live_make(cfg, id, vm));
	patch((uint8_t *)vm, sizeof(*vm), data, size);
	others_list(cfg, id, others);
	err = blob_check_vm(cfg, others, id, vm, &where);
	require((err < BLOB_ERRS) && (where.vm == id));
	if (err == BLOB_OK) {
		others[id] = vm;
		oracle_vms(cfg, others, 1u << id);
		require(!console_is_its(cfg, vm) && (vm->store_tables >= blob_tables(vm)));
	}
	free(vm);
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
	}
	if (!raw && ((data[0] & 4) != 0)) {
		live_patched(cfg, (data[0] >> 4) % BLOB_MAKE_VMS, data + 1, size - 1);
	} else if (!raw) {
		patch((uint8_t *)cfg, BLOB_MAKE_SIZE, data + 1, size - 1);
	}
	err = blob_check(cfg, avail, &where);
	require((err < BLOB_ERRS) && (where.vm <= BLOB_NO_VM));
	require(strcmp(blob_strerror(err), "unknown error") != 0);
	if (err == BLOB_OK) {
		oracle(cfg, avail);
		live_again(cfg);
	}
	free(cfg);
	return 0;
}
