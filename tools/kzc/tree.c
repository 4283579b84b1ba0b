/* SPDX-License-Identifier: Apache-2.0 */
#include "tree.h"

#include <kizami/hcall.h>
#include <libfdt.h>
#include <string.h>

#define PL011_CLOCK    24000000u
#define PPI_SECURE     13u /* the timers' PPIs that no board differs in, and no guest uses */
#define PPI_HYPERVISOR 10u
#define EDGE_RISING    1u
#define LEVEL_HIGH     4u
#define NS             1000000000ull
#define ROOM           0x10000u /* for all that is not copied from the board */

void tree_begin(struct tree *t, const char *name)
{
	if (t->err == 0) {
		t->err = fdt_begin_node(t->fdt, name);
	}
}

void tree_end(struct tree *t)
{
	if (t->err == 0) {
		t->err = fdt_end_node(t->fdt);
	}
}

void tree_bytes(struct tree *t, const char *name, const void *data, int len)
{
	if (t->err == 0) {
		t->err = fdt_property(t->fdt, name, data, len);
	}
}

void tree_flag(struct tree *t, const char *name)
{
	tree_bytes(t, name, NULL, 0);
}

void tree_text(struct tree *t, const char *name, const char *text)
{
	tree_bytes(t, name, text, (int)strlen(text) + 1);
}

void tree_texts(struct tree *t, const char *name, const char *const *list)
{
	char text[256];
	size_t len = 0;

	for (; (*list != NULL) && (len + strlen(*list) < sizeof(text)); list++) {
		memcpy(text + len, *list, strlen(*list) + 1);
		len += strlen(*list) + 1;
	}
	tree_bytes(t, name, text, (int)len);
}

void tree_cells(struct tree *t, const char *name, const uint32_t *value, unsigned count)
{
	fdt32_t cell[64];

	for (unsigned i = 0; (i < count) && (i < 64); i++) {
		cell[i] = cpu_to_fdt32(value[i]);
	}
	tree_bytes(t, name, cell, (int)(((count < 64) ? count : 64) * sizeof(cell[0])));
}

void tree_cell(struct tree *t, const char *name, uint32_t value)
{
	tree_cells(t, name, &value, 1);
}

/* A reg, or a part of one, in two and two cells. */
static void reg_put(uint32_t *cell, uint64_t base, uint64_t size)
{
	cell[0] = (uint32_t)(base >> 32);
	cell[1] = (uint32_t)base;
	cell[2] = (uint32_t)(size >> 32);
	cell[3] = (uint32_t)size;
}

static void tree_reg(struct tree *t, uint64_t base, uint64_t size)
{
	uint32_t cell[4];

	reg_put(cell, base, size);
	tree_cells(t, "reg", cell, 4);
}

/* A node whose name has its address. */
static void tree_begin_at(struct sys *s, struct tree *t, const char *name, uint64_t base)
{
	tree_begin(t, mem_printf(&s->mem, "%s@%llx", name, (unsigned long long)base));
}

uint32_t tree_clock(struct tree *t, uint64_t rate)
{
	unsigned i;

	for (i = 0; i < t->clock_count; i++) {
		if (t->clock[i].rate == rate) {
			return t->clock[i].phandle;
		}
	}
	if (i == TREE_CLOCKS_MAX) {
		t->err = (t->err == 0) ? -FDT_ERR_NOSPACE : t->err;
		return 0;
	}
	t->clock[i].rate = rate;
	t->clock[i].phandle = t->phandle_next;
	t->phandle_next++;
	t->clock_count++;
	return t->clock[i].phandle;
}

static void put_clocks(struct sys *s, struct tree *t)
{
	for (unsigned i = 0; i < t->clock_count; i++) {
		tree_begin(t,
			   mem_printf(&s->mem, "clock-%llu", (unsigned long long)t->clock[i].rate));
		tree_text(t, "compatible", "fixed-clock");
		tree_cell(t, "#clock-cells", 0);
		tree_cell(t, "clock-frequency", (uint32_t)t->clock[i].rate);
		tree_cell(t, "phandle", t->clock[i].phandle);
		tree_end(t);
	}
}

/* PPI specifiers carry a mask of CPUs on a GICv2. */
static uint32_t ppi_flags(const struct sys *s, const struct vm *vm, uint32_t trigger)
{
	uint32_t mask = (1u << vm->cfg.vcpu_count) - 1;

	return trigger | ((s->board.m.gic_version == 2) ? (mask << 8) : 0);
}

