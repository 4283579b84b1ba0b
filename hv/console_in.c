/* SPDX-License-Identifier: Apache-2.0 */
/* The console's own core: what is typed, and the console rings. */
#include "console.h"

#include <kizami/console.h>
#include "arch.h"
#include "blob.h"

#define INPUT_MAX 8u    /* bytes that one console_uart takes; more: it comes again */
#define POLL_HZ   50u   /* of the console rings */
#define MORE_HZ   1000u /* of each of them, while one has something */
#define RING_STEP 32u   /* bytes that are taken from one at a time; divides KZ_CONSOLE_OUT */

static uint32_t lost[KZ_VMS_MAX]; /* bytes typed that found no room; atomic */

/* ---- Console rings ---- */

static struct ring {
	struct kz_console_ring *page; /* NULL: the VM has none */
	uint32_t out_tail, in_head;   /* ours; what the page says is for the guest */
	uint32_t restarted;           /* atomic */
} rings[KZ_VMS_MAX];
static uint32_t polled; /* VMs that have one */
static struct spinlock ring_lock; /* where they are, and their ends that are ours */

void console_ring_reset(uint32_t vm)
{
	__atomic_store_n(&rings[vm].restarted, 1, __ATOMIC_RELEASE);
}

/* Where the VM's console page lies, or NULL. */
static struct kz_console_ring *ring_page(const struct kz_cfg_vm *cfg)
{
	return cfg->console != KZ_CONSOLE_RING
		       ? NULL
		       : vm_ram(cfg, cfg->console_ipa, sizeof(struct kz_console_ring));
}

static void ring_restart(struct ring *r)
{
	if (__atomic_exchange_n(&r->restarted, 0, __ATOMIC_ACQUIRE) != 0) {
		r->out_tail = 0;
		r->in_head = 0;
	}
}

/* Move what the guest wrote to its channel, RING_STEP bytes at most; false: there was nothing. */
static bool ring_drain(struct ring *r, uint32_t vm)
{
	struct kz_console_ring *page = r->page;
	uint32_t head = __atomic_load_n(&page->out_head, __ATOMIC_ACQUIRE);
	uint32_t tail, len;

	ring_restart(r);
	if (head - r->out_tail > KZ_CONSOLE_OUT) {
		r->out_tail = head;
	}
	tail = r->out_tail;
	len = (uint32_t)min_u64(head - tail, RING_STEP - tail % RING_STEP);
	if (len == 0 || !console_has_room(vm, len)) {
		len = 0;
	} else {
		console_write(vm, (const char *)&page->out[tail % KZ_CONSOLE_OUT], len);
		console_announce(vm);
	}
	r->out_tail = tail + len;
	__atomic_store_n(&page->out_tail, r->out_tail, __ATOMIC_RELEASE);
	return len != 0;
}

/* A byte typed for the VM; false when its ring is full. */
static bool ring_input(struct ring *r, uint8_t c)
{
	struct kz_console_ring *page = r->page;
	uint32_t tail, head;

	ring_restart(r);
	tail = __atomic_load_n(&page->in_tail, __ATOMIC_ACQUIRE);
	head = r->in_head;
	if (head - tail == KZ_CONSOLE_IN) {
		return false;
	}
	if (head - tail > KZ_CONSOLE_IN) {
		head = tail;
	}
	page->in[head++ % KZ_CONSOLE_IN] = c;
	r->in_head = head;
	__atomic_store_n(&page->in_head, head, __ATOMIC_RELEASE);
	return true;
}

void console_start(void)
{
	if (polled != 0 || blob_may_create(machine.cfg)) {
		arch_this_cpu()->sched.rings = 0;
		arch_this_cpu()->sched.turn = 0;
		arch_this_cpu()->sched.poll = 0;
		arch_this_cpu()->sched.next = 0;
	}
}

/* A part of one ring, so that they take turns. Bound: the VMs. */
uint64_t console_poll(uint64_t now)
{
	static uint32_t turn;
	uint32_t hz = POLL_HZ;
	bool more = false;

	for (uint32_t i = 0; i < machine.vm_count && !more; i++) {
		turn = turn + 1 < machine.vm_count ? turn + 1 : 0;
		spin_lock(&ring_lock);
		more = rings[turn].page != NULL && ring_drain(&rings[turn], turn);
		hz = more ? MORE_HZ * polled : POLL_HZ;
		spin_unlock(&ring_lock);
	}
	return now + arch_ticks_hz() / hz;
}

/* ---- Input ---- */

uint32_t console_in_dropped(uint32_t vm)
{
	return __atomic_load_n(&lost[vm], __ATOMIC_RELAXED);
}

/* The VM that is typed to: its channel. */
static uint32_t focus_get(void)
{
	return __atomic_load_n(&console_focus, __ATOMIC_RELAXED);
}

