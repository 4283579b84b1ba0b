/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of xl.cfg that mean nothing here, and those that nobody knows. */
#include <string.h>

#include "xl.h"

struct other {
	const char *name;
	const char *what; /* what the VM does not get */
	bool refused;     /* a VM without it is not what was meant */
};

static const char *const used[] = { "name",  "memory",   "maxmem",      "vcpus",     "maxvcpus",
				    "cpus",  "kernel",   "ramdisk",     "cmdline",   "root",
				    "extra", "on_crash", "on_poweroff", "on_reboot", "on_watchdog",
				    "type",  "builder",  "cpu_weight",  "dtdev",     "iomem",
				    "irqs",  NULL };

static const struct other others[] = {
	{ "disk", "there are no virtual disks yet", true },
	{ "p9", "there are no shared folders yet", true },
	{ "vtpm", "there are no virtual TPMs", true },
	{ "pci", "PCI devices cannot be passed through yet", true },
	{ "channel", "there are no channels between VMs yet", true },
	{ "device_tree", "a piece of a device tree cannot be added: dtdev adds a device", true },
	{ "bootloader", "there is no boot loader: name the kernel", true },
	{ "firmware", "there is no firmware: name the kernel", true },
	{ "virtio", "there are no virtio devices yet", true },
	{ "vif", "there are no virtual networks yet", false },
	{ "vfb", "there are no virtual screens", false },
	{ "vkb", "there are no virtual keyboards", false },
	{ "vdispl", "there are no virtual screens", false },
	{ "vsnd", "there is no virtual sound", false },
	{ "usbctrl", "there is no virtual USB", false },
	{ "usbdev", "there is no virtual USB", false },
	{ "vnc", "there are no virtual screens", false },
	{ "sdl", "there are no virtual screens", false },
	{ "serial", "the console is the one of kz console", false },
	{ "vuart", "each VM has a PL011, which is its console", false },
	{ "uuid", "a VM is known by its name", false },
	{ "seclabel", "there are no labels: control in the configuration says who may what",
	  false },
	{ "pool", "there are no pools of cores", false },
	{ "cap", "a server limits a VM: realtime in a configuration of our own", false },
	{ "cpus_soft", "a vCPU stays on its core", false },
	{ "gic_version", "it is the machine's", false },
	{ "passthrough", "dtdev says which devices", false },
	{ "xen_platform_pci", "that is not for Arm", false },
	{ "acpi", "guests get a device tree", false },
	{ "altp2m", "there is one second stage", false },
	{ "nomigrate", "VMs do not move", false },
	{ "localtime", "the counter has no date", false },
	{ "rtc_timeoffset", "the counter has no date", false },
	{ "tee", "there is none for VMs", false },
	{ "dm_restrict", "there is no device model", false },
	{ "device_model_version", "there is no device model", false },
	{ "device_model_override", "there is no device model", false },
	{ "max_grant_frames", "there are no grants", false },
	{ "max_maptrack_frames", "there are no grants", false },
	{ "driver_domain", "there are no back ends", false },
	{ NULL, NULL, false },
};

/* Nothing, 0 or [] asks for nothing. */
static bool is_empty(const struct xl_value *v)
{
	return (v->kind == XL_LIST)
		       ? (v->count == 0)
		       : ((v->s[0] == '\0') || ((v->kind == XL_NUMBER) && (v->n == 0)));
}

static void other_check(struct diag *d, const struct xl_setting *s)
{
	const char *names[sizeof(used) / sizeof(used[0]) + sizeof(others) / sizeof(others[0])];
	const struct other *o = others;
	unsigned n = 0;

	while (used[n] != NULL) {
		if (strcmp(used[n], s->name) == 0) {
			return;
		}
		names[n] = used[n];
		n++;
	}
	for (; o->name != NULL; o++) {
		if (strcmp(o->name, s->name) == 0) {
			break;
		}
		names[n++] = o->name;
	}
	if (o->name == NULL) {
		const char *near;

		names[n] = NULL;
		near = diag_nearest(s->name, names);
		diag_error(d, s->line, "unknown key %s%s%s%s", s->name,
			   (near == NULL) ? "" : ": did you mean '", (near == NULL) ? "" : near,
			   (near == NULL) ? "" : "'?");
	} else if (is_empty(&s->value) || (s->value.kind == XL_BROKEN)) {
		return;
	} else if (o->refused) {
		diag_error(d, s->line, "%s: %s", s->name, o->what);
	} else {
		diag_note(d, s->line, "ignored: %s: %s", s->name, o->what);
	}
}

void xl_others(struct diag *d, const struct xl_setting *settings)
{
	for (const struct xl_setting *s = settings; s != NULL; s = s->next) {
		other_check(d, s);
	}
}
