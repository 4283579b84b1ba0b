/* SPDX-License-Identifier: Apache-2.0 */
#include "range.h"

#include <stdio.h>
#include <stdlib.h>

#include "when.h"

/* Times that are only there in damaged files; below it nothing wraps. */
#define NS_MAX (UINT64_MAX / 4)

bool range_option(struct range *r, const char *command, int option, const char *text)
{
	if (!when_parse(text, (option == 'f') ? &r->from_ns : &r->to_ns)) {
		fprintf(stderr, "kztrace: %s: not a time, such as 2.5ms, 100us or 1s: %s\n",
			command, text);
		return false;
	}
	return true;
}

int range_ticks(const struct range *r, const char *command, const struct trace *t, uint64_t *from,
		uint64_t *to)
{
	uint64_t length = t->end - t->begin;
	uint64_t first = when_ticks(r->from_ns, t->hz);
	uint64_t last = (r->to_ns == UINT64_MAX) ? length : when_ticks(r->to_ns, t->hz);
	char text[WHEN_MAX];

	if ((last <= first) && (r->to_ns != UINT64_MAX)) {
		fprintf(stderr, "kztrace: %s: --to is not behind --from\n", command);
		return EXIT_USAGE;
	}
	if ((first >= length) && (first > 0)) {
		fprintf(stderr, "kztrace: %s: %s ends %s behind its begin, before --from\n",
			command, t->path, when_exact(text, trace_ns(t, length)));
		return EXIT_USAGE;
	}
	*from = t->begin + first;
	*to = t->begin + ((last > length) ? length : last);
	if (trace_ns(t, *to - t->begin) > NS_MAX) {
		fprintf(stderr, "kztrace: %s: %s says that centuries pass; --to takes a part\n",
			command, t->path);
		return EXIT_WRONG;
	}
	return EXIT_SUCCESS;
}
