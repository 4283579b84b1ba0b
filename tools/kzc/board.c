/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <dirent.h>
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "dt.h"

#define BOARDS_MAX     64u
#define BANKS_MAX      32u
#define GIC400_ALIASED 0x20000u /* each 4 KiB page is there 16 times: DDI 0471B, 3.2 */
#define GIC400_VIEW    0xf000u  /* where two successive pages are the frame's two */

struct bank {
	uint64_t base, end;
};

struct banks {
	struct bank bank[BANKS_MAX];
	unsigned count;
};

static const char *const gic2_words[] = { "arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic",
					  NULL };
static const char *const gic3_words[] = { "arm,gic-v3", NULL };
static const char *const psci_words[] = { "arm,psci-1.0", "arm,psci-0.2", NULL };
static const char *const timer_words[] = { "arm,armv8-timer", NULL };
static const char *const pl011_words[] = { "arm,pl011", NULL };
static const char *const cadence_words[] = { "cdns,uart-r1p12", "cdns,uart-r1p8", "xlnx,xuartps",
					     NULL };
static const char *const pmu_words[] = {
	"arm,armv8-pmuv3",    "arm,cortex-a35-pmu", "arm,cortex-a53-pmu",
	"arm,cortex-a55-pmu", "arm,cortex-a57-pmu", "arm,cortex-a72-pmu",
	"arm,cortex-a73-pmu", "arm,cortex-a76-pmu", NULL
};

/* ---- RAM ---- */

static void bank_add(struct banks *b, uint64_t base, uint64_t end)
{
	unsigned at = b->count;

	if ((base >= end) || (b->count == BANKS_MAX)) {
		return;
	}
	for (; (at > 0) && (b->bank[at - 1].base > base); at--) {
		b->bank[at] = b->bank[at - 1];
	}
	b->bank[at] = (struct bank){ base, end };
	b->count++;
}

static void bank_cut(struct banks *b, uint64_t base, uint64_t end)
{
	struct banks left = { .count = 0 };

	for (unsigned i = 0; i < b->count; i++) {
		struct bank k = b->bank[i];

		bank_add(&left, k.base, (k.end < base) ? k.end : base);
		bank_add(&left, (k.base > end) ? k.base : end, k.end);
	}
	*b = left;
}

/* What the firmware keeps: /memreserve/ entries and /reserved-memory with an address. */
static void banks_cut_reserved(const void *fdt, struct banks *b)
{
	int parent = fdt_path_offset(fdt, "/reserved-memory");
	struct dt_reg r;
	int node;

	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
		if ((fdt_get_mem_rsv(fdt, i, &r.base, &r.size) == 0) &&
		    (r.base <= UINT64_MAX - r.size)) {
			bank_cut(b, r.base, r.base + r.size);
		}
	}
	if (parent < 0) {
		return;
	}
	fdt_for_each_subnode(node, fdt, parent)
	{
		for (unsigned i = 0; dt_reg(fdt, node, i, &r); i++) {
			bank_cut(b, r.base, r.base + r.size);
		}
	}
}

/* Keep the first bytes; returns how many there are. */
static uint64_t banks_narrow(struct banks *b, uint64_t size)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < b->count; i++) {
		struct bank *k = &b->bank[i];
		uint64_t left = size - total;

		if (k->end - k->base > left) {
			k->end = k->base + left;
		}
		total += k->end - k->base;
	}
	return total;
}

/* What is in the banks, but not in the RAM that may be used. */
static void kept_read(struct board *b, struct banks *banks)
{
	for (uint32_t i = 0; i < b->m.ram_count; i++) {
		bank_cut(banks, b->m.ram[i].pa, b->m.ram[i].pa + b->m.ram[i].size);
	}
	b->kept_count = (banks->count < KZ_RAMS_MAX) ? banks->count : KZ_RAMS_MAX;
	for (unsigned i = 0; i < b->kept_count; i++) {
		const struct bank *k = &banks->bank[i];

		b->kept[i] = (struct kz_cfg_ram){ k->base, k->end - k->base };
	}
}

