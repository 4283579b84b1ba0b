/* SPDX-License-Identifier: Apache-2.0 */
/* Cores and the machine: bring-up, sleep, time, firmware calls. */
#include <gic_quick.h>
#include "arch.h"
#include "barrier.h"
#include "blob.h"
#include "gic.h"
#include "layout.h"
#include "mmu.h"
#include "psci.h"
#include "sysreg.h"
#include "trap.h"
#include "uart.h"
#include "vectors.h"

extern char _percpu[];

_Static_assert(sizeof(struct percpu) + PANIC_ROOM <= PANIC_STACK, "room for a panic's stack");
/* SP_EL2 points at one while its guest runs: SCTLR_EL2.SA wants 16 (DDI 0487 D1.3.10). */
_Static_assert(_Alignof(struct vcpu) % 16 == 0, "vectors.S");
_Static_assert(PERCPU_COUNT == KZ_CPUS_MAX, "layout.h");

struct percpu *arch_this_cpu(void)
{
	return (struct percpu *)read_tpidr_el2();
}

struct percpu *arch_cpu(uint32_t cpu)
{
	return (struct percpu *)(_percpu + cpu * PERCPU_SIZE + PERCPU_DATA);
}

/* A blob that names a console gets it, before anything else of it is believed. */
static void console_early(const struct kz_cfg *cfg, size_t avail)
{
	const struct kz_cfg_machine *m = &cfg->machine;

	if (avail >= sizeof(*cfg) && cfg->magic == KZ_BLOB_MAGIC && m->uart != KZ_UART_NONE &&
	    m->uart < KZ_UARTS && m->uart_pa < KZ_PA_LIMIT - PAGE_SIZE &&
	    m->uart_pa % PAGE_SIZE == 0 && mmu_map_console(m->uart_pa) == KZ_OK) {
		dsb_ishst();	/* the table before the access that walks it */
		isb();
		uart_init(m);
	}
}

void boot_main(uint64_t image_pa)
{
	uint64_t image = (uint64_t)_head;
	uint64_t size = *(const uint64_t *)(image + IMAGE_SIZE_FIELD);
	const struct kz_cfg *cfg = (const struct kz_cfg *)(image + boot_size);
	size_t avail = size > boot_size ? size - boot_size : 0;

	image_to_ptr = image - image_pa;
	trap_init_cpu();
	console_early(cfg, avail);
	hv_main(cfg, image_pa, avail);
}

/* Input comes to the console core, unless a guest owns its interrupts: then nobody listens. */
static void uart_listen(const struct kz_cfg_machine *m)
{
	bool lent = false;

	for (uint32_t i = 0; i < machine.cfg->vm_count; i++) {
		const struct kz_cfg_vm *vm = blob_vm(machine.cfg, i);

		for (uint32_t j = 0; j < vm->vcpu_count; j++) {
			lent |= vm->level == KZ_HRT && vm->cpu[j] == m->console_cpu;
		}
	}
	if (m->uart != KZ_UART_NONE && !lent) {
		gic_route(m->uart_intid, m->console_cpu);
		gic_enable(0, m->uart_intid, true);
	}
}

enum kz_err arch_machine_init(void)
{
	const struct kz_cfg_machine *m = &machine.cfg->machine;
	enum kz_err err = mmu_map_machine(machine.cfg);

	if (err == KZ_OK) {
		for (uint32_t i = 0; i < m->cpu_count; i++) {
			arch_cpu(i)->id = i;
		}
		gic_init();
		gic_init_cpu(0);
		uart_listen(m);
	}
	return err;
}

void secondary_main(struct percpu *cpu)
{
	trap_init_cpu();
	gic_init_cpu(cpu->id);
	hv_secondary(cpu);
}

enum kz_err arch_cpu_start(uint32_t cpu)
{
	uint64_t entry = (uint64_t)secondary_entry - image_to_ptr;

	dsb_sy();	/* all that the core reads before its MMU is on, before it starts */
	return (int32_t)smc_call(PSCI_CPU_ON_64, machine.cfg->machine.mpidr[cpu], entry,
				 (uint64_t)arch_cpu(cpu)) == PSCI_SUCCESS ? KZ_OK : KZ_EINVAL;
}

void arch_machine_off(void)
{
	(void)smc_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;) {
		wfi();		/* firmware without SYSTEM_OFF */
	}
}

void arch_cpu_kick(uint32_t cpu)
{
	/* Who has lent its interface loses its memory instead: arch_vm_revoke. */
	if (!__atomic_load_n(&arch_cpu(cpu)->arch.lent, __ATOMIC_SEQ_CST)) {
		gic_sgi(cpu, GIC_SGI_SCHED);
	}
}

void arch_cpu_relax(void)
{
	yield();
}

void arch_cpu_wait(void)
{
	struct percpu *cpu = arch_this_cpu();
	bool v3 = gic.v3;
	uint64_t hcr = gic_quick_hcr_get(v3);

	/* who has no budget may have an interrupt pending, and cores may wake for that, too */
	gic_quick_hcr_set(v3, 0);
	isb();
	dsb_sy();		/* that, and what this core wrote, before it sleeps on it */
	wfi();
	gic_quick_hcr_set(v3, hcr);
	trap_irq_el2(cpu);
}

bool arch_cpu_poll(void)
{
	bool pending = read_isr_el1() != 0;

	if (pending) {
		trap_irq_el2(arch_this_cpu());
	}
	return pending;
}

uint64_t arch_ticks(void)
{
	isb();			/* the counter is not read early (DDI 0487 D12.1.2) */
	return read_cntpct_el0();
}

uint64_t arch_ticks_hz(void)
{
	return read_cntfrq_el0();
}

void arch_timer_arm(uint64_t ticks)
{
	write_cnthp_cval_el2(ticks);
	write_cnthp_ctl_el2(1);		/* ENABLE (D19.12.2); NEVER is beyond a machine's life */
	isb();			/* the line as it will be before the core sleeps, or polls it */
}
