/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for QEMU's TCG: how many instructions the hypervisor executes at a
 * stretch while interrupts are masked, by what it does. tests/qemu/masked.py
 * writes the map that it reads and reads the file that it writes.
 *
 *   -plugin masked.so,map=FILE,out=FILE[,turns=on]
 *
 * turns=on: with -icount the cores take turns on one thread, and QEMU then hands
 * to a callback the number of the core that translated, not of the one that
 * executes: TPIDR_EL2 tells. What is counted is counted by thread for the same
 * reason. There each instruction is counted by itself, as QEMU stops in the
 * middle of a block and goes on with another one; without it, whole blocks are.
 *
 * The map has a line for each instruction of the hypervisor's text, in order:
 * address, word, function, path, mark. Numbers, in hexadecimal. Only where
 * QEMU translates these words at this address is anything counted: guests may
 * use the same addresses. The output is a struct out, mapped, so that it is
 * there however QEMU ends.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

EXPORT int qemu_plugin_version = 4;

/* ---- The map, and what is written: masked.py has the same numbers ---- */

#define VCPUS     16
#define PATHS     32
#define FUNCTIONS 768
#define INSNS     32768

/* Marks of an instruction, and how a stretch begins: with the one that MARK_SYNC.. is on. */
enum mark {
	MARK_NONE,
	MARK_SYNC, /* first of a vector's slot */
	MARK_IRQ,
	MARK_SERROR,
	MARK_POLL, /* acknowledges an interrupt without having been interrupted */
	MARK_WFI,
	MARK_ERET, /* last one of a stretch */
	MARK_SPIN, /* takes a lock */
};
#define SPIN_BLOCKS 32 /* enough to take a free lock; more: it waits, which is not counted */
#define KINDS       (MARK_WFI + 1) /* MARK_NONE: begun at the processor's entry */

struct insn {
	uint32_t word;
	uint16_t function;
	uint8_t path;
	uint8_t mark;
};

/* What QEMU executes at a time. */
struct block {
	const struct insn *first;
	uint64_t count; /* of instructions; 0: they are counted one by one */
};

/* Of a way that a stretch began, and the path that it spent most of its instructions in. */
struct longest {
	uint64_t count; /* of stretches */
	uint64_t max;
	uint32_t of[FUNCTIONS]; /* of the longest one: instructions by function */
};

struct out {
	struct longest longest[VCPUS][KINDS][PATHS];
};

struct vcpu {
	uint64_t total; /* without those that waited for a lock */
	const struct insn *at;
	uint8_t kind, path;
	bool running;
	uint32_t spins; /* blocks on end that take a lock */
	uint32_t in[PATHS];
	uint32_t of[FUNCTIONS];
};

static struct insn insns[INSNS];
static uint64_t base, count;
static struct vcpu vcpus[VCPUS];
static struct out *out;
static bool turns;

/* Of a thread: what it executed of the hypervisor since its last block began, and where. */
static _Thread_local uint64_t executed;
static _Thread_local struct vcpu *current;
static struct qemu_plugin_register *tpidr;

/* ---- While the machine runs ---- */

/* Charge what this thread executed to the block that it was in. */
static void charge(void)
{
	struct vcpu *v = current;
	uint64_t n = executed;

	executed = 0;
	if (v == NULL || !v->running || v->spins > SPIN_BLOCKS) {
		return;
	}
	v->total += n;
	v->of[v->at->function] += (uint32_t)n;
	v->in[v->path] += (uint32_t)n;
}

/* The core that executes: its data page is at TPIDR_EL2, of PERCPU_SIZE; 0 at its very start. */
static struct vcpu *vcpu_of(unsigned int vcpu)
{
	uint64_t value = 0;

	if (!turns) {
		return &vcpus[vcpu % VCPUS];
	}
	if (!register_read(tpidr, &value)) {
		fprintf(stderr, "masked: TPIDR_EL2 cannot be read\n");
		abort();
	}
	return &vcpus[value == 0 ? VCPUS - 1 : CORE_OF(value)];
}

static void stretch_begin(struct vcpu *v, enum mark kind)
{
	v->total = 0;
	v->kind = (uint8_t)kind;
	v->path = 0;
	v->running = true;
	memset(v->in, 0, sizeof(v->in));
	memset(v->of, 0, sizeof(v->of));
}

