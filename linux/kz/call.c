/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <string.h>

#include "dev.h"

/* One call; with a buffer when buffer_at says where its address goes. */
static int call(struct kz *kz, uint32_t function, uint64_t x[4], void *buffer, size_t size,
		uint32_t buffer_at)
{
	struct kz_ioc_call c = { .function = function,
				 .buffer = (uintptr_t)buffer,
				 .size = (uint32_t)size,
				 .buffer_at = buffer_at };
	int err;

	memcpy(c.x, x, sizeof(c.x));
	err = dev_call(kz->dev, &c);
	memcpy(x, c.x, sizeof(c.x));
	if (err == ENOTTY) {
		kz_fail(kz,
			"%s: the kernel module does not know call %#x: it and kz are of "
			"different versions",
			kz->path, function);
		return KZ_DEVICE;
	}
	if (err != 0) {
		kz_fail(kz, "%s: %s", kz->path, strerror(err));
		return KZ_DEVICE;
	}
	return c.error;
}

static int inspect(struct kz *kz, enum kz_inspect what, uint64_t which, void *to, size_t size)
{
	uint64_t x[4] = { what, which };
	int err = call(kz, KZ_HVC_INSPECT, x, to, size, 2);

	if ((err == KZ_OK) && (x[0] != size)) {
		kz_fail(kz,
			"the hypervisor says %u bytes where %zu are known: it and kz are of "
			"different versions",
			(unsigned)x[0], size);
		return KZ_DEVICE;
	}
	return err;
}

int call_machine(struct kz *kz, struct kz_machine_info *out)
{
	int err = inspect(kz, KZ_INSPECT_MACHINE, 0, out, sizeof(*out));

	if ((err == KZ_OK) && ((out->cfg.version != KZ_BLOB_VERSION) ||
			       (out->cfg.machine.cpu_count > KZ_CPUS_MAX) || (out->hz == 0))) {
		kz_fail(kz, "the hypervisor's configuration has version %u, kz knows %u",
			out->cfg.version, KZ_BLOB_VERSION);
		return KZ_DEVICE;
	}
	return err;
}

int call_config(struct kz *kz, unsigned vm, struct kz_cfg_vm *out)
{
	return inspect(kz, KZ_INSPECT_CONFIG, vm, out, sizeof(*out));
}

int call_vm(struct kz *kz, unsigned vm, struct kz_vm_info *out)
{
	int err = inspect(kz, KZ_INSPECT_VM, vm, out, sizeof(*out));

	out->name[KZ_NAME_MAX - 1] = '\0';
	return err;
}

int call_vcpu(struct kz *kz, unsigned vm, unsigned vcpu, struct kz_vcpu_info *out)
{
	return inspect(kz, KZ_INSPECT_VCPU, vm | vcpu << 8, out, sizeof(*out));
}

int call_registers(struct kz *kz, unsigned vm, unsigned vcpu, struct kz_vcpu_registers *out)
{
	return inspect(kz, KZ_INSPECT_REGISTERS, vm | vcpu << 8, out, sizeof(*out));
}

int call_heads(struct kz *kz, struct kz_trace_head out[KZ_TRACE_CORES], unsigned cores)
{
	return inspect(kz, KZ_INSPECT_TRACE, 0, out, cores * sizeof(out[0]));
}

int call_control(struct kz *kz, unsigned vm, enum kz_verb verb, unsigned *state)
{
	uint64_t x[4] = { vm, verb };
	int err = call(kz, KZ_HVC_CONTROL, x, NULL, 0, KZ_IOC_NO_BUFFER);

	if (state != NULL) {
		*state = (unsigned)x[0];
	}
	return err;
}

int call_register(struct kz *kz, const struct kz_cfg_vm *cfg, unsigned *vm, struct refusal *why)
{
	struct kz_cfg_vm copy = *cfg;
	uint64_t x[4] = { 0 };
	int err = call(kz, KZ_HVC_REGISTER, x, &copy, sizeof(copy), 0);

	*vm = (unsigned)x[0];
	*why = (struct refusal){ x[0], x[1] };
	return err;
}

int call_fill(struct kz *kz, unsigned vm, uint64_t offset, const void *data, size_t size)
{
	uint64_t x[4] = { vm, offset, 0, size };

	/* It comes back unchanged. */
	return call(kz, KZ_HVC_FILL, x, (void *)(uintptr_t)data, size, 2);
}

int call_console_read(struct kz *kz, unsigned vm, void *to, size_t size, size_t *done)
{
	uint64_t x[4] = { vm, 0, size };
	int err = call(kz, KZ_HVC_CONSOLE_READ, x, to, size, 1);

	*done = ((err == KZ_OK) && (x[0] <= size)) ? x[0] : 0;
	return err;
}

int call_console_write(struct kz *kz, unsigned vm, const void *from, size_t size, size_t *done)
{
	uint64_t x[4] = { vm, 0, size };
	uint8_t copy[KZ_CONTROL_BYTES];
	int err;

	size = (size > sizeof(copy)) ? sizeof(copy) : size;
	memcpy(copy, from, size);
	x[2] = size;
	err = call(kz, KZ_HVC_CONSOLE_WRITE, x, copy, size, 1);
	*done = ((err == KZ_OK) && (x[0] <= size)) ? x[0] : 0;
	return err;
}

int call_read(struct kz *kz, unsigned vm, uint64_t address, void *to, size_t size)
{
	uint64_t x[4] = { vm, address, 0, size };

	return call(kz, KZ_HVC_READ, x, to, size, 2);
}

int call_log(struct kz *kz, uint64_t *position, void *to, size_t size, size_t *done)
{
	uint64_t x[4] = { *position, 0, size };
	int err = call(kz, KZ_HVC_LOG, x, to, size, 1);

	*done = ((err == KZ_OK) && (x[0] <= size)) ? x[0] : 0;
	*position = (err == KZ_OK) ? x[1] : *position;
	return err;
}

int call_failed(const struct kz *kz, int err, const char *what, const char *vm)
{
	const char *of = (vm == NULL) ? "" : " of vm ";

	vm = (vm == NULL) ? "" : vm;
	switch (err) {
	case KZ_DEVICE:
		return EXIT_FAILED; /* was said */
	case KZ_EPERM:
		return kz_fail(kz,
			       "%s%s%s: this VM has not the right to: its 'control' in the "
			       "configuration says what it may do",
			       what, of, vm);
	case KZ_ENOENT:
		kz_fail(kz, "%s%s%s: there is no such VM any more: kz list shows which are there",
			what, of, vm);
		return EXIT_NO_VM;
	case KZ_EBUSY:
		return kz_fail(kz, "%s%s%s: not in its present state: kz list shows it", what, of,
			       vm);
	case KZ_EINVAL:
		return kz_fail(kz, "%s%s%s: the hypervisor does not take this", what, of, vm);
	case KZ_ENOMEM:
		return kz_fail(kz, "%s%s%s: no place is free: kz destroy makes room", what, of, vm);
	case KZ_ELOAD:
		return kz_fail(kz, "%s%s%s: a core cannot honour it beside what it has promised",
			       what, of, vm);
	default:
		return kz_fail(kz,
			       "%s%s%s: the hypervisor says %d, which kz does not know: they "
			       "are of different versions",
			       what, of, vm, err);
	}
}
