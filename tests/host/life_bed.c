/* SPDX-License-Identifier: Apache-2.0 */
#include "life_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "policy.h"

#define START   1000u
#define FREE_PA (HOST_RAM_PA + 0x60000)

struct life life;

/* ---- Cores ---- */

/* The core looks for something to run. */
static void go(uint32_t core)
{
	jmp_buf here;
	int why;

	host_become(core);
	host.leave = &here;
	why = setjmp(here);
	if (why == HOST_RETURNED && (life.where[core] != HOST_FROZEN || host_thaw(core))) {
		life.seen[core] = host.cpu[core].arch.kicks;
		vcpu_run(&host.cpu[core]);
	}
	host.leave = NULL;
	assert_int_not_equal(why, HOST_PANIC);
	if (why == HOST_OFF) {
		life.offs++;
		why = HOST_ASLEEP;		/* and whoever is left goes on */
		host.cpu[core].arch.kicks++;
	}
	life.where[core] = why;
	life.left[core] = false;
}

/* Does something make the core leave its guest, or its sleep? */
static bool is_wanted(uint32_t core)
{
	const struct percpu *cpu = &host.cpu[core];
	const struct vcpu *v = cpu->vcpu;
	bool kicked = cpu->arch.kicks != life.seen[core];

	if (life.where[core] == HOST_ASLEEP) {
		return kicked || host.timer[core] <= host.ticks;
	}
	if (life.where[core] == HOST_FROZEN) {
		return (v->hazard & (HAZARD_PAUSE | HAZARD_STOP)) != HAZARD_PAUSE;
	}
	if (life.left[core] && v->hazard != 0) {
		return true;
	}
	/* An HRT guest takes no interrupt of ours: its memory must go. */
	return v->vm->cfg->level == KZ_HRT ? v->vm->arch.revoked :
	       kicked || host.timer[core] <= host.ticks;
}

void life_step(uint32_t core)
{
	if (is_wanted(core)) {
		go(core);
	}
}

void life_settle(void)
{
	bool moved = true;

	for (uint32_t turns = 0; moved; turns++) {
		assert_true(turns < 100);
		moved = false;
		for (uint32_t i = 0; i < LIFE_CORES; i++) {
			if (is_wanted(i)) {
				go(i);
				life_check();
				moved = true;
			}
		}
	}
}

void life_until(uint64_t ticks)
{
	life_settle();
	while (host.ticks < ticks) {
		uint64_t next = ticks;

		for (uint32_t i = 0; i < LIFE_CORES; i++) {
			next = min_u64(next, host.timer[i] > host.ticks ? host.timer[i] : ticks);
		}
		host.ticks = next;
		life_settle();
	}
}

static bool is_busy(void)
{
	bool busy = false;

	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		const struct vm *vm = &machine.vm[i];

		busy |= vm->state == KZ_VM_STOPPING || vm->state == KZ_VM_CLEARING ||
			(vm->state == KZ_VM_RUNNING && (vm->fresh || vm->started < vm->epoch ||
							vm->vcpu[0].state == VCPU_READY));
	}
	return busy;
}

void life_quiet(void)
{
	life_settle();
	for (uint32_t i = 0; is_busy(); i++) {
		assert_true(i < 1000);
		life_until(host.ticks + 100);
	}
}

/* ---- Machine ---- */

static void vm_make(uint32_t i)
{
	static const char *const names[LIFE_VMS] = { "linux", "island", "servo", "raw" };
	static const uint8_t levels[LIFE_VMS] = { KZ_NRT, KZ_SRT, KZ_HRT, KZ_SRT };
	static const uint8_t cores[LIFE_VMS] = { 0, 1, 3, 1 };
	struct kz_cfg_vm *cfg = &life.vm[i];

	strcpy(cfg->name, names[i]);
	cfg->level = levels[i];
	cfg->vcpu_count = i == LINUX ? 2 : 1;
	cfg->cpu[0] = cores[i];
	cfg->cpu[1] = i == LINUX;
	cfg->irq_lines = 96;
	cfg->entry = OTHERS_AT;
	cfg->arg = OTHERS_AT;
	cfg->gicd_ipa = 0x8000000;
	cfg->gicc_ipa = 0x80a0000;
	cfg->region_count = 1;
	cfg->region[0] = (struct kz_cfg_region){
		OTHERS_AT, HOST_RAM_PA + 0x40000 + i * 0x4000, OTHERS_SIZE, KZ_REGION_RAM, 0
	};
	cfg->server.weight = levels[i] == KZ_HRT ? 0 : KZ_WEIGHT_DEFAULT;
	if (levels[i] == KZ_SRT) {
		cfg->server.budget_ns = 100000;
		cfg->server.period_ns = cfg->server.deadline_ns = 1000000;
	}
	cfg->irq_count = 1;
	cfg->irq[0].intid = 48 + i;
	cfg->console = i == SERVO ? KZ_CONSOLE_RING : KZ_CONSOLE_PL011;
	cfg->console_ipa = i == SERVO ? OTHERS_AT + 0x1000 : 0x9000000;
	cfg->console_intid = i == SERVO ? 0 : 33;
}

