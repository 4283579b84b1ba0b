/* SPDX-License-Identifier: Apache-2.0 */
/* Of kztrace ctf: the metadata says how to read what ctf.c writes. */
#ifndef KZTRACE_CTF_H
#define KZTRACE_CTF_H

#include <stdio.h>

#include "replay.h"

#define CTF_MAGIC 0xc1fc1fc1u /* of each packet */

/* ctf_has_event - is there an event of this type of records? Its id is the type. */
bool ctf_has_event(unsigned type);

/* ctf_metadata - write the metadata of a trace, in TSDL. */
void ctf_metadata(const struct trace *t, FILE *out);

#endif
