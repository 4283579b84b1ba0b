/* SPDX-License-Identifier: Apache-2.0 */
/* kz dump: a VM as a core file. It is paused meanwhile, and goes on whatever happens. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "core.h"
#include "life.h"
#include "show.h"
#include "stop.h"
#include "term.h"

struct dump {
	struct kz *kz;
	struct vmi vm;
	const char *path;
	char *part; /* its name until it is whole */
	FILE *out;
	struct kz_vcpu_registers registers[KZ_VCPUS_MAX];
	uint64_t offset[KZ_REGIONS_MAX];
};

static int write_failed(const struct dump *d)
{
	return kz_fail(d->kz, "%s: %s", d->path, strerror(errno));
}

static bool is_zero(const uint8_t *page, size_t size)
{
	return (page[0] == 0) && (memcmp(page, page + 1, size - 1) == 0);
}

/* A page of zeros is a hole in the file: most of a VM's memory often is. */
static int region_write(struct dump *d, unsigned r, uint64_t *done, uint64_t all)
{
	const struct kz_cfg_region *region = &d->vm.cfg.region[r];
	uint8_t page[KZ_CONTROL_BYTES];

	for (uint64_t at = 0; at < region->size; at += sizeof(page)) {
		int err;

		if (stop_asked()) {
			return EXIT_STOPPED;
		}
		err = call_read(d->kz, d->vm.id, region->ipa + at, page, sizeof(page));
		if (err != KZ_OK) {
			return call_failed(d->kz, err, "reading the memory", d->vm.info.name);
		}
		if (!is_zero(page, sizeof(page)) &&
		    ((fseeko(d->out, (off_t)(d->offset[r] + at), SEEK_SET) != 0) ||
		     (fwrite(page, sizeof(page), 1, d->out) != 1))) {
			return write_failed(d);
		}
		*done += sizeof(page);
		progress("memory", *done, all);
	}
	return EXIT_OK;
}

/* Registers, headers, memory; the VM stands still. */
static int file_write(struct dump *d)
{
	uint64_t done = 0, end = 0;
	int code = EXIT_OK;

	for (unsigned v = 0; v < d->vm.cfg.vcpu_count; v++) {
		int err = call_registers(d->kz, d->vm.id, v, &d->registers[v]);

		if (err != KZ_OK) {
			return call_failed(d->kz, err, "reading the registers", d->vm.info.name);
		}
	}
	if (!core_header(d->out, &d->vm, d->registers, d->offset)) {
		return write_failed(d);
	}
	for (unsigned r = 0; (code == EXIT_OK) && (r < d->vm.cfg.region_count); r++) {
		if (d->vm.cfg.region[r].type == KZ_REGION_RAM) {
			code = region_write(d, r, &done, vmi_memory(&d->vm));
			end = d->offset[r] + d->vm.cfg.region[r].size;
		}
	}
	if ((code == EXIT_OK) &&
	    ((fflush(d->out) != 0) || (ftruncate(fileno(d->out), (off_t)end) != 0))) {
		code = write_failed(d);
	}
	return code;
}

/* The file gets its name when it is whole. */
static int file_make(struct dump *d)
{
	int code;

	d->out = fopen(d->part, "wb");
	if (d->out == NULL) {
		return write_failed(d);
	}
	code = file_write(d);
	if ((fclose(d->out) != 0) && (code == EXIT_OK)) {
		code = write_failed(d);
	}
	if ((code == EXIT_OK) && (rename(d->part, d->path) != 0)) {
		code = write_failed(d);
	}
	if (code != EXIT_OK) {
		(void)unlink(d->part);
	}
	return code;
}

/* What was written, and how the VM is now. */
static int summary(struct dump *d, uint64_t paused_ns)
{
	json_t *o;

	(void)call_vm(d->kz, d->vm.id, &d->vm.info);
	if (d->kz->json) {
		o = show_vm_brief(&d->vm);
		show_add(o, "file", json_string(d->path));
		show_add_number(o, "memory_bytes", vmi_memory(&d->vm));
		show_add_number(o, "vcpus", d->vm.cfg.vcpu_count);
		show_add_number(o, "paused_ns", paused_ns);
		return show_json(d->kz, o);
	}
	printf("%s: %s of memory, %u vCPUs of vm %s; gdb-multiarch -c %s opens it\n", d->path,
	       bytes_text(vmi_memory(&d->vm)), d->vm.cfg.vcpu_count, d->vm.info.name, d->path);
	return show_flush(d->kz);
}

static int dump_run(struct dump *d)
{
	bool running = (d->vm.info.state == KZ_VM_RUNNING), ours;
	int64_t begin = now_ms();
	int code = EXIT_OK;

	stop_begin();
	if (running) {
		code = life_pause(d->kz, &d->vm);
	} else if (d->vm.info.state == KZ_VM_CREATED) {
		return kz_fail(d->kz, "vm %s was never started: its memory is not its own yet",
			       d->vm.info.name);
	} else if ((d->vm.info.state == KZ_VM_STOPPING) || (d->vm.info.state == KZ_VM_CLEARING)) {
		return kz_fail(d->kz, "vm %s is %s: its memory is about to change", d->vm.info.name,
			       state_word(d->vm.info.state));
	}
	/* Ctrl-C may have come before it stood still; what failed changed nothing. */
	ours = running && ((code == EXIT_OK) || (code == EXIT_STOPPED) || (code == EXIT_TIMEOUT));
	if (code == EXIT_OK) {
		code = file_make(d);
	}
	if (ours) {
		int end = life_unpause(d->kz, &d->vm);

		code = (code == EXIT_OK) ? end : code;
	}
	return (code == EXIT_OK) ? summary(d, running ? (uint64_t)(now_ms() - begin) * 1000000 : 0)
				 : code;
}

int verb_dump(struct kz *kz, int argc, char **argv)
{
	static const struct option options[] = { { NULL, 0, NULL, 0 } };
	struct dump *d;
	int opt, code;

	optind = 0;
	opt = getopt_long(argc, argv, ":", options, NULL);
	if (opt != -1) {
		return kz_option_wrong(kz, opt, argv);
	}
	if (argc - optind != 2) {
		return kz_usage(kz, "a VM, and a file to write to");
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		return kz_fail(kz, "out of memory");
	}
	d->kz = kz;
	d->path = argv[optind + 1];
	code = vmi_find(kz, argv[optind], &d->vm);
	if ((code == EXIT_OK) && (asprintf(&d->part, "%s.%ld.part", d->path, (long)getpid()) < 0)) {
		d->part = NULL;
		code = kz_fail(kz, "out of memory");
	}
	code = (code == EXIT_OK) ? dump_run(d) : code;
	free(d->part);
	free(d);
	return code;
}
