/* SPDX-License-Identifier: Apache-2.0 */
/* Does each core keep what its servers, and the tasks inside of them, are promised? */
#ifndef KZC_ADMIT_H
#define KZC_ADMIT_H

#include <stdio.h>

#include "sys.h"

/*
 * admit_all - test the servers of each core, then the tasks of each VM; errors at their lines.
 * The cores that pass get their bit in s->board.m.proven. After the cores are placed.
 */
void admit_all(struct sys *s);

/* admit_print - what was found, as a table; nothing when there is no server. */
void admit_print(struct sys *s, FILE *out);

#endif
