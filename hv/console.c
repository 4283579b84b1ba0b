/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <kizami/console.h>
#include "arch.h"

/*
 * Writers and the pump share one atomic word, con.work:
 *
 *   bit 31      a core pumps; all of `con` behind `work`, and the reader's part
 *               of each channel, are its own
 *   bits 8:0    channels that have something new
 *
 * Whoever finds the pump running leaves its bit and goes: the pump only ends by
 * a compare-and-swap that sees no bit. Whoever ends it with work left (the
 * UART's FIFO is full, the bound is reached) asks for hv_uart_irq afterwards.
 */
#define BUSY		BIT(31)
#define PUMP_LINES	4u		/* bound of one call, at most 2 * OUT_MAX bytes each */
#define NONE		0xffu		/* no channel */
#define CHANNELS	(KZ_VMS_MAX + 1u)
#define OUT_MAX		(CONSOLE_LINE + KZ_NAME_MAX + 16u)	/* a line, its tag, its end */
#define INPUT_MAX	64u		/* bytes that one hv_uart_irq takes; more: it comes again */
#define FLUSH_MS	200u
#define POLL_MS		20u		/* period of the console rings */

/* How a piece of text ends. */
enum ending {
	END_NOT,	/* unfinished: more may follow */
	END_LF,
	END_CR,		/* what follows is written over it */
	END_LONG,	/* no room for more: broken */
};

struct channel {
	/* The writer's. Indices run freely. */
	_Alignas(64) uint32_t head;
	uint32_t out_dropped;
	uint32_t in_dropped;		/* the console core's */
	uint32_t waiting;		/* atomic: the writer wants to hear of room */
	/* The pump's. */
	_Alignas(64) uint32_t tail;
	uint8_t len;			/* of line */
	bool cr;			/* a carriage return came last */
	bool broken;			/* line continues a broken one */
	uint8_t line[CONSOLE_LINE];	/* the current line, as far as it came */
	uint8_t ring[CONSOLE_RING];
};
_Static_assert(CONSOLE_LINE <= UINT8_MAX, "channel.len");

static struct channel channels[CHANNELS];

static struct {
	uint32_t work;			/* atomic, see above */
	uint32_t todo;			/* channels that the pump still has to look at */
	uint32_t turn;			/* channel that comes first in the next round */
	uint32_t shown;			/* channel whose unfinished line is on the screen */
	uint32_t drawn;			/* bytes of it that are there */
	bool dirty;			/* the cursor stands at the start of old text */
	uint32_t pos, len;		/* of out */
} con = { .shown = NONE };
static uint8_t out[OUT_MAX];		/* on its way to the UART */

static uint32_t focus = NONE;		/* atomic; written by the console core */
static uint32_t status_next;		/* atomic: line of the status page that is next, plus 1 */

/* ---- Writers ---- */

static uint32_t ring_used(const struct channel *ch)
{
	return ch->head - __atomic_load_n(&ch->tail, __ATOMIC_ACQUIRE);
}

bool console_has_room(uint32_t channel, uint32_t bytes)
{
	struct channel *ch = &channels[channel];

	if (LIKELY(ring_used(ch) + bytes <= CONSOLE_RING)) {
		return true;
	}
	/* Sequentially consistent, as in channel_room: either the pump sees `waiting`, or we
	 * see its tail. */
	__atomic_store_n(&ch->waiting, 1, __ATOMIC_SEQ_CST);
	return ch->head - __atomic_load_n(&ch->tail, __ATOMIC_SEQ_CST) + bytes <= CONSOLE_RING;
}

