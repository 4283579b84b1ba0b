/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of addresses: who has what. */
#ifndef HV_SPAN_H
#define HV_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include <kizami/blob.h>

struct span {
	uint64_t base, size;
};

/* Does [base, base + size) lie in [0, end), without wrapping? */
static inline bool span_fits(uint64_t base, uint64_t size, uint64_t end)
{
	return (size <= end) && (base <= end - size);
}

/* Does one of count spans touch s? None of them wraps. count rounds. */
static inline bool spans_hit(const struct span *list, uint32_t count, struct span s)
{
	while ((count > 0) &&
	       ((s.base >= list->base + list->size) || (list->base >= s.base + s.size))) {
		count--, list++;
	}
	return count > 0;
}

/* Does one of count spans have all of s? count rounds. */
static inline bool spans_have(const struct span *list, uint32_t count, struct span s)
{
	for (; count > 0; count--, list++) {
		if ((s.base >= list->base) && span_fits(s.base - list->base, s.size, list->size)) {
			return true;
		}
	}
	return false;
}

static inline bool pages_are_valid(struct span s, uint64_t end)
{
	return (((s.base | s.size) % KZ_PAGE_SIZE) == 0) && (s.size != 0) &&
	       span_fits(s.base, s.size, end);
}

/* Append s to the list, if it is pages below end that none of the list has. */
static inline bool pages_take(struct span *list, uint32_t *count, struct span s, uint64_t end)
{
	if (!pages_are_valid(s, end) || spans_hit(list, *count, s)) {
		return false;
	}
	list[*count] = s;
	++*count;
	return true;
}

#endif
