/* SPDX-License-Identifier: Apache-2.0 */
/* Which interrupts are whose, and the state they have after power-on. */
#include <kizami/blob.h>
#include <kizami/hcall.h>
#include "arch.h"
#include "gic.h"
#include "vgic.h"

static const struct kz_cfg_machine *board(void)
{
	return &machine.cfg->machine;
}

/* PPIs that are every vCPU's own: its timers, and its PMU where it has one. */
static uint32_t private_twins(const struct vm *vm)
{
	uint32_t set = BIT(board()->vtimer_intid) | BIT(board()->ptimer_intid);

	if (vm->cfg->level == KZ_HRT && board()->pmu_intid != 0) {
		set |= BIT(board()->pmu_intid);
	}
	return set & ~1u;	/* 0: the board has none */
}

static void frames_init(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;
	bool hrt = cfg->level == KZ_HRT;

	vm->arch.hrt = hrt;
	vm->arch.gicd = (struct vgic_frame){
		.base = cfg->gicd_ipa,
		.size = gic.v3 ? KZ_GICD3_SIZE : KZ_GICD2_SIZE,
	};
	if (gic.v3) {
		vm->arch.gicr = (struct vgic_frame){
			.base = cfg->gicc_ipa,
			.size = (uint64_t)KZ_GICR_SIZE * cfg->vcpu_count,
		};
	} else if (hrt) {
		vm->arch.gicr = (struct vgic_frame){
			.base = cfg->gicc_ipa + GICC_DIR,
			.size = KZ_GICC_SIZE - GICC_DIR,
		};
	}
}

static void emulated_twin(struct vm *vm, uint32_t intid)
{
	if (intid >= GIC_PRIVATE) {
		vm->lines.spi[intid / 32 - 1].hw |= BIT(intid % 32);
	}
}

void vgic_init(struct vm *vm)
{
	const struct kz_cfg_vm *cfg = vm->cfg;

	vgic_disown(vm);
	frames_init(vm);
	vm->arch.vgic.vcpus = BIT(cfg->vcpu_count) - 1;
	/* ITLinesNumber; version 2: CPUNumber; version 3: IDbits. No LPIs, no security. */
	vm->arch.vgic.typer = (cfg->irq_lines / 32 - 1) |
			      (gic.v3 ? 9u << 19 : (cfg->vcpu_count - 1u) << 5);

	for (uint32_t i = 0; i < cfg->vcpu_count; i++) {
		vm->vcpu[i].arch.vgic.bank.hw = private_twins(vm);
		vm->arch.vgic.peer[i] = &vm->vcpu[i];
	}
	for (uint32_t i = 0; i < cfg->irq_count; i++) {
		uint32_t intid = cfg->irq[i].intid;

		vm->lines.spi[intid / 32 - 1].hw |= BIT(intid % 32);
		vgic_own(vm, intid);
	}
	/* An HRT guest takes emulated devices' interrupts from the hardware, set pending by us. */
	if (cfg->level == KZ_HRT) {
		emulated_twin(vm, cfg->console_intid);
		emulated_twin(vm, cfg->wdt_intid);
	}
}

static void targets_set(struct vgic_bank *b, uint32_t cpu)
{
	for (uint32_t n = 0; n < 32; n++) {
		b->cpu[n] = (uint8_t)cpu;
	}
}

static void bank_reset(struct vgic_bank *b)
{
	uint32_t hw = b->hw;

	*b = (struct vgic_bank){ .hw = hw, .edge = hw };
}

static void cpu_reset(struct vcpu *v)
{
	struct vgic_cpu *g = &v->arch.vgic;
	uint32_t hw = g->bank.hw;

	*g = (struct vgic_cpu){ 0 };
	g->bank.hw = hw;
	targets_set(&g->bank, v->id);
	g->bank.edge = (BIT(GIC_SGIS) - 1) | BIT(KZ_EVENT_INTID);
	g->bank.enabled = gic.v3 ? 0 : BIT(GIC_SGIS) - 1;
}

/* Twins are edges, as the console's of an HRT VM, unless the configuration says otherwise. */
static void edges_set(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->cfg->irq_count; i++) {
		uint32_t intid = vm->cfg->irq[i].intid;

		if ((vm->cfg->irq[i].flags & KZ_IRQ_EDGE) == 0) {
			vm->lines.spi[intid / 32 - 1].edge &= ~BIT(intid % 32);
		}
	}
}

/* Bound: 32 bits. */
static void twins_reset(const struct vm *vm, const struct vgic_bank *b, uint32_t first)
{
	for (uint32_t s = b->hw; s != 0; s &= s - 1) {
		uint32_t n = (uint32_t)__builtin_ctz(s);

		gic_reset_irq(0, first + n);
		gic_set_edge(first + n, (b->edge >> n & 1) != 0);
		gic_route(first + n, vm->vcpu[0].cpu->id);
	}
}

void vgic_reset(struct vm *vm)
{
	struct vgic *vgic = &vm->arch.vgic;

	vgic_lock(vgic);
	vgic->ctlr = 0;
	for (uint32_t i = 0; i < vm->cfg->vcpu_count; i++) {
		cpu_reset(&vm->vcpu[i]);
	}
	for (uint32_t i = 1; i < vm->cfg->irq_lines / 32; i++) {
		struct vgic_bank *b = &vm->lines.spi[i - 1];

		bank_reset(b);
		if (!gic.v3 && vm->cfg->vcpu_count > 1) {
			targets_set(b, VGIC_NOBODY);	/* GICD_ITARGETSR is 0 */
		}
	}
	edges_set(vm);
	for (uint32_t i = 1; i < vm->cfg->irq_lines / 32; i++) {
		twins_reset(vm, &vm->lines.spi[i - 1], i * 32);
	}
	vgic_unlock(vgic);
}

void vgic_reset_cpu(struct vcpu *v)
{
	struct vgic *vgic = &v->vm->arch.vgic;

	vgic_lock(vgic);
	gic_virtual_reset();
	v->arch.vgic.lr_used = 0;
	v->arch.vgic.bank.inlr = 0;
	v->arch.vgic.hcr = GIC_HCR_EN;
	v->arch.vgic.not_plain = 0;
	v->arch.kick = v->cpu->sched.shared ? 0 : gic.sgi_value[v->cpu->id];
	v->arch.vgic.ppis = gic.v3 ? gic.gicr[v->cpu->id] + GICR_SGI : gic.gicd;
	gic_hcr_write(GIC_HCR_EN);
	/* What the core had of its twins went when it was parked; the guest's enables did not. */
	v->arch.vgic.bank.latch &= ~v->arch.vgic.bank.held | v->arch.vgic.bank.active;
	v->arch.vgic.bank.held = 0;
	for (uint32_t s = v->arch.vgic.bank.hw; s != 0; s &= s - 1) {
		uint32_t intid = (uint32_t)__builtin_ctz(s);

		gic_reset_irq(v->cpu->id, intid);
		if ((v->arch.vgic.bank.enabled & BIT(intid)) != 0) {
			gic_enable(v->cpu->id, intid, true);
		}
	}
	vgic_sync_locked(v);
	vgic_unlock(vgic);
}
