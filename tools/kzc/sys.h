/* SPDX-License-Identifier: Apache-2.0 */
/* The whole system as kzc understands it; each file of kzc fills a part. */
#ifndef KZC_SYS_H
#define KZC_SYS_H

#include "board.h"
#include "dt.h"

#define DEVICES_MAX     16u /* of a VM */
#define DEVICE_IRQS_MAX 32u
#define DEVICE_REGS_MAX 8u
#define TASKS_MAX       16u /* of a VM */
#define HV_SIZE_ASSUMED 0x100000u
#define ALIGN_UP(n, a)  (((n) + (a)-1) / (a) * (a))
#define MIB2            0x200000ull
#define GIB1            0x40000000ull

enum guest_kind { GUEST_RAW, GUEST_LINUX, GUEST_ELF };

/* Something that is put into a VM's memory before it starts. */
struct piece {
	const char *what; /* "image", "ramdisk", "device tree" */
	const uint8_t *data;
	uint64_t size;     /* of the data */
	uint64_t slot;     /* bytes kept for it in IMAGE, at least size */
	uint64_t run_size; /* with what it takes at run time behind its data */
	uint64_t at;       /* an image's place as its file says it */
	uint64_t ipa;
	uint64_t offset; /* in IMAGE */
};

/* A device passed through. */
struct device {
	const char *name; /* as in the configuration */
	int line;
	int node; /* of the board's tree */
	struct dt_reg reg[DEVICE_REGS_MAX];
	unsigned reg_count;
	uint32_t irq[DEVICE_IRQS_MAX]; /* INTIDs */
	unsigned irq_count;
};

/* A task inside of a VM: its execution, period and relative deadline. */
struct task {
	const char *name;
	uint64_t c_ns, t_ns, d_ns; /* c <= d <= t */
	int line;
};

struct vm {
	const struct conf_vm *conf;
	struct kz_cfg_vm cfg;
	unsigned any;        /* vCPUs that have no core yet: kzc places them (cores.c) */
	bool physical;       /* guest addresses of RAM are physical ones */
	bool has_stolen;     /* a page of its memory tells it what time it did not get */
	bool running;        /* it is there already (live.c): cfg, and its name in conf, is all */
	bool has_trace;      /* it sees the trace: cfg.region[trace] */
	unsigned trace;
	uint64_t timeout_ns; /* of its watchdog, armed or not; 0: not given */
	bool unconfined;     /* the user accepts DMA without an SMMU */
	uint64_t base, size; /* RAM, guest address */
	uint64_t pa;
	enum guest_kind kind;
	uint64_t entry_at; /* as the image's file says it */
	struct piece piece[KZ_LOADS_MAX + 1];
	unsigned piece_count;
	unsigned image_count; /* the first pieces are the image's */
	int ramdisk, tree;    /* their pieces, or -1 */
	struct device device[DEVICES_MAX];
	unsigned device_count;
	struct task task[TASKS_MAX]; /* highest priority first, unless task_edf */
	unsigned task_count;
	bool task_edf;
	bool ok; /* what place.c needs is known */
};

struct file {
	struct file *next;
	const char *path;
	struct bytes bytes;
	const char *error; /* NULL: it was read */
};

struct sys {
	struct mem mem;
	struct diag diag;
	struct paths paths;
	const char *dir;    /* of the configuration */
	struct file *files; /* read so far */
	struct conf conf;
	struct board board;
	struct vm vm[KZ_VMS_MAX];
	bool live; /* the last VM comes beside others that run */
	unsigned vm_count;
	struct bytes hv; /* the flat hypervisor */
	uint64_t image_size;
};

/*
 * sys_load - all of it, from a configuration's text to addresses and guest trees. Errors are in
 * s->diag and s->board.diag; true when there is none.
 */
bool sys_load(struct sys *s, const char *path);

/* sys_text - the text of a configuration, whose folder its paths start from; else an error. */
bool sys_text(struct sys *s, const char *path, struct bytes *text);

/* sys_parse - the same as sys_load; text was read already and the board, unless NULL, is given. */
bool sys_parse(struct sys *s, char *text, size_t size, const struct board *board);

/* sys_path - a path of the configuration, relative to its folder. */
const char *sys_path(struct sys *s, const char *path);

/* sys_file - a file's bytes, read once; NULL and an error on that line when it cannot be. */
const struct bytes *sys_file(struct sys *s, const char *what, struct conf_text path);

/* word_read - the index of a key's word; dflt when the key is not given or wrong (vm.c). */
uint8_t word_read(struct sys *s, const char *key, struct conf_text text, const char *const *words,
		  uint8_t dflt);

/* address_read - a page's address; dflt when the key is not given or wrong (vm.c). */
uint64_t address_read(struct sys *s, const char *key, struct conf_text text, uint64_t dflt);

/* level_name - "hrt", "srt" or "nrt" (vm.c). */
const char *level_name(const struct vm *vm);

/* fault_name - its on_fault: "inject", "stop" or "restart" (vm.c). */
const char *fault_name(const struct vm *vm);

/* restart_name - "never", "on-failure" or "always" (health.c). */
const char *restart_name(const struct vm *vm);

/* health_read - its watchdog, and what follows a failure (health.c). */
void health_read(struct sys *s, struct vm *vm);

/* health_check - once all have their cores: is there one that looks at watchdogs? (health.c) */
void health_check(struct sys *s);

/* control_read - its rights over others, and its view of the trace; after devices (control.c). */
void control_read(struct sys *s, struct vm *vm);

/* control_is_any - has it a right over any VM? (control.c) */
bool control_is_any(const struct vm *vm);

/* control_text - its rights as in the configuration: "list, restart(servo)" (control.c). */
const char *control_text(struct sys *s, const struct vm *vm);

/* realtime_read - a VM's server, tasks and weight (realtime.c). */
void realtime_read(struct sys *s, struct vm *vm);

/* trace_read - how large the trace is and when it stops (trace.c). */
void trace_read(struct sys *s);

/* vm_read - a VM's keys, without its devices (vm.c). */
void vm_read(struct sys *s, struct vm *vm);

/* vm_check_all - how many VMs there are (vm.c). */
void vm_check_all(struct sys *s);

/* guest_read - its image and ramdisk, as pieces without a place (guest.c). */
void guest_read(struct sys *s, struct vm *vm);

/* device_read_all - all VMs' devices: regions and interrupts (device.c). */
void device_read_all(struct sys *s);

/* place_vm - where the pieces lie in the VM's memory; again when vm->base changes (place.c). */
void place_vm(struct sys *s, struct vm *vm);

/* intids_place - interrupts of consoles and watchdogs; how many each VM has (intid.c). */
void intids_place(struct sys *s);

/* place_guests - what does not depend on physical memory; false: there are errors (place.c). */
bool place_guests(struct sys *s);

/* place_trees - the trees again, now that all addresses are known (place.c). */
void place_trees(struct sys *s);

/* place_all - interrupts, guest trees, physical memory, the blob's fields (place.c). */
void place_all(struct sys *s);

/* ram_place - memory for all VMs and the trace (ram.c); false and errors when it does not do. */
bool ram_place(struct sys *s);

/*
 * hv_load - the hypervisor's ELF file as flat bytes (image.c). If it is not there and need not
 * be, its size is taken to be HV_SIZE_ASSUMED; s->hv.data is NULL then.
 */
bool hv_load(struct sys *s, bool must);

/* image_layout - offsets in IMAGE of all pieces, and its size (image.c). */
void image_layout(struct sys *s);

/* image_make - IMAGE itself; the caller has seen that there are no errors (image.c). */
struct bytes image_make(struct sys *s);

#endif
