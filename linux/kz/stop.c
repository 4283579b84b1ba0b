/* SPDX-License-Identifier: Apache-2.0 */
#include "stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "dev.h"

static int signal_fd = -1;
static bool asked, resized;

void stop_begin(void)
{
	sigset_t set;

	if (signal_fd >= 0) {
		return;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void signals_take(void)
{
	struct signalfd_siginfo info;

	while ((signal_fd >= 0) && (read(signal_fd, &info, sizeof(info)) == sizeof(info))) {
		if (info.ssi_signo == SIGWINCH) {
			resized = true;
		} else {
			asked = true;
		}
	}
}

bool stop_asked(void)
{
	signals_take();
	return asked;
}

void stop_forget(void)
{
	signals_take();
	asked = false;
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

unsigned wait_for(struct dev *dev, int fd, int64_t ms)
{
	struct pollfd p[] = {
		{ .fd = (dev != NULL) ? dev_event_fd(dev) : -1, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	unsigned found = 0;
	int n;

	ms = (ms > INT_MAX) ? INT_MAX : ms;
	do {
		n = poll(p, sizeof(p) / sizeof(p[0]), (int)ms);
	} while ((n < 0) && (errno == EINTR));
	found |= ((p[0].revents & POLLIN) != 0) ? WAIT_EVENT : 0;
	found |= ((p[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) ? WAIT_ERROR : 0;
	found |= (p[1].revents != 0) ? WAIT_INPUT : 0;
	found |= stop_asked() ? WAIT_STOP : 0;
	found |= resized ? WAIT_RESIZE : 0;
	resized = false;
	return (n < 0) ? WAIT_ERROR : found;
}
