/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include "arch.h"
#include "control.h"

/*
 * Writers and the pump share one atomic word, con.work:
 *
 *   bit 31      a core pumps; all of `con` behind `work`, and the reader's part
 *               of each channel, are its own
 *   bits 8:0    channels that have something new
 *
 * Whoever finds the pump running leaves its bit and goes: the pump only ends by
 * a compare-and-swap that sees no bit. Whoever ends it with work left (the
 * UART's FIFO is full, the bound is reached) asks for console_uart afterwards.
 */
#define BUSY BIT(31)
/*
 * Bound of one call: bytes that are moved, from a ring to a line, from there to `out`, from there
 * to the UART; to look at one of an escape sequence counts, too, and so does a tag. docs/bench.md
 * has what that is in instructions. A line of the status page is formatted in a call of its own.
 */
#define PUMP_BYTES 32u
#define CHANNELS   (KZ_VMS_MAX + 1u)
#define OUT_MAX    (CONSOLE_LINE + KZ_NAME_MAX + 16u) /* a line, its tag, its end */
#define ESC        0x1b
#define FLUSH_MS   200u

/* How a piece of text ends. */
enum ending {
	END_NOT, /* unfinished: more may follow */
	END_LF,
	END_CR,   /* what follows is written over it */
	END_LONG, /* no room for more: broken */
};

struct channel {
	/* The writer's. Indices run freely. */
	_Alignas(64) uint32_t head;
	uint32_t out_dropped;
	uint32_t waiting; /* atomic: the writer wants to hear of room */
	/* The pump's. */
	_Alignas(64) uint32_t tail;
	uint8_t len;                /* of line */
	uint8_t seen;               /* bytes of it that line_draw has drawn before */
	uint8_t end;                /* enum ending: of line, which is drawn before more is taken */
	bool cr;                    /* a carriage return came last */
	bool broken;                /* line continues a broken one */
	uint8_t line[CONSOLE_LINE]; /* the current line, as far as it came */
	uint8_t ring[CONSOLE_RING];
};
_Static_assert(CONSOLE_LINE <= UINT8_MAX, "channel.len");

static struct channel channels[CHANNELS];

static struct {
	uint32_t work;     /* atomic, see above */
	uint32_t todo;     /* channels that the pump still has to look at */
	uint32_t turn;     /* channel that comes first in the next round */
	uint32_t shown;    /* channel whose unfinished line is on the screen */
	uint32_t drawn;    /* bytes of it that are there */
	bool dirty;        /* the cursor stands at the start of old text */
	uint32_t pos, len; /* of out */
	uint32_t left;     /* of PUMP_BYTES */
} con = { .shown = CONSOLE_NONE };
static char out[OUT_MAX]; /* on its way to the UART */

/* Channels that a VM reads are not printed. */
static struct spinlock readers;    /* away, and who reads */
static uint32_t away;              /* atomic */
static uint32_t waits;             /* of these: the reader has found nothing; atomic */
static uint8_t reader[KZ_VMS_MAX]; /* VM's id + 1; 0: nobody */

uint32_t console_focus = CONSOLE_NONE;

static uint32_t status_next; /* atomic: line of the status page that is next, plus 1 */

static bool is_focused(uint32_t channel)
{
	return channel == __atomic_load_n(&console_focus, __ATOMIC_RELAXED);
}

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

/* Bound: len. */
void console_write(uint32_t channel, const char *bytes, uint32_t len)
{
	struct channel *ch = &channels[channel];
	uint8_t *ring = ch->ring;
	uint32_t head = ch->head;

	if (ring_used(ch) + len > CONSOLE_RING) {
		__atomic_store_n(&ch->out_dropped, ch->out_dropped + 1, __ATOMIC_RELAXED);
		return;
	}
	for (const char *end = bytes + len; bytes != end; bytes++) {
		ring[head++ % CONSOLE_RING] = (uint8_t)*bytes;
	}
	__atomic_store_n(&ch->head, head, __ATOMIC_RELEASE);
}

/* ---- The pump: con and the reader's part of the channels are ours ---- */

