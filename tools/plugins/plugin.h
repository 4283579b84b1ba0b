/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's interface for TCG plugins, as far as ours use it: version 4 (QEMU 9.2 and later), of
 * which no header is installed. docs.qemu.org, "QEMU TCG Plugins".
 *
 * Callbacks come from the threads that execute cores; with -icount there is one thread, whose
 * cores take turns, and the number that a callback is handed is of the core that translated.
 */
#ifndef TOOLS_PLUGINS_PLUGIN_H
#define TOOLS_PLUGINS_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;

/* enum qemu_plugin_cb_flags: may the callback read the core's registers? */
#define NO_REGS 0
#define R_REGS	1

typedef void (*exec_cb)(unsigned int vcpu, void *data);

/* Arrays are GLib's (GArray, GByteArray); of it too there may be no header. */
struct array {
	char *data;
	unsigned int len;
};
struct array *g_byte_array_new(void);
struct array *g_byte_array_set_size(struct array *a, unsigned int len);

struct reg_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
};

/* Each plugin defines these two. */
extern int qemu_plugin_version;
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* For each block of instructions that is translated, and the parts of it while that lasts. */
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);

/* Before it is executed. */
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
					    void *data);

void qemu_plugin_register_vcpu_init_cb(uint64_t id, void (*cb)(uint64_t id, unsigned int vcpu));
void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t id, void *data), void *data);

/* Of the core that executes; the array is the caller's, of struct reg_descriptor. */
struct array *qemu_plugin_get_registers(void);
/* Appends the register's bytes. Returns how many; -1: it cannot be read. */
int qemu_plugin_read_register(struct qemu_plugin_register *handle, struct array *to);

#endif
