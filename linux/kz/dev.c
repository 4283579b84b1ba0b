/* SPDX-License-Identifier: Apache-2.0 */
#include "dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <kizami/control.h>

struct dev {
	char *path;
	bool socket;
	int fd;       /* calls */
	int event_fd; /* the same, of a device */
};

/* What a socket is sent and sends back. */
struct packet {
	struct kz_ioc_call call;
	uint8_t bytes[KZ_CONTROL_BYTES];
};

/* A connection for a purpose; -1 and errno. */
static int socket_connect(const char *path, char purpose)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	if ((connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) ||
	    (send(fd, &purpose, 1, MSG_NOSIGNAL) != 1)) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

struct dev *dev_open(const char *path)
{
	struct dev *d = calloc(1, sizeof(*d));
	struct stat st;
	int err;

	if (d == NULL) {
		return NULL;
	}
	d->path = strdup(path);
	d->fd = -1;
	d->event_fd = -1;
	if ((d->path == NULL) || (stat(path, &st) != 0)) {
		err = errno;
	} else if (S_ISSOCK(st.st_mode)) {
		d->socket = true;
		d->fd = socket_connect(path, 'c');
		d->event_fd = (d->fd < 0) ? -1 : socket_connect(path, 'e');
		err = errno;
	} else if (!S_ISCHR(st.st_mode)) {
		err = ENOTTY;
	} else {
		d->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		d->event_fd = d->fd;
		err = errno;
	}
	if ((d->fd < 0) || (d->event_fd < 0)) {
		dev_close(d);
		errno = err;
		return NULL;
	}
	return d;
}

void dev_close(struct dev *d)
{
	if (d == NULL) {
		return;
	}
	if ((d->event_fd >= 0) && (d->event_fd != d->fd)) {
		close(d->event_fd);
	}
	if (d->fd >= 0) {
		close(d->fd);
	}
	free(d->path);
	free(d);
}

static int socket_call(struct dev *d, struct kz_ioc_call *call)
{
	size_t size = (call->buffer_at == KZ_IOC_NO_BUFFER) ? 0 : call->size;
	void *buffer = (void *)(uintptr_t)call->buffer;
	struct packet p = { .call = *call };
	ssize_t got;
	int err;

	if (size > sizeof(p.bytes)) {
		return EINVAL;
	}
	if (size > 0) {
		memcpy(p.bytes, buffer, size);
	}
	if (send(d->fd, &p, sizeof(p.call) + size, MSG_NOSIGNAL) < 0) {
		return errno;
	}
	do {
		got = recv(d->fd, &p, sizeof(p), 0);
	} while ((got < 0) && (errno == EINTR));
	if (got == (ssize_t)sizeof(err)) {
		memcpy(&err, &p, sizeof(err));
		return err;
	}
	if (got < (ssize_t)sizeof(p.call)) {
		return (got < 0) ? errno : EIO;
	}
	call->error = p.call.error;
	memcpy(call->x, p.call.x, sizeof(call->x));
	got -= (ssize_t)sizeof(p.call);
	if ((call->error == KZ_OK) && (size > 0) && (got > 0)) {
		memcpy(buffer, p.bytes, ((size_t)got < size) ? (size_t)got : size);
	}
	return 0;
}

int dev_call(struct dev *d, struct kz_ioc_call *call)
{
	if (d->socket) {
		return socket_call(d, call);
	}
	return (ioctl(d->fd, KZ_IOC_CALL, call) == 0) ? 0 : errno;
}

int dev_event_fd(const struct dev *d)
{
	return d->event_fd;
}

bool dev_event_clear(struct dev *d)
{
	uint64_t count;
	ssize_t got;

	do {
		got = d->socket ? recv(d->event_fd, &count, sizeof(count), MSG_DONTWAIT)
				: read(d->event_fd, &count, sizeof(count));
	} while ((got > 0) && d->socket);
	if (got == 0) {
		errno = ENODEV;
		return false;
	}
	return (got > 0) || (errno == EAGAIN) || (errno == EINTR);
}

/* The descriptor that stands for the trace; -1 and errno. */
static int socket_trace(const char *path)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	int err = 0, fd = socket_connect(path, 't'), got = -1;
	struct iovec iov = { .iov_base = &err, .iov_len = sizeof(err) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;

	if (fd < 0) {
		return -1;
	}
	if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) > 0) {
		c = CMSG_FIRSTHDR(&msg);
		if ((c != NULL) && (c->cmsg_type == SCM_RIGHTS)) {
			memcpy(&got, CMSG_DATA(c), sizeof(got));
		}
	}
	close(fd);
	errno = err;
	return got;
}

const void *dev_trace_map(struct dev *d, size_t size)
{
	int fd = d->socket ? socket_trace(d->path) : d->fd;
	void *at;

	if (fd < 0) {
		return NULL;
	}
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (d->socket) {
		close(fd);
	}
	return (at == MAP_FAILED) ? NULL : at;
}