static void stretch_end(struct vcpu *v)
{
	uint32_t path = 0;
	struct longest *l;

	if (!v->running) {
		return;
	}
	v->running = false;
	for (uint32_t i = 1; i < PATHS; i++) {
		path = v->in[i] > v->in[path] ? i : path;
	}
	l = &out->longest[v - vcpus][v->kind][path];
	l->count++;
	if (v->total > l->max) {
		l->max = v->total;
		memcpy(l->of, v->of, sizeof(l->of));
	}
}

/* A block of the hypervisor's begins. */
static void on_block(unsigned int vcpu, void *data)
{
	struct vcpu *v = vcpu_of(vcpu);
	const struct block *block = data;
	const struct insn *at = block->first;

	charge();
	current = v;
	executed = block->count;
	if (at->mark >= MARK_SYNC && at->mark <= MARK_SERROR) {
		stretch_end(v); /* for nothing: an eret came before */
		stretch_begin(v, at->mark);
	} else if (!v->running) {
		stretch_begin(v, v->at == NULL ? MARK_NONE : MARK_WFI);
	}
	v->spins = at->mark == MARK_SPIN ? v->spins + 1 : 0;
	v->at = at;
	v->path = at->path != 0 ? at->path : v->path;
}

static void on_insn(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	executed++;
}

/* An instruction that ends a stretch is about to be executed. */
static void on_end(unsigned int vcpu, void *data)
{
	const struct insn *at = data;

	(void)vcpu;
	charge();
	stretch_end(current);
	if (at->mark == MARK_POLL) {
		stretch_begin(current, MARK_POLL);
	}
}

/* ---- When QEMU translates ---- */

static const struct insn *insn_of(const struct qemu_plugin_tb *tb, size_t i)
{
	const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
	uint64_t at = (qemu_plugin_insn_vaddr(insn) - base) / 4;

	return at < count && insn_is(insn, insns[at].word) ? &insns[at] : NULL;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *block; /* as long as QEMU lives: it may keep the callback */

	(void)id;
	for (size_t i = 0; i < n; i++) {
		if (insn_of(tb, i) == NULL) {
			return;
		}
	}
	block = n != 0 ? malloc(sizeof(*block)) : NULL;
	if (block == NULL) {
		return;
	}
	*block = (struct block){ insn_of(tb, 0), turns ? 0 : n };
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, turns ? R_REGS : NO_REGS, block);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const struct insn *at = insn_of(tb, i);

		if (turns) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, NO_REGS, NULL);
		}
		if (at->mark >= MARK_POLL && at->mark <= MARK_ERET) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, NO_REGS, (void *)at);
		}
	}
}

static void on_vcpu(uint64_t id, unsigned int vcpu)
{
	(void)id;
	/* Of the first core: those of another kind come later, with other registers. */
	if (vcpu == 0) {
		tpidr = register_find(qemu_plugin_get_registers(), "TPIDR_EL2");
	}
}

/* ---- Set-up ---- */

static bool map_read(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long at;
	unsigned int word, function, way, mark;

	while (f != NULL && count < INSNS &&
	       /* what our own script wrote: NOLINTNEXTLINE(cert-err34-c) */
	       fscanf(f, "%lx %x %x %x %x\n", &at, &word, &function, &way, &mark) == 5) {
		base = count == 0 ? at : base;
		if (at != base + 4 * count || function >= FUNCTIONS || way >= PATHS ||
		    mark > MARK_SPIN) {
			return false;
		}
		insns[count++] =
			(struct insn){ word, (uint16_t)function, (uint8_t)way, (uint8_t)mark };
	}
	return f != NULL && feof(f) != 0 && fclose(f) == 0 && count != 0;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool map = false;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "map=", 4) == 0) {
			map = map_read(argv[i] + 4);
		} else if (strncmp(argv[i], "out=", 4) == 0) {
			out = output_map(argv[i] + 4, sizeof(struct out));
		} else {
			turns |= strcmp(argv[i], "turns=on") == 0;
		}
	}
	if (!map || out == NULL) {
		fprintf(stderr, "masked: no map, or no output\n");
		return 1;
	}
	if (turns) {
		qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
