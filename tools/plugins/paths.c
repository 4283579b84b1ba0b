/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for QEMU's TCG: each way through the hypervisor, from the vector to ERET,
 * instruction by instruction, with how often it was gone. bench/paths writes the map
 * that it reads, and makes tables and pictures of the file that it writes.
 *
 *   -plugin paths.so,map=FILE,out=FILE
 *
 * For a machine with -icount: its cores take turns on one thread, and QEMU then hands
 * to a callback the number of the core that translated, not of the one that executes:
 * TPIDR_EL2 tells. QEMU stops in the middle of a block and goes on with another one, so
 * that each instruction is looked at by itself.
 *
 * The map has a line for each instruction of the hypervisor's text, in order: address,
 * word, mark, number. Only where QEMU translates these words at this address is
 * anything recorded: guests may use the same addresses.
 *
 * The output has a line for each way, in the order in which they came first: vector,
 * ESR_EL2, what it was about (a call's x0, the address of an access, the number of an SGI
 * that is sent; by GICD_SGIR it is in the address's bits 59:56), interrupt, 1 if another
 * vCPU goes on than left, 1 if the way was too long to keep as a whole, how often,
 * instructions; then runs of instructions on end: index of the first one and how many.
 * All in hexadecimal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

EXPORT int qemu_plugin_version = 4;

/* ---- The map: bench/paths has the same numbers ---- */

#define INSNS 32768
#define CORES 8
#define RUNS  65536		/* of a way; what is longer is cut */
#define WAYS  16384		/* a power of 2 */

enum mark {
	MARK_NONE,
	MARK_ENTRY,	/* first of a vector; number: which */
	MARK_ERET,
	MARK_ACK,	/* reads an interrupt's number into register x<number> */
};

struct insn {
	uint32_t word;
	uint8_t mark, number;
};

struct run {
	uint16_t first, count;
};

/* What makes two ways the same, with the runs. */
struct kind {
	uint64_t esr, about;
	uint32_t vector, intid;
	uint32_t total, runs;
	uint32_t another, cut;
};

struct way {
	struct kind kind;
	uint64_t count;
	uint32_t order;
	struct run run[];
};

struct core {
	struct kind kind;
	uint64_t sp;	/* its struct vcpu, as long as it is a guest's */
	bool running;
	struct run run[RUNS];
};

#define NO_INTID 0xffffffffu

/* Exception classes of ESR_EL2 (DDI 0487 D19.2.37). */
#define EC_HVC	0x16u
#define EC_SMC	0x17u
#define EC_SYSREG 0x18u
#define EC_IABT 0x20u
#define EC_DABT 0x24u
#define ISS_RT	(31ull << 5)
#define ISS_WNR (1u << 6)
/* MSR ICC_SGI1R_EL1; GICD_SGIR */
#define ESR_SGI1R ((uint64_t)EC_SYSREG << 26 | 1u << 25 | 0x3a3016u)
#define GICD_SGIR 0xf00u

static struct insn insns[INSNS];
static uint64_t base, count;
static struct core cores[CORES];
static struct way *ways[WAYS];
static uint32_t way_count;
static const char *out_name;

enum reg { REG_ESR, REG_FAR, REG_HPFAR, REG_TPIDR, REG_SP, REG_X };
#define REGS (REG_X + 31)
static struct qemu_plugin_register *regs[REGS];
static struct core *current; /* one thread: the cores take turns */

/* ---- While the machine runs ---- */

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "paths: %s\n", why);
	_Exit(3);
}

static uint64_t read_reg(unsigned int r)
{
	uint64_t value = 0;

	if (!register_read(regs[r], &value)) {
		fail("a register cannot be read");
	}
	return value;
}

/* What the guest's instruction wrote. */
static uint64_t written(uint64_t esr, unsigned int shift)
{
	unsigned int rt = esr >> shift & 31;

	return rt == 31 ? 0 : read_reg(REG_X + rt);
}

