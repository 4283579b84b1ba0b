// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* The files of a VM's folder in /proc/kizami. */
#include <linux/err.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kizami.h"

static u32 place_of(const struct seq_file *m)
{
	return (u32)(uintptr_t)m->private;
}

static void show_number(struct seq_file *m, const char *key, u64 value)
{
	seq_printf(m, "%-16s %llu\n", key, value);
}

static void show_word(struct seq_file *m, const char *key, const char *word)
{
	seq_printf(m, "%-16s %s\n", key, word);
}

int kizami_show_info(struct seq_file *m, void *unused)
{
	struct kz_vm_info *i = kizami_inspect_new(KZ_INSPECT_VM, place_of(m), sizeof(*i));

	if (IS_ERR(i)) {
		return PTR_ERR(i);
	}
	seq_printf(m, "%-16s %.*s\n", "name", KZ_NAME_MAX, i->name);
	show_number(m, "place", place_of(m));
	show_word(m, "state", kizami_state(i->state));
	show_word(m, "reason", kizami_reason(i->reason));
	show_number(m, "changes", i->changes);
	show_number(m, "restarts", i->restarts);
	show_number(m, "failures", i->failures);
	if (i->attached != 0) {
		seq_printf(m, "%-16s VM %u\n", "console", i->attached - 1);
	} else {
		show_word(m, "console", "machine");
	}
	show_number(m, "faults", i->faults);
	if (i->faults != 0) {
		seq_printf(m, "%-16s 0x%llx, pc 0x%llx\n", "last fault", i->fault_address,
			   i->fault_pc);
	}
	kizami_show_when(m, "started", i->started);
	kizami_show_when(m, "stopped", i->stopped);
	kizami_show_time(m, "restart took", i->restart_time);
	kizami_show_when(m, "watchdog due", i->watchdog);
	if (i->state == KZ_VM_WAITING) {
		kizami_show_time(m, "resumes", i->resumes);
	}
	seq_printf(m, "%-16s in %u, out %u bytes\n", "console lost", i->in_dropped,
		   i->out_dropped);
	kfree(i);
	return 0;
}

static void show_vcpu(struct seq_file *m, u32 vcpu, const struct kz_vcpu_info *i)
{
	u32 class;

	show_number(m, "vcpu", vcpu);
	show_word(m, "state", kizami_vcpu_state(i->state));
	show_number(m, "core", i->core);
	show_word(m, "sched", kizami_sched_state(i->sched));
	kizami_show_time(m, "executed", i->executed);
	kizami_show_time(m, "stolen", i->stolen);
	if (i->period != 0) {
		seq_printf(m, "%-16s %llu / %llu / %llu ns\n", "server", i->budget, i->period,
			   i->deadline);
		seq_printf(m, "%-16s %llu, missed %llu, late %llu, overrun %llu\n", "jobs", i->jobs,
			   i->misses, i->late, i->overruns);
	}
	seq_printf(m, "%-16s", "exits");
	for (class = 0; class < KZ_EXIT_CLASSES; class++) {
		seq_printf(m, " %s %llu", kizami_exit_class(class), i->exits[class]);
	}
	seq_puts(m, "\n");
}

int kizami_show_vcpus(struct seq_file *m, void *unused)
{
	struct kz_cfg_vm *c = kizami_inspect_new(KZ_INSPECT_CONFIG, place_of(m), sizeof(*c));
	struct kz_vcpu_info *i;
	int error = 0;
	u32 vcpu;

	if (IS_ERR(c)) {
		return PTR_ERR(c);
	}
	for (vcpu = 0; vcpu < min_t(u32, c->vcpu_count, KZ_VCPUS_MAX); vcpu++) {
		i = kizami_inspect_new(KZ_INSPECT_VCPU, place_of(m) | vcpu << 8, sizeof(*i));
		if (IS_ERR(i)) {
			error = PTR_ERR(i);
			break;
		}
		seq_puts(m, vcpu == 0 ? "" : "\n");
		show_vcpu(m, vcpu, i);
		kfree(i);
	}
	kfree(c);
	return error;
}

static void show_server(struct seq_file *m, const struct kz_cfg_server *s)
{
	if (s->period_ns != 0) {
		seq_printf(m, "%-16s %llu / %llu / %llu ns, on miss %s, on overrun %s\n", "server",
			   s->budget_ns, s->period_ns, s->deadline_ns, kizami_on_event(s->on_miss),
			   kizami_on_event(s->on_overrun));
	} else {
		show_number(m, "weight", s->weight);
	}
}

static void show_memory(struct seq_file *m, const struct kz_cfg_vm *c)
{
	u32 i;

	for (i = 0; i < min_t(u32, c->region_count, KZ_REGIONS_MAX); i++) {
		seq_printf(m, "%-16s %s at 0x%llx, physical 0x%llx, %llu KiB\n", "region",
			   kizami_region(c->region[i].type), c->region[i].ipa, c->region[i].pa,
			   c->region[i].size >> 10);
	}
	for (i = 0; i < min_t(u32, c->load_count, KZ_LOADS_MAX); i++) {
		seq_printf(m, "%-16s at 0x%llx, %llu bytes\n", "load", c->load[i].ipa,
			   c->load[i].size);
	}
	for (i = 0; i < min_t(u32, c->irq_count, KZ_IRQS_MAX); i++) {
		seq_printf(m, "%-16s %u, %s\n", "interrupt", c->irq[i].intid,
			   c->irq[i].flags & KZ_IRQ_EDGE ? "edge" : "level");
	}
}

static void show_health(struct seq_file *m, const struct kz_cfg_vm *c)
{
	show_word(m, "on fault", kizami_on_fault(c->on_fault));
	show_word(m, "restart", kizami_restart(c->restart));
	if (c->backoff_ms != 0) {
		seq_printf(m, "%-16s %u to %u ms\n", "back-off", c->backoff_ms, c->backoff_max_ms);
	}
	if (c->watchdog_ns != 0) {
		kizami_show_time(m, "watchdog", c->watchdog_ns);
	}
	if (c->wdt_ipa != 0) {
		seq_printf(m, "%-16s at 0x%llx, interrupt %u\n", "SBSA watchdog", c->wdt_ipa,
			   c->wdt_intid);
	}
}

int kizami_show_config(struct seq_file *m, void *unused)
{
	struct kz_cfg_vm *c = kizami_inspect_new(KZ_INSPECT_CONFIG, place_of(m), sizeof(*c));
	u32 i;

	if (IS_ERR(c)) {
		return PTR_ERR(c);
	}
	seq_printf(m, "%-16s %.*s\n", "name", KZ_NAME_MAX, c->name);
	show_word(m, "level", kizami_level(c->level));
	seq_printf(m, "%-16s", "cores");
	for (i = 0; i < min_t(u32, c->vcpu_count, KZ_VCPUS_MAX); i++) {
		seq_printf(m, " %u", c->cpu[i]);
	}
	seq_puts(m, "\n");
	show_server(m, &c->server);
	show_word(m, "console", kizami_console(c->console));
	seq_printf(m, "%-16s 0x%llx, argument 0x%llx\n", "entry", c->entry, c->arg);
	show_health(m, c);
	for (i = 0; i < KZ_RIGHTS; i++) {
		if (c->rights[i] != 0) {
			seq_printf(m, "right %-10s VMs 0x%02x\n", kizami_right(i), c->rights[i]);
		}
	}
	show_memory(m, c);
	kfree(c);
	return 0;
}
