/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores: by the process, its child, another process, here and through another mapping. */
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

static void store_all(unsigned char *mapping)
{
	for (unsigned i = 0; i < FSCK_CHOSEN; i++)
		*(volatile uint64_t *)(mapping + fsck__number(i) * FSCK_PAGE + 64) = ~(uint64_t)i;
}

int cpu__store(struct fsck *fsck)
{
	store_all(fsck->region);
	return 0;
}

/* A child that stores, and has ended when this returns. */
static int child_stores(unsigned char *mapping)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		store_all(mapping);
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -ECHILD;
}

int cpu__child_store(struct fsck *fsck)
{
	return child_stores(fsck->region);
}

/* A child that has the pages as they are now, and stays. */
int cpu__fork(struct fsck *fsck)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return 0;
}

/* A child that shares the memory, and stores when it is told to. */
int cpu__child_waits(struct fsck *fsck)
{
	int *sockets = calloc(2, sizeof(*sockets));
	pid_t child;
	char byte;

	if (!sockets || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return sockets ? -errno : -ENOMEM;
	fsck->state = sockets;
	child = fork();
	if (child < 0)
		return -errno;
	if (child)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(sockets[1], &byte, 1, 0) == 1) {
		store_all(fsck->region);
		send(sockets[1], &byte, 1, 0);
	}
	_exit(0);
}

int cpu__waiting_child_stores(struct fsck *fsck)
{
	const int *sockets = fsck->state;
	char byte = 0;

	if (send(sockets[0], &byte, 1, 0) != 1 || recv(sockets[0], &byte, 1, 0) != 1)
		return -EPIPE;
	return 0;
}

/* The memfd's pages as a dma-buf's: mapped, they are another file's. */
int cpu__udmabuf(struct fsck *fsck)
{
	const struct udmabuf_create create = {
		.memfd = (uint32_t)fsck->fd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = FSCK_BYTES};
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), buffer;
	void *memory;

	if (device < 0)
		return fsck__skip(fsck, "no /dev/udmabuf");
	if (fcntl(fsck->fd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		close(device);
		return fsck__skip(fsck, "no seals on this file");
	}
	buffer = ioctl(device, UDMABUF_CREATE, &create);
	close(device);
	if (buffer < 0)
		return -errno;
	memory = mmap(NULL, FSCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0);
	fsck->state = memory;
	return memory == MAP_FAILED ? -errno : 0;
}

int cpu__map_again(struct fsck *fsck)
{
	fsck->state = fsck__map_again(fsck);
	return fsck->state ? 0 : -errno;
}

int cpu__store_again(struct fsck *fsck)
{
	store_all(fsck->state);
	return 0;
}

/* ---- the helper ---- */

int cpu__ask_helper(struct fsck *fsck)
{
	return fsck__assist(fsck);
}

/* Asked twice: it maps, then it stores. */
int cpu__helper_stays(struct fsck *fsck)
{
	if (!fsck->state)
		return cpu__map_again(fsck);
	return cpu__store_again(fsck);
}

int cpu__helper_stores(struct fsck *fsck)
{
	unsigned char *mapping = fsck__map_again(fsck);

	if (!mapping)
		return -errno;
	store_all(mapping);
	return munmap(mapping, FSCK_BYTES) ? -errno : 0;
}

/* The one who maps and stores is gone. */
int cpu__helper_child_stores(struct fsck *fsck)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child)
		_exit(cpu__helper_stores(fsck) ? 1 : 0);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -ECHILD;
}
