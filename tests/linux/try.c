/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program sees of /dev/kizami: `try NAME...` runs these checks and prints "ok NAME" or
 * "not ok NAME: why". It runs in the Linux guest. VM 0 is "linux", this one; 1 is "servo". With the
 * hypervisor that tests/linux/fake.c plays, nobody may list 2, and consoles echo.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kizami/control.h>
#include <kizami/hcall.h>

#include "kizami_ioctl.h"

#define SERVO	1u
#define SECRET	2u
#define THREADS	4u
#define ROUNDS	2000u

#define CHECK(what) \
	do { \
		if (!(what)) { \
			return #what; \
		} \
	} while (0)

static int fd;

static int call(struct kz_ioc_call *c)
{
	return ioctl(fd, KZ_IOC_CALL, c) == 0 ? 0 : -errno;
}

/* A call without a buffer; what the hypervisor says, or -1000 - errno. */
static int verb(uint64_t vm, uint64_t what)
{
	struct kz_ioc_call c = { .function = KZ_HVC_CONTROL, .x = { vm, what },
				 .buffer_at = KZ_IOC_NO_BUFFER };
	int error = call(&c);

	return error == 0 ? c.error : -1000 + error;
}

/* The same, while its cores are still on their way into the state that this takes. */
static int verb_soon(uint64_t vm, uint64_t what)
{
	int said = KZ_EBUSY;

	for (int i = 0; i < 1000 && said == KZ_EBUSY; i++) {
		said = verb(vm, what);
		usleep(1000);
	}
	return said;
}

static int with_buffer(uint32_t function, const uint64_t x[4], uint32_t at, void *buffer,
		       uint32_t size, uint64_t *result)
{
	struct kz_ioc_call c = { .function = function, .x = { x[0], x[1], x[2], x[3] },
				 .buffer = (uintptr_t)buffer, .size = size, .buffer_at = at };
	int error = call(&c);

	if (error != 0) {
		return -1000 + error;
	}
	if (result != NULL) {
		*result = c.x[0];
	}
	return c.error;
}

static int inspect(uint64_t what, uint64_t which, void *to, uint32_t size)
{
	const uint64_t x[4] = { what, which };

	return with_buffer(KZ_HVC_INSPECT, x, 2, to, size, NULL);
}

static uint32_t state_of(uint64_t vm)
{
	struct kz_vm_info i = { .state = KZ_VM_STATES };

	return inspect(KZ_INSPECT_VM, vm, &i, sizeof(i)) == KZ_OK ? i.state : KZ_VM_STATES;
}

static const char *check_machine(void)
{
	struct kz_machine_info i = { 0 };

	CHECK(inspect(KZ_INSPECT_MACHINE, 0, &i, sizeof(i)) == KZ_OK);
	CHECK(i.cfg.version == KZ_BLOB_VERSION && i.now != 0);
	return NULL;
}

static const char *check_rights(void)
{
	struct kz_vm_info i = { .state = 77 };

	CHECK(inspect(KZ_INSPECT_VM, SECRET, &i, sizeof(i)) == KZ_EPERM);
	CHECK(i.state == 77);
	CHECK(verb(SECRET, KZ_VERB_PAUSE) == KZ_EPERM);
	CHECK(verb(KZ_VMS_MAX, KZ_VERB_PAUSE) == KZ_EINVAL);
	CHECK(verb(7, KZ_VERB_PAUSE) == KZ_ENOENT);
	return NULL;
}

/* No more than `size` bytes come back, and nothing but the page is the hypervisor's to write. */
static const char *check_bounds(void)
{
	char buffer[2 * KZ_CONTROL_BYTES];
	struct kz_ioc_call c = { .function = KZ_HVC_INSPECT, .x = { KZ_INSPECT_VM, 0, 0x40000000 },
				 .buffer_at = KZ_IOC_NO_BUFFER };

	CHECK(call(&c) == -EINVAL);
	memset(buffer, 0x5a, sizeof(buffer));
	CHECK(inspect(KZ_INSPECT_VM, 0, buffer, 16) == KZ_OK);
	CHECK(strcmp(buffer, "linux") == 0 && buffer[16] == 0x5a);
	CHECK(inspect(KZ_INSPECT_VM, 0, buffer, KZ_CONTROL_BYTES) == KZ_OK);
	CHECK(buffer[KZ_CONTROL_BYTES - 1] == 0x5a && buffer[KZ_CONTROL_BYTES] == 0x5a);
	CHECK(inspect(KZ_INSPECT_VM, 0, buffer, KZ_CONTROL_BYTES + 1) == -1000 - EINVAL);
	CHECK(inspect(KZ_INSPECT_VM, 0, NULL, 16) == -1000 - EFAULT);
	return NULL;
}

