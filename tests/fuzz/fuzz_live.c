/* SPDX-License-Identifier: Apache-2.0 */
/* link: tools/kzc/admit.c tools/kzc/rt.c tools/kzc/rt_demand.c tools/kzc/rt_inner.c */
/* link: tools/kzc/board_keys.c tools/kzc/cores.c tools/kzc/realtime.c */
/* link: tools/kzc/board.c tools/kzc/conf.c tools/kzc/device.c tools/kzc/diag.c tools/kzc/dt.c */
/* link: tools/kzc/guest.c tools/kzc/image.c tools/kzc/map.c tools/kzc/mem.c tools/kzc/pass.c */
/* link: tools/kzc/place.c tools/kzc/ram.c tools/kzc/scan.c tools/kzc/svg.c tools/kzc/sys.c */
/* link: tools/kzc/trace.c tools/kzc/conf_value.c tools/kzc/control.c tools/kzc/health.c */
/* link: tools/kzc/intid.c tools/kzc/live.c tools/kzc/live_ram.c */
/* link: tools/kzc/tree.c tools/kzc/vm.c hv/blob.c hv/blob_vm.c hv/blob_text.c */
/*
 * VMs that come while others run: the input is one's configuration; behind its first NUL, if it has
 * one, are bytes that say which of three VMs run and where their memory is. Whatever live_parse
 * lets pass, the hypervisor takes; and nothing of it is anybody else's.
 */
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "../host/blob_make.h"
#include "file_add.h"
#include "live.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

/* What runs: VMs of the blob for tests, their RAM at some multiple of 64 KiB if that is right. */
static struct kz_cfg *system_make(struct live *now, const uint8_t *data, size_t size)
{
	struct kz_cfg *cfg = malloc(BLOB_MAKE_SIZE);
	struct kz_cfg_vm *vm;
	struct blob_where where;

	require(cfg != NULL);
	blob_make(cfg, ((size > 0) && ((data[0] & 8) != 0)) ? 3 : 2);
	vm = (struct kz_cfg_vm *)(void *)(cfg + 1);
	for (unsigned v = 0; v < BLOB_MAKE_VMS; v++) {
		uint64_t pa = vm[v].region[0].pa;

		if (size > 2 * v + 2) {
			vm[v].region[0].pa = 0x40000000ull + (data[2 * v + 1] |
				(uint64_t)(data[2 * v + 2] & 0x3f) << 8) * 0x10000;
		}
		if (blob_check(cfg, BLOB_MAKE_SIZE, &where) != BLOB_OK) {
			vm[v].region[0].pa = pa;
		}
		if ((size == 0) || ((data[0] >> v & 1) == 0)) {
			now->vm[(v * 3) % KZ_VMS_MAX] = &vm[v];
		}
	}
	require(blob_check(cfg, BLOB_MAKE_SIZE, &where) == BLOB_OK);
	now->cfg = cfg;
	return cfg;
}

/* Its loads have their bytes, and its memory is free. */
static void result_check(const struct live *now, const struct live_vm *vm)
{
	struct kz_cfg_ram free_ram[LIVE_FREE_MAX];
	unsigned n = live_free(now, free_ram);

	for (unsigned i = 0; i < vm->cfg.load_count; i++) {
		const struct kz_cfg_load *l = &vm->cfg.load[i];

		require((l->offset <= vm->store.size) && (l->size <= vm->store.size - l->offset));
	}
	require(vm->store.size % 64 == 0);
	for (unsigned i = 0; i < vm->cfg.region_count; i++) {
		const struct kz_cfg_region *r = &vm->cfg.region[i];
		bool found = false;

		for (unsigned k = 0; k < n; k++) {
			found = found || ((r->pa >= free_ram[k].pa) &&
					  (r->pa + r->size <= free_ram[k].pa + free_ram[k].size));
		}
		require(found);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = (size == 0) ? NULL : memchr(data, '\0', size);
	size_t len = (nul == NULL) ? size : (size_t)(nul - data);
	struct sys *s = calloc(1, sizeof(*s));
	struct live now = { .cfg = NULL };
	struct kz_cfg *cfg = system_make(&now, (nul == NULL) ? data : nul + 1,
					 (nul == NULL) ? 0 : size - len - 1);
	struct live_vm vm = { .store = { NULL, 0 } };
	char *text;

	require(s != NULL);
	s->diag = (struct diag){ .mem = &s->mem, .file = "fuzz.conf" };
	s->dir = "/nonexistent";
	file_add(s, "raw", "raw binary", 10);
	file_add(s, "large", mem_zalloc(&s->mem, 300000), 300000);
	text = mem_strndup(&s->mem, (const char *)((size == 0) ? (const uint8_t *)"" : data), len);
	if (live_parse(s, text, len, &now, &vm)) {
		require(s->diag.errors == 0);
		result_check(&now, &vm);
	} else {
		/* It is there before the hypervisor's check: kzc's own have missed nothing. */
		require((s->diag.errors > 0) && (vm.cfg.vcpu_count == 0));
	}
	mem_free(&s->mem);
	free(cfg);
	free(s);
	return 0;
}
