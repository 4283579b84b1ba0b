/* SPDX-License-Identifier: Apache-2.0 */
/* Files in the form of Xen's xl.cfg, as text in our own language (docs/kz.md, docs/config.md). */
#ifndef KZ_XL_H
#define KZ_XL_H

#include "diag.h"

/* BROKEN: a mistake was told; nothing more is to be said of it. */
enum xl_kind { XL_STRING, XL_NUMBER, XL_LIST, XL_BROKEN };

struct xl_value {
	enum xl_kind kind;
	int line;
	const char *s; /* as it was written, without quotes; "" for a list */
	uint64_t n;
	struct xl_value *item; /* of a list */
	unsigned count;
};

struct xl_setting {
	const char *name;
	int line;
	struct xl_value value;
	struct xl_setting *next; /* in the order of the file */
};

/*
 * xl_is - is a text in this form, rather than our own? Ours has a brace outside of quotes and
 * comments; xl.cfg has none.
 */
bool xl_is(const char *text);

/*
 * xl_parse - the settings of a text (NUL-ended). What is wrong goes to d; what can be read in
 * spite of that is returned. Memory is d->mem's.
 */
struct xl_setting *xl_parse(struct diag *d, const char *text);

/*
 * xl_convert - our own language, each value in the line where the xl.cfg has it, so that what is
 * said of it names the right line. What cannot be honoured goes to d: notes ("ignored: ..."), or
 * errors where it would be wrong to ignore it.
 */
char *xl_convert(struct diag *d, const struct xl_setting *settings);

/* xl_others - what there is to say of keys that xl_convert does nothing with (xl_other.c). */
void xl_others(struct diag *d, const struct xl_setting *settings);

#endif
