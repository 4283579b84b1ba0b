// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * A guest of Kizami's: takes the hypervisor's events in every VM, and gives a VM that has rights
 * over others /dev/kizami and /proc/kizami.
 *
 * There is one hypervisor, so there is one device. Everything that the probe takes is given back
 * with the device, in reverse order.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>

#include "kizami.h"

/* What the probe said. */
static int probed = -ENODEV;

static int kizami_setup(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	bool control = of_property_read_bool(dev->of_node, "kizami,control");
	int irq = platform_get_irq(pdev, 0);
	int error;

	if (irq < 0) {
		return irq;
	}
	if (control) {
		error = kizami_dev_init(dev, platform_get_resource_byname(pdev, IORESOURCE_MEM,
									  "trace"));
		if (error == 0) {
			error = kizami_proc_init(dev);
		}
		if (error != 0) {
			return error;
		}
	}
	return kizami_event_init(dev, irq, control);
}

static int kizami_probe(struct platform_device *pdev)
{
	probed = kizami_setup(pdev);
	return probed;
}

static const struct of_device_id kizami_match[] = {
	{ .compatible = "kizami,hypervisor-1" },
	{ }
};
MODULE_DEVICE_TABLE(of, kizami_match);

static struct platform_driver kizami_driver = {
	.probe = kizami_probe,
	.driver = {
		.name = "kizami",
		.of_match_table = kizami_match,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
		.suppress_bind_attrs = true,
	},
};

static int __init kizami_init(void)
{
	struct device_node *node = of_find_matching_node(NULL, kizami_match);
	int error;

	if (!node) {
		pr_err("the device tree has no node kizami,hypervisor-1: no guest of Kizami's\n");
		return -ENODEV;
	}
	of_node_put(node);
	if (!kizami_is_there()) {
		return -ENODEV;
	}
	error = platform_driver_register(&kizami_driver);
	if (error != 0) {
		return error;
	}
	if (probed != 0) {
		pr_err("the hypervisor's device cannot be used: error %d\n", probed);
		platform_driver_unregister(&kizami_driver);
	}
	return probed;
}
module_init(kizami_init);

static void __exit kizami_exit(void)
{
	platform_driver_unregister(&kizami_driver);
}
module_exit(kizami_exit);

MODULE_DESCRIPTION("Kizami hypervisor: events, control");
MODULE_AUTHOR("The Kizami project");
MODULE_LICENSE("GPL");
