/* SPDX-License-Identifier: Apache-2.0 */
/* What a freestanding compiler may call (C11 4.6): small structures only come this way. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int c, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *d = to;
	const char *s = from;

	for (size_t i = 0; i < n; i++) {
		d[i] = s[i];
	}
	return to;
}

void *memset(void *to, int c, size_t n)
{
	char *d = to;

	for (size_t i = 0; i < n; i++) {
		d[i] = (char)c;
	}
	return to;
}
