// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * /proc/kizami: machine, vms, and a folder for each VM that may be listed. What a file says is
 * asked for when it is read. Folders follow the hypervisor's events.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kizami.h"

/* A folder of a VM. The table is kizami_proc_update()'s, which runs once at a time. */
struct folder {
	struct proc_dir_entry *entry;
	char name[KZ_NAME_MAX];		/* the VM's */
};

static struct proc_dir_entry *root;
static struct folder folders[KZ_VMS_MAX];
static u64 changes = U64_MAX;	/* of the machine's VMs, when folders were looked at */

static int errno_of(int error)
{
	switch (error) {
	case KZ_OK:
		return 0;
	case KZ_EPERM:
		return -EPERM;
	case KZ_ENOENT:
		return -ENOENT;
	case KZ_EBUSY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

int kizami_inspect(enum kz_inspect what, u64 which, void *to)
{
	u64 x[4] = { what, which };

	return errno_of(kizami_call_buffer(KZ_HVC_INSPECT, x, 2, to));
}

void *kizami_inspect_new(enum kz_inspect what, u64 which, size_t size)
{
	void *p = kzalloc(size, GFP_KERNEL);
	int error;

	if (!p) {
		return ERR_PTR(-ENOMEM);
	}
	error = kizami_inspect(what, which, p);
	if (error != 0) {
		kfree(p);
		return ERR_PTR(error);
	}
	return p;
}

static void show_cores(struct seq_file *m, const struct kz_cfg_machine *c)
{
	u32 i;

	seq_printf(m, "%-16s %u, MPIDR", "cores", c->cpu_count);
	for (i = 0; i < min(c->cpu_count, KZ_CPUS_MAX); i++) {
		seq_printf(m, " 0x%llx", c->mpidr[i]);
	}
	seq_printf(m, "\n%-16s %u, %u lines\n", "gic", c->gic_version, c->gic_lines);
	for (i = 0; i < min(c->ram_count, KZ_RAMS_MAX); i++) {
		seq_printf(m, "%-16s 0x%llx, %llu KiB\n", "ram", c->ram[i].pa,
			   c->ram[i].size >> 10);
	}
	seq_printf(m, "%-16s %s at 0x%llx\n", "uart", kizami_uart(c->uart), c->uart_pa);
	if (c->trace_chunks != 0) {
		seq_printf(m, "%-16s %u KiB a core at 0x%llx\n", "trace",
			   c->trace_chunks * (KZ_TRACE_CHUNK >> 10), c->trace_pa);
	}
}

static int show_machine(struct seq_file *m, void *unused)
{
	struct kz_machine_info *i = kizami_inspect_new(KZ_INSPECT_MACHINE, 0, sizeof(*i));

	if (IS_ERR(i)) {
		return PTR_ERR(i);
	}
	seq_printf(m, "%-16s %.*s\n", "board", KZ_NAME_MAX, i->cfg.machine.board);
	kizami_show_time(m, "up", i->now);
	seq_printf(m, "%-16s %llu Hz\n", "counter", i->hz);
	show_cores(m, &i->cfg.machine);
	seq_printf(m, "%-16s %u bytes\n", "hypervisor", i->image_size);
	seq_printf(m, "%-16s %llu KiB at 0x%llx, %u VMs\n", "image", i->cfg.image_size >> 10,
		   i->cfg.image_pa, i->cfg.vm_count);
	seq_printf(m, "%-16s %u\n", "blob version", i->cfg.version);
	seq_printf(m, "%-16s %u, this one is at %u\n", "places", i->vm_count, i->caller);
	seq_printf(m, "%-16s %u\n", "changes", i->changes);
	kfree(i);
	return 0;
}

static u64 ram_of(const struct kz_cfg_vm *c)
{
	u64 size = 0;
	u32 i;

	for (i = 0; i < min_t(u32, c->region_count, KZ_REGIONS_MAX); i++) {
		if (c->region[i].type == KZ_REGION_RAM) {
			size += c->region[i].size;
		}
	}
	return size;
}

static void show_vm_line(struct seq_file *m, const struct kz_vm_info *i, const struct kz_cfg_vm *c)
{
	char cores[3 * KZ_VCPUS_MAX + 1] = "";
	int at = 0;
	u32 v;

	for (v = 0; v < min_t(u32, c->vcpu_count, KZ_VCPUS_MAX); v++) {
		at += scnprintf(cores + at, sizeof(cores) - at, "%s%u", v == 0 ? "" : ",",
				c->cpu[v]);
	}
	seq_printf(m, "%-*.*s %-8s %-5s %-15s %8lluK %8u %8u %10llu %s\n", KZ_NAME_MAX - 1,
		   KZ_NAME_MAX, i->name, kizami_state(i->state), kizami_level(c->level), cores,
		   ram_of(c) >> 10, i->restarts, i->failures, i->faults, kizami_reason(i->reason));
}

static int show_vms(struct seq_file *m, void *unused)
{
	struct kz_vm_info *i = kmalloc(sizeof(*i), GFP_KERNEL);
	struct kz_cfg_vm *c = kmalloc(sizeof(*c), GFP_KERNEL);
	int error = -ENOMEM;
	u32 vm;

	if (i && c) {
		error = 0;
		seq_printf(m, "%-*s %-8s %-5s %-15s %9s %8s %8s %10s %s\n", KZ_NAME_MAX - 1,
			   "name", "state", "level", "cores", "memory", "restarts", "failures",
			   "faults", "reason");
		for (vm = 0; vm < KZ_VMS_MAX; vm++) {
			/* Nobody's, or not this VM's to see. */
			if (kizami_inspect(KZ_INSPECT_VM, vm, i) != 0 ||
			    kizami_inspect(KZ_INSPECT_CONFIG, vm, c) != 0) {
				continue;
			}
			show_vm_line(m, i, c);
		}
	}
	kfree(c);
	kfree(i);
	return error;
}

static void folder_remove(struct folder *f)
{
	/* Waits for who reads there. */
	proc_remove(f->entry);
	f->entry = NULL;
}

/* A name that is taken, or a file's, gets the place behind a dot, which no VM's name has. */
static bool name_is_taken(const char *name)
{
	u32 vm;

	if (strcmp(name, "machine") == 0 || strcmp(name, "vms") == 0) {
		return true;
	}
	for (vm = 0; vm < KZ_VMS_MAX; vm++) {
		if (folders[vm].entry && strcmp(folders[vm].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static void folder_make(u32 vm, const char *name)
{
	void *place = (void *)(uintptr_t)vm;
	struct folder *f = &folders[vm];
	char called[KZ_NAME_MAX + 2];

	if (name_is_taken(name)) {
		snprintf(called, sizeof(called), "%.*s.%u", KZ_NAME_MAX - 1, name, vm);
	} else {
		strscpy(called, name, sizeof(called));
	}
	f->entry = proc_mkdir(called, root);
	if (!f->entry) {
		return;
	}
	strscpy(f->name, name, sizeof(f->name));
	proc_create_single_data("info", 0444, f->entry, kizami_show_info, place);
	proc_create_single_data("vcpus", 0444, f->entry, kizami_show_vcpus, place);
	proc_create_single_data("config", 0400, f->entry, kizami_show_config, place);
}

/* An event may also be a console's. */
static bool has_changed(void)
{
	struct kz_machine_info *i = kizami_inspect_new(KZ_INSPECT_MACHINE, 0, sizeof(*i));
	bool changed = true;

	if (!IS_ERR(i)) {
		changed = i->changes != changes;
		changes = i->changes;
		kfree(i);
	}
	return changed;
}

/* Those that went first: their names may be others' now. */
static void folders_update(struct kz_vm_info *i)
{
	char names[KZ_VMS_MAX][KZ_NAME_MAX] = { "" };
	u32 vm;

	for (vm = 0; vm < KZ_VMS_MAX; vm++) {
		if (kizami_inspect(KZ_INSPECT_VM, vm, i) == 0) {
			strscpy(names[vm], i->name, KZ_NAME_MAX);
		}
		if (folders[vm].entry && strcmp(folders[vm].name, names[vm]) != 0) {
			folder_remove(&folders[vm]);
		}
	}
	for (vm = 0; vm < KZ_VMS_MAX; vm++) {
		if (!folders[vm].entry && names[vm][0] != '\0') {
			folder_make(vm, names[vm]);
		}
	}
}

void kizami_proc_update(void)
{
	struct kz_vm_info *i;

	if (!root || !has_changed()) {
		return;
	}
	i = kmalloc(sizeof(*i), GFP_KERNEL);
	if (i) {
		folders_update(i);
	} else {
		changes = U64_MAX;	/* once more at the next event */
	}
	kfree(i);
}

static void proc_give_back(void *unused)
{
	proc_remove(root);
	root = NULL;
	memset(folders, 0, sizeof(folders));
}

int kizami_proc_init(struct device *dev)
{
	root = proc_mkdir("kizami", NULL);
	if (!root) {
		return -ENOMEM;
	}
	if (!proc_create_single("machine", 0444, root, show_machine) ||
	    !proc_create_single("vms", 0444, root, show_vms)) {
		proc_give_back(NULL);
		return -ENOMEM;
	}
	return devm_add_action_or_reset(dev, proc_give_back, NULL);
}
