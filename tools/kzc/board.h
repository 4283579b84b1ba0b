/* SPDX-License-Identifier: Apache-2.0 */
/* A board: its file and its device tree, turned into what the blob says of the machine. */
#ifndef KZC_BOARD_H
#define KZC_BOARD_H

#include <kizami/blob.h>

#include "conf.h"

/* Where files are looked for; each NULL means beside the program. */
struct paths {
	const char *program; /* argv[0]'s directory, resolved */
	const char *boards;  /* NAME.conf */
	const char *dtbs;    /* what a board file calls dtb */
	const char *hypervisor;
};

struct board {
	const char *name;
	const char *guess; /* the board that an unknown name may have meant, or NULL */
	const char *dtb;   /* the path of its device tree; NULL for board_parse() */
	struct diag diag;  /* what is wrong with the board's own files */
	const char *qemu;  /* arguments, or NULL */
	const void *fdt;
	size_t fdt_size;
	struct kz_cfg_machine m;
	uint64_t switch_ns;                  /* what it costs: to switch to another vCPU, */
	uint64_t irq_ns;                     /* and to inject an interrupt */
	uint64_t image_pa;                   /* where boot loaders put an Image */
	uint64_t ram_size;                   /* what is reserved included */
	struct kz_cfg_ram kept[KZ_RAMS_MAX]; /* what is reserved, as far as it is known */
	unsigned kept_count;
	int gic, uart, pmu;                 /* nodes; negative: none */
	uint32_t pmu_intid[KZ_CPUS_MAX];    /* of each core's PMU, when they are SPIs; else 0 */
	uint8_t spi_used[KZ_INTID_MAX + 4]; /* 1: some node of the tree has this INTID */
	struct conf_list clocks;            /* known rates: "PROVIDER NUMBER = RATE" */
};

/*
 * board_load - read a board by its name, or by the path of its file (with a '/', relative to
 * dir). What is wrong with the name goes to d, what is wrong with the board's files to
 * out->diag. False when there is no board to go on with.
 */
bool board_load(struct diag *d, const struct paths *paths, struct conf_text name, const char *dir,
		struct board *out);

/*
 * board_parse - the same from a board's conf and a device tree that dt_open() accepted;
 * out->name and out->diag are set.
 */
bool board_parse(struct board *out, const struct conf_board *conf, struct bytes fdt);

/* board_keys - costs, interrupt lines and clocks, as the board file has them (board_keys.c). */
void board_keys(struct board *b, const struct conf_board *conf);

/* board_narrow - keep the first cores and the first bytes of RAM, as the configuration says. */
void board_narrow(struct diag *d, struct board *b, struct conf_text cores, struct conf_text ram);

#endif
