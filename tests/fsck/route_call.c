/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls that write the memory of whoever calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fsck/fsck.h"

static int read_from(struct fsck *fsck, enum fsck_source source)
{
	int fd = fsck__source(fsck, source), err = 0;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		ssize_t got = source == FSCK_PIPE ? read(fd, fsck__chosen(fsck, i), FSCK_PAGE)
						  : pread(fd, fsck__chosen(fsck, i), FSCK_PAGE,
							  (off_t)(i * FSCK_PAGE));

		if (got != (ssize_t)FSCK_PAGE)
			err = got < 0 ? -errno : -EIO;
	}
	close(fd);
	return err;
}

int call__read_pipe(struct fsck *fsck)
{
	return read_from(fsck, FSCK_PIPE);
}

int call__read_cached(struct fsck *fsck)
{
	return read_from(fsck, FSCK_CACHED);
}

int call__read_direct(struct fsck *fsck)
{
	return read_from(fsck, FSCK_DIRECT);
}

int call__receive(struct fsck *fsck)
{
	unsigned char page[FSCK_PAGE];
	int sockets[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets))
		return -errno;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		fsck__fresh(page, i);
		if (send(sockets[0], page, sizeof(page), 0) != sizeof(page) ||
		    recv(sockets[1], fsck__chosen(fsck, i), FSCK_PAGE, 0) != (ssize_t)FSCK_PAGE)
			err = -EIO;
	}
	close(sockets[0]);
	close(sockets[1]);
	return err;
}

/* From a pipe into memory: vmsplice_to_user(), fs/splice.c. */
int call__vmsplice(struct fsck *fsck)
{
	int fd = fsck__source(fsck, FSCK_PIPE), err = 0;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		const struct iovec page = {fsck__chosen(fsck, i), FSCK_PAGE};

		if (vmsplice(fd, &page, 1, 0) != (ssize_t)FSCK_PAGE)
			err = -EIO;
	}
	close(fd);
	return err;
}

/* ---- the kernel's AIO ---- */

int call__aio_setup(struct fsck *fsck)
{
	aio_context_t *context = calloc(1, sizeof(*context));

	if (!context)
		return -ENOMEM;
	fsck->state = context;
	return syscall(SYS_io_setup, FSCK_CHOSEN, context) ? -errno : 0;
}

int call__aio(struct fsck *fsck)
{
	const aio_context_t context = *(aio_context_t *)fsck->state;
	int fd = fsck__source(fsck, FSCK_DIRECT), err = 0;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < FSCK_CHOSEN && !err; i++) {
		struct iocb block = {
			.aio_lio_opcode = IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)fd,
			.aio_buf = (uintptr_t)fsck__chosen(fsck, i),
			.aio_nbytes = FSCK_PAGE,
			.aio_offset = (int64_t)(i * FSCK_PAGE),
		};
		struct iocb *blocks[] = {&block};

		if (syscall(SYS_io_submit, context, 1, blocks) != 1)
			err = -errno;
	}
	for (unsigned done = 0; done < FSCK_CHOSEN && !err;) {
		struct io_event event;

		if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1 ||
		    event.res != (int64_t)FSCK_PAGE)
			err = -EIO;
		done++;
	}
	close(fd);
	return err;
}