/* What the board's cores are. */
static const char *core_model(const void *fdt)
{
	int cpus = fdt_path_offset(fdt, "/cpus");
	const char *model = NULL;
	int node;

	if (cpus < 0) {
		return "arm,armv8";
	}
	fdt_for_each_subnode(node, fdt, cpus)
	{
		model = (model == NULL) ? dt_string(fdt, node, "compatible") : model;
	}
	return (model == NULL) ? "arm,armv8" : model;
}

/* An HRT vCPU has its core's affinity, any other one its own number. */
static void put_cpus(struct sys *s, const struct vm *vm, struct tree *t)
{
	const struct kz_cfg_machine *m = &s->board.m;

	tree_begin(t, "cpus");
	tree_cell(t, "#address-cells", 2);
	tree_cell(t, "#size-cells", 0);
	for (unsigned i = 0; i < vm->cfg.vcpu_count; i++) {
		uint64_t mpidr = (vm->cfg.level == KZ_HRT) ? m->mpidr[vm->cfg.cpu[i]] : i;
		uint32_t cell[4];

		reg_put(cell, mpidr, 0);
		tree_begin_at(s, t, "cpu", mpidr);
		tree_text(t, "device_type", "cpu");
		tree_text(t, "compatible", core_model(s->board.fdt));
		tree_cells(t, "reg", cell, 2);
		tree_text(t, "enable-method", "psci");
		tree_cell(t, "phandle", t->phandle_cpu + i);
		tree_end(t);
	}
	tree_end(t);
}

static void put_memory(struct sys *s, const struct vm *vm, struct tree *t)
{
	tree_begin_at(s, t, "memory", vm->base);
	tree_text(t, "device_type", "memory");
	tree_reg(t, vm->base, vm->size);
	tree_end(t);
}

/* A page that is the guest's memory, but not its system's. */
static void put_kept(struct sys *s, struct tree *t, const char *name, uint64_t ipa)
{
	tree_begin_at(s, t, name, ipa);
	tree_reg(t, ipa, KZ_PAGE_SIZE);
	tree_flag(t, "no-map");
	tree_end(t);
}

static void put_reserved(struct sys *s, const struct vm *vm, struct tree *t)
{
	if ((vm->cfg.console != KZ_CONSOLE_RING) && !vm->has_stolen) {
		return;
	}
	tree_begin(t, "reserved-memory");
	tree_cell(t, "#address-cells", 2);
	tree_cell(t, "#size-cells", 2);
	tree_flag(t, "ranges");
	if (vm->cfg.console == KZ_CONSOLE_RING) {
		put_kept(s, t, "console-ring", vm->cfg.console_ipa);
	}
	if (vm->has_stolen) {
		put_kept(s, t, "stolen-time", vm->cfg.stolen_ipa);
	}
	tree_end(t);
}

/*
 * What the hypervisor offers: its interrupt for events where it may run (SRT, NRT), the control of
 * other VMs, the trace, the console ring.
 */
static void put_hypervisor(struct sys *s, const struct vm *vm, struct tree *t)
{
	static const char *const words[] = { "kizami,hypervisor-1", "kizami,hypervisor", NULL };
	bool soft = (vm->cfg.level != KZ_HRT);
	bool ring = (vm->cfg.console == KZ_CONSOLE_RING);

	if (!soft && !ring && !control_is_any(vm)) {
		return;
	}
	tree_begin(t, "hypervisor");
	tree_texts(t, "compatible", soft ? words : words + 1);
	if (soft) {
		const uint32_t cell[3] = { 1, KZ_EVENT_INTID - 16, ppi_flags(s, vm, EDGE_RISING) };

		tree_cell(t, "interrupt-parent", t->phandle_gic);
		tree_cells(t, "interrupts", cell, 3);
	}
	if (control_is_any(vm)) {
		tree_flag(t, "kizami,control");
	}
	if (vm->trace != 0) {
		tree_reg(t, vm->cfg.region[vm->trace].ipa, vm->cfg.region[vm->trace].size);
		tree_text(t, "reg-names", "trace");
	}
	if (ring) {
		tree_cell(t, "#address-cells", 2);
		tree_cell(t, "#size-cells", 2);
		tree_flag(t, "ranges");
		tree_begin_at(s, t, "console-ring", vm->cfg.console_ipa);
		tree_text(t, "compatible", "kizami,console-ring");
		tree_reg(t, vm->cfg.console_ipa, KZ_CONSOLE_SIZE);
		tree_end(t);
	}
	tree_end(t);
}

