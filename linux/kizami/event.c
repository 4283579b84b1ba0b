// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * The hypervisor's event interrupt, a PPI. One online CPU listens; when it goes off, another one
 * does. An event is a bit that says: look. So one that comes twice does no harm, and the next
 * CPU listens before this one stops.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/percpu.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "kizami.h"

DECLARE_WAIT_QUEUE_HEAD(kizami_event_queue);

static atomic64_t count = ATOMIC64_INIT(0);
static int event_irq;
static u64 wanted;		/* KZ_NOTIFY_ bits */
/* Written under the lock of CPU hotplug: */
static int listener = -1;	/* the CPU that listens */
static bool closing;		/* none is to listen any more */
static int online_state;

/* What may sleep, on a real-time kernel too. */
static void news_tell(struct work_struct *unused)
{
	wake_up_interruptible(&kizami_event_queue);
	kizami_proc_update();
}

static DECLARE_WORK(news, news_tell);

static void events_handle(void)
{
	u64 x[4] = { 0 };

	if (kizami_call(KZ_HVC_EVENTS, x) != KZ_OK) {
		return;
	}
	if (x[0] & KZ_NOTIFY_SHUTDOWN) {
		pr_info("shutdown was requested\n");
		orderly_poweroff(true);
	}
	if (x[0] & KZ_NOTIFY_CONTROL) {
		atomic64_inc(&count);
		schedule_work(&news);
	}
}

static irqreturn_t event_interrupt(int irq, void *unused)
{
	events_handle();
	return IRQ_HANDLED;
}

/* On the CPU that listens from now on, which cannot change meanwhile. */
static void listen(void *unused)
{
	u64 x[4] = { wanted };
	int error;

	enable_percpu_irq(event_irq, IRQ_TYPE_EDGE_RISING);
	error = kizami_call(KZ_HVC_NOTIFY, x);
	if (error != KZ_OK) {
		pr_warn("no events: the hypervisor says %d\n", error);
	}
}

/* On the CPU that listened: what came until now is not lost. */
static void listen_no_more(void *unused)
{
	u64 x[4] = { 0 };

	kizami_call(KZ_HVC_NOTIFY, x);
	disable_percpu_irq(event_irq);
	events_handle();
}

static int cpu_online_now(unsigned int cpu)
{
	if (listener < 0) {
		listener = cpu;
		listen(NULL);
	}
	return 0;
}

static int cpu_goes_off(unsigned int cpu)
{
	unsigned int next = cpumask_any_but(cpu_online_mask, cpu);

	if (listener != cpu) {
		return 0;
	}
	listener = -1;
	if (!closing && next < nr_cpu_ids &&
	    smp_call_function_single(next, listen, NULL, 1) == 0) {
		listener = next;
	}
	listen_no_more(NULL);
	return 0;
}

u64 kizami_event_count(void)
{
	return atomic64_read(&count);
}

static int __percpu *cookie;

static void irq_give_back(void *unused)
{
	free_percpu_irq(event_irq, cookie);
	free_percpu(cookie);
	cancel_work_sync(&news);
}

static void cpus_give_back(void *unused)
{
	/* It calls cpu_goes_off() for each CPU, none of which goes. */
	cpus_read_lock();
	closing = true;
	cpus_read_unlock();
	cpuhp_remove_state(online_state);
}

int kizami_event_init(struct device *dev, int irq, bool control)
{
	int error;

	event_irq = irq;
	wanted = KZ_NOTIFY_SHUTDOWN | (control ? KZ_NOTIFY_CONTROL : 0);
	cookie = alloc_percpu(int);
	if (!cookie) {
		return -ENOMEM;
	}
	error = request_percpu_irq(irq, event_interrupt, "kizami", cookie);
	if (error != 0) {
		free_percpu(cookie);
		return error;
	}
	error = devm_add_action_or_reset(dev, irq_give_back, NULL);
	if (error != 0) {
		return error;
	}
	online_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kizami:online", cpu_online_now,
					 cpu_goes_off);
	if (online_state < 0) {
		return online_state;
	}
	/* What happened before somebody listened. */
	schedule_work(&news);
	return devm_add_action_or_reset(dev, cpus_give_back, NULL);
}
