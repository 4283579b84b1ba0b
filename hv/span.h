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

/* How many of count spans, in order and apart, begin before s ends? Halves count each round. */
static inline uint32_t spans_before(const struct span *list, uint32_t count, struct span s)
{
	uint64_t end = s.base + s.size;
	uint32_t first = 0;

	while (count > 0) {
		uint32_t half = count / 2;
		bool before = list[first + half].base < end;

		first += before ? half + 1 : 0;
		count = before ? count - half - 1 : half;
	}
	return first;
}

/* Does a end behind the beginning of s? */
static inline bool span_ends_in(struct span a, struct span s)
{
	return a.base + a.size > s.base;
}

/* Put s into the list, which is in order, if it touches none of it. count rounds. */
static inline bool spans_insert(struct span *list, uint32_t *count, struct span s)
{
	bool behind = (*count == 0) || !span_ends_in(list[*count - 1], s);
	uint32_t at = behind ? *count : spans_before(list, *count, s);

	if (!behind && (at > 0) && span_ends_in(list[at - 1], s)) {
		return false;
	}
	for (uint32_t i = *count; i > at; i--) {
		list[i] = list[i - 1];
	}
	list[at] = s;
	++*count;
	return true;
}

#endif