static void put_chosen(struct sys *s, const struct vm *vm, struct tree *t)
{
	const char *console =
		mem_printf(&s->mem, "/pl011@%llx", (unsigned long long)vm->cfg.console_ipa);
	bool has_console = (vm->cfg.console == KZ_CONSOLE_PL011);

	tree_begin(t, "chosen");
	if (vm->conf->cmdline.s != NULL) {
		tree_text(t, "bootargs", vm->conf->cmdline.s);
	}
	if (has_console) {
		tree_text(t, "stdout-path", console);
	}
	if (vm->ramdisk >= 0) {
		const struct piece *p = &vm->piece[vm->ramdisk];
		uint32_t cell[4];

		reg_put(cell, p->ipa, p->ipa + p->size);
		tree_cells(t, "linux,initrd-start", cell, 2);
		tree_cells(t, "linux,initrd-end", cell + 2, 2);
	}
	tree_end(t);
	if (has_console) {
		tree_begin(t, "aliases");
		tree_text(t, "serial0", console);
		tree_end(t);
	}
}

static void put_psci(struct tree *t)
{
	static const char *const words[] = { "arm,psci-1.0", "arm,psci-0.2", NULL };

	tree_begin(t, "psci");
	tree_texts(t, "compatible", words);
	tree_text(t, "method", "hvc");
	tree_end(t);
}

static void put_gic(struct sys *s, const struct vm *vm, struct tree *t)
{
	static const char *const gic2[] = { "arm,cortex-a15-gic", "arm,gic-400", NULL };
	bool v3 = (s->board.m.gic_version == 3);
	uint32_t cell[8];

	reg_put(cell, vm->cfg.gicd_ipa, v3 ? KZ_GICD3_SIZE : KZ_GICD2_SIZE);
	reg_put(cell + 4, vm->cfg.gicc_ipa,
		v3 ? vm->cfg.vcpu_count * (uint64_t)KZ_GICR_SIZE : KZ_GICC_SIZE);
	tree_begin_at(s, t, "intc", vm->cfg.gicd_ipa);
	if (v3) {
		tree_text(t, "compatible", "arm,gic-v3");
		tree_cell(t, "#redistributor-regions", 1);
	} else {
		tree_texts(t, "compatible", gic2);
	}
	tree_flag(t, "interrupt-controller");
	tree_cell(t, "#interrupt-cells", 3);
	tree_cell(t, "#address-cells", 0);
	tree_cells(t, "reg", cell, 8);
	tree_cell(t, "phandle", t->phandle_gic);
	tree_end(t);
}

static void put_timer(const struct sys *s, const struct vm *vm, struct tree *t)
{
	static const char *const words[] = { "arm,armv8-timer", "arm,armv7-timer", NULL };
	uint32_t flags = ppi_flags(s, vm, LEVEL_HIGH);
	uint32_t ptimer = s->board.m.ptimer_intid;
	const uint32_t cell[12] = {
		1,
		PPI_SECURE,
		flags,
		1,
		(ptimer == 0) ? 14 : ptimer - 16,
		flags,
		1,
		s->board.m.vtimer_intid - 16,
		flags,
		1,
		PPI_HYPERVISOR,
		flags,
	};

	tree_begin(t, "timer");
	tree_texts(t, "compatible", words);
	tree_cells(t, "interrupts", cell, 12);
	tree_flag(t, "always-on");
	tree_end(t);
}

/* The PMU is there on cores that the VM owns. */
static void put_pmu(const struct sys *s, const struct vm *vm, struct tree *t)
{
	uint32_t cell[3 * KZ_VCPUS_MAX];
	uint32_t cpu[KZ_VCPUS_MAX];
	unsigned n = 0;

	if ((vm->cfg.level != KZ_HRT) || (s->board.pmu < 0)) {
		return;
	}
	if (s->board.m.pmu_intid != 0) {
		cell[n++] = 1;
		cell[n++] = s->board.m.pmu_intid - 16;
		cell[n++] = ppi_flags(s, vm, LEVEL_HIGH);
	} else {
		for (unsigned i = 0; i < vm->cfg.vcpu_count; i++) {
			uint32_t intid = s->board.pmu_intid[vm->cfg.cpu[i]];

			if (intid != 0) {
				cpu[n / 3] = t->phandle_cpu + i;
				cell[n++] = 0;
				cell[n++] = intid - 32;
				cell[n++] = LEVEL_HIGH;
			}
		}
	}
	tree_begin(t, "pmu");
	tree_text(t, "compatible", "arm,armv8-pmuv3");
	if (n > 0) {
		tree_cells(t, "interrupts", cell, n);
	}
	if (s->board.m.pmu_intid == 0) {
		tree_cells(t, "interrupt-affinity", cpu, n / 3);
	}
	tree_end(t);
}