static uint64_t about(uint64_t esr)
{
	uint64_t at;

	switch (esr >> 26 & 0x3f) {
	case EC_HVC:
	case EC_SMC:
		return (uint32_t)read_reg(REG_X);
	case EC_SYSREG:
		return (esr & ~ISS_RT) == ESR_SGI1R ? written(esr, 5) >> 24 & 0xf : 0;
	case EC_IABT:
	case EC_DABT:
		at = (read_reg(REG_HPFAR) & ~0xfull) << 8 | (read_reg(REG_FAR) & 0xfff);
		if ((at & 0xfff) == GICD_SGIR && (esr & ISS_WNR) != 0) {
			at |= (written(esr, 16) & 0xf) << 56;
		}
		return at;
	default:
		return 0;
	}
}

static void way_begin(struct core *c, uint32_t vector)
{
	bool sync = vector % 4 == 0;

	c->kind = (struct kind){ .vector = vector, .intid = NO_INTID };
	c->kind.esr = sync ? read_reg(REG_ESR) : 0;
	c->kind.about = sync ? about(c->kind.esr) : 0;
	c->sp = read_reg(REG_SP);
	c->running = true;
}

static uint64_t hash_of(const void *data, size_t size, uint64_t hash)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	}
	return hash;
}

static void way_end(struct core *c)
{
	size_t size;
	uint64_t at;
	struct way *w;

	if (!c->running) {
		return;
	}
	c->running = false;
	c->kind.another = read_reg(REG_SP) != c->sp;
	size = c->kind.runs * sizeof(c->run[0]);
	at = hash_of(c->run, size, hash_of(&c->kind, sizeof(c->kind), 0xcbf29ce484222325ull));
	for (;; at++) {
		w = ways[at % WAYS];
		if (w == NULL) {
			break;
		}
		if (memcmp(&w->kind, &c->kind, sizeof(w->kind)) == 0 &&
		    memcmp(w->run, c->run, size) == 0) {
			w->count++;
			return;
		}
	}
	w = way_count < WAYS / 2 ? malloc(sizeof(*w) + size) : NULL;
	if (w == NULL) {
		fail("too many different ways");
	}
	w->kind = c->kind;
	w->count = 1;
	w->order = way_count++;
	memcpy(w->run, c->run, size);
	ways[at % WAYS] = w;
}

/* A block of the hypervisor's begins: its core's data page is at TPIDR_EL2, 0 at its very start. */
static void on_block(unsigned int vcpu, void *data)
{
	uint64_t tpidr = read_reg(REG_TPIDR);

	(void)vcpu;
	(void)data;
	current = tpidr == 0 ? NULL : &cores[CORE_OF(tpidr)];
}

static void on_insn(unsigned int vcpu, void *data)
{
	const struct insn *insn = data;
	uint16_t index = (uint16_t)(insn - insns);
	struct core *c = current;
	struct run *last;

	(void)vcpu;
	if (c == NULL || !c->running) {
		return;
	}
	c->kind.total++;
	last = &c->run[c->kind.runs == 0 ? 0 : c->kind.runs - 1];
	if (c->kind.runs != 0 && index == last->first + last->count && last->count < UINT16_MAX) {
		last->count++;
	} else if (c->kind.runs < RUNS && c->kind.cut == 0) {
		c->run[c->kind.runs++] = (struct run){ index, 1 };
	} else {
		c->kind.cut = 1;
	}
}

static void on_entry(unsigned int vcpu, void *data)
{
	if (current != NULL) {
		way_begin(current, ((const struct insn *)data)->number);
		on_insn(vcpu, data);
	}
}

static void on_eret(unsigned int vcpu, void *data)
{
	on_insn(vcpu, data);
	if (current != NULL) {
		way_end(current);
	}
}