static void configure(void)
{
	struct kz_cfg_machine *m = &life.cfg.machine;

	life.cfg.vm_count = LIFE_VMS;
	life.cfg.image_pa = HOST_RAM_PA;
	life.cfg.image_size = 0x10000;
	life.cfg.blob_offset = 0x8000;
	strcpy(m->board, "virt");
	m->cpu_count = LIFE_CORES;
	m->ram_count = 1;
	m->ram[0] = (struct kz_cfg_ram){ HOST_RAM_PA, HOST_RAM_SIZE };
	m->gic_version = 3;
	m->gic_lines = 192;
	m->gicd_pa = 0x8000000;
	m->gicr_pa = 0x80a0000;
	m->gicr_size = 4 * KZ_GICR_SIZE;
	m->vtimer_intid = 27;
	m->uart_intid = 32;
	m->trace_chunks = 2;
	m->trace_pa = HOST_RAM_PA + HOST_RAM_SIZE;
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		m->mpidr[i] = i;
	}
	for (uint32_t i = 0; i < LIFE_VMS; i++) {
		vm_make(i);
	}
	life.vm[LINUX].region_count = 2;
	life.vm[LINUX].region[0] = (struct kz_cfg_region){
		LINUX_AT, HOST_RAM_PA + 0x10000, LINUX_SIZE, KZ_REGION_RAM, 0
	};
	life.vm[LINUX].region[1] = (struct kz_cfg_region){
		LINUX_NEXT, HOST_RAM_PA + 0x3f000, 0x1000, KZ_REGION_RAM, 0
	};
	memset(life.vm[LINUX].rights, 0xff, KZ_RIGHT_CREATE + 1);
	life.vm[ISLAND].rights[KZ_RIGHT_LIST] = BIT(SERVO);
	life.vm[ISLAND].rights[KZ_RIGHT_RESTART] = BIT(SERVO);
	life.vm[RAW].rights[KZ_RIGHT_LIST] = 0xff;
	life.vm[RAW].rights[KZ_RIGHT_CONSOLE] = 0xff;
	life.vm[RAW].rights[KZ_RIGHT_RUN] = 0xff;
}

void life_setup(void)
{
	host_reset();
	host_freeze(START);
	memset(&life, 0, sizeof(life));
	memset(life.image, 'I', sizeof(life.image));
	machine.cfg = &life.cfg;
	machine.vm_count = LIFE_VMS;
	configure();
	for (uint32_t i = 0; i < LIFE_VMS; i++) {
		assert_int_equal(vm_init(&machine.vm[i], i, &life.vm[i]), KZ_OK);
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		assert_true(sched_init(&host.cpu[i]));
		life.where[i] = HOST_ASLEEP;
	}
	console_init();
}

void life_start(void)
{
	host_become(LIFE_CORES);
	for (uint32_t i = 0; i < LIFE_VMS; i++) {
		vm_start(&machine.vm[i]);
	}
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		go(i);
	}
	life_quiet();
}

void life_end(void)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		struct vm *vm = &machine.vm[i];

		host_become(LIFE_CORES);	/* none of theirs */
		if (vm->state != KZ_VM_NONE && vm->created) {
			(void)!vm_destroy(vm);
		} else if (vm->state != KZ_VM_NONE && vm->state != KZ_VM_STOPPED) {
			vm_halt(vm, KZ_REASON_STOP, THEN_STOP);
		}
		life_quiet();
		assert_true(vm->state == KZ_VM_NONE ||
			    (!vm->created && vm->state == KZ_VM_STOPPED));
	}
}