/*
 * The first bytes of the RAM that the tree has, at most limit, less what is reserved there: what
 * firmware keeps for itself is installed all the same.
 */
static void ram_read(struct board *b, uint64_t limit)
{
	struct banks banks = { .count = 0 };
	struct kz_cfg_machine *m = &b->m;
	struct banks all;
	int node;

	fdt_for_each_subnode(node, b->fdt, 0)
	{
		const char *type = dt_string(b->fdt, node, "device_type");
		struct dt_reg r;

		if ((type == NULL) || (strcmp(type, "memory") != 0)) {
			continue;
		}
		for (unsigned i = 0; dt_reg(b->fdt, node, i, &r); i++) {
			bank_add(&banks, r.base, r.base + r.size);
		}
	}
	if (banks.count == 0) {
		diag_error(&b->diag, 0, "its device tree has no memory");
		return;
	}
	b->image_pa = banks.bank[0].base + KZ_TEXT_OFFSET;
	bank_cut(&banks, KZ_PA_LIMIT, UINT64_MAX);
	b->ram_size = banks_narrow(&banks, limit);
	all = banks;
	banks_cut_reserved(b->fdt, &banks);
	memset(m->ram, 0, sizeof(m->ram));
	m->ram_count = 0;
	for (unsigned i = 0; (i < banks.count) && (m->ram_count < KZ_RAMS_MAX); i++) {
		uint64_t base = (banks.bank[i].base + KZ_PAGE_SIZE - 1) & ~(KZ_PAGE_SIZE - 1ull);
		uint64_t end = banks.bank[i].end & ~(KZ_PAGE_SIZE - 1ull);

		if ((base < end) && (base >= banks.bank[i].base)) {
			m->ram[m->ram_count].pa = base;
			m->ram[m->ram_count].size = end - base;
			m->ram_count++;
		}
	}
	kept_read(b, &all);
}

/* ---- Cores, PSCI ---- */

static void cores_read(struct board *b)
{
	int cpus = fdt_path_offset(b->fdt, "/cpus");
	struct kz_cfg_machine *m = &b->m;
	int node;

	if (cpus >= 0) {
		fdt_for_each_subnode(node, b->fdt, cpus)
		{
			const char *type = dt_string(b->fdt, node, "device_type");
			bool wide = (dt_cells(b->fdt, cpus, "#address-cells", 1) == 2);
			uint32_t hi = 0;
			uint32_t lo;

			if ((type != NULL) && (strcmp(type, "cpu") == 0) &&
			    dt_enabled(b->fdt, node) && (m->cpu_count < KZ_CPUS_MAX) &&
			    dt_cell(b->fdt, node, "reg", wide ? 1 : 0, &lo) &&
			    (!wide || dt_cell(b->fdt, node, "reg", 0, &hi))) {
				m->mpidr[m->cpu_count] = ((uint64_t)hi << 32) | lo;
				m->cpu_count++;
			}
		}
	}
	if (m->cpu_count == 0) {
		diag_error(&b->diag, 0, "its device tree has no cores");
	}
}

static void psci_read(struct board *b)
{
	int node = dt_find(b->fdt, psci_words);
	const char *method = (node < 0) ? NULL : dt_string(b->fdt, node, "method");

	if (method == NULL) {
		diag_error(&b->diag, 0,
			   "its device tree has no PSCI node: cores cannot be started");
	} else if (strcmp(method, "smc") != 0) {
		diag_error(&b->diag, 0,
			   "its firmware's PSCI is called by '%s': Kizami, at EL2, can "
			   "only use smc",
			   method);
	}
	b->m.conduit = KZ_CONDUIT_SMC;
}

/* ---- GIC, timer, PMU ---- */