static void focus_put(uint32_t channel)
{
	__atomic_store_n(&console_focus, channel, __ATOMIC_RELAXED);
}

static void focus_set(uint32_t vm)
{
	const struct kz_cfg_vm *cfg = machine.vm[vm].cfg;

	if (cfg->console == KZ_CONSOLE_NONE) {
		hv_log("console: %s has none", cfg->name);
		return;
	}
	focus_put(vm);
	hv_log("console: %s (Ctrl-] h for help)", cfg->name);
}

/* The next VM with a console. Bound: the VMs. */
static void focus_next(void)
{
	uint32_t vm = focus_get();

	for (uint32_t i = 0; i < machine.vm_count && vm != CONSOLE_NONE; i++) {
		vm = (vm + 1) % machine.vm_count;
		if (machine.vm[vm].cfg->console != KZ_CONSOLE_NONE) {
			focus_set(vm);
			return;
		}
	}
	hv_log("console: no VM has one");
}

/* A byte for the VM; false when there is no room. */
static bool input_put(uint32_t channel, uint8_t c)
{
	struct vm *vm = &machine.vm[channel];
	bool taken;

	if (vm->cfg->console == KZ_CONSOLE_PL011) {
		return pl011_input(vm, c);
	}
	spin_lock(&ring_lock);
	taken = rings[channel].page != NULL && ring_input(&rings[channel], c);
	spin_unlock(&ring_lock);
	return taken;
}

uint32_t console_type(uint32_t channel, const uint8_t *from, uint32_t size)
{
	uint32_t most = size < CONSOLE_TYPE ? size : CONSOLE_TYPE;
	uint32_t n = 0;

	while (n != most && input_put(channel, from[n])) {
		n++;
	}
	return n;
}

static void input_send(uint8_t c)
{
	uint32_t focus = focus_get();

	if (focus == CONSOLE_NONE) {
		return;
	}
	if (!input_put(focus, c)) {
		__atomic_store_n(&lost[focus], lost[focus] + 1, __ATOMIC_RELAXED);
	}
}

/* The key behind the escape key. */
static void input_command(uint8_t c)
{
	if (c == CONSOLE_ESCAPE) {
		input_send(c);
	} else if (c == 'n') {
		focus_next();
	} else if (c >= '1' && c < '1' + machine.vm_count) {
		focus_set((uint32_t)c - '1');
	} else if (c == 's') {
		console_status();
	} else if (c == 'x') {
		focus_put(CONSOLE_NONE);
		hv_log("console: power off");
		console_flush();
		arch_machine_off();
	} else {
		hv_log("Ctrl-] then n: next VM, 1-8: that VM, s: status, x: power off, "
		       "Ctrl-]: send it, h: help");
	}
}

/*
 * Bytes typed, or output, in turns: the UART's line is a level, and stays up for what is left (or
 * comes with the receive timeout, below the PL011's trigger level). A command is a turn of its
 * own. Bound: INPUT_MAX.
 */
void console_uart(void)
{
	static bool escaped, typed;
	uint32_t most = typed ? 1 : INPUT_MAX;
	bool command = false;
	uint32_t i;

	for (i = 0; i < most && !command; i++) {
		int c = arch_uart_get();

		if (c < 0) {
			break;
		}
		command = escaped;
		escaped = !escaped && c == CONSOLE_ESCAPE;
		if (command) {
			input_command((uint8_t)c);
		} else if (!escaped) {
			input_send((uint8_t)c);
		}
	}
	typed = command || i > 1;
	if (typed) {
		arch_uart_notify();	/* the next one is for output */
	} else {
		console_resume();
	}
}

void console_ring_at(uint32_t vm, const struct kz_cfg_vm *cfg)
{
	struct kz_console_ring *page = cfg == NULL ? NULL : ring_page(cfg);

	spin_lock(&ring_lock);
	polled += page != NULL;
	polled -= rings[vm].page != NULL;
	rings[vm].page = page;
	rings[vm].restarted = 1;
	spin_unlock(&ring_lock);
}

/* Bound: the VMs. */
void console_init(void)
{
	uint32_t first = CONSOLE_NONE; /* of NRT, if there is one */
	bool nrt = false;

	polled = 0;
	for (uint32_t i = machine.vm_count; i-- > 0;) {
		const struct kz_cfg_vm *cfg = machine.vm[i].cfg;

		rings[i].page = ring_page(cfg);
		polled += rings[i].page != NULL;
		if (cfg->console != KZ_CONSOLE_NONE && (cfg->level == KZ_NRT || !nrt)) {
			first = i;
			nrt = cfg->level == KZ_NRT;
		}
	}
	focus_put(first);
}
