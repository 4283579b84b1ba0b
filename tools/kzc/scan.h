/* SPDX-License-Identifier: Apache-2.0 */
/* A first look at a configuration, for what libConfuse would stop at: unknown and double keys. */
#ifndef KZC_SCAN_H
#define KZC_SCAN_H

#include "diag.h"

/* A section's keys. */
struct scan_section {
	const char *name;                     /* "vm"; NULL for the file itself */
	bool titled;                          /* vm NAME { ... } */
	const char *const *keys;              /* ended by NULL */
	const char *const (*later)[2];        /* key, and what to say: not in this version */
	const char *const *calls;             /* keys whose values may be WORD(NAME), or NULL */
	const struct scan_section *const *sub; /* the sections that may be inside, or NULL */
	/* What to call for each one; one without a title has that of the section around it. */
	void (*begin)(const char *title, int line);
};

/* What WORD(NAME) is turned into, so that libConfuse takes it for one word: WORD, this, NAME. */
#define SCAN_CALL '\1'

/*
 * scan_keys - report each key that is unknown, given twice or of a later version, and each
 * section whose title is given twice, and overwrite them with blanks. A quote or a section that
 * does not end is reported too; other text whose syntax is wrong is left for libConfuse to
 * complain about.
 */
void scan_keys(struct diag *d, char *text, const struct scan_section *root);

#endif
