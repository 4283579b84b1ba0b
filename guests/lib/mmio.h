/* SPDX-License-Identifier: Apache-2.0 */
/* Device registers: one access each, in program order on Device memory. */
#ifndef GUEST_MMIO_H
#define GUEST_MMIO_H

#include <stdint.h>

static inline uint32_t mmio_read32(uintptr_t address)
{
	return *(const volatile uint32_t *)address;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline uint64_t mmio_read64(uintptr_t address)
{
	return *(const volatile uint64_t *)address;
}

#endif
