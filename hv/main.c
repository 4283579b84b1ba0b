/* SPDX-License-Identifier: Apache-2.0 */
/* From the processor's entry to the first guests. */
#include "arch.h"
#include "blob.h"
#include "console.h"
#include "policy.h"
#include "trace.h"

/* Nothing to run: say why, and stay. */
static _Noreturn void refuse(void)
{
	hv_log("no VM is started");
	console_flush();
	for (;;) {
		arch_cpu_relax();
	}
}

static void check_blob(const struct kz_cfg *cfg, uint64_t image_pa, size_t avail)
{
	struct blob_where where;
	enum blob_err err = blob_check(cfg, avail, &where);

	if (err != BLOB_OK) {
		bool vm = where.vm != BLOB_NO_VM;

		hv_log("configuration refused: error %u (%s %u, entry %u)", err,
		       vm ? "VM" : "machine", vm ? where.vm : 0, where.index);
		refuse();
	}
	if (cfg->image_pa != image_pa) {
		hv_log("loaded at 0x%lx, but the image is for 0x%lx on board %s",
		       (unsigned long)image_pa, (unsigned long)cfg->image_pa, cfg->machine.board);
		refuse();
	}
}

/* KZ_ENOMEM is all that can go wrong with a checked blob. */
static void check_tables(enum kz_err err, const char *whose)
{
	if (err != KZ_OK) {
		hv_log("%s: out of translation tables", whose);
		refuse();
	}
}

/* All of them, if VMs may come later. */
static void start_cores(const struct kz_cfg_machine *m)
{
	bool all = blob_may_create(machine.cfg);

	for (uint32_t i = 1; i < m->cpu_count; i++) {
		if ((all || arch_cpu(i)->sched.members != 0 || i == m->console_cpu) &&
		    arch_cpu_start(i) != KZ_OK) {
			hv_log("core %u: the firmware refuses PSCI CPU_ON", i);
		}
	}
}

void hv_main(const struct kz_cfg *cfg, uint64_t image_pa, size_t blob_size_max)
{
	machine.cfg = cfg;
	check_blob(cfg, image_pa, blob_size_max);
	machine.vm_count = cfg->vm_count;
	check_tables(arch_machine_init(), "machine");
	trace_init();
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		const struct kz_cfg_vm *vm = blob_vm(cfg, i);

		check_tables(vm_init(&machine.vm[i], i, vm), vm->name);
	}
	for (uint32_t i = 0; i < cfg->machine.cpu_count; i++) {
		if (!sched_init(arch_cpu(i))) {
			hv_log("core %u: its servers are too much, and not proven", i);
			refuse();
		}
	}
	console_init();
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		vm_start(&machine.vm[i]);
	}
	start_cores(&cfg->machine);
	hv_log("board %s, GICv%u, %u VMs", cfg->machine.board, cfg->machine.gic_version,
	       machine.vm_count);
	hv_secondary(arch_this_cpu());
}

/* Past every lock and ring: bytes to the UART, each tried a bounded number of times. */
static void say(const char *text)
{
	for (; *text != '\0'; text++) {
		for (uint32_t tries = 100000; tries != 0 && !arch_uart_put((uint8_t)*text);
		     tries--) {
		}
	}
}

void hv_panic(const char *fmt, ...)
{
	char text[160];
	struct text t = {text, &text[sizeof(text) - 1]};
	va_list ap;

	va_start(ap, fmt);
	text_add_v(&t, fmt, ap);
	va_end(ap);
	trace_panic();
	say("\r\n[kizami] panic: ");
	say(text);
	say("\r\n");
	for (;;) {
		arch_cpu_relax();	/* this core is lost; the others go on */
	}
}

void hv_secondary(struct percpu *cpu)
{
	if (cpu->id == machine.cfg->machine.console_cpu) {
		console_start();
	}
	vcpu_run(cpu);
}
