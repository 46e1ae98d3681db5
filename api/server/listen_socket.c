/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/listen_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/views/query.h"

/* What the kernel may hold for a client that does not read; it doubles the number. */
#define SEND_BUFFER (128 << 10)

#define FORMS "use HOST:PORT, [IPv6]:PORT or unix:PATH"

static int explain(int err, const char *address, struct reason *error)
{
	switch (err) {
	case EADDRINUSE:
		reason__set(
			error,
			"%s is taken by another program: stop it, or choose another address with "
			"--web.listen-address",
			address);
		break;
	case EACCES:
		reason__set(error,
			    "no permission to listen on %s: choose another address with "
			    "--web.listen-address, or run as root",
			    address);
		break;
	case EADDRNOTAVAIL:
		reason__set(error,
			    "this host does not have the address %s: choose another with "
			    "--web.listen-address",
			    address);
		break;
	default:
		reason__set(error, "cannot listen on %s: %s", address, strerror(err));
	}
	return -err;
}

static int malformed(const char *address, struct reason *error)
{
	reason__set(error, "\"%.100s\" is no address to listen on: " FORMS, address);
	return -EINVAL;
}

/* 1: a socket that somebody answers on; 0: nobody does. */
static int is_answered(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)name, sizeof(*name)) ? errno : 0;
	close(fd);
	/* EAGAIN: its backlog is full, so it is alive. */
	return err == 0 || err == EAGAIN || err == EACCES || err == EPERM;
}

static int remove_stale(const struct sockaddr_un *name, const char *address, struct reason *error)
{
	struct stat file;
	int answered;

	if (lstat(name->sun_path, &file))
		return errno == ENOENT ? 0 : explain(errno, address, error);
	if (!S_ISSOCK(file.st_mode)) {
		reason__set(error,
			    "%s exists and is no socket: remove it, or choose another "
			    "path with --web.listen-address",
			    name->sun_path);
		return -EEXIST;
	}
	answered = is_answered(name);
	if (answered)
		return explain(answered < 0 ? -answered : EADDRINUSE, address, error);
	if (unlink(name->sun_path))
		return explain(errno, address, error);
	return 0;
}

/* Accepted connections take over what is set here. */
static int start_listening(int fd)
{
	const int bytes = SEND_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)))
		return -1;
	return listen(fd, SOMAXCONN);
}

static int open_unix(struct listen_socket *listener, const char *address, struct reason *error)
{
	const char *path = address + strlen("unix:");
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat file;
	int fd, err;

	if (!*path || strlen(path) >= sizeof(name.sun_path)) {
		reason__set(error, "the path of a Unix socket must have 1 to %zu bytes: \"%.120s\"",
			    sizeof(name.sun_path) - 1, path);
		return -EINVAL;
	}
	memcpy(name.sun_path, path, strlen(path) + 1);
	err = remove_stale(&name, address, error);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* bind() takes the file's mode from the socket, so nobody can connect in between. */
	if (fd < 0 || fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&name, sizeof(name)) ||
	    start_listening(fd) || stat(path, &file)) {
		err = explain(errno, address, error);
		if (fd >= 0)
			close(fd);
		return err;
	}
	listener->fd = fd;
	listener->family = AF_UNIX;
	memcpy(listener->path, path, strlen(path) + 1);
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
	snprintf(listener->address, sizeof(listener->address), "%s", address);
	return 0;
}

/* Splits at the last colon; takes the brackets off. */
static int split(const char *address, char host[64], char port[8])
{
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	uint64_t number;

	if (!length || url__integer(colon + 1, 0, 65535, &number))
		return -EINVAL;
	snprintf(port, 8, "%" PRIu64, number);
	if (address[0] == '[') {
		if (length < 3 || address[length - 1] != ']')
			return -EINVAL;
		address++;
		length -= 2;
	} else if (memchr(address, ':', length)) {
		return -EINVAL;
	}
	if (length >= 64)
		return -EINVAL;
	memcpy(host, address, length);
	host[length] = '\0';
	if (strcmp(host, "localhost") == 0)
		snprintf(host, 64, "127.0.0.1");
	return 0;
}

static int report_address(struct listen_socket *listener)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	char host[80], port[8];

	if (getsockname(listener->fd, (struct sockaddr *)&name, &length))
		return -errno;
	if (getnameinfo((struct sockaddr *)&name, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return -EINVAL;
	snprintf(listener->address, sizeof(listener->address),
		 listener->family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static int open_tcp(struct listen_socket *listener, const char *address, struct reason *error)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_family = address[0] == '[' ? AF_INET6 : AF_INET,
	};
	struct addrinfo *found = NULL;
	const int on = 1;
	char host[64], port[8];
	int fd, err;

	if (split(address, host, port) || getaddrinfo(host, port, &hints, &found))
		return malformed(address, error);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* After a restart the old connections may still be in TIME_WAIT. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (found->ai_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, found->ai_addr, found->ai_addrlen) || start_listening(fd)) {
		err = explain(errno, address, error);
		goto fail;
	}
	listener->fd = fd;
	listener->family = found->ai_family;
	err = report_address(listener);
	if (err) {
		listener->fd = -1;
		err = explain(-err, address, error);
		goto fail;
	}
	freeaddrinfo(found);
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return err;
}

int listen_socket__open(struct listen_socket *listener, const char *address, struct reason *error)
{
	*listener = (struct listen_socket){.fd = -1};
	if (strncmp(address, "unix:", strlen("unix:")) == 0)
		return open_unix(listener, address, error);
	return open_tcp(listener, address, error);
}

void listen_socket__close(struct listen_socket *listener, bool close_fd)
{
	struct stat file;

	if (listener->fd < 0)
		return;
	if (close_fd)
		close(listener->fd);
	listener->fd = -1;
	if (listener->path[0] && lstat(listener->path, &file) == 0 &&
	    file.st_dev == listener->device && file.st_ino == listener->inode)
		unlink(listener->path);
}