static void dropped(uint32_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

void console_put(uint32_t channel, uint8_t c)
{
	struct channel *ch = &channels[channel];

	if (UNLIKELY(ring_used(ch) >= CONSOLE_RING)) {
		dropped(&ch->out_dropped);
		return;
	}
	ch->ring[ch->head % CONSOLE_RING] = c;
	__atomic_store_n(&ch->head, ch->head + 1, __ATOMIC_RELEASE);
}

/* Bound: len. */
COLD void console_write(uint32_t channel, const char *bytes, uint32_t len)
{
	struct channel *ch = &channels[channel];

	if (ring_used(ch) + len > CONSOLE_RING) {
		dropped(&ch->out_dropped);
		return;
	}
	for (uint32_t i = 0; i < len; i++) {
		ch->ring[(ch->head + i) % CONSOLE_RING] = (uint8_t)bytes[i];
	}
	__atomic_store_n(&ch->head, ch->head + len, __ATOMIC_RELEASE);
}

/* ---- The pump: con and the reader's part of the channels are ours ---- */

/* Take bytes from the ring into the line until it ends. Bound: the ring. */
static enum ending line_fill(struct channel *ch)
{
	uint32_t head = __atomic_load_n(&ch->head, __ATOMIC_ACQUIRE);
	uint32_t tail = ch->tail;
	enum ending end = END_NOT;

	for (; tail != head && end == END_NOT; tail++) {
		uint8_t c = ch->ring[tail % CONSOLE_RING];

		if (c == '\n') {
			end = END_LF;
		} else if (c == '\r') {
			ch->cr = true;
			continue;
		} else if (ch->cr && ch->len != 0) {
			end = END_CR;
			tail--;
		} else if (ch->len == CONSOLE_LINE) {
			end = END_LONG;
			tail--;
		} else {
			ch->line[ch->len++] = c;
		}
		ch->cr = false;
	}
	__atomic_store_n(&ch->tail, tail, __ATOMIC_SEQ_CST);
	return end;
}

/* The next line of the status page, when the hypervisor has nothing else to say. */
static COLD enum ending status_fill(struct channel *ch)
{
	uint32_t next = __atomic_load_n(&status_next, __ATOMIC_RELAXED);
	char text[CONSOLE_LINE];
	bool more;

	if (next == 0) {
		return END_NOT;
	}
	more = status_line(next - 1, text, sizeof(text));
	__atomic_store_n(&status_next, more ? next + 1 : 0, __ATOMIC_RELAXED);
	if (!more) {
		return END_NOT;
	}
	for (; text[ch->len] != '\0'; ch->len++) {
		ch->line[ch->len] = (uint8_t)text[ch->len];
	}
	return END_LF;
}

/* Bound: the string; the caller keeps the sum below OUT_MAX. */
static COLD void out_text(const char *s)
{
	for (; *s != '\0'; s++) {
		out[con.len++] = (uint8_t)*s;
	}
}

/* Make the channel's line the one on the screen. */
static COLD void line_begin(uint32_t channel)
{
	if (con.shown != NONE || con.dirty) {
		out_text("\r\x1b[K");
	}
	out_text("[");
	out_text(channel == CONSOLE_HV ? "kizami" : machine.vm[channel].cfg->name);
	out_text(channels[channel].broken ? "+] " : "] ");
	con.shown = channel;
	con.drawn = 0;
	con.dirty = false;
}

/* Draw what is not on the screen yet. Bound: CONSOLE_LINE. */
static void line_draw(uint32_t channel, enum ending end)
{
	struct channel *ch = &channels[channel];

	if (con.shown != channel) {
		line_begin(channel);
	}
	for (; con.drawn < ch->len; con.drawn++) {
		out[con.len++] = ch->line[con.drawn];
	}
	if (end != END_NOT) {
		out_text(end == END_CR ? "\r" : "\r\n");
		con.dirty = end == END_CR;
		con.shown = NONE;
		ch->broken = end == END_LONG;
		ch->len = 0;
	}
}

/* Tell a writer that waits, once half of its ring is free. */
static void channel_room(uint32_t channel)
{
	struct channel *ch = &channels[channel];

	if (LIKELY(__atomic_load_n(&ch->waiting, __ATOMIC_SEQ_CST) == 0) ||
	    __atomic_load_n(&ch->head, __ATOMIC_RELAXED) - ch->tail > CONSOLE_RING / 2) {
		return;
	}
	__atomic_store_n(&ch->waiting, 0, __ATOMIC_SEQ_CST);
	if (channel != CONSOLE_HV && machine.vm[channel].cfg->console == KZ_CONSOLE_PL011) {
		pl011_room(&machine.vm[channel]);
	}
}

/* One line, or part of one, of the channel whose turn it is. */
static void channel_serve(void)
{
	uint32_t later = con.todo & ~(BIT(con.turn) - 1);
	uint32_t channel = (uint32_t)__builtin_ctz(later != 0 ? later : con.todo);
	struct channel *ch = &channels[channel];
	bool focused = channel == __atomic_load_n(&focus, __ATOMIC_RELAXED);
	enum ending end = line_fill(ch);

	if (end == END_NOT && channel == CONSOLE_HV) {
		end = status_fill(ch);
	}
	if (end == END_NOT) {
		con.todo &= ~BIT(channel);
	}
	if (end != END_NOT || (focused && ch->len != 0)) {
		line_draw(channel, end);
	}
	con.turn = channel + 1;
	channel_room(channel);
}

/* The line that is typed comes back to the screen after others have passed. */
static void focus_draw(void)
{
	uint32_t channel = __atomic_load_n(&focus, __ATOMIC_RELAXED);

	if (channel != NONE && channel != con.shown && channels[channel].len != 0) {
		line_draw(channel, END_NOT);
	}
}

/* False when the UART is full. Bound: OUT_MAX. */
static bool out_drain(void)
{
	while (con.pos < con.len) {
		if (!arch_uart_put(out[con.pos])) {
			return false;
		}
		con.pos++;
	}
	con.pos = 0;
	con.len = 0;
	return true;
}

/* Serve what is to do; false when the UART is full, or at the bound of *lines. */
static bool pump_todo(uint32_t *lines)
{
	while (out_drain()) {
		if (con.todo == 0) {
			focus_draw();
			return out_drain();
		}
		if (*lines == 0) {
			return false;
		}
		--*lines;
		channel_serve();
	}
	return false;
}

/* True when everything is out. Bound: PUMP_LINES, and one compare-and-swap more for each. */
static bool pump(uint32_t bits)
{
	uint32_t lines = PUMP_LINES;
	uint32_t w = __atomic_load_n(&con.work, __ATOMIC_RELAXED);

	/* Bound: fails when another core wrote, each of which does so once and goes. */
	while (!__atomic_compare_exchange_n(&con.work, &w, (w & BUSY) != 0 ? w | bits : BUSY, true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
	}
	if ((w & BUSY) != 0) {
		return false;
	}
	con.todo |= w | bits;
	while (pump_todo(&lines)) {
		w = BUSY;
		if (__atomic_compare_exchange_n(&con.work, &w, 0, false, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED)) {
			return true;
		}
		con.todo = __atomic_exchange_n(&con.work, BUSY, __ATOMIC_ACQUIRE) & ~BUSY;
	}
	__atomic_fetch_and(&con.work, ~BUSY, __ATOMIC_RELEASE);
	/* Only now: the interrupt must not meet a pump that has given up. */
	arch_uart_notify();
	return false;
}

void console_pump(uint32_t channel)
{
	(void)pump(BIT(channel));
}

COLD void console_flush(void)
{
	uint64_t start = arch_ticks();
	uint64_t limit = arch_ticks_hz() / 1000 * FLUSH_MS;

	while (!pump(0) && arch_ticks() - start < limit) {
	}
}

uint32_t console_in_dropped(uint32_t channel)
{
	return __atomic_load_n(&channels[channel].in_dropped, __ATOMIC_RELAXED);
}

uint32_t console_out_dropped(uint32_t channel)
{
	return __atomic_load_n(&channels[channel].out_dropped, __ATOMIC_RELAXED);
}

/* ---- Console rings: console core ---- */

static struct {
	struct kz_console_ring *page;	/* NULL: the VM has none */
	uint32_t out_tail, in_head;	/* ours; what the page says is for the guest */
	uint32_t restarted;		/* atomic */
} rings[KZ_VMS_MAX];

void console_ring_reset(uint32_t vm)
{
	__atomic_store_n(&rings[vm].restarted, 1, __ATOMIC_RELEASE);
}

/* Where the VM's console page lies. Bound: the regions of a VM. */
static COLD struct kz_console_ring *ring_page(const struct kz_cfg_vm *cfg)
{
	for (uint32_t i = 0; cfg->console == KZ_CONSOLE_RING && i < cfg->region_count; i++) {
		const struct kz_cfg_region *r = &cfg->region[i];
		uint64_t offset = cfg->console_ipa - r->ipa;

		if (r->type == KZ_REGION_RAM && offset < r->size) {
			return arch_ptr(pa(r->pa + offset));
		}
	}
	return NULL;
}

static void ring_restart(uint32_t vm)
{
	if (__atomic_exchange_n(&rings[vm].restarted, 0, __ATOMIC_ACQUIRE) != 0) {
		rings[vm].out_tail = 0;
		rings[vm].in_head = 0;
	}
}

/* Move what the guest wrote to its channel. Bound: KZ_CONSOLE_OUT. */
static COLD void ring_drain(uint32_t vm)
{
	struct kz_console_ring *page = rings[vm].page;
	uint32_t head = __atomic_load_n(&page->out_head, __ATOMIC_ACQUIRE);
	uint32_t tail;

	ring_restart(vm);
	tail = rings[vm].out_tail;
	if (tail == head) {
		return;
	}
	if (head - tail > KZ_CONSOLE_OUT) {
		tail = head;
	}
	while (tail != head && ring_used(&channels[vm]) < CONSOLE_RING) {
		console_put(vm, page->out[tail++ % KZ_CONSOLE_OUT]);
	}
	rings[vm].out_tail = tail;
	__atomic_store_n(&page->out_tail, tail, __ATOMIC_RELEASE);
	console_pump(vm);
}

/* A byte typed for the VM; false when its ring is full. */
static COLD bool ring_input(uint32_t vm, uint8_t c)
{
	struct kz_console_ring *page = rings[vm].page;
	uint32_t tail, head;

	if (page == NULL) {
		return false;
	}
	ring_restart(vm);
	tail = __atomic_load_n(&page->in_tail, __ATOMIC_ACQUIRE);
	head = rings[vm].in_head;
	if (head - tail > KZ_CONSOLE_IN) {
		head = tail;
	}
	if (head - tail == KZ_CONSOLE_IN) {
		return false;
	}
	page->in[head++ % KZ_CONSOLE_IN] = c;
	rings[vm].in_head = head;
	__atomic_store_n(&page->in_head, head, __ATOMIC_RELEASE);
	return true;
}

/* Bound: the VMs. */
COLD void console_start(void)
{
	bool any = false;

	for (uint32_t i = 0; i < machine.vm_count; i++) {
		any |= rings[i].page != NULL;
	}
	if (any) {
		arch_timer_arm(arch_ticks_hz() / 1000 * POLL_MS);
	}
}

/* Bound: the VMs. */
void hv_timer(void)
{
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		if (rings[i].page != NULL) {
			ring_drain(i);
		}
	}
	console_start();
}

/* ---- Input: console core ---- */

static COLD void focus_set(uint32_t vm)
{
	const struct kz_cfg_vm *cfg = machine.vm[vm].cfg;

	if (cfg->console == KZ_CONSOLE_NONE) {
		hv_log("console: %s has none", cfg->name);
		return;
	}
	__atomic_store_n(&focus, vm, __ATOMIC_RELAXED);
	hv_log("console: %s (Ctrl-] h for help)", cfg->name);
}

/* The next VM with a console. Bound: the VMs. */
static COLD void focus_next(void)
{
	if (focus == NONE) {
		hv_log("console: no VM has one");
		return;
	}
	for (uint32_t i = 1; i <= machine.vm_count; i++) {
		uint32_t vm = (focus + i) % machine.vm_count;

		if (machine.vm[vm].cfg->console != KZ_CONSOLE_NONE) {
			focus_set(vm);
			return;
		}
	}
}

static void input_send(uint8_t c)
{
	struct vm *vm;
	bool taken;

	if (focus == NONE) {
		return;
	}
	vm = &machine.vm[focus];
	taken = vm->cfg->console == KZ_CONSOLE_PL011 ? pl011_input(vm, c) : ring_input(focus, c);
	if (!taken) {
		dropped(&channels[focus].in_dropped);
	}
}

/* The key behind the escape key. */
static COLD void input_command(uint8_t c)
{
	if (c == CONSOLE_ESCAPE) {
		input_send(c);
	} else if (c == 'n') {
		focus_next();
	} else if (c >= '1' && c < '1' + machine.vm_count) {
		focus_set((uint32_t)c - '1');
	} else if (c == 's') {
		__atomic_store_n(&status_next, 1, __ATOMIC_RELAXED);
		console_pump(CONSOLE_HV);
	} else if (c == 'x') {
		hv_log("console: power off");
		console_flush();
		arch_machine_off();
	} else {
		hv_log("Ctrl-] then n: next VM, 1-8: that VM, s: status, x: power off, "
		       "Ctrl-]: send it, h: help");
	}
}

/* Bound: INPUT_MAX. */
void hv_uart_irq(void)
{
	static bool escaped;

	for (uint32_t i = 0; i < INPUT_MAX; i++) {
		int c = arch_uart_get();

		if (c < 0) {
			break;
		}
		if (escaped) {
			escaped = false;
			input_command((uint8_t)c);
		} else if (c == CONSOLE_ESCAPE) {
			escaped = true;
		} else {
			input_send((uint8_t)c);
		}
	}
	(void)pump(0);
}

/* Bound: the VMs. */
COLD void console_init(void)
{
	uint32_t first = NONE;

	for (uint32_t i = machine.vm_count; i-- > 0;) {
		const struct kz_cfg_vm *cfg = machine.vm[i].cfg;

		rings[i].page = ring_page(cfg);
		if (cfg->console != KZ_CONSOLE_NONE &&
		    (cfg->level == KZ_NRT || first == NONE ||
		     machine.vm[first].cfg->level != KZ_NRT)) {
			first = i;
		}
	}
	__atomic_store_n(&focus, first, __ATOMIC_RELAXED);
}
