/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for QEMU's TCG: what a call of the hypervisor costs the core that makes it, and what
 * another core executes meanwhile.
 *
 *   -plugin calls.so,out=FILE,begin=A,done=A,settled=A,value=A,target=LOW:HIGH,hv=LOW:HIGH
 *
 * Addresses are hexadecimal, HIGH excluded: of the calling guest's HVC instruction, of the next
 * one; of one that it executes when all that follows the call is over; of one that gives us a
 * number; of the text of the guest that the calls are about; of the hypervisor's. x10 at `begin`,
 * and x0 at `value`, is what it is about; 0 is not recorded. x11 at `begin`: 1 if it is looked at
 * up to `settled`. The output:
 *
 *   c ABOUT N               instructions of the caller's core in a call, the HVC included
 *   s ABOUT ALL OWN N TAKEN from the HVC, of all cores: to the target's last instruction, of which
 *                           OWN were the caller's core's and N the target's (0 0 0: it executed
 *                           none), and to the hypervisor's first one on the target's core
 *   v ABOUT X1              a number
 *
 * Cores under -icount take turns on one thread, and share what was translated: TPIDR_EL2 tells
 * which one executes. It may become another one only where a block begins.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

EXPORT int qemu_plugin_version = 4;

enum reg { REG_TPIDR, REG_X0, REG_X1, REG_X10, REG_X11, REGS };
enum address { BEGIN, DONE, SETTLED, VALUE, TARGET, HV, ADDRESSES };

static const char *const reg_names[REGS] = { "TPIDR_EL2", "x0", "x1", "x10",
					    "x11" };
static const char *const names[ADDRESSES] = { "begin", "done", "settled", "value", "target",
					      "hv" };
static struct qemu_plugin_register *regs[REGS];
static uint64_t low[ADDRESSES], high[ADDRESSES];
static FILE *out;

static uint64_t executed;	/* by all cores */
static uint64_t core, target;	/* TPIDR_EL2 of who executes the hypervisor, and of the target */

/* Of the call that came last. */
static struct {
	uint64_t about, caller;
	uint64_t begun;		/* `executed` at its HVC */
	uint64_t own;		/* instructions of the caller's core since then */
	uint64_t last, last_own, guest;
	uint64_t taken;
	bool open, watched;
} call;

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "calls: %s\n", why);
	_Exit(3);
}

static uint64_t read_reg(enum reg r)
{
	uint64_t value = 0;

	if (!register_read(regs[r], &value)) {
		fail("a register cannot be read");
	}
	return value;
}

static void write_line(const char *what, uint64_t about, const uint64_t *value, unsigned int count)
{
	if (about == 0) {
		return;
	}
	fprintf(out, "%s %llu", what, (unsigned long long)about);
	for (unsigned int i = 0; i < count; i++) {
		fprintf(out, " %llu", (unsigned long long)value[i]);
	}
	fputc('\n', out);
	if (fflush(out) != 0) {
		fail("the output cannot be written");
	}
}

/* ---- What is executed ---- */

static void on_begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	memset(&call, 0, sizeof(call));
	call.about = read_reg(REG_X10);
	call.caller = read_reg(REG_TPIDR);
	call.begun = executed;
	call.own = 1;
	call.open = call.about != 0;
	call.watched = call.open && read_reg(REG_X11) != 0;
	executed++;
}

static void on_done(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (call.open) {
		write_line("c", call.about, &call.own, 1);
		call.open = false;
	}
	executed++;
}

static void on_settled(unsigned int vcpu, void *data)
{
	const uint64_t line[] = { call.last, call.last_own, call.guest, call.taken };

	(void)vcpu;
	(void)data;
	if (call.watched && call.taken != 0) {
		write_line("s", call.about, line, 4);
	}
	call.watched = false;
	executed++;
}

static void on_value(unsigned int vcpu, void *data)
{
	const uint64_t value = read_reg(REG_X1);

	(void)vcpu;
	(void)data;
	write_line("v", read_reg(REG_X0), &value, 1);
	executed++;
}

/* The target's memory may be restarted soon: what it executes after it was taken is another's. */
static void on_target(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	executed++;
	if (call.watched && call.taken == 0) {
		call.last = executed - call.begun;
		call.last_own = call.own;
		call.guest++;
	}
}

static void on_target_block(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	target = read_reg(REG_TPIDR);
}

static void on_hv_block(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (call.open || call.watched) {
		core = read_reg(REG_TPIDR);
	}
}

static void on_hv(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	executed++;
	if (!call.open && !call.watched) {
		return;
	}
	if (core == call.caller) {
		call.own++;
	} else if (core == target && call.taken == 0) {
		call.taken = executed - call.begun;
	}
}

static void on_other(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	executed++;
}

/* ---- When QEMU translates ---- */

static enum address which(uint64_t at)
{
	for (enum address a = BEGIN; a < ADDRESSES; a++) {
		if (at >= low[a] && at < high[a]) {
			return a;
		}
	}
	return ADDRESSES;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	static const struct {
		exec_cb cb;
		int flags;
	} of[ADDRESSES + 1] = {
		[BEGIN] = { on_begin, R_REGS },	   [DONE] = { on_done, NO_REGS },
		[SETTLED] = { on_settled, NO_REGS }, [VALUE] = { on_value, R_REGS },
		[TARGET] = { on_target, NO_REGS },  [HV] = { on_hv, NO_REGS },
		[ADDRESSES] = { on_other, NO_REGS },
	};

	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		enum address a = which(qemu_plugin_insn_vaddr(insn));

		if (i == 0 && (a == HV || a == TARGET)) {
			qemu_plugin_register_vcpu_tb_exec_cb(
				tb, a == HV ? on_hv_block : on_target_block, R_REGS, NULL);
		}
		qemu_plugin_register_vcpu_insn_exec_cb(insn, of[a].cb, of[a].flags, NULL);
	}
}

static void on_vcpu(uint64_t id, unsigned int vcpu)
{
	struct array *all = vcpu == 0 ? qemu_plugin_get_registers() : NULL;

	(void)id;
	for (enum reg r = REG_TPIDR; all != NULL && r < REGS; r++) {
		regs[r] = register_find(all, reg_names[r]);
	}
}

/* "NAME=LOW" or "NAME=LOW:HIGH" */
static bool address_take(const char *word)
{
	for (enum address a = BEGIN; a < ADDRESSES; a++) {
		size_t length = strlen(names[a]);

		if (strncmp(word, names[a], length) == 0 && word[length] == '=') {
			char *end;

			low[a] = strtoull(word + length + 1, &end, 16);
			high[a] = *end == ':' ? strtoull(end + 1, &end, 16) : low[a] + 4;
			return *end == '\0' && low[a] < high[a];
		}
	}
	return false;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	bool good = true;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0) {
			out = fopen(argv[i] + 4, "w");
		} else {
			good = address_take(argv[i]) && good;
		}
	}
	for (enum address a = BEGIN; a < ADDRESSES; a++) {
		good = good && high[a] != 0;
	}
	if (!good || out == NULL) {
		fprintf(stderr, "calls: out=FILE and begin, done, settled, value, target, hv are "
				"wanted\n");
		return 1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
