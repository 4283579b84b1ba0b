/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* kizami.ko: what its files know of each other. docs/linux.md says what it offers. */
#ifndef KIZAMI_MODULE_H
#define KIZAMI_MODULE_H

#include <linux/ioport.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <kizami/control.h>
#include <kizami/hcall.h>

struct device;
struct seq_file;

/* call.c: the hypervisor. Nothing here sleeps. */

/* Whether this is a guest of Kizami's; says why not. */
bool kizami_is_there(void);

/* A call: x[0] to x[3] go to x1 to x4, and come back from there. Returns enum kz_err. */
int kizami_call(u32 function, u64 x[4]);

/* A call with a buffer, which is physically contiguous: x[at] becomes its address. */
int kizami_call_buffer(u32 function, u64 x[4], unsigned int at, void *buffer);

/* KZ_HVC_INSPECT into a buffer from kmalloc. Returns 0 or -errno. */
int kizami_inspect(enum kz_inspect what, u64 which, void *to);

/* event.c: the interrupt. */

/* Takes it; with `control`, KZ_NOTIFY_CONTROL too. Undone with the device. */
int kizami_event_init(struct device *dev, int irq, bool control);

/* How many times KZ_NOTIFY_CONTROL came. */
u64 kizami_event_count(void);

/* Woken when that grows. */
extern struct wait_queue_head kizami_event_queue;

/* dev.c: /dev/kizami. trace: memory that may be mapped; NULL: there is none. */
int kizami_dev_init(struct device *dev, const struct resource *trace);

/* proc.c: /proc/kizami. */
int kizami_proc_init(struct device *dev);

/* VMs may have come or gone: looks. May sleep; one caller at a time. */
void kizami_proc_update(void);

/* proc_vm.c: the files of a VM's folder; m->private is its place. */
int kizami_show_info(struct seq_file *m, void *unused);
int kizami_show_vcpus(struct seq_file *m, void *unused);
int kizami_show_config(struct seq_file *m, void *unused);

/* A struct of the hypervisor's, of `size` bytes: kfree() it. ERR_PTR. */
void *kizami_inspect_new(enum kz_inspect what, u64 which, size_t size);

/* words.c: names of numbers. */
const char *kizami_state(u32 state);
const char *kizami_reason(u32 reason);
const char *kizami_level(u32 level);
const char *kizami_vcpu_state(u32 state);
const char *kizami_sched_state(u32 state);
const char *kizami_exit_class(u32 class);
const char *kizami_on_fault(u32 value);
const char *kizami_on_event(u32 value);
const char *kizami_restart(u32 value);
const char *kizami_console(u32 value);
const char *kizami_region(u32 type);
const char *kizami_right(u32 right);
const char *kizami_uart(u32 uart);

/* A line of a key and a time in s, of ns. */
void kizami_show_time(struct seq_file *m, const char *key, u64 ns);

/* The same of a point in time; 0: "never". */
void kizami_show_when(struct seq_file *m, const char *key, u64 ns);

#endif