static bool gic2_read(struct board *b)
{
	struct kz_cfg_machine *m = &b->m;
	uint64_t *const pa[] = { &m->gicd_pa, &m->gicc_pa, &m->gich_pa, &m->gicv_pa };
	struct dt_reg r;

	m->gic_version = 2;
	for (unsigned i = 0; i < 4; i++) {
		if (!dt_reg(b->fdt, b->gic, i, &r)) {
			return false;
		}
		*pa[i] = r.base;
		if (((i == 1) || (i == 3)) && (r.size == GIC400_ALIASED)) {
			*pa[i] += GIC400_VIEW;
		}
	}
	return true;
}

static bool gic3_read(struct board *b)
{
	struct kz_cfg_machine *m = &b->m;
	struct dt_reg gicd;
	struct dt_reg gicr;

	m->gic_version = 3;
	if ((dt_cells(b->fdt, b->gic, "#redistributor-regions", 1) != 1) ||
	    !dt_reg(b->fdt, b->gic, 0, &gicd) || !dt_reg(b->fdt, b->gic, 1, &gicr)) {
		return false;
	}
	m->gicd_pa = gicd.base;
	m->gicr_pa = gicr.base;
	m->gicr_size = gicr.size;
	return true;
}

static void gic_read(struct board *b)
{
	struct dt_irq irq;
	bool ok;

	b->gic = dt_find(b->fdt, gic3_words);
	if (b->gic >= 0) {
		ok = gic3_read(b);
	} else {
		b->gic = dt_find(b->fdt, gic2_words);
		ok = (b->gic >= 0) && gic2_read(b);
	}
	if (!ok) {
		diag_error(&b->diag, 0,
			   "its device tree has no interrupt controller that is known "
			   "(a GICv2 with four frames, a GICv3 with one redistributor region)");
		return;
	}
	if (dt_irq(b->fdt, b->gic, 0, b->gic, &irq) == 1) {
		b->m.maint_intid = irq.intid;
	}
}

static void timer_read(struct board *b)
{
	int node = dt_find(b->fdt, timer_words);
	struct kz_cfg_machine *m = &b->m;
	struct dt_irq irq[4] = { { 0, 0 } }; /* Secure, Non-secure, virtual, hypervisor's */

	for (unsigned i = 0; (node >= 0) && (i < 4); i++) {
		if (dt_irq(b->fdt, node, i, b->gic, &irq[i]) != 1) {
			break;
		}
	}
	m->ptimer_intid = irq[1].intid;
	m->vtimer_intid = irq[2].intid;
	m->htimer_intid = irq[3].intid;
	if (m->vtimer_intid == 0) {
		diag_error(&b->diag, 0, "its device tree has no timer");
	}
}

/* A PMU has one PPI, or one SPI for each core (in their order or as interrupt-affinity says). */
static void pmu_read(struct board *b)
{
	struct dt_irq irq;

	b->pmu = dt_find(b->fdt, pmu_words);
	for (unsigned i = 0; (b->pmu >= 0) && (i < KZ_CPUS_MAX); i++) {
		uint32_t core = i;
		uint32_t phandle;
		uint32_t reg;

		if (dt_irq(b->fdt, b->pmu, i, b->gic, &irq) != 1) {
			break;
		}
		if (irq.intid < 32) {
			b->m.pmu_intid = irq.intid;
			break;
		}
		if (dt_cell(b->fdt, b->pmu, "interrupt-affinity", (int)i, &phandle)) {
			int cpu = fdt_node_offset_by_phandle(b->fdt, phandle);

			core = KZ_CPUS_MAX;
			for (uint32_t k = 0; (cpu >= 0) && (k < b->m.cpu_count); k++) {
				if (dt_cell(b->fdt, cpu, "reg", 0, &reg) &&
				    (b->m.mpidr[k] == reg)) {
					core = k;
				}
			}
		}
		if (core < KZ_CPUS_MAX) {
			b->pmu_intid[core] = irq.intid;
		}
	}
}

