// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * /dev/kizami, as kizami_ioctl.h says. The hypervisor checks what a call may do; what is checked
 * here is that the only memory which a call names is the file's own page. So no caller can have
 * the hypervisor write to the kernel.
 */
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "kizami.h"
#include "kizami_ioctl.h"

struct kizami_file {
	struct mutex lock;	/* of the page: one call at a time */
	void *page;
	atomic64_t seen;	/* events, when they were read last */
	u64 opened;		/* events, when it was opened */
};

/* What user space may call, and which argument is the buffer's address. */
static const struct {
	u32 function;
	u32 buffer_at;
} calls[] = {
	{ KZ_HVC_REGISTER, 0 },
	{ KZ_HVC_FILL, 2 },
	{ KZ_HVC_CONTROL, KZ_IOC_NO_BUFFER },
	{ KZ_HVC_INSPECT, 2 },
	{ KZ_HVC_CONSOLE_READ, 1 },
	{ KZ_HVC_CONSOLE_WRITE, 1 },
	{ KZ_HVC_READ, 2 },
	{ KZ_HVC_LOG, 1 },
};

static struct resource trace_memory;
static bool has_trace;

static_assert(KZ_CONTROL_BYTES <= PAGE_SIZE);

static int call_check(const struct kz_ioc_call *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].function == c->function) {
			break;
		}
	}
	if (i == ARRAY_SIZE(calls)) {
		return -ENOTTY;
	}
	if (c->buffer_at != calls[i].buffer_at || c->size > KZ_CONTROL_BYTES) {
		return -EINVAL;
	}
	return 0;
}

static int call_do(struct kizami_file *f, struct kz_ioc_call *c)
{
	void __user *buffer = u64_to_user_ptr(c->buffer);

	if (c->buffer_at == KZ_IOC_NO_BUFFER) {
		c->error = kizami_call(c->function, c->x);
		return 0;
	}
	if (copy_from_user(f->page, buffer, c->size) != 0) {
		return -EFAULT;
	}
	c->error = kizami_call_buffer(c->function, c->x, c->buffer_at, f->page);
	if (c->error == KZ_OK && copy_to_user(buffer, f->page, c->size) != 0) {
		return -EFAULT;
	}
	return 0;
}

static long kizami_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct kizami_file *f = file->private_data;
	void __user *user = (void __user *)arg;
	struct kz_ioc_call c;
	int error;

	if (command != KZ_IOC_CALL) {
		return -ENOTTY;
	}
	if (copy_from_user(&c, user, sizeof(c)) != 0) {
		return -EFAULT;
	}
	error = call_check(&c);
	if (error != 0) {
		return error;
	}
	if (mutex_lock_interruptible(&f->lock) != 0) {
		return -ERESTARTSYS;
	}
	error = call_do(f, &c);
	mutex_unlock(&f->lock);
	if (error == 0 && copy_to_user(user, &c, sizeof(c)) != 0) {
		error = -EFAULT;
	}
	return error;
}

static bool has_news(struct kizami_file *f)
{
	return kizami_event_count() != atomic64_read(&f->seen);
}

static __poll_t kizami_poll(struct file *file, poll_table *wait)
{
	struct kizami_file *f = file->private_data;

	poll_wait(file, &kizami_event_queue, wait);
	return has_news(f) ? EPOLLIN | EPOLLRDNORM : 0;
}

static ssize_t kizami_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	struct kizami_file *f = file->private_data;
	u64 count;

	if (size < sizeof(count)) {
		return -EINVAL;
	}
	if ((file->f_flags & O_NONBLOCK) != 0 && !has_news(f)) {
		return -EAGAIN;
	}
	if (wait_event_interruptible(kizami_event_queue, has_news(f)) != 0) {
		return -ERESTARTSYS;
	}
	count = kizami_event_count();
	atomic64_set(&f->seen, count);
	count -= f->opened;
	return copy_to_user(to, &count, sizeof(count)) == 0 ? sizeof(count) : -EFAULT;
}

/* Not to be made writable later, either. */
static void keep_read_only(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
#else
	vma->vm_flags &= ~(VM_MAYWRITE | VM_MAYEXEC);
#endif
}

static int kizami_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	u64 pages = resource_size(&trace_memory) >> PAGE_SHIFT;

	if (!has_trace) {
		return -ENXIO;
	}
	if ((vma->vm_flags & (VM_WRITE | VM_EXEC)) != 0) {
		return -EACCES;
	}
	if (vma->vm_pgoff > pages || size >> PAGE_SHIFT > pages - vma->vm_pgoff) {
		return -EINVAL;
	}
	keep_read_only(vma);
	/* Memory, as the hypervisor maps it: cacheable. */
	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(trace_memory.start) + vma->vm_pgoff,
			       size, vma->vm_page_prot);
}

static int kizami_open(struct inode *inode, struct file *file)
{
	struct kizami_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f) {
		return -ENOMEM;
	}
	f->page = (void *)get_zeroed_page(GFP_KERNEL);
	if (!f->page) {
		kfree(f);
		return -ENOMEM;
	}
	mutex_init(&f->lock);
	f->opened = kizami_event_count();
	atomic64_set(&f->seen, f->opened);
	file->private_data = f;
	return nonseekable_open(inode, file);
}

static int kizami_release(struct inode *inode, struct file *file)
{
	struct kizami_file *f = file->private_data;

	free_page((unsigned long)f->page);
	kfree(f);
	return 0;
}

static const struct file_operations kizami_fops = {
	.owner = THIS_MODULE,
	.open = kizami_open,
	.release = kizami_release,
	.read = kizami_read,
	.poll = kizami_poll,
	.mmap = kizami_mmap,
	.unlocked_ioctl = kizami_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice kizami_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kizami",
	.fops = &kizami_fops,
	.mode = 0600,
};

static void dev_give_back(void *unused)
{
	misc_deregister(&kizami_misc);
}

int kizami_dev_init(struct device *dev, const struct resource *trace)
{
	int error;

	if (trace) {
		trace_memory = *trace;
		has_trace = PAGE_ALIGNED(trace->start) && PAGE_ALIGNED(resource_size(trace));
		if (!has_trace) {
			dev_warn(dev, "trace is not of whole pages: %pR\n", trace);
		}
	}
	kizami_misc.parent = dev;
	error = misc_register(&kizami_misc);
	if (error != 0) {
		return error;
	}
	return devm_add_action_or_reset(dev, dev_give_back, NULL);
}