/* Take bytes from the ring into the line until it ends. Bound: con.left. */
static void line_fill(struct channel *ch)
{
	uint32_t head = __atomic_load_n(&ch->head, __ATOMIC_ACQUIRE);
	uint32_t tail = ch->tail;
	uint32_t len = ch->len;
	uint32_t left = con.left;
	enum ending end = END_NOT;
	bool cr = ch->cr;

	for (; tail != head && end == END_NOT && left != 0; left--) {
		uint8_t c = ch->ring[tail++ % CONSOLE_RING];

		if (c == '\r') {
			cr = true;
			continue;
		}
		if (c == '\n') {
			end = END_LF;
		} else if (cr && len != 0) {
			end = END_CR;
			tail--;
		} else if (len == CONSOLE_LINE) {
			end = END_LONG;
			tail--;
		} else {
			ch->line[len++] = c;
		}
		cr = false;
	}
	con.left = left;
	ch->cr = cr;
	ch->len = (uint8_t)len;
	ch->end = (uint8_t)end;
	__atomic_store_n(&ch->tail, tail, __ATOMIC_SEQ_CST);
}

/* The next line of the status page, if there is one: a call of its own. */
static bool status_fill(struct channel *ch)
{
	uint32_t next = __atomic_load_n(&status_next, __ATOMIC_RELAXED);
	struct text t = { (char *)ch->line, (char *)&ch->line[CONSOLE_LINE - 1] };

	if (next == 0) {
		return false;
	}
	if (con.left == PUMP_BYTES) {
		bool more = status_line(next - 1, &t);

		ch->len = (uint8_t)(t.at - (char *)ch->line);
		ch->end = more ? END_LF : END_NOT;
		__atomic_store_n(&status_next, more ? next + 1 : 0, __ATOMIC_RELAXED);
	}
	con.left = 0;
	return true;
}

/* Make the channel's line the one on the screen. */
static void line_begin(uint32_t channel)
{
	const char *name = channel == CONSOLE_HV ? "kizami" : machine.vm[channel].cfg->name;
	struct text t = { &out[con.len], &out[OUT_MAX - 1] };

	if (con.shown != CONSOLE_NONE || con.dirty) {
		text_add(&t, "\r\x1b[K");
	}
	text_add(&t, "[%s%s] ", name, channels[channel].broken ? "+" : "");
	con.len = (uint32_t)(t.at - out);
	con.left -= (uint32_t)min_u64(con.len, con.left);
	con.shown = channel;
	con.drawn = 0;
	con.dirty = false;
}

/* Length of the escape sequence at `at`: ESC [ ... letter, or two bytes. Bound: CONSOLE_LINE. */
static uint32_t escape_length(const struct channel *ch, uint32_t at)
{
	uint32_t end = at + 1;

	if (end < ch->len && ch->line[end] == '[') {
		do {
			end++;
		} while (end < ch->len && ch->line[end] < '@');
	}
	return (uint32_t)min_u64(end + 1, ch->len) - at;
}

/*
 * How much to leave out at a control character. The VM with the focus may do
 * what it likes to its terminal, but a question to it ("where is the cursor?")
 * is asked once: the answer is typed. The others get no say in it at all, or
 * they could make the terminal type to the one with the focus.
 */
static uint32_t line_omit(const struct channel *ch, uint32_t at, bool focused)
{
	uint32_t n = ch->line[at] == ESC ? escape_length(ch, at) : 1;
	uint8_t last = ch->line[at + n - 1];

	con.left -= (uint32_t)min_u64(n - 1, con.left);
	if (focused) {
		bool asks = n > 2 && (last == 'n' || last == 'c' || last == 't');

		return asks && at < ch->seen ? n : 0;
	}
	return ch->line[at] == '\t' ? 0 : n;
}

