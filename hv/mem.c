/* SPDX-License-Identifier: Apache-2.0 */
/* What a freestanding compiler may call (C11 4.6): small structures only come this way. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);	/* MISRA D4 */
void *memset(void *to, int c, size_t n);	/* MISRA D4 */

/* MISRA D4 */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *d = to;
	const char *s = from;
	size_t i = 0;

	for (; ((uintptr_t)to | (uintptr_t)from) % 8 == 0 && i + 32 <= n; i += 32) {
		uint64_t *at = (uint64_t *)(d + i);			/* MISRA D2 */
		const uint64_t *of = (const uint64_t *)(s + i);		/* MISRA D2 */
		uint64_t a = of[0], b = of[1], c = of[2], e = of[3];

		at[0] = a;
		at[1] = b;
		at[2] = c;
		at[3] = e;
	}
	for (; i < n; i++) {
		d[i] = s[i];
	}
	return to;
}

void *memset(void *to, int c, size_t n)
{
	uint64_t word = (uint8_t)c * 0x0101010101010101ull;
	char *d = to;
	size_t i = 0;

	for (; (uintptr_t)to % 8 == 0 && i + 32 <= n; i += 32) {
		uint64_t *at = (uint64_t *)(d + i);	/* MISRA D2 */

		at[0] = word;
		at[1] = word;
		at[2] = word;
		at[3] = word;
	}
	for (; i < n; i++) {
		d[i] = (char)c;
	}
	return to;
}