/* Behind an instruction that acknowledged an interrupt; the first one of a way names it. */
static void on_acked(unsigned int vcpu, void *data)
{
	const struct insn *ack = (const struct insn *)data - 1;

	if (current != NULL && current->running && current->kind.intid == NO_INTID) {
		current->kind.intid = (uint32_t)read_reg(REG_X + ack->number) & 0x3ff;
	}
	on_insn(vcpu, data);
}

/* ---- When QEMU translates ---- */

static struct insn *insn_of(const struct qemu_plugin_tb *tb, size_t i)
{
	const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
	uint64_t at = (qemu_plugin_insn_vaddr(insn) - base) / 4;

	return at < count && insn_is(insn, insns[at].word) ? &insns[at] : NULL;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		if (insn_of(tb, i) == NULL) {
			return;
		}
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, R_REGS, NULL);
	for (size_t i = 0; i < n; i++) {
		struct insn *at = insn_of(tb, i);
		bool acked = at != insns && at[-1].mark == MARK_ACK;
		exec_cb cb = at->mark == MARK_ENTRY ? on_entry :
			     at->mark == MARK_ERET  ? on_eret :
			     acked		    ? on_acked :
						      on_insn;

		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, i), cb,
						       cb == on_insn ? NO_REGS : R_REGS, at);
	}
}

static void on_vcpu(uint64_t id, unsigned int vcpu)
{
	static const char *const names[REG_X] = { "ESR_EL2", "FAR_EL2", "HPFAR_EL2", "TPIDR_EL2",
						  "sp" };
	struct array *all = vcpu == 0 ? qemu_plugin_get_registers() : NULL;

	(void)id;
	for (unsigned int r = 0; all != NULL && r < REGS; r++) {
		char x[8];

		snprintf(x, sizeof(x), "x%u", r - REG_X);
		regs[r] = register_find(all, r < REG_X ? names[r] : x);
	}
}

/* ---- Set-up and end ---- */

/* A line of the map becomes the next instruction. */
static bool map_take(const char *line)
{
	unsigned long v[4]; /* address, word, mark, number */

	if (!numbers_read(line, v, 4)) {
		return false;
	}
	base = count == 0 ? v[0] : base;
	if (count == INSNS || v[0] != base + 4 * count || v[1] > UINT32_MAX || v[2] > MARK_ACK ||
	    v[3] > 30) {
		return false;
	}
	insns[count++] = (struct insn){ (uint32_t)v[1], (uint8_t)v[2], (uint8_t)v[3] };
	return true;
}

static bool map_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[64];
	bool ok = f != NULL;

	while (ok && fgets(line, sizeof(line), f) != NULL) {
		ok = map_take(line);
	}
	ok = ok && feof(f) != 0;
	return f != NULL && fclose(f) == 0 && ok && count != 0;
}

static void on_exit_write(uint64_t id, void *data)
{
	static const struct way *order[WAYS];
	FILE *f = fopen(out_name, "w");

	(void)id;
	(void)data;
	if (f == NULL) {
		fail("the output cannot be written");
	}
	for (uint32_t i = 0; i < WAYS; i++) {
		if (ways[i] != NULL) {
			order[ways[i]->order] = ways[i];
		}
	}
	for (uint32_t i = 0; i < way_count; i++) {
		const struct kind *k = &order[i]->kind;

		fprintf(f, "%x %lx %lx %x %x %x %lx %x", k->vector, k->esr, k->about, k->intid,
			k->another, k->cut, order[i]->count, k->total);
		for (uint32_t r = 0; r < k->runs; r++) {
			fprintf(f, " %x %x", order[i]->run[r].first, order[i]->run[r].count);
		}
		fputc('\n', f);
	}
	if (fclose(f) != 0) {
		fail("the output cannot be written");
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool map = false;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "map=", 4) == 0) {
			map = map_read(argv[i] + 4);
		} else if (strncmp(argv[i], "out=", 4) == 0) {
			out_name = strdup(argv[i] + 4);
		}
	}
	if (!map || out_name == NULL) {
		fprintf(stderr, "paths: no map, or no output\n");
		return 1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
	return 0;
}