static void spis_read(struct board *b)
{
	uint32_t top = 63;

	for (int node = fdt_next_node(b->fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(b->fdt, node, NULL)) {
		struct dt_irq irq;

		for (unsigned i = 0; dt_irq(b->fdt, node, i, b->gic, &irq) == 1; i++) {
			b->spi_used[irq.intid] = 1;
			top = (irq.intid > top) ? irq.intid : top;
		}
	}
	b->m.gic_lines = (top / 32 + 1) * 32;
}

/* ---- The console ---- */

/* /chosen/stdout-path without its options, else the alias serial0. */
static int stdout_find(const struct board *b)
{
	int chosen = fdt_path_offset(b->fdt, "/chosen");
	const char *path = (chosen < 0) ? NULL : dt_string(b->fdt, chosen, "stdout-path");
	char name[256];
	size_t len;
	bool more;

	if (path == NULL) {
		path = "serial0";
	}
	len = strcspn(path, ":");
	if (len >= sizeof(name)) {
		return -FDT_ERR_NOTFOUND;
	}
	memcpy(name, path, len);
	name[len] = '\0';
	return dt_lookup(b->fdt, name, &more);
}

static void uart_read(struct board *b, struct conf_text console)
{
	struct kz_cfg_machine *m = &b->m;
	struct dt_reg r;
	struct dt_irq irq;
	bool more;

	b->uart = (console.s == NULL) ? stdout_find(b) : dt_lookup(b->fdt, console.s, &more);
	if ((b->uart < 0) || !dt_reg(b->fdt, b->uart, 0, &r)) {
		diag_error(&b->diag, console.line, "its device tree has no console '%s'",
			   (console.s == NULL) ? "stdout-path" : console.s);
		return;
	}
	if (dt_is(b->fdt, b->uart, pl011_words)) {
		m->uart = KZ_UART_PL011;
	} else if (dt_is(b->fdt, b->uart, cadence_words)) {
		m->uart = KZ_UART_CADENCE;
	} else {
		diag_error(&b->diag, console.line,
			   "the console %s is neither a PL011 nor a Cadence "
			   "UART",
			   dt_path(b->diag.mem, b->fdt, b->uart));
		return;
	}
	m->uart_pa = r.base;
	if (dt_irq(b->fdt, b->uart, 0, b->gic, &irq) == 1) {
		m->uart_intid = irq.intid;
	}
}

/* ---- Files ---- */

bool board_parse(struct board *out, const struct conf_board *conf, struct bytes fdt)
{
	uint64_t ram;

	out->fdt = fdt.data;
	out->fdt_size = fdt.size;
	out->qemu = conf->qemu.s;
	out->clocks = conf->clocks;
	snprintf(out->m.board, sizeof(out->m.board), "%s", out->name);
	cores_read(out);
	ram_read(out, UINT64_MAX);
	psci_read(out);
	gic_read(out);
	if (out->diag.errors > 0) {
		return false;
	}
	timer_read(out);
	pmu_read(out);
	spis_read(out);
	board_keys(out, conf);
	uart_read(out, conf->console);
	if (conf->ram.s != NULL) {
		if (!conf_size(conf->ram.s, &ram) || (ram == 0) || ((ram % KZ_PAGE_SIZE) != 0)) {
			diag_error(&out->diag, conf->ram.line,
				   "ram is '%s': it is a size, such as "
				   "512M",
				   conf->ram.s);
		} else {
			ram_read(out, ram);
		}
	}
	return out->diag.errors == 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the boards in a folder, ended by NULL. */
static const char *const *board_names(struct mem *mem, const char *dir)
{
	const char **names = mem_zalloc(mem, (BOARDS_MAX + 1) * sizeof(*names));
	const struct dirent *entry;
	DIR *folder = opendir(dir);
	size_t n = 0;

	if (folder == NULL) {
		return names;
	}
	for (entry = readdir(folder); (entry != NULL) && (n < BOARDS_MAX);
	     entry = readdir(folder)) {
		size_t len = strlen(entry->d_name);

		if ((len > 5) && (strcmp(entry->d_name + len - 5, ".conf") == 0)) {
			names[n++] = mem_strndup(mem, entry->d_name, len - 5);
		}
	}
	closedir(folder);
	qsort(names, n, sizeof(*names), name_compare);
	return names;
}

static bool fdt_load(struct board *b, const struct paths *paths, struct conf_text dtb,
		     const char *dir, struct bytes *fdt)
{
	struct mem *mem = b->diag.mem;
	const char *path;

	if (dtb.s == NULL) {
		diag_error(&b->diag, 0, "there is no dtb = \"FILE\"");
		return false;
	}
	path = (dtb.s[0] == '/')
		       ? dtb.s
		       : mem_printf(mem, "%s/%s", (strchr(dtb.s, '/') != NULL) ? dir : paths->dtbs,
				    dtb.s);
	b->dtb = path;
	if (!mem_file(mem, path, fdt)) {
		diag_error(&b->diag, dtb.line,
			   "device tree %s: %s (make boards makes the built-in "
			   "ones; --dtb-dir says where they are)",
			   path, strerror(errno));
		return false;
	}
	if (!dt_open(fdt)) {
		diag_error(&b->diag, dtb.line, "%s is not a flattened device tree", path);
		return false;
	}
	return true;
}

bool board_load(struct diag *d, const struct paths *paths, struct conf_text name, const char *dir,
		struct board *out)
{
	bool own = (strchr(name.s, '/') != NULL);
	struct mem *mem = d->mem;
	struct conf_board conf;
	struct bytes text;
	struct bytes fdt;
	const char *base;
	const char *path;

	memset(out, 0, sizeof(*out));
	base = own ? strrchr(name.s, '/') + 1 : name.s;
	out->name = mem_strndup(mem, base, strcspn(base, "."));
	path = own ? ((name.s[0] == '/') ? name.s : mem_printf(mem, "%s/%s", dir, name.s))
		   : mem_printf(mem, "%s/%s.conf", paths->boards, name.s);
	if (!mem_file(mem, path, &text)) {
		if (own) {
			diag_error(d, name.line, "board file %s: %s", path, strerror(errno));
		} else {
			const char *const *names = board_names(mem, paths->boards);

			diag_unknown(d, name.line, "board", name.s, names);
			out->guess = diag_nearest(name.s, names);
		}
		return false;
	}
	if ((out->name[0] == '\0') || (strlen(out->name) >= KZ_NAME_MAX) ||
	    (strspn(out->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(out->name))) {
		diag_error(d, name.line, "a board's name is 1 to %u of a-z, 0-9, _ and -: '%s'",
			   KZ_NAME_MAX - 1, out->name);
		return false;
	}
	out->diag = (struct diag){ .mem = mem, .file = path };
	return conf_parse_board(&out->diag, (char *)text.data, text.size, &conf) &&
	       (out->diag.errors == 0) &&
	       fdt_load(out, paths, conf.dtb,
			mem_strndup(mem, path, (size_t)(strrchr(path, '/') - path)), &fdt) &&
	       board_parse(out, &conf, fdt);
}

void board_narrow(struct diag *d, struct board *b, struct conf_text cores, struct conf_text ram)
{
	uint64_t n;

	if (cores.s != NULL) {
		if (!conf_number(cores.s, &n) || (n == 0) || (n > b->m.cpu_count)) {
			diag_error(d, cores.line, "cores is '%s': board %s has 1 to %u", cores.s,
				   b->name, b->m.cpu_count);
		} else {
			memset(&b->m.mpidr[n], 0, (b->m.cpu_count - n) * sizeof(b->m.mpidr[0]));
			b->m.cpu_count = (uint32_t)n;
		}
	}
	if (ram.s != NULL) {
		if (!conf_size(ram.s, &n) || (n == 0) || ((n % KZ_PAGE_SIZE) != 0)) {
			diag_error(d, ram.line, "ram is '%s': it is a multiple of 4K, such as 512M",
				   ram.s);
		} else if (n > b->ram_size) {
			diag_error(d, ram.line, "ram is %s: board %s has %lluM", ram.s, b->name,
				   (unsigned long long)(b->ram_size >> 20));
		} else {
			ram_read(b, n);
		}
	}
}
