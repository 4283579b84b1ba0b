/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that is to be created in a system that runs: from a file with one vm section to what
 * KZ_HVC_REGISTER and KZ_HVC_FILL take (include/kizami/control.h). Everything is checked as by
 * `kzc build`, beside the VMs that are there, and at last by the hypervisor's own blob_check_vm.
 *
 * For a program other than kzc: link all of tools/kzc but main.c, hv/blob*.c, libconfuse, libfdt.
 *
 *	struct sys *s = calloc(1, sizeof(*s));
 *	s->diag.mem = &s->mem;
 *	s->paths = ...;
 *	ok = live_load(s, "web.conf", &now, &vm);
 *	diag_print(&s->diag, stderr);
 *	diag_print(&s->board.diag, stderr);
 *	... use vm, if ok ...
 *	mem_free(&s->mem);
 *	free(s);
 *
 * Memory: all that *out points to, and all messages, belong to s->mem, and are there until
 * mem_free(&s->mem). What struct live points to belongs to the caller and must stay as long. A
 * struct sys is good for one call. Not for two threads at once (libConfuse's callbacks).
 *
 * Errors: a mistake is a message with file and line in s->diag, or in s->board.diag if it is in the
 * board's files; then the result is false and *out is not to be used. Notes may be there also when
 * it is true. Out of memory ends the process.
 */
#ifndef KZC_LIVE_H
#define KZC_LIVE_H

#include "sys.h"

/* Pieces of free RAM: between the VMs' regions, the image and the trace. */
#define LIVE_FREE_MAX (KZ_RAMS_MAX + KZ_VMS_MAX * KZ_REGIONS_MAX + 3)

/* The system as it runs. */
struct live {
	const struct kz_cfg *cfg; /* struct kz_machine_info.cfg */
	/* KZ_INSPECT_CONFIG of each place that is somebody's, those being destroyed too; or NULL */
	const struct kz_cfg_vm *vm[KZ_VMS_MAX];
	/*
	 * The board whose file and device tree say what devices there are: a name, or a path with a
	 * '/'. NULL: that of cfg->machine.board, in s->paths; if it is not found, a VM cannot have
	 * devices, and what a switch costs is not known to the real-time test.
	 */
	const char *board;
};

struct live_vm {
	struct kz_cfg_vm cfg; /* for KZ_HVC_REGISTER */
	/* For KZ_HVC_FILL from offset 0 on: a multiple of 64 bytes, which may be 0. */
	struct bytes store;
};

/*
 * live_load, live_parse - the one VM that the file, or the text (NUL-ended, size bytes; it is
 * changed, and s->diag.file names it), has: its memory found, its device tree made. `board`,
 * `cores`, `ram`, `nrt_reserve`, `trace` and sections of cores are of the whole system, which
 * runs already: refused. cpus = any chooses from the cores as they are now. Relative paths
 * are relative to the file's folder; for live_parse, to s->dir, "." if that is NULL.
 */
bool live_load(struct sys *s, const char *path, const struct live *now, struct live_vm *out);
bool live_parse(struct sys *s, char *text, size_t size, const struct live *now,
		struct live_vm *out);

/* live_free - RAM that nobody has, in the order of addresses; returns how many pieces. */
unsigned live_free(const struct live *now, struct kz_cfg_ram out[LIVE_FREE_MAX]);

#endif
