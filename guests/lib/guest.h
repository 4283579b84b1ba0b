/* SPDX-License-Identifier: Apache-2.0 */
/* What the start code calls: the guest's own two functions, and the library's one. */
#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>

/* The guest: fdt is its device tree. Interrupts are masked; when it returns, its vCPU sleeps. */
void guest_main(const void *fdt);

/* An interrupt, with interrupts masked; now is CNTVCT_EL0 at the entry of the vector. */
void guest_irq(uint64_t now);

/* An exception that a guest does not expect: says so on the console, and switches the VM off. */
void guest_fault(uint64_t vector, uint64_t esr, uint64_t pc, uint64_t far);

#endif