/* Draw what is not on the screen yet. Bound: con.left, and the sequence that uses it up. */
static void line_draw(uint32_t channel, bool focused)
{
	struct channel *ch = &channels[channel];

	if (con.shown != channel) {
		line_begin(channel);
	}
	while (con.drawn != ch->len && con.left != 0) {
		uint8_t c = ch->line[con.drawn];
		uint32_t omit;

		con.left--;
		omit = UNLIKELY(c < ' ') ? line_omit(ch, con.drawn, focused) : 0;
		if (omit != 0) {
			con.drawn += omit;
		} else {
			out[con.len++] = (char)c;
			con.drawn++;
		}
	}
	ch->seen = (uint8_t)(con.drawn > ch->seen ? con.drawn : ch->seen);
	if (ch->end != END_NOT && con.drawn == ch->len) {
		con.dirty = ch->end == END_CR;
		out[con.len++] = '\r';
		if (!con.dirty) {
			out[con.len++] = '\n';
		}
		con.shown = CONSOLE_NONE;
		ch->broken = ch->end == END_LONG;
		ch->end = END_NOT;
		ch->len = 0;
		ch->seen = 0;
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
	/* A VM, for the hypervisor does not wait; without a PL011 its interrupts stay masked. */
	pl011_room(&machine.vm[channel]);
}

/* One line, or part of one, of the channel whose turn it is; the status page stays in one piece. */
static void channel_serve(void)
{
	uint32_t later = con.todo & ~(BIT(con.turn) - 1);
	bool page = __atomic_load_n(&status_next, __ATOMIC_RELAXED) != 0;
	uint32_t channel =
		page ? CONSOLE_HV : (uint32_t)__builtin_ctz(later != 0 ? later : con.todo);
	struct channel *ch = &channels[channel];
	bool focused = is_focused(channel);

	if ((__atomic_load_n(&away, __ATOMIC_SEQ_CST) & BIT(channel)) != 0) {
		con.todo &= ~BIT(channel);
		return;
	}
	if (ch->end == END_NOT) {
		line_fill(ch);
	}
	/* The ring is empty, and the hypervisor has no page to print either. */
	if (ch->end == END_NOT && con.left != 0 && !(channel == CONSOLE_HV && status_fill(ch))) {
		con.todo &= ~BIT(channel);
	}
	if (con.left != 0 && (ch->end != END_NOT || (focused && ch->len != 0))) {
		line_draw(channel, focused);
	}
	con.turn = channel + (ch->end == END_NOT);
	channel_room(channel);
}

/* The line that is typed comes back to the screen after others have passed: its bit, or 0. */
static uint32_t focus_todo(void)
{
	uint32_t channel = __atomic_load_n(&console_focus, __ATOMIC_RELAXED);
	uint32_t drawn = channel == con.shown ? con.drawn : 0;

	return channel == CONSOLE_NONE || drawn == channels[channel].len ||
	       (__atomic_load_n(&away, __ATOMIC_SEQ_CST) & BIT(channel)) != 0 ? 0 : BIT(channel);
}

/* False when the UART is full, or at the bound. */
static bool out_drain(void)
{
	uint32_t from = con.pos;
	uint32_t end = from + (uint32_t)min_u64(con.len - from, con.left);
	uint32_t pos = from;

	while (pos != end && arch_uart_put((uint8_t)out[pos])) {
		pos++;
	}
	con.left -= pos - from;
	con.pos = pos;
	if (pos != con.len) {
		return false;
	}
	con.pos = 0;
	con.len = 0;
	return true;
}

/* Serve what is to do; false when the UART is full, or at the bound. */
static bool pump_todo(void)
{
	while (con.len == 0 || out_drain()) {
		con.todo = con.todo != 0 ? con.todo : focus_todo();
		if (con.todo == 0 || con.left == 0) {
			return con.todo == 0;
		}
		channel_serve();
	}
	return false;
}

/* True when everything is out. Bound: PUMP_BYTES; console_uart does the rest. */
static bool pump(uint32_t bits)
{
	uint32_t idle;

	if ((__atomic_fetch_or(&con.work, BUSY | bits, __ATOMIC_ACQ_REL) & BUSY) != 0) {
		return false;
	}
	con.left = PUMP_BYTES;
	do {
		con.todo |= __atomic_exchange_n(&con.work, BUSY, __ATOMIC_ACQUIRE) & ~BUSY;
		if (!pump_todo()) {
			__atomic_fetch_and(&con.work, ~BUSY, __ATOMIC_RELEASE);
			/* Only now: the interrupt must not meet a pump that has given up. */
			arch_uart_notify();
			return false;
		}
		idle = BUSY;
	} while (!__atomic_compare_exchange_n(&con.work, &idle, 0, false, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	return true;
}

/* ---- Channels that a VM reads ---- */

/* Its output is not for the console: tells the reader, if that wants to know. */
static bool is_away(uint32_t channel)
{
	uint32_t bit = BIT(channel);

	if (LIKELY((__atomic_load_n(&away, __ATOMIC_SEQ_CST) & bit) == 0)) {
		return false;
	}
	if ((__atomic_fetch_and(&waits, ~bit, __ATOMIC_SEQ_CST) & bit) != 0) {
		control_tell(&machine.vm[channel]);
	}
	return true;
}

/*
 * From now on no pump looks at the channel, and the screen has nothing of it; what pumps have is
 * ours until pump_give. Bound: calls of pump on other cores.
 */
static void take_locked(uint32_t channel)
{
	__atomic_fetch_or(&away, BIT(channel), __ATOMIC_SEQ_CST);
	while ((__atomic_fetch_or(&con.work, BUSY, __ATOMIC_ACQ_REL) & BUSY) != 0) {
		spin_while(&con.work, BUSY, BUSY);
	}
	if (con.shown == channel) {
		con.shown = CONSOLE_NONE;
		con.dirty = true;
	}
}

static void pump_give(void)
{
	__atomic_fetch_and(&con.work, ~BUSY, __ATOMIC_RELEASE);
	arch_uart_notify();		/* what others left meanwhile */
}

enum kz_err console_attach(uint32_t channel, uint32_t vm)
{
	enum kz_err err = KZ_OK;

	spin_lock(&readers);
	if (reader[channel] != 0 && reader[channel] != vm + 1) {
		err = KZ_EBUSY;
	} else {
		reader[channel] = (uint8_t)(vm + 1);
		__atomic_fetch_or(&waits, BIT(channel), __ATOMIC_SEQ_CST);
		take_locked(channel);
		pump_give();
	}
	spin_unlock(&readers);
	return err;
}

enum kz_err console_detach(uint32_t channel, uint32_t vm)
{
	enum kz_err err = KZ_EBUSY;

	spin_lock(&readers);
	if (reader[channel] == vm + 1) {
		reader[channel] = 0;
		__atomic_fetch_and(&away, ~BIT(channel), __ATOMIC_SEQ_CST);
		err = KZ_OK;
	}
	spin_unlock(&readers);
	if (err == KZ_OK) {
		console_announce(channel);
	}
	return err;
}

uint32_t console_reader(uint32_t channel)
{
	return __atomic_load_n(&reader[channel], __ATOMIC_RELAXED);
}

void console_forget(uint32_t vm)
{
	for (uint32_t i = 0; i < KZ_VMS_MAX; i++) {
		(void)console_detach(i, vm);
	}
	spin_lock(&readers);
	take_locked(vm);
	reader[vm] = 0;
	channels[vm].tail = channels[vm].head;
	channels[vm].len = 0;
	channels[vm].seen = 0;
	channels[vm].end = END_NOT;
	channels[vm].cr = false;
	channels[vm].broken = false;
	channels[vm].out_dropped = 0;
	pump_give();
	__atomic_fetch_and(&away, ~BIT(vm), __ATOMIC_SEQ_CST);
	spin_unlock(&readers);
}

/* Bound: CONSOLE_READ. */
uint32_t console_read(uint32_t channel, uint32_t vm, uint8_t *to, uint32_t size)
{
	struct channel *ch = &channels[channel];
	uint32_t head, tail, n = 0;

	spin_lock(&readers);
	if (reader[channel] == vm + 1) {
		__atomic_fetch_or(&waits, BIT(channel), __ATOMIC_SEQ_CST);
		head = __atomic_load_n(&ch->head, __ATOMIC_SEQ_CST);
		for (tail = ch->tail; tail != head && n != size && n != CONSOLE_READ; n++) {
			to[n] = ch->ring[tail++ % CONSOLE_RING];
		}
		__atomic_store_n(&ch->tail, tail, __ATOMIC_SEQ_CST);
		channel_room(channel);
	}
	spin_unlock(&readers);
	return n;
}

/* ---- Whoever has something to print ---- */

void console_pump(uint32_t channel)
{
	if (!is_away(channel)) {
		(void)pump(BIT(channel));
	}
}

void console_flush(void)
{
	uint64_t start = arch_ticks();
	uint64_t limit = arch_ticks_hz() / (1000 / FLUSH_MS);

	while (!pump(0) && arch_ticks() - start < limit) {
	}
}

void console_resume(void)
{
	(void)pump(0);
}

void console_announce(uint32_t channel)
{
	if (is_away(channel)) {
		return;
	}
	/* A running pump sees the bit, or gives up and then asks the same. */
	if ((__atomic_fetch_or(&con.work, BIT(channel), __ATOMIC_ACQ_REL) & BUSY) == 0) {
		arch_uart_notify();
	}
}

void console_status(void)
{
	__atomic_store_n(&status_next, 1, __ATOMIC_RELAXED);
	console_announce(CONSOLE_HV);
}

uint32_t console_out_dropped(uint32_t channel)
{
	return __atomic_load_n(&channels[channel].out_dropped, __ATOMIC_RELAXED);
}
