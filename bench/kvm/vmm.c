/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest VMM for the measuring guest under KVM, as the init of a Linux that has nothing else.
 * For each file guestN.dtb there is a VM, with N from 0 on; from the environment (words of the
 * kernel's command line): vcpusN (1), and coreN, the core of its first vCPU, which the next
 * ones follow (0). A VM has 16 MiB, a GICv3, and a PL011 that only sends; PSCI is KVM's.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAM	   0x40000000ul
#define RAM_SIZE   (16ul << 20)
#define IMAGE_AT   0x200000ul
#define FDT_AT	   (RAM_SIZE - 0x10000)
#define GICD	   0x08000000ul
#define GICR	   0x080a0000ul
#define GIC_IRQS   64u
#define UART	   0x09000000ul
#define UART_SIZE  0x1000ul
#define VCPUS	   2
#define REG_CORE   (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE)
#define REG(field) (REG_CORE | KVM_REG_ARM_CORE_REG(field))

struct vcpu {
	int fd, core;
	size_t run_size;
	pthread_t thread;
};

static char line[256];
static size_t length;

static void die(const char *what)
{
	perror(what);
	fflush(NULL);
	reboot(RB_POWER_OFF);
	exit(1);
}

static int call(int fd, unsigned long request, void *argument, const char *what)
{
	const int result = ioctl(fd, request, argument);

	if (result < 0) {
		die(what);
	}
	return result;
}

/* Reads a file to somewhere in the guest's memory. */
static void load(const char *path, uint8_t *to, size_t size)
{
	const int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, to, size) <= 0) {
		die(path);
	}
	close(fd);
}

static int number(const char *name, int index, int otherwise)
{
	char key[32];
	const char *value;

	snprintf(key, sizeof(key), "%s%d", name, index);
	value = getenv(key);
	return value != NULL ? atoi(value) : otherwise;
}

static void gic_set(int gic, uint32_t group, uint64_t attr, void *value, const char *what)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	call(gic, KVM_SET_DEVICE_ATTR, &a, what);
}

static void gic_create(int vm)
{
	struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t gicd = GICD, gicr = GICR;
	uint32_t irqs = GIC_IRQS;

	call(vm, KVM_CREATE_DEVICE, &device, "GICv3");
	gic_set((int)device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &gicd,
		"GICD");
	gic_set((int)device.fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &gicr,
		"GICR");
	gic_set((int)device.fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs, "lines");
	gic_set((int)device.fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
		"GIC init");
}

static void reg_set(int vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	call(vcpu, KVM_SET_ONE_REG, &reg, "register");
}

static void vcpu_create(int vm, struct vcpu *v, int index)
{
	struct kvm_vcpu_init init;

	v->fd = call(vm, KVM_CREATE_VCPU, (void *)(uintptr_t)index, "vCPU");
	call(vm, KVM_ARM_PREFERRED_TARGET, &init, "target");
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	init.features[0] |= index > 0 ? 1u << KVM_ARM_VCPU_POWER_OFF : 0;
	call(v->fd, KVM_ARM_VCPU_INIT, &init, "vCPU init");
	if (index == 0) {
		reg_set(v->fd, REG(regs.pc), RAM + IMAGE_AT);
		reg_set(v->fd, REG(regs.regs[0]), RAM + FDT_AT);
	}
}

/* A byte of a line, which goes out as a whole. */
static void uart_send(char byte)
{
	line[length++] = byte;
	if (byte == '\n' || length == sizeof(line)) {
		if (write(STDOUT_FILENO, line, length) < 0) {
			die("console");
		}
		length = 0;
	}
}

static void mmio(struct kvm_run *run)
{
	if (run->mmio.phys_addr < UART || run->mmio.phys_addr >= UART + UART_SIZE) {
		fprintf(stderr, "nothing at %llx\n", (unsigned long long)run->mmio.phys_addr);
		exit(1);
	}
	if (!run->mmio.is_write) {
		memset(run->mmio.data, 0, sizeof(run->mmio.data)); /* FR: room */
	} else if (run->mmio.phys_addr == UART) {
		uart_send((char)run->mmio.data[0]);
	}
}

static void *vcpu_run(void *argument)
{
	struct vcpu *v = argument;
	struct kvm_run *run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET(v->core, &cores);
	if (run == MAP_FAILED || sched_setaffinity(0, sizeof(cores), &cores) != 0) {
		die("vCPU thread");
	}
	for (;;) {
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			die("KVM_RUN");
		}
		if (run->exit_reason == KVM_EXIT_MMIO) {
			mmio(run);
		} else if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT) {
			exit(0);
		} else {
			fprintf(stderr, "exit for %u\n", run->exit_reason);
			exit(1);
		}
	}
}

/* The VM of a process of its own. */
static void vm_run(int kvm, int index, const char *fdt)
{
	const int vm = call(kvm, KVM_CREATE_VM, NULL, "VM");
	uint8_t *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = RAM,
		.memory_size = RAM_SIZE,
		.userspace_addr = (uintptr_t)ram,
	};
	const int vcpus = number("vcpus", index, 1);
	struct vcpu vcpu[VCPUS];

	if (ram == MAP_FAILED || vcpus > VCPUS) {
		die("memory");
	}
	load("/bench.bin", ram + IMAGE_AT, FDT_AT - IMAGE_AT);
	load(fdt, ram + FDT_AT, RAM_SIZE - FDT_AT);
	call(vm, KVM_SET_USER_MEMORY_REGION, &region, "memory");
	for (int i = 0; i < vcpus; i++) {
		vcpu_create(vm, &vcpu[i], i);
		vcpu[i].core = number("core", index, 0) + i;
		vcpu[i].run_size = (size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "vCPU");
	}
	gic_create(vm);
	for (int i = 1; i < vcpus; i++) {
		pthread_create(&vcpu[i].thread, NULL, vcpu_run, &vcpu[i]);
	}
	vcpu_run(&vcpu[0]);
}

int main(void)
{
	int kvm;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0) {
		die("/dev/kvm");
	}
	for (int i = 0;; i++) {
		char fdt[32];

		snprintf(fdt, sizeof(fdt), "/guest%d.dtb", i);
		if (access(fdt, R_OK) != 0) {
			break;
		}
		if (fork() == 0) {
			vm_run(kvm, i, fdt);
		}
	}
	wait(NULL);
	fflush(NULL);
	reboot(RB_POWER_OFF);
	return 0;
}
