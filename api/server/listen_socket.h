/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets, with errors that say what to do. */
#ifndef DIRTYSCOPE_API_SERVER_LISTEN_SOCKET_H
#define DIRTYSCOPE_API_SERVER_LISTEN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "agent/base/reason.h"

#define LISTEN_DEFAULT "127.0.0.1:7243"

struct listen_socket {
	int fd; /* non-blocking; -1: none */
	int family;
	char address[160]; /* as given, with the real port */
	/* Of a Unix socket: where it is, and which file it was, so that only ours is removed. */
	char path[108];
	dev_t device;
	ino_t inode;
};

/*
 * "HOST:PORT", "[v6]:PORT" or "unix:PATH"; port 0 takes any. 0 or -errno, and one sentence in
 * error[size]. A Unix socket gets mode 0600; one that nobody answers on is replaced.
 */
int listen_socket__open(struct listen_socket *listener, const char *address, struct reason *error);
/* Removes the Unix socket's file. close_fd: false when somebody else has closed the descriptor. */
void listen_socket__close(struct listen_socket *listener, bool close_fd);

#endif