static const char *check_functions(void)
{
	static const uint32_t others[] = {
		0, KZ_HVC_NOTIFY, KZ_HVC_EVENTS, KZ_HVC_WATCHDOG, KZ_HVC_REGISTER - 1,
		KZ_HVC_LOG + 1, 0x84000008u, 0xc4000003u,
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct kz_ioc_call c = { .function = others[i], .buffer_at = KZ_IOC_NO_BUFFER };

		CHECK(call(&c) == -ENOTTY);
	}
	for (uint32_t at = 0; at <= 4; at++) {
		char byte = 0;
		const uint64_t x[4] = { KZ_INSPECT_VM };

		if (at != 2) {
			CHECK(with_buffer(KZ_HVC_INSPECT, x, at, &byte, 1, NULL) ==
			      -1000 - EINVAL);
		}
	}
	CHECK(ioctl(fd, KZ_IOC_CALL + 1, &fd) == -1 && errno == ENOTTY);
	CHECK(ioctl(fd, KZ_IOC_CALL, NULL) == -1 && errno == EFAULT);
	return NULL;
}

static const char *check_verbs(void)
{
	CHECK(state_of(SERVO) == KZ_VM_RUNNING);
	CHECK(verb(SERVO, KZ_VERB_PAUSE) == KZ_OK);
	CHECK(state_of(SERVO) == KZ_VM_PAUSED);
	CHECK(verb(SERVO, KZ_VERB_PAUSE) == KZ_EBUSY);
	CHECK(verb_soon(SERVO, KZ_VERB_RESUME) == KZ_OK);
	CHECK(state_of(SERVO) == KZ_VM_RUNNING);
	return NULL;
}

/* An event for each change, none without; poll and read say so, and read waits. */
static const char *check_events(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count = 0, again = 0;

	while (poll(&p, 1, 500) == 1) {
		CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
	}
	CHECK(read(fd, &again, sizeof(again)) == -1 && errno == EAGAIN);
	CHECK(read(fd, &again, 4) == -1 && errno == EINVAL);
	CHECK(verb(SERVO, KZ_VERB_PAUSE) == KZ_OK);
	CHECK(poll(&p, 1, 5000) == 1 && (p.revents & POLLIN) != 0);
	CHECK(read(fd, &again, sizeof(again)) == sizeof(again) && again == count + 1);
	CHECK(poll(&p, 1, 300) == 0);
	CHECK(fcntl(fd, F_SETFL, 0) == 0);
	CHECK(verb_soon(SERVO, KZ_VERB_RESUME) == KZ_OK);
	CHECK(read(fd, &again, sizeof(again)) == sizeof(again) && again == count + 2);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return NULL;
}

static const char *check_console(void)
{
	const uint64_t out[4] = { SERVO, 0, 5 }, in[4] = { SERVO, 0, 100 };
	char buffer[100] = "hello";
	uint64_t count = 0;

	CHECK(with_buffer(KZ_HVC_CONSOLE_WRITE, out, 1, buffer, 5, &count) == KZ_OK && count == 5);
	memset(buffer, 0, sizeof(buffer));
	CHECK(with_buffer(KZ_HVC_CONSOLE_READ, in, 1, buffer, 100, &count) == KZ_OK && count == 5);
	CHECK(strcmp(buffer, "hello") == 0);
	return NULL;
}