static void put_console(struct sys *s, const struct vm *vm, struct tree *t)
{
	static const char *const words[] = { "arm,pl011", "arm,primecell", NULL };
	static const char *const names[] = { "uartclk", "apb_pclk", NULL };
	uint32_t clock;
	uint32_t cell[3];

	if (vm->cfg.console != KZ_CONSOLE_PL011) {
		return;
	}
	clock = tree_clock(t, PL011_CLOCK);
	tree_begin_at(s, t, "pl011", vm->cfg.console_ipa);
	tree_texts(t, "compatible", words);
	tree_reg(t, vm->cfg.console_ipa, KZ_CONSOLE_SIZE);
	cell[0] = 0;
	cell[1] = vm->cfg.console_intid - 32;
	cell[2] = LEVEL_HIGH;
	tree_cells(t, "interrupts", cell, 3);
	cell[0] = clock;
	cell[1] = clock;
	tree_cells(t, "clocks", cell, 2);
	tree_texts(t, "clock-names", names);
	tree_end(t);
}

/* As the binding arm,sbsa-gwdt has it: the control frame comes first, timeouts are in seconds. */
static void put_watchdog(struct sys *s, const struct vm *vm, struct tree *t)
{
	const uint32_t irq[3] = { 0, vm->cfg.wdt_intid - 32, LEVEL_HIGH };
	uint32_t cell[8];

	if (vm->cfg.wdt_ipa == 0) {
		return;
	}
	reg_put(cell, vm->cfg.wdt_ipa, KZ_PAGE_SIZE);
	reg_put(cell + 4, vm->cfg.wdt_ipa + KZ_PAGE_SIZE, KZ_PAGE_SIZE);
	tree_begin_at(s, t, "watchdog", vm->cfg.wdt_ipa);
	tree_text(t, "compatible", "arm,sbsa-gwdt");
	tree_cells(t, "reg", cell, 8);
	tree_cells(t, "interrupts", irq, 3);
	if (vm->timeout_ns != 0) {
		tree_cell(t, "timeout-sec", (uint32_t)((vm->timeout_ns + NS - 1) / NS));
	}
	tree_end(t);
}

static void put_root(struct sys *s, const struct vm *vm, struct tree *t)
{
	static const char *const words[] = { "kizami,vm", "linux,dummy-virt", NULL };

	tree_begin(t, "");
	tree_text(t, "model", "Kizami VM");
	tree_texts(t, "compatible", words);
	tree_cell(t, "#address-cells", 2);
	tree_cell(t, "#size-cells", 2);
	tree_cell(t, "interrupt-parent", t->phandle_gic);
	put_chosen(s, vm, t);
	put_memory(s, vm, t);
	put_reserved(s, vm, t);
	put_hypervisor(s, vm, t);
	put_cpus(s, vm, t);
	put_psci(t);
	put_gic(s, vm, t);
	put_timer(s, vm, t);
	put_pmu(s, vm, t);
	put_console(s, vm, t);
	put_watchdog(s, vm, t);
	pass_devices(s, vm, t);
	put_clocks(s, t);
	tree_end(t);
}

struct bytes tree_make(struct sys *s, const struct vm *vm)
{
	int room = (int)(ROOM + 2 * s->board.fdt_size +
			 ((vm->conf->cmdline.s == NULL) ? 0 : strlen(vm->conf->cmdline.s)));
	struct tree t = { .fdt = mem_zalloc(&s->mem, (size_t)room) };
	struct bytes out = { NULL, 0 };
	uint32_t top = 0;

	if (fdt_find_max_phandle(s->board.fdt, &top) != 0) {
		top = 0;
	}
	t.phandle_gic = top + 1;
	t.phandle_cpu = top + 2;
	t.phandle_next = t.phandle_cpu + KZ_VCPUS_MAX;
	t.err = fdt_create(t.fdt, room);
	if (t.err == 0) {
		t.err = fdt_finish_reservemap(t.fdt);
	}
	put_root(s, vm, &t);
	if (t.err == 0) {
		t.err = fdt_finish(t.fdt);
	}
	if (t.err != 0) {
		diag_error(&s->diag, vm->conf->name.line,
			   "the device tree of vm '%s' cannot be "
			   "made: %s",
			   vm->conf->name.s, fdt_strerror(t.err));
		return out;
	}
	out.data = t.fdt;
	out.size = fdt_totalsize(t.fdt);
	return out;
}
