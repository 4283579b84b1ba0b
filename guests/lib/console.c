/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <stddef.h>

#include <kizami/console.h>

#include "fdt.h"
#include "mmio.h"

#define PL011_DR	0x00u
#define PL011_FR	0x18u
#define PL011_FR_RXFE	(1u << 4)
#define PL011_FR_TXFF	(1u << 5)

static struct kz_console_ring *ring;
static uintptr_t pl011;

void console_init(const void *fdt)
{
	struct fdt_node node;
	uint64_t address, size;

	if (fdt_find(fdt, "kizami,console-ring", &node) && fdt_reg(&node, 0, &address, &size)) {
		ring = (struct kz_console_ring *)address;
	} else if (fdt_find(fdt, "arm,pl011", &node) && fdt_reg(&node, 0, &address, &size)) {
		pl011 = address;
	}
}

static uint32_t ring_write(const char *bytes, uint32_t size)
{
	const uint32_t head = ring->out_head;
	const uint32_t used = head - __atomic_load_n(&ring->out_tail, __ATOMIC_ACQUIRE);
	uint32_t count = used < KZ_CONSOLE_OUT ? KZ_CONSOLE_OUT - used : 0;

	if (count > size) {
		count = size;
	}
	for (uint32_t i = 0; i < count; i++) {
		ring->out[(head + i) % KZ_CONSOLE_OUT] = (uint8_t)bytes[i];
	}
	__atomic_store_n(&ring->out_head, head + count, __ATOMIC_RELEASE);
	return count;
}

static uint32_t pl011_write(const char *bytes, uint32_t size)
{
	uint32_t count = 0;

	while (count < size && (mmio_read32(pl011 + PL011_FR) & PL011_FR_TXFF) == 0) {
		mmio_write32(pl011 + PL011_DR, (uint8_t)bytes[count]);
		count++;
	}
	return count;
}

uint32_t console_write(const char *bytes, uint32_t size)
{
	if (ring != NULL) {
		return ring_write(bytes, size);
	}
	return pl011 != 0 ? pl011_write(bytes, size) : size;
}

void console_print(const char *text)
{
	for (; *text != '\0'; text++) {
		while (console_write(text, 1) == 0) {
		}
	}
}

int console_read(void)
{
	if (ring != NULL) {
		const uint32_t tail = ring->in_tail;
		int byte;

		if (__atomic_load_n(&ring->in_head, __ATOMIC_ACQUIRE) == tail) {
			return -1;
		}
		byte = ring->in[tail % KZ_CONSOLE_IN];
		__atomic_store_n(&ring->in_tail, tail + 1, __ATOMIC_RELEASE);
		return byte;
	}
	if (pl011 != 0 && (mmio_read32(pl011 + PL011_FR) & PL011_FR_RXFE) == 0) {
		return (int)(mmio_read32(pl011 + PL011_DR) & 0xff);
	}
	return -1;
}
