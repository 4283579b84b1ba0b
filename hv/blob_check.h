/* SPDX-License-Identifier: Apache-2.0 */
/* What blob.c, which checks the machine, and blob_vm.c, which checks a VM, share. */
#ifndef HV_BLOB_CHECK_H
#define HV_BLOB_CHECK_H

#include <stdbool.h>

#include "blob.h"
#include "span.h"

#define SPI_MIN   32u
#define LINES_MIN 64u
#define LINES_MAX 1024u
#define OWN_MAX   7u /* the image, the trace, four GIC frames, the console */

struct check {
	const struct kz_cfg *cfg;
	struct blob_where where;
	bool live;                 /* a VM that comes while others run */
	struct span own[OWN_MAX];  /* the hypervisor's pages; of size 0: there is none */
	/* The VM at hand. */
	uint32_t cpus;                  /* a bit for each of its cores */
	uint32_t intids[LINES_MAX / 32]; /* for each of the machine's that it has, or the console */
	uint32_t page_count;
	struct span page[KZ_REGIONS_MAX]; /* its memory and devices, in order */
	uint32_t ram_count;
	struct span ram[KZ_REGIONS_MAX]; /* its RAM as it addresses it */
	uint64_t store_size;
};

/* A field of one or four bytes, and what it may be. */
struct rule {
	uint16_t at;
	uint8_t width;
	uint8_t err;
	uint16_t min, max;
};

#define RULE(type, field, lo, hi, code)                                                       \
	{                                                                                     \
		offsetof(struct type, field), sizeof(((struct type *)0)->field), code, lo, hi \
	}

/* The first rule that base does not keep. As many rounds as there are rules. */
enum blob_err rules_check(const void *base, const struct rule *rule, uint32_t count);

#define RULES_CHECK(base, rules) rules_check(base, rules, sizeof(rules) / sizeof((rules)[0]))

/* [a-z0-9_-]+, then NULs to the end. At most KZ_NAME_MAX rounds. */
bool name_is_valid(const char *name);

static inline bool spi_is_valid(uint32_t intid, uint32_t lines)
{
	return (intid >= SPI_MIN) && (intid < lines) && (intid < KZ_INTID_MAX);
}

/* The banks, as spans: struct kz_cfg_ram has the same two fields. */
static inline const struct span *ram_spans(const struct kz_cfg_machine *m)
{
	_Static_assert(sizeof(struct span) == sizeof(struct kz_cfg_ram), "the same");
	return (const struct span *)(const void *)m->ram;
}

static inline uint64_t gicd_size(const struct kz_cfg_machine *m)
{
	return (m->gic_version == 2) ? KZ_GICD2_SIZE : KZ_GICD3_SIZE;
}

/* The VM alone: against itself and what the hypervisor has. c->where.vm is its place. */
enum blob_err vm_check(struct check *c, const struct kz_cfg_vm *vm);

/* That VM, once vm_check let it pass, beside another one that is known to be good. */
enum blob_err vm_check_beside(struct check *c, const struct kz_cfg_vm *vm,
			      const struct kz_cfg_vm *other);

#endif