void life_check(void)
{
	for (uint32_t i = 0; i < LIFE_CORES; i++) {
		assert_true(life.where[i] == HOST_FROZEN || sched_check(&host.cpu[i]));
	}
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		const struct vm *vm = &machine.vm[i];
		uint32_t alive = 0;

		assert_int_equal(vm->lock.word >> 16, vm->lock.word & 0xffff);
		for (uint32_t j = 0; j < KZ_VCPUS_MAX; j++) {
			const struct vcpu *v = &vm->vcpu[j];
			bool mine = vm->state != KZ_VM_NONE && j < vm->cfg->vcpu_count;

			alive += v->state != VCPU_OFF;
			assert_true(mine || v->state == VCPU_OFF);
			assert_int_equal(v->state == VCPU_RUNNING,
					 v->arch.resets == v->arch.parks + 1);
			/* it has its slot, and nobody else */
			for (uint32_t c = 0; c < LIFE_CORES; c++) {
				const struct sched_core *core = &host.cpu[c].sched;
				bool in = (core->members >> i & 1) != 0 && core->slot[i] == v;

				assert_int_equal(in, mine && vm->cfg->cpu[j] == c);
			}
		}
		assert_int_equal(vm->alive, alive);
		assert_int_equal(alive != 0, vm->state == KZ_VM_RUNNING ||
				 vm->state == KZ_VM_PAUSED || vm->state == KZ_VM_STOPPING ||
				 vm->state == KZ_VM_CLEARING);
		assert_true(!vm->arch.revoked || vm->state == KZ_VM_PAUSED ||
			    vm->state == KZ_VM_STOPPING);
	}
}

/* ---- Calls ---- */

int64_t life_call(uint32_t vm, uint64_t *x)
{
	struct vcpu *v = &machine.vm[vm].vcpu[0];
	bool again;

	/* Where another vCPU is loaded just now, the call comes from a core of its own. */
	host_become(v->cpu->vcpu == v ? v->cpu->id : LIFE_CORES);
	again = policy_call(v, x);
	assert_false(again);
	life.left[v->cpu->id] |= v->cpu->vcpu == v;
	return (int64_t)x[0];
}

bool life_turn(uint32_t vm, uint64_t *x)
{
	struct vcpu *v = &machine.vm[vm].vcpu[0];
	bool again;

	assert_ptr_equal(v->cpu->vcpu, v);
	host_become(v->cpu->id);
	again = policy_call(v, x);
	life.left[v->cpu->id] = true;
	host.cpu[v->cpu->id].arch.kicks++;
	return again;
}

int64_t life_call4(uint32_t vm, uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t x[5] = { fn, a, b, c, d };

	return life_call(vm, x);
}

int64_t life_verb(uint32_t vm, uint32_t id, enum kz_verb verb)
{
	return life_call4(vm, KZ_HVC_CONTROL, id, verb, 0, 0);
}

void *life_memory(uint64_t at)
{
	return host.ram + (at - LINUX_AT + 0x10000);
}

void life_config(struct kz_cfg_vm *cfg, uint32_t slot, enum kz_level level)
{
	memset(cfg, 0, sizeof(*cfg));
	memcpy(cfg->name, "vm-a", 4);
	cfg->name[3] = (char)('a' + slot);
	cfg->level = (uint8_t)level;
	cfg->vcpu_count = 1;
	cfg->cpu[0] = level == KZ_HRT ? 2 : 1;
	cfg->irq_lines = 96;
	cfg->entry = OTHERS_AT;
	cfg->arg = OTHERS_AT + 0x1000;
	cfg->gicd_ipa = 0x8000000;
	cfg->gicc_ipa = 0x80a0000;
	cfg->region_count = 2;
	cfg->region[0] = (struct kz_cfg_region){
		OTHERS_AT, FREE_PA + slot * 2 * LIFE_RAM, LIFE_RAM, KZ_REGION_RAM, 0
	};
	cfg->region[1] = (struct kz_cfg_region){
		0, FREE_PA + (slot * 2 + 1) * LIFE_RAM, LIFE_RAM, KZ_REGION_STORE, 0
	};
	cfg->server.weight = level == KZ_HRT ? 0 : KZ_WEIGHT_DEFAULT;
	if (level == KZ_SRT) {
		cfg->server.budget_ns = 50000;
		cfg->server.period_ns = cfg->server.deadline_ns = 1000000;
	}
	cfg->irq_count = 1;
	cfg->irq[0].intid = 60 + slot;
	cfg->console = KZ_CONSOLE_PL011;
	cfg->console_ipa = 0x9000000;
	cfg->store_tables = blob_tables(cfg);
	cfg->load_count = 1;
	cfg->load[0] = (struct kz_cfg_load){ OTHERS_AT + 0x1000, 64, 0x40 };
}

int64_t life_register(const struct kz_cfg_vm *cfg, uint64_t *x)
{
	memcpy(life_memory(LINUX_AT), cfg, sizeof(*cfg));
	x[0] = KZ_HVC_REGISTER;
	x[1] = LINUX_AT;
	return life_call(LINUX, x);
}