/* What loader= of QEMU put there; to be read only, for ever. */
static const char *check_trace(void)
{
	long page = sysconf(_SC_PAGESIZE);
	const struct kz_trace_mem *t = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(t != MAP_FAILED);
	CHECK(t->magic == KZ_TRACE_MAGIC);
	CHECK(mprotect((void *)(uintptr_t)t, (size_t)page, PROT_READ | PROT_WRITE) == -1);
	CHECK(munmap((void *)(uintptr_t)t, (size_t)page) == 0);
	CHECK(mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK(mmap(NULL, 1u << 20, PROT_READ, MAP_SHARED, fd, page) == MAP_FAILED);
	CHECK(mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 1 << 20) == MAP_FAILED);
	return NULL;
}

static const char *check_no_trace(void)
{
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENXIO);
	return NULL;
}

/* Threads share one file and its page: each gets what it asked for, and what it handed in. */
static void *ask_often(void *number)
{
	uint64_t vm = (uintptr_t)number % 2;
	int mine = 'a' + (int)(uintptr_t)number;
	char buffer[KZ_CONTROL_BYTES];

	for (uint32_t n = 0; n < ROUNDS; n++) {
		memset(buffer, mine, sizeof(buffer));
		if (inspect(KZ_INSPECT_VM, vm, buffer, sizeof(buffer)) != KZ_OK ||
		    strcmp(buffer, vm == 0 ? "linux" : "servo") != 0) {
			return &fd;
		}
		for (size_t i = sizeof(struct kz_vm_info); i < sizeof(buffer); i++) {
			if (buffer[i] != mine) {
				return &fd;
			}
		}
	}
	return NULL;
}

static const char *check_threads(void)
{
	pthread_t thread[THREADS];
	void *bad = NULL;

	for (uintptr_t t = 0; t < THREADS; t++) {
		CHECK(pthread_create(&thread[t], NULL, ask_often, (void *)t) == 0);
	}
	for (uint32_t t = 0; t < THREADS; t++) {
		void *said = NULL;

		CHECK(pthread_join(thread[t], &said) == 0);
		bad = said != NULL ? said : bad;
	}
	CHECK(bad == NULL);
	return NULL;
}

static const struct {
	const char *name;
	const char *(*run)(void);
} checks[] = {
	{ "machine", check_machine }, { "rights", check_rights }, { "bounds", check_bounds },
	{ "functions", check_functions }, { "verbs", check_verbs }, { "events", check_events },
	{ "console", check_console }, { "trace", check_trace }, { "no_trace", check_no_trace },
	{ "threads", check_threads },
};

/* create NAME, destroy PLACE, shutdown PLACE: for what the shell looks at. */
static int command(int argc, char **argv)
{
	struct kz_cfg_vm cfg = { .level = KZ_NRT, .vcpu_count = 1, .cpu = { 2 } };
	const uint64_t x[4] = { 0 };
	uint64_t place = 0;

	if (argc == 3 && strcmp(argv[1], "create") == 0) {
		strncpy(cfg.name, argv[2], KZ_NAME_MAX - 1);
		if (with_buffer(KZ_HVC_REGISTER, x, 0, &cfg, sizeof(cfg), &place) != KZ_OK) {
			return 1;
		}
		printf("place %u\n", (unsigned int)place);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "destroy") == 0) {
		return verb(strtoul(argv[2], NULL, 0), KZ_VERB_DESTROY) == KZ_OK ? 0 : 1;
	}
	if (argc == 3 && strcmp(argv[1], "shutdown") == 0) {
		return verb(strtoul(argv[2], NULL, 0), KZ_VERB_SHUTDOWN) == KZ_OK ? 0 : 1;
	}
	return -1;
}

int main(int argc, char **argv)
{
	int done;

	fd = open("/dev/kizami", O_RDWR | O_NONBLOCK);
	if (fd < 0) {
		perror("/dev/kizami");
		return 1;
	}
	done = command(argc, argv);
	for (int a = 1; a < argc && done < 0; a++) {
		for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
			if (strcmp(argv[a], checks[i].name) == 0) {
				const char *why = checks[i].run();

				printf("%s %s%s%s\n", why == NULL ? "ok" : "not ok",
				       checks[i].name, why == NULL ? "" : ": ",
				       why == NULL ? "" : why);
			}
		}
	}
	return done < 0 ? 0 : done;
}
