/* SPDX-License-Identifier: Apache-2.0 */
#include "term.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool changed;

void term_restore(void)
{
	if (changed) {
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
		changed = false;
	}
}

void term_raw(bool signals)
{
	static bool registered;
	struct termios raw;

	if (changed || (tcgetattr(STDIN_FILENO, &before) != 0)) {
		return;
	}
	raw = before;
	if (signals) {
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	} else {
		cfmakeraw(&raw);
	}
	if (!registered) {
		registered = true;
		(void)atexit(term_restore);
	}
	changed = (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0);
}

unsigned term_lines(void)
{
	struct winsize size;

	return (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) ? size.ws_row : 0;
}

bool term_write(const void *from, size_t size)
{
	const char *at = from;

	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, at, size);

		if ((n < 0) && (errno == EAGAIN)) {
			struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

			(void)poll(&p, 1, -1);
		} else if ((n < 0) && (errno != EINTR)) {
			return false;
		}
		at += (n > 0) ? n : 0;
		size -= (n > 0) ? (size_t)n : 0;
	}
	return true;
}

void progress(const char *what, size_t done, size_t all)
{
	static int shown = -1;
	int percent = (all == 0) ? 100 : (int)(done * 100 / all);

	if (!isatty(STDERR_FILENO) || (percent == shown)) {
		return;
	}
	shown = percent;
	fprintf(stderr, "\r%s: %3d %%%s", what, percent, (done == all) ? "\n" : "");
}
