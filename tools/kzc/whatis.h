/* SPDX-License-Identifier: Apache-2.0 */
/* What is at a physical address? */
#ifndef KZC_WHATIS_H
#define KZC_WHATIS_H

#include <stdio.h>

#include "board.h"

/* whatis_print - the deepest node of the board's tree that has the address, or RAM, or nothing. */
void whatis_print(struct mem *mem, const struct board *b, uint64_t address, FILE *out);

#endif
